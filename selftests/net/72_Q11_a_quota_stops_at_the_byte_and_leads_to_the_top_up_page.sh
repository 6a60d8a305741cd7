#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A subscriber uses up what was granted: not a byte more passes, the next web page
# is the top-up page; more credit opens all; nothing is granted twice, over kill -9
# neither, and while no agent runs the quota stops all the same.
. "$(dirname "$0")/../lib/net.sh"
. "$ROOT/selftests/lib/redirect.sh"

VOLUME=200000
SIZE=1000 # of a packet of the stream, IP bytes

# subscriber GRANT [VOLUME]: both families, one quota for all of it
subscriber() {
	session "$(imsi 1)" "$(ue4 1)"
	sed -i "s|    ipv4: $(ue4 1)\$|&\n    ipv6: $(ue6 1)\n    quotas: [{session: true, volume: ${2:-$VOLUME}, threshold: 80%, grant: $1}]|" "$SESSIONS"
	rule all 100
	flow uplink permit
	flow downlink permit
	{
		printf '      - id: top-up\n        final: true\n'
		printf '        redirect: {ipv4: %s}\n' "$(host4 2)"
	} >>"$SESSIONS"
}
quota() { # FIELD
	ctl -o json quotas "$(imsi 1)" | jq -r ".[0].$1"
}
all_used() { # what passed under the rule, both families, both ways
	ctl -o json usage | jq '[.[] | select(.rule_id == "all") | .usage.uplink_bytes + .usage.downlink_bytes] | add'
}
stream() { # packets of both families
	send_up "$(ue4 1)" "$(host4 1)" --dport 5001 --size $SIZE --count "$1" >/dev/null
	send_up "$(ue6 1)" "$(host6 1)" --dport 5001 --size $SIZE --count "$1" >/dev/null
}
is_stopped() { # WHAT LIMIT: a packet of the stream at most is left of it
	local got
	got=$(all_used)
	[ "$got" -le "$2" ] || fail "$1: $got bytes have passed, granted were $2"
	[ "$got" -gt $(($2 - SIZE - 100)) ] || fail "$1: only $got bytes have passed of $2"
	expect "$1: what is shown as used" "$got" "$(quota used_bytes)"
	expect "$1: state" true "$(quota used_up)"
	echo "$1: granted $2, passed $got"
}
events() { jq -r 'select(.event | startswith("quota-")) | "\(.event) \(.grant)"' "$DIR/watch" | tr '\n' ','; }
told() { [ "$(events)" = "$1" ]; }

net_up
write_config mode="${1:-tc}"
agent_start
spawn ctl -o json watch >"$DIR/watch" 2>/dev/null
sleep 0.5
site=$(url "$(host4 1)")
for n in 1 2; do web_server "$INET" "$(host4 $n)" 80 "real server $n"; done

subscriber 1
activate
expect_text "with credit" 'real server 1' "$(fetch "$(ue4 1)" "$site")"
stream 70
expect "the threshold is not reached" false "$(quota threshold_reached)"
stream 20
expect "the threshold is reached" true "$(quota threshold_reached)"
expect "and nothing used up" false "$(quota used_up)"
stream 60
is_stopped "the first grant" $VOLUME
[ "$(dropped redirected uplink | cut -d" " -f1)" -gt 50 ] || fail "what did not fit was not decided by the final rule"
eventually "three events, in order" 5 told "quota-granted 1,quota-threshold 1,quota-used-up 1,"

answer=$(fetch "$(ue4 1)" "$site")
expect_text "without credit" '^HTTP/1.1 302 ' "$answer"
expect "where to" "$(url "$(host4 2)")" "$(sed -n 's/^Location: //p' <<<"$answer")"
expect_text "the top-up page is open" 'real server 2' "$(fetch "$(ue4 1)" "$site" --location)"
stream 20
is_stopped "what was left open is not charged" $VOLUME

subscriber 1
activate
stream 5
is_stopped "the same grant again" $VOLUME
subscriber 2 100000
activate
expect_text "with credit again" 'real server 1' "$(fetch "$(ue4 1)" "$site")"
expect "more from now on" $(($(quota used_bytes) + $(quota left_bytes))) "$(quota limit_bytes)"
limit=$(quota limit_bytes)

# the agent is killed in the middle; the stream goes on
stream 20
agent_stop KILL
stream 80
agent_start
is_stopped "while no agent ran" "$limit"
subscriber 2 100000
activate
is_stopped "the grant again after a restart" "$limit"
expect_text "still without credit" '^HTTP/1.1 302 ' "$(fetch "$(ue4 1)" "$site")"

# without the quota: the rule goes on
printf 'sessions:\n  - {imsi: %s, ipv4: %s, ipv6: "%s", quotas: [{session: true, remove: true}]}\n' \
	"$(imsi 1)" "$(ue4 1)" "$(ue6 1)" >"$SESSIONS"
activate
expect_text "without a quota" 'real server 1' "$(fetch "$(ue4 1)" "$site")"
stream 200
[ "$(all_used)" -gt $((limit + 300 * SIZE)) ] || fail "the rule did not go on without its quota"
expect "no quota is left" 0 "$(ctl -o json quotas | jq length)"
