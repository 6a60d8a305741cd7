// SPDX-License-Identifier: Apache-2.0
/*
 * After a restart the pinned maps are the truth: an endpoint leads to a policy,
 * the policy to usage slots, their owners to rules. Whatever a crash left half
 * done is not reachable that way, and is finished or forgotten here.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "control/guarantees.h"
#include "control/quotas.h"

/* Lists that were read already, by what policies say of them. */
struct adopted_lists {
	struct {
		uint32_t family;
		uint32_t block[SLUICE_DIRECTIONS];
		uint32_t count[SLUICE_DIRECTIONS];
	} named;
	struct sl_ruleset *ruleset;
	UT_hash_handle hh; /* by named */
};

struct adoption {
	struct sl_control *control;
	struct sl_rule **rule_by_slot; /* maps->size.rules entries, one reference each */
	bool *repair;		       /* by session slot: publish it anew */
	bool *foreign;		       /* by session slot: what is published counts into another's usage */
	struct adopted_lists *lists;
	uint32_t sessions;
	uint32_t repaired;
	uint32_t dropped;
	uint32_t unrepaired;
	struct sl_error *err;
};

static struct sluice_binding *binding_of(const struct sl_maps *maps, struct sluice_policy *policy,
					 uint32_t ordinal)
{
	if (ordinal < SLUICE_INLINE_BINDINGS)
		return &policy->binding[ordinal];
	return &maps->bindings[policy->bindings + ordinal - SLUICE_INLINE_BINDINGS];
}

/*
 * A published policy is never changed, but for this: a class or a meter that the session
 * could not take over is somebody else's, or will be once slots are taken. So its words
 * say at once what the session has, or nothing, whether the repair succeeds or not. Each
 * is read once a packet; none of the values that meet there was ever wrong.
 */
static void disown(struct sluice_binding *published, const struct sluice_binding *own)
{
	__atomic_store_n(&published->uplink_class, own->uplink_class, __ATOMIC_RELAXED);
	__atomic_store_n(&published->downlink_class, own->downlink_class, __ATOMIC_RELAXED);
	__atomic_store_n(&published->uplink_meter, own->uplink_meter, __ATOMIC_RELAXED);
	__atomic_store_n(&published->downlink_meter, own->downlink_meter, __ATOMIC_RELAXED);
}

/* One rule of a published policy; -EINVAL when the records do not tell which. */
static int adopt_install(struct adoption *adoption, struct sl_session *session,
			 struct sluice_binding *binding)
{
	struct sl_control *control = adoption->control;
	struct sluice_usage_owner *owner;
	struct sl_install *install = &session->installs[session->install_count];
	uint32_t usage = binding->usage & ~SLUICE_USAGE_QUOTA;
	struct sl_rule *rule;

	if (usage >= control->maps->size.usage)
		return -EINVAL;
	owner = &control->maps->usage_owners[usage];
	if (owner->session != session->slot || owner->rule >= control->maps->size.rules)
		return -EINVAL;
	rule = adoption->rule_by_slot[owner->rule];
	if (owner->pending_policy == session->policy + 1 && owner->pending_rule < control->maps->size.rules)
		rule = adoption->rule_by_slot[owner->pending_rule];
	if (!rule || sl_idpool_claim(control->slots.pool[SL_SLOT_USAGE], usage, 1) < 0)
		return -EINVAL;
	*install = (struct sl_install){
		.rule = sl_rule_ref(rule),
		.origin = owner->origin,
		.version = owner->version,
		.binding = *binding,
		.charged = binding->usage != usage,
		.since_ns = owner->since_ns,
	};
	install->binding.usage = usage;
	session->install_count++;
	if (!sl_meters_adopt(control, session, install))
		adoption->repair[session->slot] = true;
	if (!sl_classes_adopt(control, session, install))
		adoption->repair[session->slot] = true;
	disown(binding, &install->binding);
	sl_owner_write(control, session, install, SLUICE_USAGE_ACTIVE);
	return 0;
}

