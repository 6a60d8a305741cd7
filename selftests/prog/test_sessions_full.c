// SPDX-License-Identifier: Apache-2.0
/*
 * Sessions when there is hardly any room: what only waits for a grace period
 * is waited for, and usage that nobody has acknowledged gives way only where
 * that helps.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "control/model.h"
#include "session_world.h"

#define SESSIONS 1024u
#define NEARLY	 (SESSIONS / 100 * 95)

static const struct rule_spec before = {.id = "rule", .version = 1, .precedence = 10};
static const struct rule_spec after = {.id = "rule", .version = 1, .precedence = 20};

static void numbered(uint32_t i, char imsi[SLUICE_IMSI_SIZE], char address[SL_ADDRESS_TEXT])
{
	snprintf(imsi, SLUICE_IMSI_SIZE, "00101%010u", i);
	snprintf(address, SL_ADDRESS_TEXT, "10.%u.%u.%u", i >> 16 & 255, i >> 8 & 255, i & 255);
}

static void start_small(struct world *world, bool adopted)
{
	struct sl_datapath_limits limits = fixture_config().limits;

	limits.sessions = SESSIONS;
	limits.usage = 4 * SESSIONS;
	world_start_with(world, adopted, &(struct sl_control_config){.keep_retired = true}, &limits, 0);
}

static void activate_nearly_all(struct world *world)
{
	char imsi[SLUICE_IMSI_SIZE], address[SL_ADDRESS_TEXT];

	for (uint32_t i = 0; i < NEARLY; i++) {
		numbered(i, imsi, address);
		world_activate_ok(world, imsi, address, &before, 1);
	}
	sl_grace_drain(world->grace);
}

static uint32_t sessions_with_precedence(struct world *world, uint32_t precedence)
{
	uint32_t count = 0;

	for (uint32_t i = 0; i < SESSIONS; i++) {
		const struct sl_session *session = world->control->by_slot[i];

		count += session && session->install_count == 1 &&
			 session->installs[0].rule->precedence == precedence;
	}
	return count;
}

static struct sl_rule *second_content(const char *imsi, const struct sl_install *install, void *user)
{
	(void)imsi;
	(void)install;
	return user;
}

static void a_refresh_changes_every_session_of_a_nearly_full_agent(void **state)
{
	struct activation content;
	uint32_t changed = 0;
	struct world world;

	(void)state;
	start_small(&world, false);
	activate_nearly_all(&world);
	world_fill(&content, IMSI_A, ADDRESS_A, &after, 1);
	sl_control_refresh(world.control, second_content, &content.rules[0], &changed);
	assert_int_equal(changed, NEARLY);
	assert_int_equal(sessions_with_precedence(&world, after.precedence), NEARLY);
	world_stop(&world);
}

static void a_setup_of_a_nearly_full_agent_refuses_nobody_after_a_restart_either(void **state)
{
	struct sl_session_request *requests = calloc(NEARLY, sizeof(*requests));
	char imsi[SLUICE_IMSI_SIZE], address[SL_ADDRESS_TEXT];
	struct activation content;
	struct sl_error err = {{0}};
	uint32_t refused = 0;
	struct world world;

	(void)state;
	assert_non_null(requests);
	start_small(&world, false);
	activate_nearly_all(&world);
	world_stop(&world);
	start_small(&world, true);
	world_fill(&content, IMSI_A, ADDRESS_A, &after, 1);
	for (uint32_t i = 0; i < NEARLY; i++) {
		numbered(i, imsi, address);
		requests[i] = content.session;
		strcpy(requests[i].imsi, imsi);
		assert_int_equal(sl_address_parse("address", address, &requests[i].address, &err), 0);
	}
	assert_int_equal(sl_control_setup(world.control, requests, NEARLY, &refused, &err), 0);
	assert_int_equal(refused, 0);
	assert_int_equal(sessions_with_precedence(&world, after.precedence), NEARLY);
	world_stop(&world);
	free(requests);
}

static void damage_of_nearly_all_sessions_is_repaired_at_the_start(void **state)
{
	struct world world;

	(void)state;
	start_small(&world, false);
	activate_nearly_all(&world);
	for (uint32_t i = 0; i < SESSIONS; i++)
		if (world.control->by_slot[i])
			world.control->maps->policies[world.control->by_slot[i]->policy].uplink_count = 0;
	world_stop(&world);
	start_small(&world, true);
	assert_int_equal(sl_control_known_sessions(world.control), NEARLY);
	for (uint32_t i = 0; i < SESSIONS; i++)
		if (world.control->by_slot[i])
			assert_int_equal(
				world.control->maps->policies[world.control->by_slot[i]->policy].uplink_count,
				1);
	world_stop(&world);
}

static void a_rule_finds_the_slots_that_another_has_just_left(void **state)
{
	struct rule_spec specs[16] = {0};
	struct sl_datapath_limits limits = fixture_config().limits;
	struct world world;
	char ids[16][8];

	(void)state;
	limits.usage = 40; /* two versions of all rules and the default drop */
	world_start_with(&world, false, &(struct sl_control_config){0}, &limits, 0);
	for (uint32_t version = 1; version <= 20; version++) {
		for (uint32_t i = 0; i < 16; i++) {
			snprintf(ids[i], sizeof(ids[i]), "r%u", i);
			specs[i] = (struct rule_spec){.id = ids[i], .version = version, .precedence = i};
		}
		world_activate_ok(&world, IMSI_A, ADDRESS_A, specs, 16);
	}
	world_deactivate(&world, IMSI_A, ADDRESS_A, NULL, true);
	world_assert_nothing_used(&world);
	world_stop(&world);
}

