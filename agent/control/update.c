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
#include "control/model.h"

#define NS_PER_S	1000000000ull
#define BUILD_ON_DEMAND 16 /* classes, some milliseconds */

struct entry {
	struct sl_install install;
	const struct sl_install *present;  /* the one it continues, same usage; NULL: it is new */
	const struct sl_install *replaces; /* another version, to be retired; its classes moved here */
	bool requested;			   /* named by this request already */
	bool new_usage;
	bool new_deadline;
	uint32_t revived;			  /* usage taken back from the retired ones; SLUICE_NONE */
	bool assigned[SLUICE_DIRECTIONS];	  /* class taken from the pool for this draft */
	uint64_t old_rate[SLUICE_DIRECTIONS];	  /* 0: the rate was not changed */
	uint16_t unused_class[SLUICE_DIRECTIONS]; /* to be released once published */
};

struct draft {
	struct sl_control *control;
	struct sl_session *session;
	struct entry *entries;
	uint32_t count;
	struct sl_install *installs; /* in order, what becomes the session's */
};

static uint16_t *class_of(struct sl_install *install, int direction)
{
	return direction == SLUICE_UPLINK ? &install->binding.uplink_class : &install->binding.downlink_class;
}

/* A queue serves only what is sent: rules that permit nothing in a direction need none there. */
static bool needs_class(const struct sl_rule *rule, uint32_t family, int direction)
{
	if (!rule->mbr[direction])
		return false;
	for (uint32_t i = 0; i < rule->flow_count; i++) {
		const struct sluice_flow *flow = &rule->flows[i];

		if ((int)flow->direction == direction && flow->action == SLUICE_PERMIT &&
		    (flow->family == 0 || flow->family == family))
			return true;
	}
	return false;
}

static int set_class(struct draft *draft, struct entry *entry, const struct sl_rule *before, int direction,
		     struct sl_error *err)
{
	struct sl_qos *qos = draft->control->config.qos;
	uint16_t *minor = class_of(&entry->install, direction);
	uint64_t rate = entry->install.rule->mbr[direction];
	int rc;

	if (!needs_class(entry->install.rule, draft->session->address.family, direction)) {
		entry->unused_class[direction] = *minor;
		*minor = 0;
		return 0;
	}
	if (!qos)
		return sl_error(err, EOPNOTSUPP, "an MBR of %llu bit/s needs qos.pool > 0",
				(unsigned long long)rate);
	if (*minor == 0) {
		rc = sl_qos_assign(qos, direction, rate, minor, err);
		/* a burst of activations may outrun the pool that is still being built */
		if (rc == -ENOSPC && sl_qos_build(qos, BUILD_ON_DEMAND, NULL) >= 0)
			rc = sl_qos_assign(qos, direction, rate, minor, err);
		if (rc < 0)
			return rc;
		entry->assigned[direction] = true;
		return 0;
	}
	if (before && before->mbr[direction] == rate)
		return 0;
	rc = sl_qos_change(qos, direction, *minor, rate, err);
	if (rc < 0)
		return rc;
	entry->old_rate[direction] = before ? before->mbr[direction] : rate;
	return 0;
}

/* Gives back what the draft took for this entry, classes only. */
static void undo_classes(struct draft *draft, struct entry *entry)
{
	struct sl_qos *qos = draft->control->config.qos;

	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
		uint16_t minor = *class_of(&entry->install, direction);

		if (entry->assigned[direction])
			sl_qos_release(qos, direction, minor);
		else if (entry->old_rate[direction])
			sl_qos_change(qos, direction, minor, entry->old_rate[direction], NULL);
	}
}

static int set_classes(struct draft *draft, struct entry *entry, const struct sl_rule *before,
		       struct sl_error *err)
{
	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
		int rc = set_class(draft, entry, before, direction, err);

		if (rc < 0) {
			undo_classes(draft, entry);
			return rc;
		}
	}
	return 0;
}

static void drop_entry(struct draft *draft, struct entry *entry)
{
	undo_classes(draft, entry);
	if (entry->new_usage)
		sl_slots_release(&draft->control->slots, SL_SLOT_USAGE, entry->install.binding.usage, 1);
	sl_rule_record_put(draft->control, entry->install.rule);
}

static void abandon(struct draft *draft)
{
	for (uint32_t i = 0; i < draft->count; i++)
		drop_entry(draft, &draft->entries[i]);
	free(draft->entries);
	free(draft->installs);
}

