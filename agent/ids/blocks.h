/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks and who had some of late. The truth is in the pinned maps: a block has its
 * deadlines with it and ends in the kernel. Here they are remembered, so that
 * their beginning and end can be told, and taken out of the maps when they are over.
 *
 * Nothing here writes a block that packets count in: how long one lasts is
 * decided when it is made, by what ids_offenders says of the key. So hits never go back.
 *
 * All times are CLOCK_MONOTONIC ns; `now` must not go back.
 */
#ifndef SL_IDS_BLOCKS_H
#define SL_IDS_BLOCKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

#include "base/error.h"
#include "ids/rules.h"
#include "policy/address.h"

struct sl_datapath;
struct sl_ids_blocks;
struct sl_ids_notes;

#define SL_IDS_REASON_SIZE 64

/* Of the packet that began it; family 0: no packet did, or it is not known any more. */
struct sl_ids_packet {
	uint64_t flow_id;
	uint32_t ifindex;
	uint8_t direction;
	uint8_t family;
	uint8_t protocol;
	uint16_t source_port;
	uint16_t destination_port;
	uint8_t source[16];
	uint8_t destination[16];
};

struct sl_ids_block {
	struct sluice_ids_key key;
	uint64_t number; /* each block's own, later ones have higher ones */
	bool active;	 /* else only the offender is remembered */
	/* As packets have it, not older than a sweep. */
	struct sluice_ids_block value;
	struct sluice_ids_offender offender; /* level 0: none */
	char imsi[SLUICE_IMSI_SIZE];	     /* "": of nobody, or not known */
	struct sl_address session;	     /* family 0: not known */
	char apn[SLUICE_APN_SIZE];
	char reason[SL_IDS_REASON_SIZE]; /* the operator's words, or why the agent made it */
	uint64_t observed;		 /* what was above the limit */
	uint8_t limit;
	struct sl_ids_packet packet;
	uint64_t below_ns; /* since when it is below what clears it; 0: it is not */
	uint64_t above_ns; /* when a round of connections last said that it was not */
	/* private */
	bool offender_kept; /* in ids_offenders */
	uint64_t due_ns;
	size_t heap; /* place + 1 */
	UT_hash_handle hh;
};

struct sl_ids_blocks_config {
	struct sl_datapath *datapath;
	struct sl_ids_table *rules;
	/*
	 * A block has begun (reason NULL), maybe before the start (adopted), or ended: "idle", "hard",
	 * "operator", "reload", "clear". The entry is valid during the call, which at the
	 * beginning may fill in its imsi, session and apn, and must not make or end blocks. May be NULL.
	 */
	void (*on_change)(struct sl_ids_block *block, const char *reason, bool adopted, uint64_t now,
			  void *user);
	void *user;
};

/*
 * Takes over what is in the maps, without a word about blocks that go on. Those of rules that are
 * no more end, with reason "reload". -ENOMEM, or what the kernel says.
 */
int sl_ids_blocks_open(const struct sl_ids_blocks_config *config, uint64_t now, struct sl_ids_blocks **out,
		       struct sl_error *err);
void sl_ids_blocks_close(struct sl_ids_blocks *blocks); /* they stay in force */

/* --- as time goes on ------------------------------------------------------------------- */

/*
 * A packet has made this block, says an event about a packet of this IMSI (both may be NULL). The block, NULL
 * if it is not in the map any more or cannot be remembered.
 */
struct sl_ids_block *sl_ids_blocks_seen(struct sl_ids_blocks *blocks, const struct sluice_ids_key *key,
					const struct sluice_ids_event *event, const char *imsi, uint64_t now);

/* Ends what is over, at most 1,024. When to come again; UINT64_MAX: when there is something new. */
uint64_t sl_ids_blocks_run(struct sl_ids_blocks *blocks, uint64_t now);

/*
 * Reads about `max` blocks again: counts, and blocks whose event was lost. Call so often that a round takes
 * about a second.
 */
void sl_ids_blocks_sweep(struct sl_ids_blocks *blocks, uint32_t max, uint64_t now);

/* --- by the agent ------------------------------------------------------------------------ */

struct sl_ids_block_order {
	struct sluice_ids_key key;
	uint8_t verdict;
	uint8_t flags;	  /* enum sluice_ids_block_flags */
	uint64_t hard_ns; /* a duration; 0: none. Of a rule: for the first time */
	uint64_t idle_ns;
	uint64_t police;
	const char *imsi;   /* may be NULL */
	const char *reason; /* may be NULL */
	uint64_t observed;  /* of a rule: what was above this limit of it */
	uint8_t limit;
};

/*
 * Blocks by rules (key.rule is in force) or operators (key.rule is 0). -EEXIST: a rule's block of this key is
 * in force; an operator's takes the place of the one before, which ends. -ENOSPC: no room. -ENOENT: no such
 * rule.
 */
int sl_ids_blocks_make(struct sl_ids_blocks *blocks, const struct sl_ids_block_order *order, uint64_t now,
		       struct sl_ids_block **out, struct sl_error *err);

/* Operators' blocks at once, all or none of them. Of two of one key the later one holds. */
int sl_ids_blocks_make_many(struct sl_ids_blocks *blocks, const struct sl_ids_block_order *orders,
			    size_t count, uint64_t now, struct sl_error *err);

/* -ENOENT: it is not in force. */
int sl_ids_blocks_end(struct sl_ids_blocks *blocks, struct sl_ids_block *block, const char *reason,
		      uint64_t now);

/* The rule is no more, or blocks something else: its blocks and offenders go. */
void sl_ids_blocks_gone(struct sl_ids_blocks *blocks, uint32_t identity, uint64_t now);

/* For what others keep beside the reasons of blocks. */
struct sl_ids_notes *sl_ids_blocks_notes(struct sl_ids_blocks *blocks);

/* --- views --------------------------------------------------------------------------------- */

/* NULL: none in force. */
struct sl_ids_block *sl_ids_blocks_find(struct sl_ids_blocks *blocks, const struct sluice_ids_key *key);

/*
 * Those in force from this number on, in order. Non-zero ends the walk and is returned: to go on from there
 * is cheap. visit may end the block that it is given and no other.
 */
int sl_ids_blocks_each(struct sl_ids_blocks *blocks, uint64_t from,
		       int (*visit)(struct sl_ids_block *block, void *user), void *user);

struct sl_ids_blocks_stats {
	uint32_t size;
	uint32_t active;
	uint32_t operators;	    /* of those */
	uint32_t offenders;	    /* keys in ids_offenders */
	uint64_t offenders_refused; /* no room: the next block is as long as the last one */
	uint64_t begun;		    /* since the start */
	uint64_t ended;
	uint64_t found;	  /* of those begun, by a sweep: their events were lost */
	uint64_t refused; /* of the agent's own, no room */
};
void sl_ids_blocks_stats(const struct sl_ids_blocks *blocks, struct sl_ids_blocks_stats *out);

#endif
