// SPDX-License-Identifier: Apache-2.0
/* Which quotas a session has: in a draft, in the maps, after a restart. */
#include "control/quotas.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"

/* A quota that a session is to have. */
struct sl_draft_quota {
	struct sl_session_quota quota;
	bool present; /* the session has it now */
	bool taken;   /* a use that this draft took, of a slot that is new or the twin's */
	bool made;    /* new */
	bool granted; /* for the event */
	const struct sl_quota_request *request; /* NULL: it stays as it is */
};

static const struct sl_session_quota *find(const struct sl_session_quota *quotas, uint32_t count,
					   const struct sl_quota_key *key)
{
	for (uint32_t i = 0; i < count; i++)
		if (sl_quota_key_equal(&quotas[i].key, key))
			return &quotas[i];
	return NULL;
}

static const struct sl_session_quota *find_of(const struct sl_session *session,
					      const struct sl_quota_key *key)
{
	return session ? find(session->quotas, session->quota_count, key) : NULL;
}

/* --- from one to the next ------------------------------------------------------ */

static const struct sl_session_quota *find_above(const struct sl_session_quota *quotas, uint32_t count,
						 const struct sl_install *install, uint32_t scope)
{
	struct sl_quota_key key = {.scope = SLUICE_QUOTA_RATING_GROUP,
				   .rating_group = install->rule->rating_group};
	const struct sl_session_quota *found = NULL;

	if (scope < SLUICE_QUOTA_RATING_GROUP && key.rating_group)
		found = find(quotas, count, &key);
	if (!found && scope < SLUICE_QUOTA_SESSION)
		found = find(quotas, count, &(struct sl_quota_key){.scope = SLUICE_QUOTA_SESSION});
	return found;
}

const struct sl_session_quota *sl_quota_first(const struct sl_session_quota *quotas, uint32_t count,
					      const struct sl_install *install, uint64_t rule)
{
	struct sl_quota_key key = {.scope = SLUICE_QUOTA_RULE, .origin = install->origin, .rule = rule};
	const struct sl_session_quota *found;

	if (install->rule->is_final)
		return NULL;
	found = find(quotas, count, &key);
	return found ? found : find_above(quotas, count, install, SLUICE_QUOTA_RULE);
}

