#!/usr/bin/env bash
# SPDX-License-Identifier: Apache-2.0
# Two VLANs on one core device, a router with a stack of its own in each, nobody with a
# permanent entry and nobody with a VLAN device: the gateway asks first, the router asks first, entries
# that are flushed and that fail, in both families; a router that is not named is not found.
export NEIGHBOURS=real
. "$(dirname "$0")/../lib/net.sh"
. "$ROOT/selftests/lib/vlan_switch.sh"

net_up
router 100
router 200
# net N: the VLAN's, /24 and /64; .1 is the gateway, .2 its router, .3 a router that is not named
for n in 100 200; do
	ip -n "$GW" address add 203.0.$n.1/24 dev core0
	ip -n "$GW" address add 2001:db8:$n::1/64 dev core0 nodad
	ip -n "$PREFIX-r$n" -batch - <<-END
		address add 203.0.$n.2/24 dev r0
		address add 203.0.$n.3/24 dev r0
		address add 2001:db8:$n::2/64 dev r0 nodad
		address add 2001:db8:$n::3/64 dev r0 nodad
		address add fe80::$n:2/64 dev r0 nodad
		route add default via 203.0.$n.1
		route add default via 2001:db8:$n::1
	END
	# a host behind the router: what is forwarded is asked for from the router's own addresses
	host=$PREFIX-h$n
	ip netns add "$host"
	MORE_NAMESPACES+=("$host")
	in_ns "$host" sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.disable_ipv6=0
	in_ns "$PREFIX-r$n" sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1
	ip -n "$PREFIX-r$n" link add lan0 type veth peer name h0 netns "$host"
	ip -n "$PREFIX-r$n" link set lan0 up
	ip -n "$host" link set h0 up
	ip -n "$PREFIX-r$n" address add 198.18.$n.1/24 dev lan0
	ip -n "$PREFIX-r$n" address add 2001:db8:a$n::1/64 dev lan0 nodad
	ip -n "$host" address add 198.18.$n.2/24 dev h0
	ip -n "$host" address add 2001:db8:a$n::2/64 dev h0 nodad
	ip -n "$host" route add default via 198.18.$n.1
	ip -n "$host" route add default via 2001:db8:a$n::1
	ip -n "$GW" route add 198.18.$n.0/24 via 203.0.$n.2
	ip -n "$GW" route add 2001:db8:a$n::/64 via 2001:db8:$n::2
done
# the routers' other link-local addresses have no name here: the one that is named is the one
for n in 100 200; do
	for other in $(ip -n "$PREFIX-r$n" -j address show r0 |
		jq -r '.[0].addr_info[] | select(.scope == "link" and .family == "inet6") | .local'); do
		[ "$other" = "fe80::$n:2" ] || ip -n "$PREFIX-r$n" address delete "$other/64" dev r0
	done
done
ip -n "$SUB" neigh replace 10.60.255.254 lladdr $GW_ACCESS_MAC dev sub0 nud permanent
write_config mode="${1:-tc}" extra='apns:
  - {name: internet, vlan: 100, neighbours: [203.0.100.2, "2001:db8:100::2", "fe80::100:2"]}
  - {name: ims, vlan: 200, neighbours: [203.0.200.2, "2001:db8:200::2", "fe80::200:2"]}'
agent_start

apn_of=([1]=internet [2]=ims)
for n in 1 2; do
	for address in "$(ue4 $n)" "$(ue6 $n)"; do
		session "$(imsi $n)" "$address"
		sed -i "\$i\    apn: ${apn_of[$n]}" "$SESSIONS"
		rule all 10
		flow uplink permit
		flow downlink permit
	done
done
activate

flush() { # of both sides
	local n
	ip -n "$GW" neigh flush dev core0
	for n in 100 200; do ip -n "$PREFIX-r$n" neigh flush dev r0; done
}
state() { ip -n "$1" neigh show "$2" dev "$3"; } # NAMESPACE ADDRESS DEVICE
knows() { state "$1" "$2" "$3" | grep -q lladdr; }

