// SPDX-License-Identifier: Apache-2.0
/*
 * I3 with engine poll: sluice doing the original controller's job in the original's way, by counters that it
 * reads every second, beside the model of the original (selftests/lib/original_controller.h). The real engine
 * on the real maps in virtual time; what packets do to the maps, the test does.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "datapath/ids_maps.h"
#include "ids/engine.h"
#include "ids/maps.h"
#include "original_controller.h"
#include "session_world.h"

#define S      1000000000ull
#define NOON   (1000 * S)
#define TICK   (S / 4)
#define LIMIT  ORIGINAL_THRESHOLD
#define CLIENT 0x0a000001u

/* What may pass before the next reading, at so many a second: an interval, and a tick that is late. */
#define LEAK(per_second) (LIMIT + (per_second) + (per_second) / 4)

struct race {
	struct world world;
	struct sl_ids_kernel kernel;
	struct sl_ids_table *table;
	struct sl_ids_engine *engine;
	struct sl_ids_rule rule;
	struct original_controller original;
	uint64_t ticked;
	uint64_t sent, passed;
	uint32_t blocked, unblocked;
	uint16_t port;
};

static const struct sl_datapath_limits limits = {
	.sessions = 64,
	.usage = 256,
	.rules = 64,
	.flows = 256,
	.matches = 64,
	.bindings = 64,
	.meters = 64,
	.quotas = 64,
	.ids_blocks = 64,
	.ids_buckets = 1024,
	.ids_windows = 64,
	.ids_logs = 64,
	.ids_sets = 64,
	.ids_connections = 64,
};

static void on_alert(const struct sl_ids_alert *alert, const struct sl_ids_rule *rule,
		     const struct sluice_ids_key *key, void *user)
{
	struct race *race = user;

	(void)rule;
	(void)key;
	race->blocked += alert->type == SL_IDS_ALERT_BLOCK;
	race->unblocked += alert->type == SL_IDS_ALERT_UNBLOCK;
}

static void start(struct race *race)
{
	struct sl_ids_engine_config config = {.datapath = race->world.datapath,
					      .control = race->world.control,
					      .on_alert = on_alert,
					      .user = race};
	struct sl_ids_rules rules = {.rule = &race->rule, .count = 1};
	struct sl_error err = {""};
	struct sl_ids_maps maps;

	race->kernel = (struct sl_ids_kernel){
		.datapath = race->world.datapath, .control = race->world.control, .grace = race->world.grace};
	sl_ids_maps_of(&race->kernel, &maps);
	if (sl_ids_rules_open(&maps, &race->table, &err) < 0)
		fail_msg("%s", err.text);
	config.rules = race->table;
	if (sl_ids_engine_new(&config, NOON + race->ticked, &race->engine, &err) < 0 ||
	    sl_ids_rules_apply(race->table, &rules, NULL, &err) < 0)
		fail_msg("%s", err.text);
}

static void stop(struct race *race)
{
	sl_ids_engine_free(race->engine);
	sl_ids_rules_close(race->table);
}

static int setup(void **state)
{
	static const struct sl_control_config settings = {.backend = SL_RATE_POLICE};
	struct race *race = calloc(1, sizeof(*race));
	struct sl_ids_rule *rule = &race->rule;

	if (!race || fixture_devices(state) != 0)
		return -1;
	world_start_with(&race->world, false, &settings, &limits, 0);
	strcpy(rule->name, "xmpp-flood");
	rule->match[0] = (struct sluice_ids_match){.direction = SLUICE_UPLINK, .verdict = SLUICE_PERMIT};
	rule->match_count = 1;
	rule->image.track = SLUICE_IDS_SUBSCRIBER;
	rule->image.count = SLUICE_IDS_PAYLOAD_PACKETS;
	rule->image.verdict = SLUICE_IDS_DROP;
	rule->image.flags = SLUICE_IDS_BLOCKS | SLUICE_IDS_EXTEND | SLUICE_IDS_POLL;
	rule->image.limit_count = 1;
	rule->image.limit[0] =
		(struct sluice_ids_limit){.window_ns = 60 * S, .count = LIMIT, .kind = SLUICE_IDS_SLIDING};
	rule->image.hard_ns = ORIGINAL_HARD_S * S;
	rule->image.idle_ns = ORIGINAL_IDLE_S * S;
	rule->poll_ns = S;
	rule->repeat_factor = 1;
	rule->repeat_max_ns = 3600 * S;
	rule->forget_ns = 3600 * S;
	sl_ids_rule_seal(rule, 0);
	race->port = 40000;
	start(race);
	*state = race;
	return 0;
}

