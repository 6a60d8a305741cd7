#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The examples of redirected, restricted and terminated subscribers, as they stand
# in docs/operations.md, but with the addresses of this network.
. "$(dirname "$0")/../lib/net.sh"
. "$ROOT/selftests/lib/redirect.sh"

UE=$(ue4 1)
SERVER=$(host4 1)
OTHER=$(host4 2)

# example CHAPTER N: the chapter's Nth block of YAML
example() {
	awk -v chapter="## $1" -v n="$2" '
		/^## / { here = $0 == chapter }
		/^```/ && inside { inside = 0; next }
		here && /^```yaml/ { inside = ++count == n; next }
		inside' "$ROOT/docs/operations.md" |
		sed -e "s/192\.0\.2\.80/$SERVER/g" -e "s/10\.45\.0\.2/$UE/g" >"$DIR/example.yaml"
	[ -s "$DIR/example.yaml" ] || fail "no example $2 in the chapter \"$1\""
}
activated() { # CHAPTER N: by itself, in a session that was not there
	ctl deactivate "$(imsi 1)" --ip "$UE" --end-session >/dev/null 2>&1 || true
	example "$1" "$2"
	ctl activate -f "$DIR/example.yaml" >"$DIR/out" 2>&1 || fail "$1, example $2: $(cat "$DIR/out")"
}
state() { ctl -o json sessions | jq -r --arg ue "$UE" '.[] | select(.address == $ue) | .state'; }
web() { # ADDRESS [PORT]: open or closed
	if [[ $(fetch "$UE" "$(url "$1" "${2:-80}")" --max-time 1) = *"server on $1"* ]]; then echo open; else echo closed; fi
}
dropped() { # REASON: packets, uplink
	ctl -o json drops | jq --arg reason "$1" '[.drops[] | select(.name == $reason) | .uplink_packets] | add // 0'
}
echoes() { in_sub ping -c 1 -W 1 -I "$UE" "$1" >/dev/null 2>&1 && echo open || echo closed; }

net_up
# one that never answers: final usage waits for it
write_config session_manager=127.0.0.1:50099
agent_start
for address in "$SERVER" "$OTHER"; do
	for port in 80 5000; do web_server "$INET" "$address" $port "server on $address"; done
done

# --- redirected -------------------------------------------------------------------------
session "$(imsi 1)" "$UE"
rule internet 1000
flow both permit
activate
redirect "$(imsi 1)" "$UE" IPv4 "$SERVER"
expect "a server is open for everything" "open open open" "$(web "$SERVER") $(web "$SERVER" 5000) $(echoes "$SERVER")"
activated "Redirected subscribers" 1
expect "redirected" redirected "$(state)"
expect_text "the portal" "^Location: http://$SERVER/" "$(fetch "$UE" "$(url "$OTHER")")"
expect "only web" "open closed closed" "$(web "$SERVER") $(web "$SERVER" 5000) $(echoes "$SERVER")"
expect_text "it is that rule" '^[1-9]' "$(used "$UE" only-web uplink_dropped)"

# --- restricted ----------------------------------------------------------------------------
for n in 1 2; do
	activated "Restricted subscribers" $n
	expect "example $n: nothing else is said" 0 "$(grep -c 'note\|only one' "$DIR/out" || true)"
	expect "example $n" restricted "$(state)"
	expect "example $n: the server and nothing else" "open closed closed" \
		"$(web "$SERVER") $(web "$OTHER") $(echoes "$OTHER")"
	expect "example $n: the rate" '[256000,512000]' "$(ctl -o json session "$(imsi 1)" |
		jq -c '[.[0].rules[] | select(.mbr_uplink > 0) | .mbr_uplink, .mbr_downlink]')"
	if [ $n = 1 ]; then
		ctl deactivate "$(imsi 1)" --ip "$UE" --rule open-while-restricted --rule closed-while-restricted >/dev/null
		expect "new credit" "active open" "$(state) $(web "$OTHER")"
	fi
done

# a list of one direction
sed '/permit out/d' "$DIR/example.yaml" >"$DIR/one-way.yaml"
ctl activate -f "$DIR/one-way.yaml" >"$DIR/out" 2>&1 || fail "$(cat "$DIR/out")"
expect_text "a warning with its place" 'one-way.yaml:[0-9]+: .*filters: restricts .* all downlink is dropped' "$(cat "$DIR/out")"
expect "and so it is" closed "$(web "$SERVER")"

# --- terminated ------------------------------------------------------------------------------
activated "Terminated subscribers" 1
expect "before" "active open" "$(state) $(web "$OTHER")"
before=$(dropped unknown-subscriber)
ctl deactivate "$(imsi 1)" --ip "$UE" --end-session >/dev/null
expect "afterwards" "ended closed" "$(state) $(web "$OTHER")"
[ "$(dropped unknown-subscriber)" -gt "$before" ] || fail "nothing is counted as unknown-subscriber"
expect "usage is final" retired "$(ctl -o json usage | jq -r '[.[] | select(.rule_id == "internet") | .state] | unique | join(" ")')"
