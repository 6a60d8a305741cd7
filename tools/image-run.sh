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

# runc, because crun 1.8 refuses hybrid cgroups; the two limits, because raising
# them needs CAP_SYS_RESOURCE, which root in a container or a small VM may lack
exec podman --log-level=error --root "$BUILD/image/store" --runroot "$BUILD/image/run" --runtime runc run \
	--name "$NAME" --rm --replace --pull=never \
	--network="ns:$netns" \
	--cap-drop=all --cap-add=BPF,NET_ADMIN,PERFMON \
	--security-opt no-new-privileges --security-opt "seccomp=$PWD/deploy/seccomp.json" \
	--read-only --read-only-tmpfs=false \
	--ulimit nofile=1024:1024 --ulimit nproc=1024:1024 \
	--log-driver=none \
	-v /sys/fs/bpf:/sys/fs/bpf -v "$folder:$folder" \
	localhost/sluice:latest "$@"
