// SPDX-License-Identifier: Apache-2.0
/* The tables of sessions: by endpoint, by IMSI, by slot, and those with usage that waits to be acknowledged.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "control/model.h"
#include "datapath/ids_maps.h"

static void endpoint_key(const struct sl_address *address, uint8_t key[12])
{
	memset(key, 0, 12);
	key[0] = (uint8_t)address->family;
	memcpy(key + 1, address->bytes, address->family == 4 ? 4 : 8);
}

struct sl_session *sl_session_find(struct sl_control *control, const struct sl_address *address)
{
	struct sl_session *session;
	uint8_t key[12];

	endpoint_key(address, key);
	HASH_FIND(hh, control->by_key, key, sizeof(key), session);
	return session;
}

struct sl_subscriber *sl_subscriber_find(struct sl_control *control, const char *imsi)
{
	struct sl_subscriber *subscriber;

	HASH_FIND_STR(control->subscribers, imsi, subscriber);
	return subscriber;
}

struct sl_session *sl_session_find_ended(struct sl_control *control, const char *imsi,
					 const struct sl_address *address)
{
	struct sl_subscriber *subscriber = sl_subscriber_find(control, imsi);
	struct sl_session *session = subscriber ? subscriber->sessions : NULL;

	while (session && (session->active || !sl_address_same_endpoint(&session->address, address)))
		session = session->imsi_next;
	return session;
}

static int join_subscriber(struct sl_control *control, struct sl_session *session)
{
	struct sl_subscriber *subscriber = sl_subscriber_find(control, session->imsi);

	if (!subscriber) {
		subscriber = calloc(1, sizeof(*subscriber));
		if (!subscriber)
			return -ENOMEM;
		memcpy(subscriber->imsi, session->imsi, sizeof(subscriber->imsi));
		HASH_ADD_STR(control->subscribers, imsi, subscriber);
	}
	session->imsi_next = subscriber->sessions;
	subscriber->sessions = session;
	return 0;
}

static void leave_subscriber(struct sl_control *control, struct sl_session *session)
{
	struct sl_subscriber *subscriber = sl_subscriber_find(control, session->imsi);
	struct sl_session **link = &subscriber->sessions;

	while (*link != session)
		link = &(*link)->imsi_next;
	*link = session->imsi_next;
	if (!subscriber->sessions) {
		HASH_DEL(control->subscribers, subscriber);
		free(subscriber);
	}
}

static struct sl_session *session_alloc(struct sl_control *control, uint32_t slot, const char *imsi,
					const struct sl_address *address)
{
	struct sl_session *session = calloc(1, sizeof(*session));

	if (!session)
		return NULL;
	snprintf(session->imsi, sizeof(session->imsi), "%s", imsi);
	session->address = *address;
	endpoint_key(address, session->key);
	session->slot = slot;
	session->policy = SLUICE_NONE;
	session->default_usage = SLUICE_NONE;
	if (join_subscriber(control, session) < 0) {
		free(session);
		return NULL;
	}
	control->by_slot[slot] = session;
	DL_APPEND(control->all, session);
	return session;
}

int sl_session_new(struct sl_control *control, const char *imsi, const struct sl_address *address,
		   struct sl_session **out, struct sl_error *err)
{
	struct sl_session *session;
	uint32_t slot;
	int rc;

	rc = sl_slots_take(&control->slots, SL_SLOT_SESSION, 1, &slot, err);
	if (rc < 0)
		return rc;
	session = session_alloc(control, slot, imsi, address);
	if (!session) {
		sl_slots_release(&control->slots, SL_SLOT_SESSION, slot, 1);
		return sl_error(err, ENOMEM, "out of memory");
	}
	rc = sl_slots_take(&control->slots, SL_SLOT_USAGE, 1, &session->default_usage, err);
	if (rc < 0) {
		sl_session_free(control, session);
		return rc;
	}
	sl_usage_clear(control, session->default_usage);
	sl_ids_dropped_clear(control->config.datapath, slot);
	*out = session;
	return 0;
}

int sl_session_claim(struct sl_control *control, uint32_t slot, struct sl_session **out)
{
	const struct sluice_session_record *record = &control->maps->sessions[slot];
	struct sl_address address = {.family = record->family};
	struct sl_session *session;
	int rc;

	memcpy(address.bytes, record->address, sizeof(address.bytes));
	rc = sl_idpool_claim(control->slots.pool[SL_SLOT_SESSION], slot, 1);
	if (rc < 0)
		return rc;
	session = session_alloc(control, slot, record->imsi, &address);
	if (!session)
		return -ENOMEM;
	session->default_usage = record->default_usage;
	*out = session;
	return 0;
}

void sl_session_record(struct sl_control *control, const struct sl_session *session)
{
	struct sluice_session_record *record = &control->maps->sessions[session->slot];

	memcpy(record->imsi, session->imsi, sizeof(record->imsi));
	memcpy(record->address, session->address.bytes, sizeof(record->address));
	record->family = session->address.family;
	record->default_usage = session->default_usage;
	record->twin = session->twin ? session->twin->slot + 1 : 0;
	__atomic_store_n((unsigned int *)&record->state, SLUICE_SESSION_ACTIVE, __ATOMIC_RELEASE);
}

void sl_session_set_active(struct sl_control *control, struct sl_session *session, bool active)
{
	if (session->active == active)
		return;
	session->active = active;
	if (active) {
		HASH_ADD(hh, control->by_key, key, sizeof(session->key), session);
		control->active++;
	} else {
		HASH_DELETE(hh, control->by_key, session);
		control->active--;
	}
	sl_session_count_state(control, session);
}

bool sl_session_is_desired(struct sl_control *control, const struct sl_session *session,
			   const struct sl_install *install)
{
	const struct sl_control_config *config = &control->config;

	return config->is_desired &&
	       config->is_desired(session->imsi, &session->address, install, config->user);
}

int sl_session_reserve_retired(struct sl_session *session, uint32_t more)
{
	struct sl_retired *grown = reallocarray(session->retired, (size_t)session->retired_count + more + 1,
						sizeof(*session->retired));

	if (!grown)
		return -ENOMEM;
	session->retired = grown;
	return 0;
}

void sl_session_retire(struct sl_control *control, struct sl_session *session, struct sl_retired retired)
{
	retired.sequence = ++control->retirements;
	session->retired[session->retired_count++] = retired;
	if (!session->draining) {
		DL_APPEND2(control->drain, session, drain_prev, drain_next);
		session->draining = true;
	}
	sl_control_defer(control, SL_SLOT_USAGE_FINAL, retired.usage, retired.sequence);
}

static int by_version(const void *left, const void *right)
{
	const struct sl_retired *a = left, *b = right;

	return (a->version > b->version) - (a->version < b->version);
}

void sl_session_order_retired(struct sl_session *session)
{
	if (session->retired_count > 1)
		qsort(session->retired, session->retired_count, sizeof(session->retired[0]), by_version);
}

void sl_session_unretire(struct sl_control *control, struct sl_session *session, uint32_t index)
{
	session->retired_count--;
	memmove(&session->retired[index], &session->retired[index + 1],
		(session->retired_count - index) * sizeof(session->retired[0]));
	if (session->retired_count == 0 && session->draining) {
		DL_DELETE2(control->drain, session, drain_prev, drain_next);
		session->draining = false;
	}
}

void sl_session_revive_default(struct sl_control *control, struct sl_session *session)
{
	for (uint32_t i = 0; i < session->retired_count; i++) {
		if (session->retired[i].rule)
			continue;
		session->default_usage = session->retired[i].usage;
		sl_session_unretire(control, session, i);
		return;
	}
}

void sl_session_free(struct sl_control *control, struct sl_session *session)
{
	struct sluice_session_record *record = &control->maps->sessions[session->slot];

	sl_twin_unlink(control, session);
	sl_session_set_active(control, session, false);
	if (session->draining)
		DL_DELETE2(control->drain, session, drain_prev, drain_next);
	DL_DELETE(control->all, session);
	leave_subscriber(control, session);
	control->by_slot[session->slot] = NULL;
	memset(record, 0, sizeof(*record));
	if (session->default_usage != SLUICE_NONE)
		sl_slots_release(&control->slots, SL_SLOT_USAGE, session->default_usage, 1);
	sl_slots_release(&control->slots, SL_SLOT_SESSION, session->slot, 1);
	free(session->installs);
	free(session->retired);
	free(session->quotas);
	free(session);
}

void sl_session_collect_ended(struct sl_control *control, struct sl_session *session)
{
	/* one that is not in force yet, but has its default drop, is about to be */
	if (!session->active && session->retired_count == 0 && session->default_usage == SLUICE_NONE)
		sl_session_free(control, session);
}
