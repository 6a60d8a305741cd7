#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Q6: while sessions with an AMBR and MBRs are made, changed and ended, a policing
# agent sends nothing over netlink, as strace sees it. Beside it one that shapes, which must.
. "$(dirname "$0")/../lib/net.sh"

command -v strace >/dev/null || skip "no strace"
SUBSCRIBERS=20

# subscribers AMBR MBR
subscribers() {
	local n
	for ((n = 1; n <= SUBSCRIBERS; n++)); do
		session "$(imsi "$n")" "$(ue4 "$n")"
		sed -i "s/    ipv4: $(ue4 "$n")\$/&\n    ambr: {uplink: $1, downlink: $1}/" "$SESSIONS"
		rule limited 10 "$2"
		flow uplink permit udp any 5001
		rule rest 20
		flow uplink permit
		flow downlink permit
	done
	activate
}
traced() { # how many messages the agent sends by netlink while all sessions change three times: in $SENT
	local n tracer
	spawn strace -f -yy -e trace=sendto,sendmsg,sendmmsg,write,writev -o "$DIR/trace" -p "$AGENT_PID" \
		>/dev/null 2>"$DIR/strace"
	tracer=$SPAWNED
	eventually "strace is attached" 5 grep -q attached "$DIR/strace"
	subscribers 20Mbit 5Mbit
	subscribers 30Mbit 6Mbit
	for ((n = 1; n <= SUBSCRIBERS; n++)); do
		ctl deactivate "$(imsi "$n")" --ip "$(ue4 "$n")" --end-session >/dev/null
	done
	kill -INT "$tracer"
	finish "$tracer"
	# that it saw the answers proves that it saw anything
	[ "$(grep -cE 'UNIX|TCP' "$DIR/trace")" -ge $((SUBSCRIBERS + 2)) ] || fail "strace saw no answers"
	SENT=$(grep -c NETLINK "$DIR/trace" || true)
}

net_up
for backend in police shape; do
	write_config trees=32
	# what the audit does meanwhile is not the sessions'
	sed -i "s/^qos:/audit: {interval: 1h}\n&\n  backend: $backend/" "$CONFIG"
	agent_start
	eventually "the pool is built" 10 pool_ready
	traced
	echo "$backend: $SENT messages by netlink"
	if [ $backend = police ]; then
		expect "messages by netlink while policing" 0 "$SENT"
	else
		[ "$SENT" -ge $((4 * SUBSCRIBERS)) ] || fail "strace shows only $SENT messages of an agent that shapes"
	fi
	agent_stop
	in_gw "$AGENT" --config "$CONFIG" --detach
done
