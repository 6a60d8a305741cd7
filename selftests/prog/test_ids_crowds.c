// SPDX-License-Identifier: Apache-2.0
/* I6, I7: the IDS stage before crowds, in virtual time: ten million spoofed sources, ten thousand
 * subscribers. */
#define RIG_ENTRIES  16384
#define RIG_LRU	     131072 /* as limits.ids_buckets */
#define RIG_SESSIONS 10000
#include "ids_rig.h"

#include <stdio.h>

static uint32_t run_many(struct ids_rig *rig, const struct bpf_program *program, uint32_t repeat)
{
	static const struct packet_spec spec = {.source = "198.51.100.9",
						.destination = "10.0.0.1",
						.protocol = 17,
						.source_port = 53,
						.destination_port = 4000,
						.payload = 20};
	struct packet packet;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet.data, .repeat = (int)repeat);

	(void)rig;
	packet_build(&packet, &spec);
	opts.data_size_in = (uint32_t)packet.length;
	assert_int_equal(bpf_prog_test_run_opts(bpf_program__fd(program), &opts), 0);
	assert_int_equal((int)opts.retval, 0);
	return opts.duration;
}

static uint32_t entries_of(const struct bpf_map *map)
{
	struct sluice_ids_key key;
	uint32_t count = 0;
	void *last = NULL;

	for (; !bpf_map__get_next_key(map, last, &key, sizeof(key)); last = &key)
		count++;
	return count;
}

/* What the kernel accounts for a map, in bytes. */
static uint64_t memory_of(const struct bpf_map *map)
{
	unsigned long long bytes = 0;
	char path[64], line[128];
	FILE *file;

	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", bpf_map__fd(map));
	file = fopen(path, "re");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		if (sscanf(line, "memlock: %llu", &bytes) == 1)
			break;
	fclose(file);
	assert_true(bytes > 0);
	return bytes;
}

/* --- I6 ------------------------------------------------------------------------------------ */

#define SPOOFED (10 * 1000 * 1000)
#define SECONDS (SPOOFED / IDS_SPOOFED_NEW * (IDS_SPOOFED_CYCLE_NS / 1000) / 1000000)

/* `limit` a second for each source address, on what comes from outside. */
static void limit_sources(struct ids_rig *rig, uint64_t limit, uint64_t burst)
{
	struct sluice_ids_rule rule = {.track = SLUICE_IDS_SOURCE,
				       .count = SLUICE_IDS_PACKETS,
				       .verdict = SLUICE_IDS_DROP,
				       .prefix4 = 32,
				       .prefix6 = 64,
				       .sketch = 1,
				       .limit = {rig_bucket(limit, S, burst)}};
	struct sluice_ids_match match = rig_match(SLUICE_DOWNLINK);

	rig_rule(rig, &rule, &match, 1);
	memset(rig->arrivals, 0, sizeof(*rig->arrivals) * IDS_ARRIVALS);
	rig->programs->bss->began = NOON;
	rig->programs->bss->runs = 0;
}

static void i6_ten_million_spoofed_sources_hide_no_offender_and_hurt_nobody(void **state)
{
	struct ids_rig *rig = *state;
	const struct bpf_map *table = rig->programs->maps.ids_buckets_lru;
	uint32_t least = UINT32_MAX, most = 0, ns;
	struct sluice_ids_table_count count;
	uint64_t memory;

	limit_sources(rig, 100, 10);
	memory = memory_of(table);
	ns = run_many(rig, rig->programs->progs.spoofed, SPOOFED / IDS_SPOOFED_NEW * IDS_SPOOFED_CYCLE);
	for (uint32_t offender = 0; offender < IDS_SPOOFED_OFFENDERS; offender++) {
		/* from the second on in which he was found */
		for (uint32_t second = 1; second < SECONDS; second++) {
			uint32_t passed = rig->arrivals[offender * IDS_SPOOFED_SECONDS + second].result;

			least = passed < least ? passed : least;
			most = passed > most ? passed : most;
		}
	}
	count = rig_table(rig, SLUICE_IDS_TABLE_BUCKETS_LRU);
	print_message("I6: %d sources at 500,000/s of virtual time, %u ns a packet; offenders at 200/s held "
		      "to %u..%u/s; "
		      "benign and spoofed packets dropped: %u, %u; keys made %llu, there %u, refused %llu\n",
		      SPOOFED, ns, least, most, rig->arrivals[IDS_SPOOFED_DROPPED + 1].result,
		      rig->arrivals[IDS_SPOOFED_DROPPED].result, (unsigned long long)count.made,
		      entries_of(table), (unsigned long long)count.refused);
	assert_int_equal(rig->programs->bss->runs, SPOOFED / IDS_SPOOFED_NEW * IDS_SPOOFED_CYCLE);
	assert_in_range(least, 99, 101);
	assert_in_range(most, 99, 101);
	assert_in_range(rig->arrivals[0].result, 100,
			200); /* the first second: until he was found, at half his limit */
	assert_int_equal(rig->arrivals[IDS_SPOOFED_DROPPED].result, 0);
	assert_int_equal(rig->arrivals[IDS_SPOOFED_DROPPED + 1].result, 0);
	assert_int_equal(memory_of(table), memory);
	assert_int_equal(count.refused, 0);
	/* the filter kept the others out: the table has the offenders and next to nobody else */
	assert_in_range(count.made, IDS_SPOOFED_OFFENDERS, 1000);
}