# round_trip N: the subscriber of each APN gets an answer through its VLAN in both families
round_trip() { # WHAT
	local n vlan
	for n in 1 2; do
		vlan=$((n * 100))
		in_sub ping -q -c 2 -W 3 -I "$(ue4 $n)" 198.18.$vlan.2 >/dev/null || fail "$1: IPv4 through VLAN $vlan"
		in_sub ping -q -c 2 -W 3 -I "$(ue6 $n)" 2001:db8:a$vlan::2 >/dev/null || fail "$1: IPv6 through VLAN $vlan"
	done
}
flush
round_trip "gateway first"
for n in 100 200; do
	knows "$GW" 203.0.$n.2 core0 || fail "the gateway has no entry of 203.0.$n.2"
	knows "$GW" 2001:db8:$n::2 core0 || fail "the gateway has no entry of 2001:db8:$n::2"
done

# downlink begins: the router asks
say() { # VLAN ADDRESS: from the host behind the router
	in_ns "$PREFIX-h$1" /usr/bin/python3 - "$2" <<-END
		import socket, sys
		family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
		with socket.socket(family, socket.SOCK_DGRAM) as out:
		    out.sendto(b"first", (sys.argv[1], 5002))
	END
}
for n in 1 2; do
	for family in 4 6; do
		match=ip
		[ $family = 4 ] || match=ip6
		count_in "$SUB" first$family$n "$match daddr $("ue$family" $n) udp dport 5002"
	done
done
flush
for n in 1 2; do
	vlan=$((n * 100))
	say $vlan "$(ue4 $n)"
	say $vlan "$(ue6 $n)"
	expect "router first, IPv4, VLAN $vlan" "1 33" "$(settled "$SUB" first4$n 1)"
	expect "router first, IPv6, VLAN $vlan" "1 53" "$(settled "$SUB" first6$n 1)"
	knows "$PREFIX-r$vlan" 203.0.$vlan.1 r0 || fail "the router of VLAN $vlan has no IPv4 entry of the gateway"
	knows "$PREFIX-r$vlan" 2001:db8:$vlan::1 r0 || fail "the router of VLAN $vlan has no IPv6 entry of the gateway"
done

# entries that go stale are probed, by unicast, and stay: a probe without an answer ends in FAILED
for ns in "$GW" "$PREFIX-r100" "$PREFIX-r200"; do
	device=r0
	[ "$ns" != "$GW" ] || device=core0
	in_ns "$ns" sysctl -qw net.ipv4.neigh.$device.base_reachable_time_ms=500 net.ipv6.neigh.$device.base_reachable_time_ms=500 \
		net.ipv4.neigh.$device.delay_first_probe_time=1 net.ipv6.neigh.$device.delay_first_probe_time=1
done
for ((i = 0; i < 4; i++)); do
	round_trip "after expiry $i"
	sleep 1
done
for n in 100 200; do
	ip -n "$GW" neigh change 203.0.$n.2 lladdr "$(ip -n "$PREFIX-r$n" -j link show r0 | jq -r '.[0].address')" dev core0 nud probe
	ip -n "$GW" neigh change 2001:db8:$n::2 lladdr "$(ip -n "$PREFIX-r$n" -j link show r0 | jq -r '.[0].address')" dev core0 nud probe
	for address in 203.0.$n.2 2001:db8:$n::2; do
		confirmed() { state "$GW" "$address" core0 | grep -qE 'REACHABLE|STALE'; }
		eventually "the probe of $address is answered" 5 confirmed
	done
done

# who is not named is asked for without a tag, and not there
for address in 203.0.100.3 2001:db8:100::3; do
	in_gw ping -q -c 1 -W 1 "$address" >/dev/null 2>&1 && fail "$address answered"
	knows "$GW" "$address" core0 && fail "$address was found"
done

# killed: found as before without an agent, and with the next one
agent_stop KILL
flush
round_trip "without an agent"
agent_start
flush
round_trip "after the restart"

# without VLANs no ARP of this host has a tag any more
agent_stop
write_config mode="${1:-tc}"
agent_start
ip -n "$GW" neigh flush dev core0
in_gw ping -q -c 1 -W 1 203.0.100.2 >/dev/null 2>&1 && fail "203.0.100.2 answered"
knows "$GW" 203.0.100.2 core0 && fail "203.0.100.2 was found without a VLAN"
exit 0
