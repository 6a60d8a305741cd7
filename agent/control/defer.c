// SPDX-License-Identifier: Apache-2.0
/* What is freed when no packet can be reading it any more. */
#include <string.h>

#include "base/log.h"
#include "control/model.h"

static void run_deferred(void *owner, uint32_t kind, uint32_t first, uint32_t count)
{
	struct sl_control *control = owner;

	switch (kind) {
	case SL_SLOT_UPLINK_CLASS:
		sl_qos_release(control->config.qos, SLUICE_UPLINK, (uint16_t)first);
		break;
	case SL_SLOT_DOWNLINK_CLASS:
		sl_qos_release(control->config.qos, SLUICE_DOWNLINK, (uint16_t)first);
		break;
	case SL_SLOT_USAGE_FINAL:
		sl_usage_finalise(control, first, count);
		break;
	case SL_SLOT_POLICY:
		/* a freed slot reads as empty in a dump */
		memset(&control->maps->policies[first], 0, sizeof(struct sluice_policy));
		sl_slots_release(&control->slots, SL_SLOT_POLICY, first, count);
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
	if (sl_grace_defer(control->config.grace, &item) < 0)
		sl_log(SL_LOG_ERROR, "slot-leaked", "kind", "%u", (unsigned int)kind, "first", "%u", first,
		       NULL);
}
