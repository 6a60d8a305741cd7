/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The VLAN that this host's ARP (RFC 826) and neighbour discovery (RFC 4861
 * clauses 4.3 and 4.4) go to: by the router that is asked for, or answered.
 * What is forwarded is left after one comparison.
 */
#ifndef SLUICE_BPF_NEIGHBOUR_H
#define SLUICE_BPF_NEIGHBOUR_H

#include "maps.h"

#include <bpf/bpf_endian.h>

#define NEIGHBOUR_ND_SOLICITATION  135
#define NEIGHBOUR_ND_ADVERTISEMENT 136
#define NEIGHBOUR_ND_HOP_LIMIT	   255 /* RFC 4861 clause 7.1: what has another is no ND */

struct neighbour_arp {
	struct arphdr head;
	__u8 sender[6], sender_address[4];
	__u8 target[6], target_address[4];
} __attribute__((packed));

struct neighbour_nd {
	struct ipv6hdr ip;
	__u8 type, code;
	__be16 checksum;
	__be32 flags;
	__u8 target[16];
} __attribute__((packed));

/* Target protocol address: of a request who is asked for, of a reply who has asked. */
static __always_inline bool neighbour_of_arp(struct __sk_buff *skb, struct sluice_neighbour *key)
{
	struct neighbour_arp arp;

	if (bpf_skb_load_bytes_relative(skb, 0, &arp, sizeof(arp), BPF_HDR_START_NET) ||
	    arp.head.ar_hrd != bpf_htons(ARPHRD_ETHER) || arp.head.ar_pro != bpf_htons(ETH_P_IP) ||
	    arp.head.ar_hln != 6 || arp.head.ar_pln != 4)
		return false;
	key->family = 4;
	__builtin_memcpy(key->address, arp.target_address, sizeof(arp.target_address));
	return true;
}

/* Who is asked for, whatever group the question goes to; or who gets the answer. */
static __always_inline bool neighbour_of_nd(struct __sk_buff *skb, struct sluice_neighbour *key)
{
	struct neighbour_nd nd;

	if (bpf_skb_load_bytes_relative(skb, 0, &nd, sizeof(nd), BPF_HDR_START_NET) ||
	    nd.ip.nexthdr != IPPROTO_ICMPV6 || nd.ip.hop_limit != NEIGHBOUR_ND_HOP_LIMIT)
		return false;
	key->family = 6;
	if (nd.type == NEIGHBOUR_ND_SOLICITATION)
		__builtin_memcpy(key->address, nd.target, sizeof(key->address));
	else if (nd.type == NEIGHBOUR_ND_ADVERTISEMENT)
		__builtin_memcpy(key->address, &nd.ip.daddr, sizeof(key->address));
	else
		return false;
	return true;
}

/* 0: no tag. */
static __always_inline __u32 neighbour_vlan(struct __sk_buff *skb)
{
	struct sluice_neighbour key = {};
	const __u32 *vlan;

	if (skb->ingress_ifindex)
		return 0;
	if (skb->protocol == bpf_htons(ETH_P_ARP)) {
		if (!neighbour_of_arp(skb, &key))
			return 0;
	} else if (skb->protocol == bpf_htons(ETH_P_IPV6)) {
		if (!neighbour_of_nd(skb, &key))
			return 0;
	} else {
		return 0;
	}
	vlan = bpf_map_lookup_elem(&neighbours, &key);
	return vlan ? *vlan : 0;
}

#endif
