// SPDX-License-Identifier: Apache-2.0
/*
 * Whether the kernel has what the model says. Everything here belongs to the
 * agent, so a difference is a defect or somebody else's hand; either way it is
 * put right and told. A session is repaired as it is changed: by publishing it
 * anew. A match list, which many sessions share, and what only the next start
 * reads are written again where they are.
 */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "control/quotas.h"

/* Bounds of one step, some milliseconds in all. */
#define STEP_SESSIONS  512u
#define STEP_ENDPOINTS 1024u /* at least what one bucket of the hash may hold */
#define STEP_BUCKETS   2048u /* of the index */
#define STEP_REPAIRS   64u

static void __attribute__((format(printf, 3, 4)))
repaired(struct sl_control *control, const struct sl_session *session, const char *format, ...)
{
	struct sl_audit_stats *stats = &control->audit.stats;
	va_list args;

	va_start(args, format);
	vsnprintf(stats->last, sizeof(stats->last), format, args);
	va_end(args);
	stats->repairs++;
	if (session)
		sl_control_emit(control, SL_EVENT_REPAIRED, session, stats->last);
	else if (control->config.on_event)
		control->config.on_event(
			&(struct sl_control_event){.type = SL_EVENT_REPAIRED, .reason = stats->last},
			control->config.user);
}

static void failed(struct sl_control *control, const char *what, const struct sl_error *err)
{
	struct sl_audit *audit = &control->audit;
	struct sl_error text;

	audit->stats.failures++;
	sl_error(&text, EIO, "%s: %s", what, err->text);
	memcpy(audit->stats.last, text.text, sizeof(audit->stats.last));
	if (strcmp(audit->failing, text.text) == 0)
		return;
	memcpy(audit->failing, text.text, sizeof(audit->failing));
	sl_log(SL_LOG_ERROR, "repair-failed", "what", "%s", what, "reason", "%s", err->text, NULL);
}

/* --- sessions ----------------------------------------------------------------- */

static uint32_t this_pass(const struct sl_control *control)
{
	return (uint32_t)control->audit.stats.passes + 1;
}

static bool leads_to(const struct sluice_endpoint *endpoint, const struct sl_session *session)
{
	return endpoint->policy == session->policy && endpoint->session == session->slot &&
	       memcmp(endpoint->imsi, session->imsi, sizeof(endpoint->imsi)) == 0;
}

/* NULL: nothing. What this pass has read already, with many others in one call, is not asked for again. */
static const char *endpoint_difference(struct sl_control *control, const struct sl_session *session)
{
	struct sluice_endpoint endpoint;
	int rc;

	if (session->endpoint_audited == this_pass(control))
		return NULL;
	rc = sl_endpoint_get(control->config.datapath, &session->address, &endpoint);
	if (rc == -ENOENT)
		return "the endpoint, which was missing";
	return rc == 0 && !leads_to(&endpoint, session) ? "the endpoint, which led elsewhere" : NULL;
}

/* What packets would read differently; NULL: nothing. */
static const char *published_difference(struct sl_control *control, const struct sl_session *session)
{
	const char *what;

	if (session->policy == SLUICE_NONE || !session->ruleset)
		return "the policy";
	if (session->unrepaired)
		return "what the start had no room to repair";
	what = endpoint_difference(control, session);
	return what ? what : sl_image_difference(control, session);
}

/* The records that name what is published: a restart would not find the session without them. */
static bool repair_records(struct sl_control *control, const struct sl_session *session)
{
	struct sluice_session_record *record = &control->maps->sessions[session->slot];
	const struct sluice_usage_owner *owners = control->maps->usage_owners;
	bool differs = false;

	if (record->state != SLUICE_SESSION_ACTIVE || record->family != session->address.family ||
	    memcmp(record->address, session->address.bytes, sizeof(record->address)) != 0 ||
	    memcmp(record->imsi, session->imsi, sizeof(record->imsi)) != 0 ||
	    record->default_usage != session->default_usage) {
		sl_session_record(control, session);
		differs = true;
	}
	for (uint32_t i = 0; i < session->install_count; i++) {
		const struct sl_install *install = &session->installs[i];
		const struct sluice_usage_owner *owner = &owners[install->binding.usage];

		if (owner->state == SLUICE_USAGE_ACTIVE && owner->session == session->slot &&
		    owner->rule == install->rule->record && owner->version == install->version &&
		    owner->origin == install->origin)
			continue;
		sl_owner_write(control, session, install, SLUICE_USAGE_ACTIVE);
		differs = true;
	}
	if (owners[session->default_usage].state != SLUICE_USAGE_ACTIVE ||
	    owners[session->default_usage].session != session->slot ||
	    owners[session->default_usage].rule != SLUICE_NONE) {
		sl_owner_write_default(control, session, SLUICE_USAGE_ACTIVE);
		differs = true;
	}
	return differs;
}

