// SPDX-License-Identifier: Apache-2.0
/*
 * The one way a session changes: draft the next list of rules beside the
 * present one, take everything it needs, write it where no packet looks, then
 * publish with one endpoint write. Until that write every step can be undone.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "control/draft.h"
#include "control/guarantees.h"
#include "control/quotas.h"

#define NS_PER_S 1000000000ull

static void drop_entry(struct sl_draft *draft, struct sl_entry *entry)
{
	sl_classes_undo(draft, entry);
	if (entry->new_usage)
		sl_slots_release(&draft->control->slots, SL_SLOT_USAGE, entry->install.binding.usage, 1);
	sl_rule_record_put(draft->control, entry->install.rule);
}

static void abandon(struct sl_draft *draft)
{
	sl_guarantees_abandon(draft);
	sl_quotas_abandon(draft);
	for (uint32_t i = 0; i < draft->count; i++)
		drop_entry(draft, &draft->entries[i]);
	sl_meters_abandon(draft);
	free(draft->entries);
	free(draft->installs);
}

static struct sl_entry *find_entry(struct sl_draft *draft, const char *id, enum sluice_origin origin)
{
	for (uint32_t i = 0; i < draft->count; i++) {
		const struct sl_install *install = &draft->entries[i].install;

		if (install->origin == origin && strcmp(install->rule->id, id) == 0)
			return &draft->entries[i];
	}
	return NULL;
}

/* A slot for a version not counted before, or the one it had if that was never acknowledged. */
static int take_usage(struct sl_draft *draft, struct sl_entry *entry, struct sl_error *err)
{
	const struct sl_install *install = &entry->install;
	const struct sl_session *session = draft->session;
	uint32_t *usage = &entry->install.binding.usage;
	int rc;

	for (uint32_t i = 0; i < session->retired_count; i++) {
		const struct sl_retired *retired = &session->retired[i];

		if (retired->rule && retired->version == install->version &&
		    retired->origin == install->origin && strcmp(retired->rule->id, install->rule->id) == 0) {
			entry->revived = retired->usage;
			*usage = retired->usage;
			return 0;
		}
	}
	rc = sl_slots_take(&draft->control->slots, SL_SLOT_USAGE, 1, usage, err);
	if (rc < 0)
		return rc;
	sl_usage_clear(draft->control, *usage);
	entry->new_usage = true;
	return 0;
}

static int change_in_place(struct sl_draft *draft, struct sl_entry *entry, struct sl_rule *rule,
			   const struct sl_update *update, struct sl_error *err)
{
	struct sl_rule *before = entry->install.rule;
	int rc;

	entry->install.rule = rule;
	rc = sl_classes_set(draft, entry, err);
	if (rc < 0) {
		entry->install.rule = before;
		sl_classes_forget(entry);
		return rc;
	}
	if (!update->keep_deadlines || before->hard_timeout_s != rule->hard_timeout_s)
		entry->install.binding.deadline_ns =
			rule->hard_timeout_s ? sl_now_ns() + rule->hard_timeout_s * NS_PER_S : 0;
	entry->new_deadline = entry->install.binding.deadline_ns != entry->present->binding.deadline_ns;
	sl_rule_record_put(draft->control, before);
	return 0;
}

static int add_version(struct sl_draft *draft, struct sl_entry *existing, struct sl_rule *rule,
		       const struct sl_rule_request *request, struct sl_error *err)
{
	struct sl_entry fresh = {
		.install = {.rule = rule,
			    .origin = request->origin,
			    .version = request->version,
			    .since_ns = sl_now_ns()},
		.revived = SLUICE_NONE,
		.requested = true,
		.new_deadline = true,
	};
	int rc;

	if (rule->hard_timeout_s)
		fresh.install.binding.deadline_ns = fresh.install.since_ns + rule->hard_timeout_s * NS_PER_S;
	if (existing) {
		fresh.replaces = existing->present;
		fresh.install.binding.uplink_class = existing->install.binding.uplink_class;
		fresh.install.binding.downlink_class = existing->install.binding.downlink_class;
		memcpy(fresh.install.meter, existing->install.meter, sizeof(fresh.install.meter));
	}
	rc = sl_classes_set(draft, &fresh, err);
	if (rc < 0)
		return rc;
	rc = take_usage(draft, &fresh, err);
	if (rc < 0) {
		sl_classes_undo(draft, &fresh);
		return rc;
	}
	if (existing) {
		sl_rule_record_put(draft->control, existing->install.rule);
		*existing = fresh;
	} else {
		draft->entries[draft->count++] = fresh;
	}
	return 0;
}

