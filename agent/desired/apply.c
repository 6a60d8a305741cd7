// SPDX-License-Identifier: Apache-2.0
/*
 * Makes the sessions of a subscriber have what they should have: compares,
 * session by session, what is wanted with what is in force, puts in what is
 * missing or different, then takes out what is wanted no more.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "desired/model.h"

#define NS_PER_S      1000000000ull
#define RETRY_FIRST   (10 * NS_PER_S)
#define RETRY_DOUBLES 5 /* up to five minutes */

/* One session, while it is compared. */
struct session {
	struct sl_desired *desired;
	struct sl_desired_subscriber *subscriber;
	enum sl_apply why;
	struct sl_address address;
	char apn[SLUICE_APN_SIZE];
	struct sl_tracked *tracked;
	const struct sl_install **installs; /* GX, by id; of the view */
	size_t install_count;
	const struct sl_rule **wanted; /* by id */
	size_t wanted_count;
	struct sl_rule_request *adds;
	const char **add_reasons; /* of a repair */
	size_t add_count;
	char (*removes)[SLUICE_RULE_ID_SIZE];
	size_t remove_count;
};

static void session_clear(struct session *session)
{
	free(session->installs);
	free(session->wanted);
	free(session->adds);
	free(session->add_reasons);
	free(session->removes);
}

static int by_id(const void *a, const void *b)
{
	const struct sl_install *const *one = a, *const *other = b;

	return strcmp((*one)->rule->id, (*other)->rule->id);
}

