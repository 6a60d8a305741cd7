// SPDX-License-Identifier: Apache-2.0
/* Guarantees from their beginning to their end: changes, twins, a restart, and whatever is asked for. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "control/model.h"
#include "guarantees_world.h"

/* --- the life of a guarantee ---------------------------------------------------------------------- */

static void a_guarantee_ends_with_its_rule_however_that_ends(void **state)
{
	const struct wish video = {.id = "video", .gbr = 7 * MBIT};
	struct rule_spec spec = {.id = "video", .version = 1, .precedence = 10, .hard_timeout_s = 1};
	const struct timespec more = {.tv_sec = 1, .tv_nsec = 100000000};
	struct sl_error err = {{0}};
	uint32_t refused;
	struct world world;

	(void)state;
	guarantees_start(&world, false);
	guarantees_ask(&world, IMSI_A, ADDRESS_A, video);
	world_deactivate(&world, IMSI_A, NULL, "video", false);
	assert_int_equal(guarantees_reserved(&world), 0);
	guarantees_ask(&world, IMSI_A, ADDRESS_A, video);
	world_deactivate(&world, IMSI_A, NULL, NULL, true);
	assert_int_equal(guarantees_reserved(&world), 0);
	guarantees_ask(&world, IMSI_A, ADDRESS_A, video);
	guarantees_ask(&world, IMSI_A, ADDRESS_A, (struct wish){.id = "video"}); /* without a GBR */
	assert_int_equal(guarantees_reserved(&world), 0);
	guarantees_ask(&world, IMSI_A, ADDRESS_A, video);
	guarantees_ask(&world, IMSI_B, ADDRESS_A,
		       (struct wish){.id = "web"}); /* the address is another's now */
	assert_int_equal(guarantees_reserved(&world), 0);
	guarantees_ask(&world, IMSI_A, ADDRESS_B, video);
	assert_int_equal(sl_control_setup(world.control, NULL, 0, &refused, &err), 0);
	assert_int_equal(guarantees_reserved(&world), 0);
	world_fill(&guarantees_last, IMSI_A, ADDRESS_A, &spec, 1);
	guarantees_last.rules[0].gbr[SLUICE_DOWNLINK] = 7 * MBIT;
	assert_int_equal(sl_control_activate(world.control, &guarantees_last.session, &err), 0);
	assert_int_equal(guarantees_reserved(&world), 7 * MBIT);
	nanosleep(&more, NULL);
	sl_control_expire(world.control);
	assert_int_equal(guarantees_reserved(&world), 0);
	guarantees_end(&world);
}

static void what_a_setup_takes_away_is_free_for_what_it_asks_for(void **state)
{
	const struct wish video = {.id = "video", .gbr = 7 * MBIT};
	struct rule_spec spec = {.id = "film", .version = 1, .precedence = 10};
	struct sl_error err = {{0}};
	uint32_t refused;
	struct world world;

	(void)state;
	guarantees_start(&world, false);
	guarantees_ask(&world, IMSI_A, ADDRESS_A, video);
	world_fill(&guarantees_last, IMSI_A, ADDRESS_A, &spec, 1);
	guarantees_last.rules[0].gbr[SLUICE_DOWNLINK] = 8 * MBIT;
	assert_int_equal(sl_control_setup(world.control, &guarantees_last.session, 1, &refused, &err), 0);
	assert_int_equal(guarantees_last.requests[0].result, 0);
	assert_int_equal(guarantees_reserved(&world), 8 * MBIT);
	guarantees_end(&world);
}