static void a_rule_finds_the_queue_that_another_has_just_left(void **state)
{
	struct rule_spec rule = {.id = "one", .version = 1, .precedence = 1, .mbr_downlink = 1000000};
	struct world world;

	(void)state;
	world_start(&world, false, true, 1);
	for (int turn = 0; turn < 6; turn++) {
		rule.id = turn % 2 ? "one" : "other";
		rule.version = (uint32_t)turn + 1;
		world_activate_ok(&world, IMSI_A, ADDRESS_A, &rule, 1);
		world_deactivate(&world, IMSI_A, ADDRESS_A, rule.id, false);
	}
	world_deactivate(&world, IMSI_A, ADDRESS_A, NULL, true);
	world_acknowledge_all(&world);
	world_assert_nothing_used(&world);
	world_stop(&world);
}

/* A session that returns takes its usage back while others' is freed in the same request. */
static void a_session_that_returns_survives_the_wait_for_slots(void **state)
{
	struct rule_spec rules[2] = {{.id = "a", .version = 1, .precedence = 1},
				     {.id = "b", .version = 1, .precedence = 2}};
	uint32_t first;
	struct world world;

	(void)state;
	world_start(&world, false, false, 0);
	world_activate_ok(&world, IMSI_A, ADDRESS_A, rules, 2);
	world_activate_ok(&world, IMSI_B, ADDRESS_B, rules, 2);
	sl_grace_drain(world.grace);
	while (sl_slots_take(&world.control->slots, SL_SLOT_POLICY, 1, &first, NULL) == 0)
		;
	world_deactivate(&world, IMSI_B, ADDRESS_B, NULL, true);
	world_deactivate(&world, IMSI_A, ADDRESS_A, NULL, true);
	world_activate_ok(&world, IMSI_A, ADDRESS_A, rules, 2);
	assert_int_equal(world_policy(&world, ADDRESS_A)->rules, 2);
	assert_int_equal(sl_control_known_sessions(world.control), 1);
	world_stop(&world);
}

/* --- usage that nobody has acknowledged --------------------------------------------- */

static size_t retired(struct world *world)
{
	struct sl_usage_record records[64];

	return sl_control_retired(world->control, records, 64);
}

static void end_ten_sessions(struct world *world)
{
	char imsi[SLUICE_IMSI_SIZE], address[SL_ADDRESS_TEXT];

	for (uint32_t i = 0; i < 10; i++) {
		numbered(i, imsi, address);
		world_activate_ok(world, imsi, address, &before, 1);
		world_deactivate(world, imsi, address, NULL, true);
	}
	sl_grace_drain(world->grace);
	assert_int_equal(retired(world), 20);
}

static void rules_that_cannot_be_read_cost_nobody_his_usage(void **state)
{
	struct sl_session_request request = {.imsi = IMSI_B};
	static struct sl_rule_request unreadable[2000];
	struct sl_error err = {{0}};
	struct world world;

	(void)state;
	world_start(&world, false, true, 0);
	end_ten_sessions(&world);
	for (size_t i = 0; i < SL_ARRAY_SIZE(unreadable); i++)
		unreadable[i] = (struct sl_rule_request){.id = "", .version = 1};
	assert_int_equal(sl_address_parse("address", ADDRESS_B, &request.address, &err), 0);
	request.rules = unreadable;
	request.rule_count = SL_ARRAY_SIZE(unreadable);
	assert_int_equal(sl_control_activate(world.control, &request, &err), 0);
	assert_int_equal(retired(&world), 20);
	world_stop(&world);
}

