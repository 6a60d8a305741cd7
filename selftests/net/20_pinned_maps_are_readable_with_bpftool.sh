#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# `bpftool map dump pinned` shows every map with named fields, and IMSI and rule id
# as text, without the agent's help.
. "$(dirname "$0")/../lib/net.sh"

net_up
agent_start
session "$(imsi 1)" "$(ue4 1)"
rule a-rule-with-a-telling-name 10 5Mbit 7Mbit
flow uplink permit udp 198.51.100.0/24 5001
session "$(imsi 1)" "$(ue6 1)"
rule a-rule-with-a-telling-name 10 5Mbit 7Mbit
flow uplink permit udp any 5001
activate
silence
send_up "$(ue4 1)" "$(host4 1)" --dport 5001 --count 7 --size 100 >/dev/null
agent_stop KILL

# as text: bpftool 7 shows a char array as JSON characters or as a string, by its version; both are undone here
dump() { # MAP -> its values as one line, arrays of characters as text
	bpftool -j map dump pinned "$PINS/maps/$1" >"$DIR/dump" || fail "bpftool cannot dump $1"
	/usr/bin/python3 - "$DIR/dump" <<'END'
import json, sys

def text(value):
    if isinstance(value, list) and value and all(isinstance(one, str) and len(one) <= 6 for one in value):
        return "".join(value).split("\0")[0]
    if isinstance(value, list):
        return [text(one) for one in value]
    if isinstance(value, dict):
        return {key: text(one) for key, one in value.items()}
    return value

for entry in json.load(open(sys.argv[1])):
    print(json.dumps(text(entry.get("formatted", entry))))
END
}
named=0
for path in "$PINS"/maps/*; do
	map=${path##*/}
	type=$(bpftool -j map show pinned "$path" | jq -r .type)
	[ "$type" != ringbuf ] || continue
	dump "$map" >"$DIR/text"
	named=$((named + 1))
	grep -q '"value": \(\[\?"0x\|\[0x\)' "$DIR/text" && fail "$map has no named fields: $(head -c 300 "$DIR/text")"
done
[ "$named" -ge 10 ] || fail "only $named maps were found"
first() { dump "$1" | grep "$2" | head -1 || true; }
expect_text "usage_owners" '"imsi": "001010000000001"' "$(first usage_owners a-rule-with-a-telling-name)"
expect_text "rules" '"precedence": 10.*"mbr_uplink": 5000000.*"mbr_downlink": 7000000' "$(first rules a-rule-with-a-telling-name)"
expect_text "sessions" '001010000000001' "$(first sessions 001010000000001)"
expect_text "endpoints4" '"policy".*"imsi"' "$(first endpoints4 001010000000001)"
expect_text "endpoints6" '"prefix".*"imsi"' "$(first endpoints6 001010000000001)"
expect_text "usage" '"bytes": 700, "packets": 7' "$(first usage '"packets": 7')"
