#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# I9: nmap over 1,000 ports and masscan over a /16 get to 25 of them, give or take
# two, and are told of; a client that loads pages from 40 hosts meanwhile is not.
. "$(dirname "$0")/../lib/net.sh"

HOSTS=41
LIMIT=25
WINDOW=6 # seconds

eve() { jq -c "select(.sluice.event == \"$1\" and .sluice.rule == \"$2\") | ${3:-.}" "$DIR/eve.json" | tr -d '"'; }
# seen SET: how many different ones got through
seen() { in_inet nft -j list set inet count "$1" | jq '.nftables[] | select(.set) | .set.elem // [] | length'; }
near() { # WHAT WANTED GOT TOLERANCE
	[ "$3" -ge $(($2 - $4)) ] && [ "$3" -le $(($2 + $4)) ] || fail "$1: expected $2 give or take $4, got $3"
}
# page FIRST: ten hosts, six requests to each, six at a time
page() {
	local host request urls=()
	for ((host = $1; host < $1 + 10; host++)); do
		for request in 1 2 3 4 5 6; do urls+=(-o /dev/null "http://$(host4 $host)/$request"); done
	done
	in_sub curl -sS --no-progress-meter --fail --parallel --parallel-max 6 --max-time 5 --interface "$(ue4 3)" "${urls[@]}"
}

command -v nmap >/dev/null && command -v masscan >/dev/null || skip "no nmap or no masscan: tools/deps.sh test"
net_up
mkdir "$DIR/policy" "$DIR/www"
for n in 1 2 3 4 5 6; do echo "page $n" >"$DIR/www/$n"; done
cat >"$DIR/policy/scans.yaml" <<-END
	ids:
	  - name: port-scan
	    match: {direction: uplink, protocol: tcp, tcp_flags: "syn,!ack"}
	    track: subscriber
	    count: distinct-remote-ports
	    limit: {count: $LIMIT, window: ${WINDOW}s}
	    verdict: drop
	    block: {hard: 5m}
	    class: network-scan
	  - name: host-scan
	    match: {direction: uplink, protocol: tcp, tcp_flags: "syn,!ack"}
	    track: subscriber
	    count: distinct-remote-addresses
	    limit: {count: $LIMIT, window: ${WINDOW}s}
	    verdict: drop
	    block: {hard: 5m}
	    class: network-scan
END
write_config extra="policy: {directory: $DIR/policy}
ids: {eve: {file: $DIR/eve.json}}"
agent_start
for n in 1 2 3; do
	session "$(imsi $n)" "$(ue4 $n)"
	rule all 100
	flow uplink permit
	flow downlink permit
done
activate
ip -n "$GW" route add 198.18.0.0/16 via "$(host4 1)"
spawn in_inet /usr/bin/python3 -m http.server 80 --directory "$DIR/www" >/dev/null 2>&1
eventually "the web server listens" 10 listens "$INET" 80
count_table "$INET"
in_inet nft -f - <<-END
	table inet count {
		set ports { type inet_service; size 65535; flags dynamic; }
		set hosts { type ipv4_addr; size 65535; flags dynamic; }
	}
	add rule inet count in ip saddr $(ue4 1) tcp flags & (syn | ack) == syn update @ports { tcp dport }
	add rule inet count in ip saddr $(ue4 2) tcp flags & (syn | ack) == syn update @hosts { ip daddr }
END
count_out "$SUB" scanned "ip saddr $(ue4 3) tcp flags & (syn | ack) == syn"

# four pages of ten hosts each; within the window at most two of them
(
	for first in 2 12 22 32; do
		page $first || exit 1
		[ $first = 32 ] || sleep 3.5
	done
) >"$DIR/browser" 2>&1 &
browser=$!

in_sub nmap -sS -Pn -n --top-ports 1000 --max-retries 0 --min-rate 1000 -e sub0 -S "$(ue4 1)" "$(host4 1)" >"$DIR/nmap" 2>&1 ||
	fail "nmap: $(tail -3 "$DIR/nmap")"
expect_text "nmap has tried them all" "Not shown|scanned in" "$(cat "$DIR/nmap")"
near "ports that nmap got to" $LIMIT "$(seen ports)" 2
[ "$(eve block port-scan | wc -l)" = 1 ] || fail "told: $(cat "$DIR/eve.json")"
expect "who" "$(imsi 1) network-scan" "$(eve block port-scan '"\(.sluice.subscriber) \(.alert.category)"')"
near "told at this distinct port" $((LIMIT + 1)) "$(eve block port-scan .sluice.observed)" 2

spawn in_sub masscan 198.18.0.0/16 -p 80 --rate 3000 --wait 0 -e sub0 --source-ip "$(ue4 2)" \
	--router-mac ${GW_ACCESS_MAC//:/-} --seed 7 >"$DIR/masscan" 2>&1
masscan=$SPAWNED
eventually "the host scan is told" 15 eval '[ -n "$(eve block host-scan)" ]'
sleep 2
kill "$masscan" 2>/dev/null || true
finish "$masscan"
near "hosts that masscan got to" $LIMIT "$(seen hosts)" 2
expect "who" "$(imsi 2) network-scan" "$(eve block host-scan '"\(.sluice.subscriber) \(.alert.category)"')"
near "told at this distinct host" $((LIMIT + 1)) "$(eve block host-scan .sluice.observed)" 2

wait "$browser" || fail "a page did not load: $(cat "$DIR/browser")"
expect "nothing is told of who loads pages" "" "$(jq -c "select(.sluice.subscriber == \"$(imsi 3)\")" "$DIR/eve.json")"
[ "$(counted "$SUB" scanned | cut -d' ' -f1)" -ge 40 ] || fail "the browser has opened only $(counted "$SUB" scanned) connections"
echo "ports: $(seen ports), hosts: $(seen hosts), of 1,000 and 65,536; connections of the browser: $(counted "$SUB" scanned | cut -d' ' -f1)"
