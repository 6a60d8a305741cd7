// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "policy/forest.h"

#define KEY_LAST (UINT64_MAX >> 1)
#define LONGEST	 1200

static struct sl_tree_box boxes[SLUICE_MATCHES_PER_DIRECTION];
static struct sl_forest_entry entries[SLUICE_MATCHES_PER_DIRECTION];

static void set_everything(struct sl_tree_box *box)
{
	*box = (struct sl_tree_box){.decides = true};
	for (int field = 0; field < SL_TREE_FIELDS; field++)
		box->high[field] = KEY_LAST;
}

/* An entry of a rule of its own that names one value of a field. */
static void set_value(uint32_t at, enum sl_tree_field field, uint64_t value)
{
	set_everything(&boxes[at]);
	boxes[at].low[field] = boxes[at].high[field] = value;
	entries[at] = (struct sl_forest_entry){.ordinal = (uint16_t)at};
}

static bool contains(const struct sl_tree_box *box, const uint64_t key[SL_TREE_FIELDS])
{
	for (int field = 0; field < SL_TREE_FIELDS; field++)
		if (key[field] < box->low[field] || key[field] > box->high[field])
			return false;
	return true;
}

static uint32_t blocks_of(uint32_t count)
{
	return (count + SLUICE_MATCH_BLOCK - 1) / SLUICE_MATCH_BLOCK;
}

static uint32_t trees_of(const struct sl_tree *tree)
{
	uint32_t boths = 0;

	while (boths < tree->branch_count && tree->branches[boths].both)
		boths++;
	for (uint32_t i = boths; i < tree->branch_count; i++)
		assert_false(tree->branches[i].both);
	return boths + 1;
}

static uint32_t longest(const struct sl_tree *tree)
{
	uint32_t most = 0;

	for (uint32_t i = 0; i < tree->leaf_count; i++)
		if (tree->leaves[i].count > most)
			most = tree->leaves[i].count;
	return most;
}

/* Every branch and leaf is some branch's child once, a child comes after its parent, and all is within
 * bounds. */
static void assert_sound(const struct sl_tree *tree, uint32_t count)
{
	_cleanup_free_ uint8_t *branch_seen = calloc(tree->branch_count + 1, 1);
	_cleanup_free_ uint8_t *leaf_seen = calloc(tree->leaf_count + 1, 1);
	uint32_t blocks = 0;

	assert_non_null(branch_seen);
	assert_non_null(leaf_seen);
	for (uint32_t i = 0; i < tree->branch_count; i++) {
		for (int side = 0; side < 2; side++) {
			uint32_t child = tree->branches[i].child[side];

			if (child & SLUICE_BRANCH) {
				assert_in_range(child & ~SLUICE_BRANCH, i + 1, tree->branch_count - 1);
				assert_int_equal(branch_seen[child & ~SLUICE_BRANCH]++, 0);
				continue;
			}
			assert_in_range(child, 0, tree->leaf_count - 1);
			assert_int_equal(leaf_seen[child]++, 0);
			assert_int_equal(tree->branches[i].count[side], tree->leaves[child].count);
			blocks += blocks_of(tree->leaves[child].count);
		}
	}
	assert_int_equal(tree->leaf_count, tree->branch_count ? tree->branch_count + 1 : 0);
	assert_true(blocks <= SL_TREE_REPLICATION * blocks_of(count));
	assert_true(tree->branch_count <= SL_TREE_REPLICATION * blocks_of(count));
	assert_true(trees_of(tree) <= SLUICE_TREES);
}

static void build(uint32_t count, struct sl_tree *out)
{
	assert_int_equal(sl_forest_build(boxes, entries, count, out), 0);
	assert_sound(out, count);
}

/* --- packets --------------------------------------------------------------------- */

/* Rules whose time is over; their entries decide nothing. */
static bool over[LONGEST];

static const struct sl_forest_entry *decide(uint32_t index, const uint64_t key[SL_TREE_FIELDS])
{
	return contains(&boxes[index], key) && !over[entries[index].ordinal] ? &entries[index] : NULL;
}

