#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The container image, built without a registry, enforces with CAP_BPF,
# CAP_NET_ADMIN and CAP_PERFMON alone: read-only root, no new privileges, our own
# list of system calls, the host's bpffs. By podman, and by runc without it.
. "$(dirname "$0")/../lib/net.sh"

for tool in runc mmdebstrap; do
	command -v $tool >/dev/null || skip "no $tool (tools/deps.sh image)"
done
net_up
silence
"$ROOT/tools/image.sh" >"$DIR/image.out" 2>&1 || {
	grep -qE "Could not resolve|Failed to fetch|Unable to connect|no apt source" "$DIR/image.out" &&
		skip "the packages for the image cannot be fetched: $(tail -1 "$DIR/image.out")"
	fail "image.sh: $(tail -5 "$DIR/image.out")"
}
# whether a container runs here at all, before anything is ours
runtimes=()
for RUNTIME in podman runc; do
	export RUNTIME
	command -v $RUNTIME >/dev/null || continue
	if NAME=$PREFIX-probe "$ROOT/tools/image-run.sh" "/run/netns/$GW" "$DIR" --version >"$DIR/probe.out" 2>&1; then
		expect_text "the version from $RUNTIME" '[0-9]+\.[0-9]+\.[0-9]+' "$(cat "$DIR/probe.out")"
		runtimes+=("$RUNTIME")
	else
		echo "$RUNTIME does not work here: $(tail -1 "$DIR/probe.out")"
		why=$(tail -1 "$DIR/probe.out")
	fi
done
[ ${#runtimes[@]} -gt 0 ] || skip "neither podman nor runc works here: $why"

status_of() { sed -n "s/^$1:[[:space:]]*//p" "/proc/$AGENT_MAIN/status"; }
ids_rule() { # COUNT
	echo "ids:"
	echo "  - {name: flood, match: {direction: uplink, protocol: udp, remote_port: 5003}, track: pair, evidence: {packets: 1},"
	echo "     limit: {count: $1, window: 60s, kind: exact}, verdict: drop}"
}
alerts() { [ "$(cat "$DIR/alerts/eve.json" 2>/dev/null | wc -l)" = "$1" ]; }
limited_to() { [ "$(ctl -o json ids rules | jq '.rules[0].limits[0].count')" = "$1" ]; }
count_in "$INET" arrived "ip saddr $(ue4 1) udp dport 5001"
for RUNTIME in "${runtimes[@]}"; do
	echo "through $RUNTIME"
	rm -rf "$DIR/policy" "$DIR/alerts" "$DIR/evidence"
	mkdir "$DIR/policy"
	ids_rule 50 >"$DIR/policy/ids.yaml"
	write_config extra="policy: {directory: $DIR/policy}
ids: {eve: {file: $DIR/alerts/eve.json}, evidence: {directory: $DIR/evidence}}"
	container_start
	# CAP_NET_ADMIN 12, CAP_PERFMON 38, CAP_BPF 39
	for set in CapPrm CapEff CapBnd; do expect $set 000000c000001000 "$(status_of $set)"; done
	expect NoNewPrivs 1 "$(status_of NoNewPrivs)"
	expect Seccomp 2 "$(status_of Seccomp)"
	expect_text "a read-only root" '^/ ro[, ]' "$(cut -d' ' -f5,6 "/proc/$AGENT_MAIN/mountinfo")"

	session "$(imsi 1)" "$(ue4 1)"
	rule meter 10
	flow uplink permit udp any 5001
	rule limited 20 5Mbit 5Mbit
	flow uplink permit udp any 5002
	rule watched 30
	flow uplink permit udp any 5003
	activate
	before=$(counted "$INET" arrived)
	sent=$(send_up "$(ue4 1)" "$(host4 1)" --dport 5001 --count 200 --size 800)
	expect "received" "$sent" "$(minus "$(settled "$INET" arrived $((${before% *} + 200)))" "$before")"
	expect "counted" "$sent" "$(used "$(ue4 1)" meter uplink)"
	sent=$(send_up "$(ue4 1)" "$(host4 1)" --dport 9 --count 30)
	expect "dropped" "$sent" "$(used "$(ue4 1)" $DEFAULT_DROP uplink_dropped)"

	# a policy directory that changes, alerts and evidence
	send_up "$(ue4 1)" "$(host4 1)" --dport 5003 --count 80 --rate 400 >/dev/null
	eventually "the alert" 5 alerts 1
	[ -n "$(find "$DIR/evidence" -name '*.pcapng' -size +0)" ] || fail "no evidence"
	ids_rule 5 >"$DIR/policy/ids.yaml"
	eventually "the changed rule" 5 limited_to 5
	mv "$DIR/alerts/eve.json" "$DIR/alerts/moved"
	kill -HUP "$AGENT_MAIN"
	send_up "$(ue4 1)" "$(host4 2)" --dport 5003 --count 10 --rate 400 >/dev/null
	eventually "the alert in a new file" 5 alerts 1

	# killed and started again, in a new container
	kill -KILL "$AGENT_MAIN"
	finish "$AGENT_PID"
	send_up "$(ue4 1)" "$(host4 1)" --dport 5001 --count 100 --size 800 >/dev/null
	container_start
	expect "counted over the restart" "300 240000" "$(used "$(ue4 1)" meter uplink)"
	expect_code "detach" 0 ctl detach
	finish "$AGENT_PID"
	[ ! -e "$PINS" ] || fail "pins are left: $(find "$PINS")"
done