static void a_change_is_admitted_anew_and_refused_it_leaves_the_rule_as_it_was(void **state)
{
	struct world world;

	(void)state;
	guarantees_start(&world, false);
	guarantees_ask(&world, IMSI_A, ADDRESS_A, (struct wish){.id = "video", .gbr = 4 * MBIT});
	guarantees_ask(&world, IMSI_B, ADDRESS_B, (struct wish){.id = "video", .gbr = 4 * MBIT});
	assert_int_equal(
		guarantees_ask(&world, IMSI_A, ADDRESS_A, (struct wish){.id = "video", .gbr = 7 * MBIT})
			->result,
		-EBUSY);
	assert_int_equal(guarantees_reserved(&world), 8 * MBIT);
	assert_true(guarantees_has_rule(&world, IMSI_A, "video"));
	assert_int_equal(
		guarantees_ask(&world, IMSI_A, ADDRESS_A, (struct wish){.id = "video", .gbr = 6 * MBIT})
			->result,
		0);
	/* another version is the same guarantee */
	assert_int_equal(guarantees_ask(&world, IMSI_A, ADDRESS_A,
					(struct wish){.id = "video", .gbr = 6 * MBIT, .version = 2})
				 ->result,
			 0);
	assert_int_equal(guarantees_reserved(&world), 10 * MBIT);
	guarantees_end(&world);
}

static void a_rule_that_both_families_have_is_one_guarantee(void **state)
{
	const struct wish video = {.id = "video", .gbr = 6 * MBIT, .level = 9};
	struct world world;

	(void)state;
	guarantees_start(&world, false);
	guarantees_ask_for(&world, IMSI_A, ADDRESS_A, "", ADDRESS_A6, &video, 1);
	assert_int_equal(guarantees_ask_for(&world, IMSI_A, ADDRESS_A6, "", ADDRESS_A, &video, 1)->result, 0);
	assert_int_equal(guarantees_reserved(&world), 6 * MBIT);
	world_deactivate(&world, IMSI_A, ADDRESS_A, "video", false);
	assert_int_equal(guarantees_reserved(&world), 6 * MBIT);
	assert_int_equal(guarantees_ask_for(&world, IMSI_A, ADDRESS_A, "", ADDRESS_A6, &video, 1)->result, 0);
	assert_int_equal(guarantees_reserved(&world), 6 * MBIT);
	/* pre-empted it goes from both */
	assert_int_equal(
		guarantees_ask(&world, IMSI_B, ADDRESS_B,
			       (struct wish){.id = "gold", .gbr = 8 * MBIT, .level = 3, .may_preempt = true})
			->preempted,
		1);
	assert_int_equal(guarantees_told.preempted, 2);
	assert_int_equal(rates_binding(&world, ADDRESS_B, "gold")->downlink_meter != 0, 1);
	assert_int_equal(world_policy(&world, ADDRESS_A)->rules, 0);
	assert_int_equal(world_policy(&world, ADDRESS_A6)->rules, 0);
	world_deactivate(&world, IMSI_B, NULL, NULL, true);

	/* who is left by his twin has one of his own */
	guarantees_ask_for(&world, IMSI_A, ADDRESS_A, "", ADDRESS_A6, &video, 1);
	guarantees_ask_for(&world, IMSI_A, ADDRESS_A6, "", ADDRESS_A, &video, 1);
	guarantees_ask_for(&world, IMSI_A, ADDRESS_A, "", ADDRESS_B6, &video, 1);
	guarantees_ask_for(&world, IMSI_A, ADDRESS_B6, "", ADDRESS_A, &video, 1);
	assert_int_equal(guarantees_reserved(&world), 12 * MBIT);
	guarantees_end(&world);
}

