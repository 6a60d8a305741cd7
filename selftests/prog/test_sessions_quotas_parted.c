// SPDX-License-Identifier: Apache-2.0
/* Quotas of sessions that become twins, part, and end: whose they are, and what they lead to. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "control/model.h"
#include "control/quotas.h"
#include "quotas_world.h"

#define WEB6	  "2001:db8:ffff::1"
#define ADDRESS_C "2001:db8:c::1"
#define IPV6	  20 /* so much longer is a packet than over IPv4 */

static const struct rule_spec web = {.id = "web", .version = 1, .precedence = 10};

static void fill(struct activation *activation, const char *imsi, const char *address,
		 const struct sl_quota_request *quotas, size_t count, const char *twin)
{
	world_fill(activation, imsi, address, &web, 1);
	activation->rules[0].rating_group = 7;
	activation->session.quotas = quotas;
	activation->session.quota_count = count;
	if (twin)
		assert_int_equal(sl_address_parse("twin", twin, &activation->session.twin, NULL), 0);
}

static void activate(struct world *world, const char *address, const struct sl_quota_request *quotas,
		     size_t count, const char *twin)
{
	struct sl_error err = {{0}};

	if (quotas_try(world, address, &web, 1, quotas, count, twin, &err) < 0)
		fail_msg("%s", err.text);
}

/* Another subscriber. */
static void activate_b(struct world *world, const struct sl_quota_request *quotas, size_t count)
{
	struct activation activation;
	struct sl_error err = {{0}};

	fill(&activation, IMSI_B, ADDRESS_B, quotas, count, NULL);
	assert_int_equal(sl_control_activate(world->control, &activation.session, &err), 0);
}

/* Sessions of one subscriber that are no twins, each with the quota. */
static void two(struct world *world, const struct sl_quota_request *quota)
{
	activate(world, ADDRESS_A, quota, 1, NULL);
	activate(world, ADDRESS_A6, quota, 1, NULL);
}

static void pair(struct world *world, const struct sl_quota_request *quotas, size_t count)
{
	activate(world, ADDRESS_A, quotas, count, ADDRESS_A6);
	activate(world, ADDRESS_A6, quotas, count, ADDRESS_A);
}

/* A setup that knows of both sessions, and not that they are twins. */
static void part(struct world *world, const struct sl_quota_request *quotas, size_t count,
		 const struct sl_quota_request *others)
{
	struct activation activation[3];
	struct sl_session_request list[3];
	struct sl_error err = {{0}};
	uint32_t refused = 0;

	fill(&activation[0], IMSI_A, ADDRESS_A, quotas, count, NULL);
	fill(&activation[1], IMSI_A, ADDRESS_A6, quotas, count, NULL);
	fill(&activation[2], IMSI_B, ADDRESS_B, others, 1, NULL);
	for (size_t i = 0; i < SL_ARRAY_SIZE(list); i++)
		list[i] = activation[i].session;
	assert_int_equal(sl_control_setup(world->control, list, others ? 3 : 2, &refused, &err), 0);
	assert_int_equal(refused, 0);
}

/* More than any grant here lets pass. */
static void receive_all(struct world *world)
{
	rates_receive(world, WEB, ADDRESS_A, 50);
	rates_receive(world, WEB6, ADDRESS_A6, 50);
}

static uint64_t passed(struct world *world, const char *address)
{
	return sl_datapath_maps(world->datapath)
		->usage[quotas_usage_slot(world, address, "web")]
		.downlink.bytes;
}

static void audit(struct world *world)
{
	for (int i = 0; i < 20; i++)
		sl_control_audit(world->control, 1);
}

/* --- two that become twins ------------------------------------------------------------------- */

