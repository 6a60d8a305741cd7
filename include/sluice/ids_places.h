/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which element of ids_buckets, ids_windows and ids_logs is whose: keys in an array,
 * because a look into the kernel's hash, which is calls, costs more than all the rest
 * of a rule.
 *
 * A key has two groups of eight places, and is in one of them. Packets put it there, under a lock of the
 * key's own, so that it is there once; the agent takes it out:
 *
 *   FREE -> TAKEN -> the key's tag -> LEFT -> FREE
 *
 * FREE to TAKEN is by compare-and-swap, for keys of other locks have the same groups. The last two steps are
 * the agent's; the last one when no packet can be at the place any more, and the state is zero again. So who
 * finds a free place finds a state of nobody.
 */
#ifndef SLUICE_IDS_PLACES_H
#define SLUICE_IDS_PLACES_H

#include "ids.h"

#define SLUICE_IDS_GROUP 8

enum sluice_ids_tag {
	SLUICE_IDS_TAG_FREE,
	SLUICE_IDS_TAG_TAKEN,	/* the key is being written */
	SLUICE_IDS_TAG_LEFT,	/* the key has been taken out, packets may still be here */
	SLUICE_IDS_TAG_KEY = 4, /* a bit of all tags of keys */
};

/* A place is left for so many seconds: packets are through in microseconds. */
#define SLUICE_IDS_LEFT_SECONDS 2

/* ids_bucket_keys, ids_window_keys, ids_log_keys: value. Place i of element n: state 8 * (n - 1) + i. */
struct sluice_ids_group {
	__u32 tag[SLUICE_IDS_GROUP];
	__u32 since[SLUICE_IDS_GROUP]; /* CLOCK_MONOTONIC seconds: when the key came, or left */
	struct sluice_ids_key key[SLUICE_IDS_GROUP];
};

#define SLUICE_IDS_SEEDS (sizeof(struct sluice_ids_key) / 4)

/* Element 0 of each. */
struct sluice_ids_places {
	__u32 groups; /* that follow; 0: there is no table, and no key finds room */
	__u32 reserved;
	__u64 seed[SLUICE_IDS_SEEDS]; /* random: nobody can choose keys that meet in a group */
};

/* ids_place_locks: value; which one is a matter of the key, not of the table */
struct sluice_ids_place_lock {
	SLUICE_IDS_LOCK lock;
	__u32 reserved;
};
#define SLUICE_IDS_PLACE_LOCKS 256

/* Never a call, which would cost as much as the look. */
#define SLUICE_IDS_INLINE static inline __attribute__((always_inline))

/*
 * Groups for so many keys: two thirds full with all of them. Of two groups the emptier one is taken, so that
 * at two thirds no key of large tables finds both full, of tables of a hundred keys four in a million; at
 * three quarters one in a hundred thousand (simulated).
 */
SLUICE_IDS_INLINE __u32 sluice_ids_groups(__u32 keys)
{
	__u32 groups = (__u32)(((__u64)keys * 3 + 2 * SLUICE_IDS_GROUP - 1) / (2 * SLUICE_IDS_GROUP));

	return groups < 2 ? 2 : groups;
}

/* Two words of 32 bits: multilinear hashing by halves, strongly universal in the upper 32 bits (Lemire,
 * Kaser: Strongly universal string hashing is fast, 2014). */
SLUICE_IDS_INLINE __u64 sluice_ids_hash_word(const struct sluice_ids_places *places, __u32 at, __u64 word)
{
	return (places->seed[2 * at] + (__u32)word) * (places->seed[2 * at + 1] + (word >> 32));
}

SLUICE_IDS_INLINE __u64 sluice_ids_hash(const struct sluice_ids_places *places,
					const struct sluice_ids_key *key)
{
	const __u64 *word = (const __u64 *)key;

	return sluice_ids_hash_word(places, 0, word[0]) + sluice_ids_hash_word(places, 1, word[1]) +
	       sluice_ids_hash_word(places, 2, word[2]) + sluice_ids_hash_word(places, 3, word[3]) +
	       sluice_ids_hash_word(places, 4, word[4]) + sluice_ids_hash_word(places, 5, word[5]);
}

SLUICE_IDS_INLINE __u64 sluice_ids_hash_again(__u64 hash)
{
	return (hash ^ hash >> 29) * 0x9e3779b97f4a7c15ull;
}

SLUICE_IDS_INLINE __u32 sluice_ids_tag_of(__u64 hash)
{
	return (__u32)hash | SLUICE_IDS_TAG_KEY;
}

/* Elements of the map. */
SLUICE_IDS_INLINE __u32 sluice_ids_group_first(__u64 hash, __u32 groups)
{
	return 1 + (__u32)((hash >> 32) * groups >> 32);
}

SLUICE_IDS_INLINE __u32 sluice_ids_group_second(__u64 hash, __u32 groups)
{
	return 1 + (__u32)((sluice_ids_hash_again(hash) >> 32) * groups >> 32);
}

SLUICE_IDS_INLINE __u32 sluice_ids_place_lock_of(__u64 hash)
{
	return (__u32)(hash >> 32) % SLUICE_IDS_PLACE_LOCKS;
}

SLUICE_IDS_INLINE int sluice_ids_same_key(const struct sluice_ids_key *a, const struct sluice_ids_key *b)
{
	const __u64 *one = (const __u64 *)a, *other = (const __u64 *)b;

	return !((one[0] ^ other[0]) | (one[1] ^ other[1]) | (one[2] ^ other[2]) | (one[3] ^ other[3]) |
		 (one[4] ^ other[4]) | (one[5] ^ other[5]));
}

_Static_assert(sizeof(struct sluice_ids_key) == 6 * 8, "as it is hashed and compared");
_Static_assert(sizeof(struct sluice_ids_group) % 64 == 0,
	       "groups begin with a cache line: their tags are in one");
_Static_assert(sizeof(struct sluice_ids_places) <= sizeof(struct sluice_ids_group), "the head is an element");

#endif