static void a_restart_finds_all_guarantees_in_the_order_of_their_age(void **state)
{
	const struct wish video = {.id = "video", .gbr = 3 * MBIT, .level = 9};
	const struct timespec tick = {.tv_nsec = 2000000};
	struct world world;

	(void)state;
	guarantees_start(&world, false);
	/* the slot of the older one is not the first */
	guarantees_ask(&world, IMSI_A, ADDRESS_A, (struct wish){.id = "first"});
	guarantees_ask(&world, IMSI_B, ADDRESS_B, video);
	nanosleep(&tick, NULL);
	guarantees_ask_for(&world, IMSI_A, ADDRESS_A, "", ADDRESS_A6, &video, 1);
	guarantees_ask_for(&world, IMSI_A, ADDRESS_A6, "", ADDRESS_A, &video, 1);
	assert_int_equal(guarantees_reserved(&world), 6 * MBIT);
	world_stop(&world);
	guarantees_start(&world, true);
	assert_int_equal(guarantees_reserved(&world), 6 * MBIT);
	assert_int_equal(guarantees_told.preempted, 0);
	/* the newest gives way, from both families: that is not the one with the higher slot */
	guarantees_ask(&world, IMSI_B, ADDRESS_B,
		       (struct wish){.id = "gold", .gbr = 7 * MBIT, .level = 3, .may_preempt = true});
	assert_int_equal(guarantees_told.preempted, 2);
	assert_string_equal(guarantees_told.imsi, IMSI_A);
	assert_true(guarantees_has_rule(&world, IMSI_B, "video"));
	assert_int_equal(guarantees_reserved(&world), 10 * MBIT);
	guarantees_end(&world);
}

static void a_restart_with_a_smaller_reserve_takes_nothing_from_anybody(void **state)
{
	struct sl_control_config smaller = guarantees_settings;
	struct world world;

	(void)state;
	guarantees_start(&world, false);
	guarantees_ask(&world, IMSI_A, ADDRESS_A, (struct wish){.id = "video", .gbr = 7 * MBIT});
	world_stop(&world);
	smaller.reserve[SLUICE_DOWNLINK] = 5 * MBIT;
	rates_start(&world, true, &smaller, 0);
	assert_int_equal(guarantees_reserved(&world), 7 * MBIT);
	assert_true(guarantees_has_rule(&world, IMSI_A, "video"));
	assert_int_equal(
		guarantees_ask(&world, IMSI_A, ADDRESS_A, (struct wish){.id = "video", .gbr = 7 * MBIT})
			->result,
		0);
	assert_int_equal(
		guarantees_ask(&world, IMSI_B, ADDRESS_B, (struct wish){.id = "web", .gbr = MBIT})->result,
		-EBUSY);
	guarantees_end(&world);
}

/* --- who shares one, and who does no more --------------------------------------------------------------- */

static void a_rule_does_not_join_that_of_a_new_twin_which_gives_way_in_the_same_request(void **state)
{
	const struct wish one = {.id = "one", .gbr = 2 * MBIT, .level = 9};
	const struct wish gold = {.id = "gold", .gbr = 4 * MBIT, .level = 3, .may_preempt = true};
	struct guarantees_load all;
	struct world world;

	(void)state;
	guarantees_start(&world, false);
	guarantees_ask_for(&world, IMSI_A, ADDRESS_A, "internet", NULL, &one, 1);
	guarantees_ask_for(&world, IMSI_A, ADDRESS_A6, "ims", NULL,
			   &(struct wish){.id = "one", .gbr = 3 * MBIT, .level = 2}, 1);
	assert_int_equal(
		guarantees_ask_for(&world, IMSI_A, ADDRESS_A6, "internet", ADDRESS_A, &gold, 1)->preempted,
		1);
	assert_int_equal(guarantees_told.preempted, 1);
	assert_int_equal(world_policy(&world, ADDRESS_A)->rules, 0);
	assert_int_equal(world_policy(&world, ADDRESS_A6)->rules, 2);
	/* it keeps what it had, though that does not fit into the new APN */
	all = guarantees_load(&world);
	assert_int_equal(all.apn[1].rules, 2);
	assert_int_equal(all.apn[1].reserved[SLUICE_DOWNLINK], 7 * MBIT);
	assert_int_equal(all.link.reserved[SLUICE_DOWNLINK], 7 * MBIT);
	guarantees_end(&world);
}

