#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs a command in a machine of its own with another kernel, on the files of this host:
#
#   tools/vm/boot.sh KERNEL-DIRECTORY COMMAND...
#
# KERNEL-DIRECTORY is kernel.sh's. The command runs as root in this directory,
# sees the host's files (what it writes goes with the machine) and has $BUILD at
# /run/build. Its output and exit code are ours; 125: the machine died or took
# longer than VM_TIMEOUT seconds (1800).
#
# TCG always: a /dev/kvm may be there and yet run no kernel but its own.
set -euo pipefail
kernel=${1:?boot.sh: which kernel?}
shift
BUILD=${BUILD:-build}

shared=$(mktemp -d -t sluice-vm.XXXXXX)
machine=
trap '[ -z "$machine" ] || kill "$machine" 2>/dev/null || true; rm -rf "$shared"' EXIT
{
	echo 'export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8'
	echo 'export BUILD=/run/build'
	echo 'ip link set lo up'
	echo 'modprobe -q tun' # there is no udev that would make /dev/net/tun
	printf 'cd %q\n' "$PWD"
	printf '%q ' "$@"
	echo '>/run/vm/output 2>&1 </dev/null'
	echo 'echo $? >/run/vm/code'
	echo 'sync; echo o >/proc/sysrq-trigger; sleep 60'
} >"$shared/runner"

timeout -k 5 "${VM_TIMEOUT:-1800}" qemu-system-x86_64 -M q35 -accel tcg,thread=multi -cpu max \
	-smp 2 -m "${VM_MEMORY:-3072}" -nodefaults -no-user-config -no-reboot -display none \
	-serial "file:$shared/console" -kernel "$kernel/vmlinuz" -initrd "$kernel/initrd" \
	-append "console=ttyS0 quiet loglevel=4 panic=-1 reboot=t tsc=reliable mitigations=off" \
	-virtfs local,path=/,mount_tag=root,security_model=none,readonly=on,multidevs=remap \
	-virtfs "local,path=$shared,mount_tag=vm,security_model=none" \
	-virtfs "local,path=$BUILD,mount_tag=build,security_model=none,readonly=on" \
	-virtfs "local,path=$kernel/lib/modules,mount_tag=modules,security_model=none,readonly=on" &
machine=$!
: >"$shared/output"
tail -n +1 -s 0.2 -f --pid="$machine" "$shared/output"
wait "$machine" || true
machine=
if [ ! -s "$shared/code" ]; then
	echo "boot.sh: the machine ended before the command did; its last words:" >&2
	tail -30 "$shared/console" >&2 || true
	exit 125
fi
exit "$(cat "$shared/code")"
