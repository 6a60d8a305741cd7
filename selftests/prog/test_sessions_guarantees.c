// SPDX-License-Identifier: Apache-2.0
/* Rules with a GBR: who is admitted, who gives way, and that nothing is half done. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "control/model.h"
#include "rates_world.h"

#define ADDRESS_B6 "2001:db8:b::1"

/* What was told, the last of each kind. */
struct told {
	uint32_t preempted;
	char imsi[SLUICE_IMSI_SIZE];
	char rule[64];
	char reason[256];
};

static struct told told;

static void on_event(const struct sl_control_event *event, void *user)
{
	(void)user;
	if (event->type != SL_EVENT_RULE_PREEMPTED)
		return;
	told.preempted++;
	snprintf(told.imsi, sizeof(told.imsi), "%s", event->imsi);
	snprintf(told.rule, sizeof(told.rule), "%s", event->rule_id);
	snprintf(told.reason, sizeof(told.reason), "%s", event->reason);
}

static const struct sl_control_apn apns[] = {
	{.name = "internet", .reserve = {4 * MBIT, 4 * MBIT}},
	{.name = "ims", .reserve = {UINT64_MAX, UINT64_MAX}},
};

/* 10 Mbit/s may be guaranteed each way. */
static const struct sl_control_config settings = {
	.backend = SL_RATE_POLICE,
	.keep_retired = true,
	.apns = apns,
	.apn_count = 2,
	.link_rate = {100 * MBIT, 100 * MBIT},
	.reserve = {10 * MBIT, 10 * MBIT},
	.on_event = on_event,
};

static void start(struct world *world, bool adopted)
{
	memset(&told, 0, sizeof(told));
	rates_start(world, adopted, &settings, 0);
}

struct wish {
	const char *id;
	uint64_t gbr; /* downlink */
	uint8_t level;
	bool may_preempt;
	bool is_fixed; /* may not be pre-empted */
	uint32_t version;
};

static struct activation last;

static struct sl_rule_request *ask_for(struct world *world, const char *imsi, const char *address,
				       const char *apn, const char *twin, const struct wish *wishes,
				       size_t count)
{
	struct rule_spec specs[16];
	struct sl_error err = {{0}};

	for (size_t i = 0; i < count; i++)
		specs[i] = (struct rule_spec){.id = wishes[i].id,
					      .version = wishes[i].version ? wishes[i].version : 1,
					      .precedence = 10 + (uint32_t)i};
	world_fill(&last, imsi, address, specs, count);
	for (size_t i = 0; i < count; i++) {
		last.rules[i].gbr[SLUICE_DOWNLINK] = wishes[i].gbr;
		last.rules[i].mbr[SLUICE_DOWNLINK] = wishes[i].gbr;
		last.rules[i].arp =
			(struct sl_arp){.level = wishes[i].level,
					.may_preempt = wishes[i].may_preempt,
					.may_be_preempted = wishes[i].level && !wishes[i].is_fixed};
	}
	strcpy(last.session.apn, apn);
	if (twin)
		assert_int_equal(sl_address_parse("twin", twin, &last.session.twin, &err), 0);
	if (sl_control_activate(world->control, &last.session, &err) < 0)
		fail_msg("%s", err.text);
	return last.requests;
}

static struct sl_rule_request *ask(struct world *world, const char *imsi, const char *address,
				   struct wish wish)
{
	return ask_for(world, imsi, address, "", NULL, &wish, 1);
}

struct resources {
	struct sl_load_view link, apn[2];
};

static void keep_view(const struct sl_load_view *view, void *user)
{
	struct resources *all = user;

	if (!view->apn)
		all->link = *view;
	else
		all->apn[strcmp(view->apn, "ims") != 0] = *view;
}

/* What is reserved of the link, downlink. */
static uint64_t reserved(struct world *world)
{
	struct resources all;

	sl_control_each_load(world->control, keep_view, &all);
	return all.link.reserved[SLUICE_DOWNLINK];
}

static bool has_rule(struct world *world, const char *imsi, const char *id)
{
	struct sl_usage_record record;

	return world_find_record_of(world, imsi, id, 1, &record) && !record.retired;
}

