#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Quarantine: what a rule permits goes to another interface, by a next hop or as it
# is. Mirror: a copy goes there. An interface may vanish and come back.
. "$(dirname "$0")/../lib/net.sh"

net_up
silence
# second and third links between gateway and internet
link() { # NAME PEER
	ip -n "$GW" link add "$1" address 02:00:00:00:03:0"$3" type veth peer name "$2" address 02:00:00:00:04:0"$3" netns "$INET"
	ip -n "$GW" link set "$1" up
	ip -n "$INET" link set "$2" up
}
quarantine() {
	link q0 qi0 1
	ip -n "$GW" address add 203.0.113.1/24 dev q0
	ip -n "$GW" address add 2001:db8:113::1/64 dev q0 nodad
	ip -n "$GW" neigh replace 203.0.113.2 lladdr 02:00:00:00:04:01 dev q0 nud permanent
	ip -n "$GW" neigh replace 2001:db8:113::2 lladdr 02:00:00:00:04:01 dev q0 nud permanent
}
quarantine
link m0 mi0 2

steering() { # FAMILY RULE PRECEDENCE STEER PORT
	cat >>"$SESSIONS" <<-END
		      - id: $2
		        precedence: $3
		        steer: {$4}
		        flows:
		          - {direction: uplink, action: permit, protocol: udp, remote_port: $5}
		          - {direction: downlink, action: permit, protocol: udp, local_port: $5}
	END
}
write_config mode="${1:-tc}"
agent_start
for family in 4 6; do
	hop=203.0.113.2
	[ $family = 4 ] || hop='"2001:db8:113::2"'
	session "$(imsi 1)" "$("ue$family" 1)"
	steering $family quarantine 10 "redirect: q0, next_hop: $hop" 5001
	steering $family mirror 20 "mirror: m0" 5002
	steering $family later 30 "redirect: q9" 5003
	rule plain 40
	flow uplink permit udp
	flow downlink permit udp
done
activate

# sink_on DEVICE FROM TO COUNT: counts frames there in the background; sunk waits and sets $GOT
sink_on() {
	spawn in_inet "$BUILD/tools/sink" --dev "$1" --from "$2" --to "$3" --count "$4" --timeout 3 >"$DIR/sink" 2>"$DIR/sink.err"
	sink=$SPAWNED
	eventually "the sink listens" 5 grep -q ready "$DIR/sink.err"
}
sunk() {
	wait "$sink" || fail "sink: $(cat "$DIR/sink.err")"
	GOT=$(cat "$DIR/sink")
}

for family in 4 6; do
	ue=$("ue$family" 1) host=$("host$family" 1) match=ip
	[ $family = 4 ] || match=ip6
	count_in "$INET" direct$family "iifname inet0 $match saddr $ue udp dport 5001"
	count_in "$INET" aside$family "iifname qi0 $match saddr $ue udp dport 5001"
	sent=$(send_up "$ue" "$host" --dport 5001 --count 50 --size 700)
	expect "IPv$family to the quarantine" "$sent" "$(settled "$INET" aside$family 50)"
	expect "IPv$family past it" "0 0" "$(counted "$INET" direct$family)"
	expect "IPv$family counted by the rule" "$sent" "$(used "$ue" quarantine uplink)"

	count_in "$INET" mirrored$family "iifname inet0 $match saddr $ue udp dport 5002"
	sink_on mi0 "$ue" "$host" 40
	sent=$(send_up "$ue" "$host" --dport 5002 --count 40 --size 900)
	sunk
	expect "IPv$family copies uplink" "$sent" "$GOT"
	expect "IPv$family originals uplink" "$sent" "$(settled "$INET" mirrored$family 40)"
	expect "IPv$family counted once" "$sent" "$(used "$ue" mirror uplink)"

	count_in "$SUB" down$family "$match daddr $ue udp dport 5002"
	sink_on mi0 "$host" "$ue" 30
	sent=$(send_down "$host" "$ue" --dport 5002 --count 30 --size 800)
	sunk
	expect "IPv$family copies downlink" "$sent" "$GOT"
	expect "IPv$family originals downlink" "$sent" "$(settled "$SUB" down$family 30)"

	sent=$(send_up "$ue" "$host" --dport 5003 --count 7 --size 100)
	expect "IPv$family to an interface that is not there" "$sent" "$(used "$ue" later uplink_dropped)"
	count_in "$INET" plain$family "iifname inet0 $match saddr $ue udp dport 5009"
	sent=$(send_up "$ue" "$host" --dport 5009 --count 9)
	expect "IPv$family by another rule" "$sent" "$(settled "$INET" plain$family 9)"
done
expect "interface-missing" 14 "$(dropped interface-missing uplink | cut -d' ' -f1)"
expect "slots in use" 4 "$(ctl -o json status | jq '.fills[] | select(.name == "steers") | .used')"

# the quarantine's interface goes and comes back under another number; copies do the same without harm
ue=$(ue4 1) host=$(host4 1)
ip -n "$GW" link delete q0
ip -n "$GW" link delete m0
eventually "the loss is noticed" 5 grep -q 'event=steer-interface-missing interface=q0' "$LOG"
before=$(used "$ue" quarantine uplink_dropped)
sent=$(send_up "$ue" "$host" --dport 5001 --count 20 --size 700)
expect "without the interface" "$sent" "$(minus "$(used "$ue" quarantine uplink_dropped)" "$before")"
expect "nothing passes by" "0 0" "$(counted "$INET" direct4)"
before=$(counted "$INET" mirrored4)
sent=$(send_up "$ue" "$host" --dport 5002 --count 20 --size 700)
expect "the mirror's loss is not the subscriber's" "$sent" "$(minus "$(settled "$INET" mirrored4 $((${before% *} + 20)))" "$before")"
quarantine
eventually "the return is noticed" 5 grep -q 'event=steer-interface-found interface=q0' "$LOG"
before=$(counted "$INET" aside4)
sent=$(send_up "$ue" "$host" --dport 5001 --count 20 --size 700)
expect "with it" "$sent" "$(minus "$(settled "$INET" aside4 $((${before% *} + 20)))" "$before")"

# the same after the agent was killed, and gone with the rules
agent_stop KILL
before=$(counted "$INET" aside4)
sent=$(send_up "$ue" "$host" --dport 5001 --count 20 --size 700)
expect "without an agent" "$sent" "$(minus "$(settled "$INET" aside4 $((${before% *} + 20)))" "$before")"
agent_start
expect "slots adopted" 4 "$(ctl -o json status | jq '.fills[] | select(.name == "steers") | .used')"
for family in 4 6; do ctl deactivate "$(imsi 1)" --ip "$("ue$family" 1)" --rule quarantine --rule mirror --rule later >/dev/null; done
sent=$(send_up "$ue" "$host" --dport 5001 --count 11 --size 700)
expect "no rule, no quarantine" "$sent" "$(settled "$INET" direct4 11)"
no_slots() { [ "$(ctl -o json status | jq '.fills[] | select(.name == "steers") | .used')" = 0 ]; }
eventually "slots are given back" 5 no_slots
