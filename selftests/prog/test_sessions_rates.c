// SPDX-License-Identifier: Apache-2.0
/* Rates that are policed, from the request to the packet: AMBRs, and MBRs of rules that have no queue. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "rates_world.h"

static void activate(struct world *world, struct rates rates)
{
	rates_activate(world, ADDRESS_A, rates_rules, 2, &rates);
}

static uint64_t dropped(struct world *world, enum sluice_drop_reason reason)
{
	struct sluice_counter drops[SLUICE_DROP_REASON_COUNT][SLUICE_DIRECTIONS];

	assert_int_equal(sl_drops_read(world->datapath, drops), 0);
	return drops[reason][SLUICE_DOWNLINK].packets;
}

/* --- what packets see -------------------------------------------------------------- */

static void an_ambr_holds_for_all_rules_together_and_drops_are_counted_under_them(void **state)
{
	const uint64_t rate = 10 * MBIT;
	struct world world;
	uint64_t since, passed, over;

	(void)state;
	rates_start(&world, false, &rates_police, 0);
	activate(&world, (struct rates){.ambr = rate});
	assert_int_equal(rates_binding(&world, ADDRESS_A, "web")->downlink_meter,
			 rates_ambr_meter(&world, ADDRESS_A));
	since = sl_now_ns();
	for (int i = 0; i < 20; i++) {
		rates_receive(&world, WEB, ADDRESS_A, 50);
		rates_receive(&world, VIDEO, ADDRESS_A, 50);
	}
	passed = rates_usage(&world, ADDRESS_A, "web")->downlink.bytes +
		 rates_usage(&world, ADDRESS_A, "video")->downlink.bytes;
	rates_assert_policed(passed, rate, since);
	over = rates_usage(&world, ADDRESS_A, "web")->downlink_dropped.packets +
	       rates_usage(&world, ADDRESS_A, "video")->downlink_dropped.packets;
	assert_int_equal(over + passed / BYTES, 2000);
	assert_int_equal(dropped(&world, SLUICE_DROP_RATE_SESSION), over);
	assert_int_equal(dropped(&world, SLUICE_DROP_RATE_RULE), 0);
	assert_int_equal(rates_meter(&world, rates_ambr_meter(&world, ADDRESS_A))->refused.packets, over);
	rates_end(&world);
}

static void a_policed_mbr_below_the_ambr_drops_for_itself(void **state)
{
	struct world world;
	uint64_t since;

	(void)state;
	rates_start(&world, false, &rates_police, 0);
	activate(&world, (struct rates){.ambr = 100 * MBIT, .mbr = {4 * MBIT}});
	since = sl_now_ns();
	rates_receive(&world, WEB, ADDRESS_A, 2000);
	rates_assert_policed(rates_usage(&world, ADDRESS_A, "web")->downlink.bytes, 4 * MBIT, since);
	assert_int_equal(dropped(&world, SLUICE_DROP_RATE_RULE),
			 rates_usage(&world, ADDRESS_A, "web")->downlink_dropped.packets);
	assert_int_equal(dropped(&world, SLUICE_DROP_RATE_SESSION), 0);
	rates_end(&world);
}

static void what_the_ambr_drops_uses_up_nothing_of_an_mbr(void **state)
{
	struct world world;
	const struct sluice_meter *own;
	uint64_t since, passed, used;

	(void)state;
	rates_start(&world, false, &rates_police, 0);
	activate(&world, (struct rates){.ambr = MBIT, .mbr = {8 * MBIT}});
	own = rates_meter(&world, rates_binding(&world, ADDRESS_A, "web")->downlink_meter);
	assert_int_equal(own->parent + 1, rates_ambr_meter(&world, ADDRESS_A));
	since = sl_now_ns();
	rates_receive(&world, WEB, ADDRESS_A, 200);
	passed = rates_usage(&world, ADDRESS_A, "web")->downlink.bytes;
	rates_assert_policed(passed, MBIT, since);
	assert_int_equal(dropped(&world, SLUICE_DROP_RATE_RULE), 0);
	/* of 200,000 bytes; the MBR's burst is 50,000 */
	used = sluice_meter_outstanding(own->rate, own->tat, sluice_meter_ticks(sl_now_ns()));
	assert_true(used <= sluice_meter_amount(own->rate, (uint32_t)passed));
	rates_end(&world);
}

