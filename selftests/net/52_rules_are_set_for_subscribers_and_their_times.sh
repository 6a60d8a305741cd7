#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# SetSessionRules and UpdateActiveRules: whole sets of rules for a subscriber or
# one APN, from when until when; in sessions that are there and in later ones;
# all or nothing; over a setup; put back when something takes them away.
. "$(dirname "$0")/../lib/net.sh"

SET=/magma.lte.LocalSessionManager/SetSessionRules
UPDATE=/magma.lte.SessionUpdateResponder/UpdateActiveRules
PIPELINED=/magma.lte.Pipelined
# dynamic ID PORT [MORE FIELDS OF THE RULE]
dynamic() {
	printf '{"policy_rule": {"id": "%s", "priority": 10, "flow_list": [{"match": {"ip_proto": "IPPROTO_UDP", "udp_dst": %s}}]%s}}' \
		"$1" "$2" "${3:+, $3}"
}
# set IMSI-NUMBER 'SCOPE, LISTS'...: one rule_set each
set_json() {
	local imsi=$1 all="" one
	shift
	for one in "$@"; do all+="${all:+, }{$one}"; done
	printf '{"rules_per_subscriber": [{"imsi": "IMSI%s", "rule_set": [%s]}]}' "$(imsi "$imsi")" "$all"
}
set_rules() { call $SET "$(set_json "$@")" >/dev/null; }
WIDE='"apply_subscriber_wide": true'
session_json() { # NUMBER APN [POLICIES]
	printf '{"sid": {"id": "IMSI%s"}, "ip_addr": "%s", "apn": "%s", "policies": [%s]}' "$(imsi "$1")" "$(ue4 "${4:-$1}")" "$2" "${3:-}"
}
policy() { printf '{"version": %s, "rule": {"id": "%s", "priority": 20, "flow_list": [{"match": {"ip_proto": "IPPROTO_UDP", "udp_dst": %s}}]}}' "$2" "$1" "$3"; }
rules() { # ADDRESS -> "id vVERSION ..." in force
	call /sluice.v1.Admin/ListSessions '{"rules": true}' | jq -r --arg ip "$1" \
		'[.sessions[] | select(.address == $ip and .state == "ACTIVE") | .rules[] | "\(.rule_id) v\(.version)"] | sort | join(" ")'
}
rules_are() { [ "$(rules "$1")" = "$2" ]; }
since() { # ADDRESS RULE VERSION -> milliseconds since 1970
	ctl -o json usage | jq -r --arg ip "$1" --arg id "$2" --argjson v "$3" \
		'.[] | select(.address == $ip and .rule_id == $id and .version == $v) | .since_ms'
}
updates() { grep -c "event=session-updated" "$LOG" || true; }
at() { date -u -d "@$1" +%FT%T.%3NZ; }

net_up
silence
mkdir "$DIR/policy"
cat >"$DIR/policy/rules.yaml" <<EOF
rules:
  - {id: gold, precedence: 10, flows: [{direction: uplink, protocol: udp, remote_port: 5001}]}
  - {id: silver, precedence: 11, flows: [{direction: uplink, protocol: udp, remote_port: 5002}]}
base_names:
  metals: [gold, silver]
EOF
write_config startup=wait-for-setup extra="policy: {directory: $DIR/policy}
desired: {check_interval: 2s}"
agent_start

# --- before the setup, and over it
set_rules 1 "$WIDE, \"static_rules\": [{\"rule_id\": \"gold\"}]"
epoch=$(status epoch)
call $PIPELINED/SetupDefaultControllers "{\"epoch\": $epoch}" >/dev/null
call $PIPELINED/SetupPolicyFlows "{\"epoch\": $epoch, \"requests\": [$(session_json 1 internet "$(policy own 1 6001)")]}" >/dev/null
expect "a session that comes with the setup" "gold v1 own v1" "$(rules "$(ue4 1)")"

# --- scopes: the subscriber's, an APN's, one without (contract D18)
set_rules 2 "$WIDE, \"static_rules\": [{\"rule_id\": \"gold\"}]" \
	"\"apn\": \"internet\", \"dynamic_rules\": [$(dynamic web 5003)]" \
	"\"apn\": \"ims\", \"dynamic_rules\": [$(dynamic voice 5004)]"
