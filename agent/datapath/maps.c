// SPDX-License-Identifier: Apache-2.0
/*
 * The pinned maps. A set is complete when settings.layout is written, which
 * happens last; a set without it is what a start that died left behind, and is
 * thrown away. A complete set of another layout is never touched: it is
 * refused, because it holds sessions that only its own agent can read.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "datapath/internal.h"

static const struct {
	const char *name;
	uint32_t type;
	uint32_t key_size;
	uint32_t value_size;
} shapes[SL_MAP_COUNT] = {
#define HASH(name, key, value)                                                    \
	{                                                                         \
		name, BPF_MAP_TYPE_HASH, sizeof(struct key), sizeof(struct value) \
	}
#define ARRAY(name, value)                                        \
	{                                                         \
		name, BPF_MAP_TYPE_ARRAY, 4, sizeof(struct value) \
	}
#define PERCPU_ARRAY(name, value)                                 \
	{                                                         \
		name, BPF_MAP_TYPE_PERCPU_ARRAY, 4, sizeof(value) \
	}
	[SL_MAP_ENDPOINTS4] = HASH("endpoints4", sluice_ip4, sluice_endpoint),
	[SL_MAP_ENDPOINTS6] = HASH("endpoints6", sluice_ip6_prefix, sluice_endpoint),
	[SL_MAP_INDEX4] = ARRAY("index4", sluice_index4),
	[SL_MAP_INDEX6] = ARRAY("index6", sluice_index6),
	[SL_MAP_POLICIES] = ARRAY("policies", sluice_policy),
	[SL_MAP_BINDINGS] = ARRAY("bindings", sluice_binding),
	[SL_MAP_MATCHES4] = ARRAY("matches4", sluice_match4_block),
	[SL_MAP_MATCHES6] = ARRAY("matches6", sluice_match6_block),
	[SL_MAP_BRANCHES] = ARRAY("branches", sluice_branch),
	[SL_MAP_USAGE] = ARRAY("usage", sluice_usage),
	[SL_MAP_USAGE_OWNERS] = ARRAY("usage_owners", sluice_usage_owner),
	[SL_MAP_SESSIONS] = ARRAY("sessions", sluice_session_record),
	[SL_MAP_RULES] = ARRAY("rules", sluice_rule_record),
	[SL_MAP_FLOWS] = ARRAY("flows", sluice_flow),
	[SL_MAP_METERS] = ARRAY("meters", sluice_meter),
	[SL_MAP_QUOTA_OF] = {"quota_of", BPF_MAP_TYPE_ARRAY, 4, sizeof(uint64_t)},
	[SL_MAP_QUOTAS] = ARRAY("quotas", sluice_quota),
	[SL_MAP_QUOTA_OWNERS] = ARRAY("quota_owners", sluice_quota_owner),
	[SL_MAP_MARKS] = ARRAY("marks", sluice_mark),
	[SL_MAP_VLANS] = {"vlans", BPF_MAP_TYPE_ARRAY, 4, sizeof(uint64_t)},
	[SL_MAP_NEIGHBOURS] = {"neighbours", BPF_MAP_TYPE_HASH, sizeof(struct sluice_neighbour),
			       sizeof(uint32_t)},
	[SL_MAP_EGRESS_DEVICES] = {"egress_devices", BPF_MAP_TYPE_HASH, 4, sizeof(uint32_t)},
	[SL_MAP_STEERS] = ARRAY("steers", sluice_steer),
	[SL_MAP_PORTAL] = {"portal", BPF_MAP_TYPE_SOCKMAP, 4, 8},
	[SL_MAP_DROPS] = PERCPU_ARRAY("drops", struct sluice_drop_count),
	[SL_MAP_PASSES] = PERCPU_ARRAY("passes", struct sluice_pass_count),
	[SL_MAP_LOST_EVENTS] = PERCPU_ARRAY("lost_events", __u64),
	[SL_MAP_ANSWERS] = PERCPU_ARRAY("answers", struct sluice_answers),
	[SL_MAP_EVENTS] = {"events", BPF_MAP_TYPE_RINGBUF, 0, 0},
	[SL_MAP_IDS_SETTINGS] = ARRAY("ids_settings", sluice_ids_settings),
	[SL_MAP_IDS_RULES] = ARRAY("ids_rules", sluice_ids_rule),
	[SL_MAP_IDS_MATCHES] = ARRAY("ids_matches", sluice_ids_match),
	[SL_MAP_IDS_RULE_COUNTS] = PERCPU_ARRAY("ids_rule_counts", struct sluice_ids_rule_count),
	[SL_MAP_IDS_TABLE_COUNTS] = PERCPU_ARRAY("ids_table_counts", struct sluice_ids_table_count),
	[SL_MAP_IDS_DROPPED] = ARRAY("ids_dropped", sluice_counter),
	[SL_MAP_IDS_BLOCKS] = HASH("ids_blocks", sluice_ids_key, sluice_ids_block),
	[SL_MAP_IDS_OFFENDERS] = HASH("ids_offenders", sluice_ids_key, sluice_ids_offender),
	[SL_MAP_IDS_NOTES] = HASH("ids_notes", sluice_ids_key, sluice_ids_note),
	[SL_MAP_IDS_OVERRIDES] = {"ids_overrides", BPF_MAP_TYPE_HASH, sizeof(struct sluice_ids_override),
				  sizeof(uint32_t)},
	[SL_MAP_IDS_BUCKET_KEYS] = ARRAY("ids_bucket_keys", sluice_ids_group),
	[SL_MAP_IDS_BUCKETS] = ARRAY("ids_buckets", sluice_ids_bucket),
	[SL_MAP_IDS_BUCKETS_LRU] = {"ids_buckets_lru", BPF_MAP_TYPE_LRU_HASH, sizeof(struct sluice_ids_key),
				    sizeof(struct sluice_ids_bucket)},
	[SL_MAP_IDS_WINDOW_KEYS] = ARRAY("ids_window_keys", sluice_ids_group),
	[SL_MAP_IDS_WINDOWS] = ARRAY("ids_windows", sluice_ids_window),
	[SL_MAP_IDS_LOG_KEYS] = ARRAY("ids_log_keys", sluice_ids_group),
	[SL_MAP_IDS_LOGS] = ARRAY("ids_logs", sluice_ids_log),
	[SL_MAP_IDS_PLACE_LOCKS] = ARRAY("ids_place_locks", sluice_ids_place_lock),
	[SL_MAP_IDS_SETS] = HASH("ids_sets", sluice_ids_key, sluice_ids_set),
	[SL_MAP_IDS_CONNECTIONS] = HASH("ids_connections", sluice_ids_key, sluice_ids_connection),
	[SL_MAP_IDS_SKETCH] = {"ids_sketch", BPF_MAP_TYPE_ARRAY, 4, sizeof(uint32_t)},
	[SL_MAP_IDS_EVENTS] = {"ids_events", BPF_MAP_TYPE_RINGBUF, 0, 0},
	[SL_MAP_SETTINGS] = ARRAY("settings", sluice_settings),
#undef HASH
#undef ARRAY
#undef PERCPU_ARRAY
};

static void map_path(const struct sl_datapath *datapath, enum sl_map map, char out[SL_PIN_PATH_SIZE])
{
	snprintf(out, SL_PIN_PATH_SIZE, "%s/maps/%s", datapath->config.pin_path, shapes[map].name);
}

static int map_info(int fd, struct bpf_map_info *info)
{
	__u32 size = sizeof(*info);

	memset(info, 0, sizeof(*info));
	return bpf_obj_get_info_by_fd(fd, info, &size);
}

/* 0: no settings, or a set that was never finished. */
static uint32_t pinned_layout(int settings_fd)
{
	_cleanup_free_ unsigned char *value = NULL;
	struct bpf_map_info info;
	uint32_t layout = 0;
	__u32 key = 0;

	if (settings_fd < 0 || map_info(settings_fd, &info) < 0 || info.type != BPF_MAP_TYPE_ARRAY ||
	    info.value_size < sizeof(layout))
		return 0;
	value = malloc(info.value_size);
	/* whatever else a layout changes, its number stays first */
	if (value && bpf_map_lookup_elem(settings_fd, &key, value) == 0)
		memcpy(&layout, value, sizeof(layout));
	return layout;
}