static void two_sessions_that_become_twins_have_one_grant_between_them(void **state)
{
	struct sl_quota_request quota = quota_of_session(1, 10 * BYTES);
	struct world world;

	(void)state;
	quotas_begin(&world);
	two(&world, &quota);
	assert_int_equal(world_used(&world, "quotas"), 2);
	rates_receive(&world, WEB, ADDRESS_A, 3);
	rates_receive(&world, WEB6, ADDRESS_A6, 4);
	pair(&world, &quota, 1);
	assert_int_equal(world_used(&world, "quotas"), 1);
	assert_int_equal(quotas_first(&world).used, 7 * BYTES + 4 * IPV6);
	receive_all(&world);
	assert_int_equal(passed(&world, ADDRESS_A), 5 * BYTES);
	assert_int_equal(passed(&world, ADDRESS_A6), 4 * (BYTES + IPV6));
	/* and what is granted next, in full */
	quota.grant = 2;
	quota.bytes = 5 * BYTES;
	pair(&world, &quota, 1);
	rates_receive(&world, WEB, ADDRESS_A, 50);
	assert_in_range(passed(&world, ADDRESS_A) + passed(&world, ADDRESS_A6), 13 * BYTES + 4 * IPV6,
			15 * BYTES);
	rates_end(&world);
}

static void more_used_than_both_are_granted_together_takes_nothing_from_the_next_grant(void **state)
{
	struct sl_quota_request quota = quota_of_session(1, 10 * BYTES);
	struct world world;

	(void)state;
	quotas_begin(&world);
	two(&world, &quota);
	rates_receive(&world, WEB, ADDRESS_A, 10);
	rates_receive(&world, WEB6, ADDRESS_A6, 9);
	pair(&world, &quota, 1);
	rates_receive(&world, WEB, ADDRESS_A, 5);
	assert_int_equal(passed(&world, ADDRESS_A), 10 * BYTES);
	quota.grant = 2;
	quota.bytes = 5 * BYTES;
	pair(&world, &quota, 1);
	rates_receive(&world, WEB, ADDRESS_A, 50);
	assert_int_equal(passed(&world, ADDRESS_A), 15 * BYTES);
	rates_end(&world);
}

static void twins_with_a_quota_each_after_a_crash_have_one_after_the_start(void **state)
{
	struct sl_quota_request quota = quota_of_session(1, 10 * BYTES);
	struct sluice_session_record *records;
	struct world world;
	uint32_t slot, slot6;

	(void)state;
	quotas_begin(&world);
	two(&world, &quota);
	rates_receive(&world, WEB, ADDRESS_A, 3);
	/* published as twins, and nothing done after it */
	records = sl_datapath_maps(world.datapath)->sessions;
	slot = world_policy(&world, ADDRESS_A)->session;
	slot6 = world_policy(&world, ADDRESS_A6)->session;
	records[slot].twin = slot6 + 1;
	records[slot6].twin = slot + 1;
	world_stop(&world);
	quotas_restart(&world);
	assert_int_equal(world_used(&world, "quotas"), 1);
	assert_int_equal(quotas_first(&world).used, 3 * BYTES);
	rates_end(&world);
}

/* --- twins that part ------------------------------------------------------------------------- */

static void twins_that_part_divide_what_is_left(void **state)
{
	struct sl_quota_request quota = quota_of_session(1, 10 * BYTES);
	struct world world;

	(void)state;
	quotas_begin(&world);
	pair(&world, &quota, 1);
	rates_receive(&world, WEB, ADDRESS_A, 2);
	part(&world, &quota, 1, NULL);
	assert_int_equal(world_used(&world, "quotas"), 2);
	receive_all(&world);
	assert_int_equal(passed(&world, ADDRESS_A), 6 * BYTES);
	assert_int_equal(passed(&world, ADDRESS_A6), 3 * (BYTES + IPV6));
	/* the same again divides nothing */
	part(&world, &quota, 1, NULL);
	assert_int_equal(world_used(&world, "quotas"), 2);
	rates_receive(&world, WEB, ADDRESS_A, 50);
	assert_int_equal(passed(&world, ADDRESS_A), 6 * BYTES);
	/* each is granted what it is granted from here on */
	quota.grant = 2;
	activate(&world, ADDRESS_A, &quota, 1, NULL);
	rates_receive(&world, WEB6, ADDRESS_A6, 50);
	rates_receive(&world, WEB, ADDRESS_A, 50);
	assert_int_equal(passed(&world, ADDRESS_A), 16 * BYTES);
	assert_int_equal(passed(&world, ADDRESS_A6), 3 * (BYTES + IPV6));
	rates_end(&world);
}

