// SPDX-License-Identifier: Apache-2.0
/*
 * AMBRs that are kept by queues: a session has a tree in a direction, an HTB
 * class with leaves for its rules (agent/qos/qos.h). Twins have one. A session
 * whose AMBR is policed stays so as long as it has one: to move to a tree that
 * has become free would reorder packets that are on their way.
 */
#include <errno.h>
#include <string.h>

#include "base/log.h"
#include "control/draft.h"
#include "qos/shape.h"

#define BUILD_ON_DEMAND 16 /* classes, some milliseconds */

static enum sl_slot_kind tree_kind(int direction)
{
	return direction == SLUICE_UPLINK ? SL_SLOT_UPLINK_TREE : SL_SLOT_DOWNLINK_TREE;
}

bool sl_queues_build_some(struct sl_control *control)
{
	struct sl_qos *qos = control->config.qos;
	int rc = sl_qos_build(qos, BUILD_ON_DEMAND, NULL);

	/* trees and single classes come by turns */
	if (rc > 0)
		rc = sl_qos_build(qos, BUILD_ON_DEMAND, NULL);
	return rc >= 0;
}

/* --- leaves --- */

uint16_t sl_tree_shared(uint16_t tree)
{
	return tree + SL_QOS_TREE_LEAVES;
}

int sl_tree_leaf(struct sl_control *control, int direction, uint16_t tree, uint64_t mbr, uint16_t *minor,
		 struct sl_error *err)
{
	struct sl_qos *qos = control->config.qos;
	uint16_t shared = sl_tree_shared(tree);
	int rc;

	if (!mbr) {
		rc = sl_qos_users(qos, direction, shared)
			     ? sl_qos_share(qos, direction, shared, err)
			     : sl_qos_adopt(qos, direction, shared, &(struct sl_qos_rates){0}, err);
		if (rc == 0)
			*minor = shared;
		return rc;
	}
	for (uint16_t leaf = tree + 1; leaf < shared; leaf++)
		if (!sl_qos_users(qos, direction, leaf))
			return sl_qos_tree_leaf(qos, direction, tree, mbr, minor, err);
	return sl_error(err, ENOSPC, "all %u leaves of the session's tree that rules have alone are taken",
			SL_QOS_TREE_LEAVES - 1);
}

/* --- the tree of a draft --- */

static bool is_wanted(struct sl_draft *draft, int direction)
{
	static const char too_low[] = "the AMBR is below " SL_SHAPE_FLOOR_TEXT ": it is policed, not shaped";
	bool below_floor = draft->ambr[direction] < SL_SHAPE_FLOOR;
	const struct sl_control_config *config = &draft->control->config;
	const struct sl_session *has;
	struct sl_qos_pool_status pool;

	if (!draft->ambr[direction] || config->backend == SL_RATE_POLICE)
		return false;
	if (config->backend == SL_RATE_SHAPE)
		return true;
	if (!config->qos)
		return false;
	/* the AMBR of twins is one: first what that has */
	has = draft->partner && (draft->partner->tree[direction] || draft->partner->meter[direction])
		      ? draft->partner
		      : draft->session;
	if (has->meter[direction] && !has->tree[direction])
		return false;
	if (has->tree[direction] && !(below_floor && draft->ambr_asked))
		return true;
	sl_qos_tree_status(config->qos, direction, &pool);
	if (pool.size && below_floor)
		draft->fell_back = too_low;
	return pool.size && !below_floor;
}

/* Must the draft leave its tree to others? */
static bool must_leave(const struct sl_draft *draft, int direction, uint16_t twin)
{
	const struct sl_qos *qos = draft->control->config.qos;
	uint16_t tree = draft->session->tree[direction];

	if (twin)
		return twin != tree;
	return (draft->separate && sl_qos_tree_users(qos, direction, tree) > 1) ||
	       !sl_vlan_fits_tree(draft, direction, tree);
}