static int check_shape(const struct sl_datapath *datapath, enum sl_map map, struct sl_error *err)
{
	const char *pin_path = datapath->config.pin_path;
	struct bpf_map_info info;
	int r;

	if (datapath->map_fd[map] < 0)
		return sl_error(
			err, EPROTO,
			"%s/maps/%s is missing; take the rest off with `sluiced --detach` and start again",
			pin_path, shapes[map].name);
	r = map_info(datapath->map_fd[map], &info);
	if (r < 0)
		return sl_error(err, -r, "%s/maps/%s: %s", pin_path, shapes[map].name, strerror(-r));
	if (info.type != shapes[map].type || info.key_size != shapes[map].key_size ||
	    info.value_size != shapes[map].value_size)
		return sl_error(
			err, EPROTO,
			"%s/maps/%s: type %u, key %u, value %u bytes, where this agent has type %u, key %u, "
			"value %u; take the maps off with `sluiced --detach` and start again",
			pin_path, shapes[map].name, info.type, info.key_size, info.value_size,
			shapes[map].type, shapes[map].key_size, shapes[map].value_size);
	return 0;
}

int sl_maps_open_pins(struct sl_datapath *datapath, bool *adopted, struct sl_error *err)
{
	char path[SL_PIN_PATH_SIZE];
	unsigned int found = 0;
	uint32_t layout;
	int r;

	for (enum sl_map map = 0; map < SL_MAP_COUNT; map++) {
		map_path(datapath, map, path);
		r = bpf_obj_get(path);
		if (r < 0 && r != -ENOENT)
			return sl_error(err, -r, "opening %s: %s", path, strerror(-r));
		if (r < 0)
			continue;
		datapath->map_fd[map] = r;
		found++;
	}

	layout = pinned_layout(datapath->map_fd[SL_MAP_SETTINGS]);
	if (layout == 0) {
		if (found)
			sl_log(SL_LOG_WARNING, "unfinished-maps-removed", "pin_path", "%s",
			       datapath->config.pin_path, "maps", "%u", found, NULL);
		for (enum sl_map map = 0; map < SL_MAP_COUNT; map++) {
			sl_cleanup_fd(&datapath->map_fd[map]);
			datapath->map_fd[map] = -1;
		}
		r = sl_pins_remove_maps(datapath->config.pin_path, err);
		if (r < 0)
			return r;
		*adopted = false;
		return 0;
	}
	if (layout != SLUICE_LAYOUT)
		return sl_error(
			err, EPROTO,
			"%s holds maps of layout %u, this agent has layout %u; take them off with `sluiced "
			"--detach` (enforcement ends until the next start) and start again",
			datapath->config.pin_path, layout, SLUICE_LAYOUT);
	for (enum sl_map map = 0; map < SL_MAP_COUNT; map++) {
		r = check_shape(datapath, map, err);
		if (r < 0)
			return r;
	}
	*adopted = true;
	return 0;
}

