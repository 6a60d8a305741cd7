/* SPDX-License-Identifier: Apache-2.0 */
/* How much a key has counted, as its limits see it now. */
#ifndef SL_IDS_STATE_H
#define SL_IDS_STATE_H

#include "datapath/ids_maps.h"
#include "ids/rule.h"

/*
 * Of the rule's limit of that number, in its unit: what counts in its window at `now`
 * (buckets: what is outstanding, rounded up; distinct values: as estimated). 0 for a key that has no
 * state, or one of another revision.
 */
uint64_t sl_ids_state_count(struct sl_datapath *datapath, const struct sluice_ids_rule *rule,
			    const struct sluice_ids_key *key, uint32_t limit, uint64_t now);

#endif
