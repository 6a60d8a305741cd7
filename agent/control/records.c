// SPDX-License-Identifier: Apache-2.0
/* Rules as records in the maps: for the next start and for people with bpftool. No packet reads them. */
#include <errno.h>
#include <string.h>

#include "control/model.h"

static int store(struct sl_control *control, struct sl_rule *rule, struct sl_error *err)
{
	struct sluice_rule_record *record;
	uint32_t slot, first;
	int rc;

	rc = sl_slots_take(&control->slots, SL_SLOT_RULE, 1, &slot, err);
	if (rc < 0)
		return rc;
	rc = sl_slots_take(&control->slots, SL_SLOT_FLOW, rule->flow_count, &first, err);
	if (rc < 0)
		goto fail_rule;
	rc = sl_steer_take(control, &rule->steer, err);
	if (rc < 0)
		goto fail_flows;
	rc = sl_profile_use_get(control, rule);
	if (rc < 0) {
		sl_error(err, -rc, "out of memory");
		goto fail_steer;
	}
	memcpy(&control->maps->flows[first], rule->flows, rule->flow_count * sizeof(rule->flows[0]));
	record = &control->maps->rules[slot];
	*record = (struct sluice_rule_record){
		.precedence = rule->precedence,
		.first_flow = first,
		.flow_count = rule->flow_count,
		.mbr_uplink = rule->mbr[SLUICE_UPLINK],
		.mbr_downlink = rule->mbr[SLUICE_DOWNLINK],
		.gbr_uplink = rule->gbr[SLUICE_UPLINK],
		.gbr_downlink = rule->gbr[SLUICE_DOWNLINK],
		.hard_timeout_s = rule->hard_timeout_s,
		.rating_group = rule->rating_group,
		.redirect = rule->redirect,
		.steer = rule->steer.mode == SLUICE_STEER_FREE ? 0 : rule->steer.slot + 1,
		.is_static = rule->is_static,
		.is_final = rule->is_final,
		.backend = (uint8_t)rule->backend,
		.arp_level = rule->arp.level,
		.arp_may_preempt = rule->arp.may_preempt,
		.arp_may_be_preempted = rule->arp.may_be_preempted,
		.class_id = rule->class_id,
	};
	memcpy(record->id, rule->id, sizeof(record->id));
	memcpy(record->profile, rule->profile, sizeof(record->profile));
	memcpy(record->redirect_address, rule->redirect_address, sizeof(record->redirect_address));
	/* last, so that a crash before leaves a free slot */
	__atomic_store_n(&record->in_use, 1, __ATOMIC_RELEASE);
	rule->record = slot;
	rule->first_flow = first;
	return 0;

fail_steer:
	sl_steer_put(control, &rule->steer);
fail_flows:
	sl_slots_release(&control->slots, SL_SLOT_FLOW, first, rule->flow_count);
fail_rule:
	sl_slots_release(&control->slots, SL_SLOT_RULE, slot, 1);
	return rc;
}

static void forget(struct sl_rule *rule, void *user)
{
	struct sl_control *control = user;

	if (rule->record == SLUICE_NONE)
		return;
	__atomic_store_n(&control->maps->rules[rule->record].in_use, 0, __ATOMIC_RELEASE);
	sl_slots_release(&control->slots, SL_SLOT_RULE, rule->record, 1);
	sl_slots_release(&control->slots, SL_SLOT_FLOW, rule->first_flow, rule->flow_count);
	sl_steer_put(control, &rule->steer);
	sl_profile_use_put(control, rule);
}

int sl_rule_record_get(struct sl_control *control, const struct sl_rule *rule, struct sl_rule **out,
		       struct sl_error *err)
{
	struct sl_rule *shared;
	int rc;

	rc = sl_rule_table_intern(control->rules, rule, &shared);
	if (rc < 0)
		return sl_error(err, -rc, "out of memory");
	if (shared->record == SLUICE_NONE) {
		rc = store(control, shared, err);
		if (rc < 0) {
			sl_rule_table_unref(control->rules, shared, forget, control);
			return rc;
		}
	}
	*out = shared;
	return 0;
}

void sl_rule_record_put(struct sl_control *control, struct sl_rule *rule)
{
	sl_rule_table_unref(control->rules, rule, forget, control);
}

