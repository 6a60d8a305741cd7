// SPDX-License-Identifier: Apache-2.0
/* What is freed when no packet can be reading it any more. */
#include <string.h>

#include "base/log.h"
#include "control/quotas.h"

static void run_deferred(void *owner, uint32_t kind, uint32_t first, uint32_t count)
{
	struct sl_control *control = owner;

	control->slots.deferred[kind] -= kind == SL_SLOT_USAGE_FINAL ? 1 : count;
	switch (kind) {
	case SL_SLOT_UPLINK_CLASS:
		sl_vlan_release(control, SLUICE_UPLINK, (uint16_t)first);
		break;
	case SL_SLOT_DOWNLINK_CLASS:
		sl_vlan_release(control, SLUICE_DOWNLINK, (uint16_t)first);
		break;
	case SL_SLOT_UPLINK_TREE:
		sl_qos_tree_release(control->config.qos, SLUICE_UPLINK, (uint16_t)first);
		break;
	case SL_SLOT_DOWNLINK_TREE:
		sl_qos_tree_release(control->config.qos, SLUICE_DOWNLINK, (uint16_t)first);
		break;
	case SL_SLOT_USAGE_FINAL:
		sl_usage_finalise(control, first, count);
		break;
	case SL_SLOT_POLICY:
		/* a freed slot reads as empty in a dump */
		memset(&control->maps->policies[first], 0, count * sizeof(struct sluice_policy));
		sl_slots_release(&control->slots, SL_SLOT_POLICY, first, count);
		break;
	case SL_SLOT_QUOTA:
		sl_quota_clear(control, first);
		sl_slots_release(&control->slots, SL_SLOT_QUOTA, first, count);
		break;
	case SL_SLOT_METER:
		memset(&control->maps->meters[first], 0, sizeof(struct sluice_meter));
		sl_slots_release(&control->slots, SL_SLOT_METER, first, count);
		break;
	default:
		sl_slots_release(&control->slots, (enum sl_slot_kind)kind, first, count);
	}
}

void sl_control_defer(struct sl_control *control, enum sl_slot_kind kind, uint32_t first, uint32_t count)
{
	struct sl_grace_item item = {
		.run = run_deferred,
		.owner = control,
		.kind = kind,
		.first = first,
		.count = count,
	};

	/* out of memory: the slot stays taken until the next start, which is safe */
	if (sl_grace_defer(control->config.grace, &item) < 0) {
		sl_log(SL_LOG_ERROR, "slot-leaked", "kind", "%u", (unsigned int)kind, "first", "%u", first,
		       NULL);
		return;
	}
	/* the count of a final usage is no number of slots */
	control->slots.deferred[kind] += kind == SL_SLOT_USAGE_FINAL ? 1 : count;
}

static bool comes_back(const struct sl_control *control, int kind)
{
	const struct sl_slots *slots = &control->slots;
	uint32_t room = slots->deferred[kind];

	if (kind < SL_SLOT_KINDS)
		room += sl_idpool_size(slots->pool[kind]) - sl_idpool_used(slots->pool[kind]);
	if (slots->deferred[kind] && room >= slots->lacking[kind])
		return true;
	/* usage that nobody has to acknowledge goes as soon as it is final, and what it kept with it */
	return !control->config.keep_retired && slots->deferred[SL_SLOT_USAGE_FINAL] &&
	       (kind == SL_SLOT_SESSION || kind == SL_SLOT_USAGE || kind == SL_SLOT_RULE ||
		kind == SL_SLOT_FLOW || kind == SL_SLOT_STEER);
}

bool sl_control_waiting_helps(const struct sl_control *control)
{
	for (int kind = 0; kind < SL_SLOT_ALL_KINDS; kind++)
		if (control->slots.lacking[kind] && comes_back(control, kind))
			return true;
	return false;
}

void sl_control_wait(struct sl_control *control)
{
	sl_grace_drain(control->config.grace);
	sl_control_lack_nothing(control);
}

void sl_control_lack_nothing(struct sl_control *control)
{
	memset(control->slots.lacking, 0, sizeof(control->slots.lacking));
}
