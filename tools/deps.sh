#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Installs what sluice needs on Debian 12, in named groups, and nothing twice.
#
#   tools/deps.sh [GROUP...]     build (default), test, browser, bench, image, vm, lint, verify
#
# A group that is already complete costs one dpkg-query and no network.

# shellcheck disable=SC2034 # the groups are read through a name reference
set -euo pipefail

build=(clang llvm gcc make pkg-config bpftool libbpf-dev libxdp-dev libelf-dev zlib1g-dev libmnl-dev
	protobuf-compiler protobuf-c-compiler libprotobuf-dev libprotobuf-c-dev libnghttp2-dev libevent-dev
	libssl-dev libyaml-dev libjansson-dev uthash-dev linux-libc-dev iproute2)
test=(libcmocka-dev libclang-rt-14-dev iperf3 iputils-ping curl nftables ethtool tcpdump tshark strace jq procps util-linux
	netcat-openbsd runc mmdebstrap python3 python3-grpcio python3-protobuf python3-yaml python3-prometheus-client protobuf-compiler-grpc nghttp2-client
	prosody python3-slixmpp openssl nmap masscan)
bench=(nftables nghttp2-client jq iperf3 ethtool)
image=(podman buildah runc conmon netavark mmdebstrap fuse-overlayfs)
# a real browser, which alone is larger than all others
browser=(chromium)
vm=(qemu-system-x86 busybox-static kmod cpio xz-utils)
lint=(clang-format clang-tidy cppcheck shellcheck)
verify=(spin)

export DEBIAN_FRONTEND=noninteractive
[ $# -gt 0 ] || set -- build
want=()
for group in "$@"; do
	case $group in
	build | test | browser | bench | image | vm | lint | verify)
		declare -n list=$group
		want+=("${list[@]}")
		unset -n list
		;;
	*)
		echo "deps: unknown group '$group'; allowed: build test browser bench image vm lint verify" >&2
		exit 2
		;;
	esac
done

missing=()
for package in "${want[@]}"; do
	state=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
	[ "$state" = installed ] || missing+=("$package")
done
if [ ${#missing[@]} -eq 0 ]; then
	echo "deps: $* complete"
	exit 0
fi
if [ "$(id -u)" -ne 0 ]; then
	echo "deps: need root to install: ${missing[*]}" >&2
	exit 1
fi
echo "deps: installing ${#missing[@]} packages: ${missing[*]}"
apt-get update -qq
apt-get install -y -qq --no-install-recommends "${missing[@]}" >/dev/null
echo "deps: $* complete"