static int teardown(void **state)
{
	struct race *race = *state;

	stop(race);
	world_stop(&race->world);
	free(race);
	return fixture_no_devices(state);
}

/* --- packets ---------------------------------------------------------------------------- */

static struct sluice_ids_key key_of(const struct race *race)
{
	struct sluice_ids_key key = {.rule = race->rule.image.identity, .track = SLUICE_IDS_SUBSCRIBER};

	memcpy(key.local, IMSI_A, strlen(IMSI_A));
	return key;
}

static bool is_blocked(struct race *race, uint64_t now)
{
	struct sluice_ids_key key = key_of(race);
	struct sluice_ids_block block;

	if (sl_ids_get(race->world.datapath, SL_IDS_BLOCKS, &key, &block) < 0 ||
	    (block.hard_ns && now >= block.hard_ns) ||
	    (block.idle_ns && now >= block.last_ns + block.idle_ns))
		return false;
	block.hits.packets++;
	if (block.flags & SLUICE_IDS_BLOCK_EXTEND)
		block.last_ns = now;
	assert_int_equal(sl_ids_set(race->world.datapath, SL_IDS_BLOCKS, &key, &block, SL_IDS_EXISTING), 0);
	return true;
}

static void count(struct race *race, uint64_t now)
{
	struct sluice_ids_key key = key_of(race);
	struct sluice_ids_bucket bucket;

	if (sl_ids_get(race->world.datapath, SL_IDS_BUCKETS, &key, &bucket) < 0 ||
	    bucket.revision != race->rule.image.revision)
		bucket = (struct sluice_ids_bucket){.revision = race->rule.image.revision};
	bucket.counted++;
	bucket.last_ns = now;
	assert_int_equal(sl_ids_set(race->world.datapath, SL_IDS_BUCKETS, &key, &bucket, SL_IDS_ANY), 0);
}

static void advance(struct race *race, uint64_t now)
{
	for (; race->ticked + TICK <= now; race->ticked += TICK)
		sl_ids_engine_tick(race->engine, NOON + race->ticked + TICK);
}

/* Whether the original lets it pass. */
static bool put(struct race *race, uint64_t now)
{
	advance(race, now);
	race->sent++;
	if (!is_blocked(race, NOON + now)) {
		count(race, NOON + now);
		race->passed++;
	}
	return original_packet(&race->original, now, CLIENT, race->port);
}

static uint64_t stream(struct race *race, uint64_t from, uint64_t to, uint64_t milli_per_second)
{
	uint64_t passed = 0;

	for (uint64_t i = 0; from + i * 1000 * S / milli_per_second < to; i++)
		passed += put(race, from + i * 1000 * S / milli_per_second);
	return passed;
}

static void tell(const char *defect, const struct race *race, uint64_t original)
{
	print_message("%s: sent %llu, the original let %llu pass, sluice by polling %llu\n", defect,
		      (unsigned long long)race->sent, (unsigned long long)original,
		      (unsigned long long)race->passed);
}

/* --- the defects ------------------------------------------------------------------------ */

static void defect_1_by_polling_a_quiet_hour_is_no_credit(void **state)
{
	struct race *race = *state;
	uint64_t quiet, original;

	quiet = stream(race, 0, 3600 * S, 500);
	assert_int_equal(quiet, race->passed);
	assert_int_equal(race->blocked, 0);
	race->sent = race->passed = 0;
	original = stream(race, 3600 * S, 3664 * S, 10000);
	tell("defect 1, lifetime average", race, original);
	assert_int_equal(original, race->sent);
	assert_in_range(race->passed, LIMIT - 30, LEAK(10));
	assert_int_equal(race->blocked, 1);
}

static void defect_2_by_polling_a_burst_of_25_seconds_is_seen(void **state)
{
	struct race *race = *state;
	uint64_t original = 0;

	for (uint64_t minute = 0; minute < 10; minute++)
		original += stream(race, minute * 60 * S, minute * 60 * S + 25 * S, 1000000);
	tell("defect 2, blind between polls", race, original);
	assert_int_equal(original, race->sent);
	assert_true(race->passed <= 10 * LEAK(1000));
	assert_int_equal(race->blocked, 10);
}

