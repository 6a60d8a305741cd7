// SPDX-License-Identifier: Apache-2.0
/*
 * Room for what a request brings. Usage that waits for an acknowledgement must
 * not keep new subscribers out while the session manager is away: where a map is
 * full of it, the oldest gives way, aloud; but only if the request fits then.
 */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "control/model.h"

struct room {
	size_t sessions;
	size_t usage;
	size_t rules;
	size_t flows;
};

static size_t free_slots(const struct sl_control *control, enum sl_slot_kind kind)
{
	const struct sl_idpool *pool = control->slots.pool[kind];

	return sl_idpool_size(pool) - sl_idpool_used(pool);
}

/* With what is about to be freed. */
static bool fits(const struct sl_control *control, const struct room *need, const struct room *more)
{
	return free_slots(control, SL_SLOT_SESSION) + more->sessions >= need->sessions &&
	       free_slots(control, SL_SLOT_USAGE) + more->usage >= need->usage &&
	       free_slots(control, SL_SLOT_RULE) + more->rules >= need->rules &&
	       free_slots(control, SL_SLOT_FLOW) + more->flows >= need->flows;
}

static bool fits_now(const struct sl_control *control, const struct room *need)
{
	return fits(control, need, &(struct room){0});
}

static bool is_counted(const struct sl_session *session, const struct sl_rule_request *rule)
{
	for (uint32_t i = 0; session && i < session->install_count; i++) {
		const struct sl_install *install = &session->installs[i];

		if (install->version == rule->version && install->origin == rule->origin &&
		    strcmp(install->rule->id, rule->id) == 0)
			return true;
	}
	for (uint32_t i = 0; session && i < session->retired_count; i++) {
		const struct sl_retired *retired = &session->retired[i];

		if (retired->rule && retired->version == rule->version && retired->origin == rule->origin &&
		    strcmp(retired->rule->id, rule->id) == 0)
			return true;
	}
	return false;
}

/* `session`: what is there of it already, NULL: nothing; `closely`: what is there needs no room. */
static struct room needed(const struct sl_control *control, const struct sl_session *session,
			  const struct sl_session_request *request, bool closely)
{
	struct room need = {.sessions = session ? 0 : 1, .usage = session ? 0 : 1};
	size_t readable = 0;

	for (size_t i = 0; request && i < request->rule_count && readable < SLUICE_RULES_PER_SESSION; i++) {
		const struct sl_rule_request *rule = &request->rules[i];

		if (!rule->rule)
			continue;
		readable++;
		if (!closely || !is_counted(session, rule))
			need.usage++;
		/* flows of a redirect are made later; its record is counted as it stands */
		if (closely && sl_rule_table_has(control->rules, rule->rule))
			continue;
		need.rules++;
		need.flows += rule->rule->flow_count;
	}
	return need;
}

/* A session that ends when its usage, all final, has gone. */
static bool may_go(const struct sl_session *session)
{
	for (uint32_t i = 0; i < session->retired_count; i++)
		if (!session->retired[i].final)
			return false;
	return !session->active && session->default_usage == SLUICE_NONE;
}

/* Whether dropping final usage, the oldest first, makes the room at all. `keep` stays as it is. */
static bool dropping_helps(const struct sl_control *control, const struct sl_session *keep,
			   const struct room *need)
{
	_cleanup_free_ uint32_t *users = calloc(control->maps->size.rules, sizeof(*users));
	const struct sl_session *session;
	struct room more = {0};

	if (!users)
		return false;
	DL_FOREACH2(control->drain, session, drain_next)
	{
		if (session == keep)
			continue;
		for (uint32_t i = 0; i < session->retired_count; i++) {
			const struct sl_rule *rule = session->retired[i].rule;

			if (!session->retired[i].final)
				continue;
			more.usage++;
			if (rule && ++users[rule->record] == rule->references) {
				more.rules++;
				more.flows += rule->flow_count;
			}
		}
		more.sessions += may_go(session);
		if (fits(control, need, &more))
			return true;
	}
	return false;
}

static uint32_t drop_oldest(struct sl_control *control, const struct sl_session *keep,
			    const struct room *need)
{
	struct sl_session *session, *next;
	uint32_t dropped = 0;

	DL_FOREACH_SAFE2(control->drain, session, next, drain_next)
	{
		uint32_t i = 0;

		if (session == keep)
			continue;
		while (i < session->retired_count && !fits_now(control, need)) {
			if (!session->retired[i].final) {
				i++;
				continue;
			}
			sl_usage_drop(control, session, i);
			dropped++;
		}
		sl_session_collect_ended(control, session);
		if (fits_now(control, need))
			break;
	}
	return dropped;
}

void sl_control_make_room(struct sl_control *control, const char *imsi, const struct sl_address *address,
			  const struct sl_session_request *request)
{
	const struct sl_session *session = sl_session_find(control, address);
	struct room need;
	uint32_t dropped;

	if (!session || strcmp(session->imsi, imsi) != 0)
		session = sl_session_find_ended(control, imsi, address);
	need = needed(control, session, request, false);
	if (!control->drain || fits_now(control, &need))
		return;
	need = needed(control, session, request, true);
	if (fits_now(control, &need))
		return;
	if (control->slots.deferred[SL_SLOT_USAGE_FINAL]) {
		sl_control_wait(control);
		/* once: nothing is deferred now. What nobody acknowledges has gone, perhaps this session, too
		 */
		sl_control_make_room(control, imsi, address, request);
		return;
	}
	if (!dropping_helps(control, session, &need))
		return;
	dropped = drop_oldest(control, session, &need);
	sl_log(SL_LOG_ERROR, "usage-dropped", "records", "%u", dropped, "reason", "%s",
	       "a map is full of usage that the session manager has not acknowledged", NULL);
}