const struct sl_session_quota *sl_quota_parent(const struct sl_session_quota *quotas, uint32_t count,
					       const struct sl_session_quota *quota,
					       const struct sl_install *install)
{
	return find_above(quotas, count, install, quota->key.scope);
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

/* Parents before what leads to their children. */
bool sl_quotas_lead(struct sl_control *control, const struct sl_session *session)
{
	struct sl_maps *maps = control->maps;
	bool differs = false;

	for (uint32_t i = 0; session->quota_count && i < session->install_count; i++) {
		const struct sl_install *install = &session->installs[i];
		const struct sl_session_quota *first = first_of(session, install), *quota = first, *next;

		for (; quota; quota = next) {
			next = sl_quota_parent(session->quotas, session->quota_count, quota, install);
			differs |=
				put_word(&maps->quotas[quota->slot].parent, next ? next->slot : SLUICE_NONE);
		}
		if (install->charged && put_first(maps, install->binding.usage, first))
			differs = true;
	}
	return differs;
}

/* --- drafts ------------------------------------------------------------------------ */

static struct sl_quota_key key_of(const struct sl_quota_request *request)
{
	struct sl_quota_key key = {.scope = request->scope};

	if (request->scope == SLUICE_QUOTA_RULE) {
		key.origin = request->origin;
		key.rule = sl_quota_rule_hash(request->rule_id);
	} else if (request->scope == SLUICE_QUOTA_RATING_GROUP) {
		key.rating_group = request->rating_group;
	}
	return key;
}

/* What of it the draft has: for a quota of a rule that rule, and not a final one. */
static bool has_rule(const struct sl_draft *draft, const struct sl_quota_key *key)
{
	for (uint32_t i = 0; i < draft->count; i++) {
		const struct sl_install *install = &draft->entries[i].install;

		if (install->origin == key->origin && !install->rule->is_final &&
		    sl_quota_rule_hash(install->rule->id) == key->rule)
			return true;
	}
	return false;
}

static struct sl_draft_quota *find_drafted(struct sl_draft *draft, const struct sl_quota_key *key)
{
	for (uint32_t i = 0; i < draft->quota_count; i++)
		if (sl_quota_key_equal(&draft->quotas[i].quota.key, key))
			return &draft->quotas[i];
	return NULL;
}

static bool is_removed(const struct sl_session_request *request, const struct sl_quota_key *key)
{
	for (size_t i = 0; request && i < request->quota_count; i++) {
		struct sl_quota_key named = key_of(&request->quotas[i]);

		if (request->quotas[i].remove && sl_quota_key_equal(&named, key))
			return true;
	}
	return false;
}

/* One that the session or its twin has already. */
static struct sl_draft_quota *go_on_with(struct sl_draft *draft, const struct sl_session_quota *quota)
{
	const struct sl_session_quota *own = find_of(draft->session, &quota->key);
	struct sl_draft_quota *drafted = &draft->quotas[draft->quota_count++];

	*drafted = (struct sl_draft_quota){.quota = own ? *own : *quota, .present = own, .taken = !own};
	if (!own)
		draft->control->quota_users[quota->slot]++;
	return drafted;
}

static void go_on_with_all(struct sl_draft *draft, const struct sl_session *session,
			   const struct sl_session_request *request)
{
	for (uint32_t i = 0; session && i < session->quota_count; i++) {
		const struct sl_session_quota *quota = &session->quotas[i];

		if (draft->quota_count >= SL_QUOTAS_PER_SESSION || is_removed(request, &quota->key) ||
		    find_drafted(draft, &quota->key) ||
		    (quota->key.scope == SLUICE_QUOTA_RULE && !has_rule(draft, &quota->key)))
			continue;
		go_on_with(draft, quota);
	}
}

/* The rule is not in this session, and that is no mistake: it failed, or is in the twin alone. */
static bool is_elsewhere(const struct sl_draft *draft, const struct sl_session_request *request,
			 const struct sl_quota_request *asked)
{
	for (size_t i = 0; i < request->rule_count; i++)
		if (request->rules[i].result < 0 && request->rules[i].origin == asked->origin &&
		    strcmp(request->rules[i].id, asked->rule_id) == 0)
			return true;
	for (uint32_t i = 0; draft->twin && i < draft->twin->install_count; i++)
		if (draft->twin->installs[i].origin == asked->origin &&
		    strcmp(draft->twin->installs[i].rule->id, asked->rule_id) == 0)
			return true;
	return false;
}

static int draft_one(struct sl_draft *draft, const struct sl_session_request *request, size_t index,
		     struct sl_error *err)
{
	const struct sl_quota_request *asked = &request->quotas[index];
	struct sl_quota_key key = key_of(asked);
	const struct sl_session_quota *there;
	struct sl_draft_quota *drafted;
	int rc;

	if (key.scope == SLUICE_QUOTA_RULE && !has_rule(draft, &key)) {
		if (is_elsewhere(draft, request, asked))
			return 0;
		return sl_error(err, EINVAL,
				"quotas[%zu].rule_id: the session has no rule \"%.64s\" that is not final",
				index, asked->rule_id);
	}
	drafted = find_drafted(draft, &key);
	if (drafted && drafted->request)
		return sl_error(err, EINVAL, "quotas[%zu]: asked for twice", index);
	there = find_of(draft->session, &key);
	if (!there)
		there = find_of(draft->twin, &key);
	if (!drafted && draft->quota_count >= SL_QUOTAS_PER_SESSION)
		return sl_error(err, E2BIG, "quotas: the session would have more than %d",
				SL_QUOTAS_PER_SESSION);
	if (!drafted && there)
		drafted = go_on_with(draft, there);
	if (!drafted) {
		uint32_t slot;

		rc = sl_quota_take(draft->control, draft->session, &key, asked, &slot, err);
		if (rc < 0)
			return rc;
		drafted = &draft->quotas[draft->quota_count++];
		*drafted = (struct sl_draft_quota){
			.quota = {.key = key, .slot = slot}, .taken = true, .made = true, .granted = true};
	}
	drafted->request = asked;
	return 0;
}

static void bind(struct sl_draft *draft)
{
	for (uint32_t i = 0; i < draft->quota_count; i++)
		draft->quota_list[i] = draft->quotas[i].quota;
	for (uint32_t i = 0; i < draft->count; i++) {
		struct sl_install *install = &draft->entries[i].install;

		install->charged = sl_quota_first(draft->quota_list, draft->quota_count, install,
						  sl_quota_rule_hash(install->rule->id)) != NULL;
	}
}

int sl_quotas_draft(struct sl_draft *draft, const struct sl_update *update, struct sl_error *err)
{
	const struct sl_session_request *request = update->refresh ? NULL : update->request;
	size_t asked = request ? request->quota_count : 0;
	size_t most = asked + draft->session->quota_count + (draft->twin ? draft->twin->quota_count : 0);
	int rc = 0;

	if (!most)
		return 0;
	for (size_t i = 0; i < asked && rc == 0; i++)
		rc = sl_quota_check(&request->quotas[i], i, err);
	if (rc < 0)
		return rc;
	draft->quotas = calloc(most, sizeof(*draft->quotas));
	draft->quota_list = calloc(most, sizeof(*draft->quota_list));
	if (!draft->quotas || !draft->quota_list)
		return sl_error(err, ENOMEM, "out of memory");
	if (!update->exact) {
		go_on_with_all(draft, draft->session, request);
		go_on_with_all(draft, draft->twin, request);
	}
	for (size_t i = 0; i < asked && rc == 0; i++)
		if (!request->quotas[i].remove)
			rc = draft_one(draft, request, i, err);
	if (rc == 0)
		bind(draft);
	return rc;
}

static void forget(struct sl_draft *draft)
{
	free(draft->quotas);
	free(draft->quota_list);
	draft->quotas = NULL;
	draft->quota_list = NULL;
	draft->quota_count = 0;
}

/* Nothing has ever led to those that are new. */
void sl_quotas_abandon(struct sl_draft *draft)
{
	struct sl_control *control = draft->control;

	for (uint32_t i = 0; i < draft->quota_count; i++) {
		const struct sl_draft_quota *drafted = &draft->quotas[i];
		uint32_t slot = drafted->quota.slot;

		if (!drafted->taken || --control->quota_users[slot])
			continue;
		control->maps->quotas[slot] = (struct sluice_quota){0};
		control->maps->quota_owners[slot] = (struct sluice_quota_owner){0};
		sl_slots_release(&control->slots, SL_SLOT_QUOTA, slot, 1);
	}
	forget(draft);
}

static bool is_charged_now(const struct sl_session *session, uint32_t usage)
{
	for (uint32_t i = 0; i < session->install_count; i++)
		if (session->installs[i].binding.usage == usage)
			return session->installs[i].charged;
	return false;
}

/*
 * What the new policy alone leads to: new quotas, and usage slots that are not
 * charged yet. The others follow when it is published.
 */
void sl_quotas_prepare(struct sl_draft *draft)
{
	const struct sl_session_quota *list = draft->quota_list;
	struct sl_maps *maps = draft->control->maps;

	for (uint32_t i = 0; draft->quota_count && i < draft->count; i++) {
		const struct sl_install *install = &draft->installs[i];
		const struct sl_session_quota *first = sl_quota_first(list, draft->quota_count, install,
								      sl_quota_rule_hash(install->rule->id));

		for (const struct sl_session_quota *quota = first, *next; quota; quota = next) {
			next = sl_quota_parent(list, draft->quota_count, quota, install);
			if (draft->quotas[quota - list].made)
				maps->quotas[quota->slot].parent = next ? next->slot : SLUICE_NONE;
		}
		if (first && !is_charged_now(draft->session, install->binding.usage))
			__atomic_store_n(&maps->quota_of[install->binding.usage], first->slot + 1ull,
					 __ATOMIC_RELEASE);
	}
}

/* Of those that the session had before: what it has no more. */
static void put_gone(struct sl_draft *draft, const struct sl_session_quota *before, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++)
		if (!find_drafted(draft, &before[i].key))
			sl_quota_put(draft->control, before[i].slot, draft->session, draft->twin);
}

