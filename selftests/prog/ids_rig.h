/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The IDS stage alone (ids.bpf.c): its maps in memory, packets through it at a time that the test
 * says. For one source file of a test program.
 */
#ifndef SL_TEST_IDS_RIG_H
#define SL_TEST_IDS_RIG_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "bpfrun.h"
#include "ids_program.h"
#include "places_fixture.h"
#include "prog_ids.skel.h"
#include "sluice/ids.h"

#define MS   1000000ull
#define S    1000000000ull
#define NOON (1000 * S) /* when every test begins */

/* Sizes of the tables, unless the test says its own. */
#ifndef RIG_ENTRIES
#define RIG_ENTRIES  64
#define RIG_LRU	     4096
#define RIG_SESSIONS 4
#endif

struct ids_rig {
	struct prog_ids *programs;
	struct sluice_ids_settings *settings;
	struct sluice_ids_rule *rules;
	struct sluice_ids_match *matches;
	struct sluice_session_record *sessions;
	struct sluice_counter *dropped;
	struct ids_arrival *arrivals;
	struct ids_flow *flows;
	struct sl_places buckets, windows, logs;
	struct ring_buffer *ring;
	struct sluice_ids_event event[256]; /* of rig_events: the first ones */
	uint32_t events;
	uint32_t used; /* rules */
	uint32_t revision;
};

static inline void *rig_map(const struct bpf_map *map)
{
	size_t size = (size_t)bpf_map__max_entries(map) * ((bpf_map__value_size(map) + 7) / 8 * 8);
	void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);

	assert_ptr_not_equal(memory, MAP_FAILED);
	return memory;
}

static inline int rig_on_event(void *user, void *data, size_t size)
{
	struct ids_rig *rig = user;

	assert_int_equal(size, sizeof(struct sluice_ids_event));
	if (rig->events < SL_ARRAY_SIZE(rig->event))
		rig->event[rig->events++] = *(const struct sluice_ids_event *)data;
	return 0;
}

static inline int rig_open(void **state)
{
	struct ids_rig *rig = calloc(1, sizeof(*rig));
	struct bpf_map *map;

	assert_non_null(rig);
	rig->programs = prog_ids__open();
	assert_non_null(rig->programs);
	bpf_object__for_each_map(map, rig->programs->obj) if (bpf_map__type(map) == BPF_MAP_TYPE_HASH)
		bpf_map__set_max_entries(map, RIG_ENTRIES);
	bpf_map__set_max_entries(rig->programs->maps.ids_buckets_lru, RIG_LRU);
	places_size(rig->programs->maps.ids_bucket_keys, rig->programs->maps.ids_buckets, RIG_ENTRIES);
	places_size(rig->programs->maps.ids_window_keys, rig->programs->maps.ids_windows, RIG_ENTRIES);
	places_size(rig->programs->maps.ids_log_keys, rig->programs->maps.ids_logs, RIG_ENTRIES);
	bpf_map__set_max_entries(rig->programs->maps.sessions, RIG_SESSIONS);
	bpf_map__set_max_entries(rig->programs->maps.ids_dropped, RIG_SESSIONS);
	bpf_map__set_max_entries(rig->programs->maps.steers, SLUICE_STEERS);
	if (prog_ids__load(rig->programs)) {
		prog_ids__destroy(rig->programs);
		free(rig);
		return -1;
	}
	rig->settings = rig_map(rig->programs->maps.ids_settings);
	rig->rules = rig_map(rig->programs->maps.ids_rules);
	rig->matches = rig_map(rig->programs->maps.ids_matches);
	rig->sessions = rig_map(rig->programs->maps.sessions);
	rig->dropped = rig_map(rig->programs->maps.ids_dropped);
	rig->arrivals = rig_map(rig->programs->maps.arrivals);
	rig->flows = rig_map(rig->programs->maps.ids_flows);
	rig->buckets = places_open(rig->programs->maps.ids_bucket_keys, rig->programs->maps.ids_buckets,
				   offsetof(struct sluice_ids_bucket, last_ns));
	rig->windows = places_open(rig->programs->maps.ids_window_keys, rig->programs->maps.ids_windows,
				   offsetof(struct sluice_ids_window, last_ns));
	rig->logs = places_open(rig->programs->maps.ids_log_keys, rig->programs->maps.ids_logs,
				offsetof(struct sluice_ids_log, last_ns));
	rig->ring = ring_buffer__new(bpf_map__fd(rig->programs->maps.ids_events), rig_on_event, rig, NULL);
	assert_non_null(rig->ring);
	*state = rig;
	return 0;
}

