// SPDX-License-Identifier: Apache-2.0
/* Activate, deactivate, setup: requests in terms of sl_update_session and sl_end_session. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "control/model.h"

/* An ended session goes on draining when its revival failed. */
static void bury(struct sl_control *control, struct sl_session *session)
{
	if (session->retired_count == 0 && session->default_usage == SLUICE_NONE) {
		sl_session_free(control, session);
		return;
	}
	if (session->default_usage != SLUICE_NONE && sl_session_reserve_retired(session, 1) == 0) {
		sl_session_retire(control, session, (struct sl_retired){.usage = session->default_usage});
		session->default_usage = SLUICE_NONE;
	}
}

/* The session of (IMSI, address): the active one, an ended one revived, or a new one. */
static int session_for(struct sl_control *control, const char *imsi, const struct sl_address *address,
		       struct sl_session **out, bool *made, struct sl_error *err)
{
	struct sl_session *session = sl_session_find(control, address);

	*made = false;
	if (session && strcmp(session->imsi, imsi) == 0) {
		*out = session;
		return 0;
	}
	session = sl_session_find_ended(control, imsi, address);
	if (session) {
		sl_session_revive_default(control, session);
		if (session->default_usage != SLUICE_NONE) {
			*out = session;
			return 0;
		}
	}
	*made = true;
	return sl_session_new(control, imsi, address, out, err);
}

static int apply(struct sl_control *control, const char *imsi, const struct sl_address *address,
		 const struct sl_update *update, struct sl_error *err)
{
	struct sl_session *session;
	bool made;
	int rc;

	sl_control_make_room(control, imsi, address, update->request);
	rc = session_for(control, imsi, address, &session, &made, err);
	if (rc < 0)
		return rc;
	/* another interface identifier in the same /64: reports name the address that was given last */
	session->address = *address;
	rc = sl_update_session(control, session, update, err);
	if (rc < 0 && made)
		sl_session_free(control, session);
	else if (rc < 0 && !session->active)
		bury(control, session);
	return rc;
}

int sl_control_activate(struct sl_control *control, struct sl_session_request *request, struct sl_error *err)
{
	struct sl_update update = {.request = request};

	return apply(control, request->imsi, &request->address, &update, err);
}

int sl_control_install(struct sl_control *control, const char *imsi, const struct sl_address *address,
		       struct sl_rule_request *rules, size_t count, struct sl_error *err)
{
	const struct sl_session *session = sl_session_find(control, address);
	struct sl_session_request request = {.rules = rules, .rule_count = count};
	struct sl_update update = {.request = &request, .keep_deadlines = true, .refresh = true};

	if (!session || strcmp(session->imsi, imsi) != 0)
		return sl_error(err, ENOENT, "the session is not in force");
	return apply(control, imsi, &session->address, &update, err);
}

static bool names(const struct sl_deactivation *request, const char *id)
{
	for (size_t i = 0; i < request->rule_count; i++)
		if (strcmp(request->rule_ids[i], id) == 0)
			return true;
	return false;
}

static bool deactivates(const struct sl_install *install, const void *user)
{
	const struct sl_deactivation *request = user;

	if (install->origin == SLUICE_ORIGIN_GX ? !request->gx : !request->gy)
		return false;
	return !request->rule_ids || names(request, install->rule->id);
}

static int deactivate_session(struct sl_control *control, struct sl_session *session,
			      const struct sl_deactivation *request, struct sl_error *err)
{
	struct sl_update update = {.removes = deactivates, .user = request};

	uint32_t named = 0, desired = 0;

	for (uint32_t i = 0; i < session->install_count; i++) {
		if (deactivates(&session->installs[i], request))
			named++;
		else
			desired += sl_session_is_desired(control, session, &session->installs[i]);
	}
	/* without its default drop a session is only what other rules it still has */
	if (request->end_session && named + desired == session->install_count)
		return sl_end_session(control, session, "deactivated", err);
	return named ? sl_update_session(control, session, &update, err) : 0;
}

int sl_control_deactivate(struct sl_control *control, const struct sl_deactivation *request,
			  uint32_t *sessions, struct sl_error *err)
{
	struct sl_subscriber *subscriber = sl_subscriber_find(control, request->imsi);
	struct sl_session *session = subscriber ? subscriber->sessions : NULL;
	uint32_t touched = 0;
	int rc = 0;

	for (; session; session = session->imsi_next) {
		int one;

		if (!session->active)
			continue;
		if (request->address.family &&
		    !sl_address_same_endpoint(&session->address, &request->address))
			continue;
		one = deactivate_session(control, session, request, err);
		if (one < 0)
			rc = one;
		touched++;
	}
	if (sessions)
		*sessions = touched;
	return rc;
}

/* --- setup ------------------------------------------------------------------ */

/* All entries of one session as one request. */
struct wanted {
	struct sl_session_request request;
	struct sl_rule_request **origins; /* the caller's rules, for their results */
	struct sl_quota_request *quotas;
	uint8_t key[12 + SLUICE_IMSI_SIZE];
	UT_hash_handle hh;
};

static void wanted_key(const struct sl_session_request *request, uint8_t key[12 + SLUICE_IMSI_SIZE])
{
	memset(key, 0, 12 + SLUICE_IMSI_SIZE);
	key[0] = (uint8_t)request->address.family;
	memcpy(key + 1, request->address.bytes, request->address.family == 4 ? 4 : 8);
	memcpy(key + 12, request->imsi, strlen(request->imsi));
}

