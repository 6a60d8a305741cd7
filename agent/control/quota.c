// SPDX-License-Identifier: Apache-2.0
/* One quota: its slot in the maps, what is granted to it, what is told of it. */
#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "control/quotas.h"
#include "policy/hash.h"

#define NS_PER_S 1000000000ull
#define FLAGS	 (SLUICE_QUOTA_WARNED | SLUICE_QUOTA_EXHAUSTED)

uint64_t sl_quota_rule_hash(const char *id)
{
	return sl_hash(1, id, strlen(id));
}

bool sl_quota_key_equal(const struct sl_quota_key *a, const struct sl_quota_key *b)
{
	return a->scope == b->scope && a->origin == b->origin && a->rating_group == b->rating_group &&
	       a->rule == b->rule;
}

static int refuse_more(size_t index, const char *field, uint64_t value, uint64_t most, struct sl_error *err)
{
	return sl_error(err, EINVAL, "quotas[%zu].%s: %llu, at most %llu are allowed", index, field,
			(unsigned long long)value, (unsigned long long)most);
}

int sl_quota_check(const struct sl_quota_request *request, size_t index, struct sl_error *err)
{
	if (request->scope == SLUICE_QUOTA_RULE && (!request->rule_id || !request->rule_id[0]))
		return sl_error(err, EINVAL, "quotas[%zu].rule_id: empty", index);
	if (request->scope == SLUICE_QUOTA_RATING_GROUP && request->rating_group == 0)
		return sl_error(err, EINVAL, "quotas[%zu].rating_group: 0 is the group of no rule", index);
	if (request->remove)
		return 0;
	if (request->bytes > SL_QUOTA_BYTES_MAX)
		return refuse_more(index, "volume", request->bytes, SL_QUOTA_BYTES_MAX, err);
	if (request->time_s > SL_QUOTA_TIME_MAX)
		return refuse_more(index, "time_s", request->time_s, SL_QUOTA_TIME_MAX, err);
	if (request->warn_bytes > request->bytes)
		return refuse_more(index, "volume_threshold", request->warn_bytes, request->bytes, err);
	if (request->warn_s > request->time_s)
		return refuse_more(index, "time_threshold_s", request->warn_s, request->time_s, err);
	if (request->directions == 0 || request->directions >= 1u << SLUICE_DIRECTIONS)
		return sl_error(err, EINVAL, "quotas[%zu].direction: unknown value", index);
	return 0;
}

/* What has been paid: not what is about to be taken back. */
static uint64_t paid(const struct sluice_quota *quota)
{
	uint64_t used = __atomic_load_n(&quota->used, __ATOMIC_RELAXED);
	uint64_t limit = __atomic_load_n(&quota->limit, __ATOMIC_RELAXED);

	return used < limit ? used : limit;
}

static struct sluice_quota_grant grant_from(const struct sl_quota_request *request, uint64_t used)
{
	bool unlimited = request->bytes == 0 && request->time_s;

	return (struct sluice_quota_grant){
		.number = request->grant,
		.bytes = unlimited ? SLUICE_QUOTA_UNLIMITED : request->bytes,
		.limit = unlimited ? SLUICE_QUOTA_UNLIMITED : used + request->bytes,
		.threshold = request->warn_bytes ? used + request->warn_bytes : SLUICE_QUOTA_UNLIMITED,
		.time_ns = request->time_s ? request->time_s * NS_PER_S : SLUICE_QUOTA_UNLIMITED,
		.warn_s = (uint32_t)request->warn_s,
		.directions = request->directions,
	};
}

int sl_quota_take(struct sl_control *control, const struct sl_session *session,
		  const struct sl_quota_key *key, const struct sl_quota_request *request, uint32_t *slot,
		  struct sl_error *err)
{
	struct sluice_quota_grant grant = grant_from(request, 0);
	struct sluice_quota_owner *owner;
	int rc = sl_slots_take(&control->slots, SL_SLOT_QUOTA, 1, slot, err);

	if (rc < 0)
		return rc;
	control->maps->quotas[*slot] = (struct sluice_quota){
		.limit = grant.limit,
		.threshold = grant.threshold,
		.time_ns = grant.time_ns,
		.warn_s = grant.warn_s,
		.parent = SLUICE_NONE,
		.directions = (uint16_t)grant.directions,
		.scope = (uint16_t)key->scope,
	};
	owner = &control->maps->quota_owners[*slot];
	*owner = (struct sluice_quota_owner){
		.session = session->slot,
		.rating_group = key->rating_group,
		.origin = key->origin,
		.name_hash = key->rule,
		.since_ns = sl_now_ns(),
		.grant = grant,
	};
	memcpy(owner->imsi, session->imsi, sizeof(owner->imsi));
	if (key->scope == SLUICE_QUOTA_RULE)
		memcpy(owner->name, request->rule_id, strnlen(request->rule_id, sizeof(owner->name) - 1));
	control->quota_users[*slot] = 1;
	return 0;
}

