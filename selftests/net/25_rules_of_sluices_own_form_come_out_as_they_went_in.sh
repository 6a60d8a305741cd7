#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Port lists, DSCP, TCP flags, ICMP types, filters, redirects: from a file over the
# wire into the kernel, and out again as the same text, before and after kill -9.
# What the agent does not do of a rule, it says in the result of the rule.
. "$(dirname "$0")/../lib/net.sh"

net_up
write_config
agent_start
cat >"$SESSIONS" <<END
sessions:
  - imsi: "$(imsi 1)"
    ipv4: $(ue4 1)
    rules:
      - id: flows
        precedence: 10
        rating_group: 7
        gbr: {uplink: 64kbit}
        flows:
          - direction: uplink
            protocol: tcp
            remote: "!192.0.2.0/24"
            remote_port: [80, 5000-5100]
            local: 10.0.0.0/8
            dscp: af41
            tcp_flags: syn,!ack
            tcp_options: mss
          - {direction: downlink, action: deny, protocol: icmp, icmp_type: 3-5}
          - {direction: downlink, protocol: 0, fragment: later, ip_options: "!lsrr", remote: "!assigned"}
      - id: filters
        precedence: 20
        filters: [permit in 6 from any to 198.51.100.0/24 1-1023 established]
      - {id: plain, precedence: 30, mbr: {uplink: 4294967296, downlink: 400Gbit}, flows: [{direction: uplink, protocol: udp, remote_port: 53}]}
      - {id: top-up, origin: gy, precedence: 5, redirect: {url: "http://192.0.2.80/"}}
END
# one line a flow, the parts that it has
flows() {
	ctl -o json rules | jq -r --arg id "$1" '.[] | select(.rule_id == $id) | .flows[]
		| [.direction, .action, .protocol, .remote, .remote_port, .local, .local_port, .dscp, .tcp_flags, .tcp_options,
		   .icmp_type, .fragment, .ip_options] | map(if . == "" then "-" else . end) | join(" ")'
}
shown() { # heading
	expect "$1: own flows" "uplink permit tcp !192.0.2.0/24 80 10.0.0.0/8 - af41 syn,!ack mss - - -
uplink permit tcp !192.0.2.0/24 5000-5100 10.0.0.0/8 - af41 syn,!ack mss - - -
downlink deny icmp - - - - - - - 3-5 - -
downlink permit 0 !assigned - - - - - - - later !lsrr" "$(flows flows)"
	expect "$1: filters as they come out" "uplink permit tcp 198.51.100.0/24 1-1023 - - - established - - - -
uplink deny - - - - - - - - - - -
downlink permit - - - - - - - - - - -" "$(flows filters)"
	expect "$1: of a session" "top-up redirect http://192.0.2.80/
flows mixed 
filters mixed 
plain permit " "$(ctl -o json session "$(imsi 1)" | jq -r '.[].rules[] | "\(.rule_id) \(.action) \(.target)"')"
	expect "$1: rates above 32 bits" "4294967296 400000000000" \
		"$(ctl -o json rules | jq -r '.[] | select(.rule_id == "plain") | "\(.mbr_uplink) \(.mbr_downlink)"')"
	expect "$1: where to" "http://192.0.2.80/" \
		"$(ctl -o json rules | jq -r '.[] | select(.rule_id == "top-up") | .redirect')"
}
expect_code "activation" 0 ctl activate -f "$SESSIONS"
shown "activated"
expect "rating group and GBR" "7 64000" \
	"$(ctl -o json rules | jq -r '.[] | select(.rule_id == "flows") | "\(.rating_group) \(.gbr_uplink)"')"
ctl rules >"$DIR/rules"
grep -q '^flows .* 80 .*local 10.0.0.0/8 dscp af41 tcp-flags syn,!ack tcp-options mss$' "$DIR/rules" ||
	fail "rules does not show all of a flow: $(cat "$DIR/rules")"
grep -q '^top-up .*redirect-to http://192.0.2.80/' "$DIR/rules" || fail "rules does not show where a redirect leads"
ctl session "$(imsi 1)" >"$DIR/session"
grep -q 'top-up .*redirect http://192.0.2.80/' "$DIR/session" ||
	fail "session does not show where a redirect leads: $(cat "$DIR/session")"

agent_stop KILL
agent_start
shown "after kill -9"

# header enrichment is not done: the rule works, and its result says so
activate='{"sid": {"id": "IMSI'$(imsi 2)'"}, "ip_addr": "'$(ue4 2)'", "policies": [{"version": 1, "rule": {"id": "enriched",
	"he": {"urls": ["http://a.example/"]}, "flow_list": [{"match": {"direction": "UPLINK"}}]}}]}'
/usr/bin/python3 "$ROOT/selftests/lib/call.py" "unix:$SOCKET" /magma.lte.Pipelined/ActivateFlows "$activate" >"$DIR/answer" ||
	fail "ActivateFlows: $(cat "$DIR/answer")"
expect "result of a rule with header enrichment" SUCCESS "$(jq -r '.policy_results[0].result' "$DIR/answer")"
jq -r '.policy_results[0].reason' "$DIR/answer" | grep -q "header enrichment is not done" ||
	fail "the result says nothing of header enrichment: $(cat "$DIR/answer")"
grep -q "event=header-enrichment-not-done rule=enriched" "$LOG" || fail "the log says nothing of header enrichment"

# a restriction all of whose filters are of one direction drops the other: seldom meant, so it is said
activate='{"sid": {"id": "IMSI'$(imsi 2)'"}, "ip_addr": "'$(ue4 2)'", "policies": [{"version": 1, "rule": {"id": "one-way",
	"restrict_to_filters": true, "filter_rules": ["permit in ip from any to 192.0.2.1"]}}]}'
answer=$(call /magma.lte.Pipelined/ActivateFlows "$activate" | jq -r '.policy_results[0] | "\(.result): \(.reason)"')
expect_text "result of a restriction of one direction" '^SUCCESS: restricts .* none is "out": all downlink is dropped$' "$answer"
expect_text "the log" 'event=rule-note rule=one-way note="restricts' "$(grep event=rule-note "$LOG")"