static void a_request_that_fits_in_no_case_costs_nobody_his_usage(void **state)
{
	struct sl_datapath_limits small = fixture_config().limits;
	struct rule_spec specs[9];
	struct activation activation;
	struct world world;
	char ids[9][8];
	int fail = 0;

	(void)state;
	small.rules = 8;
	world_start_with(&world, false, &(struct sl_control_config){.keep_retired = true}, &small, 0);
	end_ten_sessions(&world);
	for (uint32_t i = 0; i < 9; i++) {
		snprintf(ids[i], sizeof(ids[i]), "r%u", i);
		specs[i] = (struct rule_spec){.id = ids[i], .version = 1, .precedence = i};
	}
	assert_int_equal(world_activate(&world, &activation, IMSI_B, ADDRESS_B, specs, 9), 0);
	for (uint32_t i = 0; i < 9; i++)
		fail += activation.requests[i].result == -ENOSPC;
	assert_true(fail > 0);
	assert_int_equal(retired(&world), 20);
	world_stop(&world);
}

static void rules_that_are_there_already_need_no_room(void **state)
{
	struct sl_datapath_limits small = fixture_config().limits;
	struct rule_spec specs[8];
	struct world world;
	char ids[8][8];

	(void)state;
	small.rules = 8;
	world_start_with(&world, false, &(struct sl_control_config){.keep_retired = true}, &small, 0);
	end_ten_sessions(&world);
	for (uint32_t i = 0; i < 7; i++) {
		snprintf(ids[i], sizeof(ids[i]), "r%u", i);
		specs[i] = (struct rule_spec){.id = ids[i], .version = 1, .precedence = i};
	}
	world_activate_ok(&world, IMSI_A, ADDRESS_A, specs, 7);
	assert_int_equal(world_used(&world, "rules"), 8);
	world_activate_ok(&world, IMSI_B, ADDRESS_B, specs, 7);
	world_activate_ok(&world, IMSI_B, ADDRESS_B, specs, 7);
	assert_int_equal(retired(&world), 20);
	/* one more content: the old one's usage gives way, all that keeps it */
	specs[7] = (struct rule_spec){.id = "new", .version = 1, .precedence = 1};
	world_activate_ok(&world, IMSI_B, ADDRESS_B, specs + 7, 1);
	assert_true(retired(&world) < 20);
	world_stop(&world);
}

/* What had no memory for its grace period never becomes final. */
static void usage_that_cannot_become_final_keeps_nobody_waiting(void **state)
{
	struct activation activation;
	struct sl_session *session;
	uint32_t first;
	struct world world;

	(void)state;
	world_start(&world, false, true, 0);
	end_ten_sessions(&world);
	DL_FOREACH2(world.control->drain, session, drain_next)
	session->retired[0].final = session->retired[1].final = false;
	while (sl_slots_take(&world.control->slots, SL_SLOT_USAGE, 1, &first, NULL) == 0)
		;
	alarm(20); /* it spun for ever */
	assert_int_equal(world_activate(&world, &activation, IMSI_B, ADDRESS_B, &before, 1), -ENOSPC);
	/* beside what may go */
	world.control->drain->drain_next->retired[0].final = true;
	world.control->drain->drain_next->retired[1].final = true;
	assert_int_equal(world_activate(&world, &activation, IMSI_B, ADDRESS_B, &before, 1), 0);
	alarm(0);
	assert_int_equal(retired(&world), 18);
	world_stop(&world);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_devices, fixture_no_devices)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_refresh_changes_every_session_of_a_nearly_full_agent),
		TEST(a_setup_of_a_nearly_full_agent_refuses_nobody_after_a_restart_either),
		TEST(damage_of_nearly_all_sessions_is_repaired_at_the_start),
		TEST(a_rule_finds_the_slots_that_another_has_just_left),
		TEST(a_rule_finds_the_queue_that_another_has_just_left),
		TEST(a_session_that_returns_survives_the_wait_for_slots),
		TEST(rules_that_cannot_be_read_cost_nobody_his_usage),
		TEST(a_request_that_fits_in_no_case_costs_nobody_his_usage),
		TEST(rules_that_are_there_already_need_no_room),
		TEST(usage_that_cannot_become_final_keeps_nobody_waiting),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
