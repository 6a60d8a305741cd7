#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# `sluicectl ids`: a subscriber blocked by hand sends nothing, until he is unblocked or
# the time is over; blocks go on while no agent is there and are known to the next; a file
# with one bad line blocks nobody; 50,000 blocks at once, listed in order (I10).
. "$(dirname "$0")/../lib/net.sh"

blocks() { ctl -o json ids blocks | jq -r "$1"; }
sent() { used "$(ue4 1)" all uplink | cut -d" " -f1; }
gets() { # WHAT PACKETS: of five that the first subscriber sends
	local before
	before=$(sent)
	send_up "$(ue4 1)" "$(host4 1)" --dport 5001 --count 5 --size 100 >/dev/null
	sleep 0.2
	expect "$1" "$2" "$(($(sent) - before))"
}
is_free() { [ "$(blocks 'map(select(.subject == "subscriber '"$(imsi 1)"'")) | length')" = 0 ]; }

net_up
silence
mkdir "$DIR/policy"
cat >"$DIR/policy/ids.yaml" <<END
ids:
  - {name: flood, match: {direction: uplink, protocol: udp}, track: subscriber,
     limit: {count: 100000, window: 60s}, verdict: drop, block: {hard: 10s}}
  - {name: burst, match: {direction: uplink, protocol: udp, remote_port: 5009}, track: source,
     limit: {count: 10, window: 1s}, verdict: drop, block: {hard: 1s}, repeat: {factor: 3}}
  - {name: polled, match: {direction: uplink, protocol: udp, remote_port: 5010}, track: subscriber, engine: poll,
     interval: 100ms, limit: {count: 10, window: 1s}, verdict: drop, block: {hard: 1s}}
  - {name: open, match: {direction: uplink, protocol: tcp}, track: subscriber, count: open-connections,
     limit: {count: 500}}
END
write_config extra="policy: {directory: $DIR/policy}"
agent_start
session "$(imsi 1)" "$(ue4 1)"
rule all 10
flow uplink permit udp
activate

expect_text "a limit with its kind" "burst .* 10/1s exact +drop" "$(ctl ids rules)"
expect_text "sweeps have no kind" "polled .* 10/1s +drop" "$(ctl ids rules)"
expect_text "open connections have no window" "open-connections +500 +alert" "$(ctl ids rules)"
expect_text "how many are open" "open .* 0 of 500\$" "$(ctl ids explain "$(imsi 1)" | sed 's/ *$//')"
gets "before a block" 5
expect_code "block" 0 ctl ids block subscriber "$(imsi 1)" --for 1h --reason "a test"
expect "what it says" "1 block made" "$(cat "$DIR/out")"
gets "of the subscriber who is blocked" 0
expect "the list" "operator a test drop" "$(blocks '.[0] | "\(.rule) \(.reason) \(.verdict)"')"
dropped_5() { [ "$(blocks '.[0].dropped_packets')" = 5 ]; }
eventually "what it dropped" 5 dropped_5
expect "explain" "flood yes 1" "$(ctl -o json ids explain "$(imsi 1)" | jq -r '"\(.rules[0].rule) \(.rules[0].applies) \(.blocks | length)"')"
expect "explain by address" "1" "$(ctl -o json ids explain "$(ue4 1)" | jq -r '.blocks | length')"
agent_stop
agent_start
gets "after a restart" 0
expect "why, after a restart" "a test" "$(blocks ".[0].reason")"
expect_code "unblock" 0 ctl ids unblock subscriber "$(imsi 1)"
gets "unblocked" 5
expect_code "nobody is blocked" 1 ctl ids unblock subscriber "$(imsi 1)"
expect_code "for a while" 0 ctl ids block subscriber "$(imsi 1)" --for 1s
gets "for a while" 0
eventually "its time is over" 5 is_free
gets "its time is over" 5
expect_code "a subject that is none" 1 ctl ids block subscriber "nobody"
expect_text "a subject that is none" "nobody" "$(cat "$DIR/err")"

# --- by rules: inline, longer the second time; polled
of() { blocks "[.[] | select(.rule == \"$1\")] | map(\"\\(.subject) level \\(.level)\") | join(\",\")"; }
is_of() { [ "$(of "$1")" = "$2" ]; }
send_up "$(ue4 1)" "$(host4 1)" --dport 5009 --count 15 --size 100 >/dev/null
eventually "a block by a rule" 2 is_of burst "source $(ue4 1) level 0"
expect "what other rules are about still passes" "flood" "$(ctl -o json ids rules | jq -r '.rules[0].name')"
eventually "it ends" 3 is_of burst ""
send_up "$(ue4 1)" "$(host4 1)" --dport 5009 --count 15 --size 100 >/dev/null
eventually "again, and longer" 2 is_of burst "source $(ue4 1) level 1"
send_up "$(ue4 1)" "$(host4 1)" --dport 5010 --count 15 --size 100 >/dev/null
eventually "a block by polling" 2 is_of polled "subscriber $(imsi 1) level 0"
eventually "it ends" 3 is_of polled ""
eventually "the longer one ends" 5 is_of burst ""

awk 'BEGIN { for (i = 0; i < 50000; i++) printf "destination 10.%d.%d.%d\n", 100 + i / 65536, i / 256 % 256, i % 256 }' >"$DIR/many"
{ cat "$DIR/many"; echo "destination nowhere"; } >"$DIR/bad"
expect_code "one bad line" 1 ctl ids block -f "$DIR/bad"
expect "nobody is blocked by it" 0 "$(blocks length)"
begin=$(date +%s%N)
expect_code "50,000" 0 ctl ids block -f "$DIR/many" --for 1h
took=$((($(date +%s%N) - begin) / 1000000))
echo "I10: 50,000 blocks by sluicectl in $took ms"
[ "$took" -le 1000 ] || fail "50,000 blocks took $took ms, allowed: 1000"
expect "all, in order" "50000 true" "$(blocks '"\(length) \([.[].number] | . == sort)"')"
gets "who is not among them" 5
expect_code "all end" 0 ctl ids unblock -f "$DIR/many"
expect "none is left" 0 "$(blocks length)"
