/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Whether a packet is within a limit, and counting it if it is. What is in
 * excess is not counted: it did not pass. A bucket is one word and changed by
 * compare-and-swap; the longer states have a lock, which is held for some ten
 * instructions and for no call.
 */
#ifndef SLUICE_BPF_IDS_LIMIT_H
#define SLUICE_BPF_IDS_LIMIT_H

#include "ids_place.h"

/* As for meters: an attempt fails only where another succeeds. */
#define IDS_TRIES 16

enum ids_result {
	IDS_WITHIN,
	IDS_EXCESS,
	IDS_FULL, /* no room for the key's state */
};

/* What a limit is asked. */
struct ids_question {
	__u64 now;
	__u64 units;
	__u32 revision;
	__u32 value;	/* DISTINCT: hash of the port or address */
	__u64 observed; /* the answer: how many there would be */
	__u8 outside;	/* the table that gives way */
	__u8 poll;
	__u8 created; /* the state is new */
};

static __always_inline const struct ids_blank *ids_blank(void)
{
	__u32 slot = 0;

	return bpf_map_lookup_elem(&ids_blanks, &slot);
}

/*
 * A key that finds no room has no state. One of another revision was made for a rule of other
 * content: it begins anew in its place, since what is deleted another CPU may still count in.
 */
#define ids_find_or_make(type, map, table, key)                                               \
	({                                                                                    \
		struct type *state = bpf_map_lookup_elem(map, key);                           \
                                                                                              \
		if (!state) {                                                                 \
			const struct ids_blank *blank = ids_blank();                          \
                                                                                              \
			/* refused: another CPU was faster, and it is there, or it is full */ \
			if (blank) {                                                          \
				bpf_map_update_elem(map, key, blank->zero, BPF_NOEXIST);      \
				state = bpf_map_lookup_elem(map, key);                        \
			}                                                                     \
			ids_table_grew(table, state, !state);                                 \
		}                                                                             \
		state;                                                                        \
	})

/* volatile: a call of memset is what the compiler would make of it, and there is none */
#define ids_clear(words, count)                              \
	({                                                   \
		for (__u32 at = 0; at < (count); at++)       \
			((volatile __u64 *)(words))[at] = 0; \
	})

static __always_inline struct sluice_ids_bucket *ids_bucket_of(const struct sluice_ids_key *key,
							       const struct ids_question *question)
{
	if (question->outside)
		return ids_find_or_make(sluice_ids_bucket, &ids_buckets_lru, SLUICE_IDS_TABLE_BUCKETS_LRU,
					key);
	return ids_state_of(&ids_bucket_keys, &ids_buckets, SLUICE_IDS_TABLE_BUCKETS, key, question->now);
}

/* What is written is compared with what was read before the revision was: who was faster is not undone. */
static __always_inline void ids_bucket_renew(struct sluice_ids_bucket *state, __u32 revision)
{
	__u64 tat = *(volatile __u64 *)&state->tat;
	__u64 counted = *(volatile __u64 *)&state->counted;

	if (*(volatile __u32 *)&state->revision == revision)
		return;
	/* 0, which no packet leaves: a time, by packets that are held up, could come twice */
	__sync_val_compare_and_swap(&state->tat, tat, 0);
	__sync_val_compare_and_swap(&state->counted, counted, 0);
	*(volatile __u32 *)&state->revision = revision;
}

/* IDS_EXCESS, too, if others were faster so often: never beyond the limit, and the caller counts it. */
static __always_inline enum ids_result ids_bucket_swap(struct sluice_ids_bucket *state,
						       const struct sluice_ids_limit *limit,
						       struct ids_question *question, int tries)
{
	__u64 now = sluice_meter_ticks(question->now), next;

	for (int i = 0; i < tries; i++) {
		__u64 before = *(volatile __u64 *)&state->tat;

		if (!sluice_ids_conforms(limit, before, now, question->units, &next)) {
			question->observed = question->units;
			if (limit->interval)
				question->observed +=
					sluice_ids_outstanding(limit, before, now) / limit->interval;
			return IDS_EXCESS;
		}
		if (__sync_val_compare_and_swap(&state->tat, before, next) == before)
			return IDS_WITHIN;
	}
	return IDS_EXCESS;
}

static __always_inline enum ids_result ids_bucket_take(const struct sluice_ids_key *key,
						       const struct sluice_ids_limit *limit,
						       struct ids_question *question)
{
	struct sluice_ids_bucket *state = ids_bucket_of(key, question);

	if (!state)
		return IDS_FULL;
	ids_bucket_renew(state, question->revision);
	state->last_ns = question->now;
	if (question->poll) {
		__sync_fetch_and_add(&state->counted, question->units);
		return IDS_WITHIN;
	}
	return ids_bucket_swap(state, limit, question, IDS_TRIES);
}

