/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The IDS beside the packets: tells what they have done (alerts), ends blocks
 * when they are over, blocks wider after several offences, gives sessions
 * the rules of a quarantine, judges what is polled and connections, and does what operators say.
 * One thread, the loop's; each step is bounded.
 */
#ifndef SL_IDS_ENGINE_H
#define SL_IDS_ENGINE_H

#include "base/error.h"
#include "ids/alert.h"
#include "ids/blocks.h"
#include "ids/rules.h"

struct event_base;
struct sl_catalog;
struct sl_control;
struct sl_datapath;
struct sl_ids_engine;
struct sl_install;

/* Keys with offences that are counted for a wider block. At the bound the oldest gives way, with its count.
 */
#define SL_IDS_ESCALATIONS 65536

/* Keys of polled rules and of connections that the agent counts itself. More: not judged, and counted. */
#define SL_IDS_POLLED (1u << 18)

struct sl_ids_engine_config {
	struct sl_datapath *datapath;
	struct sl_control *control;
	struct sl_ids_table *rules;
	/* The rules by name that a quarantine is of; NULL: none now. May be NULL. */
	const struct sl_catalog *(*catalog)(void *user);
	/*
	 * Every alert that there is, in order, before any log mode: what goes out is the receiver's. The
	 * rule is NULL for operators' blocks and for rules that are not read yet; the key is NULL where none
	 * is meant.
	 */
	void (*on_alert)(const struct sl_ids_alert *alert, const struct sl_ids_rule *rule,
			 const struct sluice_ids_key *key, void *user);
	void (*on_batch)(void *user); /* after some alerts; may be NULL */
	void *user;
};

/* Takes over what is in the maps: rules (config.rules) must be read or taken over. */
int sl_ids_engine_new(const struct sl_ids_engine_config *config, uint64_t now, struct sl_ids_engine **out,
		      struct sl_error *err);
void sl_ids_engine_free(struct sl_ids_engine *engine);

/* Runs by itself from here on: events at once, the rest every 50 ms. */
int sl_ids_engine_start(struct sl_ids_engine *engine, struct event_base *base, struct sl_error *err);

/* What the loop calls, with the time of CLOCK_MONOTONIC. */
void sl_ids_engine_events(struct sl_ids_engine *engine, uint64_t now);
void sl_ids_engine_tick(struct sl_ids_engine *engine, uint64_t now);

/* The rule of this identity is no more (struct sl_ids_maps, `gone`). */
void sl_ids_engine_gone(struct sl_ids_engine *engine, uint32_t identity, uint64_t now);

/* For sl_control_config.is_desired: a rule of this id is in force for a quarantine. A NULL engine has none.
 */
bool sl_ids_engine_owns(const struct sl_ids_engine *engine, const char *imsi,
			const struct sl_install *install);

struct sl_ids_blocks *sl_ids_engine_blocks(struct sl_ids_engine *engine);

struct sl_ids_engine_stats {
	uint64_t events;
	uint64_t alerts;
	uint64_t lost;	    /* events that found the ring full */
	uint64_t escalated; /* wider blocks */
	uint64_t escalations_dropped;
	uint64_t escalations;	      /* keys whose offences are counted for that */
	uint64_t escalations_evicted; /* that gave way to others */
	uint64_t polled;	      /* keys that are watched now */
	uint64_t polled_refused;      /* keys for which there was no room, each time it was tried */
	uint64_t removed;	      /* silent keys that were taken out of the tables */
	uint64_t held;		      /* subscribers in a quarantine, by rule */
	/* As of the last round through a table; the first rounds take some ten seconds. */
	uint32_t used[SLUICE_IDS_TABLES]; /* keys in it */
	uint64_t evicted;		  /* of SLUICE_IDS_TABLE_BUCKETS_LRU, since the first round */
};
void sl_ids_engine_stats(const struct sl_ids_engine *engine, struct sl_ids_engine_stats *out);

/* --- explain ------------------------------------------------------------------------------ */

/* A rule and somebody, or something, that it may be about. */
struct sl_ids_explanation {
	const struct sl_ids_rule *rule;
	uint32_t slot;
	const char *applies; /* "yes", "exempt", "other-rule" (his own of this name), "not-listed" */
	bool has_key;	     /* the rule tracks what was asked for itself; else keys are those of packets */
	struct sluice_ids_key key;
	uint64_t count[SLUICE_IDS_LIMITS]; /* now, by limit */
};

/*
 * What rules have to do with a subscriber ("001010000000001") or an address: calls rule() for each in order
 * of deciding, then block() for each block of it. -EINVAL: neither. -ENOENT is not an error here.
 */
int sl_ids_engine_explain(struct sl_ids_engine *engine, const char *text, uint64_t now,
			  void (*rule)(const struct sl_ids_explanation *explanation, void *user),
			  void (*block)(const struct sl_ids_block *block, void *user), void *user,
			  struct sl_error *err);

#endif
