#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# alone: rates are measured on the wire
# A rule's MBR is one rate for the subscriber: IPv4 and IPv6 streams together reach
# it once, also after a restart and a change; another APN of the same IMSI has its
# own; usage stays apart by address. What one family cannot have, the other has.
. "$(dirname "$0")/../lib/net.sh"

PIPELINED=/magma.lte.Pipelined

# dual N PORT UPLINK DOWNLINK: both addresses of UE N, as one request
dual() {
	session "$(imsi 1)" "$(ue4 "$1")"
	sed -i "s/    ipv4: $(ue4 "$1")\$/&\n    ipv6: $(ue6 "$1")/" "$SESSIONS"
	rule limited 10 "$3" "$4"
	flow uplink permit udp any "$2"
	flow downlink permit udp any any "$2"
}
class() { ctl -o json session "$(imsi 1)" | jq -c --arg address "$1" '[.[] | select(.address == $address) | .rules[] | select(.rule_id == "limited") | .uplink_class, .downlink_class]'; }
together() { # WHAT UPLINK DOWNLINK [PORT]
	reaches "uplink, $1" "$2" up "$INET" inet0 --port "${4:-5001}"
	reaches "downlink, $1" "$3" down "$SUB" sub0 --port "${4:-5001}"
}

net_up
silence
agent_start
dual 1 5001 6Mbit 12Mbit
dual 2 5002 3Mbit 5Mbit
activate
[ "$(class "$(ue4 1)")" = "$(class "$(ue6 1)")" ] || fail "two queues for one rate: $(class "$(ue4 1)"), $(class "$(ue6 1)")"
[ "$(class "$(ue4 1)")" != "$(class "$(ue4 2)")" ] || fail "two APNs share a queue"

# each family alone offers more than the rate, until the end of the test
for family in 4 6; do
	spawn send_up "$("ue$family" 1)" "$("host$family" 1)" --dport 5001 --size 1200 --rate 900 --count 100000 >/dev/null
	spawn send_down "$("host$family" 1)" "$("ue$family" 1)" --dport 5001 --size 1200 --rate 1800 --count 200000 >/dev/null
	spawn send_up "$("ue$family" 2)" "$("host$family" 1)" --dport 5002 --size 1200 --rate 450 --count 50000 >/dev/null
done
sleep 1
together "both families" 6000000 12000000
reaches "uplink of the other APN" 3000000 apn "$INET" inet0 --port 5002

agent_stop KILL
agent_start
[ "$(class "$(ue4 1)")" = "$(class "$(ue6 1)")" ] || fail "two queues after the restart"
expect "known and enforced" "4 4" "$(status known_sessions) $(status enforced_sessions)"
together "after a restart" 6000000 12000000

dual 1 5001 4Mbit 8Mbit
activate
sleep 1
together "after a change" 4000000 8000000
for family in 4 6; do
	read -r _ bytes <<<"$(used "$("ue$family" 1)" limited uplink)"
	[ "$bytes" -gt 1000000 ] || fail "IPv$family: only $bytes bytes are counted"
done

# one family ends: the other has the whole rate
ctl deactivate "$(imsi 1)" --ip "$(ue6 1)" --end-session >/dev/null
sleep 1
together "IPv4 alone" 4000000 8000000

# --- what only one family can have

answer=$(call $PIPELINED/ActivateFlows "$(jq -n -c --arg imsi "IMSI$(imsi 3)" --arg four "$(ue4 3)" \
	--arg six "$(ue6 3 | tr -d '\n' | base64)" '{sid: {id: $imsi}, ip_addr: $four, ipv6_addr: $six, policies: [
	{version: 1, rule: {id: "four", priority: 10, flow_list: [{match: {ip_proto: "IPPROTO_UDP", udp_dst: 5003,
		ip_dst: {address: ("198.51.100.0/24" | @base64)}}}]}},
	{version: 4, rule: {id: "both", priority: 20, flow_list: [{match: {ip_proto: "IPPROTO_UDP", udp_dst: 5004}}]}}]}')")
expect "an IPv4 rule of a dual-stack session" \
	'[["four","1","SUCCESS"],["both","4","SUCCESS"],["four","1","FAILURE"],["both","4","SUCCESS"]]' \
	"$(jq -c '[.policy_results[] | [.rule_id, .version, .result]]' <<<"$answer")"
sent=$(send_up "$(ue4 3)" "$(host4 1)" --dport 5003 --count 5)
expect "it is in force for IPv4" "$sent" "$(used "$(ue4 3)" four uplink)"
sent=$(send_up "$(ue6 3)" "$(host6 1)" --dport 5004 --count 5)
expect "and the other one for IPv6" "$sent" "$(used "$(ue6 3)" both uplink)"
agent_stop

# one more session fits: the first family has it, the rules of the other one fail
ctl_detach() { nsenter --net="/run/netns/$GW" -- "$AGENT" --config "$CONFIG" --detach >>"$LOG" 2>&1; }
ctl_detach || fail "detach"
write_config limits="{sessions: 16, usage: 64, rules: 16, flows: 16, matches: 64, bindings: 64}"
agent_start
for n in {11..25}; do
	session "$(imsi "$n")" "$(ue4 "$n")"
	rule any 10
	flow uplink permit
done
activate
answer=$(call $PIPELINED/ActivateFlows "$(jq -n -c --arg imsi "IMSI$(imsi 3)" --arg four "$(ue4 3)" \
	--arg six "$(ue6 3 | tr -d '\n' | base64)" '{sid: {id: $imsi}, ip_addr: $four, ipv6_addr: $six, policies: [
	{version: 4, rule: {id: "both", priority: 20, flow_list: [{match: {ip_proto: "IPPROTO_UDP", udp_dst: 5004}}]}}]}')")
expect "the family for which there is no room" '[["both","SUCCESS"],["both","FAILURE"]]' \
	"$(jq -c '[.policy_results[] | [.rule_id, .result]]' <<<"$answer")"
expect_text "and why" "the map sessions is full" "$(jq -r '.policy_results[1].reason' <<<"$answer")"
sent=$(send_up "$(ue4 3)" "$(host4 1)" --dport 5004 --count 5)
expect "the other one is in force" "$sent" "$(used "$(ue4 3)" both uplink)"
expect "known and enforced" "16 16" "$(status known_sessions) $(status enforced_sessions)"
