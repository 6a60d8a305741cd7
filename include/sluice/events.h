/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Records of the `events` ring buffer, from the BPF programs to the agent.
 * When the ring is full the record is lost and the `lost_events` counter
 * grows: verdicts and usage never depend on it.
 */
#ifndef SLUICE_EVENTS_H
#define SLUICE_EVENTS_H

#include "maps.h"

enum sluice_event_type {
	SLUICE_EVENT_DROP = 1,
	SLUICE_EVENT_QUOTA = 2,
};

struct sluice_drop_event {
	enum sluice_event_type type;
	enum sluice_drop_reason reason;
	enum sluice_direction direction;
	__u32 session; /* SLUICE_NONE: unknown subscriber */
	__u32 usage;   /* SLUICE_NONE where no rule is involved */
	__u32 bytes;   /* IP bytes of the packet */
	__u64 time_ns;
	__u32 ifindex;
	__u16 source_port; /* host order, 0 where there are none */
	__u16 destination_port;
	__u8 family; /* 4 or 6; 0 = not IP */
	__u8 protocol;
	__u8 reserved[6];
	__u8 source[16];
	__u8 destination[16];
};

/* A quota has come to its threshold, or is used up; once a grant. */
struct sluice_quota_event {
	enum sluice_event_type type;
	__u32 quota; /* slot */
	__u32 flags; /* enum sluice_quota_state: what is so now and was not before */
	__u32 reserved;
};

_Static_assert(sizeof(struct sluice_drop_event) == 80, "drop event");
_Static_assert(sizeof(struct sluice_quota_event) == 16, "quota event");

#endif
