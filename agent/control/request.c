// SPDX-License-Identifier: Apache-2.0
/* Activate, deactivate, setup: requests in terms of sl_update_session and sl_end_session. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "control/model.h"

/* Takes back the default drop's usage of a session that ended but was never acknowledged. */
static void revive(struct sl_control *control, struct sl_session *session)
{
	for (uint32_t i = 0; i < session->retired_count; i++) {
		if (session->retired[i].rule)
			continue;
		session->default_usage = session->retired[i].usage;
		sl_session_unretire(control, session, i);
		return;
	}
}

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
		revive(control, session);
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

	rc = session_for(control, imsi, address, &session, &made, err);
	if (rc < 0)
		return rc;
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

	if (request->end_session)
		return sl_end_session(control, session, "deactivated", err);
	for (uint32_t i = 0; i < session->install_count; i++)
		if (deactivates(&session->installs[i], request))
			return sl_update_session(control, session, &update, err);
	return 0;
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
		free(one);
	}
}

static int wanted_add(struct wanted **all, const struct sl_session_request *request)
{
	struct sl_rule_request *rules;
	struct wanted *one;
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
		memcpy(one->key, key, sizeof(key));
		HASH_ADD(hh, *all, key, sizeof(one->key), one);
	}
	if (request->has_ambr) {
		one->request.has_ambr = true;
		memcpy(one->request.ambr, request->ambr, sizeof(request->ambr));
	}
	rules = reallocarray(one->request.rules, one->request.rule_count + request->rule_count + 1,
			     sizeof(*rules));
	if (!rules)
		return -ENOMEM;
	if (request->rule_count)
		memcpy(rules + one->request.rule_count, request->rules, request->rule_count * sizeof(*rules));
	one->request.rules = rules;
	one->request.rule_count += request->rule_count;
	return 0;
}

static bool unwanted(const struct sl_install *install, const void *user)
{
	const struct sl_session_request *request = user;

	for (size_t i = 0; i < request->rule_count; i++)
		if (request->rules[i].origin == install->origin &&
		    strcmp(request->rules[i].id, install->rule->id) == 0)
			return false;
	return true;
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
		     struct sl_error *err)
{
	struct wanted *all = NULL, *one, *tmp;
	int rc = 0, failed;

	for (size_t i = 0; i < count && rc == 0; i++)
		rc = wanted_add(&all, &requests[i]);
	if (rc < 0) {
		wanted_free(all);
		return sl_error(err, -rc, "out of memory");
	}
	/* first what goes, so that a full map has room for what comes */
	rc = end_unwanted(control, all, err);
	HASH_ITER (hh, all, one, tmp) {
		struct sl_update update = {
			.request = &one->request,
			.removes = unwanted,
			.user = &one->request,
			.keep_deadlines = true,
		};

		failed = apply(control, one->request.imsi, &one->request.address, &update, err);
		if (failed < 0)
			rc = failed;
	}
	wanted_free(all);
	return rc;
}
