// SPDX-License-Identifier: Apache-2.0
#include "control/guarantees.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/units.h"

/* --- the book ------------------------------------------------------------------ */

static uint64_t or_unlimited(uint64_t reserve)
{
	return reserve ? reserve : SL_ADMISSION_UNLIMITED;
}

static uint32_t resource_of(uint8_t apn)
{
	return apn ? apn : SL_ADMISSION_LINK;
}

static int set_capacities(struct sl_control *control, struct sl_error *err)
{
	struct sl_admission *book = control->guarantees->book;
	uint64_t capacity[SLUICE_DIRECTIONS];
	int rc;

	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++)
		capacity[direction] = or_unlimited(control->config.reserve[direction]);
	rc = sl_admission_set_capacity(book, SL_ADMISSION_LINK, capacity, err);
	for (unsigned int number = 1; rc == 0 && number <= SLUICE_APNS; number++) {
		const struct sl_control_apn *apn = sl_apn(control, (uint8_t)number);

		if (apn)
			rc = sl_admission_set_capacity(book, number, apn->reserve, err);
	}
	return rc;
}

int sl_guarantees_open(struct sl_control *control, struct sl_error *err)
{
	uint32_t size = control->maps->size.usage < SL_GUARANTEES ? control->maps->size.usage : SL_GUARANTEES;
	struct sl_guarantees *guarantees;

	guarantees = calloc(1, sizeof(*guarantees) + (size_t)size * sizeof(guarantees->user[0]));
	if (!guarantees)
		return sl_error(err, ENOMEM, "out of memory");
	guarantees->size = size;
	control->guarantees = guarantees;
	if (sl_admission_new(size, &guarantees->book) < 0)
		return sl_error(err, ENOMEM, "out of memory");
	return set_capacities(control, err);
}

void sl_guarantees_close(struct sl_control *control)
{
	struct sl_guarantees *guarantees = control->guarantees;

	if (!guarantees)
		return;
	sl_preemptions_clear(guarantees);
	sl_admission_free(guarantees->book);
	free(guarantees);
	control->guarantees = NULL;
}

void sl_guarantees_load(const struct sl_control *control, uint8_t apn, struct sl_admission_load *out)
{
	sl_admission_load(control->guarantees->book, resource_of(apn), out);
}

void sl_control_count_guarantees(const struct sl_control *control, uint64_t *refused, uint64_t *preempted)
{
	*refused = control->guarantees->refused;
	*preempted = control->guarantees->preempted;
}

/* --- whose a guarantee is --------------------------------------------------------- */

static uint32_t users(const struct sl_control *control, uint32_t guarantee)
{
	const uint32_t *session = control->guarantees->user[guarantee - 1].session;
	uint32_t count = 0;

	for (int i = 0; i < SL_GUARANTEE_USERS; i++)
		count += session[i] != 0;
	return count;
}

static bool is_user(const struct sl_control *control, uint32_t guarantee, const struct sl_session *session)
{
	const uint32_t *user = control->guarantees->user[guarantee - 1].session;

	for (int i = 0; i < SL_GUARANTEE_USERS; i++)
		if (user[i] == session->slot + 1)
			return true;
	return false;
}

static void join(struct sl_control *control, uint32_t guarantee, const struct sl_session *session)
{
	uint32_t *user = control->guarantees->user[guarantee - 1].session;
	int i = 0;

	if (is_user(control, guarantee, session))
		return;
	while (i < SL_GUARANTEE_USERS - 1 && user[i])
		i++;
	user[i] = session->slot + 1;
}

/* With its last user it is given back. */
static void leave(struct sl_control *control, uint32_t guarantee, const struct sl_session *session)
{
	uint32_t *user = control->guarantees->user[guarantee - 1].session;

	for (int i = 0; i < SL_GUARANTEE_USERS; i++)
		if (user[i] == session->slot + 1)
			user[i] = 0;
	/* it may have been given back before: what an update takes away is free for what it asks for */
	if (users(control, guarantee) == 0)
		sl_admission_remove(control->guarantees->book, guarantee - 1);
}

