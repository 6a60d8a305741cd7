// SPDX-License-Identifier: Apache-2.0
/* Quotas of sessions that change, of dual-stack subscribers, over restarts; and requests that are refused. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "control/quotas.h"
#include "quotas_world.h"

/* --- sessions that change ------------------------------------------------------------------------ */

static void a_new_version_of_a_rule_keeps_its_quota_and_a_rule_that_goes_ends_it(void **state)
{
	struct rule_spec next = quotas_rules[0];
	struct sl_quota_request quota = quota_of_rule("web", 1, 10 * BYTES);
	struct sl_error err = {{0}};
	struct world world;

	(void)state;
	quotas_begin(&world);
	quotas_activate(&world, 2, &quota, 1);
	rates_receive(&world, WEB, ADDRESS_A, 6);
	next.version = 2;
	assert_int_equal(quotas_try(&world, ADDRESS_A, &next, 1, NULL, 0, NULL, &err), 0);
	assert_int_equal(quotas_first(&world).used, 6 * BYTES);
	rates_receive(&world, WEB, ADDRESS_A, 6);
	assert_int_equal(quotas_passed(&world, "web"), 4 * BYTES);
	world_deactivate(&world, IMSI_A, ADDRESS_A, "web", false);
	assert_int_equal(world_used(&world, "quotas"), 0);
	rates_end(&world);
}

static void a_quota_that_is_removed_leaves_its_rule_in_force(void **state)
{
	struct sl_quota_request quota = quota_of_rule("web", 1, 2 * BYTES);
	struct sl_quota_request both[] = {quota, quota_of_session(1, 100 * BYTES)};
	struct world world;

	(void)state;
	quotas_begin(&world);
	quotas_activate(&world, 3, both, 2);
	rates_receive(&world, WEB, ADDRESS_A, 5);
	assert_int_equal(quotas_passed(&world, "web"), 2 * BYTES);
	both[0].remove = true;
	quotas_activate(&world, 0, both, 1);
	assert_int_equal(world_used(&world, "quotas"), 1);
	rates_receive(&world, WEB, ADDRESS_A, 5);
	assert_int_equal(quotas_passed(&world, "web"), 7 * BYTES);
	assert_int_equal(quotas_first(&world).used, 7 * BYTES);
	both[1].remove = true;
	quotas_activate(&world, 0, both, 2);
	assert_int_equal(world_used(&world, "quotas"), 0);
	rates_receive(&world, WEB, ADDRESS_A, 200);
	assert_int_equal(quotas_passed(&world, "web"), 207 * BYTES);
	rates_end(&world);
}

static void a_setup_leaves_the_quotas_that_it_names(void **state)
{
	struct sl_quota_request quotas[] = {quota_of_rule("web", 1, 10 * BYTES),
					    quota_of_session(1, 99 * BYTES)};
	struct activation activation;
	struct sl_error err = {{0}};
	struct world world;
	uint32_t refused;

	(void)state;
	quotas_begin(&world);
	quotas_activate(&world, 2, quotas, 2);
	rates_receive(&world, WEB, ADDRESS_A, 4);
	world_fill(&activation, IMSI_A, ADDRESS_A, quotas_rules, 2);
	activation.session.quotas = quotas;
	activation.session.quota_count = 1;
	assert_int_equal(sl_control_setup(world.control, &activation.session, 1, &refused, &err), 0);
	assert_int_equal(refused, 0);
	assert_int_equal(world_used(&world, "quotas"), 1);
	assert_int_equal(quotas_first(&world).used, 4 * BYTES);
	rates_receive(&world, WEB, ADDRESS_A, 20);
	assert_int_equal(quotas_passed(&world, "web"), 10 * BYTES);
	rates_end(&world);
}