static void check_ruleset(struct sl_control *control, const struct sl_session *session,
			  struct sl_ruleset *ruleset)
{
	if (!ruleset || ruleset->audited == this_pass(control))
		return;
	ruleset->audited = this_pass(control);
	if (sl_ruleset_repair(control, ruleset))
		repaired(control, session, "a match list, which %u session(s) share", ruleset->references);
}

static void check_session(struct sl_control *control, struct sl_session *session)
{
	const struct sl_update again = {.repair = true};
	struct sl_error err = {{0}};
	const char *what;

	if (repair_records(control, session))
		repaired(control, session, "the records that the next start reads");
	check_ruleset(control, session, session->ruleset);
	check_ruleset(control, session, session->final);
	if (sl_quotas_lead(control, session))
		repaired(control, session, "which quota a rule is charged to");
	if (sl_vlan_mark(control, session->apn, session->installs, session->install_count))
		repaired(control, session, "the VLAN of a class");
	what = published_difference(control, session);
	if (!what) {
		if (session->index_audited != this_pass(control))
			sl_endpoint_index_fill(control->config.datapath, &session->address, session->policy);
		return;
	}
	if (sl_update_session(control, session, &again, &err) < 0)
		failed(control, what, &err);
	else
		repaired(control, session, "%s", what);
}

static bool check_sessions(struct sl_control *control, uint64_t from, uint64_t slots)
{
	struct sl_audit *audit = &control->audit;
	uint64_t end = from + slots, tried = audit->stats.repairs + audit->stats.failures;
	uint32_t checked = 0;

	for (; audit->position < control->maps->size.sessions; audit->position++) {
		struct sl_session *session = control->by_slot[audit->position];

		if (audit->position >= end || checked == STEP_SESSIONS ||
		    audit->stats.repairs + audit->stats.failures - tried >= STEP_REPAIRS)
			return false;
		if (!session || !session->active)
			continue;
		check_session(control, session);
		checked++;
	}
	return true;
}

/*
 * The session at this address, where the kernel's hint to its slot is right without
 * the hash, whose chains cost several cache misses each.
 */
static struct sl_session *session_at(struct sl_control *control, const struct sl_address *address,
				     uint32_t hint)
{
	struct sl_session *session = hint < control->maps->size.sessions ? control->by_slot[hint] : NULL;

	if (session && session->active && sl_address_same_endpoint(&session->address, address))
		return session;
	return sl_session_find(control, address);
}

/* --- all endpoints: those that are no session's go, those that are right are noted --- */

static int check_endpoint(const struct sl_address *address, const struct sluice_endpoint *endpoint,
			  void *user)
{
	struct sl_control *control = user;
	struct sl_session *session = session_at(control, address, endpoint->session);
	char text[SL_ADDRESS_TEXT];
	struct sl_error err;

	if (session) {
		if (leads_to(endpoint, session))
			session->endpoint_audited = this_pass(control);
		return 0;
	}
	sl_address_format(address, text);
	if (sl_endpoint_delete(control->config.datapath, address, &err) < 0)
		failed(control, "an endpoint without a session", &err);
	else
		repaired(control, NULL, "the endpoint %s, which is no session's, was removed", text);
	return 0;
}

static bool check_endpoints(struct sl_control *control, uint32_t family)
{
	uint64_t *position = &control->audit.position;
	struct sl_error err;
	int rc;

	rc = sl_endpoint_walk(control->config.datapath, family, position, STEP_ENDPOINTS, check_endpoint,
			      control);
	if (rc < 0) {
		sl_error(&err, -rc, "%s", strerror(-rc));
		failed(control, family == 4 ? "reading endpoints4" : "reading endpoints6", &err);
		return true;
	}
	return *position == 0;
}

/* --- the short way to the policies --------------------------------------------------- */

static uint32_t published_policy(const struct sl_address *address, uint32_t found, void *user)
{
	struct sl_control *control = user;
	struct sl_session *session = session_at(
		control, address,
		found < control->maps->policy_count ? control->maps->policies[found].session : SLUICE_NONE);

	if (!session)
		return SLUICE_NONE;
	session->index_audited = this_pass(control);
	return session->policy;
}

