// SPDX-License-Identifier: Apache-2.0
/*
 * The policer as the kernel runs it: the same verdicts as the model's, and with
 * packets on two CPUs at once never more than the limit and hardly less.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <bpf/bpf.h>
#include <cmocka.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "meter_model.h"
#include "meter_program.h"
#include "prog_meter.skel.h"
#include "qos/meter.h"

#define MTU  1500
#define MBIT 1000000ull
#define GBIT 1000000000ull
#define MS   1000000ull
#define S    1000000000ull

struct rig {
	struct prog_meter *programs;
	struct sluice_meter *meters;
	struct meter_arrival *arrivals;
	struct meter_flow *flows;
};

static void *map_memory(struct bpf_map *map)
{
	size_t size = (size_t)bpf_map__max_entries(map) * bpf_map__value_size(map);
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);

	assert_ptr_not_equal(memory, MAP_FAILED);
	return memory;
}

static int open_rig(void **state)
{
	struct rig *rig = calloc(1, sizeof(*rig));

	assert_non_null(rig);
	rig->programs = prog_meter__open_and_load();
	if (!rig->programs) {
		free(rig);
		return -1;
	}
	rig->meters = map_memory(rig->programs->maps.meters);
	rig->arrivals = map_memory(rig->programs->maps.arrivals);
	rig->flows = map_memory(rig->programs->maps.flows);
	*state = rig;
	return 0;
}

static int close_rig(void **state)
{
	struct rig *rig = *state;

	prog_meter__destroy(rig->programs);
	free(rig);
	return 0;
}

static void run(const struct bpf_program *program, uint32_t repeat)
{
	uint8_t frame[64] = {0};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = sizeof(frame),
		    .repeat = (int)repeat);

	assert_int_equal(bpf_prog_test_run_opts(bpf_program__fd(program), &opts), 0);
}

static uint64_t word_of(uint64_t bits_per_second, uint64_t tolerance_ns)
{
	uint64_t rate = 0;

	if (bits_per_second)
		assert_int_equal(sl_meter_rate(bits_per_second, tolerance_ns, MTU, &rate, NULL), 0);
	return rate;
}

static void start(struct rig *rig, uint32_t index, enum sluice_meter_level level, uint64_t rate,
		  uint64_t tolerance_ns, uint32_t parent)
{
	struct sl_meter_settings settings = {.level = level,
					     .rate = word_of(rate, tolerance_ns),
					     .parent = parent,
					     .green_parent = SLUICE_NONE};

	sl_meter_start(&rig->meters[index], &settings, sl_now_ns());
}

/* --- verdicts ----------------------------------------------------------------- */

static uint64_t random_state = 0x9e3779b97f4a7c15ull;

static uint64_t draw(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state;
}

static void the_kernel_judges_random_arrivals_as_the_model_does(void **state)
{
	static const uint64_t rates[] = {0, 8000, 64000, MBIT, 101 * MBIT, 10 * GBIT, 400 * GBIT};
	struct rig *rig = *state;
	uint32_t refused = 0;

	for (int tree = 0; tree < 8; tree++) {
		struct model_meter model[9] = {0};
		uint64_t now = (1ull << 54) - 20 * S + draw() % S, step = 1ull << (8 + tree * 2);

		for (uint32_t i = 0; i < 9; i++) {
			uint64_t rate = rates[draw() % 7], green = i > 5 ? rates[draw() % 7] : 0;
			struct sl_meter_settings settings = {
				.level = (enum sluice_meter_level)(4 - i / 3),
				.rate = word_of(rate, SL_METER_TOLERANCE_NS),
				.green_rate = word_of(green, SL_METER_TOLERANCE_NS),
				.parent = i > 2 ? (i / 3 - 1) * 3 + (uint32_t)(draw() % 3) : SLUICE_NONE,
				.green_parent = i > 5 ? (uint32_t)(draw() % 3) : SLUICE_NONE,
			};

			sl_meter_start(&rig->meters[i], &settings, now);
			model_set(&model[i].bucket, rate, SL_METER_TOLERANCE_NS, MTU);
			model_set(&model[i].green, green, SL_METER_TOLERANCE_NS, MTU);
			model[i].level = settings.level;
			model[i].parent = settings.parent;
			model[i].green_parent = settings.green_parent;
		}
		for (uint32_t i = 0; i < METER_ARRIVALS; i++) {
			now += draw() % step;
			rig->arrivals[i] = (struct meter_arrival){.now_ns = now,
								  .leaf = (uint32_t)(draw() % 9),
								  .bytes = 28 + (uint32_t)(draw() % 2000),
								  .packets = 1 + i % 2,
								  .result = 99};
		}
		run(rig->programs->progs.replay, 1);
		for (uint32_t i = 0; i < METER_ARRIVALS; i++) {
			const struct meter_arrival *arrival = &rig->arrivals[i];

			assert_int_equal(arrival->result, model_pass(model, arrival->leaf, arrival->bytes,
								     arrival->packets, arrival->now_ns));
			refused += arrival->result != SLUICE_METER_PASSED;
		}
		for (uint32_t i = 0; i < 9; i++) {
			assert_int_equal(rig->meters[i].refused.bytes, model[i].refused_bytes);
			assert_int_equal(rig->meters[i].refused.packets, model[i].refused_packets);
		}
	}
	assert_in_range(refused, METER_ARRIVALS, 7 * METER_ARRIVALS);
}