void sl_guarantees_release(struct sl_control *control, struct sl_session *session)
{
	for (uint32_t i = 0; i < session->install_count; i++) {
		if (session->installs[i].guarantee)
			leave(control, session->installs[i].guarantee, session);
		session->installs[i].guarantee = 0;
	}
}

/* --- a draft ---------------------------------------------------------------------------- */

struct sl_guarantee_mark sl_guarantees_mark(const struct sl_draft *draft)
{
	return (struct sl_guarantee_mark){.steps = sl_admission_mark(draft->control->guarantees->book),
					  .newest = draft->victims};
}

void sl_guarantees_rewind(struct sl_draft *draft, const struct sl_guarantee_mark *mark)
{
	while (draft->victims != mark->newest)
		sl_preemption_forget(draft);
	sl_admission_rewind(draft->control->guarantees->book, mark->steps);
}

static bool is_named(const struct sl_session_request *request, const struct sl_install *install)
{
	for (size_t i = 0; request && i < request->rule_count; i++)
		if (request->rules[i].origin == install->origin &&
		    strcmp(request->rules[i].id, install->rule->id) == 0)
			return true;
	return false;
}

void sl_guarantees_begin(struct sl_draft *draft, const struct sl_update *update)
{
	struct sl_control *control = draft->control;
	const struct sl_session *session = draft->session;

	sl_admission_begin(control->guarantees->book);
	for (uint32_t i = 0; i < session->install_count; i++) {
		const struct sl_install *install = &session->installs[i];
		bool goes;

		if (!install->guarantee || users(control, install->guarantee) > 1)
			continue;
		goes = update->removes && update->removes(install, update->user);
		if (update->exact && !is_named(update->request, install) &&
		    !sl_session_is_desired(control, session, install))
			goes = true;
		if (goes)
			sl_admission_remove(control->guarantees->book, install->guarantee - 1);
	}
}

static struct sl_admission_request request_of(const struct sl_rule *rule, uint8_t apn)
{
	const struct sl_arp arp = sl_rule_arp(rule);

	return (struct sl_admission_request){
		.gbr = {rule->gbr[SLUICE_UPLINK], rule->gbr[SLUICE_DOWNLINK]},
		.apn = resource_of(apn),
		.level = arp.level,
		.may_preempt = arp.may_preempt,
		.may_be_preempted = arp.may_be_preempted,
	};
}

/* Names what is short, where, by how much, and by which priority that was decided. */
static int refuse(struct sl_draft *draft, const struct sl_rule *rule,
		  const struct sl_admission_answer *answer, struct sl_error *err)
{
	const struct sl_arp arp = sl_rule_arp(rule);
	const bool is_link = answer->short_apn == SL_ADMISSION_LINK;
	const struct sl_control_apn *apn =
		is_link ? NULL : sl_apn(draft->control, (uint8_t)answer->short_apn);
	char short_by[SL_UNITS_SIZE], asked[SL_UNITS_SIZE];

	draft->refused++;
	return sl_error(err, EBUSY, "the GBR of %s %s: the reserve of %s%.64s lacks %s; ARP level %u, %s",
			sl_format_rate(rule->gbr[answer->short_direction], asked),
			answer->short_direction == SLUICE_UPLINK ? "uplink" : "downlink",
			is_link ? "the link" : "APN ", apn ? apn->name : "",
			sl_format_rate(answer->short_by, short_by), arp.level,
			arp.may_preempt ? "and too little is held by worse ones that may be pre-empted"
					: "which may not pre-empt");
}

/* The twin's of the same rule, which the draft may share; 0: there is none. */
static uint32_t twins_guarantee(const struct sl_draft *draft, const struct sl_install *install)
{
	const struct sl_install *other = sl_twin_install(draft->partner, install);

	if (!other || !other->guarantee || sl_preemptions_include(draft, other->guarantee))
		return 0;
	return other->guarantee;
}