static bool check_index(struct sl_control *control, uint32_t family)
{
	uint64_t *position = &control->audit.position;
	uint32_t wrong = sl_endpoint_index_check(control->config.datapath, family, position, STEP_BUCKETS,
						 published_policy, control);

	if (wrong)
		repaired(control, NULL, "%u entry(ies) of index%u", wrong, family);
	return *position == 0;
}

/* --- settings, hooks, queues ---------------------------------------------------------- */

static void check_settings(struct sl_control *control)
{
	const struct sluice_settings *wanted = &control->audit.settings;
	struct sluice_settings *found = control->maps->settings;

	if (found->layout == wanted->layout && found->unknown_drop == wanted->unknown_drop)
		return;
	__atomic_store_n(&found->layout, wanted->layout, __ATOMIC_RELAXED);
	__atomic_store_n(&found->unknown_drop, wanted->unknown_drop, __ATOMIC_RELAXED);
	repaired(control, NULL, "the settings");
}

static void check_hooks(struct sl_control *control)
{
	struct sl_hook_status hooks[2 * SL_DATAPATH_DEVICES * 3];
	size_t count = sl_datapath_hooks(control->config.datapath, hooks, sizeof(hooks) / sizeof(hooks[0]));
	struct sl_error err;
	size_t lost = 0, first = 0;

	for (size_t i = count; i-- > 0;) {
		if (hooks[i].attached)
			continue;
		first = i;
		lost++;
	}
	if (!lost)
		return;
	if (sl_datapath_attach(control->config.datapath, &err) < 0)
		failed(control, "a hook that was not attached", &err);
	else
		repaired(control, NULL, "%zu hook(s) that were not attached, the first is %s of %s", lost,
			 hooks[first].hook, hooks[first].interface);
}

static void check_apns(struct sl_control *control)
{
	uint32_t wrong = sl_apns_repair(control);
	struct sl_error err;

	if (wrong)
		repaired(control, NULL, "the VLANs of %u APN(s)", wrong);
	if (sl_neighbours_repair(control, &wrong, &err) < 0)
		failed(control, "neighbours behind VLANs", &err);
	else if (wrong)
		repaired(control, NULL, "%u neighbour(s) behind VLANs", wrong);
}

/* Settings first, then the hooks, then one device's queues a step. */
static bool check_rest(struct sl_control *control)
{
	struct sl_audit *audit = &control->audit;
	uint64_t turn = audit->position++;
	struct sl_qos_audit found;
	struct sl_error err;
	int rc;

	if (turn == 0) {
		check_settings(control);
		check_apns(control);
		check_hooks(control);
		return !control->config.qos;
	}
	rc = sl_qos_audit(control->config.qos, (unsigned int)turn - 1, &found, &err);
	if (rc == -ENOENT)
		return true;
	if (rc < 0)
		failed(control, "queues", &err);
	else if (found.repairs)
		repaired(control, NULL, "%u queue(s) of %s: %s", found.repairs, found.device, found.what);
	return false;
}

void sl_control_audit(struct sl_control *control, uint32_t steps)
{
	struct sl_audit *audit = &control->audit;
	/* half of the steps are for the sessions, so that the pass ends within its interval */
	uint64_t slots = control->maps->size.sessions / (steps / 2 + 1) + 1;
	bool done = false;

	if (++audit->step >= steps && audit->done) {
		audit->step = 0;
		audit->done = false;
	}
	if (audit->done)
		return;
	if (audit->phase == SL_AUDIT_ENDPOINTS4 && audit->position == 0)
		audit->started_ns = sl_now_ns();
	switch (audit->phase) {
	case SL_AUDIT_ENDPOINTS4:
		done = check_endpoints(control, 4);
		break;
	case SL_AUDIT_ENDPOINTS6:
		done = check_endpoints(control, 6);
		break;
	case SL_AUDIT_INDEX4:
		done = check_index(control, 4);
		break;
	case SL_AUDIT_INDEX6:
		done = check_index(control, 6);
		break;
	case SL_AUDIT_SESSIONS:
		done = check_sessions(control, audit->position, slots);
		break;
	case SL_AUDIT_REST:
		done = check_rest(control);
		break;
	}
	if (!done)
		return;
	audit->position = 0;
	if (audit->phase++ != SL_AUDIT_REST)
		return;
	audit->phase = SL_AUDIT_ENDPOINTS4;
	audit->done = true;
	audit->stats.passes++;
	audit->stats.last_pass_ms = (sl_now_ns() - audit->started_ns) / 1000000;
}

void sl_control_audit_stats(const struct sl_control *control, struct sl_audit_stats *out)
{
	*out = control->audit.stats;
}
