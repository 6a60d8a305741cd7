#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The portal's bounds; hosts with SYN cookies, strict reverse paths, copied marks
# or a web server of their own; what is in the way is named and not touched.
. "$(dirname "$0")/../lib/net.sh"
. "$ROOT/selftests/lib/redirect.sh"

net_up
# somebody else's route in our table, somebody else's server on our port
write_config
ip -n "$GW" route add blackhole default table 20814
in_gw ip route show table 20814 >"$DIR/table"
expect_code "a start beside a foreign route" 1 in_gw "$AGENT" --config "$CONFIG"
expect_text "it is named" 'redirect.table: table 20814 has a default route of somebody else' "$(cat "$DIR/err")"
expect "it stays" "$(cat "$DIR/table")" "$(in_gw ip route show table 20814)"
[ ! -e "$PINS" ] || fail "a start that failed left pins"
ip -n "$GW" route delete blackhole default table 20814
spawn nsenter --net="/run/netns/$GW" -- /usr/bin/python3 -c 'import socket, time; s = socket.create_server(("127.0.0.1", 8088)); time.sleep(60)'
eventually "the port is taken" 5 listens "$GW" 8088
expect_code "a start beside a foreign listener" 1 in_gw "$AGENT" --config "$CONFIG"
expect_text "the port is named" 'redirect.portal_port: cannot listen on port 8088' "$(cat "$DIR/err")"
expect "no rule is left" 0 "$(in_gw ip rule | grep -c 0xfffe || true)"
kill -KILL "$SPAWNED"
finish "$SPAWNED"

# no portal at all: said aloud
write_config extra="redirect: {portal_port: 0}"
agent_start
open_session 1
activate
answer=$(call /magma.lte.Pipelined/ActivateFlows "$(redirect_request "$(imsi 1)" "$(ue4 1)" IPv4 "$(host4 2)")")
expect_text "refused without a portal" 'FAILURE.*redirect.portal_port is 0' "$answer"
expect "no rule, no route" "0 0" "$(in_gw ip rule | grep -c 0xfffe || true) $(in_gw ip route show table 20814 2>/dev/null | wc -l)"
ctl detach >/dev/null
finish "$AGENT_PID"

# a host that does everything that could be in the way, with a web server of its own
in_gw sysctl -qw net.ipv4.tcp_syncookies=2 net.ipv4.tcp_fwmark_accept=1 net.ipv4.fwmark_reflect=1 net.ipv6.fwmark_reflect=1 \
	net.ipv4.conf.all.rp_filter=1 net.ipv4.conf.acc0.rp_filter=1 net.ipv4.conf.all.src_valid_mark=1
web_server "$GW" 0.0.0.0 80 "the gateway's own pages"
for family in 4 6; do web_server "$INET" "$("host$family" 1)" 80 "real server 1"; done
write_config extra="redirect: {table: 999999, rule_priority: 77}"
agent_start
for n in 1 2; do open_session $n; done
activate
expect_text "the configured rules" '^78:.*fwmark 0xfffe/0xffff lookup 999999' "$(in_gw ip rule)"
answer=$(call /magma.lte.Pipelined/ActivateFlows "$(redirect_request "$(imsi 1)" "$(ue4 1)" SIP_URI sip:x@y)")
expect_text "a SIP URI is refused aloud" 'FAILURE.*SIP_URI' "$answer"

# a connection from before the redirection is reset, not left to time out
cat >"$DIR/before.py" <<-'END'
	import socket, sys, time
	family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
	s = socket.socket(family, socket.SOCK_STREAM)
	s.bind((sys.argv[1], 0))
	s.connect((sys.argv[2], 80))
	print("connected", flush=True)
	sys.stdin.readline()
	s.settimeout(3)
	s.send(b"GET / HTTP/1.0\r\n\r\n")
	try:
	    print(s.recv(10))
	except ConnectionResetError:
	    print("reset")
END
for family in 4 6; do
	mkfifo "$DIR/go$family"
	spawn in_sub /usr/bin/python3 "$DIR/before.py" "$("ue$family" 1)" "$("host$family" 1)" <>"$DIR/go$family" >"$DIR/before$family"
	eventually "the older connection" 5 grep -q connected "$DIR/before$family"
done
redirect "$(imsi 1)" "$(ue4 1)" IPv4 "$(host4 2)"
redirect "$(imsi 1)" "$(ue6 1)" IPv6 "$(host6 2)"
for family in 4 6; do
	echo >"$DIR/go$family"
	eventually "IPv$family: the older connection is reset" 3 grep -q '^reset' "$DIR/before$family"
	ue=$("ue$family" 1) site=$(url "$("host$family" 1)")
	expect_text "IPv$family on such a host" '^HTTP/1.1 302 ' "$(fetch "$ue" "$site")"
done
[ "$(in_gw nstat -asz TcpExtSyncookiesRecv | awk '/Syncookies/ { print $2 }')" -gt 0 ] || fail "no SYN cookie was used: the test proves nothing"
expect_text "the gateway's own page for others" "gateway's own" "$(fetch "$(ue4 2)" "$(url 10.60.255.254)")"
expect_text "and not for who is redirected" '^HTTP/1.1 302 ' "$(fetch "$(ue4 1)" "$(url 10.60.255.254)")"

