// SPDX-License-Identifier: Apache-2.0
/* What the engine counts and judges itself, at the test's own time: what clears a block, connections,
 * silence. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "datapath/ids_maps.h"
#include "ids_engine_world.h"
#include "sluice/meter.h"

static const struct rule_spec ordinary[] = {
	{.id = "all", .version = 1, .precedence = 100, .action = SLUICE_PERMIT},
};

static bool is_there(struct ids_engine_world *world, enum sl_ids_map table, const struct sluice_ids_key *key)
{
	static struct sluice_ids_log largest;

	return sl_ids_get(world->world.datapath, table, key, &largest) == 0;
}

/* --- clear ---------------------------------------------------------------------------------- */

static struct sluice_ids_key police(struct ids_engine_world *world)
{
	struct sl_ids_rule *rule = &world->rule[0];
	struct sluice_ids_key key;

	rule->image.verdict = SLUICE_IDS_POLICE;
	rule->image.hard_ns = 600 * SECOND;
	rule->clear_percent = 50;
	rule->clear_ns = 3 * SECOND;
	ids_engine_apply(world);
	key = ids_engine_key(rule, IMSI_A);
	ids_engine_offend(world, rule, &key);
	return key;
}

/* So many packets within the window, at any time of the next second. */
static void at_count(struct ids_engine_world *world, const struct sluice_ids_key *key, uint64_t count,
		     uint64_t time)
{
	for (uint64_t end = world->now + time; world->now < end;) {
		uint64_t part = world->now / (SECOND / (SLUICE_IDS_PARTS - 1) + 1);
		struct sluice_ids_window window = {
			.revision = world->rule[0].image.revision, .part = part, .last_ns = world->now};

		window.count[part % SLUICE_IDS_PARTS] = count;
		assert_int_equal(sl_ids_set(world->world.datapath, SL_IDS_WINDOWS, key, &window, SL_IDS_ANY),
				 0);
		ids_engine_pass(world, TICK);
	}
}

static void test_clear(void **state)
{
	struct ids_engine_world *world = *state;
	struct sluice_ids_key key = police(world);

	at_count(world, &key, 80, 10 * SECOND);
	/* below for less than the time, and above again */
	at_count(world, &key, 49, 5 * SECOND / 2);
	at_count(world, &key, 50, 3 * SECOND / 2);
	at_count(world, &key, 49, 5 * SECOND / 2);
	assert_int_equal(ids_engine_count(world, SL_IDS_ALERT_UNBLOCK), 0);
	at_count(world, &key, 49, 2 * SECOND);
	assert_int_equal(ids_engine_count(world, SL_IDS_ALERT_UNBLOCK), 1);
	assert_string_equal(ids_engine_told(world, SL_IDS_ALERT_UNBLOCK, 0)->reason, "clear");
	assert_false(is_there(world, SL_IDS_BLOCKS, &key));
}

static void test_clear_of_one(void **state)
{
	struct ids_engine_world *world = *state;

	world->rule[0].image.limit[0].count = 1;
	police(world);
	ids_engine_pass(world, 6 * SECOND);
	assert_int_equal(ids_engine_count(world, SL_IDS_ALERT_UNBLOCK), 1);
}

static void test_clear_bucket(void **state)
{
	struct ids_engine_world *world = *state;
	struct sl_ids_rule *rule = &world->rule[0];
	struct sluice_ids_bucket bucket = {.tat = 0};
	struct sluice_ids_key key;

	/* one in 600 ms, ten at once: full, though ten are far below a hundred */
	rule->image.limit[0] = (struct sluice_ids_limit){.kind = SLUICE_IDS_BUCKET,
							 .count = 100,
							 .window_ns = 60 * SECOND,
							 .burst = 10,
							 .interval = 60 * SECOND * 1024 / 100};
	key = police(world);
	for (int i = 0; i < 200; i++) {
		bucket.revision = rule->image.revision;
		bucket.last_ns = world->now;
		bucket.tat = sluice_meter_ticks(world->now) + 10 * rule->image.limit[0].interval;
		assert_int_equal(sl_ids_set(world->world.datapath, SL_IDS_BUCKETS, &key, &bucket, SL_IDS_ANY),
				 0);
		ids_engine_pass(world, TICK);
	}
	assert_int_equal(ids_engine_count(world, SL_IDS_ALERT_UNBLOCK), 0);
	/* it empties within six seconds, is half empty after three */
	ids_engine_pass(world, 11 * SECOND / 2);
	assert_int_equal(ids_engine_count(world, SL_IDS_ALERT_UNBLOCK), 0);
	ids_engine_pass(world, 3 * SECOND);
	assert_int_equal(ids_engine_count(world, SL_IDS_ALERT_UNBLOCK), 1);
}

