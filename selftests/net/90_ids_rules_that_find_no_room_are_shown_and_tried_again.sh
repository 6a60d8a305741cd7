#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# An IDS rule whose interface finds no slot: the rules before stay, status, `ids rules` and metrics say so and
# why, and when there is room again it comes into force by itself.
. "$(dirname "$0")/../lib/net.sh"

STEERS=64 # SLUICE_STEERS

fetch() { in_gw curl -sS --max-time 10 http://127.0.0.1:9464/metrics; }
metric() { fetch | awk -v name="$1" '$1 == name { print $2 }'; }
names() { ctl -o json ids rules | jq -r '[.rules[].name] | join(" ")'; }
has_names() { [ "$(names)" = "$1" ]; }
ids_rules() { # NAME [MORE]...
	echo "ids:"
	while [ $# -gt 0 ]; do
		echo "  - {name: $1, match: {direction: uplink}, track: subscriber, limit: {count: 5, window: 1s}$2}"
		shift 2
	done
}
reread() { # EVENT
	kill -HUP "$AGENT_PID"
	eventually "$1" 5 grep -q "event=$1" "$LOG"
}

net_up
mkdir "$DIR/policy"
ids_rules first "" >"$DIR/policy/ids.yaml"
write_config extra="policy: {directory: $DIR/policy}
http: {listen: 127.0.0.1:9464}"
agent_start
expect "in force" first "$(names)"
expect "status" "1 0 -" "$(ctl -o json status | jq -r '.ids | "\(.rules) \(.blocks) -\(.problem // "")"')"

# every slot is a rule's of the session
{
	echo "sessions:"
	echo "  - imsi: \"$(imsi 1)\""
	echo "    ipv4: $(ue4 1)"
	echo "    rules:"
	for ((n = 0; n < STEERS; n++)); do
		echo "      - {id: r$n, version: 1, precedence: $n, steer: {mirror: none$n}, flows: [{direction: uplink}]}"
	done
} >"$DIR/session.yaml"
ctl activate -f "$DIR/session.yaml" >/dev/null
ids_rules first "" second ", verdict: mirror, mirror: none99" >"$DIR/policy/ids.yaml"
reread ids-rules-refused
why="rule second: mirror: the map steers is full"
expect "those before stay" first "$(names)"
ctl ids rules | grep -q "NOT IN FORCE as read; these stay: $why" || fail "ids rules: $(ctl ids rules)"
ctl status | grep -q "rules NOT IN FORCE as read: $why" || fail "status: $(ctl status)"
expect "metrics" 0 "$(metric sluice_ids_rules_are_good)"
[ "$(metric 'sluice_ids_rules_changes_total{result="refused"}')" -ge 1 ] || fail "no refusal was counted"

ctl deactivate "$(imsi 1)" --ip "$(ue4 1)" --end-session >/dev/null
eventually "both are in force, without another reading" 15 has_names "first second"
expect "metrics, then" 1 "$(metric sluice_ids_rules_are_good)"
expect "said once" 1 "$(grep -c 'event=ids-rules-refused' "$LOG")"
! ctl status | grep "NOT IN FORCE" || fail "status still complains"
