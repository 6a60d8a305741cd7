/* SPDX-License-Identifier: Apache-2.0 */
/* What blocks.c and blocks_make.c share. Private to the folder. */
#ifndef SL_IDS_BLOCKS_STATE_H
#define SL_IDS_BLOCKS_STATE_H

#include "datapath/ids_maps.h"
#include "ids/blocks.h"
#include "ids/deadlines.h"
#include "ids/notes.h"

struct sl_ids_blocks {
	struct sl_ids_blocks_config config;
	struct sl_ids_block *all; /* by key; those in force in order of numbers */
	struct sl_ids_block
		*cursor; /* the last one that a walk has visited; NULL: it is not there any more */
	struct sl_ids_deadlines deadlines;
	uint64_t last_number;
	uint32_t active;
	uint32_t operators[SLUICE_IDS_APN + 1]; /* by track */
	uint32_t operator_count;
	uint64_t position; /* of the sweep */
	uint64_t rest_ns;  /* of a sweep that found nothing, until then */
	struct sl_ids_notes notes;
	struct sl_ids_blocks_stats stats;
};

/* One more or one less is in the map: packets look for blocks only where there are some. */
void sl_ids_blocks_count(struct sl_ids_blocks *blocks, const struct sluice_ids_key *key, int change);

/* The entry of this key, made if there is none; NULL: out of memory. */
struct sl_ids_block *sl_ids_blocks_remember(struct sl_ids_blocks *blocks, const struct sluice_ids_key *key);

/* It is not in the map any more, or another one is in its place. */
void sl_ids_blocks_finish(struct sl_ids_blocks *blocks, struct sl_ids_block *block, const char *reason,
			  uint64_t at, uint64_t now);

/* When to look at it again. What is neither in force nor an offender's is forgotten: do not use it after. */
void sl_ids_blocks_plan(struct sl_ids_blocks *blocks, struct sl_ids_block *block);

/* It is in the map, in the place of the one before, if there was one. `adopted`: it is not told. */
void sl_ids_blocks_begin(struct sl_ids_blocks *blocks, struct sl_ids_block *block,
			 const struct sluice_ids_block *value, bool adopted, uint64_t now);

#endif