static void end_both(struct world *world)
{
	world_deactivate(world, IMSI_B, NULL, NULL, true);
	world_deactivate(world, IMSI_A, NULL, NULL, true);
	assert_int_equal(reserved(world), 0);
	rates_end(world);
}

/* --- admission ------------------------------------------------------------------------------ */

static void a_gbr_that_does_not_fit_fails_alone_and_the_text_says_what_is_short(void **state)
{
	const struct wish both[] = {{.id = "video", .gbr = 8 * MBIT}, {.id = "web"}};
	struct sl_rule_request *answer;
	struct world world;

	(void)state;
	start(&world, false);
	ask(&world, IMSI_A, ADDRESS_A, (struct wish){.id = "video", .gbr = 7 * MBIT});
	answer = ask_for(&world, IMSI_B, ADDRESS_B, "", NULL, both, 2);
	assert_int_equal(answer[0].result, -EBUSY);
	assert_string_equal(answer[0].error.text,
			    "the GBR of 8Mbit downlink: the reserve of the link lacks 5Mbit; ARP level 15, "
			    "which may not pre-empt");
	assert_int_equal(answer[1].result, 0);
	assert_false(has_rule(&world, IMSI_B, "video"));
	assert_true(has_rule(&world, IMSI_B, "web"));
	assert_int_equal(reserved(&world), 7 * MBIT);
	assert_int_equal(
		ask(&world, IMSI_B, ADDRESS_B, (struct wish){.id = "video", .gbr = 3 * MBIT})->result, 0);
	end_both(&world);
}

static void an_apn_has_a_reserve_of_its_own_within_that_of_the_link(void **state)
{
	struct sl_rule_request *answer;
	struct resources all;
	struct world world;

	(void)state;
	start(&world, false);
	assert_int_equal(ask_for(&world, IMSI_A, ADDRESS_A, "Internet", NULL,
				 &(struct wish){.id = "video", .gbr = 3 * MBIT}, 1)
				 ->result,
			 0);
	answer = ask_for(&world, IMSI_B, ADDRESS_B, "internet", NULL,
			 &(struct wish){.id = "video", .gbr = 2 * MBIT, .level = 15, .may_preempt = true}, 1);
	assert_int_equal(answer->result, -EBUSY);
	assert_string_equal(
		answer->error.text,
		"the GBR of 2Mbit downlink: the reserve of APN internet lacks 1Mbit; ARP level 15, "
		"and too little is held by worse ones that may be pre-empted");
	assert_int_equal(ask_for(&world, IMSI_B, ADDRESS_B, "ims", NULL,
				 &(struct wish){.id = "video", .gbr = 7 * MBIT}, 1)
				 ->result,
			 0);
	sl_control_each_load(world.control, keep_view, &all);
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
	end_both(&world);
}

static void a_session_that_moves_to_another_apn_takes_its_guarantees_along(void **state)
{
	struct resources all;
	struct world world;

	(void)state;
	start(&world, false);
	ask_for(&world, IMSI_A, ADDRESS_A, "internet", NULL, &(struct wish){.id = "video", .gbr = 3 * MBIT},
		1);
	ask_for(&world, IMSI_A, ADDRESS_A, "ims", NULL, &(struct wish){.id = "web"}, 1);
	sl_control_each_load(world.control, keep_view, &all);
	assert_int_equal(all.apn[1].reserved[SLUICE_DOWNLINK], 0);
	assert_int_equal(all.apn[0].reserved[SLUICE_DOWNLINK], 3 * MBIT);
	assert_int_equal(all.link.reserved[SLUICE_DOWNLINK], 3 * MBIT);
	end_both(&world);
}

/* --- pre-emption ------------------------------------------------------------------------------ */

