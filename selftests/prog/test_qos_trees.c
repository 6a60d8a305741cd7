// SPDX-License-Identifier: Apache-2.0
/* Trees and guarantees on a real kernel: what is made, shared, changed, adopted and repaired. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "qos/qos.h"
#include "qos_links.h"
#include "sluice/limits.h"

#define TREES  3u
#define SINGLE (SLUICE_HTB_POOL_MINOR + 8 * TREES) /* the first one */
#define UP     SLUICE_UPLINK

static struct sl_qos_config config_of(const char *up0, const char *up1)
{
	struct sl_qos_config config = qos_config_of(4, up0, up1, NULL);

	config.trees = TREES;
	return config;
}

static struct sl_qos *built(const char *up0, const char *up1)
{
	struct sl_qos_config config = config_of(up0, up1);
	struct sl_qos *qos = qos_open(&config);

	qos_build_all(qos);
	return qos;
}

static struct sl_qos_pool_status trees_of(const struct sl_qos *qos)
{
	struct sl_qos_pool_status status;

	sl_qos_tree_status(qos, UP, &status);
	return status;
}

static uint16_t tree_of(struct sl_qos *qos, uint64_t ambr)
{
	struct sl_error err = {""};
	uint16_t tree = 0;

	if (sl_qos_tree_assign(qos, UP, ambr, &tree, &err) < 0)
		fail_msg("%s", err.text);
	return tree;
}

static uint16_t leaf_of(struct sl_qos *qos, uint16_t tree, uint64_t mbr)
{
	struct sl_error err = {""};
	uint16_t leaf = 0;

	if (sl_qos_tree_leaf(qos, UP, tree, mbr, &leaf, &err) < 0)
		fail_msg("%s", err.text);
	return leaf;
}

/* --- what is made --- */

static void trees_come_first_in_units_of_eight_and_single_classes_after_them(void **state)
{
	struct sl_qos *qos = built("up0", NULL);
	const struct qos_view *view;

	(void)state;
	view = qos_look("up0");
	assert_int_equal(view->classes, 1 + TREES * 8 + 4);
	assert_int_equal(view->with_leaf, 1 + TREES * 7 + 4);
	for (uint16_t tree = 8; tree < SINGLE; tree += 8) {
		assert_int_equal(view->class[tree].parent, SLUICE_HTB_ROOT_MINOR);
		assert_false(view->class[tree].has_leaf);
		assert_int_equal(view->class[tree].rate, 10 * GBIT);
		for (uint16_t leaf = tree + 1; leaf < tree + 8; leaf++) {
			assert_int_equal(view->class[leaf].parent, tree);
			assert_true(view->class[leaf].has_leaf);
			assert_int_equal(view->class[leaf].own_rate, 800);
			assert_int_equal(sl_qos_tree_of(qos, UP, leaf), tree);
		}
		assert_int_equal(sl_qos_tree_of(qos, UP, tree), 0);
	}
	assert_int_equal(view->class[SINGLE].parent, SLUICE_HTB_ROOT_MINOR);
	assert_true(view->class[SINGLE].has_leaf);
	assert_int_equal(sl_qos_tree_of(qos, UP, SINGLE), 0);
	assert_int_equal(trees_of(qos).ready, TREES);
	sl_qos_close(qos);
}

static void trees_and_single_classes_are_built_by_turns(void **state)
{
	struct sl_qos_config config = config_of("up0", NULL);
	struct sl_qos *qos = qos_open(&config);
	struct sl_qos_pool_status single;

	(void)state;
	assert_int_equal(sl_qos_build(qos, 8, NULL), 1);
	assert_int_equal(sl_qos_build(qos, 8, NULL), 1);
	sl_qos_pool_status(qos, UP, &single);
	assert_int_equal(single.ready, 4);
	assert_int_equal(trees_of(qos).ready, 1);
	sl_qos_close(qos);
}

