#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# alone: rates are measured on the wire
# Devices with four transmit queues: an HTB in each, eight rules of eight
# subscribers spread over them, and an AMBR in a tree. Every rate is kept to 1 %,
# in every queue, both ways; nothing goes past the classes; a restart by kill -9
# and a detach.
QUEUES=4
. "$(dirname "$0")/../lib/net.sh"

# /sys shows the network namespace that mounted it: the agent gets one of its own
own_sysfs() {
	cat >"$DIR/agent" <<-END
		#!/bin/sh
		mkdir -p "$DIR/bpf" && mount --bind /sys/fs/bpf "$DIR/bpf" && mount -t sysfs sysfs /sys &&
			mount --bind "$DIR/bpf" /sys/fs/bpf && exec "$AGENT" "\$@"
	END
	chmod +x "$DIR/agent"
	AGENT=$DIR/agent.unshare
	printf '#!/bin/sh\nexec unshare --mount --propagation private "%s" "$@"\n' "$DIR/agent" >"$AGENT"
	chmod +x "$AGENT"
}
window() { # NAMESPACE DEVICE FILTER...
	local ns=$1 device=$2
	shift 2
	in_ns "$ns" "$BUILD/tools/sink" --dev "$device" --window 2000 --timeout 6 "$@" 2>/dev/null |
		awk '{ printf "%.0f", $3 ? $2 * 8e9 / $3 : 0 }'
}
keeps() { # WHAT WANTED NAMESPACE DEVICE FILTER...
	local what=$1 wanted=$2 tries got
	shift 2
	for ((tries = 0; tries < 4; tries++)); do
		got=$(window "$@")
		echo "$what: asked $wanted, reached $got"
		is_within 1 "$wanted" "$got" && return
	done
	fail "$what: expected $wanted within 1 %, got $got at last"
}
queue_of() { echo $(($1 / 8 % QUEUES)); }

net_up
silence
own_sysfs
write_config pool=64 trees=8
sed -i 's/^qos:/&\n  backend: shape/' "$CONFIG"
agent_start
eventually "the pools are built" 20 pool_ready
for device in acc0 core0; do
	for queue in 0 1 2 3; do
		expect_text "$device: the HTB of queue $queue" \
			"qdisc htb $(printf %x $((0x7ffe - queue))): parent 7fff:$((queue + 1)) " \
			"$(in_gw tc qdisc show dev $device)"
	done
done

# the classes that are taken one after the other fill unit after unit
for n in 1 2 3 4 5 6 7 8; do
	session "$(imsi "$n")" "$(ue4 "$n")"
	for port in 5001 5002 5003 5004; do
		rule "r$port" "$port" "${n}00kbit" "${n}00kbit"
		flow uplink permit udp any "$port"
		flow downlink permit udp any any "$port"
	done
done
activate
queues=()
for n in 1 2 3 4 5 6 7 8; do
	class=$(ctl -o json session "$(imsi "$n")" | jq '.[0].rules[0].uplink_class')
	queues[$(queue_of "$class")]=$n
	spawn send_up "$(ue4 "$n")" "$(host4 1)" --dport 5001 --size 500 --rate $((n * 25 * 13 / 10)) --count 100000 >/dev/null
	spawn send_down "$(host4 1)" "$(ue4 "$n")" --dport 5001 --size 500 --rate $((n * 25 * 13 / 10)) --count 100000 >/dev/null
done
expect "queues in use" "0 1 2 3" "${!queues[*]}"
sleep 2
check() {
	local n
	for n in "${queues[@]}"; do
		keeps "$1 uplink of subscriber $n" "${n}00000" "$INET" inet0 --from "$(ue4 "$n")"
		keeps "$1 downlink of subscriber $n" "${n}00000" "$SUB" sub0 --to "$(ue4 "$n")"
	done
}
check "at first,"
for device in acc0 core0; do
	[ "$(in_gw tc -s qdisc show dev $device | grep -o 'direct_packets_stat [0-9]*' | sort -u)" = "direct_packets_stat 0" ] ||
		fail "$device: packets went past the classes"
done

agent_stop KILL
agent_start
keeps "after a restart, uplink of subscriber 8" 800000 "$INET" inet0 --from "$(ue4 8)"

# an AMBR: all leaves of a tree are in one queue
session "$(imsi 9)" "$(ue4 9)"
sed -i "s/    ipv4: $(ue4 9)\$/&\n    ambr: {uplink: 2Mbit, downlink: 2Mbit}/" "$SESSIONS"
for port in 6001 6002; do
	rule "r$port" "$port" 5Mbit
	flow uplink permit udp any "$port"
done
activate
for port in 6001 6002; do
	spawn send_up "$(ue4 9)" "$(host4 1)" --dport "$port" --size 500 --rate 500 --count 100000 >/dev/null
done
sleep 1
keeps "an AMBR" 2000000 "$INET" inet0 --from "$(ue4 9)"

ctl detach >/dev/null
eventually "the queues are gone" 10 sh -c "! nsenter --net=/run/netns/$GW tc qdisc show dev core0 | grep -qE 'htb|mq 7fff'"
