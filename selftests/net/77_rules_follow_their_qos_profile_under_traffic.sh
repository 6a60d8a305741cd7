#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# alone: rates are measured on the wire
# QoS profiles on a running agent: rules of the directory, of sluicectl's files
# and of the wire name one; changed in the file it is changed in every session,
# no packet lost and every count going on, by queues and by meters; taken out of
# the file it leaves what it was, and new sessions cannot have it.
. "$(dirname "$0")/../lib/net.sh"

POLICY=$DIR/policy
METRICS=127.0.0.1:9464
# profiles GOLD IRON: their MBRs in Mbit/s; IRON empty: there is no such profile
profiles() {
	{
		echo "qos_profiles:"
		echo "  - {name: gold, class_id: 6, mbr: {uplink: ${1}Mbit, downlink: ${1}Mbit}, arp: {level: 2}, backend: shape}"
		[ -z "$2" ] || echo "  - {name: iron, mbr: {uplink: ${2}Mbit, downlink: ${2}Mbit}, backend: police}"
		echo "rules:"
		echo "  - {id: fixed, precedence: 10, qos_profile: gold, flows: [{protocol: udp, remote_port: 5001}]}"
	} >"$POLICY/one.yaml.new"
	mv "$POLICY/one.yaml.new" "$POLICY/one.yaml"
}
# mbr IMSI RULE -> the uplink MBR in Mbit/s
mbr() {
	ctl -o json session "$1" |
		jq -r --arg id "$2" '[.. | .rules? // empty | .[] | select(.rule_id == $id) | .mbr_uplink / 1000000] | .[]'
}
mbr_is() { [ "$(mbr "$(imsi "$1")" "$2")" = "$3" ]; }
# profile NAME FIELD
profile() { ctl -o json profiles | jq -r --arg name "$1" --arg field "$2" '.[] | select(.name == $name) | .[$field]'; }
profile_is() { [ "$(profile "$1" "$2")" = "$3" ]; }
metric() { in_gw curl -sf "http://$METRICS/metrics" | awk -v name="$1" '$1 == name { print $2 }'; }

net_up
silence
mkdir "$POLICY"
profiles 80 80
write_config extra="policy: {directory: $POLICY}
http: {listen: '$METRICS'}"
agent_start
eventually "the pools" 10 pool_ready

# the three ways in which a rule can name a profile
cat >"$SESSIONS" <<-END
	sessions:
	  - {imsi: $(imsi 1), ipv4: $(ue4 1), rules: [{id: fixed}]}
	  - {imsi: $(imsi 2), ipv4: $(ue4 2), rules: [{id: own, qos_profile: iron, flows: [{protocol: udp, remote_port: 5001}]}]}