static void take_out(struct sl_draft *draft, struct sl_entry *entry)
{
	drop_entry(draft, entry);
	*entry = draft->entries[--draft->count];
}

static int draft_rule(struct sl_draft *draft, struct sl_rule_request *request, const struct sl_update *update)
{
	struct sl_error *err = &request->error;
	struct sl_guarantee_mark mark = sl_guarantees_mark(draft);
	struct sl_entry *existing;
	struct sl_rule *rule, asked;
	uint32_t guarantee;
	int rc;

	if (!request->rule)
		return -EINVAL; /* the reader said why */
	rc = sl_rule_validate(request->rule, err);
	if (rc == 0)
		rc = sl_steer_check(draft->control, request->rule, err);
	if (rc == 0)
		rc = sl_apn_check(draft->control, draft->apn, request->rule, err);
	if (rc < 0)
		return rc;
	existing = find_entry(draft, request->id, request->origin);
	if (!sl_rule_fits(request->rule, draft->session->address.family)) {
		/* nobody asked for what it was before any more */
		if (update->refresh && existing && !existing->requested)
			take_out(draft, existing);
		return sl_error(err, EAFNOSUPPORT, "no flow of the rule can match IPv%u",
				draft->session->address.family);
	}
	if (existing && existing->requested)
		return sl_error(err, EEXIST, "rule id \"%.64s\" appears twice in the request", request->id);
	if (!existing && draft->count >= SLUICE_RULES_PER_SESSION)
		return sl_error(err, E2BIG, "the session has %u rules already, the most allowed",
				draft->count);

	asked = *request->rule;
	rc = sl_profile_fill(draft->control, existing ? existing->install.rule : NULL, &asked, err);
	if (rc == 0)
		rc = sl_rule_check_gbr(&asked, err);
	if (rc == 0)
		rc = sl_rule_take(draft->control, &asked, &rule, err);
	if (rc < 0)
		return rc;
	rc = sl_guarantee_ask(draft, existing, rule, request, &guarantee);
	if (rc == 0 && existing && existing->install.version == request->version) {
		rc = change_in_place(draft, existing, rule, update, err);
		if (rc == 0)
			existing->requested = true;
	} else if (rc == 0) {
		rc = add_version(draft, existing, rule, request, err);
	}
	if (rc < 0) {
		sl_guarantees_rewind(draft, &mark);
		sl_rule_record_put(draft->control, rule);
		return rc;
	}
	existing = find_entry(draft, request->id, request->origin);
	existing->install.guarantee = guarantee;
	existing->preempted = false;
	sl_guarantee_tell(request);
	return 0;
}

static int draft_begin(struct sl_draft *draft, const struct sl_update *update)
{
	const struct sl_session *session = draft->session;
	size_t wanted = session->install_count + (update->request ? update->request->rule_count : 0);

	draft->entries = calloc(wanted + 1, sizeof(*draft->entries));
	if (!draft->entries)
		return -ENOMEM;
	for (uint32_t i = 0; i < session->install_count; i++) {
		const struct sl_install *present = &session->installs[i];

		if (update->removes && update->removes(present, update->user))
			continue;
		draft->entries[draft->count++] = (struct sl_entry){
			.install = *present,
			.present = present,
			.revived = SLUICE_NONE,
		};
		sl_rule_ref(present->rule);
	}
	return 0;
}

/* Setup: what was not asked for goes, and so does the old content of a rule whose new one failed. */
static void drop_unrequested(struct sl_draft *draft)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < draft->count; i++) {
		if (draft->entries[i].requested ||
		    sl_session_is_desired(draft->control, draft->session, &draft->entries[i].install))
			draft->entries[kept++] = draft->entries[i];
		else
			drop_entry(draft, &draft->entries[i]);
	}
	draft->count = kept;
}

