#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Runs the image that tools/image.sh built, with no more than the agent needs:
#
#   tools/image-run.sh NETNS FOLDER [sluiced's arguments...]
#
# NETNS is a file under /run/netns, FOLDER holds the configuration and the
# API's socket and has the same path inside. The host mounts bpffs. Everything
# else is taken away: three capabilities, a read-only root, no new privileges,
# our own list of system calls. NAME (environment) names the container.
set -euo pipefail
cd "$(dirname "$0")/.."
netns=$1 folder=$2
shift 2
BUILD=${BUILD:-build}
[[ $BUILD = /* ]] || BUILD=$PWD/$BUILD
NAME=${NAME:-sluice-$$}
SECCOMP=$PWD/deploy/seccomp.json

if command -v podman >/dev/null && [ "${RUNTIME:-podman}" = podman ]; then
	# runc, because crun 1.8 refuses hybrid cgroups; the two limits, because raising
	# them needs CAP_SYS_RESOURCE, which root in a container or a small VM may lack
	exec podman --log-level=error --root "$BUILD/image/store" --runroot "$BUILD/image/run" --runtime runc run \
		--name "$NAME" --rm --replace --pull=never \
		--network="ns:$netns" \
		--cap-drop=all --cap-add=BPF,NET_ADMIN,PERFMON \
		--security-opt no-new-privileges --security-opt "seccomp=$SECCOMP" \
		--read-only --read-only-tmpfs=false \
		--ulimit nofile=1024:1024 --ulimit nproc=1024:1024 \
		--log-driver=none \
		-v /sys/fs/bpf:/sys/fs/bpf -v "$folder:$folder" \
		localhost/sluice:latest "$@"
fi

# The same with runc alone: the OCI configuration that podman would write.
bundle=$folder/bundle-$NAME
mkdir -p "$bundle"
mkdir -p "$BUILD/image/rootfs$folder"
capabilities='["CAP_BPF", "CAP_NET_ADMIN", "CAP_PERFMON"]'
arguments=$(printf '%s\n' /usr/sbin/sluiced "$@" | jq -R . | jq -s .)
jq --argjson arguments "$arguments" --argjson capabilities "$capabilities" --arg rootfs "$BUILD/image/rootfs" \
	--arg netns "$netns" --arg folder "$folder" --slurpfile seccomp "$SECCOMP" -n '{
	ociVersion: "1.0.2",
	process: {
		user: {uid: 0, gid: 0}, args: $arguments, cwd: "/", env: ["PATH=/usr/sbin"], noNewPrivileges: true,
		capabilities: {bounding: $capabilities, effective: $capabilities, permitted: $capabilities},
		rlimits: [{type: "RLIMIT_NOFILE", hard: 1024, soft: 1024}, {type: "RLIMIT_NPROC", hard: 1024, soft: 1024}]
	},
	root: {path: $rootfs, readonly: true},
	hostname: "sluice",
	mounts: [
		{destination: "/proc", type: "proc", source: "proc"},
		{destination: "/dev", type: "tmpfs", source: "tmpfs", options: ["nosuid", "strictatime", "mode=755", "size=64k"]},
		{destination: "/sys", type: "sysfs", source: "sysfs", options: ["nosuid", "noexec", "nodev", "ro"]},
		{destination: "/sys/fs/bpf", type: "bind", source: "/sys/fs/bpf", options: ["bind", "rw"]},
		{destination: $folder, type: "bind", source: $folder, options: ["bind", "rw"]}
	],
	linux: {
		namespaces: [{type: "pid"}, {type: "ipc"}, {type: "uts"}, {type: "mount"}, {type: "network", path: $netns}],
		seccomp: ($seccomp[0] | {
			defaultAction, defaultErrnoRet, architectures: [.archMap[].architecture],
			syscalls: [.syscalls[] | {names, action} + (if .errnoRet then {errnoRet} else {} end)]
		})
	}
}' >"$bundle/config.json"
exec runc --root "$BUILD/image/runc" run --bundle "$bundle" "$NAME"
