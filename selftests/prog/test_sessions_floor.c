// SPDX-License-Identifier: Apache-2.0
/* Rates so low that a queue would hold packets for seconds: policed where that is left to the agent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "rates_world.h"

#define DOWN  SLUICE_DOWNLINK
#define KBIT  1000ull
#define FLOOR (256 * KBIT)

static const struct sl_control_config to_shape = {.backend = SL_RATE_SHAPE, .keep_retired = true};

static unsigned int told_rules, told_sessions;

static void count_policed(const struct sl_control_event *event, void *user)
{
	(void)user;
	if (event->type != SL_EVENT_RULE_POLICED && event->type != SL_EVENT_SESSION_POLICED)
		return;
	assert_non_null(strstr(event->reason, "below 256 kbit/s"));
	told_rules += event->type == SL_EVENT_RULE_POLICED;
	told_sessions += event->type == SL_EVENT_SESSION_POLICED;
}

static void start(struct world *world, bool adopted, const struct sl_control_config *config)
{
	struct sl_datapath_limits limits = fixture_config().limits;
	struct sl_control_config telling = *config;

	told_rules = told_sessions = 0;
	telling.on_event = count_policed;
	world_start_with_trees(world, adopted, &telling, &limits, 16, 4);
}

static void activate(struct world *world, struct rates rates)
{
	rates_activate(world, ADDRESS_A, rates_rules, 2, &rates);
}

static const struct sluice_binding *web(struct world *world, const char *address)
{
	return rates_binding(world, address, "web");
}

static const struct sluice_binding *video(struct world *world)
{
	return rates_binding(world, ADDRESS_A, "video");
}

static uint16_t tree_of(struct world *world, const char *address)
{
	return sl_datapath_maps(world->datapath)
		->sessions[world_policy(world, address)->session]
		.downlink_tree;
}

static uint64_t rate_of(struct world *world, uint16_t minor)
{
	return sl_qos_rates(world->qos, DOWN, minor).mbr;
}

static void an_mbr_below_the_floor_is_policed_and_that_is_told_once(void **state)
{
	struct world world;
	uint32_t meter;

	(void)state;
	start(&world, false, &rates_auto);
	activate(&world, (struct rates){.mbr = {FLOOR - 1, FLOOR}});
	assert_int_equal(web(&world, ADDRESS_A)->downlink_class, 0);
	meter = web(&world, ADDRESS_A)->downlink_meter;
	rates_assert_rate(&world, meter, FLOOR - 1);
	assert_int_equal(rate_of(&world, video(&world)->downlink_class), FLOOR);
	assert_int_equal(video(&world)->downlink_meter, 0);
	assert_int_equal(told_rules, 1);
	activate(&world, (struct rates){.mbr = {8 * KBIT, FLOOR}});
	assert_int_equal(web(&world, ADDRESS_A)->downlink_meter, meter);
	rates_assert_rate(&world, meter, 8 * KBIT);
	assert_int_equal(told_rules, 1);
	rates_end(&world);
}

static void an_ambr_below_the_floor_is_policed_and_that_is_told_once(void **state)
{
	struct world world;

	(void)state;
	start(&world, false, &rates_auto);
	activate(&world, (struct rates){.ambr = FLOOR - 1, .mbr = {MBIT}});
	assert_int_equal(tree_of(&world, ADDRESS_A), 0);
	rates_assert_rate(&world, rates_ambr_meter(&world, ADDRESS_A), FLOOR - 1);
	assert_int_equal(rate_of(&world, web(&world, ADDRESS_A)->downlink_class), MBIT);
	assert_int_equal(told_sessions, 1);
	activate(&world, (struct rates){.ambr = 64 * KBIT, .mbr = {MBIT}});
	rates_assert_rate(&world, rates_ambr_meter(&world, ADDRESS_A), 64 * KBIT);
	assert_int_equal(told_sessions, 1);
	assert_int_equal(told_rules, 0);
	rates_end(&world);
}

static void below_an_ambr_with_queues_a_low_mbr_is_policed_before_the_shared_one(void **state)
{
	struct world world;

	(void)state;
	start(&world, false, &rates_auto);
	activate(&world, (struct rates){.ambr = 10 * MBIT, .mbr = {64 * KBIT, MBIT}});
	assert_int_equal(web(&world, ADDRESS_A)->downlink_class,
			 tree_of(&world, ADDRESS_A) + SL_QOS_TREE_LEAVES);
	rates_assert_rate(&world, web(&world, ADDRESS_A)->downlink_meter, 64 * KBIT);
	assert_int_equal(video(&world)->downlink_meter, 0);
	assert_int_equal(told_rules, 1);
	rates_end(&world);
}

static void rates_that_fall_below_the_floor_leave_their_queues_and_stay_policed(void **state)
{
	struct sl_qos_pool_status trees, classes;
	struct world world;

	(void)state;
	start(&world, false, &rates_auto);
	activate(&world, (struct rates){.ambr = 10 * MBIT, .mbr = {MBIT}});
	rates_activate(&world, ADDRESS_B, rates_rules, 2, &(struct rates){.mbr = {MBIT}});
	activate(&world, (struct rates){.ambr = 128 * KBIT, .mbr = {64 * KBIT}});
	rates_activate(&world, ADDRESS_B, rates_rules, 2, &(struct rates){.mbr = {64 * KBIT}});
	assert_int_equal(tree_of(&world, ADDRESS_A), 0);
	rates_assert_rate(&world, rates_ambr_meter(&world, ADDRESS_A), 128 * KBIT);
	rates_assert_rate(&world, web(&world, ADDRESS_A)->downlink_meter, 64 * KBIT);
	rates_assert_rate(&world, web(&world, ADDRESS_B)->downlink_meter, 64 * KBIT);
	assert_int_equal(web(&world, ADDRESS_A)->downlink_class, 0);
	assert_int_equal(web(&world, ADDRESS_B)->downlink_class, 0);
	assert_int_equal(told_rules, 2);
	assert_int_equal(told_sessions, 1);
	sl_grace_drain(world.grace);
	sl_qos_tree_status(world.qos, DOWN, &trees);
	sl_qos_pool_status(world.qos, DOWN, &classes);
	assert_int_equal(trees.used, 0);
	assert_int_equal(classes.used, 0);

	/* the new rate is in force at once, where it was; over a restart, too */
	activate(&world, (struct rates){.ambr = 10 * MBIT, .mbr = {5 * MBIT}});
	for (int restarted = 0; restarted < 2; restarted++) {
		rates_assert_rate(&world, rates_ambr_meter(&world, ADDRESS_A), 10 * MBIT);
		rates_assert_rate(&world, web(&world, ADDRESS_A)->downlink_meter, 5 * MBIT);
		rates_assert_rate(&world, web(&world, ADDRESS_B)->downlink_meter, 64 * KBIT);
		world_stop(&world);
		start(&world, true, &rates_auto);
	}
	assert_int_equal(told_rules + told_sessions, 0);
	rates_end(&world);
}

