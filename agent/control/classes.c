// SPDX-License-Identifier: Apache-2.0
/* The HTB classes of the rules of a draft, or the meters in their place. */
#include <errno.h>
#include <string.h>

#include "control/draft.h"

#define BUILD_ON_DEMAND 16 /* classes, some milliseconds */

static uint16_t *class_of(struct sl_install *install, int direction)
{
	return direction == SLUICE_UPLINK ? &install->binding.uplink_class : &install->binding.downlink_class;
}

/* Only what is sent is held back: rules that permit nothing in a direction need no queue there. */
static bool needs_rate(const struct sl_rule *rule, uint32_t family, int direction)
{
	if (!rule->mbr[direction])
		return false;
	for (uint32_t i = 0; i < rule->flow_count; i++) {
		const struct sluice_flow *flow = &rule->flows[i];

		if ((int)flow->direction == direction && flow->action == SLUICE_PERMIT &&
		    (flow->family == 0 || flow->family == family))
			return true;
	}
	return false;
}

static int assign(struct sl_control *control, int direction, uint64_t rate, uint16_t *minor,
		  struct sl_error *err)
{
	struct sl_qos *qos = control->config.qos;
	int rc = sl_qos_assign(qos, direction, rate, minor, err);

	/* a burst of activations may outrun the pool that is still being built */
	if (rc == -ENOSPC && sl_qos_build(qos, BUILD_ON_DEMAND, NULL) >= 0)
		rc = sl_qos_assign(qos, direction, rate, minor, err);
	if (rc == -ENOSPC)
		control->slots
			.lacking[direction == SLUICE_UPLINK ? SL_SLOT_UPLINK_CLASS : SL_SLOT_DOWNLINK_CLASS] =
			1;
	return rc;
}

static void unset_class(struct sl_entry *entry, int direction)
{
	uint16_t *minor = class_of(&entry->install, direction);

	if (*minor)
		entry->unused_class[direction] = *minor;
	*minor = 0;
}

static int set_class(struct sl_draft *draft, struct sl_entry *entry, int direction, bool keep_rate,
		     struct sl_error *err)
{
	struct sl_qos *qos = draft->control->config.qos;
	uint16_t *minor = class_of(&entry->install, direction);
	uint64_t rate = entry->install.rule->mbr[direction], current;
	uint16_t twin;
	int rc;

	if (!qos)
		return sl_error(err, EOPNOTSUPP, "an MBR of %llu bit/s needs qos.pool > 0",
				(unsigned long long)rate);
	twin = sl_twin_class(draft->twin, &entry->install, direction);
	if (*minor && ((twin && twin != *minor) ||
		       (draft->separate && !twin && sl_qos_users(qos, direction, *minor) > 1)))
		unset_class(entry, direction);
	if (*minor == 0) {
		rc = twin ? sl_qos_share(qos, direction, twin, err)
			  : assign(draft->control, direction, rate, minor, err);
		if (rc < 0)
			return rc;
		if (twin)
			*minor = twin;
		entry->assigned[direction] = true;
	}
	current = sl_qos_rate(qos, direction, *minor);
	if (keep_rate || current == rate)
		return 0;
	rc = sl_qos_change(qos, direction, *minor, rate, err);
	if (rc < 0)
		return rc;
	entry->old_rate[direction] = current ? current : rate;
	return 0;
}

/* Where a class is not wanted or, if that may be, not to be had, a meter. */
static int set_rate(struct sl_draft *draft, struct sl_entry *entry, int direction, bool keep_rate,
		    struct sl_error *err)
{
	int rc;

	if (!needs_rate(entry->install.rule, draft->session->address.family, direction)) {
		unset_class(entry, direction);
		sl_meter_unset(entry, direction);
		return 0;
	}
	if (!sl_meter_is_wanted(draft, entry, direction)) {
		rc = set_class(draft, entry, direction, keep_rate, err);
		if (rc == 0)
			sl_meter_unset(entry, direction);
		if (rc != -ENOSPC || draft->control->config.backend != SL_RATE_AUTO ||
		    sl_control_waiting_helps(draft->control))
			return rc;
		entry->fell_back = true;
	}
	unset_class(entry, direction);
	return sl_meter_set(draft, entry, direction, err);
}

void sl_classes_undo(struct sl_draft *draft, struct sl_entry *entry)
{
	struct sl_qos *qos = draft->control->config.qos;

	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
		uint16_t minor = *class_of(&entry->install, direction);

		if (entry->old_rate[direction])
			sl_qos_change(qos, direction, minor, entry->old_rate[direction], NULL);
		if (entry->assigned[direction])
			sl_qos_release(qos, direction, minor);
		if (entry->metered[direction])
			sl_meter_put(draft->control, entry->install.meter[direction]);
	}
}

static int set_classes(struct sl_draft *draft, struct sl_entry *entry, bool keep_rate, struct sl_error *err)
{
	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
		int rc = set_rate(draft, entry, direction, keep_rate, err);

		if (rc < 0) {
			sl_classes_undo(draft, entry);
			return rc;
		}
	}
	return 0;
}

int sl_classes_set(struct sl_draft *draft, struct sl_entry *entry, struct sl_error *err)
{
	return set_classes(draft, entry, false, err);
}

int sl_classes_keep(struct sl_draft *draft, struct sl_entry *entry, struct sl_error *err)
{
	return set_classes(draft, entry, true, err);
}

void sl_classes_forget(struct sl_entry *entry)
{
	entry->install.binding = entry->present->binding;
	memcpy(entry->install.meter, entry->present->meter, sizeof(entry->install.meter));
	memset(entry->metered, 0, sizeof(entry->metered));
	memset(entry->unused_meter, 0, sizeof(entry->unused_meter));
	entry->fell_back = false;
	memset(entry->assigned, 0, sizeof(entry->assigned));
	memset(entry->old_rate, 0, sizeof(entry->old_rate));
	memset(entry->unused_class, 0, sizeof(entry->unused_class));
}