static void more_classes_than_there_are_numbers_are_refused(void **state)
{
	struct sl_qos_config config = config_of("up0", NULL);
	struct sl_qos *qos = NULL;
	struct sl_error err = {""};

	(void)state;
	config.trees = 4063;
	config.pool_size = 0;
	assert_int_equal(sl_qos_open(&config, &qos, &err), 0);
	sl_qos_close(qos);
	qos = NULL;
	config.pool_size = 1;
	assert_int_equal(sl_qos_open(&config, &qos, &err), -ERANGE);
	assert_string_equal(err.text, "qos.pool 1 is above 0, what 4063 trees leave of the class numbers");
	config.trees = 4064;
	assert_int_equal(sl_qos_open(&config, &qos, &err), -ERANGE);
	assert_string_equal(err.text, "qos.trees 4064 is above 4063");
}

/* --- trees in use --- */

static void leaves_have_their_own_rate_or_the_trees(void **state)
{
	struct sl_qos *qos = built("up0", "up1");
	uint16_t tree = tree_of(qos, 10 * MBIT), small, whole, large;

	(void)state;
	small = leaf_of(qos, tree, MBIT);
	whole = leaf_of(qos, tree, 0);
	large = leaf_of(qos, tree, 50 * MBIT);
	assert_int_equal(qos_rate_on("up0", tree), 10 * MBIT);
	assert_int_equal(qos_rate_on("up1", tree), 10 * MBIT);
	assert_int_equal(qos_rate_on("up1", small), MBIT);
	assert_int_equal(qos_rate_on("up1", whole), 10 * MBIT);
	/* its queue would be too long otherwise */
	assert_int_equal(qos_rate_on("up1", large), 10 * MBIT);
	assert_int_equal(sl_qos_rates(qos, UP, large).mbr, 50 * MBIT);
	assert_int_equal(sl_qos_rates(qos, UP, whole).mbr, 10 * MBIT);

	assert_int_equal(sl_qos_tree_change(qos, UP, tree, 60 * MBIT, NULL), 0);
	assert_int_equal(qos_rate_on("up0", tree), 60 * MBIT);
	assert_int_equal(qos_rate_on("up0", small), MBIT);
	assert_int_equal(qos_rate_on("up0", whole), 60 * MBIT);
	assert_int_equal(qos_rate_on("up0", large), 50 * MBIT);
	assert_int_equal(sl_qos_change(qos, UP, small, MBR(2 * MBIT), NULL), 0);
	assert_int_equal(qos_rate_on("up1", small), 2 * MBIT);
	sl_qos_close(qos);
}

static void an_ambr_above_the_link_is_the_link_and_one_below_8_kbit_is_refused(void **state)
{
	struct sl_qos *qos = built("up0", NULL);
	uint16_t tree = tree_of(qos, 100 * GBIT);
	struct sl_error err = {""};

	(void)state;
	assert_int_equal(sl_qos_tree_rate(qos, UP, tree), 10 * GBIT);
	assert_int_equal(sl_qos_tree_change(qos, UP, tree, 7999, &err), -ERANGE);
	assert_int_equal(sl_qos_tree_rate(qos, UP, tree), 10 * GBIT);
	assert_int_equal(sl_qos_tree_assign(qos, UP, 7999, &tree, &err), -ERANGE);
	assert_int_equal(trees_of(qos).used, 1);
	sl_qos_close(qos);
}

static void a_tree_has_seven_leaves_and_the_eighth_is_enospc(void **state)
{
	struct sl_qos *qos = built("up0", NULL);
	uint16_t tree = tree_of(qos, 10 * MBIT), leaf = 0;
	struct sl_error err = {""};

	(void)state;
	for (int i = 0; i < SL_QOS_TREE_LEAVES; i++)
		leaf_of(qos, tree, MBIT);
	assert_int_equal(sl_qos_tree_leaf(qos, UP, tree, MBIT, &leaf, &err), -ENOSPC);
	assert_int_equal(leaf, 0);
	assert_non_null(strstr(err.text, "all 7 leaves of uplink tree 7ffe:"));
	sl_qos_release(qos, UP, tree + 3);
	assert_int_equal(leaf_of(qos, tree, MBIT), tree + 3);
	sl_qos_close(qos);
}

