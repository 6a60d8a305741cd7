#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Uplink of an APN with an interface goes there past routing, by a neighbour of its
# family, with a VLAN too; sessions with the same rules in another APN are routed. A
# rule's own interface comes first, copies are refused. Loss, return, restart, change.
. "$(dirname "$0")/../lib/net.sh"

net_up
silence
# a second and third link between gateway and internet
aside() {
	ip -n "$GW" link add q0 address 02:00:00:00:03:01 type veth peer name qi0 address 02:00:00:00:04:01 netns "$INET"
	ip -n "$GW" link set q0 up
	ip -n "$INET" link set qi0 up
	ip -n "$GW" address add 203.0.113.1/24 dev q0
	ip -n "$GW" address add 2001:db8:113::1/64 dev q0 nodad
	ip -n "$GW" neigh replace 203.0.113.2 lladdr 02:00:00:00:04:01 dev q0 nud permanent
	ip -n "$GW" neigh replace 2001:db8:113::2 lladdr 02:00:00:00:04:01 dev q0 nud permanent
}
aside
ip -n "$GW" link add m0 address 02:00:00:00:03:02 type veth peer name mi0 address 02:00:00:00:04:02 netns "$INET"
ip -n "$GW" link set m0 up
ip -n "$INET" link set mi0 up
ip -n "$GW" address add 192.0.2.1/24 dev m0
ip -n "$GW" address add 2001:db8:114::1/64 dev m0 nodad
ip -n "$GW" neigh replace 192.0.2.2 lladdr 02:00:00:00:04:02 dev m0 nud permanent
ip -n "$GW" neigh replace 2001:db8:114::2 lladdr 02:00:00:00:04:02 dev m0 nud permanent

apns() { # NEXT-HOP of iot
	cat <<-END
		apns:
		  - {name: iot, interface: q0, next_hop: $1}
		  - {name: old, interface: q0, next_hop: 203.0.113.2}
		  - {name: tagged, interface: core0, next_hop: $(host4 2), vlan: 100}
	END
}
write_config mode="${1:-tc}" extra="$(apns '[203.0.113.2, "2001:db8:113::2"]')"
agent_start

# in_apn N APN [ADDRESS...]: subscriber N; the rules are the same for all
in_apn() {
	local address hop
	for address in "$(ue4 "$1")" "$(ue6 "$1")"; do
		hop=192.0.2.2
		[[ $address != *:* ]] || hop='"2001:db8:114::2"'
		session "$(imsi "$1")" "$address"
		[ -z "$2" ] || sed -i "\$i\    apn: $2" "$SESSIONS"
		cat >>"$SESSIONS" <<-END
			      - id: own
			        precedence: 10
			        steer: {redirect: m0, next_hop: $hop}
			        flows:
			          - {direction: uplink, action: permit, protocol: udp, remote_port: 5003}
		END
		rule denied 20
		flow uplink deny udp any 5004
		rule open 30
		flow uplink permit udp
		flow downlink permit udp
	done
}
in_apn 1 iot
in_apn 2 ""
in_apn 3 old
in_apn 4 TAGGED
activate

for n in 1 2 3 4; do
	for family in 4 6; do
		match=ip
		[ $family = 4 ] || match=ip6
		for device in inet0 qi0 mi0; do
			count_in "$INET" $device$family$n "iifname $device $match saddr $("ue$family" $n) udp dport 5001-5004"
		done
	done
done
# leaves WHAT N FAMILY PORT DEVICE: 20 packets arrive there and nowhere else
leaves() {
	local device sent was seen
	declare -A seen
	for device in inet0 qi0 mi0; do seen[$device]=$(counted "$INET" $device"$3$2"); done
	sent=$(send_up "$("ue$3" "$2")" "$("host$3" 1)" --dport "$4" --count 20 --size 600)
	for device in "$5" inet0 qi0 mi0; do
		if [ "$device" = "$5" ]; then
			read -r was _ <<<"${seen[$device]}"
			expect "$1 on $device" "$sent" "$(minus "$(settled "$INET" "$device$3$2" $((was + 20)))" "${seen[$device]}")"
		else
			expect "$1 not on $device" "${seen[$device]}" "$(counted "$INET" "$device$3$2")"
		fi
	done
}
everything() { # WHAT
	local family
	for family in 4 6; do
		leaves "$1: IPv$family of the APN" 1 $family 5001 qi0
		leaves "$1: IPv$family of another session" 2 $family 5001 inet0
		leaves "$1: IPv$family, the rule's own interface" 1 $family 5003 mi0
		leaves "$1: IPv$family, the rule's own interface, without an APN" 2 $family 5003 mi0
	done
	leaves "$1: IPv4 by its neighbour" 3 4 5001 qi0
}
everything "first"
expect "counted by the rule" "20 12000" "$(used "$(ue6 1)" open uplink)"

