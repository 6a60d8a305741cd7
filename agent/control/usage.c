// SPDX-License-Identifier: Apache-2.0
/* Usage as it is read: one record for each slot, by session. */
#include "control/model.h"

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
	struct sl_usage_record record = {
		.imsi = session->imsi,
		.rule_id = rule ? rule->id : SL_DEFAULT_DROP_RULE,
		.address = session->address,
		.is_default = !rule,
		.slot = slot,
		.shard = control->maps->sessions[session->slot].shard,
		.since_ns = control->maps->usage_owners[slot].since_ns,
		.usage = sl_control_read_usage(control, slot),
	};

	if (!rule)
		sl_fold_add(control, session, &record.usage);
	return record;
}

static struct sl_usage_record record_of_install(const struct sl_control *control,
						const struct sl_session *session,
						const struct sl_install *install)
{
	struct sl_usage_record record = record_of(control, session, install->binding.usage, install->rule);

	record.version = install->version;
	record.origin = install->origin;
	return record;
}

static struct sl_usage_record record_of_retired(const struct sl_control *control,
						const struct sl_session *session,
						const struct sl_retired *retired)
{
	struct sl_usage_record record = record_of(control, session, retired->usage, retired->rule);

	record.version = retired->version;
	record.origin = retired->origin;
	record.retired = true;
	record.final = retired->final;
	record.sequence = retired->sequence;
	return record;
}

size_t sl_control_retired(struct sl_control *control, struct sl_usage_record *out, size_t max)
{
	struct sl_session *session;
	size_t n = 0;

	DL_FOREACH2(control->drain, session, drain_next)
	{
		for (uint32_t i = 0; i < session->retired_count && n < max; i++)
			out[n++] = record_of_retired(control, session, &session->retired[i]);
	}
	return n;
}

static size_t fill_active(const struct sl_control *control, const struct sl_session *session,
			  struct sl_usage_record *out, size_t max)
{
	size_t n = 0;

	for (; n < session->install_count && n < max; n++)
		out[n] = record_of_install(control, session, &session->installs[n]);
	if (n < max)
		out[n++] = record_of(control, session, session->default_usage, NULL);
	return n;
}

/*
 * What rules have dropped is said of the default drop. A default drop that has
 * ended is final when all that it stands for is.
 */
static void say_as_default(struct sl_usage_record *records, size_t count)
{
	struct sl_usage_record *drop = NULL;

	for (size_t i = 0; i < count; i++)
		if (records[i].is_default)
			drop = &records[i];
	for (size_t i = 0; drop && i < count; i++) {
		struct sluice_usage *usage = &records[i].usage;

		if (&records[i] == drop)
			continue;
		drop->usage.uplink_dropped.bytes += usage->uplink_dropped.bytes;
		drop->usage.uplink_dropped.packets += usage->uplink_dropped.packets;
		drop->usage.downlink_dropped.bytes += usage->downlink_dropped.bytes;
		drop->usage.downlink_dropped.packets += usage->downlink_dropped.packets;
		usage->uplink_dropped = usage->downlink_dropped = (struct sluice_counter){0};
		if (drop->retired && !records[i].final)
			drop->final = false;
	}
}

size_t sl_control_session_usage(struct sl_control *control, bool ended, struct sl_usage_record *out,
				size_t max, uint32_t *slot)
{
	const struct sl_session *session = NULL;
	size_t wanted, n = 0;
	uint32_t at = *slot;

	for (; at < control->maps->size.sessions; at++) {
		session = control->by_slot[at];
		if (session && session->active == !ended && (!ended || session->retired_count))
			break;
	}
	if (at >= control->maps->size.sessions) {
		*slot = SLUICE_NONE;
		return 0;
	}
	wanted = session->retired_count + (ended ? 0 : (size_t)session->install_count + 1);
	*slot = at;
	if (wanted > max)
		return wanted;
	/* a session manager ignores an old version that comes after a newer one */
	for (uint32_t i = 0; i < session->retired_count; i++)
		out[n++] = record_of_retired(control, session, &session->retired[i]);
	if (!ended)
		n += fill_active(control, session, out + n, max - n);
	if (control->config.deny_as_default_drop)
		say_as_default(out, n);
	*slot = at + 1;
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
			out[n++] = record_of_install(control, session, install);
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
