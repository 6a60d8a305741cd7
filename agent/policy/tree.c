// SPDX-License-Identifier: Apache-2.0
#include "policy/tree.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

/* A leaf that may still be split. */
struct node {
	uint64_t low[SL_TREE_FIELDS];
	uint64_t high[SL_TREE_FIELDS];
	uint32_t *entries; /* owned */
	uint32_t count;
	uint32_t parent; /* branch; SLUICE_NONE: the root */
	uint8_t side;
	uint8_t depth;
};

struct builder {
	const struct sl_tree_box *boxes;
	uint64_t *lows, *highs; /* scratch, as many as boxes */
	struct node *heap;	/* of those not looked at yet, the longest first */
	uint32_t waiting;
	struct node *done;
	uint32_t done_count;
	struct sluice_branch *branches;
	uint32_t branch_count;
	uint32_t limit; /* branches */
	uint32_t blocks;
	uint32_t most_blocks;
};

struct split {
	int field;
	uint64_t pivot; /* the first key of the upper side */
	uint32_t below, above;
	uint64_t cost;
};

static uint32_t blocks_of(uint32_t entries)
{
	return (entries + SLUICE_MATCH_BLOCK - 1) / SLUICE_MATCH_BLOCK;
}

/* Shell's, with Ciura's gaps: lists are short, and qsort's calls would be most of the time. */
static void sort_keys(uint64_t *keys, uint32_t count)
{
	static const uint32_t gaps[] = {1750, 701, 301, 132, 57, 23, 10, 4, 1};

	for (size_t g = 0; g < SL_ARRAY_SIZE(gaps); g++) {
		for (uint32_t i = gaps[g]; i < count; i++) {
			uint64_t key = keys[i];
			uint32_t at = i;

			for (; at >= gaps[g] && keys[at - gaps[g]] > key; at -= gaps[g])
				keys[at] = keys[at - gaps[g]];
			keys[at] = key;
		}
	}
}

/* --- what a split would bring ------------------------------------------------- */

static bool covers(const struct sl_tree_box *box, const struct node *region)
{
	for (int f = 0; f < SL_TREE_FIELDS; f++)
		if (box->low[f] > region->low[f] || box->high[f] < region->high[f])
			return false;
	return box->decides;
}

/* Entries of the node that meet the region, up to the first that leaves nothing to those after it. */
static uint32_t gather(const struct builder *builder, const struct node *node, const struct node *region,
		       int field, uint32_t *out)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < node->count; i++) {
		const struct sl_tree_box *box = &builder->boxes[node->entries[i]];

		if (box->high[field] < region->low[field] || box->low[field] > region->high[field])
			continue;
		if (out)
			out[count] = node->entries[i];
		count++;
		if (covers(box, region))
			break;
	}
	return count;
}

static void cut(const struct node *node, const struct split *split, struct node *below, struct node *above)
{
	*below = *above = *node;
	below->high[split->field] = split->pivot - 1;
	above->low[split->field] = split->pivot;
}

/*
 * Long sides cost time, and so do those that many edges still cross: nested
 * ranges all meet in the middle, and only where their edges are can they be
 * told apart.
 */
static uint64_t side_cost(uint64_t entries, uint64_t edges)
{
	return (entries + edges) * (entries + edges);
}

/* The best pivot of one field. False: nothing in the node tells entries apart by it. */
static bool best_pivot(struct builder *builder, const struct node *node, int field, struct split *out)
{
	uint32_t lows = 0, highs = 0, low_at = 0, high_at = 0, edges;
	uint64_t best = UINT64_MAX;
	bool found = false;

	for (uint32_t i = 0; i < node->count; i++) {
		const struct sl_tree_box *box = &builder->boxes[node->entries[i]];

		if (box->low[field] > node->low[field])
			builder->lows[lows++] = box->low[field];
		if (box->high[field] < node->high[field])
			builder->highs[highs++] = box->high[field] + 1;
	}
	edges = lows + highs;
	if (edges == 0)
		return false;
	sort_keys(builder->lows, lows);
	sort_keys(builder->highs, highs);
	while (low_at < lows || high_at < highs) {
		uint32_t before = low_at + high_at, below, above;
		uint64_t pivot, cost;

		if (high_at == highs || (low_at < lows && builder->lows[low_at] < builder->highs[high_at]))
			pivot = builder->lows[low_at];
		else
			pivot = builder->highs[high_at];
		below = node->count - (lows - low_at);
		while (high_at < highs && builder->highs[high_at] == pivot)
			high_at++;
		while (low_at < lows && builder->lows[low_at] == pivot)
			low_at++;
		above = node->count - high_at;
		cost = side_cost(below, before) + side_cost(above, edges - low_at - high_at);
		if (cost < best) {
			best = cost;
			found = true;
			*out = (struct split){.field = field, .pivot = pivot};
		}
	}
	return found;
}

