#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# /metrics/classes says of each class in use what its queue has sent and dropped,
# and holds: what arrived and what did not, as `sluicectl session` and tc show it.
. "$(dirname "$0")/../lib/net.sh"

HTTP=127.0.0.1:9464
PAGE=$DIR/classes
SENT=3000

# metric NAME [LABEL=VALUE...]: read by Prometheus' own client library; one value or none
scrape() { in_gw curl -sS --max-time 10 "http://$HTTP/metrics/classes" >"$PAGE"; }
metric() {
	/usr/bin/python3 - "$PAGE" "$@" <<'END'
import sys
from prometheus_client.parser import text_string_to_metric_families
labels = dict(text.split("=", 1) for text in sys.argv[3:])
for family in text_string_to_metric_families(open(sys.argv[1]).read()):
    for sample in family.samples:
        if sample.name == sys.argv[2] and labels.items() <= sample.labels.items():
            print(f"{sample.value:.15g}")
END
}
waits() { scrape && [ "$(metric sluice_class_backlog_bytes direction=uplink class="$1")" -gt 0 ] &&
	[ "$(metric sluice_class_backlog_packets direction=uplink class="$1")" -gt 0 ]; }
is_empty() { scrape && [ "$(metric sluice_class_backlog_bytes direction=uplink class="$1")" = 0 ]; }
class_of() { printf %x "$(ctl -o json session "$1" | jq '.[0].rules[0].uplink_class')"; }

net_up
silence
write_config extra="http: {listen: '$HTTP'}"
agent_start
eventually "the pools are built" 20 pool_ready
scrape
expect "no class is in use" "" "$(metric sluice_class_dropped_packets_total)"

for n in 1 2; do
	session "$(imsi $n)" "$(ue4 $n)"
	rule limited 10 1Mbit
	flow uplink permit udp any 5001
done
activate
class=$(class_of "$(imsi 1)")
other=$(class_of "$(imsi 2)")

count_in "$INET" limited "ip saddr $(ue4 1) udp dport 5001"
spawn send_up "$(ue4 1)" "$(host4 1)" --dport 5001 --size 1200 --rate 500 --count $SENT >"$DIR/sent"
sender=$!
eventually "packets wait in the queue" 5 waits "$class"
wait "$sender"
eventually "all have gone" 5 is_empty "$class"

read -r arrived bytes <<<"$(counted "$INET" limited)"
[ "$arrived" -lt $SENT ] || fail "nothing was dropped"
scrape
expect "what did not arrive" $((SENT - arrived)) "$(metric sluice_class_dropped_packets_total direction=uplink class="$class")"
expect "bytes that did" "$bytes" "$(metric sluice_class_sent_bytes_total direction=uplink class="$class")"
expect "as sluicectl shows it" "$(ctl -o json session "$(imsi 1)" | jq '.[0].rules[0].uplink_queue.dropped_packets')" \
	"$(metric sluice_class_dropped_packets_total direction=uplink class="$class")"
expect_text "and tc" "dropped $((SENT - arrived))[ ,]" "$(in_gw tc -s class show dev core0 classid "7ffe:$class")"
expect "nothing of the other's" "0/0" "$(metric sluice_class_dropped_packets_total direction=uplink class="$other")/$(metric \
	sluice_class_sent_bytes_total direction=uplink class="$other")"
expect "two classes" 2 "$(metric sluice_class_sent_bytes_total direction=uplink | wc -l)"
expect "none of them in the downlink" 0 "$(metric sluice_class_sent_bytes_total direction=downlink | wc -l)"
! grep -qE "$(imsi 1)|$(ue4 1)" "$PAGE" || fail "a subscriber is named"
if command -v promtool >/dev/null; then
	promtool check metrics <"$PAGE" >"$DIR/promtool" 2>&1 || fail "promtool: $(cat "$DIR/promtool")"
fi

ctl deactivate "$(imsi 1)" --ip "$(ue4 1)" --end-session >/dev/null
gone() { scrape && [ -z "$(metric sluice_class_sent_bytes_total class="$class")" ]; }
eventually "a class that is free again is not shown" 5 gone