void sl_quota_keep(struct sl_control *control, const struct sl_session *session,
		   const struct sl_session_quota *quota)
{
	struct sluice_quota_owner *owner = &control->maps->quota_owners[quota->slot];

	if (owner->scope)
		return;
	owner->session = session->slot;
	__atomic_store_n(&owner->scope, quota->key.scope, __ATOMIC_RELEASE);
}

/* Nothing that packets read comes before what it depends on; the state last. */
static void carry_out(struct sluice_quota *quota, const struct sluice_quota_grant *grant)
{
	uint32_t state = __atomic_load_n(&quota->state, __ATOMIC_RELAXED);

	__atomic_store_n(&quota->first_ns, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&quota->time_ns, grant->time_ns, __ATOMIC_RELEASE);
	__atomic_store_n(&quota->warn_s, grant->warn_s, __ATOMIC_RELEASE);
	__atomic_store_n(&quota->directions, (uint16_t)grant->directions, __ATOMIC_RELEASE);
	__atomic_store_n(&quota->threshold, grant->threshold, __ATOMIC_RELEASE);
	__atomic_store_n(&quota->limit, grant->limit, __ATOMIC_RELEASE);
	while (!__atomic_compare_exchange_n(&quota->state, &state,
					    (state & ~(uint32_t)FLAGS) + SLUICE_QUOTA_GRANT, false,
					    __ATOMIC_ACQ_REL, __ATOMIC_RELAXED))
		;
}

void sl_quota_finish_grant(struct sl_control *control, uint32_t slot)
{
	struct sluice_quota_owner *owner = &control->maps->quota_owners[slot];

	if (!__atomic_load_n(&owner->is_next, __ATOMIC_ACQUIRE))
		return;
	carry_out(&control->maps->quotas[slot], &owner->next);
	owner->grant = owner->next;
	__atomic_store_n(&owner->is_next, 0, __ATOMIC_RELEASE);
}

bool sl_quota_grant(struct sl_control *control, uint32_t slot, const struct sl_quota_request *request)
{
	struct sluice_quota_owner *owner = &control->maps->quota_owners[slot];

	if (owner->grant.number == request->grant)
		return false;
	owner->next = grant_from(request, paid(&control->maps->quotas[slot]));
	__atomic_store_n(&owner->is_next, 1, __ATOMIC_RELEASE);
	sl_quota_finish_grant(control, slot);
	return true;
}

static const struct sl_session *another_user(struct sl_control *control, uint32_t slot,
					     const struct sl_session *session)
{
	const struct sl_subscriber *subscriber = sl_subscriber_find(control, session->imsi);
	const struct sl_session *other = subscriber ? subscriber->sessions : NULL;

	for (; other; other = other->imsi_next)
		for (uint32_t i = 0; other != session && other->active && i < other->quota_count; i++)
			if (other->quotas[i].slot == slot)
				return other;
	return NULL;
}

void sl_quota_put(struct sl_control *control, uint32_t slot, const struct sl_session *session)
{
	struct sluice_quota_owner *owner = &control->maps->quota_owners[slot];
	const struct sl_session *other;

	if (--control->quota_users[slot]) {
		other = another_user(control, slot, session);
		if (other)
			owner->session = other->slot;
		return;
	}
	__atomic_store_n(&owner->scope, SLUICE_QUOTA_FREE, __ATOMIC_RELEASE);
	sl_control_defer(control, SL_SLOT_QUOTA, slot, 1);
}

void sl_quota_clear(struct sl_control *control, uint32_t slot)
{
	control->maps->quotas[slot] = (struct sluice_quota){.parent = SLUICE_NONE};
	control->maps->quota_owners[slot] = (struct sluice_quota_owner){0};
}

/* --- what others see ------------------------------------------------------------ */

static const char *rule_id(const struct sl_session *session, const struct sluice_quota_owner *owner)
{
	for (uint32_t i = 0; session && i < session->install_count; i++) {
		const char *id = session->installs[i].rule->id;

		if (session->installs[i].origin == owner->origin &&
		    sl_quota_rule_hash(id) == owner->name_hash)
			return id;
	}
	return owner->name;
}

