/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The policer (struct sluice_meter): a packet on its way from a leaf to the root.
 *
 * First all nodes are looked at; the first that would refuse ends it, and nothing
 * was written. So a packet that the AMBR drops does not use up its MBR. Then
 * each is written by compare-and-swap. If a node refuses now, because another
 * CPU was faster, what was written below is taken back, but only where
 * nobody has built on it: what others wrote on top may have counted on it having
 * drained, and to take it back then would make credit of nothing. It stays
 * charged there, on the safe side; that needs two packets in the same instant at
 * a full parent.
 *
 * Written for the kernel, but plain enough to be compiled for tests: it needs
 * bpf_map_lookup_elem, bpf_loop and the map `meters`.
 */
#ifndef SLUICE_BPF_METER_H
#define SLUICE_BPF_METER_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "sluice/meter.h"

enum meter_result {
	METER_REFUSED,
	METER_TAKEN,
	METER_CONTENDED,
};

/* What was written, to take it back; nothing: after == before. */
struct meter_claim {
	__u64 before;
	__u64 after;
};

#define meter_read(field) (*(const volatile __u64 *)&(field))

static __always_inline bool meter_swap(__u64 *tat, __u64 before, __u64 after)
{
	return __sync_val_compare_and_swap(tat, before, after) == before;
}

/*
 * One attempt. `tat` is read before `rate`: who changes the rate writes `rate` first, so that
 * a packet that still has the old one finds `tat` changed and tries again.
 */
static __always_inline enum meter_result meter_try(__u64 *tat, const __u64 *rate, __u32 bytes, __u64 now,
						   struct meter_claim *claim)
{
	__u64 before = meter_read(*tat);
	__u64 word = meter_read(*rate);
	__u64 after;

	if (!word)
		return METER_TAKEN;
	if (!sluice_meter_conforms(word, before, now, bytes, &after))
		return METER_REFUSED;
	if (!meter_swap(tat, before, after))
		return METER_CONTENDED;
	claim->before = before;
	claim->after = after;
	return METER_TAKEN;
}

/*
 * The further attempts; enum meter_result. A global function, which the verifier walks once and not at
 * each call. A loop and not bpf_loop: the stack of all calls together is nearly used up.
 */
int meter_take_again(__u64 *tat, const __u64 *rate, __u32 bytes, __u64 now, struct meter_claim *claim);

__weak __noinline int meter_take_again(__u64 *tat, const __u64 *rate, __u32 bytes, __u64 now,
				       struct meter_claim *claim)
{
	enum meter_result result = METER_CONTENDED;

	if (!tat || !rate || !claim)
		return METER_REFUSED;
	for (int i = 1; i < SLUICE_METER_TRIES && result == METER_CONTENDED; i++)
		result = meter_try(tat, rate, bytes, now, claim);
	return result;
}

static __always_inline enum meter_result meter_take(__u64 *tat, const __u64 *rate, __u32 bytes, __u64 now,
						    struct meter_claim *claim)
{
	enum meter_result result = meter_try(tat, rate, bytes, now, claim);

	if (result == METER_CONTENDED)
		result = (enum meter_result)meter_take_again(tat, rate, bytes, now, claim);
	return result;
}

/* Nobody has written since: as if it had not been. */
static __always_inline void meter_take_back(__u64 *tat, const struct meter_claim *claim)
{
	if (claim->after != claim->before)
		meter_swap(tat, claim->after, claim->before);
}

static __always_inline bool meter_would_take(const struct sluice_meter *meter, __u32 bytes, __u64 now)
{
	__u64 tat = meter_read(meter->tat);
	__u64 word = meter_read(meter->rate);
	__u64 after;

	return !word || sluice_meter_conforms(word, tat, now, bytes, &after);
}

/*
 * A green packet above its leaf: charged whatever is outstanding, up to the
 * most that can be; beyond, GBRs are promised that admission never accepted.
 */
static __always_inline enum meter_result meter_try_charge(__u64 *tat, const __u64 *rate, __u32 bytes,
							  __u64 now)
{
	__u64 before = meter_read(*tat);
	__u64 word = meter_read(*rate);
	__u64 ahead;

	if (!word)
		return METER_TAKEN;
	ahead = sluice_meter_outstanding(word, before, now) + sluice_meter_amount(word, bytes);
	if (ahead > sluice_meter_outstanding_max(word))
		return METER_REFUSED;
	return meter_swap(tat, before, now + ahead) ? METER_TAKEN : METER_CONTENDED;
}

/* The further attempts, by bpf_loop, because the verifier walks its body once and not once an attempt. */
struct meter_again {
	__u64 *tat;
	const __u64 *rate;
	__u64 now;
	__u32 bytes;
	enum meter_result result;
};

static long meter_try_charge_again(__u32 attempt, void *context)
{
	struct meter_again *again = context;

	again->result = meter_try_charge(again->tat, again->rate, again->bytes, again->now);
	return again->result != METER_CONTENDED;
}

static __always_inline void meter_charge(struct sluice_meter *meter, __u32 bytes, __u64 now)
{
	struct meter_again again;

	if (meter_try_charge(&meter->tat, &meter->rate, bytes, now) != METER_CONTENDED)
		return;
	again = (struct meter_again){.tat = &meter->tat,
				     .rate = &meter->rate,
				     .now = now,
				     .bytes = bytes,
				     .result = METER_CONTENDED};
	bpf_loop(SLUICE_METER_TRIES - 1, meter_try_charge_again, &again, 0);
	/* so many others have just written it that it is not an old one: an addition is as good */
	if (again.result == METER_CONTENDED)
		__sync_fetch_and_add(&meter->tat, sluice_meter_amount(meter_read(meter->rate), bytes));
}

