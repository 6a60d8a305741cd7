#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The gateway is a bridge here, so frames keep their VLAN tags: none, one
# (802.1Q), or two (802.1ad outside). Rules, drops and counts are the same.
. "$(dirname "$0")/../lib/net.sh"

net_up
silence
in_gw sysctl -qw net.bridge.bridge-nf-call-iptables=0 net.bridge.bridge-nf-call-ip6tables=0 2>/dev/null || true
ip -n "$GW" link add br0 type bridge || skip "no bridge in this kernel"
for device in acc0 core0; do
	ip -n "$GW" address flush dev $device
	ip -n "$GW" link set $device master br0
done
ip -n "$GW" link set br0 up
agent_start
for family in 4 6; do
	session "$(imsi 1)" "$("ue$family" 1)"
	rule meter 10
	flow uplink permit udp any 5001
	flow downlink permit udp any any 5001
done
activate

# across SENDER-NAMESPACE DEVICE TO-MAC RECEIVER-NAMESPACE DEVICE FROM TO COUNT SIZE [send's options]: $SENT, $GOT
across() {
	local from_ns=$1 from_device=$2 mac=$3 to_ns=$4 to_device=$5 from=$6 to=$7 count=$8 size=$9 sink
	shift 9
	spawn in_ns "$to_ns" "$BUILD/tools/sink" --dev "$to_device" --from "$from" --to "$to" --count "$count" --timeout 3 \
		>"$DIR/sink" 2>"$DIR/sink.err"
	sink=$SPAWNED
	eventually "the sink listens" 5 grep -q ready "$DIR/sink.err"
	SENT=$(in_ns "$from_ns" "$BUILD/tools/send" --dev "$from_device" --mac "$mac" --from "$from" --to "$to" \
		--count "$count" --size "$size" "$@")
	wait "$sink" || fail "sink: $(cat "$DIR/sink.err")"
	GOT=$(cat "$DIR/sink")
}
up() { across "$SUB" sub0 02:00:00:00:02:01 "$INET" inet0 "$@"; }
down() { across "$INET" inet0 02:00:00:00:01:01 "$SUB" sub0 "$@"; }

for family in 4 6; do
	ue=$("ue$family" 1) host=$("host$family" 1)
	for tags in "" "--vlan 100" "--vlan 200 --vlan 300"; do
		what="IPv$family, tags: ${tags:-none}"
		before=$(used "$ue" meter uplink)
		# shellcheck disable=SC2086
		up "$ue" "$host" 120 600 --dport 5001 $tags
		expect "$what: uplink received" "$SENT" "$GOT"
		expect "$what: uplink counted" "$SENT" "$(minus "$(used "$ue" meter uplink)" "$before")"

		before=$(used "$ue" meter downlink)
		# shellcheck disable=SC2086
		down "$host" "$ue" 80 1300 --dport 5001 $tags
		expect "$what: downlink received" "$SENT" "$GOT"
		expect "$what: downlink counted" "$SENT" "$(minus "$(used "$ue" meter downlink)" "$before")"

		before=$(used "$ue" $DEFAULT_DROP uplink_dropped)
		# shellcheck disable=SC2086
		SENT=$(in_sub "$BUILD/tools/send" --dev sub0 --mac 02:00:00:00:02:01 --from "$ue" --to "$host" --count 7 --dport 9 $tags)
		expect "$what: dropped" "$SENT" "$(minus "$(used "$ue" $DEFAULT_DROP uplink_dropped)" "$before")"
	done
done
sent=$(in_sub "$BUILD/tools/send" --dev sub0 --mac 02:00:00:00:02:01 --from "$(ue4 2)" --to "$(host4 1)" --count 9 --vlan 100)
expect "a stranger in a VLAN" "$sent" "$(dropped unknown-subscriber uplink)"
