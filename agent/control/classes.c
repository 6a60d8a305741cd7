// SPDX-License-Identifier: Apache-2.0
/*
 * The HTB classes of the rules of a draft, or the meters in their place. In a
 * session whose AMBR is kept by a tree, a rule without a GBR is in one of the
 * tree's leaves: with an MBR in one of its own, without one, or if the MBR is
 * policed, in the last, which such rules share.
 */
#include <errno.h>
#include <string.h>

#include "control/draft.h"

static uint16_t *class_of(struct sl_install *install, int direction)
{
	return direction == SLUICE_UPLINK ? &install->binding.uplink_class : &install->binding.downlink_class;
}

/* Only what is sent is held back: rules that permit nothing in a direction need no queue there. */
static bool permits(const struct sl_rule *rule, uint32_t family, int direction)
{
	for (uint32_t i = 0; i < rule->flow_count; i++) {
		const struct sluice_flow *flow = &rule->flows[i];

		if ((int)flow->direction == direction && flow->action == SLUICE_PERMIT &&
		    (flow->family == 0 || flow->family == family))
			return true;
	}
	return false;
}

enum sl_rate_backend sl_rate_backend_of(const struct sl_control *control, const struct sl_rule *rule)
{
	static const enum sl_rate_backend backends[] = {
		[SLUICE_RATE_SHAPE] = SL_RATE_SHAPE,
		[SLUICE_RATE_POLICE] = SL_RATE_POLICE,
		[SLUICE_RATE_AUTO] = SL_RATE_AUTO,
	};

	return rule->backend == SLUICE_RATE_DEFAULT ? control->config.backend : backends[rule->backend];
}

static const char no_class[] = "no HTB class is free: the rule is policed, not shaped";

/* --- a place in a queue ------------------------------------------------------------ */

enum place {
	SINGLE_CLASS,
	OWN_LEAF,    /* of the session's tree */
	SHARED_LEAF, /* of the session's tree */
};

static bool is_at(const struct sl_draft *draft, int direction, uint16_t minor, enum place place)
{
	const struct sl_qos *qos = draft->control->config.qos;
	uint16_t tree = sl_qos_tree_of(qos, direction, minor);

	if (place == SINGLE_CLASS)
		return tree == 0;
	return tree == draft->tree[direction] && (minor == sl_tree_shared(tree)) == (place == SHARED_LEAF);
}

/*
 * The twin's class, if the rule can be in it. A leaf is under the AMBR of either; the one
 * that rules of the twin share has no rate of its own, and gets none.
 */
static uint16_t twin_class(const struct sl_draft *draft, const struct sl_entry *entry, int direction,
			   enum place place)
{
	uint16_t twin = sl_twin_class(draft->partner, &entry->install, direction);
	uint16_t tree = sl_qos_tree_of(draft->control->config.qos, direction, twin);

	if (place == SHARED_LEAF || (tree && twin == sl_tree_shared(tree)))
		return 0;
	return twin && (place == SINGLE_CLASS || is_at(draft, direction, twin, place)) ? twin : 0;
}

struct sl_qos_rates sl_class_rates(const struct sl_qos *qos, const struct sl_rule *rule, int direction)
{
	struct sl_qos_rates rates = {.gbr = rule->gbr[direction], .mbr = rule->mbr[direction]};

	if (!rates.mbr)
		rates.mbr = sl_qos_link_rate(qos);
	return rates;
}

static struct sl_qos_rates rates_of(const struct sl_qos *qos, const struct sl_rule *rule, int direction,
				    enum place place)
{
	if (place == SINGLE_CLASS)
		return sl_class_rates(qos, rule, direction);
	return (struct sl_qos_rates){.mbr = place == SHARED_LEAF ? 0 : rule->mbr[direction]};
}

static int assign(const struct sl_draft *draft, int direction, const struct sl_qos_rates *rates,
		  enum place place, uint16_t *minor, struct sl_error *err)
{
	struct sl_control *control = draft->control;
	struct sl_qos *qos = control->config.qos;
	struct sl_vlan_wish wish;
	const struct sl_qos_choice choice = sl_vlan_choice(draft, &wish);
	const struct sl_qos_choice *chosen = direction == SLUICE_UPLINK ? &choice : NULL;
	int rc;

	if (place != SINGLE_CLASS)
		return sl_tree_leaf(control, direction, draft->tree[direction], rates->mbr, minor, err);
	rc = sl_qos_assign_chosen(qos, direction, rates, chosen, minor, err);
	/* a burst of activations may outrun the pool that is still being built */
	if (rc == -ENOSPC && sl_queues_build_some(control))
		rc = sl_qos_assign_chosen(qos, direction, rates, chosen, minor, err);
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

static int set_class(struct sl_draft *draft, struct sl_entry *entry, int direction, enum place place,
		     bool keep_rate, struct sl_error *err)
{
	struct sl_qos *qos = draft->control->config.qos;
	uint16_t *minor = class_of(&entry->install, direction);
	const struct sl_rule *rule = entry->install.rule;
	struct sl_qos_rates rates, current;
	uint16_t twin;
	int rc;

	if (!qos)
		return sl_error(err, EOPNOTSUPP, "%s of %llu bit/s needs qos.pool > 0",
				rule->mbr[direction] ? "an MBR" : "a GBR",
				(unsigned long long)(rule->mbr[direction] ? rule->mbr[direction]
									  : rule->gbr[direction]));
	rates = rates_of(qos, rule, direction, place);
	twin = twin_class(draft, entry, direction, place);
	if (*minor && *minor != twin &&
	    (twin || !is_at(draft, direction, *minor, place) || sl_vlan_differs(draft, direction, *minor) ||
	     (draft->separate && place != SHARED_LEAF && sl_qos_users(qos, direction, *minor) > 1)))
		unset_class(entry, direction);
	if (*minor == 0) {
		rc = twin ? sl_qos_share(qos, direction, twin, err)
			  : assign(draft, direction, &rates, place, minor, err);
		if (rc < 0)
			return rc;
		if (twin)
			*minor = twin;
		entry->assigned[direction] = true;
	}
	if (sl_qos_tree_of(qos, direction, *minor))
		rates.gbr = 0;
	current = sl_qos_rates(qos, direction, *minor);
	if (keep_rate || place == SHARED_LEAF || (current.mbr == rates.mbr && current.gbr == rates.gbr))
		return 0;
	rc = sl_qos_change(qos, direction, *minor, &rates, err);
	if (rc < 0)
		return rc;
	entry->old_rates[direction] = current.mbr ? current : rates;
	return 0;
}

/* The AMBR is kept by the tree in any case; what is left is the MBR. */
static int set_in_tree(struct sl_draft *draft, struct sl_entry *entry, int direction, bool keep_rate,
		       struct sl_error *err)
{
	int rc;