static const struct sl_install *find_install(const struct session *session, const char *id)
{
	size_t low = 0, high = session->install_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(session->installs[middle]->rule->id, id);

		if (order == 0)
			return session->installs[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

static bool is_wanted(const struct session *session, const char *id)
{
	size_t low = 0, high = session->wanted_count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int order = strcmp(session->wanted[middle]->id, id);

		if (order == 0)
			return true;
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

/* --- comparison ---------------------------------------------------------------- */

static void plan_add(struct session *session, const struct sl_rule *rule, uint32_t version, const char *what)
{
	session->add_reasons[session->add_count] = what;
	session->adds[session->add_count++] = (struct sl_rule_request){
		.rule = (struct sl_rule *)rule, /* read only, as every request's */
		.id = rule->id,
		.version = version,
		.origin = SLUICE_ORIGIN_GX,
	};
}

/* Its hard timeout has passed, and what is wanted is the same rule still. */
static bool is_over(const struct sl_track *track, const struct sl_rule *rule, uint64_t now)
{
	return track->deadline_ns && track->deadline_ns <= now && track->content == sl_wanted_hash(rule);
}

static struct sl_track *track_of(struct session *session, const char *id)
{
	struct sl_track *track = sl_track_find(session->tracked, id);
	uint32_t last;

	if (track)
		return track;
	track = sl_track_make(session->tracked, id);
	if (!track)
		return NULL;
	/* what it had before its session was looked after here */
	last = sl_control_last_version(session->desired->config.control, &session->address, id,
				       SLUICE_ORIGIN_GX);
	if (last > track->version)
		track->version = last;
	return track;
}

static void compare_rule(struct session *session, const struct sl_rule *rule, uint64_t now)
{
	const struct sl_install *install = find_install(session, rule->id);
	struct sl_track *track = track_of(session, rule->id);

	if (!track) {
		sl_log(SL_LOG_ERROR, "desired-forgotten", "imsi", "%s", session->subscriber->imsi, "rule",
		       "%s", rule->id, "reason", "%s", "out of memory", NULL);
		return;
	}
	if (install) {
		track->version = install->version;
		if (!track->owned && session->why == SL_APPLY_SET)
			track->owned =
				sl_wanted_freshly(session->subscriber, session->desired->catalog,
						  session->apn, sl_desired_now(session->desired), rule->id);
		if (!track->owned)
			return;
		track->deadline_ns = install->binding.deadline_ns;
		if (sl_wanted_equal(rule, install->rule)) {
			sl_track_not_refused(track);
			track->content = sl_wanted_hash(rule);
			return;
		}
	}
	if (session->why != SL_APPLY_SET && track->refusals && now < track->retry_ns)
		return;
	if (install) {
		plan_add(session, rule, install->version, "different");
		return;
	}
	if (!sl_rule_fits(rule, session->address.family) || is_over(track, rule, now))
		return;
	plan_add(session, rule, track->version + 1, "missing");
}

static void compare(struct session *session)
{
	uint64_t now = sl_now_ns();

	for (size_t i = 0; i < session->wanted_count; i++)
		compare_rule(session, session->wanted[i], now);
	for (size_t i = 0; i < session->tracked->count; i++) {
		struct sl_track *track = &session->tracked->tracks[i];

		if (is_wanted(session, track->id))
			continue;
		if (track->owned && find_install(session, track->id) &&
		    session->remove_count < session->install_count)
			strcpy(session->removes[session->remove_count++], track->id);
		track->owned = false;
		sl_track_not_refused(track);
		track->deadline_ns = 0;
	}
}

/*
 * What was put in belongs to one life of a session: another one at the same
 * address knows nothing of hard timeouts that have passed, nor of refusals. In
 * a session that is older than the desired state an agent before this one may
 * have used any version below.
 */
static void begin_life(struct session *session, uint64_t since_ns)
{
	const struct sl_desired *desired = session->desired;

	if (session->tracked->since_ns != since_ns)
		sl_tracked_begin(session->tracked, since_ns,
				 since_ns < desired->started_ns ? desired->config.versions_above : 0);
}

static int read_session(const struct sl_session_view *view, void *user)
{
	struct session *session = user;
	struct sl_desired *desired = session->desired;
	int rc;

	if (!sl_address_same_endpoint(&view->address, &session->address))
		return 0;
	memcpy(session->apn, view->record->apn, sizeof(session->apn));
	session->tracked = sl_tracked_make(session->subscriber, &view->address);
	session->installs = calloc(view->install_count + 1, sizeof(*session->installs));
	session->removes = calloc(view->install_count + 1, sizeof(*session->removes));
	session->wanted = calloc(SLUICE_RULES_PER_SESSION, sizeof(*session->wanted));
	if (!session->tracked || !session->installs || !session->removes || !session->wanted)
		return -ENOMEM;
	begin_life(session, view->record->since_ns);
	session->tracked->address = view->address;
	memcpy(session->tracked->apn, view->record->apn, sizeof(session->tracked->apn));
	session->tracked->seen = true;
	for (uint32_t i = 0; i < view->install_count; i++)
		if (view->installs[i].origin == SLUICE_ORIGIN_GX)
			session->installs[session->install_count++] = &view->installs[i];
	qsort(session->installs, session->install_count, sizeof(*session->installs), by_id);
	rc = sl_wanted_rules(session->subscriber, desired->catalog, session->apn, sl_desired_now(desired),
			     session->wanted, &session->wanted_count);
	if (rc < 0)
		return rc;
	session->adds = calloc(session->wanted_count + 1, sizeof(*session->adds));
	session->add_reasons = calloc(session->wanted_count + 1, sizeof(*session->add_reasons));
	if (!session->adds || !session->add_reasons)
		return -ENOMEM;
	compare(session);
	return 1;
}

/* --- change ---------------------------------------------------------------------- */

static void tell_repair(struct session *session, const char *id, uint32_t version, const char *what)
{
	struct sl_desired *desired = session->desired;
	struct sl_desired_repair repair = {
		.imsi = session->subscriber->imsi,
		.address = &session->address,
		.rule_id = id,
		.version = version,
		.what = what,
	};

	if (session->why != SL_APPLY_CHECK)
		return;
	desired->repairs++;
	if (desired->config.on_repair)
		desired->config.on_repair(&repair, desired->config.user);
}

static void note_refusal(struct sl_track *track, const char *reason)
{
	uint64_t wait = RETRY_FIRST;

	for (uint32_t i = 0; i < track->refusals && i < RETRY_DOUBLES; i++)
		wait *= 2;
	sl_track_refused(track, reason);
	track->retry_ns = sl_now_ns() + wait;
}

static void note_add(struct session *session, size_t i)
{
	const struct sl_rule_request *request = &session->adds[i];
	struct sl_track *track = sl_track_find(session->tracked, request->id);
	uint32_t timeout = request->rule->hard_timeout_s;

	if (!track)
		return;
	if (request->result == -EAFNOSUPPORT) {
		/* no refusal: what it was before has gone, and it cannot be there */
		sl_track_not_refused(track);
		return;
	}
	if (request->result < 0) {
		note_refusal(track, request->error.text);
		return;
	}
	track->owned = true;
	track->version = request->version;
	sl_track_not_refused(track);
	track->content = sl_wanted_hash(request->rule);
	track->deadline_ns = timeout ? sl_now_ns() + timeout * NS_PER_S : 0;
	tell_repair(session, request->id, request->version, session->add_reasons[i]);
}

static void add_rules(struct session *session)
{
	struct sl_error err = {{0}};
	int rc;

	rc = sl_control_install(session->desired->config.control, session->subscriber->imsi,
				&session->address, session->adds, session->add_count, &err);
	if (rc < 0)
		sl_log(SL_LOG_ERROR, "desired-failed", "imsi", "%s", session->subscriber->imsi, "reason",
		       "%s", err.text, NULL);
	for (size_t i = 0; i < session->add_count; i++) {
		if (rc < 0) {
			session->adds[i].result = rc;
			session->adds[i].error = err;
		}
		note_add(session, i);
	}
}

static void remove_rules(struct session *session)
{
	_cleanup_free_ const char **ids = calloc(session->remove_count, sizeof(*ids));
	struct sl_deactivation request = {
		.address = session->address,
		.gx = true,
		.rule_ids = ids,
		.rule_count = session->remove_count,
	};
	struct sl_error err = {{0}};
	int rc = -ENOMEM;

	memcpy(request.imsi, session->subscriber->imsi, sizeof(request.imsi));
	for (size_t i = 0; ids && i < session->remove_count; i++)
		ids[i] = session->removes[i];
	if (ids)
		rc = sl_control_deactivate(session->desired->config.control, &request, NULL, &err);
	for (size_t i = 0; i < session->remove_count; i++) {
		struct sl_track *track = sl_track_find(session->tracked, session->removes[i]);

		/* it is still there, and still ours to take away */
		if (rc < 0 && track)
			track->owned = true;
		else
			tell_repair(session, session->removes[i], track ? track->version : 0, "unwanted");
	}
	if (rc < 0)
		sl_log(SL_LOG_ERROR, "desired-failed", "imsi", "%s", session->subscriber->imsi, "reason",
		       "%s", err.text[0] ? err.text : "out of memory", NULL);
}

static void apply_to(struct sl_desired *desired, struct sl_desired_subscriber *subscriber,
		     const struct sl_address *address, enum sl_apply why)
{
	_cleanup_(session_clear) struct session session = {
		.desired = desired,
		.subscriber = subscriber,
		.why = why,
		.address = *address,
	};
	int rc;

	rc = sl_control_each_session_of(desired->config.control, subscriber->imsi, read_session, &session);
	if (rc < 0)
		sl_log(SL_LOG_ERROR, "desired-failed", "imsi", "%s", subscriber->imsi, "reason", "%s",
		       "out of memory", NULL);
	if (rc <= 0)
		return;
	if (session.add_count)
		add_rules(&session);
	if (session.remove_count)
		remove_rules(&session);
}

/* --- all sessions of a subscriber ------------------------------------------------- */

struct addresses {
	struct sl_address *list;
	size_t count;
	size_t capacity;
};

static int note_address(const struct sl_session_view *view, void *user)
{
	struct addresses *addresses = user;

	if (addresses->count == addresses->capacity) {
		size_t capacity = addresses->capacity ? 2 * addresses->capacity : 4;
		struct sl_address *grown = reallocarray(addresses->list, capacity, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		addresses->list = grown;
		addresses->capacity = capacity;
	}
	addresses->list[addresses->count++] = view->address;
	return 0;
}

static void forget_ended(struct sl_desired_subscriber *subscriber)
{
	struct sl_tracked *tracked, *tmp;

	LL_FOREACH_SAFE(subscriber->sessions, tracked, tmp)
	{
		if (tracked->seen) {
			tracked->seen = false;
			continue;
		}
		LL_DELETE(subscriber->sessions, tracked);
		sl_tracked_free(tracked);
	}
}

void sl_desired_apply(struct sl_desired *desired, struct sl_desired_subscriber *subscriber, enum sl_apply why)
{
	struct addresses addresses = {0};
	struct sl_scope *scope;
	int rc;

	/* the walk must not change what it walks through */
	rc = sl_control_each_session_of(desired->config.control, subscriber->imsi, note_address, &addresses);
	for (size_t i = 0; i < addresses.count; i++)
		apply_to(desired, subscriber, &addresses.list[i], why);
	free(addresses.list);
	if (rc == 0)
		forget_ended(subscriber);
	LL_FOREACH (subscriber->scopes, scope)
		scope->fresh = false;
	sl_subscriber_collect(desired, subscriber);
}
