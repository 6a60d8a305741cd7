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
#include "policy/tree.h"

#define KEY_LAST (UINT64_MAX >> 1)

static struct sl_tree_box everything(void)
{
	struct sl_tree_box box = {.decides = true};

	for (int field = 0; field < SL_TREE_FIELDS; field++)
		box.high[field] = KEY_LAST;
	return box;
}

static bool contains(const struct sl_tree_box *box, const uint64_t key[SL_TREE_FIELDS])
{
	for (int field = 0; field < SL_TREE_FIELDS; field++)
		if (key[field] < box->low[field] || key[field] > box->high[field])
			return false;
	return true;
}

static uint64_t transport_word(const uint64_t key[SL_TREE_FIELDS])
{
	return key[SL_TREE_REMOTE_PORT] << SLUICE_WORD_REMOTE_PORT |
	       key[SL_TREE_LOCAL_PORT] << SLUICE_WORD_LOCAL_PORT | key[SL_TREE_PROTOCOL];
}

/* The leaf that a packet with these keys falls into, found as packets find it. */
static struct sl_tree_leaf descend(const struct sl_tree *tree, const uint64_t key[SL_TREE_FIELDS])
{
	uint32_t child = SLUICE_BRANCH;
	int depth = 0;

	for (; child & SLUICE_BRANCH; depth++) {
		const struct sluice_branch *branch = &tree->branches[child & ~SLUICE_BRANCH];
		uint64_t word = branch->first	 ? key[SL_TREE_FIRST]
				: branch->second ? key[SL_TREE_SECOND]
						 : transport_word(key) & branch->mask;
		int side = word < branch->pivot;

		assert_true(depth < SLUICE_TREE_DEPTH);
		child = branch->child[side];
		if (!(child & SLUICE_BRANCH))
			assert_int_equal(branch->count[side], tree->leaves[child].count);
	}
	assert_in_range(child, 0, tree->leaf_count - 1);
	return tree->leaves[child];
}

/*
 * Of the entries that can match, in order: the leaf has the same as the whole
 * list, up to one that leaves nothing to those after it.
 */
static void assert_same_candidates(const struct sl_tree_box *boxes, uint32_t count,
				   const struct sl_tree *tree, const uint64_t key[SL_TREE_FIELDS])
{
	struct sl_tree_leaf leaf = descend(tree, key);
	const uint32_t *entry = &tree->entries[leaf.first];
	uint32_t at = 0;

	for (uint32_t i = 0; i < count; i++) {
		if (!contains(&boxes[i], key))
			continue;
		while (at < leaf.count && !contains(&boxes[entry[at]], key))
			at++;
		if (at == leaf.count)
			fail_msg("entry %u of %u is missing in its leaf", i, count);
		assert_int_equal(entry[at], i);
		at++;
		if (boxes[i].decides)
			return;
	}
	while (at < leaf.count)
		assert_false(contains(&boxes[entry[at++]], key));
}

static uint32_t blocks(const struct sl_tree *tree)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i < tree->leaf_count; i++)
		sum += (tree->leaves[i].count + SLUICE_MATCH_BLOCK - 1) / SLUICE_MATCH_BLOCK;
	return sum;
}

static uint32_t longest(const struct sl_tree *tree)
{
	uint32_t most = 0;

	for (uint32_t i = 0; i < tree->leaf_count; i++)
		if (tree->leaves[i].count > most)
			most = tree->leaves[i].count;
	return most;
}

static uint32_t blocks_of_list(uint32_t count)
{
	return (count + SLUICE_MATCH_BLOCK - 1) / SLUICE_MATCH_BLOCK;
}