static void who_may_preempt_takes_the_place_of_a_worse_one_which_goes_with_its_final_usage(void **state)
{
	struct sl_usage_record record;
	struct sl_rule_request *answer;
	struct world world;
	uint64_t refused, preempted;

	(void)state;
	start(&world, false);
	ask(&world, IMSI_A, ADDRESS_A, (struct wish){.id = "video", .gbr = 7 * MBIT, .level = 9});
	world_count_bytes(&world, rates_binding(&world, ADDRESS_A, "video")->usage, 4711);
	ask(&world, IMSI_A, ADDRESS_A, (struct wish){.id = "web"});
	answer = ask(&world, IMSI_B, ADDRESS_B,
		     (struct wish){.id = "gold", .gbr = 8 * MBIT, .level = 3, .may_preempt = true});
	assert_int_equal(answer->result, 0);
	assert_int_equal(answer->preempted, 1);
	assert_string_equal(answer->error.text, "1 rule with a GBR gave way to it");
	assert_int_equal(told.preempted, 1);
	assert_string_equal(told.imsi, IMSI_A);
	assert_string_equal(told.rule, "video");
	assert_string_equal(told.reason,
			    "its guaranteed rate went to rule \"gold\" of " IMSI_B " (ARP level 3)");
	assert_int_equal(reserved(&world), 8 * MBIT);
	assert_true(has_rule(&world, IMSI_A, "web"));
	sl_grace_drain(world.grace);
	assert_true(world_find_record(&world, "video", 1, &record));
	assert_true(record.retired && record.final);
	assert_int_equal(record.usage.uplink.bytes, 4711);
	/* and back only if there is room */
	answer = ask(&world, IMSI_A, ADDRESS_A, (struct wish){.id = "video", .gbr = 7 * MBIT, .level = 9});
	assert_int_equal(answer->result, -EBUSY);
	world_deactivate(&world, IMSI_B, NULL, "gold", false);
	answer = ask(&world, IMSI_A, ADDRESS_A, (struct wish){.id = "video", .gbr = 7 * MBIT, .level = 9});
	assert_int_equal(answer->result, 0);
	sl_control_count_guarantees(world.control, &refused, &preempted);
	assert_int_equal(refused, 1);
	assert_int_equal(preempted, 1);
	end_both(&world);
}

static void a_queue_of_the_winner_is_there_before_that_of_the_victim_has_gone(void **state)
{
	struct sl_control_config shaped = settings;
	struct world world;

	(void)state;
	memset(&told, 0, sizeof(told));
	shaped.backend = SL_RATE_SHAPE;
	shaped.reserve[SLUICE_DOWNLINK] = 1000 * MBIT; /* all of the link */
	rates_start(&world, false, &shaped, 8);
	assert_int_equal(
		ask(&world, IMSI_A, ADDRESS_A, (struct wish){.id = "video", .gbr = 700 * MBIT, .level = 9})
			->result,
		0);
	assert_int_equal(ask(&world, IMSI_B, ADDRESS_B,
			     (struct wish){.id = "gold", .gbr = 800 * MBIT, .level = 3, .may_preempt = true})
				 ->result,
			 0);
	assert_int_not_equal(rates_binding(&world, ADDRESS_B, "gold")->downlink_class, 0);
	assert_int_equal(told.preempted, 1);
	assert_false(has_rule(&world, IMSI_A, "video"));
	end_both(&world);
}