static uint64_t places(uint32_t keys)
{
	return (sl_places_elements(keys) - 1ull) * SLUICE_IDS_GROUP;
}

/* 0: as the BPF object says. */
static uint64_t wanted_entries(const struct sl_datapath_limits *limits, enum sl_map map)
{
	switch (map) {
	case SL_MAP_ENDPOINTS4:
	case SL_MAP_ENDPOINTS6:
	case SL_MAP_SESSIONS:
		return limits->sessions;
	/* a quarter of each bucket is used on average, so that few addresses find theirs full */
	case SL_MAP_INDEX4:
		return (uint64_t)limits->sessions / 2 + 2;
	case SL_MAP_INDEX6:
		return (uint64_t)limits->sessions + 2;
	case SL_MAP_POLICIES:
		/* an update writes the new policy beside the old one, which lives on for a grace period;
		   sessions with final rules have two, and those have quotas */
		return (uint64_t)limits->sessions * 5 / 4 + 64 +
		       (limits->quotas < limits->sessions ? limits->quotas : limits->sessions) * 5ull / 4;
	case SL_MAP_BINDINGS:
		return limits->bindings;
	case SL_MAP_MATCHES4:
	case SL_MAP_MATCHES6:
	case SL_MAP_BRANCHES:
		return limits->matches;
	case SL_MAP_USAGE:
	case SL_MAP_USAGE_OWNERS:
	case SL_MAP_QUOTA_OF:
		return limits->usage;
	case SL_MAP_RULES:
		return limits->rules;
	case SL_MAP_FLOWS:
		return limits->flows;
	case SL_MAP_METERS:
		return (uint64_t)limits->meters + SLUICE_METERS_FIXED;
	case SL_MAP_QUOTAS:
	case SL_MAP_QUOTA_OWNERS:
		return limits->quotas;
	case SL_MAP_IDS_DROPPED:
		return limits->sessions;
	case SL_MAP_IDS_OVERRIDES:
		return SLUICE_IDS_OVERRIDES;
	case SL_MAP_IDS_BLOCKS:
	case SL_MAP_IDS_OFFENDERS:
		return limits->ids_blocks;
	case SL_MAP_IDS_NOTES:
		return (uint64_t)limits->ids_blocks * 2;
	case SL_MAP_IDS_BUCKETS_LRU:
		return limits->ids_buckets;
	case SL_MAP_IDS_BUCKET_KEYS:
		return sl_places_elements(limits->ids_buckets);
	case SL_MAP_IDS_BUCKETS:
		return places(limits->ids_buckets);
	case SL_MAP_IDS_WINDOW_KEYS:
		return sl_places_elements(limits->ids_windows);
	case SL_MAP_IDS_WINDOWS:
		return places(limits->ids_windows);
	case SL_MAP_IDS_LOG_KEYS:
		return sl_places_elements(limits->ids_logs);
	case SL_MAP_IDS_LOGS:
		return places(limits->ids_logs);
	case SL_MAP_IDS_SETS:
		return limits->ids_sets;
	case SL_MAP_IDS_CONNECTIONS:
		return limits->ids_connections;
	default:
		return 0;
	}
}