static void adopt_installs(struct adoption *adoption, struct sl_session *session,
			   struct sluice_policy *policy)
{
	static const struct sluice_binding nothing;

	for (uint32_t i = 0; i < policy->rules; i++) {
		struct sluice_binding *binding = binding_of(adoption->control->maps, policy, i);

		if (adopt_install(adoption, session, binding) == 0)
			continue;
		disown(binding, &nothing);
		adoption->repair[session->slot] = adoption->foreign[session->slot] = true;
	}
}

static void forget_lists(struct adoption *adoption)
{
	struct adopted_lists *lists, *next;

	HASH_ITER (hh, adoption->lists, lists, next) {
		HASH_DEL(adoption->lists, lists);
		free(lists);
	}
}

/* Lists that many sessions share are read once. Nothing is freed while sessions are adopted. */
static int adopt_lists(struct adoption *adoption, const struct sl_session *session,
		       const struct sluice_policy *policy, struct sl_ruleset **out)
{
	struct adopted_lists *known, wanted = {0};
	int rc;

	wanted.named.family = session->address.family;
	wanted.named.block[SLUICE_UPLINK] = policy->uplink_block;
	wanted.named.count[SLUICE_UPLINK] = policy->uplink_count;
	wanted.named.block[SLUICE_DOWNLINK] = policy->downlink_block;
	wanted.named.count[SLUICE_DOWNLINK] = policy->downlink_count;
	HASH_FIND(hh, adoption->lists, &wanted.named, sizeof(wanted.named), known);
	if (known) {
		known->ruleset->references++;
		*out = known->ruleset;
		return 0;
	}
	rc = sl_ruleset_adopt(adoption->control, policy, session->address.family, out, adoption->err);
	known = rc == 0 ? malloc(sizeof(*known)) : NULL;
	if (!known)
		return rc;
	*known = wanted;
	known->ruleset = *out;
	HASH_ADD(hh, adoption->lists, named, sizeof(known->named), known);
	return 0;
}

/* What these rules compile to must be what the packets scan. */
static bool list_is_current(struct sl_control *control, const struct sl_session *session,
			    struct sl_ruleset *ruleset, const struct sl_install *installs, size_t count)
{
	_cleanup_(sl_source_clear) struct sl_source source = {0};
	struct sl_ruleset_image image = {0};
	bool same;

	if (!ruleset || sl_source_make(installs, count, &session->address, &source) < 0)
		return false;
	if (sl_source_find(control, &source) == ruleset)
		return true;
	if (sl_compile(installs, count, &session->address, &image, NULL) < 0)
		return false;
	control->compilations++;
	same = sl_ruleset_image_equal(&image, &ruleset->image);
	sl_ruleset_image_clear(&image);
	if (same)
		sl_source_keep(control, ruleset, &source);
	return same;
}

static bool image_is_current(struct sl_control *control, const struct sl_session *session)
{
	size_t count = session->install_count;
	size_t before = sl_installs_before_final(session->installs, count);

	if (!list_is_current(control, session, session->ruleset, session->installs, before))
		return false;
	if (!session->final)
		return before == count;
	return list_is_current(control, session, session->final, session->installs + before, count - before);
}

/* The final rules of a session, after all others. NULL: there are none. */
static struct sluice_policy *final_policy(const struct sl_maps *maps, const struct sluice_policy *policy)
{
	uint32_t slot = (uint32_t)(policy - maps->policies) + 1;

	if (!(policy->flags & SLUICE_POLICY_FINAL) || slot >= maps->policy_count ||
	    maps->policies[slot].session != policy->session ||
	    maps->policies[slot].rules > SLUICE_RULES_PER_SESSION)
		return NULL;
	return &maps->policies[slot];
}

static uint32_t overflow_of(const struct sluice_policy *policy)
{
	return policy && policy->rules > SLUICE_INLINE_BINDINGS ? policy->rules - SLUICE_INLINE_BINDINGS : 0;
}