static void i6_where_the_filter_cannot_help_what_gives_way_is_counted(void **state)
{
	struct ids_rig *rig = *state;
	const struct bpf_map *table = rig->programs->maps.ids_buckets_lru;
	struct sluice_ids_table_count count;
	uint32_t there, most = 0;
	uint64_t memory;

	/* half of it is less than what 500,000 others a second leave in each cell of the filter */
	limit_sources(rig, 10, 10);
	memory = memory_of(table);
	run_many(rig, rig->programs->progs.spoofed, SPOOFED / 10 / IDS_SPOOFED_NEW * IDS_SPOOFED_CYCLE);
	count = rig_table(rig, SLUICE_IDS_TABLE_BUCKETS_LRU);
	there = entries_of(table);
	for (uint32_t offender = 0; offender < IDS_SPOOFED_OFFENDERS; offender++)
		if (rig->arrivals[offender * IDS_SPOOFED_SECONDS + 1].result > most)
			most = rig->arrivals[offender * IDS_SPOOFED_SECONDS + 1].result;
	print_message("I6, filter overrun: keys made %llu, there %u, so %llu gave way; offenders at most "
		      "%u/s of 10/s\n",
		      (unsigned long long)count.made, there, (unsigned long long)count.made - there, most);
	assert_true(count.made > there);
	assert_in_range(there, RIG_LRU / 2, RIG_LRU);
	/* one who sends all the time is never the one that was used least */
	assert_in_range(most, 9, 11);
	assert_int_equal(rig->arrivals[IDS_SPOOFED_DROPPED].result, 0);
	assert_int_equal(rig->arrivals[IDS_SPOOFED_DROPPED + 1].result, 0);
	assert_int_equal(memory_of(table), memory);
}

/* --- I7 ------------------------------------------------------------------------------------ */

#define SUBSCRIBERS RIG_SESSIONS
#define BURST	    20
#define MINUTES	    5

/* Bursts of 20, 2 to 3 s apart, 2.5 on average: 8 packets a second of 10 that are allowed. */
static void i7_ten_thousand_benign_subscribers_are_left_alone(void **state)
{
	static uint64_t next[SUBSCRIBERS];
	struct sluice_ids_rule rule = {.track = SLUICE_IDS_SUBSCRIBER,
				       .count = SLUICE_IDS_PACKETS,
				       .verdict = SLUICE_IDS_DROP,
				       .flags = SLUICE_IDS_BLOCKS,
				       .hard_ns = 120 * S,
				       .limit = {rig_bucket(10, S, BURST)}};
	struct ids_rig *rig = *state;
	uint64_t packets = 0, last = 0, random = 0x9e3779b97f4a7c15ull;
	uint32_t ns = 0;

	rig_uplink_rule(rig, &rule);
	/* the same for the bursts that lie in any six seconds: at most three */
	rule.limit[0] = (struct sluice_ids_limit){.kind = SLUICE_IDS_EXACT, .count = 60, .window_ns = 6 * S};
	rig_uplink_rule(rig, &rule);
	rig->programs->bss->at_once = BURST;
	memset(rig->arrivals, 0, sizeof(*rig->arrivals) * IDS_ARRIVALS);
	for (uint32_t i = 0; i < SUBSCRIBERS; i++)
		next[i] = NOON + i * 250 * 1000ull;
	while (last < NOON + MINUTES * 60 * S) {
		for (uint32_t i = 0; i < SUBSCRIBERS; i++) {
			rig->arrivals[i].now_ns = next[i];
			last = next[i];
			random = random * 6364136223846793005ull + 1442695040888963407ull;
			next[i] += 2 * S + (random >> 33) % S;
		}
		rig->programs->bss->runs = 0;
		ns = run_many(rig, rig->programs->progs.bursts, SUBSCRIBERS * BURST);
		packets += SUBSCRIBERS * BURST;
	}
	for (uint32_t i = 0; i < SUBSCRIBERS; i++)
		assert_int_equal(rig->arrivals[i].result, 0);
	rig_events(rig);
	print_message("I7: %d subscribers, %llu packets in %llu s of virtual time (%u ns each, two rules): "
		      "%u blocks, %u "
		      "events\n",
		      SUBSCRIBERS, (unsigned long long)packets, (unsigned long long)((last - NOON) / S), ns,
		      entries_of(rig->programs->maps.ids_blocks), rig->events);
	assert_int_equal(rig->events, 0);
	assert_int_equal(entries_of(rig->programs->maps.ids_blocks), 0);
	for (uint32_t slot = 0; slot < 2; slot++) {
		assert_int_equal(rig_counts(rig, slot).matched.packets, packets);
		assert_int_equal(rig_counts(rig, slot).excess.packets, 0);
		assert_int_equal(rig_counts(rig, slot).keys_refused, 0);
	}

	/* and nobody is left alone because nothing is looked at: the same once more at once is too much */
	for (uint32_t i = 0; i < SUBSCRIBERS; i++)
		rig->arrivals[i].now_ns = next[i] + 3 * S;
	for (int i = 0; i < 2; i++) {
		rig->programs->bss->runs = 0;
		run_many(rig, rig->programs->progs.bursts, SUBSCRIBERS * BURST);
	}
	for (uint32_t i = 0; i < SUBSCRIBERS; i++)
		assert_int_equal(rig->arrivals[i].result, BURST);
	assert_int_equal(entries_of(rig->programs->maps.ids_blocks), SUBSCRIBERS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(i6_ten_million_spoofed_sources_hide_no_offender_and_hurt_nobody,
				       rig_reset),
		cmocka_unit_test_setup(i6_where_the_filter_cannot_help_what_gives_way_is_counted, rig_reset),
		cmocka_unit_test_setup(i7_ten_thousand_benign_subscribers_are_left_alone, rig_reset),
	};

	return cmocka_run_group_tests(tests, rig_open, rig_close);
}