static void bad_requests_change_nothing(void **state)
{
	struct sl_quota_request good = quota_of_rule("web", 1, 10 * BYTES);
	struct sl_quota_request bad[][2] = {
		{quota_of_rule("nobody", 2, 1)},
		{quota_of_rule("top-up", 2, 1)},
		{quota_of_rule("", 2, 1)},
		{quota_of_group(0, 2, 1)},
		{quota_of_session(2, 1), quota_of_session(3, 1)},
		{quota_of_session(2, SL_QUOTA_BYTES_MAX + 1)},
		{quota_of_session(2, 1), {.scope = SLUICE_QUOTA_SESSION, .grant = 2, .bytes = 1}},
		{{.scope = SLUICE_QUOTA_SESSION, .bytes = 1, .warn_bytes = 2, .directions = 3}},
		{{.scope = SLUICE_QUOTA_SESSION, .time_s = SL_QUOTA_TIME_MAX + 1, .directions = 3}},
	};
	struct world world;

	(void)state;
	quotas_begin(&world);
	quotas_activate(&world, 3, &good, 1);
	rates_receive(&world, WEB, ADDRESS_A, 4);
	for (size_t i = 0; i < SL_ARRAY_SIZE(bad); i++) {
		struct sl_error err = {{0}};

		assert_int_equal(quotas_try(&world, ADDRESS_A, quotas_rules, 2, bad[i],
					    bad[i][1].scope ? 2 : 1, NULL, &err),
				 -EINVAL);
		assert_non_null(strstr(err.text, "quotas["));
		assert_int_equal(world_used(&world, "quotas"), 1);
		assert_int_equal(quotas_first(&world).grant, 1);
	}
	rates_receive(&world, WEB, ADDRESS_A, 20);
	assert_int_equal(quotas_passed(&world, "web"), 10 * BYTES);
	rates_end(&world);
}

static void a_full_map_refuses_the_request_and_the_old_state_stays(void **state)
{
	struct sl_quota_request many[65] = {quota_of_rule("web", 1, 10 * BYTES)};
	struct sl_error err = {{0}};
	struct world world;

	(void)state;
	quotas_begin(&world);
	quotas_activate(&world, 3, many, 1);
	for (uint32_t i = 1; i < 65; i++)
		many[i] = quota_of_group(i, 1, BYTES);
	assert_int_equal(quotas_try(&world, ADDRESS_A, quotas_rules, 3, many, 65, NULL, &err), -ENOSPC);
	assert_non_null(strstr(err.text, "quotas"));
	assert_int_equal(world_used(&world, "quotas"), 1);
	rates_receive(&world, WEB, ADDRESS_A, 20);
	assert_int_equal(quotas_passed(&world, "web"), 10 * BYTES);
	rates_end(&world);
}

static const struct rule_spec both[] = {
	{.id = "web", .version = 1, .precedence = 10},
	{.id = "top-up", .version = 1, .precedence = 1, .remote = TOP_UP "/32"},
};

static void twins_have_one_quota_between_them(void **state)
{
	struct sl_quota_request quotas[] = {quota_of_rule("web", 1, 10 * BYTES),
					    quota_of_session(1, 99 * BYTES)};
	struct sl_error err = {{0}};
	struct world world;

	(void)state;
	quotas_begin(&world);
	assert_int_equal(quotas_try(&world, ADDRESS_A, both, 1, quotas, 2, ADDRESS_A6, &err), 0);
	assert_int_equal(quotas_try(&world, ADDRESS_A6, both, 1, quotas, 2, ADDRESS_A, &err), 0);
	assert_int_equal(world_used(&world, "quotas"), 2);
	rates_receive(&world, WEB, ADDRESS_A, 4);
	rates_receive(&world, "2001:db8:ffff::1", ADDRESS_A6, 20);
	/* a packet is 20 bytes longer over IPv6 */
	assert_in_range(quotas_first_of(&world, SLUICE_QUOTA_RULE).used, 9 * BYTES - 20, 10 * BYTES);
	assert_true(quotas_first_of(&world, SLUICE_QUOTA_RULE).used_up);
	assert_int_equal(quotas_passed(&world, "web"), 4 * BYTES);
	rates_receive(&world, WEB, ADDRESS_A, 4);
	assert_int_equal(quotas_passed(&world, "web"), 4 * BYTES);

	/* one of the two goes, and comes back to the same */
	world_deactivate(&world, IMSI_A, ADDRESS_A, NULL, true);
	assert_int_equal(world_used(&world, "quotas"), 2);
	assert_int_equal(quotas_first_of(&world, SLUICE_QUOTA_SESSION).address.family, 6);
	assert_int_equal(quotas_try(&world, ADDRESS_A, both, 1, NULL, 0, ADDRESS_A6, &err), 0);
	rates_receive(&world, WEB, ADDRESS_A, 4);
	assert_int_equal(quotas_passed(&world, "web"), 4 * BYTES);
	/* one is taken from both */
	quotas[0].remove = true;
	assert_int_equal(quotas_try(&world, ADDRESS_A, both, 0, quotas, 1, NULL, &err), 0);
	assert_int_equal(world_used(&world, "quotas"), 1);
	rates_receive(&world, "2001:db8:ffff::1", ADDRESS_A6, 20);
	rates_receive(&world, WEB, ADDRESS_A, 4);
	assert_int_equal(quotas_passed(&world, "web"), 8 * BYTES);
	rates_end(&world);
}

