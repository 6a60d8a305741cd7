/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The filter before the table that keys from outside could fill: count-min, four rows. It says only
 * that a key may have a state; by itself it never judges.
 */
#ifndef SLUICE_BPF_IDS_SKETCH_H
#define SLUICE_BPF_IDS_SKETCH_H

#include "ids_maps.h"

static __always_inline __u64 ids_mix(__u64 value)
{
	value ^= value >> 32;
	value *= 0x9fb21c651e98df25ull;
	value ^= value >> 28;
	value *= 0x9e3779b97f4a7c15ull;
	return value ^ value >> 32;
}

static __always_inline __u64 ids_key_hash(const struct sluice_ids_key *key)
{
	const __u64 *word = (const __u64 *)key;
	__u64 hash = 0;

	for (int i = 0; i < (int)(sizeof(*key) / 8); i++)
		hash = ids_mix(hash ^ word[i]);
	return hash;
}

/*
 * True: the key may have come to half of a limit, so it deserves a state of its own. Time is in
 * windows one after the other: any that a limit speaks of lies in two, and half of what is above
 * the limit is in one. A wrong yes costs room.
 */
static __noinline bool ids_sketch_promotes(const struct sluice_ids_rule *rule,
					   const struct sluice_ids_key *key, __u64 units, __u64 now)
{
	__u64 hash = ids_key_hash(key), count = 0xfffff, window = 0;
	__u32 first = ((__u32)rule->sketch - 1) % SLUICE_IDS_SKETCHES * SLUICE_IDS_SKETCH_ROWS;
	__u32 least = 0xfffff, at;

	for (__u32 i = 0; i < SLUICE_IDS_LIMITS && i < rule->limit_count; i++) {
		if (rule->limit[i].count < count)
			count = rule->limit[i].count;
		if (rule->limit[i].window_ns > window)
			window = rule->limit[i].window_ns;
	}
	at = (__u32)(now / (window + 1)) & 0xfff;
	for (__u32 row = 0; row < SLUICE_IDS_SKETCH_ROWS; row++) {
		__u32 cell = (first + row) * SLUICE_IDS_SKETCH_COLUMNS + (__u16)(hash >> 16 * row);
		__u32 *value = bpf_map_lookup_elem(&ids_sketch, &cell);
		__u32 before, seen;

		if (!value)
			return true;
		before = *(volatile __u32 *)value;
		seen = before >> 20 == at ? before & 0xfffff : 0;
		seen = seen + units > 0xfffff ? 0xfffff : seen + (__u32)units;
		/* a lost race counts one packet too few in one of four rows */
		*(volatile __u32 *)value = at << 20 | seen;
		if (seen < least)
			least = seen;
	}
	return least >= count / 2;
}

#endif
