// SPDX-License-Identifier: Apache-2.0
/*
 * What a session manager is told of usage: on the real maps, by the real
 * reporter, and judged as Magma's session manager does, for which a session
 * that waits for its end is over when a report has no record of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/convert.h"
#include "session_world.h"
#include "usage/reporter.h"

static const struct rule_spec permit = {.id = "internet", .version = 1, .precedence = 10};
static const struct rule_spec deny = {
	.id = "blocked", .version = 1, .precedence = 5, .remote = "45.11.0.0/24", .action = SLUICE_DENY};

/* --- dropped bytes of rules, said of the default drop --------------------------------- */

static void start_like_pipelined(struct world *world, bool adopted)
{
	struct sl_datapath_limits limits = fixture_config().limits;

	world_start_with(world, adopted,
			 &(struct sl_control_config){.keep_retired = true, .deny_as_default_drop = true},
			 &limits, 0);
}

static void drop_bytes(struct world *world, uint32_t usage, uint64_t bytes)
{
	struct sluice_counter *counter = &sl_datapath_maps(world->datapath)->usage[usage].uplink_dropped;

	counter->bytes += bytes;
	counter->packets++;
}

/* Dropped uplink bytes as reported, of the default drop or of a rule. */
static uint64_t said(struct world *world, const char *rule_id)
{
	struct sl_usage_record records[64];
	uint64_t sum = 0;

	for (int ended = 0; ended < 2; ended++) {
		uint32_t slot = 0;

		while (slot != SLUICE_NONE) {
			size_t n = sl_control_session_usage(world->control, ended, records, 64, &slot);

			assert_true(n <= 64);
			for (size_t i = 0; i < n; i++)
				if (strcmp(records[i].rule_id, rule_id) == 0)
					sum += records[i].usage.uplink_dropped.bytes;
		}
	}
	return sum;
}

static void what_a_deny_rule_drops_is_said_of_the_default_drop_and_never_goes_back(void **state)
{
	struct rule_spec both[] = {permit, deny}, second = deny;
	const struct sluice_policy *policy;
	struct world world;

	(void)state;
	start_like_pipelined(&world, false);
	world_activate_ok(&world, IMSI_A, ADDRESS_A, both, 2);
	policy = world_policy(&world, ADDRESS_A);
	drop_bytes(&world, policy->default_usage, 100);
	drop_bytes(&world, policy->binding[0].usage, 1000);
	assert_int_equal(said(&world, SL_DEFAULT_DROP_RULE), 1100);
	assert_int_equal(said(&world, "blocked"), 0);

	/* another version: the old one is retired, acknowledged, freed */
	second.version = 2;
	world_activate_ok(&world, IMSI_A, ADDRESS_A, &second, 1);
	assert_int_equal(said(&world, SL_DEFAULT_DROP_RULE), 1100);
	drop_bytes(&world, world_policy(&world, ADDRESS_A)->binding[0].usage, 20);
	world_acknowledge_all(&world);
	assert_int_equal(world_used(&world, "usage"), 3);
	assert_int_equal(said(&world, SL_DEFAULT_DROP_RULE), 1120);

	/* a restart: what was freed stays counted */
	world_stop(&world);
	start_like_pipelined(&world, true);
	assert_int_equal(said(&world, SL_DEFAULT_DROP_RULE), 1120);

	/* the rule ends, and comes back before and after its acknowledgement */
	world_deactivate(&world, IMSI_A, ADDRESS_A, "blocked", false);
	assert_int_equal(said(&world, SL_DEFAULT_DROP_RULE), 1120);
	world_activate_ok(&world, IMSI_A, ADDRESS_A, &second, 1);
	assert_int_equal(said(&world, SL_DEFAULT_DROP_RULE), 1120);
	world_deactivate(&world, IMSI_A, ADDRESS_A, "blocked", false);
	world_acknowledge_all(&world);
	world_activate_ok(&world, IMSI_A, ADDRESS_A, &second, 1);
	assert_int_equal(said(&world, SL_DEFAULT_DROP_RULE), 1120);
	drop_bytes(&world, world_policy(&world, ADDRESS_A)->binding[0].usage, 3);

	/* the session ends, returns, and ends for good */
	world_deactivate(&world, IMSI_A, ADDRESS_A, NULL, true);
	assert_int_equal(said(&world, SL_DEFAULT_DROP_RULE), 1123);
	world_activate_ok(&world, IMSI_A, ADDRESS_A, both, 1);
	assert_int_equal(said(&world, SL_DEFAULT_DROP_RULE), 1123);
	world_deactivate(&world, IMSI_A, ADDRESS_A, NULL, true);
	assert_int_equal(said(&world, SL_DEFAULT_DROP_RULE), 1123);
	assert_int_equal(said(&world, "blocked"), 0);
	world_acknowledge_all(&world);
	world_assert_nothing_used(&world);
	world_stop(&world);
}

