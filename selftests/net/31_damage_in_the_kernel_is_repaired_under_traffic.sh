#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Somebody's hand in the maps, the hooks or the queues: the agent puts it right
# within one pass of its audit and says so, while traffic goes on.
. "$(dirname "$0")/../lib/net.sh"

net_up
silence
write_config extra='audit: {interval: 1s}'
agent_start
session "$(imsi 1)" "$(ue4 1)"
rule limited 10 20Mbit
flow uplink permit udp any 5001
rule blocked 5
flow uplink deny udp any 5002
activate

# bytes N: an unsigned integer as bpftool wants a key, four bytes of this machine's order
bytes() { printf '%d %d %d %d' $(($1 & 255)) $(($1 >> 8 & 255)) $(($1 >> 16 & 255)) $(($1 >> 24 & 255)); }
# shellcheck disable=SC2046
zeros() { printf '0 %.0s' $(seq "$1"); }
address() { tr . ' ' <<<"$1"; }
# shellcheck disable=SC2046,SC2086
update() { bpftool map update pinned "$PINS/maps/$1" key $2 value $3 || fail "bpftool cannot write $1"; }
lookup() { bpftool -j map lookup pinned "$PINS/maps/$1" key $2; }
endpoint_policy() {
	# shellcheck disable=SC2046
	lookup endpoints4 "$(address "$(ue4 1)")" 2>/dev/null | jq '.formatted.value.policy // empty'
}
repairs() { status audit.repairs; }
repaired_since() { [ "$(repairs)" -gt "$1" ]; }
passes_twice() { # a pass that began after now has ended
	local until=$(($(status audit.passes) + 2))
	eventually "two passes of the audit" 6 eval '[ "$(status audit.passes)" -ge '$until' ]'
}

spawn ctl watch >"$DIR/events" 2>&1
spawn send_up "$(ue4 1)" "$(host4 1)" --dport 5001 --size 500 --rate 500 --count 40000 >/dev/null
passes_twice
expect "repairs while all is well" 0 "$(repairs)"
[ -n "$(endpoint_policy)" ] || fail "bpftool shows no endpoint"

# the subscriber's endpoint
before=$(repairs)
# shellcheck disable=SC2046
bpftool map delete pinned "$PINS/maps/endpoints4" key $(address "$(ue4 1)") || fail "bpftool cannot delete"
eventually "the endpoint is repaired" 3 repaired_since "$before"
[ -n "$(endpoint_policy)" ] || fail "the endpoint is still missing"
expect_text "last repair" "endpoint, which was missing" "$(status audit.last)"

# a stranger's endpoint, leading to the subscriber's policy
before=$(repairs)
# shellcheck disable=SC2046
value=$(lookup endpoints4 "$(address "$(ue4 1)")" | jq -r '.value | join(" ")')
update endpoints4 "$(address 10.60.200.1)" "$value"
eventually "the foreign endpoint is removed" 3 repaired_since "$before"
expect_text "last repair" "10.60.200.1" "$(status audit.last)"
expect "enforced" 1 "$(status enforced_sessions)"

# the policy and the match list: zeros, so that nothing would match any more
before=$(repairs)
policy=$(endpoint_policy)
update policies "$(bytes "$policy")" "$(zeros 128)"
eventually "the policy is repaired" 3 repaired_since "$before"
block=$(lookup policies "$(bytes "$(endpoint_policy)")" | jq .formatted.value.uplink_block)
before=$(repairs)
size=$(bpftool -j map show pinned "$PINS/maps/matches4" | jq .bytes_value)
update matches4 "$(bytes "$block")" "$(zeros "$size")"
eventually "the match list is repaired" 3 repaired_since "$before"
sent=$(send_up "$(ue4 1)" "$(host4 1)" --dport 5002 --count 10)
expect "the deny rule denies again" "$sent" "$(used "$(ue4 1)" blocked uplink_dropped)"

# a hook and a queue
before=$(repairs)
in_gw tc qdisc del dev core0 root || fail "tc cannot delete the qdisc"
eventually "the queues are repaired" 4 repaired_since "$before"
expect_text "the rate is back" "ceil 20Mbit" "$(in_gw tc class show dev core0)"
passes_twice

# it counts on: what the sender said is in the counters, but for the moments of damage
read -r packets _ <<<"$(used "$(ue4 1)" limited uplink)"
[ "$packets" -gt 1000 ] || fail "only $packets packets were counted over the repairs"
repairs=$(repairs)
passes_twice
expect "repairs afterwards" "$repairs" "$(repairs)"
expect "failures" 0 "$(status audit.failures)"
expect "events of repairs" "$repairs" "$(grep -c ' repaired ' "$DIR/events")"
expect "log lines of repairs" "$repairs" "$(grep -c 'event=repaired ' "$LOG")"
