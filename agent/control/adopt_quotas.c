// SPDX-License-Identifier: Apache-2.0
/* Which quotas sessions have after a restart: those that their policies lead to, and those that are recorded.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "control/quotas.h"

static struct sl_quota_key recorded_key(const struct sl_control *control, uint32_t slot)
{
	const struct sluice_quota_owner *owner = &control->maps->quota_owners[slot];

	return (struct sl_quota_key){.scope = control->maps->quotas[slot].scope,
				     .origin = owner->origin,
				     .rating_group = owner->rating_group,
				     .rule = owner->name_hash};
}

static int adopt_one(struct sl_control *control, struct sl_session *session, uint32_t slot)
{
	struct sl_session_quota quota = {.key = recorded_key(control, slot), .slot = slot};
	struct sl_session_quota *grown;

	if (sl_quota_of(session, &quota.key) || session->quota_count >= SL_QUOTAS_PER_SESSION)
		return 0;
	grown = reallocarray(session->quotas, session->quota_count + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	session->quotas = grown;
	if (!control->quota_users[slot] && sl_idpool_claim(control->slots.pool[SL_SLOT_QUOTA], slot, 1) < 0)
		return 0;
	control->quota_users[slot]++;
	session->quotas[session->quota_count++] = quota;
	return 0;
}

/* What the published policy of the session leads to. */
static int adopt_published(struct sl_control *control, struct sl_session *session)
{
	const struct sl_maps *maps = control->maps;
	int rc = 0;

	for (uint32_t i = 0; i < session->install_count; i++) {
		const struct sl_install *install = &session->installs[i];
		uint32_t slot =
			install->charged ? (uint32_t)maps->quota_of[install->binding.usage] - 1 : SLUICE_NONE;

		for (int depth = 0; depth < SLUICE_QUOTA_DEPTH && rc == 0 && slot < maps->size.quotas;
		     depth++) {
			const struct sluice_quota_owner *owner = &maps->quota_owners[slot];

			if (maps->quotas[slot].scope == SLUICE_QUOTA_FREE ||
			    strcmp(owner->imsi, session->imsi) != 0)
				break;
			rc = adopt_one(control, session, slot);
			slot = maps->quotas[slot].parent;
		}
	}
	return rc;
}

/* Those of a session without a rule that is charged to them. */
static int adopt_recorded(struct sl_control *control, uint32_t slot)
{
	const struct sluice_quota_owner *owner = &control->maps->quota_owners[slot];
	struct sl_session *session =
		owner->session < control->maps->size.sessions ? control->by_slot[owner->session] : NULL;

	if (owner->scope == SLUICE_QUOTA_FREE || owner->scope == SLUICE_QUOTA_RULE ||
	    owner->scope != control->maps->quotas[slot].scope || !session || !session->active ||
	    strcmp(owner->imsi, session->imsi) != 0)
		return 0;
	return adopt_one(control, session, slot);
}

static bool is_parted(const struct sl_control *control, const struct sl_session *session)
{
	for (uint32_t i = 0; i < session->quota_count; i++)
		if (sl_quota_is_parted(control, &session->quotas[i], session->twin))
			return true;
	return false;
}

static bool bindings_are_current(const struct sl_session *session)
{
	for (uint32_t i = 0; i < session->install_count; i++) {
		const struct sl_install *install = &session->installs[i];

		if (install->charged != (sl_quota_first(session->quotas, session->quota_count, install,
							sl_quota_rule_hash(install->rule->id)) != NULL))
			return false;
	}
	return true;
}

int sl_quotas_adopt(struct sl_control *control, bool *repair, struct sl_error *err)
{
	struct sl_maps *maps = control->maps;
	struct sl_session *session;
	int rc = 0;

	DL_FOREACH (control->all, session) {
		if (rc == 0 && session->active)
			rc = adopt_published(control, session);
	}
	for (uint32_t slot = 0; slot < maps->size.quotas && rc == 0; slot++) {
		if (!control->quota_users[slot])
			rc = adopt_recorded(control, slot);
		if (control->quota_users[slot]) {
			sl_quota_finish_grant(control, slot);
			__atomic_store_n(&maps->quota_owners[slot].scope, maps->quotas[slot].scope,
					 __ATOMIC_RELEASE);
		} else if (maps->quotas[slot].scope) {
			sl_quota_clear(control, slot);
		}
	}
	if (rc < 0)
		return sl_error(err, -rc, "out of memory");
	DL_FOREACH (control->all, session) {
		sl_quotas_lead(control, session);
		if (session->active && (!bindings_are_current(session) || sl_quotas_twin_lacks(session) ||
					is_parted(control, session)))
			repair[session->slot] = true;
	}
	return 0;
}