static void who_asks_for_queues_has_them_at_any_rate(void **state)
{
	struct world world;
	uint16_t tree;

	(void)state;
	start(&world, false, &to_shape);
	activate(&world, (struct rates){.ambr = 16 * KBIT, .mbr = {8 * KBIT}});
	tree = tree_of(&world, ADDRESS_A);
	assert_int_equal(sl_qos_tree_rate(world.qos, DOWN, tree), 16 * KBIT);
	assert_int_equal(sl_qos_tree_of(world.qos, DOWN, web(&world, ADDRESS_A)->downlink_class), tree);
	assert_int_equal(rate_of(&world, web(&world, ADDRESS_A)->downlink_class), 8 * KBIT);
	assert_int_equal(world_used(&world, "meters"), 0);
	assert_int_equal(told_rules + told_sessions, 0);
	rates_end(&world);
}

/* It would be in the default class, behind everybody's packets. */
static void a_guarantee_has_its_queue_at_any_rate(void **state)
{
	struct world world;
	uint16_t class;

	(void)state;
	start(&world, false, &rates_auto);
	activate(&world, (struct rates){.mbr = {128 * KBIT}, .gbr = {64 * KBIT}});
	class = web(&world, ADDRESS_A)->downlink_class;
	assert_int_equal(rate_of(&world, class), 128 * KBIT);
	assert_int_equal(sl_qos_rates(world.qos, DOWN, class).gbr, 64 * KBIT);
	assert_int_equal(told_rules, 0);
	rates_end(&world);
}

