// SPDX-License-Identifier: Apache-2.0
/*
 * What it costs to find the rule of a packet, by the number of rules of its
 * session and by their shape: the stage alone on parsed packets, one after the
 * other, and the whole of access_ingress on frames. An empty program is taken
 * off. And what it takes to compile a list and write it to the maps.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "bench_classify.skel.h"
#include "classify.h"
#include "classify_rules.h"
#include "datapath/index.h"
#include "policy/compile.h"
#include "rig.h"
#include "sluice_tc.skel.h"
#include "table.h"

#define ROUNDS	     9
#define REPEAT	     400000
#define FRAME_REPEAT 20000
#define FRAMES	     32 /* of the packets, for the whole program */
#define MATCHES	     16384
#define RULES	     1000
#define FRAME_SIZE   128
#define FIRST_BLOCK  1
#define NEIGHBOURS   1000 /* subscribers besides the one that is measured */
#define INDEX	     502

/* What an activation may take of the agent\'s one thread. */
#define PUBLISH_BOUND_MS 5.0

static const uint32_t sizes[] = {1, 8, 32, 256, RULES};

/* Nanoseconds that the stage may take more than an empty program. */
static const double goals[SL_ARRAY_SIZE(sizes)] = {40, 45, 55, 90, 120};

struct rules {
	struct sluice_flow flow[RULES];
	struct sl_rule rule[RULES];
	struct sl_install install[RULES];
	uint32_t count;
	struct sl_address address;
	struct classify_packet packet[CLASSIFY_PACKETS];
};

/* The maps of one of the two objects. */
struct target {
	struct sl_match_maps lists;
	struct sluice_policy *policies;
	struct sluice_binding *bindings;
	struct sl_index index;
	int endpoints4, endpoints6;
};

static void *map_memory(struct bpf_map *map)
{
	size_t size = (size_t)bpf_map__max_entries(map) * ((bpf_map__value_size(map) + 7) / 8 * 8);
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);

	if (memory == MAP_FAILED)
		bench_die("map %s: %s", bpf_map__name(map), strerror(errno));
	return memory;
}

#define RESIZE(skeleton)                                                      \
	do {                                                                  \
		bpf_map__set_max_entries((skeleton)->maps.endpoints4, 8);     \
		bpf_map__set_max_entries((skeleton)->maps.endpoints6, 8);     \
		bpf_map__set_max_entries((skeleton)->maps.index4, INDEX);     \
		bpf_map__set_max_entries((skeleton)->maps.index6, INDEX);     \
		bpf_map__set_max_entries((skeleton)->maps.policies, 8);       \
		bpf_map__set_max_entries((skeleton)->maps.bindings, 2048);    \
		bpf_map__set_max_entries((skeleton)->maps.matches4, MATCHES); \
		bpf_map__set_max_entries((skeleton)->maps.matches6, MATCHES); \
		bpf_map__set_max_entries((skeleton)->maps.branches, MATCHES); \
	} while (0)

#define TARGET(skeleton)                                                 \
	(struct target)                                                  \
	{                                                                \
		.lists =                                                 \
			{                                                \
				map_memory((skeleton)->maps.matches4),   \
				map_memory((skeleton)->maps.matches6),   \
				map_memory((skeleton)->maps.branches),   \
				MATCHES,                                 \
				MATCHES,                                 \
			},                                               \
		.index = {.index4 = map_memory((skeleton)->maps.index4), \
			  .index6 = map_memory((skeleton)->maps.index6), \
			  .size4 = INDEX,                                \
			  .size6 = INDEX},                               \
		.policies = map_memory((skeleton)->maps.policies),       \
		.bindings = map_memory((skeleton)->maps.bindings),       \
		.endpoints4 = bpf_map__fd((skeleton)->maps.endpoints4),  \
		.endpoints6 = bpf_map__fd((skeleton)->maps.endpoints6),  \
	}

