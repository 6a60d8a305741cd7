// SPDX-License-Identifier: Apache-2.0
/* Tables and counts of the IDS stage by key, in batches where all of it is wanted, and its ring. */
#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "datapath/ids_maps.h"
#include "datapath/internal.h"

static const struct {
	const char *name;
	enum sl_map map;
	size_t key_size;
	size_t value_size;
} tables[SL_IDS_TABLE_COUNT] = {
#define TABLE(table, name, map, value) \
	[table] = {name, map, sizeof(struct sluice_ids_key), sizeof(struct value)}
	TABLE(SL_IDS_BLOCKS, "ids_blocks", SL_MAP_IDS_BLOCKS, sluice_ids_block),
	/* the maps of states: their keys are in datapath->ids_places */
	TABLE(SL_IDS_BUCKETS, "ids_buckets", SL_MAP_IDS_BUCKETS, sluice_ids_bucket),
	TABLE(SL_IDS_BUCKETS_LRU, "ids_buckets_lru", SL_MAP_IDS_BUCKETS_LRU, sluice_ids_bucket),
	TABLE(SL_IDS_WINDOWS, "ids_windows", SL_MAP_IDS_WINDOWS, sluice_ids_window),
	TABLE(SL_IDS_LOGS, "ids_logs", SL_MAP_IDS_LOGS, sluice_ids_log),
	TABLE(SL_IDS_SETS, "ids_sets", SL_MAP_IDS_SETS, sluice_ids_set),
	TABLE(SL_IDS_CONNECTIONS, "ids_connections", SL_MAP_IDS_CONNECTIONS, sluice_ids_connection),
	TABLE(SL_IDS_OFFENDERS, "ids_offenders", SL_MAP_IDS_OFFENDERS, sluice_ids_offender),
	TABLE(SL_IDS_NOTES, "ids_notes", SL_MAP_IDS_NOTES, sluice_ids_note),
	[SL_IDS_OVERRIDE_PAIRS] = {"ids_overrides", SL_MAP_IDS_OVERRIDES, sizeof(struct sluice_ids_override),
				   sizeof(uint32_t)},
#undef TABLE
};

const struct sl_ids_arrays *sl_ids_arrays(struct sl_datapath *datapath)
{
	return &datapath->ids;
}

void sl_ids_dropped_clear(struct sl_datapath *datapath, uint32_t session)
{
	if (session < datapath->ids_dropped_size)
		datapath->ids_dropped[session] = (struct sluice_counter){0};
}

const char *sl_ids_table_name(enum sl_ids_map table)
{
	return tables[table].name;
}

static int table_fd(const struct sl_datapath *datapath, enum sl_ids_map table)
{
	return datapath->map_fd[tables[table].map];
}

/* NULL: a table of the kernel's. */
static const struct sl_places *places_of(const struct sl_datapath *datapath, enum sl_ids_map table)
{
	return table == SL_IDS_BUCKETS || table == SL_IDS_WINDOWS || table == SL_IDS_LOGS
		       ? &datapath->ids_places[table]
		       : NULL;
}

uint32_t sl_ids_table_size(struct sl_datapath *datapath, enum sl_ids_map table)
{
	const struct sl_places *places = places_of(datapath, table);
	struct bpf_map_info info = {0};
	__u32 size = sizeof(info);

	if (places)
		return sl_places_keys(places->elements);
	return bpf_obj_get_info_by_fd(table_fd(datapath, table), &info, &size) < 0 ? 0 : info.max_entries;
}

int sl_ids_get(struct sl_datapath *datapath, enum sl_ids_map table, const void *key, void *value)
{
	const struct sl_places *places = places_of(datapath, table);

	return places ? sl_places_get(places, key, value)
		      : bpf_map_lookup_elem(table_fd(datapath, table), key, value);
}

int sl_ids_set(struct sl_datapath *datapath, enum sl_ids_map table, const void *key, const void *value,
	       uint64_t flags)
{
	const struct sl_places *places = places_of(datapath, table);

	return places ? sl_places_set(places, key, value, flags)
		      : bpf_map_update_elem(table_fd(datapath, table), key, value, flags);
}

int sl_ids_delete(struct sl_datapath *datapath, enum sl_ids_map table, const void *key)
{
	const struct sl_places *places = places_of(datapath, table);

	return places ? sl_places_delete(places, key) : bpf_map_delete_elem(table_fd(datapath, table), key);
}

int sl_ids_take(struct sl_datapath *datapath, enum sl_ids_map table, const void *key, void *value)
{
	if (places_of(datapath, table))
		return -EOPNOTSUPP;
	return bpf_map_lookup_and_delete_elem(table_fd(datapath, table), key, value);
}

int sl_ids_set_many(struct sl_datapath *datapath, enum sl_ids_map table, const void *keys, const void *values,
		    uint32_t count, uint32_t *done)
{
	__u32 number = count;
	int r;

	*done = 0;
	if (places_of(datapath, table))
		return -EOPNOTSUPP;
	if (count == 0)
		return 0;
	r = bpf_map_update_batch(table_fd(datapath, table), keys, values, &number, NULL);
	/* the kernel does not write the number where it refuses the call itself */
	*done = r < 0 && number == count ? 0 : number;
	return r;
}

#define WALK_BEGUN (1ull << 32) /* the lower half is the kernel's: a bucket */

/* Whole buckets are read: a step must have room for the fullest. */
#define WALK_LEAST 128