static int adopt_policy(struct adoption *adoption, struct sl_session *session, uint32_t slot)
{
	struct sl_control *control = adoption->control;
	struct sluice_policy *policy, *final;
	int rc;

	if (slot >= control->maps->policy_count)
		return -ERANGE;
	policy = &control->maps->policies[slot];
	if (policy->session != session->slot || policy->rules > SLUICE_RULES_PER_SESSION ||
	    policy->default_usage >= control->maps->size.usage)
		return -EINVAL;
	final = final_policy(control->maps, policy);
	session->overflow_count = overflow_of(policy) + overflow_of(final);
	if (session->overflow_count) {
		session->overflow_first = overflow_of(policy) ? policy->bindings : final->bindings;
		rc = sl_idpool_claim(control->slots.pool[SL_SLOT_BINDING], session->overflow_first,
				     session->overflow_count);
		if (rc < 0) {
			session->overflow_count = 0;
			return rc;
		}
	}
	rc = sl_idpool_claim(control->slots.pool[SL_SLOT_POLICY], slot, final ? 2 : 1);
	if (rc < 0)
		return rc;
	session->policy = slot;
	session->default_usage = policy->default_usage;
	rc = sl_idpool_claim(control->slots.pool[SL_SLOT_USAGE], session->default_usage, 1);
	if (rc < 0) {
		session->default_usage = SLUICE_NONE;
		return rc;
	}
	session->installs =
		calloc((size_t)policy->rules + (final ? final->rules : 0) + 1, sizeof(*session->installs));
	if (!session->installs)
		return -ENOMEM;
	/* lists that cannot be read are made anew from the rules, which can */
	rc = adopt_lists(adoption, session, policy, &session->ruleset);
	if (final && rc != -ENOMEM)
		rc = adopt_lists(adoption, session, final, &session->final);
	if (rc == -ENOMEM)
		return rc;
	adopt_installs(adoption, session, policy);
	if (final)
		adopt_installs(adoption, session, final);
	if (!sl_apn_adopt(control, session, policy) || !image_is_current(control, session))
		adoption->repair[session->slot] = true;
	if (control->maps->usage_owners[session->default_usage].state != SLUICE_USAGE_ACTIVE)
		sl_owner_write_default(control, session, SLUICE_USAGE_ACTIVE);
	sl_deadlines_note(control, session);
	return 0;
}

/* Nor is the next start to take for this session's what another one has by then. */
static void disown_recorded(struct sluice_session_record *record, const struct sl_session *session)
{
	record->uplink_tree = session->tree[SLUICE_UPLINK];
	record->downlink_tree = session->tree[SLUICE_DOWNLINK];
	record->uplink_meter = session->meter[SLUICE_UPLINK];
	record->downlink_meter = session->meter[SLUICE_DOWNLINK];
}

static int adopt_endpoint(const struct sl_address *address, const struct sluice_endpoint *endpoint,
			  void *user)
{
	struct adoption *adoption = user;
	struct sl_control *control = adoption->control;
	struct sluice_session_record *record;
	struct sl_address recorded;
	struct sl_session *session;

	if (endpoint->session >= control->maps->size.sessions)
		goto stray;
	record = &control->maps->sessions[endpoint->session];
	recorded.family = record->family;
	memcpy(recorded.bytes, record->address, sizeof(recorded.bytes));
	if (record->state == SLUICE_SESSION_FREE || !sl_address_same_endpoint(&recorded, address) ||
	    control->by_slot[endpoint->session])
		goto stray;
	if (sl_session_claim(control, endpoint->session, &session) < 0)
		goto stray;
	session->default_usage = SLUICE_NONE;
	sl_twin_adopt(control, session);
	if (!sl_trees_adopt(control, session))
		adoption->repair[session->slot] = true;
	if (!sl_meters_adopt_session(control, session))
		adoption->repair[session->slot] = true;
	disown_recorded(record, session);
	if (adopt_policy(adoption, session, endpoint->policy) < 0) {
		adoption->repair[session->slot] = true;
		sl_log(SL_LOG_WARNING, "adoption-repair", "imsi", "%s", session->imsi, NULL);
	}
	control->maps->sessions[session->slot].state = SLUICE_SESSION_ACTIVE;
	sl_session_set_active(control, session, true);
	sl_profiles_count(session, true);
	adoption->sessions++;
	return 0;

stray:
	/* leads nowhere that we know: packets of it are an unknown subscriber's */
	adoption->dropped++;
	sl_endpoint_delete(control->config.datapath, address, NULL);
	return 0;
}

