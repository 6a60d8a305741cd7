#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# alone: rates are measured on the wire
# Q4: a rule with a GBR of 4 Mbit/s next to traffic that alone fills the link of
# 10 Mbit/s, all of it policed. Within the GBR no packet is lost; above it the rule
# has at least 99.5 % of the GBR, and the link's rate holds. Beside it the same
# without the GBR, which must lose. What does not fit is refused, and a better ARP
# takes its place.
. "$(dirname "$0")/../lib/net.sh"

SIZE=1000 # IP bytes

# rate_of PORT: bit/s that arrive, over two seconds
rate_of() {
	in_inet "$BUILD/tools/sink" --dev inet0 --window 2000 --timeout 6 ${1:+--port "$1"} |
		awk '{ printf "%.0f", $3 ? $2 * 8e9 / $3 : 0 }'
}
# guaranteed N GBR MORE...: a rule "video" on port 5001 and nothing else
guaranteed() {
	session "$(imsi "$1")" "$(ue4 "$1")"
	rule video 10 "${MBR:-5Mbit}"
	flow uplink permit udp any 5001
	[ -z "${2:-}" ] || sed -i "s/^        mbr: .*/&\n        gbr: {uplink: $2}${3:+\n        $3}/" "$SESSIONS"
}
# lost: packets of 4 s at 99 % of the GBR that do not arrive
lost() {
	local sent before after
	before=$(counted "$INET" video | cut -d' ' -f1)
	sent=$(send_up "$(ue4 1)" "$(host4 1)" --dport 5001 --size $SIZE --rate 495 --count 1980 | cut -d' ' -f1)
	[ "$sent" = 1980 ] || fail "only $sent packets were sent"
	sleep 0.3
	after=$(counted "$INET" video | cut -d' ' -f1)
	echo $((sent - after + before))
}

net_up
silence
write_config link_rate=10Mbit default_rate=10Mbit
# by itself the backend makes no queues
sed -i '/^  pool:/d; /^  trees:/d; s/^qos:/&\n  backend: police/' "$CONFIG"
agent_start
count_in "$INET" video "udp dport 5001"

session "$(imsi 2)" "$(ue4 2)"
rule rest 10
flow uplink permit udp any 5002
activate
guaranteed 1
activate
spawn send_up "$(ue4 2)" "$(host4 1)" --dport 5002 --size $SIZE --rate 2500 --count 500000 >/dev/null
sleep 1
got=$(rate_of 5002)
echo "the link alone: $got"
is_within 0.5 10000000 "$got" || fail "the link's rate: $got"
[ "$(dropped rate-link uplink | cut -d' ' -f1)" -gt 100 ] || fail "nothing is counted as rate-link"

without=$(lost)
echo "without a GBR: $without of 1980 lost"
[ "$without" -gt 500 ] || fail "the link is not full: only $without of 1980 packets are lost without a guarantee"

guaranteed 1 4Mbit
activate
with=$(lost)
echo "with a GBR: $with lost"
[ "$with" = 0 ] || fail "within the GBR $with of 1980 packets are lost"

# --- above the GBR -----------------------------------------------------------------

spawn send_up "$(ue4 1)" "$(host4 1)" --dport 5001 --size $SIZE --rate 1000 --count 200000 >/dev/null
sleep 1
for ((tries = 0; tries < 4; tries++)); do
	video=$(rate_of 5001)
	all=$(rate_of)
	echo "offered 8 Mbit/s: $video of $all"
	[ "$video" -ge 3980000 ] && [ "$video" -le 5025000 ] && is_within 0.5 10000000 "$all" && break
done
[ "$video" -ge 3980000 ] || fail "less than 99.5 % of the GBR: $video"
[ "$video" -le 5025000 ] || fail "more than the MBR: $video"
is_within 0.5 10000000 "$all" || fail "the link's rate: $all"

# --- who is refused, and who gives way ---------------------------------------------------

load() { ctl -o json load | jq -c ".resources[0].uplink | [$1]"; }

expect "the load" '[10000000,10000000,4000000,6000000]' "$(load .capacity,.reserve,.reserved,.headroom)"
eventually "the load" 15 bash -c "[ \"\$($BUILD/sluicectl --socket $SOCKET -o json load | jq .resources[0].uplink.used)\" -gt 8000000 ]"
MBR=9Mbit guaranteed 3 7Mbit
expect_code "a GBR that does not fit" 1 ctl activate -f "$SESSIONS"
expect_text "the reason" "the GBR of 7Mbit uplink: the reserve of the link lacks 1Mbit; ARP level 15" "$(cat "$DIR/out" "$DIR/err")"
rm -f "$SESSIONS"
spawn "$BUILD/sluicectl" --socket "$SOCKET" -o json watch >"$DIR/events"
sleep 0.5
MBR=9Mbit guaranteed 3 7Mbit "arp: {level: 3, may_preempt: true}"
activate
expect "the load after it" '[7000000,3000000]' "$(load .reserved,.headroom)"
eventually "the event" 5 grep -q rule-preempted "$DIR/events"
expect "the event" "$(imsi 1) video" "$(jq -r 'select(.event == "rule-preempted") | .imsi + " " + .rule_id' "$DIR/events")"
grep -q "event=rule-preempted .*rule=video .*level 3" "$LOG" || fail "the log does not say it"
expect "the counts" '[1,1]' "$(ctl -o json load | jq -c '[.refused,.preempted]')"
ctl load | grep -q '^link .*uplink' || fail "the table: $(ctl load)"

agent_stop KILL
agent_start
expect "the load after a restart" '[7000000,3000000]' "$(load .reserved,.headroom)"
