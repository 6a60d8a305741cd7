// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/* tc ingress of access devices: packets from subscribers. */
#include "enforce.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("tc")
int access_ingress(struct __sk_buff *skb)
{
	return enforce(skb, SLUICE_UPLINK, true);
}

/* devices without a link header: tun */
SEC("tc")
int access_ingress_l3(struct __sk_buff *skb)
{
	return enforce(skb, SLUICE_UPLINK, false);
}