static int take(struct sl_draft *draft, int direction, struct sl_error *err)
{
	struct sl_control *control = draft->control;
	struct sl_qos *qos = control->config.qos;
	uint64_t ambr = draft->ambr[direction];
	uint16_t *tree = &draft->tree[direction];
	struct sl_vlan_wish wish;
	const struct sl_qos_choice choice = sl_vlan_tree_choice(draft, &wish);
	const struct sl_qos_choice *chosen = direction == SLUICE_UPLINK ? &choice : NULL;
	int rc = sl_qos_tree_assign_chosen(qos, direction, ambr, chosen, tree, err);

	/* a burst of activations may outrun the pool that is still being built */
	if (rc == -ENOSPC && sl_queues_build_some(control))
		rc = sl_qos_tree_assign_chosen(qos, direction, ambr, chosen, tree, err);
	if (rc == -ENOSPC)
		control->slots.lacking[tree_kind(direction)] = 1;
	return rc;
}

static int share(struct sl_draft *draft, int direction, uint16_t twin, struct sl_error *err)
{
	int rc = sl_qos_tree_share(draft->control->config.qos, direction, twin, err);

	if (rc == 0)
		draft->tree[direction] = twin;
	return rc;
}

/* The AMBR that was asked for last holds. */
static int change(struct sl_draft *draft, int direction, struct sl_error *err)
{
	struct sl_qos *qos = draft->control->config.qos;
	uint16_t tree = draft->tree[direction];
	uint64_t before = sl_qos_tree_rate(qos, direction, tree);
	int rc;

	if (!draft->ambr_asked || before == draft->ambr[direction])
		return 0;
	rc = sl_qos_tree_change(qos, direction, tree, draft->ambr[direction], err);
	if (rc == 0)
		draft->old_ambr[direction] = before ? before : draft->ambr[direction];
	return rc;
}

int sl_tree_begin(struct sl_draft *draft, int direction, struct sl_error *err)
{
	const struct sl_control_config *config = &draft->control->config;
	uint16_t tree = draft->session->tree[direction];
	uint16_t twin = draft->partner ? draft->partner->tree[direction] : 0;
	int rc;

	if (!is_wanted(draft, direction))
		return 0;
	if (!config->qos)
		return sl_error(err, EOPNOTSUPP, "an AMBR of %llu bit/s needs qos.trees > 0",
				(unsigned long long)draft->ambr[direction]);
	if (tree && !must_leave(draft, direction, twin)) {
		draft->tree[direction] = tree;
		return change(draft, direction, err);
	}
	rc = twin ? share(draft, direction, twin, err) : take(draft, direction, err);
	if (rc == 0) {
		draft->planted[direction] = true;
		return change(draft, direction, err);
	}
	if (rc != -ENOSPC || config->backend != SL_RATE_AUTO || sl_control_waiting_helps(draft->control))
		return sl_error_prefix(err, rc, "the AMBR");
	draft->fell_back = "no HTB tree is free: the AMBR is policed, not shaped";
	return 0;
}

void sl_trees_abandon(struct sl_draft *draft)
{
	struct sl_qos *qos = draft->control->config.qos;

	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
		uint16_t tree = draft->tree[direction];

		if (draft->old_ambr[direction])
			sl_qos_tree_change(qos, direction, tree, draft->old_ambr[direction], NULL);
		if (draft->planted[direction])
			sl_qos_tree_release(qos, direction, tree);
	}
}

bool sl_trees_changed(const struct sl_draft *draft)
{
	return memcmp(draft->tree, draft->session->tree, sizeof(draft->tree)) != 0;
}

static void put(struct sl_control *control, int direction, uint16_t tree)
{
	if (tree)
		sl_control_defer(control, tree_kind(direction), tree, 1);
}

void sl_trees_commit(struct sl_draft *draft)
{
	struct sl_session *session = draft->session;

	if (sl_trees_changed(draft))
		draft->follows = draft->partner;
	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
		if (draft->ambr_asked && draft->metered[direction] && draft->partner &&
		    draft->partner->tree[direction])
			draft->follows = draft->partner;
		if (draft->tree[direction] == session->tree[direction])
			continue;
		put(draft->control, direction, session->tree[direction]);
		session->tree[direction] = draft->tree[direction];
	}
}

void sl_tree_follow(struct sl_control *control, struct sl_session *twin)
{
	struct sl_update update = {.repair = true};
	struct sl_error err = {{0}};

	if (twin && twin->active && sl_update_session(control, twin, &update, &err) < 0)
		sl_log(SL_LOG_ERROR, "twin-not-moved", "imsi", "%s", twin->imsi, "reason", "%s", err.text,
		       NULL);
}

