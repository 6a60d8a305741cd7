// SPDX-License-Identifier: Apache-2.0
/*
 * What the IDS costs a packet: nothing to do, one rule, eight rules that all match, and the look for a
 * block among 50,000 (acceptance I5, I10). The parser, which every packet meets anyway, is taken off.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "../lib/places_fixture.h"
#include "base/cleanup.h"
#include "prog_ids.skel.h"
#include "rig.h"
#include "sluice/ids.h"
#include "table.h"

#define ROUNDS 9
#define REPEAT 500000
#define BLOCKS 50000
#define S      1000000000ull

/* UDP from 10.0.0.1 port 4000 to 198.51.100.9 port 53, 20 bytes */
static const unsigned char frame[] = {
	0x02, 0,  0,  0, 0, 1,	0x02, 0, 0, 0,	 0,  2,	  0x08, 0x00, 0x45, 0,	0,  48, 0,  0, 0,
	0,    64, 17, 0, 0, 10, 0,    0, 1, 198, 51, 100, 9,	0x0f, 0xa0, 0,	53, 0,	28, 0, 0,
	1,    2,  3,  4, 5, 6,	7,    8, 9, 10,	 11, 12,  13,	14,   15,   16, 17, 18, 19, 20};

struct ids {
	struct prog_ids *programs;
	struct sluice_ids_settings *settings;
	struct sluice_ids_rule *rules;
	struct sluice_ids_match *matches;
	struct sluice_session_record *sessions;
};

static double measure(const struct bpf_program *program, uint32_t expected)
{
	double times[ROUNDS];

	for (int i = 0; i < ROUNDS; i++) {
		LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = sizeof(frame),
			    .repeat = REPEAT);
		int error = bpf_prog_test_run_opts(bpf_program__fd(program), &opts);

		if (error)
			bench_die("test run: %s", strerror(-error));
		if (opts.retval != expected)
			bench_die("the last packet was judged %u, not %u", opts.retval, expected);
		times[i] = opts.duration;
	}
	return bench_median(times, ROUNDS);
}

static void *memory_of(const struct bpf_map *map)
{
	size_t size = (size_t)bpf_map__max_entries(map) * ((bpf_map__value_size(map) + 7) / 8 * 8);
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);

	if (memory == MAP_FAILED)
		bench_die("map %s: %s", bpf_map__name(map), strerror(errno));
	return memory;
}

/* `count` rules that every uplink packet matches, none of which fires. */
static void set_rules(struct ids *ids, uint32_t count, uint8_t kind, uint8_t track)
{
	struct sluice_ids_order *order = &ids->settings->order[0];

	for (uint32_t i = 0; i < count; i++) {
		struct sluice_ids_limit limit = {.kind = kind,
						 .count = kind == SLUICE_IDS_EXACT ? 256 : 1000000000,
						 .window_ns = kind == SLUICE_IDS_EXACT ? 1 : S,
						 .burst = 1000000,
						 .interval = 1024};

		ids->matches[i] =
			(struct sluice_ids_match){.direction = SLUICE_UPLINK,
						  .protocol = 17,
						  .flags = SLUICE_MATCH_PROTOCOL | SLUICE_MATCH_PORTS,
						  .remote_port_low = 53,
						  .remote_port_high = 53,
						  .local_port_high = 65535,
						  .verdict = SLUICE_PERMIT};
		ids->rules[i] = (struct sluice_ids_rule){.in_use = 1,
							 .revision = 1 + kind + 8u * track,
							 .first_match = i,
							 .match_count = 1,
							 .track = track,
							 .count = SLUICE_IDS_PACKETS,
							 .verdict = SLUICE_IDS_DROP,
							 .limit_count = 1,
							 .identity = i + 1,
							 .limit = {limit}};
		order->slot[i] = (__u8)i;
	}
	for (int protocol = 0; protocol < 256; protocol++)
		order->candidates[SLUICE_UPLINK][protocol] = (1ull << count) - 1;
	ids->settings->active = count != 0;
}

