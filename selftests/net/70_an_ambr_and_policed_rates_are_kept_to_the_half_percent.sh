#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# alone: rates are measured on the wire
# Rates that are policed, with real traffic beside a run without a limit: an AMBR
# over two streams and over both families of a subscriber, once; MBRs of 64 kbit/s
# to 10 Mbit/s over windows of two seconds after the burst; a live change; a
# restart by kill -9.
. "$(dirname "$0")/../lib/net.sh"

window_reaches() { # WHAT PERCENT WANTED NAMESPACE DEVICE FILTER...
	local what=$1 percent=$2 wanted=$3 ns=$4 device=$5 tries got
	shift 5
	for ((tries = 0; tries < 4; tries++)); do
		got=$(in_ns "$ns" "$BUILD/tools/sink" --dev "$device" --window 2000 --timeout 6 "$@" |
			awk '{ printf "%.0f", $3 ? $2 * 8e9 / $3 : 0 }')
		echo "$what: asked $wanted, reached $got"
		is_within "$percent" "$wanted" "$got" && return
	done
	fail "$what: expected $wanted within $percent %, got $got at last"
}
more_than() { # WHAT LEAST NAMESPACE DEVICE FILTER...
	local what=$1 least=$2 ns=$3 device=$4 got
	shift 4
	got=$(in_ns "$ns" "$BUILD/tools/sink" --dev "$device" --window 2000 --timeout 6 "$@" |
		awk '{ printf "%.0f", $3 ? $2 * 8e9 / $3 : 0 }')
	echo "$what: $got"
	[ "$got" -gt "$least" ] || fail "$what: $got bit/s is not more than $least"
}
# subscriber N [AMBR]: both addresses, two rules without an MBR
subscriber() {
	local more="ipv6: $(ue6 "$1")"
	[ -z "${2:-}" ] || more+="\\n    ambr: {uplink: $2, downlink: $2}"
	session "$(imsi "$1")" "$(ue4 "$1")"
	sed -i "s/    ipv4: $(ue4 "$1")\$/&\n    $more/" "$SESSIONS"
	rule first 10
	flow uplink permit udp any 5001
	rule second 20
	flow uplink permit udp any 5002
	flow downlink permit udp
}
end() { # N
	local address
	for address in "$(ue4 "$1")" "$(ue6 "$1")"; do
		ctl deactivate "$(imsi "$1")" --ip "$address" --end-session >/dev/null
	done
}
limited() { # RULE PORT RATE
	rule "$1" "$2" "$3"
	flow uplink permit udp any "$2"
}

net_up
silence
write_config
sed -i 's/^qos:/&\n  backend: police/' "$CONFIG"
agent_start

# --- the AMBR --------------------------------------------------------------------

subscriber 1
activate
for port in 5001 5002; do
	spawn send_up "$(ue4 1)" "$(host4 1)" --dport $port --size 1200 --rate 900 --count 200000 >/dev/null
done
spawn send_up "$(ue6 1)" "$(host6 1)" --dport 5001 --size 1200 --rate 900 --count 200000 >/dev/null
sleep 1
more_than "without an AMBR" 24000000 "$INET" inet0
subscriber 1 10Mbit
activate
sleep 0.5
window_reaches "an AMBR over three streams of both families" 1 10000000 "$INET" inet0
[ "$(dropped rate-session uplink | cut -d' ' -f1)" -gt 100 ] || fail "nothing is counted as rate-session"
[ "$(used "$(ue4 1)" second uplink_dropped | cut -d' ' -f1)" -gt 100 ] || fail "the drops are not the rule's"
subscriber 1 4Mbit
activate
sleep 0.3
window_reaches "after a change" 1 4000000 "$INET" inet0
agent_stop KILL
agent_start
window_reaches "after a restart" 1 4000000 "$INET" inet0
end 1
subscriber 1
activate
more_than "activated anew without it" 24000000 "$INET" inet0
end 1

# --- MBRs (offered: a third more) ---------------------------------------------------

session "$(imsi 2)" "$(ue4 2)"
for port in 6001 6002 6003; do
	rule "r$port" $port
	flow uplink permit udp any $port
done
activate
spawn send_up "$(ue4 2)" "$(host4 1)" --dport 6001 --size 60 --rate 173 --count 20000 >/dev/null
spawn send_up "$(ue4 2)" "$(host4 1)" --dport 6002 --size 500 --rate 325 --count 20000 >/dev/null
spawn send_up "$(ue4 2)" "$(host4 1)" --dport 6003 --size 1200 --rate 1355 --count 80000 >/dev/null
sleep 0.5
more_than "64 kbit/s without a limit" 75000 "$INET" inet0 --port 6001
more_than "1 Mbit/s without a limit" 1200000 "$INET" inet0 --port 6002
more_than "10 Mbit/s without a limit" 12000000 "$INET" inet0 --port 6003
session "$(imsi 2)" "$(ue4 2)"
limited r6001 6001 64kbit
limited r6002 6002 1Mbit
limited r6003 6003 10Mbit
activate
sleep 2
expect "how they are kept" '["POLICED","POLICED","POLICED"]' \
	"$(ctl -o json session "$(imsi 2)" | jq -c '[.[0].rules[].uplink_rate | ascii_upcase]')"
window_reaches "64 kbit/s" 0.5 64000 "$INET" inet0 --port 6001
window_reaches "1 Mbit/s" 0.5 1000000 "$INET" inet0 --port 6002
window_reaches "10 Mbit/s" 0.5 10000000 "$INET" inet0 --port 6003
[ "$(dropped rate-rule uplink | cut -d' ' -f1)" -gt 100 ] || fail "nothing is counted as rate-rule"

# --- more rules than classes: the rest is policed, and that is told ---------------------

agent_stop
write_config pool=2
agent_start
eventually "the pool is built" 10 pool_ready
session "$(imsi 3)" "$(ue4 3)"
for n in 1 2 3; do
	rule "m$n" $n 5Mbit 5Mbit
	flow uplink permit udp any "700$n"
done
activate
expect "two are shaped, one is policed" '["SHAPED","SHAPED","POLICED"]' \
	"$(ctl -o json session "$(imsi 3)" | jq -c '[.[0].rules[].uplink_rate | ascii_upcase]')"
grep -q 'event=rule-policed .*rule=m3' "$LOG" || fail "the log does not say it"
expect_text "the pool is full" 'uplink classes +2 +2 +2 +full' "$(ctl status)"
expect "the text" policed "$(ctl session "$(imsi 3)" | grep -ow policed)"