static struct sl_quota_view view_of(const struct sl_control *control, uint32_t slot)
{
	const struct sluice_quota_owner *owner = &control->maps->quota_owners[slot];
	const struct sluice_quota *quota = &control->maps->quotas[slot];
	const struct sl_session *session =
		owner->session < control->maps->size.sessions ? control->by_slot[owner->session] : NULL;
	uint64_t first = __atomic_load_n(&quota->first_ns, __ATOMIC_RELAXED);
	uint64_t now = sl_now_ns();
	uint64_t gone = first && first < now ? now - first : 0; /* a CPU's clock may be ahead of ours */
	uint32_t state = __atomic_load_n(&quota->state, __ATOMIC_ACQUIRE);
	struct sl_quota_view view = {
		.slot = slot,
		.imsi = owner->imsi,
		.scope = (enum sluice_quota_scope)quota->scope,
		.rule_id = "",
		.origin = (enum sluice_origin)owner->origin,
		.rating_group = owner->rating_group,
		.directions = owner->grant.directions,
		.grant = owner->grant.number,
		.granted = owner->grant.bytes,
		.used = paid(quota),
		.limit = quota->limit,
		.threshold = quota->threshold,
		.refused = __atomic_load_n(&quota->refused_bytes, __ATOMIC_RELAXED),
		.time_ns = quota->time_ns,
		.left_ns = quota->time_ns,
		.since_ns = owner->since_ns,
		.warned = state & SLUICE_QUOTA_WARNED,
		.used_up = state & SLUICE_QUOTA_EXHAUSTED,
	};

	if (session && strcmp(session->imsi, owner->imsi) == 0)
		view.address = session->address;
	else
		session = NULL;
	if (view.scope == SLUICE_QUOTA_RULE)
		view.rule_id = rule_id(session, owner);
	if (view.time_ns != SLUICE_QUOTA_UNLIMITED)
		view.left_ns = gone < view.time_ns ? view.time_ns - gone : 0;
	return view;
}

int sl_control_each_quota(struct sl_control *control, const char *imsi, uint32_t from_slot,
			  int (*visit)(const struct sl_quota_view *view, void *user), void *user)
{
	int rc = 0;

	for (uint32_t slot = from_slot; slot < control->maps->size.quotas && rc == 0; slot++) {
		struct sl_quota_view view;

		if (!control->quota_users[slot])
			continue;
		if (imsi && strcmp(control->maps->quota_owners[slot].imsi, imsi) != 0)
			continue;
		view = view_of(control, slot);
		rc = visit(&view, user);
	}
	return rc;
}

static void tell(struct sl_control *control, enum sl_control_event_type type, uint32_t slot)
{
	struct sl_quota_view view = view_of(control, slot);

	if (control->config.on_event)
		control->config.on_event(
			&(struct sl_control_event){.type = type,
						   .imsi = view.imsi,
						   .address = view.address.family ? &view.address : NULL,
						   .quota = &view},
			control->config.user);
}

void sl_quota_tell_granted(struct sl_control *control, uint32_t slot)
{
	tell(control, SL_EVENT_QUOTA_GRANTED, slot);
}

static bool has_threshold(const struct sluice_quota *quota)
{
	return quota->threshold != SLUICE_QUOTA_UNLIMITED || quota->warn_s;
}

/*
 * Once for each grant, also over a restart: what was told is in the owner. The packet that does not fit may
 * be the first one past the threshold, too: who waits for that is told before the end all the same.
 */
void sl_control_quota_event(struct sl_control *control, uint32_t slot)
{
	struct sluice_quota_owner *owner;
	uint32_t state, before;

	if (slot >= control->maps->size.quotas || !control->quota_users[slot])
		return;
	owner = &control->maps->quota_owners[slot];
	state = __atomic_load_n(&control->maps->quotas[slot].state, __ATOMIC_ACQUIRE);
	before = (state ^ owner->told) & ~(uint32_t)FLAGS ? 0 : owner->told & FLAGS;
	if ((state & ~before & SLUICE_QUOTA_EXHAUSTED) && has_threshold(&control->maps->quotas[slot]))
		state |= SLUICE_QUOTA_WARNED;
	state |= before;
	owner->told = state;
	if (state & ~before & SLUICE_QUOTA_WARNED)
		tell(control, SL_EVENT_QUOTA_THRESHOLD, slot);
	if (state & ~before & SLUICE_QUOTA_EXHAUSTED)
		tell(control, SL_EVENT_QUOTA_USED_UP, slot);
}

/* A record that found the ring full, or no agent: all slots are looked at in some seconds. */
void sl_quotas_step(struct sl_control *control)
{
	uint32_t size = control->maps->size.quotas;

	for (uint32_t n = 0; n < size / 8 + 1; n++) {
		sl_control_quota_event(control, control->quota_looked);
		control->quota_looked = (control->quota_looked + 1) % size;
	}
}
