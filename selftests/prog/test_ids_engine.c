// SPDX-License-Identifier: Apache-2.0
/* Blocks in the real maps, as time goes on: the clock is the test's own. I8, I10. */
#include <errno.h>
#include <linux/bpf.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/clock.h"
#include "datapath/ids_maps.h"
#include "ids/blocks.h"
#include "ids/key.h"
#include "ids/maps.h"
#include "ids/notes.h"
#include "session_world.h"

#define SECOND 1000000000ull
#define STEP   (SECOND / 20) /* as the agent's timer */
#define BLOCKS 65536
#define TOLD   256

struct engine {
	struct world world;
	struct sl_ids_kernel kernel;
	struct sl_ids_table *table;
	struct sl_ids_blocks *blocks;
	struct sl_ids_rule rule;
	uint64_t now;
	struct {
		uint64_t at, packets;
		uint32_t level;
		char reason[16]; /* "": it began */
	} told[TOLD];
	size_t told_count, told_in_all;
};

static void on_change(struct sl_ids_block *block, const char *reason, bool adopted, uint64_t now, void *user)
{
	struct engine *engine = user;

	(void)now;
	if (adopted)
		return;
	engine->told_in_all++;
	if (engine->told_count == TOLD)
		return;
	engine->told[engine->told_count].at = engine->now;
	engine->told[engine->told_count].level = block->value.level;
	engine->told[engine->told_count].packets = block->value.hits.packets;
	snprintf(engine->told[engine->told_count].reason, 16, "%s", reason ? reason : "");
	engine->told_count++;
}

static void open_all(struct engine *engine)
{
	struct sl_ids_blocks_config config = {.on_change = on_change, .user = engine};
	struct sl_ids_maps maps;
	struct sl_error err = {""};

	engine->kernel = (struct sl_ids_kernel){.datapath = engine->world.datapath,
						.control = engine->world.control,
						.grace = engine->world.grace};
	sl_ids_maps_of(&engine->kernel, &maps);
	if (sl_ids_rules_open(&maps, &engine->table, &err) < 0)
		fail_msg("%s", err.text);
	config.datapath = engine->world.datapath;
	config.rules = engine->table;
	if (sl_ids_blocks_open(&config, engine->now, &engine->blocks, &err) < 0)
		fail_msg("%s", err.text);
}

static void close_all(struct engine *engine)
{
	sl_ids_blocks_close(engine->blocks);
	sl_ids_rules_close(engine->table);
}

static void apply(struct engine *engine, uint32_t count)
{
	struct sl_ids_rules rules = {.rule = &engine->rule, .count = count};
	struct sl_error err = {""};

	if (sl_ids_rules_apply(engine->table, &rules, NULL, &err) < 0)
		fail_msg("%s", err.text);
}

static const struct sl_datapath_limits limits = {
	.sessions = 64,
	.usage = 256,
	.rules = 64,
	.flows = 256,
	.matches = 64,
	.bindings = 64,
	.meters = 64,
	.quotas = 64,
	.ids_blocks = BLOCKS,
	.ids_buckets = 1024,
	.ids_windows = 64,
	.ids_logs = 64,
	.ids_sets = 64,
	.ids_connections = 64,
};

static int setup(void **state)
{
	static const struct sl_control_config settings = {.backend = SL_RATE_POLICE};
	struct engine *engine = calloc(1, sizeof(*engine));
	struct sl_ids_rule *rule = &engine->rule;

	if (fixture_devices(state) != 0)
		return -1;
	world_start_with(&engine->world, false, &settings, &limits, 0);
	strcpy(rule->name, "flood");
	rule->match[0] = (struct sluice_ids_match){.direction = SLUICE_UPLINK, .verdict = SLUICE_PERMIT};
	rule->match_count = 1;
	rule->image.track = SLUICE_IDS_SUBSCRIBER;
	rule->image.count = SLUICE_IDS_PACKETS;
	rule->image.verdict = SLUICE_IDS_DROP;
	rule->image.flags = SLUICE_IDS_BLOCKS;
	rule->image.limit_count = 1;
	rule->image.limit[0] =
		(struct sluice_ids_limit){.window_ns = SECOND, .count = 100, .kind = SLUICE_IDS_SLIDING};
	rule->image.hard_ns = 2 * SECOND;
	rule->repeat_factor = 2;
	rule->repeat_max_ns = 40 * SECOND;
	rule->forget_ns = 10 * SECOND;
	sl_ids_rule_seal(rule, 0);
	engine->now = 1000 * SECOND;
	open_all(engine);
	apply(engine, 1);
	*state = engine;
	return 0;
}

