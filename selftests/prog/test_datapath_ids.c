// SPDX-License-Identifier: Apache-2.0
/* The agent's hand on the maps of the IDS: tables by key, in batches, over a restart; counts and events. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <bpf/bpf.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "datapath/ids_maps.h"
#include "datapath_fixture.h"

static struct sluice_ids_key key_of(uint32_t number)
{
	return (struct sluice_ids_key){.rule = 1, .track = SLUICE_IDS_APN, .number = number};
}

static void an_entry_is_set_read_replaced_and_deleted(void **state)
{
	struct sl_datapath_config config = fixture_config();
	struct sl_datapath *datapath = fixture_open(&config, false);
	struct sluice_ids_key key = key_of(1);
	struct sluice_ids_block block = {.since_ns = 5, .verdict = SLUICE_IDS_DROP}, read = {0};

	(void)state;
	assert_int_equal(sl_ids_get(datapath, SL_IDS_BLOCKS, &key, &read), -ENOENT);
	assert_int_equal(sl_ids_set(datapath, SL_IDS_BLOCKS, &key, &block, BPF_EXIST), -ENOENT);
	assert_int_equal(sl_ids_set(datapath, SL_IDS_BLOCKS, &key, &block, BPF_NOEXIST), 0);
	assert_int_equal(sl_ids_set(datapath, SL_IDS_BLOCKS, &key, &block, BPF_NOEXIST), -EEXIST);
	assert_int_equal(sl_ids_get(datapath, SL_IDS_BLOCKS, &key, &read), 0);
	assert_memory_equal(&read, &block, sizeof(block));
	assert_int_equal(sl_ids_delete(datapath, SL_IDS_BLOCKS, &key), 0);
	assert_int_equal(sl_ids_delete(datapath, SL_IDS_BLOCKS, &key), -ENOENT);
	fixture_close(datapath);
}

struct seen {
	uint32_t times[256];
	uint32_t stop_after;
};

static int see(const void *key, void *value, void *user)
{
	const struct sluice_ids_key *known = key;
	const struct sluice_ids_block *block = value;
	struct seen *seen = user;

	assert_in_range(known->number, 0, 255);
	assert_int_equal(block->since_ns, known->number + 1);
	seen->times[known->number]++;
	return seen->stop_after && --seen->stop_after == 0 ? -ECANCELED : 0;
}

static void a_table_is_filled_in_one_call_and_walked_in_steps_over_a_restart(void **state)
{
	struct sl_datapath_config config = fixture_config();
	struct sl_datapath *datapath = fixture_open(&config, false);
	static struct sluice_ids_key keys[300];
	static struct sluice_ids_block blocks[300];
	struct seen seen = {.times = {0}};
	uint64_t position = 0;
	uint32_t done = 0, steps = 0;

	(void)state;
	for (uint32_t i = 0; i < 300; i++) {
		keys[i] = key_of(i);
		blocks[i] = (struct sluice_ids_block){.since_ns = i + 1};
	}
	assert_int_equal(sl_ids_set_many(datapath, SL_IDS_BLOCKS, keys, blocks, 0, &done), 0);
	assert_int_equal(sl_ids_set_many(datapath, SL_IDS_BLOCKS, keys, blocks, 200, &done), 0);
	assert_int_equal(done, 200);
	fixture_close(datapath);
	datapath = fixture_open(&config, true);
	do {
		assert_int_equal(sl_ids_walk(datapath, SL_IDS_BLOCKS, &position, 10, see, &seen), 0);
		steps++;
	} while (position);
	assert_true(steps > 1);
	for (uint32_t i = 0; i < 256; i++)
		assert_int_equal(seen.times[i], i < 200);
	/* who visits may end it */
	seen.stop_after = 3;
	assert_int_equal(sl_ids_walk(datapath, SL_IDS_BLOCKS, &position, 10, see, &seen), -ECANCELED);
	/* full at 256: so many are there, and the number says which */
	assert_int_equal(sl_ids_set_many(datapath, SL_IDS_BLOCKS, keys, blocks, 300, &done), -E2BIG);
	assert_int_equal(done, 256);
	fixture_close(datapath);
}

