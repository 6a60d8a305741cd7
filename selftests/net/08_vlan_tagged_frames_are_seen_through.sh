#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The agent sits on the physical devices; subscribers come in one VLAN tag, or
# in two. Rules, drops and counts are the same as without.
. "$(dirname "$0")/../lib/net.sh"

net_up
silence
# acc0.100 carries UEs 1 and 2, acc0.200.300 (802.1ad outside) carries UE 3
for n in 1 2 3; do
	ip -n "$SUB" address del "$(ue4 $n)/16" dev sub0
	ip -n "$SUB" address del "$(ue6 $n)/64" dev sub0
done
vlan() { # namespace, parent, name, id, protocol
	ip -n "$1" link add link "$2" name "$3" type vlan protocol "$5" id "$4" || skip "no VLAN devices in this kernel"
	ip -n "$1" link set "$3" up
}
vlan "$SUB" sub0 one 100 802.1q
vlan "$GW" acc0 one 100 802.1q
vlan "$SUB" sub0 outer 200 802.1ad
vlan "$GW" acc0 outer 200 802.1ad
vlan "$SUB" outer two 300 802.1q
vlan "$GW" outer two 300 802.1q
place() { # UE device
	local address
	ip -n "$SUB" address add "$(ue4 "$1")/32" dev "$2"
	ip -n "$SUB" address add "$(ue6 "$1")/128" dev "$2" nodad
	for address in "$(ue4 "$1")/32" "$(ue6 "$1")/128"; do
		ip -n "$GW" route add "$address" dev "$2"
		ip -n "$GW" neigh replace "${address%/*}" lladdr 02:00:00:00:01:01 dev "$2" nud permanent
	done
}
place 1 one
place 3 two
agent_start
for n in 1 3; do
	for family in 4 6; do
		session "$(imsi $n)" "$("ue$family" $n)"
		rule meter 10
		flow uplink permit udp any 5001
		flow downlink permit udp any any 5001
	done
done
activate

tags_of() {
	if [ "$1" = 1 ]; then echo "--vlan 100"; else echo "--vlan 200 --vlan 300"; fi
}
for n in 1 3; do
	for family in 4 6; do
		ue=$("ue$family" $n) host=$("host$family" 1) match=ip
		[ $family = 4 ] || match=ip6
		count_in "$INET" "up$n$family" "$match saddr $ue"
		# shellcheck disable=SC2046
		sent=$(send_up "$ue" "$host" --dport 5001 --count 120 --size 600 $(tags_of $n))
		expect "UE $n uplink IPv$family received" "$sent" "$(settled "$INET" "up$n$family" 120)"
		expect "UE $n uplink IPv$family counted" "$sent" "$(used "$ue" meter uplink)"
		# shellcheck disable=SC2046
		sent=$(send_up "$ue" "$host" --dport 9 --count 7 --size 600 $(tags_of $n))
		expect "UE $n uplink IPv$family dropped" "$sent" "$(used "$ue" $DEFAULT_DROP uplink_dropped)"

		spawn in_sub "$BUILD/tools/sink" --dev sub0 --to "$ue" --count 80 --timeout 5 >"$DIR/sink" 2>"$DIR/sink.err"
		sink=$SPAWNED
		eventually "the sink listens" 5 grep -q ready "$DIR/sink.err"
		sent=$(send_down "$host" "$ue" --dport 5001 --count 80 --size 1300)
		wait "$sink" || fail "sink: $(cat "$DIR/sink.err")"
		expect "UE $n downlink IPv$family received" "$sent" "$(cat "$DIR/sink")"
		expect "UE $n downlink IPv$family counted" "$sent" "$(used "$ue" meter downlink)"
	done
done
sent=$(send_up "$(ue4 2)" "$(host4 1)" --dport 5001 --count 9 --vlan 100)
expect "a stranger in the VLAN" "$sent" "$(dropped unknown-subscriber uplink)"
