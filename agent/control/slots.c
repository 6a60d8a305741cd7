// SPDX-License-Identifier: Apache-2.0
#include "control/slots.h"

#include <errno.h>

const char *const sl_slot_names[SL_SLOT_KINDS] = {
	[SL_SLOT_SESSION] = "sessions", [SL_SLOT_POLICY] = "policies", [SL_SLOT_BINDING] = "bindings",
	[SL_SLOT_MATCH4] = "matches4",	[SL_SLOT_MATCH6] = "matches6", [SL_SLOT_USAGE] = "usage",
	[SL_SLOT_RULE] = "rules",	[SL_SLOT_FLOW] = "flows",      [SL_SLOT_RULESET] = "rulesets",
	[SL_SLOT_STEER] = "steers",	[SL_SLOT_BRANCH] = "branches", [SL_SLOT_METER] = "meters",
	[SL_SLOT_QUOTA] = "quotas",
};

int sl_slots_init(struct sl_slots *slots, const struct sl_maps *maps)
{
	const uint32_t sizes[SL_SLOT_KINDS] = {
		[SL_SLOT_SESSION] = maps->size.sessions, [SL_SLOT_POLICY] = maps->policy_count,
		[SL_SLOT_BINDING] = maps->size.bindings, [SL_SLOT_MATCH4] = maps->size.matches,
		[SL_SLOT_MATCH6] = maps->size.matches,	 [SL_SLOT_USAGE] = maps->size.usage,
		[SL_SLOT_RULE] = maps->size.rules,	 [SL_SLOT_FLOW] = maps->size.flows,
		[SL_SLOT_RULESET] = maps->policy_count,	 [SL_SLOT_STEER] = SLUICE_STEERS,
		[SL_SLOT_BRANCH] = maps->size.matches,	 [SL_SLOT_METER] = maps->size.meters,
		[SL_SLOT_QUOTA] = maps->size.quotas,
	};
	int rc;

	for (int kind = 0; kind < SL_SLOT_KINDS; kind++) {
		rc = sl_idpool_new(sizes[kind], &slots->pool[kind]);
		if (rc < 0)
			return rc;
	}
	return 0;
}

void sl_slots_clear(struct sl_slots *slots)
{
	for (int kind = 0; kind < SL_SLOT_KINDS; kind++) {
		sl_idpool_free(slots->pool[kind]);
		slots->pool[kind] = NULL;
	}
}

int sl_slots_take(struct sl_slots *slots, enum sl_slot_kind kind, uint32_t count, uint32_t *first,
		  struct sl_error *err)
{
	int rc = sl_idpool_take(slots->pool[kind], count, first);

	if (rc < 0 && count > slots->lacking[kind])
		slots->lacking[kind] = count;
	if (rc < 0)
		return sl_error(err, -rc, "the map %s is full (%u of %u in use, %u wanted)",
				sl_slot_names[kind], sl_idpool_used(slots->pool[kind]),
				sl_idpool_size(slots->pool[kind]), count);
	return 0;
}

void sl_slots_release(struct sl_slots *slots, enum sl_slot_kind kind, uint32_t first, uint32_t count)
{
	sl_idpool_release(slots->pool[kind], first, count);
}
