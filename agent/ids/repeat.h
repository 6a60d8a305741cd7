/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long blocks of who comes back last: the k-th again lasts hard * factor^k,
 * at most `max`; k goes back by one for each `forget` without a block. Pure.
 */
#ifndef SL_IDS_REPEAT_H
#define SL_IDS_REPEAT_H

#include "ids/rule.h"

#define SL_IDS_LEVELS 64 /* what is higher lasts no longer */

/* The level that is left of `level` after so long a time. */
uint32_t sl_ids_level_left(const struct sl_ids_rule *rule, uint32_t level, uint64_t quiet_ns);

/*
 * How long a block of this level lasts; 0: until its idle time only. `random` moves
 * repeated ones by up to the rule's jitter to both sides, but not above its maximum: all bits
 * of it count. The first one lasts what the rule says.
 */
uint64_t sl_ids_level_time(const struct sl_ids_rule *rule, uint32_t level, uint32_t random);

/* Whether it makes any difference that somebody comes back. */
bool sl_ids_rule_repeats(const struct sl_ids_rule *rule);

#endif