static void make_rules(enum classify_shape shape, uint32_t count, struct rules *rules)
{
	uint32_t family = shape == CLASSIFY_IPV6 ? 6 : 4;

	rules->count = count;
	rules->address = family == 4 ? (struct sl_address){4, {10, 0, 0, 5}}
				     : (struct sl_address){6, {0x20, 0x01, 0x0d, 0xb8, 0, 5}};
	classify_flows(shape, count, rules->flow);
	for (uint32_t i = 0; i < count; i++) {
		rules->rule[i] = (struct sl_rule){.precedence = i, .flow_count = 1, .flows = &rules->flow[i]};
		snprintf(rules->rule[i].id, sizeof(rules->rule[i].id), "rule-%u", i);
		rules->install[i] = (struct sl_install){.rule = &rules->rule[i], .binding = {.usage = 1 + i}};
	}
	for (uint32_t i = 0; i < CLASSIFY_PACKETS; i++)
		classify_packet(&rules->flow[i * 389 % count], family, i, &rules->packet[i]);
}

static void compile(const struct rules *rules, struct sl_ruleset_image *image)
{
	struct sl_error err = {0};

	if (sl_compile(rules->install, rules->count, &rules->address, image, &err) < 0)
		bench_die("%s", err.text);
}

static void publish(const struct rules *rules, const struct sl_ruleset_image *image,
		    const struct target *target)
{
	const struct sl_match_list *list = &image->list[SLUICE_UPLINK];
	const struct sl_match_place place = {.block = FIRST_BLOCK, .branch = FIRST_BLOCK};
	struct sluice_endpoint endpoint = {.policy = 1, .session = 1};
	struct sluice_policy policy = {
		.session = 1,
		.uplink_block = sl_match_list_root(list, place),
		.uplink_count = (uint16_t)list->count,
		.bindings = 0,
		.endpoint_tag = sl_address_tag(&rules->address),
		.rules = (uint16_t)rules->count,
		.flags = image->flags,
	};

	if (list->blocks > MATCHES - FIRST_BLOCK)
		bench_die("%u match blocks", list->blocks);
	sl_match_list_write(list, place, &target->lists);
	for (uint32_t i = 0; i < rules->count; i++) {
		if (i < SLUICE_INLINE_BINDINGS)
			policy.binding[i] = rules->install[i].binding;
		else
			target->bindings[i - SLUICE_INLINE_BINDINGS] = rules->install[i].binding;
	}
	target->policies[1] = policy;
	if (bpf_map_update_elem(rules->address.family == 4 ? target->endpoints4 : target->endpoints6,
				rules->address.bytes, &endpoint, BPF_ANY) < 0)
		bench_die("endpoint: %s", strerror(errno));
	sl_index_set(&target->index, &rules->address, endpoint.policy);
}

static size_t make_frame(const struct rules *rules, const struct classify_packet *packet, uint8_t *frame)
{
	size_t transport = packet->protocol == 6 ? 20 : 8, network = packet->family == 4 ? 20 : 40;
	uint8_t *ip = frame + 14, *at = ip + network;

	memset(frame, 0, FRAME_SIZE);
	frame[12] = packet->family == 4 ? 0x08 : 0x86;
	frame[13] = packet->family == 4 ? 0x00 : 0xdd;
	if (packet->family == 4) {
		ip[0] = 0x45;
		ip[3] = (uint8_t)(network + transport);
		ip[8] = 64;
		ip[9] = packet->protocol;
		memcpy(ip + 12, rules->address.bytes, 4);
		memcpy(ip + 16, packet->remote, 4);
	} else {
		ip[0] = 0x60;
		ip[5] = (uint8_t)transport;
		ip[6] = packet->protocol;
		ip[7] = 64;
		memcpy(ip + 8, rules->address.bytes, 16);
		memcpy(ip + 24, packet->remote, 16);
	}
	at[0] = (uint8_t)(packet->local_port >> 8);
	at[1] = (uint8_t)packet->local_port;
	at[2] = (uint8_t)(packet->remote_port >> 8);
	at[3] = (uint8_t)packet->remote_port;
	if (packet->protocol == 6)
		at[12] = 5 << 4;
	else
		at[5] = (uint8_t)transport;
	return 14 + network + transport;
}

