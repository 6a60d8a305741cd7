// SPDX-License-Identifier: Apache-2.0
/*
 * Reading every counter: the memory-mapped usage array that sluice keeps them
 * in against the maps that are read by system call. A counter is a pair of
 * bytes and packets; a usage slot holds four.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "rig.h"
#include "sluice/maps.h"
#include "table.h"

#define COUNTERS       1000000
#define PER_SLOT       (sizeof(struct sluice_usage) / sizeof(struct sluice_counter))
#define BATCH	       8192
#define ROUNDS	       5
#define FIRST_VALUE(i) ((uint64_t)(i)*3 + 1) /* what is read back must add up */

/* One way to read: returns the sum of all packets. */
struct reader {
	int fd;
	const struct sluice_usage *slots;
	uint32_t count; /* slots of the mapped array, entries of the others */
	unsigned int cpus;
	struct sluice_counter *values;
	uint32_t *keys;
};

static int make_map(enum bpf_map_type type, const char *name, uint32_t value_size, uint32_t entries,
		    uint32_t flags)
{
	LIBBPF_OPTS(bpf_map_create_opts, opts, .map_flags = flags);
	int fd = bpf_map_create(type, name, sizeof(uint32_t), value_size, entries, &opts);

	if (fd < 0)
		bench_die("map %s: %s", name, strerror(errno));
	return fd;
}

static uint64_t read_mapped(const struct reader *reader)
{
	uint64_t bytes = 0, packets = 0;

	for (uint32_t i = 0; i < reader->count; i++) {
		const struct sluice_usage *slot = &reader->slots[i];

		bytes += slot->uplink.bytes + slot->downlink.bytes + slot->uplink_dropped.bytes +
			 slot->downlink_dropped.bytes;
		packets += slot->uplink.packets + slot->downlink.packets + slot->uplink_dropped.packets +
			   slot->downlink_dropped.packets;
	}
	if (bytes != 2 * packets)
		bench_die("bytes and packets do not agree");
	return packets;
}

static uint64_t read_batches(const struct reader *reader)
{
	LIBBPF_OPTS(bpf_map_batch_opts, opts);
	uint64_t packets = 0;
	uint64_t position = 0;
	void *from = NULL;
	int error;

	do {
		uint32_t count = BATCH;

		error = bpf_map_lookup_batch(reader->fd, from, &position, reader->keys, reader->values,
					     &count, &opts);
		if (error && error != -ENOENT)
			bench_die("batch: %s", strerror(-error));
		for (uint32_t i = 0; i < count * reader->cpus; i++)
			packets += reader->values[i].packets;
		from = &position;
	} while (!error);
	return packets;
}

static double milliseconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static double measure(const struct reader *reader, uint64_t (*read)(const struct reader *reader))
{
	double times[ROUNDS];
	uint64_t expected = 0;

	for (uint64_t i = 0; i < (reader->slots ? reader->count * PER_SLOT : reader->count); i++)
		expected += FIRST_VALUE(i);
	for (int i = -1; i < ROUNDS; i++) { /* the first one pays for the page faults */
		double before = milliseconds();

		if (read(reader) != expected)
			bench_die("the counters do not add up");
		if (i >= 0)
			times[i] = milliseconds() - before;
	}
	return bench_median(times, ROUNDS);
}

static double measure_mapped(uint32_t slots)
{
	size_t size = (size_t)slots * sizeof(struct sluice_usage);
	_cleanup_fd_ int fd =
		make_map(BPF_MAP_TYPE_ARRAY, "usage", sizeof(struct sluice_usage), slots, BPF_F_MMAPABLE);
	struct sluice_counter *counters = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	struct reader reader = {.slots = (void *)counters, .count = slots};
	double result;

	if (counters == MAP_FAILED)
		bench_die("mmap: %s", strerror(errno));
	for (uint64_t i = 0; i < slots * PER_SLOT; i++)
		counters[i] = (struct sluice_counter){.bytes = 2 * FIRST_VALUE(i), .packets = FIRST_VALUE(i)};
	result = measure(&reader, read_mapped);
	munmap(counters, size);
	return result;
}

static double measure_batches(enum bpf_map_type type)
{
	bool per_cpu = type == BPF_MAP_TYPE_PERCPU_ARRAY;
	unsigned int cpus = per_cpu ? (unsigned int)sysconf(_SC_NPROCESSORS_CONF) : 1;
	_cleanup_fd_ int fd = make_map(type, "baseline", sizeof(struct sluice_counter), COUNTERS, 0);
	_cleanup_free_ struct sluice_counter *values = calloc((size_t)BATCH * cpus, sizeof(*values));
	_cleanup_free_ uint32_t *keys = calloc(BATCH, sizeof(*keys));
	struct reader reader = {.fd = fd, .count = COUNTERS, .cpus = cpus, .values = values, .keys = keys};

	if (!values || !keys)
		bench_die("out of memory");
	for (uint32_t i = 0; i < COUNTERS; i++) {
		values[0] = (struct sluice_counter){.bytes = 2 * FIRST_VALUE(i), .packets = FIRST_VALUE(i)};
		if (bpf_map_update_elem(fd, &i, values, BPF_ANY))
			bench_die("update: %s", strerror(errno));
	}
	return measure(&reader, read_batches);
}

static void report(FILE *rows, const char *mode, double value, const char *baseline, double baseline_value)
{
	printf("%-20s %-24s %9.2f ms  %-20s %9.2f ms %9.4f\n", "counters", mode, value, baseline,
	       baseline_value, value / baseline_value);
	bench_row(rows, "counters", mode, value, "ms", baseline, baseline_value, value / baseline_value);
}

int main(int argc, char **argv)
{
	_cleanup_file_ FILE *rows = bench_rows_open(argc > 1 ? argv[1] : "/dev/null");
	double hash = measure_batches(BPF_MAP_TYPE_HASH);
	double per_cpu = measure_batches(BPF_MAP_TYPE_PERCPU_ARRAY);
	double mapped = measure_mapped(COUNTERS / PER_SLOT);

	printf("%-20s %-24s %12s  %-20s %12s %9s\n", "bench", "mode", "value", "baseline", "value", "ratio");
	report(rows, "1M counters", mapped, "hash batch", hash);
	report(rows, "1M counters", mapped, "percpu_array batch", per_cpu);
	report(rows, "1M usage slots (4M)", measure_mapped(COUNTERS), "percpu_array batch", per_cpu);
	return 0;
}