static int teardown(void **state)
{
	struct engine *engine = *state;

	close_all(engine);
	world_stop(&engine->world);
	free(engine);
	return fixture_no_devices(state);
}

static struct sluice_ids_key key_of(const struct engine *engine, const char *imsi)
{
	struct sluice_ids_key key = {.rule = engine->rule.image.identity, .track = SLUICE_IDS_SUBSCRIBER};

	memcpy(key.local, imsi, strlen(imsi));
	return key;
}

/* What bpf/ids_block.h does with a packet in excess. */
static void offend(struct engine *engine, const char *imsi, uint64_t idle, uint8_t flags)
{
	struct sluice_ids_key key = key_of(engine, imsi);
	struct sluice_ids_offender offender = {.level = 0};
	struct sluice_ids_block block = {
		.since_ns = engine->now,
		.last_ns = engine->now,
		.hard_ns = engine->now + engine->rule.image.hard_ns,
		.idle_ns = idle,
		.verdict = SLUICE_IDS_DROP,
		.flags = flags,
	};

	if (sl_ids_get(engine->world.datapath, SL_IDS_OFFENDERS, &key, &offender) == 0) {
		block.level = offender.level;
		block.hard_ns = engine->now + offender.hard_ns;
	}
	assert_int_equal(sl_ids_set(engine->world.datapath, SL_IDS_BLOCKS, &key, &block, BPF_NOEXIST), 0);
	sl_ids_rules_image(engine->table, sl_ids_rules_find(engine->table, "flood"))->blocks++;
}

static void hit(struct engine *engine, const char *imsi)
{
	struct sluice_ids_key key = key_of(engine, imsi);
	struct sluice_ids_block block;

	assert_int_equal(sl_ids_get(engine->world.datapath, SL_IDS_BLOCKS, &key, &block), 0);
	block.hits.packets++;
	block.last_ns = engine->now;
	assert_int_equal(sl_ids_set(engine->world.datapath, SL_IDS_BLOCKS, &key, &block, BPF_EXIST), 0);
}

static void seen(struct engine *engine, const char *imsi)
{
	struct sluice_ids_key key = key_of(engine, imsi);

	assert_non_null(sl_ids_blocks_seen(engine->blocks, &key, NULL, imsi, engine->now));
}

static void pass(struct engine *engine, uint64_t time)
{
	for (uint64_t end = engine->now + time; engine->now < end;) {
		engine->now += STEP;
		sl_ids_blocks_run(engine->blocks, engine->now);
		sl_ids_blocks_sweep(engine->blocks, BLOCKS / 20, engine->now);
	}
}

static void restart(struct engine *engine)
{
	close_all(engine);
	open_all(engine);
	apply(engine, 1);
}

/* Within 100 ms of the model, and told with that level and reason. */
static void assert_last(const struct engine *engine, const char *reason, uint32_t level, uint64_t at)
{
	size_t last = engine->told_count - 1;

	assert_true(engine->told_count > 0);
	assert_string_equal(engine->told[last].reason, reason);
	assert_int_equal(engine->told[last].level, level);
	assert_true(engine->told[last].at >= at && engine->told[last].at <= at + SECOND / 10);
}

static void each_time_lasts_twice_as_long(struct engine *engine, bool restarts)
{
	for (uint32_t level = 0; level <= 5; level++) {
		uint64_t model = 2 * SECOND << level, begun = engine->now;

		if (model > 40 * SECOND)
			model = 40 * SECOND;
		offend(engine, IMSI_A, 0, 0);
		seen(engine, IMSI_A);
		assert_last(engine, "", level, begun);
		pass(engine, model / 2);
		if (restarts)
			restart(engine);
		pass(engine, model / 2 + SECOND);
		assert_last(engine, "hard", level, begun + model);
	}
	/* five levels are forgotten after five times ten seconds, the sixth after one more */
	pass(engine, 35 * SECOND);
	offend(engine, IMSI_A, 0, 0);
	seen(engine, IMSI_A);
	assert_last(engine, "", 3, engine->now);
}

static void test_backoff(void **state)
{
	each_time_lasts_twice_as_long(*state, false);
}

static void test_backoff_restarts(void **state)
{
	each_time_lasts_twice_as_long(*state, true);
}

static void test_forgotten(void **state)
{
	struct engine *engine = *state;
	struct sluice_ids_key key = key_of(engine, IMSI_A);
	struct sluice_ids_offender offender;
	struct sl_ids_blocks_stats stats;

	offend(engine, IMSI_A, 0, 0);
	seen(engine, IMSI_A);
	pass(engine, 3 * SECOND);
	assert_int_equal(sl_ids_get(engine->world.datapath, SL_IDS_OFFENDERS, &key, &offender), 0);
	pass(engine, 10 * SECOND);
	assert_int_equal(sl_ids_get(engine->world.datapath, SL_IDS_OFFENDERS, &key, &offender), -ENOENT);
	sl_ids_blocks_stats(engine->blocks, &stats);
	assert_int_equal(stats.offenders, 0);
	assert_int_equal(stats.active, 0);
	offend(engine, IMSI_A, 0, 0);
	seen(engine, IMSI_A);
	assert_last(engine, "", 0, engine->now);
}

