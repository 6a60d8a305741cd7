// SPDX-License-Identifier: Apache-2.0
/* Which quotas a session is to have: in a draft, until that is published or given up. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "control/quotas.h"

/* A quota that a session is to have. */
struct sl_draft_quota {
	struct sl_session_quota quota;
	bool taken;    /* a use that this draft took, of a slot that is new or the twin's */
	bool made;     /* new */
	bool granted;  /* for the event */
	bool divided;  /* `from` has given half of what it had left */
	uint32_t from; /* the session's slot until now, parted from or joined to this; SLUICE_NONE */
	struct sluice_quota before;		/* divided: `from` before that */
	const struct sl_quota_request *request; /* NULL: it stays as it is */
};

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

/*
 * One that the session or its twin has already: the twin's, if both have one of
 * their own, and one of its own, if it has one with a session that is its twin
 * no more. Without a slot for that they go on sharing it, until the next change.
 */
static struct sl_draft_quota *go_on_with(struct sl_draft *draft, const struct sl_quota_key *key)
{
	struct sl_control *control = draft->control;
	const struct sl_session_quota *own = sl_quota_of(draft->session, key);
	const struct sl_session_quota *twins = sl_quota_of(draft->twin, key);
	bool joins = twins && (!own || own->slot != twins->slot);
	struct sl_draft_quota *drafted = &draft->quotas[draft->quota_count++];
	struct sl_error err;