static const struct sl_forest_entry *decide_in_leaf(const struct sl_tree *tree, uint32_t child,
						    const uint64_t key[SL_TREE_FIELDS])
{
	const uint64_t word = key[SL_TREE_REMOTE_PORT] << SLUICE_WORD_REMOTE_PORT |
			      key[SL_TREE_LOCAL_PORT] << SLUICE_WORD_LOCAL_PORT | key[SL_TREE_PROTOCOL];

	while (child & SLUICE_BRANCH) {
		const struct sluice_branch *branch = &tree->branches[child & ~SLUICE_BRANCH];
		uint64_t value = branch->first	  ? key[SL_TREE_FIRST]
				 : branch->second ? key[SL_TREE_SECOND]
						  : word & branch->mask;

		child = branch->child[value < branch->pivot];
	}
	for (uint32_t i = 0; i < tree->leaves[child].count; i++) {
		uint32_t index = tree->entries[tree->leaves[child].first + i];
		const struct sl_forest_entry *found = decide(index, key);

		if (found)
			return found;
	}
	return NULL;
}

/* As packets do: each tree, and the smallest ordinal, the first tree's where it is the same. */
static const struct sl_forest_entry *decide_in_trees(const struct sl_tree *tree,
						     const uint64_t key[SL_TREE_FIELDS])
{
	const struct sl_forest_entry *best = NULL;
	uint32_t child = SLUICE_BRANCH;

	for (;;) {
		const struct sluice_branch *root =
			child & SLUICE_BRANCH ? &tree->branches[child & ~SLUICE_BRANCH] : NULL;
		bool both = root && root->both;
		const struct sl_forest_entry *found =
			decide_in_leaf(tree, both ? root->child[0] : child, key);

		if (found && (!best || found->ordinal < best->ordinal))
			best = found;
		if (!both)
			return best;
		child = root->child[1];
	}
}

static void assert_same_decision(const struct sl_tree *tree, uint32_t count,
				 const uint64_t key[SL_TREE_FIELDS])
{
	const struct sl_forest_entry *wanted = NULL, *found = decide_in_trees(tree, key);

	for (uint32_t i = 0; i < count && !wanted; i++)
		wanted = decide(i, key);
	assert_int_equal(!wanted, !found);
	if (!wanted)
		return;
	assert_int_equal(found->ordinal, wanted->ordinal);
	assert_int_equal(found->action, wanted->action);
}

/* --- random lists ---------------------------------------------------------------- */

static uint64_t last_key(int field)
{
	return field <= SL_TREE_SECOND ? KEY_LAST : field == SL_TREE_PROTOCOL ? 255 : 65536;
}

static uint32_t below(unsigned int *seed, uint32_t bound)
{
	return (uint32_t)rand_r(seed) % bound;
}

/* Values and ranges of one field, now and then of two; the rule is that of the entry before by a chance. */
static void draw_entry(unsigned int *seed, uint32_t at, uint32_t fields)
{
	uint32_t named = 1 + (below(seed, 8) == 0);
	bool same_rule = at > 0 && below(seed, 3) == 0;

	set_everything(&boxes[at]);
	for (uint32_t i = 0; i < named; i++) {
		static const uint8_t order[SL_TREE_FIELDS] = {SL_TREE_FIRST, SL_TREE_REMOTE_PORT,
							      SL_TREE_LOCAL_PORT, SL_TREE_PROTOCOL,
							      SL_TREE_SECOND};
		int field = order[below(seed, fields)];
		uint64_t step = last_key(field) / 256 + 1;

		boxes[at].low[field] = step * below(seed, 256);
		boxes[at].high[field] = boxes[at].low[field] + (below(seed, 8) ? 0 : step * below(seed, 9));
	}
	entries[at].ordinal = at ? (uint16_t)(entries[at - 1].ordinal + !same_rule) : 0;
	entries[at].action = (uint8_t)below(seed, 2);
	if (same_rule && below(seed, 2))
		entries[at].action = entries[at - 1].action;
}

