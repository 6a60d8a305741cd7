#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Builds the container image from Debian packages, with no image registry:
#
#   build/image/sluice-VERSION.tar     OCI archive, for `podman load -i`
#   build/image/store                  the same in a store of its own, for the demo and the tests
#   build/image/rootfs                 its files, for runc alone; all there is where podman is missing
#
# The packages come from this machine's own apt sources (Debian's, no third
# party's). The same packages give the same bits: SOURCE_DATE_EPOCH.
set -euo pipefail
cd "$(dirname "$0")/.."
BUILD=${BUILD:-build}
[[ $BUILD = /* ]] || BUILD=$PWD/$BUILD
VERSION=${VERSION:-0.1.0}
SUITE=bookworm
export SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-1700000000}
OUT=$BUILD/image
CONTEXT=$OUT/context
ARCHIVE=$OUT/sluice-$VERSION.tar

# what `ldd build/sluiced` names, by package; checked below
packages=libnghttp2-14,libevent-core-2.1-7,libevent-extra-2.1-7,libprotobuf-c1,libyaml-0-2,libjansson4,libxdp1,libbpf1,libelf1,libmnl0,zlib1g

say() { echo "image: $*"; }
die() {
	echo "image: $*" >&2
	exit 1
}

[ "$(id -u)" -eq 0 ] || die "needs root"
for binary in sluiced sluicectl; do
	[ -x "$BUILD/$binary" ] || die "$BUILD/$binary is missing: make"
done
mkdir -p "$CONTEXT"

# One-line sources, which mmdebstrap takes; two names of one archive count once.
apt-get indextargets --format 'deb $(REPO_URI) $(RELEASE) $(COMPONENT)' 'Created-By: Packages' |
	grep -E "^deb [^ ]+ $SUITE(-updates|-security)? main$" | sort -u >"$OUT/sources.list"
[ -s "$OUT/sources.list" ] || die "no apt source for $SUITE main on this machine"

wanted="$packages $SUITE $SOURCE_DATE_EPOCH $(cat "$OUT/sources.list")"
if [ -s "$CONTEXT/base.tar" ] && [ "$(cat "$OUT/base.of" 2>/dev/null)" = "$wanted" ] &&
	[ -z "$(find /var/lib/apt/lists -maxdepth 1 -type f -newer "$OUT/base.of" -print -quit)" ]; then
	say "base is up to date"
else
	say "unpacking $(tr , '\n' <<<"$packages" | wc -l) libraries and what they need"
	rm -f "$OUT/base.of"
	mmdebstrap --quiet --variant=extract --include="$packages" \
		--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-include=/usr/share/doc/*/copyright' \
		"$SUITE" "$CONTEXT/base.tar.new" "$OUT/sources.list" --format=tar
	mv "$CONTEXT/base.tar.new" "$CONTEXT/base.tar"
	printf '%s' "$wanted" >"$OUT/base.of"
fi

install -m 755 "$BUILD/sluiced" "$BUILD/sluicectl" "$CONTEXT/"
strip "$CONTEXT/sluiced" "$CONTEXT/sluicectl"
touch -d "@$SOURCE_DATE_EPOCH" "$CONTEXT"/*
tar -tf "$CONTEXT/base.tar" >"$OUT/base.list"
for library in $(ldd "$BUILD/sluiced" "$BUILD/sluicectl" | awk '/=>/ { print $1 }' | sort -u); do
	grep -qE "/${library//+/\\+}\$" "$OUT/base.list" || die "$library is not in the image: add its package to $0"
done

podman=(podman --log-level=error --root "$OUT/store" --runroot "$OUT/run")
rm -rf "$OUT/rootfs"
mkdir "$OUT/rootfs"
tar -xf "$CONTEXT/base.tar" -C "$OUT/rootfs"
# what is mounted over must exist, as the root is read-only
mkdir -p "$OUT/rootfs"/{usr/sbin,proc,dev,sys}
install -m 755 "$CONTEXT/sluiced" "$CONTEXT/sluicectl" "$OUT/rootfs/usr/sbin/"
if ! command -v podman >/dev/null; then
	say "no podman: $OUT/rootfs only"
	exit 0
fi

before=$(cat "$OUT/id" 2>/dev/null || true)
"${podman[@]}" build -q --timestamp "$SOURCE_DATE_EPOCH" -t "localhost/sluice:$VERSION" -f deploy/Containerfile "$CONTEXT" >"$OUT/id"
if [ ! -s "$ARCHIVE" ] || [ "$(cat "$OUT/id")" != "$before" ]; then
	"${podman[@]}" tag "localhost/sluice:$VERSION" localhost/sluice:latest
	rm -f "$ARCHIVE"
	"${podman[@]}" save -q --format oci-archive -o "$ARCHIVE" "localhost/sluice:$VERSION"
	"${podman[@]}" image prune -f >/dev/null
fi
say "localhost/sluice:$VERSION $(cut -c1-12 "$OUT/id"), $(du -h "$ARCHIVE" | cut -f1) in $ARCHIVE"
