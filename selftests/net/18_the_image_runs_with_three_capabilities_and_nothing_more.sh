#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The container image, built without a registry, enforces with CAP_BPF,
# CAP_NET_ADMIN and CAP_PERFMON alone: read-only root, no new privileges, our own
# list of system calls, the host's bpffs.
. "$(dirname "$0")/../lib/net.sh"

for tool in podman runc mmdebstrap; do
	command -v $tool >/dev/null || skip "no $tool (tools/deps.sh image)"
done
net_up
"$ROOT/tools/image.sh" >"$DIR/image.out" 2>&1 || {
	grep -qE "Could not resolve|Failed to fetch|Unable to connect|no apt source" "$DIR/image.out" &&
		skip "the packages for the image cannot be fetched: $(tail -1 "$DIR/image.out")"
	fail "image.sh: $(tail -5 "$DIR/image.out")"
}
# whether a container runs here at all, before anything is ours
NAME=$PREFIX-probe "$ROOT/tools/image-run.sh" "/run/netns/$GW" "$DIR" --version >"$DIR/probe.out" 2>&1 ||
	skip "podman with runc does not work here: $(tail -1 "$DIR/probe.out")"
expect_text "the version from the container" '[0-9]+\.[0-9]+\.[0-9]+' "$(cat "$DIR/probe.out")"

podman=(podman --log-level=error --root "$BUILD/image/store" --runroot "$BUILD/image/run")
container_start() {
	NAME=$PREFIX spawn "$ROOT/tools/image-run.sh" "/run/netns/$GW" "$DIR" --config "$CONFIG" >>"$LOG" 2>&1
	AGENT_PID=$SPAWNED
	agent_ready
	MAIN=$("${podman[@]}" inspect -f '{{.State.Pid}}' "$PREFIX")
	echo "$MAIN $(started_at "$MAIN")" >>"$DIR/pids"
}
write_config mode="${1:-tc}"
container_start

status_of() { sed -n "s/^$1:[[:space:]]*//p" "/proc/$MAIN/status"; }
# CAP_NET_ADMIN 12, CAP_PERFMON 38, CAP_BPF 39
for set in CapPrm CapEff CapBnd; do expect $set 000000c000001000 "$(status_of $set)"; done
expect NoNewPrivs 1 "$(status_of NoNewPrivs)"
expect Seccomp 2 "$(status_of Seccomp)"
expect_text "a read-only root" ' / ro[, ]' "$(cut -d' ' -f5,6 "/proc/$MAIN/mountinfo" | sed 's/^/ /')"

eventually "the pool of queues is built" 20 pool_ready
session "$(imsi 1)" "$(ue4 1)"
rule meter 10
flow uplink permit udp any 5001
rule limited 20 5Mbit 5Mbit
flow uplink permit udp any 5002
activate
silence
count_in "$INET" arrived "ip saddr $(ue4 1) udp dport 5001"
sent=$(send_up "$(ue4 1)" "$(host4 1)" --dport 5001 --count 200 --size 800)
expect "received" "$sent" "$(settled "$INET" arrived 200)"
expect "counted" "$sent" "$(used "$(ue4 1)" meter uplink)"
sent=$(send_up "$(ue4 1)" "$(host4 1)" --dport 9 --count 30)
expect "dropped" "$sent" "$(used "$(ue4 1)" $DEFAULT_DROP uplink_dropped)"

# killed and started again, in a new container
kill -KILL "$MAIN"
finish "$AGENT_PID"
sent=$(send_up "$(ue4 1)" "$(host4 1)" --dport 5001 --count 100 --size 800)
container_start
expect "counted over the restart" "300 240000" "$(used "$(ue4 1)" meter uplink)"
expect_code "detach" 0 ctl detach
finish "$AGENT_PID"
[ ! -e "$PINS" ] || fail "pins are left: $(find "$PINS")"
