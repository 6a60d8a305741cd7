/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Maps of the IDS stage; what is in them, says sluice/ids.h. Sizes as in maps.h. */
#ifndef SLUICE_BPF_IDS_MAPS_H
#define SLUICE_BPF_IDS_MAPS_H

#include "maps.h"

#include "sluice/ids_places.h"

#define IDS_TABLE(name, kind, key_type, value_type) \
	struct {                                    \
		__uint(type, kind);                 \
		__uint(max_entries, 1);             \
		__type(key, key_type);              \
		__type(value, value_type);          \
	} name __weak SEC(".maps")

SLUICE_ARRAY(ids_settings, struct sluice_ids_settings);
SLUICE_ARRAY_OF(ids_rules, SLUICE_IDS_RULES, struct sluice_ids_rule);
SLUICE_ARRAY_OF(ids_matches, SLUICE_IDS_MATCHES, struct sluice_ids_match);
SLUICE_PERCPU_ARRAY(ids_rule_counts, SLUICE_IDS_RULES, struct sluice_ids_rule_count);

/* What each session lost to the stage, by slot in sessions. */
SLUICE_ARRAY(ids_dropped, struct sluice_counter);

IDS_TABLE(ids_blocks, BPF_MAP_TYPE_HASH, struct sluice_ids_key, struct sluice_ids_block);
IDS_TABLE(ids_overrides, BPF_MAP_TYPE_HASH, struct sluice_ids_override, __u32);
/* Keys that come from outside: the least used gives way. */
IDS_TABLE(ids_buckets_lru, BPF_MAP_TYPE_LRU_HASH, struct sluice_ids_key, struct sluice_ids_bucket);
IDS_TABLE(ids_sets, BPF_MAP_TYPE_HASH, struct sluice_ids_key, struct sluice_ids_set);
IDS_TABLE(ids_connections, BPF_MAP_TYPE_HASH, struct sluice_ids_key, struct sluice_ids_connection);

/* States by place, and whose they are; those that have a lock cannot be in the agent's memory. */
#define IDS_STATES(name, flags, value_type)       \
	struct {                                  \
		__uint(type, BPF_MAP_TYPE_ARRAY); \
		__uint(map_flags, flags);         \
		__uint(max_entries, 1);           \
		__type(key, __u32);               \
		__type(value, value_type);        \
	} name __weak SEC(".maps")

IDS_STATES(ids_bucket_keys, BPF_F_MMAPABLE, struct sluice_ids_group);
IDS_STATES(ids_buckets, BPF_F_MMAPABLE, struct sluice_ids_bucket);
IDS_STATES(ids_window_keys, BPF_F_MMAPABLE, struct sluice_ids_group);
IDS_STATES(ids_windows, 0, struct sluice_ids_window);
IDS_STATES(ids_log_keys, BPF_F_MMAPABLE, struct sluice_ids_group);
IDS_STATES(ids_logs, 0, struct sluice_ids_log);

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SLUICE_IDS_PLACE_LOCKS);
	__type(key, __u32);
	__type(value, struct sluice_ids_place_lock);
} ids_place_locks __weak SEC(".maps");

/* Written by the agent alone: what outlives a block. */
IDS_TABLE(ids_offenders, BPF_MAP_TYPE_HASH, struct sluice_ids_key, struct sluice_ids_offender);

/* By the agent, for its next start. Memory only for what is there. */
struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__uint(max_entries, 1);
	__type(key, struct sluice_ids_key);
	__type(value, struct sluice_ids_note);
} ids_notes __weak SEC(".maps");

SLUICE_PERCPU_ARRAY(ids_table_counts, SLUICE_IDS_TABLES, struct sluice_ids_table_count);

/* Rows of the filters, one after the other: upper 12 bits which window, lower 20 a count. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, SLUICE_IDS_SKETCHES *SLUICE_IDS_SKETCH_ROWS *SLUICE_IDS_SKETCH_COLUMNS);
	__type(key, __u32);
	__type(value, __u32);
} ids_sketch __weak SEC(".maps");

/* Values to begin with, too long for the stack; never written. */
struct ids_blank {
	__u64 zero[sizeof(struct sluice_ids_set) / 8]; /* the longest */
};
IDS_TABLE(ids_blanks, BPF_MAP_TYPE_ARRAY, __u32, struct ids_blank);

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 20);
} ids_events __weak SEC(".maps");

#endif