static bool best_split(struct builder *builder, const struct node *node, struct split *out)
{
	bool found = false;

	for (int field = 0; field < SL_TREE_FIELDS; field++) {
		struct node below, above;
		struct split split;

		if (!best_pivot(builder, node, field, &split))
			continue;
		cut(node, &split, &below, &above);
		split.below = gather(builder, node, &below, field, NULL);
		split.above = gather(builder, node, &above, field, NULL);
		if (split.below == node->count && split.above == node->count)
			continue;
		split.cost = side_cost(split.below, 0) + side_cost(split.above, 0);
		if (!found || split.cost < out->cost)
			*out = split;
		found = true;
	}
	return found;
}

/* --- the heap ------------------------------------------------------------------ */

static void heap_push(struct builder *builder, const struct node *node)
{
	uint32_t at = builder->waiting++;

	for (; at > 0 && builder->heap[(at - 1) / 2].count < node->count; at = (at - 1) / 2)
		builder->heap[at] = builder->heap[(at - 1) / 2];
	builder->heap[at] = *node;
}

static struct node heap_pop(struct builder *builder)
{
	struct node longest = builder->heap[0], last = builder->heap[--builder->waiting];
	uint32_t at = 0;

	for (;;) {
		uint32_t child = 2 * at + 1;

		if (child + 1 < builder->waiting &&
		    builder->heap[child + 1].count > builder->heap[child].count)
			child++;
		if (child >= builder->waiting || builder->heap[child].count <= last.count)
			break;
		builder->heap[at] = builder->heap[child];
		at = child;
	}
	builder->heap[at] = last;
	return longest;
}

/* --- building ------------------------------------------------------------------ */

static void describe(struct sluice_branch *branch, const struct split *split)
{
	static const unsigned int shift[SL_TREE_FIELDS] = {
		[SL_TREE_REMOTE_PORT] = SLUICE_WORD_REMOTE_PORT,
		[SL_TREE_LOCAL_PORT] = SLUICE_WORD_LOCAL_PORT,
		[SL_TREE_PROTOCOL] = SLUICE_WORD_PROTOCOL,
	};
	static const uint64_t mask[SL_TREE_FIELDS] = {
		[SL_TREE_REMOTE_PORT] = SLUICE_WORD_PORT_MASK,
		[SL_TREE_LOCAL_PORT] = SLUICE_WORD_PORT_MASK,
		[SL_TREE_PROTOCOL] = 0xff,
	};

	branch->first = split->field == SL_TREE_FIRST;
	branch->second = split->field == SL_TREE_SECOND;
	branch->pivot = split->pivot << shift[split->field];
	branch->mask = mask[split->field] << shift[split->field];
}

static int push_side(struct builder *builder, const struct node *node, const struct split *split,
		     struct node *side, uint32_t count)
{
	side->count = count;
	side->depth = (uint8_t)(node->depth + 1);
	side->entries = malloc((count + 1) * sizeof(*side->entries));
	if (!side->entries)
		return -ENOMEM;
	gather(builder, node, side, split->field, side->entries);
	heap_push(builder, side);
	return 0;
}

/* The node becomes a branch, its sides wait. */
static int apply(struct builder *builder, const struct node *node, const struct split *split)
{
	uint32_t number = builder->branch_count++;
	struct sluice_branch *branch = &builder->branches[number];
	struct node below, above;
	int rc;

	describe(branch, split);
	if (node->parent != SLUICE_NONE)
		builder->branches[node->parent].child[node->side] = SLUICE_BRANCH | number;
	builder->blocks += blocks_of(split->below) + blocks_of(split->above) - blocks_of(node->count);
	cut(node, split, &below, &above);
	below.parent = above.parent = number;
	below.side = 1;
	above.side = 0;
	rc = push_side(builder, node, split, &below, split->below);
	if (rc == 0)
		rc = push_side(builder, node, split, &above, split->above);
	return rc;
}

