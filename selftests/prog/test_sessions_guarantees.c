// SPDX-License-Identifier: Apache-2.0
/* Rules with a GBR: who is admitted, who gives way, and that nothing is half done. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "guarantees_world.h"

/* --- admission ------------------------------------------------------------------------------ */

static void a_gbr_that_does_not_fit_fails_alone_and_the_text_says_what_is_short(void **state)
{
	const struct wish both[] = {{.id = "video", .gbr = 8 * MBIT}, {.id = "web"}};
	struct sl_rule_request *answer;
	struct world world;

	(void)state;
	guarantees_start(&world, false);
	guarantees_ask(&world, IMSI_A, ADDRESS_A, (struct wish){.id = "video", .gbr = 7 * MBIT});
	answer = guarantees_ask_for(&world, IMSI_B, ADDRESS_B, "", NULL, both, 2);
	assert_int_equal(answer[0].result, -EBUSY);
	assert_string_equal(answer[0].error.text,
			    "the GBR of 8Mbit downlink: the reserve of the link lacks 5Mbit; ARP level 15, "
			    "which may not pre-empt");
	assert_int_equal(answer[1].result, 0);
	assert_false(guarantees_has_rule(&world, IMSI_B, "video"));
	assert_true(guarantees_has_rule(&world, IMSI_B, "web"));
	assert_int_equal(guarantees_reserved(&world), 7 * MBIT);
	assert_int_equal(
		guarantees_ask(&world, IMSI_B, ADDRESS_B, (struct wish){.id = "video", .gbr = 3 * MBIT})
			->result,
		0);
	guarantees_end(&world);
}

static void an_apn_has_a_reserve_of_its_own_within_that_of_the_link(void **state)
{
	struct sl_rule_request *answer;
	struct guarantees_load all;
	struct world world;

	(void)state;
	guarantees_start(&world, false);
	assert_int_equal(guarantees_ask_for(&world, IMSI_A, ADDRESS_A, "Internet", NULL,
					    &(struct wish){.id = "video", .gbr = 3 * MBIT}, 1)
				 ->result,
			 0);
	answer = guarantees_ask_for(
		&world, IMSI_B, ADDRESS_B, "internet", NULL,
		&(struct wish){.id = "video", .gbr = 2 * MBIT, .level = 15, .may_preempt = true}, 1);
	assert_int_equal(answer->result, -EBUSY);
	assert_string_equal(
		answer->error.text,
		"the GBR of 2Mbit downlink: the reserve of APN internet lacks 1Mbit; ARP level 15, "
		"and too little is held by worse ones that may be pre-empted");
	assert_int_equal(guarantees_ask_for(&world, IMSI_B, ADDRESS_B, "ims", NULL,
					    &(struct wish){.id = "video", .gbr = 7 * MBIT}, 1)
				 ->result,
			 0);
	all = guarantees_load(&world);
	assert_int_equal(all.link.reserved[SLUICE_DOWNLINK], 10 * MBIT);
	assert_int_equal(all.link.headroom[SLUICE_DOWNLINK], 0);
	assert_int_equal(all.link.rules, 2);
	assert_int_equal(all.link.sessions, 2);
	assert_int_equal(all.apn[1].reserve[SLUICE_DOWNLINK], 4 * MBIT);
	assert_int_equal(all.apn[1].reserved[SLUICE_DOWNLINK], 3 * MBIT);
	assert_int_equal(all.apn[1].headroom[SLUICE_DOWNLINK], 0);
	assert_int_equal(all.apn[1].headroom[SLUICE_UPLINK], 4 * MBIT);
	assert_int_equal(all.apn[1].sessions, 1);
	assert_int_equal(all.apn[0].reserved[SLUICE_DOWNLINK], 7 * MBIT);
	assert_int_equal(all.apn[0].sessions, 1);
	guarantees_end(&world);
}

