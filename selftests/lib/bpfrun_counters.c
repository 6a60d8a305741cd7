// SPDX-License-Identifier: Apache-2.0
/* What the programs of the rig have counted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <cmocka.h>

#include <errno.h>

#include "bpfrun_rig.h"

const struct sluice_usage *bpfrun_usage(struct bpfrun *run, uint32_t slot)
{
	if (slot >= BPFRUN_USAGE)
		fail_msg("usage slot %u", slot);
	return &run->usage[slot];
}

static void add(struct sluice_counter *sum, const struct sluice_counter *counter)
{
	sum->bytes += counter->bytes;
	sum->packets += counter->packets;
}

/* Both per-CPU maps hold two enums and a counter; what they say of themselves must fit their place. */
static struct sluice_counter sum_cpus(const struct bpf_map *map, uint32_t kind, uint32_t direction)
{
	int cpus = libbpf_num_possible_cpus();
	struct sluice_drop_count *values = calloc((size_t)cpus, sizeof(*values));
	uint32_t key = kind * SLUICE_DIRECTIONS + direction;
	struct sluice_counter sum = {0};

	_Static_assert(sizeof(struct sluice_drop_count) == sizeof(struct sluice_pass_count), "alike");
	if (!values || bpf_map_lookup_elem(bpf_map__fd(map), &key, values))
		fail_msg("map %s: %s", bpf_map__name(map), strerror(errno));
	for (int i = 0; i < cpus; i++) {
		if (values[i].dropped.packets &&
		    ((uint32_t)values[i].reason != kind || (uint32_t)values[i].direction != direction))
			fail_msg("map %s: entry %u says %u, %u", bpf_map__name(map), key,
				 (uint32_t)values[i].reason, (uint32_t)values[i].direction);
		add(&sum, &values[i].dropped);
	}
	free(values);
	return sum;
}

struct sluice_counter bpfrun_drops(struct bpfrun *run, enum sluice_drop_reason reason,
				   enum sluice_direction direction)
{
	return sum_cpus(run->tc->maps.drops, reason, direction);
}

struct sluice_counter bpfrun_passes(struct bpfrun *run, enum sluice_pass_kind kind,
				    enum sluice_direction direction)
{
	return sum_cpus(run->tc->maps.passes, kind, direction);
}

uint64_t bpfrun_lost_events(struct bpfrun *run)
{
	int cpus = libbpf_num_possible_cpus();
	uint64_t values[256];
	uint64_t sum = 0;
	uint32_t key = 0;

	if (cpus < 1 || cpus > 256 ||
	    bpf_map_lookup_elem(bpf_map__fd(run->tc->maps.lost_events), &key, values))
		fail_msg("map lost_events: %s", strerror(errno));
	for (int i = 0; i < cpus; i++)
		sum += values[i];
	return sum;
}

uint64_t bpfrun_answers_withheld(struct bpfrun *run)
{
	int cpus = libbpf_num_possible_cpus();
	struct sluice_answers values[256];
	uint64_t sum = 0;
	uint32_t key = 0;

	if (cpus < 1 || cpus > 256 || bpf_map_lookup_elem(bpf_map__fd(run->tc->maps.answers), &key, values))
		fail_msg("map answers: %s", strerror(errno));
	for (int i = 0; i < cpus; i++)
		sum += values[i].withheld;
	return sum;
}

struct bpfrun_counters bpfrun_counters(struct bpfrun *run)
{
	struct bpfrun_counters all = {0};

	for (uint32_t i = 0; i < BPFRUN_USAGE; i++) {
		add(&all.usage, &run->usage[i].uplink);
		add(&all.usage, &run->usage[i].downlink);
		add(&all.usage_dropped, &run->usage[i].uplink_dropped);
		add(&all.usage_dropped, &run->usage[i].downlink_dropped);
	}
	for (uint32_t direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
		for (uint32_t i = 0; i < SLUICE_DROP_REASON_COUNT; i++) {
			struct sluice_counter drops = bpfrun_drops(run, i, direction);

			add(&all.drops, &drops);
		}
		for (uint32_t i = 0; i < SLUICE_PASS_KIND_COUNT; i++) {
			struct sluice_counter passes = bpfrun_passes(run, i, direction);

			add(&all.passes, &passes);
		}
	}
	return all;
}