static struct entry *find_entry(struct draft *draft, const char *id, enum sluice_origin origin)
{
	for (uint32_t i = 0; i < draft->count; i++) {
		const struct sl_install *install = &draft->entries[i].install;

		if (install->origin == origin && strcmp(install->rule->id, id) == 0)
			return &draft->entries[i];
	}
	return NULL;
}

/* A slot for a version not counted before, or the one it had if that was never acknowledged. */
static int take_usage(struct draft *draft, struct entry *entry, struct sl_error *err)
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
	memset(&draft->control->maps->usage[*usage], 0, sizeof(struct sluice_usage));
	entry->new_usage = true;
	return 0;
}

static int change_in_place(struct draft *draft, struct entry *entry, struct sl_rule *rule,
			   const struct sl_update *update, struct sl_error *err)
{
	struct sl_rule *before = entry->install.rule;
	int rc;

	entry->install.rule = rule;
	rc = set_classes(draft, entry, before, err);
	if (rc < 0) {
		entry->install = *entry->present;
		memset(entry->assigned, 0, sizeof(entry->assigned));
		memset(entry->old_rate, 0, sizeof(entry->old_rate));
		memset(entry->unused_class, 0, sizeof(entry->unused_class));
		return rc;
	}
	if (!update->keep_deadlines || before->hard_timeout_s != rule->hard_timeout_s)
		entry->install.binding.deadline_ns =
			rule->hard_timeout_s ? sl_now_ns() + rule->hard_timeout_s * NS_PER_S : 0;
	entry->new_deadline = entry->install.binding.deadline_ns != entry->present->binding.deadline_ns;
	sl_rule_record_put(draft->control, before);
	return 0;
}

static int add_version(struct draft *draft, struct entry *existing, struct sl_rule *rule,
		       const struct sl_rule_request *request, struct sl_error *err)
{
	struct entry fresh = {
		.install = {.rule = rule,
			    .origin = request->origin,
			    .version = request->version,
			    .since_ns = sl_now_ns()},
		.revived = SLUICE_NONE,
		.requested = true,
		.new_deadline = true,
	};
	const struct sl_rule *before = NULL;
	int rc;

	if (rule->hard_timeout_s)
		fresh.install.binding.deadline_ns = fresh.install.since_ns + rule->hard_timeout_s * NS_PER_S;
	if (existing) {
		before = existing->install.rule;
		fresh.replaces = existing->present;
		fresh.install.binding.uplink_class = existing->install.binding.uplink_class;
		fresh.install.binding.downlink_class = existing->install.binding.downlink_class;
	}
	rc = set_classes(draft, &fresh, before, err);
	if (rc < 0)
		return rc;
	rc = take_usage(draft, &fresh, err);
	if (rc < 0) {
		undo_classes(draft, &fresh);
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

static int draft_rule(struct draft *draft, struct sl_rule_request *request, const struct sl_update *update)
{
	struct sl_error *err = &request->error;
	struct entry *existing;
	struct sl_rule *rule;
	int rc;

	if (!request->rule)
		return -EINVAL; /* the reader said why */
	rc = sl_rule_validate(request->rule, err);
	if (rc < 0)
		return rc;
	if (!sl_rule_fits(request->rule, draft->session->address.family))
		return sl_error(err, EAFNOSUPPORT, "no flow of the rule can match IPv%u",
				draft->session->address.family);
	existing = find_entry(draft, request->id, request->origin);
	if (existing && existing->requested)
		return sl_error(err, EEXIST, "rule id \"%.64s\" appears twice in the request", request->id);
	if (!existing && draft->count >= SLUICE_RULES_PER_SESSION)
		return sl_error(err, E2BIG, "the session has %u rules already, the most allowed",
				draft->count);

	rc = sl_rule_record_get(draft->control, request->rule, &rule, err);
	if (rc < 0)
		return rc;
	if (existing && existing->install.version == request->version) {
		rc = change_in_place(draft, existing, rule, update, err);
		if (rc == 0)
			existing->requested = true;
	} else {
		rc = add_version(draft, existing, rule, request, err);
	}
	if (rc < 0)
		sl_rule_record_put(draft->control, rule);
	return rc;
}

static int draft_begin(struct draft *draft, const struct sl_update *update)
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
		draft->entries[draft->count++] = (struct entry){
			.install = *present,
			.present = present,
			.revived = SLUICE_NONE,
		};
		sl_rule_ref(present->rule);
	}
	return 0;
}

/* Setup: what was not asked for goes, and so does the old content of a rule whose new one failed. */
static void drop_unrequested(struct draft *draft)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < draft->count; i++) {
		if (draft->entries[i].requested)
			draft->entries[kept++] = draft->entries[i];
		else
			drop_entry(draft, &draft->entries[i]);
	}
	draft->count = kept;
}

