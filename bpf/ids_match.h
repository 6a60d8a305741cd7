/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Whether an IDS rule is about a packet. */
#ifndef SLUICE_BPF_IDS_MATCH_H
#define SLUICE_BPF_IDS_MATCH_H

#include "ids_walk.h"
#include "terms.h"

static __always_inline bool ids_in_prefix(const __u8 *address, const __u8 *wanted, const __u8 *mask)
{
	const __u64 *a = (const __u64 *)address, *w = (const __u64 *)wanted, *m = (const __u64 *)mask;

	return !(((a[0] & m[0]) ^ w[0]) | ((a[1] & m[1]) ^ w[1]));
}

/* `direction`: of the packet, or for rules that count connections of what opened its connection. */
static __always_inline bool ids_match_one(const struct sluice_ids_match *match, const struct ids_walk *walk,
					  const struct sluice_packet *packet, __u32 direction)
{
	bool outside;

	if (match->direction != direction || (match->family && match->family != walk->family))
		return false;
	if ((match->flags & SLUICE_MATCH_PROTOCOL) && match->protocol != walk->protocol)
		return false;
	if ((match->flags & SLUICE_MATCH_PORTS) &&
	    (!walk->has_ports || walk->remote_port < match->remote_port_low ||
	     walk->remote_port > match->remote_port_high || walk->local_port < match->local_port_low ||
	     walk->local_port > match->local_port_high))
		return false;
	if (!ids_in_prefix(walk->local, match->local, match->local_mask))
		return false;
	outside = !ids_in_prefix(walk->remote, match->remote, match->mask);
	if (outside && !(match->terms.which & SLUICE_TERM_REMOTE_NOT))
		return false;
	return !match->terms.which || terms_hold(&match->terms, packet, outside);
}

enum ids_match_result {
	IDS_MATCH_NOT,
	IDS_MATCH_YES,
	IDS_MATCH_EXCEPT,
};

static __always_inline int ids_match_slot(const struct sluice_packet *packet, const struct ids_walk *walk,
					  __u32 slot, __u32 direction)
{
	const struct sluice_ids_match *match = bpf_map_lookup_elem(&ids_matches, &slot);

	if (!match || !ids_match_one(match, walk, packet, direction))
		return IDS_MATCH_NOT;
	return match->verdict == SLUICE_PERMIT ? IDS_MATCH_YES : IDS_MATCH_EXCEPT;
}

/* Global, so that the verifier walks it once and not once for each of a rule's matches. */
int ids_match(const struct sluice_packet *packet, const struct ids_walk *walk, __u32 slot, __u32 direction);

__weak __noinline int ids_match(const struct sluice_packet *packet, const struct ids_walk *walk, __u32 slot,
				__u32 direction)
{
	if (!packet || !walk)
		return IDS_MATCH_NOT;
	return ids_match_slot(packet, walk, slot, direction);
}

/* The first without a call, which costs as much as the match: few rules have more. */
static __always_inline bool ids_matches_packet(const struct sluice_ids_rule *rule,
					       const struct ids_walk *walk,
					       const struct sluice_packet *packet, __u32 direction)
{
	int result;

	if (!rule->match_count)
		return false;
	result = ids_match_slot(packet, walk, rule->first_match, direction);
	if (result != IDS_MATCH_NOT)
		return result == IDS_MATCH_YES;
	for (__u32 i = 1; i < SLUICE_IDS_MATCHES_PER_RULE && i < rule->match_count; i++) {
		result = ids_match(packet, walk, rule->first_match + i, direction);
		if (result != IDS_MATCH_NOT)
			return result == IDS_MATCH_YES;
	}
	return false;
}

#endif