static void a_rule_that_may_not_be_preempted_or_has_the_same_level_stays(void **state)
{
	const struct wish gold = {.id = "gold", .gbr = 8 * MBIT, .level = 3, .may_preempt = true};
	struct world world;

	(void)state;
	start(&world, false);
	ask(&world, IMSI_A, ADDRESS_A,
	    (struct wish){.id = "video", .gbr = 7 * MBIT, .level = 9, .is_fixed = true});
	assert_int_equal(ask(&world, IMSI_B, ADDRESS_B, gold)->result, -EBUSY);
	ask(&world, IMSI_A, ADDRESS_A, (struct wish){.id = "video", .gbr = 7 * MBIT, .level = 3});
	assert_int_equal(ask(&world, IMSI_B, ADDRESS_B, gold)->result, -EBUSY);
	/* without an ARP: level 15, and it may be pre-empted */
	ask(&world, IMSI_A, ADDRESS_A, (struct wish){.id = "video", .gbr = 7 * MBIT});
	assert_int_equal(ask(&world, IMSI_B, ADDRESS_B, gold)->result, 0);
	assert_int_equal(told.preempted, 1);
	end_both(&world);
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
	start(&world, false);
	answer = ask_for(&world, IMSI_A, ADDRESS_A, "", NULL, wishes, 3);
	assert_int_equal(answer[0].result, -EBUSY);
	assert_string_equal(answer[0].error.text,
			    "its guaranteed rate went to rule \"gold\" of " IMSI_A " (ARP level 3)");
	assert_int_equal(answer[1].result, 0);
	assert_int_equal(answer[2].result, 0);
	assert_false(has_rule(&world, IMSI_A, "silver"));
	assert_int_equal(reserved(&world), 7 * MBIT);

	/* and one that was in force before */
	answer = ask_for(&world, IMSI_A, ADDRESS_A, "", NULL,
			 &(struct wish){.id = "platinum", .gbr = 9 * MBIT, .level = 1, .may_preempt = true},
			 1);
	assert_int_equal(answer[0].result, 0);
	assert_false(has_rule(&world, IMSI_A, "gold"));
	assert_true(has_rule(&world, IMSI_A, "platinum"));
	assert_string_equal(told.rule, "gold");
	assert_int_equal(reserved(&world), 9 * MBIT);
	end_both(&world);
}

static void a_rule_that_fails_after_it_was_admitted_takes_nobodys_place(void **state)
{
	const struct wish gold = {.id = "gold", .gbr = 8 * MBIT, .level = 3, .may_preempt = true};
	struct rule_spec spec = {.id = "gold", .version = 1, .precedence = 10};
	struct sl_error err = {{0}};
	struct world world;

	(void)state;
	start(&world, false);
	ask(&world, IMSI_A, ADDRESS_A, (struct wish){.id = "video", .gbr = 7 * MBIT, .level = 9});
	world_fill(&last, IMSI_B, ADDRESS_B, &spec, 1);
	last.rules[0].gbr[SLUICE_DOWNLINK] = gold.gbr;
	last.rules[0].arp = (struct sl_arp){.level = 3, .may_preempt = true};
	last.rules[0].mbr[SLUICE_DOWNLINK] = 500000 * MBIT; /* no meter has such a rate */
	assert_int_equal(sl_control_activate(world.control, &last.session, &err), 0);
	assert_int_equal(last.requests[0].result, -ERANGE);
	assert_true(has_rule(&world, IMSI_A, "video"));
	assert_int_equal(told.preempted, 0);
	assert_int_equal(reserved(&world), 7 * MBIT);
	assert_int_equal(ask(&world, IMSI_B, ADDRESS_B, gold)->preempted, 1);
	end_both(&world);
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
	memset(&told, 0, sizeof(told));
	limits.bindings = 4; /* for the fifth rule of a session and those after it */
	world_start_with(&world, false, &settings, &limits, 0);
	ask(&world, IMSI_A, ADDRESS_A, (struct wish){.id = "video", .gbr = 7 * MBIT, .level = 9});
	for (int i = 0; i < 16; i++) {
		snprintf(names[i], sizeof(names[i]), "rule%d", i);
		specs[i] = (struct rule_spec){.id = names[i], .version = 1, .precedence = 10};
	}
	world_fill(&last, IMSI_B, ADDRESS_B, specs, 16);
	last.rules[7].gbr[SLUICE_DOWNLINK] = gold.gbr;
	last.rules[7].arp = (struct sl_arp){.level = 3, .may_preempt = true};
	assert_int_equal(sl_control_activate(world.control, &last.session, &err), -ENOSPC);
	assert_true(has_rule(&world, IMSI_A, "video"));
	assert_int_equal(told.preempted, 0);
	assert_int_equal(reserved(&world), 7 * MBIT);
	assert_int_equal(ask(&world, IMSI_B, ADDRESS_B, gold)->preempted, 1);
	assert_int_equal(told.preempted, 1);
	end_both(&world);
}

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
	start(&world, false);
	ask(&world, IMSI_A, ADDRESS_A, video);
	world_deactivate(&world, IMSI_A, NULL, "video", false);
	assert_int_equal(reserved(&world), 0);
	ask(&world, IMSI_A, ADDRESS_A, video);
	world_deactivate(&world, IMSI_A, NULL, NULL, true);
	assert_int_equal(reserved(&world), 0);
	ask(&world, IMSI_A, ADDRESS_A, video);
	ask(&world, IMSI_A, ADDRESS_A, (struct wish){.id = "video"}); /* without a GBR */
	assert_int_equal(reserved(&world), 0);
	ask(&world, IMSI_A, ADDRESS_A, video);
	ask(&world, IMSI_B, ADDRESS_A, (struct wish){.id = "web"}); /* the address is another's now */
	assert_int_equal(reserved(&world), 0);
	ask(&world, IMSI_A, ADDRESS_B, video);
	assert_int_equal(sl_control_setup(world.control, NULL, 0, &refused, &err), 0);
	assert_int_equal(reserved(&world), 0);
	world_fill(&last, IMSI_A, ADDRESS_A, &spec, 1);
	last.rules[0].gbr[SLUICE_DOWNLINK] = 7 * MBIT;
	assert_int_equal(sl_control_activate(world.control, &last.session, &err), 0);
	assert_int_equal(reserved(&world), 7 * MBIT);
	nanosleep(&more, NULL);
	sl_control_expire(world.control);
	assert_int_equal(reserved(&world), 0);
	end_both(&world);
}

