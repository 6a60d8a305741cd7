/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What becomes of a packet whose quota is used up: the session's final policy decides. */
#ifndef SLUICE_BPF_FINAL_H
#define SLUICE_BPF_FINAL_H

#include "maps.h"
#include "match.h"
#include "packet.h"

/* Of the rule that decides, for the direction. */
struct final_found {
	__u32 usage;
	__u32 meter;
	__u16 class;
	__u8 action;
	__u8 reserved;
};

/*
 * enum match_result; MATCH_RULE: *found is filled in. `slot`: in policies. The
 * search itself is global functions, so that the verifier walks it once and not
 * once for every way that leads to it.
 */
static __always_inline int final_find(const struct sluice_packet *packet, __u32 slot,
				      enum sluice_direction direction, struct final_found *found)
{
	const struct sluice_policy *policy = bpf_map_lookup_elem(&policies, &slot);
	struct match_search search;
	enum match_result result;

	if (!policy)
		return MATCH_DEFECT;
	result = match_find_by_call(&search, packet, policy, direction);
	if (result != MATCH_RULE)
		return result;
	found->usage = search.usage;
	found->meter = search.meter;
	found->class = search.class;
	found->action = search.action;
	return MATCH_RULE;
}

#endif
