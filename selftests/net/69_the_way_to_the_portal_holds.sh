#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# The way to the portal: a port that is used again does not lead past it, rules that
# somebody removed come back, a host without IPv6 starts, and a detach takes what an
# earlier configuration has left.
. "$(dirname "$0")/../lib/net.sh"
. "$ROOT/selftests/lib/redirect.sh"

net_up
GW4=10.60.255.254
web_server "$GW" 0.0.0.0 80 "the gateway's own pages"
web_server "$INET" "$(host4 1)" 80 "real server 1"
write_config
agent_start
open_session 1
activate
redirect "$(imsi 1)" "$(ue4 1)" IPv4 "$(host4 2)"

# the same source port again, while the portal's side is in TIME_WAIT
cat >"$DIR/again.py" <<-'END'
	import socket, sys, time

	def get(address, port, server):
	    s = socket.socket()
	    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
	    s.bind((address, port))
	    s.settimeout(4)
	    try:
	        s.connect((server, 80))
	        s.send(b"GET / HTTP/1.0\r\nHost: x\r\n\r\n")
	        text = b""
	        while True:
	            more = s.recv(4096)
	            if not more:
	                break
	            text += more
	        return text.split(b"\r\n")[0].decode()
	    except OSError as error:
	        return type(error).__name__
	    finally:
	        s.close()

	for turn in range(3):
	    print(get(sys.argv[1], int(sys.argv[3]), sys.argv[2]), flush=True)
	    time.sleep(1.5)
END
in_sub sysctl -qw net.ipv4.tcp_tw_reuse=1
answers=$(in_sub /usr/bin/python3 "$DIR/again.py" "$(ue4 1)" $GW4 40001)
expect_text "the first time" '^HTTP/1.0 302' "$(head -1 <<<"$answers")"
case $answers in *" 200 "*) fail "a port used again leads past the portal: $answers" ;; esac
# where this host has no server of its own the portal answers again
answers=$(in_sub /usr/bin/python3 "$DIR/again.py" "$(ue4 1)" "$(host4 1)" 40002)
case $answers in *" 200 "*) fail "a port used again leads past the portal: $answers" ;; esac

# rules that a network manager has removed
in_gw ip rule del prio "$(in_gw ip rule | sed -n 's/^\([0-9]*\):.*fwmark 0xfffe.*lookup.*/\1/p')"
expect "a rule is missing" 0 "$(in_gw ip rule | grep -c 'fwmark 0xfffe.*lookup' || true)"
eventually "the rule is back" 15 in_gw sh -c 'ip rule | grep -q "fwmark 0xfffe.*lookup"'
expect_text "and that is said" 'event=repaired what="rules and routes to the portal" missing=1' "$(grep event=repaired "$LOG")"
expect_text "the portal answers" '^HTTP/1.1 302' "$(fetch "$(ue4 1)" "$(url "$(host4 1)")")"

# somebody else's rule and route with the protocol number of ours
in_gw ip rule add prio 5000 from 192.0.2.0/24 lookup 300 protocol 214
in_gw ip route add local 192.0.2.7/32 dev lo table 300 proto 214

# without a portal nothing of it is left, in force or after a detach
agent_stop
write_config extra="redirect: {portal_port: 0}"
agent_start
expect "no rule without a portal" 0 "$(in_gw ip rule | grep -c 0xfffe || true)"
agent_stop
write_config
agent_start
agent_stop
expect_text "the rules stay when the agent ends" 'fwmark 0xfffe' "$(in_gw ip rule)"
write_config extra="redirect: {portal_port: 0}"
in_gw "$AGENT" --config "$CONFIG" --detach >/dev/null
expect "no rule after a detach, whatever the configuration says" "0 0" \
	"$(in_gw ip rule | grep -c 0xfffe || true) $(in_gw ip -6 rule | grep -c 0xfffe || true)"
expect "no route either" 0 "$(in_gw ip route show table 20814 2>/dev/null | wc -l)"
expect_text "what is somebody else's stays" 'lookup 300' "$(in_gw ip rule)"
expect "his route too" 1 "$(in_gw ip route show table 300 | grep -c 192.0.2.7)"

# IPv6 switched off
for interface in all default lo acc0 core0; do in_gw sysctl -qw net.ipv6.conf.$interface.disable_ipv6=1; done
write_config
agent_start
open_session 1
activate
redirect "$(imsi 1)" "$(ue4 1)" IPv4 "$(host4 2)"
expect_text "IPv4 is redirected on a host without IPv6" '^HTTP/1.1 302' "$(fetch "$(ue4 1)" "$(url "$(host4 1)")")"
ctl detach >/dev/null
finish "$AGENT_PID"
