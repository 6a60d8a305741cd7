#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The policy directory on a running agent: a changed rule is changed in every
# session that has it, its count going on and no packet lost; a file with an
# error changes nothing and is said with its line; a rule that is taken away
# ends with final usage; the directory may be replaced, and may vanish.
. "$(dirname "$0")/../lib/net.sh"

POLICY=$DIR/policy
# rules PRECEDENCE NAME:PORT... -> a file of the directory
policy() { # FILE PRECEDENCE NAME:PORT...
	local file=$1 precedence=$2 one
	shift 2
	{
		echo "rules:"
		for one in "$@"; do
			echo "  - {id: ${one%:*}, precedence: $precedence, flows: [{direction: uplink, protocol: udp, remote_port: ${one#*:}}]}"
		done
	} >"$file.new"
	mv "$file.new" "$file"
}
precedence() { # IMSI RULE
	ctl -o json session "$1" | jq -r --arg id "$2" '[.. | .rules? // empty | .[] | select(.rule_id == $id) | .precedence] | unique | .[]'
}
precedence_is() { [ "$(precedence "$(imsi 1)" "$1")" = "$2" ]; }
loads() { status policy_directory.loads; }
problem() { status policy_directory.problem; }
problem_is() { [[ "$(problem)" == *"$1"* ]]; }
reports() { # RULE VERSION FIELD: of the newest report that has it
	jq -s -r --arg rule "$1" --arg field "$2" --arg ue "$(ue4 1)" '[.[] | .records[] | select(.rule_id == $rule and .ue_ipv4 == $ue)] | last | .[$field] // "none"' "$REPORTS"
}
reported() { [ "$(reports "$1" "$2")" = "$3" ]; }
gone() { [ -z "$(precedence "$(imsi 1)" "$1")" ]; }

net_up
silence
session_manager_start
mkdir "$POLICY"
policy "$POLICY/one.yaml" 10 meter:5001 extra:5002
write_config session_manager=127.0.0.1:50065 interval=300ms extra="policy: {directory: $POLICY}"
agent_start
for n in 1 2 3; do
	call /magma.lte.Pipelined/ActivateFlows "{\"sid\": {\"id\": \"IMSI$(imsi $n)\"}, \"ip_addr\": \"$(ue4 $n)\",
		\"policies\": [{\"version\": 4, \"rule\": {\"id\": \"meter\"}}, {\"version\": 1, \"rule\": {\"id\": \"extra\"}}]}" >/dev/null
done
expect "the directory's content" 10 "$(precedence "$(imsi 1)" meter)"

# thirty changes under traffic
spawn send_up "$(ue4 1)" "$(host4 1)" --dport 5001 --size 700 --rate 2000 --count 12000 >"$DIR/sent"
sender=$SPAWNED
for ((n = 1; n <= 30; n++)); do
	policy "$POLICY/one.yaml" $((100 + n)) meter:5001 "extra:$((6000 + n))"
	kill -HUP "$AGENT_PID"
	sleep 0.15
done
wait "$sender"
eventually "the last content" 5 precedence_is meter 130
expect "sent" "12000 8400000" "$(cat "$DIR/sent")"
expect "counted, over all changes" "12000 8400000" "$(used "$(ue4 1)" meter uplink 4)"
expect "nothing dropped" "0 0" "$(used "$(ue4 1)" $DEFAULT_DROP uplink_dropped)"
[ "$(loads)" -ge 30 ] || fail "read only $(loads) times"

# without a signal: a changed file is noticed
policy "$POLICY/one.yaml" 40 meter:5001 extra:5002
eventually "a change is noticed" 3 precedence_is meter 40
policy "$POLICY/two.yaml" 41 another:5005
eventually "another file is noticed" 3 eval '[ "$(status policy_directory.rules)" = 3 ]'

# an error anywhere: nothing changes
printf 'rules:\n  - {id: meter2, flows: [{}]}\n  - {id: broken, precedence: -1, flows: [{}]}\n' >"$POLICY/three.yaml"
eventually "the error is said" 3 problem_is "three.yaml:3: "
expect "rules" "3" "$(status policy_directory.rules)"
expect_text "logged" "event=policy-refused.*three.yaml:3: rules\[1\].precedence" "$(cat "$LOG")"
expect_code "--check says so too" 2 in_gw "$AGENT" --config "$CONFIG" --check
expect_text "with the line" "three.yaml:3:" "$(cat "$DIR/err")"
printf 'rules:\n  - {id: loop, steer: {redirect: acc0}, flows: [{}]}\n' >"$POLICY/three.yaml"
eventually "no rule sends packets to an access interface" 3 problem_is "three.yaml:2: rules[0].steer.redirect: 'acc0'"
expect_code "--check knows it" 2 in_gw "$AGENT" --config "$CONFIG" --check
expect_text "and where" "three.yaml:2: rules\[0\].steer.redirect: 'acc0'" "$(cat "$DIR/err")"
policy "$POLICY/one.yaml" 50 meter:5001 extra:5002
sleep 1
expect "a good file beside a bad one waits" 40 "$(precedence "$(imsi 1)" meter)"
rm "$POLICY/three.yaml"
eventually "the error is gone, the rest is in force" 3 precedence_is meter 50
expect "no problem" "" "$(problem)"

# a rule that is no longer there ends in every session, with final usage
sent=$(send_up "$(ue4 1)" "$(host4 1)" --dport 5002 --count 9 --size 100)
policy "$POLICY/one.yaml" 50 meter:5001
eventually "the rule is gone" 3 gone extra
eventually "its final usage is reported" 5 reported extra bytes_tx 900
expect "sent" "9 900" "$sent"
expect_text "logged" "event=policy-removed rules=3 sessions=3" "$(cat "$LOG")"
expect "the other rule stays" 50 "$(precedence "$(imsi 1)" meter)"
expect "and counts on" "12000 8400000" "$(used "$(ue4 1)" meter uplink 4)"

# the whole directory replaced, then gone, then back
mkdir "$POLICY.next"
policy "$POLICY.next/one.yaml" 60 meter:5001 another:5005
mv "$POLICY" "$POLICY.old"
mv "$POLICY.next" "$POLICY"
eventually "the new directory" 4 precedence_is meter 60
policy "$POLICY/one.yaml" 61 meter:5001
eventually "a change in the new directory" 4 precedence_is meter 61
rm -r "$POLICY"
eventually "that there is none is said" 4 problem_is "No such file"
expect "the rules stay" 61 "$(precedence "$(imsi 1)" meter)"
mkdir "$POLICY"
policy "$POLICY/one.yaml" 62 meter:5001
eventually "back again" 4 precedence_is meter 62

# what changed while the agent was away is in force after its start
agent_stop KILL
policy "$POLICY/one.yaml" 70 meter:5001
agent_start
eventually "after a restart" 3 precedence_is meter 70
expect "counts over the restart" "12000 8400000" "$(used "$(ue4 1)" meter uplink 4)"
# a directory that cannot be read takes nothing away
agent_stop TERM
echo "rules: [" >"$POLICY/one.yaml"
agent_start
expect "rules after a start with a bad directory" 70 "$(precedence "$(imsi 1)" meter)"
[ -n "$(problem)" ] || fail "the start does not say what is wrong with the directory"