static void without_the_switch_what_a_rule_drops_is_said_of_the_rule(void **state)
{
	struct world world;

	(void)state;
	world_start(&world, false, true, 0);
	world_activate_ok(&world, IMSI_A, ADDRESS_A, &deny, 1);
	drop_bytes(&world, world_policy(&world, ADDRESS_A)->binding[0].usage, 1000);
	assert_int_equal(said(&world, "blocked"), 1000);
	world_deactivate(&world, IMSI_A, ADDRESS_A, "blocked", false);
	world_acknowledge_all(&world);
	assert_int_equal(said(&world, SL_DEFAULT_DROP_RULE), 0);
	world_deactivate(&world, IMSI_A, ADDRESS_A, NULL, true);
	world_acknowledge_all(&world);
	world_assert_nothing_used(&world);
	world_stop(&world);
}

/*
 * The agent dies while what a rule has dropped, 1000 bytes, becomes the default
 * drop's, after that many steps of it. Once it is there it is there for good:
 * when the rest has been acknowledged, 1100 bytes are said, not less and not more.
 */
static uint64_t said_after_a_crash(uint32_t steps)
{
	const struct rule_spec both[] = {permit, deny};
	struct sluice_session_record *record;
	const struct sluice_policy *policy;
	struct sl_maps *maps;
	struct world world;
	uint32_t usage;
	uint64_t bytes;

	start_like_pipelined(&world, false);
	world_activate_ok(&world, IMSI_A, ADDRESS_A, both, 2);
	policy = world_policy(&world, ADDRESS_A);
	usage = policy->binding[0].usage;
	drop_bytes(&world, policy->default_usage, 100);
	drop_bytes(&world, usage, 1000);
	world_deactivate(&world, IMSI_A, ADDRESS_A, "blocked", false);
	world_stop(&world);

	start_like_pipelined(&world, true);
	maps = sl_datapath_maps(world.datapath);
	record = &maps->sessions[world_policy(&world, ADDRESS_A)->session];
	/* the steps of sl_usage_drop */
	if (steps > 0)
		record->folding[SLUICE_UPLINK] = (struct sluice_counter){1000, 1};
	if (steps > 1)
		record->folding_usage = usage + 1;
	if (steps > 2)
		record->folded[SLUICE_UPLINK].bytes = 1000;
	if (steps > 3)
		record->folded[SLUICE_UPLINK].packets = 1;
	if (steps > 4)
		memset(&maps->usage_owners[usage], 0, sizeof(maps->usage_owners[usage]));
	if (steps > 5)
		memset(&maps->usage[usage], 0, sizeof(maps->usage[usage]));
	if (steps > 6)
		record->folding_usage = 0;
	world_stop(&world);

	start_like_pipelined(&world, true);
	bytes = said(&world, SL_DEFAULT_DROP_RULE);
	assert_int_equal(bytes, 1100);
	world_acknowledge_all(&world);
	bytes = said(&world, SL_DEFAULT_DROP_RULE);
	assert_int_equal(world_used(&world, "usage"), 2);
	/* the mark has gone: another restart adds nothing */
	world_stop(&world);
	start_like_pipelined(&world, true);
	assert_int_equal(said(&world, SL_DEFAULT_DROP_RULE), bytes);
	world_deactivate(&world, IMSI_A, ADDRESS_A, NULL, true);
	world_acknowledge_all(&world);
	world_assert_nothing_used(&world);
	world_stop(&world);
	return bytes;
}

static void a_crash_counts_no_dropped_byte_twice_and_loses_none(void **state)
{
	for (uint32_t steps = 0; steps <= 7; steps++) {
		assert_int_equal(said_after_a_crash(steps), 1100);
		fixture_no_devices(state);
		fixture_devices(state);
	}
}

/* --- many sessions that end at once ------------------------------------------------------ */

#define MANY	   20000u
#define MAX_REPORT (4u << 20)

struct manager {
	struct world *world;
	struct sl_reporter *reporter;
	bool ending;		 /* it has sent the end of every session */
	uint64_t uplink[MANY];	 /* as last reported */
	uint8_t reported[MANY];	 /* in this report */
	uint8_t completed[MANY]; /* a report had no record of it */
	uint32_t completions;
	size_t largest;
	unsigned int messages;
	bool cycle_over;
};

static size_t session_usage(bool ended, struct sl_usage_record *out, size_t max, uint32_t *slot, void *user)
{
	struct manager *manager = user;

	return sl_control_session_usage(manager->world->control, ended, out, max, slot);
}

static void acknowledged(const struct sl_usage_receipt *receipts, size_t count, void *user)
{
	struct manager *manager = user;

	sl_control_acknowledge(manager->world->control, receipts, count);
}

