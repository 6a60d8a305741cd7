#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The deadline is judged where packets are: from it on the rule matches nothing,
# also while no agent runs, and the next rule decides.
. "$(dirname "$0")/../lib/net.sh"

net_up
silence
agent_start
cat >"$SESSIONS" <<END
sessions:
  - imsi: $(imsi 1)
    ipv4: $(ue4 1)
    rules:
      - {id: short, precedence: 10, hard_timeout: 3s, flows: [{direction: uplink, protocol: udp, remote_port: 5001}]}
      - {id: below, precedence: 20, flows: [{direction: uplink, protocol: udp, remote_port: 5001}]}
      - {id: alone, precedence: 30, hard_timeout: 3s, flows: [{direction: uplink, protocol: udp, remote_port: 5002}]}
END
activate
send_up "$(ue4 1)" "$(host4 1)" --dport 5001 --count 10 >/dev/null
send_up "$(ue4 1)" "$(host4 1)" --dport 5002 --count 10 >/dev/null
expect "before the deadline" "10 1000/0 0/10 1000" \
	"$(used "$(ue4 1)" short uplink)/$(used "$(ue4 1)" below uplink)/$(used "$(ue4 1)" alone uplink)"
agent_stop KILL
sleep 3
send_up "$(ue4 1)" "$(host4 1)" --dport 5001 --count 20 >/dev/null
send_up "$(ue4 1)" "$(host4 1)" --dport 5002 --count 20 >/dev/null
agent_start
expect "after the deadline" "10 1000/20 2000/10 1000" \
	"$(used "$(ue4 1)" short uplink)/$(used "$(ue4 1)" below uplink)/$(used "$(ue4 1)" alone uplink)"
expect "what has no rule any more" "20 2000" "$(used "$(ue4 1)" $DEFAULT_DROP uplink_dropped)"

# activated again, it begins anew
session "$(imsi 1)" "$(ue4 1)"
rule short 10
flow uplink permit udp any 5001
activate
send_up "$(ue4 1)" "$(host4 1)" --dport 5001 --count 5 >/dev/null
expect "activated again" "15 1500" "$(used "$(ue4 1)" short uplink)"

# with an agent it is taken out of its session, without a request
cat >"$SESSIONS" <<END
sessions:
  - imsi: $(imsi 2)
    ipv4: $(ue4 2)
    rules:
      - {id: brief, precedence: 10, hard_timeout: 1s, flows: [{direction: uplink, protocol: udp}]}
END
activate
rules_in_force() { ctl -o json sessions | jq -r --arg imsi "$(imsi 2)" '.[] | select(.imsi == $imsi) | .rule_count'; }
expect "rules before the deadline" 1 "$(rules_in_force)"
eventually "the running agent ends the rule" 5 grep -q "event=rule-expired.*rule=brief" "$LOG"
expect "rules after it" 0 "$(rules_in_force)"