static void test_clear_wider(void **state)
{
	struct ids_engine_world *world = *state;
	struct sluice_ids_key key;

	police(world);
	key = ids_engine_connection(world->rule[0].image.identity, 7);
	ids_engine_offend(world, &world->rule[0], &key);
	ids_engine_pass(world, 10 * SECOND);
	assert_int_equal(ids_engine_count(world, SL_IDS_ALERT_UNBLOCK), 1);
	assert_true(is_there(world, SL_IDS_BLOCKS, &key));
}

/* --- connections ------------------------------------------------------------------------------ */

static void connections(struct ids_engine_world *world, uint8_t count, uint64_t limit)
{
	struct sl_ids_rule *rule = &world->rule[0];

	rule->image.count = count;
	rule->image.limit[0].count = limit;
	rule->image.limit[0].window_ns = 60 * SECOND;
	ids_engine_apply(world);
	assert_int_equal(sl_ids_arrays(world->world.datapath)->settings->connections, 1);
	world_activate_ok(&world->world, IMSI_A, ADDRESS_A, ordinary, 1);
}

static void connect(struct ids_engine_world *world, uint16_t first, uint16_t count, uint32_t state)
{
	for (uint16_t port = first; port < first + count; port++) {
		struct sluice_ids_key key = ids_engine_connection(0, port);
		struct sluice_ids_connection connection = {
			.first_ns = world->now, .last_ns = world->now, .state = state};

		assert_int_equal(
			sl_ids_set(world->world.datapath, SL_IDS_CONNECTIONS, &key, &connection, SL_IDS_ANY),
			0);
	}
}

static void test_open(void **state)
{
	struct ids_engine_world *world = *state;
	struct sluice_ids_key key;

	connections(world, SLUICE_IDS_OPEN_CONNECTIONS, 10);
	connect(world, 1000, 10, SLUICE_IDS_ANSWERED);
	connect(world, 2000, 20, SLUICE_IDS_ENDED);
	ids_engine_pass(world, 3 * SECOND);
	assert_int_equal(world->told_count, 0);
	connect(world, 3000, 1, SLUICE_IDS_ASKED);
	ids_engine_pass(world, 3 * SECOND / 2);
	key = ids_engine_key(&world->rule[0], IMSI_A);
	assert_true(is_there(world, SL_IDS_BLOCKS, &key));
	assert_int_equal(ids_engine_count(world, SL_IDS_ALERT_BLOCK), 1);
	assert_int_equal(ids_engine_told(world, SL_IDS_ALERT_BLOCK, 0)->observed, 11);
	assert_string_equal(ids_engine_told(world, SL_IDS_ALERT_BLOCK, 0)->session, ADDRESS_A);
	/* the first judgement is the block's, the others are of who is blocked already */
	assert_int_equal(world->told[0].type, SL_IDS_ALERT_BLOCK);
}

