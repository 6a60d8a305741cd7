# shellcheck shell=bash
# SPDX-License-Identifier: Apache-2.0
# An 802.1Q switch for kernels that have no VLAN devices and no VLAN bridge: two BPF
# filters in $INET. Behind it each router is a namespace with a stack of its own, whose
# frames have no tag; on inet0, the trunk, they have the tag of their VLAN.

# port_program NAME BODY: compiled to $DIR/NAME.o
port_program() {
	cat >"$DIR/$1.c" <<-END
		#include <linux/bpf.h>
		static int (*push)(struct __sk_buff *, int, int) = (void *)BPF_FUNC_skb_vlan_push;
		static int (*pop)(struct __sk_buff *) = (void *)BPF_FUNC_skb_vlan_pop;
		static int (*to)(int, int) = (void *)BPF_FUNC_redirect;
		__attribute__((section("classifier"), used)) int port(struct __sk_buff *skb)
		{
			$2
		}
		char terms[] __attribute__((section("license"), used)) = "GPL";
	END
	clang -O2 -target bpf "-I/usr/include/$(uname -m)-linux-gnu" -c "$DIR/$1.c" -o "$DIR/$1.o" || skip "no clang for the BPF target"
}
port_filter() { # DEVICE NAME PRIORITY
	in_inet tc filter add dev "$1" ingress prio "$3" protocol all bpf da obj "$DIR/$2.o" sec classifier ||
		skip "this tc cannot load BPF"
}

# router VLAN: the namespace $PREFIX-rVLAN with the device r0 in that VLAN
router() {
	local ns=$PREFIX-r$1 port=p$1 index trunk
	ip netns add "$ns"
	MORE_NAMESPACES+=("$ns")
	in_ns "$ns" sysctl -qw net.ipv6.conf.all.disable_ipv6=0 net.ipv6.conf.default.disable_ipv6=0 \
		net.ipv6.conf.default.accept_dad=0 net.ipv6.conf.all.accept_dad=0 net.ipv4.conf.all.rp_filter=0
	ip -n "$ns" link set lo up
	ip -n "$INET" link add "$port" type veth peer name r0 netns "$ns"
	ip -n "$INET" link set "$port" up
	ip -n "$ns" link set r0 up
	index=$(ip -n "$INET" -j link show "$port" | jq '.[0].ifindex')
	trunk=$(ip -n "$INET" -j link show inet0 | jq '.[0].ifindex')
	in_inet tc qdisc replace dev inet0 clsact
	in_inet tc qdisc add dev "$port" clsact
	port_program "to$1" "if (!skb->vlan_present || (skb->vlan_tci & 0xfff) != $1) return -1; pop(skb); return to($index, 0);"
	port_program "from$1" "return push(skb, __builtin_bswap16(0x8100), $1) ? 2 : to($trunk, 0);"
	port_filter inet0 "to$1" "$1"
	port_filter "$port" "from$1" 1
}
