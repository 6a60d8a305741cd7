// SPDX-License-Identifier: Apache-2.0
/*
 * A start that finds many sessions, or some that it has no room to repair: what
 * sessions share is read and compiled once, and the agent starts all the same.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "control/model.h"
#include "session_world.h"

#define SESSIONS 4u
#define PLAN	 12u /* rules: more than a block, so that the list is a tree */

static void numbered(uint32_t i, char imsi[SLUICE_IMSI_SIZE], char address[SL_ADDRESS_TEXT])
{
	snprintf(imsi, SLUICE_IMSI_SIZE, "00101%010u", i);
	snprintf(address, SL_ADDRESS_TEXT, "10.0.0.%u", i);
}

static void start(struct world *world, bool adopted, const struct sl_datapath_limits *limits)
{
	world_start_with(world, adopted, &(struct sl_control_config){.keep_retired = true}, limits, 0);
}

/* --- what is shared ------------------------------------------------------------------ */

static void activate_plan(struct world *world, uint32_t session, uint32_t first)
{
	char imsi[SLUICE_IMSI_SIZE], address[SL_ADDRESS_TEXT], ids[PLAN][8], remotes[PLAN][24];
	struct rule_spec specs[PLAN];

	for (uint32_t i = 0; i < PLAN; i++) {
		snprintf(ids[i], sizeof(ids[i]), "r%u", i);
		snprintf(remotes[i], sizeof(remotes[i]), "45.10.%u.0/24", first + i);
		specs[i] =
			(struct rule_spec){.id = ids[i], .version = 1, .precedence = i, .remote = remotes[i]};
	}
	numbered(session, imsi, address);
	world_activate_ok(world, imsi, address, specs, PLAN);
}

static uint32_t lists(const struct world *world)
{
	return HASH_COUNT(world->control->rulesets);
}

static void sessions_with_the_same_rules_have_them_compiled_once(void **state)
{
	struct sl_datapath_limits limits = fixture_config().limits;
	struct world world;

	(void)state;
	limits.flows = 128;
	start(&world, false, &limits);
	for (uint32_t i = 0; i < 6; i++)
		activate_plan(&world, i, 0);
	assert_int_equal(world.control->compilations, 1);
	activate_plan(&world, 6, 100);
	assert_int_equal(world.control->compilations, 2);
	assert_int_equal(lists(&world), 2);
	world_stop(&world);

	start(&world, true, &limits);
	assert_int_equal(sl_control_known_sessions(world.control), 7);
	assert_int_equal(lists(&world), 2);
	assert_int_equal(world.control->compilations, 2);
	/* and what comes after the restart knows them */
	activate_plan(&world, 7, 0);
	assert_int_equal(world.control->compilations, 2);
	for (uint32_t i = 0; i < 8; i++) {
		char imsi[SLUICE_IMSI_SIZE], address[SL_ADDRESS_TEXT];

		numbered(i, imsi, address);
		world_deactivate(&world, imsi, address, NULL, true);
		world_acknowledge_all(&world);
	}
	world_assert_nothing_used(&world);
	assert_null(world.control->sources);
	world_stop(&world);
}

static struct sl_rule *next_content(const char *imsi, const struct sl_install *install, void *user)
{
	struct sl_rule *next = user;

	(void)imsi;
	return strcmp(install->rule->id, next->id) == 0 ? next : NULL;
}

static void a_refresh_compiles_once_for_all_sessions_of_a_plan(void **state)
{
	struct sl_datapath_limits limits = fixture_config().limits;
	struct activation activation;
	uint32_t changed = 0;
	struct world world;

	(void)state;
	limits.flows = 128;
	start(&world, false, &limits);
	for (uint32_t i = 0; i < 6; i++)
		activate_plan(&world, i, 0);
	world_fill(&activation, IMSI_A, ADDRESS_A,
		   &(struct rule_spec){.id = "r3", .precedence = 3, .remote = "198.51.100.0/24"}, 1);
	sl_control_refresh(world.control, next_content, &activation.rules[0], &changed);
	assert_int_equal(changed, 6);
	assert_int_equal(world.control->compilations, 2);
	assert_int_equal(lists(&world), 1);
	world_stop(&world);
}

