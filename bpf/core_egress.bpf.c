// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* tc egress of core devices: the class that access_ingress chose, before HTB. Reads no packet. */
#include "shape.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("tc")
int core_egress(struct __sk_buff *skb)
{
	shape_classify(skb, shape_marked(skb));
	return TC_ACT_UNSPEC;
}
