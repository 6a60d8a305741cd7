// SPDX-License-Identifier: Apache-2.0
/*
 * Trees: an inner class for a session's AMBR, and the leaves below it. A leaf in
 * use is a user of its tree, so that a tree is never given to another session
 * before its last packet has left the leaves.
 */
#include <assert.h>
#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "qos/private.h"
#include "sluice/limits.h"

static uint32_t leaves_used(const struct sl_qos_side *side, uint16_t tree)
{
	uint32_t used = 0;

	for (uint16_t leaf = 1; leaf <= SL_QOS_TREE_LEAVES; leaf++)
		used += sl_pool_is_used(side->leaves, tree + leaf);
	return used;
}

/* The leaves in use follow what is asked of their tree now. The first failure; the others are done all the
 * same. */
static int bring_leaves(struct sl_qos *qos, struct sl_qos_side *side, uint16_t tree, struct sl_error *err)
{
	int result = 0;

	for (uint16_t leaf = tree + 1; leaf <= tree + SL_QOS_TREE_LEAVES; leaf++) {
		struct sl_qos_rates wanted, kernel;
		int code;

		if (!sl_pool_is_used(side->leaves, leaf))
			continue;
		wanted = sl_qos_wanted(qos, side, leaf);
		kernel = sl_pool_kernel(side->leaves, leaf);
		if (kernel.mbr && sl_qos_same_rates(qos, leaf, kernel, wanted))
			continue;
		code = sl_qos_set_rates(qos, side, leaf, wanted, result ? NULL : err);
		result = result ? result : code;
	}
	return result;
}

static int ask(struct sl_qos *qos, struct sl_qos_side *side, uint16_t tree, uint64_t ambr,
	       struct sl_error *err)
{
	const struct sl_qos_rates rates = {.mbr = sl_qos_within_link(qos, ambr)};
	struct sl_qos_rates before = sl_pool_asked(side->trees, tree);
	struct sl_qos_rates kernel = sl_pool_kernel(side->trees, tree);
	int code = sl_qos_check_rate(rates.mbr, err);

	if (code == 0 && (!kernel.mbr || !sl_qos_same_rates(qos, tree, kernel, rates)))
		code = sl_qos_set_rates(qos, side, tree, rates, err);
	if (code < 0)
		return code;
	sl_pool_set_asked(side->trees, tree, rates);
	code = bring_leaves(qos, side, tree, err);
	if (code < 0 && before.mbr) {
		sl_pool_set_asked(side->trees, tree, before);
		(void)sl_qos_set_rates(qos, side, tree, before, NULL);
		(void)bring_leaves(qos, side, tree, NULL);
	}
	return code;
}

int sl_qos_tree_assign_chosen(struct sl_qos *qos, enum sluice_direction direction, uint64_t ambr,
			      const struct sl_qos_choice *choice, uint16_t *tree, struct sl_error *err)
{
	struct sl_qos_side *side = &qos->side[direction];
	uint16_t taken;
	int code;

	if (!side->trees)
		return sl_error(err, ENOSPC, "no %s tree is free: qos.trees is 0", side->name);
	sl_pool_tick(side->trees, sl_now_ns());
	if (sl_pool_choose(side->trees, choice, &taken) < 0)
		return sl_error(
			err, ENOSPC,
			"no %s tree is free%s: %u of %u that are built are in use, qos.trees is %u",
			side->name,
			sl_pool_used(side->trees) < sl_pool_ready(side->trees) ? " that may be taken yet"
									       : "",
			sl_pool_used(side->trees), sl_pool_ready(side->trees), sl_pool_size(side->trees));
	code = ask(qos, side, taken, ambr, err);
	if (code < 0) {
		sl_pool_release(side->trees, taken);
		return code;
	}
	*tree = taken;
	return 0;
}

int sl_qos_tree_change(struct sl_qos *qos, enum sluice_direction direction, uint16_t tree, uint64_t ambr,
		       struct sl_error *err)
{
	struct sl_qos_side *side = &qos->side[direction];
	int code = sl_qos_check_used(side, side->trees, tree, err);