static void a_session_that_moves_to_another_apn_takes_its_guarantees_along(void **state)
{
	struct guarantees_load all;
	struct world world;

	(void)state;
	guarantees_start(&world, false);
	guarantees_ask_for(&world, IMSI_A, ADDRESS_A, "internet", NULL,
			   &(struct wish){.id = "video", .gbr = 3 * MBIT}, 1);
	guarantees_ask_for(&world, IMSI_A, ADDRESS_A, "ims", NULL, &(struct wish){.id = "web"}, 1);
	all = guarantees_load(&world);
	assert_int_equal(all.apn[1].reserved[SLUICE_DOWNLINK], 0);
	assert_int_equal(all.apn[0].reserved[SLUICE_DOWNLINK], 3 * MBIT);
	assert_int_equal(all.link.reserved[SLUICE_DOWNLINK], 3 * MBIT);
	guarantees_end(&world);
}

/* --- pre-emption ------------------------------------------------------------------------------ */

static void who_may_preempt_takes_the_place_of_a_worse_one_which_goes_with_its_final_usage(void **state)
{
	struct sl_usage_record record;
	struct sl_rule_request *answer;
	struct world world;
	uint64_t refused, preempted;

	(void)state;
	guarantees_start(&world, false);
	guarantees_ask(&world, IMSI_A, ADDRESS_A, (struct wish){.id = "video", .gbr = 7 * MBIT, .level = 9});
	world_count_bytes(&world, rates_binding(&world, ADDRESS_A, "video")->usage, 4711);
	guarantees_ask(&world, IMSI_A, ADDRESS_A, (struct wish){.id = "web"});
	answer =
		guarantees_ask(&world, IMSI_B, ADDRESS_B,
			       (struct wish){.id = "gold", .gbr = 8 * MBIT, .level = 3, .may_preempt = true});
	assert_int_equal(answer->result, 0);
	assert_int_equal(answer->preempted, 1);
	assert_string_equal(answer->error.text, "1 rule with a GBR gave way to it");
	assert_int_equal(guarantees_told.preempted, 1);
	assert_string_equal(guarantees_told.imsi, IMSI_A);
	assert_string_equal(guarantees_told.rule, "video");
	assert_string_equal(guarantees_told.reason,
			    "its guaranteed rate went to rule \"gold\" of " IMSI_B " (ARP level 3)");
	assert_int_equal(guarantees_reserved(&world), 8 * MBIT);
	assert_true(guarantees_has_rule(&world, IMSI_A, "web"));
	sl_grace_drain(world.grace);
	assert_true(world_find_record(&world, "video", 1, &record));
	assert_true(record.retired && record.final);
	assert_int_equal(record.usage.uplink.bytes, 4711);
	/* and back only if there is room */
	answer = guarantees_ask(&world, IMSI_A, ADDRESS_A,
				(struct wish){.id = "video", .gbr = 7 * MBIT, .level = 9});
	assert_int_equal(answer->result, -EBUSY);
	world_deactivate(&world, IMSI_B, NULL, "gold", false);
	answer = guarantees_ask(&world, IMSI_A, ADDRESS_A,
				(struct wish){.id = "video", .gbr = 7 * MBIT, .level = 9});
	assert_int_equal(answer->result, 0);
	sl_control_count_guarantees(world.control, &refused, &preempted);
	assert_int_equal(refused, 1);
	assert_int_equal(preempted, 1);
	guarantees_end(&world);
}