static struct sl_session *ended_session(struct adoption *adoption, uint32_t slot)
{
	struct sl_control *control = adoption->control;
	struct sl_session *session;

	if (slot >= control->maps->size.sessions)
		return NULL;
	if (control->by_slot[slot])
		return control->by_slot[slot];
	if (control->maps->sessions[slot].state == SLUICE_SESSION_FREE ||
	    sl_session_claim(control, slot, &session) < 0)
		return NULL;
	session->default_usage = SLUICE_NONE;
	control->maps->sessions[slot].state = SLUICE_SESSION_ENDED;
	return session;
}

/* Usage that no published policy counts into any more, and that nobody acknowledged. */
static void adopt_retired(struct adoption *adoption, uint32_t usage)
{
	struct sl_control *control = adoption->control;
	struct sluice_usage_owner *owner = &control->maps->usage_owners[usage];
	struct sl_session *session = ended_session(adoption, owner->session);
	struct sl_rule *rule = NULL;

	if (owner->rule != SLUICE_NONE)
		rule = owner->rule < control->maps->size.rules ? adoption->rule_by_slot[owner->rule] : NULL;
	if (!session || (owner->rule != SLUICE_NONE && !rule) || sl_session_reserve_retired(session, 1) < 0 ||
	    sl_idpool_claim(control->slots.pool[SL_SLOT_USAGE], usage, 1) < 0) {
		memset(owner, 0, sizeof(*owner));
		adoption->dropped++;
		return;
	}
	if (rule)
		owner->rule = rule->record;
	owner->state = SLUICE_USAGE_RETIRED;
	owner->pending_policy = 0;
	sl_session_retire(control, session,
			  (struct sl_retired){
				  .usage = usage,
				  .rule = rule ? sl_rule_ref(rule) : NULL,
				  .origin = owner->origin,
				  .version = owner->version,
			  });
}

static void adopt_usage(struct adoption *adoption)
{
	struct sl_control *control = adoption->control;

	for (uint32_t usage = 0; usage < control->maps->size.usage; usage++) {
		if (control->maps->usage_owners[usage].state == SLUICE_USAGE_FREE ||
		    sl_idpool_is_taken(control->slots.pool[SL_SLOT_USAGE], usage))
			continue;
		adopt_retired(adoption, usage);
	}
	for (uint32_t slot = 0; slot < control->maps->size.sessions; slot++) {
		struct sluice_session_record *record = &control->maps->sessions[slot];

		if (!control->by_slot[slot] && record->state != SLUICE_SESSION_FREE)
			memset(record, 0, sizeof(*record));
		else if (control->by_slot[slot] && !control->by_slot[slot]->twin)
			record->twin = 0;
		if (control->by_slot[slot])
			sl_session_order_retired(control->by_slot[slot]);
	}
}

/* A session whose policy could not be read: its default drop counts on, or anew. */
static int find_default_usage(struct sl_control *control, struct sl_session *session, struct sl_error *err)
{
	int rc;

	sl_session_revive_default(control, session);
	if (session->default_usage != SLUICE_NONE)
		return 0;
	rc = sl_slots_take(&control->slots, SL_SLOT_USAGE, 1, &session->default_usage, err);
	if (rc == 0)
		sl_usage_clear(control, session->default_usage);
	return rc;
}