static void test_idle(void **state)
{
	struct engine *engine = *state;
	uint64_t begun = engine->now;

	offend(engine, IMSI_A, SECOND / 2, 0);
	seen(engine, IMSI_A);
	pass(engine, SECOND);
	assert_last(engine, "idle", 0, begun + SECOND / 2);
}

static void test_extend(void **state)
{
	struct engine *engine = *state;
	uint64_t begun = engine->now, last = 0;

	offend(engine, IMSI_A, SECOND / 2, SLUICE_IDS_BLOCK_EXTEND);
	seen(engine, IMSI_A);
	for (int i = 0; i < 4; i++) {
		pass(engine, 3 * STEP);
		hit(engine, IMSI_A);
		last = engine->now;
	}
	assert_int_equal(engine->told_count, 1);
	pass(engine, SECOND);
	assert_last(engine, "idle", 0, last + SECOND / 2);
	assert_int_equal(engine->told[engine->told_count - 1].packets, 4);
	/* never beyond the hard time */
	begun = engine->now;
	offend(engine, IMSI_B, SECOND / 2, SLUICE_IDS_BLOCK_EXTEND);
	seen(engine, IMSI_B);
	for (int i = 0; i < 12; i++) {
		pass(engine, 3 * STEP);
		hit(engine, IMSI_B);
	}
	pass(engine, SECOND);
	assert_last(engine, "hard", 0, begun + 2 * SECOND);
}

static void test_lost_event(void **state)
{
	struct engine *engine = *state;
	uint64_t begun = engine->now;

	offend(engine, IMSI_A, 0, 0);
	pass(engine, 3 * SECOND / 2);
	assert_int_equal(engine->told_count, 1);
	assert_true(engine->told[0].at <= begun + 6 * SECOND / 5);
	pass(engine, SECOND);
	assert_last(engine, "hard", 0, begun + 2 * SECOND);
}

static void test_replaced(void **state)
{
	struct engine *engine = *state;
	struct sluice_ids_key key = key_of(engine, IMSI_A);
	uint64_t ended = engine->now + 2 * SECOND;

	offend(engine, IMSI_A, 0, 0);
	seen(engine, IMSI_A);
	/* over, and a packet has begun another one before the agent looks */
	engine->now = ended + STEP / 2;
	assert_int_equal(sl_ids_delete(engine->world.datapath, SL_IDS_BLOCKS, &key), 0);
	offend(engine, IMSI_A, 0, 0);
	sl_ids_blocks_run(engine->blocks, engine->now);
	assert_int_equal(engine->told_count, 3);
	assert_string_equal(engine->told[1].reason, "hard");
	assert_string_equal(engine->told[2].reason, "");
	assert_int_equal(engine->told[2].level, 1);
	assert_non_null(sl_ids_blocks_find(engine->blocks, &key));
}

static void test_rule_gone(void **state)
{
	struct engine *engine = *state;
	struct sluice_ids_key key = key_of(engine, IMSI_A);
	struct sluice_ids_block block;

	offend(engine, IMSI_A, 0, 0);
	seen(engine, IMSI_A);
	sl_ids_blocks_gone(engine->blocks, engine->rule.image.identity, engine->now);
	assert_last(engine, "reload", 0, engine->now);
	assert_int_equal(sl_ids_get(engine->world.datapath, SL_IDS_BLOCKS, &key, &block), -ENOENT);
	/* and while no agent is there */
	offend(engine, IMSI_B, 0, 0);
	seen(engine, IMSI_B);
	apply(engine, 0);
	close_all(engine);
	open_all(engine);
	assert_last(engine, "reload", 0, engine->now);
}

static struct sl_ids_block_order *orders(size_t count)
{
	struct sl_ids_block_order *list = calloc(count, sizeof(*list));

	for (size_t i = 0; i < count; i++) {
		uint32_t address = __builtin_bswap32(0x0a000000u + (uint32_t)i);

		list[i].key.track = SLUICE_IDS_DESTINATION;
		list[i].key.family = 4;
		memcpy(list[i].key.remote, &address, 4);
		list[i].verdict = SLUICE_IDS_DROP;
		list[i].flags = SLUICE_IDS_BLOCK_OPERATOR;
		list[i].hard_ns = SECOND;
	}
	return list;
}