call $PIPELINED/ActivateFlows "$(session_json 2 INTERNET)" >/dev/null
call $PIPELINED/ActivateFlows "$(session_json 2 ims "" 3)" >/dev/null
expect "rules of the APN (whatever the case) and of the subscriber" "gold v1 web v1" "$(rules "$(ue4 2)")"
expect "rules of the other APN" "gold v1 voice v1" "$(rules "$(ue4 3)")"
sent=$(send_up "$(ue4 2)" "$(host4 1)" --dport 5001 --count 10 --size 100)
expect "they are enforced" "$sent" "$(used "$(ue4 2)" gold uplink)"
send_up "$(ue4 2)" "$(host4 1)" --dport 5004 --count 3 --size 100 >/dev/null
expect "and those of the other APN are not" "3 300" "$(used "$(ue4 2)" $DEFAULT_DROP uplink_dropped)"

# --- the same again changes nothing; another set replaces that of its scope alone
before=$(updates)
set_rules 2 "$WIDE, \"static_rules\": [{\"rule_id\": \"gold\"}]" \
	"\"apn\": \"internet\", \"dynamic_rules\": [$(dynamic web 5003)]" \
	"\"apn\": \"ims\", \"dynamic_rules\": [$(dynamic voice 5004)]"
expect "no session was touched" "$before" "$(updates)"
set_rules 2 "\"apn\": \"internet\", \"static_rules\": [{\"rule_id\": \"metals\"}]"
expect "a base name in place of the APN's rule" "gold v1 silver v1" "$(rules "$(ue4 2)")"
expect "the other APN as before" "gold v1 voice v1" "$(rules "$(ue4 3)")"
set_rules 2 "$WIDE"
expect "the APN's base name still stands for gold" "gold v1 silver v1" "$(rules "$(ue4 2)")"
expect "nothing for the subscriber any more" "voice v1" "$(rules "$(ue4 3)")"
expect "counts went on" "10 1000" "$(used "$(ue4 2)" gold uplink 1)"
set_rules 2 "\"apn\": \"internet\""
expect "an empty set takes all away" "" "$(rules "$(ue4 2)")"
set_rules 2 "\"apn\": \"internet\", \"static_rules\": [{\"rule_id\": \"gold\"}]"
expect "what comes back has the next version" "gold v2" "$(rules "$(ue4 2)")"
set_rules 2 "\"apn\": \"internet\", \"dynamic_rules\": [$(dynamic gold 5009)]"
expect "another content of the id keeps version and counts" "gold v2" "$(rules "$(ue4 2)")"
send_up "$(ue4 2)" "$(host4 1)" --dport 5009 --count 4 --size 100 >/dev/null
expect "and is enforced" "4 400" "$(used "$(ue4 2)" gold uplink 2)"