/* A rule without the queue it should have still enforces: it uses the default class, and says so. */
static void repair_classes(struct draft *draft)
{
	for (uint32_t i = 0; i < draft->count; i++) {
		struct entry *entry = &draft->entries[i];
		struct sl_error err = {{0}};

		if (set_classes(draft, entry, entry->install.rule, &err) == 0)
			continue;
		entry->install.binding = entry->present->binding;
		memset(entry->assigned, 0, sizeof(entry->assigned));
		sl_control_emit_rule(draft->control, SL_EVENT_RULE_FAILED, draft->session,
				     entry->install.rule->id, entry->install.version, err.text);
	}
}

static int draft_order(struct draft *draft)
{
	draft->installs = calloc(draft->count + 1, sizeof(*draft->installs));
	if (!draft->installs)
		return -ENOMEM;
	for (uint32_t i = 0; i < draft->count; i++)
		draft->installs[i] = draft->entries[i].install;
	sl_install_sort(draft->installs, draft->count);
	return 0;
}

/* --- records before, publication, records after ------------------------------ */

static void write_session_record(struct draft *draft, const struct sl_session_request *request)
{
	struct sl_session *session = draft->session;
	struct sluice_session_record *record = &draft->control->maps->sessions[session->slot];

	memcpy(record->imsi, session->imsi, sizeof(record->imsi));
	memcpy(record->address, session->address.bytes, sizeof(record->address));
	record->family = session->address.family;
	record->default_usage = session->default_usage;
	if (!session->active)
		record->since_ns = sl_now_ns();
	if (request) {
		if (request->apn[0])
			memcpy(record->apn, request->apn, sizeof(record->apn));
		if (request->msisdn[0])
			memcpy(record->msisdn, request->msisdn, sizeof(record->msisdn));
		record->uplink_tunnel = request->uplink_tunnel;
		record->downlink_tunnel = request->downlink_tunnel;
		record->shard = request->shard;
		if (request->has_ambr) {
			record->ambr_uplink = request->ambr[SLUICE_UPLINK];
			record->ambr_downlink = request->ambr[SLUICE_DOWNLINK];
		}
	}
	__atomic_store_n((unsigned int *)&record->state, SLUICE_SESSION_ACTIVE, __ATOMIC_RELEASE);
}

/*
 * What the next start will read if this one dies in between: new slots are
 * still free, and rules that change in place say what they are about to become
 * under which policy. So after a crash either the old set or the new one is
 * found, whole.
 */
static void prepare_owners(struct draft *draft, uint32_t policy)
{
	for (uint32_t i = 0; i < draft->count; i++) {
		const struct entry *entry = &draft->entries[i];

		if (entry->new_usage)
			sl_owner_write(draft->control, draft->session, &entry->install, SLUICE_USAGE_FREE);
		else
			sl_owner_pend(draft->control, &entry->install, policy);
	}
}

static void unprepare_owners(struct draft *draft)
{
	for (uint32_t i = 0; i < draft->count; i++)
		if (!draft->entries[i].new_usage)
			sl_owner_unpend(draft->control, draft->entries[i].install.binding.usage);
}

static void unretire_usage(struct sl_control *control, struct sl_session *session, uint32_t usage)
{
	for (uint32_t i = 0; i < session->retired_count; i++) {
		if (session->retired[i].usage != usage)
			continue;
		if (session->retired[i].rule)
			sl_rule_record_put(control, session->retired[i].rule);
		sl_session_unretire(control, session, i);
		return;
	}
}

static bool continued(const struct draft *draft, const struct sl_install *present)
{
	for (uint32_t i = 0; i < draft->count; i++)
		if (draft->entries[i].present == present)
			return true;
	return false;
}

static bool classes_moved(const struct draft *draft, const struct sl_install *present)
{
	for (uint32_t i = 0; i < draft->count; i++)
		if (draft->entries[i].replaces == present)
			return true;
	return false;
}

static void release_class(struct sl_control *control, int direction, uint16_t minor)
{
	if (minor)
		sl_control_defer(control,
				 direction == SLUICE_UPLINK ? SL_SLOT_UPLINK_CLASS : SL_SLOT_DOWNLINK_CLASS,
				 minor, 1);
}