	if (entry->install.rule->mbr[direction] && !sl_meter_is_wanted(draft, entry, direction, keep_rate)) {
		rc = set_class(draft, entry, direction, OWN_LEAF, keep_rate, err);
		if (rc == 0)
			sl_meter_unset(entry, direction);
		if (rc != -ENOSPC)
			return rc;
		entry->fell_back = no_class;
	}
	rc = set_class(draft, entry, direction, SHARED_LEAF, keep_rate, err);
	if (rc < 0)
		return rc;
	if (entry->install.rule->mbr[direction])
		return sl_meter_set(draft, entry, direction, err);
	sl_meter_unset(entry, direction);
	return 0;
}

/* Where a class is not wanted or, if that may be, not to be had, a meter. */
static int set_rate(struct sl_draft *draft, struct sl_entry *entry, int direction, bool keep_rate,
		    struct sl_error *err)
{
	const struct sl_rule *rule = entry->install.rule;
	bool in_tree = draft->tree[direction] && !rule->gbr[direction];
	int rc;

	if (!permits(rule, draft->session->address.family, direction)) {
		unset_class(entry, direction);
		sl_meter_unset(entry, direction);
		return 0;
	}
	if (in_tree)
		return set_in_tree(draft, entry, direction, keep_rate, err);
	if ((rule->mbr[direction] || rule->gbr[direction]) &&
	    !sl_meter_is_wanted(draft, entry, direction, keep_rate)) {
		rc = set_class(draft, entry, direction, SINGLE_CLASS, keep_rate, err);
		if (rc == 0)
			return sl_meter_guard(draft, entry, direction, err);
		if (rc != -ENOSPC || sl_rate_backend_of(draft->control, rule) != SL_RATE_AUTO ||
		    sl_control_waiting_helps(draft->control))
			return rc;
		entry->fell_back = no_class;
	}
	unset_class(entry, direction);
	return rule->mbr[direction] ? sl_meter_set(draft, entry, direction, err)
				    : sl_meter_guard(draft, entry, direction, err);
}

void sl_classes_undo(struct sl_draft *draft, struct sl_entry *entry)
{
	struct sl_qos *qos = draft->control->config.qos;

	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
		uint16_t minor = *class_of(&entry->install, direction);

		if (entry->old_rates[direction].mbr)
			sl_qos_change(qos, direction, minor, &entry->old_rates[direction], NULL);
		if (entry->assigned[direction])
			sl_vlan_release(draft->control, direction, minor);
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

/* In a direction in which the session has a tree, and the rule belongs in it. */
static bool is_outside(const struct sl_draft *draft, const struct sl_entry *entry, int direction)
{
	const struct sl_rule *rule = entry->install.rule;
	uint16_t tree = draft->tree[direction];
	uint16_t minor = direction == SLUICE_UPLINK ? entry->install.binding.uplink_class
						    : entry->install.binding.downlink_class;

	return tree && !rule->gbr[direction] && permits(rule, draft->session->address.family, direction) &&
	       (!minor || sl_qos_tree_of(draft->control->config.qos, direction, minor) != tree);
}

bool sl_classes_escape(const struct sl_draft *draft, const struct sl_entry *entry)
{
	return is_outside(draft, entry, SLUICE_UPLINK) || is_outside(draft, entry, SLUICE_DOWNLINK);
}

int sl_classes_catch(struct sl_draft *draft, struct sl_entry *entry, struct sl_error *err)
{
	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
		int rc = 0;

		if (is_outside(draft, entry, direction))
			rc = set_class(draft, entry, direction, SHARED_LEAF, true, err);
		if (rc < 0) {
			sl_classes_undo(draft, entry);
			sl_classes_forget(entry);
			return rc;
		}
	}
	return 0;
}

void sl_classes_forget(struct sl_entry *entry)
{
	entry->install.binding = entry->present->binding;
	memcpy(entry->install.meter, entry->present->meter, sizeof(entry->install.meter));
	memset(entry->metered, 0, sizeof(entry->metered));
	memset(entry->unused_meter, 0, sizeof(entry->unused_meter));
	entry->fell_back = NULL;
	memset(entry->assigned, 0, sizeof(entry->assigned));
	memset(entry->old_rates, 0, sizeof(entry->old_rates));
	memset(entry->unused_class, 0, sizeof(entry->unused_class));
}