static void a_rule_with_a_gbr_is_outside_the_ambr(void **state)
{
	struct world world;
	const struct sluice_meter *own;

	(void)state;
	rates_start(&world, false, &rates_police, 0);
	activate(&world, (struct rates){.ambr = MBIT, .mbr = {8 * MBIT}, .gbr = {2 * MBIT}});
	own = rates_meter(&world, rates_binding(&world, ADDRESS_A, "web")->downlink_meter);
	assert_int_equal(own->parent, SLUICE_NONE);
	assert_in_range(sl_meter_bits_per_second(own->green_rate), 2 * MBIT - 100, 2 * MBIT);
	/* in the other direction it is a rule like any other */
	assert_int_equal(rates_binding(&world, ADDRESS_A, "web")->uplink_meter,
			 rates_binding(&world, ADDRESS_A, "video")->uplink_meter);
	rates_receive(&world, VIDEO, ADDRESS_A, 100);
	assert_true(dropped(&world, SLUICE_DROP_RATE_SESSION) > 0);
	rates_receive(&world, WEB, ADDRESS_A, 20);
	assert_int_equal(rates_usage(&world, ADDRESS_A, "web")->downlink.packets, 20);
	rates_end(&world);
}

static void a_shaped_rule_is_under_the_ambr_too(void **state)
{
	struct world world;
	uint64_t since;

	(void)state;
	rates_start(&world, false, &rates_auto, 16);
	activate(&world, (struct rates){.ambr = MBIT, .mbr = {8 * MBIT}});
	assert_true(rates_binding(&world, ADDRESS_A, "web")->downlink_class >= SLUICE_HTB_POOL_MINOR);
	since = sl_now_ns();
	rates_receive(&world, WEB, ADDRESS_A, 200);
	rates_assert_policed(rates_usage(&world, ADDRESS_A, "web")->downlink.bytes, MBIT, since);
	rates_end(&world);
}

/* --- changes ------------------------------------------------------------------------ */

static void a_change_is_in_force_at_once_and_counts_go_on(void **state)
{
	struct world world;
	uint32_t session, own;
	uint64_t refused, passed, since;

	(void)state;
	rates_start(&world, false, &rates_police, 0);
	activate(&world, (struct rates){.ambr = 10 * MBIT, .mbr = {MBIT}});
	session = rates_ambr_meter(&world, ADDRESS_A);
	own = rates_binding(&world, ADDRESS_A, "web")->downlink_meter;
	rates_receive(&world, WEB, ADDRESS_A, 200);
	refused = rates_meter(&world, own)->refused.packets;
	passed = rates_usage(&world, ADDRESS_A, "web")->downlink.bytes;
	assert_true(refused > 0);

	activate(&world, (struct rates){.ambr = 80 * MBIT, .mbr = {40 * MBIT}});
	assert_int_equal(rates_ambr_meter(&world, ADDRESS_A), session);
	assert_int_equal(rates_binding(&world, ADDRESS_A, "web")->downlink_meter, own);
	rates_assert_rate(&world, session, 80 * MBIT);
	rates_assert_rate(&world, own, 40 * MBIT);
	assert_true(rates_meter(&world, own)->refused.packets >= refused);
	assert_true(rates_usage(&world, ADDRESS_A, "web")->downlink.bytes >= passed);
	/* the burst was used up: only what time gives, but at the new rate */
	since = sl_now_ns();
	while (sl_now_ns() - since < 100000000)
		rates_receive(&world, WEB, ADDRESS_A, 10);
	passed = rates_usage(&world, ADDRESS_A, "web")->downlink.bytes - passed;
	if (passed < 500000 - 20000 || passed > 500000 + BURST(40 * MBIT))
		fail_msg("%lu bytes in 0.1 s at 40 Mbit/s", (unsigned long)passed);
	rates_end(&world);
}

