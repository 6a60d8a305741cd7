#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A subscriber without credit asks for any web page and is sent to the server of
# his rule, over IPv4 and IPv6; the rest is refused at once; new credit opens all.
. "$(dirname "$0")/../lib/net.sh"
. "$ROOT/selftests/lib/redirect.sh"

net_up
session_manager_start
write_config mode="${1:-tc}" session_manager=127.0.0.1:50065 extra="redirect: {others: reject}"
agent_start
for n in 1 2; do open_session $n; done
activate
for family in 4 6; do
	for n in 1 2; do web_server "$INET" "$("host$family" $n)" 80 "real server $n"; done
	web_server "$INET" "$("host$family" 1)" 443 "real TLS server"
done

declare -A type=([4]=IPv4 [6]=IPv6)
for family in 4 6; do
	ue=$("ue$family" 1) other=$("ue$family" 2)
	site=$(url "$("host$family" 1)") server=$("host$family" 2)
	expect_text "IPv$family before" 'real server 1' "$(fetch "$ue" "$site")"

	redirect "$(imsi 1)" "$ue" "${type[$family]}" "$server"
	answer=$(fetch "$ue" "${site}some/page?with=query")
	expect_text "IPv$family: any page" '^HTTP/1.1 302 ' "$answer"
	expect "IPv$family: where to" "$(url "$server")" "$(sed -n 's/^Location: //p' <<<"$answer")"
	expect "IPv$family: not to be kept" no-store "$(sed -n 's/^Cache-Control: //p' <<<"$answer")"
	expect_text "IPv$family: HEAD" '^HTTP/1.1 302 ' "$(fetch "$ue" "$site" --head)"
	expect_text "IPv$family: POST" '^HTTP/1.1 302 ' "$(fetch "$ue" "$site" --data x=1)"
	answer=$(fetch "$ue" "$site" --request PUT --data x=1)
	expect_text "IPv$family: PUT" '^HTTP/1.1 405 ' "$answer"
	expect_text "IPv$family: what is allowed" '^Allow: GET, HEAD, POST' "$answer"
	expect_text "IPv$family: the redirection is followed" 'real server 2' "$(fetch "$ue" "$site" --location)"
	# an address that nobody has, not even a router's answer for
	expect_text "IPv$family: a server that does not exist" '^HTTP/1.1 302 ' "$(fetch "$ue" "$(url "$("host$family" 77)")")"

	# RFC 8908
	answer=$(fetch "$ue" "$site" --header 'Accept: application/captive+json')
	expect_text "IPv$family: the API's type" '^Content-Type: application/captive\+json' "$answer"
	expect "IPv$family: captive" "{\"captive\":true,\"user-portal-url\":\"$(url "$server")\"}" "$(tail -1 <<<"$answer")"
	expect_text "IPv$family: the API's path" '"captive":true' "$(fetch "$ue" "${site}captive-portal/api")"

	# who is not redirected notices nothing, and is a stranger to the portal
	expect_text "IPv$family: the neighbour" 'real server 1' "$(fetch "$other" "$site")"
	gateway=10.60.255.254
	[ $family = 4 ] || gateway=2001:db8:ffff::fe
	expect_text "IPv$family: the portal's own port" '^HTTP/1.1 404 ' "$(fetch "$other" "$(url $gateway 8088)")"
	expect_text "IPv$family: the API there" '"captive":false' "$(fetch "$other" "$(url $gateway 8088)captive-portal/api")"
	expect_text "IPv$family: from the internet" '^HTTP/1.1 404 ' \
		"$(in_inet curl -gsi --max-time 5 --header 'Accept: application/captive+json' "$(url $gateway 8088)")"

	# the rest is refused at once: by a reset, by ICMP
	started=$(date +%s%N)
	expect "IPv$family: TLS" "curl: 7" "$(fetch "$ue" "$(url "$("host$family" 1)" 443)")"
	expect "IPv$family: another TCP port" "curl: 7" "$(fetch "$ue" "$(url "$("host$family" 1)" 5000)")"
	took=$((($(date +%s%N) - started) / 1000000))
	[ $took -lt 1000 ] || fail "IPv$family: refused after $took ms"
	expect_text "IPv$family: ping" '[Ff]iltered|prohibited' "$(in_sub ping -c 1 -W 2 -I "$ue" "$("host$family" 1)" || true)"
	in_sub python3 - "$ue" "$("host$family" 1)" <<-'END' || fail "IPv$family: no ICMP for UDP"
		import socket, sys
		family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
		s = socket.socket(family, socket.SOCK_DGRAM)
		s.bind((sys.argv[1], 0))
		s.settimeout(2)
		s.connect((sys.argv[2], 5001))
		s.send(b"x" * 600)
		try:
		    s.recv(1)
		except TimeoutError:
		    sys.exit(1)
		except OSError as error:
		    sys.exit(0 if error.errno in (113, 13) else 2)
	END
