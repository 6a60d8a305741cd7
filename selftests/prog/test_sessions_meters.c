// SPDX-License-Identifier: Apache-2.0
/* Meters of dual-stack subscribers, over restarts, and over many changes. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/clock.h"
#include "control/model.h"
#include "rates_world.h"

static void activate(struct world *world, struct rates rates)
{
	rates_activate(world, ADDRESS_A, rates_rules, 2, &rates);
}

/* --- dual stack ------------------------------------------------------------------------- */

static const struct rule_spec both[] = {
	{.id = "web", .version = 1, .precedence = 10},
	{.id = "video", .version = 1, .precedence = 20},
};

static void activate_both(struct world *world, struct rates rates)
{
	rates.twin = ADDRESS_A6;
	rates_activate(world, ADDRESS_A, both, 2, &rates);
	rates.twin = ADDRESS_A;
	rates_activate(world, ADDRESS_A6, both, 2, &rates);
}

static void twins_have_one_ambr_and_one_policed_mbr(void **state)
{
	struct world world;
	uint64_t since;

	(void)state;
	rates_start(&world, false, &rates_police, 0);
	activate_both(&world, (struct rates){.ambr = 10 * MBIT, .mbr = {4 * MBIT}});
	assert_int_equal(rates_ambr_meter(&world, ADDRESS_A), rates_ambr_meter(&world, ADDRESS_A6));
	assert_int_equal(rates_binding(&world, ADDRESS_A, "web")->downlink_meter,
			 rates_binding(&world, ADDRESS_A6, "web")->downlink_meter);
	assert_int_equal(world_used(&world, "meters"), 3);
	since = sl_now_ns();
	for (int i = 0; i < 20; i++) {
		rates_receive(&world, VIDEO, ADDRESS_A, 50);
		rates_receive(&world, "2001:db8:ffff::1", ADDRESS_A6, 50);
	}
	rates_assert_policed(rates_usage(&world, ADDRESS_A, "web")->downlink.bytes +
				     rates_usage(&world, ADDRESS_A6, "web")->downlink.bytes,
			     4 * MBIT, since);

	activate_both(&world, (struct rates){.ambr = 20 * MBIT, .mbr = {5 * MBIT}});
	rates_assert_rate(&world, rates_ambr_meter(&world, ADDRESS_A6), 20 * MBIT);
	rates_assert_rate(&world, rates_binding(&world, ADDRESS_A, "web")->downlink_meter, 5 * MBIT);
	/* the other family goes on with them */
	world_deactivate(&world, IMSI_A, ADDRESS_A, NULL, true);
	assert_int_equal(world_used(&world, "meters"), 3);
	rates_assert_rate(&world, rates_ambr_meter(&world, ADDRESS_A6), 20 * MBIT);
	rates_end(&world);
}

/* --- restarts ----------------------------------------------------------------------------- */

static void a_restart_goes_on_where_the_meters_were(void **state)
{
	struct sluice_meter session, own;
	struct world world;
	uint32_t numbers[2];

	(void)state;
	rates_start(&world, false, &rates_police, 0);
	activate_both(&world, (struct rates){.ambr = 10 * MBIT, .mbr = {MBIT}});
	numbers[0] = rates_ambr_meter(&world, ADDRESS_A);
	numbers[1] = rates_binding(&world, ADDRESS_A, "web")->downlink_meter;
	rates_receive(&world, VIDEO, ADDRESS_A, 100);
	session = *rates_meter(&world, numbers[0]);
	own = *rates_meter(&world, numbers[1]);
	assert_true(own.refused.packets > 0);
	for (int i = 0; i < 2; i++) {
		world_stop(&world);
		rates_start(&world, true, &rates_police, 0);
		assert_int_equal(rates_ambr_meter(&world, ADDRESS_A), numbers[0]);
		assert_int_equal(rates_ambr_meter(&world, ADDRESS_A6), numbers[0]);
		assert_int_equal(rates_binding(&world, ADDRESS_A, "web")->downlink_meter, numbers[1]);
		assert_int_equal(rates_binding(&world, ADDRESS_A6, "web")->downlink_meter, numbers[1]);
		assert_memory_equal(rates_meter(&world, numbers[0]), &session, sizeof(session));
		assert_memory_equal(rates_meter(&world, numbers[1]), &own, sizeof(own));
		assert_int_equal(world_used(&world, "meters"), 3);
	}
	rates_end(&world);
}