static void twins_that_part_with_a_new_grant_have_that_each(void **state)
{
	struct sl_quota_request quota = quota_of_session(1, 10 * BYTES);
	struct world world;

	(void)state;
	quotas_begin(&world);
	pair(&world, &quota, 1);
	rates_receive(&world, WEB, ADDRESS_A, 20);
	assert_true(quotas_first(&world).used_up);
	quota.grant = 2;
	quota.bytes = 4 * BYTES;
	part(&world, &quota, 1, NULL);
	receive_all(&world);
	assert_int_equal(passed(&world, ADDRESS_A), 14 * BYTES);
	assert_int_equal(passed(&world, ADDRESS_A6), 3 * (BYTES + IPV6));
	rates_end(&world);
}

static void one_that_finds_another_twin_leaves_half_behind(void **state)
{
	struct sl_quota_request quota = quota_of_session(1, 10 * BYTES);
	struct world world;

	(void)state;
	quotas_begin(&world);
	pair(&world, &quota, 1);
	activate(&world, ADDRESS_C, NULL, 0, NULL);
	activate(&world, ADDRESS_A, NULL, 0, ADDRESS_C);
	assert_int_equal(world_used(&world, "quotas"), 2);
	rates_receive(&world, WEB6, ADDRESS_A6, 50);
	rates_receive(&world, WEB6, ADDRESS_C, 2);
	rates_receive(&world, WEB, ADDRESS_A, 50);
	assert_int_equal(passed(&world, ADDRESS_A6), 4 * (BYTES + IPV6));
	assert_int_equal(passed(&world, ADDRESS_C), 2 * (BYTES + IPV6));
	assert_int_equal(passed(&world, ADDRESS_A), 2 * BYTES);
	rates_end(&world);
}

static void without_room_to_part_they_share_on_and_pay_nobody_elses(void **state)
{
	struct sl_quota_request quotas[] = {quota_of_group(7, 1, 100 * BYTES),
					    quota_of_session(1, 9 * BYTES)};
	struct sl_quota_request many[62];
	struct sl_maps *maps;
	struct world world;

	(void)state;
	quotas_begin(&world);
	pair(&world, quotas, 2);
	for (uint32_t i = 0; i < SL_ARRAY_SIZE(many); i++)
		many[i] = quota_of_group(i + 1, 1, BYTES);
	activate_b(&world, many, SL_ARRAY_SIZE(many));
	activate(&world, ADDRESS_C, NULL, 0, NULL);
	activate(&world, ADDRESS_A, NULL, 0, ADDRESS_C);
	assert_int_equal(world_used(&world, "quotas"), 64);
	/* one of those that share takes the quota above away */
	quotas[1].remove = true;
	activate(&world, ADDRESS_A, quotas + 1, 1, NULL);
	world_deactivate(&world, IMSI_A, ADDRESS_A6, NULL, true);
	sl_control_wait(world.control);
	maps = sl_datapath_maps(world.datapath);
	for (uint32_t i = 0; i < maps->size.quotas; i++)
		if (maps->quotas[i].scope && maps->quotas[i].parent != SLUICE_NONE)
			assert_int_not_equal(maps->quotas[maps->quotas[i].parent].scope, SLUICE_QUOTA_FREE);
	rates_receive(&world, WEB, ADDRESS_A, 20);
	assert_int_equal(passed(&world, ADDRESS_A), 20 * BYTES);
	world_deactivate(&world, IMSI_B, NULL, NULL, true);
	rates_end(&world);
}