static void a_request_without_an_ambr_leaves_it_and_one_of_zero_ends_it(void **state)
{
	struct activation activation;
	struct world world;
	struct sl_error err = {{0}};
	uint32_t own;

	(void)state;
	rates_start(&world, false, &rates_police, 0);
	activate(&world, (struct rates){.ambr = 10 * MBIT, .mbr = {MBIT}});
	own = rates_binding(&world, ADDRESS_A, "web")->downlink_meter;
	activate(&world, (struct rates){.mbr = {MBIT}});
	rates_assert_rate(&world, rates_ambr_meter(&world, ADDRESS_A), 10 * MBIT);
	assert_int_equal(world_used(&world, "meters"), 3); /* the AMBR's two and the rule's */

	world_fill(&activation, IMSI_A, ADDRESS_A, rates_rules, 0);
	activation.session.has_ambr = true;
	assert_int_equal(sl_control_activate(world.control, &activation.session, &err), 0);
	assert_int_equal(rates_binding(&world, ADDRESS_A, "video")->downlink_meter, 0);
	assert_int_equal(rates_binding(&world, ADDRESS_A, "web")->downlink_meter, own);
	assert_int_equal(rates_meter(&world, own)->parent, SLUICE_NONE);
	assert_int_equal(world_used(&world, "meters"), 1);

	activate(&world, (struct rates){.ambr = 10 * MBIT, .mbr = {MBIT}});
	assert_int_equal(rates_meter(&world, own)->parent + 1, rates_ambr_meter(&world, ADDRESS_A));
	rates_end(&world);
}

static void a_setup_that_names_no_ambr_ends_it(void **state)
{
	struct activation activation;
	struct world world;
	struct sl_error err = {{0}};
	uint32_t refused;

	(void)state;
	rates_start(&world, false, &rates_police, 0);
	activate(&world, (struct rates){.ambr = 10 * MBIT});
	world_fill(&activation, IMSI_A, ADDRESS_A, rates_rules, 2);
	assert_int_equal(sl_control_setup(world.control, &activation.session, 1, &refused, &err), 0);
	assert_int_equal(rates_binding(&world, ADDRESS_A, "web")->downlink_meter, 0);
	assert_int_equal(world_used(&world, "meters"), 0);
	rates_end(&world);
}

static void a_new_version_goes_on_in_the_same_meter(void **state)
{
	struct rule_spec next = rates_rules[0];
	struct world world;
	uint32_t own;

	(void)state;
	rates_start(&world, false, &rates_police, 0);
	activate(&world, (struct rates){.mbr = {MBIT}});
	own = rates_binding(&world, ADDRESS_A, "web")->downlink_meter;
	next.version = 2;
	rates_activate(&world, ADDRESS_A, &next, 1, &(struct rates){.mbr = {2 * MBIT}});
	assert_int_equal(rates_binding(&world, ADDRESS_A, "web")->downlink_meter, own);
	rates_assert_rate(&world, own, 2 * MBIT);
	/* without an MBR it goes */
	rates_activate(&world, ADDRESS_A, &next, 1, &(struct rates){0});
	assert_int_equal(rates_binding(&world, ADDRESS_A, "web")->downlink_meter, 0);
	assert_int_equal(world_used(&world, "meters"), 0);
	rates_end(&world);
}

static void an_ambr_that_no_meter_can_have_is_refused_or_no_limit(void **state)
{
	struct activation activation;
	struct world world;
	struct sl_error err = {{0}};

	(void)state;
	rates_start(&world, false, &rates_police, 0);
	activate(&world, (struct rates){.ambr = 10 * MBIT});
	assert_int_equal(rates_try(&world, &activation, ADDRESS_A, rates_rules, 2,
				   &(struct rates){.ambr = 7999}, &err),
			 -ERANGE);
	assert_string_equal(err.text, "AMBR uplink (apn_ambr.max_bandwidth_ul): rate 7999 bit/s: allowed are "
				      "8000 to 400000000000");
	rates_assert_rate(&world, rates_ambr_meter(&world, ADDRESS_A), 10 * MBIT);
	activate(&world, (struct rates){.ambr = 4294967295000});
	assert_int_equal(rates_binding(&world, ADDRESS_A, "web")->downlink_meter, 0);
	rates_end(&world);
}