static bool may_join(const struct sl_draft *draft, uint32_t guarantee)
{
	return is_user(draft->control, guarantee, draft->session) ||
	       users(draft->control, guarantee) < SL_GUARANTEE_USERS;
}

/* The guarantee that the rule goes on with: the twin's, its own, or none. */
static uint32_t present_guarantee(const struct sl_draft *draft, const struct sl_entry *present,
				  const struct sl_install *key)
{
	uint32_t twins = twins_guarantee(draft, key);
	uint32_t own = present && !present->preempted ? present->install.guarantee : 0;

	if (own && draft->separate && users(draft->control, own) > 1)
		own = 0;
	if (!twins || twins == own || !may_join(draft, twins))
		return own;
	/* it is free for what the rule asks of the twin's; refused, this is rewound, too */
	if (own && users(draft->control, own) == 1)
		sl_admission_remove(draft->control->guarantees->book, own - 1);
	return twins;
}

int sl_guarantee_ask(struct sl_draft *draft, const struct sl_entry *present, const struct sl_rule *rule,
		     struct sl_rule_request *request, uint32_t *guarantee)
{
	struct sl_admission *book = draft->control->guarantees->book;
	const struct sl_install key = {.rule = request->rule, .origin = request->origin};
	const struct sl_admission_request asked = request_of(rule, draft->apn);
	struct sl_admission_answer answer;
	uint32_t number;
	int rc;

	request->preempted = 0;
	if (!sl_rule_has_gbr(rule)) {
		*guarantee = 0;
		return 0;
	}
	number = present_guarantee(draft, present, &key);
	if (number)
		rc = sl_admission_change(book, number - 1, &asked, &answer, &request->error);
	else
		rc = sl_admission_admit(book, &asked, &answer, &request->error);
	if (rc == 0 && answer.verdict == SL_ADMISSION_REFUSED)
		rc = refuse(draft, rule, &answer, &request->error);
	if (rc == 0 && sl_preemptions_note(draft, &answer, rule) < 0)
		rc = sl_error(&request->error, ENOMEM, "out of memory");
	if (rc < 0)
		return rc;
	request->preempted = answer.victims;
	*guarantee = answer.slot + 1;
	return 0;
}

void sl_guarantee_tell(struct sl_rule_request *request)
{
	if (request->preempted)
		snprintf(request->error.text, sizeof(request->error.text),
			 "%" PRIu32 " rule%s with a GBR gave way to it", request->preempted,
			 request->preempted == 1 ? "" : "s");
}

/* One of its own, for what is in force: never refused. */
static uint32_t restore(struct sl_control *control, const struct sl_session *session, uint8_t apn,
			const struct sl_rule *rule)
{
	const struct sl_admission_request asked = request_of(rule, apn);
	struct sl_error err = {{0}};
	uint32_t slot;

	if (sl_admission_restore(control->guarantees->book, &asked, &slot, &err) == 0)
		return slot + 1;
	sl_log(SL_LOG_ERROR, "guarantee-lost", "imsi", "%s", session->imsi, "rule", "%s", rule->id, "reason",
	       "%s", err.text, NULL);
	return 0;
}

void sl_guarantees_keep(struct sl_draft *draft)
{
	struct sl_control *control = draft->control;
	const struct sl_session *session = draft->session;
	bool moves = session->active && draft->apn != session->apn;

	if (!moves && !draft->separate && draft->twin == session->twin)
		return;
	for (uint32_t i = 0; i < draft->count; i++) {
		struct sl_entry *entry = &draft->entries[i];
		uint32_t *own = &entry->install.guarantee;
		uint32_t twins = twins_guarantee(draft, &entry->install);
		bool is_shared;

		if (entry->requested || entry->preempted || !*own)
			continue;
		is_shared = users(control, *own) > 1;
		if (twins && may_join(draft, twins))
			*own = twins;
		else if (is_shared && (moves || draft->separate))
			*own = restore(control, session, draft->apn, entry->install.rule);
		else if (!is_shared && moves && sl_admission_remove(control->guarantees->book, *own - 1) == 0)
			*own = restore(control, session, draft->apn, entry->install.rule);
	}
}

