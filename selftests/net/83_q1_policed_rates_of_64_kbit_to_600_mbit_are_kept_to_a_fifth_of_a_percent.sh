#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# alone: rates are measured on the wire
# Q1: MBRs of 64 kbit/s to 600 Mbit/s, those among them at which a whole number of
# nanoseconds a bit is far off, policed, with 1.3 times as much offered: over two
# seconds after the burst the rate is kept to 0.2 %, or to a packet where that is more.
# Before each limit the same stream passes without one.
. "$(dirname "$0")/../lib/net.sh"

# rate (bit/s), IP bytes of a packet: large ones, so that two CPUs carry it
CASES=("64000 60" "1000000 250" "10000000 1200" "100000000 8900" "101000000 8900" "300000000 8900" "600000000 8900")

rate_of() { # PORT
	in_inet "$BUILD/tools/sink" --dev inet0 --window 2000 --timeout 8 --port "$1" 2>"$DIR/sink" |
		awk '{ printf "%.0f", $3 ? $2 * 8e9 / $3 : 0 }'
}
limit() { # [RATE]
	session "$(imsi 1)" "$(ue4 1)"
	rule limited 10 ${1:+"$1"bit}
	flow uplink permit udp any 5001
	activate
}

net_up
silence
for end in "$GW acc0" "$GW core0" "$SUB sub0" "$INET inet0"; do
	ip -n "${end% *}" link set "${end#* }" mtu 9000
done
write_config
sed -i 's/^qos:/&\n  backend: police/' "$CONFIG"
agent_start

for one in "${CASES[@]}"; do
	read -r rate size <<<"$one"
	limit
	spawn send_up "$(ue4 1)" "$(host4 1)" --dport 5001 --size "$size" --rate $((rate * 13 / 10 / size / 8 + 1)) \
		--count 10000000 >/dev/null
	sender=$SPAWNED
	sleep 0.3
	for ((tries = 0; tries < 4; tries++)); do
		free=$(rate_of 5001)
		[ "$free" -gt $((rate * 12 / 10)) ] && break
	done
	[ "$free" -gt $((rate * 12 / 10)) ] || fail "$rate bit/s: without a limit only $free bit/s arrive"
	limit "$rate"
	# at least two packets of 1,500 bytes may be ahead of the rate: 1.3 s at the lowest
	sleep 2
	for ((tries = 0; tries < 5; tries++)); do
		got=$(rate_of 5001)
		echo "asked $rate, reached $got, without a limit $free"
		awk -v w="$rate" -v g="$got" -v size="$size" 'BEGIN { d = g - w; if (d < 0) d = -d
			allowed = w * 0.002; if (size * 4 > allowed) allowed = size * 4; exit !(d <= allowed) }' && break
		# other load on this machine can keep the sender waiting; what the rate then has in hand, 50 ms of
		# it, comes in the next window on top. Never more than that.
		[ "$got" -le $((rate * 1027 / 1000 + size * 4)) ] || fail "$rate bit/s: $got"
	done
	[ "$tries" -lt 5 ] || fail "$rate bit/s: $got at last"
	kill -- "-$sender"
	finish "$sender"
done
