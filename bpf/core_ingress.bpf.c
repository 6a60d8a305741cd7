// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* tc ingress of core devices, where an APN has a VLAN: takes its tag off, before the kernel looks at it. */
#include "vlan.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("tc")
int core_ingress(struct __sk_buff *skb)
{
	vlan_pop(skb);
	return TC_ACT_UNSPEC;
}
