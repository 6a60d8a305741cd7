/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The HTB class of a packet: chosen where the rule is known, carried in
 * skb->mark over forwarding (which overwrites skb->priority), and told to HTB
 * by skb->priority on the way out.
 */
#ifndef SLUICE_BPF_SHAPE_H
#define SLUICE_BPF_SHAPE_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

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

/* No class, and what is a mark and not a class, is the default class: never HTB's unshaped direct queue. */
static __always_inline void shape_classify(struct __sk_buff *skb, __u16 class)
{
	if (class >= SLUICE_MARK_PORTAL)
		class = 0;
	skb->priority = (SLUICE_HTB_MAJOR << 16) | (class ? class : SLUICE_HTB_DEFAULT_MINOR);
}

#endif