static void draw_times(unsigned int *seed, uint32_t count)
{
	bool timed[LONGEST] = {false};

	memset(over, 0, sizeof(over));
	for (uint32_t i = 0; i < count; i++) {
		timed[i] = below(seed, 4) == 0;
		over[i] = timed[i] && below(seed, 2);
	}
	for (uint32_t i = 0; i < count; i++)
		boxes[i].decides = !timed[entries[i].ordinal] && below(seed, 16);
}

static void a_packet_meets_the_rule_that_decides_in_the_whole_list(void **state)
{
	unsigned int seed = (unsigned int)time(NULL);
	uint32_t lists[SLUICE_TREES + 1] = {0}, met = 0;

	(void)state;
	if (getenv("SEED"))
		seed = (unsigned int)strtoul(getenv("SEED"), NULL, 10);
	print_message("seed %u (SEED=%u repeats it)\n", seed, seed);
	for (int round = 0; round < 200; round++) {
		uint32_t count = 9 + below(&seed, round % 20 ? 150 : LONGEST - 9);
		uint32_t fields = 1 + below(&seed, SL_TREE_FIELDS);
		struct sl_tree tree;

		for (uint32_t i = 0; i < count; i++)
			draw_entry(&seed, i, fields);
		draw_times(&seed, count);
		build(count, &tree);
		lists[trees_of(&tree)]++;
		for (int p = 0; p < 300 && tree.branch_count; p++) {
			uint64_t key[SL_TREE_FIELDS];

			/* each field under some entry */
			for (int field = 0; field < SL_TREE_FIELDS; field++)
				key[field] = boxes[below(&seed, count)].low[field];
			assert_same_decision(&tree, count, key);
			met += decide_in_trees(&tree, key) != NULL;
		}
		sl_tree_clear(&tree);
	}
	memset(over, 0, sizeof(over));
	assert_true(met > 1000);
	for (int trees = 1; trees <= SLUICE_TREES; trees++)
		assert_true(lists[trees] > 0);
}

/* --- shapes ---------------------------------------------------------------------- */

/* Entry i names the field of its turn. */
static void take_turns(uint32_t count, const enum sl_tree_field *fields, uint32_t turns)
{
	for (uint32_t i = 0; i < count; i++)
		set_value(i, fields[i % turns], 2 + i / turns * 7919 % 65521);
}

static void
entries_that_name_different_fields_by_turns_come_into_trees_of_their_own_without_copies(void **state)
{
	static const enum sl_tree_field fields[] = {SL_TREE_FIRST, SL_TREE_REMOTE_PORT, SL_TREE_LOCAL_PORT};
	struct sl_tree tree;

	(void)state;
	for (uint32_t turns = 2; turns <= SLUICE_TREES; turns++) {
		for (uint32_t count = 256; count <= 1000; count += 744) {
			take_turns(count, fields, turns);
			build(count, &tree);
			assert_int_equal(trees_of(&tree), turns);
			assert_int_equal(tree.entry_count, count);
			assert_true(longest(&tree) <= SLUICE_MATCH_BLOCK);
			for (uint32_t i = 0; i < count; i++)
				assert_same_decision(&tree, count, boxes[i].low);
			sl_tree_clear(&tree);
		}
	}
}

static void a_list_that_one_tree_tells_apart_stays_one(void **state)
{
	struct sl_tree tree;

	(void)state;
	for (uint32_t i = 0; i < 1000; i++) {
		set_value(i, SL_TREE_FIRST, i * 7919 % 65521);
		boxes[i].low[SL_TREE_REMOTE_PORT] = boxes[i].high[SL_TREE_REMOTE_PORT] = 1 + i % 2;
	}
	build(1000, &tree);
	assert_int_equal(trees_of(&tree), 1);
	sl_tree_clear(&tree);
}