static int take_report(const struct sl_usage_record *records, size_t count, void *user)
{
	struct manager *manager = user;
	struct sl_record_table table;
	size_t length;

	assert_int_equal(sl_record_table_fill(&table, records, count, 1700000000), 0);
	length = magma__lte__rule_record_table__get_packed_size(&table.table);
	sl_record_table_clear(&table);
	if (length > manager->largest)
		manager->largest = length;
	manager->messages++;

	memset(manager->reported, 0, sizeof(manager->reported));
	for (size_t i = 0; i < count; i++) {
		unsigned long number = strtoul(records[i].imsi + 5, NULL, 10);

		assert_true(number < MANY);
		/* a session that it holds for ended has no more usage to give */
		assert_false(manager->completed[number]);
		manager->reported[number] = 1;
		if (strcmp(records[i].rule_id, permit.id) == 0)
			manager->uplink[number] = records[i].usage.uplink.bytes;
	}
	for (uint32_t i = 0; manager->ending && i < MANY; i++) {
		if (manager->reported[i] || manager->completed[i])
			continue;
		manager->completed[i] = 1;
		manager->completions++;
	}
	return 0;
}

static bool ready(void *user)
{
	(void)user;
	return true;
}

static void on_change(bool up, const char *reason, void *user)
{
	(void)up;
	(void)reason;
	(void)user;
}

static void on_report(size_t records, void *user)
{
	(void)records;
	((struct manager *)user)->cycle_over = true;
}

static void one_cycle(struct manager *manager)
{
	manager->cycle_over = false;
	sl_reporter_tick(manager->reporter);
	while (!manager->cycle_over)
		sl_reporter_done(manager->reporter, NULL);
}

static void the_final_usage_of_20000_sessions_arrives_before_any_is_taken_for_ended(void **state)
{
	static const struct sl_reporter_ops ops = {
		.session = session_usage,
		.size = sl_record_size,
		.acknowledge = acknowledged,
		.send = take_report,
		.ready = ready,
		.on_change = on_change,
		.on_report = on_report,
	};
	struct sl_datapath_limits limits = fixture_config().limits;
	struct manager *manager = calloc(1, sizeof(*manager));
	char imsi[SLUICE_IMSI_SIZE], address[SL_ADDRESS_TEXT];
	struct world world;

	(void)state;
	assert_non_null(manager);
	limits.sessions = MANY;
	limits.usage = 3 * MANY;
	world_start_with(&world, false, &(struct sl_control_config){.keep_retired = true}, &limits, 0);
	manager->world = &world;
	assert_int_equal(sl_reporter_new(&ops, MAX_REPORT, manager, &manager->reporter), 0);
	for (uint32_t i = 0; i < MANY; i++) {
		snprintf(imsi, sizeof(imsi), "00101%010u", i);
		snprintf(address, sizeof(address), "10.%u.%u.%u", i >> 16 & 255, i >> 8 & 255, i & 255);
		world_activate_ok(&world, imsi, address, &permit, 1);
		world_count_bytes(&world, world_policy(&world, address)->binding[0].usage, 5000000000ull + i);
		/* what they were denied makes their records as long as they get */
		drop_bytes(&world, world_policy(&world, address)->default_usage, 100000000000ull);
		if (i % 500 == 0)
			sl_grace_drain(world.grace);
	}
	one_cycle(manager);
	/* counts that only the final report can carry */
	for (uint32_t i = 0; i < MANY; i++) {
		snprintf(address, sizeof(address), "10.%u.%u.%u", i >> 16 & 255, i >> 8 & 255, i & 255);
		world_count_bytes(&world, world_policy(&world, address)->binding[0].usage, 1);
	}
	manager->ending = true;
	for (uint32_t i = 0; i < MANY; i++) {
		snprintf(imsi, sizeof(imsi), "00101%010u", i);
		world_deactivate(&world, imsi, NULL, NULL, true);
	}
	for (int cycle = 0; cycle < 4 && manager->completions < MANY; cycle++) {
		one_cycle(manager);
		sl_grace_drain(world.grace);
	}
	assert_int_equal(manager->completions, MANY);
	for (uint32_t i = 0; i < MANY; i++)
		if (manager->uplink[i] != 5000000000ull + i + 1)
			fail_msg("session %u: the final count did not come, but %llu", i,
				 (unsigned long long)manager->uplink[i]);
	assert_true(manager->largest <= MAX_REPORT);
	print_message("%u messages, the longest %zu bytes\n", manager->messages, manager->largest);
	world_assert_nothing_used(&world);
	world_stop(&world);
	sl_reporter_free(manager->reporter);
	free(manager);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_devices, fixture_no_devices)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_a_deny_rule_drops_is_said_of_the_default_drop_and_never_goes_back),
		TEST(without_the_switch_what_a_rule_drops_is_said_of_the_rule),
		TEST(a_crash_counts_no_dropped_byte_twice_and_loses_none),
		TEST(the_final_usage_of_20000_sessions_arrives_before_any_is_taken_for_ended),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
