#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Gets a kernel of Debian's archive ready to boot, without installing it:
#
#   tools/vm/kernel.sh SERIES DIRECTORY     SERIES: 6.1 or 6.12 -> DIRECTORY/{vmlinuz,initrd,modules/,release}
#
# What is there already is used again; remove DIRECTORY for a newer one.
set -euo pipefail
series=${1:?kernel.sh: which series?}
directory=${2:?kernel.sh: which directory?}
here=$(cd "$(dirname "$0")" && pwd)

# In the order in which they must be loaded, with what they depend on.
needed=(virtio_pci 9pnet_virtio 9p overlay)

# $package: the newest image of the series; meta packages name it, so no number is written down here
find_package() {
	local meta
	case $series in
	6.1) meta=linux-image-amd64 ;;
	*) meta=linux-image-$series-amd64 ;;
	esac
	package=$(apt-cache depends "$meta" | awk '/Depends: linux-image/ { print $2; exit }')
	if [[ $package != linux-image-"$series".* ]]; then
		echo "kernel.sh: this distribution's $meta is '${package:-nothing}', not Linux $series" >&2
		exit 1
	fi
}

make_initrd() { # release
	local root=$directory/initrd.root order
	rm -rf "$root"
	mkdir -p "$root"/{bin,proc,sys,dev,lower,ov,newroot,modules}
	cp "$(command -v busybox)" "$root/bin/busybox"
	ln -s busybox "$root/bin/sh"
	install -m 755 "$here/init" "$root/init"
	order=$(for module in "${needed[@]}"; do modprobe -d "$directory" -S "$1" --show-depends "$module"; done |
		awk '/^insmod/ && !seen[$2]++ { print $2 }')
	while read -r path; do
		local name=${path##*/}
		case $name in
		*.xz)
			name=${name%.xz}
			xz -dc "$path" >"$root/modules/$name"
			;;
		*) cp "$path" "$root/modules/$name" ;;
		esac
		echo "$name" >>"$root/modules/order"
	done <<<"$order"
	(cd "$root" && find . | cpio -o -H newc -R 0:0 --quiet) >"$directory/initrd.new"
	mv "$directory/initrd.new" "$directory/initrd"
	rm -rf "$root"
}

mkdir -p "$directory"
directory=$(cd "$directory" && pwd)
if [ ! -e "$directory/release" ]; then
	find_package
	echo "kernel.sh: getting $package" >&2
	(cd "$directory" && apt-get -o APT::Sandbox::User=root -qq download "$package")
	dpkg -x "$directory/$package"_*.deb "$directory"
	rm -f "$directory/$package"_*.deb
	release=${package#linux-image-}
	depmod -b "$directory" "$release"
	mv "$directory/boot/vmlinuz-$release" "$directory/vmlinuz"
	echo "$release" >"$directory/release"
fi
if [ ! -e "$directory/initrd" ] || [ "$here/init" -nt "$directory/initrd" ]; then
	make_initrd "$(cat "$directory/release")"
fi