static void what_a_setup_takes_away_is_free_for_what_it_asks_for(void **state)
{
	const struct wish video = {.id = "video", .gbr = 7 * MBIT};
	struct rule_spec spec = {.id = "film", .version = 1, .precedence = 10};
	struct sl_error err = {{0}};
	uint32_t refused;
	struct world world;

	(void)state;
	start(&world, false);
	ask(&world, IMSI_A, ADDRESS_A, video);
	world_fill(&last, IMSI_A, ADDRESS_A, &spec, 1);
	last.rules[0].gbr[SLUICE_DOWNLINK] = 8 * MBIT;
	assert_int_equal(sl_control_setup(world.control, &last.session, 1, &refused, &err), 0);
	assert_int_equal(last.requests[0].result, 0);
	assert_int_equal(reserved(&world), 8 * MBIT);
	end_both(&world);
}

static void a_change_is_admitted_anew_and_refused_it_leaves_the_rule_as_it_was(void **state)
{
	struct world world;

	(void)state;
	start(&world, false);
	ask(&world, IMSI_A, ADDRESS_A, (struct wish){.id = "video", .gbr = 4 * MBIT});
	ask(&world, IMSI_B, ADDRESS_B, (struct wish){.id = "video", .gbr = 4 * MBIT});
	assert_int_equal(
		ask(&world, IMSI_A, ADDRESS_A, (struct wish){.id = "video", .gbr = 7 * MBIT})->result,
		-EBUSY);
	assert_int_equal(reserved(&world), 8 * MBIT);
	assert_true(has_rule(&world, IMSI_A, "video"));
	assert_int_equal(
		ask(&world, IMSI_A, ADDRESS_A, (struct wish){.id = "video", .gbr = 6 * MBIT})->result, 0);
	/* another version is the same guarantee */
	assert_int_equal(
		ask(&world, IMSI_A, ADDRESS_A, (struct wish){.id = "video", .gbr = 6 * MBIT, .version = 2})
			->result,
		0);
	assert_int_equal(reserved(&world), 10 * MBIT);
	end_both(&world);
}

