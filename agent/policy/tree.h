/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A long match list as a decision tree (struct sluice_branch). Each entry is a
 * box: the keys of the packets that it can match. A leaf holds the entries
 * whose boxes meet the leaf's own, in their order; an entry whose box meets
 * several leaves is in all of them. Pure: no BPF, no sockets, no clock.
 */
#ifndef SL_POLICY_TREE_H
#define SL_POLICY_TREE_H

#include <stdbool.h>
#include <stdint.h>

#include "sluice/maps.h"

/* The words of sluice_branch taken apart; keys of each field are below 2^63. */
enum sl_tree_field {
	SL_TREE_FIRST,
	SL_TREE_SECOND,
	SL_TREE_REMOTE_PORT,
	SL_TREE_LOCAL_PORT,
	SL_TREE_PROTOCOL,
	SL_TREE_FIELDS,
};

/* What copies of entries may cost, in blocks of the list. */
#define SL_TREE_REPLICATION 8

struct sl_tree_box {
	uint64_t low[SL_TREE_FIELDS]; /* both included */
	uint64_t high[SL_TREE_FIELDS];
	bool decides; /* every packet in the box matches, whenever it comes */
};

struct sl_tree_leaf {
	uint32_t first; /* in sl_tree.entries */
	uint32_t count;
};

struct sl_tree {
	uint32_t branch_count;
	struct sluice_branch *branches; /* the root is the first; a child is a leaf's number, or SLUICE_BRANCH
					   and a branch's */
	uint32_t leaf_count;
	struct sl_tree_leaf *leaves;
	uint32_t entry_count;
	uint32_t *entries; /* indices of boxes */
};

/*
 * Leaves are split, the longest first, until each has at most
 * SLUICE_MATCH_BLOCK entries, or lies SLUICE_TREE_DEPTH branches deep, or
 * nothing tells its entries apart, or all leaves together have
 * SL_TREE_REPLICATION times the blocks of the list. So a list that resists is scanned in longer leaves, and
 * costs time, not memory. At most SLUICE_MATCHES_PER_DIRECTION boxes.
 *
 * 0 with branch_count 0: no branch is worth while, or count is 0. -ENOMEM.
 * Free with sl_tree_clear.
 */
int sl_tree_build(const struct sl_tree_box *boxes, uint32_t count, struct sl_tree *out);
void sl_tree_clear(struct sl_tree *tree);

#endif
