// SPDX-License-Identifier: Apache-2.0
/*
 * Desired rules in sessions on the real maps and queues, with a clock of the
 * test's own: when they come and go, what is put back, and whose a rule is.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/log.h"
#include "desired_world.h"
#include "policy_files.h"

static const struct rule_spec own[] = {{.id = "own", .version = 7, .precedence = 20}};

/* --- tests ---------------------------------------------------------------------------- */

static void rules_come_and_go_at_their_times(void **state)
{
	static const struct wish wishes[] = {
		{.id = "window", .port = 1, .from = 1010 * S, .until = 1020 * S},
		{.id = "always", .port = 2},
	};
	struct world world;

	(void)state;
	desired_start(&world, false, 0);
	desired_activate(&world, IMSI_A, ADDRESS_A, own, 1);
	desired_set_ok(IMSI_A, wishes, 2);
	desired_assert_rules(&world, IMSI_A, ADDRESS_A, "always v1, own v7");
	assert_true(sl_desired_next_ns(desired_world.desired) == 1010 * S);
	desired_world.wall = 1010 * S - 1;
	sl_desired_run_due(desired_world.desired);
	desired_assert_rules(&world, IMSI_A, ADDRESS_A, "always v1, own v7");
	desired_world.wall = 1010 * S;
	sl_desired_run_due(desired_world.desired);
	desired_assert_rules(&world, IMSI_A, ADDRESS_A, "always v1, own v7, window v1");
	assert_true(sl_desired_next_ns(desired_world.desired) == 1020 * S);
	desired_world.wall = 1020 * S;
	sl_desired_run_due(desired_world.desired);
	desired_assert_rules(&world, IMSI_A, ADDRESS_A, "always v1, own v7");
	assert_true(sl_desired_next_ns(desired_world.desired) == 0);
	assert_int_equal(desired_world.repairs, 0);
	desired_stop(&world);
}

static void a_session_that_appears_at_a_time_gets_what_is_wanted_then(void **state)
{
	static const struct wish wishes[] = {
		{.id = "early", .port = 1, .until = 1010 * S},
		{.id = "late", .port = 2, .from = 1010 * S},
	};
	struct world world;

	(void)state;
	desired_start(&world, false, 0);
	desired_set_ok(IMSI_A, wishes, 2);
	desired_activate(&world, IMSI_A, ADDRESS_A, NULL, 0);
	desired_assert_rules(&world, IMSI_A, ADDRESS_A, "early v1");
	desired_world.wall = 1010 * S;
	desired_activate(&world, IMSI_A, ADDRESS_B, NULL, 0);
	desired_assert_rules(&world, IMSI_A, ADDRESS_B, "late v1");
	desired_stop(&world);
}

static void what_has_become_due_when_it_is_checked_is_no_repair(void **state)
{
	static const struct wish wishes[] = {{.id = "late", .port = 2, .from = 1010 * S}};
	struct world world;

	(void)state;
	desired_start(&world, false, 0);
	desired_activate(&world, IMSI_A, ADDRESS_A, NULL, 0);
	desired_set_ok(IMSI_A, wishes, 1);
	desired_world.wall = 1011 * S;
	desired_check();
	desired_assert_rules(&world, IMSI_A, ADDRESS_A, "late v1");
	assert_int_equal(desired_world.repairs, 0);
	/* a clock that was set back takes it away again */
	desired_world.wall = 1001 * S;
	desired_check();
	desired_assert_rules(&world, IMSI_A, ADDRESS_A, "");
	desired_stop(&world);
}

static void a_rule_that_was_taken_away_is_put_back_with_the_next_version(void **state)
{
	static const struct wish wishes[] = {{.id = "wish", .port = 1}};
	struct sl_desired_status status;
	struct world world;

	(void)state;
	desired_start(&world, false, 0);
	desired_activate(&world, IMSI_A, ADDRESS_A, own, 1);
	desired_set_ok(IMSI_A, wishes, 1);
	desired_check();
	assert_int_equal(desired_world.repairs, 0);
	world_deactivate(&world, IMSI_A, ADDRESS_A, "wish", false);
	desired_assert_rules(&world, IMSI_A, ADDRESS_A, "own v7");
	desired_check();
	desired_assert_rules(&world, IMSI_A, ADDRESS_A, "own v7, wish v2");
	assert_int_equal(desired_world.repairs, 1);
	assert_string_equal(desired_world.last_repair, "wish v2 missing");
	desired_check();
	sl_desired_status(desired_world.desired, &status);
	assert_int_equal(status.repairs, 1);
	assert_int_equal(status.checks, 3);
	desired_stop(&world);
}