static void test_open_silence(void **state)
{
	struct ids_engine_world *world = *state;
	struct sluice_ids_key ended = ids_engine_connection(0, 2000), open = ids_engine_connection(0, 1000),
			      asked = ids_engine_connection(0, 3000);

	connections(world, SLUICE_IDS_OPEN_CONNECTIONS, 100);
	connect(world, 1000, 1, SLUICE_IDS_ANSWERED);
	connect(world, 2000, 1, SLUICE_IDS_ENDED);
	connect(world, 3000, 1, SLUICE_IDS_ASKED);
	ids_engine_pass(world, 4 * SECOND);
	assert_true(is_there(world, SL_IDS_CONNECTIONS, &ended) &&
		    is_there(world, SL_IDS_CONNECTIONS, &open) &&
		    is_there(world, SL_IDS_CONNECTIONS, &asked));
	ids_engine_pass(world, 3 * SECOND);
	assert_false(is_there(world, SL_IDS_CONNECTIONS, &asked));
	ids_engine_pass(world, 5 * SECOND);
	assert_false(is_there(world, SL_IDS_CONNECTIONS, &ended));
	ids_engine_pass(world, 580 * SECOND);
	assert_true(is_there(world, SL_IDS_CONNECTIONS, &open));
	ids_engine_pass(world, 10 * SECOND);
	assert_false(is_there(world, SL_IDS_CONNECTIONS, &open));
}

static void test_open_clear(void **state)
{
	struct ids_engine_world *world = *state;

	world->rule[0].clear_percent = 50;
	world->rule[0].clear_ns = 3 * SECOND;
	world->rule[0].image.verdict = SLUICE_IDS_POLICE;
	world->rule[0].image.hard_ns = 600 * SECOND;
	connections(world, SLUICE_IDS_OPEN_CONNECTIONS, 10);
	connect(world, 1000, 11, SLUICE_IDS_ANSWERED);
	ids_engine_pass(world, 15 * SECOND);
	assert_int_equal(ids_engine_count(world, SL_IDS_ALERT_UNBLOCK), 0);
	connect(world, 1000, 11, SLUICE_IDS_ENDED);
	ids_engine_pass(world, 10 * SECOND);
	assert_int_equal(ids_engine_count(world, SL_IDS_ALERT_UNBLOCK), 1);
	assert_string_equal(ids_engine_told(world, SL_IDS_ALERT_UNBLOCK, 0)->reason, "clear");
}

static void test_failed(void **state)
{
	struct ids_engine_world *world = *state;

	connections(world, SLUICE_IDS_FAILED_CONNECTIONS, 10);
	connect(world, 1000, 10, SLUICE_IDS_ASKED);
	connect(world, 2000, 50, SLUICE_IDS_ANSWERED);
	ids_engine_pass(world, 10 * SECOND);
	assert_int_equal(world->told_count, 0);
	connect(world, 3000, 1, SLUICE_IDS_ASKED);
	ids_engine_pass(world, 4 * SECOND);
	assert_int_equal(world->told_count, 0);
	ids_engine_pass(world, 3 * SECOND);
	assert_int_equal(ids_engine_count(world, SL_IDS_ALERT_BLOCK), 1);
	assert_int_equal(ids_engine_told(world, SL_IDS_ALERT_BLOCK, 0)->observed, 11);
}

/* By ICMP: a second later, whatever the protocol, each once. */
static void test_refused(void **state)
{
	struct ids_engine_world *world = *state;
	struct sluice_ids_key one = ids_engine_connection(0, 1000);

	connections(world, SLUICE_IDS_FAILED_CONNECTIONS, 10);
	connect(world, 1000, 11, SLUICE_IDS_REFUSED);
	ids_engine_pass(world, SECOND / 2);
	assert_true(is_there(world, SL_IDS_CONNECTIONS, &one));
	ids_engine_pass(world, 5 * SECOND / 2);
	assert_int_equal(ids_engine_count(world, SL_IDS_ALERT_BLOCK), 1);
	assert_int_equal(ids_engine_told(world, SL_IDS_ALERT_BLOCK, 0)->observed, 11);
	assert_false(is_there(world, SL_IDS_CONNECTIONS, &one));
	ids_engine_pass(world, 3 * SECOND);
	assert_int_equal(ids_engine_count(world, SL_IDS_ALERT_EXCESS), 0);
}

