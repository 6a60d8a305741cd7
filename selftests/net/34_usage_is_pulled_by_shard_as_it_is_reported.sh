#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# GetStats gives the records of the shards that cookie and mask select, and the same
# numbers as a report; what rules deny is said of the default drop when so
# configured; methods of no use here say why.
. "$(dirname "$0")/../lib/net.sh"

PIPELINED=/magma.lte.Pipelined
shard() { # N SHARD: UE N with one rule that permits and one that denies
	expect "activation $1" "SUCCESS SUCCESS" "$(call $PIPELINED/ActivateFlows "$(jq -n -c --arg imsi "IMSI$(imsi "$1")" \
		--arg ue "$(ue4 "$1")" --argjson shard "$2" '{sid: {id: $imsi}, ip_addr: $ue, shard_id: $shard, policies: [
		{version: 1, rule: {id: "rule1", priority: 10, flow_list: [{match: {ip_proto: "IPPROTO_UDP", udp_dst: 5001}}]}},
		{version: 1, rule: {id: "denied", priority: 5, flow_list: [{match: {ip_proto: "IPPROTO_UDP", udp_dst: 5002}, action: "DENY"}]}}]}')" |
		jq -r '[.policy_results[].result] | join(" ")')"
}
stats() { call $PIPELINED/GetStats "{\"cookie\": $1, \"cookie_mask\": $2}" | jq -c '[.records[] | [.sid, .rule_id, .bytes_tx, .dropped_tx]] | sort'; }
records() { # N DENIED DEFAULT: as expected of UE N
	jq -n -c --arg sid "IMSI$(imsi "$1")" --arg denied "$2" --arg drop "$3" --arg name $DEFAULT_DROP \
		'[[$sid, "rule1", "2500", "0"], [$sid, "denied", "0", $denied], [$sid, $name, "0", $drop]] | sort'
}

net_up
silence
session_manager_start
write_config session_manager=127.0.0.1:50065 interval=300ms
agent_start
for n in 1 2 3; do
	shard "$n" $((n > 2 ? 7 : n))
	send_up "$(ue4 "$n")" "$(host4 1)" --dport 5001 --count 5 --size 500 >/dev/null
	send_up "$(ue4 "$n")" "$(host4 1)" --dport 5002 --count 3 --size 100 >/dev/null
	send_up "$(ue4 "$n")" "$(host4 1)" --dport 5009 --count 2 --size 100 >/dev/null
done
for n in 1 2; do
	expect "shard $n" "$(records "$n" 300 200)" "$(stats "$n" 4294967295)"
done
expect "shards by a mask" "$(records 3 300 200)" "$(stats 4 4)"
expect "all of them" 9 "$(stats 0 0 | jq length)"
expect "a shard that nobody is in" 0 "$(stats 99 4294967295 | jq length)"
sleep 0.7
expect "a report says the same" "$(stats 0 0)" \
	"$(jq -s -c '[.[-1].records[] | [.sid, .rule_id, (.bytes_tx | tostring), (.dropped_tx | tostring)]] | sort' "$REPORTS")"

# pipelined's way
agent_stop
write_config session_manager=127.0.0.1:50065 interval=300ms extra='report: {deny_as_default_drop: true}'
agent_start
expect "denied bytes under the default drop" "$(records 1 0 500)" "$(stats 1 4294967295)"
ctl deactivate "$(imsi 1)" --ip "$(ue4 1)" --rule denied >/dev/null
freed() { [ "$(stats 1 4294967295 | jq length)" = 2 ]; }
eventually "the rule that has gone is acknowledged" 5 freed
expect "and its bytes stay counted" 500 "$(stats 1 4294967295 | jq -r --arg name $DEFAULT_DROP '.[] | select(.[1] == $name)[3]')"

for method in SetupQuotaFlows UpdateSubscriberQuotaState SetupUEMacFlows AddUEMacFlow DeleteUEMacFlow UpdateIPFIXFlow \
	CreateFlow RemoveFlow UpdateFlowStats GetAllTableAssignments UpdateUEState SetSMFSessions; do
	call $PIPELINED/$method >"$DIR/refused" 2>&1 && fail "$method is served"
	expect_text "$method" '^UNIMPLEMENTED: .{20}' "$(cat "$DIR/refused")"
done