static void a_queue_of_the_winner_is_there_before_that_of_the_victim_has_gone(void **state)
{
	struct sl_control_config shaped = guarantees_settings;
	struct world world;

	(void)state;
	memset(&guarantees_told, 0, sizeof(guarantees_told));
	shaped.backend = SL_RATE_SHAPE;
	shaped.reserve[SLUICE_DOWNLINK] = 1000 * MBIT; /* all of the link */
	rates_start(&world, false, &shaped, 8);
	assert_int_equal(guarantees_ask(&world, IMSI_A, ADDRESS_A,
					(struct wish){.id = "video", .gbr = 700 * MBIT, .level = 9})
				 ->result,
			 0);
	assert_int_equal(
		guarantees_ask(
			&world, IMSI_B, ADDRESS_B,
			(struct wish){.id = "gold", .gbr = 800 * MBIT, .level = 3, .may_preempt = true})
			->result,
		0);
	assert_int_not_equal(rates_binding(&world, ADDRESS_B, "gold")->downlink_class, 0);
	assert_int_equal(guarantees_told.preempted, 1);
	assert_false(guarantees_has_rule(&world, IMSI_A, "video"));
	guarantees_end(&world);
}

static void a_rule_that_may_not_be_preempted_or_has_the_same_level_stays(void **state)
{
	const struct wish gold = {.id = "gold", .gbr = 8 * MBIT, .level = 3, .may_preempt = true};
	struct world world;

	(void)state;
	guarantees_start(&world, false);
	guarantees_ask(&world, IMSI_A, ADDRESS_A,
		       (struct wish){.id = "video", .gbr = 7 * MBIT, .level = 9, .is_fixed = true});
	assert_int_equal(guarantees_ask(&world, IMSI_B, ADDRESS_B, gold)->result, -EBUSY);
	guarantees_ask(&world, IMSI_A, ADDRESS_A, (struct wish){.id = "video", .gbr = 7 * MBIT, .level = 3});
	assert_int_equal(guarantees_ask(&world, IMSI_B, ADDRESS_B, gold)->result, -EBUSY);
	/* without an ARP: level 15, and it may be pre-empted */
	guarantees_ask(&world, IMSI_A, ADDRESS_A, (struct wish){.id = "video", .gbr = 7 * MBIT});
	assert_int_equal(guarantees_ask(&world, IMSI_B, ADDRESS_B, gold)->result, 0);
	assert_int_equal(guarantees_told.preempted, 1);
	guarantees_end(&world);
}

static void rules_of_the_same_session_give_way_to_each_other_within_one_request(void **state)
{
	const struct wish wishes[] = {
		{.id = "silver", .gbr = 6 * MBIT, .level = 9},
		{.id = "gold", .gbr = 7 * MBIT, .level = 3, .may_preempt = true},
		{.id = "web"},
	};
	struct sl_rule_request *answer;
	struct world world;

	(void)state;
	guarantees_start(&world, false);
	answer = guarantees_ask_for(&world, IMSI_A, ADDRESS_A, "", NULL, wishes, 3);
	assert_int_equal(answer[0].result, -EBUSY);
	assert_string_equal(answer[0].error.text,
			    "its guaranteed rate went to rule \"gold\" of " IMSI_A " (ARP level 3)");
	assert_int_equal(answer[1].result, 0);
	assert_int_equal(answer[2].result, 0);
	assert_false(guarantees_has_rule(&world, IMSI_A, "silver"));
	assert_int_equal(guarantees_reserved(&world), 7 * MBIT);

	/* and one that was in force before */
	answer = guarantees_ask_for(
		&world, IMSI_A, ADDRESS_A, "", NULL,
		&(struct wish){.id = "platinum", .gbr = 9 * MBIT, .level = 1, .may_preempt = true}, 1);
	assert_int_equal(answer[0].result, 0);
	assert_false(guarantees_has_rule(&world, IMSI_A, "gold"));
	assert_true(guarantees_has_rule(&world, IMSI_A, "platinum"));
	assert_string_equal(guarantees_told.rule, "gold");
	assert_int_equal(guarantees_reserved(&world), 9 * MBIT);
	guarantees_end(&world);
}

