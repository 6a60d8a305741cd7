/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The HTB class of a packet: chosen where the rule is known, carried in
 * skb->mark over forwarding (which overwrites skb->priority), and told to HTB
 * by skb->priority on the way out. With several HTBs (one for each
 * transmit queue, sluice/limits.h) a class is in one of them.
 */
#ifndef SLUICE_BPF_SHAPE_H
#define SLUICE_BPF_SHAPE_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "maps.h"
#include "sluice/limits.h"

static __always_inline void shape_mark(struct __sk_buff *skb, __u16 class)
{
	/* volatile: the verifier takes no 16-bit store, which the compiler would make of it */
	volatile __u32 *mark = &skb->mark;

	*mark = (*mark & ~SLUICE_MARK_MASK) | class;
}

static __always_inline __u16 shape_marked(const struct __sk_buff *skb)
{
	return skb->mark & SLUICE_MARK_MASK;
}

/*
 * The transmit queue whose HTB has the class, which the packet is sent to. What the
 * kernel keeps for a packet received is the number of a queue + 1; it sends by that
 * unless XPS or a local socket says otherwise.
 */
static __always_inline __u32 shape_queue(struct __sk_buff *skb, __u16 class)
{
	const struct sluice_settings *setting;
	const __u32 *queues;
	__u32 slot = 0, ifindex, queue;

	setting = bpf_map_lookup_elem(&settings, &slot);
	if (!setting || !setting->egress_queues)
		return 0;
	ifindex = skb->ifindex;
	queues = bpf_map_lookup_elem(&egress_devices, &ifindex);
	if (!queues || *queues < 2)
		return 0;
	queue = (class >> SLUICE_HTB_UNIT_BITS) % *queues;
	skb->queue_mapping = queue + 1;
	return queue;
}

/* No class, and what is a mark and not a class, is the default class: never HTB's unshaped direct queue. */
static __always_inline void shape_classify(struct __sk_buff *skb, __u16 class)
{
	if (class && class < SLUICE_MARK_APN)
		skb->priority = ((SLUICE_HTB_MAJOR - shape_queue(skb, class)) << 16) | class;
	else
		skb->priority = (SLUICE_HTB_MAJOR << 16) | SLUICE_HTB_DEFAULT_MINOR;
}

#endif
