// SPDX-License-Identifier: Apache-2.0
#include "policy/forest.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define KEY_LAST (UINT64_MAX >> 1)

/* What a packet takes, in nanoseconds: measured by `make bench`, rounded; only their ratios matter. */
#define COST_TREE   10
#define COST_BRANCH 5
#define COST_ENTRY  2

/* By the first field that an entry names. */
enum group {
	GROUP_REMOTE,
	GROUP_REMOTE_PORT,
	GROUP_OTHERS, /* a local port, a protocol, terms alone */
	GROUPS,
};

/* The tree of each group; from few trees to many. */
static const uint8_t divisions[][GROUPS] = {{0, 1, 1}, {0, 1, 2}};

/* --- what a list costs ----------------------------------------------------------- */

static uint32_t blocks_of(uint32_t entries)
{
	return (entries + SLUICE_MATCH_BLOCK - 1) / SLUICE_MATCH_BLOCK;
}

static uint32_t tree_blocks(const struct sl_tree *tree)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < tree->leaf_count; i++)
		sum += blocks_of(tree->leaves[i].count);
	return sum;
}

/* Means over leaves, by the entries they have. */
struct cost {
	uint64_t descent;
	uint64_t scan;
};

static uint64_t total(const struct cost *cost)
{
	return COST_TREE + cost->descent + cost->scan;
}

/* `depth` is room for a number per branch. */
static void cost_of_leaves(const struct sl_tree *tree, uint8_t *depth, struct cost *out)
{
	uint64_t descent = 0, scan = 0;

	depth[0] = 1;
	for (uint32_t i = 0; i < tree->branch_count; i++) {
		const struct sluice_branch *branch = &tree->branches[i];

		for (int side = 0; side < 2; side++) {
			uint64_t entries = branch->count[side];

			if (branch->child[side] & SLUICE_BRANCH) {
				depth[branch->child[side] & ~SLUICE_BRANCH] = (uint8_t)(depth[i] + 1);
				continue;
			}
			descent += COST_BRANCH * depth[i] * entries;
			scan += COST_ENTRY * entries * entries;
		}
	}
	*out = (struct cost){.descent = descent / (tree->entry_count + 1),
			     .scan = scan / (tree->entry_count + 1)};
}

/* A list of `count` entries; without branches it is one run. */
static int measure(const struct sl_tree *tree, uint32_t count, struct cost *out)
{
	_cleanup_free_ uint8_t *depth = malloc((size_t)tree->branch_count + 1);

	if (!depth)
		return -ENOMEM;
	if (tree->branch_count == 0)
		*out = (struct cost){.scan = (uint64_t)COST_ENTRY * count};
	else
		cost_of_leaves(tree, depth, out);
	return 0;
}

/* A list that nothing resists in: full blocks, no copies; and half of that again. */
static uint64_t tolerable_cost(uint32_t count)
{
	struct cost cost = {.scan = COST_ENTRY * SLUICE_MATCH_BLOCK};

	for (uint32_t leaves = blocks_of(count); leaves > 1; leaves = (leaves + 1) / 2)
		cost.descent += COST_BRANCH;
	return total(&cost) * 3 / 2;
}

/* --- which entry in which tree --------------------------------------------------- */

static enum group group_of(const struct sl_tree_box *box)
{
	if (box->low[SL_TREE_FIRST] > 0 || box->high[SL_TREE_FIRST] < KEY_LAST ||
	    box->low[SL_TREE_SECOND] > 0 || box->high[SL_TREE_SECOND] < KEY_LAST)
		return GROUP_REMOTE;
	/* from the key 1 on: any port, but a port */
	if (box->low[SL_TREE_REMOTE_PORT] > 1 || box->high[SL_TREE_REMOTE_PORT] < KEY_LAST)
		return GROUP_REMOTE_PORT;
	return GROUP_OTHERS;
}

