#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# I11: offences as fast as one CPU can send them. The limit is kept to the packet, the file keeps
# to its cap, and the lines with what they say they stand for are all offences.
. "$(dirname "$0")/../lib/net.sh"

EVE=$DIR/eve.json
fetch() { in_gw curl -sS --max-time 10 http://127.0.0.1:9464/metrics; }
metric() { fetch | awk -v name="$1" '$1 == name { print $2 }'; }
CAP=100
PACKETS=300000

net_up
silence
mkdir "$DIR/policy"
cat >"$DIR/policy/ids.yaml" <<END
ids:
  - {name: storm, match: {direction: uplink, protocol: udp, remote_port: 5001}, track: connection,
     limit: {count: 5, window: 1h, kind: exact}, verdict: drop, log: {every: 1}}
END
write_config extra="policy: {directory: $DIR/policy}
http: {listen: 127.0.0.1:9464}
ids: {alerts_per_second: $CAP, eve: {file: $EVE}}"
agent_start
session "$(imsi 1)" "$(ue4 1)"
rule all 10
flow uplink permit udp
activate
ready() { [ "$(metric sluice_ids_rules)" = 1 ]; }
eventually "the rule" 10 ready

# one CPU: each counts for itself what it did not tell
send_from_one_cpu() {
	in_sub taskset -c 0 "$BUILD/tools/send" --dev sub0 --mac "$GW_ACCESS_MAC" --from "$(ue4 1)" --to "$(host4 1)" \
		--sport 4000 --dport 5001 --size 100 "$@" >/dev/null
}
began=$(date +%s%N)
send_from_one_cpu --count $PACKETS
took=$(($(date +%s%N) - began))
# the kernel and the cap tell of the rest with the next one
sleep 2.1
send_from_one_cpu --count 1
sleep 2.1

expect "what has passed" 5 "$(used "$(ue4 1)" all uplink | cut -d" " -f1)"
excess=$(metric 'sluice_ids_excess_packets_total{rule="storm"}')
expect "in excess" $((PACKETS + 1 - 5)) "$excess"
expect "dropped" "$excess" "$(metric 'sluice_ids_dropped_packets_total{rule="storm"}')"
expect "records that were lost" 0 "$(metric sluice_ids_events_lost_total)"
lines=$(wc -l <"$EVE")
suppressed=$(jq .sluice.suppressed "$EVE" | awk '{ sum += $1 } END { print sum + 0 }')
echo "I11: $excess offences, $((excess * 1000 / (took / 1000000))) a second; $lines lines that stand for $((lines + suppressed))"
expect "offences that the file tells of" "$excess" "$((lines + suppressed))"
most=$((CAP * (took / 1000000000 + 2) / 2 + 10))
[ "$lines" -le "$most" ] || fail "$lines lines; the cap allows one rule $most"