static void a_quota_of_one_family_is_the_others_too(void **state)
{
	struct sl_quota_request quota = quota_of_session(1, 10 * BYTES);
	struct sl_error err = {{0}};
	struct world world;

	(void)state;
	quotas_begin(&world);
	assert_int_equal(quotas_try(&world, ADDRESS_A, both, 2, NULL, 0, ADDRESS_A6, &err), 0);
	assert_int_equal(quotas_try(&world, ADDRESS_A6, both, 1, NULL, 0, ADDRESS_A, &err), 0);
	assert_int_equal(quotas_try(&world, ADDRESS_A6, both, 0, &quota, 1, NULL, &err), 0);
	rates_receive(&world, WEB, ADDRESS_A, 20);
	assert_int_equal(quotas_passed(&world, "web"), 10 * BYTES);
	rates_end(&world);
}

/* --- restarts ------------------------------------------------------------------------------------- */

static void a_restart_grants_nothing_twice_and_forgets_nothing(void **state)
{
	struct sl_quota_request quotas[] = {quota_of_rule("web", 3, 10 * BYTES),
					    quota_of_session(4, 50 * BYTES)};
	struct world world;

	(void)state;
	quotas[0].warn_bytes = 5 * BYTES;
	quotas_begin(&world);
	quotas_activate(&world, 3, quotas, 2);
	rates_receive(&world, WEB, ADDRESS_A, 6);
	quotas_hear(&world);
	assert_int_equal(quotas_count_told(SL_EVENT_QUOTA_THRESHOLD), 1);
	for (int i = 0; i < 2; i++) {
		world_stop(&world);
		quotas_restart(&world);
		assert_int_equal(world_used(&world, "quotas"), 2);
		assert_int_equal(world_used(&world, "policies"), 2);
		assert_int_equal(quotas_first_of(&world, SLUICE_QUOTA_RULE).used, 6 * BYTES);
		assert_string_equal(quotas_first_of(&world, SLUICE_QUOTA_RULE).rule_id, "web");
		assert_int_equal(quotas_first_of(&world, SLUICE_QUOTA_SESSION).used, 6 * BYTES);
		quotas_activate(&world, 3, quotas, 2);
		for (int n = 0; n < 8; n++)
			sl_quotas_step(world.control);
	}
	assert_int_equal(quotas_count_told(SL_EVENT_QUOTA_THRESHOLD), 1);
	rates_receive(&world, WEB, ADDRESS_A, 20);
	assert_int_equal(quotas_passed(&world, "web"), 10 * BYTES);
	/* while no agent runs it is stopped, too, and what was not told is told by the next one */
	world_stop(&world);
	quotas_restart(&world);
	for (int n = 0; n < 8; n++)
		sl_quotas_step(world.control);
	assert_int_equal(quotas_count_told(SL_EVENT_QUOTA_USED_UP), 1);
	rates_receive(&world, WEB, ADDRESS_A, 20);
	assert_int_equal(quotas_passed(&world, "web"), 10 * BYTES);
	rates_end(&world);
}

static void a_grant_that_a_crash_interrupted_is_carried_out_once(void **state)
{
	struct sl_quota_request quota = quota_of_rule("web", 1, 10 * BYTES);
	struct sluice_quota_owner *owner;
	struct world world;

	(void)state;
	quotas_begin(&world);
	quotas_activate(&world, 3, &quota, 1);
	rates_receive(&world, WEB, ADDRESS_A, 20);
	owner = &sl_datapath_maps(world.datapath)->quota_owners[quotas_first(&world).slot];
	owner->next = owner->grant;
	owner->next.number = 2;
	owner->next.limit = 15 * BYTES;
	owner->is_next = 1;
	for (int i = 0; i < 2; i++) {
		world_stop(&world);
		quotas_restart(&world);
		assert_int_equal(quotas_first(&world).grant, 2);
		assert_int_equal(quotas_first(&world).limit, 15 * BYTES);
		rates_receive(&world, WEB, ADDRESS_A, 3);
	}
	quota.grant = 2;
	quotas_activate(&world, 3, &quota, 1);
	rates_receive(&world, WEB, ADDRESS_A, 20);
	assert_int_equal(quotas_passed(&world, "web"), 15 * BYTES);
	rates_end(&world);
}