	*drafted = (struct sl_draft_quota){.quota = joins ? *twins : *own, .from = SLUICE_NONE};
	if (joins) {
		drafted->from = own ? own->slot : SLUICE_NONE;
		drafted->taken = true;
		control->quota_users[twins->slot]++;
	} else if (sl_quota_is_parted(control, &drafted->quota, draft->twin) &&
		   sl_quota_part(control, draft->session, own, &drafted->quota.slot, &err) == 0) {
		drafted->from = own->slot;
		drafted->taken = drafted->made = true;
	}
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
		go_on_with(draft, &quota->key);
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

/* Of one quota. */
static bool is_same(const struct sl_quota_request *a, const struct sl_quota_request *b)
{
	return a->grant == b->grant && a->bytes == b->bytes && a->warn_bytes == b->warn_bytes &&
	       a->time_s == b->time_s && a->warn_s == b->warn_s && a->directions == b->directions;
}

static int draft_one(struct sl_draft *draft, const struct sl_session_request *request, size_t index,
		     struct sl_error *err)
{
	const struct sl_quota_request *asked = &request->quotas[index];
	struct sl_quota_key key = key_of(asked);
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
	if (drafted && drafted->request) {
		/* entries of a setup for GX and GY rules of one session each say what the session has */
		if (is_same(drafted->request, asked))
			return 0;
		return sl_error(err, EINVAL, "quotas[%zu]: asked for twice, and not the same", index);
	}
	if (!drafted && draft->quota_count >= SL_QUOTAS_PER_SESSION)
		return sl_error(err, E2BIG, "quotas: the session would have more than %d",
				SL_QUOTAS_PER_SESSION);
	if (!drafted && (sl_quota_of(draft->session, &key) || sl_quota_of(draft->twin, &key)))
		drafted = go_on_with(draft, &key);
	if (!drafted) {
		uint32_t slot;

		rc = sl_quota_take(draft->control, draft->session, &key, asked, &slot, err);
		if (rc < 0)
			return rc;
		drafted = &draft->quotas[draft->quota_count++];
		*drafted = (struct sl_draft_quota){.quota = {.key = key, .slot = slot},
						   .taken = true,
						   .made = true,
						   .granted = true,
						   .from = SLUICE_NONE};
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

static void undivide(struct sl_control *control, const struct sl_draft_quota *drafted)
{
	struct sluice_quota *quota = &control->maps->quotas[drafted->from];

	__atomic_store_n(&quota->threshold, drafted->before.threshold, __ATOMIC_RELEASE);
	__atomic_store_n(&quota->limit, drafted->before.limit, __ATOMIC_RELEASE);
}

/* Nothing has ever led to those that are new. */
void sl_quotas_abandon(struct sl_draft *draft)
{
	struct sl_control *control = draft->control;

	for (uint32_t i = 0; i < draft->quota_count; i++) {
		const struct sl_draft_quota *drafted = &draft->quotas[i];
		uint32_t slot = drafted->quota.slot;

		if (drafted->divided)
			undivide(control, drafted);
		if (!drafted->taken || --control->quota_users[slot])
			continue;
		sl_quota_clear(control, slot);
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

/* What a session that parts takes along: what is granted to it anew, or else half of what is left. */
static void fill_parted(struct sl_draft *draft, struct sl_draft_quota *drafted)
{
	struct sl_control *control = draft->control;

	if (drafted->request)
		drafted->granted = sl_quota_grant(control, drafted->quota.slot, drafted->request);
	if (drafted->granted)
		return;
	drafted->before = control->maps->quotas[drafted->from];
	drafted->divided = true;
	sl_quota_divide(control, drafted->from, drafted->quota.slot);
}

/*
 * What the new policy alone leads to: new quotas, and usage slots that are not
 * charged yet. The others follow when it is published.
 */
void sl_quotas_prepare(struct sl_draft *draft)
{
	const struct sl_session_quota *list = draft->quota_list;
	struct sl_maps *maps = draft->control->maps;

	for (uint32_t i = 0; i < draft->quota_count; i++) {
		struct sl_draft_quota *drafted = &draft->quotas[i];

		if (drafted->made && drafted->from != SLUICE_NONE)
			fill_parted(draft, drafted);
		/* that of a rule has its group's above it, which the rule says, below */
		if (drafted->made)
			maps->quotas[drafted->quota.slot].parent =
				sl_quota_parent(list, draft->quota_count, NULL, 0, drafted->quota.key.scope);
	}
	for (uint32_t i = 0; draft->quota_count && i < draft->count; i++) {
		const struct sl_install *install = &draft->installs[i];
		const struct sl_session_quota *first = sl_quota_first(list, draft->quota_count, install,
								      sl_quota_rule_hash(install->rule->id));

		if (first && first->key.scope == SLUICE_QUOTA_RULE && draft->quotas[first - list].made)
			maps->quotas[first->slot].parent =
				sl_quota_parent(list, draft->quota_count, NULL, install->rule->rating_group,
						SLUICE_QUOTA_RULE);
		if (first && !is_charged_now(draft->session, install->binding.usage))
			__atomic_store_n(&maps->quota_of[install->binding.usage], first->slot + 1ull,
					 __ATOMIC_RELEASE);
	}
}

/* Of those that the session had before: what it has no more. */
static void put_gone(struct sl_draft *draft, const struct sl_session_quota *before, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		const struct sl_draft_quota *drafted = find_drafted(draft, &before[i].key);

		if (!drafted || drafted->quota.slot != before[i].slot)
			sl_quota_put(draft->control, before[i].slot, draft->session);
	}
}

/* A quota that both had is the twin's no more, either, when a request takes it away. */
static void take_from_twin(struct sl_draft *draft, const struct sl_session_quota *before, uint32_t count)
{
	struct sl_session *twin = draft->twin;
	uint32_t gone[SL_QUOTAS_PER_SESSION], gone_count = 0;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < twin->quota_count; i++) {
		const struct sl_session_quota *quota = &twin->quotas[i];
		const struct sl_session_quota *had = sl_quota_find(before, count, &quota->key);
		bool rule_gone = quota->key.scope == SLUICE_QUOTA_RULE && !has_rule(draft, &quota->key);

		if (had && had->slot == quota->slot && !rule_gone && !find_drafted(draft, &quota->key))
			gone[gone_count++] = quota->slot;
		else
			twin->quotas[kept++] = *quota;
	}
	if (!gone_count)
		return;
	twin->quota_count = kept;
	/* its policy goes on saying that they are charged: to what is left, or to nothing */
	for (uint32_t i = 0; i < twin->install_count && !kept; i++)
		if (twin->installs[i].charged)
			draft->control->maps->quota_of[twin->installs[i].binding.usage] = 0;
	sl_quotas_lead_all(draft->control, twin);
	for (uint32_t i = 0; i < gone_count; i++)
		sl_quota_put(draft->control, gone[i], twin);
}

/* The session's own, which nobody else has, into the twin's: a second time for what was charged meanwhile. */
static void join(struct sl_draft *draft, uint64_t *counted)
{
	for (uint32_t i = 0; i < draft->quota_count; i++) {
		const struct sl_draft_quota *drafted = &draft->quotas[i];

		if (drafted->from != SLUICE_NONE && !drafted->made &&
		    draft->control->quota_users[drafted->from] == 1)
			counted[i] =
				sl_quota_join(draft->control, drafted->from, drafted->quota.slot, counted[i]);
	}
}

void sl_quotas_commit(struct sl_draft *draft)
{
	struct sl_control *control = draft->control;
	struct sl_session *session = draft->session;
	_cleanup_free_ struct sl_session_quota *before = SL_TAKE(session->quotas);
	uint64_t counted[SL_QUOTAS_PER_SESSION] = {0};
	uint32_t count = session->quota_count;

	session->quotas = SL_TAKE(draft->quota_list);
	session->quota_count = draft->quota_count;
	if (!draft->quotas)
		return;
	join(draft, counted);
	for (uint32_t i = 0; i < draft->quota_count; i++) {
		struct sl_draft_quota *drafted = &draft->quotas[i];

		sl_quota_keep(control, session, &drafted->quota);
		if (drafted->request && !drafted->made)
			drafted->granted = sl_quota_grant(control, drafted->quota.slot, drafted->request);
	}
	for (uint32_t i = 0; i < session->install_count && !session->quota_count; i++)
		control->maps->quota_of[session->installs[i].binding.usage] = 0;
	sl_quotas_lead_all(control, session);
	join(draft, counted);
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

bool sl_quotas_twin_lacks(const struct sl_session *session)
{
	const struct sl_session *twin = session->twin;

	for (uint32_t i = 0; twin && twin->quota_count < SL_QUOTAS_PER_SESSION && i < session->quota_count;
	     i++) {
		const struct sl_quota_key *key = &session->quotas[i].key;
		const struct sl_session_quota *twins = sl_quota_of(twin, key);
		bool has = key->scope != SLUICE_QUOTA_RULE;

		if (twins && twins->slot != session->quotas[i].slot)
			return true;
		if (twins)
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

	if (session->active && sl_quotas_twin_lacks(session) &&
	    sl_update_session(control, session->twin, &again, &err) < 0)
		sl_log(SL_LOG_ERROR, "quota-not-shared", "imsi", "%s", session->imsi, "reason", "%s",
		       err.text, NULL);
}
