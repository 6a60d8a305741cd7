#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Two APNs with a VLAN each and one without on one core device, where nobody has VLAN
# devices: tags of what leaves, what comes in with a tag and without, rates of
# queues, other APNs and VLANs after a restart under traffic, the end.
. "$(dirname "$0")/../lib/net.sh"

net_up
silence
TWO='apns:
  - {name: internet, vlan: 100}
  - {name: ims.mnc01.example, vlan: 200}
  - {name: plain}'
write_config mode="${1:-tc}" extra="$TWO"
agent_start

# of_apn N APN: both addresses of subscriber N; one rule with a queue, one without
of_apn() {
	local address
	for address in "$(ue4 "$1")" "$(ue6 "$1")"; do
		session "$(imsi "$1")" "$address"
		sed -i "\$i\    apn: $2" "$SESSIONS"
		rule shaped 10 8Mbit 16Mbit
		flow uplink permit udp any 5001
		flow downlink permit udp any any 5001
		rule free 20
		flow uplink permit udp any 5002
		flow downlink permit udp any any 5002
	done
}
of_apn 1 internet
of_apn 2 IMS.mnc01.Example # no other APN by its case
of_apn 3 plain
of_apn 4 nowhere
activate

# tags_start; tags_of ADDRESS PORT: prints "VLAN PACKETS BYTES" lines of it after tags_stop
tags_start() {
	# not by in_inet, which would be a shell to be killed in its place
	spawn nsenter --net="/run/netns/$INET" -- /usr/bin/python3 "$ROOT/selftests/lib/tag_count.py" inet0 >"$DIR/tags"
	tags=$SPAWNED
	eventually "the counter listens" 5 grep -q ready "$DIR/tags"
}
tags_stop() {
	kill "$tags"
	wait "$tags" || fail "tag_count.py"
}
tags_of() { awk -v a="$1" -v p="$2" '$2 == a && $3 == p { print $1, $4, $5 }' "$DIR/tags"; }

vlan_of=([1]=100 [2]=200 [3]=0 [4]=0)
uplink_tags() { # WHAT
	local n family port sent address
	declare -A wanted=()
	tags_start
	for n in 1 2 3 4; do
		for family in 4 6; do
			for port in 5001 5002; do
				address=$("ue$family" $n)
				sent=$(send_up "$address" "$("host$family" 1)" --dport $port --count 20 --size 700)
				wanted["$address $port"]="${vlan_of[$n]} $sent"
			done
		done
	done
	# the last queue is empty by then: 20 packets of 700 bytes at 8 Mbit/s take 14 ms
	sleep 0.3
	tags_stop
	for address in "${!wanted[@]}"; do
		# shellcheck disable=SC2086 # address and port
		expect "$1: the tag of $address" "${wanted[$address]}" "$(tags_of $address)"
	done
}
uplink_tags "uplink"

# what is counted is the IP packet, with a tag or without
expect "bytes counted" "20 14000" "$(used "$(ue4 1)" free uplink)"
expect "bytes counted, shaped" "20 14000" "$(used "$(ue6 2)" shaped uplink)"

# downlink: with the tag of any APN, without one; a tag that no APN has is not taken in
for family in 4 6; do
	match=ip
	[ $family = 4 ] || match=ip6
	for n in 1 2 3; do
		count_in "$SUB" down$family$n "$match daddr $("ue$family" $n) udp dport 5002"
	done
	for n in 1 2; do
		came=$(used "$("ue$family" $n)" free downlink)
		sent=$(send_down "$("host$family" 1)" "$("ue$family" $n)" --dport 5002 --count 15 --size 900 --vlan ${vlan_of[$n]})
		expect "IPv$family downlink with tag ${vlan_of[$n]}" "$sent" "$(settled "$SUB" down$family$n 15)"
		expect "IPv$family downlink counted" "$sent" "$(minus "$(used "$("ue$family" $n)" free downlink)" "$came")"
	done
	sent=$(send_down "$("host$family" 1)" "$("ue$family" 3)" --dport 5002 --count 15 --size 900)
	expect "IPv$family downlink without a tag" "$sent" "$(settled "$SUB" down$family"3" 15)"
	send_down "$("host$family" 1)" "$("ue$family" 3)" --dport 5002 --count 15 --vlan 300 >/dev/null
	send_down "$("host$family" 1)" "$("ue$family" 3)" --dport 5002 --count 15 --vlan 100 --vlan 200 >/dev/null
	sleep 0.2
	expect "IPv$family downlink with another's tag" "$sent" "$(counted "$SUB" down$family"3")"
done