static void trees_run_out_with_the_number_in_use(void **state)
{
	struct sl_qos *qos = built("up0", NULL);
	struct sl_error err = {""};
	uint16_t tree = 0;

	(void)state;
	for (unsigned int i = 0; i < TREES; i++)
		tree_of(qos, MBIT);
	assert_int_equal(sl_qos_tree_assign(qos, UP, MBIT, &tree, &err), -ENOSPC);
	assert_string_equal(err.text,
			    "no uplink tree is free: 3 of 3 that are built are in use, qos.trees is 3");
	sl_qos_close(qos);
}

static void a_tree_is_free_when_its_users_and_its_leaves_have_gone(void **state)
{
	struct sl_qos *qos = built("up0", NULL);
	uint16_t tree = tree_of(qos, MBIT), leaf = leaf_of(qos, tree, 0);

	(void)state;
	assert_int_equal(sl_qos_tree_share(qos, UP, tree, NULL), 0);
	assert_int_equal(sl_qos_tree_users(qos, UP, tree), 2);
	sl_qos_tree_release(qos, UP, tree);
	assert_int_equal(sl_qos_tree_users(qos, UP, tree), 1);
	sl_qos_tree_release(qos, UP, tree);
	assert_int_equal(sl_qos_tree_users(qos, UP, tree), 0);
	assert_int_equal(trees_of(qos).used, 1);
	assert_int_equal(qos_rate_on("up0", tree), MBIT);
	sl_qos_release(qos, UP, leaf);
	assert_int_equal(trees_of(qos).used, 0);
	assert_int_equal(qos_rate_on("up0", tree), 10 * GBIT);
	assert_int_equal(qos_rate_on("up0", leaf), 10 * GBIT);
	assert_int_equal(sl_qos_tree_share(qos, UP, tree, NULL), -ENOENT);
	sl_qos_close(qos);
}

static void what_is_no_class_of_a_rule_is_not_taken_for_one(void **state)
{
	struct sl_qos *qos = built("up0", NULL);
	uint16_t tree = tree_of(qos, MBIT);
	struct sl_error err = {""};

	(void)state;
	assert_int_equal(sl_qos_change(qos, UP, tree, MBR(MBIT), &err), -ERANGE);
	assert_int_equal(sl_qos_adopt(qos, UP, tree + 8, MBR(MBIT), &err), -ERANGE);
	assert_int_equal(sl_qos_adopt(qos, UP, tree + 9, MBR(MBIT), &err), -ENOENT);
	assert_int_equal(sl_qos_tree_change(qos, UP, tree + 1, MBIT, &err), -ERANGE);
	assert_int_equal(sl_qos_tree_adopt(qos, UP, SINGLE, MBIT, &err), -ERANGE);
	assert_int_equal(sl_qos_tree_leaf(qos, UP, tree + 8, 0, &tree, &err), -ENOENT);
	sl_qos_close(qos);
}

/* --- guarantees --- */

static void a_gbr_is_the_classes_own_rate_and_served_first(void **state)
{
	const struct sl_qos_rates rates = {.gbr = 4 * MBIT, .mbr = 6 * MBIT};
	struct sl_qos *qos = built("up0", NULL);
	uint16_t minor;

	(void)state;
	assert_int_equal(sl_qos_assign(qos, UP, &rates, &minor, NULL), 0);
	assert_true(qos_tool_says("tc class show dev up0", "prio 0 rate 4Mbit ceil 6Mbit"));
	assert_int_equal(sl_qos_rates(qos, UP, minor).gbr, 4 * MBIT);
	assert_int_equal(sl_qos_change(qos, UP, minor, MBR(6 * MBIT), NULL), 0);
	assert_false(qos_tool_says("tc class show dev up0", "prio 0 rate 4Mbit ceil 6Mbit"));
	assert_true(qos_tool_says("tc class show dev up0", "prio 1 rate 8Kbit ceil 6Mbit"));
	assert_int_equal(sl_qos_change(qos, UP, minor, &rates, NULL), 0);
	sl_qos_release(qos, UP, minor);
	assert_int_equal(qos_look("up0")->class[minor].own_rate, 8000);
	sl_qos_close(qos);
}

