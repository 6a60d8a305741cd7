/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Quotas with the record that tells the agent of what they come to. */
#ifndef SLUICE_BPF_QUOTA_EVENT_H
#define SLUICE_BPF_QUOTA_EVENT_H

#include "maps.h"

/* One that is lost is made good by the agent, which reads the state, too. */
static __always_inline void quota_tell(__u32 slot, __u32 flags)
{
	struct sluice_quota_event *event = bpf_ringbuf_reserve(&events, sizeof(*event), 0);

	if (!event) {
		__u32 zero = 0;
		__u64 *lost = bpf_map_lookup_elem(&lost_events, &zero);

		if (lost)
			*lost += 1;
		return;
	}
	event->type = SLUICE_EVENT_QUOTA;
	event->quota = slot;
	event->flags = flags;
	event->reserved = 0;
	bpf_ringbuf_submit(event, 0);
}

#include "quota.h"

#endif