# deny is deny; IPv6 with an IPv4 neighbour alone has no way
send_up "$(ue4 1)" "$(host4 1)" --dport 5004 --count 5 >/dev/null
expect "denied" 5 "$(used "$(ue4 1)" denied uplink_dropped | cut -d' ' -f1)"
before=$(dropped interface-missing uplink)
sent=$(send_up "$(ue6 3)" "$(host6 1)" --dport 5001 --count 7 --size 500)
expect "no neighbour of the family" "$sent" "$(minus "$(dropped interface-missing uplink)" "$before")"
expect "dropped under its rule" "$sent" "$(used "$(ue6 3)" open uplink_dropped)"

# downlink is as ever
count_in "$SUB" down "ip daddr $(ue4 1) udp dport 5002"
sent=$(send_down "$(host4 1)" "$(ue4 1)" --dport 5002 --count 9 --size 300)
expect "downlink" "$sent" "$(settled "$SUB" down 9)"

# with a VLAN, out of a core interface
spawn nsenter --net="/run/netns/$INET" -- /usr/bin/python3 "$ROOT/selftests/lib/tag_count.py" inet0 >"$DIR/tags"
tags=$SPAWNED
eventually "the counter listens" 5 grep -q ready "$DIR/tags"
sent=$(send_up "$(ue4 4)" 203.0.114.99 --dport 5001 --count 20 --size 600) # where nothing is routed
kill "$tags"
wait "$tags" || fail "tag_count.py"
expect "the tag by the interface" "100 $(ue4 4) 5001 $sent" "$(grep "$(ue4 4)" "$DIR/tags")"

# a copy would leave by another way than the APN's
session "$(imsi 1)" "$(ue4 1)"
cat >>"$SESSIONS" <<-END
	      - id: copy
	        precedence: 5
	        steer: {mirror: m0}
	        flows:
	          - {direction: uplink, action: permit, protocol: udp, remote_port: 5002}
END
expect_code "a copy" 1 ctl activate -f "$SESSIONS"
expect_text "a copy" 'copy to m0 cannot be had where the APN iot has an interface of its own' "$(cat "$DIR/out" "$DIR/err")"
rm -f "$SESSIONS"

# the interface goes and comes back under another number
ip -n "$GW" link delete q0
eventually "the loss is noticed" 5 grep -q 'event=steer-interface-missing interface=q0' "$LOG"
before=$(used "$(ue4 1)" open uplink_dropped)
direct=$(counted "$INET" inet041)
sent=$(send_up "$(ue4 1)" "$(host4 1)" --dport 5001 --count 20 --size 700)
expect "without the interface" "$sent" "$(minus "$(used "$(ue4 1)" open uplink_dropped)" "$before")"
expect "nothing is routed instead" "$direct" "$(counted "$INET" inet041)"
aside
eventually "the return is noticed" 5 grep -q 'event=steer-interface-found interface=q0' "$LOG"
everything "with it again"

# killed; without an agent; another next hop; the APN without an interface
agent_stop KILL
everything "without an agent"
agent_start
everything "after the restart"
expect_text "the restart" 'event=state-adopted sessions=8 repaired=0 ' "$(tail -n 20 "$LOG")"
slots() { ctl -o json status | jq '.fills[] | select(.name == "steers") | .used'; }
expect "slots" 5 "$(slots)"
agent_stop KILL
write_config mode="${1:-tc}" extra="$(apns '"2001:db8:113::2"')"
agent_start
everything "by an IPv6 neighbour alone"
has_slots() { [ "$(slots)" = "$1" ]; }
eventually "slots are given back" 5 has_slots 5
agent_stop
write_config mode="${1:-tc}"
agent_start
for n in 1 2 3 4; do for family in 4 6; do leaves "routed again" $n $family 5001 inet0; done; done
eventually "slots are given back" 5 has_slots 2
