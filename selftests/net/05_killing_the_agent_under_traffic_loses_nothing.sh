#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# kill -9 while packets flow: every packet sent before, between and after is
# delivered, shaped and counted; the next start takes over sessions, versions,
# counters and classes as they are.
. "$(dirname "$0")/../lib/net.sh"

net_up
silence
write_config session_manager=127.0.0.1:50065
agent_start
for family in 4 6; do
	session "$(imsi 1)" "$("ue$family" 1)"
	rule meter 10
	flow uplink permit udp any 5001
	flow downlink permit udp any any 5001
	rule limited 20 4Mbit 4Mbit
	flow uplink permit udp any 5002
	count_in "$INET" up$family "$([ $family = 4 ] && echo ip || echo ip6) saddr $("ue$family" 1) udp dport 5001"
	count_in "$SUB" down$family "$([ $family = 4 ] && echo ip || echo ip6) daddr $("ue$family" 1) udp dport 5001"
done
count_in "$INET" denied "ip saddr $(ue4 1) udp dport 5003"
activate
sessions_before=$(ctl -o json session "$(imsi 1)" | jq -cS 'del(.. | .usage?, .default_drop?, .deadline_left_ms?, .uplink_queue?, .downlink_queue?)')
ruleset() { # the classes' numbers and rates, without counters and ages
	in_gw tc class show dev core0 | grep -v '^class htb 7ffe:1 ' | sed 's/ *\(lended\|borrowed\).*//' | sort
}

senders=()
sender() { # FILE COMMAND...
	local file=$1
	shift
	spawn "$@" >"$DIR/$file"
	senders+=("$SPAWNED")
}
for family in 4 6; do
	sender up$family send_up "$("ue$family" 1)" "$("host$family" 1)" --dport 5001 --size 700 --rate 1000 --count 7000
	sender down$family send_down "$("host$family" 1)" "$("ue$family" 1)" --dport 5001 --size 900 --rate 1000 --count 7000
done
sender slow send_up "$(ue4 1)" "$(host4 1)" --dport 5002 --size 1500 --rate 450 --count 3150
sender denied send_up "$(ue4 1)" "$(host4 1)" --dport 5003 --size 100 --rate 200 --count 1400
sleep 1
classes_before=$(ruleset)
agent_stop KILL
sleep 2
agent_start
known=$(status known_sessions) enforced=$(status enforced_sessions)
for pid in "${senders[@]}"; do wait "$pid"; done

expect "known and enforced sessions" "2 2" "$known $enforced"
expect "sessions, rules and versions" "$sessions_before" \
	"$(ctl -o json session "$(imsi 1)" | jq -cS 'del(.. | .usage?, .default_drop?, .deadline_left_ms?, .uplink_queue?, .downlink_queue?)')"
expect "classes" "$classes_before" "$(ruleset)"
for family in 4 6; do
	expect "uplink IPv$family received" "7000 4900000" "$(settled "$INET" up$family 7000)"
	expect "downlink IPv$family received" "7000 6300000" "$(settled "$SUB" down$family 7000)"
	expect "uplink IPv$family counted" "7000 4900000" "$(used "$("ue$family" 1)" meter uplink)"
	expect "downlink IPv$family counted" "7000 6300000" "$(used "$("ue$family" 1)" meter downlink)"
done
expect "denied while the agent was dead" "0 0" "$(counted "$INET" denied)"
expect "dropped and counted" "1400 140000" "$(used "$(ue4 1)" $DEFAULT_DROP uplink_dropped)"
expect "dropped by reason" "1400 140000" "$(dropped no-rule uplink)"
expect "counted before the shaper" "3150 4725000" "$(used "$(ue4 1)" limited uplink)"
# the adopted state is alive: it can be changed and ended
session "$(imsi 1)" "$(ue4 1)"
rule meter 10
flow uplink deny udp any 5001
activate
expect "sent into the changed rule" "10 1000" "$(send_up "$(ue4 1)" "$(host4 1)" --dport 5001 --count 10)"
expect "the changed rule drops" "10 1000" "$(used "$(ue4 1)" meter uplink_dropped)"
expect "and its count went on" "7000 4900000" "$(used "$(ue4 1)" meter uplink)"

# the queue keeps its rate without an agent
agent_stop KILL
spawn send_up "$(ue4 1)" "$(host4 1)" --dport 5002 --size 1500 --rate 450 --count 100000 >/dev/null
sleep 0.5
reaches "the rate without an agent" 4000000 slow "$INET" inet0 --from "$(ue4 1)" --port 5002
kill_recorded "$DIR"
agent_start

# SIGTERM leaves enforcement in place as well
agent_stop TERM
expect "exit code after SIGTERM" 0 "$AGENT_CODE"
send_up "$(ue6 1)" "$(host6 1)" --dport 5001 --count 20 --size 700 >/dev/null
send_up "$(ue6 1)" "$(host6 1)" --dport 9 --count 20 >/dev/null
expect "permitted without an agent" "7020 4914000" "$(settled "$INET" up6 7020)"
agent_start
expect "counted without an agent" "7020 4914000" "$(used "$(ue6 1)" meter uplink)"
expect "dropped without an agent" "20 2000" "$(used "$(ue6 1)" $DEFAULT_DROP uplink_dropped)"
