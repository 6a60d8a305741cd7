#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Q5: one TCP stream (cubic) under an MBR of 20 Mbit/s with a round trip of 20 ms,
# forwarded, policed and shaped: its goodput against what 20 Mbit/s of IP can carry,
# and how long a packet of the same rule takes beside it, against the same rule
# without the stream. In front, the stream without a limit, which must be faster.
#
#   selftests/bench/tcp.sh ROWS [SECONDS]
ROWS=$(realpath -m "${1:?rows}")
SECONDS_EACH=${2:-15}
. "$(dirname "$0")/../lib/net.sh"
DELAY=10000 # us, each way
RATE=20000000
RELAY=$PREFIX-relay

row() { # MODE VALUE UNIT BASELINE ITS-VALUE
	jq -nc --arg mode "$1" --argjson value "$2" --arg unit "$3" --arg baseline "$4" --argjson b "$5" \
		--argjson load "$(cut -d' ' -f1 /proc/loadavg)" '{bench: "tcp", mode: $mode, value: $value, unit: $unit,
		baseline: $baseline, baseline_value: $b, ratio: (if $b > 0 then $value / $b else 0 end), load: $load}' >>"$ROWS"
	printf '%-10s %-40s %10.2f %-6s %s %.2f\n' tcp "$1" "$2" "$3" "$4" "$5"
}

end_relay() {
	local code=$?
	[ ! -e "/run/netns/$RELAY" ] || ip netns delete "$RELAY"
	(exit "$code")
	cleanup
}

# A namespace between gateway and internet, with a delay in it.
relay_up() {
	local ns device
	ip netns add "$RELAY"
	trap end_relay EXIT
	ip -n "$INET" link set inet0 down
	ip -n "$INET" link set inet0 netns "$RELAY" name r0
	ip -n "$RELAY" link add r1 type veth peer name inet0 address 02:00:00:00:02:01 netns "$INET"
	for device in r0 r1; do
		in_ns "$RELAY" sysctl -qw "net.ipv6.conf.$device.disable_ipv6=1"
		ip -n "$RELAY" link set $device address "02:00:00:00:05:0${device#r}" up
	done
	ip -n "$INET" link set inet0 up
	ip -n "$INET" address add "$(host4 1)/24" dev inet0
	ip -n "$INET" route add default via 198.51.100.1
	ip -n "$INET" neigh replace 198.51.100.1 lladdr $GW_CORE_MAC dev inet0 nud permanent
	# frames pass the relay as they are: no super-packets, no checksums still to be made
	for ns in "$SUB sub0" "$GW acc0" "$GW core0" "$RELAY r0" "$RELAY r1" "$INET inet0"; do
		# shellcheck disable=SC2086 # namespace and device
		no_offload $ns
		# shellcheck disable=SC2086
		in_ns ${ns% *} ethtool -K ${ns#* } gro off tx off >/dev/null
	done
	spawn nsenter --net="/run/netns/$RELAY" -- "$BUILD/tools/delay" --a r0 --b r1 --microseconds $DELAY \
		>"$DIR/relay" 2>"$DIR/relay.ready"
	DELAY_PID=$SPAWNED
	eventually "the relay" 5 grep -q ready "$DIR/relay.ready"
}

# probe SECONDS -> transit's answer: small packets under the same rule
probe() {
	"$BUILD/tools/transit" --from-ns "/run/netns/$SUB" --to-ns "/run/netns/$INET" --from "$(ue4 1)" \
		--to "$(host4 1)" --port 5202 --size 100 --rate 100 --milliseconds $(($1 * 1000))
}
# stream -> goodput in bit/s, without its first three seconds; what the probe beside it saw is in $DIR/probe
stream() {
	probe "$SECONDS_EACH" >"$DIR/probe" &
	local probing=$!
	in_sub iperf3 -c "$(host4 1)" -B "$(ue4 1)" -C cubic -O 3 -t "$SECONDS_EACH" -J >"$DIR/iperf" ||
		fail "iperf3: $(jq -r .error "$DIR/iperf")"
	wait $probing
	jq .end.sum_received.bits_per_second "$DIR/iperf"
}
policy() { # [MBR]
	session "$(imsi 1)" "$(ue4 1)"
	rule all 10 "${1:-}" "${1:-}"
	flow uplink permit
	flow downlink permit
	activate
}
start() { # BACKEND
	write_config pool=64 trees=8
	sed -i "s/^qos:/&\n  backend: $1/" "$CONFIG"
	agent_start
	eventually "the pool" 20 pool_ready
}

: >"$ROWS"
net_up
relay_up
spawn nsenter --net="/run/netns/$INET" -- iperf3 -s -B "$(host4 1)" >/dev/null
eventually "the server listens" 5 listens "$INET" 5201
write_config pool=0 trees=0
agent_start
policy
free=$(stream)
awk -v g="$free" -v r=$RATE 'BEGIN { exit !(g > 1.5 * r) }' || fail "without a limit only $free bit/s"
agent_stop

# what of an IP packet of 1,500 bytes is not headers, with timestamps
ideal=$(awk -v r=$RATE 'BEGIN { printf "%.0f", r * 1448 / 1500 }')
for backend in police shape; do
	start $backend
	policy 20Mbit
	eventually "the rule is kept by $backend" 2 bash -c \
		"[ \"\$($BUILD/sluicectl --socket $SOCKET -o json session $(imsi 1) | jq -r '.[0].rules[0].uplink_rate | ascii_downcase')\" = ${backend}d ]" ||
		true
	idle=$(probe 5)
	got=$(stream)
	beside=$(cat "$DIR/probe")
	row "Q5 $backend: goodput, goal $([ $backend = police ] && echo 95 || echo 97) %" \
		"$(awk -v g="$got" 'BEGIN { print g / 1e6 }')" Mbit/s "20 Mbit/s of IP" "$(awk -v g="$ideal" 'BEGIN { print g / 1e6 }')"
	row "Q5 $backend: p99 of a packet, goal +$([ $backend = police ] && echo 2 || echo 30) ms" \
		"$(jq '.p99_us / 1000' <<<"$beside")" ms "p99 without the stream" "$(jq '.p99_us / 1000' <<<"$idle")"
	echo "   idle $idle; beside $beside; retransmitted $(jq .end.sum_sent.retransmits "$DIR/iperf"); without a limit $free"
	agent_stop
	in_gw "$AGENT" --config "$CONFIG" --detach
done
kill -- "-$DELAY_PID"
finish "$DELAY_PID"
read -r frames lost <"$DIR/relay"
[ "$lost" = 0 ] || fail "the relay dropped $lost of $frames frames: the figures are not the limit's"