static int walk_kernel(struct sl_datapath *datapath, enum sl_ids_map table, uint64_t *position, uint32_t max,
		       int (*visit)(const void *key, void *value, void *user), void *user)
{
	const size_t key_size = tables[table].key_size, value_size = tables[table].value_size;
	const uint32_t room = max < WALK_LEAST ? WALK_LEAST : max;
	_cleanup_free_ uint8_t *keys = calloc(room, key_size);
	_cleanup_free_ uint8_t *values = calloc(room, value_size);
	__u32 count = room, at = (__u32)*position;
	int r;

	if (!keys || !values)
		return -ENOMEM;
	/* -ENOENT comes with the last of them */
	r = bpf_map_lookup_batch(table_fd(datapath, table), *position ? &at : NULL, &at, keys, values, &count,
				 NULL);
	if (r < 0 && r != -ENOENT)
		return r;
	*position = r == -ENOENT ? 0 : WALK_BEGUN | at;
	for (__u32 i = 0; i < count; i++) {
		int stop = visit(keys + i * key_size, values + i * value_size, user);

		if (stop)
			return stop;
	}
	return 0;
}

int sl_ids_walk(struct sl_datapath *datapath, enum sl_ids_map table, uint64_t *position, uint32_t max,
		int (*visit)(const void *key, void *value, void *user), void *user)
{
	const struct sl_places *places = places_of(datapath, table);

	return places ? sl_places_walk(places, position, max, visit, user)
		      : walk_kernel(datapath, table, position, max, visit, user);
}

/* --- counts -------------------------------------------------------------------- */

/* Values of all CPUs, which the caller frees; NULL: it failed, with the reason in *r. */
static void *read_cpus(int fd, uint32_t index, size_t value_size, int *cpus, int *r)
{
	void *values;

	*cpus = libbpf_num_possible_cpus();
	if (*cpus < 0) {
		*r = *cpus;
		return NULL;
	}
	values = calloc((size_t)*cpus, value_size);
	*r = values ? bpf_map_lookup_elem(fd, &index, values) : -ENOMEM;
	if (*r == 0)
		return values;
	free(values);
	return NULL;
}

int sl_ids_table_counts(struct sl_datapath *datapath, enum sl_ids_map table,
			struct sluice_ids_table_count *out)
{
	_cleanup_free_ struct sluice_ids_table_count *values = NULL;
	struct sluice_ids_table_count sum = {0};
	int cpus, r;

	values = read_cpus(datapath->map_fd[SL_MAP_IDS_TABLE_COUNTS], (uint32_t)table, sizeof(*values), &cpus,
			   &r);
	if (!values)
		return r;
	for (int cpu = 0; cpu < cpus; cpu++) {
		sum.made += values[cpu].made;
		sum.refused += values[cpu].refused;
	}
	*out = sum;
	return 0;
}

static void add(struct sluice_counter *sum, const struct sluice_counter *counter)
{
	sum->bytes += counter->bytes;
	sum->packets += counter->packets;
}

int sl_ids_rule_counts(struct sl_datapath *datapath, uint32_t slot, struct sluice_ids_rule_count *out)
{
	_cleanup_free_ struct sluice_ids_rule_count *values = NULL;
	struct sluice_ids_rule_count sum = {0};
	int cpus, r;

	values = read_cpus(datapath->map_fd[SL_MAP_IDS_RULE_COUNTS], slot, sizeof(*values), &cpus, &r);
	if (!values)
		return r;
	for (int cpu = 0; cpu < cpus; cpu++) {
		add(&sum.matched, &values[cpu].matched);
		add(&sum.excess, &values[cpu].excess);
		add(&sum.dropped, &values[cpu].dropped);
		sum.keys_refused += values[cpu].keys_refused;
		sum.events_suppressed += values[cpu].events_suppressed;
		sum.sequence += values[cpu].sequence;
		if (values[cpu].told_ns > sum.told_ns)
			sum.told_ns = values[cpu].told_ns;
	}
	*out = sum;
	return 0;
}

int sl_ids_rule_counts_clear(struct sl_datapath *datapath, uint32_t slot)
{
	_cleanup_free_ struct sluice_ids_rule_count *values = NULL;
	int fd = datapath->map_fd[SL_MAP_IDS_RULE_COUNTS];
	int cpus, r;

	values = read_cpus(fd, slot, sizeof(*values), &cpus, &r);
	if (!values)
		return r;
	for (int cpu = 0; cpu < cpus; cpu++)
		values[cpu] = (struct sluice_ids_rule_count){.sequence = values[cpu].sequence};
	return bpf_map_update_elem(fd, &slot, values, BPF_ANY);
}

/* --- events -------------------------------------------------------------------- */

int sl_ids_on_event(void *user, void *data, size_t size)
{
	struct sl_datapath *datapath = user;

	if (size < sizeof(struct sluice_ids_event))
		return 0;
	datapath->on_ids(data, datapath->on_ids_user);
	return --datapath->ids_events_left == 0 ? -EAGAIN : 0;
}

int sl_ids_events_fd(struct sl_datapath *datapath)
{
	return ring_buffer__epoll_fd(datapath->ids_ring);
}

int sl_ids_events_consume(struct sl_datapath *datapath, uint32_t max,
			  void (*on_event)(const struct sluice_ids_event *event, void *user), void *user)
{
	int r;

	if (max == 0)
		return 0;
	datapath->on_ids = on_event;
	datapath->on_ids_user = user;
	datapath->ids_events_left = max;
	r = ring_buffer__consume(datapath->ids_ring);
	/* -EAGAIN: the bound of one call; the fd stays readable */
	return r < 0 && r != -EAGAIN ? r : 0;
}
