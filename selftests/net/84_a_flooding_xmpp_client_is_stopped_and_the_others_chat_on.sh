#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A real XMPP server and real clients. One floods: exactly the packets of his
# limit arrive, he is told of in the alerts, nothing more of him passes, a new connection of
# his neither; when his time is over his connection goes on. The others have
# every message, in order, none held up for as long as one lost packet would take.
. "$(dirname "$0")/../lib/net.sh"
. "$ROOT/selftests/lib/xmpp.sh"

LIMIT=100 WINDOW=4 HARD=5 # seconds; as 100 in 60 s and 120 s, for a test of less than a minute
FLOOD=300

counter() { counted "$1" "$2" | cut -d' ' -f1; }
# events NAME FILTER: lines of the EVE file, by jq
eve() { jq -c "select(.sluice.event == \"$1\") | ${2:-.}" "$DIR/eve.json"; }
told() { [ -n "$(eve "$1")" ]; }
seconds() { date -d "$1" +%s.%N; }
about() { # WHAT WANTED GOT TOLERANCE
	awk -v a="$2" -v b="$3" -v t="$4" 'BEGIN { exit !(b >= a - t && b <= a + t) }' || fail "$1: expected $2 within $4, got $3"
}
chatted() { jq -r "$1" <<<"$(tail -1 "$DIR/chat")"; }

xmpp_here
net_up
no_offload "$SUB" sub0 # one packet of the stack is one of the wire: the count is exact
no_offload "$INET" inet0
mkdir "$DIR/policy"
cat >"$DIR/policy/xmpp.yaml" <<-END
	ids:
	  - name: xmpp-flood
	    match: {direction: uplink, protocol: tcp, remote_port: $XMPP_PORT}
	    track: subscriber
	    count: payload-packets
	    limit: {count: $LIMIT, window: ${WINDOW}s, kind: exact}
	    verdict: drop
	    block: {hard: ${HARD}s, idle: 30s, extend: true}
	    class: attempted-dos
END
write_config mode="${1:-tc}" extra="policy: {directory: $DIR/policy}
ids: {eve: {file: $DIR/eve.json}}"
agent_start
if [ "${1:-tc}" = xdp ]; then
	ctl status | grep -q "acc0.*xdp" || fail "not in XDP mode: $(ctl status)"
fi
for n in 1 2 3 4; do
	session "$(imsi $n)" "$(ue4 $n)"
	rule xmpp 10
	flow uplink permit tcp $XMPP_SERVER/32 $XMPP_PORT
	flow downlink permit tcp $XMPP_SERVER/32 $XMPP_PORT
done
activate
xmpp_server anna ben cara mallory
for n in 1 2 3 4; do
	count_out "$SUB" "sent_$n" "ip saddr $(ue4 $n)"
	count_in "$INET" "came_$n" "ip saddr $(ue4 $n)"
done
count_payload "$INET" payload "ip saddr $(ue4 4) tcp dport $XMPP_PORT"

spawn xmpp chat --seconds 15 --every 0.25 anna="$(ue4 1)" ben="$(ue4 2)" cara="$(ue4 3)" >"$DIR/chat" 2>&1
chat=$SPAWNED
eventually "the others are logged in" 15 grep -q ready "$DIR/chat"
spawn xmpp flood --to ben --count $FLOOD --rate 100 --linger 12 mallory="$(ue4 4)" >"$DIR/flood" 2>&1
flood=$SPAWNED

eventually "the block is told" 10 told block
expect "who, why and what" "$(imsi 4) xmpp-flood subscriber payload-packets $LIMIT $WINDOW exact attempted-dos blocked $(ue4 4) $XMPP_PORT TCP" \
	"$(eve block '"\(.sluice.subscriber) \(.sluice.rule) \(.sluice.track) \(.sluice.count) \(.sluice.limit) \(.sluice.window) \(.sluice.kind) \(.alert.category) \(.alert.action) \(.src_ip) \(.dest_port) \(.proto)"' | tr -d '"')"
at=$(seconds "$(eve block .timestamp | tr -d '"')")
until=$(seconds "$(eve block .sluice.until | tr -d '"')")
about "how long it is said to last" $HARD "$(awk -v a="$at" -v b="$until" 'BEGIN { print b - a }')" 0.05

# a new connection does not help: it is the subscriber who is blocked
expect_code "another login of his" 1 xmpp login --patience 1.5 mallory="$(ue4 4)"
expect "what arrived of him: exactly his limit" $LIMIT "$(counter "$INET" payload)"
[ -z "$(eve unblock)" ] || fail "the block was over too early for this test"

eventually "the release is told" $((HARD + 1)) told unblock
expect "why it ended" hard "$(eve unblock .sluice.reason | tr -d '"')"
about "when it was told" "$until" "$(seconds "$(eve unblock .timestamp | tr -d '"')")" 0.15
finish "$chat"
finish "$flood"
tail -1 "$DIR/chat"

# he is a client as any other again: TCP brings what was held up
expect "his messages, after the release" "$FLOOD 0 0" "$(chatted '.ben.received.mallory | "\(.messages) \(.twice) \(.out_of_order)"')"
expect "one block" 1 "$(eve block | wc -l)"

for pair in anna:ben ben:cara cara:anna; do
	from=${pair%:*} to=${pair#*:}
	sent=$(chatted ".$from.sent")
	[ "$sent" -gt 30 ] || fail "$from wrote only $sent messages"
	expect "$from to $to: every message, once, in order" "$sent 0 0" \
		"$(chatted ".$to.received.$from | \"\(.messages) \(.twice) \(.out_of_order)\"")"
	# a lost packet is sent again after 200 ms at the earliest
	about "$from to $to: ms under way, p99" 0 "$(chatted ".$to.received.$from.p99_ms")" 199
done

# what the gateway counted: the drops are mallory's, all of them, and nobody is charged for one
for n in 1 2 3; do expect "subscriber $n: nothing lost" "$(counter "$SUB" sent_$n)" "$(counter "$INET" came_$n)"; done
lost=$(minus "$(counted "$SUB" sent_4)" "$(counted "$INET" came_4)")
limit=$(dropped ids-limit uplink) block=$(dropped ids-block uplink)
expect "his drops, by reason" "$lost" "$((${limit% *} + ${block% *})) $((${limit#* } + ${block#* }))"
expect "his drops, by subscriber" "$lost" \
	"$(ctl -o json session "$(imsi 4)" | jq -r '.[0] | "\(.ids_dropped_packets) \(.ids_dropped_bytes)"')"
expect "his usage" "$(counted "$INET" came_4)" "$(used "$(ue4 4)" xmpp uplink)"
expect "the drops of the others" "0 0" "$(dropped ids-limit downlink)"
