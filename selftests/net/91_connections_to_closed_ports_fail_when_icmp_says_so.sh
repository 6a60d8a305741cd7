#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# UDP to closed ports: the host's ICMP errors make each a failed connection, within two seconds and in both
# families; datagrams that nobody refuses are none.
. "$(dirname "$0")/../lib/net.sh"

LIMIT=8

eve() { jq -r "select(.sluice.event == \"$1\") | ${2:-.}" "$DIR/eve.json"; }
told() { [ -n "$(eve alert ".sluice | select(.subscriber == \"$1\") | .rule")" ]; }
datagrams() { # FROM TO COUNT FIRST-PORT
	local n
	for ((n = 0; n < $3; n++)); do
		send_up "$1" "$2" --sport $((4000 + n)) --dport $(($4 + n)) --count 1 >/dev/null
	done
}

net_up
mkdir "$DIR/policy"
cat >"$DIR/policy/failed.yaml" <<-END
	ids:
	  - name: no-answers
	    match: {direction: uplink, protocol: udp}
	    track: subscriber
	    count: failed-connections
	    limit: {count: $LIMIT, window: 60s}
	    log: {every: 1}
END
write_config extra="policy: {directory: $DIR/policy}
ids: {eve: {file: $DIR/eve.json}}"
agent_start
for n in 1 2 3; do
	for address in "$(ue4 $n)" "$(ue6 $n)"; do
		session "$(imsi $n)" "$address"
		rule all 100
		flow uplink permit
		flow downlink permit
	done
done
activate
# errors are not held back: one for each datagram
in_inet sysctl -qw net.ipv4.icmp_ratelimit=0 net.ipv6.icmp.ratelimit=0

datagrams "$(ue4 1)" "$(host4 1)" $((LIMIT + 2)) 7000
eventually "the first one is told of" 4 told "$(imsi 1)"
datagrams "$(ue6 2)" "$(host6 1)" $((LIMIT + 2)) 7000
eventually "and the second one, in IPv6" 4 told "$(imsi 2)"
expect "what was counted" "failed-connections $LIMIT" \
	"$(eve alert ".sluice | \"\(.count) \(.limit)\"" | sort -u)"

# a server that takes them and says nothing
spawn in_inet /usr/bin/python3 -c '
import socket, sys, time
held = []
for port in range(7000, 7000 + int(sys.argv[2])):
    held.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    held[-1].bind((sys.argv[1], port))
print("bound", flush=True)
time.sleep(60)' "$(host4 1)" $((LIMIT + 2)) >"$DIR/bound"
eventually "the ports are open" 5 grep -q bound "$DIR/bound"
datagrams "$(ue4 3)" "$(host4 1)" $((LIMIT + 2)) 7000
sleep 3
! told "$(imsi 3)" || fail "datagrams that nobody refused are told of: $(eve alert)"