static void a_setup_keeps_desired_rules_in_force_with_their_counts(void **state)
{
	static const struct wish wishes[] = {{.id = "wish", .port = 1}};
	struct activation activation;
	struct sl_usage_record record;
	struct world world;
	uint32_t refused;

	(void)state;
	desired_start(&world, false, 0);
	desired_activate(&world, IMSI_A, ADDRESS_A, own, 1);
	desired_set_ok(IMSI_A, wishes, 1);
	assert_true(world_find_record(&world, "wish", 1, &record));
	world_count_bytes(&world, record.slot, 500);
	world_fill(&activation, IMSI_A, ADDRESS_A, NULL, 0);
	assert_int_equal(sl_control_setup(world.control, &activation.session, 1, &refused, NULL), 0);
	desired_assert_rules(&world, IMSI_A, ADDRESS_A, "wish v1");
	sl_desired_setup_done(desired_world.desired, &activation.session, 1);
	desired_assert_rules(&world, IMSI_A, ADDRESS_A, "wish v1");
	assert_true(world_find_record(&world, "wish", 1, &record));
	assert_int_equal(record.usage.uplink.bytes, 500);
	assert_int_equal(desired_world.repairs, 0);
	desired_stop(&world);
}

static void a_session_does_not_stay_for_desired_rules_alone(void **state)
{
	static const struct wish wishes[] = {{.id = "wish", .port = 1}};
	struct world world;

	(void)state;
	desired_start(&world, false, 0);
	desired_activate(&world, IMSI_A, ADDRESS_A, own, 1);
	desired_set_ok(IMSI_A, wishes, 1);
	world_deactivate(&world, IMSI_A, ADDRESS_A, "own", true);
	desired_assert_rules(&world, IMSI_A, ADDRESS_A, "-");
	desired_check();
	desired_assert_rules(&world, IMSI_A, ADDRESS_A, "-");
	/* it comes back, and with it what is wanted; of the first one's usage nothing is acknowledged */
	desired_activate(&world, IMSI_A, ADDRESS_A, own, 1);
	desired_assert_rules(&world, IMSI_A, ADDRESS_A, "own v7, wish v2");
	desired_stop(&world);
}

static void the_last_one_to_write_a_rule_has_it(void **state)
{
	static const struct rule_spec theirs[] = {{.id = "same", .version = 5, .precedence = 20}};
	static const struct wish wishes[] = {{.id = "same", .port = 1}};
	struct world world;

	(void)state;
	desired_start(&world, false, 0);
	desired_set_ok(IMSI_A, wishes, 1);
	desired_activate(&world, IMSI_A, ADDRESS_A, theirs, 1);
	desired_assert_rules(&world, IMSI_A, ADDRESS_A, "same v5");
	desired_check();
	assert_int_equal(desired_world.repairs, 0);
	desired_set_ok(IMSI_A, NULL, 0);
	desired_assert_rules(&world, IMSI_A, ADDRESS_A, "same v5");
	desired_set_ok(IMSI_A, wishes, 1);
	desired_assert_rules(&world, IMSI_A, ADDRESS_A, "same v5");
	desired_set_ok(IMSI_A, NULL, 0);
	desired_assert_rules(&world, IMSI_A, ADDRESS_A, "");
	desired_stop(&world);
}

static void a_set_for_another_scope_takes_nothing_from_the_session_manager(void **state)
{
	static const struct rule_spec theirs[] = {{.id = "same", .version = 5, .precedence = 20}};
	static const struct wish wishes[] = {{.id = "same", .port = 1}};
	static const struct wish other[] = {{.id = "other", .port = 2}};
	struct world world;

	(void)state;
	desired_start(&world, false, 0);
	desired_set_ok(IMSI_A, wishes, 1);
	desired_activate(&world, IMSI_A, ADDRESS_A, theirs, 1);
	assert_int_equal(desired_set(IMSI_A, "", other, 1, NULL), 0);
	desired_assert_rules(&world, IMSI_A, ADDRESS_A, "other v1, same v5");
	/* still theirs: it goes with nobody else's scope */
	desired_set_ok(IMSI_A, NULL, 0);
	desired_assert_rules(&world, IMSI_A, ADDRESS_A, "other v1, same v5");
	desired_stop(&world);
}