/* One rule permits to the remote; how long it is in force is not the list's business unless it ends. */
static void one_rule(struct world *world, uint32_t session, const char *id, const char *remote,
		     uint32_t hard_timeout_s)
{
	const struct rule_spec spec = {
		.id = id, .version = 1, .precedence = 10, .remote = remote, .hard_timeout_s = hard_timeout_s};
	char imsi[SLUICE_IMSI_SIZE], address[SL_ADDRESS_TEXT];

	numbered(session, imsi, address);
	world_activate_ok(world, imsi, address, &spec, 1);
}

static uint32_t remote_of(struct world *world, uint32_t session)
{
	char imsi[SLUICE_IMSI_SIZE], address[SL_ADDRESS_TEXT];
	const struct sluice_policy *policy;

	numbered(session, imsi, address);
	policy = world_policy(world, address);
	assert_non_null(policy);
	return sl_datapath_maps(world->datapath)->matches4[policy->uplink_block].match[0].remote_be;
}

/* The memory of a rule that has gone is the next rule's: the list that it left to others is not. */
static void a_list_that_outlives_its_rules_is_not_taken_for_those_that_follow(void **state)
{
	struct sl_datapath_limits limits = fixture_config().limits;
	char imsi[SLUICE_IMSI_SIZE], address[SL_ADDRESS_TEXT];
	struct world world;

	(void)state;
	start(&world, false, &limits);
	for (uint32_t i = 1; i <= 20; i++) {
		char id[8], other[8];

		snprintf(id, sizeof(id), "a%u", i);
		snprintf(other, sizeof(other), "b%u", i);
		/* the same list by other rules, which stays */
		one_rule(&world, 1, other, "45.10.0.0/24", 0);
		one_rule(&world, 0, id, "45.10.0.0/24", 0);
		assert_int_equal(lists(&world), 1);
		numbered(0, imsi, address);
		world_deactivate(&world, imsi, address, NULL, true);
		world_acknowledge_all(&world);
		one_rule(&world, 2, id, "45.20.0.0/24", 0);
		assert_int_equal(remote_of(&world, 2), htonl(0x2d140000));
		numbered(2, imsi, address);
		world_deactivate(&world, imsi, address, NULL, true);
		numbered(1, imsi, address);
		world_deactivate(&world, imsi, address, NULL, true);
		world_acknowledge_all(&world);
	}
	world_assert_nothing_used(&world);
	world_stop(&world);
}

static void rules_that_name_the_subscribers_address_are_compiled_for_each(void **state)
{
	struct sl_datapath_limits limits = fixture_config().limits;
	char imsi[SLUICE_IMSI_SIZE], address[SL_ADDRESS_TEXT];
	struct activation activation;
	struct sl_error err = {{0}};
	struct world world;

	(void)state;
	start(&world, false, &limits);
	for (uint32_t i = 1; i <= 3; i++) {
		numbered(i, imsi, address);
		world_fill(&activation, imsi, address,
			   &(struct rule_spec){.id = "own", .version = 1, .precedence = 1}, 1);
		activation.flows[0][SLUICE_UPLINK].flags = SLUICE_FLOW_REMOTE_ASSIGNED;
		assert_int_equal(sl_control_activate(world.control, &activation.session, &err), 0);
		assert_int_equal(activation.requests[0].result, 0);
		assert_int_equal(remote_of(&world, i), htonl(0x0a000000 + i));
	}
	world_stop(&world);
	start(&world, true, &limits);
	assert_int_equal(lists(&world), 3);
	for (uint32_t i = 1; i <= 3; i++)
		assert_int_equal(remote_of(&world, i), htonl(0x0a000000 + i));
	world_stop(&world);
}

/* --- what cannot be repaired ----------------------------------------------------------- */

