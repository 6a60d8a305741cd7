#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The host of a redirect URL is resolved by its time to live, for both families;
# a changed answer is followed, and the addresses before stay open for a while; a
# failed one leaves them as they are. Who asks for the server itself at an address
# that is not open is told so, and not sent there again.
. "$(dirname "$0")/../lib/net.sh"
. "$ROOT/selftests/lib/redirect.sh"

net_up
records=$DIR/records
resolver=198.51.100.11
server_is() { # ADDRESS4 ADDRESS6 TTL
	printf 'pay.example A %s %s\npay.example AAAA %s %s\n' "$3" "$1" "$3" "$2" >"$records.new"
	mv "$records.new" "$records"
}
server_is "$(host4 2)" "$(host6 2)" 5
spawn in_inet /usr/bin/python3 "$ROOT/selftests/lib/dns_server.py" $resolver 53 "$records" >"$DIR/dns.out"
eventually "the name server" 5 grep -q ready "$DIR/dns.out"
for family in 4 6; do
	for n in 1 2 3; do web_server "$INET" "$("host$family" $n)" 80 "real server $n"; done
done

mkdir "$DIR/policy"
static_rule() { # PRECEDENCE
	echo "rules: [{id: page, precedence: $1, redirect: {url: 'http://pay.example/'}}]" >"$DIR/policy/.new"
	mv "$DIR/policy/.new" "$DIR/policy/rules.yaml"
}
static_rule 5
write_config extra="redirect: {nameservers: [$resolver], others: drop}
policy: {directory: $DIR/policy}"
agent_start
open_session 1
activate
for family in 4 6; do redirect "$(imsi 1)" "$("ue$family" 1)" URL 'http://PAY.example/top-up?from=sluice'; done

opens() { # N: the server with that number is reachable over both families
	[[ $(fetch "$(ue4 1)" "$(url "$(host4 "$1")")" --max-time 2) = *"real server $1"* ]] &&
		[[ $(fetch "$(ue6 1)" "$(url "$(host6 "$1")")" --max-time 2) = *"real server $1"* ]]
}
asked() { grep -c 'pay.example A$' "$DIR/dns.out" || true; }

eventually "the server is open as soon as it is resolved" 5 opens 2
expect_text "the location" '^Location: http://PAY.example/top-up\?from=sluice$' "$(fetch "$(ue4 1)" "$(url "$(host4 1)")")"
expect "what is not resolved is not open" no "$(opens 3 && echo yes || echo no)"

# the subscriber's own resolver knows an address that ours does not
for asked in PAY.example pay.example. pay.example:80; do
	answer=$(fetch "$(ue4 1)" "$(url "$(host4 3)")" -H "Host: $asked")
	expect_text "no way round in circles for $asked" '^HTTP/1.1 503' "$answer"
	expect_text "when to try again" '^Retry-After: 10$' "$answer"
	expect_text "why" '^The address of pay.example .* is not known here yet' "$answer"
done
expect_text "a longer name is another host" '^HTTP/1.1 302' "$(fetch "$(ue4 1)" "$(url "$(host4 3)")" -H "Host: my.pay.example")"
expect "HEAD gets no text" "" "$(fetch "$(ue4 1)" "$(url "$(host4 3)")" -I -H "Host: pay.example" | sed '1,/^$/d')"
expect_text "whether he is captive is said all the same" '"captive":true' \
	"$(fetch "$(ue4 1)" "$(url "$(host4 3)")" -H "Host: pay.example" -H 'Accept: application/captive+json')"
expect_text "the rest is dropped here, not answered" '^curl: 28' \
	"$(fetch "$(ue4 1)" "$(url "$(host4 1)" 5000)" --max-time 1)"
expect "answers" "0 0" "$(passed answer downlink)"
expect_text "TLS is reset all the same" '^curl: 7' "$(fetch "$(ue4 1)" "$(url "$(host4 1)" 443)")"
view() { ctl -o json redirects | jq -r '.servers[] | select(.host == "pay.example") | '"$1"; }
expect "the addresses in status" "$(host4 2) $(host6 2)" "$(view '.addresses | join(" ")')"

# names are answered through the gateway while redirected, the server's own included
expect_text "DNS of the subscriber" '^answer' "$(in_sub python3 - "$(ue4 1)" $resolver <<-'END'
	import socket, sys
	s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
	s.bind((sys.argv[1], 0))
	s.settimeout(3)
	s.sendto(b"\0\1\1\0\0\1\0\0\0\0\0\0\3pay\7example\0\0\1\0\1", (sys.argv[2], 53))
	print("answer", len(s.recv(512)))