static int check_limits(const struct sl_datapath_limits *limits, struct sl_error *err)
{
	const struct {
		const char *name;
		uint32_t value;
	} all[] = {
		{"sessions", limits->sessions}, {"usage", limits->usage},     {"rules", limits->rules},
		{"flows", limits->flows},	{"matches", limits->matches}, {"bindings", limits->bindings},
		{"meters", limits->meters},	{"quotas", limits->quotas},
	};

	for (size_t i = 0; i < SL_ARRAY_SIZE(all); i++)
		if (all[i].value == 0)
			return sl_error(err, EINVAL, "limits.%s: 0 is not allowed", all[i].name);
	if (wanted_entries(limits, SL_MAP_POLICIES) > UINT32_MAX)
		return sl_error(err, EINVAL, "limits.sessions: %u is too many", limits->sessions);
	return 0;
}

static int map_by_name(const char *name)
{
	for (int map = 0; map < SL_MAP_COUNT; map++)
		if (strcmp(shapes[map].name, name) == 0)
			return map;
	return -1;
}

int sl_maps_prepare_object(struct sl_datapath *datapath, struct bpf_object *object, struct sl_error *err)
{
	struct bpf_map *map;
	int r;

	r = check_limits(&datapath->config.limits, err);
	if (r < 0)
		return r;
	bpf_object__for_each_map(map, object)
	{
		int number = map_by_name(bpf_map__name(map));
		uint64_t entries;

		if (number < 0)
			continue;
		if (datapath->map_fd[number] >= 0) {
			r = bpf_map__reuse_fd(map, datapath->map_fd[number]);
		} else {
			entries = wanted_entries(&datapath->config.limits, (enum sl_map)number);
			r = entries ? bpf_map__set_max_entries(map, (__u32)entries) : 0;
		}
		if (r < 0)
			return sl_error(err, -r, "map %s: %s", shapes[number].name, strerror(-r));
	}
	return 0;
}