static void guarantees_beyond_twice_the_link_are_refused(void **state)
{
	struct sl_qos *qos = built("up0", NULL);
	const struct sl_qos_rates most = {.gbr = 6 * GBIT, .mbr = 10 * GBIT};
	const struct sl_qos_rates rest = {.gbr = 4 * GBIT, .mbr = 10 * GBIT};
	const struct sl_qos_rates mixed = {.gbr = 2 * MBIT, .mbr = MBIT};
	struct sl_error err = {""};
	uint16_t before, first, second, third = 0;

	(void)state;
	assert_int_equal(sl_qos_assign(qos, UP, &mixed, &first, &err), -ERANGE);
	assert_string_equal(err.text, "GBR 2000000 bit/s is above the MBR 1000000 bit/s");
	/* what was there before, and is about to be released */
	assert_int_equal(sl_qos_assign(qos, UP, &(struct sl_qos_rates){10 * GBIT, 10 * GBIT}, &before, &err),
			 0);
	assert_int_equal(sl_qos_assign(qos, UP, &most, &first, &err), 0);
	assert_int_equal(sl_qos_assign(qos, UP, &most, &second, &err), -ERANGE);
	assert_non_null(strstr(err.text, "16000000000"));
	assert_int_equal(sl_qos_assign(qos, UP, &rest, &second, &err), 0);
	assert_int_equal(sl_qos_assign(qos, UP, &(struct sl_qos_rates){8000, MBIT}, &third, &err), -ERANGE);
	/* what one has already is its own */
	assert_int_equal(sl_qos_change(qos, UP, second, &(struct sl_qos_rates){4 * GBIT, 5 * GBIT}, &err), 0);
	assert_int_equal(sl_qos_change(qos, UP, second, &(struct sl_qos_rates){5 * GBIT, 5 * GBIT}, &err),
			 -ERANGE);
	sl_qos_release(qos, UP, first);
	assert_int_equal(sl_qos_change(qos, UP, second, &(struct sl_qos_rates){5 * GBIT, 5 * GBIT}, &err), 0);
	assert_int_equal(sl_qos_assign(qos, UP, &(struct sl_qos_rates){5 * GBIT, 5 * GBIT}, &third, &err), 0);
	sl_qos_close(qos);
}

/* --- restart, damage --- */

static void trees_survive_a_restart_and_are_adopted_leaf_by_leaf(void **state)
{
	const struct sl_qos_rates gbr = {.gbr = 4 * MBIT + 1, .mbr = 6 * MBIT};
	struct sl_qos *qos = built("up0", "up1");
	uint16_t tree = tree_of(qos, 10 * MBIT), leaf = leaf_of(qos, tree, MBIT),
		 whole = leaf_of(qos, tree, 0);
	struct sl_qos_config config = config_of("up0", "up1");
	struct sl_error err = {""};
	uint16_t single;

	(void)state;
	assert_int_equal(sl_qos_assign(qos, UP, &gbr, &single, NULL), 0);
	sl_qos_close(qos);
	/* a mark that any change of the class would overwrite */
	qos_shell(
		"tc class change dev up0 parent 7ffe:8 classid 7ffe:9 htb rate 800 ceil 1mbit quantum 7777");
	assert_int_equal(leaf, 9);
	qos = qos_open(&config);
	assert_int_equal(trees_of(qos).ready, TREES);
	assert_int_equal(sl_qos_adopt(qos, UP, leaf, MBR(MBIT), &err), -ENOENT);
	assert_int_equal(sl_qos_tree_adopt(qos, UP, tree, 10 * MBIT, &err), 0);
	assert_int_equal(sl_qos_adopt(qos, UP, leaf, MBR(MBIT), &err), 0);
	assert_int_equal(sl_qos_adopt(qos, UP, whole, MBR(0), &err), 0);
	assert_int_equal(sl_qos_adopt(qos, UP, single, &gbr, &err), 0);
	assert_int_equal(sl_qos_tree_adopt(qos, UP, tree, 10 * MBIT, &err), -EEXIST);
	assert_int_equal(trees_of(qos).used, 1);
	assert_int_equal(sl_qos_tree_users(qos, UP, tree), 1);
	assert_true(qos_tool_says("tc -d class show dev up0", "quantum 7777"));
	assert_int_equal(sl_qos_tree_change(qos, UP, tree, 20 * MBIT, &err), 0);
	assert_int_equal(qos_rate_on("up1", whole), 20 * MBIT);
	assert_int_equal(qos_rate_on("up1", leaf), MBIT);
	sl_qos_close(qos);
}