static void a_charging_rule_of_the_same_id_is_another_rule(void **state)
{
	static const struct rule_spec theirs[] = {
		{.id = "same", .version = 5, .precedence = 20, .origin = SLUICE_ORIGIN_GY}};
	static const struct wish wishes[] = {{.id = "same", .port = 1}};
	struct world world;

	(void)state;
	desired_start(&world, false, 0);
	desired_set_ok(IMSI_A, wishes, 1);
	desired_activate(&world, IMSI_A, ADDRESS_A, theirs, 1);
	desired_assert_rules(&world, IMSI_A, ADDRESS_A, "same v1, same v5 gy");
	desired_set_ok(IMSI_A, NULL, 0);
	desired_assert_rules(&world, IMSI_A, ADDRESS_A, "same v5 gy");
	desired_stop(&world);
}

static void the_same_set_again_changes_nothing(void **state)
{
	static const struct wish wishes[] = {{.id = "wish", .port = 1},
					     {.id = "short", .port = 2, .hard_timeout_s = 3600}};
	uint32_t policy;
	struct world world;

	(void)state;
	desired_start(&world, false, 0);
	desired_activate(&world, IMSI_A, ADDRESS_A, NULL, 0);
	desired_set_ok(IMSI_A, wishes, 2);
	policy = (uint32_t)(world_policy(&world, ADDRESS_A) - sl_datapath_maps(world.datapath)->policies);
	desired_set_ok(IMSI_A, wishes, 2);
	desired_check();
	assert_int_equal(policy,
			 world_policy(&world, ADDRESS_A) - sl_datapath_maps(world.datapath)->policies);
	desired_assert_rules(&world, IMSI_A, ADDRESS_A, "short v1, wish v1");
	desired_stop(&world);
}

static void a_rule_that_finds_no_queue_is_tried_again_and_not_at_once(void **state)
{
	static const struct wish hog[] = {{.id = "a", .port = 1, .mbr_downlink = 1000000},
					  {.id = "b", .port = 2, .mbr_downlink = 1000000}};
	static const struct wish wishes[] = {{.id = "shaped", .port = 1, .mbr_downlink = 1000000}};
	struct sl_desired_status status;
	struct world world;

	(void)state;
	desired_start(&world, false, 2);
	desired_activate(&world, IMSI_A, ADDRESS_A, NULL, 0);
	desired_activate(&world, IMSI_B, ADDRESS_B, NULL, 0);
	desired_set_ok(IMSI_A, hog, 2);
	desired_assert_rules(&world, IMSI_A, ADDRESS_A, "a v1, b v1");
	desired_set_ok(IMSI_B, wishes, 1);
	desired_assert_rules(&world, IMSI_B, ADDRESS_B, "");
	sl_desired_status(desired_world.desired, &status);
	assert_int_equal(status.failing, 1);
	desired_set_ok(IMSI_A, hog, 1);
	sl_grace_drain(world.grace);
	/* it rests for ten seconds; who sets it again does not wait */
	desired_check();
	desired_assert_rules(&world, IMSI_B, ADDRESS_B, "");
	desired_set_ok(IMSI_B, wishes, 1);
	desired_assert_rules(&world, IMSI_B, ADDRESS_B, "shaped v1");
	sl_desired_status(desired_world.desired, &status);
	assert_int_equal(status.failing, 0);
	desired_stop(&world);
}

static void a_refused_request_changes_nothing_of_any_subscriber(void **state)
{
	static const struct wish good[] = {{.id = "good", .port = 1}};
	static const struct wish unknown[] = {{.id = "unknown"}};
	static const struct wish backwards[] = {{.id = "x", .port = 1, .from = 20, .until = 20}};
	struct sl_desired_status status;
	struct sl_error err = {""};
	struct world world;

	(void)state;
	desired_start(&world, false, 0);
	desired_activate(&world, IMSI_A, ADDRESS_A, NULL, 0);
	desired_set_ok(IMSI_A, good, 1);
	assert_int_equal(desired_set(IMSI_A, NULL, unknown, 1, &err), -ENOENT);
	assert_string_equal(err.text,
			    "IMSI " IMSI_A ", APN \"(subscriber-wide)\": rule_id: \"unknown\" is no "
			    "rule and no base name of the gateway");
	assert_int_equal(desired_set(IMSI_A, NULL, backwards, 1, &err), -EINVAL);
	assert_int_equal(desired_set(IMSI_B, "net", backwards, 1, &err), -EINVAL);
	desired_assert_rules(&world, IMSI_A, ADDRESS_A, "good v1");
	sl_desired_status(desired_world.desired, &status);
	assert_int_equal(status.subscribers, 1);
	assert_int_equal(status.rules, 1);
	desired_stop(&world);
}