/* --- at a start ------------------------------------------------------------------ */

static int adopt(struct sl_control *control, uint32_t slot, struct sl_rule **out)
{
	const struct sluice_rule_record *record = &control->maps->rules[slot];
	struct sl_rule *rule, copy = {
				      .precedence = record->precedence,
				      .rating_group = record->rating_group,
				      .hard_timeout_s = record->hard_timeout_s,
				      .mbr = {record->mbr_uplink, record->mbr_downlink},
				      .gbr = {record->gbr_uplink, record->gbr_downlink},
				      .backend = record->backend <= SLUICE_RATE_AUTO ? record->backend
										     : SLUICE_RATE_DEFAULT,
				      .arp = {.level = record->arp_level,
					      .may_preempt = record->arp_may_preempt != 0,
					      .may_be_preempted = record->arp_may_be_preempted != 0},
				      .class_id = record->class_id,
				      .redirect = record->redirect,
				      .is_static = record->is_static != 0,
				      .is_final = record->is_final != 0,
				      .flow_count = record->flow_count,
			      };
	int rc;

	if (record->flow_count > control->maps->size.flows ||
	    record->first_flow > control->maps->size.flows - record->flow_count)
		return -ERANGE;
	memcpy(copy.id, record->id, sizeof(copy.id));
	copy.id[sizeof(copy.id) - 1] = '\0';
	memcpy(copy.profile, record->profile, sizeof(copy.profile));
	copy.profile[sizeof(copy.profile) - 1] = '\0';
	memcpy(copy.redirect_address, record->redirect_address, sizeof(copy.redirect_address));
	copy.redirect_address[sizeof(copy.redirect_address) - 1] = '\0';
	copy.flows = &control->maps->flows[record->first_flow];
	rc = sl_idpool_claim(control->slots.pool[SL_SLOT_RULE], slot, 1);
	if (rc < 0)
		return rc;
	rc = sl_idpool_claim(control->slots.pool[SL_SLOT_FLOW], record->first_flow, record->flow_count);
	if (rc < 0)
		goto fail_rule;
	rc = record->steer ? sl_steer_adopt(control, record->steer - 1, &copy.steer) : 0;
	if (rc < 0)
		goto fail_flows;
	rc = sl_rule_table_intern(control->rules, &copy, &rule);
	if (rc < 0)
		goto fail_steer;
	*out = rule;
	if (rule->record != SLUICE_NONE) {
		/* the same content twice: the first record stays, see sl_rule_records_forget_duplicates */
		sl_steer_put(control, &copy.steer);
		return 0;
	}
	rc = sl_profile_use_get(control, rule);
	if (rc < 0) {
		*out = NULL;
		sl_rule_table_unref(control->rules, rule, NULL, NULL);
		goto fail_steer;
	}
	rule->record = slot;
	rule->first_flow = record->first_flow;
	return 0;

fail_steer:
	sl_steer_put(control, &copy.steer);
fail_flows:
	sl_slots_release(&control->slots, SL_SLOT_FLOW, record->first_flow, record->flow_count);
fail_rule:
	sl_slots_release(&control->slots, SL_SLOT_RULE, slot, 1);
	return rc;
}

uint32_t sl_rule_records_adopt(struct sl_control *control, struct sl_rule **by_slot)
{
	struct sl_maps *maps = control->maps;
	uint32_t dropped = 0;

	for (uint32_t slot = 0; slot < maps->size.rules; slot++) {
		if (!maps->rules[slot].in_use)
			continue;
		if (adopt(control, slot, &by_slot[slot]) < 0) {
			maps->rules[slot].in_use = 0;
			dropped++;
		}
	}
	return dropped;
}

void sl_rule_records_forget_duplicates(struct sl_control *control, struct sl_rule *const *by_slot)
{
	for (uint32_t slot = 0; slot < control->maps->size.rules; slot++) {
		struct sluice_rule_record *record = &control->maps->rules[slot];

		if (!by_slot[slot] || by_slot[slot]->record == slot)
			continue;
		__atomic_store_n(&record->in_use, 0, __ATOMIC_RELEASE);
		sl_slots_release(&control->slots, SL_SLOT_FLOW, record->first_flow, record->flow_count);
		sl_slots_release(&control->slots, SL_SLOT_RULE, slot, 1);
	}
}