static void entries_that_nothing_tells_apart_are_one_leaf_beside_a_tree(void **state)
{
	static const enum sl_tree_field fields[] = {SL_TREE_FIRST, SL_TREE_LOCAL_PORT};
	struct sl_tree tree;

	(void)state;
	take_turns(1000, fields, 2);
	for (uint32_t i = 1; i < 1000; i += 2) {
		set_everything(&boxes[i]);
		boxes[i].decides = false;
	}
	build(1000, &tree);
	assert_int_equal(trees_of(&tree), 2);
	assert_true(tree.branches[0].child[0] & SLUICE_BRANCH);
	assert_false(tree.branches[0].child[1] & SLUICE_BRANCH);
	assert_int_equal(tree.branches[0].count[1], 500);
	for (uint32_t i = 0; i < 1000; i++)
		assert_same_decision(&tree, 1000, boxes[i].low);
	sl_tree_clear(&tree);
}

/* A permits what B denies; whichever comes first in the rule must decide what both are about. */
static void flows_of_one_rule_keep_their_order_across_trees(void **state)
{
	static const enum sl_tree_field fields[] = {SL_TREE_FIRST, SL_TREE_REMOTE_PORT};

	(void)state;
	for (int port_first = 0; port_first < 2; port_first++) {
		for (int several_actions = 0; several_actions < 2; several_actions++) {
			uint64_t key[SL_TREE_FIELDS] = {0};
			struct sl_tree tree;

			take_turns(600, fields, 2);
			for (uint32_t i = 0; i < 100; i++) {
				bool port = (i & 1) == (uint32_t)port_first;

				set_value(i, port ? SL_TREE_REMOTE_PORT : SL_TREE_FIRST, 70000 + i / 2);
				if (port)
					boxes[i].low[SL_TREE_REMOTE_PORT] =
						boxes[i].high[SL_TREE_REMOTE_PORT] = 60000 + i / 2;
				entries[i] = (struct sl_forest_entry){
					.ordinal = 0, .action = (uint8_t)(several_actions && (i & 1))};
			}
			build(600, &tree);
			assert_true(trees_of(&tree) > 1);
			for (uint32_t a = 0; a < 50; a++) {
				for (uint32_t b = 0; b < 50; b++) {
					key[SL_TREE_FIRST] = 70000 + a;
					key[SL_TREE_REMOTE_PORT] = 60000 + b;
					assert_same_decision(&tree, 600, key);
				}
			}
			sl_tree_clear(&tree);
		}
	}
}

static void the_longest_lists_are_built_in_time_and_stay_within_their_bounds(void **state)
{
	static const enum sl_tree_field fields[] = {SL_TREE_FIRST, SL_TREE_REMOTE_PORT, SL_TREE_LOCAL_PORT};
	struct timespec begin, end;
	struct sl_tree tree;

	(void)state;
	for (uint32_t turns = 2; turns <= SLUICE_TREES; turns++) {
		take_turns(SLUICE_MATCHES_PER_DIRECTION, fields, turns);
		clock_gettime(CLOCK_MONOTONIC, &begin);
		build(SLUICE_MATCHES_PER_DIRECTION, &tree);
		clock_gettime(CLOCK_MONOTONIC, &end);
		assert_true(end.tv_sec - begin.tv_sec < 5);
		sl_tree_clear(&tree);
	}
	/* nothing tells them apart, in none of the trees */
	for (uint32_t i = 0; i < SLUICE_MATCHES_PER_DIRECTION; i++) {
		set_value(i, fields[i % 3], 7);
		boxes[i].decides = false;
	}
	build(SLUICE_MATCHES_PER_DIRECTION, &tree);
	sl_tree_clear(&tree);
	assert_int_equal(sl_forest_build(boxes, entries, 0, &tree), 0);
	assert_int_equal(tree.branch_count, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_packet_meets_the_rule_that_decides_in_the_whole_list),
		cmocka_unit_test(
			entries_that_name_different_fields_by_turns_come_into_trees_of_their_own_without_copies),
		cmocka_unit_test(a_list_that_one_tree_tells_apart_stays_one),
		cmocka_unit_test(entries_that_nothing_tells_apart_are_one_leaf_beside_a_tree),
		cmocka_unit_test(flows_of_one_rule_keep_their_order_across_trees),
		cmocka_unit_test(the_longest_lists_are_built_in_time_and_stay_within_their_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