static void a_rule_that_fails_after_it_was_admitted_takes_nobodys_place(void **state)
{
	const struct wish gold = {.id = "gold", .gbr = 8 * MBIT, .level = 3, .may_preempt = true};
	struct rule_spec spec = {.id = "gold", .version = 1, .precedence = 10};
	struct sl_error err = {{0}};
	struct world world;

	(void)state;
	guarantees_start(&world, false);
	guarantees_ask(&world, IMSI_A, ADDRESS_A, (struct wish){.id = "video", .gbr = 7 * MBIT, .level = 9});
	world_fill(&guarantees_last, IMSI_B, ADDRESS_B, &spec, 1);
	guarantees_last.rules[0].gbr[SLUICE_DOWNLINK] = gold.gbr;
	guarantees_last.rules[0].arp = (struct sl_arp){.level = 3, .may_preempt = true};
	guarantees_last.rules[0].mbr[SLUICE_UPLINK] = 7999; /* no meter has such a rate */
	assert_int_equal(sl_control_activate(world.control, &guarantees_last.session, &err), 0);
	assert_int_equal(guarantees_last.requests[0].result, -ERANGE);
	assert_true(guarantees_has_rule(&world, IMSI_A, "video"));
	assert_int_equal(guarantees_told.preempted, 0);
	assert_int_equal(guarantees_reserved(&world), 7 * MBIT);
	assert_int_equal(guarantees_ask(&world, IMSI_B, ADDRESS_B, gold)->preempted, 1);
	guarantees_end(&world);
}

static void a_request_that_fails_as_a_whole_gives_back_what_it_took(void **state)
{
	const struct wish gold = {.id = "gold", .gbr = 8 * MBIT, .level = 3, .may_preempt = true};
	struct sl_datapath_limits limits = fixture_config().limits;
	struct rule_spec specs[16];
	struct sl_error err = {{0}};
	char names[16][8];
	struct world world;

	(void)state;
	memset(&guarantees_told, 0, sizeof(guarantees_told));
	limits.bindings = 4; /* for the fifth rule of a session and those after it */
	world_start_with(&world, false, &guarantees_settings, &limits, 0);
	guarantees_ask(&world, IMSI_A, ADDRESS_A, (struct wish){.id = "video", .gbr = 7 * MBIT, .level = 9});
	for (int i = 0; i < 16; i++) {
		snprintf(names[i], sizeof(names[i]), "rule%d", i);
		specs[i] = (struct rule_spec){.id = names[i], .version = 1, .precedence = 10};
	}
	world_fill(&guarantees_last, IMSI_B, ADDRESS_B, specs, 16);
	guarantees_last.rules[7].gbr[SLUICE_DOWNLINK] = gold.gbr;
	guarantees_last.rules[7].arp = (struct sl_arp){.level = 3, .may_preempt = true};
	assert_int_equal(sl_control_activate(world.control, &guarantees_last.session, &err), -ENOSPC);
	assert_true(guarantees_has_rule(&world, IMSI_A, "video"));
	assert_int_equal(guarantees_told.preempted, 0);
	assert_int_equal(guarantees_reserved(&world), 7 * MBIT);
	assert_int_equal(guarantees_ask(&world, IMSI_B, ADDRESS_B, gold)->preempted, 1);
	assert_int_equal(guarantees_told.preempted, 1);
	guarantees_end(&world);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_devices, fixture_no_devices)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_gbr_that_does_not_fit_fails_alone_and_the_text_says_what_is_short),
		TEST(an_apn_has_a_reserve_of_its_own_within_that_of_the_link),
		TEST(a_session_that_moves_to_another_apn_takes_its_guarantees_along),
		TEST(who_may_preempt_takes_the_place_of_a_worse_one_which_goes_with_its_final_usage),
		TEST(a_queue_of_the_winner_is_there_before_that_of_the_victim_has_gone),
		TEST(a_rule_that_may_not_be_preempted_or_has_the_same_level_stays),
		TEST(rules_of_the_same_session_give_way_to_each_other_within_one_request),
		TEST(a_rule_that_fails_after_it_was_admitted_takes_nobodys_place),
		TEST(a_request_that_fails_as_a_whole_gives_back_what_it_took),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