	return code < 0 ? code : ask(qos, side, tree, ambr, err);
}

int sl_qos_tree_adopt(struct sl_qos *qos, enum sluice_direction direction, uint16_t tree, uint64_t ambr,
		      struct sl_error *err)
{
	struct sl_qos_side *side = &qos->side[direction];
	int code = 0;

	if (!side->trees || !sl_pool_holds(side->trees, tree))
		return sl_qos_check_used(side, side->trees, tree, err);
	if (!sl_pool_is_ready(side->trees, tree))
		code = sl_qos_build_tree(qos, side, tree, err);
	if (code < 0)
		return code;
	sl_pool_tick(side->trees, sl_now_ns());
	if (sl_pool_claim(side->trees, tree) < 0)
		return sl_error(err, EEXIST, "%s tree %x:%x is in use already", side->name, SLUICE_HTB_MAJOR,
				tree);
	code = ask(qos, side, tree, ambr, err);
	if (code < 0)
		sl_pool_release(side->trees, tree);
	return code;
}

int sl_qos_tree_share(struct sl_qos *qos, enum sluice_direction direction, uint16_t tree,
		      struct sl_error *err)
{
	struct sl_qos_side *side = &qos->side[direction];
	int code = sl_qos_check_used(side, side->trees, tree, err);

	if (code == 0)
		sl_pool_share(side->trees, tree);
	return code;
}

uint32_t sl_qos_tree_users(const struct sl_qos *qos, enum sluice_direction direction, uint16_t tree)
{
	const struct sl_qos_side *side = &qos->side[direction];

	if (sl_qos_check_used(side, side->trees, tree, NULL) < 0)
		return 0;
	return sl_pool_users(side->trees, tree) - leaves_used(side, tree);
}

uint64_t sl_qos_tree_rate(const struct sl_qos *qos, enum sluice_direction direction, uint16_t tree)
{
	const struct sl_qos_side *side = &qos->side[direction];

	if (sl_qos_check_used(side, side->trees, tree, NULL) < 0 || !sl_pool_kernel(side->trees, tree).mbr)
		return 0;
	return sl_pool_asked(side->trees, tree).mbr;
}

void sl_qos_tree_release(struct sl_qos *qos, enum sluice_direction direction, uint16_t tree)
{
	struct sl_qos_side *side = &qos->side[direction];
	const struct sl_qos_rates link = {.mbr = qos->link_rate};
	struct sl_error err;

	assert(side->trees);
	if (sl_pool_users(side->trees, tree) == 1) {
		sl_pool_tick(side->trees, sl_now_ns());
		if (!qos->removed && sl_qos_set_rates(qos, side, tree, link, &err) < 0)
			sl_log(SL_LOG_WARNING, "class-not-reset", "reason", "%s", err.text, NULL);
	}
	sl_pool_release(side->trees, tree);
}

int sl_qos_tree_leaf(struct sl_qos *qos, enum sluice_direction direction, uint16_t tree, uint64_t mbr,
		     uint16_t *minor, struct sl_error *err)
{
	const struct sl_qos_rates rates = {.mbr = mbr};
	struct sl_qos_side *side = &qos->side[direction];
	int code = sl_qos_check_used(side, side->trees, tree, err);

	if (code < 0)
		return code;
	for (uint16_t leaf = tree + 1; leaf <= tree + SL_QOS_TREE_LEAVES; leaf++) {
		if (sl_pool_is_used(side->leaves, leaf))
			continue;
		code = sl_qos_adopt(qos, direction, leaf, &rates, err);
		if (code == 0)
			*minor = leaf;
		return code;
	}
	return sl_error(err, ENOSPC, "all %u leaves of %s tree %x:%x are in use", SL_QOS_TREE_LEAVES,
			side->name, SLUICE_HTB_MAJOR, tree);
}

uint16_t sl_qos_tree_of(const struct sl_qos *qos, enum sluice_direction direction, uint16_t minor)
{
	(void)direction;
	return sl_qos_parent(qos, minor);
}