# --- the proposal's names
call $UPDATE "{\"policy_sets\": [{\"imsi\": \"$(imsi 2)\", \"session_policies\": [
	{\"apn\": \"internet\", \"static_rules\": [{\"rule_id\": \"silver\"}]}]}]}" >/dev/null
expect "UpdateActiveRules" "silver v2" "$(rules "$(ue4 2)")"

# --- refused whole
refused() { # WHAT CODE TEXT JSON
	expect_code "$1" "$2" call $SET "$4"
	expect_text "$1: the reason" "$3" "$(cat "$DIR/err")"
}
good="{\"imsi\": \"$(imsi 2)\", \"rule_set\": [{\"apn\": \"internet\"}]}"
refused "an unknown rule" 5 'rule_id: "lead" is no rule' \
	"{\"rules_per_subscriber\": [$good, {\"imsi\": \"$(imsi 4)\", \"rule_set\": [{\"static_rules\": [{\"rule_id\": \"lead\"}]}]}]}"
refused "a bad IMSI" 3 'rules_per_subscriber\[1\]: imsi' "{\"rules_per_subscriber\": [$good, {\"imsi\": \"x\", \"rule_set\": [{}]}]}"
refused "no set" 3 'rules_per_subscriber\[1\]: rule_set: empty' "{\"rules_per_subscriber\": [$good, {\"imsi\": \"$(imsi 4)\"}]}"
refused "a rule without flows" 3 'rule_set\[0\]: dynamic_rules\[0\]: policy_rule "x": flow_list: empty' \
	"{\"rules_per_subscriber\": [$good, {\"imsi\": \"$(imsi 4)\", \"rule_set\": [{\"dynamic_rules\": [{\"policy_rule\": {\"id\": \"x\"}}]}]}]}"
refused "times the wrong way round" 3 'deactivation_time is not after activation_time' \
	"{\"rules_per_subscriber\": [$good, {\"imsi\": \"$(imsi 4)\", \"rule_set\": [{\"static_rules\": [{\"rule_id\": \"gold\",
		\"activation_time\": \"2026-01-02T00:00:00Z\", \"deactivation_time\": \"2026-01-01T00:00:00Z\"}]}]}]}"
refused "a rule twice" 3 'rule "gold" is there twice' \
	"{\"rules_per_subscriber\": [$good, {\"imsi\": \"$(imsi 4)\", \"rule_set\": [{\"static_rules\": [{\"rule_id\": \"gold\"}, {\"rule_id\": \"gold\"}]}]}]}"
refused "a scope twice" 3 'the scope is there twice' "{\"rules_per_subscriber\": [$good, $good]}"
expect "after all refusals" "silver v2" "$(rules "$(ue4 2)")"

# --- beside the session manager: the last writer has a rule
call $PIPELINED/ActivateFlows "$(session_json 4 internet "$(policy mine 7 6001)")" >/dev/null
set_rules 4 "$WIDE, \"static_rules\": [{\"rule_id\": \"silver\"}], \"dynamic_rules\": [$(dynamic gold 5001)]"
expect "the session manager's rules stay" "gold v1 mine v7 silver v1" "$(rules "$(ue4 4)")"
call $PIPELINED/ActivateFlows "$(session_json 4 internet "$(policy gold 9 6002)")" >/dev/null
expect "it takes gold over" "gold v9 mine v7 silver v1" "$(rules "$(ue4 4)")"
sleep 3
expect "and keeps it" "gold v9 mine v7 silver v1" "$(rules "$(ue4 4)")"
set_rules 4 "$WIDE"
expect "what is its own is left alone" "gold v9 mine v7" "$(rules "$(ue4 4)")"
set_rules 4 "$WIDE, \"dynamic_rules\": [$(dynamic gold 5001)]"
send_up "$(ue4 4)" "$(host4 1)" --dport 5001 --count 5 --size 100 >/dev/null
expect "now gold is the caller's" "5 500" "$(used "$(ue4 4)" gold uplink 9)"

# --- what something takes away is put back, and said
repairs=$(status desired.repairs)
spawn "$BUILD/sluicectl" --socket "$SOCKET" -o json watch >"$DIR/events"
watcher=$SPAWNED
call $PIPELINED/DeactivateFlows "{\"sid\": {\"id\": \"IMSI$(imsi 4)\"}, \"policies\": [{\"rule_id\": \"gold\"}]}" >/dev/null
eventually "back again, with the next version" 4 rules_are "$(ue4 4)" "gold v10 mine v7"
expect "counted" "$((repairs + 1))" "$(status desired.repairs)"
expect_text "logged" "event=desired-repaired imsi=$(imsi 4) .*rule=gold version=10 was=missing" "$(cat "$LOG")"
expect_text "told" '"desired-repaired".*"rule_id": ?"gold"' "$(cat "$DIR/events")"
kill "$watcher"
sleep 2.5
expect "nothing more to repair" "$((repairs + 1))" "$(status desired.repairs)"
# a session does not stay for their sake
call $PIPELINED/DeactivateFlows "{\"sid\": {\"id\": \"IMSI$(imsi 4)\"}, \"policies\": [{\"rule_id\": \"mine\"}], \"remove_default_drop_flows\": true}" >/dev/null
expect "the session has ended" "" "$(rules "$(ue4 4)")"

call $PIPELINED/ActivateFlows "$(session_json 5 internet)" >/dev/null

# --- a hard timeout is over once
set_rules 5 "$WIDE, \"dynamic_rules\": [$(dynamic short 5001 '"hard_timeout": 1')]"
expect "with a hard timeout" "short v1" "$(rules "$(ue4 5)")"
eventually "it is over" 4 rules_are "$(ue4 5)" ""
sleep 2.5
expect "and not put back" "" "$(rules "$(ue4 5)")"

# --- what the agent forgets, the kernel keeps
set_rules 5 "$WIDE, \"static_rules\": [{\"rule_id\": \"gold\"}]"
expect "before the restart" "gold v1" "$(rules "$(ue4 5)")"
agent_stop KILL
agent_start
expect "after the restart, before a setup" "gold v1" "$(rules "$(ue4 5)")"
set_rules 5 "$WIDE, \"static_rules\": [{\"rule_id\": \"gold\"}]"
expect "set again, it goes on as it was" "gold v1" "$(rules "$(ue4 5)")"
epoch=$(status epoch)
call $PIPELINED/SetupDefaultControllers "{\"epoch\": $epoch}" >/dev/null
call $PIPELINED/SetupPolicyFlows "{\"epoch\": $epoch, \"requests\": [$(session_json 5 internet), $(session_json 1 internet "$(policy own 1 6001)")]}" >/dev/null
expect "a setup leaves it in force" "gold v1" "$(rules "$(ue4 5)")"
expect "and exactly what it says where nothing else is desired" "own v1" "$(rules "$(ue4 1)")"
expect "sluicectl desired" "[[\"$(imsi 5)\",\"gold\",true]]" "$(ctl -o json desired | jq -c '[.[] | [.imsi, .rule_id, .wanted_now]]')"

# what comes back in a session that is older than the agent: no version of the run before comes again
set_rules 5 "$WIDE"
set_rules 5 "$WIDE, \"static_rules\": [{\"rule_id\": \"silver\"}]"
version=$(rules "$(ue4 5)")
[[ $version = "silver v"* ]] && [ "${version#silver v}" -gt "$epoch" ] || fail "\"$version\" is not above the epoch $epoch"

# --- times, to the moment (contract D17). A step that ends when something else is already wanted says
# nothing of the agent: then once more, with longer times
too_slow() {
	slow=$1
	set_rules "$n" "$WIDE"
	return 1
}
rules_are_or_over() { rules_are "$1" "$2" || [ "$(date +%s)" -ge "$3" ]; }
times() { # SUBSCRIBER SECONDS-UNTIL-IT-BEGINS SECONDS-IT-LASTS
	local n=$1 from until found next late over
	call $PIPELINED/ActivateFlows "$(session_json "$n" internet)" >/dev/null
	repairs=$(status desired.repairs)
	from=$(($(date +%s) + $2))
	until=$((from + $3))
	set_rules "$n" "$WIDE, \"static_rules\": [{\"rule_id\": \"gold\", \"activation_time\": \"$(at $from)\", \"deactivation_time\": \"$(at $until)\"}]"
	found=$(rules "$(ue4 "$n")")
	next=$(status desired.next_ms)
	[ "$(date +%s)" -lt "$from" ] || too_slow "it began before it was looked at" || return 1
	expect "not yet" "" "$found"
	expect "the next time" "$((from * 1000))" "$next"
	while [ "$(date +%s)" -lt "$from" ]; do sleep 0.1; done
	eventually "in force from its time on" 6 rules_are_or_over "$(ue4 "$n")" "gold v1" "$until"
	late=$(since "$(ue4 "$n")" gold 1)
	[ "$(date +%s)" -lt "$until" ] || too_slow "it was over before it was looked at" || return 1
	late=$((late - from * 1000))
	[ "$late" -ge -5 ] || fail "activated $((-late)) ms before its time"
	[ "$late" -le 100 ] || too_slow "activated $late ms after its time" || return 1
	eventually "until its time" $(($3 + 5)) rules_are "$(ue4 "$n")" ""
	over=$(($(date +%s%3N) - until * 1000))
	[ "$over" -ge 0 ] || fail "gone $((-over)) ms too early"
	[ "$over" -le 1500 ] || too_slow "seen to be gone $over ms after its time" || return 1
	expect "these were no repairs" "$repairs" "$(status desired.repairs)"
}
times 6 4 3 || times 7 8 6 || times 8 16 12 || {
	echo "SKIP: this machine is too slow for times: $slow (everything else has passed)"
	exit 77
}