static void activate6(struct world *world, struct rates rates)
{
	static const struct rule_spec one[] = {{.id = "web", .version = 1, .precedence = 10}};

	rates.twin = ADDRESS_A;
	rates_activate(world, ADDRESS_A6, one, 1, &rates);
}

static void both_sessions_of_a_subscriber_leave_the_queues_together(void **state)
{
	struct world world;
	uint32_t meter;

	(void)state;
	start(&world, false, &rates_auto);
	activate(&world, (struct rates){.mbr = {MBIT}});
	activate6(&world, (struct rates){.mbr = {MBIT}});
	assert_int_equal(web(&world, ADDRESS_A)->downlink_class, web(&world, ADDRESS_A6)->downlink_class);
	activate6(&world, (struct rates){.mbr = {64 * KBIT}});
	meter = web(&world, ADDRESS_A6)->downlink_meter;
	rates_assert_rate(&world, meter, 64 * KBIT);
	assert_int_equal(web(&world, ADDRESS_A)->downlink_meter, meter);
	assert_int_equal(web(&world, ADDRESS_A)->downlink_class, 0);
	assert_int_equal(told_rules, 1);
	rates_end(&world);

	start(&world, true, &rates_auto);
	activate(&world, (struct rates){.ambr = 10 * MBIT});
	activate6(&world, (struct rates){.ambr = 10 * MBIT});
	assert_int_equal(tree_of(&world, ADDRESS_A), tree_of(&world, ADDRESS_A6));
	activate6(&world, (struct rates){.ambr = 64 * KBIT});
	meter = web(&world, ADDRESS_A6)->downlink_meter;
	rates_assert_rate(&world, meter, 64 * KBIT);
	assert_int_equal(rates_ambr_meter(&world, ADDRESS_A), meter);
	assert_int_equal(tree_of(&world, ADDRESS_A), 0);
	assert_int_equal(told_sessions, 1);
	rates_end(&world);
}

/* One that is a twin only now was asked with its own queue's rate. */
static void a_low_ambr_that_comes_with_a_twin_takes_both_out_of_the_tree(void **state)
{
	struct world world;

	(void)state;
	start(&world, false, &rates_auto);
	activate(&world, (struct rates){.ambr = 10 * MBIT});
	activate6(&world, (struct rates){.ambr = 64 * KBIT});
	assert_int_equal(tree_of(&world, ADDRESS_A), 0);
	assert_int_equal(rates_ambr_meter(&world, ADDRESS_A), web(&world, ADDRESS_A6)->downlink_meter);
	rates_assert_rate(&world, rates_ambr_meter(&world, ADDRESS_A), 64 * KBIT);
	rates_end(&world);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_devices, fixture_no_devices)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_mbr_below_the_floor_is_policed_and_that_is_told_once),
		TEST(an_ambr_below_the_floor_is_policed_and_that_is_told_once),
		TEST(below_an_ambr_with_queues_a_low_mbr_is_policed_before_the_shared_one),
		TEST(rates_that_fall_below_the_floor_leave_their_queues_and_stay_policed),
		TEST(who_asks_for_queues_has_them_at_any_rate),
		TEST(a_guarantee_has_its_queue_at_any_rate),
		TEST(both_sessions_of_a_subscriber_leave_the_queues_together),
		TEST(a_low_ambr_that_comes_with_a_twin_takes_both_out_of_the_tree),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
