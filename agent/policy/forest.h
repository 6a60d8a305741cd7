/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A long match list as one tree, or as several where it resists one: entries
 * that say nothing of a field are everywhere in it, so rules of prefixes and
 * rules of ports alone, mixed, would be copied into each other's leaves. Told
 * apart by the field they name, neither is. Pure: no BPF, no sockets, no clock.
 */
#ifndef SL_POLICY_FOREST_H
#define SL_POLICY_FOREST_H

#include <stdint.h>

#include "policy/tree.h"

/* Of which rule an entry is; the first of two trees that find the same rule decides. */
struct sl_forest_entry {
	uint16_t ordinal; /* not less than that of the entry before */
	uint8_t action;	  /* as in the match entry */
};

/*
 * One tree; or, if that is clearly worse than entries which are apart would be,
 * the best of it and up to SLUICE_TREES trees under branches that say `both`,
 * by what a packet is estimated to take. In both cases at most eight times the
 * blocks of the list, and as many branches. Entries of a rule with several
 * actions keep their order: none is in a tree before one of another action that
 * precedes it. Otherwise as sl_tree_build.
 */
int sl_forest_build(const struct sl_tree_box *boxes, const struct sl_forest_entry *entries, uint32_t count,
		    struct sl_tree *out);

#endif