/* A quota that both had is the twin's no more, either, when a request takes it away. */
static void take_from_twin(struct sl_draft *draft, const struct sl_session_quota *before, uint32_t count)
{
	struct sl_session *twin = draft->twin;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < twin->quota_count; i++) {
		const struct sl_session_quota *quota = &twin->quotas[i];
		const struct sl_session_quota *had = find(before, count, &quota->key);
		bool rule_gone = quota->key.scope == SLUICE_QUOTA_RULE && !has_rule(draft, &quota->key);

		if (had && had->slot == quota->slot && !rule_gone && !find_drafted(draft, &quota->key))
			sl_quota_put(draft->control, quota->slot, twin, draft->session);
		else
			twin->quotas[kept++] = *quota;
	}
	if (kept == twin->quota_count)
		return;
	twin->quota_count = kept;
	/* its policy goes on saying that they are charged: to what is left, or to nothing */
	for (uint32_t i = 0; i < twin->install_count && !kept; i++)
		if (twin->installs[i].charged)
			draft->control->maps->quota_of[twin->installs[i].binding.usage] = 0;
	sl_quotas_lead(draft->control, twin);
}

void sl_quotas_commit(struct sl_draft *draft)
{
	struct sl_control *control = draft->control;
	struct sl_session *session = draft->session;
	_cleanup_free_ struct sl_session_quota *before = SL_TAKE(session->quotas);
	uint32_t count = session->quota_count;

	session->quotas = SL_TAKE(draft->quota_list);
	session->quota_count = draft->quota_count;
	if (!draft->quotas)
		return;
	for (uint32_t i = 0; i < draft->quota_count; i++) {
		struct sl_draft_quota *drafted = &draft->quotas[i];

		sl_quota_keep(control, session, &drafted->quota);
		if (drafted->request && !drafted->made)
			drafted->granted = sl_quota_grant(control, drafted->quota.slot, drafted->request);
	}
	for (uint32_t i = 0; i < session->install_count && !session->quota_count; i++)
		control->maps->quota_of[session->installs[i].binding.usage] = 0;
	sl_quotas_lead(control, session);
	if (draft->twin)
		take_from_twin(draft, before, count);
	put_gone(draft, before, count);
}