# a firewall that gives packets from the core, or those of this host, the mark of an answer
in_gw nft 'table inet marks {
	chain forwarded { type filter hook prerouting priority mangle; iifname "core0" meta mark set 0xffff; }
	chain made { type route hook output priority mangle; oifname "acc0" meta mark set 0xffff; }
}'
answers=$(passed answer downlink)
before=$(used "$(ue4 1)" all downlink)
send_down "$(host4 3)" "$(ue4 1)" --sport 4000 --dport 4001 --count 5 --size 100 >/dev/null
for _ in 1 2 3; do in_gw bash -c "echo -n sluice >/dev/udp/$(ue4 1)/4001"; done
expect "the subscriber's rules have judged them" "8 602" "$(minus "$(used "$(ue4 1)" all downlink)" "$before")"
expect "none has passed as an answer" "$answers" "$(passed answer downlink)"
in_gw nft delete table inet marks

# bounds: many connections of one, silence, slowness, size
cat >"$DIR/clients.py" <<-'END'
	import socket, sys, time
	what, ue, host = sys.argv[1:]
	def connect():
	    s = socket.socket(socket.AF_INET6 if ":" in ue else socket.AF_INET, socket.SOCK_STREAM)
	    s.bind((ue, 0))
	    s.settimeout(30)
	    s.connect((host, 80))
	    return s
	def ended(s):
	    try:
	        return not s.recv(65536)
	    except ConnectionResetError:
	        return True
	    except (BlockingIOError, TimeoutError):
	        return False
	if what == "many":
	    all = [connect() for _ in range(40)]
	    time.sleep(1.5)
	    for s in all:
	        s.setblocking(False)
	    print(sum(not ended(s) for s in all))
	elif what == "silent":
	    s, begin = connect(), time.monotonic()
	    print(ended(s) and 3 < time.monotonic() - begin < 9)
	elif what == "slow":
	    s, begin = connect(), time.monotonic()
	    try:
	        for byte in b"GET / HTTP/1.1\r\nX: " + b"x" * 100:
	            s.send(bytes([byte]))
	            time.sleep(0.5)
	    except OSError:
	        pass
	    print(15 < time.monotonic() - begin < 25)
	elif what == "large":
	    s = connect()
	    try:
	        s.sendall(b"GET / HTTP/1.1\r\nX: " + b"x" * 400000 + b"\r\n\r\n")
	        answer = s.recv(100)
	    except ConnectionResetError:
	        answer = b""
	    print(not answer or answer.startswith(b"HTTP/1.1 400"))
	elif what == "garbage":
	    s = connect()
	    s.sendall(b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03\r\n\r\n")
	    answer = s.recv(100)
	    print(not answer or answer.startswith(b"HTTP/1.1 4") or answer.startswith(b"HTTP/1.1 5"))
END
clients() { in_sub /usr/bin/python3 "$DIR/clients.py" "$@"; }
clients slow "$(ue4 1)" "$(host4 1)" >"$DIR/slow" &
slow=$!
expect "connections of one subscriber that stay open" 16 "$(clients many "$(ue6 1)" "$(host6 1)")"
redirect "$(imsi 2)" "$(ue6 2)" IPv6 "$(host6 2)"
expect_text "another one is served beside them" '^HTTP/1.1 302 ' "$(fetch "$(ue6 2)" "$(url "$(host6 1)")")"
expect "silence is ended" True "$(clients silent "$(ue4 1)" "$(host4 1)")"
expect "a request that is too large" True "$(clients large "$(ue4 1)" "$(host4 1)")"
expect "something else than HTTP" True "$(clients garbage "$(ue4 1)" "$(host4 1)")"
wait $slow
expect "slowness is ended" True "$(cat "$DIR/slow")"
no_connections() { [ "$(ctl -o json redirects | jq '.portal.open // 0')" = 0 ]; }
eventually "no connection is left" 10 no_connections
[ "$(ctl -o json redirects | jq '.portal.closed')" -ge 25 ] || fail "closed at a bound: $(ctl redirects)"
expect_text "served afterwards" '^HTTP/1.1 302 ' "$(fetch "$(ue4 1)" "$(url "$(host4 1)")")"

# another table in the configuration: the old one goes; --detach takes what there is
agent_stop
write_config extra="redirect: {table: 777777}"
agent_start
expect "the old table is empty" "" "$(in_gw ip route show table 999999 2>/dev/null)"
expect "one set of rules" 2 "$(in_gw ip rule | grep -c 0xfffe)"
expect_text "with the new table" '^HTTP/1.1 302 ' "$(fetch "$(ue4 1)" "$(url "$(host4 1)")")"
agent_stop KILL
expect_code "detach without an agent" 0 in_gw "$AGENT" --config "$CONFIG" --detach
expect "nothing is left" "0 0 0" "$(in_gw ip rule | grep -c 0xfffe || true) $(in_gw ip -6 rule | grep -c 0xfffe || true) $(in_gw ip route show table 777777 2>/dev/null | wc -l)"
