#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The gateway sees super-packets of up to 64 KB; the far side, without offloads,
# sees what a wire would carry. The agent's counts are the far side's, to the byte.
. "$(dirname "$0")/../lib/net.sh"

net_up
agent_start
for family in 4 6; do
	session "$(imsi 1)" "$("ue$family" 1)"
	rule tcp 10
	flow uplink permit tcp
	flow downlink permit tcp
done
activate

# segments are made by the gateway's veth, behind the agent's hooks, and stay apart at the receiver
for device in acc0 core0; do
	in_gw ethtool -K $device tso off gso off gro off
done
in_sub ethtool -K sub0 gro off
in_inet ethtool -K inet0 gro off
count_in "$INET" up4 "ip saddr $(ue4 1)"
count_in "$INET" up6 "ip6 saddr $(ue6 1)"
count_in "$SUB" down4 "ip daddr $(ue4 1)"
count_in "$SUB" down6 "ip6 daddr $(ue6 1)"
count_out "$SUB" super "ip saddr $(ue4 1)"
spawn in_inet iperf3 -s >"$DIR/iperf3" 2>&1
eventually "iperf3 listens" 5 listens "$INET" 5201

# paced, so that no queue overflows between the count and the receiver
for family in 4 6; do
	ue=$("ue$family" 1)
	for way in "" -R; do
		in_sub iperf3 -c "$("host$family" 1)" -B "$ue" -n 12M -b 200M $way >"$DIR/iperf3.client" 2>&1 ||
			fail "iperf3 $ue $way: $(cat "$DIR/iperf3.client")"
	done
	sleep 0.3
	expect "IPv$family uplink" "$(counted "$INET" up$family)" "$(used "$ue" tcp uplink)"
	expect "IPv$family downlink" "$(counted "$SUB" down$family)" "$(used "$ue" tcp downlink)"
	[ "$(used "$ue" tcp uplink | cut -d' ' -f2)" -gt 12000000 ] || fail "less than was sent"
done
# or the test shows nothing: the sender's stack handed over far fewer, bigger packets
read -r super _ < <(counted "$SUB" super)
read -r wire _ < <(counted "$INET" up4)
[ "$((super * 2))" -lt "$wire" ] || fail "no super-packets were sent: $super against $wire on the wire"
