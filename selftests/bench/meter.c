// SPDX-License-Identifier: Apache-2.0
/*
 * What policing a packet costs, by the levels of its tree, which is always in
 * the cache. An empty program is taken off; reading the clock is in the figures.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "prog_meter.skel.h"
#include "qos/meter.h"
#include "rig.h"
#include "table.h"

#define ROUNDS 9
#define REPEAT 1000000
#define GOAL   120 /* ns, three levels */
#define MTU    1500

/* 3 -> 2 -> 1 -> 0; a packet of 100 bytes every so often is far below the rate of each. */
static void start(struct sluice_meter *meters, uint64_t bits_per_second, uint64_t green)
{
	uint64_t rate = 0, green_rate = 0;

	if (sl_meter_rate(bits_per_second, SL_METER_TOLERANCE_NS, MTU, &rate, NULL) ||
	    (green && sl_meter_rate(green, SL_METER_TOLERANCE_NS, MTU, &green_rate, NULL)))
		bench_die("a rate that does not fit");
	for (uint32_t i = 0; i < SLUICE_METER_DEPTH; i++) {
		struct sl_meter_settings settings = {.level = (enum sluice_meter_level)(4 - i),
						     .rate = rate,
						     .green_rate = green_rate,
						     .parent = i ? i - 1 : SLUICE_NONE,
						     .green_parent = i ? i - 1 : SLUICE_NONE};

		sl_meter_start(&meters[i], &settings, sl_now_ns());
	}
}

/* Nanoseconds a run, as the kernel measures them; `expected`: what each run returns. */
static double measure(const struct bpf_program *program, uint32_t expected)
{
	double times[ROUNDS];
	char frame[64] = {0};

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

static void report(FILE *rows, const char *mode, double ns, double clock)
{
	printf("%-10s %-24s %8.0f ns %8.0f ns without the clock\n", "meter", mode, ns, ns - clock);
	bench_row(rows, "meter", mode, ns, "ns", "clock", clock, clock > 0 ? ns / clock : 0);
}

int main(int argc, char **argv)
{
	_cleanup_file_ FILE *rows = bench_rows_open(argc > 1 ? argv[1] : "/dev/null");
	struct prog_meter *programs = prog_meter__open_and_load();
	struct sluice_meter *meters;
	double empty, clock, three = 0;

	if (!programs)
		bench_die("cannot load the programs: %s", strerror(errno));
	meters = mmap(NULL, (size_t)bpf_map__max_entries(programs->maps.meters) * sizeof(*meters),
		      PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(programs->maps.meters), 0);
	if (meters == MAP_FAILED)
		bench_die("map meters: %s", strerror(errno));
	empty = measure(programs->progs.empty, 0);
	clock = measure(programs->progs.clock_only, 0) - empty;
	printf("%-10s %-24s %8.0f ns\n", "meter", "clock", clock);
	for (uint32_t levels = 1; levels <= SLUICE_METER_DEPTH; levels++) {
		char mode[32];
		double ns;

		start(meters, SLUICE_METER_RATE_MAX, 0);
		programs->bss->leaf[0] = levels - 1;
		ns = measure(programs->progs.one, SLUICE_METER_PASSED) - empty;
		snprintf(mode, sizeof(mode), "pass, %u level%s", levels, levels > 1 ? "s" : "");
		report(rows, mode, ns, clock);
		if (levels == 3)
			three = ns;
	}
	start(meters, SLUICE_METER_RATE_MAX, SLUICE_METER_RATE_MAX);
	programs->bss->leaf[0] = 2;
	report(rows, "pass, GBR, 3 levels", measure(programs->progs.one, SLUICE_METER_PASSED) - empty, clock);
	start(meters, SLUICE_METER_RATE_MIN, 0);
	programs->bss->leaf[0] = 2;
	report(rows, "refused, 3 levels", measure(programs->progs.one, SLUICE_METER_SESSION) - empty, clock);
	printf("Q10: three levels %.0f ns, goal %d ns\n", three, GOAL);
	prog_meter__destroy(programs);
	return 0;
}