static void a_rule_that_both_families_have_is_one_guarantee(void **state)
{
	const struct wish video = {.id = "video", .gbr = 6 * MBIT, .level = 9};
	struct world world;

	(void)state;
	start(&world, false);
	ask_for(&world, IMSI_A, ADDRESS_A, "", ADDRESS_A6, &video, 1);
	assert_int_equal(ask_for(&world, IMSI_A, ADDRESS_A6, "", ADDRESS_A, &video, 1)->result, 0);
	assert_int_equal(reserved(&world), 6 * MBIT);
	world_deactivate(&world, IMSI_A, ADDRESS_A, "video", false);
	assert_int_equal(reserved(&world), 6 * MBIT);
	assert_int_equal(ask_for(&world, IMSI_A, ADDRESS_A, "", ADDRESS_A6, &video, 1)->result, 0);
	assert_int_equal(reserved(&world), 6 * MBIT);
	/* pre-empted it goes from both */
	assert_int_equal(ask(&world, IMSI_B, ADDRESS_B,
			     (struct wish){.id = "gold", .gbr = 8 * MBIT, .level = 3, .may_preempt = true})
				 ->preempted,
			 1);
	assert_int_equal(told.preempted, 2);
	assert_int_equal(rates_binding(&world, ADDRESS_B, "gold")->downlink_meter != 0, 1);
	assert_int_equal(world_policy(&world, ADDRESS_A)->rules, 0);
	assert_int_equal(world_policy(&world, ADDRESS_A6)->rules, 0);
	world_deactivate(&world, IMSI_B, NULL, NULL, true);

	/* who is left by his twin has one of his own */
	ask_for(&world, IMSI_A, ADDRESS_A, "", ADDRESS_A6, &video, 1);
	ask_for(&world, IMSI_A, ADDRESS_A6, "", ADDRESS_A, &video, 1);
	ask_for(&world, IMSI_A, ADDRESS_A, "", ADDRESS_B6, &video, 1);
	ask_for(&world, IMSI_A, ADDRESS_B6, "", ADDRESS_A, &video, 1);
	assert_int_equal(reserved(&world), 12 * MBIT);
	end_both(&world);
}

static void a_restart_finds_all_guarantees_in_the_order_of_their_age(void **state)
{
	const struct wish video = {.id = "video", .gbr = 3 * MBIT, .level = 9};
	const struct timespec tick = {.tv_nsec = 2000000};
	struct world world;

	(void)state;
	start(&world, false);
	/* the slot of the older one is not the first */
	ask(&world, IMSI_A, ADDRESS_A, (struct wish){.id = "first"});
	ask(&world, IMSI_B, ADDRESS_B, video);
	nanosleep(&tick, NULL);
	ask_for(&world, IMSI_A, ADDRESS_A, "", ADDRESS_A6, &video, 1);
	ask_for(&world, IMSI_A, ADDRESS_A6, "", ADDRESS_A, &video, 1);
	assert_int_equal(reserved(&world), 6 * MBIT);
	world_stop(&world);
	start(&world, true);
	assert_int_equal(reserved(&world), 6 * MBIT);
	assert_int_equal(told.preempted, 0);
	/* the newest gives way, from both families: that is not the one with the higher slot */
	ask(&world, IMSI_B, ADDRESS_B,
	    (struct wish){.id = "gold", .gbr = 7 * MBIT, .level = 3, .may_preempt = true});
	assert_int_equal(told.preempted, 2);
	assert_string_equal(told.imsi, IMSI_A);
	assert_true(has_rule(&world, IMSI_B, "video"));
	assert_int_equal(reserved(&world), 10 * MBIT);
	end_both(&world);
}

static void a_restart_with_a_smaller_reserve_takes_nothing_from_anybody(void **state)
{
	struct sl_control_config smaller = settings;
	struct world world;

	(void)state;
	start(&world, false);
	ask(&world, IMSI_A, ADDRESS_A, (struct wish){.id = "video", .gbr = 7 * MBIT});
	world_stop(&world);
	smaller.reserve[SLUICE_DOWNLINK] = 5 * MBIT;
	rates_start(&world, true, &smaller, 0);
	assert_int_equal(reserved(&world), 7 * MBIT);
	assert_true(has_rule(&world, IMSI_A, "video"));
	assert_int_equal(
		ask(&world, IMSI_A, ADDRESS_A, (struct wish){.id = "video", .gbr = 7 * MBIT})->result, 0);
	assert_int_equal(ask(&world, IMSI_B, ADDRESS_B, (struct wish){.id = "web", .gbr = MBIT})->result,
			 -EBUSY);
	end_both(&world);
}

/* --- whatever happens -------------------------------------------------------------------------------- */