/* Every branch and leaf is some branch's child once, and a child comes after its parent. */
static void assert_sound(const struct sl_tree *tree, uint32_t count)
{
	_cleanup_free_ uint8_t *branch_seen = calloc(tree->branch_count + 1, 1);
	_cleanup_free_ uint8_t *leaf_seen = calloc(tree->leaf_count + 1, 1);

	assert_non_null(branch_seen);
	assert_non_null(leaf_seen);
	for (uint32_t i = 0; i < tree->branch_count; i++) {
		for (int side = 0; side < 2; side++) {
			uint32_t child = tree->branches[i].child[side];

			if (child & SLUICE_BRANCH) {
				assert_in_range(child & ~SLUICE_BRANCH, i + 1, tree->branch_count - 1);
				assert_int_equal(branch_seen[child & ~SLUICE_BRANCH]++, 0);
			} else {
				assert_in_range(child, 0, tree->leaf_count - 1);
				assert_int_equal(leaf_seen[child]++, 0);
			}
		}
	}
	assert_int_equal(tree->leaf_count, tree->branch_count ? tree->branch_count + 1 : 0);
	assert_true(blocks(tree) <= 8 * blocks_of_list(count));
	assert_true(tree->branch_count <= 8 * blocks_of_list(count));
}

static uint64_t draw(unsigned int *seed)
{
	return (uint64_t)rand_r(seed) << 32 ^ (uint64_t)rand_r(seed) << 16 ^ (uint64_t)rand_r(seed);
}

/* Few edges, so that boxes meet, touch and repeat. */
static uint64_t draw_key(unsigned int *seed, int field)
{
	static const uint64_t last[SL_TREE_FIELDS] = {UINT64_MAX >> 1, UINT64_MAX >> 1, 65536, 65536, 255};
	uint64_t key;

	switch (rand_r(seed) % 8) {
	case 0:
		return 0;
	case 1:
		return last[field];
	case 2:
		return draw(seed) % (last[field] + 1);
	default:
		key = (last[field] / 16) * (uint64_t)(rand_r(seed) % 16);
		return key + (uint64_t)(rand_r(seed) % 3);
	}
}

static void draw_box(unsigned int *seed, struct sl_tree_box *box)
{
	*box = everything();
	box->decides = rand_r(seed) % 4 != 0;
	for (int field = 0; field < SL_TREE_FIELDS; field++) {
		uint64_t a = draw_key(seed, field), b = rand_r(seed) % 2 ? a : draw_key(seed, field);

		if (rand_r(seed) % 3 == 0)
			continue;
		box->low[field] = a < b ? a : b;
		box->high[field] = a < b ? b : a;
	}
}

/* Inside a box, on its edges, one off them, anywhere. */
static void draw_point(unsigned int *seed, const struct sl_tree_box *boxes, uint32_t count,
		       uint64_t key[SL_TREE_FIELDS])
{
	static const uint64_t last[SL_TREE_FIELDS] = {UINT64_MAX >> 1, UINT64_MAX >> 1, 65536, 65536, 255};
	const struct sl_tree_box *box = &boxes[(uint32_t)rand_r(seed) % count];

	for (int field = 0; field < SL_TREE_FIELDS; field++) {
		key[field] = draw_key(seed, field);
		switch (rand_r(seed) % 8) {
		case 0:
			continue;
		case 1:
			key[field] = box->low[field] ? box->low[field] - 1 : 0;
			break;
		case 2:
			key[field] = box->high[field] + 1;
			break;
		case 3:
		case 4:
			key[field] = box->high[field];
			break;
		default:
			key[field] = box->low[field];
		}
		if (key[field] > last[field])
			key[field] = last[field];
	}
}