END
activate
call /magma.lte.Pipelined/ActivateFlows "{\"sid\": {\"id\": \"IMSI$(imsi 3)\"}, \"ip_addr\": \"$(ue4 3)\", \"policies\":
	[{\"version\": 1, \"rule\": {\"id\": \"wire\", \"qos_profile\": \"gold\", \"flows\": [{\"protocol\": \"udp\"}]}}]}" >/dev/null
expect "static" 80 "$(mbr "$(imsi 1)" fixed)"
expect "by hand" 80 "$(mbr "$(imsi 2)" own)"
expect "by wire" 80 "$(mbr "$(imsi 3)" wire)"
expect "as it was read" '["gold",6,80000000,80000000,2,false,true,"shape",2,2,2,0,0,false,"one.yaml",2]' \
	"$(ctl -o json profiles | jq -c '.[] | select(.name == "gold") | [.name, .class_id, .mbr_uplink, .mbr_downlink,
		.arp_level, .arp_may_preempt, .arp_may_be_preempted, .backend, .rules, .sessions, .shaped, .policed, .behind,
		.missing, .file, .line]')"
expect "policed" 1 "$(profile iron policed)"
expect_text "profiles" "^gold +6 +80Mbit/80Mbit +- +2 +shape +2 +2 +2 +0 +0 +one.yaml:2" "$(ctl profiles)"
expect_text "session" "own .* policed/policed .* iron *$" "$(ctl session "$(imsi 2)")"
expect_text "rules" "^wire .* gold " "$(ctl rules)"
expect "shaped, by metric" 2 "$(metric 'sluice_profile_sessions{profile="gold",kept="shaped"}')"
expect "policed, by metric" 1 "$(metric 'sluice_profile_sessions{profile="iron",kept="policed"}')"

# thirty changes under traffic that is below all of the rates
count_in "$INET" one "ip saddr $(ue4 1) udp dport 5001"
count_in "$INET" two "ip saddr $(ue4 2) udp dport 5001"
spawn send_up "$(ue4 1)" "$(host4 1)" --dport 5001 --size 700 --rate 2000 --count 12000 >"$DIR/sent1"
senders=$SPAWNED
spawn send_up "$(ue4 2)" "$(host4 1)" --dport 5001 --size 700 --rate 2000 --count 12000 >"$DIR/sent2"
senders+=" $SPAWNED"
for ((n = 1; n <= 30; n++)); do
	profiles $((40 + n)) $((90 - n))
	kill -HUP "$AGENT_PID"
	sleep 0.15
done
for pid in $senders; do
	wait "$pid"
done
eventually "the last values" 5 mbr_is 1 fixed 70
eventually "the last values, policed" 5 mbr_is 2 own 60
eventually "the last values, by wire" 5 mbr_is 3 wire 70
expect "sent" "12000 8400000 12000 8400000" "$(cat "$DIR/sent1" "$DIR/sent2" | paste -sd ' ')"
expect "arrived through a queue" "12000 8400000" "$(settled "$INET" one 12000)"
expect "arrived past a meter" "12000 8400000" "$(settled "$INET" two 12000)"
expect "counted" "12000 8400000" "$(used "$(ue4 1)" fixed uplink)"
expect "counted, policed" "12000 8400000" "$(used "$(ue4 2)" own uplink 1)"
expect "dropped" "0 0" "$(used "$(ue4 2)" own uplink_dropped)"

# a rate that is felt, within a second
spawn send_up "$(ue4 1)" "$(host4 1)" --dport 5001 --size 1500 --rate 900 --count 30000 >/dev/null
spawn send_up "$(ue4 2)" "$(host4 1)" --dport 5001 --size 1500 --rate 900 --count 30000 >/dev/null
sleep 0.5
profiles 4 6
sleep 1.2
reaches "shaped" 4000000 shaped "$INET" inet0 --from "$(ue4 1)" --port 5001
reaches "policed" 6000000 policed "$INET" inet0 --from "$(ue4 2)" --port 5001

# what is not right is said, and changes nothing
profiles 5 5
printf 'rules:\n  - {id: bad, qos_profile: tin, flows: [{}]}\n' >"$POLICY/two.yaml"
eventually "an unknown profile refuses the directory" 3 eval '[[ "$(status policy_directory.problem)" == *"two.yaml:2: rules[0].qos_profile: \"tin\" is no"* ]]'
rm "$POLICY/two.yaml"
eventually "without it the rest is in force" 3 mbr_is 1 fixed 5
cat >"$DIR/bad.yaml" <<-END
	sessions:
	  - {imsi: $(imsi 4), ipv4: $(ue4 4), rules: [{id: own, qos_profile: tin, flows: [{}]}]}
END
expect_code "a rule with an unknown profile" 1 ctl activate -f "$DIR/bad.yaml"
expect_text "names it" 'qos_profile: "tin" is no QoS profile of the policy directory' "$(cat "$DIR/out" "$DIR/err")"
sed -i 's/tin/gold, mbr: {uplink: 1Mbit}/' "$DIR/bad.yaml"
expect_code "rates of its own beside it" 2 ctl activate -f "$DIR/bad.yaml"
expect_text "with the line" 'bad.yaml:2: .*mbr: beside qos_profile "gold"' "$(cat "$DIR/err")"

# a profile that is no more
profiles 7 ""
eventually "it is missing" 3 profile_is iron missing true
expect "the rule keeps what it had" 5 "$(mbr "$(imsi 2)" own)"
expect_text "logged" 'event=profiles-missing names=iron sessions=1' "$(cat "$LOG")"
expect "by metric" 1 "$(metric sluice_profiles_missing)"
expect "no series of its own" "" "$(metric 'sluice_profile_sessions{profile="iron",kept="policed"}')"
eventually "the other one goes on" 3 mbr_is 1 fixed 7

# a restart keeps them, and follows what has changed meanwhile
agent_stop KILL
profiles 9 ""
agent_start
eventually "what has changed" 3 mbr_is 1 fixed 9
eventually "by wire" 3 mbr_is 3 wire 9
expect "missing" true "$(profile iron missing)"
expect "as before" 5 "$(mbr "$(imsi 2)" own)"
profiles 9 11
eventually "back again" 3 mbr_is 2 own 11
expect "missing no more" false "$(profile iron missing)"
[ "$(used "$(ue4 2)" own uplink 1 | cut -d' ' -f1)" -gt 12000 ] || fail "the counts began anew"
