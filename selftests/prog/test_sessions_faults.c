// SPDX-License-Identifier: Apache-2.0
/*
 * Sessions when something goes wrong: full maps, crashes between two writes,
 * late answers, setups that only half fit. Every test here was a defect once.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "control/model.h"
#include "session_world.h"

static const struct rule_spec permit = {
	.id = "rule", .version = 1, .precedence = 10, .remote = "45.10.0.0/24"};
static const struct rule_spec deny = {
	.id = "rule", .version = 1, .precedence = 10, .remote = "45.10.0.0/24", .action = SLUICE_DENY};

static void numbered(uint32_t i, char imsi[SLUICE_IMSI_SIZE], char address[SL_ADDRESS_TEXT])
{
	snprintf(imsi, SLUICE_IMSI_SIZE, "00101%010u", i);
	snprintf(address, SL_ADDRESS_TEXT, "10.%u.%u.%u", i >> 16 & 255, i >> 8 & 255, i & 255);
}

static void usage_that_nobody_acknowledges_gives_way_to_new_subscribers(void **state)
{
	uint32_t sessions = fixture_config().limits.sessions;
	char imsi[SLUICE_IMSI_SIZE], address[SL_ADDRESS_TEXT];
	struct world world;

	(void)state;
	world_start(&world, false, true, 0);
	/* twice as many as there is room for, ended one by one, with no session manager to acknowledge */
	for (uint32_t i = 0; i < 2 * sessions; i++) {
		numbered(i, imsi, address);
		world_activate_ok(&world, imsi, address, &permit, 1);
		world_deactivate(&world, imsi, address, NULL, true);
	}
	assert_int_equal(sl_control_known_sessions(world.control), 0);
	assert_true(world_used(&world, "sessions") <= sessions);
	world_stop(&world);
}

static void a_setup_after_a_restart_fits_although_the_old_sessions_fill_the_maps(void **state)
{
	uint32_t sessions = fixture_config().limits.sessions, refused = 0;
	char imsi[SLUICE_IMSI_SIZE], address[SL_ADDRESS_TEXT];
	static struct activation wanted[8];
	struct sl_session_request requests[8];
	struct sl_error err = {{0}};
	struct world world;

	(void)state;
	world_start(&world, false, true, 0);
	for (uint32_t i = 0; i < sessions; i++) {
		numbered(i, imsi, address);
		world_activate_ok(&world, imsi, address, &permit, 1);
	}
	world_stop(&world);
	world_start(&world, true, true, 0);
	for (uint32_t i = 0; i < 8; i++) {
		numbered(100000 + i, imsi, address);
		world_fill(&wanted[i], imsi, address, &permit, 1);
		requests[i] = wanted[i].session;
	}
	assert_int_equal(sl_control_setup(world.control, requests, 8, &refused, &err), 0);
	assert_int_equal(refused, 0);
	assert_int_equal(sl_control_known_sessions(world.control), 8);
	assert_int_equal(sl_control_enforced_sessions(world.control), 8);
	world_stop(&world);
}

static void a_setup_with_too_many_sessions_enforces_those_that_fit(void **state)
{
	uint32_t sessions = fixture_config().limits.sessions, refused = 0;
	struct activation *wanted = calloc(sessions + 1, sizeof(*wanted));
	struct sl_session_request *requests = calloc(sessions + 1, sizeof(*requests));
	char imsi[SLUICE_IMSI_SIZE], address[SL_ADDRESS_TEXT];
	struct sl_error err = {{0}};
	struct world world;

	(void)state;
	assert_non_null(wanted);
	assert_non_null(requests);
	world_start(&world, false, true, 0);
	for (uint32_t i = 0; i <= sessions; i++) {
		numbered(i, imsi, address);
		world_fill(&wanted[i], imsi, address, &permit, 1);
		requests[i] = wanted[i].session;
	}
	assert_int_equal(sl_control_setup(world.control, requests, sessions + 1, &refused, &err), 0);
	assert_int_equal(refused, 1);
	assert_int_equal(sl_control_enforced_sessions(world.control), sessions);
	world_stop(&world);
	free(requests);
	free(wanted);
}

static void a_rule_that_fails_in_a_setup_does_not_leave_its_old_content_in_force(void **state)
{
	struct rule_spec second = {.id = "rule", .version = 2, .precedence = 10, .remote = "2001:db8::/32"};
	struct activation activation;
	struct sl_error err = {{0}};
	uint32_t refused = 0;
	struct world world;

	(void)state;
	world_start(&world, false, true, 0);
	world_activate_ok(&world, IMSI_A, ADDRESS_A, &permit, 1);
	world_fill(&activation, IMSI_A, ADDRESS_A, &second, 1);
	assert_int_equal(sl_control_setup(world.control, &activation.session, 1, &refused, &err), 0);
	assert_int_equal(world_policy(&world, ADDRESS_A)->rules, 0);
	world_deactivate(&world, IMSI_A, ADDRESS_A, NULL, true);
	world_acknowledge_all(&world);
	world_assert_nothing_used(&world);
	world_stop(&world);
}