static __always_inline void meter_count_contended(struct sluice_meter *meter)
{
	if (meter->contended != 0xffffffff)
		__sync_fetch_and_add(&meter->contended, 1);
}

static __always_inline enum sluice_meter_level meter_refuse(struct sluice_meter *meter, __u32 bytes,
							    __u32 packets)
{
	__sync_fetch_and_add(&meter->refused.bytes, bytes);
	__sync_fetch_and_add(&meter->refused.packets, packets);
	return meter->level;
}

/* A packet on its way. Levels are constants where they are used, so that all of it stays in registers. */
struct meter_walk {
	__u32 index; /* of the next node */
	__u32 bytes;
	__u32 packets;
	bool green;
	__u64 now;
	struct sluice_meter *node[SLUICE_METER_DEPTH];
	struct meter_claim claim[SLUICE_METER_DEPTH];
	struct meter_claim green_claim;
};

/* As if nothing had been written below this level. */
static __always_inline void meter_undo(struct meter_walk *walk, int level)
{
	if (walk->green)
		meter_take_back(&walk->node[0]->green_tat, &walk->green_claim);
	if (level > 2)
		meter_take_back(&walk->node[2]->tat, &walk->claim[2]);
	if (level > 1)
		meter_take_back(&walk->node[1]->tat, &walk->claim[1]);
	if (level > 0)
		meter_take_back(&walk->node[0]->tat, &walk->claim[0]);
}

/* Whether the leaf's packet is green. A lost race makes it yellow, which costs it nothing here. */
static __always_inline bool meter_is_green(struct meter_walk *walk)
{
	struct sluice_meter *leaf = walk->node[0];
	enum meter_result result;

	if (!meter_read(leaf->green_rate))
		return false;
	result = meter_take(&leaf->green_tat, &leaf->green_rate, walk->bytes, walk->now, &walk->green_claim);
	if (result == METER_CONTENDED)
		meter_count_contended(leaf);
	return result == METER_TAKEN;
}

/* Finds the node of a level and asks it; nothing is charged yet but a green packet's GBR. */
static __always_inline enum sluice_meter_level meter_look(struct meter_walk *walk, int level)
{
	struct sluice_meter *node;

	if (walk->index == SLUICE_NONE)
		return SLUICE_METER_PASSED;
	node = bpf_map_lookup_elem(&meters, &walk->index);
	if (!node) {
		meter_undo(walk, 0);
		return SLUICE_METER_BROKEN;
	}
	walk->node[level] = node;
	if (!walk->green && !meter_would_take(node, walk->bytes, walk->now))
		return meter_refuse(node, walk->bytes, walk->packets);
	if (level == 0)
		walk->green = meter_is_green(walk);
	walk->index = level == 0 && walk->green ? node->green_parent : node->parent;
	return SLUICE_METER_PASSED;
}

static __always_inline enum sluice_meter_level meter_write(struct meter_walk *walk, int level)
{
	struct sluice_meter *node = walk->node[level];
	enum meter_result result;

	if (!node)
		return SLUICE_METER_PASSED;
	if (walk->green && level > 0) {
		meter_charge(node, walk->bytes, walk->now);
		return SLUICE_METER_PASSED;
	}
	result = meter_take(&node->tat, &node->rate, walk->bytes, walk->now, &walk->claim[level]);
	if (result == METER_TAKEN)
		return SLUICE_METER_PASSED;
	if (result == METER_CONTENDED)
		meter_count_contended(node);
	meter_undo(walk, level);
	return meter_refuse(node, walk->bytes, walk->packets);
}

/*
 * bytes, packets: on the wire, of all segments; now: bpf_ktime_get_ns. Who
 * refused, enum sluice_meter_level. The whole packet passes or nothing of it.
 * A global function, which the verifier walks by itself and not once more for
 * each way that leads to it.
 */
int meter_pass(__u32 index, __u32 bytes, __u32 packets, __u64 now);

__weak __noinline int meter_pass(__u32 index, __u32 bytes, __u32 packets, __u64 now)
{
	struct meter_walk walk = {
		.index = index, .bytes = bytes, .packets = packets, .now = sluice_meter_ticks(now)};
	enum sluice_meter_level by;

	_Static_assert(SLUICE_METER_DEPTH == 4, "as many levels as are written out here");
	if (bytes > SLUICE_METER_BYTES_MAX)
		return SLUICE_METER_BROKEN;
	by = meter_look(&walk, 0);
	if (!by)
		by = meter_look(&walk, 1);
	if (!by)
		by = meter_look(&walk, 2);
	if (!by)
		by = meter_look(&walk, 3);
	if (by)
		return by;
	if (walk.index != SLUICE_NONE) {
		meter_undo(&walk, 0);
		return SLUICE_METER_BROKEN;
	}
	by = meter_write(&walk, 0);
	if (!by)
		by = meter_write(&walk, 1);
	if (!by)
		by = meter_write(&walk, 2);
	if (!by)
		by = meter_write(&walk, 3);
	return by;
}

#endif