static void a_packet_finds_in_its_leaf_what_the_whole_list_has_for_it(void **state)
{
	static struct sl_tree_box boxes[600];
	unsigned int seed = (unsigned int)time(NULL);

	(void)state;
	if (getenv("SEED"))
		seed = (unsigned int)strtoul(getenv("SEED"), NULL, 10);
	print_message("seed %u (SEED=%u repeats it)\n", seed, seed);
	for (int round = 0; round < 300; round++) {
		uint32_t count = 1 + (uint32_t)rand_r(&seed) % (round % 30 ? 60 : 600);
		struct sl_tree tree;

		for (uint32_t i = 0; i < count; i++)
			draw_box(&seed, &boxes[i]);
		assert_int_equal(sl_tree_build(boxes, count, &tree), 0);
		assert_sound(&tree, count);
		for (int p = 0; p < 200 && tree.branch_count; p++) {
			uint64_t key[SL_TREE_FIELDS];

			draw_point(&seed, boxes, count, key);
			assert_same_candidates(boxes, count, &tree, key);
		}
		sl_tree_clear(&tree);
	}
}

static void what_fits_in_a_block_needs_no_tree(void **state)
{
	struct sl_tree_box boxes[SLUICE_MATCH_BLOCK];
	struct sl_tree tree = {.branch_count = 7};

	(void)state;
	for (uint32_t i = 0; i < SLUICE_MATCH_BLOCK; i++) {
		boxes[i] = everything();
		boxes[i].low[SL_TREE_FIRST] = boxes[i].high[SL_TREE_FIRST] = i;
	}
	assert_int_equal(sl_tree_build(boxes, 0, &tree), 0);
	assert_int_equal(tree.branch_count, 0);
	assert_int_equal(sl_tree_build(boxes, SLUICE_MATCH_BLOCK, &tree), 0);
	assert_int_equal(tree.branch_count, 0);
	assert_null(tree.branches);
}

static void entries_that_are_apart_come_into_leaves_of_one_block_without_copies(void **state)
{
	static struct sl_tree_box boxes[1000];
	struct sl_tree tree;

	(void)state;
	for (int field = 0; field < SL_TREE_FIELDS; field++) {
		uint32_t count = field == SL_TREE_PROTOCOL ? 256 : 1000;

		for (uint32_t i = 0; i < count; i++) {
			boxes[i] = everything();
			boxes[i].low[field] = boxes[i].high[field] = i * 7919 % count;
		}
		assert_int_equal(sl_tree_build(boxes, count, &tree), 0);
		assert_sound(&tree, count);
		assert_int_equal(tree.entry_count, count);
		assert_true(longest(&tree) <= SLUICE_MATCH_BLOCK);
		for (uint32_t i = 0; i < count; i++)
			assert_same_candidates(boxes, count, &tree, boxes[i].low);
		sl_tree_clear(&tree);
	}
}

