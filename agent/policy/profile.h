/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A QoS profile: rates, ARP and class by a name that many rules share (3GPP TS
 * 23.203 clause 6.2.1.4: what a subscriber is allowed). A rule that names one has
 * nothing of its own in their place; it holds the profile's values as long as it
 * is in force, also when the profile is no more.
 */
#ifndef SL_POLICY_PROFILE_H
#define SL_POLICY_PROFILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "policy/rule.h"

struct sl_profile {
	char name[SLUICE_PROFILE_SIZE];
	uint16_t class_id;		 /* QCI, 5QI or an operator's own; 0: not given */
	uint64_t mbr[SLUICE_DIRECTIONS]; /* bit/s, 0 = none */
	uint64_t gbr[SLUICE_DIRECTIONS]; /* at most the MBR, where there is one */
	struct sl_arp arp;
	enum sluice_rate_backend backend;
};

/* Puts the values into a rule; its name of the profile stays the rule's. */
void sl_profile_apply(const struct sl_profile *profile, struct sl_rule *rule);

/* The rule has these values. */
bool sl_profile_holds(const struct sl_profile *profile, const struct sl_rule *rule);

/* The values that a rule has, as a profile of the name it gives. */
void sl_profile_of(const struct sl_rule *rule, struct sl_profile *out);

/* What a rule has of its own that a profile would have: "an MBR"; NULL: nothing. */
const char *sl_profile_conflict(const struct sl_rule *rule);

#endif