/*
 * Rules that nobody asked for take the queues they should have: those that were
 * lost, those of a twin. Without it a rule still enforces: it stays in the queue
 * it has or in the default class, and says so; but never in one of another VLAN, nor
 * outside a tree that is asked for: that is the session's error. -ENOSPC: waiting helps, or that.
 */
static int complete_classes(struct sl_draft *draft, bool asked, bool may_wait, struct sl_error *wrong)
{
	for (uint32_t i = 0; i < draft->count; i++) {
		struct sl_entry *entry = &draft->entries[i];
		struct sl_error err = {{0}};

		int rc;

		if (entry->requested)
			continue;
		rc = sl_classes_keep(draft, entry, &err);
		if (rc == 0)
			continue;
		sl_classes_forget(entry);
		if (may_wait && sl_control_waiting_helps(draft->control))
			return -ENOSPC;
		if (sl_vlan_differs(draft, SLUICE_UPLINK, entry->install.binding.uplink_class))
			return sl_error(wrong, -rc, "rule \"%s\" cannot follow the session to its APN: %s",
					entry->install.rule->id, err.text);
		if (sl_classes_escape(draft, entry) && (asked || sl_classes_catch(draft, entry, &err) < 0))
			return sl_error(wrong, -rc, "rule \"%s\" cannot come under the AMBR: %s",
					entry->install.rule->id, err.text);
		sl_control_emit_rule(draft->control, SL_EVENT_RULE_FAILED, draft->session,
				     entry->install.rule->id, entry->install.version, err.text);
	}
	return 0;
}

/* What the update makes of the list of rules. -ENOSPC: something is lacking that comes back. */
static int draft_rules(struct sl_draft *draft, const struct sl_update *update, bool may_wait,
		       struct sl_error *err)
{
	struct sl_session_request *request = update->request;
	struct sl_entry *lost;

	for (size_t i = 0; request && i < request->rule_count; i++) {
		request->rules[i].result = draft_rule(draft, &request->rules[i], update);
		if (may_wait && request->rules[i].result < 0 && sl_control_waiting_helps(draft->control))
			return -ENOSPC;
	}
	sl_guarantees_keep(draft);
	while ((lost = sl_guarantees_lost(draft, request)))
		take_out(draft, lost);
	if (update->exact)
		drop_unrequested(draft);
	if (update->repair || draft->separate || draft->twin != draft->session->twin ||
	    draft->apn != draft->session->apn || sl_trees_changed(draft))
		return complete_classes(draft, request, may_wait, err);
	return 0;
}

static int draft_order(struct sl_draft *draft)
{
	draft->installs = calloc(draft->count + 1, sizeof(*draft->installs));
	if (!draft->installs)
		return -ENOMEM;
	for (uint32_t i = 0; i < draft->count; i++)
		draft->installs[i] = draft->entries[i].install;
	sl_apn_lead(draft->control, draft->apn, draft->session->address.family, draft->installs,
		    draft->count);
	sl_install_sort(draft->installs, draft->count);
	return 0;
}

/* --- the update ----------------------------------------------------------------------- */

static void tell_state(struct sl_control *control, struct sl_session *session, enum sl_session_state was)
{
	static const enum sl_control_event_type types[] = {
		[SL_SESSION_ACTIVE] = SL_EVENT_SESSION_RELEASED,
		[SL_SESSION_RESTRICTED] = SL_EVENT_SESSION_RESTRICTED,
		[SL_SESSION_REDIRECTED] = SL_EVENT_SESSION_REDIRECTED,
	};
	enum sl_session_state now = sl_session_state(session);

	if (was == SL_SESSION_ENDED)
		was = SL_SESSION_ACTIVE;
	if (now != was)
		sl_control_emit(control, types[now], session, NULL);
}

static void tell_policed(const struct sl_draft *draft)
{
	if (draft->fell_back)
		sl_control_emit(draft->control, SL_EVENT_SESSION_POLICED, draft->session, draft->fell_back);
	for (uint32_t i = 0; i < draft->count; i++) {
		const struct sl_entry *entry = &draft->entries[i];

		if (entry->fell_back)
			sl_control_emit_rule(draft->control, SL_EVENT_RULE_POLICED, draft->session,
					     entry->install.rule->id, entry->install.version,
					     entry->fell_back);
	}
}

