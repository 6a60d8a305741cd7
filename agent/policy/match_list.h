/* SPDX-License-Identifier: Apache-2.0 */
/* What packets of one family and direction are judged by, as it lies in the maps (struct sluice_policy). */
#ifndef SL_POLICY_MATCH_LIST_H
#define SL_POLICY_MATCH_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sluice/maps.h"

struct sl_match_list {
	uint32_t count;	 /* entries of one run of blocks; where there are branches, those */
	uint32_t blocks; /* whole ones; what is not used of the last one of a run is zero */
	/* of the family compiled for; the other pointer is NULL */
	struct sluice_match4_block *block4;
	struct sluice_match6_block *block6;
	/* the root first, NULL for a short list; children count from the list's first block and branch */
	struct sluice_branch *branch;
};

/* Where a list lies in the maps. */
struct sl_match_place {
	uint32_t block;	 /* the first in matches4 or matches6; SLUICE_NONE: it has no blocks */
	uint32_t branch; /* the first in branches; SLUICE_NONE: it has no branches */
};

/* The maps themselves; of matches4 and matches6 the one that is not the list's is not looked at. */
struct sl_match_maps {
	struct sluice_match4_block *matches4;
	struct sluice_match6_block *matches6;
	struct sluice_branch *branches;
	uint32_t match_count; /* blocks, in each of the two */
	uint32_t branch_count;
};

/* 0 for a short list. */
uint32_t sl_match_list_branches(const struct sl_match_list *list);

/* Writes the list to its place, which has room for its blocks and branches. */
void sl_match_list_write(const struct sl_match_list *list, struct sl_match_place place,
			 const struct sl_match_maps *maps);

/* What uplink_block or downlink_block of a policy says of a list at that place. */
uint32_t sl_match_list_root(const struct sl_match_list *list, struct sl_match_place place);

/*
 * The list of a published policy, copied from the maps, and its place. `root`
 * and `count` are what the policy says. -ERANGE: it lies outside the maps or
 * does not hold together. -ENOMEM. Free with sl_match_list_clear.
 */
int sl_match_list_read(const struct sl_match_maps *maps, uint32_t family, uint32_t root, uint32_t count,
		       struct sl_match_list *out, struct sl_match_place *place);
void sl_match_list_clear(struct sl_match_list *list);

/* Blocks and branches are the same, wherever they lie. */
bool sl_match_list_equal(const struct sl_match_list *a, const struct sl_match_list *b);

/* The blocks as bytes, for hashing. */
const void *sl_match_list_data(const struct sl_match_list *list, size_t *size);

#endif
