#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A restriction by GY rules: its rules decide before the ordinary ones and are
# counted apart, the state of the session is seen everywhere, and afterwards all
# is as it was.
. "$(dirname "$0")/../lib/net.sh"

PIPELINED=/magma.lte.Pipelined
state() { ctl -o json sessions | jq -r --arg ue "$(ue4 1)" '.[] | select(.address == $ue) | .state'; }
since() { ctl -o json sessions | jq -r --arg ue "$(ue4 1)" '.[] | select(.address == $ue) | '"${1:-.state_since_ms}"; }
gy() { # the restriction: one server open at 1 Mbit/s, everything else closed
	call $PIPELINED/ActivateFlows "$(jq -n -c --arg imsi "IMSI$(imsi 1)" --arg ue "$(ue4 1)" '{sid: {id: $imsi}, ip_addr: $ue,
		request_origin: {type: "GY"}, policies: [
		{version: 1, rule: {id: "open", priority: 100, qos: {max_req_bw_ul: 1000000, max_req_bw_dl: 1000000}, flow_list: [
			{match: {ip_dst: {address: ("198.51.100.11/32" | @base64)}}}]}},
		{version: 1, rule: {id: "closed", priority: 200, flow_list: [{action: "DENY"}]}}]}')" |
		jq -r '[.policy_results[].result] | join(" ")'
}

net_up
silence
agent_start
session "$(imsi 1)" "$(ue4 1)"
rule internet 1
flow uplink permit
activate
spawn ctl watch >"$DIR/events" 2>&1
sleep 0.3
expect "the state before" active "$(state)"
expect "an active session is active since its activation" "$(since .since_ms)" "$(since)"
sleep 1.2
expect "the restriction" "SUCCESS SUCCESS" "$(gy)"
began=$(since)
[ $((began - $(since .since_ms))) -ge 1200 ] || fail "restricted since $began, activated $(since .since_ms)"
expect "the state" restricted "$(state)"
expect_text "session" "restricted since $(date -d "@$((began / 1000))" '+%Y-%m-%d %H:%M:%S')" "$(ctl session "$(imsi 1)")"

# the open server first: by its GY rule, which is in a queue of its rate
spawn send_up "$(ue4 1)" "$(host4 1)" --dport 5001 --size 1000 --rate 250 --count 4000 >/dev/null
sender=$SPAWNED
sleep 1
reaches "the open server" 1000000 open "$INET" inet0 --from "$(ue4 1)" --port 5001
kill -KILL -- "-$sender"
finish "$sender"
closed=$(send_up "$(ue4 1)" "$(host4 2)" --dport 5001 --count 7)
expect "what is closed" "$closed" "$(used "$(ue4 1)" closed uplink_dropped)"
expect "nothing comes to the ordinary rule" "0 0" "$(used "$(ue4 1)" internet uplink)"

# the counts of both origins over a restart
agent_stop KILL
agent_start
expect "the state after a restart" restricted "$(state)"
apart=$(($(since) - began))
[ "${apart#-}" -le 10 ] || fail "restricted since $(since) after a restart, $began before"
expect "the counts after a restart" "$closed" "$(used "$(ue4 1)" closed uplink_dropped)"
spawn ctl watch >"$DIR/events2" 2>&1
sleep 0.3

expect "new credit" SUCCESS "$(call $PIPELINED/DeactivateFlows "$(jq -n -c --arg imsi "IMSI$(imsi 1)" --arg ue "$(ue4 1)" \
	'{sid: {id: $imsi}, ip_addr: $ue, request_origin: {type: "GY"}}')" | jq -r .result)"
expect "the state afterwards" active "$(state)"
sent=$(send_up "$(ue4 1)" "$(host4 2)" --dport 5001 --count 9)
expect "the ordinary rule goes on" "$sent" "$(used "$(ue4 1)" internet uplink)"
told() { grep -q "session-restricted.*$(imsi 1)" "$DIR/events" && grep -q "session-released.*$(imsi 1)" "$DIR/events2"; }
eventually "events of both changes" 3 told
expect_text "with the time" "session-restricted.* state=restricted state_since_ms=${began%???}" "$(cat "$DIR/events")"
expect "log lines of both" "1 1" "$(grep -c 'level=info event=session-restricted' "$LOG") $(grep -c 'level=info event=session-released' "$LOG")"

# terminate: everything of both origins ends
expect "restricted once more" "SUCCESS SUCCESS" "$(gy)"
expect "terminate" SUCCESS "$(call $PIPELINED/DeactivateFlows "$(jq -n -c --arg imsi "IMSI$(imsi 1)" --arg ue "$(ue4 1)" \
	'{sid: {id: $imsi}, ip_addr: $ue, request_origin: {type: "WILDCARD"}, remove_default_drop_flows: true}')" | jq -r .result)"
expect "enforced" 0 "$(status enforced_sessions)"
gone() { [ "$(ctl -o json status | jq '[.fills[] | .used] | add')" = 0 ] && [ "$(ctl -o json status | jq '[.class_pools[].used] | add')" = 0 ]; }
eventually "nothing is left over" 5 gone