/* It has lost its twin to another session: what they shared is the others'. */
static void separate(struct sl_control *control, struct sl_session *session)
{
	struct sl_update update = {.separate = true};
	struct sl_error err = {{0}};

	if (session->active && sl_update_session(control, session, &update, &err) < 0)
		sl_log(SL_LOG_ERROR, "separation-failed", "imsi", "%s", session->imsi, "reason", "%s",
		       err.text, NULL);
}

static int try_update(struct sl_control *control, struct sl_session *session, const struct sl_update *update,
		      bool may_wait, struct sl_error *err)
{
	struct sl_draft draft = {.control = control,
				 .session = session,
				 .twin = sl_twin_wanted(control, session, update),
				 .apn = sl_apn_wanted(control, session, update)};
	struct sl_session_request *request = update->request;
	struct sluice_session_record before = control->maps->sessions[session->slot];
	enum sl_session_state was = sl_session_state(session);
	struct sl_image image = {0};
	int rc;

	if (draft.twin && sl_apn_is_same(control, session, update, draft.twin))
		draft.partner = draft.twin;
	draft.separate = update->separate || draft.partner != draft.twin;
	rc = sl_meters_begin(&draft, update, err);
	if (rc < 0)
		return rc;
	rc = draft_begin(&draft, update);
	if (rc < 0) {
		sl_error(err, -rc, "out of memory");
		goto fail;
	}
	sl_guarantees_begin(&draft, update);
	rc = draft_rules(&draft, update, may_wait, err);
	if (rc == 0)
		rc = sl_quotas_draft(&draft, update, err);
	if (rc < 0)
		goto fail;
	sl_meters_bind(&draft);
	rc = draft_order(&draft);
	if (rc == 0)
		rc = sl_session_reserve_retired(session, session->install_count + 1);
	if (rc < 0) {
		sl_error(err, -rc, "out of memory");
		goto fail;
	}
	rc = sl_image_make(control, session, draft.installs, draft.count, draft.apn, &image, err);
	if (rc < 0)
		goto fail;
	sl_subscription_write(&draft, update->refresh ? NULL : request, update->exact);
	sl_owners_prepare(&draft, image.policy);
	sl_vlan_mark(control, draft.apn, draft.installs, draft.count);
	sl_quotas_prepare(&draft);
	rc = sl_draft_publish(&draft, &image, err);
	if (rc < 0) {
		sl_image_abandon(control, &image);
		sl_owners_unprepare(&draft);
		sl_vlan_mark(control, session->apn, session->installs, session->install_count);
		control->maps->sessions[session->slot] = before;
		if (draft.twin)
			sl_twin_record(control, draft.twin, draft.twin->twin);
		goto fail;
	}
	sl_draft_commit(&draft, &image);
	sl_session_count_state(control, session);
	tell_policed(&draft);
	free(draft.entries);
	sl_control_emit(control,
			was == SL_SESSION_ENDED ? SL_EVENT_SESSION_ACTIVATED : SL_EVENT_SESSION_UPDATED,
			session, NULL);
	tell_state(control, session, was);
	sl_quotas_tell(&draft);
	for (size_t i = 0; request && i < request->rule_count; i++)
		if (request->rules[i].result < 0)
			sl_control_emit_rule(control, SL_EVENT_RULE_FAILED, session, request->rules[i].id,
					     request->rules[i].version, request->rules[i].error.text);
	for (size_t i = 0; i < SL_ARRAY_SIZE(draft.left); i++)
		if (draft.left[i])
			separate(control, draft.left[i]);
	sl_tree_follow(control, draft.follows);
	sl_tree_leave(control, draft.alone);
	sl_quotas_follow(control, session);
	sl_guarantees_collect(control);
	return 0;

fail:
	abandon(&draft);
	return rc;
}

int sl_update_session(struct sl_control *control, struct sl_session *session, const struct sl_update *update,
		      struct sl_error *err)
{
	int rc;

	sl_control_lack_nothing(control);
	rc = try_update(control, session, update, true, err);
	if (rc != -ENOSPC || !sl_control_waiting_helps(control))
		return rc;
	/* many sessions that change in one turn leave all that they had to the same grace period */
	sl_control_wait(control);
	return try_update(control, session, update, false, err);
}