static void tables_with_places_keep_their_keys_over_a_restart(void **state)
{
	static const enum sl_ids_map tables[] = {SL_IDS_BUCKETS, SL_IDS_WINDOWS, SL_IDS_LOGS};
	static union {
		struct sluice_ids_bucket bucket;
		struct sluice_ids_window window;
		struct sluice_ids_log log;
		uint8_t bytes[sizeof(struct sluice_ids_log)];
	} written, read;
	struct sl_datapath_config config = fixture_config();
	struct sl_datapath *datapath = fixture_open(&config, false);
	struct sluice_ids_key key = key_of(7), other = key_of(8);
	uint32_t done;

	(void)state;
	/* not the first word, which is a lock in two of them, and no time is 0 */
	memset(written.bytes + sizeof(uint32_t), 0x5a, sizeof(written) - sizeof(uint32_t));
	for (size_t i = 0; i < SL_ARRAY_SIZE(tables); i++) {
		assert_int_equal(sl_ids_set(datapath, tables[i], &key, &written, SL_IDS_EXISTING), -ENOENT);
		assert_int_equal(sl_ids_set(datapath, tables[i], &key, &written, SL_IDS_NEW), 0);
		assert_int_equal(sl_ids_set(datapath, tables[i], &key, &written, SL_IDS_NEW), -EEXIST);
		assert_int_equal(sl_ids_set(datapath, tables[i], &other, &written, SL_IDS_ANY), 0);
		assert_int_equal(sl_ids_delete(datapath, tables[i], &other), 0);
		assert_int_equal(sl_ids_take(datapath, tables[i], &key, &read), -EOPNOTSUPP);
		assert_int_equal(sl_ids_set_many(datapath, tables[i], &key, &written, 1, &done), -EOPNOTSUPP);
	}
	fixture_close(datapath);
	datapath = fixture_open(&config, true);
	for (size_t i = 0; i < SL_ARRAY_SIZE(tables); i++) {
		assert_int_equal(sl_ids_get(datapath, tables[i], &key, &read), 0);
		assert_int_equal(sl_ids_get(datapath, tables[i], &other, &read), -ENOENT);
	}
	assert_memory_equal(read.bytes + sizeof(uint32_t), written.bytes + sizeof(uint32_t),
			    sizeof(read) - sizeof(uint32_t));
	assert_int_equal(sl_ids_delete(datapath, SL_IDS_LOGS, &key), 0);
	assert_int_equal(sl_ids_delete(datapath, SL_IDS_LOGS, &key), -ENOENT);
	fixture_close(datapath);
}

static void fifty_thousand_blocks_are_set_within_a_second(void **state)
{
	enum { COUNT = 50000 };
	struct sl_datapath_config config = fixture_config();
	_cleanup_free_ struct sluice_ids_block *blocks = calloc(COUNT, sizeof(*blocks));
	_cleanup_free_ struct sluice_ids_key *keys = calloc(COUNT, sizeof(*keys));
	struct sl_datapath *datapath;
	uint32_t done = 0;
	uint64_t begin;

	(void)state;
	assert_non_null(blocks);
	assert_non_null(keys);
	config.limits.ids_blocks = 65536;
	datapath = fixture_open(&config, false);
	for (uint32_t i = 0; i < COUNT; i++)
		keys[i] = key_of(i);
	begin = sl_now_ns();
	assert_int_equal(sl_ids_set_many(datapath, SL_IDS_BLOCKS, keys, blocks, COUNT, &done), 0);
	assert_in_range(sl_now_ns() - begin, 0, 1000000000);
	assert_int_equal(done, COUNT);
	fixture_close(datapath);
}

static void every_table_has_its_size_and_its_counts(void **state)
{
	struct sl_datapath_config config = fixture_config();
	struct sl_datapath *datapath = fixture_open(&config, false);
	struct sluice_ids_table_count made = {.made = 1};
	struct sluice_ids_rule_count count = {.sequence = 1};
	const struct sl_ids_arrays *maps = sl_ids_arrays(datapath);

	(void)state;
	assert_int_equal(sl_ids_table_size(datapath, SL_IDS_BLOCKS), 256);
	assert_int_equal(sl_ids_table_size(datapath, SL_IDS_OFFENDERS), 256);
	assert_int_equal(sl_ids_table_size(datapath, SL_IDS_BUCKETS_LRU), 1024);
	assert_int_equal(sl_ids_table_size(datapath, SL_IDS_BUCKETS), config.limits.ids_buckets);
	assert_int_equal(sl_ids_table_size(datapath, SL_IDS_WINDOWS), config.limits.ids_windows);
	assert_int_equal(sl_ids_table_size(datapath, SL_IDS_LOGS), config.limits.ids_logs);
	assert_int_equal(sl_ids_table_size(datapath, SL_IDS_OVERRIDE_PAIRS), SLUICE_IDS_OVERRIDES);
	for (int table = 0; table < SLUICE_IDS_TABLES; table++) {
		assert_int_equal(sl_ids_table_counts(datapath, (enum sl_ids_map)table, &made), 0);
		assert_int_equal(made.made + made.refused, 0);
	}
	assert_int_equal(sl_ids_rule_counts(datapath, SLUICE_IDS_RULES - 1, &count), 0);
	assert_int_equal(count.sequence, 0);
	assert_int_equal(sl_ids_rule_counts(datapath, SLUICE_IDS_RULES, &count), -ENOENT);
	assert_int_equal(sl_ids_rule_counts_clear(datapath, 0), 0);
	assert_true(sl_ids_events_fd(datapath) >= 0);
	assert_int_equal(sl_ids_events_consume(datapath, 10, NULL, NULL), 0);
	assert_int_equal(maps->settings->active, 0);
	assert_int_equal(maps->dropped[63].packets, 0);
	fixture_close(datapath);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, NULL, fixture_no_devices)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_entry_is_set_read_replaced_and_deleted),
		TEST(a_table_is_filled_in_one_call_and_walked_in_steps_over_a_restart),
		TEST(tables_with_places_keep_their_keys_over_a_restart),
		TEST(fifty_thousand_blocks_are_set_within_a_second),
		TEST(every_table_has_its_size_and_its_counts),
	};

	return cmocka_run_group_tests_name("datapath: ids", tests, fixture_setup, fixture_teardown);
}