/* Only of a key that has a state, and of this revision; all else is not IDS_WITHIN, and has changed nothing.
 */
static __always_inline enum ids_result ids_bucket_take_known(const struct sluice_ids_key *key,
							     const struct sluice_ids_limit *limit,
							     struct ids_question *question)
{
	__u32 place = ids_place_find(&ids_bucket_keys, key);
	struct sluice_ids_bucket *state = bpf_map_lookup_elem(&ids_buckets, &place);

	if (!state || *(volatile __u32 *)&state->revision != question->revision)
		return IDS_FULL;
	state->last_ns = question->now;
	return ids_bucket_swap(state, limit, question, 1);
}

/* `steps`: at most `count`. Neither a division, which is dear, nor a branch, which the verifier would follow.
 */
static __always_inline __u32 ids_log_place(__u32 next, __u32 steps, __u32 count)
{
	__s32 beyond = (__s32)(next + steps - count);

	return ((__u32)beyond + (count & (__u32)(beyond >> 31))) & (SLUICE_IDS_LOG - 1);
}

/* `known`: IDS_FULL for a state of another revision, which else begins anew, and for more than one unit. */
static __always_inline enum ids_result ids_exact_log(struct sluice_ids_log *state,
						     const struct sluice_ids_limit *limit,
						     struct ids_question *question, bool known)
{
	__u64 now, window, units, last;
	__u32 count, revision, next;
	enum ids_result result = IDS_EXCESS;

	now = question->now;
	units = question->units;
	window = limit->window_ns;
	revision = question->revision;
	count = (__u32)limit->count;
	if (!count || count > SLUICE_IDS_LOG || (known && units != 1))
		return IDS_FULL;
	question->observed = count + units;
	if (units > count)
		return IDS_EXCESS;
	bpf_spin_lock(&state->lock);
	if (state->revision != revision) {
		if (known) {
			bpf_spin_unlock(&state->lock);
			return IDS_FULL;
		}
		if (state->revision)
			ids_clear(state->at, SLUICE_IDS_LOG);
		state->next = 0;
		state->last_ns = 0;
		state->revision = revision;
	}
	next = state->next;
	last = state->at[ids_log_place(next, (__u32)units - 1, count)];
	if (!last || (now > last && now - last >= window)) {
		/* another CPU, whose clock was read later, was faster: entries are in order all the same */
		if (now < state->last_ns)
			now = state->last_ns;
		for (__u32 i = 0; i < (known ? 1 : SLUICE_IDS_LOG) && i < units; i++)
			state->at[ids_log_place(next, i, count)] = now;
		state->next = ids_log_place(next, (__u32)units, count);
		state->last_ns = now;
		result = IDS_WITHIN;
	}
	bpf_spin_unlock(&state->lock);
	return result;
}

static __always_inline enum ids_result ids_exact_take(const struct sluice_ids_key *key,
						      const struct sluice_ids_limit *limit,
						      struct ids_question *question)
{
	struct sluice_ids_log *state =
		ids_state_of(&ids_log_keys, &ids_logs, SLUICE_IDS_TABLE_LOGS, key, question->now);

	return state ? ids_exact_log(state, limit, question, false) : IDS_FULL;
}

static __always_inline enum ids_result ids_exact_take_known(const struct sluice_ids_key *key,
							    const struct sluice_ids_limit *limit,
							    struct ids_question *question)
{
	__u32 place = ids_place_find(&ids_log_keys, key);
	struct sluice_ids_log *state = bpf_map_lookup_elem(&ids_logs, &place);

	return state ? ids_exact_log(state, limit, question, true) : IDS_FULL;
}

/*
 * SLIDING has parts of a seventh of the window: the eight that are kept reach back by the
 * whole window at least, so that no interval of that length sees more than `count`.
 */
static __always_inline enum ids_result ids_window_count(struct sluice_ids_window *state,
							const struct sluice_ids_limit *limit,
							struct ids_question *question, bool known)
{
	__u64 now, part = 0, sum = 0;
	enum ids_result result = IDS_EXCESS;

