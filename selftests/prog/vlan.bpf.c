// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * The tags of bpf/vlan.h and nothing around them. A tag lies beside the packet,
 * where a test run does not show it: cb says what is there afterwards.
 */
#include "neighbour.h"
#include "vlan.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

static __always_inline void tell(struct __sk_buff *skb)
{
	skb->cb[0] = skb->vlan_present;
	skb->cb[1] = skb->vlan_tci;
	skb->cb[2] = bpf_ntohs(skb->vlan_proto);
	skb->cb[3] = skb->len;
}

/* By the mark; the verdict is 1 if that failed. */
SEC("tc")
int push(struct __sk_buff *skb)
{
	bool pushed = vlan_push(skb, skb->mark);

	tell(skb);
	return !pushed;
}

/* By whom ARP and ND is for. */
SEC("tc")
int ask(struct __sk_buff *skb)
{
	return neighbour_vlan(skb);
}

/* What comes in with the tag in cb: TPID and TCI; 0: none. */
SEC("tc")
int pop(struct __sk_buff *skb)
{
	if (skb->cb[0] && bpf_skb_vlan_push(skb, bpf_htons(skb->cb[0]), skb->cb[1]))
		return 1;
	vlan_pop(skb);
	tell(skb);
	return 0;
}