static void static_rules_follow_the_catalogue(void **state)
{
	static const struct wish wishes[] = {{.id = "media"}};
	struct sl_catalog *first = NULL, *second = NULL, *third = NULL;
	struct policy_files *files;
	struct sl_usage_record record;
	struct world world;

	(void)state;
	policy_files_setup((void **)&files);
	policy_files_write(files, "a.yaml",
			   "rules: [{id: voice, flows: [{}]}, {id: video, flows: [{}]}]\n"
			   "base_names: {media: [voice, video]}\n");
	assert_int_equal(sl_catalog_load(files->path, NULL, &first, NULL), 0);
	policy_files_write(files, "a.yaml",
			   "rules: [{id: voice, precedence: 3, flows: [{}]}, {id: tv, flows: [{}]}]\n"
			   "base_names: {media: [voice, tv]}\n");
	assert_int_equal(sl_catalog_load(files->path, NULL, &second, NULL), 0);
	policy_files_write(files, "a.yaml", "rules: [{id: tv, flows: [{}]}]\n");
	assert_int_equal(sl_catalog_load(files->path, NULL, &third, NULL), 0);

	desired_start(&world, false, 0);
	sl_desired_catalog_changed(desired_world.desired, first);
	desired_activate(&world, IMSI_A, ADDRESS_A, own, 1);
	desired_set_ok(IMSI_A, wishes, 1);
	desired_assert_rules(&world, IMSI_A, ADDRESS_A, "own v7, video v1, voice v1");
	assert_true(world_find_record(&world, "voice", 1, &record));
	world_count_bytes(&world, record.slot, 500);

	sl_desired_catalog_changed(desired_world.desired, second);
	desired_assert_rules(&world, IMSI_A, ADDRESS_A, "own v7, tv v1, voice v1");
	assert_true(world_find_record(&world, "voice", 1, &record));
	assert_int_equal(record.usage.uplink.bytes, 500);
	sl_desired_catalog_changed(desired_world.desired, third);
	desired_assert_rules(&world, IMSI_A, ADDRESS_A, "own v7");
	sl_desired_catalog_changed(desired_world.desired, first);
	desired_assert_rules(&world, IMSI_A, ADDRESS_A, "own v7, video v2, voice v2");
	assert_int_equal(desired_world.repairs, 0);
	desired_stop(&world);
	sl_catalog_free(first);
	sl_catalog_free(second);
	sl_catalog_free(third);
	policy_files_teardown((void **)&files);
}

static void adopted_static_rules_wait_for_a_catalogue_and_then_follow_it(void **state)
{
	static const struct wish wishes[] = {{.id = "voice"}, {.id = "video"}};
	struct sl_catalog *first = NULL, *second = NULL;
	struct policy_files *files;
	struct world world;

	(void)state;
	policy_files_setup((void **)&files);
	policy_files_write(files, "a.yaml", "rules: [{id: voice, flows: [{}]}, {id: video, flows: [{}]}]\n");
	assert_int_equal(sl_catalog_load(files->path, NULL, &first, NULL), 0);
	policy_files_write(files, "a.yaml", "rules: [{id: voice, precedence: 3, flows: [{}]}]\n");
	assert_int_equal(sl_catalog_load(files->path, NULL, &second, NULL), 0);
	desired_start(&world, false, 0);
	sl_desired_catalog_changed(desired_world.desired, first);
	desired_activate(&world, IMSI_A, ADDRESS_A, own, 1);
	desired_set_ok(IMSI_A, wishes, 2);
	desired_stop(&world);

	desired_start(&world, true, 0);
	sl_desired_catalog_changed(desired_world.desired, NULL);
	desired_assert_rules(&world, IMSI_A, ADDRESS_A, "own v7, video v1, voice v1");
	sl_desired_catalog_changed(desired_world.desired, second);
	desired_assert_rules(&world, IMSI_A, ADDRESS_A, "own v7, voice v1");
	desired_stop(&world);
	sl_catalog_free(first);
	sl_catalog_free(second);
	policy_files_teardown((void **)&files);
}

