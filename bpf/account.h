/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Counters. Usage is shared by all CPUs and added to atomically; the totals by
 * reason and kind are per CPU, where a plain addition is enough.
 */
#ifndef SLUICE_BPF_ACCOUNT_H
#define SLUICE_BPF_ACCOUNT_H

#include "decide.h"
#include "maps.h"
#include "packet.h"

static __always_inline void account_usage(__u32 slot, const struct sluice_packet *packet,
					  enum sluice_direction direction, bool dropped)
{
	struct sluice_usage *slots = bpf_map_lookup_elem(&usage, &slot);
	struct sluice_counter *counter;

	if (!slots)
		return;
	if (direction == SLUICE_UPLINK)
		counter = dropped ? &slots->uplink_dropped : &slots->uplink;
	else
		counter = dropped ? &slots->downlink_dropped : &slots->downlink;
	__sync_fetch_and_add(&counter->bytes, packet->bytes);
	__sync_fetch_and_add(&counter->packets, packet->packets);
}

static __always_inline void account_drop(enum sluice_drop_reason reason, const struct sluice_packet *packet,
					 enum sluice_direction direction)
{
	__u32 slot = reason * SLUICE_DIRECTIONS + direction;
	struct sluice_drop_count *count = bpf_map_lookup_elem(&drops, &slot);

	if (!count)
		return;
	count->reason = reason;
	count->direction = direction;
	count->dropped.bytes += packet->bytes;
	count->dropped.packets += packet->packets;
}

static __always_inline void account_pass(enum sluice_pass_kind kind, const struct sluice_packet *packet,
					 enum sluice_direction direction)
{
	__u32 slot = kind * SLUICE_DIRECTIONS + direction;
	struct sluice_pass_count *count = bpf_map_lookup_elem(&passes, &slot);

	if (!count)
		return;
	count->kind = kind;
	count->direction = direction;
	count->passed.bytes += packet->bytes;
	count->passed.packets += packet->packets;
}

static __always_inline void account(const struct sluice_decision *decision,
				    const struct sluice_packet *packet, enum sluice_direction direction)
{
	bool dropped = decision->reason != SLUICE_DROP_NONE;

	if (decision->usage != SLUICE_NONE)
		account_usage(decision->usage, packet, direction, dropped);
	if (dropped)
		account_drop(decision->reason, packet, direction);
	else if (decision->kind != SLUICE_PASS_NONE)
		account_pass(decision->kind, packet, direction);
}

#endif
