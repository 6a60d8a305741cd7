/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * VLANs of APNs on core devices (IEEE 802.1Q), without VLAN devices. The tag is
 * the one beside the packet (skb->vlan_tci), which the device or the kernel puts
 * into the frame after the queues: no length that is counted changes.
 */
#ifndef SLUICE_BPF_VLAN_H
#define SLUICE_BPF_VLAN_H

#include "maps.h"

#include <bpf/bpf_endian.h>

#define VLAN_ETHERTYPE 0x8100
#define VLAN_ID_MASK   0x0fff

/* 0: none. False: the tag could not be pushed; without it the packet must not go. */
static __always_inline bool vlan_push_id(struct __sk_buff *skb, __u32 id)
{
	return !id || bpf_skb_vlan_push(skb, bpf_htons(VLAN_ETHERTYPE), id) == 0;
}

/* By the mark of access_ingress; false as above. */
static __always_inline bool vlan_push(struct __sk_buff *skb, __u16 mark)
{
	const struct sluice_mark *entry;
	__u32 slot = mark;

	if (!mark)
		return true;
	entry = bpf_map_lookup_elem(&marks, &slot);
	return !entry || vlan_push_id(skb, entry->vlan);
}

/* Only what an APN has: a tag that stays is another's, or nobody's, and the kernel judges it. */
static __always_inline void vlan_pop(struct __sk_buff *skb)
{
	const __u64 *ours;
	__u32 id;

	if (!skb->vlan_present || skb->vlan_proto != bpf_htons(VLAN_ETHERTYPE))
		return;
	id = skb->vlan_tci & VLAN_ID_MASK;
	ours = bpf_map_lookup_elem(&vlans, &id);
	if (ours && *ours)
		bpf_skb_vlan_pop(skb);
}

#endif