# the queue of a tagged packet is still the rule's, and its rate that of the IP packet: to the half percent
spawn send_up "$(ue4 1)" "$(host4 1)" --dport 5001 --size 700 --rate 1900 --count 400000 >/dev/null
sender=$SPAWNED
spawn send_up "$(ue4 3)" "$(host4 1)" --dport 5001 --size 700 --rate 1900 --count 400000 >/dev/null
senders="$sender $SPAWNED"
end() { # PID: of a sender, with what it started
	kill -- "-$1"
	finish "$1"
}
sleep 1
rate_is() { # WHAT ADDRESS
	local tries
	# other load on this machine can take a queue's turn away, but cannot make a wrong rate right
	for ((tries = 0; tries < 4; tries++)); do
		rate_start tagged "$INET" inet0 --from "$2" --port 5001
		rate_done tagged
		echo "$1: asked 8000000, reached $RATE"
		is_within 0.5 8000000 "$RATE" && return
	done
	fail "$1: expected 8 Mbit/s within 0.5 %, got $RATE at last"
}
rate_is "with a tag" "$(ue4 1)"
rate_is "without a tag" "$(ue4 3)"
expect_text "core0" 'htb 7ffe: .*direct_packets_stat 0 ' "$(in_gw tc -s qdisc show dev core0)"
for sender in $senders; do end "$sender"; done
sleep 0.2

# a session that changes its APN changes its VLAN, with its counts going on
vlan_of[4]=200
of_apn 4 ims.mnc01.example
activate
uplink_tags "another APN"
expect "counts go on" "40 28000" "$(used "$(ue4 4)" free uplink)"

# killed under traffic: tags stay; APNs in another order, more of them, one VLAN changed, one APN gone:
# no packet has a VLAN that neither the old nor the new configuration gives its APN
packets_of() { used "$(ue4 "$1")" free uplink | cut -d' ' -f1; } # N: a subscriber
sends() { [ "$(packets_of "$1")" -gt "${before[$1]}" ]; }
tags_start
declare -A sender_of
before=()
for n in 1 2 3; do
	before[n]=$(packets_of $n)
	spawn send_up "$(ue4 $n)" "$(host4 1)" --dport 5002 --size 200 --rate 2000 --count 2000000 >"$DIR/sent.$n"
	sender_of[$n]=$SPAWNED
done
for n in 1 2 3; do eventually "subscriber $n sends" 10 sends $n; done
agent_stop KILL
sleep 0.3
write_config mode="${1:-tc}" extra='apns:
  - {name: aaa, vlan: 400}
  - {name: plain}
  - {name: ims.mnc01.example, vlan: 201}
  - {name: internet, vlan: 100}'
agent_start
for n in 1 2 3; do before[n]=$(packets_of $n); done
for n in 1 2 3; do eventually "subscriber $n still sends" 10 sends $n; done
for n in 1 2 3; do end "${sender_of[$n]}"; done
tags_stop
expect "VLANs of internet over the restart" 100 "$(tags_of "$(ue4 1)" 5002 | cut -d' ' -f1)"
expect "VLANs of ims over the restart" "200 201" "$(tags_of "$(ue4 2)" 5002 | cut -d' ' -f1 | xargs)"
expect "VLANs of plain over the restart" 0 "$(tags_of "$(ue4 3)" 5002 | cut -d' ' -f1)"
vlan_of=([1]=100 [2]=201 [3]=0 [4]=201)
uplink_tags "after the restart"
came=$(counted "$SUB" down42)
send_down "$(host4 1)" "$(ue4 2)" --dport 5002 --count 15 --vlan 200 >/dev/null
sent=$(send_down "$(host4 1)" "$(ue4 2)" --dport 5002 --count 15 --vlan 201)
expect "the new VLAN alone comes in" "$sent" "$(minus "$(settled "$SUB" down42 $((${came% *} + 15)))" "$came")"

# without any VLAN there is no program at core ingress; with none, tags are nobody's
hooks_of_core() { ctl -o json status | jq -r '[.hooks[] | select(.interface == "core0") | .hook] | sort | join(" ")'; }
expect "hooks of core0" "tc-egress tc-ingress" "$(hooks_of_core)"
agent_stop
write_config mode="${1:-tc}"
agent_start
expect "hooks of core0 without VLANs" "tc-egress" "$(hooks_of_core)"
vlan_of=([1]=0 [2]=0 [3]=0 [4]=0)
uplink_tags "without APNs"

# and detach leaves nothing, with the hook there
agent_stop
write_config mode="${1:-tc}" extra="$TWO"
agent_start
vlan_of=([1]=100 [2]=200 [3]=0 [4]=200)
uplink_tags "with APNs again"
ctl detach >/dev/null
finish "$AGENT_PID"
[ ! -e "$PINS" ] || fail "pins are left: $(find "$PINS")"
expect "programs on core0" "" "$(in_gw bpftool net show dev core0 2>/dev/null | grep -E 'core_(in|e)gress' || true)"
