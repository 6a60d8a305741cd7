// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* tc egress of access devices: packets to subscribers, the last step before HTB. */
#include "enforce.h"
#include "shape.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

static __always_inline int downlink(struct __sk_buff *skb, bool ethernet)
{
	__u16 class = 0;

	if (!enforce(skb, SLUICE_DOWNLINK, ethernet, &class))
		return TC_ACT_SHOT;
	shape_classify(skb, class);
	return TC_ACT_UNSPEC;
}

SEC("tc")
int access_egress(struct __sk_buff *skb)
{
	return downlink(skb, true);
}

/* devices without a link header: tun */
SEC("tc")
int access_egress_l3(struct __sk_buff *skb)
{
	return downlink(skb, false);
}