static void another_number_of_trees_moves_the_single_classes(void **state)
{
	struct sl_qos_config config = config_of("up0", NULL);
	struct sl_qos *qos = built("up0", NULL);
	const struct qos_view *view;

	(void)state;
	sl_qos_close(qos);
	for (uint32_t trees = 2; trees <= 4; trees += 2) {
		config.trees = trees;
		qos = qos_open(&config);
		qos_build_all(qos);
		view = qos_look("up0");
		assert_int_equal(view->classes, 1 + trees * 8 + 4);
		for (uint16_t minor = 8; minor < 8 + trees * 8; minor++)
			assert_int_equal(view->class[minor].parent, minor % 8 ? minor & ~7 : 1);
		for (uint16_t minor = 8 + (uint16_t)trees * 8; minor < 12 + trees * 8; minor++)
			assert_true(view->class[minor].has_leaf && view->class[minor].parent == 1);
		sl_qos_close(qos);
	}
}

static void the_audit_repairs_trees(void **state)
{
	struct sl_qos *qos = built("up0", NULL);
	uint16_t tree = tree_of(qos, 10 * MBIT), leaf = leaf_of(qos, tree, 2 * MBIT);
	struct sl_qos_audit found;
	char command[256];

	(void)state;
	assert_int_equal(sl_qos_audit(qos, 0, &found, NULL), 0);
	assert_int_equal(found.repairs, 0);
	snprintf(command, sizeof(command),
		 "tc class change dev up0 parent 7ffe:1 classid 7ffe:%x htb rate 8kbit ceil 99mbit && "
		 "tc qdisc del dev up0 parent 7ffe:%x && tc class del dev up0 classid 7ffe:%x",
		 tree, leaf, leaf);
	qos_shell(command);
	assert_int_equal(sl_qos_audit(qos, 0, &found, NULL), 0);
	assert_int_equal(found.repairs, 2);
	assert_int_equal(qos_rate_on("up0", tree), 10 * MBIT);
	assert_int_equal(qos_rate_on("up0", leaf), 2 * MBIT);
	assert_int_equal(qos_look("up0")->class[leaf].parent, tree);
	qos_shell("tc qdisc del dev up0 root");
	assert_int_equal(sl_qos_audit(qos, 0, &found, NULL), 0);
	assert_string_equal(found.what, "the qdisc was missing");
	assert_int_equal(qos_rate_on("up0", leaf), 2 * MBIT);
	assert_int_equal(qos_look("up0")->classes, 1 + TREES * 8 + 4);
	assert_int_equal(sl_qos_audit(qos, 0, &found, NULL), 0);
	assert_int_equal(found.repairs, 0);
	sl_qos_close(qos);
}

/* --- the queue of a leaf --- */