/* False: there is no memory to keep its usage. */
static bool end_session(struct sl_control *control, struct sl_session *session, const struct sl_error *why)
{
	struct sl_session *twin = session->twin;

	if (session->default_usage != SLUICE_NONE &&
	    sl_session_reserve_retired(session, session->install_count + 1) < 0)
		return false;
	sl_log(SL_LOG_ERROR, "adoption-ended", "imsi", "%s", session->imsi, "reason", "%s", why->text, NULL);
	/* one that stays is no session's any more: the audit removes it */
	sl_endpoint_delete(control->config.datapath, &session->address, NULL);
	sl_retire_session(control, session, why->text);
	sl_session_collect_ended(control, session);
	sl_tree_leave(control, twin);
	return true;
}

/* What is wrong with one session is no reason to leave all others without an agent. */
static void repair_session(struct adoption *adoption, struct sl_session *session)
{
	static const struct sl_update repair = {.repair = true};
	struct sl_control *control = adoption->control;
	struct sl_error err = {{0}};
	int rc = 0;

	if (session->default_usage == SLUICE_NONE)
		rc = find_default_usage(control, session, &err);
	if (rc == 0)
		rc = sl_update_session(control, session, &repair, &err);
	if (rc == 0) {
		adoption->repaired++;
		return;
	}
	/* what packets would go on reading of it is not its own, or will be another's */
	if ((session->default_usage == SLUICE_NONE || session->policy == SLUICE_NONE || !session->ruleset ||
	     adoption->foreign[session->slot]) &&
	    end_session(control, session, &err))
		return;
	session->unrepaired = true;
	if (adoption->unrepaired++ == 0)
		sl_log(SL_LOG_ERROR, "adoption-unrepaired", "imsi", "%s", session->imsi, "reason", "%s",
		       err.text, NULL);
}

static void repair_sessions(struct adoption *adoption)
{
	struct sl_control *control = adoption->control;

	for (uint32_t slot = 0; slot < control->maps->size.sessions; slot++) {
		struct sl_session *session = control->by_slot[slot];

		/* an earlier repair may have waited: usage that nobody waits for has gone meanwhile */
		if (session && session->active && adoption->repair[slot])
			repair_session(adoption, session);
	}
}

int sl_control_adopt(struct sl_control *control, struct sl_error *err)
{
	_cleanup_free_ struct sl_rule **rules = calloc(control->maps->size.rules, sizeof(*rules));
	_cleanup_free_ bool *repair = calloc(control->maps->size.sessions, sizeof(*repair));
	_cleanup_free_ bool *foreign = calloc(control->maps->size.sessions, sizeof(*foreign));
	struct adoption adoption = {
		.control = control, .rule_by_slot = rules, .repair = repair, .foreign = foreign, .err = err};
	int rc;

	if (!rules || !repair || !foreign)
		return sl_error(err, ENOMEM, "out of memory");
	sl_folds_adopt(control);
	adoption.dropped = sl_rule_records_adopt(control, rules);
	rc = sl_control_open(control, err);
	if (rc < 0)
		return rc;
	rc = sl_endpoint_each(control->config.datapath, adopt_endpoint, &adoption);
	forget_lists(&adoption);
	if (rc < 0)
		return sl_error(err, -rc, "cannot read the endpoint maps: %s", strerror(-rc));
	adopt_usage(&adoption);
	sl_rule_records_forget_duplicates(control, rules);
	rc = sl_guarantees_adopt(control, err);
	if (rc < 0)
		return rc;
	rc = sl_quotas_adopt(control, repair, err);
	if (rc < 0)
		return rc;
	repair_sessions(&adoption);
	sl_vlans_settle(control);
	/* sessions that are as they were need what they lead to until the next start */
	if (!adoption.unrepaired)
		sl_apns_settle(control);
	/* the references of the table by slot; a rule that nothing uses goes with them */
	for (uint32_t slot = 0; slot < control->maps->size.rules; slot++)
		if (rules[slot])
			sl_rule_record_put(control, rules[slot]);
	sl_log(adoption.unrepaired ? SL_LOG_WARNING : SL_LOG_INFO, "state-adopted", "sessions", "%u",
	       adoption.sessions, "repaired", "%u", adoption.repaired, "unrepaired", "%u",
	       adoption.unrepaired, "dropped", "%u", adoption.dropped, NULL);
	return 0;
}