/* Entries of one tree: their boxes, and where in the list they come from. */
struct share {
	struct sl_tree_box *boxes; /* owned, as is `origin` */
	uint32_t *origin;
	uint32_t count;
	struct sl_tree tree;
	struct cost cost;
};

static void clear_shares(struct share (*shares)[SLUICE_TREES])
{
	for (int i = 0; i < SLUICE_TREES; i++) {
		free((*shares)[i].boxes);
		free((*shares)[i].origin);
		sl_tree_clear(&(*shares)[i].tree);
	}
}

static int share_add(struct share *share, const struct sl_tree_box *box, uint32_t origin, uint32_t count)
{
	if (!share->boxes) {
		share->boxes = calloc(count, sizeof(*share->boxes));
		share->origin = calloc(count, sizeof(*share->origin));
		if (!share->boxes || !share->origin)
			return -ENOMEM;
	}
	share->boxes[share->count] = *box;
	share->origin[share->count++] = origin;
	return 0;
}

static int divide(const struct sl_tree_box *boxes, const struct sl_forest_entry *entries, uint32_t count,
		  const uint8_t division[GROUPS], struct share shares[SLUICE_TREES])
{
	const struct sl_forest_entry *first = entries;
	bool several_actions = false;
	uint32_t last = 0; /* tree of the rule so far */

	for (uint32_t i = 0; i < count; i++) {
		uint32_t number = division[group_of(&boxes[i])];
		int rc;

		if (entries[i].ordinal != first->ordinal) {
			first = &entries[i];
			several_actions = false;
			last = 0;
		}
		if (entries[i].action != first->action)
			several_actions = true;
		if (several_actions && number < last)
			number = last;
		if (number > last)
			last = number;
		rc = share_add(&shares[number], &boxes[i], i, count);
		if (rc < 0)
			return rc;
	}
	return 0;
}

/* --- several trees to one -------------------------------------------------------- */

static void append(struct sl_tree *out, const struct share *share)
{
	const struct sl_tree *tree = &share->tree;

	for (uint32_t i = 0; i < tree->branch_count; i++) {
		struct sluice_branch branch = tree->branches[i];

		for (int side = 0; side < 2; side++)
			branch.child[side] +=
				branch.child[side] & SLUICE_BRANCH ? out->branch_count : out->leaf_count;
		out->branches[out->branch_count + i] = branch;
	}
	for (uint32_t i = 0; i < tree->leaf_count; i++) {
		out->leaves[out->leaf_count + i] = tree->leaves[i];
		out->leaves[out->leaf_count + i].first += out->entry_count;
	}
	for (uint32_t i = 0; i < tree->entry_count; i++)
		out->entries[out->entry_count + i] = share->origin[tree->entries[i]];
	out->branch_count += tree->branch_count;
	out->leaf_count += tree->leaf_count;
	out->entry_count += tree->entry_count;
}

/* A share that needs no branches is a leaf. */
static void append_leaf(struct sl_tree *out, const struct share *share)
{
	out->leaves[out->leaf_count++] =
		(struct sl_tree_leaf){.first = out->entry_count, .count = share->count};
	memcpy(&out->entries[out->entry_count], share->origin, share->count * sizeof(*share->origin));
	out->entry_count += share->count;
}

static void join_shares(const struct share shares[SLUICE_TREES], uint32_t used, struct sl_tree *out)
{
	uint32_t joint = 0, at = 0; /* the branch and the side that wait for a tree */

	out->branch_count = used - 1;
	for (int i = 0; i < SLUICE_TREES; i++) {
		const struct share *share = &shares[i];
		bool leaf = share->tree.branch_count == 0;

		if (share->count == 0)
			continue;
		out->branches[joint].both = 1;
		out->branches[joint].child[at] = leaf ? out->leaf_count : SLUICE_BRANCH | out->branch_count;
		out->branches[joint].count[at] = leaf ? (uint16_t)share->count : 0;
		if (leaf)
			append_leaf(out, share);
		else
			append(out, share);
		if (joint + 2 == used) {
			at = 1;
			continue;
		}
		out->branches[joint].child[1] = SLUICE_BRANCH | (joint + 1);
		joint++;
	}
}