done

# every answer that we made had its checksums right, and was counted as ours
expect_text "answers are counted" '^[0-9]' "$(passed answer downlink)"
[ "$(passed answer downlink | cut -d' ' -f1)" -ge 8 ] || fail "answers counted: $(passed answer downlink)"
expect "dropped by redirection and answered" "$(dropped redirected uplink | cut -d' ' -f1)" "$(passed answer downlink | cut -d' ' -f1)"
expect "the state of the session" redirected "$(ctl -o json session "$(imsi 1)" | jq -r 'first(.. | .state? // empty)')"

# usage of the redirect rule is reported as the final unit's
reported() {
	jq -e --arg sid "IMSI$(imsi 1)" 'select(.records | any(.sid == $sid and .rule_id == "redirect" and
		(.bytes_tx | tonumber) > 0 and (.bytes_rx | tonumber) > 0 and (.dropped_tx | tonumber) > 0))' "$REPORTS" | grep -q .
}
eventually "the redirect rule's usage in a report" 10 reported

# kill -9: a redirected subscriber stays contained, and is served again after the next start
agent_stop KILL
for family in 4 6; do
	expect_text "IPv$family: contained without an agent" '^curl: (28|7)$' \
		"$(fetch "$("ue$family" 1)" "$(url "$("host$family" 1)")" --max-time 2)"
	expect "IPv$family: TLS without an agent" "curl: 7" "$(fetch "$("ue$family" 1)" "$(url "$("host$family" 1)" 443)")"
	expect_text "IPv$family: the neighbour without an agent" 'real server 1' \
		"$(fetch "$("ue$family" 2)" "$(url "$("host$family" 1)")")"
done
agent_start
[ "$(dropped portal-down uplink | cut -d' ' -f1)" -gt 0 ] || fail "nothing was dropped as portal-down"
expect "one set of rules for each family" "2 2" \
	"$(in_gw ip rule | grep -c 0xfffe) $(in_gw ip -6 rule | grep -c 0xfffe)"

# the same by a session manager's setup, after which the counts of what stays go on
agent_stop
write_config mode="${1:-tc}" session_manager=127.0.0.1:50065 startup=wait-for-setup
agent_start
before=$(used "$(ue4 1)" redirect uplink)
[ "${before% *}" -gt 0 ] || fail "nothing was counted before the setup"
setup() { # REQUEST...
	call /magma.lte.Pipelined/SetupPolicyFlows "$(printf '%s\n' "$@" |
		jq -s -c --argjson epoch "$(status epoch)" '{requests: ., epoch: $epoch}')"
}
expect_text "setup" SUCCESS "$(setup "$(redirect_request "$(imsi 1)" "$(ue4 1)" IPv4 "$(host4 2)")" \
	"$(redirect_request "$(imsi 1)" "$(ue6 1)" IPv6 "$(host6 2)")" "$(redirect_request "$(imsi 2)" "$(ue4 2)" IPv4 "$(host4 2)")")"
expect "counts over the setup" "$before" "$(used "$(ue4 1)" redirect uplink)"
expect_text "redirected by the setup" '^HTTP/1.1 302 ' "$(fetch "$(ue4 2)" "$(url "$(host4 1)")")"
open_session 1
activate

# new credit: traffic flows again at once
for family in 4 6; do
	ue=$("ue$family" 1) site=$(url "$("host$family" 1)")
	expect_text "IPv$family after the restart" '^HTTP/1.1 302 ' "$(fetch "$ue" "$site")"
	redirect_end "$(imsi 1)" "$ue"
	expect_text "IPv$family with new credit" 'real server 1' "$(fetch "$ue" "$site")"
	expect_text "IPv$family: TLS with new credit" 'real TLS server' "$(fetch "$ue" "$(url "$("host$family" 1)" 443)")"
done
expect "the state afterwards" active "$(ctl -o json session "$(imsi 1)" | jq -r 'first(.. | .state? // empty)')"
