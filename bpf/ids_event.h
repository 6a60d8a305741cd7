/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the agent is told of a packet. */
#ifndef SLUICE_BPF_IDS_EVENT_H
#define SLUICE_BPF_IDS_EVENT_H

#include "ids_walk.h"

/* Excess without a block is told at most so often by one rule on one CPU; blocks are always told. */
#define IDS_EVENT_NS 1000000ull

static __always_inline bool ids_may_tell(struct sluice_ids_rule_count *count, __u64 now)
{
	if (now < count->told_ns + IDS_EVENT_NS) {
		count->events_suppressed++;
		return false;
	}
	count->told_ns = now;
	return true;
}

int ids_tell(struct __sk_buff *skb, const struct ids_walk *walk, __u32 slot, __u32 type);

__weak __noinline int ids_tell(struct __sk_buff *skb, const struct ids_walk *walk, __u32 slot, __u32 type)
{
	struct sluice_ids_rule_count *count = bpf_map_lookup_elem(&ids_rule_counts, &slot);
	const struct sluice_ids_rule *rule = bpf_map_lookup_elem(&ids_rules, &slot);
	struct sluice_ids_event *event;
	__u32 length = skb->len;
	bool uplink;

	if (!walk || !count || !rule)
		return 0;
	uplink = walk->direction == SLUICE_UPLINK;
	/* counted before, so that a record that is lost leaves a gap */
	count->sequence++;
	event = bpf_ringbuf_reserve(&ids_events, sizeof(*event), 0);
	if (!event)
		return 0;
	event->sequence = count->sequence;
	event->time_ns = walk->now;
	event->cpu = bpf_get_smp_processor_id();
	event->type = type;
	event->rule = slot;
	event->revision = rule->revision;
	event->session = walk->session;
	event->usage = walk->usage;
	event->ifindex = walk->ifindex;
	event->bytes = walk->bytes;
	event->observed = walk->question.observed;
	event->suppressed = count->events_suppressed;
	event->limit = walk->limit;
	event->direction = walk->direction;
	event->verdict = rule->verdict;
	event->dropped = walk->dropped;
	event->family = walk->family;
	event->protocol = walk->protocol;
	event->tcp_flags = walk->tcp_flags;
	event->l3 = walk->l3;
	event->key = walk->key;
	event->source_port = walk->source_port;
	event->destination_port = walk->destination_port;
	event->reserved = 0;
	ids_copy(event->source, uplink ? walk->local : walk->remote);
	ids_copy(event->destination, uplink ? walk->remote : walk->local);
	if (length > SLUICE_IDS_HEADERS)
		length = SLUICE_IDS_HEADERS;
	event->captured = 0;
	if (length == SLUICE_IDS_HEADERS) {
		if (!bpf_skb_load_bytes(skb, 0, event->headers, SLUICE_IDS_HEADERS))
			event->captured = SLUICE_IDS_HEADERS;
	} else if (length > 0) {
		/* the verifier wants to see the bound where it is used */
		if (!bpf_skb_load_bytes(skb, 0, event->headers,
					((length - 1) & (SLUICE_IDS_HEADERS - 1)) + 1))
			event->captured = length;
	}
	bpf_ringbuf_submit(event, 0);
	return 0;
}

#endif