static uint32_t below(uint32_t *random, uint32_t limit)
{
	*random = *random * 1664525 + 1013904223;
	return (uint32_t)((uint64_t)*random * limit >> 32);
}

/* Every rule with a GBR in force is in the book once, that of twins of one APN together. */
static void check_book(struct world *world, uint32_t seed, int step)
{
	uint64_t sum = 0;
	uint32_t rules = 0;
	struct resources all;
	struct sl_session *session;

	DL_FOREACH (world->control->all, session) {
		for (uint32_t i = 0; session->active && i < session->install_count; i++) {
			const struct sl_install *install = &session->installs[i];
			const struct sl_install *other = sl_twin_install(session->twin, install);

			if (other && !sl_apn_is_same(world->control, session, NULL, session->twin)) {
				if (install->guarantee && install->guarantee == other->guarantee)
					fail_msg("seed %u, step %d: twins of two APNs have guarantee %u",
						 seed, step, install->guarantee);
				other = NULL;
			}
			if (sl_rule_has_gbr(install->rule) != (install->guarantee != 0))
				fail_msg("seed %u, step %d: GBR %lu, guarantee %u", seed, step,
					 (unsigned long)install->rule->gbr[SLUICE_DOWNLINK],
					 install->guarantee);
			if (!install->guarantee)
				continue;
			if (other && other->guarantee && other->guarantee != install->guarantee)
				fail_msg("seed %u, step %d: twins have guarantees %u and %u", seed, step,
					 install->guarantee, other->guarantee);
			if (other && other->guarantee && session->twin->slot < session->slot)
				continue;
			rules++;
			/* the later request holds for both: what the book has is compared as a number only */
			sum += install->rule->gbr[SLUICE_DOWNLINK];
		}
	}
	sl_control_each_load(world->control, keep_view, &all);
	if (all.link.rules != rules)
		fail_msg("seed %u, step %d: %u rules in the book, %u in force", seed, step, all.link.rules,
			 rules);
	if (rules == 0 && (all.link.reserved[SLUICE_DOWNLINK] || sum))
		fail_msg("seed %u, step %d: %lu bit/s left over", seed, step,
			 (unsigned long)all.link.reserved[SLUICE_DOWNLINK]);
}

static void whatever_is_asked_for_the_book_has_what_is_in_force(void **state)
{
	static const char *const addresses[] = {ADDRESS_A, ADDRESS_A6, ADDRESS_B, ADDRESS_B6};
	static const char *const imsis[] = {IMSI_A, IMSI_B};
	static const char *const names[] = {"one", "two", "three"};
	static const char *const apn_names[] = {"", "internet", "ims"};
	/*
	 * SEED=1795639375 fails at step 196: a guarantee that two sessions share is counted once in the
	 * book though they are twins no more. An open defect; see docs/architecture.md, "Guarantees".
	 */
	const char *chosen = getenv("SEED");
	uint32_t seed = chosen ? (uint32_t)strtoul(chosen, NULL, 10) : 1, random = seed;
	uint64_t refused, preempted, refusals = 0, preemptions = 0;
	struct world world;

	(void)state;
	start(&world, false);
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
			ask_for(&world, imsis[who], addresses[where], apn_names[below(&random, 3)],
				what < 8 ? addresses[where ^ 1] : NULL, wishes, 1 + below(&random, 3));
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
			start(&world, true);
		}
		check_book(&world, seed, step);
	}
	assert_true(refusals > 10 && preemptions > 10);
	end_both(&world);
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
		TEST(a_guarantee_ends_with_its_rule_however_that_ends),
		TEST(what_a_setup_takes_away_is_free_for_what_it_asks_for),
		TEST(a_change_is_admitted_anew_and_refused_it_leaves_the_rule_as_it_was),
		TEST(a_rule_that_both_families_have_is_one_guarantee),
		TEST(a_restart_finds_all_guarantees_in_the_order_of_their_age),
		TEST(a_restart_with_a_smaller_reserve_takes_nothing_from_anybody),
		TEST(whatever_is_asked_for_the_book_has_what_is_in_force),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
