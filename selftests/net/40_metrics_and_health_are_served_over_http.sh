#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# /metrics is Prometheus' text form, as its own readers understand it, with the
# counts that packets have made; /readyz says whether sessions may come.
. "$(dirname "$0")/../lib/net.sh"

HTTP=127.0.0.1:9464
PAGE=$DIR/metrics

fetch() { in_gw curl -sS --max-time 10 "$@"; }
code_of() { fetch -o "$DIR/body" -w '%{http_code}' "http://$HTTP$1"; }

# metric NAME [LABEL=VALUE...]: read by Prometheus' own client library; one value or none
scrape() { fetch "http://$HTTP/metrics" >"$PAGE"; }
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
has() { scrape && [ "$(metric "${@:2}")" = "$1" ]; }

net_up
silence
session_manager_start
write_config startup=wait-for-setup session_manager=127.0.0.1:50065 interval=300ms extra="http: {listen: '$HTTP'}"
agent_start

expect "not ready before the setup" 503 "$(code_of /readyz)"
expect_text "and why" "setup" "$(cat "$DIR/body")"
expect "alive" 200 "$(code_of /healthz)"
scrape
expect "setup done" 0 "$(metric sluice_setup_done)"

session "$(imsi 1)" "$(ue4 1)"
rule meter 10
flow uplink permit udp any 5001
flow downlink permit udp any any 5001
rule blocked 5
flow uplink deny udp any 5002
session "$(imsi 2)" "$(ue6 2)"
rule meter 10
flow uplink permit udp any 5001
ctl activate -f "$SESSIONS" --setup >"$DIR/activate.out" || fail "activate: $(cat "$DIR/activate.out")"
rm -f "$SESSIONS"
expect "ready after it" 200 "$(code_of /readyz)"
expect "another path" 404 "$(code_of /)"
expect "another method" 405 "$(fetch -o /dev/null -w '%{http_code}' -X POST -d x "http://$HTTP/metrics")"

send_up "$(ue4 1)" "$(host4 1)" --dport 5001 --count 100 --size 500 >/dev/null
send_down "$(host4 1)" "$(ue4 1)" --dport 5001 --count 70 --size 600 >/dev/null
send_up "$(ue4 1)" "$(host4 1)" --dport 5002 --count 30 --size 100 >/dev/null
send_up "$(ue6 2)" "$(host6 1)" --dport 5001 --count 7 --size 200 >/dev/null
send_up 10.60.99.99 "$(host4 1)" --dport 5001 --count 5 --size 100 >/dev/null

eventually "a report is acknowledged" 5 has 1 sluice_session_manager_up
eventually "all packets are counted" 5 has 107 sluice_usage_packets_total direction=uplink verdict=permitted
if command -v promtool >/dev/null; then
	promtool check metrics <"$PAGE" >"$DIR/promtool" 2>&1 || fail "promtool: $(cat "$DIR/promtool")"
fi
expect "content type" "text/plain; version=0.0.4; charset=utf-8" "$(fetch -o /dev/null -w '%{content_type}' "http://$HTTP/metrics")"
expect "uplink bytes" 51400 "$(metric sluice_usage_bytes_total direction=uplink verdict=permitted)"
expect "downlink bytes" 42000 "$(metric sluice_usage_bytes_total direction=downlink verdict=permitted)"
expect "denied" 30 "$(metric sluice_dropped_packets_total reason=rule-deny direction=uplink)"
expect "unknown" 500 "$(metric sluice_dropped_bytes_total reason=unknown-subscriber direction=uplink)"
expect "dropped of sessions" 30 "$(metric sluice_usage_packets_total direction=uplink verdict=dropped)"
expect "sessions" 2 "$(metric sluice_sessions state=active)"
expect "endpoints" "1/1" "$(metric sluice_endpoints family=ipv4)/$(metric sluice_endpoints family=ipv6)"
expect "rules" "$(ctl -o json rules | jq length)" "$(metric sluice_rules)"
expect "epoch" "$(status epoch)" "$(metric sluice_epoch)"
expect "slots" "$(ctl -o json status | jq '.fills[] | select(.name == "usage") | .size')" "$(metric sluice_map_slots map=usage)"
expect "slots used" 5 "$(metric sluice_map_slots_used map=usage)"
expect "classes" 64 "$(metric sluice_classes direction=uplink)"
expect "hooks" "1 1 1" "$(metric sluice_hook_attached | xargs)"
expect "activations" 2 "$(metric sluice_events_total event=session-activated)"
! grep -qE "$(imsi 1)|$(ue4 1)" "$PAGE" || fail "a subscriber is named"

# states: a final unit restricts, another one redirects, and then there is new credit
states() { scrape && echo "$(metric sluice_sessions state=active) $(metric sluice_sessions state=restricted) $(metric \
	sluice_sessions state=redirected)"; }
gy() { # rule
	printf 'sessions:\n  - {imsi: "%s", ipv6: "%s", rules: [%s]}\n' "$(imsi 2)" "$(ue6 2)" "$1" >"$SESSIONS"
	activate
}
gy '{id: top-up, origin: gy, precedence: 1, flows: [{direction: uplink, protocol: udp, remote_port: 53}]}'
expect "restricted" "1 1 0" "$(states)"
gy '{id: portal, origin: gy, precedence: 2, redirect: {ipv6: "2001:db8:ffff::1"}}'
expect "redirected" "1 0 1" "$(states)"
ctl deactivate "$(imsi 2)" --ip "$(ue6 2)" --rule portal >/dev/null
expect "restricted again" "1 1 0" "$(states)"
ctl deactivate "$(imsi 2)" --ip "$(ue6 2)" --rule top-up >/dev/null
expect "released" "2 0 0" "$(states)"
expect "told once" "1" "$(metric sluice_events_total event=session-released)"

# what a session has used stays in the sum when it ends, and its slots are used again
ctl deactivate "$(imsi 1)" --ip "$(ue4 1)" --end-session >/dev/null
eventually "its final usage is acknowledged" 5 has 0 sluice_sessions state=ended
session "$(imsi 3)" "$(ue4 3)"
rule meter 10
flow uplink permit udp any 5001
activate
send_up "$(ue4 3)" "$(host4 1)" --dport 5001 --count 3 --size 500 >/dev/null
eventually "old and new counts together" 5 has 110 sluice_usage_packets_total direction=uplink verdict=permitted
expect "bytes" "52900/42000" "$(metric sluice_usage_bytes_total direction=uplink verdict=permitted)/$(metric \
	sluice_usage_bytes_total direction=downlink verdict=permitted)"
expect "sessions by then" "2/0" "$(metric sluice_sessions state=active)/$(metric sluice_sessions state=ended)"

# a new start counts from zero, whatever it finds
agent_stop KILL
agent_start
scrape
expect "usage since the start" 0 "$(metric sluice_usage_packets_total direction=uplink verdict=permitted)"
expect "sessions that were found" 2 "$(metric sluice_sessions state=active)"

# a second agent on the same port does not start, and says so
sed "s|$SOCKET|$DIR/other.sock|; s|$API|127.0.0.1:50064|; s|$PINS|$PINS-other|" "$CONFIG" >"$DIR/other.yaml"
expect_code "a port that is taken" 1 in_gw "$AGENT" --config "$DIR/other.yaml"
expect_text "is named" "http.listen.*9464" "$(cat "$DIR/err")"
