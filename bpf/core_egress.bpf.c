// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * tc egress of core devices: the class that access_ingress chose, before HTB, and
 * the VLAN of the session's APN. Reads no packet but ARP and ND of this host.
 */
#include "neighbour.h"
#include "shape.h"
#include "vlan.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("tc")
int core_egress(struct __sk_buff *skb)
{
	__u16 mark = shape_marked(skb);

	shape_classify(skb, mark);
	if (!mark)
		return vlan_push_id(skb, neighbour_vlan(skb)) ? TC_ACT_UNSPEC : TC_ACT_SHOT;
	return vlan_push(skb, mark) ? TC_ACT_UNSPEC : TC_ACT_SHOT;
}
