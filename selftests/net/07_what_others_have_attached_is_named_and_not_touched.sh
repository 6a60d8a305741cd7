#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# A root qdisc or an XDP program of somebody else stands in the way: the agent
# says which, on which device, exits non-zero and has changed nothing.
. "$(dirname "$0")/../lib/net.sh"

refused() { # WHAT PATTERN
	local code=0
	timeout 20 nsenter --net="/run/netns/$GW" -- "$AGENT" --config "$CONFIG" >"$DIR/out" 2>&1 || code=$?
	[ "$code" -ne 0 ] && [ "$code" -ne 124 ] || fail "$1: the agent started beside it (exit $code)"
	expect_text "$1" "$2" "$(cat "$DIR/out")"
}
links() { in_gw ip -o link show | grep -oE '^[0-9]+: [a-z0-9]+|xdp[a-z]*/id:[0-9]+|xdp' ; in_gw tc qdisc show | sed 's/direct_packets_stat [0-9]*//'; }

net_up
write_config mode=tc
in_gw tc qdisc add dev core0 root handle 5: htb default 1
before=$(links)
refused "a foreign root qdisc" 'core0.*htb.*5:|htb.*5:.*core0'
expect "the devices" "$before" "$(links)"
[ ! -e "$PINS" ] || [ -z "$(find "$PINS" -type f)" ] || fail "pins are left: $(find "$PINS")"
in_gw tc qdisc del dev core0 root

# the kernel's own default qdisc is nobody's
agent_start
agent_stop TERM
in_gw "$AGENT" --config "$CONFIG" --detach >/dev/null 2>&1 || fail "detach"

# an XDP program of others on the access device
foreign_object xdp foreign_program 2 # XDP_PASS
in_gw ip link set dev acc0 xdpdrv obj "$DIR/foreign_program.o" sec xdp 2>"$DIR/err" || fail "cannot attach: $(cat "$DIR/err")"
write_config mode=xdp
before=$(links)
refused "a foreign XDP program" 'acc0'
id=$(in_gw ip -d -j link show acc0 | jq '.[0].xdp.prog.id')
expect_text "a foreign XDP program by name or id" "foreign_program|\b$id\b" "$(cat "$DIR/out")"
expect "the devices with it" "$before" "$(links)"
in_gw ip link set dev acc0 xdpdrv off

# a filter of others in clsact is left alone and goes on working beside ours
in_gw tc qdisc replace dev acc0 clsact
foreign_filter acc0 ingress
write_config mode=tc
agent_start
expect_text "the other's filter" foreign_filter "$(in_gw tc filter show dev acc0 ingress)"
agent_stop TERM
