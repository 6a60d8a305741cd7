#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Absolute counts per rule every interval, with the default-drop record; a session
# manager that is away or slow harms nothing and gets everything afterwards.
. "$(dirname "$0")/../lib/net.sh"

# last RULE FIELD: of the newest accepted report that has this rule of the IPv4 session
last() {
	jq -s -r --arg rule "$1" --arg field "$2" --arg ue "$(ue4 1)" '
		[.[] | select(.refused == false) | .records[] | select(.rule_id == $rule and .ue_ipv4 == $ue)]
		| last | .[$field] // "none"' "$REPORTS"
}
reported() { [ "$(last "$1" "$2")" = "$3" ]; }
accepted() { jq -s '[.[] | select(.refused == false)] | length' "$REPORTS"; }

net_up
silence
session_manager_start
write_config session_manager=127.0.0.1:50065 interval=300ms
agent_start
session "$(imsi 1)" "$(ue4 1)"
rule meter 10
flow uplink permit udp any 5001
flow downlink permit udp any any 5001
rule blocked 5
flow uplink deny udp any 5002
session "$(imsi 1)" "$(ue6 1)"
rule meter 10
flow uplink permit udp any 5001
activate
send_up "$(ue4 1)" "$(host4 1)" --dport 5001 --count 100 --size 500 >/dev/null
send_down "$(host4 1)" "$(ue4 1)" --dport 5001 --count 70 --size 600 >/dev/null
send_up "$(ue4 1)" "$(host4 1)" --dport 5002 --count 30 --size 100 >/dev/null
send_up "$(ue4 1)" "$(host4 1)" --dport 5003 --count 20 --size 100 >/dev/null
send_down "$(host4 1)" "$(ue4 1)" --dport 5004 --count 10 --size 100 >/dev/null

record() { # address-field address rule -> the newest record
	jq -s -c --arg field "$1" --arg address "$2" --arg rule "$3" '
		[.[] | select(.refused == false) | .records[] | select(.[$field] == $address and .rule_id == $rule)] | last
		| [.sid, .bytes_tx, .bytes_rx, .dropped_tx, .dropped_rx, .rule_version]' "$REPORTS"
}
eventually "a report with the usage" 5 reported meter bytes_rx 42000
sleep 0.7
expect "meter" "[\"IMSI$(imsi 1)\",50000,42000,0,0,1]" "$(record ue_ipv4 "$(ue4 1)" meter)"
expect "blocked" "[\"IMSI$(imsi 1)\",0,0,3000,0,1]" "$(record ue_ipv4 "$(ue4 1)" blocked)"
expect "default drop" "[\"IMSI$(imsi 1)\",0,0,2000,1000,0]" "$(record ue_ipv4 "$(ue4 1)" $DEFAULT_DROP)"
expect "the IPv6 session's default drop" "[\"IMSI$(imsi 1)\",0,0,0,0,0]" "$(record ue_ipv6 "$(ue6 1)" $DEFAULT_DROP)"
epoch=$(status epoch)
expect "the epoch in every report" "[$epoch]" "$(jq -s -c '[.[].epoch] | unique' "$REPORTS")"
expect "counters are never called reset" "[false]" "$(jq -s -c '[.[].update_rule_versions] | unique' "$REPORTS")"

# GetPolicyUsage says the same
expect "GetPolicyUsage" "50000 42000" "$(call /magma.lte.Pipelined/GetPolicyUsage |
	jq -r --arg ue "$(ue4 1)" '.records[] | select(.rule_id == "meter" and .ue_ipv4 == $ue) | "\(.bytes_tx) \(.bytes_rx)"')"

# away: enforcement and the API do not care, and nothing is lost
session_manager_stop
send_up "$(ue4 1)" "$(host4 1)" --dport 5001 --count 10 --size 500 >/dev/null
ctl deactivate "$(imsi 1)" --ip "$(ue6 1)" --end-session >/dev/null
sleep 1
started=$(date +%s%N)
ctl status >/dev/null
[ $(($(date +%s%N) - started)) -lt 2000000000 ] || fail "the API is slow while the session manager is away"
session_manager_start --refuse
sleep 1.5
expect "refused reports are no acknowledgement" "50000" "$(last meter bytes_tx)"
kill -USR2 "$SESSION_MANAGER_PID"
eventually "the usage of the time without a session manager" 12 reported meter bytes_tx 55000

# the final record of the ended session came, was acknowledged, and then comes no more
gone() {
	[ "$(jq -s -r --arg ue "$(ue6 1)" '[.[] | select(.refused == false)] | last | [.records[] | select(.ue_ipv6 == $ue)] | length' "$REPORTS")" = 0 ]
}
eventually "no records of an ended session after their acknowledgement" 5 gone

# slow: reports wait for their answer, everything else goes on
session_manager_stop
session_manager_start --delay 3
for ((i = 0; i < 5; i++)); do
	started=$(date +%s%N)
	ctl usage >/dev/null
	[ $(($(date +%s%N) - started)) -lt 2000000000 ] || fail "the API waits for the slow session manager"
	sleep 0.2
done
send_up "$(ue4 1)" "$(host4 1)" --dport 5001 --count 10 --size 500 >/dev/null
expect "counted meanwhile" "120 60000" "$(used "$(ue4 1)" meter uplink)"
eventually "the slow session manager gets it too" 25 reported meter bytes_tx 60000
