#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Chromium, headless, behind a redirected address: asks for a page it cannot have
# and shows that of the rule's server, found by name, with its own second request.
. "$(dirname "$0")/../lib/net.sh"
. "$ROOT/selftests/lib/redirect.sh"

command -v chromium >/dev/null || skip "no chromium (tools/deps.sh browser)"
net_up
echo 'pay.example A 60 198.51.100.12
pay.example AAAA 60 2001:db8:ffff::2
news.example A 60 198.51.100.11
news.example AAAA 60 2001:db8:ffff::1' >"$DIR/records"
spawn in_inet /usr/bin/python3 "$ROOT/selftests/lib/dns_server.py" 198.51.100.11 53 "$DIR/records" >"$DIR/dns.out"
eventually "the name server" 5 grep -q ready "$DIR/dns.out"
for family in 4 6; do
	web_server "$INET" "$("host$family" 1)" 80 "the news"
	web_server "$INET" "$("host$family" 2)" 80 "<script>document.write('please ' + 'top up')</script>"
done
# the subscriber has one address of each family, so that the browser uses it
for ((n = 2; n <= UES; n++)); do
	ip -n "$SUB" address delete "$(ue4 $n)/16" dev sub0
	ip -n "$SUB" address delete "$(ue6 $n)/64" dev sub0
done
write_config extra="redirect: {nameservers: [198.51.100.11]}"
agent_start
open_session 1
activate

mkdir "$DIR/etc"
echo "nameserver 198.51.100.11" >"$DIR/etc/resolv.conf"
echo "hosts: dns" >"$DIR/etc/nsswitch.conf"
# browse URL: what the page shows after its scripts have run
browse() {
	rm -rf "$DIR/profile"
	in_sub unshare --mount sh -c '
		mount --bind "$1/resolv.conf" /etc/resolv.conf && mount --bind "$1/nsswitch.conf" /etc/nsswitch.conf && shift &&
		exec timeout -k 5 40 "$@"' sh "$DIR/etc" chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage \
		--no-first-run --disable-background-networking --disable-features=HttpsUpgrades,HttpsFirstBalancedModeAutoEnable \
		--user-data-dir="$DIR/profile" --dump-dom "$1" 2>"$DIR/browser.err" || fail "chromium: $(tail -3 "$DIR/browser.err")"
}

expect_text "with credit" 'the news' "$(browse http://news.example/today)"
for family in 4 6; do redirect "$(imsi 1)" "$("ue$family" 1)" URL http://pay.example/; done
eventually "the server is resolved" 10 sh -c "'$BUILD/sluicectl' --socket '$SOCKET' redirects | grep -q 198.51.100.12"
page=$(browse http://news.example/today)
expect_text "without credit" 'please top up' "$page"
if grep -q 'the news' <<<"$page"; then fail "the page it asked for was shown: $page"; fi
for family in 4 6; do redirect_end "$(imsi 1)" "$("ue$family" 1)"; done
expect_text "with new credit" 'the news' "$(browse http://news.example/today)"