/* The maps as a crash leaves them just before or just after the endpoint write of a change in place. */
static uint8_t action_after_crash(bool published)
{
	struct sl_rule_record_copy {
		struct sluice_rule_record record;
		struct sluice_flow flows[2];
	} changed;
	struct sluice_usage_owner *owner;
	const struct sluice_policy *policy;
	struct sl_maps *maps;
	struct world world;
	uint8_t action;

	world_start(&world, false, true, 0);
	/* the record that the change would write, taken from another session that has it */
	world_activate_ok(&world, IMSI_B, ADDRESS_B, &deny, 1);
	maps = sl_datapath_maps(world.datapath);
	owner = &maps->usage_owners[world_policy(&world, ADDRESS_B)->binding[0].usage];
	changed.record = maps->rules[owner->rule];
	memcpy(changed.flows, &maps->flows[changed.record.first_flow], sizeof(changed.flows));
	world_deactivate(&world, IMSI_B, ADDRESS_B, NULL, true);
	world_acknowledge_all(&world);
	world_activate_ok(&world, IMSI_A, ADDRESS_A, &permit, 1);

	changed.record.first_flow = 20;
	memcpy(&maps->flows[20], changed.flows, sizeof(changed.flows));
	maps->rules[9] = changed.record;
	policy = world_policy(&world, ADDRESS_A);
	owner = &maps->usage_owners[policy->binding[0].usage];
	owner->pending_rule = 9;
	owner->pending_policy = (uint32_t)(policy - maps->policies) + 1 + (published ? 0 : 1);
	if (published)
		for (uint32_t i = 0; i < 2; i++)
			maps->matches4[i ? policy->downlink_block : policy->uplink_block].match[0].action =
				SLUICE_DENY;
	world_stop(&world);

	world_start(&world, true, true, 0);
	maps = sl_datapath_maps(world.datapath);
	policy = world_policy(&world, ADDRESS_A);
	action = maps->matches4[policy->uplink_block].match[0].action;
	owner = &maps->usage_owners[policy->binding[0].usage];
	assert_int_equal(owner->pending_policy, 0);
	assert_int_equal(maps->flows[maps->rules[owner->rule].first_flow].action, action);
	assert_int_equal(world_used(&world, "rules"), 1);
	world_deactivate(&world, IMSI_A, ADDRESS_A, NULL, true);
	world_acknowledge_all(&world);
	world_assert_nothing_used(&world);
	world_stop(&world);
	return action;
}

static void a_crash_before_a_change_is_published_leaves_the_old_rules(void **state)
{
	(void)state;
	assert_int_equal(action_after_crash(false), SLUICE_PERMIT);
}

static void a_crash_after_a_change_is_published_leaves_the_new_rules(void **state)
{
	(void)state;
	assert_int_equal(action_after_crash(true), SLUICE_DENY);
}

static void a_receipt_for_counts_that_have_grown_since_is_void(void **state)
{
	struct sl_usage_record record;
	struct sl_usage_receipt late;
	struct world world;

	(void)state;
	world_start(&world, false, true, 0);
	world_activate_ok(&world, IMSI_A, ADDRESS_A, &permit, 1);
	world_count_bytes(&world, world_policy(&world, ADDRESS_A)->binding[0].usage, 1000);
	world_deactivate(&world, IMSI_A, ADDRESS_A, "rule", false);
	sl_grace_drain(world.grace);
	assert_true(world_find_record(&world, "rule", 1, &record));
	late = (struct sl_usage_receipt){record.slot, record.sequence};
	/* it comes back, counts more and goes again while the report is under way */
	world_activate_ok(&world, IMSI_A, ADDRESS_A, &permit, 1);
	world_count_bytes(&world, record.slot, 500000);
	world_deactivate(&world, IMSI_A, ADDRESS_A, "rule", false);
	sl_grace_drain(world.grace);
	sl_control_acknowledge(world.control, &late, 1);
	assert_true(world_find_record(&world, "rule", 1, &record));
	assert_int_equal(record.usage.uplink.bytes, 501000);
	world_deactivate(&world, IMSI_A, ADDRESS_A, NULL, true);
	world_acknowledge_all(&world);
	world_assert_nothing_used(&world);
	world_stop(&world);
}

