/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Rules that send what they permit to an interface of their own: all of it (quarantine), or a copy (mirror).
 */
#ifndef SLUICE_BPF_STEER_H
#define SLUICE_BPF_STEER_H

#include "maps.h"
#include "packet.h"

/* NULL: a redirection to an interface that is not there, or to the one where the packet is. */
static __always_inline const struct sluice_steer *steer_find(const struct __sk_buff *skb, __u8 action)
{
	__u32 slot = action - SLUICE_STEER_FIRST;
	const struct sluice_steer *steer = bpf_map_lookup_elem(&steers, &slot);

	if (!steer || steer->mode == SLUICE_STEER_FREE)
		return NULL;
	if (steer->mode == SLUICE_STEER_REDIRECT && (!steer->ifindex || steer->ifindex == skb->ifindex))
		return NULL;
	return steer;
}

/* A copy that cannot be sent is lost: the subscriber is not to notice the mirror. */
static __noinline int steer_send(struct __sk_buff *skb, const struct sluice_steer *steer)
{
	struct bpf_redir_neigh next_hop = {};
	__u32 ifindex;

	if (!steer)
		return TC_ACT_SHOT;
	ifindex = steer->ifindex;
	if (steer->mode == SLUICE_STEER_MIRROR) {
		/* a copy to where the packet is already would come by here again, and again */
		if (ifindex && ifindex != skb->ifindex)
			bpf_clone_redirect(skb, ifindex, 0);
		return TC_ACT_UNSPEC;
	}
	if (!steer->next_hop_family)
		return bpf_redirect(ifindex, 0);
	next_hop.nh_family = steer->next_hop_family == 4 ? AF_INET : AF_INET6;
	__builtin_memcpy(next_hop.ipv6_nh, steer->next_hop, sizeof(next_hop.ipv6_nh));
	return bpf_redirect_neigh(ifindex, &next_hop, sizeof(next_hop), 0);
}

#endif