static void a_restart_puts_right_what_a_crash_left_between_record_and_publication(void **state)
{
	struct sluice_session_record *record;
	struct world world;

	(void)state;
	rates_start(&world, false, &rates_police, 0);
	activate(&world, (struct rates){.mbr = {MBIT}});
	record = &sl_datapath_maps(world.datapath)->sessions[world_policy(&world, ADDRESS_A)->session];
	/* an AMBR was asked for, and nothing more was written */
	record->ambr_downlink = 10 * MBIT;
	world_stop(&world);
	rates_start(&world, true, &rates_police, 0);
	rates_assert_rate(&world, rates_ambr_meter(&world, ADDRESS_A), 10 * MBIT);
	assert_int_equal(
		rates_meter(&world, rates_binding(&world, ADDRESS_A, "web")->downlink_meter)->parent + 1,
		rates_ambr_meter(&world, ADDRESS_A));

	/* it was to end */
	record = &sl_datapath_maps(world.datapath)->sessions[world_policy(&world, ADDRESS_A)->session];
	record->ambr_downlink = 0;
	record->downlink_meter = 0;
	world_stop(&world);
	rates_start(&world, true, &rates_police, 0);
	assert_int_equal(rates_binding(&world, ADDRESS_A, "video")->downlink_meter, 0);
	assert_int_equal(rates_meter(&world, rates_binding(&world, ADDRESS_A, "web")->downlink_meter)->parent,
			 SLUICE_NONE);
	assert_int_equal(world_used(&world, "meters"), 1);

	/* the rule's meter is another's, by somebody's hand */
	rates_meter(&world, rates_binding(&world, ADDRESS_A, "web")->downlink_meter)->level =
		SLUICE_METER_LINK;
	world_stop(&world);
	rates_start(&world, true, &rates_police, 0);
	rates_assert_rate(&world, rates_binding(&world, ADDRESS_A, "web")->downlink_meter, MBIT);
	assert_int_equal(rates_meter(&world, rates_binding(&world, ADDRESS_A, "web")->downlink_meter)->level,
			 SLUICE_METER_RULE);
	rates_end(&world);
}

/* --- many changes ---------------------------------------------------------------------------- */

static void ten_thousand_cycles_leave_no_meter(void **state)
{
	struct world world;

	(void)state;
	rates_start(&world, false, &rates_police, 0);
	for (int i = 0; i < 5000; i++) {
		activate_both(&world,
			      (struct rates){.ambr = (1 + (uint64_t)i % 50) * MBIT,
					     .mbr = {(1 + (uint64_t)i % 7) * MBIT, i % 2 ? MBIT : 0}});
		world_deactivate(&world, IMSI_A, NULL, NULL, true);
		if (i % 8 == 7)
			world_acknowledge_all(&world);
	}
	rates_end(&world);
}

static uint32_t below(uint32_t *random, uint32_t limit)
{
	*random = *random * 1664525 + 1013904223;
	return (uint32_t)((uint64_t)*random * limit >> 32);
}

