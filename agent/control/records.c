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
