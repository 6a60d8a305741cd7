/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who owns which slot of the maps. Slots that packets may still be reading go
 * through a grace period; the others are free at once.
 */
#ifndef SL_CONTROL_SLOTS_H
#define SL_CONTROL_SLOTS_H

#include <stdint.h>

#include "base/error.h"
#include "base/idpool.h"
#include "control/control.h"

enum sl_slot_kind {
	SL_SLOT_SESSION,
	SL_SLOT_POLICY,
	SL_SLOT_BINDING,
	SL_SLOT_MATCH4,
	SL_SLOT_MATCH6,
	SL_SLOT_USAGE,
	SL_SLOT_RULE,
	SL_SLOT_FLOW,
	SL_SLOT_RULESET,
	SL_SLOT_STEER,
	SL_SLOT_BRANCH,
	SL_SLOT_METER,
	SL_SLOT_QUOTA,
	SL_SLOT_KINDS,
	/* no pools of ours, but deferred in the same way */
	SL_SLOT_UPLINK_CLASS = SL_SLOT_KINDS,
	SL_SLOT_DOWNLINK_CLASS,
	SL_SLOT_UPLINK_TREE,
	SL_SLOT_DOWNLINK_TREE,
	SL_SLOT_USAGE_FINAL,
	SL_SLOT_ALL_KINDS,
};

struct sl_slots {
	struct sl_idpool *pool[SL_SLOT_KINDS];
	uint32_t deferred[SL_SLOT_ALL_KINDS]; /* slots that are free after a grace period */
	uint32_t lacking[SL_SLOT_ALL_KINDS];  /* wanted in vain since that was cleared, the most at once */
};

extern const char *const sl_slot_names[SL_SLOT_KINDS];

int sl_slots_init(struct sl_slots *slots, const struct sl_maps *maps);
void sl_slots_clear(struct sl_slots *slots);

/* -ENOSPC with "the map NAME is full (N of N)", and noted as lacking. */
int sl_slots_take(struct sl_slots *slots, enum sl_slot_kind kind, uint32_t count, uint32_t *first,
		  struct sl_error *err);
void sl_slots_release(struct sl_slots *slots, enum sl_slot_kind kind, uint32_t first, uint32_t count);

#endif
