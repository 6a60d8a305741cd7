#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Alerts as datagrams to a syslog server (RFC 5426), in both families, and what Wireshark's own reader makes of
# the packets that were kept: whole records, with the flow of the alert.
. "$(dirname "$0")/../lib/net.sh"

eve() { jq -c "$1" "$DIR/eve.json"; }

# alerts SYSLOG BEGIN END [FORMAT]: what the two messages are, of an offence of twelve packets, and the end of its block
alerts() {
	rm -f "$DIR/eve.json" "$DIR/syslog"
	write_config extra="policy: {directory: $DIR/policy}
ids: {eve: {file: $DIR/eve.json}, syslog: '$1', syslog_format: ${4:-rfc5424}, evidence: {directory: $DIR/evidence}}"
	agent_start
	session "$(imsi 1)" "$(ue4 1)"
	rule all 10
	flow uplink permit udp
	activate
	spawn in_gw python3 -c '
import socket, sys
host, port = sys.argv[1].removeprefix("udp:").rsplit(":", 1)
s = socket.socket(socket.AF_INET6 if "[" in host else socket.AF_INET, socket.SOCK_DGRAM)
s.bind((host.strip("[]"), int(port)))
print("ready", flush=True)
while True:
    print(s.recv(65536).decode(), flush=True)
' "$1" >"$DIR/syslog"
	eventually "the syslog server" 10 grep -q ready "$DIR/syslog"
	send_up "$(ue4 1)" "$(host4 1)" --sport 4000 --dport 5001 --count 12 --size 200 --rate 100 >/dev/null
	lines() { [ "$(grep -c "^<" "$DIR/syslog")" = 2 ]; }
	eventually "block and unblock" 5 lines
	expect_text "the message" "$2" "$(grep "^<" "$DIR/syslog" | head -1)"
	expect_text "its end" "$3" "$(grep "^<" "$DIR/syslog" | tail -1)"
	agent_stop
}

net_up
silence
ip -n "$GW" link set lo up
mkdir "$DIR/policy"
cat >"$DIR/policy/ids.yaml" <<-END
	ids:
	  - {name: flood, match: {direction: uplink, protocol: udp, remote_port: 5001}, track: connection, severity: 1,
	     limit: {count: 2, window: 1s, kind: exact}, verdict: drop, block: {hard: 1s}, evidence: {packets: 2, headers: 64}}
END
head="1 20[0-9T:.-]+\+00:00 [^ ]+ sluice [0-9]+ ids"
begin="^<34>$head-block \[sluice@32473 .*subscriber=\"$(imsi 1)\".*src_ip=\"$(ue4 1)\""
end="^<38>$head-unblock \[sluice@32473 .*reason=\"hard\""
alerts udp:127.0.0.1:5514 "$begin" "$end"
alerts "udp:[::1]:5514" "$begin" "$end"
alerts udp:127.0.0.1:5515 "^<34>$head-block - CEF:0\|sluice\|sluiced\|[0-9.]+\|[0-9]+\|block flood\|10\|rt=.* src=$(ue4 1) .* suser=$(imsi 1) " \
	"^<38>$head-unblock - CEF:0\|.*\|unblock flood\|1\|.* reason=hard " cef
flow_id=$(eve .flow_id | head -1)

command -v tshark >/dev/null || skip "syslog over UDP is right; no tshark for the evidence"
evidence=$(echo "$DIR"/evidence/sluice-*-eth.pcapng)
tshark -nr "$evidence" -T fields -e frame.cap_len -e frame.len -e ip.src -e ip.dst -e udp.dstport \
	-Y "frame.comment contains \"flow_id=$flow_id\"" >"$DIR/tshark" 2>"$DIR/tshark.err" || fail "tshark: $(cat "$DIR/tshark.err")"
[ ! -s "$DIR/tshark.err" ] || grep -q "^Running as user" "$DIR/tshark.err" || fail "tshark complains: $(cat "$DIR/tshark.err")"
cat "$DIR/tshark"
[ -s "$DIR/tshark" ] || fail "no packet of flow $flow_id"
while read -r kept length source destination port; do
	expect "a packet that was kept" "64 $(ue4 1) $(host4 1) 5001" "$kept $source $destination $port"
	[ "$length" -ge 200 ] || fail "its length is $length"
done <"$DIR/tshark"
