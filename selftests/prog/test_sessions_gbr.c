// SPDX-License-Identifier: Apache-2.0
/* GBRs that no rule can have, and refusals that are counted once. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "policy/profile.h"
#include "rates_world.h"

#define DOWN SLUICE_DOWNLINK

static const struct sl_profile *find_profile(const char *name, void *user)
{
	static const struct sl_profile upside_down = {
		.name = "upside-down", .mbr = {MBIT, MBIT}, .gbr = {MBIT, 50 * MBIT}};

	(void)user;
	return strcmp(name, upside_down.name) == 0 ? &upside_down : NULL;
}

static const struct sl_control_config police = {.backend = SL_RATE_POLICE,
						.keep_retired = true,
						.reserve = {100 * MBIT, 100 * MBIT},
						.profile = find_profile};
static const struct sl_control_config shape = {
	.backend = SL_RATE_SHAPE, .keep_retired = true, .reserve = {10 * MBIT, 10 * MBIT}};

static void a_gbr_above_the_mbr_is_refused_and_the_rule_stays_as_it_was(void **state)
{
	struct activation activation;
	struct sl_error err = {{0}};
	struct world world;

	(void)state;
	rates_start(&world, false, &police, 0);
	rates_activate(&world, ADDRESS_A, rates_rules, 2, &(struct rates){.mbr = {MBIT}});
	assert_int_equal(rates_try(&world, &activation, ADDRESS_A, rates_rules, 2,
				   &(struct rates){.mbr = {MBIT, 2 * MBIT}, .gbr = {50 * MBIT, 2 * MBIT}},
				   &err),
			 0);
	assert_int_equal(activation.requests[0].result, -EINVAL);
	assert_string_equal(activation.requests[0].error.text,
			    "gbr.downlink: 50Mbit is above the MBR; allowed: at most 1Mbit");
	assert_int_equal(activation.requests[1].result, 0);
	rates_assert_rate(&world, rates_binding(&world, ADDRESS_A, "web")->downlink_meter, MBIT);
	world_stop(&world);
}

static void a_profile_whose_gbr_is_above_its_mbr_is_refused_as_well(void **state)
{
	struct activation activation;
	struct sl_error err = {{0}};
	struct world world;

	(void)state;
	rates_start(&world, false, &police, 0);
	world_fill(&activation, IMSI_A, ADDRESS_A, rates_rules, 1);
	strcpy(activation.rules[0].profile, "upside-down");
	assert_int_equal(sl_control_activate(world.control, &activation.session, &err), 0);
	assert_int_equal(activation.requests[0].result, -EINVAL);
	assert_string_equal(activation.requests[0].error.text,
			    "gbr.downlink: 50Mbit is above the MBR; allowed: at most 1Mbit");
	assert_int_equal(world_policy(&world, ADDRESS_A)->rules, 0);
	world_stop(&world);
}

/* The request is drafted twice: its second rule waits for the class that has just been given back. */
static void a_refusal_of_a_request_that_is_tried_twice_is_counted_once(void **state)
{
	uint64_t refused, preempted;
	struct activation activation;
	struct sl_error err = {{0}};
	struct world world;

	(void)state;
	rates_start(&world, false, &shape, 1);
	rates_activate(&world, ADDRESS_A, rates_rules, 2, &(struct rates){.mbr = {0, MBIT}});
	world_deactivate(&world, IMSI_A, ADDRESS_A, "video", false);
	assert_int_equal(rates_try(&world, &activation, ADDRESS_A, rates_rules, 2,
				   &(struct rates){.mbr = {50 * MBIT, 2 * MBIT}, .gbr = {50 * MBIT}}, &err),
			 0);
	assert_int_equal(activation.requests[0].result, -EBUSY);
	assert_int_equal(activation.requests[1].result, 0);
	assert_int_not_equal(rates_binding(&world, ADDRESS_A, "video")->downlink_class, 0);
	sl_control_count_guarantees(world.control, &refused, &preempted);
	assert_int_equal(refused, 1);
	assert_int_equal(preempted, 0);
	world_stop(&world);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_devices, fixture_no_devices)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(a_gbr_above_the_mbr_is_refused_and_the_rule_stays_as_it_was),
		TEST(a_profile_whose_gbr_is_above_its_mbr_is_refused_as_well),
		TEST(a_refusal_of_a_request_that_is_tried_twice_is_counted_once),
	};

	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
