#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# ARP and neighbour discovery pass without a session; nothing else of an unknown
# subscriber does, unless unknown_subscriber is pass.
NEIGHBOURS=real
. "$(dirname "$0")/../lib/net.sh"

net_up
agent_start
session "$(imsi 1)" "$(ue4 1)"
rule ping 10
flow uplink permit icmp
flow downlink permit icmp
session "$(imsi 1)" "$(ue6 1)"
rule ping6 10
flow uplink permit icmpv6
flow downlink permit icmpv6
activate

in_sub ping -q -c 3 -i 0.2 -W 2 -I "$(ue4 1)" "$(host4 1)" >"$DIR/out" || fail "ping: $(cat "$DIR/out")"
in_sub ping -q -c 3 -i 0.2 -W 2 -I "$(ue6 1)" "$(host6 1)" >"$DIR/out" || fail "ping over IPv6: $(cat "$DIR/out")"
expect "echo requests and replies" "3 252/3 252" "$(used "$(ue4 1)" ping uplink)/$(used "$(ue4 1)" ping downlink)"
# neighbour discovery is not the rule's, even though it permits ICMPv6
expect "echo requests and replies over IPv6" "3 312/3 312" "$(used "$(ue6 1)" ping6 uplink)/$(used "$(ue6 1)" ping6 downlink)"
for kind in arp nd; do
	for direction in uplink downlink; do
		read -r packets _ < <(passed $kind $direction)
		[ "$packets" -gt 0 ] || fail "no $kind $direction was counted"
	done
done

in_sub ping -q -c 2 -i 0.2 -W 1 -I "$(ue4 2)" "$(host4 1)" >/dev/null && fail "an unknown subscriber passes"
in_sub ping -q -c 2 -i 0.2 -W 1 -I "$(ue6 2)" "$(host6 1)" >/dev/null && fail "an unknown subscriber passes over IPv6"
expect "unknown subscribers" "4 376" "$(dropped unknown-subscriber uplink)"

agent_stop TERM
write_config unknown=pass
agent_start
in_sub ping -q -c 2 -i 0.2 -W 2 -I "$(ue4 2)" "$(host4 1)" >/dev/null || fail "unknown_subscriber: pass does not pass"
in_sub ping -q -c 2 -i 0.2 -W 2 -I "$(ue6 2)" "$(host6 1)" >/dev/null || fail "unknown_subscriber: pass does not pass IPv6"
expect "passed without a session" "4 376/4 376" "$(passed unknown-subscriber uplink)/$(passed unknown-subscriber downlink)"
expect "nothing more was dropped" "4 376" "$(dropped unknown-subscriber uplink)"