static void a_rule_asked_for_again_keeps_its_own_when_that_of_a_new_twin_gives_way(void **state)
{
	const struct wish both[] = {
		{.id = "gold", .gbr = 4 * MBIT, .level = 3, .may_preempt = true},
		{.id = "one", .gbr = 6 * MBIT, .level = 2},
	};
	struct sl_rule_request *answer;
	struct world world;

	(void)state;
	guarantees_start(&world, false);
	guarantees_ask_for(&world, IMSI_A, ADDRESS_A, "ims", NULL,
			   &(struct wish){.id = "one", .gbr = 4 * MBIT, .level = 9}, 1);
	guarantees_ask_for(&world, IMSI_A, ADDRESS_A6, "ims", NULL, &both[1], 1);
	answer = guarantees_ask_for(&world, IMSI_A, ADDRESS_A6, "ims", ADDRESS_A, both, 2);
	assert_int_equal(answer[0].preempted, 1);
	assert_int_equal(answer[1].result, 0);
	assert_int_equal(guarantees_reserved(&world), 10 * MBIT);
	guarantees_end(&world);
}

static void what_a_rule_has_of_its_own_is_free_for_what_it_asks_of_its_new_twins(void **state)
{
	const struct wish one = {.id = "one", .gbr = 6 * MBIT};
	struct sl_rule_request *answer;
	struct world world;

	(void)state;
	guarantees_start(&world, false);
	guarantees_ask(&world, IMSI_A, ADDRESS_A, (struct wish){.id = "one", .gbr = 4 * MBIT});
	guarantees_ask(&world, IMSI_A, ADDRESS_A6, one);
	answer = guarantees_ask_for(&world, IMSI_A, ADDRESS_A6, "", ADDRESS_A, &one, 1);
	assert_int_equal(answer->result, 0);
	assert_int_equal(answer->preempted, 0);
	assert_int_equal(guarantees_reserved(&world), 6 * MBIT);

	/* refused, both are as before, but are one now */
	guarantees_ask_for(&world, IMSI_A, ADDRESS_B, "", NULL, &(struct wish){.id = "one", .gbr = 3 * MBIT},
			   1);
	answer = guarantees_ask_for(&world, IMSI_A, ADDRESS_B, "", ADDRESS_A6,
				    &(struct wish){.id = "one", .gbr = 11 * MBIT}, 1);
	assert_int_equal(answer->result, -EBUSY);
	assert_int_equal(guarantees_load(&world).link.rules, 2);
	guarantees_end(&world);
}

static void a_rule_that_was_shared_goes_along_to_another_apn_and_another_twin(void **state)
{
	const struct wish video = {.id = "video", .gbr = 3 * MBIT};
	const struct wish web = {.id = "web"};
	struct guarantees_load all;
	struct world world;

	(void)state;
	guarantees_start(&world, false);
	guarantees_ask_for(&world, IMSI_A, ADDRESS_A, "internet", NULL, &video, 1);
	guarantees_ask_for(&world, IMSI_A, ADDRESS_A6, "internet", ADDRESS_A, &video, 1);
	guarantees_ask_for(&world, IMSI_A, ADDRESS_B6, "ims", NULL, &web, 1);
	assert_int_equal(guarantees_reserved(&world), 3 * MBIT);
	guarantees_ask_for(&world, IMSI_A, ADDRESS_A, "ims", ADDRESS_B6, &web, 1);
	all = guarantees_load(&world);
	assert_int_equal(all.apn[0].reserved[SLUICE_DOWNLINK], 3 * MBIT);
	assert_int_equal(all.apn[1].reserved[SLUICE_DOWNLINK], 3 * MBIT);
	assert_int_equal(all.link.reserved[SLUICE_DOWNLINK], 6 * MBIT);
	guarantees_end(&world);
}

