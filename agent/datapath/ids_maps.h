/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The maps of the IDS stage (sluice/ids.h) as the agent sees them: the arrays in its memory, the
 * tables by key, the ring of events.
 *
 * Packets write tables at the same time. An entry that is taken out may, until a grace period later,
 * still be written by a packet that had found it, and of all tables but BUCKETS, WINDOWS and LOGS
 * (sluice/ids_places.h) the kernel may have given its place to another key meanwhile: take out what has been
 * silent.
 */
#ifndef SL_DATAPATH_IDS_MAPS_H
#define SL_DATAPATH_IDS_MAPS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "sluice/ids.h"

struct sl_datapath;

/* The arrays in memory; what the agent writes packets see at once. */
struct sl_ids_arrays {
	struct sluice_ids_settings *settings;
	struct sluice_ids_rule *rules;	  /* SLUICE_IDS_RULES of them */
	struct sluice_ids_match *matches; /* SLUICE_IDS_MATCHES of them */
	const struct sluice_counter
		*dropped; /* by slot in sessions, since the session began: sl_ids_dropped_clear */
};
const struct sl_ids_arrays *sl_ids_arrays(struct sl_datapath *datapath);

/* For a slot that gets another session, which no packet is led to yet. */
void sl_ids_dropped_clear(struct sl_datapath *datapath, uint32_t session);

/* All tables; the first SLUICE_IDS_TABLES are those that packets add to. Key of all but OVERRIDES: struct
 * sluice_ids_key. */
enum sl_ids_map {
	SL_IDS_BLOCKS = SLUICE_IDS_TABLE_BLOCKS,	   /* struct sluice_ids_block */
	SL_IDS_BUCKETS = SLUICE_IDS_TABLE_BUCKETS,	   /* struct sluice_ids_bucket */
	SL_IDS_BUCKETS_LRU = SLUICE_IDS_TABLE_BUCKETS_LRU, /* likewise; the least used gives way */
	SL_IDS_WINDOWS = SLUICE_IDS_TABLE_WINDOWS,	   /* struct sluice_ids_window */
	SL_IDS_LOGS = SLUICE_IDS_TABLE_LOGS,		   /* struct sluice_ids_log */
	SL_IDS_SETS = SLUICE_IDS_TABLE_SETS,		   /* struct sluice_ids_set */
	SL_IDS_CONNECTIONS = SLUICE_IDS_TABLE_CONNECTIONS, /* struct sluice_ids_connection */
	SL_IDS_OFFENDERS = SLUICE_IDS_TABLES,		   /* struct sluice_ids_offender */
	SL_IDS_NOTES,					   /* struct sluice_ids_note */
	SL_IDS_OVERRIDE_PAIRS, /* key struct sluice_ids_override, value uint32_t */
	SL_IDS_TABLE_COUNT,
};

const char *sl_ids_table_name(enum sl_ids_map table); /* "ids_blocks" */
uint32_t sl_ids_table_size(struct sl_datapath *datapath, enum sl_ids_map table);

/* -ENOENT: there is none. */
int sl_ids_get(struct sl_datapath *datapath, enum sl_ids_map table, const void *key, void *value);

/* The kernel's own numbers. */
enum sl_ids_write {
	SL_IDS_ANY = 0,
	SL_IDS_NEW = 1,	     /* -EEXIST: there is one */
	SL_IDS_EXISTING = 2, /* -ENOENT: there is none */
};

/*
 * -E2BIG: the table is full. The entry is replaced whole: what packets counted in it
 * since it was read is lost. flags: enum sl_ids_write.
 */
int sl_ids_set(struct sl_datapath *datapath, enum sl_ids_map table, const void *key, const void *value,
	       uint64_t flags);
int sl_ids_delete(struct sl_datapath *datapath, enum sl_ids_map table, const void *key);
/* Takes the entry out and says what was in it last. -ENOENT; -EOPNOTSUPP: BUCKETS, WINDOWS and LOGS. */
int sl_ids_take(struct sl_datapath *datapath, enum sl_ids_map table, const void *key, void *value);

/*
 * `count` entries in one system call, in order; *done of them are set (also on failure). Existing ones are
 * replaced. -E2BIG: the table is full; -EOPNOTSUPP as above.
 */
int sl_ids_set_many(struct sl_datapath *datapath, enum sl_ids_map table, const void *keys, const void *values,
		    uint32_t count, uint32_t *done);

/*
 * Calls visit for about `max` entries from *position on, which is 0 at the start and opaque after it; 0
 * again at the end. Entries that are there all the time are visited, each once or more. visit's non-zero ends
 * it and is returned (what else was read in this step is skipped). visit may delete the entry.
 */
int sl_ids_walk(struct sl_datapath *datapath, enum sl_ids_map table, uint64_t *position, uint32_t max,
		int (*visit)(const void *key, void *value, void *user), void *user);

/* Sums over CPUs, from the beginning; table below SLUICE_IDS_TABLES, slot below SLUICE_IDS_RULES. */
int sl_ids_table_counts(struct sl_datapath *datapath, enum sl_ids_map table,
			struct sluice_ids_table_count *out);
int sl_ids_rule_counts(struct sl_datapath *datapath, uint32_t slot, struct sluice_ids_rule_count *out);
/* For a slot that gets another rule, which no packet meets: all CPUs to zero, but for `sequence`. */
int sl_ids_rule_counts_clear(struct sl_datapath *datapath, uint32_t slot);

/*
 * Events. The fd is for poll; consume calls back for each record, at most `max`, then returns 0 with the fd
 * still readable.
 */
int sl_ids_events_fd(struct sl_datapath *datapath);
int sl_ids_events_consume(struct sl_datapath *datapath, uint32_t max,
			  void (*on_event)(const struct sluice_ids_event *event, void *user), void *user);

#endif
