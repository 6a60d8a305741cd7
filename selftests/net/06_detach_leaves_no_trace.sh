#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# After `sluicectl detach`, and after `sluiced --detach` where no agent runs, the
# devices are as they were, no pin and no program is left, and packets pass.
. "$(dirname "$0")/../lib/net.sh"

trace() {
	local device
	for device in acc0 core0; do
		in_gw tc qdisc show dev $device
		in_gw tc class show dev $device
		in_gw tc filter show dev $device ingress
		in_gw tc filter show dev $device egress
		in_gw bpftool net show dev $device
		in_gw ip -d link show dev $device | grep -oE 'xdp[^ ]*|prog/xdp.*' || true
	done
	in_gw ip rule
	in_gw ip -6 rule
	in_gw ip route show table all
	in_gw ip -6 route show table all
	in_gw ss -Hltn
	find "$PINS" 2>/dev/null || true
}

enforce() {
	session "$(imsi 1)" "$(ue4 1)"
	rule limited 10 5Mbit 5Mbit
	flow uplink permit udp any 5001
	activate
	send_up "$(ue4 1)" "$(host4 1)" --count 5 >/dev/null
	send_up "$(ue4 1)" "$(host4 1)" --count 5 --dport 9 >/dev/null
	[ "$(trace)" != "$untouched" ] || fail "enforcement leaves no trace at all: the test looks at the wrong places"
}

net_up
# what others put there stays
in_gw ip rule add fwmark 0xfffe/0xffff lookup 20815 priority 815
in_gw ip route add local default dev lo table 20815
in_gw tc qdisc add dev acc0 clsact
foreign_filter acc0 ingress
untouched=$(trace)

for mode in tc xdp; do
	write_config mode=$mode
	agent_start
	enforce
	expect_code "detach with a running agent" 0 ctl detach
	finish "$AGENT_PID"
	expect "after sluicectl detach in $mode mode" "$untouched" "$(trace)"

	agent_start
	enforce
	agent_stop KILL
	expect_code "detach without an agent" 0 in_gw "$AGENT" --config "$CONFIG" --detach
	expect "after sluiced --detach in $mode mode" "$untouched" "$(trace)"
	expect_code "detach where nothing is" 0 in_gw "$AGENT" --config "$CONFIG" --detach
	expect "after a second detach in $mode mode" "$untouched" "$(trace)"
done
# a queue that somebody has put in the place of ours is theirs, and not in the way
write_config
agent_start
enforce
agent_stop KILL
in_gw tc qdisc replace dev core0 root tbf rate 1mbit burst 10k latency 10ms
expect_code "detach beside a foreign qdisc" 0 in_gw "$AGENT" --config "$CONFIG" --detach
expect_text "the foreign qdisc" 'tbf' "$(in_gw tc qdisc show dev core0)"
in_gw tc qdisc delete dev core0 root
expect "after a detach beside a foreign qdisc" "$untouched" "$(trace)"

count_in "$INET" free "ip saddr $(ue4 3)"
sent=$(send_up "$(ue4 3)" "$(host4 1)" --count 20)
expect "packets pass as if sluice had never been there" "$sent" "$(settled "$INET" free 20)"