static void who_is_left_by_his_twin_has_one_of_his_own_also_where_he_cannot_be_published_anew(void **state)
{
	const struct wish wishes[] = {{.id = "video", .gbr = 3 * MBIT, .level = 9},
				      {.id = "two"},
				      {.id = "three"},
				      {.id = "four"},
				      {.id = "five"}};
	struct sl_datapath_limits limits = fixture_config().limits;
	struct world world;

	(void)state;
	memset(&guarantees_told, 0, sizeof(guarantees_told));
	limits.bindings = 1; /* that of the fifth rule */
	world_start_with(&world, false, &guarantees_settings, &limits, 0);
	guarantees_ask_for(&world, IMSI_A, ADDRESS_A, "", NULL, wishes, 5);
	guarantees_ask_for(&world, IMSI_A, ADDRESS_A6, "", ADDRESS_A, wishes, 1);
	assert_int_equal(guarantees_reserved(&world), 3 * MBIT);
	guarantees_ask_for(&world, IMSI_A, ADDRESS_B, "", NULL, &wishes[1], 1);
	guarantees_ask_for(&world, IMSI_A, ADDRESS_A6, "", ADDRESS_B, &wishes[1], 1);
	assert_int_equal(guarantees_reserved(&world), 6 * MBIT);
	world_deactivate(&world, IMSI_A, ADDRESS_A6, NULL, true);
	assert_int_equal(guarantees_reserved(&world), 3 * MBIT);
	guarantees_end(&world);
}

/* --- whatever happens -------------------------------------------------------------------------------- */

static uint32_t below(uint32_t *random, uint32_t limit)
{
	*random = *random * 1664525 + 1013904223;
	return (uint32_t)((uint64_t)*random * limit >> 32);
}

/* Nobody but twins of one APN has the guarantee of this rule, and for the same rule. */
static void check_users(struct world *world, const struct sl_session *session,
			const struct sl_install *install, uint32_t seed, int step)
{
	const struct sl_install *other = sl_twin_install(session->twin, install);
	const struct sl_session *stranger;
	bool are_one = other && sl_apn_is_same(world->control, session, NULL, session->twin);

	if (are_one && other->guarantee && other->guarantee != install->guarantee)
		fail_msg("seed %u, step %d: twins have guarantees %u and %u", seed, step, install->guarantee,
			 other->guarantee);
	DL_FOREACH (world->control->all, stranger)
		for (uint32_t i = 0; stranger->active && i < stranger->install_count; i++)
			if (stranger->installs[i].guarantee == install->guarantee &&
			    &stranger->installs[i] != install &&
			    !(are_one && &stranger->installs[i] == other))
				fail_msg("seed %u, step %d: rules %s and %s share guarantee %u", seed, step,
					 install->rule->id, stranger->installs[i].rule->id,
					 install->guarantee);
}

/*
 * Every rule with a GBR in force is in the book once, in its APN, that of twins of one APN together.
 * The later request holds for both of these: what is reserved is checked only where nothing is.
 */
static void check_book(struct world *world, uint32_t seed, int step)
{
	uint32_t rules[SLUICE_APNS + 1] = {0}, all = 0;
	struct guarantees_load load = guarantees_load(world);
	struct sl_session *session;

	DL_FOREACH (world->control->all, session) {
		uint8_t apn = sl_apn_wanted(world->control, session, NULL);

		for (uint32_t i = 0; session->active && i < session->install_count; i++) {
			const struct sl_install *install = &session->installs[i];
			const struct sl_install *other = sl_twin_install(session->twin, install);

			if (sl_rule_has_gbr(install->rule) != (install->guarantee != 0))
				fail_msg("seed %u, step %d: GBR %lu, guarantee %u", seed, step,
					 (unsigned long)install->rule->gbr[SLUICE_DOWNLINK],
					 install->guarantee);
			if (!install->guarantee)
				continue;
			check_users(world, session, install, seed, step);
			if (other && other->guarantee == install->guarantee &&
			    session->twin->slot < session->slot)
				continue;
			rules[apn]++;
			all++;
		}
	}
	for (int i = 0; i < 2; i++) {
		const struct sl_load_view *apn = &load.apn[i];
		uint32_t expected = rules[sl_apn_number(world->control, apn->apn)];

		if (apn->rules != expected || (!expected && apn->reserved[SLUICE_DOWNLINK]))
			fail_msg("seed %u, step %d: APN %s has %u rules and %lu bit/s in the book, %u in "
				 "force",
				 seed, step, apn->apn, apn->rules,
				 (unsigned long)apn->reserved[SLUICE_DOWNLINK], expected);
	}
	if (load.link.rules != all || (!all && load.link.reserved[SLUICE_DOWNLINK]))
		fail_msg("seed %u, step %d: %u rules and %lu bit/s in the book, %u in force", seed, step,
			 load.link.rules, (unsigned long)load.link.reserved[SLUICE_DOWNLINK], all);
}