static int allocate(const struct share shares[SLUICE_TREES], uint32_t used, struct sl_tree *out)
{
	size_t branches = used, leaves = 0, entries = 0;

	for (int i = 0; i < SLUICE_TREES; i++) {
		branches += shares[i].tree.branch_count;
		leaves += shares[i].tree.leaf_count + 1;
		entries += shares[i].tree.entry_count + shares[i].count;
	}
	out->branches = calloc(branches, sizeof(*out->branches));
	out->leaves = calloc(leaves, sizeof(*out->leaves));
	out->entries = calloc(entries, sizeof(*out->entries));
	return out->branches && out->leaves && out->entries ? 0 : -ENOMEM;
}

/* A packet descends the first two at the same time. */
static uint64_t division_cost(const struct share shares[SLUICE_TREES])
{
	uint64_t sum = 0, saved = UINT64_MAX;
	int descents = 0;

	for (int i = 0; i < SLUICE_TREES; i++) {
		if (shares[i].count == 0)
			continue;
		sum += total(&shares[i].cost);
		if (descents++ < 2 && shares[i].cost.descent < saved)
			saved = shares[i].cost.descent;
	}
	return sum - saved;
}

/* A tree of trees with its cost; branch_count 0: the division is none, or too large. */
static int build_division(const struct sl_tree_box *boxes, const struct sl_forest_entry *entries,
			  uint32_t count, const uint8_t division[GROUPS], struct sl_tree *out, uint64_t *cost)
{
	_cleanup_(clear_shares) struct share shares[SLUICE_TREES] = {0};
	struct sl_tree tree = {0};
	uint32_t used = 0;
	int rc;

	rc = divide(boxes, entries, count, division, shares);
	for (int i = 0; i < SLUICE_TREES; i++)
		used += shares[i].count > 0;
	if (rc < 0 || used < 2)
		return rc;
	for (int i = 0; i < SLUICE_TREES && rc == 0; i++) {
		if (shares[i].count == 0)
			continue;
		rc = sl_tree_build(shares[i].boxes, shares[i].count, &shares[i].tree);
		if (rc == 0)
			rc = measure(&shares[i].tree, shares[i].count, &shares[i].cost);
	}
	if (rc == 0)
		rc = allocate(shares, used, &tree);
	if (rc < 0) {
		sl_tree_clear(&tree);
		return rc;
	}
	*cost = division_cost(shares);
	join_shares(shares, used, &tree);
	if (tree_blocks(&tree) > SL_TREE_REPLICATION * blocks_of(count) ||
	    tree.branch_count > SL_TREE_REPLICATION * blocks_of(count))
		sl_tree_clear(&tree);
	*out = tree;
	return 0;
}

int sl_forest_build(const struct sl_tree_box *boxes, const struct sl_forest_entry *entries, uint32_t count,
		    struct sl_tree *out)
{
	struct sl_tree best = {0};
	struct cost undivided = {0};
	uint64_t best_cost;
	int rc;

	rc = sl_tree_build(boxes, count, &best);
	if (rc == 0)
		rc = measure(&best, count, &undivided);
	best_cost = total(&undivided);
	for (size_t i = 0; rc == 0 && i < SL_ARRAY_SIZE(divisions); i++) {
		struct sl_tree tree = {0};
		uint64_t cost = 0;

		if (best_cost <= tolerable_cost(count))
			break;
		rc = build_division(boxes, entries, count, divisions[i], &tree, &cost);
		if (tree.branch_count == 0 || cost >= best_cost) {
			sl_tree_clear(&tree);
			continue;
		}
		sl_tree_clear(&best);
		best = tree;
		best_cost = cost;
	}
	if (rc < 0) {
		sl_tree_clear(&best);
		return rc;
	}
	*out = best;
	return 0;
}