static bool is_in_anothers_tree(const struct sl_control *control, const struct sl_session *session)
{
	for (uint32_t i = 0; i < session->install_count; i++) {
		const struct sluice_binding *binding = &session->installs[i].binding;
		const uint16_t minor[SLUICE_DIRECTIONS] = {binding->uplink_class, binding->downlink_class};

		for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
			uint16_t tree = sl_qos_tree_of(control->config.qos, direction, minor[direction]);

			if (tree && tree != session->tree[direction])
				return true;
		}
	}
	return false;
}

void sl_tree_leave(struct sl_control *control, struct sl_session *session)
{
	if (control->config.qos && session && is_in_anothers_tree(control, session))
		sl_tree_follow(control, session);
}

/* --- the end, and the next start --- */

void sl_trees_release(struct sl_control *control, struct sl_session *session)
{
	struct sluice_session_record *record = &control->maps->sessions[session->slot];

	record->uplink_tree = record->downlink_tree = 0;
	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
		put(control, direction, session->tree[direction]);
		session->tree[direction] = 0;
	}
}

/* As an earlier release had it. */
static bool shares_across_apns(const struct sl_control *control, const struct sl_session *session,
			       bool shares)
{
	return shares && !sl_apn_is_same(control, session, NULL, session->twin);
}

bool sl_trees_adopt(struct sl_control *control, struct sl_session *session)
{
	const struct sluice_session_record *record = &control->maps->sessions[session->slot];
	const uint64_t ambr[SLUICE_DIRECTIONS] = {record->ambr_uplink, record->ambr_downlink};
	const uint16_t recorded[SLUICE_DIRECTIONS] = {record->uplink_tree, record->downlink_tree};
	struct sl_qos *qos = control->config.qos;
	bool complete = true;

	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
		uint16_t tree = recorded[direction];
		int rc = -ENOENT;

		if (!tree)
			continue;
		if (qos && session->twin && session->twin->tree[direction] == tree)
			rc = sl_qos_tree_share(qos, direction, tree, NULL);
		else if (qos && ambr[direction])
			rc = sl_qos_tree_adopt(qos, direction, tree, ambr[direction], NULL);
		if (rc == 0)
			session->tree[direction] = tree;
		/* it keeps the rate until the repair has another tree, or a meter, in its place */
		complete = complete && rc == 0 && control->config.backend != SL_RATE_POLICE &&
			   !shares_across_apns(control, session,
					       session->twin && session->twin->tree[direction] == tree);
	}
	return complete;
}

static int adopt_class(struct sl_control *control, const struct sl_session *session,
		       const struct sl_install *install, int direction, uint16_t minor)
{
	const struct sl_rule *rule = install->rule;
	const struct sl_qos_rates rates = {.mbr = rule->mbr[direction]};
	struct sl_qos *qos = control->config.qos;
	struct sl_qos_rates single;
	uint16_t tree;

	if (!qos)
		return -ENOENT;
	if (sl_twin_class(session->twin, install, direction) == minor)
		return sl_qos_share(qos, direction, minor, NULL);
	tree = sl_qos_tree_of(qos, direction, minor);
	/* where a leaf was there may be a single class now */
	if (!tree && !rule->mbr[direction] && !rule->gbr[direction])
		return -ENOENT;
	if (!tree) {
		single = sl_class_rates(qos, rule, direction);
		return sl_qos_adopt(qos, direction, minor, &single, NULL);
	}
	if (tree != session->tree[direction])
		return -ENOENT;
	return minor == sl_tree_shared(tree) ? sl_tree_leaf(control, direction, tree, 0, &minor, NULL)
					     : sl_qos_adopt(qos, direction, minor, &rates, NULL);
}

bool sl_classes_adopt(struct sl_control *control, const struct sl_session *session,
		      struct sl_install *install)
{
	bool complete = true;

	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
		uint16_t *minor = direction == SLUICE_UPLINK ? &install->binding.uplink_class
							     : &install->binding.downlink_class;

		if (*minor == 0)
			continue;
		/* it keeps the rate until the repair has a meter in its place */
		if (sl_rate_backend_of(control, install->rule) == SL_RATE_POLICE && !session->tree[direction])
			complete = false;
		if (shares_across_apns(control, session,
				       sl_twin_class(session->twin, install, direction) == *minor))
			complete = false;
		if (adopt_class(control, session, install, direction, *minor) == 0)
			continue;
		/* the queue is gone: the repair takes another one */
		*minor = 0;
		complete = false;
	}
	return complete;
}