void sl_quotas_tell(struct sl_draft *draft)
{
	for (uint32_t i = 0; i < draft->quota_count; i++)
		if (draft->quotas[i].granted)
			sl_quota_tell_granted(draft->control, draft->quotas[i].quota.slot);
	forget(draft);
}

/* Quotas of the session that its twin should have and has not. */
static bool twin_lacks(const struct sl_session *session)
{
	const struct sl_session *twin = session->twin;

	for (uint32_t i = 0; twin && twin->quota_count < SL_QUOTAS_PER_SESSION && i < session->quota_count;
	     i++) {
		const struct sl_quota_key *key = &session->quotas[i].key;
		bool has = key->scope != SLUICE_QUOTA_RULE;

		if (find_of(twin, key))
			continue;
		for (uint32_t n = 0; n < twin->install_count && !has; n++)
			has = twin->installs[n].origin == key->origin && !twin->installs[n].rule->is_final &&
			      sl_quota_rule_hash(twin->installs[n].rule->id) == key->rule;
		if (has)
			return true;
	}
	return false;
}

void sl_quotas_follow(struct sl_control *control, const struct sl_session *session)
{
	static const struct sl_update again = {0};
	struct sl_error err = {{0}};

	if (session->active && twin_lacks(session) &&
	    sl_update_session(control, session->twin, &again, &err) < 0)
		sl_log(SL_LOG_ERROR, "quota-not-shared", "imsi", "%s", session->imsi, "reason", "%s",
		       err.text, NULL);
}

/* --- the end, and the next start ------------------------------------------------------ */

void sl_quotas_release(struct sl_control *control, struct sl_session *session, const struct sl_session *twin)
{
	for (uint32_t i = 0; i < session->quota_count; i++)
		sl_quota_put(control, session->quotas[i].slot, session, twin);
	free(session->quotas);
	session->quotas = NULL;
	session->quota_count = 0;
}

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

	if (find_of(session, &quota.key) || session->quota_count >= SL_QUOTAS_PER_SESSION)
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

static bool bindings_are_current(const struct sl_session *session)
{
	for (uint32_t i = 0; i < session->install_count; i++)
		if (session->installs[i].charged != (first_of(session, &session->installs[i]) != NULL))
			return false;
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
			maps->quotas[slot] = (struct sluice_quota){0};
			maps->quota_owners[slot] = (struct sluice_quota_owner){0};
		}
	}
	if (rc < 0)
		return sl_error(err, -rc, "out of memory");
	DL_FOREACH (control->all, session) {
		sl_quotas_lead(control, session);
		if (session->active && (!bindings_are_current(session) || twin_lacks(session)))
			repair[session->slot] = true;
	}
	return 0;
}
