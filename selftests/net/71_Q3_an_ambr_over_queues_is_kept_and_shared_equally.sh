#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# alone: rates are measured on the wire
# Q3, shaped: an AMBR of 10 Mbit/s over rules with MBRs of 1, 2, 3 and 4 Mbit/s,
# and over four equal ones, beside a run without limits. Over windows of two
# seconds after the burst the AMBR is kept to 0.2 %, no rule has more than its MBR
# and 0.2 %, equal rules have the same to 2 %. A live change and a restart by kill
# -9 keep it; a rule without an MBR has what the others leave.
. "$(dirname "$0")/../lib/net.sh"

PORTS=(5001 5002 5003 5004)

# what arrives in one window, bit/s: all of it, then port by port
window() {
	local port got=() pids=() all
	for port in "${PORTS[@]}"; do
		in_ns "$INET" "$BUILD/tools/sink" --dev inet0 --window 2000 --timeout 6 --port "$port" >"$DIR/sink.$port" 2>/dev/null &
		pids+=($!)
	done
	all=$(in_ns "$INET" "$BUILD/tools/sink" --dev inet0 --window 2000 --timeout 6 2>/dev/null)
	wait "${pids[@]}"
	rate_of <<<"$all"
	for port in "${PORTS[@]}"; do rate_of <"$DIR/sink.$port"; done
}
rate_of() { awk '{ printf "%.0f\n", $3 ? $2 * 8e9 / $3 : 0 }'; }

is_at_most() { awk -v w="$1" -v g="$2" 'BEGIN { exit !(g <= w * 1.002) }'; }

# WHAT AMBR LIMIT...: of each port; "=" for all of them: the same share
shared() {
	local what=$1 ambr=$2 tries got i good
	shift 2
	for ((tries = 0; tries < 5; tries++)); do
		mapfile -t got < <(window)
		echo "$what: all ${got[0]}, each ${got[*]:1}"
		is_within 0.2 "$ambr" "${got[0]}" || continue
		good=yes
		for i in 0 1 2 3; do
			if [ "$1" = "=" ]; then
				is_within 2 $((ambr / 4)) "${got[i + 1]}" || good=
			else
				is_at_most "${*:i+1:1}" "${got[i + 1]}" || good=
			fi
		done
		[ -z "$good" ] || return 0
	done
	fail "$what: got ${got[*]} at last"
}

# subscriber AMBR MBR...: a rule for each port
subscriber() {
	local ambr=$1 port
	shift
	session "$(imsi 1)" "$(ue4 1)"
	[ -z "$ambr" ] || sed -i "s/    ipv4: $(ue4 1)\$/&\n    ambr: {uplink: $ambr, downlink: $ambr}/" "$SESSIONS"
	for port in "${PORTS[@]}"; do
		rule "r$port" "$port" ${1:+"$1"}
		flow uplink permit udp any "$port"
		shift
	done
	activate
}
kept() { ctl -o json session "$(imsi 1)" | jq -c '[.[0].ambr_uplink_rate, .[0].rules[].uplink_rate | ascii_upcase]'; }

net_up
silence
write_config
sed -i 's/^qos:/&\n  backend: shape/' "$CONFIG"
agent_start
eventually "the pools are built" 20 pool_ready

subscriber "" "" "" "" ""
for port in "${PORTS[@]}"; do
	spawn send_up "$(ue4 1)" "$(host4 1)" --dport "$port" --size 1200 --rate 1400 --count 400000 >/dev/null
done
sleep 1
mapfile -t got < <(window)
echo "without limits: ${got[*]}"
[ "${got[0]}" -gt 40000000 ] || fail "without limits only ${got[0]} bit/s arrive"

subscriber 10Mbit 1Mbit 2Mbit 3Mbit 4Mbit
sleep 2
expect "how they are kept" '["SHAPED","SHAPED","SHAPED","SHAPED","SHAPED"]' "$(kept)"
shared "MBRs of 1, 2, 3 and 4 Mbit/s" 10000000 1000000 2000000 3000000 4000000

subscriber 10Mbit 8Mbit 8Mbit 8Mbit 8Mbit
sleep 2
shared "four equal MBRs" 10000000 =

subscriber 6Mbit 8Mbit 8Mbit 8Mbit 8Mbit
sleep 2
shared "after a change of the AMBR" 6000000 =
agent_stop KILL
agent_start
shared "after a restart" 6000000 =

# the rule of port 5004 shares a queue with nobody, but has no rate of its own
subscriber 10Mbit 1Mbit 2Mbit 3Mbit ""
sleep 2
shared "three MBRs and a rule without one" 10000000 1000000 2000000 3000000 10000000
ctl session "$(imsi 1)" | tee "$DIR/session.txt"
grep -q 'AMBR 10Mbit/10Mbit (shaped/shaped)' "$DIR/session.txt" || fail "the text does not say how the AMBR is kept"
[ "$(ctl -o json session "$(imsi 1)" | jq '[.[0].rules[].uplink_queue.dropped_packets | tonumber] | min')" -gt 100 ] ||
	fail "the queues show no drops"
expect_text "direct packets" 'htb 7ffe: .*direct_packets_stat 0 ' "$(in_gw tc -s qdisc show dev core0)"
