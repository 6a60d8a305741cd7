#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Rules by their ids and base names, by the fields of session managers before
# release 1.5 (bytes put together by hand) and by rules that have nothing but an id.
. "$(dirname "$0")/../lib/net.sh"

old() { in_gw /usr/bin/python3 "$ROOT/selftests/lib/old_wire.py" "$API" "$@"; }
rules() { # IMSI -> what is in force: "id vVERSION", sorted
	ctl -o json session "$1" | jq -c '[.. | .rules? // empty | .[] | "\(.rule_id) v\(.version)"] | unique'
}
permit() { # ID PORT
	printf '  - {id: %s, precedence: 10, flows: [{direction: uplink, protocol: udp, remote_port: %s}]}\n' "$1" "$2"
}

net_up
silence
mkdir "$DIR/policy"
{
	echo "rules:"
	permit voice 5001
	permit video 5002
} >"$DIR/policy/rules.yaml"
{
	echo "base_names:"
	echo "  media: [voice, video]"
} >"$DIR/policy/names.yaml"
write_config extra="policy: {directory: $DIR/policy}"
agent_start
one=$(imsi 1)
ip=$(ue4 1)

answer=$(old activate "{\"imsi\": \"IMSI$one\", \"ip\": \"$ip\", \"rule_ids\": [\"voice\", \"nobody\"],
	\"dynamic\": [{\"id\": \"dyn\", \"priority\": 5, \"udp_dst\": 5003, \"ipv4_dst\": \"$(host4 1)/32\"}],
	\"policies\": [{\"id\": \"video\", \"version\": 7}, {\"id\": \"unknown\", \"version\": 2}]}")
expect "results of rule_ids in field 1, the others in field 2" \
	'{"1":[["voice",0,0],["nobody",2,0]],"2":[["video",0,7],["unknown",2,2],["dyn",0,0]]}' "$(jq -c . <<<"$answer")"
expect "in force" '["dyn v0","video v7","voice v0"]' "$(rules "$one")"
for port in 5001 5002 5003; do
	sent=$(send_up "$ip" "$(host4 1)" --dport $port --count 10 --size 100)
	rule=$(sed 's/5001/voice/;s/5002/video/;s/5003/dyn/' <<<$port)
	expect "traffic of $rule" "$sent" "$(used "$ip" "$rule" uplink)"
done
sent=$(send_up "$ip" "$(host4 2)" --dport 5003 --count 7 --size 100)
expect "an old ipv4_dst is a destination: others are dropped" "$sent" "$(used "$ip" $DEFAULT_DROP uplink_dropped)"

# a base name, to a session with both families: each rule in each family
answer=$(call /magma.lte.Pipelined/ActivateFlows "{\"sid\": {\"id\": \"IMSI$(imsi 2)\"}, \"ip_addr\": \"$(ue4 2)\",
	\"ipv6_addr\": \"$(printf %s "$(ue6 2)" | base64)\", \"rule_ids\": [\"media\"]}")
expect "a base name stands for its rules" '["voice","video","voice","video"]' \
	"$(jq -c '[.static_rule_results[] | select(.result == "SUCCESS") | .rule_id]' <<<"$answer")"
expect "in force for the second subscriber" '["video v0","voice v0"]' "$(rules "$(imsi 2)")"

expect "deactivation by the old field" '{"1":[],"2":[]}' \
	"$(old deactivate "{\"imsi\": \"IMSI$one\", \"rule_ids\": [\"dyn\", \"nobody\"]}" | jq -c .)"
expect "without dyn" '["video v7","voice v0"]' "$(rules "$one")"
old deactivate "{\"imsi\": \"IMSI$one\", \"rule_ids\": [\"media\"]}" >/dev/null
expect "without the rules of the base name" '[]' "$(rules "$one")"
call /magma.lte.Pipelined/DeactivateFlows "{\"sid\": {\"id\": \"IMSI$(imsi 2)\"}, \"policies\": [{\"rule_id\": \"media\"}]}" >/dev/null
expect "no base names in the new field" '["video v0","voice v0"]' "$(rules "$(imsi 2)")"
old deactivate "{\"imsi\": \"IMSI$(imsi 2)\", \"rule_ids\": [\"media\"]}" >/dev/null
expect "without an address: of all sessions of the subscriber" '[]' "$(rules "$(imsi 2)")"

expect "sluicectl policies" '[["voice",false,[]],["video",false,[]],["media",true,["voice","video"]]]' \
	"$(ctl -o json policies | jq -c 'sort_by(.is_base_name, .line) | [.[] | [.name, .is_base_name, .rule_ids]]')"
