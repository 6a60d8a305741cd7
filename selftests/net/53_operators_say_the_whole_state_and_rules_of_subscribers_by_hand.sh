#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# `sluicectl activate --setup` is the whole state whenever it is said, and tells
# what it changed; rules and base names of the policy directory in sluicectl's
# files; base names are followed; `sluicectl set-rules`; a desired rule that the
# directory does not have any more is failing, and said.
. "$(dirname "$0")/../lib/net.sh"

PIPELINED=/magma.lte.Pipelined
rules() { # NUMBER -> "id vVERSION ..." in force
	ctl -o json session "$(imsi "$1")" 2>/dev/null |
		jq -r '[.[] | select(.state == "active") | .rules[] | "\(.rule_id) v\(.version)"] | sort | join(" ")' || true
}
names() { rules "$1" | sed 's/ v[0-9]*//g'; } # without the versions
rules_are() { [ "$(rules "$1")" = "$2" ]; }
permit() { printf '{id: %s, precedence: %s, flows: [{direction: uplink, protocol: udp, remote_port: %s}]}' "$1" "${3:-10}" "$2"; }
directory() { # BASE-NAME'S-RULES RULE...
	local members=$1 one
	shift
	{
		echo "rules:"
		for one in "$@"; do echo "  - $(permit "${one%:*}" "${one#*:}")"; done
		echo "base_names: {basic: [$members]}"
	} >"$DIR/policy.new"
	mv "$DIR/policy.new" "$DIR/policy/rules.yaml"
	kill -HUP "$AGENT_PID"
}
activates() { # WHAT EXPECTED ARGUMENT...: the line without the time
	local what=$1 wanted=$2
	shift 2
	expect_code "$what" 0 ctl activate "$@"
	expect "$what" "$wanted" "$(sed 's/, [^,]*$//' "$DIR/out")"
}

net_up
silence
mkdir "$DIR/policy"
printf 'rules: [%s, %s, %s]\nbase_names: {basic: [web, dns]}\n' \
	"$(permit web 5001)" "$(permit dns 5002)" "$(permit mail 5003)" >"$DIR/policy/rules.yaml"
write_config startup=wait-for-setup extra="policy: {directory: $DIR/policy}"
agent_start

cat >"$DIR/three.yaml" <<END
sessions:
  - {imsi: $(imsi 1), ipv4: $(ue4 1), rules: [$(permit a 6001), $(permit b 6002)]}
  - {imsi: $(imsi 2), ipv4: $(ue4 2), rules: [$(permit a 6001)]}
  - {imsi: $(imsi 3), ipv4: $(ue4 3), ipv6: $(ue6 3), rules: [$(permit a 6001)]}
END
cat >"$DIR/two.yaml" <<END
sessions:
  - {imsi: $(imsi 1), ipv4: $(ue4 1), rules: [$(permit a 6001)]}
  - {imsi: $(imsi 2), ipv4: $(ue4 2), rules: [$(permit a 6001)]}
  - {imsi: $(imsi 4), ipv4: $(ue4 4), rules: [{id: mail}], base_names: [basic]}
END

# --- a pending setup, and then whenever it is said
expect_code "without a setup" 1 ctl activate -f "$DIR/three.yaml"
expect_text "what helps" "activate --setup" "$(cat "$DIR/err")"
activates "a pending setup" "4 sessions activated, 0 changed, 0 ended, 0 as before; 5 rules in force, 0 failures" \
	-f "$DIR/three.yaml" --setup
expect "no setup is pending any more" "done" "$(status setup)"
sent=$(send_up "$(ue4 2)" "$(host4 1)" --dport 6001 --count 10 --size 100)
call /magma.lte.LocalSessionManager/SetSessionRules "{\"rules_per_subscriber\": [{\"imsi\": \"$(imsi 1)\", \"rule_set\": [
	{\"apply_subscriber_wide\": true, \"static_rules\": [{\"rule_id\": \"mail\"}]}]}]}" >/dev/null
expect "beside a desired rule" "a v1 b v1 mail v1" "$(rules 1)"
activates "a second time" "1 session activated, 1 changed, 2 ended, 1 as before; 5 rules in force, 0 failures" \
	-f "$DIR/two.yaml" --setup
expect "a rule that is not in the file has ended, the desired one stays" "a v1 mail v1" "$(rules 1)"
expect "sessions" "$(imsi 1) $(imsi 2) $(imsi 4)" \
	"$(ctl -o json sessions | jq -r '[.[] | select(.state != "ended") | .imsi] | sort | join(" ")')"
expect "counts of the unchanged session go on" "$sent" "$(used "$(ue4 2)" a uplink 1)"
activates "the same again" "0 sessions activated, 0 changed, 0 ended, 3 as before; 5 rules in force, 0 failures" \
	-f "$DIR/two.yaml" --setup
expect_text "logged" "event=sessions-replaced peer=.* activated=1 changed=1 unchanged=1 ended=2" "$(cat "$LOG")"

# --- without --setup others stay
cat >"$DIR/one.yaml" <<END
sessions: [{imsi: $(imsi 5), ipv4: $(ue4 5), rules: [{id: mail, version: 4}], base_names: [basic]}]
END
activates "an addition" "1 session, 3 rules in force (3 different), 0 failures" -f "$DIR/one.yaml"
expect "the others are there" "a v1" "$(rules 2)"

# --- refused whole; over TCP not served; a failing rule is named
expect_code "an unknown name" 1 ctl activate -f <(echo "sessions: [{imsi: $(imsi 6), ipv4: $(ue4 6), rules: [{id: webb}], base_names: [nobody]}]")
expect_text "the rule" 'rule webb version 1: flow_list: empty, and the gateway has no rule "webb"' "$(cat "$DIR/err")"
expect_text "the base name" 'rule nobody version 0: rule_ids\[0\]: "nobody" is no rule and no base name' "$(cat "$DIR/err")"
sed "s/{id: mail}/{id: webb}/" "$DIR/two.yaml" >"$DIR/bad.yaml"
expect_code "a failing rule in the whole state" 1 ctl -o json activate -f "$DIR/bad.yaml" --setup
expect "is named" "webb $(ue4 4) 1" "$(jq -r '.failures[] | "\(.rule_id) \(.address) \(.version)"' "$DIR/out")"
expect "counted" "1 4 2" "$(jq -r '"\(.failed) \(.rules) \(.ended)"' "$DIR/out")"
expect_code "over TCP" 1 in_gw "$BUILD/sluicectl" --tcp "$API" activate -f "$DIR/two.yaml" --setup
expect_text "over TCP" "Unix socket only" "$(cat "$DIR/err")"
expect_code "a bad request" 3 /usr/bin/python3 "$ROOT/selftests/lib/call.py" "unix:$SOCKET" /sluice.v1.Admin/ReplaceSessions \
	"{\"requests\": [{\"sid\": {\"id\": \"IMSI$(imsi 1)\"}, \"ip_addr\": \"$(ue4 1)\"}, {\"sid\": {\"id\": \"x\"}}]}"
expect_text "names it" 'requests\[1\]: sid' "$(cat "$DIR/err")"
expect "and changes nothing" "a v1" "$(rules 2)"

# --- the session manager's setup is still its own, and only its first one counts
epoch=$(status epoch)
setup() { call $PIPELINED/SetupPolicyFlows "{\"epoch\": $epoch, \"requests\": [$1]}" | jq -r '.result // "SUCCESS"'; }
request() { printf '{"sid": {"id": "IMSI%s"}, "ip_addr": "%s", "rule_ids": ["basic"]}' "$(imsi "$1")" "$(ue4 "$1")"; }
expect "the session manager's setup" SUCCESS "$(setup "$(request 7)")"
expect "is in force" "dns v0 web v0" "$(rules 7)"
expect "in place of what the operator had said" "" "$(rules 2)"
expect "a second one" SUCCESS "$(setup "$(request 6)")"
expect "is ignored" "" "$(rules 6)"

# --- base names are followed
directory "web, mail" web:5001 dns:5002 mail:5003
eventually "the base name's rules" 5 rules_are 7 "mail v0 web v0"
sent=$(send_up "$(ue4 7)" "$(host4 1)" --dport 5003 --count 5 --size 100)
expect "they are enforced" "$sent" "$(used "$(ue4 7)" mail uplink 0)"
expect_text "logged" "event=base-names-followed names=basic sessions=1" "$(cat "$LOG")"
agent_stop KILL
agent_start
directory "web" web:5001 dns:5002 mail:5003
eventually "read" 5 eval '[ "$(status policy_directory.loads)" -ge 2 ]'
expect "after a restart, until they are named again" "mail v0 web v0" "$(rules 7)"
epoch=$(status epoch)
expect "the setup names them" SUCCESS "$(setup "$(request 7)")"
expect "then they are as the directory says" "web v0" "$(rules 7)"

# --- rules of subscribers from a file
cat >"$DIR/set.yaml" <<END
subscribers:
  - imsi: $(imsi 7)
    rule_sets:
      - apply_subscriber_wide: true
        rules:
          - $(permit own 7001)
          - {id: mail}
          - {id: dns, activation_time: 2099-01-01T00:00:00Z}
END
expect_code "set-rules" 0 ctl set-rules -f "$DIR/set.yaml"
expect "set-rules" "1 subscriber, 1 rule set, 3 rules set" "$(cat "$DIR/out")"
expect "in force" "mail own web" "$(names 7)"
expect "desired" "dns false, mail true, own true" \
	"$(ctl -o json desired "$(imsi 7)" | jq -r '[.[] | "\(.rule_id) \(.wanted_now)"] | sort | join(", ")')"
expect_code "an unknown rule" 1 ctl set-rules -f <(echo "subscribers: [{imsi: $(imsi 7), rule_sets: [{base_names: [nobody]}]}]")
expect_text "is named" '"nobody" is no rule and no base name' "$(cat "$DIR/err")"
expect_code "a bad file" 2 ctl set-rules -f <(echo "subscribers: [{imsi: x}]")
expect_code "the example" 0 ctl set-rules --example

# --- a desired rule that the directory has no more
failing() { [ "$(status desired.failing)" = "$1" ]; }
directory "web" web:5001 dns:5002
eventually "it is failing" 5 failing 1
expect "and gone" "own web" "$(names 7)"
expect_text "the reason" '"problem": ?"no rule and no base name of the policy directory any more"' "$(ctl -o json desired | jq -c .)"
expect_text "in the table" 'mail .*no rule and no base name' "$(ctl desired)"
expect "said once" 1 "$(grep -c 'level=warning event=desired-missing names=mail' "$LOG")"
directory "web" web:5001 dns:5002 mail:5004
eventually "it is back" 5 failing 0
expect "in force" "mail own web" "$(names 7)"
expect_text "said" 'event=desired-found names=mail' "$(cat "$LOG")"
