#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A rule with ports never matches a fragment without ports (RFC 6733 clause
# 4.3.1); options and extension headers in front of the ports do not hide them.
# Mode from the first argument (tc).
. "$(dirname "$0")/../lib/net.sh"

net_up
silence
write_config "mode=${1:-tc}"
agent_start
for n in 1 2; do
	for family in 4 6; do
		session "$(imsi $n)" "$("ue$family" $n)"
		rule ports 10
		flow uplink permit udp any 5001
		if [ $n = 2 ]; then
			rule whole 20
			flow uplink permit udp
		fi
	done
done
activate

# up PERMITTED-BY NUMBER FAMILY COUNT SIZE [send's options]: by which rule the packets pass; DEFAULT_DROP: they do not
up() {
	local rule=$1 ue direction=uplink before sent
	ue=$("ue$3" "$2")
	[ "$rule" != $DEFAULT_DROP ] || direction=uplink_dropped
	before=$(used "$ue" "$rule" $direction)
	sent=$(send_up "$ue" "$("host$3" 1)" --dport 5001 --count "$4" --size "$5" "${@:6}")
	expect "IPv$3, rule $rule, ${*:6}" "$sent" "$(minus "$(used "$ue" "$rule" $direction)" "$before")"
}

count_in "$INET" from1 "ip saddr $(ue4 1)"
up ports 1 4 10 200
up ports 1 4 10 200 --options 4
up ports 1 4 10 200 --options 40
up ports 1 4 10 1000 --fragment 0+       # the first fragment has the ports
up $DEFAULT_DROP 1 4 10 500 --fragment 984  # the later ones do not
up $DEFAULT_DROP 1 4 10 500 --fragment 984+ --options 8
expect "IPv4 packets that arrived" "40 16000" "$(settled "$INET" from1 40)"

count_in "$INET" from16 "ip6 saddr $(ue6 1)"
up ports 1 6 10 200
up ports 1 6 10 200 --ext hop
up ports 1 6 10 200 --ext dst
up ports 1 6 10 200 --ext routing
up ports 1 6 10 200 --ext hop --ext dst --ext routing --ext dst
up ports 1 6 10 1000 --fragment 0+
up ports 1 6 10 1000 --ext hop --fragment 0+
up $DEFAULT_DROP 1 6 10 500 --fragment 944
up $DEFAULT_DROP 1 6 10 500 --ext dst --fragment 944+
expect "IPv6 packets that arrived" "70 30000" "$(settled "$INET" from16 70)"

# a rule on the protocol alone takes the later fragments
for family in 4 6; do
	up whole 2 $family 10 500 --fragment 944
	up ports 2 $family 10 1000 --fragment 0+
done

# a whole datagram through the gateway, made by the stack
count_in "$INET" big "ip saddr $(ue4 2) ip protocol udp"
in_sub /usr/bin/python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.bind(('$(ue4 2)', 0))
s.sendto(b'x' * 4000, ('$(host4 1)', 5001))"
expect "three fragments" "3 4068" "$(settled "$INET" big 3)"

# headers that contradict themselves are dropped, whatever the rules say
before=$(dropped malformed uplink)
send_up "$(ue4 2)" "$(host4 1)" --dport 5001 --count 6 --size 200 --cut 30 >/dev/null
send_up "$(ue4 2)" "$(host4 1)" --dport 5001 --count 6 --size 200 --cut 10 >/dev/null
send_up "$(ue6 2)" "$(host6 1)" --dport 5001 --count 6 --size 200 --cut 60 >/dev/null
send_up "$(ue6 2)" "$(host6 1)" --dport 5001 --count 6 --size 200 --ext hop --cut 44 >/dev/null
expect "malformed packets" 24 "$(minus "$(dropped malformed uplink)" "$before" | cut -d' ' -f1)"
# and so is what is no IP and no control protocol
before=$(dropped not-ip uplink)
send_up "$(ue4 2)" "$(host4 1)" --count 5 --size 100 --ethertype 0x8137 >/dev/null
expect "other protocols" 5 "$(minus "$(dropped not-ip uplink)" "$before" | cut -d' ' -f1)"
