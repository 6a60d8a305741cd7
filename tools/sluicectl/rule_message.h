/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A rule as the message that a session manager would send: in Magma's own
 * FlowDescriptions where they can say it, else in sluice's fields from 1000 on.
 */
#ifndef CTL_RULE_MESSAGE_H
#define CTL_RULE_MESSAGE_H

#include <stdint.h>

#include "arena.h"
#include "magma/lte/policydb.pb-c.h"
#include "policy/rule.h"

#define RULE_MESSAGE_RATE 400000000000ull /* bit/s: the highest that can be policed */

/* All of the message is in the arena. The rule's rates are within the bound. */
Magma__Lte__PolicyRule *rule_message(struct arena *arena, const struct sl_rule *rule);

#endif