static bool fits(const struct builder *builder, const struct node *node, const struct split *split)
{
	return builder->branch_count < builder->limit &&
	       builder->blocks - blocks_of(node->count) + blocks_of(split->below) + blocks_of(split->above) <=
		       builder->most_blocks;
}

static int grow(struct builder *builder)
{
	while (builder->waiting > 0) {
		struct node node = heap_pop(builder);
		struct split split;
		int rc;

		if (node.count <= SLUICE_MATCH_BLOCK || node.depth == SLUICE_TREE_DEPTH ||
		    !best_split(builder, &node, &split) || !fits(builder, &node, &split)) {
			builder->done[builder->done_count++] = node;
			continue;
		}
		rc = apply(builder, &node, &split);
		free(node.entries);
		if (rc < 0)
			return rc;
	}
	return 0;
}

static int begin(struct builder *builder, uint32_t count)
{
	struct node root = {.count = count, .parent = SLUICE_NONE};

	builder->most_blocks = SL_TREE_REPLICATION * blocks_of(count);
	builder->blocks = blocks_of(count);
	builder->limit = builder->most_blocks;
	builder->lows = calloc(count, sizeof(*builder->lows));
	builder->highs = calloc(count, sizeof(*builder->highs));
	builder->heap = calloc((size_t)builder->limit + 1, sizeof(*builder->heap));
	builder->done = calloc((size_t)builder->limit + 1, sizeof(*builder->done));
	builder->branches = calloc(builder->limit, sizeof(*builder->branches));
	root.entries = calloc(count, sizeof(*root.entries));
	if (!builder->lows || !builder->highs || !builder->heap || !builder->done || !builder->branches ||
	    !root.entries) {
		free(root.entries);
		return -ENOMEM;
	}
	for (uint32_t i = 0; i < count; i++)
		root.entries[i] = i;
	for (int field = 0; field < SL_TREE_FIELDS; field++)
		root.high[field] = UINT64_MAX >> 1;
	heap_push(builder, &root);
	return 0;
}

static void end(struct builder *builder)
{
	for (uint32_t i = 0; i < builder->waiting; i++)
		free(builder->heap[i].entries);
	for (uint32_t i = 0; i < builder->done_count; i++)
		free(builder->done[i].entries);
	free(builder->lows);
	free(builder->highs);
	free(builder->heap);
	free(builder->done);
	free(builder->branches);
}

static int write_leaves(struct builder *builder, struct sl_tree *tree)
{
	uint32_t total = 0;

	for (uint32_t i = 0; i < builder->done_count; i++)
		total += builder->done[i].count;
	tree->leaves = calloc((size_t)builder->done_count + 1, sizeof(*tree->leaves));
	tree->entries = calloc((size_t)total + 1, sizeof(*tree->entries));
	if (!tree->leaves || !tree->entries)
		return -ENOMEM;
	for (uint32_t i = 0; i < builder->done_count; i++) {
		const struct node *node = &builder->done[i];
		struct sluice_branch *parent = &builder->branches[node->parent];

		parent->child[node->side] = i;
		parent->count[node->side] = (uint16_t)node->count;
		tree->leaves[i] = (struct sl_tree_leaf){.first = tree->entry_count, .count = node->count};
		memcpy(&tree->entries[tree->entry_count], node->entries, node->count * sizeof(uint32_t));
		tree->entry_count += node->count;
	}
	tree->leaf_count = builder->done_count;
	return 0;
}

int sl_tree_build(const struct sl_tree_box *boxes, uint32_t count, struct sl_tree *out)
{
	struct builder builder = {.boxes = boxes};
	struct sl_tree tree = {0};
	int rc;

	if (count == 0) {
		*out = tree;
		return 0;
	}
	rc = begin(&builder, count);
	if (rc == 0)
		rc = grow(&builder);
	if (rc == 0 && builder.branch_count > 0)
		rc = write_leaves(&builder, &tree);
	if (rc < 0) {
		sl_tree_clear(&tree);
		end(&builder);
		return rc;
	}
	tree.branch_count = builder.branch_count;
	if (tree.branch_count > 0)
		tree.branches = SL_TAKE(builder.branches);
	end(&builder);
	*out = tree;
	return 0;
}

void sl_tree_clear(struct sl_tree *tree)
{
	free(tree->branches);
	free(tree->leaves);
	free(tree->entries);
	*tree = (struct sl_tree){0};
}