static void test_refused_is_not_open(void **state)
{
	struct ids_engine_world *world = *state;

	connections(world, SLUICE_IDS_OPEN_CONNECTIONS, 10);
	connect(world, 1000, 11, SLUICE_IDS_REFUSED);
	ids_engine_pass(world, 3 * SECOND);
	assert_int_equal(world->told_count, 0);
}

static void test_failed_of_long_ago(void **state)
{
	struct ids_engine_world *world = *state;

	connections(world, SLUICE_IDS_FAILED_CONNECTIONS, 10);
	for (uint16_t i = 0; i < 40; i++) {
		connect(world, (uint16_t)(1000 + i), 1, SLUICE_IDS_ASKED);
		ids_engine_pass(world, 7 * SECOND);
	}
	assert_int_equal(world->told_count, 0);
}

static void test_rule_of_connections_gone(void **state)
{
	struct ids_engine_world *world = *state;
	struct sluice_ids_key open = ids_engine_connection(0, 1000);

	connections(world, SLUICE_IDS_OPEN_CONNECTIONS, 100);
	connect(world, 1000, 1, SLUICE_IDS_ANSWERED);
	ids_engine_pass(world, 2 * SECOND);
	world->rules = 0;
	ids_engine_apply(world);
	ids_engine_pass(world, 3 * SECOND);
	assert_false(is_there(world, SL_IDS_CONNECTIONS, &open));
}

/* --- silent keys -------------------------------------------------------------------------------- */

static void test_silent(void **state)
{
	struct ids_engine_world *world = *state;
	struct sluice_ids_key quiet, busy, foreign = {.rule = 12345, .track = SLUICE_IDS_RULE};
	struct sluice_ids_window window = {.part = 1};
	struct sl_ids_engine_stats stats;

	ids_engine_apply(world);
	quiet = ids_engine_key(&world->rule[0], IMSI_A);
	busy = ids_engine_key(&world->rule[0], IMSI_B);
	window.revision = world->rule[0].image.revision;
	window.last_ns = world->now;
	assert_int_equal(sl_ids_set(world->world.datapath, SL_IDS_WINDOWS, &quiet, &window, SL_IDS_ANY), 0);
	assert_int_equal(sl_ids_set(world->world.datapath, SL_IDS_WINDOWS, &foreign, &window, SL_IDS_ANY), 0);
	for (int i = 0; i < 20; i++) {
		window.last_ns = world->now;
		assert_int_equal(
			sl_ids_set(world->world.datapath, SL_IDS_WINDOWS, &busy, &window, SL_IDS_ANY), 0);
		ids_engine_pass(world, SECOND);
		if (i < 9)
			assert_true(is_there(world, SL_IDS_WINDOWS, &quiet));
	}
	assert_false(is_there(world, SL_IDS_WINDOWS, &quiet));
	assert_true(is_there(world, SL_IDS_WINDOWS, &busy));
	sl_ids_engine_stats(world->engine, &stats);
	assert_int_equal(stats.removed, 1);
	/* of a rule that is no more, after a minute */
	assert_true(is_there(world, SL_IDS_WINDOWS, &foreign));
	ids_engine_pass(world, 60 * SECOND);
	assert_false(is_there(world, SL_IDS_WINDOWS, &foreign));
}

/* --- turns ----------------------------------------------------------------------------------------- */

#define KEYS	60000u
#define TURN_MS 10 /* of a pass; a turn has several, on a machine that is shared */

static struct sluice_ids_key numbered(const struct sl_ids_rule *rule, uint32_t number)
{
	char imsi[SLUICE_IMSI_SIZE];

	snprintf(imsi, sizeof(imsi), "00101%010u", number);
	return ids_engine_key(rule, imsi);
}