/* Published: nothing can fail any more. */
static void commit(struct draft *draft, const struct sl_image *image)
{
	struct sl_control *control = draft->control;
	struct sl_session *session = draft->session;

	for (uint32_t i = 0; i < session->install_count; i++) {
		const struct sl_install *present = &session->installs[i];

		if (continued(draft, present)) {
			sl_rule_record_put(control, present->rule);
			continue;
		}
		if (!classes_moved(draft, present)) {
			release_class(control, SLUICE_UPLINK, present->binding.uplink_class);
			release_class(control, SLUICE_DOWNLINK, present->binding.downlink_class);
		}
		sl_retire_install(control, session, present);
	}
	for (uint32_t i = 0; i < draft->count; i++) {
		const struct entry *entry = &draft->entries[i];

		for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++)
			release_class(control, direction, entry->unused_class[direction]);
		if (entry->revived != SLUICE_NONE)
			unretire_usage(control, session, entry->revived);
	}
	for (uint32_t i = 0; i < draft->count; i++)
		sl_owner_write(control, session, &draft->entries[i].install, SLUICE_USAGE_ACTIVE);
	if (control->maps->usage_owners[session->default_usage].state != SLUICE_USAGE_ACTIVE)
		sl_owner_write_default(control, session, SLUICE_USAGE_ACTIVE);

	sl_retire_policy(control, session);
	session->policy = image->policy;
	session->overflow_first = image->overflow_first;
	session->overflow_count = image->overflow_count;
	session->ruleset = image->ruleset;
	free(session->installs);
	session->installs = SL_TAKE(draft->installs);
	session->install_count = draft->count;
	for (uint32_t i = 0; i < draft->count; i++)
		if (draft->entries[i].new_deadline && draft->entries[i].install.binding.deadline_ns)
			sl_deadline_note(control, session, &draft->entries[i].install);
	free(draft->entries);
}

static int publish(struct draft *draft, const struct sl_image *image, struct sl_error *err)
{
	struct sl_control *control = draft->control;
	struct sl_session *session = draft->session;
	struct sl_session *displaced = sl_session_find(control, &session->address);
	struct sluice_endpoint endpoint = {.policy = image->policy, .session = session->slot};
	int rc;

	if (displaced == session)
		displaced = NULL;
	if (displaced && sl_session_reserve_retired(displaced, displaced->install_count + 1) < 0)
		return sl_error(err, ENOMEM, "out of memory");
	memcpy(endpoint.imsi, session->imsi, sizeof(endpoint.imsi));
	rc = sl_endpoint_set(control->config.datapath, &session->address, &endpoint, err);
	if (rc < 0)
		return rc;
	if (displaced)
		sl_retire_session(control, displaced, "address taken by another subscriber");
	sl_session_set_active(control, session, true);
	return 0;
}

int sl_update_session(struct sl_control *control, struct sl_session *session, const struct sl_update *update,
		      struct sl_error *err)
{
	struct draft draft = {.control = control, .session = session};
	struct sl_session_request *request = update->request;
	struct sluice_session_record before = control->maps->sessions[session->slot];
	bool was_active = session->active;
	struct sl_image image = {0};
	int rc;

	rc = draft_begin(&draft, update);
	if (rc < 0)
		return sl_error(err, -rc, "out of memory");
	for (size_t i = 0; request && i < request->rule_count; i++)
		request->rules[i].result = draft_rule(&draft, &request->rules[i], update);

	if (update->repair)
		repair_classes(&draft);
	if (update->exact)
		drop_unrequested(&draft);

	rc = draft_order(&draft);
	if (rc == 0)
		rc = sl_session_reserve_retired(session, session->install_count + 1);
	if (rc < 0) {
		sl_error(err, -rc, "out of memory");
		goto fail;
	}
	rc = sl_image_make(control, session, draft.installs, draft.count, &image, err);
	if (rc < 0)
		goto fail;
	write_session_record(&draft, update->refresh ? NULL : request);
	prepare_owners(&draft, image.policy);
	rc = publish(&draft, &image, err);
	if (rc < 0) {
		sl_image_abandon(control, &image);
		unprepare_owners(&draft);
		control->maps->sessions[session->slot] = before;
		goto fail;
	}
	commit(&draft, &image);
	sl_control_emit(control, was_active ? SL_EVENT_SESSION_UPDATED : SL_EVENT_SESSION_ACTIVATED, session,
			NULL);
	for (size_t i = 0; request && i < request->rule_count; i++)
		if (request->rules[i].result < 0)
			sl_control_emit_rule(control, SL_EVENT_RULE_FAILED, session, request->rules[i].id,
					     request->rules[i].version, request->rules[i].error.text);
	return 0;

fail:
	abandon(&draft);
	return rc;
}