/* --- queues or meters ----------------------------------------------------------------- */

static unsigned int told;

static void count_policed(const struct sl_control_event *event, void *user)
{
	(void)user;
	if (event->type != SL_EVENT_RULE_POLICED)
		return;
	assert_string_equal(event->imsi, IMSI_A);
	assert_non_null(strstr(event->reason, "no HTB class is free"));
	told++;
}

static void when_no_class_is_free_a_rule_is_policed_and_that_is_told_once(void **state)
{
	struct sl_control_config config = rates_auto;
	struct world world;
	uint32_t own;

	(void)state;
	told = 0;
	config.on_event = count_policed;
	rates_start(&world, false, &config, 1);
	activate(&world, (struct rates){.mbr = {MBIT, 2 * MBIT}});
	assert_true(rates_binding(&world, ADDRESS_A, "web")->downlink_class >= SLUICE_HTB_POOL_MINOR);
	assert_int_equal(rates_binding(&world, ADDRESS_A, "web")->downlink_meter, 0);
	assert_int_equal(rates_binding(&world, ADDRESS_A, "video")->downlink_class, 0);
	own = rates_binding(&world, ADDRESS_A, "video")->downlink_meter;
	rates_assert_rate(&world, own, 2 * MBIT);
	assert_int_equal(told, 1);
	/* it stays so, and another one takes the class that is free now */
	world_deactivate(&world, IMSI_A, ADDRESS_A, "web", false);
	sl_grace_drain(world.grace);
	activate(&world, (struct rates){.mbr = {MBIT, 3 * MBIT}});
	assert_true(rates_binding(&world, ADDRESS_A, "web")->downlink_class >= SLUICE_HTB_POOL_MINOR);
	assert_int_equal(rates_binding(&world, ADDRESS_A, "video")->downlink_meter, own);
	rates_assert_rate(&world, own, 3 * MBIT);
	assert_int_equal(told, 1);
	rates_end(&world);
}

static void to_shape_only_fails_the_rule_that_finds_no_class(void **state)
{
	struct activation activation;
	struct world world;
	struct sl_error err = {{0}};

	(void)state;
	world_start(&world, false, true, 1);
	assert_int_equal(rates_try(&world, &activation, ADDRESS_A, rates_rules, 2,
				   &(struct rates){.mbr = {MBIT, MBIT}}, &err),
			 0);
	assert_int_equal(activation.requests[0].result, 0);
	assert_int_equal(activation.requests[1].result, -ENOSPC);
	assert_int_equal(world_used(&world, "meters"), 0);
	rates_end(&world);
}

static void another_backend_after_a_restart_takes_hold_of_what_is_in_force(void **state)
{
	static const struct sl_control_config shape = {.backend = SL_RATE_SHAPE, .keep_retired = true};
	struct sl_qos_pool_status pool;
	struct world world;

	(void)state;
	rates_start(&world, false, &shape, 8);
	activate(&world, (struct rates){.mbr = {MBIT, 2 * MBIT}});
	world_stop(&world);
	rates_start(&world, true, &rates_police, 8);
	assert_int_equal(rates_binding(&world, ADDRESS_A, "web")->downlink_class, 0);
	rates_assert_rate(&world, rates_binding(&world, ADDRESS_A, "video")->downlink_meter, 2 * MBIT);
	sl_grace_drain(world.grace);
	sl_qos_pool_status(world.qos, SLUICE_DOWNLINK, &pool);
	assert_int_equal(pool.used, 0);
	world_stop(&world);
	rates_start(&world, true, &shape, 8);
	assert_true(rates_binding(&world, ADDRESS_A, "web")->downlink_class >= SLUICE_HTB_POOL_MINOR);
	assert_int_equal(rates_binding(&world, ADDRESS_A, "web")->downlink_meter, 0);
	assert_int_equal(world_used(&world, "meters"), 0);
	rates_end(&world);
}

