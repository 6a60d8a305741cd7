// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* tc ingress of access devices: packets from subscribers. */
#include "enforce.h"
#include "shape.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

static __always_inline int uplink(struct __sk_buff *skb, bool ethernet)
{
	__u16 class = 0;

	if (!enforce(skb, SLUICE_UPLINK, ethernet, &class))
		return TC_ACT_SHOT;
	shape_mark(skb, class);
	return TC_ACT_UNSPEC;
}

SEC("tc")
int access_ingress(struct __sk_buff *skb)
{
	return uplink(skb, true);
}

/* devices without a link header: tun */
SEC("tc")
int access_ingress_l3(struct __sk_buff *skb)
{
	return uplink(skb, false);
}