/* Others that the index holds as well, two in a bucket. */
static void add_neighbours(const struct target *target)
{
	sl_index_clear(&target->index);
	for (uint32_t i = 0; i < NEIGHBOURS; i++) {
		struct sl_address four = {4, {10, 1, (uint8_t)(i >> 8), (uint8_t)i}};
		struct sl_address six = {6, {0x20, 0x01, 0x0d, 0xb8, 1, 0, (uint8_t)(i >> 8), (uint8_t)i}};

		sl_index_set(&target->index, &four, 2);
		sl_index_set(&target->index, &six, 2);
	}
}

/* Nanoseconds a run, as the kernel measures them. */
static double run_program(const struct bpf_program *program, const void *data, size_t length, uint32_t repeat)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = data, .data_size_in = (uint32_t)length,
		    .repeat = (int)repeat);
	int error = bpf_prog_test_run_opts(bpf_program__fd(program), &opts);

	if (error)
		bench_die("test run: %s", strerror(-error));
	return opts.duration;
}

static void prepare(const struct rules *rules, const struct bpf_program *program)
{
	for (uint32_t i = 0; i < CLASSIFY_PACKETS; i++) {
		struct __sk_buff context = {.mark = i};
		uint8_t frame[FRAME_SIZE];
		LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .ctx_in = &context,
			    .ctx_size_in = sizeof(context));

		opts.data_size_in = (uint32_t)make_frame(rules, &rules->packet[i], frame);
		if (bpf_prog_test_run_opts(bpf_program__fd(program), &opts) || opts.retval)
			bench_die("a packet cannot be prepared");
	}
}

struct figures {
	double stage, whole; /* ns more than an empty program, */
	double empty;	     /* which takes as much */
	double compile_ms;
	uint32_t blocks, branches;
};

static double median_of_runs(const struct bpf_program *program, const void *data, size_t length)
{
	double times[ROUNDS];

	for (int i = 0; i < ROUNDS; i++)
		times[i] = run_program(program, data, length, REPEAT);
	return bench_median(times, ROUNDS);
}

/* The median over frames of the median over rounds. */
static double measure_whole(const struct sluice_tc *tc, const struct rules *rules)
{
	double frames[FRAMES];

	for (uint32_t f = 0; f < FRAMES; f++) {
		uint8_t frame[FRAME_SIZE];
		double times[ROUNDS];
		size_t length = make_frame(rules, &rules->packet[f * (CLASSIFY_PACKETS / FRAMES)], frame);

		for (int i = 0; i < ROUNDS; i++)
			times[i] = run_program(tc->progs.access_ingress, frame, length, FRAME_REPEAT);
		frames[f] = bench_median(times, ROUNDS);
	}
	return bench_median(frames, FRAMES);
}

static double milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static struct figures measure(enum classify_shape shape, uint32_t count, struct bench_classify *stage,
			      struct sluice_tc *tc, const struct target *stage_maps,
			      const struct target *tc_maps)
{
	static struct rules rules;
	struct sl_ruleset_image image = {0};
	struct figures figures;
	double times[ROUNDS];
	uint8_t frame[FRAME_SIZE];

	make_rules(shape, count, &rules);
	for (int i = 0; i < ROUNDS; i++) {
		double before = milliseconds();

		sl_ruleset_image_clear(&image);
		compile(&rules, &image);
		publish(&rules, &image, stage_maps);
		times[i] = milliseconds() - before;
	}
	publish(&rules, &image, tc_maps);
	figures.compile_ms = bench_median(times, ROUNDS);
	figures.blocks = image.list[SLUICE_UPLINK].blocks;
	figures.branches = sl_match_list_branches(&image.list[SLUICE_UPLINK]);
	sl_ruleset_image_clear(&image);

	prepare(&rules, stage->progs.prepare);
	make_frame(&rules, &rules.packet[0], frame);
	figures.empty = median_of_runs(stage->progs.empty, frame, 64);
	stage->bss->missed = 0;
	figures.stage = median_of_runs(stage->progs.classify, frame, 64) - figures.empty;
	if (stage->bss->missed)
		bench_die("%llu packets found no rule", (unsigned long long)stage->bss->missed);
	figures.whole = measure_whole(tc, &rules) - figures.empty;
	return figures;
}