static int in_order(struct sl_ids_block *block, void *user)
{
	uint64_t *last = user;

	assert_true(block->number > last[0]);
	last[0] = block->number;
	last[1]++;
	return 0;
}

static void test_many(void **state)
{
	struct engine *engine = *state;
	const struct sluice_ids_settings *settings = sl_ids_arrays(engine->world.datapath)->settings;
	struct sl_ids_block_order *list = orders(BLOCKS + 1);
	struct sl_ids_blocks_stats stats;
	struct sl_error err = {""};
	uint64_t before = sl_now_ns(), took, last[2] = {0, 0};

	assert_int_equal(sl_ids_blocks_make_many(engine->blocks, list, 50000, engine->now, &err), 0);
	took = sl_now_ns() - before;
	print_message("I10: 50,000 blocks in %.3f s\n", (double)took / 1e9);
	assert_true(took < SECOND);
	sl_ids_blocks_stats(engine->blocks, &stats);
	assert_int_equal(stats.active, 50000);
	assert_int_equal(stats.operators, 50000);
	assert_true(settings->active & SLUICE_IDS_ACTIVE_OPERATOR);
	assert_int_equal(settings->operator_tracks, 1u << SLUICE_IDS_DESTINATION);
	sl_ids_blocks_each(engine->blocks, 0, in_order, last);
	assert_int_equal(last[1], 50000);
	/* all or none */
	assert_int_equal(
		sl_ids_blocks_make_many(engine->blocks, list + 50000, BLOCKS + 1 - 50000, engine->now, &err),
		-ENOSPC);
	sl_ids_blocks_stats(engine->blocks, &stats);
	assert_int_equal(stats.active, 50000);
	/* they end by themselves, in bounded steps */
	pass(engine, 5 * SECOND);
	sl_ids_blocks_stats(engine->blocks, &stats);
	assert_int_equal(stats.active, 0);
	assert_int_equal(stats.offenders, 0);
	assert_int_equal(engine->told_in_all, 100000);
	assert_false(settings->active & SLUICE_IDS_ACTIVE_OPERATOR);
	assert_int_equal(settings->operator_tracks, 0);
	free(list);
}

static void test_again(void **state)
{
	struct engine *engine = *state;
	struct sl_ids_block_order *list = orders(1);
	struct sl_error err = {""};

	list->reason = "first";
	assert_int_equal(sl_ids_blocks_make_many(engine->blocks, list, 1, engine->now, &err), 0);
	pass(engine, SECOND / 2);
	assert_int_equal(sl_ids_blocks_make_many(engine->blocks, list, 1, engine->now, &err), 0);
	assert_int_equal(engine->told_count, 3);
	assert_string_equal(engine->told[1].reason, "operator");
	restart(engine);
	assert_string_equal(sl_ids_blocks_find(engine->blocks, &list->key)->reason, "first");
	assert_int_equal(sl_ids_blocks_notes(engine->blocks)->used, 1);
	pass(engine, SECOND * 3 / 4);
	assert_int_equal(engine->told_count, 3);
	pass(engine, SECOND / 2);
	assert_int_equal(engine->told_count, 4);
	assert_string_equal(engine->told[3].reason, "hard");
	/* and what was kept of it has gone with it */
	assert_int_equal(sl_ids_blocks_notes(engine->blocks)->used, 0);
	restart(engine);
	assert_int_equal(sl_ids_blocks_notes(engine->blocks)->used, 0);
	assert_int_equal(sl_ids_blocks_notes(engine->blocks)->refused, 0);
	free(list);
}

int main(void)
{
#define TEST(name, function)                          \
	{                                             \
		name, function, setup, teardown, NULL \
	}
	const struct CMUnitTest tests[] = {
		TEST("I8: a block lasts twice as long each time, up to its maximum, and less again after a "
		     "while",
		     test_backoff),
		TEST("I8: restarts in the middle of blocks change nothing", test_backoff_restarts),
		TEST("who stays quiet is forgotten", test_forgotten),
		TEST("I8: without extend a block ends its idle time after it began", test_idle),
		TEST("I8: with extend the last packet counts, but never beyond the hard time", test_extend),
		TEST("a block whose event was lost is found within a second", test_lost_event),
		TEST("a block that packets began in the place of one that was over is told as another",
		     test_replaced),
		TEST("blocks of a rule that is gone end, also when it went without the agent",
		     test_rule_gone),
		TEST("I10: 50,000 blocks are made within a second, all or none, in order, and end",
		     test_many),
		TEST("an operator's block takes the place of the one before, and survives a restart",
		     test_again),
	};

	return cmocka_run_group_tests_name("ids engine", tests, fixture_setup, fixture_teardown);
}
