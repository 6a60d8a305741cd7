// SPDX-License-Identifier: Apache-2.0
/*
 * Rules that lose their guaranteed rate to another: noted while the request that
 * takes it is drafted, taken out of their sessions once that is published.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "control/guarantees.h"

static void preemption_freep(struct sl_preemption **preemption)
{
	free(*preemption);
}

static struct sl_entry *own_entry(struct sl_draft *draft, uint32_t guarantee)
{
	for (uint32_t i = 0; i < draft->count; i++)
		if (draft->entries[i].install.guarantee == guarantee && !draft->entries[i].preempted)
			return &draft->entries[i];
	return NULL;
}

static const struct sl_install *install_with(const struct sl_session *session, uint32_t guarantee)
{
	for (uint32_t i = 0; session && i < session->install_count; i++)
		if (session->installs[i].guarantee == guarantee)
			return &session->installs[i];
	return NULL;
}

static int note_victim(struct sl_draft *draft, const struct sl_session *session,
		       const struct sl_install *install, bool is_own, const struct sl_rule *winner)
{
	struct sl_preemption *victim = calloc(1, sizeof(*victim));

	if (!victim)
		return -ENOMEM;
	victim->guarantee = install->guarantee - 1;
	victim->session = session->slot;
	victim->address = session->address;
	victim->origin = install->origin;
	victim->version = install->version;
	victim->is_own = is_own;
	memcpy(victim->imsi, session->imsi, sizeof(victim->imsi));
	memcpy(victim->rule_id, install->rule->id, sizeof(victim->rule_id));
	sl_error(&victim->reason, EBUSY, "its guaranteed rate went to rule \"%.64s\" of %s (ARP level %u)",
		 winner->id, draft->session->imsi, sl_rule_arp(winner).level);
	victim->next = draft->victims;
	draft->victims = victim;
	return 0;
}

/* One for each session that has the rule. What of it cannot be noted is rewound by the caller. */
int sl_preemptions_note(struct sl_draft *draft, const struct sl_admission_answer *answer,
			const struct sl_rule *winner)
{
	struct sl_control *control = draft->control;
	int rc = 0;

	for (uint32_t n = 0; n < answer->victims && rc == 0; n++) {
		uint32_t guarantee = answer->victim[n].slot + 1;
		struct sl_entry *own = own_entry(draft, guarantee);

		if (own) {
			rc = note_victim(draft, draft->session, &own->install, true, winner);
			own->preempted = rc == 0;
		}
		for (int i = 0; i < SL_GUARANTEE_USERS && rc == 0; i++) {
			uint32_t slot = control->guarantees->user[guarantee - 1].session[i];
			const struct sl_session *session = slot ? control->by_slot[slot - 1] : NULL;
			const struct sl_install *install = install_with(session, guarantee);

			if (install && session != draft->session)
				rc = note_victim(draft, session, install, false, winner);
		}
	}
	return rc;
}

bool sl_preemptions_include(const struct sl_draft *draft, uint32_t guarantee)
{
	const struct sl_preemption *victim = draft->victims;

	while (victim && victim->guarantee + 1 != guarantee)
		victim = victim->next;
	return victim;
}

void sl_preemption_forget(struct sl_draft *draft)
{
	struct sl_preemption *victim = draft->victims;

	for (uint32_t i = 0; victim->is_own && i < draft->count; i++)
		if (draft->entries[i].install.guarantee == victim->guarantee + 1)
			draft->entries[i].preempted = false;
	draft->victims = victim->next;
	free(victim);
}

struct sl_entry *sl_guarantees_lost(struct sl_draft *draft, struct sl_session_request *request)
{
	for (uint32_t i = 0; i < draft->count; i++) {
		struct sl_entry *entry = &draft->entries[i];
		const struct sl_preemption *victim = draft->victims;

		if (!entry->preempted)
			continue;
		while (victim && victim->guarantee + 1 != entry->install.guarantee)
			victim = victim->next;
		for (size_t n = 0; victim && entry->requested && n < request->rule_count; n++) {
			struct sl_rule_request *rule = &request->rules[n];

			if (rule->result < 0 || rule->origin != entry->install.origin ||
			    strcmp(rule->id, entry->install.rule->id) != 0)
				continue;
			rule->result = -EBUSY;
			rule->error = victim->reason;
		}
		return entry;
	}
	return NULL;
}

