/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Quotas (struct sluice_quota): a packet and the one to three that it pays.
 *
 * It is looked first whether each would take the packet, and nothing is written
 * but that one is used up. When nothing else would drop the packet any more it
 * is added to each; where the sum is above the limit then, because another CPU
 * was faster, what was added is taken back. A sum that includes what is about to
 * be taken back may refuse others meanwhile, but lets none through: of what
 * stays added the sum is never above the limit.
 *
 * Written for the kernel, but plain enough to be compiled for tests: it needs
 * bpf_map_lookup_elem, bpf_ktime_get_ns, quota_tell and the map `quotas`.
 */
#ifndef SLUICE_BPF_QUOTA_H
#define SLUICE_BPF_QUOTA_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#include "sluice/quota.h"

enum quota_result {
	QUOTA_OPEN,
	QUOTA_USED_UP,
	QUOTA_DEFECT, /* a slot outside the map, a way that is too long: nothing passes */
};

#define QUOTA_FLAGS (SLUICE_QUOTA_WARNED | SLUICE_QUOTA_EXHAUSTED)
#define QUOTA_TRIES 4 /* to mark one: there are two flags only, and grants are rare */

#define NS_PER_S 1000000000ull

#define quota_read(field) (*(const volatile typeof(field) *)&(field))

static __always_inline bool quota_counts(const struct sluice_quota *quota, __u32 direction)
{
	return quota->directions & (1u << (direction & 1));
}

/* ns; below 0: `first` was read on a CPU whose clock is ahead of this one's. */
static __always_inline __s64 quota_age(__u64 first)
{
	return (__s64)(bpf_ktime_get_ns() - first);
}

static __always_inline bool quota_has_time(const struct sluice_quota *quota, __u64 limit_ns)
{
	__u64 first = quota_read(quota->first_ns);

	return limit_ns == SLUICE_QUOTA_UNLIMITED || !first || quota_age(first) < (__s64)limit_ns;
}

static __always_inline bool quota_fits(const struct sluice_quota *quota, __u32 bytes)
{
	return quota_read(quota->used) + bytes <= quota_read(quota->limit) &&
	       quota_has_time(quota, quota_read(quota->time_ns));
}

/*
 * Sets flags of the grant that was seen, and tells of those that were not set.
 * False: there has been another grant since.
 */
static __always_inline bool quota_mark(struct sluice_quota *quota, __u32 slot, __u32 seen, __u32 flags)
{
	for (int i = 0; i < QUOTA_TRIES; i++) {
		__u32 before;

		if ((seen & flags) == flags)
			return true;
		before = __sync_val_compare_and_swap(&quota->state, seen, seen | flags);
		if (before == seen) {
			quota_tell(slot, flags & ~seen);
			return true;
		}
		if ((before ^ seen) & ~QUOTA_FLAGS)
			return false;
		seen = before;
	}
	return true;
}

/*
 * It does not fit, or no time is left: that is for good, unless more has been
 * granted meanwhile, which is told by reading `state` before all else. The
 * addition of nothing is the barrier that says so.
 */
static __always_inline bool quota_use_up(struct sluice_quota *quota, __u32 slot, __u32 bytes)
{
	__u32 seen = __sync_fetch_and_add(&quota->state, 0);
	__u32 flags = SLUICE_QUOTA_EXHAUSTED;

	if (quota_fits(quota, bytes))
		return false;
	if (quota_read(quota->used) >= quota_read(quota->threshold))
		flags |= SLUICE_QUOTA_WARNED;
	return quota_mark(quota, slot, seen, flags);
}

/*
 * Whether all that a packet pays are open to it; those that are not are used
 * up from now on. One that is used up is so for both directions, whichever it
 * counts. `writes` false: only what is known to be used up says no.
 * A global function, which the verifier walks by itself and not once more for
 * each way that leads to it.
 */
int quota_look(__u32 slot, __u32 bytes, __u32 direction, bool writes);

__weak __noinline int quota_look(__u32 slot, __u32 bytes, __u32 direction, bool writes)
{
	for (int i = 0; i < SLUICE_QUOTA_DEPTH; i++) {
		struct sluice_quota *quota = bpf_map_lookup_elem(&quotas, &slot);
		bool open;

		if (!quota)
			return QUOTA_DEFECT;
		open = !(quota_read(quota->state) & SLUICE_QUOTA_EXHAUSTED);
		if (open && writes && quota_counts(quota, direction) && !quota_fits(quota, bytes))
			open = !quota_use_up(quota, slot, bytes);
		if (!open) {
			if (writes)
				__sync_fetch_and_add(&quota->refused_bytes, bytes);
			return QUOTA_USED_UP;
		}
		slot = quota_read(quota->parent);
		if (slot == SLUICE_NONE)
			return QUOTA_OPEN;
	}
	return QUOTA_DEFECT;
}

/* It has paid this one: time begins, and the threshold may be reached. */
static __always_inline void quota_paid(struct sluice_quota *quota, __u32 slot)
{
	__u32 seen = quota_read(quota->state), warn_s = quota_read(quota->warn_s);
	__u64 first = quota_read(quota->first_ns);

	if (!first)
		__sync_val_compare_and_swap(&quota->first_ns, 0, bpf_ktime_get_ns());
	if (seen & SLUICE_QUOTA_WARNED)
		return;
	if (quota_read(quota->used) >= quota_read(quota->threshold) ||
	    (warn_s && first && quota_age(first) >= (__s64)(warn_s * NS_PER_S)))
		quota_mark(quota, slot, seen, SLUICE_QUOTA_WARNED);
}

/* Charges all or none. As quota_look. */
int quota_charge(__u32 slot, __u32 bytes, __u32 direction);

__weak __noinline int quota_charge(__u32 slot, __u32 bytes, __u32 direction)
{
	struct sluice_quota *paid[SLUICE_QUOTA_DEPTH] = {};
	__u32 slots[SLUICE_QUOTA_DEPTH];
	int result = QUOTA_DEFECT;

#pragma unroll
	for (int i = 0; i < SLUICE_QUOTA_DEPTH; i++) {
		struct sluice_quota *quota = bpf_map_lookup_elem(&quotas, &slot);

		if (!quota)
			break;
		if (quota_counts(quota, direction)) {
			__u64 before = __sync_fetch_and_add(&quota->used, bytes);

			if (before + bytes > quota_read(quota->limit)) {
				__sync_fetch_and_sub(&quota->used, bytes);
				__sync_fetch_and_add(&quota->refused_bytes, bytes);
				quota_use_up(quota, slot, bytes);
				result = QUOTA_USED_UP;
				break;
			}
			paid[i] = quota;
			slots[i] = slot;
		}
		slot = quota_read(quota->parent);
		if (slot == SLUICE_NONE) {
			result = QUOTA_OPEN;
			break;
		}
	}
#pragma unroll
	for (int i = 0; i < SLUICE_QUOTA_DEPTH; i++) {
		if (!paid[i])
			continue;
		if (result == QUOTA_OPEN)
			quota_paid(paid[i], slots[i]);
		else
			__sync_fetch_and_sub(&paid[i]->used, bytes);
	}
	return result;
}

/* The first that what a usage slot counts pays: slot in quotas; SLUICE_NONE: none any more. */
static __always_inline __u32 quota_first(__u32 usage_slot)
{
	const __u64 *first = bpf_map_lookup_elem(&quota_of, &usage_slot);

	return first ? (__u32)quota_read(*first) - 1 : SLUICE_NONE;
}

#endif