static void test_long_clear(void **state)
{
	struct ids_engine_world *world = *state;
	struct sl_ids_blocks_stats stats;

	world->rule[0].clear_percent = 50;
	world->rule[0].clear_ns = 12 * SECOND;
	world->rule[0].image.hard_ns = 3600 * SECOND;
	ids_engine_apply(world);
	for (uint32_t i = 0; i < KEYS; i++) {
		struct sluice_ids_key key = numbered(&world->rule[0], i);

		ids_engine_offend(world, &world->rule[0], &key);
	}
	ids_engine_pass(world, 3 * SECOND);
	sl_ids_blocks_stats(sl_ids_engine_blocks(world->engine), &stats);
	assert_int_equal(stats.active, KEYS);
	world->longest = 0;
	ids_engine_pass(world, 5 * SECOND);
	print_message("%u blocks to clear: the longest turn took %.1f ms of CPU\n", KEYS,
		      (double)world->longest / 1e6);
	/* with what else a turn does: the sweep of blocks */
	assert_true(world->longest < 4 * TURN_MS * 1000000);
	/* all of them, for all that */
	ids_engine_pass(world, 15 * SECOND);
	sl_ids_blocks_stats(sl_ids_engine_blocks(world->engine), &stats);
	assert_int_equal(stats.active, 0);
}

static void test_long_poll(void **state)
{
	struct ids_engine_world *world = *state;
	struct sl_ids_rule *rule = &world->rule[0];
	struct sl_ids_engine_stats stats;

	rule->image.flags = SLUICE_IDS_POLL;
	rule->image.verdict = SLUICE_IDS_ALERT;
	rule->poll_ns = SECOND;
	rule->image.limit[0].window_ns = 10 * SECOND;
	ids_engine_apply(world);
	for (uint32_t round = 1; round <= 4; round++) {
		for (uint32_t i = 0; i < KEYS; i++) {
			struct sluice_ids_key key = numbered(rule, i);
			/* one of them is in excess by the fourth reading: the first only says where it begins
			 */
			struct sluice_ids_bucket bucket = {.counted = round * (i == 77 ? 45 : 2),
							   .last_ns = world->now,
							   .revision = rule->image.revision};

			assert_int_equal(
				sl_ids_set(world->world.datapath, SL_IDS_BUCKETS, &key, &bucket, SL_IDS_ANY),
				0);
		}
		if (round == 1)
			world->longest = 0;
		ids_engine_pass(world, 2 * SECOND);
		assert_int_equal(world->told_count > 0, round >= 4);
	}
	assert_int_equal(world->told[0].observed, 135);
	sl_ids_engine_stats(world->engine, &stats);
	assert_int_equal(stats.polled, KEYS);
	ids_engine_pass(world, 70 * SECOND);
	sl_ids_engine_stats(world->engine, &stats);
	assert_int_equal(stats.polled, 0);
	print_message("%u keys to poll: the longest turn took %.1f ms of CPU\n", KEYS,
		      (double)world->longest / 1e6);
	assert_true(world->longest < 4 * TURN_MS * 1000000);
}

int main(void)
{
#define TEST(name, function)                                                \
	{                                                                   \
		name, function, ids_engine_setup, ids_engine_teardown, NULL \
	}
	const struct CMUnitTest tests[] = {
		TEST("who is below half of the limit for the time is cleared, and not sooner", test_clear),
		TEST("half of a limit of one is nothing, which clears", test_clear_of_one),
		TEST("a bucket is below half when half of its burst is free", test_clear_bucket),
		TEST("a block of what is not counted has its time", test_clear_wider),
		TEST("open connections are judged once a second, those that have ended are none", test_open),
		TEST("connections go when they are silent, each kind after its time", test_open_silence),
		TEST("who has closed half of his connections is cleared", test_open_clear),
		TEST("a SYN without an answer is a failed connection after five seconds", test_failed),
		TEST("what ICMP calls unreachable has failed a second later", test_refused),
		TEST("what ICMP calls unreachable is not open", test_refused_is_not_open),
		TEST("failed connections outside the window do not count", test_failed_of_long_ago),
		TEST("without a rule about them connections go", test_rule_of_connections_gone),
		TEST("silent keys go, others stay", test_silent),
		TEST("60,000 blocks are looked at for what clears them in turns", test_long_clear),
		TEST("60,000 polled keys are read in turns, and forgotten", test_long_poll),
	};

	return cmocka_run_group_tests_name("ids engine: counts", tests, fixture_setup, fixture_teardown);
}
