// SPDX-License-Identifier: Apache-2.0
#include "policy/profile.h"

#include <string.h>

void sl_profile_apply(const struct sl_profile *profile, struct sl_rule *rule)
{
	memcpy(rule->mbr, profile->mbr, sizeof(rule->mbr));
	memcpy(rule->gbr, profile->gbr, sizeof(rule->gbr));
	rule->arp = profile->arp;
	rule->class_id = profile->class_id;
	rule->backend = profile->backend;
}

bool sl_profile_holds(const struct sl_profile *profile, const struct sl_rule *rule)
{
	return memcmp(rule->mbr, profile->mbr, sizeof(rule->mbr)) == 0 &&
	       memcmp(rule->gbr, profile->gbr, sizeof(rule->gbr)) == 0 &&
	       rule->arp.level == profile->arp.level && rule->arp.may_preempt == profile->arp.may_preempt &&
	       rule->arp.may_be_preempted == profile->arp.may_be_preempted &&
	       rule->class_id == profile->class_id && rule->backend == profile->backend;
}

void sl_profile_of(const struct sl_rule *rule, struct sl_profile *out)
{
	*out = (struct sl_profile){.class_id = rule->class_id, .arp = rule->arp, .backend = rule->backend};
	memcpy(out->name, rule->profile, sizeof(out->name));
	memcpy(out->mbr, rule->mbr, sizeof(out->mbr));
	memcpy(out->gbr, rule->gbr, sizeof(out->gbr));
}

const char *sl_profile_conflict(const struct sl_rule *rule)
{
	if (rule->mbr[SLUICE_UPLINK] || rule->mbr[SLUICE_DOWNLINK])
		return "an MBR";
	if (sl_rule_has_gbr(rule))
		return "a GBR";
	if (rule->arp.level)
		return "an ARP";
	return rule->class_id ? "a class" : NULL;
}