static void a_full_map_of_meters_fails_the_rule_or_for_an_ambr_the_request(void **state)
{
	struct sl_datapath_limits limits = fixture_config().limits;
	struct activation activation;
	struct world world;
	struct sl_error err = {{0}};

	(void)state;
	limits.meters = 3;
	world_start_with(&world, false, &rates_police, &limits, 0);
	assert_int_equal(rates_try(&world, &activation, ADDRESS_A, rates_rules, 2,
				   &(struct rates){.ambr = 10 * MBIT, .mbr = {MBIT, MBIT}}, &err),
			 0);
	assert_int_equal(activation.requests[0].result, 0);
	assert_int_equal(activation.requests[1].result, -ENOSPC);
	assert_non_null(strstr(activation.requests[1].error.text, "the map meters is full"));
	world_fill(&activation, IMSI_B, ADDRESS_B, rates_rules, 2);
	activation.session.has_ambr = true;
	activation.session.ambr[SLUICE_UPLINK] = MBIT;
	assert_int_equal(sl_control_activate(world.control, &activation.session, &err), -ENOSPC);
	assert_null(world_policy(&world, ADDRESS_B));
	assert_int_equal(world_used(&world, "meters"), 3);
	rates_end(&world);
}

/* The map of bindings is full: it fails when the meters are drafted already. */
static void a_change_that_fails_late_leaves_the_rates_as_they_were(void **state)
{
	struct sl_datapath_limits limits = fixture_config().limits;
	struct rule_spec many[8] = {0};
	struct activation activation;
	struct world world;
	struct sl_error err = {{0}};
	char ids[8][8];

	(void)state;
	limits.bindings = 1;
	world_start_with(&world, false, &rates_police, &limits, 0);
	activate(&world, (struct rates){.ambr = 10 * MBIT, .mbr = {MBIT}});
	for (uint32_t i = 0; i < 8; i++) {
		snprintf(ids[i], sizeof(ids[i]), "r%u", i);
		many[i] = (struct rule_spec){.id = ids[i], .version = 1, .precedence = i};
	}
	many[0] = rates_rules[0];
	assert_int_equal(rates_try(&world, &activation, ADDRESS_A, many, 8,
				   &(struct rates){.ambr = 20 * MBIT, .mbr = {5 * MBIT, MBIT}}, &err),
			 -ENOSPC);
	rates_assert_rate(&world, rates_ambr_meter(&world, ADDRESS_A), 10 * MBIT);
	rates_assert_rate(&world, rates_binding(&world, ADDRESS_A, "web")->downlink_meter, MBIT);
	assert_int_equal(world_used(&world, "meters"), 3);
	rates_end(&world);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_devices, fixture_no_devices)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_ambr_holds_for_all_rules_together_and_drops_are_counted_under_them),
		TEST(a_policed_mbr_below_the_ambr_drops_for_itself),
		TEST(what_the_ambr_drops_uses_up_nothing_of_an_mbr),
		TEST(a_rule_with_a_gbr_is_outside_the_ambr),
		TEST(a_shaped_rule_is_under_the_ambr_too),
		TEST(a_change_is_in_force_at_once_and_counts_go_on),
		TEST(a_request_without_an_ambr_leaves_it_and_one_of_zero_ends_it),
		TEST(a_setup_that_names_no_ambr_ends_it),
		TEST(a_new_version_goes_on_in_the_same_meter),
		TEST(an_ambr_that_no_meter_can_have_is_refused_or_no_limit),
		TEST(when_no_class_is_free_a_rule_is_policed_and_that_is_told_once),
		TEST(to_shape_only_fails_the_rule_that_finds_no_class),
		TEST(another_backend_after_a_restart_takes_hold_of_what_is_in_force),
		TEST(a_full_map_of_meters_fails_the_rule_or_for_an_ambr_the_request),
		TEST(a_change_that_fails_late_leaves_the_rates_as_they_were),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