static void after_parting_nobody_pays_for_another_subscriber(void **state)
{
	struct sl_quota_request others = quota_of_session(1, 10 * BYTES);
	struct sl_quota_request quotas[] = {quota_of_group(7, 1, 1000 * BYTES),
					    quota_of_session(1, 20 * BYTES)};
	struct sl_maps *maps;
	struct world world;
	uint32_t slot;

	(void)state;
	quotas_begin(&world);
	activate_b(&world, &others, 1);
	maps = sl_datapath_maps(world.datapath);
	slot = (uint32_t)maps->quota_of[quotas_usage_slot(&world, ADDRESS_B, "web")] - 1;
	pair(&world, quotas, 2);
	part(&world, quotas, 2, &others);
	assert_int_equal(world_used(&world, "quotas"), 5);
	/* one goes without a quota of its session; the other one has its own still, of half of it */
	quotas[1].remove = true;
	activate(&world, ADDRESS_A, quotas + 1, 1, NULL);
	rates_receive(&world, WEB6, ADDRESS_A6, 100);
	assert_int_equal(passed(&world, ADDRESS_A6), 9 * (BYTES + IPV6));
	rates_receive(&world, WEB, ADDRESS_A, 30);
	assert_int_equal(passed(&world, ADDRESS_A), 30 * BYTES);
	quotas[1] = quota_of_session(2, 500 * BYTES);
	activate(&world, ADDRESS_A, quotas + 1, 1, NULL);
	world_deactivate(&world, IMSI_A, ADDRESS_A, NULL, true);
	sl_control_wait(world.control);
	rates_receive(&world, WEB6, ADDRESS_A6, 5);
	assert_int_equal(passed(&world, ADDRESS_A6), 9 * (BYTES + IPV6));
	assert_int_equal(maps->quotas[slot].used, 0);
	world_deactivate(&world, IMSI_B, NULL, NULL, true);
	rates_end(&world);
}

static void what_a_parted_session_has_used_is_known_after_a_restart(void **state)
{
	struct sl_quota_request quota = quota_of_session(1, 10 * BYTES);
	struct world world;

	(void)state;
	quotas_begin(&world);
	pair(&world, &quota, 1);
	part(&world, &quota, 1, NULL);
	rates_receive(&world, WEB6, ADDRESS_A6, 50);
	assert_int_equal(passed(&world, ADDRESS_A6), 4 * (BYTES + IPV6));
	world_deactivate(&world, IMSI_A, ADDRESS_A, NULL, true);
	/* no rule leads to it: only its record says whose it is */
	world_deactivate(&world, IMSI_A, ADDRESS_A6, "web", false);
	assert_int_equal(world_used(&world, "quotas"), 1);
	assert_true(quotas_first(&world).used_up);
	world_stop(&world);
	quotas_restart(&world);
	assert_int_equal(world_used(&world, "quotas"), 1);
	activate(&world, ADDRESS_A6, NULL, 0, NULL);
	rates_receive(&world, WEB6, ADDRESS_A6, 50);
	assert_int_equal(world_used(&world, "quotas"), 1);
	assert_in_range(passed(&world, ADDRESS_A6), 0, 4 * (BYTES + IPV6));
	rates_end(&world);
}

/* --- what leads where ------------------------------------------------------------------------ */

static void a_quota_that_no_rule_is_charged_to_leads_to_nothing_that_has_gone(void **state)
{
	struct sl_quota_request quotas[] = {quota_of_group(7, 1, 1000 * BYTES),
					    quota_of_session(1, 20 * BYTES)};
	struct sl_maps *maps;
	struct world world;
	uint32_t group, session;

	(void)state;
	quotas_begin(&world);
	activate(&world, ADDRESS_A, quotas, 2, NULL);
	maps = sl_datapath_maps(world.datapath);
	group = quotas_first_of(&world, SLUICE_QUOTA_RATING_GROUP).slot;
	session = quotas_first_of(&world, SLUICE_QUOTA_SESSION).slot;
	assert_int_equal(maps->quotas[group].parent, session);
	world_deactivate(&world, IMSI_A, ADDRESS_A, "web", false);
	quotas[1].remove = true;
	quotas_activate(&world, 0, quotas + 1, 1);
	assert_int_equal(maps->quotas[group].parent, SLUICE_NONE);
	sl_control_wait(world.control);
	assert_int_equal(maps->quotas[session].scope, SLUICE_QUOTA_FREE);
	assert_int_equal(maps->quotas[session].parent, SLUICE_NONE);
	/* somebody's hand */
	maps->quotas[group].parent = session;
	audit(&world);
	assert_int_equal(maps->quotas[group].parent, SLUICE_NONE);
	/* and one that comes is above it before there is a rule */
	quotas[1].remove = false;
	quotas_activate(&world, 0, quotas + 1, 1);
	assert_int_equal(maps->quotas[group].parent, quotas_first_of(&world, SLUICE_QUOTA_SESSION).slot);
	rates_end(&world);
}

