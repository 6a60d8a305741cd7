// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* tc egress of access devices: packets to subscribers, the last step before HTB. */
#include "enforce.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("tc")
int access_egress(struct __sk_buff *skb)
{
	return enforce(skb, SLUICE_DOWNLINK, true);
}

/* devices without a link header: tun */
SEC("tc")
int access_egress_l3(struct __sk_buff *skb)
{
	return enforce(skb, SLUICE_DOWNLINK, false);
}
