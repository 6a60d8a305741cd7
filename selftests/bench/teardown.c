// SPDX-License-Identifier: Apache-2.0
/*
 * How long the end of sluice's queues keeps the RTNL lock from others: its classes are removed some at a
 * time, then the qdisc. The baseline is the qdisc with all its classes at once.
 */
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "qos/qos.h"
#include "rig.h"
#include "table.h"

#define CLASSES 4096u
#define ROUNDS	5

static void check(int error, const char *what, const struct sl_error *err)
{
	if (error < 0)
		bench_die("%s: %s", what, err->text[0] ? err->text : strerror(-error));
}

static struct sl_qos *build(uint32_t classes)
{
	struct sl_qos_config config = {.link_rate = 10000000000, .pool_size = classes};
	struct sl_error err = {0};
	struct sl_qos *qos;
	int more = 1;

	config.devices[SLUICE_UPLINK].count = 1;
	config.devices[SLUICE_UPLINK].ifindex[0] = if_nametoindex(BENCH_CORE);
	strcpy(config.devices[SLUICE_UPLINK].name[0], BENCH_CORE);
	check(sl_qos_open(&config, &qos, &err), "queues", &err);
	while (more > 0) {
		more = sl_qos_build(qos, 1024, &err);
		check(more, "classes", &err);
	}
	return qos;
}

int main(int argc, char **argv)
{
	_cleanup_file_ FILE *rows = bench_rows_open(argc > 1 ? argv[1] : "/dev/null");
	uint32_t classes = argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : CLASSES;
	double longest[ROUNDS], qdisc[ROUNDS], whole[ROUNDS], once[ROUNDS], at_once;
	struct bench *bench = bench_new(-1);
	struct rig rig;
	char mode[64];

	rig_new(bench, &rig);
	rig_enter(bench, &rig, RIG_GATEWAY);
	for (int i = 0; i < ROUNDS; i++) {
		struct sl_qos *qos = build(classes);
		struct sl_qos_removal removal;
		struct sl_error err = {0};
		uint64_t before = sl_now_ns();

		check(sl_qos_remove(qos, &err), "removal", &err);
		whole[i] = (double)(sl_now_ns() - before) / 1e6;
		sl_qos_removal(qos, &removal);
		sl_qos_close(qos);
		if (removal.classes != classes)
			bench_die("%u classes of %u were removed before the qdisc", removal.classes, classes);
		longest[i] = (double)removal.longest_ns / 1e6;
		qdisc[i] = (double)removal.qdisc_ns / 1e6;
		sl_qos_close(build(classes));
		before = sl_now_ns();
		rig_run(&rig, RIG_GATEWAY, "tc qdisc del dev " BENCH_CORE " root");
		once[i] = (double)(sl_now_ns() - before) / 1e6;
	}
	at_once = bench_median(once, ROUNDS);
	for (int i = 0; i < 3; i++) {
		static const char *const what[] = {"longest chunk", "the qdisc then", "in all"};
		double *times[] = {longest, qdisc, whole};
		double ms = bench_median(times[i], ROUNDS);

		snprintf(mode, sizeof(mode), "%u classes: %s", classes, what[i]);
		printf("%-10s %-32s %8.2f ms\n", "teardown", mode, ms);
		bench_row(rows, "teardown", mode, ms, "ms", "qdisc at once", at_once,
			  at_once > 0 ? ms / at_once : 0);
	}
	printf("%-10s %-32s %8.2f ms\n", "teardown", "qdisc at once", at_once);
	rig_leave(bench);
	rig_free(&rig);
	bench_free(bench);
	return 0;
}