void sl_guarantees_part(struct sl_control *control, struct sl_session *session)
{
	for (uint32_t i = 0; i < session->install_count; i++) {
		struct sl_install *install = &session->installs[i];
		uint32_t shared = install->guarantee;

		if (!shared || users(control, shared) == 1)
			continue;
		leave(control, shared, session);
		install->guarantee =
			restore(control, session, sl_apn_wanted(control, session, NULL), install->rule);
		if (install->guarantee)
			join(control, install->guarantee, session);
	}
}

void sl_guarantees_abandon(struct sl_draft *draft)
{
	struct sl_admission *book = draft->control->guarantees->book;

	while (draft->victims)
		sl_preemption_forget(draft);
	sl_admission_rewind(book, 0);
	sl_admission_end(book);
}

static bool holds(const struct sl_draft *draft, uint32_t guarantee)
{
	for (uint32_t i = 0; i < draft->count; i++)
		if (draft->entries[i].install.guarantee == guarantee)
			return true;
	return false;
}

void sl_guarantees_commit(struct sl_draft *draft)
{
	struct sl_control *control = draft->control;
	struct sl_guarantees *guarantees = control->guarantees;
	struct sl_session *session = draft->session;

	sl_admission_end(guarantees->book);
	guarantees->refused += draft->refused;
	sl_preemptions_commit(draft);
	for (uint32_t i = 0; i < draft->count; i++)
		if (draft->entries[i].install.guarantee)
			join(control, draft->entries[i].install.guarantee, session);
	for (uint32_t i = 0; i < session->install_count; i++) {
		uint32_t guarantee = session->installs[i].guarantee;

		if (guarantee && !holds(draft, guarantee))
			leave(control, guarantee, session);
	}
}

/* --- the next start ----------------------------------------------------------------------- */

struct adopted {
	struct sl_session *session;
	uint32_t install;
};

static const struct sl_install *install_of(const struct adopted *adopted)
{
	return &adopted->session->installs[adopted->install];
}

static int by_age(const void *left, const void *right)
{
	const struct sl_install *a = install_of(left), *b = install_of(right);

	return (a->since_ns > b->since_ns) - (a->since_ns < b->since_ns);
}

static uint32_t list_adopted(const struct sl_control *control, struct adopted *out)
{
	struct sl_session *session;
	uint32_t count = 0;

	DL_FOREACH (control->all, session) {
		for (uint32_t i = 0; session->active && i < session->install_count; i++) {
			if (!sl_rule_has_gbr(session->installs[i].rule))
				continue;
			if (out)
				out[count] = (struct adopted){session, i};
			count++;
		}
	}
	return count;
}

int sl_guarantees_adopt(struct sl_control *control, struct sl_error *err)
{
	uint32_t count = list_adopted(control, NULL);
	_cleanup_free_ struct adopted *all = calloc((size_t)count + 1, sizeof(*all));

	if (!all)
		return sl_error(err, ENOMEM, "out of memory");
	list_adopted(control, all);
	qsort(all, count, sizeof(*all), by_age);
	for (uint32_t i = 0; i < count; i++) {
		struct sl_session *session = all[i].session;
		struct sl_install *install = &session->installs[all[i].install];
		const struct sl_install *other = sl_twin_install(session->twin, install);
		uint8_t apn = sl_apn_number(control, control->maps->sessions[session->slot].apn);

		if (other && other->guarantee && sl_apn_is_same(control, session, NULL, session->twin))
			install->guarantee = other->guarantee;
		else
			install->guarantee = restore(control, session, apn, install->rule);
		if (install->guarantee)
			join(control, install->guarantee, session);
	}
	return 0;
}
