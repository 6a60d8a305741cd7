#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Lists come in pages of 500 items or 2,000 details: what ends exactly at a page,
# and one subscriber whose sessions need several, come whole and once.
. "$(dirname "$0")/../lib/net.sh"

rules() { # first, count: rules as YAML
	local n
	for ((n = $1; n < $1 + $2; n++)); do
		printf '      - {id: r%d, precedence: %d, flows: [{direction: uplink, protocol: udp, remote_port: %d}]}\n' \
			"$n" "$n" "$((n + 1))"
	done
}

net_up
write_config limits="{sessions: 64, usage: 16384, rules: 2048, flows: 8192, matches: 4096, bindings: 16384}" \
	session_manager=127.0.0.1:50065 interval=500ms
agent_start

# 501 rules, 500 of them retired and never acknowledged: one page exactly, then those in force
{
	printf 'sessions:\n  - imsi: "%s"\n    ipv4: %s\n    rules:\n' "$(imsi 1)" "$(ue4 1)"
	rules 0 501
} >"$DIR/many.yaml"
expect_code "activation of 501 rules" 0 ctl activate -f "$DIR/many.yaml"
names=()
for ((n = 0; n < 500; n++)); do names+=(--rule "r$n"); done
expect_code "deactivation of 500 rules" 0 ctl deactivate "$(imsi 1)" --ip "$(ue4 1)" "${names[@]}"
expect "usage: retired, in force, default drop" "502 500" \
	"$(ctl -o json usage | jq -r '"\(length) \([.[] | select(.state == "retired")] | length)"')"
expect "usage of what is in force" '["internal_default_drop_flow_rule","r500"]' \
	"$(ctl -o json usage | jq -c '[.[] | select(.state != "retired") | .rule_id] | sort')"

# three sessions of one subscriber with 1,000 rules each
for ue in 2 3 4; do
	{
		printf 'sessions:\n  - imsi: "%s"\n    ipv4: %s\n    rules:\n' "$(imsi 2)" "$(ue4 $ue)"
		rules 0 1000
	} >"$DIR/long.yaml"
	expect_code "activation of 1,000 rules" 0 ctl activate -f "$DIR/long.yaml"
done
expect "the sessions of one subscriber" "3 3000" \
	"$(ctl -o json session "$(imsi 2)" | jq -r '(if type == "array" then . else [.] end) | "\(length) \([.[].rules[]] | length)"')"
expect "each of them once" 3 "$(ctl -o json session "$(imsi 2)" | jq -r '(if type == "array" then . else [.] end)[].address' | sort -u | wc -l)"
