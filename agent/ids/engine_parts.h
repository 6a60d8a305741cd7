/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the engine share. Private to the folder. */
#ifndef SL_IDS_ENGINE_PARTS_H
#define SL_IDS_ENGINE_PARTS_H

#include <uthash.h>

#include "control/control.h"
#include "datapath/datapath.h"
#include "datapath/ids_maps.h"
#include "ids/engine.h"

struct event;

#define SL_IDS_PENDING 1024

struct sl_ids_escalation; /* escalate.c */
struct sl_ids_polled;	  /* poll.c */
struct sl_ids_held;	  /* quarantine.c */
struct sl_ids_talk;	  /* connections.c */

struct sl_ids_engine {
	struct sl_ids_engine_config config;
	struct sl_ids_blocks *blocks;
	struct event *on_events, *on_tick;
	uint64_t sequence; /* of alerts */
	uint64_t *last;	   /* of events, by rule's slot and CPU */
	uint64_t *untold;  /* of suppressed ones, likewise */
	uint32_t cpus;
	uint64_t lost_told_ns;
	uint64_t lost_untold;

	/* Blocks that have begun and may be one too many: looked at when nothing walks over blocks. */
	struct {
		struct sluice_ids_key key;
		uint64_t since_ns;
	} pending[SL_IDS_PENDING];
	size_t pending_count;

	struct sl_ids_escalation *escalations;
	struct sl_ids_polled *polled;
	uint64_t poll_due_ns[SLUICE_IDS_RULES];
	struct sl_ids_held *held;
	uint64_t second_ns; /* when what is done once a second is due */
	struct {
		uint32_t table; /* of the silent keys' round */
		uint64_t position;
		uint64_t due_ns;
		uint32_t kept;		 /* in this round */
		uint64_t made_lru; /* when the round began */
		uint64_t removed_lru;
		uint64_t evicted_before; /* by the first round */
		bool has_before;
	} silent;
	struct sl_ids_talk *talk; /* by rule's key, of the present round */
	uint64_t talk_position;
	uint32_t talk_kept; /* connections of the present round */
	uint64_t talk_due_ns;
	bool talk_begun;
	struct sl_ids_engine_stats stats;
};

/* --- alerts (engine.c) --- */
void sl_ids_alert_block(struct sl_ids_engine *engine, const struct sl_ids_block *block, const char *reason,
			uint64_t now);
void sl_ids_alert_excess(struct sl_ids_engine *engine, const struct sl_ids_rule *rule,
			 const struct sluice_ids_key *key, uint32_t limit, uint64_t observed, uint64_t now);

/* --- escalate.c --- */
void sl_ids_escalate(struct sl_ids_engine *engine, uint64_t now); /* what is pending */
void sl_ids_escalate_free(struct sl_ids_engine *engine);

/* --- quarantine.c --- */
void sl_ids_quarantine_begin(struct sl_ids_engine *engine, const struct sl_ids_block *block);
void sl_ids_quarantine_end(struct sl_ids_engine *engine, const struct sl_ids_block *block);
void sl_ids_quarantine_follow(struct sl_ids_engine *engine); /* sessions that have come; once a second */
void sl_ids_quarantine_free(struct sl_ids_engine *engine);

/* --- poll.c --- */
void sl_ids_poll(struct sl_ids_engine *engine, uint64_t now);
void sl_ids_poll_free(struct sl_ids_engine *engine);
/*
 * Adds to what the agent itself counts of a key and limit, over the limit's window, and returns the sum; 0
 * where there is no room.
 */
uint64_t sl_ids_polled_add(struct sl_ids_engine *engine, const struct sluice_ids_key *key,
			   const struct sl_ids_rule *rule, uint32_t limit, uint64_t units, uint64_t now);
/* In excess, by the agent's own count: alert, and block if the rule says so. */
void sl_ids_judge(struct sl_ids_engine *engine, const struct sl_ids_rule *rule,
		  const struct sluice_ids_key *key, uint32_t limit, uint64_t observed, uint64_t now);

/* --- connections.c --- */
void sl_ids_connections(struct sl_ids_engine *engine, uint64_t now);
void sl_ids_connections_free(struct sl_ids_engine *engine);

/* --- silent.c --- */
void sl_ids_silent(struct sl_ids_engine *engine, uint64_t now); /* one step */

#endif
