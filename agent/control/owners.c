// SPDX-License-Identifier: Apache-2.0
/* Usage slots and whose they are. */
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

	memset(&control->maps->usage_owners[retired.usage], 0, sizeof(struct sluice_usage_owner));
	memset(&control->maps->usage[retired.usage], 0, sizeof(struct sluice_usage));
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

/* Each word is added to atomically by packets; none may be read torn. */
static struct sluice_counter load(const struct sluice_counter *live)
{
	return (struct sluice_counter){
		.bytes = __atomic_load_n(&live->bytes, __ATOMIC_RELAXED),
		.packets = __atomic_load_n(&live->packets, __ATOMIC_RELAXED),
	};
}

struct sluice_usage sl_control_read_usage(const struct sl_control *control, uint32_t slot)
{
	const struct sluice_usage *live = &control->maps->usage[slot];

	return (struct sluice_usage){
		.uplink = load(&live->uplink),
		.downlink = load(&live->downlink),
		.uplink_dropped = load(&live->uplink_dropped),
		.downlink_dropped = load(&live->downlink_dropped),
	};
}

static struct sl_usage_record record_of(const struct sl_control *control, const struct sl_session *session,
					uint32_t slot, const struct sl_rule *rule)
{
	return (struct sl_usage_record){
		.imsi = session->imsi,
		.rule_id = rule ? rule->id : SL_DEFAULT_DROP_RULE,
		.address = session->address,
		.slot = slot,
		.shard = control->maps->sessions[session->slot].shard,
		.since_ns = control->maps->usage_owners[slot].since_ns,
		.usage = sl_control_read_usage(control, slot),
	};
}

size_t sl_control_retired(struct sl_control *control, struct sl_usage_record *out, size_t max)
{
	struct sl_session *session;
	size_t n = 0;

	DL_FOREACH2(control->drain, session, drain_next)
	{
		for (uint32_t i = 0; i < session->retired_count && n < max; i++) {
			const struct sl_retired *retired = &session->retired[i];

			out[n] = record_of(control, session, retired->usage, retired->rule);
			out[n].version = retired->version;
			out[n].origin = retired->origin;
			out[n].retired = true;
			out[n].final = retired->final;
			out[n].sequence = retired->sequence;
			n++;
		}
	}
	return n;
}

/* The cursor: slot in the upper half, record within the session in the lower one. */
size_t sl_control_usage(struct sl_control *control, struct sl_usage_record *out, size_t max, uint64_t *cursor)
{
	uint32_t slot = (uint32_t)(*cursor >> 32), index = (uint32_t)*cursor;
	size_t n = 0;

	for (; slot < control->maps->size.sessions; slot++, index = 0) {
		const struct sl_session *session = control->by_slot[slot];

		if (!session || !session->active)
			continue;
		for (; index <= session->install_count; index++) {
			const struct sl_install *install = &session->installs[index];

			if (n == max) {
				*cursor = (uint64_t)slot << 32 | index;
				return n;
			}
			if (index == session->install_count) {
				out[n++] = record_of(control, session, session->default_usage, NULL);
				continue;
			}
			out[n] = record_of(control, session, install->binding.usage, install->rule);
			out[n].version = install->version;
			out[n].origin = install->origin;
			n++;
		}
	}
	*cursor = 0;
	return n;
}

void sl_control_owner(const struct sl_control *control, uint32_t usage, const char **imsi,
		      const char **rule_id)
{
	const struct sluice_usage_owner *owner;

	*imsi = NULL;
	*rule_id = NULL;
	if (usage >= control->maps->size.usage)
		return;
	owner = &control->maps->usage_owners[usage];
	if (owner->state == SLUICE_USAGE_FREE)
		return;
	*imsi = owner->imsi;
	*rule_id = owner->rule < control->maps->size.rules ? control->maps->rules[owner->rule].id
							   : owner->rule_id;
}