/* Each session has a list of its own, and then every block, or every usage slot, is in use. */
static void fill(struct world *world, struct sl_datapath_limits *limits)
{
	char remote[24];

	*limits = fixture_config().limits;
	limits->matches = SESSIONS * SLUICE_DIRECTIONS;
	limits->usage = SESSIONS * 2;
	start(world, false, limits);
	for (uint32_t i = 1; i <= SESSIONS; i++) {
		snprintf(remote, sizeof(remote), "45.%u.0.0/24", i);
		one_rule(world, i, "rule", remote, 0);
	}
	assert_int_equal(world_used(world, "matches4"), limits->matches);
	assert_int_equal(world_used(world, "usage"), limits->usage);
}

static void audit_once(struct world *world)
{
	struct sl_audit_stats before, after;

	sl_control_audit_stats(world->control, &before);
	do {
		sl_control_audit(world->control, 1);
		sl_control_audit_stats(world->control, &after);
	} while (after.passes == before.passes);
}

static struct sl_audit_stats audited(struct world *world)
{
	struct sl_audit_stats stats;

	audit_once(world);
	sl_control_audit_stats(world->control, &stats);
	return stats;
}

static void a_session_that_cannot_be_repaired_does_not_keep_the_agent_from_starting(void **state)
{
	char imsi[SLUICE_IMSI_SIZE], address[SL_ADDRESS_TEXT];
	struct sl_datapath_limits limits;
	struct sluice_match4_block *block;
	struct sl_usage_record record;
	struct sl_audit_stats stats;
	struct world world;

	(void)state;
	fill(&world, &limits);
	/* what packets scan is not what the rules say */
	numbered(2, imsi, address);
	world_count_bytes(&world, world_policy(&world, address)->binding[0].usage, 42);
	block = &sl_datapath_maps(world.datapath)->matches4[world_policy(&world, address)->uplink_block];
	block->match[0].remote_be = htonl(0x2d630000);
	world_stop(&world);

	start(&world, true, &limits);
	assert_int_equal(sl_control_known_sessions(world.control), SESSIONS);
	assert_int_equal(remote_of(&world, 2), htonl(0x2d630000));
	assert_int_equal(remote_of(&world, 3), htonl(0x2d030000));
	assert_true(world_find_record_of(&world, imsi, "rule", 1, &record));
	assert_int_equal(record.usage.uplink.bytes, 42);
	assert_int_equal(audited(&world).repairs, 0);
	assert_int_equal(audited(&world).failures, 2);
	/* the next start can do no more */
	world_stop(&world);
	start(&world, true, &limits);
	assert_int_equal(remote_of(&world, 2), htonl(0x2d630000));

	numbered(4, imsi, address);
	world_deactivate(&world, imsi, address, NULL, true);
	sl_grace_drain(world.grace);
	stats = audited(&world);
	assert_int_equal(stats.repairs, 1);
	assert_int_equal(stats.failures, 0);
	assert_int_equal(remote_of(&world, 2), htonl(0x2d020000));
	numbered(2, imsi, address);
	assert_true(world_find_record_of(&world, imsi, "rule", 1, &record));
	assert_int_equal(record.usage.uplink.bytes, 42);
	assert_int_equal(audited(&world).repairs, 1);
	for (uint32_t i = 1; i < SESSIONS; i++) {
		numbered(i, imsi, address);
		world_deactivate(&world, imsi, address, NULL, true);
	}
	world_acknowledge_all(&world);
	world_assert_nothing_used(&world);
	world_stop(&world);
}

static void a_request_repairs_it_as_soon_as_there_is_room(void **state)
{
	struct sl_datapath_limits limits;
	struct sluice_match4_block *block;
	char imsi[SLUICE_IMSI_SIZE], address[SL_ADDRESS_TEXT];
	struct world world;

	(void)state;
	fill(&world, &limits);
	numbered(2, imsi, address);
	block = &sl_datapath_maps(world.datapath)->matches4[world_policy(&world, address)->uplink_block];
	block->match[0].remote_be = htonl(0x2d630000);
	world_stop(&world);
	start(&world, true, &limits);
	numbered(1, imsi, address);
	world_deactivate(&world, imsi, address, NULL, true);
	sl_grace_drain(world.grace);
	one_rule(&world, 2, "rule", "45.2.0.0/24", 0);
	assert_int_equal(remote_of(&world, 2), htonl(0x2d020000));
	assert_int_equal(audited(&world).repairs, 0);
	world_stop(&world);
}