static inline int rig_close(void **state)
{
	struct ids_rig *rig = *state;

	ring_buffer__free(rig->ring);
	prog_ids__destroy(rig->programs);
	free(rig);
	return 0;
}

static inline void rig_clear(const struct bpf_map *map)
{
	uint8_t key[64];

	while (!bpf_map__get_next_key(map, NULL, key, bpf_map__key_size(map)))
		assert_int_equal(bpf_map__delete_elem(map, key, bpf_map__key_size(map), 0), 0);
}

static inline void rig_clear_cpus(const struct bpf_map *map)
{
	size_t size = (size_t)libbpf_num_possible_cpus() * bpf_map__value_size(map);
	_cleanup_free_ void *zero = calloc(1, size);

	for (uint32_t i = 0; i < bpf_map__max_entries(map); i++)
		assert_int_equal(bpf_map_update_elem(bpf_map__fd(map), &i, zero, BPF_ANY), 0);
}

/* Before each test: no rule, no key, no event; subscribers 001010000000001.. in sessions 0.. */
static inline int rig_reset(void **state)
{
	struct ids_rig *rig = *state;
	struct bpf_map *map;

	bpf_object__for_each_map(map, rig->programs->obj)
	{
		if (bpf_map__type(map) == BPF_MAP_TYPE_HASH || bpf_map__type(map) == BPF_MAP_TYPE_LRU_HASH)
			rig_clear(map);
	}
	places_clear(&rig->buckets);
	places_clear(&rig->windows);
	places_clear(&rig->logs);
	rig_clear_cpus(rig->programs->maps.ids_rule_counts);
	rig_clear_cpus(rig->programs->maps.ids_table_counts);
	memset(rig->settings, 0, sizeof(*rig->settings));
	memset(rig->rules, 0, SLUICE_IDS_RULES * sizeof(*rig->rules));
	memset(rig->matches, 0, SLUICE_IDS_MATCHES * sizeof(*rig->matches));
	memset(rig->dropped, 0, RIG_SESSIONS * sizeof(*rig->dropped));
	for (uint32_t i = 0; i < RIG_SESSIONS; i++)
		snprintf(rig->sessions[i].imsi, SLUICE_IMSI_SIZE, "0010100%08u", i + 1);
	rig->used = 0;
	rig->programs->bss->clock = NOON;
	rig->programs->bss->session = 0;
	rig->programs->bss->usage_slot = 7;
	rig->programs->bss->apn = 0;
	ring_buffer__consume(rig->ring);
	rig->events = 0;
	return 0;
}

static inline void rig_at(struct ids_rig *rig, uint64_t since_noon)
{
	rig->programs->bss->clock = NOON + since_noon;
}

static inline struct sluice_ids_match rig_match(enum sluice_direction direction)
{
	return (struct sluice_ids_match){.direction = (uint8_t)direction,
					 .verdict = SLUICE_PERMIT,
					 .remote_port_high = 65535,
					 .local_port_high = 65535};
}

/* At the next slot, which is its place; its number is its identity. What matters of `rule` is taken over. */
static inline struct sluice_ids_rule *rig_rule(struct ids_rig *rig, const struct sluice_ids_rule *rule,
					       const struct sluice_ids_match *matches, uint32_t count)
{
	uint32_t slot = rig->used++;
	struct sluice_ids_order *order = &rig->settings->order[0];
	struct sluice_ids_rule *out = &rig->rules[slot];

	*out = *rule;
	out->in_use = 1;
	out->revision = ++rig->revision;
	out->identity = slot + 1;
	out->first_match = slot * SLUICE_IDS_MATCHES_PER_RULE;
	out->match_count = count;
	if (!out->limit_count)
		out->limit_count = 1;
	order->slot[slot] = (uint8_t)slot;
	for (uint32_t i = 0; i < count; i++) {
		const struct sluice_ids_match *match = &matches[i];

		rig->matches[out->first_match + i] = *match;
		for (int protocol = 0; protocol < 256; protocol++)
			if (!(match->flags & SLUICE_MATCH_PROTOCOL) || match->protocol == protocol)
				order->candidates[match->direction][protocol] |= 1ull << slot;
	}
	rig->settings->active = SLUICE_IDS_ACTIVE_RULES;
	return out;
}