static void defect_3_by_polling_what_leaks_is_one_interval(void **state)
{
	struct race *race = *state;
	uint64_t original = stream(race, 0, 60 * S, 1000000);

	tell("defect 3, leak until the poll", race, original);
	assert_int_equal(original, 60000);
	assert_in_range(race->passed, LIMIT, LEAK(1000));
	assert_int_equal(race->blocked, 1);
}

static void defect_4_by_polling_a_key_that_has_just_begun_breaks_nothing(void **state)
{
	struct race *race = *state;
	uint64_t original;

	/* a moment before both read */
	original = put(race, 60 * S - 1000);
	original += stream(race, 60 * S, 180 * S, 100000);
	tell("defect 4, division by 0", race, original);
	assert_true(race->original.died);
	assert_int_equal(original, race->sent);
	assert_in_range(race->passed, LIMIT, LEAK(100));
}

static void defect_5_by_polling_a_block_ends_when_its_rule_says(void **state)
{
	struct race *race = *state;
	uint64_t before;

	stream(race, 0, 100 * S, 100000);
	before = race->passed;
	assert_in_range(before, LIMIT, LEAK(100));
	/* a pause of 31 s: idle is over, and it is told */
	advance(race, 131 * S);
	assert_int_equal(race->unblocked, 1);
	stream(race, 131 * S, 132 * S, 10000);
	assert_int_equal(race->passed, before + 10);
	/* who never pauses is held until the hard time, which nothing prolongs */
	stream(race, 200 * S, 400 * S, 100000);
	assert_in_range(race->passed, before + 10, before + 10 + 2 * LEAK(100));
	assert_int_equal(race->blocked, 3);
}

static void defect_6_by_polling_a_new_connection_is_the_same_subscriber(void **state)
{
	struct race *race = *state;
	uint64_t original = 0;

	for (uint64_t i = 0; i < 24; i++) {
		race->port = (uint16_t)(40000 + i);
		original += stream(race, 2 * S + i * 5 * S, 2 * S + (i + 1) * 5 * S, 50000);
	}
	tell("defect 6, reconnecting", race, original);
	assert_true(original >= race->sent * 9 / 10);
	assert_in_range(race->passed, LIMIT, LEAK(50));
}

/* What the original did to everybody all the time, and no restart may do either: take what is long over for
 * now. */
static void what_was_counted_before_a_restart_is_no_burst(void **state)
{
	struct race *race = *state;

	stream(race, 0, 600 * S, 500);
	stop(race);
	start(race);
	stream(race, 600 * S, 900 * S, 500);
	assert_int_equal(race->blocked, 0);
	assert_int_equal(race->passed, race->sent);
}

static void what_was_counted_before_a_silence_is_no_burst(void **state)
{
	struct race *race = *state;

	for (uint64_t pause = 50; pause < 200; pause += 5) {
		const uint64_t now = race->ticked + pause * S;

		stream(race, now, now + 50 * S, 500);
	}
	assert_int_equal(race->blocked, 0);
	assert_int_equal(race->passed, race->sent);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(defect_1_by_polling_a_quiet_hour_is_no_credit, setup,
						teardown),
		cmocka_unit_test_setup_teardown(defect_2_by_polling_a_burst_of_25_seconds_is_seen, setup,
						teardown),
		cmocka_unit_test_setup_teardown(defect_3_by_polling_what_leaks_is_one_interval, setup,
						teardown),
		cmocka_unit_test_setup_teardown(defect_4_by_polling_a_key_that_has_just_begun_breaks_nothing,
						setup, teardown),
		cmocka_unit_test_setup_teardown(defect_5_by_polling_a_block_ends_when_its_rule_says, setup,
						teardown),
		cmocka_unit_test_setup_teardown(defect_6_by_polling_a_new_connection_is_the_same_subscriber,
						setup, teardown),
		cmocka_unit_test_setup_teardown(what_was_counted_before_a_restart_is_no_burst, setup,
						teardown),
		cmocka_unit_test_setup_teardown(what_was_counted_before_a_silence_is_no_burst, setup,
						teardown),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