	if (!limit->window_ns)
		return IDS_FULL;
	now = question->now;
	if (limit->kind == SLUICE_IDS_SLIDING)
		part = now / (limit->window_ns / (SLUICE_IDS_PARTS - 1) + 1);
	bpf_spin_lock(&state->lock);
	if (state->revision != question->revision) {
		if (known) {
			bpf_spin_unlock(&state->lock);
			return IDS_FULL;
		}
		ids_clear(state->count, SLUICE_IDS_PARTS);
		state->part = limit->kind == SLUICE_IDS_SLIDING ? part : now;
		state->last_ns = now;
		state->revision = question->revision;
	}
	if (limit->kind == SLUICE_IDS_SLIDING) {
		__u64 steps = part > state->part ? part - state->part : 0;

		if (known && steps) {
			bpf_spin_unlock(&state->lock);
			return IDS_FULL;
		}
		for (__u32 i = 0; i < (known ? 0 : SLUICE_IDS_PARTS); i++)
			if (i < steps)
				state->count[(state->part + 1 + i) & (SLUICE_IDS_PARTS - 1)] = 0;
		if (steps)
			state->part = part;
		for (int i = 0; i < SLUICE_IDS_PARTS; i++)
			sum += state->count[i];
		sum += question->units;
		if (sum <= limit->count) {
			state->count[state->part & (SLUICE_IDS_PARTS - 1)] += question->units;
			result = IDS_WITHIN;
		}
	} else if (limit->kind == SLUICE_IDS_FIXED) {
		if (now > state->part && now - state->part >= limit->window_ns) {
			state->part = now;
			state->count[0] = 0;
		}
		sum = state->count[0] + question->units;
		if (sum <= limit->count) {
			state->count[0] = sum;
			result = IDS_WITHIN;
		}
	} else {
		/* in 2^-10 units; linear in the step, and nothing is left after the whole time constant */
		__u64 passed = now > state->last_ns ? now - state->last_ns : 0;
		__u64 share = passed >= limit->window_ns ? 1024 : (passed << 10) / limit->window_ns;

		state->count[0] -= state->count[0] * share >> 10;
		state->count[0] += question->units << 10;
		sum = state->count[0] >> 10;
		if (sum <= limit->count)
			result = IDS_WITHIN;
	}
	state->last_ns = now;
	bpf_spin_unlock(&state->lock);
	question->observed = sum;
	return result;
}

static __always_inline enum ids_result ids_window_take(const struct sluice_ids_key *key,
						       const struct sluice_ids_limit *limit,
						       struct ids_question *question)
{
	struct sluice_ids_window *state =
		ids_state_of(&ids_window_keys, &ids_windows, SLUICE_IDS_TABLE_WINDOWS, key, question->now);

	return state ? ids_window_count(state, limit, question, false) : IDS_FULL;
}

static __always_inline enum ids_result ids_window_take_known(const struct sluice_ids_key *key,
							     const struct sluice_ids_limit *limit,
							     struct ids_question *question)
{
	__u32 place = ids_place_find(&ids_window_keys, key);
	struct sluice_ids_window *state = bpf_map_lookup_elem(&ids_windows, &place);

	return state ? ids_window_count(state, limit, question, true) : IDS_FULL;
}

static __always_inline __u32 ids_bits(__u64 word)
{
	word -= word >> 1 & 0x5555555555555555ull;
	word = (word & 0x3333333333333333ull) + (word >> 2 & 0x3333333333333333ull);
	word = (word + (word >> 4)) & 0x0f0f0f0f0f0f0f0full;
	return word * 0x0101010101010101ull >> 56;
}

/* limit->burst: the bits that `count` different values set on average (the agent's arithmetic). */
static __always_inline enum ids_result ids_distinct_take(const struct sluice_ids_key *key,
							 const struct sluice_ids_limit *limit,
							 struct ids_question *question)
{
	struct sluice_ids_set *state;
	__u64 now, half, most, bit;
	__u32 revision, word, set = 0;
	enum ids_result result = IDS_WITHIN;

	state = ids_find_or_make(sluice_ids_set, &ids_sets, SLUICE_IDS_TABLE_SETS, key);
	if (!state)
		return IDS_FULL;
	now = question->now;
	revision = question->revision;
	most = limit->burst;
	half = now / (limit->window_ns / 2 + 1);
	word = question->value / 64 & (SLUICE_IDS_SET_BITS / 64 - 1);
	bit = 1ull << (question->value & 63);
	bpf_spin_lock(&state->lock);
	if (state->revision != revision) {
		state->half = 0;
		state->revision = revision;
	}
	if (half > state->half + 1) {
		ids_clear(state->bit[0], SLUICE_IDS_SET_BITS / 64);
		ids_clear(state->bit[1], SLUICE_IDS_SET_BITS / 64);
		state->half = half;
	} else if (half == state->half + 1) {
		ids_clear(state->bit[half & 1], SLUICE_IDS_SET_BITS / 64);
		state->half = half;
	}
	state->last_ns = now;
	if ((state->bit[0][word] | state->bit[1][word]) & bit) {
		state->bit[state->half & 1][word] |= bit;
	} else {
		for (int i = 0; i < SLUICE_IDS_SET_BITS / 64; i++)
			set += ids_bits(state->bit[0][i] | state->bit[1][i]);
		if (set >= most)
			result = IDS_EXCESS;
		else
			state->bit[state->half & 1][word] |= bit;
		set++;
	}
	bpf_spin_unlock(&state->lock);
	question->observed = set;
	return result;
}

#endif