static void whatever_is_asked_for_the_book_has_what_is_in_force(void **state)
{
	static const char *const addresses[] = {ADDRESS_A, ADDRESS_A6, ADDRESS_B, ADDRESS_B6};
	static const char *const imsis[] = {IMSI_A, IMSI_B};
	static const char *const names[] = {"one", "two", "three"};
	static const char *const apn_names[] = {"", "internet", "ims"};
	const char *chosen = getenv("SEED");
	uint32_t seed = chosen ? (uint32_t)strtoul(chosen, NULL, 10) : (uint32_t)time(NULL), random = seed;
	uint64_t refused, preempted, refusals = 0, preemptions = 0;
	struct world world;

	(void)state;
	print_message("seed %u (SEED=%u repeats it)\n", seed, seed);
	guarantees_start(&world, false);
	for (int step = 0; step < 500; step++) {
		uint32_t what = below(&random, 20), who = below(&random, 2), where = below(&random, 4);
		struct wish wishes[3];

		for (uint32_t i = 0; i < 3; i++)
			wishes[i] = (struct wish){.id = names[i],
						  .gbr = below(&random, 5) * MBIT,
						  .level = (uint8_t)below(&random, 16),
						  .may_preempt = false,
						  .version = 1 + below(&random, 2)};
		for (uint32_t i = 0; i < 3; i++)
			wishes[i].may_preempt = wishes[i].level && below(&random, 2);
		if (what < 14) {
			guarantees_ask_for(&world, imsis[who], addresses[where], apn_names[below(&random, 3)],
					   what < 8 ? addresses[where ^ 1] : NULL, wishes,
					   1 + below(&random, 3));
		} else if (what < 16) {
			world_deactivate(&world, imsis[who], NULL, names[below(&random, 3)], false);
		} else if (what == 16) {
			world_deactivate(&world, imsis[who], addresses[where], NULL, true);
		} else if (what == 17) {
			world_acknowledge_all(&world);
		} else if (what == 18) {
			sl_control_expire(world.control);
		} else {
			sl_control_count_guarantees(world.control, &refused, &preempted);
			refusals += refused;
			preemptions += preempted;
			world_stop(&world);
			guarantees_start(&world, true);
		}
		check_book(&world, seed, step);
	}
	assert_true(refusals > 10 && preemptions > 10);
	guarantees_end(&world);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_devices, fixture_no_devices)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_guarantee_ends_with_its_rule_however_that_ends),
		TEST(what_a_setup_takes_away_is_free_for_what_it_asks_for),
		TEST(a_change_is_admitted_anew_and_refused_it_leaves_the_rule_as_it_was),
		TEST(a_rule_that_both_families_have_is_one_guarantee),
		TEST(a_restart_finds_all_guarantees_in_the_order_of_their_age),
		TEST(a_restart_with_a_smaller_reserve_takes_nothing_from_anybody),
		TEST(a_rule_does_not_join_that_of_a_new_twin_which_gives_way_in_the_same_request),
		TEST(a_rule_asked_for_again_keeps_its_own_when_that_of_a_new_twin_gives_way),
		TEST(what_a_rule_has_of_its_own_is_free_for_what_it_asks_of_its_new_twins),
		TEST(a_rule_that_was_shared_goes_along_to_another_apn_and_another_twin),
		TEST(who_is_left_by_his_twin_has_one_of_his_own_also_where_he_cannot_be_published_anew),
		TEST(whatever_is_asked_for_the_book_has_what_is_in_force),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