/* Every binding leads to the meters its rule and session should have, and no other is taken. */
static void check_meters(struct world *world, uint32_t seed, int step)
{
	const struct sl_maps *maps = sl_datapath_maps(world->datapath);
	uint8_t used[256] = {0};
	uint64_t count = 0;

	for (uint32_t slot = 0; slot < maps->size.sessions; slot++) {
		const struct sl_session *session = world->control->by_slot[slot];

		for (int d = 0; session && session->active && d < SLUICE_DIRECTIONS; d++) {
			uint64_t ambr = d == SLUICE_UPLINK ? maps->sessions[slot].ambr_uplink
							   : maps->sessions[slot].ambr_downlink;

			if (!ambr != !session->meter[d])
				fail_msg("seed %u, step %d: AMBR %lu, meter %u", seed, step,
					 (unsigned long)ambr, session->meter[d]);
			if (session->meter[d])
				used[session->meter[d] - 1] = 1;
			for (uint32_t i = 0; i < session->install_count; i++) {
				const struct sl_install *install = &session->installs[i];
				uint32_t own = install->meter[d];
				uint32_t bound = d == SLUICE_UPLINK ? install->binding.uplink_meter
								    : install->binding.downlink_meter;
				const struct sl_install *other;
				uint16_t class = d == SLUICE_UPLINK ? install->binding.uplink_class
								    : install->binding.downlink_class;

				if (bound != (own ? own : session->meter[d]))
					fail_msg("seed %u, step %d: bound to %u", seed, step, bound);
				if (!install->rule->mbr[d] != (!own && !class) || (own && class))
					fail_msg("seed %u, step %d: MBR %lu, meter %u, class %u", seed, step,
						 (unsigned long)install->rule->mbr[d], own, class);
				if (!own)
					continue;
				used[own - 1] = 1;
				other = sl_twin_install(session->twin, install);
				ambr = session->meter[d];
				if (!ambr && other && other->meter[d] == own)
					ambr = session->twin->meter[d];
				if (maps->meters[own - 1].parent + 1 != ambr)
					fail_msg("seed %u, step %d: parent %u", seed, step,
						 maps->meters[own - 1].parent);
			}
		}
	}
	for (size_t i = 0; i < sizeof(used); i++)
		count += used[i];
	if (world_used(world, "meters") != count)
		fail_msg("seed %u, step %d: %lu meters are taken, %lu are in use", seed, step,
			 (unsigned long)world_used(world, "meters"), (unsigned long)count);
}

static void whatever_is_asked_for_each_rate_has_its_one_meter_or_class(void **state)
{
	static const char *const addresses[] = {ADDRESS_A, ADDRESS_A6, ADDRESS_B, "2001:db8:b::1"};
	uint32_t seed = (uint32_t)time(NULL), random = seed;
	struct world world;

	(void)state;
	rates_start(&world, false, &rates_auto, 3);
	for (int step = 0; step < 600; step++) {
		uint32_t what = below(&random, 20), first = below(&random, 2);
		const char *address = addresses[below(&random, 4)];
		struct activation activation;
		struct sl_error err = {{0}};

		if (what < 12) {
			struct rates rates = {.ambr = below(&random, 3) * 5 * MBIT,
					      .mbr = {below(&random, 3) * MBIT, below(&random, 3) * MBIT},
					      .twin = what < 6 ? addresses[below(&random, 4)] : NULL};
			struct rule_spec specs[2] = {both[first], both[1 - first]};

			specs[0].version = specs[1].version = 1 + below(&random, 2);
			assert_int_equal(rates_try(&world, &activation, address, specs, 1 + below(&random, 2),
						   &rates, &err),
					 0);
		} else if (what < 14) {
			world_deactivate(&world, IMSI_A, address, both[first].id, false);
		} else if (what < 16) {
			world_deactivate(&world, IMSI_A, address, NULL, true);
		} else if (what < 18) {
			world_acknowledge_all(&world);
		} else if (what == 18) {
			uint32_t refused;

			world_fill(&activation, IMSI_A, address, both, 2);
			activation.rules[0].mbr[SLUICE_DOWNLINK] = MBIT;
			activation.session.has_ambr = first != 0;
			activation.session.ambr[SLUICE_DOWNLINK] = MBIT;
			assert_int_equal(
				sl_control_setup(world.control, &activation.session, 1, &refused, &err), 0);
		} else {
			world_stop(&world);
			rates_start(&world, true, &rates_auto, 3);
		}
		check_meters(&world, seed, step);
	}
	rates_end(&world);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_devices, fixture_no_devices)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(twins_have_one_ambr_and_one_policed_mbr),
		TEST(a_restart_goes_on_where_the_meters_were),
		TEST(a_restart_puts_right_what_a_crash_left_between_record_and_publication),
		TEST(ten_thousand_cycles_leave_no_meter),
		TEST(whatever_is_asked_for_each_rate_has_its_one_meter_or_class),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
