// SPDX-License-Identifier: Apache-2.0
/* Which quotas a session has, and what each leads to in the maps. */
#include "control/quotas.h"

#include <stdlib.h>

#include "base/cleanup.h"

const struct sl_session_quota *sl_quota_find(const struct sl_session_quota *quotas, uint32_t count,
					     const struct sl_quota_key *key)
{
	for (uint32_t i = 0; i < count; i++)
		if (sl_quota_key_equal(&quotas[i].key, key))
			return &quotas[i];
	return NULL;
}

const struct sl_session_quota *sl_quota_of(const struct sl_session *session, const struct sl_quota_key *key)
{
	return session ? sl_quota_find(session->quotas, session->quota_count, key) : NULL;
}

/* --- from one to the next ------------------------------------------------------ */

static const struct sl_session_quota *find_above(const struct sl_session_quota *quotas, uint32_t count,
						 const struct sl_session *twin, uint32_t rating_group,
						 uint32_t scope)
{
	const struct sl_quota_key keys[] = {
		{.scope = SLUICE_QUOTA_RATING_GROUP, .rating_group = rating_group},
		{.scope = SLUICE_QUOTA_SESSION},
	};
	const struct sl_session_quota *found = NULL;

	for (size_t i = rating_group ? 0 : 1; i < SL_ARRAY_SIZE(keys) && !found; i++) {
		if (keys[i].scope <= scope)
			continue;
		found = sl_quota_find(quotas, count, &keys[i]);
		if (!found)
			found = sl_quota_of(twin, &keys[i]);
	}
	return found;
}

const struct sl_session_quota *sl_quota_first(const struct sl_session_quota *quotas, uint32_t count,
					      const struct sl_install *install, uint64_t rule)
{
	struct sl_quota_key key = {.scope = SLUICE_QUOTA_RULE, .origin = install->origin, .rule = rule};
	const struct sl_session_quota *found;

	if (install->rule->is_final)
		return NULL;
	found = sl_quota_find(quotas, count, &key);
	return found ? found
		     : find_above(quotas, count, NULL, install->rule->rating_group, SLUICE_QUOTA_RULE);
}

uint32_t sl_quota_parent(const struct sl_session_quota *quotas, uint32_t count, const struct sl_session *twin,
			 uint32_t rating_group, uint32_t scope)
{
	const struct sl_session_quota *above = find_above(quotas, count, twin, rating_group, scope);

	return above ? above->slot : SLUICE_NONE;
}

static bool put_word(uint32_t *word, uint32_t value)
{
	if (__atomic_load_n(word, __ATOMIC_RELAXED) == value)
		return false;
	__atomic_store_n(word, value, __ATOMIC_RELEASE);
	return true;
}

static bool put_first(struct sl_maps *maps, uint32_t usage, const struct sl_session_quota *first)
{
	uint64_t value = first ? first->slot + 1ull : 0;

	if (__atomic_load_n(&maps->quota_of[usage], __ATOMIC_RELAXED) == value)
		return false;
	__atomic_store_n(&maps->quota_of[usage], value, __ATOMIC_RELEASE);
	return true;
}

static const struct sl_session_quota *first_of(const struct sl_session *session,
					       const struct sl_install *install)
{
	return sl_quota_first(session->quotas, session->quota_count, install,
			      sl_quota_rule_hash(install->rule->id));
}

/* Of a rule that both have in different rating groups the session with the smaller slot says what is above
 * it. */
static bool twin_leads(const struct sl_session *session, const struct sl_session_quota *quota)
{
	const struct sl_session_quota *twins = sl_quota_of(session->twin, &quota->key);

	return twins && twins->slot == quota->slot && session->twin->slot < session->slot;
}

static bool lead_quota(struct sl_maps *maps, const struct sl_session *session,
		       const struct sl_session_quota *quota, uint32_t rating_group)
{
	return put_word(&maps->quotas[quota->slot].parent,
			sl_quota_parent(session->quotas, session->quota_count, session->twin, rating_group,
					quota->key.scope));
}

/*
 * Parents before what leads to their children, also of those that no rule is
 * charged to: the next rule's packets must not find what was above them once.
 */
bool sl_quotas_lead(struct sl_control *control, const struct sl_session *session)
{
	struct sl_maps *maps = control->maps;
	bool differs = false;

	for (uint32_t i = 0; i < session->quota_count; i++)
		if (session->quotas[i].key.scope != SLUICE_QUOTA_RULE)
			differs |= lead_quota(maps, session, &session->quotas[i], 0);
	for (uint32_t i = 0; session->quota_count && i < session->install_count; i++) {
		const struct sl_install *install = &session->installs[i];
		const struct sl_session_quota *first = first_of(session, install);

		if (first && first->key.scope == SLUICE_QUOTA_RULE && !twin_leads(session, first))
			differs |= lead_quota(maps, session, first, install->rule->rating_group);
		if (install->charged && put_first(maps, install->binding.usage, first))
			differs = true;
	}
	return differs;
}

bool sl_quotas_lead_all(struct sl_control *control, const struct sl_session *session)
{
	const struct sl_subscriber *subscriber = sl_subscriber_find(control, session->imsi);
	const struct sl_session *one = subscriber ? subscriber->sessions : NULL;
	bool differs = false;

	for (; one; one = one->imsi_next)
		if (one->active)
			differs |= sl_quotas_lead(control, one);
	return differs;
}

bool sl_quotas_used_up(const struct sl_control *control, const struct sl_session *session)
{
	for (uint32_t i = 0; i < session->quota_count; i++)
		if (__atomic_load_n(&control->maps->quotas[session->quotas[i].slot].state, __ATOMIC_ACQUIRE) &
		    SLUICE_QUOTA_EXHAUSTED)
			return true;
	return false;
}

void sl_quotas_release(struct sl_control *control, struct sl_session *session)
{
	_cleanup_free_ struct sl_session_quota *before = SL_TAKE(session->quotas);
	uint32_t count = session->quota_count;

	session->quota_count = 0;
	if (count)
		sl_quotas_lead_all(control, session);
	for (uint32_t i = 0; i < count; i++)
		sl_quota_put(control, before[i].slot, session);
}