static void wanted_free(struct wanted *all)
{
	struct wanted *one, *tmp;

	HASH_ITER (hh, all, one, tmp) {
		HASH_DEL(all, one);
		free(one->request.rules);
		free(one->origins);
		free(one->quotas);
		free(one);
	}
}

/* Several entries of one session: each says what it knows. */
static void add_subscription(struct sl_session_request *all, const struct sl_session_request *one)
{
	if (one->apn[0])
		memcpy(all->apn, one->apn, sizeof(all->apn));
	if (one->msisdn[0])
		memcpy(all->msisdn, one->msisdn, sizeof(all->msisdn));
	if (one->uplink_tunnel)
		all->uplink_tunnel = one->uplink_tunnel;
	if (one->downlink_tunnel)
		all->downlink_tunnel = one->downlink_tunnel;
	if (one->has_ambr) {
		all->has_ambr = true;
		memcpy(all->ambr, one->ambr, sizeof(all->ambr));
	}
	if (one->twin.family)
		all->twin = one->twin;
}

static int wanted_add_quotas(struct wanted *one, const struct sl_session_request *request)
{
	struct sl_quota_request *quotas;

	if (!request->quota_count)
		return 0;
	quotas = reallocarray(one->quotas, one->request.quota_count + request->quota_count, sizeof(*quotas));
	if (!quotas)
		return -ENOMEM;
	memcpy(quotas + one->request.quota_count, request->quotas, request->quota_count * sizeof(*quotas));
	one->quotas = quotas;
	one->request.quotas = quotas;
	one->request.quota_count += request->quota_count;
	return 0;
}

static int wanted_add(struct wanted **all, const struct sl_session_request *request)
{
	struct sl_rule_request **origins, *rules;
	struct wanted *one;
	size_t count;
	uint8_t key[sizeof(one->key)];

	wanted_key(request, key);
	HASH_FIND(hh, *all, key, sizeof(key), one);
	if (!one) {
		one = calloc(1, sizeof(*one));
		if (!one)
			return -ENOMEM;
		one->request = *request;
		one->request.rules = NULL;
		one->request.rule_count = 0;
		one->request.quotas = NULL;
		one->request.quota_count = 0;
		memcpy(one->key, key, sizeof(key));
		HASH_ADD(hh, *all, key, sizeof(one->key), one);
	}
	add_subscription(&one->request, request);
	count = one->request.rule_count + request->rule_count;
	rules = reallocarray(one->request.rules, count + 1, sizeof(*rules));
	if (!rules)
		return -ENOMEM;
	one->request.rules = rules;
	origins = reallocarray(one->origins, count + 1, sizeof(struct sl_rule_request *));
	if (!origins)
		return -ENOMEM;
	one->origins = origins;
	for (size_t i = 0; i < request->rule_count; i++) {
		rules[one->request.rule_count] = request->rules[i];
		origins[one->request.rule_count++] = &request->rules[i];
	}
	return wanted_add_quotas(one, request);
}

/* What became of the rules, to where they came from; of all of them if the session was refused. */
static void answer(const struct wanted *one, int rc, const struct sl_error *why)
{
	for (size_t i = 0; i < one->request.rule_count; i++) {
		const struct sl_rule_request *rule = &one->request.rules[i];
		bool refused = rc < 0 && rule->rule;

		one->origins[i]->result = refused ? rc : rule->rule ? rule->result : -EINVAL;
		one->origins[i]->error = refused ? *why : rule->error;
		one->origins[i]->preempted = refused ? 0 : rule->preempted;
	}
}

static int end_unwanted(struct sl_control *control, struct wanted *all, struct sl_error *err)
{
	struct sl_session *session, *tmp;
	int rc = 0;

	DL_FOREACH_SAFE(control->all, session, tmp)
	{
		struct sl_session_request probe = {.address = session->address};
		uint8_t key[12 + SLUICE_IMSI_SIZE];
		struct wanted *one;
		int ended;

		if (!session->active)
			continue;
		memcpy(probe.imsi, session->imsi, sizeof(probe.imsi));
		wanted_key(&probe, key);
		HASH_FIND(hh, all, key, sizeof(key), one);
		if (one)
			continue;
		ended = sl_end_session(control, session, "not in the setup", err);
		if (ended < 0)
			rc = ended;
	}
	return rc;
}

int sl_control_setup(struct sl_control *control, struct sl_session_request *requests, size_t count,
		     uint32_t *refused, struct sl_error *err)
{
	struct wanted *all = NULL, *one, *tmp;
	uint32_t failures = 0;
	int rc = 0;

	for (size_t i = 0; i < count && rc == 0; i++)
		rc = wanted_add(&all, &requests[i]);
	if (rc < 0) {
		wanted_free(all);
		return sl_error(err, -rc, "out of memory");
	}
	/* first what goes, so that there is room for what comes */
	rc = end_unwanted(control, all, err);
	HASH_ITER (hh, all, one, tmp) {
		struct sl_update update = {.request = &one->request, .exact = true, .keep_deadlines = true};
		struct sl_error why = {{0}};
		int one_rc;

		one_rc = apply(control, one->request.imsi, &one->request.address, &update, &why);
		answer(one, one_rc, &why);
		if (one_rc == 0)
			continue;
		failures++;
		sl_log(SL_LOG_ERROR, "setup-session-refused", "imsi", "%s", one->request.imsi, "reason", "%s",
		       why.text, NULL);
	}
	wanted_free(all);
	*refused = failures;
	return rc;
}
