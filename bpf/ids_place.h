/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* The place of a key in a table of states: see sluice/ids_places.h. */
#ifndef SLUICE_BPF_IDS_PLACE_H
#define SLUICE_BPF_IDS_PLACE_H

#include "ids_maps.h"

#define IDS_NOWHERE 0xffffffff

/* NULL: there is no table. */
static __always_inline const struct sluice_ids_places *ids_places(void *keys)
{
	const struct sluice_ids_places *places;
	__u32 head = 0;

	places = (const struct sluice_ids_places *)bpf_map_lookup_elem(keys, &head);
	return places && places->groups ? places : NULL;
}

static __always_inline bool ids_place_has(const struct sluice_ids_group *group, int at, __u32 tag,
					  const struct sluice_ids_key *key)
{
	return *(const volatile __u32 *)&group->tag[at] == tag && sluice_ids_same_key(&group->key[at], key);
}

static __always_inline __u32 ids_place_in(void *keys, __u32 element, __u32 tag,
					  const struct sluice_ids_key *key)
{
	const struct sluice_ids_group *group = bpf_map_lookup_elem(keys, &element);

	if (!group)
		return IDS_NOWHERE;
	for (int i = 0; i < SLUICE_IDS_GROUP; i++)
		if (ids_place_has(group, i, tag, key))
			return (element - 1) * SLUICE_IDS_GROUP + i;
	return IDS_NOWHERE;
}

/* Which state is the key's; IDS_NOWHERE: it has none. */
static __always_inline __u32 ids_place_find(void *keys, const struct sluice_ids_key *key)
{
	const struct sluice_ids_places *places = ids_places(keys);
	__u64 hash;
	__u32 groups, tag, place;

	if (!places)
		return IDS_NOWHERE;
	groups = places->groups;
	hash = sluice_ids_hash(places, key);
	tag = sluice_ids_tag_of(hash);
	place = ids_place_in(keys, sluice_ids_group_first(hash, groups), tag, key);
	if (place != IDS_NOWHERE)
		return place;
	return ids_place_in(keys, sluice_ids_group_second(hash, groups), tag, key);
}

static __always_inline void *ids_keys_at(__u32 table, __u32 element)
{
	switch (table) {
	case SLUICE_IDS_TABLE_BUCKETS:
		return bpf_map_lookup_elem(&ids_bucket_keys, &element);
	case SLUICE_IDS_TABLE_WINDOWS:
		return bpf_map_lookup_elem(&ids_window_keys, &element);
	default:
		return bpf_map_lookup_elem(&ids_log_keys, &element);
	}
}

static __always_inline bool ids_group_has(const struct sluice_ids_group *group, __u32 tag,
					  const struct sluice_ids_key *key)
{
	for (int i = 0; i < SLUICE_IDS_GROUP; i++)
		if (ids_place_has(group, i, tag, key))
			return true;
	return false;
}

static __always_inline __u32 ids_group_used(const struct sluice_ids_group *group)
{
	__u32 used = 0;

	/* FREE is 0; no branch, nor one of the compiler's, for the verifier would follow all sixteen both
	 * ways */
	for (int i = 0; i < SLUICE_IDS_GROUP; i++) {
		__u32 tag = *(const volatile __u32 *)&group->tag[i];

		tag |= -tag;
		asm volatile("" : "+r"(tag));
		used += tag >> 31;
	}
	return used;
}

static __always_inline bool ids_group_put(struct sluice_ids_group *group, __u32 tag,
					  const struct sluice_ids_key *key, __u32 seconds)
{
	for (int i = 0; i < SLUICE_IDS_GROUP; i++) {
		if (__sync_val_compare_and_swap(&group->tag[i], SLUICE_IDS_TAG_FREE, SLUICE_IDS_TAG_TAKEN) !=
		    SLUICE_IDS_TAG_FREE)
			continue;
		group->key[i] = *key;
		group->since[i] = seconds;
		/* a full barrier: who sees the tag sees the key */
		__sync_lock_test_and_set(&group->tag[i], tag);
		return true;
	}
	return false;
}

enum ids_place_made {
	IDS_PLACE_MADE,
	IDS_PLACE_THERE, /* another CPU was faster */
	IDS_PLACE_FULL,	 /* both groups are */
};

int ids_place_make(const struct sluice_ids_key *key, __u32 table, __u64 now);

/* For a key that has none. Who does not find it looks again under the lock, where nobody can put it in. */
__weak __noinline int ids_place_make(const struct sluice_ids_key *key, __u32 table, __u64 now)
{
	const struct sluice_ids_places *places = ids_keys_at(table, 0);
	struct sluice_ids_group *emptier, *fuller, *group;
	struct sluice_ids_place_lock *lock;
	int made = IDS_PLACE_THERE;
	__u32 slot, tag, groups, seconds;
	__u64 hash;

	if (!places || !key || !places->groups)
		return IDS_PLACE_FULL;
	groups = places->groups;
	hash = sluice_ids_hash(places, key);
	tag = sluice_ids_tag_of(hash);
	seconds = (__u32)(now / 1000000000);
	slot = sluice_ids_place_lock_of(hash);
	emptier = ids_keys_at(table, sluice_ids_group_first(hash, groups));
	fuller = ids_keys_at(table, sluice_ids_group_second(hash, groups));
	lock = bpf_map_lookup_elem(&ids_place_locks, &slot);
	if (!emptier || !fuller || !lock)
		return IDS_PLACE_FULL;
	bpf_spin_lock(&lock->lock);
	if (!ids_group_has(emptier, tag, key) && !ids_group_has(fuller, tag, key)) {
		if (ids_group_used(fuller) < ids_group_used(emptier)) {
			group = fuller;
			fuller = emptier;
			emptier = group;
		}
		made = IDS_PLACE_MADE;
		if (!ids_group_put(emptier, tag, key, seconds) && !ids_group_put(fuller, tag, key, seconds))
			made = IDS_PLACE_FULL;
	}
	bpf_spin_unlock(&lock->lock);
	return made;
}

static __always_inline void ids_table_grew(__u32 table, bool made, bool refused)
{
	struct sluice_ids_table_count *count = bpf_map_lookup_elem(&ids_table_counts, &table);

	if (!count)
		return;
	count->made += made;
	count->refused += refused;
}

/* NULL: there is no room. */
#define ids_state_of(keys, states, table, key, now)                                                    \
	({                                                                                             \
		__u32 place = ids_place_find(keys, key);                                               \
                                                                                                       \
		if (place == IDS_NOWHERE) {                                                            \
			int made = ids_place_make(key, table, now);                                    \
                                                                                                       \
			if (made != IDS_PLACE_THERE)                                                   \
				ids_table_grew(table, made == IDS_PLACE_MADE, made == IDS_PLACE_FULL); \
			if (made != IDS_PLACE_FULL)                                                    \
				place = ids_place_find(keys, key);                                     \
		}                                                                                      \
		bpf_map_lookup_elem(states, &place);                                                   \
	})

#endif