END
)"

# asked again when its 5 s are over; the new address opens, the old one is held, counts go on
before=$(asked)
counted_before=$(used "$(ue4 1)" redirect uplink)
server_is "$(host4 3)" "$(host6 3)" 5
eventually "the changed answer is followed" 15 opens 3
expect "the old address stays open, somebody is using it" yes "$(opens 2 && echo yes || echo no)"
expect "in status the new ones" "$(host4 3) $(host6 3)" "$(view '.addresses | join(" ")')"
expect "and the held ones apart" "$(host4 2) $(host6 2)" "$(view '[.held[].address] | join(" ")')"
held_for=$(view '.held[0].left_ms')
[ "$held_for" -gt 570000 ] && [ "$held_for" -le 600000 ] || fail "held for $held_for ms, not ten minutes"
expect_text "for people, too" "^- +$(host4 2) +9m" "$(ctl redirects)"
expect_text "of one that is in the answer nothing is said" "^pay.example +$(host4 3) +- +0 " "$(ctl redirects)"
[ "$(asked)" -gt "$before" ] || fail "the name server was not asked again"
[ "$(used "$(ue4 1)" redirect uplink | cut -d' ' -f1)" -gt "${counted_before% *}" ] || fail "counts went back"

# a failure is visible and tried again; what the last good answer opened stays open
echo 'pay.example fail' >"$records.new" && mv "$records.new" "$records"
failing() { [ "$(view .failures)" -gt "$1" ]; }
eventually "the failure is visible" 15 failing 0
expect_text "its reason" 'timed out' "$(view .error)"
eventually "it is tried again" 10 failing 1
expect "the last good answer holds" yes "$(opens 3 && echo yes || echo no)"
expect_text "the log" 'event=redirect-server-unresolved host=pay.example' "$(cat "$LOG")"
expect_text "for people" 'pay\.example +198' "$(ctl redirects)"

# the same over a restart while no name server answers: what was open stays open
echo 'pay.example silent' >"$records.new" && mv "$records.new" "$records"
call /magma.lte.Pipelined/ActivateFlows "{\"sid\": {\"id\": \"IMSI$(imsi 2)\"}, \"ip_addr\": \"$(ue4 2)\",
	\"policies\": [{\"version\": 1, \"rule\": {\"id\": \"page\"}}]}" >/dev/null
static_opens() { [[ $(fetch "$(ue4 2)" "$(url "$(host4 3)")" --max-time 2) = *"real server 3"* ]]; }
expect "a rule of the directory that redirects there" yes "$(static_opens && echo yes || echo no)"
agent_stop
static_rule 6
agent_start
expect "open after a restart without an answer" yes "$(opens 3 && echo yes || echo no)"
expect "and for a rule that the directory has changed meanwhile" yes "$(static_opens && echo yes || echo no)"
expect "which is the new one" 6 "$(call /sluice.v1.Admin/ListSessions '{"rules": true}' |
	jq '[.sessions[].rules[]? | select(.rule_id == "page") | .precedence][0]')"
for family in 4 6; do redirect "$(imsi 1)" "$("ue$family" 1)" URL 'http://PAY.example/top-up?from=sluice'; done
expect "open after the same activation" yes "$(opens 3 && echo yes || echo no)"
server_is "$(host4 2)" "$(host6 2)" 5
recovered() { [ "$(view '.addresses | join(" ")')" = "$(host4 2) $(host6 2)" ]; }
eventually "it recovers by itself" 30 recovered
expect "open" yes "$(opens 2 && echo yes || echo no)"
expect "no error any more" "" "$(view .error)"
expect "what the last run knew is held now" "$(host4 3) $(host6 3)" "$(view '[.held[].address] | join(" ")')"

# a second host that does not exist, and one that is nobody's any more
redirect "$(imsi 1)" "$(ue4 1)" URL http://nowhere.example/ 2
eventually "a name that does not exist" 5 grep -q 'host=nowhere.example reason="name does not exist"' "$LOG"
expect_text "who asks for that very name" '^HTTP/1.1 503' "$(fetch "$(ue4 1)" "$(url "$(host4 1)")" -H 'Host: nowhere.example')"
expect_text "302 all the same" '^Location: http://nowhere.example/$' "$(fetch "$(ue4 1)" "$(url "$(host4 1)")")"