static void fq_codel_is_used_where_the_kernel_has_it_and_refused_by_name_where_not(void **state)
{
	struct sl_qos_config config = config_of("up0", NULL);
	struct sl_qos *qos = NULL;
	struct sl_error err = {""};
	struct sl_qos_audit found;

	(void)state;
	config.leaf = SL_QOS_LEAF_FQ_CODEL;
	if (sl_qos_open(&config, &qos, &err) < 0) {
		assert_string_equal(err.text, "qos.leaf: fq_codel is not in this kernel");
		assert_int_equal(qos_look("up0")->root.owner, SL_HTB_KERNEL);
		config.leaf = SL_QOS_LEAF_AUTO;
		sl_qos_close(qos_open(&config));
		assert_string_equal(qos_look("up0")->root.leaf, "tbf");
		print_message("fq_codel is not in this kernel: its use is not tested here\n");
		return;
	}
	qos_build_all(qos);
	assert_string_equal(qos_look("up0")->root.leaf, "fq_codel");
	assert_int_equal(leaf_of(qos, tree_of(qos, MBIT), 0), 9);
	assert_true(qos_tool_says("tc qdisc show dev up0", "qdisc fq_codel 9: parent 7ffe:9"));
	assert_true(qos_tool_says("tc qdisc show dev up0", "target 18ms interval 360ms"));
	/* of all leaves, also where the rate was changed and where it is made what it is already */
	assert_false(qos_tool_says("tc qdisc show dev up0", "flows 1024"));
	assert_true(qos_tool_says("tc qdisc show dev up0", "flows 64 "));
	assert_true(qos_tool_says("tc qdisc show dev up0", "memory_limit 256Kb"));
	assert_int_equal(sl_qos_audit(qos, 0, &found, NULL), 0);
	assert_int_equal(found.repairs, 0);
	sl_qos_close(qos);
	config.leaf = SL_QOS_LEAF_FIFO;
	sl_qos_close(qos_open(&config));
	assert_string_equal(qos_look("up0")->root.leaf, "tbf");
}

/* --- statistics --- */

static void statistics_are_told_of_classes_in_use_in_order(void **state)
{
	struct sl_qos *qos = built("up0", "up1");
	struct sl_qos_class_stats stats[8] = {{0}};
	uint16_t tree = tree_of(qos, 10 * MBIT), leaf = leaf_of(qos, tree, MBIT), single;

	(void)state;
	assert_int_equal(sl_qos_assign(qos, UP, MBR(MBIT), &single, NULL), 0);
	assert_int_equal(sl_qos_read_stats(qos, UP, stats, 8, NULL), 3);
	assert_int_equal(stats[0].minor, tree);
	assert_int_equal(stats[1].minor, leaf);
	assert_int_equal(stats[2].minor, single);
	assert_int_equal(sl_qos_read_stats(qos, UP, stats, 2, NULL), 2);
	assert_int_equal(sl_qos_read_stats(qos, SLUICE_DOWNLINK, stats, 8, NULL), 0);
	sl_qos_close(qos);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		QOS_TEST(trees_come_first_in_units_of_eight_and_single_classes_after_them),
		QOS_TEST(trees_and_single_classes_are_built_by_turns),
		QOS_TEST(more_classes_than_there_are_numbers_are_refused),
		QOS_TEST(leaves_have_their_own_rate_or_the_trees),
		QOS_TEST(an_ambr_above_the_link_is_the_link_and_one_below_8_kbit_is_refused),
		QOS_TEST(a_tree_has_seven_leaves_and_the_eighth_is_enospc),
		QOS_TEST(trees_run_out_with_the_number_in_use),
		QOS_TEST(a_tree_is_free_when_its_users_and_its_leaves_have_gone),
		QOS_TEST(what_is_no_class_of_a_rule_is_not_taken_for_one),
		QOS_TEST(a_gbr_is_the_classes_own_rate_and_served_first),
		QOS_TEST(guarantees_beyond_twice_the_link_are_refused),
		QOS_TEST(trees_survive_a_restart_and_are_adopted_leaf_by_leaf),
		QOS_TEST(another_number_of_trees_moves_the_single_classes),
		QOS_TEST(the_audit_repairs_trees),
		QOS_TEST(fq_codel_is_used_where_the_kernel_has_it_and_refused_by_name_where_not),
		QOS_TEST(statistics_are_told_of_classes_in_use_in_order),
	};

	/* one test by its name, for a closer look */
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, qos_make_namespace, NULL);
}
