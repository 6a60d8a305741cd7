#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# alone: rates are measured on the wire
# Q3, policed: an AMBR of 10 Mbit/s over rules with MBRs of 1, 2, 3 and 4 Mbit/s, and
# over four equal ones, beside a run without limits. Over windows of two seconds after
# the burst the AMBR is kept to 0.2 %, no rule has more than its MBR and 0.2 %, and
# equal rules under equal load have the same to 10 %.
. "$(dirname "$0")/../lib/net.sh"

PORTS=(5001 5002 5003 5004)

rate_of() { awk '{ printf "%.0f\n", $3 ? $2 * 8e9 / $3 : 0 }'; }
# what arrives in one window, bit/s: all of it, then port by port
window() {
	local port pids=() all
	for port in "${PORTS[@]}"; do
		in_inet "$BUILD/tools/sink" --dev inet0 --window 2000 --timeout 6 --port "$port" >"$DIR/sink.$port" 2>/dev/null &
		pids+=($!)
	done
	all=$(in_inet "$BUILD/tools/sink" --dev inet0 --window 2000 --timeout 6 2>/dev/null)
	wait "${pids[@]}"
	rate_of <<<"$all"
	for port in "${PORTS[@]}"; do rate_of <"$DIR/sink.$port"; done
}
# shared WHAT [MBR...]: the AMBR's 10 Mbit/s; of each port at most its MBR, without MBRs the same share. A
# window is taken again: other load on this machine keeps senders waiting, and what was held up comes at once
shared() {
	local what=$1 tries got i good
	shift
	for ((tries = 0; tries < 5; tries++)); do
		mapfile -t got < <(window)
		echo "$what: all ${got[0]}, each ${got[*]:1}"
		good=yes
		is_within 0.2 10000000 "${got[0]}" || good=
		for i in 0 1 2 3; do
			if [ $# -eq 0 ]; then
				is_within 10 2500000 "${got[i + 1]}" || good=
			else
				awk -v w="${*:i+1:1}" -v g="${got[i + 1]}" 'BEGIN { exit !(g <= w * 1.002) }' || good=
			fi
		done
		[ -z "$good" ] || return 0
	done
	fail "$what: got ${got[*]} at last"
}
# subscriber AMBR MBR...
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
# load SIZE RATE...: a stream for each port
load() {
	local size=$1 port
	shift
	for pid in "${senders[@]}"; do
		kill -- "-$pid"
		finish "$pid"
	done
	senders=()
	for port in "${PORTS[@]}"; do
		spawn send_up "$(ue4 1)" "$(host4 1)" --dport "$port" --size "$size" --rate "$1" --count 4000000 >/dev/null
		senders+=("$SPAWNED")
		shift
	done
	sleep 1
}

net_up
silence
write_config
sed -i 's/^qos:/&\n  backend: police/' "$CONFIG"
agent_start
senders=()

subscriber "" "" "" "" ""
load 250 650 1300 1950 2600 # 1.3 times each MBR
mapfile -t got < <(window)
echo "without limits: ${got[*]}"
[ "${got[0]}" -gt 12500000 ] || fail "without limits only ${got[0]} bit/s arrive"

subscriber 10Mbit 1Mbit 2Mbit 3Mbit 4Mbit
sleep 1
expect "how they are kept" '["POLICED","POLICED","POLICED","POLICED","POLICED"]' \
	"$(ctl -o json session "$(imsi 1)" | jq -c '[.[0].ambr_uplink_rate, .[0].rules[].uplink_rate | ascii_upcase]')"
shared "MBRs of 1, 2, 3 and 4 Mbit/s" 1000000 2000000 3000000 4000000

subscriber 10Mbit 8Mbit 8Mbit 8Mbit 8Mbit
load 250 1600 1613 1627 1640 # 1.3 times the AMBR; in one rhythm some would always come too late
shared "four equal MBRs"