static void add_blocks(struct ids *ids)
{
	struct sluice_ids_block block = {.verdict = SLUICE_IDS_DROP};

	for (uint32_t i = 0; i < BLOCKS; i++) {
		struct sluice_ids_key key = {.rule = 1, .track = SLUICE_IDS_SUBSCRIBER};

		snprintf((char *)key.local, sizeof(key.local), "00102%010u", i);
		if (bpf_map_update_elem(bpf_map__fd(ids->programs->maps.ids_blocks), &key, &block, BPF_ANY))
			bench_die("block %u: %s", i, strerror(errno));
	}
}

static void report(FILE *rows, const char *mode, double ns, double goal)
{
	printf("%-10s %-40s %8.0f ns   goal %.0f ns\n", "ids", mode, ns, goal);
	bench_row(rows, "ids", mode, ns, "ns", "its goal", goal, ns / goal);
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		uint8_t kind;
	} kinds[] = {
		{"bucket", SLUICE_IDS_BUCKET}, {"exact", SLUICE_IDS_EXACT}, {"sliding", SLUICE_IDS_SLIDING}};
	_cleanup_file_ FILE *rows = bench_rows_open(argc > 1 ? argv[1] : "/dev/null");
	struct ids ids = {.programs = prog_ids__open()};
	struct bpf_map *map;
	double parsed, idle, one, without;
	char mode[64];

	if (!ids.programs)
		bench_die("cannot open the programs: %s", strerror(errno));
	bpf_object__for_each_map(map, ids.programs->obj)
	{
		if (bpf_map__type(map) == BPF_MAP_TYPE_HASH || bpf_map__type(map) == BPF_MAP_TYPE_LRU_HASH)
			bpf_map__set_max_entries(map, 65536);
	}
	places_size(ids.programs->maps.ids_bucket_keys, ids.programs->maps.ids_buckets, 65536);
	places_size(ids.programs->maps.ids_window_keys, ids.programs->maps.ids_windows, 65536);
	places_size(ids.programs->maps.ids_log_keys, ids.programs->maps.ids_logs, 8192);
	bpf_map__set_max_entries(ids.programs->maps.ids_sets, 64);
	if (prog_ids__load(ids.programs))
		bench_die("cannot load the programs: %s", strerror(errno));
	places_open(ids.programs->maps.ids_bucket_keys, ids.programs->maps.ids_buckets, 0);
	places_open(ids.programs->maps.ids_window_keys, ids.programs->maps.ids_windows, 0);
	places_open(ids.programs->maps.ids_log_keys, ids.programs->maps.ids_logs, 0);
	ids.settings = memory_of(ids.programs->maps.ids_settings);
	ids.rules = memory_of(ids.programs->maps.ids_rules);
	ids.matches = memory_of(ids.programs->maps.ids_matches);
	ids.sessions = memory_of(ids.programs->maps.sessions);
	snprintf(ids.sessions[0].imsi, sizeof(ids.sessions[0].imsi), "001010000000001");

	parsed = measure(ids.programs->progs.parsed, 0);
	idle = measure(ids.programs->progs.uplink, 0) - parsed;
	report(rows, "no rule", idle, 2);
	for (size_t k = 0; k < SL_ARRAY_SIZE(kinds); k++) {
		set_rules(&ids, 1, kinds[k].kind, SLUICE_IDS_CONNECTION);
		snprintf(mode, sizeof(mode), "I5: 1 rule, %s, by connection", kinds[k].name);
		report(rows, mode, measure(ids.programs->progs.uplink, 0) - parsed, 60);
	}
	set_rules(&ids, 8, SLUICE_IDS_BUCKET, SLUICE_IDS_CONNECTION);
	report(rows, "I5: 8 rules matching, bucket", measure(ids.programs->progs.uplink, 0) - parsed, 300);
	set_rules(&ids, 8, SLUICE_IDS_EXACT, SLUICE_IDS_SUBSCRIBER);
	report(rows, "I5: 8 rules matching, exact", measure(ids.programs->progs.uplink, 0) - parsed, 300);
	set_rules(&ids, 1, SLUICE_IDS_BUCKET, SLUICE_IDS_SUBSCRIBER);
	without = measure(ids.programs->progs.uplink, 0);
	add_blocks(&ids);
	ids.rules[0].blocks = BLOCKS;
	one = measure(ids.programs->progs.uplink, 0);
	report(rows, "I10: look for a block among 50,000", one - without, 30);
	prog_ids__destroy(ids.programs);
	return 0;
}
