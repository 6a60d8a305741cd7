/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * What a decision does besides counting: the record for watchers, and for tc
 * the class, carried from ingress to egress in skb->mark because forwarding
 * overwrites skb->priority.
 */
#ifndef SLUICE_BPF_ACT_H
#define SLUICE_BPF_ACT_H

#include "decide.h"
#include "maps.h"
#include "packet.h"

static __always_inline void act_report_drop(struct sluice_frame *frame, const struct sluice_packet *packet,
					    const struct sluice_decision *decision,
					    enum sluice_direction direction)
{
	struct sluice_drop_event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

	if (!event) {
		__u32 slot = 0;
		__u64 *lost = bpf_map_lookup_elem(&lost_events, &slot);

		if (lost)
			*lost += 1;
		return;
	}
	__builtin_memset(event, 0, sizeof(*event));
	event->type = SLUICE_EVENT_DROP;
	event->reason = decision->reason;
	event->direction = direction;
	event->session = decision->session;
	event->usage = decision->usage;
	event->bytes = packet->bytes;
	event->time_ns = bpf_ktime_get_ns();
	event->ifindex = frame_ifindex(frame);
	event->source_port = packet->source_port;
	event->destination_port = packet->destination_port;
	event->family = packet->family;
	event->protocol = packet->protocol;
	__builtin_memcpy(event->source, packet->source, sizeof(event->source));
	__builtin_memcpy(event->destination, packet->destination, sizeof(event->destination));
	bpf_ringbuf_submit(event, 0);
}

#endif
