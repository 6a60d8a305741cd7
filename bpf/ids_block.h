/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What is blocked: as long as the block says, whatever the agent does. */
#ifndef SLUICE_BPF_IDS_BLOCK_H
#define SLUICE_BPF_IDS_BLOCK_H

#include "ids_walk.h"
#include "meter.h"

/* A block that goes on and on is told so often. */
#define IDS_EXTEND_EVENT_NS 1000000000ull

#define IDS_EXISTS (-17) /* EEXIST */

static __always_inline bool ids_block_holds(const struct sluice_ids_block *block, __u64 now)
{
	if (block->hard_ns && now >= block->hard_ns)
		return false;
	return !block->idle_ns || now < block->last_ns + block->idle_ns;
}

/* The packet that begins a block's idle time anew. True: that is to be told, once a second. */
static __always_inline bool ids_block_extend(const struct ids_walk *walk, struct sluice_ids_block *block)
{
	__u64 last = block->last_ns;

	if (!(block->flags & SLUICE_IDS_BLOCK_EXTEND) || walk->now <= last)
		return false;
	block->last_ns = walk->now;
	return last / IDS_EXTEND_EVENT_NS != walk->now / IDS_EXTEND_EVENT_NS;
}

/* True: the packet is of what is blocked, and goes no further. The agent sees to quarantine and redirection.
 */
static __always_inline bool ids_block_hits(struct ids_walk *walk, struct sluice_ids_block *block)
{
	if (!ids_block_holds(block, walk->now) || (block->flags & SLUICE_IDS_BLOCK_OBSERVE))
		return false;
	switch (block->verdict) {
	case SLUICE_IDS_DROP:
	case SLUICE_IDS_DROP_CONNECTION:
		break;
	case SLUICE_IDS_POLICE: {
		struct meter_claim claim;

		if (meter_take(&block->tat, &block->police, walk->bytes, sluice_meter_ticks(walk->now),
			       &claim) == METER_TAKEN)
			return false;
		break;
	}
	default:
		return false;
	}
	__sync_fetch_and_add(&block->hits.bytes, walk->bytes);
	__sync_fetch_and_add(&block->hits.packets, walk->packets);
	return true;
}

/* In place of one that is over, or of none. 0; IDS_EXISTS: another CPU was faster; other: there is no room.
 */
static __always_inline long ids_block_make(struct ids_walk *walk, struct sluice_ids_rule *rule, __u32 slot,
					   bool over)
{
	const struct sluice_ids_offender *before = bpf_map_lookup_elem(&ids_offenders, &walk->key);
	struct sluice_ids_block *block = &walk->block;
	__u64 hard = rule->hard_ns;
	long error;

	if (before && before->hard_ns)
		hard = before->hard_ns;

	block->since_ns = block->last_ns = walk->now;
	block->hard_ns = hard ? walk->now + hard : 0;
	block->idle_ns = rule->idle_ns;
	block->hits.bytes = block->hits.packets = 0;
	block->tat = 0;
	block->police = rule->police;
	block->level = before ? before->level : 0;
	block->verdict = rule->verdict;
	block->rule = slot;
	block->flags = 0;
	if (rule->flags & SLUICE_IDS_EXTEND)
		block->flags |= SLUICE_IDS_BLOCK_EXTEND;
	if (rule->flags & SLUICE_IDS_OBSERVE)
		block->flags |= SLUICE_IDS_BLOCK_OBSERVE;
	error = bpf_map_update_elem(&ids_blocks, &walk->key, block, over ? BPF_ANY : BPF_NOEXIST);
	if (!error && !over) {
		__sync_fetch_and_add(&rule->blocks, 1);
		ids_table_grew(SLUICE_IDS_TABLE_BLOCKS, true, false);
	} else if (error && error != IDS_EXISTS) {
		ids_table_grew(SLUICE_IDS_TABLE_BLOCKS, false, true);
	}
	return error;
}

#endif