/* One that matches every packet of uplink. */
static inline struct sluice_ids_rule *rig_uplink_rule(struct ids_rig *rig, const struct sluice_ids_rule *rule)
{
	struct sluice_ids_match match = rig_match(SLUICE_UPLINK);

	return rig_rule(rig, rule, &match, 1);
}

/* `count` in a minute, exactly; what is above is dropped. */
static inline struct sluice_ids_rule rig_exact(uint8_t track, uint8_t count, uint64_t limit)
{
	return (struct sluice_ids_rule){
		.track = track,
		.count = count,
		.verdict = SLUICE_IDS_DROP,
		.limit = {{.kind = SLUICE_IDS_EXACT, .count = limit, .window_ns = 60 * S}}};
}

static inline struct sluice_ids_limit rig_bucket(uint64_t count, uint64_t window_ns, uint64_t burst)
{
	return (struct sluice_ids_limit){.kind = SLUICE_IDS_BUCKET,
					 .count = count,
					 .window_ns = window_ns,
					 .burst = burst,
					 .interval = (window_ns * 1024 + count - 1) / count};
}

/* The reason of the drop, 0: it passed. */
static inline uint32_t rig_send_packet(struct ids_rig *rig, enum sluice_direction direction,
				       const struct packet *packet, uint32_t segments, uint32_t size)
{
	struct __sk_buff context = {.gso_segs = segments, .gso_size = size};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &context, .ctx_size_in = sizeof(context),
		    .data_in = packet->data, .data_size_in = (uint32_t)packet->length, .repeat = 1);

	assert_int_equal(bpf_prog_test_run_opts(bpf_program__fd(direction == SLUICE_UPLINK
									? rig->programs->progs.uplink
									: rig->programs->progs.downlink),
						&opts),
			 0);
	assert_int_not_equal((int)opts.retval, -1);
	return opts.retval;
}

/* Over IPv4 or IPv6, as the addresses are. */
#define RIG_UDP(from, to, from_port, to_port)                 \
	(&(struct packet_spec){.source = (from),              \
			       .destination = (to),           \
			       .protocol = 17,                \
			       .source_port = (from_port),    \
			       .destination_port = (to_port), \
			       .payload = 20})

static inline uint32_t rig_send_gso(struct ids_rig *rig, enum sluice_direction direction,
				    const struct packet_spec *spec, uint32_t segments, uint32_t size)
{
	struct packet packet;

	packet_build(&packet, spec);
	return rig_send_packet(rig, direction, &packet, segments, size);
}

static inline uint32_t rig_up(struct ids_rig *rig, const struct packet_spec *spec)
{
	return rig_send_gso(rig, SLUICE_UPLINK, spec, 0, 0);
}

static inline uint32_t rig_down(struct ids_rig *rig, const struct packet_spec *spec)
{
	return rig_send_gso(rig, SLUICE_DOWNLINK, spec, 0, 0);
}

static inline void rig_events(struct ids_rig *rig)
{
	rig->events = 0;
	assert_true(ring_buffer__consume(rig->ring) >= 0);
}

static inline struct sluice_ids_rule_count rig_counts(struct ids_rig *rig, uint32_t slot)
{
	int cpus = libbpf_num_possible_cpus();
	_cleanup_free_ struct sluice_ids_rule_count *values = calloc((size_t)cpus, sizeof(*values));
	struct sluice_ids_rule_count sum = {0};

	assert_int_equal(bpf_map_lookup_elem(bpf_map__fd(rig->programs->maps.ids_rule_counts), &slot, values),
			 0);
	for (int i = 0; i < cpus; i++) {
		sum.matched.packets += values[i].matched.packets;
		sum.excess.packets += values[i].excess.packets;
		sum.dropped.packets += values[i].dropped.packets;
		sum.keys_refused += values[i].keys_refused;
		sum.events_suppressed += values[i].events_suppressed;
	}
	return sum;
}

static inline struct sluice_ids_table_count rig_table(struct ids_rig *rig, uint32_t table)
{
	int cpus = libbpf_num_possible_cpus();
	_cleanup_free_ struct sluice_ids_table_count *values = calloc((size_t)cpus, sizeof(*values));
	struct sluice_ids_table_count sum = {0};

	assert_int_equal(
		bpf_map_lookup_elem(bpf_map__fd(rig->programs->maps.ids_table_counts), &table, values), 0);
	for (int i = 0; i < cpus; i++) {
		sum.made += values[i].made;
		sum.refused += values[i].refused;
	}
	return sum;
}

#endif