static void a_restart_leads_where_a_crash_left_it_open(void **state)
{
	struct sl_quota_request quotas[] = {quota_of_rule("web", 1, 10 * BYTES),
					    quota_of_session(1, 50 * BYTES)};
	struct sl_maps *maps;
	struct world world;
	uint32_t rule, session;

	(void)state;
	quotas_begin(&world);
	quotas_activate(&world, 3, quotas, 2);
	maps = sl_datapath_maps(world.datapath);
	rule = quotas_first_of(&world, SLUICE_QUOTA_RULE).slot;
	session = quotas_first_of(&world, SLUICE_QUOTA_SESSION).slot;
	/* published, and nothing written after it */
	maps->quota_owners[rule].scope = SLUICE_QUOTA_FREE;
	maps->quota_owners[session].scope = SLUICE_QUOTA_FREE;
	/* and one that was never published */
	maps->quotas[63].scope = SLUICE_QUOTA_SESSION;
	world_stop(&world);
	quotas_restart(&world);
	maps = sl_datapath_maps(world.datapath);
	assert_int_equal(world_used(&world, "quotas"), 2);
	assert_int_equal(maps->quotas[63].scope, SLUICE_QUOTA_FREE);
	assert_int_equal(maps->quota_owners[rule].scope, SLUICE_QUOTA_RULE);
	rates_receive(&world, WEB, ADDRESS_A, 4);
	assert_int_equal(maps->quotas[session].used, 4 * BYTES);
	/* somebody's hand: the audit and the next start put it right */
	maps->quota_of[quotas_usage_slot(&world, ADDRESS_A, "web")] = session + 1;
	world_stop(&world);
	quotas_restart(&world);
	maps = sl_datapath_maps(world.datapath);
	sl_control_audit(world.control, 1);
	rates_receive(&world, WEB, ADDRESS_A, 4);
	assert_int_equal(maps->quotas[session].used, 8 * BYTES);
	rates_end(&world);
}

static void a_thousand_cycles_leave_no_quota(void **state)
{
	struct sl_error err = {{0}};
	struct world world;

	(void)state;
	quotas_begin(&world);
	for (uint64_t i = 0; i < 1000; i++) {
		struct sl_quota_request quotas[] = {quota_of_rule("web", i, BYTES),
						    quota_of_session(i, BYTES), quota_of_group(7, i, BYTES)};

		quotas_told.count = 0;
		assert_int_equal(
			quotas_try(&world, ADDRESS_A, both, 1 + i % 2, quotas, i % 4, ADDRESS_A6, &err), 0);
		assert_int_equal(quotas_try(&world, ADDRESS_A6, both, 1, quotas, i % 3, ADDRESS_A, &err), 0);
		rates_receive(&world, WEB, ADDRESS_A, 2);
		if (i % 3 == 0)
			world_deactivate(&world, IMSI_A, i % 2 ? ADDRESS_A : ADDRESS_A6, NULL, true);
		if (i % 5 == 0)
			world_deactivate(&world, IMSI_A, NULL, NULL, true);
		if (i % 8 == 7)
			world_acknowledge_all(&world);
	}
	rates_end(&world);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_devices, fixture_no_devices)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_new_version_of_a_rule_keeps_its_quota_and_a_rule_that_goes_ends_it),
		TEST(a_quota_that_is_removed_leaves_its_rule_in_force),
		TEST(a_setup_leaves_the_quotas_that_it_names),
		TEST(bad_requests_change_nothing),
		TEST(a_full_map_refuses_the_request_and_the_old_state_stays),
		TEST(twins_have_one_quota_between_them),
		TEST(a_quota_of_one_family_is_the_others_too),
		TEST(a_restart_grants_nothing_twice_and_forgets_nothing),
		TEST(a_grant_that_a_crash_interrupted_is_carried_out_once),
		TEST(a_restart_leads_where_a_crash_left_it_open),
		TEST(a_thousand_cycles_leave_no_quota),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