static void keep_worst(struct figures *worst, const struct figures *figures)
{
	if (figures->stage > worst->stage)
		worst->stage = figures->stage;
	if (figures->whole > worst->whole)
		worst->whole = figures->whole;
	if (figures->compile_ms > worst->compile_ms)
		worst->compile_ms = figures->compile_ms;
}

/* Shapes that resist one tree have rows of their own. */
static void report_shape(FILE *rows, enum classify_shape shape, size_t size, const struct figures *figures)
{
	char mode[64];

	if (shape != CLASSIFY_TURNS && shape != CLASSIFY_THIRDS)
		return;
	snprintf(mode, sizeof(mode), "%u rules: the stage alone, %s", sizes[size],
		 classify_shape_names[shape]);
	bench_row(rows, "classify", mode, figures->stage, "ns", "its goal", goals[size],
		  figures->stage / goals[size]);
}

/* The empty program's time is taken off of the first two already. */
static void report(FILE *rows, uint32_t count, const struct figures *worst)
{
	char mode[64];

	snprintf(mode, sizeof(mode), "%u rules: the stage alone, worst shape", count);
	bench_row(rows, "classify", mode, worst->stage, "ns", "an empty program", worst->empty,
		  worst->stage / worst->empty);
	snprintf(mode, sizeof(mode), "%u rules: access_ingress, worst shape", count);
	bench_row(rows, "classify", mode, worst->whole, "ns", "an empty program", worst->empty,
		  worst->whole / worst->empty);
	if (count == RULES) {
		snprintf(mode, sizeof(mode), "%u rules: compiled and published, worst shape", count);
		bench_row(rows, "classify", mode, worst->compile_ms, "ms", "its bound", PUBLISH_BOUND_MS,
			  worst->compile_ms / PUBLISH_BOUND_MS);
	}
}

int main(int argc, char **argv)
{
	_cleanup_file_ FILE *rows = bench_rows_open(argc > 1 ? argv[1] : "/dev/null");
	struct bench_classify *stage = bench_classify__open();
	struct sluice_tc *tc = sluice_tc__open();
	struct target stage_maps, tc_maps;

	if (!stage || !tc)
		bench_die("cannot open the BPF objects: %s", strerror(errno));
	RESIZE(stage);
	RESIZE(tc);
	bpf_map__set_max_entries(tc->maps.usage, 2048);
	if (bench_classify__load(stage) || sluice_tc__load(tc))
		bench_die("cannot load the programs: %s", strerror(errno));
	stage_maps = TARGET(stage);
	tc_maps = TARGET(tc);
	add_neighbours(&stage_maps);
	add_neighbours(&tc_maps);

	printf("%-10s %-10s %6s %12s %16s %8s %10s %10s\n", "bench", "rules", "count", "stage alone",
	       "access_ingress", "blocks", "branches", "compile");
	for (size_t size = 0; size < SL_ARRAY_SIZE(sizes); size++) {
		struct figures worst = {0};

		for (int shape = 0; shape < CLASSIFY_SHAPES; shape++) {
			struct figures figures = measure((enum classify_shape)shape, sizes[size], stage, tc,
							 &stage_maps, &tc_maps);

			printf("%-10s %-10s %6u %9.0f ns %13.0f ns %8u %10u %7.2f ms\n", "classify",
			       classify_shape_names[shape], sizes[size], figures.stage, figures.whole,
			       figures.blocks, figures.branches, figures.compile_ms);
			report_shape(rows, (enum classify_shape)shape, size, &figures);
			worst.empty = figures.empty;
			keep_worst(&worst, &figures);
		}
		report(rows, sizes[size], &worst);
	}
	sluice_tc__destroy(tc);
	bench_classify__destroy(stage);
	return 0;
}
