/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the engine share. Private to the folder. */
#ifndef SL_IDS_ENGINE_PARTS_H
#define SL_IDS_ENGINE_PARTS_H

#include <uthash.h>

#include "base/clock.h"
#include "control/control.h"
#include "datapath/datapath.h"
#include "datapath/ids_maps.h"
#include "ids/engine.h"

struct event;

#define SL_IDS_PENDING 1024

/* A pass over many keys ends its turn of the loop after so long, and goes on in the next one. */
#define SL_IDS_TURN_NS 5000000ull

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

	/* The record that is being told, until its block has begun. */
	const struct sluice_ids_event *event;
	uint64_t event_suppressed;

	/* Blocks that have begun and may be one too many: looked at when nothing walks over blocks. */
	struct {
		struct sluice_ids_key key;
		uint64_t since_ns;
	} pending[SL_IDS_PENDING];
	size_t pending_count;

	struct sl_ids_escalation *escalations;
	struct sl_ids_polled *polled;
	struct sl_ids_polled *polled_next; /* of the round that forgets the silent ones */
	uint64_t poll_due_ns[SLUICE_IDS_RULES];
	uint32_t poll_read[SLUICE_IDS_RULES]; /* revision of the rule whose keys were read before; 0: none */
	bool poll_first[SLUICE_IDS_RULES];    /* they are read for the first time, in the round under way */
	struct {
		bool due[SLUICE_IDS_RULES]; /* what is read in this round */
		bool table[2];		    /* that are still to be read: of subscribers, of others */
		uint64_t position;
	} poll;
	uint64_t clear_from; /* number of the block to look at next; 0: this second's round is over */
	struct sl_ids_held *held;
	bool orphans_gone;  /* no rule is left of a quarantine of which nothing is known */
	bool orphans_told;  /* that some could not be taken away */
	uint64_t second_ns; /* when what is done once a second is due */
	struct {
		uint32_t table; /* of the silent keys' round */
		uint64_t position;
		uint64_t due_ns;
		uint32_t kept;	   /* in this round */
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
	bool talk_read; /* all of it: what is left is to judge */
	struct sl_ids_engine_stats stats;
};

static inline bool sl_ids_turn_is_over(uint64_t begun)
{
	return sl_now_ns() - begun >= SL_IDS_TURN_NS;
}

/* --- alerts (engine.c) --- */
void sl_ids_alert_excess(struct sl_ids_engine *engine, const struct sl_ids_rule *rule,
			 const struct sluice_ids_key *key, uint32_t limit, uint64_t observed, uint64_t now);

/* --- clear.c --- */
void sl_ids_clear_begin(struct sl_ids_engine *engine); /* once a second */
void sl_ids_clear(struct sl_ids_engine *engine, uint64_t now);

/* --- escalate.c --- */
void sl_ids_escalate(struct sl_ids_engine *engine, uint64_t now);	    /* what is pending */
int sl_ids_escalate_open(struct sl_ids_engine *engine);			    /* what was kept */
void sl_ids_escalate_gone(struct sl_ids_engine *engine, uint32_t identity); /* the rule is no more */
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
/* The same, adding nothing; 0 for a key that is not watched. */
uint64_t sl_ids_polled_count(struct sl_ids_engine *engine, const struct sluice_ids_key *key,
			     const struct sl_ids_rule *rule, uint32_t limit, uint64_t now);
/* In excess, by the agent's own count: alert, and block if the rule says so. */
void sl_ids_judge(struct sl_ids_engine *engine, const struct sl_ids_rule *rule,
		  const struct sluice_ids_key *key, uint32_t limit, uint64_t observed, uint64_t now);

/* --- connections.c --- */
void sl_ids_connections(struct sl_ids_engine *engine, uint64_t now);
void sl_ids_connections_free(struct sl_ids_engine *engine);

/* --- silent.c --- */
void sl_ids_silent(struct sl_ids_engine *engine, uint64_t now); /* one step */

#endif
