// SPDX-License-Identifier: Apache-2.0
/* What the programs count beside usage, and the ring of drop records. */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "datapath/internal.h"

/* Both per-CPU values have the same shape: two numbers, then the counter. */
_Static_assert(sizeof(struct sluice_drop_count) == sizeof(struct sluice_pass_count), "one reader for both");
_Static_assert(offsetof(struct sluice_drop_count, dropped) == offsetof(struct sluice_pass_count, passed),
	       "one reader for both");

static int sum_over_cpus(int fd, __u32 entries, struct sluice_counter *out)
{
	_cleanup_free_ struct sluice_drop_count *values = NULL;
	int cpus = libbpf_num_possible_cpus();
	int r;

	if (cpus < 0)
		return cpus;
	values = calloc((size_t)cpus, sizeof(*values));
	if (!values)
		return -ENOMEM;
	for (__u32 i = 0; i < entries; i++) {
		struct sluice_counter sum = {0};

		r = bpf_map_lookup_elem(fd, &i, values);
		if (r < 0)
			return r;
		for (int cpu = 0; cpu < cpus; cpu++) {
			sum.bytes += values[cpu].dropped.bytes;
			sum.packets += values[cpu].dropped.packets;
		}
		out[i] = sum;
	}
	return 0;
}

int sl_drops_read(struct sl_datapath *datapath,
		  struct sluice_counter out[SLUICE_DROP_REASON_COUNT][SLUICE_DIRECTIONS])
{
	struct sluice_counter sums[SLUICE_DROP_REASON_COUNT * SLUICE_DIRECTIONS];
	int r = sum_over_cpus(datapath->map_fd[SL_MAP_DROPS], SL_ARRAY_SIZE(sums), sums);

	if (r == 0)
		memcpy(out, sums, sizeof(sums));
	return r;
}

int sl_passes_read(struct sl_datapath *datapath,
		   struct sluice_counter out[SLUICE_PASS_KIND_COUNT][SLUICE_DIRECTIONS])
{
	struct sluice_counter sums[SLUICE_PASS_KIND_COUNT * SLUICE_DIRECTIONS];
	int r = sum_over_cpus(datapath->map_fd[SL_MAP_PASSES], SL_ARRAY_SIZE(sums), sums);

	if (r == 0)
		memcpy(out, sums, sizeof(sums));
	return r;
}

uint64_t sl_lost_events_read(struct sl_datapath *datapath)
{
	int cpus = libbpf_num_possible_cpus();
	_cleanup_free_ __u64 *values = NULL;
	uint64_t sum = 0;
	__u32 key = 0;

	if (cpus < 0)
		return 0;
	values = calloc((size_t)cpus, sizeof(*values));
	if (!values || bpf_map_lookup_elem(datapath->map_fd[SL_MAP_LOST_EVENTS], &key, values) < 0)
		return 0;
	for (int cpu = 0; cpu < cpus; cpu++)
		sum += values[cpu];
	return sum;
}

uint64_t sl_answers_withheld_read(struct sl_datapath *datapath)
{
	int cpus = libbpf_num_possible_cpus();
	_cleanup_free_ struct sluice_answers *values = NULL;
	uint64_t sum = 0;
	__u32 key = 0;

	if (cpus < 0)
		return 0;
	values = calloc((size_t)cpus, sizeof(*values));
	if (!values || bpf_map_lookup_elem(datapath->map_fd[SL_MAP_ANSWERS], &key, values) < 0)
		return 0;
	for (int cpu = 0; cpu < cpus; cpu++)
		sum += values[cpu].withheld;
	return sum;
}

void sl_watch_drops(struct sl_datapath *datapath, bool on)
{
	__atomic_store_n(&datapath->maps.settings->watch_drops, on ? 1u : 0u, __ATOMIC_RELAXED);
}

int sl_events_fd(struct sl_datapath *datapath)
{
	return ring_buffer__epoll_fd(datapath->ring);
}

int sl_events_consume(struct sl_datapath *datapath,
		      void (*on_drop)(const struct sluice_drop_event *event, void *user),
		      void (*on_quota)(const struct sluice_quota_event *event, void *user), void *user)
{
	int r;

	datapath->on_drop = on_drop;
	datapath->on_quota = on_quota;
	datapath->on_event_user = user;
	datapath->events_consumed = 0;
	r = ring_buffer__consume(datapath->ring);
	datapath->on_drop = NULL;
	datapath->on_quota = NULL;
	/* -EAGAIN: the bound of one call; the fd stays readable */
	return r < 0 && r != -EAGAIN ? r : 0;
}
