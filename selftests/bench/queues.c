// SPDX-License-Identifier: Apache-2.0
/*
 * Q7: how fast classes are assigned and changed, and how long their making keeps
 * the RTNL lock from others: a pool is built in chunks as the agent builds it, of
 * which the lock is held for one class at once.
 */
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "qos/qos.h"
#include "rig.h"
#include "table.h"

#define CHUNK	 16 /* classes, as the agent's timer has it */
#define ROUNDS	 5
#define CALLS	 4096
#define GOAL	 50000.0 /* calls/s */
#define GOAL_P99 1000.0	 /* us */

static const struct {
	const char *name;
	uint32_t pool, trees;
} shapes[] = {{"4096 classes", 4096, 0}, {"2048 classes, 256 trees", 2048, 256}};

static void check(int error, const char *what, const struct sl_error *err)
{
	if (error < 0)
		bench_die("%s: %s", what, err->text[0] ? err->text : strerror(-error));
}

static uint64_t cpu_ns(void)
{
	struct timespec time;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
	return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

/* The kernel works in the time of its caller: CPU time, so that nobody else's work counts. */
static struct sl_qos *build(uint32_t pool, uint32_t trees, double *seconds, double *longest_ms)
{
	struct sl_qos_config config = {.link_rate = 10000000000, .pool_size = pool, .trees = trees};
	uint64_t begin = cpu_ns(), longest = 0;
	struct sl_error err = {0};
	struct sl_qos *qos;
	int more = 1;

	config.devices[SLUICE_UPLINK].count = 1;
	config.devices[SLUICE_UPLINK].ifindex[0] = if_nametoindex(BENCH_CORE);
	strcpy(config.devices[SLUICE_UPLINK].name[0], BENCH_CORE);
	check(sl_qos_open(&config, &qos, &err), "queues", &err);
	while (more > 0) {
		uint64_t before = cpu_ns();

		more = sl_qos_build(qos, CHUNK, &err);
		check(more, "classes", &err);
		if (cpu_ns() - before > longest)
			longest = cpu_ns() - before;
	}
	*seconds = (double)(cpu_ns() - begin) / 1e9;
	*longest_ms = (double)longest / 1e6;
	return qos;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static void report(FILE *rows, const char *what, double *us, size_t calls)
{
	double sum = 0, per_second, p99;
	char mode[64];

	for (size_t i = 0; i < calls; i++)
		sum += us[i];
	qsort(us, calls, sizeof(*us), compare);
	per_second = (double)calls / sum * 1e6;
	p99 = us[calls * 99 / 100];
	printf("%-10s %-40s %9.0f /s, goal %.0f; p99 %.1f us, goal %.0f\n", "queues", what, per_second, GOAL,
	       p99, GOAL_P99);
	snprintf(mode, sizeof(mode), "Q7 %s", what);
	bench_row(rows, "queues", mode, per_second, "calls/s", "its goal, at least", GOAL, per_second / GOAL);
	snprintf(mode, sizeof(mode), "Q7 %s, p99", what);
	bench_row(rows, "queues", mode, p99, "us", "its goal", GOAL_P99, p99 / GOAL_P99);
}

/* Every class once: assigned, changed (from 1 to 2 Mbit/s and up), released. By the clock on the wall. */
static void measure_calls(FILE *rows, struct sl_qos *qos)
{
	static double assign[CALLS], change[CALLS];
	static uint16_t minor[CALLS];
	struct sl_error err = {0};

	for (uint32_t i = 0; i < CALLS; i++) {
		const struct sl_qos_rates rates = {.mbr = 1000000 + i * 1000};
		uint64_t before = sl_now_ns();

		check(sl_qos_assign(qos, SLUICE_UPLINK, &rates, &minor[i], &err), "assign", &err);
		assign[i] = (double)(sl_now_ns() - before) / 1e3;
	}
	for (uint32_t i = 0; i < CALLS; i++) {
		const uint16_t one = minor[i * 1597u % CALLS];
		const struct sl_qos_rates rates = {.mbr = 20000000 + i * 1000};
		uint64_t before = sl_now_ns();

		check(sl_qos_change(qos, SLUICE_UPLINK, one, &rates, &err), "change", &err);
		change[i] = (double)(sl_now_ns() - before) / 1e3;
	}
	for (uint32_t i = 0; i < CALLS; i++)
		sl_qos_release(qos, SLUICE_UPLINK, minor[i]);
	report(rows, "assigned, of 4096 classes", assign, CALLS);
	report(rows, "changed, of 4096 classes", change, CALLS);
}

int main(int argc, char **argv)
{
	_cleanup_file_ FILE *rows = bench_rows_open(argc > 1 ? argv[1] : "/dev/null");
	struct bench *bench = bench_new(-1);
	char mode[64];
	struct rig rig;

	rig_new(bench, &rig);
	rig_enter(bench, &rig, RIG_GATEWAY);
	for (size_t s = 0; s < SL_ARRAY_SIZE(shapes); s++) {
		double seconds[ROUNDS], longest[ROUNDS];

		for (int i = 0; i < ROUNDS; i++) {
			struct sl_qos *qos = build(shapes[s].pool, shapes[s].trees, &seconds[i], &longest[i]);

			if (i == 0 && shapes[s].pool == CALLS)
				measure_calls(rows, qos);
			sl_qos_close(qos);
			rig_run(&rig, RIG_GATEWAY, "tc qdisc del dev " BENCH_CORE " root");
		}
		printf("%-10s %-40s %8.2f s, goal 2; longest chunk %.2f ms, goal 10\n", "queues",
		       shapes[s].name, bench_median(seconds, ROUNDS), bench_median(longest, ROUNDS));
		snprintf(mode, sizeof(mode), "Q7 %s built", shapes[s].name);
		bench_row(rows, "queues", mode, bench_median(seconds, ROUNDS), "s", "its goal", 2,
			  bench_median(seconds, ROUNDS) / 2);
		snprintf(mode, sizeof(mode), "Q7 %s, longest chunk", shapes[s].name);
		bench_row(rows, "queues", mode, bench_median(longest, ROUNDS), "ms", "its goal", 10,
			  bench_median(longest, ROUNDS) / 10);
	}
	rig_leave(bench);
	rig_free(&rig);
	bench_free(bench);
	return 0;
}