static void entries_of_one_session_in_a_setup_may_each_name_its_quota(void **state)
{
	struct sl_quota_request quota = quota_of_session(1, 10 * BYTES), differs = quota_of_session(1, BYTES);
	struct activation gx, gy;
	struct sl_session_request list[2];
	struct sl_error err = {{0}};
	struct world world;
	uint32_t refused = 0;

	(void)state;
	quotas_begin(&world);
	for (int i = 0; i < 2; i++) {
		fill(&gx, IMSI_A, ADDRESS_A, &quota, 1, NULL);
		fill(&gy, IMSI_A, ADDRESS_A, i ? &differs : &quota, 1, NULL);
		gy.requests[0].origin = SLUICE_ORIGIN_GY;
		list[0] = gx.session;
		list[1] = gy.session;
		assert_int_equal(sl_control_setup(world.control, list, 2, &refused, &err), 0);
		assert_int_equal(refused, i);
		assert_int_equal(world_used(&world, "quotas"), 1);
		assert_int_equal(quotas_first(&world).limit, 10 * BYTES);
	}
	rates_end(&world);
}

/* --- in the kernel --------------------------------------------------------------------------- */

static void a_clock_that_is_behind_ends_no_time(void **state)
{
	struct sl_quota_request quota = quota_of_session(1, 100 * BYTES);
	struct sluice_quota *record;
	struct world world;

	(void)state;
	quota.time_s = 3600;
	quota.warn_s = 3000;
	quotas_begin(&world);
	activate(&world, ADDRESS_A, &quota, 1, NULL);
	record = &sl_datapath_maps(world.datapath)->quotas[quotas_first(&world).slot];
	rates_receive(&world, WEB, ADDRESS_A, 1);
	record->first_ns += 500000000; /* of a CPU whose clock is ahead */
	rates_receive(&world, WEB, ADDRESS_A, 1);
	assert_int_equal(passed(&world, ADDRESS_A), 2 * BYTES);
	assert_false(quotas_first(&world).used_up);
	assert_false(quotas_first(&world).warned);
	assert_int_equal(quotas_first(&world).left_ns, quotas_first(&world).time_ns);
	rates_end(&world);
}

static void a_quota_that_one_direction_has_used_up_shuts_both(void **state)
{
	struct sl_quota_request quota = quota_of_rule("web", 1, BYTES);
	struct sluice_quota *record;
	struct world world;

	(void)state;
	quota.directions = 1 << SLUICE_UPLINK;
	quotas_begin(&world);
	activate(&world, ADDRESS_A, &quota, 1, NULL);
	rates_receive(&world, WEB, ADDRESS_A, 5);
	record = &sl_datapath_maps(world.datapath)->quotas[quotas_first(&world).slot];
	record->state |= SLUICE_QUOTA_EXHAUSTED; /* by an uplink packet */
	rates_receive(&world, WEB, ADDRESS_A, 5);
	assert_int_equal(passed(&world, ADDRESS_A), 5 * BYTES);
	assert_int_equal(quotas_dropped(&world, SLUICE_DROP_QUOTA), 5);
	assert_int_equal(record->used, 0);
	rates_end(&world);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_devices, fixture_no_devices)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(two_sessions_that_become_twins_have_one_grant_between_them),
		TEST(more_used_than_both_are_granted_together_takes_nothing_from_the_next_grant),
		TEST(twins_with_a_quota_each_after_a_crash_have_one_after_the_start),
		TEST(twins_that_part_divide_what_is_left),
		TEST(twins_that_part_with_a_new_grant_have_that_each),
		TEST(one_that_finds_another_twin_leaves_half_behind),
		TEST(without_room_to_part_they_share_on_and_pay_nobody_elses),
		TEST(after_parting_nobody_pays_for_another_subscriber),
		TEST(what_a_parted_session_has_used_is_known_after_a_restart),
		TEST(a_quota_that_no_rule_is_charged_to_leads_to_nothing_that_has_gone),
		TEST(entries_of_one_session_in_a_setup_may_each_name_its_quota),
		TEST(a_clock_that_is_behind_ends_no_time),
		TEST(a_quota_that_one_direction_has_used_up_shuts_both),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