static void an_entry_that_leaves_nothing_to_others_ends_its_leaves(void **state)
{
	static struct sl_tree_box boxes[41];
	const uint64_t inside[SL_TREE_FIELDS] = {1}, outside[SL_TREE_FIELDS] = {100};
	struct sl_tree tree;

	(void)state;
	for (uint32_t i = 0; i < SL_ARRAY_SIZE(boxes); i++)
		boxes[i] = everything();
	boxes[0].high[SL_TREE_FIRST] = 10;
	for (int decides = 0; decides < 2; decides++) {
		boxes[0].decides = decides;
		for (uint32_t i = 1; i < SL_ARRAY_SIZE(boxes); i++)
			boxes[i].decides = false;
		assert_int_equal(sl_tree_build(boxes, SL_ARRAY_SIZE(boxes), &tree), 0);
		assert_int_equal(descend(&tree, outside).count, 40);
		assert_int_equal(descend(&tree, inside).count, decides ? 1 : 41);
		sl_tree_clear(&tree);
	}
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Under the sanitizers, and on a busy machine. */
#define PATIENCE 5.0

static void build_in_time(const struct sl_tree_box *boxes, uint32_t count, struct sl_tree *out)
{
	double begin = seconds();

	assert_int_equal(sl_tree_build(boxes, count, out), 0);
	assert_true(seconds() - begin < PATIENCE);
	assert_sound(out, count);
}

/* Ranges one inside the other, in one field or in two. */
static void nest(struct sl_tree_box *boxes, uint32_t count, bool inner_first, bool two_fields, bool decides)
{
	for (uint32_t i = 0; i < count; i++) {
		uint32_t step = inner_first ? count - i : i + 1;

		boxes[i] = everything();
		boxes[i].decides = decides;
		boxes[i].low[SL_TREE_REMOTE_PORT] = step;
		boxes[i].high[SL_TREE_REMOTE_PORT] = 65536 - step;
		if (!two_fields)
			continue;
		boxes[i].low[SL_TREE_LOCAL_PORT] = count + 1 - step;
		boxes[i].high[SL_TREE_LOCAL_PORT] = 65535 - count + step;
	}
}

static void nested_ranges_that_decide_are_told_apart_by_their_edges(void **state)
{
	static struct sl_tree_box boxes[1000];

	(void)state;
	for (int inner_first = 0; inner_first < 2; inner_first++) {
		struct sl_tree tree;

		nest(boxes, SL_ARRAY_SIZE(boxes), inner_first, false, true);
		build_in_time(boxes, SL_ARRAY_SIZE(boxes), &tree);
		assert_true(longest(&tree) <= SLUICE_MATCH_BLOCK);
		for (uint32_t i = 0; i < SL_ARRAY_SIZE(boxes); i++) {
			uint64_t last[SL_TREE_FIELDS] = {0};

			last[SL_TREE_REMOTE_PORT] = boxes[i].high[SL_TREE_REMOTE_PORT];
			assert_same_candidates(boxes, SL_ARRAY_SIZE(boxes), &tree, boxes[i].low);
			assert_same_candidates(boxes, SL_ARRAY_SIZE(boxes), &tree, last);
		}
		sl_tree_clear(&tree);
	}
}

static void lists_that_resist_stay_within_their_bounds(void **state)
{
	static struct sl_tree_box boxes[SLUICE_MATCHES_PER_DIRECTION];
	const uint32_t count = SL_ARRAY_SIZE(boxes);
	unsigned int seed = 5;
	struct sl_tree tree;

	(void)state;
	for (int variant = 0; variant < 8; variant++) {
		nest(boxes, count, variant & 1, variant & 2, variant & 4);
		build_in_time(boxes, count, &tree);
		for (uint32_t i = 0; i < count && tree.branch_count; i += 5)
			assert_same_candidates(boxes, count, &tree, boxes[i].low);
		sl_tree_clear(&tree);
	}
	/* nothing tells them apart: one run */
	for (uint32_t i = 0; i < count; i++)
		boxes[i] = everything();
	build_in_time(boxes, count, &tree);
	assert_int_equal(tree.branch_count, 0);
	sl_tree_clear(&tree);
	/* crosses: half wide in one field and narrow in the other, half the other way round */
	for (uint32_t i = 0; i < count; i++) {
		enum sl_tree_field field = i % 2 ? SL_TREE_REMOTE_PORT : SL_TREE_LOCAL_PORT;

		boxes[i] = everything();
		boxes[i].low[field] = boxes[i].high[field] = 1 + i / 2;
	}
	build_in_time(boxes, count, &tree);
	for (uint32_t i = 0; i < count; i += 5)
		assert_same_candidates(boxes, count, &tree, boxes[i].low);
	sl_tree_clear(&tree);
	for (uint32_t i = 0; i < count; i++)
		draw_box(&seed, &boxes[i]);
	build_in_time(boxes, count, &tree);
	sl_tree_clear(&tree);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_packet_finds_in_its_leaf_what_the_whole_list_has_for_it),
		cmocka_unit_test(what_fits_in_a_block_needs_no_tree),
		cmocka_unit_test(entries_that_are_apart_come_into_leaves_of_one_block_without_copies),
		cmocka_unit_test(an_entry_that_leaves_nothing_to_others_ends_its_leaves),
		cmocka_unit_test(nested_ranges_that_decide_are_told_apart_by_their_edges),
		cmocka_unit_test(lists_that_resist_stay_within_their_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