static void a_policy_that_cannot_be_read_costs_its_session_the_rules_but_no_count(void **state)
{
	char imsi[SLUICE_IMSI_SIZE], address[SL_ADDRESS_TEXT];
	struct sl_datapath_limits limits;
	struct sluice_policy *policy;
	struct sl_usage_record record;
	struct world world;

	(void)state;
	fill(&world, &limits);
	numbered(2, imsi, address);
	policy = (struct sluice_policy *)world_policy(&world, address);
	world_count_bytes(&world, policy->default_usage, 7);
	world_count_bytes(&world, policy->binding[0].usage, 42);
	policy->session = SLUICE_NONE;
	world_stop(&world);

	start(&world, true, &limits);
	assert_int_equal(sl_control_known_sessions(world.control), SESSIONS);
	assert_int_equal(world_policy(&world, address)->rules, 0);
	assert_true(world_find_record_of(&world, imsi, "rule", 1, &record));
	assert_int_equal(record.usage.uplink.bytes, 42);
	assert_true(record.retired);
	assert_true(world_find_record_of(&world, imsi, SL_DEFAULT_DROP_RULE, 0, &record));
	assert_int_equal(record.usage.uplink.bytes, 7);
	assert_false(record.retired);
	assert_int_equal(audited(&world).repairs, 0);
	world_stop(&world);
}

static void a_session_of_which_nothing_can_be_read_or_made_ends(void **state)
{
	char imsi[SLUICE_IMSI_SIZE], address[SL_ADDRESS_TEXT], other[SL_ADDRESS_TEXT];
	struct sl_datapath_limits limits;
	struct sluice_usage_owner *owners;
	struct sluice_policy *policy;
	struct sl_usage_record record;
	struct world world;

	(void)state;
	fill(&world, &limits);
	numbered(3, imsi, other);
	numbered(2, imsi, address);
	policy = (struct sluice_policy *)world_policy(&world, address);
	owners = sl_datapath_maps(world.datapath)->usage_owners;
	owners[policy->default_usage].session = world_policy(&world, other)->session;
	policy->session = SLUICE_NONE;
	world_stop(&world);

	start(&world, true, &limits);
	assert_int_equal(sl_control_known_sessions(world.control), SESSIONS - 1);
	assert_int_equal(sl_control_enforced_sessions(world.control), SESSIONS - 1);
	assert_null(world_policy(&world, address));
	assert_true(world_find_record_of(&world, imsi, "rule", 1, &record));
	assert_true(record.retired);
	assert_int_equal(audited(&world).repairs, 0);
	for (uint32_t i = 1; i <= SESSIONS; i++) {
		numbered(i, imsi, address);
		world_deactivate(&world, imsi, address, NULL, true);
	}
	world_acknowledge_all(&world);
	world_assert_nothing_used(&world);
	world_stop(&world);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_devices, fixture_no_devices)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(sessions_with_the_same_rules_have_them_compiled_once),
		TEST(a_refresh_compiles_once_for_all_sessions_of_a_plan),
		TEST(a_list_that_outlives_its_rules_is_not_taken_for_those_that_follow),
		TEST(rules_that_name_the_subscribers_address_are_compiled_for_each),
		TEST(a_session_that_cannot_be_repaired_does_not_keep_the_agent_from_starting),
		TEST(a_request_repairs_it_as_soon_as_there_is_room),
		TEST(a_policy_that_cannot_be_read_costs_its_session_the_rules_but_no_count),
		TEST(a_session_of_which_nothing_can_be_read_or_made_ends),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