/* --- two CPUs ------------------------------------------------------------------- */

struct flood {
	struct rig *rig;
	int cpu;
	uint64_t until_ns;
	bool pinned;
};

static void *flood(void *argument)
{
	struct flood *flood = argument;
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(flood->cpu, &cpus);
	flood->pinned = sched_setaffinity(0, sizeof(cpus), &cpus) == 0;
	while (flood->pinned && sl_now_ns() < flood->until_ns)
		run(flood->rig->programs->progs.flood, 100000);
	return NULL;
}

struct flooded {
	uint64_t passed, offered, first_ns, last_ns;
};

/* Two CPUs at once, the leaves of each. -1: there is one CPU only. */
static int flood_from_two(struct rig *rig, uint32_t leaf0, uint32_t leaf1, uint64_t length_ns,
			  struct flooded *out)
{
	struct flood flood_of[2] = {{.rig = rig, .cpu = 0}, {.rig = rig, .cpu = 1}};
	pthread_t thread[2];

	memset(rig->flows, 0, METER_CPUS * sizeof(*rig->flows));
	rig->programs->bss->leaf[0] = leaf0;
	rig->programs->bss->leaf[1] = leaf1;
	for (int i = 0; i < 2; i++) {
		flood_of[i].until_ns = sl_now_ns() + length_ns;
		assert_int_equal(pthread_create(&thread[i], NULL, flood, &flood_of[i]), 0);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	if (!flood_of[0].pinned || !flood_of[1].pinned)
		return -1;
	*out = (struct flooded){.first_ns = UINT64_MAX};
	for (int i = 0; i < 2; i++) {
		const struct meter_flow *flow = &rig->flows[i];

		out->passed += flow->passed_bytes;
		out->offered += flow->offered_bytes;
		if (flow->first_ns && flow->first_ns < out->first_ns)
			out->first_ns = flow->first_ns;
		if (flow->last_ns > out->last_ns)
			out->last_ns = flow->last_ns;
	}
	return 0;
}

/* Exactly B + R * t, and at least that share of R * t (in thousandths). */
static void assert_rate(const struct flooded *flooded, uint64_t rate, uint32_t least)
{
	uint64_t elapsed = flooded->last_ns - flooded->first_ns;
	unsigned __int128 cost = (unsigned __int128)flooded->passed * sluice_meter_cost(rate);

	assert_true(cost <= ((unsigned __int128)sluice_meter_tolerance(rate) + sluice_meter_ticks(elapsed))
				    << 10);
	assert_true(cost * 1000 >= ((unsigned __int128)sluice_meter_ticks(elapsed) << 10) * least);
}

#define SKIP_ON_ONE_CPU(call)                                        \
	do {                                                         \
		if (call) {                                          \
			print_message("SKIP: needs CPUs 0 and 1\n"); \
			skip();                                      \
		}                                                    \
	} while (0)

static void two_cpus_on_one_meter_pass_burst_and_rate_exactly(void **state)
{
	static const uint64_t rates[] = {MBIT, 100 * MBIT, 101 * MBIT, 600 * MBIT, 2 * GBIT};
	struct rig *rig = *state;
	struct flooded flooded;

	for (size_t i = 0; i < SL_ARRAY_SIZE(rates); i++) {
		start(rig, 0, SLUICE_METER_RULE, rates[i], 500 * MS, SLUICE_NONE);
		SKIP_ON_ONE_CPU(flood_from_two(rig, 0, 0, 700 * MS, &flooded));
		assert_true((double)flooded.offered * 8 >
			    1.3 * (double)rates[i] * (double)(flooded.last_ns - flooded.first_ns) / 1e9);
		assert_rate(&flooded, rig->meters[0].rate, 998);
	}
}

static void two_cpus_on_three_levels_use_the_ambr_in_full_and_their_mbrs_not_beyond(void **state)
{
	struct rig *rig = *state;
	struct flooded flooded;

	start(rig, 0, SLUICE_METER_LINK, 10 * GBIT, 500 * MS, SLUICE_NONE);
	start(rig, 1, SLUICE_METER_SESSION, GBIT, 500 * MS, 0);
	start(rig, 2, SLUICE_METER_RULE, 800 * MBIT, 500 * MS, 1);
	start(rig, 3, SLUICE_METER_RULE, 900 * MBIT, 500 * MS, 1);
	SKIP_ON_ONE_CPU(flood_from_two(rig, 2, 3, 1500 * MS, &flooded));
	assert_rate(&flooded, rig->meters[1].rate, 998);
	for (uint32_t i = 2; i < 4; i++) {
		uint64_t rate = rig->meters[i].rate, elapsed = flooded.last_ns - flooded.first_ns;

		assert_true((unsigned __int128)rig->flows[i - 2].passed_bytes * sluice_meter_cost(rate) <=
			    ((unsigned __int128)sluice_meter_tolerance(rate) + sluice_meter_ticks(elapsed))
				    << 10);
	}
	assert_true(rig->meters[1].refused.packets > 0);
}

static void packets_that_the_ambr_refuses_do_not_use_up_the_mbr_that_two_cpus_share(void **state)
{
	struct rig *rig = *state;
	struct flooded flooded;

	/* the MBR is what the AMBR lets through and 2 % more: what is lost below shows above */
	start(rig, 0, SLUICE_METER_SESSION, 500 * MBIT, 500 * MS, SLUICE_NONE);
	start(rig, 1, SLUICE_METER_RULE, 510 * MBIT, 500 * MS, 0);
	SKIP_ON_ONE_CPU(flood_from_two(rig, 1, 1, 1500 * MS, &flooded));
	assert_rate(&flooded, rig->meters[0].rate, 998);
}

static void rates_that_change_all_the_time_under_two_cpus_never_let_more_through(void **state)
{
	struct rig *rig = *state;
	struct flood flood_of[2] = {{.rig = rig, .cpu = 0}, {.rig = rig, .cpu = 1}};
	uint64_t slow = word_of(100 * MBIT, 50 * MS), fast = word_of(400 * MBIT, 50 * MS), begin, total;
	pthread_t thread[2];
	uint32_t changes = 0;

	start(rig, 0, SLUICE_METER_RULE, 100 * MBIT, 50 * MS, SLUICE_NONE);
	memset(rig->flows, 0, METER_CPUS * sizeof(*rig->flows));
	rig->programs->bss->leaf[0] = rig->programs->bss->leaf[1] = 0;
	begin = sl_now_ns();
	for (int i = 0; i < 2; i++) {
		flood_of[i].until_ns = begin + S;
		assert_int_equal(pthread_create(&thread[i], NULL, flood, &flood_of[i]), 0);
	}
	while (sl_now_ns() < begin + S) {
		sl_meter_change(&rig->meters[0], changes++ % 2 ? slow : fast, 0, sl_now_ns());
		usleep(100);
	}
	for (int i = 0; i < 2; i++)
		pthread_join(thread[i], NULL);
	if (!flood_of[0].pinned || !flood_of[1].pinned) {
		print_message("SKIP: needs CPUs 0 and 1\n");
		skip();
	}
	total = rig->flows[0].passed_bytes + rig->flows[1].passed_bytes;
	/* no change makes credit: at most the higher rate all the time, and what it changes to once a burst
	 */
	assert_true(total <= (uint64_t)((double)(sl_now_ns() - begin) / 1e9 * 50e6) + sl_meter_burst(fast));
	/* and none takes it away: at least the lower rate (the burst pays for being held up) */
	assert_true(total >= 12500000);
	assert_true(changes > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_kernel_judges_random_arrivals_as_the_model_does),
		cmocka_unit_test(two_cpus_on_one_meter_pass_burst_and_rate_exactly),
		cmocka_unit_test(two_cpus_on_three_levels_use_the_ambr_in_full_and_their_mbrs_not_beyond),
		cmocka_unit_test(packets_that_the_ambr_refuses_do_not_use_up_the_mbr_that_two_cpus_share),
		cmocka_unit_test(rates_that_change_all_the_time_under_two_cpus_never_let_more_through),
	};

	return cmocka_run_group_tests(tests, open_rig, close_rig);
}