/* Nobody's any more: the book may give the slot to another rule. */
static void disown(struct sl_control *control, const struct sl_preemption *victim)
{
	struct sl_session *session = control->by_slot[victim->session];

	memset(&control->guarantees->user[victim->guarantee], 0,
	       sizeof(control->guarantees->user[victim->guarantee]));
	for (uint32_t i = 0; session && i < session->install_count; i++)
		if (session->installs[i].guarantee == victim->guarantee + 1)
			session->installs[i].guarantee = 0;
}

void sl_preemptions_commit(struct sl_draft *draft)
{
	struct sl_guarantees *guarantees = draft->control->guarantees;

	while (draft->victims) {
		struct sl_preemption *victim = draft->victims;

		disown(draft->control, victim);
		draft->victims = victim->next;
		victim->next = guarantees->leaving;
		guarantees->leaving = victim;
		guarantees->preempted++;
	}
}

void sl_preemptions_clear(struct sl_guarantees *guarantees)
{
	while (guarantees->leaving) {
		struct sl_preemption *next = guarantees->leaving->next;

		free(guarantees->leaving);
		guarantees->leaving = next;
	}
}

/* --- afterwards --------------------------------------------------------------------------- */

static bool is_victim(const struct sl_install *install, const void *user)
{
	const struct sl_preemption *victim = user;

	return install->origin == victim->origin && install->version == victim->version &&
	       !install->guarantee && sl_rule_has_gbr(install->rule) &&
	       strcmp(install->rule->id, victim->rule_id) == 0;
}

/* Where it is in force still; NULL: it has gone, or has been admitted again. */
static struct sl_session *session_of(struct sl_control *control, const struct sl_preemption *victim)
{
	struct sl_session *session = control->by_slot[victim->session];

	if (!session || !session->active || strcmp(session->imsi, victim->imsi) != 0)
		return NULL;
	for (uint32_t i = 0; i < session->install_count; i++)
		if (is_victim(&session->installs[i], victim))
			return session;
	return NULL;
}

/* By the request by which it had lost its guarantee. */
static bool was_admitted_again(const struct sl_control *control, const struct sl_preemption *victim)
{
	const struct sl_session *session = control->by_slot[victim->session];

	for (uint32_t i = 0; session && i < session->install_count; i++)
		if (session->installs[i].origin == victim->origin &&
		    strcmp(session->installs[i].rule->id, victim->rule_id) == 0)
			return true;
	return false;
}

/* False: it could not be taken out. */
static bool collect(struct sl_control *control, struct sl_preemption *victim)
{
	const struct sl_update update = {.removes = is_victim, .user = victim};
	struct sl_session *session = session_of(control, victim);
	struct sl_error err = {{0}};

	if (!session && (!victim->is_own || was_admitted_again(control, victim)))
		return true;
	if (session && sl_update_session(control, session, &update, &err) < 0) {
		sl_log(SL_LOG_ERROR, "preemption-failed", "imsi", "%s", victim->imsi, "rule", "%s",
		       victim->rule_id, "reason", "%s", err.text, NULL);
		return false;
	}
	session = control->by_slot[victim->session];
	if (session)
		sl_control_emit_rule(control, SL_EVENT_RULE_PREEMPTED, session, victim->rule_id,
				     victim->version, victim->reason.text);
	return true;
}

void sl_guarantees_collect(struct sl_control *control)
{
	struct sl_guarantees *guarantees = control->guarantees;
	struct sl_preemption *failed = NULL;

	/* taking one out is an update itself */
	if (guarantees->is_collecting)
		return;
	guarantees->is_collecting = true;
	while (guarantees->leaving) {
		_cleanup_(preemption_freep) struct sl_preemption *victim = guarantees->leaving;

		guarantees->leaving = victim->next;
		if (collect(control, victim))
			continue;
		victim->next = failed;
		failed = SL_TAKE(victim);
	}
	guarantees->leaving = failed;
	guarantees->is_collecting = false;
}
