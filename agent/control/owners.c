// SPDX-License-Identifier: Apache-2.0
/* Usage slots, whose they are, and when they are free again. */
#include <string.h>

#include "control/model.h"

static void label(char *out, size_t size, const char *id)
{
	size_t length = strnlen(id, size - 1);

	memcpy(out, id, length);
	memset(out + length, 0, size - length);
}

/* The state goes in last: what a crash leaves half written is a free slot. */
static void write_owner(struct sl_control *control, uint32_t usage, const struct sluice_usage_owner *value,
			enum sluice_usage_state state)
{
	struct sluice_usage_owner *owner = &control->maps->usage_owners[usage];
	enum sluice_usage_state before = owner->state;

	*owner = *value;
	owner->state = before;
	__atomic_store_n((unsigned int *)&owner->state, state, __ATOMIC_RELEASE);
}

void sl_owner_write(struct sl_control *control, const struct sl_session *session,
		    const struct sl_install *install, enum sluice_usage_state state)
{
	struct sluice_usage_owner owner = {
		.session = session->slot,
		.rule = install->rule->record,
		.version = install->version,
		.origin = install->origin,
		.uplink_class = install->binding.uplink_class,
		.downlink_class = install->binding.downlink_class,
		.deadline_ns = install->binding.deadline_ns,
		.since_ns = install->since_ns,
	};

	memcpy(owner.imsi, session->imsi, sizeof(owner.imsi));
	label(owner.rule_id, sizeof(owner.rule_id), install->rule->id);
	write_owner(control, install->binding.usage, &owner, state);
}

void sl_owner_pend(struct sl_control *control, const struct sl_install *install, uint32_t policy)
{
	struct sluice_usage_owner *owner = &control->maps->usage_owners[install->binding.usage];

	owner->pending_rule = install->rule->record;
	__atomic_store_n(&owner->pending_policy, policy + 1, __ATOMIC_RELEASE);
}

void sl_owner_unpend(struct sl_control *control, uint32_t usage)
{
	__atomic_store_n(&control->maps->usage_owners[usage].pending_policy, 0, __ATOMIC_RELEASE);
}

void sl_owner_write_default(struct sl_control *control, const struct sl_session *session,
			    enum sluice_usage_state state)
{
	struct sluice_usage_owner owner = {
		.session = session->slot,
		.rule = SLUICE_NONE,
		.since_ns = sl_now_ns(),
	};

	memcpy(owner.imsi, session->imsi, sizeof(owner.imsi));
	label(owner.rule_id, sizeof(owner.rule_id), SL_DEFAULT_DROP_RULE);
	write_owner(control, session->default_usage, &owner, state);
}

void sl_usage_drop(struct sl_control *control, struct sl_session *session, uint32_t index)
{
	struct sl_retired retired = session->retired[index];
	bool folds = retired.rule && control->config.deny_as_default_drop;

	if (folds)
		sl_fold_begin(control, session, retired.usage);
	memset(&control->maps->usage_owners[retired.usage], 0, sizeof(struct sluice_usage_owner));
	sl_usage_clear(control, retired.usage);
	if (folds)
		sl_fold_end(control, session);
	sl_slots_release(&control->slots, SL_SLOT_USAGE, retired.usage, 1);
	if (retired.rule)
		sl_rule_record_put(control, retired.rule);
	sl_session_unretire(control, session, index);
}

static struct sl_session *owner_session(struct sl_control *control, uint32_t usage)
{
	uint32_t slot;

	if (usage >= control->maps->size.usage)
		return NULL;
	slot = control->maps->usage_owners[usage].session;
	return slot < control->maps->size.sessions ? control->by_slot[slot] : NULL;
}

void sl_usage_finalise(struct sl_control *control, uint32_t usage, uint32_t sequence)
{
	struct sl_session *session = owner_session(control, usage);

	if (!session)
		return;
	for (uint32_t i = 0; i < session->retired_count; i++) {
		if (session->retired[i].usage != usage || session->retired[i].sequence != sequence)
			continue;
		session->retired[i].final = true;
		if (!control->config.keep_retired) {
			sl_usage_drop(control, session, i);
			sl_session_collect_ended(control, session);
		}
		return;
	}
}

void sl_control_acknowledge(struct sl_control *control, const struct sl_usage_receipt *receipts, size_t count)
{
	for (size_t n = 0; n < count; n++) {
		struct sl_session *session = owner_session(control, receipts[n].slot);

		if (!session)
			continue;
		for (uint32_t i = 0; i < session->retired_count; i++) {
			if (session->retired[i].usage != receipts[n].slot ||
			    session->retired[i].sequence != receipts[n].sequence ||
			    !session->retired[i].final)
				continue;
			sl_usage_drop(control, session, i);
			break;
		}
		sl_session_collect_ended(control, session);
	}
}