static void deadlines_of_rules_that_are_not_touched_are_remembered_once(void **state)
{
	struct rule_spec timed = {.id = "timed", .version = 1, .precedence = 1, .hard_timeout_s = 86400};
	struct world world;

	(void)state;
	world_start(&world, false, false, 256);
	world_activate_ok(&world, IMSI_A, ADDRESS_A, &timed, 1);
	for (uint32_t version = 1; version <= 500; version++) {
		struct rule_spec other = permit;

		other.version = version;
		world_activate_ok(&world, IMSI_A, ADDRESS_A, &other, 1);
		if (version % 100 == 0)
			sl_grace_drain(world.grace);
	}
	assert_int_equal(world.control->deadlines.count, 1);
	/* each of these begins the time anew: what is out of date does not pile up */
	for (int i = 0; i < 500; i++) {
		world_activate_ok(&world, IMSI_A, ADDRESS_A, &timed, 1);
		if (i % 100 == 0)
			sl_grace_drain(world.grace);
	}
	assert_true(world.control->deadlines.count <= 64);
	world_deactivate(&world, IMSI_A, ADDRESS_A, NULL, true);
	world_assert_nothing_used(&world);
	world_stop(&world);
}

static void a_session_with_rules_of_the_other_origin_survives_the_end_of_its_default_drop(void **state)
{
	struct rule_spec specs[] = {
		{.id = "gx", .version = 1, .precedence = 1},
		{.id = "gy", .version = 1, .precedence = 1, .origin = SLUICE_ORIGIN_GY},
	};
	struct sl_deactivation request = {.imsi = IMSI_A, .gy = true, .end_session = true};
	struct sl_error err = {{0}};
	struct world world;

	(void)state;
	world_start(&world, false, false, 0);
	world_activate_ok(&world, IMSI_A, ADDRESS_A, specs, 2);
	assert_int_equal(sl_address_parse("address", ADDRESS_A, &request.address, &err), 0);
	assert_int_equal(sl_control_deactivate(world.control, &request, NULL, &err), 0);
	assert_int_equal(world_policy(&world, ADDRESS_A)->rules, 1);
	request.gx = true;
	assert_int_equal(sl_control_deactivate(world.control, &request, NULL, &err), 0);
	assert_null(world_policy(&world, ADDRESS_A));
	world_assert_nothing_used(&world);
	world_stop(&world);
}

static void usage_is_reported_under_the_address_that_was_given_last(void **state)
{
	struct sl_usage_record record;
	char text[SL_ADDRESS_TEXT];
	struct world world;

	(void)state;
	world_start(&world, false, false, 0);
	world_activate_ok(&world, IMSI_A, "2001:db8:1:2::aaaa", NULL, 0);
	world_activate_ok(&world, IMSI_A, "2001:db8:1:2::bbbb", NULL, 0);
	assert_int_equal(sl_control_known_sessions(world.control), 1);
	assert_true(world_find_record(&world, SL_DEFAULT_DROP_RULE, 0, &record));
	sl_address_format(&record.address, text);
	assert_string_equal(text, "2001:db8:1:2::bbbb");
	world_deactivate(&world, IMSI_A, NULL, NULL, true);
	world_assert_nothing_used(&world);
	world_stop(&world);
}

/* --- hard timeouts ----------------------------------------------------------------- */

static uint32_t expired;

static void count_expired(const struct sl_control_event *event, void *user)
{
	(void)user;
	expired += event->type == SL_EVENT_RULE_EXPIRED;
}

static void wait_ms(long ms)
{
	const struct timespec time = {ms / 1000, ms % 1000 * 1000000};

	nanosleep(&time, NULL);
}