static void both_addresses_of_a_subscriber_get_the_rule_and_share_its_queue(void **state)
{
	static const struct wish wishes[] = {{.id = "shaped", .port = 1, .mbr_downlink = 1000000}};
	static const char *const addresses[] = {ADDRESS_A, "2001:db8:60:1::1"};
	struct sl_qos_pool_status pool;
	struct world world;

	(void)state;
	desired_start(&world, false, 16);
	desired_set_ok(IMSI_A, wishes, 1);
	for (int i = 0; i < 2; i++) {
		struct activation activation;

		world_fill(&activation, IMSI_A, addresses[i], own, 1);
		assert_int_equal(sl_address_parse("twin", addresses[1 - i], &activation.session.twin, NULL),
				 0);
		assert_int_equal(sl_control_activate(world.control, &activation.session, NULL), 0);
		sl_desired_activated(desired_world.desired, &activation.session);
	}
	desired_assert_rules(&world, IMSI_A, addresses[0], "own v7, shaped v1");
	desired_assert_rules(&world, IMSI_A, addresses[1], "own v7, shaped v1");
	sl_grace_drain(world.grace);
	sl_qos_pool_status(world.qos, SLUICE_DOWNLINK, &pool);
	assert_int_equal(pool.used, 1);
	desired_set_ok(IMSI_A, NULL, 0);
	sl_grace_drain(world.grace);
	sl_qos_pool_status(world.qos, SLUICE_DOWNLINK, &pool);
	assert_int_equal(pool.used, 0);
	desired_stop(&world);
}

static void a_thousand_rounds_of_sets_leave_nothing(void **state)
{
	static const struct wish wishes[] = {{.id = "a", .port = 1, .mbr_downlink = 1000000},
					     {.id = "b", .port = 2}};
	struct sl_desired_status status;
	struct world world;

	(void)state;
	desired_start(&world, false, 16);
	for (int i = 0; i < 1000; i++) {
		desired_activate(&world, IMSI_A, ADDRESS_A, own, 1);
		desired_set_ok(IMSI_A, wishes, 2);
		desired_set_ok(IMSI_A, wishes + 1, 1);
		if (i % 2)
			desired_set_ok(IMSI_A, NULL, 0);
		world_deactivate(&world, IMSI_A, ADDRESS_A, NULL, true);
		world_acknowledge_all(&world);
	}
	desired_set_ok(IMSI_A, NULL, 0);
	desired_check();
	sl_desired_status(desired_world.desired, &status);
	assert_int_equal(status.subscribers, 0);
	assert_int_equal(status.rules, 0);
	world_assert_nothing_used(&world);
	desired_stop(&world);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_devices, fixture_no_devices)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(rules_come_and_go_at_their_times),
		TEST(a_session_that_appears_at_a_time_gets_what_is_wanted_then),
		TEST(what_has_become_due_when_it_is_checked_is_no_repair),
		TEST(a_rule_that_was_taken_away_is_put_back_with_the_next_version),
		TEST(a_setup_keeps_desired_rules_in_force_with_their_counts),
		TEST(a_session_does_not_stay_for_desired_rules_alone),
		TEST(the_last_one_to_write_a_rule_has_it),
		TEST(a_set_for_another_scope_takes_nothing_from_the_session_manager),
		TEST(a_charging_rule_of_the_same_id_is_another_rule),
		TEST(the_same_set_again_changes_nothing),
		TEST(a_rule_that_finds_no_queue_is_tried_again_and_not_at_once),
		TEST(a_refused_request_changes_nothing_of_any_subscriber),
		TEST(static_rules_follow_the_catalogue),
		TEST(adopted_static_rules_wait_for_a_catalogue_and_then_follow_it),
		TEST(both_addresses_of_a_subscriber_get_the_rule_and_share_its_queue),
		TEST(a_thousand_rounds_of_sets_leave_nothing),
	};

	sl_log_set_level(SL_LOG_ERROR);
	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
