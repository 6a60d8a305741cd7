#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# alone: rates are measured on the wire
# Uplink on the core device, downlink on the access device, IPv4 and IPv6 alike:
# the IP rate that arrives is within 2 % of the rule's MBR, whatever is offered.
. "$(dirname "$0")/../lib/net.sh"

net_up
silence
agent_start
for family in 4 6; do
	session "$(imsi 1)" "$("ue$family" 1)"
	rule limited 10 8Mbit 16Mbit
	flow uplink permit udp any 5001
	flow downlink permit udp any any 5001
	rule free 20
	flow uplink permit udp any 5002
done
activate

for family in 4 6; do
	match=ip
	[ $family = 4 ] || match=ip6
	count_in "$INET" free$family "$match saddr $("ue$family" 1) udp dport 5002"
	# a third more than the rate, in packets of 1,500 bytes, until the end of the test
	spawn send_up "$("ue$family" 1)" "$("host$family" 1)" --dport 5001 --size 1500 --rate 900 --count 100000 >/dev/null
	spawn send_down "$("host$family" 1)" "$("ue$family" 1)" --dport 5001 --size 1500 --rate 1800 --count 200000 >/dev/null
	spawn send_up "$("ue$family" 1)" "$("host$family" 1)" --dport 5002 --size 1500 --rate 1000 --count 5000 >/dev/null
done
sleep 1
for family in 4 6; do
	reaches "uplink IPv$family" 8000000 up "$INET" inet0 --from "$("ue$family" 1)" --port 5001
	reaches "downlink IPv$family" 16000000 down "$SUB" sub0 --to "$("ue$family" 1)" --port 5001
done

# beside it, traffic without an MBR is not held back: nothing of it is lost
for family in 4 6; do
	expect "unlimited traffic IPv$family" "5000 7500000" "$(settled "$INET" free$family 5000)"
done

# nothing has gone past the classes: the direct queue is not shaped
for device in acc0 core0; do
	expect_text "$device" 'htb 7ffe: .*direct_packets_stat 0 ' "$(in_gw tc -s qdisc show dev $device)"
done

# a changed MBR is in force within a second, and counting goes on
before=$(used "$(ue4 1)" limited uplink)
session "$(imsi 1)" "$(ue4 1)"
rule limited 10 2Mbit 16Mbit
flow uplink permit udp any 5001
flow downlink permit udp any any 5001
activate
sleep 1
reaches "uplink after the change" 2000000 up "$INET" inet0 --from "$(ue4 1)" --port 5001
[ "$(used "$(ue4 1)" limited uplink | cut -d' ' -f1)" -gt "${before% *}" ] || fail "the count began anew"