static void an_expiry_that_fails_is_tried_again_later_and_told_when_it_is_done(void **state)
{
	struct sl_datapath_limits limits = fixture_config().limits;
	struct rule_spec timed[6];
	uint32_t slots[256], taken = 0;
	struct world world;
	char ids[6][4];

	(void)state;
	expired = 0;
	world_start_with(&world, false,
			 &(struct sl_control_config){.keep_retired = true, .on_event = count_expired},
			 &limits, 0);
	for (uint32_t i = 0; i < 6; i++) {
		snprintf(ids[i], sizeof(ids[i]), "t%u", i);
		timed[i] =
			(struct rule_spec){.id = ids[i], .version = 1, .precedence = i, .hard_timeout_s = 1};
	}
	world_activate_ok(&world, IMSI_A, ADDRESS_A, timed, 6);
	sl_grace_drain(world.grace);
	while (taken < SL_ARRAY_SIZE(slots) &&
	       sl_slots_take(&world.control->slots, SL_SLOT_POLICY, 1, &slots[taken], NULL) == 0)
		taken++;
	assert_int_equal(world.control->deadlines.count, 6);
	wait_ms(1100);
	for (int i = 0; i < 5; i++) {
		sl_control_expire(world.control);
		assert_int_equal(world.control->deadlines.count, 6);
	}
	assert_int_equal(expired, 0);
	assert_int_equal(world_policy(&world, ADDRESS_A)->rules, 6);
	while (taken > 0)
		sl_slots_release(&world.control->slots, SL_SLOT_POLICY, slots[--taken], 1);
	/* there is room, but its time has not come */
	sl_control_expire(world.control);
	assert_int_equal(expired, 0);
	wait_ms(1100);
	sl_control_expire(world.control);
	assert_int_equal(expired, 6);
	assert_int_equal(world_policy(&world, ADDRESS_A)->rules, 0);
	sl_control_expire(world.control);
	assert_int_equal(expired, 6);
	assert_int_equal(world.control->deadlines.count, 0);
	world_deactivate(&world, IMSI_A, ADDRESS_A, NULL, true);
	world_acknowledge_all(&world);
	world_assert_nothing_used(&world);
	world_stop(&world);
}

/* --- records twice -------------------------------------------------------------------- */

/* Two records of one content, of which the second is named by usage in force or by retired usage. */
static void restart_with_a_content_twice(bool retired)
{
	const struct sluice_rule_record *first;
	struct sl_usage_record record;
	struct sl_maps *maps;
	struct world world;
	uint32_t usage;

	world_start(&world, false, true, 0);
	world_activate_ok(&world, IMSI_A, ADDRESS_A, &permit, 1);
	usage = world_policy(&world, ADDRESS_A)->binding[0].usage;
	world_count_bytes(&world, usage, 42);
	world_activate_ok(&world, IMSI_B, ADDRESS_B, &permit, 1);
	if (retired)
		world_deactivate(&world, IMSI_A, ADDRESS_A, "rule", false);
	maps = sl_datapath_maps(world.datapath);
	first = &maps->rules[maps->usage_owners[usage].rule];
	maps->rules[20] = *first;
	maps->rules[20].first_flow = 40;
	memcpy(&maps->flows[40], &maps->flows[first->first_flow], 2 * sizeof(maps->flows[0]));
	maps->usage_owners[usage].rule = 20;
	world_stop(&world);

	for (int restart = 0; restart < 2; restart++) {
		world_start(&world, true, true, 0);
		maps = sl_datapath_maps(world.datapath);
		assert_int_equal(world_used(&world, "rules"), 1);
		assert_int_equal(world_used(&world, "flows"), 2);
		assert_int_equal(maps->rules[20].in_use, 0);
		assert_true(world_find_record(&world, "rule", 1, &record));
		assert_int_equal(record.usage.uplink.bytes, 42);
		assert_int_equal(record.retired, retired);
		if (restart)
			break;
		world_stop(&world);
	}
	world_deactivate(&world, IMSI_A, ADDRESS_A, NULL, true);
	world_deactivate(&world, IMSI_B, ADDRESS_B, NULL, true);
	world_acknowledge_all(&world);
	world_assert_nothing_used(&world);
	world_stop(&world);
}

static void a_restart_keeps_one_record_of_a_content_that_is_there_twice(void **state)
{
	(void)state;
	restart_with_a_content_twice(false);
}

static void retired_usage_follows_to_the_record_that_is_kept(void **state)
{
	(void)state;
	restart_with_a_content_twice(true);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_devices, fixture_no_devices)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(usage_that_nobody_acknowledges_gives_way_to_new_subscribers),
		TEST(a_setup_after_a_restart_fits_although_the_old_sessions_fill_the_maps),
		TEST(a_setup_with_too_many_sessions_enforces_those_that_fit),
		TEST(a_rule_that_fails_in_a_setup_does_not_leave_its_old_content_in_force),
		TEST(a_crash_before_a_change_is_published_leaves_the_old_rules),
		TEST(a_crash_after_a_change_is_published_leaves_the_new_rules),
		TEST(a_receipt_for_counts_that_have_grown_since_is_void),
		TEST(deadlines_of_rules_that_are_not_touched_are_remembered_once),
		TEST(a_session_with_rules_of_the_other_origin_survives_the_end_of_its_default_drop),
		TEST(usage_is_reported_under_the_address_that_was_given_last),
		TEST(an_expiry_that_fails_is_tried_again_later_and_told_when_it_is_done),
		TEST(a_restart_keeps_one_record_of_a_content_that_is_there_twice),
		TEST(retired_usage_follows_to_the_record_that_is_kept),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