int sl_maps_pin(struct sl_datapath *datapath, struct bpf_object *object, struct sl_error *err)
{
	char path[SL_PIN_PATH_SIZE];
	int r;

	for (enum sl_map map = 0; map < SL_MAP_COUNT; map++) {
		int fd = bpf_object__find_map_fd_by_name(object, shapes[map].name);

		if (fd < 0)
			return sl_error(err, EPROTO, "the BPF object has no map %s", shapes[map].name);
		fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
		if (fd < 0)
			return sl_error(err, errno, "map %s: %s", shapes[map].name, strerror(errno));
		datapath->map_fd[map] = fd;
		map_path(datapath, map, path);
		r = sl_pin_object(fd, path, err);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The numbers in drops and passes explain themselves in a bpftool dump. */
static int write_labels(const struct sl_datapath *datapath)
{
	int cpus = libbpf_num_possible_cpus();
	_cleanup_free_ struct sluice_drop_count *drops = NULL;
	_cleanup_free_ struct sluice_pass_count *passes = NULL;
	int r = 0;

	if (cpus < 0)
		return cpus;
	drops = calloc((size_t)cpus, sizeof(*drops));
	passes = calloc((size_t)cpus, sizeof(*passes));
	if (!drops || !passes)
		return -ENOMEM;
	for (__u32 i = 0; r == 0 && i < SLUICE_DROP_REASON_COUNT * SLUICE_DIRECTIONS; i++) {
		for (int cpu = 0; cpu < cpus; cpu++) {
			drops[cpu].reason = i / SLUICE_DIRECTIONS;
			drops[cpu].direction = i % SLUICE_DIRECTIONS;
		}
		r = bpf_map_update_elem(datapath->map_fd[SL_MAP_DROPS], &i, drops, BPF_ANY);
	}
	for (__u32 i = 0; r == 0 && i < SLUICE_PASS_KIND_COUNT * SLUICE_DIRECTIONS; i++) {
		for (int cpu = 0; cpu < cpus; cpu++) {
			passes[cpu].kind = i / SLUICE_DIRECTIONS;
			passes[cpu].direction = i % SLUICE_DIRECTIONS;
		}
		r = bpf_map_update_elem(datapath->map_fd[SL_MAP_PASSES], &i, passes, BPF_ANY);
	}
	return r;
}

static int map_one(struct sl_datapath *datapath, enum sl_map map, void **address, uint32_t *entries,
		   struct sl_error *err)
{
	struct sl_mapping *mapping = &datapath->mapping[map];
	struct bpf_map_info info;
	void *memory;
	int r;

	r = map_info(datapath->map_fd[map], &info);
	if (r < 0)
		return sl_error(err, -r, "map %s: %s", shapes[map].name, strerror(-r));
	mapping->length = (size_t)info.max_entries * ((info.value_size + 7) & ~7u);
	memory = mmap(NULL, mapping->length, PROT_READ | PROT_WRITE, MAP_SHARED, datapath->map_fd[map], 0);
	if (memory == MAP_FAILED)
		return sl_error(err, errno, "map %s: mmap of %zu bytes: %s", shapes[map].name,
				mapping->length, strerror(errno));
	mapping->address = memory;
	*address = memory;
	if (entries && (*entries == 0 || info.max_entries < *entries))
		*entries = info.max_entries;
	return 0;
}

/* Of tables, which are in nobody's memory. */
static int read_table_sizes(struct sl_datapath *datapath, struct sl_error *err)
{
	struct sl_datapath_limits *size = &datapath->maps.size;
	const struct {
		enum sl_map map;
		uint32_t *entries;
	} all[] = {
		{SL_MAP_IDS_BLOCKS, &size->ids_blocks},
		{SL_MAP_IDS_SETS, &size->ids_sets},
		{SL_MAP_IDS_CONNECTIONS, &size->ids_connections},
	};
	struct bpf_map_info info;
	int r;

	for (size_t i = 0; i < SL_ARRAY_SIZE(all); i++) {
		r = map_info(datapath->map_fd[all[i].map], &info);
		if (r < 0)
			return sl_error(err, -r, "map %s: %s", shapes[all[i].map].name, strerror(-r));
		*all[i].entries = info.max_entries;
	}
	size->ids_buckets = sl_places_keys(datapath->ids_places[SL_IDS_BUCKETS].elements);
	size->ids_windows = sl_places_keys(datapath->ids_places[SL_IDS_WINDOWS].elements);
	size->ids_logs = sl_places_keys(datapath->ids_places[SL_IDS_LOGS].elements);
	return 0;
}

static int begin_places(struct sl_datapath *datapath, bool adopted, struct sl_error *err)
{
	static const struct {
		enum sl_ids_map table;
		enum sl_map states;
		size_t last_ns;
	} all[] = {
		{SL_IDS_BUCKETS, SL_MAP_IDS_BUCKETS, offsetof(struct sluice_ids_bucket, last_ns)},
		{SL_IDS_WINDOWS, SL_MAP_IDS_WINDOWS, offsetof(struct sluice_ids_window, last_ns)},
		{SL_IDS_LOGS, SL_MAP_IDS_LOGS, offsetof(struct sluice_ids_log, last_ns)},
	};

	for (size_t i = 0; i < SL_ARRAY_SIZE(all); i++) {
		struct sl_places *places = &datapath->ids_places[all[i].table];
		int r;

		places->states_fd = datapath->map_fd[all[i].states];
		places->state_size = (shapes[all[i].states].value_size + 7) & ~7u;
		places->last_ns = all[i].last_ns;
		r = adopted ? 0 : sl_places_begin(places);
		if (r < 0)
			return sl_error(err, -r, "map %s: seeds: %s", shapes[all[i].states].name,
					strerror(-r));
	}
	return 0;
}

int sl_maps_map(struct sl_datapath *datapath, bool adopted, struct sl_error *err)
{
	struct sl_maps *maps = &datapath->maps;
	struct sl_places *keys = datapath->ids_places;
	const struct {
		enum sl_map map;
		void **address;
		uint32_t *entries; /* maps with one bound share it */
	} all[] = {
		{SL_MAP_INDEX4, (void **)&datapath->index.index4, &datapath->index.size4},
		{SL_MAP_INDEX6, (void **)&datapath->index.index6, &datapath->index.size6},
		{SL_MAP_POLICIES, (void **)&maps->policies, &maps->policy_count},
		{SL_MAP_BINDINGS, (void **)&maps->bindings, &maps->size.bindings},
		{SL_MAP_MATCHES4, (void **)&maps->matches4, &maps->size.matches},
		{SL_MAP_MATCHES6, (void **)&maps->matches6, &maps->size.matches},
		{SL_MAP_BRANCHES, (void **)&maps->branches, &maps->size.matches},
		{SL_MAP_USAGE, (void **)&maps->usage, &maps->size.usage},
		{SL_MAP_USAGE_OWNERS, (void **)&maps->usage_owners, &maps->size.usage},
		{SL_MAP_SESSIONS, (void **)&maps->sessions, &maps->size.sessions},
		{SL_MAP_RULES, (void **)&maps->rules, &maps->size.rules},
		{SL_MAP_FLOWS, (void **)&maps->flows, &maps->size.flows},
		{SL_MAP_METERS, (void **)&maps->meters, &maps->size.meters},
		{SL_MAP_QUOTA_OF, (void **)&maps->quota_of, &maps->size.usage},
		{SL_MAP_QUOTAS, (void **)&maps->quotas, &maps->size.quotas},
		{SL_MAP_QUOTA_OWNERS, (void **)&maps->quota_owners, &maps->size.quotas},
		{SL_MAP_MARKS, (void **)&maps->marks, NULL},
		{SL_MAP_VLANS, (void **)&maps->vlans, NULL},
		{SL_MAP_STEERS, (void **)&maps->steers, NULL},
		{SL_MAP_IDS_SETTINGS, (void **)&datapath->ids.settings, NULL},
		{SL_MAP_IDS_RULES, (void **)&datapath->ids.rules, NULL},
		{SL_MAP_IDS_MATCHES, (void **)&datapath->ids.matches, NULL},
		{SL_MAP_IDS_DROPPED, (void **)&datapath->ids_dropped, &datapath->ids_dropped_size},
		{SL_MAP_IDS_BUCKET_KEYS, (void **)&keys[SL_IDS_BUCKETS].groups,
		 &keys[SL_IDS_BUCKETS].elements},
		{SL_MAP_IDS_BUCKETS, (void **)&keys[SL_IDS_BUCKETS].states, NULL},
		{SL_MAP_IDS_WINDOW_KEYS, (void **)&keys[SL_IDS_WINDOWS].groups,
		 &keys[SL_IDS_WINDOWS].elements},
		{SL_MAP_IDS_LOG_KEYS, (void **)&keys[SL_IDS_LOGS].groups, &keys[SL_IDS_LOGS].elements},
		{SL_MAP_SETTINGS, (void **)&maps->settings, NULL},
	};
	int r;

	for (size_t i = 0; i < SL_ARRAY_SIZE(all); i++) {
		r = map_one(datapath, all[i].map, all[i].address, all[i].entries, err);
		if (r < 0)
			return r;
	}
	r = read_table_sizes(datapath, err);
	if (r == 0)
		r = begin_places(datapath, adopted, err);
	if (r < 0)
		return r;
	maps->size.meters -= SLUICE_METERS_FIXED;
	datapath->ids.dropped = datapath->ids_dropped;
	maps->settings->unknown_drop = datapath->config.unknown_drop;
	maps->settings->watch_drops = 0;
	if (adopted)
		return 0;
	r = write_labels(datapath);
	if (r < 0)
		return sl_error(err, -r, "map drops: %s", strerror(-r));
	atomic_thread_fence(memory_order_release);
	maps->settings->layout = SLUICE_LAYOUT;
	return 0;
}

void sl_maps_close(struct sl_datapath *datapath)
{
	for (enum sl_map map = 0; map < SL_MAP_COUNT; map++) {
		if (datapath->mapping[map].address)
			munmap(datapath->mapping[map].address, datapath->mapping[map].length);
		sl_cleanup_fd(&datapath->map_fd[map]);
	}
}
