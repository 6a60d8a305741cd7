#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# alone: rates are measured on the wire
# Q4, shaped: a rule with a GBR of 4 Mbit/s next to traffic that alone fills the
# link of 10 Mbit/s, each in a queue. Within the GBR no packet is lost; above it the
# rule has at least 99.5 % of the GBR and no more than its MBR, and the link's rate
# holds. Beside it the same without the GBR, which must lose. Then the GBR goes to
# another rule at once, and a restart keeps it.
. "$(dirname "$0")/../lib/net.sh"

SIZE=1000 # IP bytes

rate_of() { # [PORT]: bit/s that arrive, over two seconds
	in_inet "$BUILD/tools/sink" --dev inet0 --window 2000 --timeout 6 ${1:+--port "$1"} 2>/dev/null |
		awk '{ printf "%.0f", $3 ? $2 * 8e9 / $3 : 0 }'
}
# guaranteed N PORT [GBR]
guaranteed() {
	session "$(imsi "$1")" "$(ue4 "$1")"
	rule video 10 5Mbit
	flow uplink permit udp any "$2"
	[ -z "${3:-}" ] || sed -i "s/^        mbr: .*/&\n        gbr: {uplink: $3}/" "$SESSIONS"
	activate
}
# lost: packets of 4 s at 99 % of the GBR that do not arrive
lost() {
	local sent before after
	before=$(counted "$INET" video | cut -d' ' -f1)
	sent=$(send_up "$(ue4 1)" "$(host4 1)" --dport 5001 --size $SIZE --rate 495 --count 1980 | cut -d' ' -f1)
	[ "$sent" = 1980 ] || fail "only $sent packets were sent"
	sleep 0.5
	after=$(counted "$INET" video | cut -d' ' -f1)
	echo $((sent - after + before))
}
has_guarantee() { # WHAT PORT
	local tries video all
	for ((tries = 0; tries < 4; tries++)); do
		video=$(rate_of "$2")
		all=$(rate_of)
		echo "$1: $video of $all"
		[ "$video" -ge 3980000 ] && [ "$video" -le 5025000 ] && is_within 0.5 10000000 "$all" && return
	done
	fail "$1: $video of $all bit/s"
}

net_up
silence
write_config link_rate=10Mbit default_rate=10Mbit
sed -i 's/^qos:/&\n  backend: shape/' "$CONFIG"
agent_start
eventually "the pools are built" 20 pool_ready
count_in "$INET" video "udp dport 5001"

session "$(imsi 2)" "$(ue4 2)"
for port in 5002 5003 5004; do
	rule "rest$port" "$port" 10Mbit
	flow uplink permit udp any "$port"
done
activate
guaranteed 1 5001
for port in 5002 5003 5004; do
	spawn send_up "$(ue4 2)" "$(host4 1)" --dport "$port" --size $SIZE --rate 2000 --count 500000 >/dev/null
done
sleep 1
got=$(rate_of)
echo "the link: $got"
is_within 0.5 10000000 "$got" || fail "the link's rate: $got"
without=$(lost)
echo "without a GBR: $without of 1980 lost"
[ "$without" -gt 300 ] || fail "the link is not full: only $without of 1980 packets are lost without a guarantee"

guaranteed 1 5001 4Mbit
with=$(lost)
echo "with a GBR: $with lost"
[ "$with" = 0 ] || fail "within the GBR $with of 1980 packets are lost"
spawn send_up "$(ue4 1)" "$(host4 1)" --dport 5001 --size $SIZE --rate 1000 --count 300000 >/dev/null
sleep 1
has_guarantee "offered 8 Mbit/s" 5001

# --- another rule in its place, before the queue of the first is free -------------------

ctl deactivate "$(imsi 1)" --ip "$(ue4 1)" --end-session >/dev/null
guaranteed 3 5005 4Mbit
spawn send_up "$(ue4 3)" "$(host4 1)" --dport 5005 --size $SIZE --rate 1000 --count 300000 >/dev/null
sleep 1
has_guarantee "another rule" 5005
agent_stop KILL
agent_start
has_guarantee "after a restart" 5005
