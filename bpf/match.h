/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which rule decides: the first entry of the policy's match list that fits the
 * packet and whose rule has not passed its deadline. A long list is a tree
 * (struct sluice_branch); what is scanned then is the leaf that the packet
 * falls into. The first block, which is all that most lists and leaves have, is
 * scanned in line; further ones by bpf_loop, because the verifier walks its
 * body once and not once a block.
 */
#ifndef SLUICE_BPF_MATCH_H
#define SLUICE_BPF_MATCH_H

#include "maps.h"
#include "packet.h"
#include "terms.h"

enum match_result {
	MATCH_NONE,
	MATCH_RULE,
	MATCH_DEFECT, /* the list or a binding lies outside its map: nothing may pass by what comes after */
};

/* One search: what is looked for, where, and what was found. */
struct match_search {
	__u32 remote[4]; /* network order; IPv4 in the first word */
	__u16 remote_port;
	__u16 local_port;
	__u8 protocol;
	__u8 has_ports;
	__u8 result; /* enum match_result */
	__u8 action; /* as in the entry */
	__u8 direction;
	__u32 block; /* first block of the list or leaf */
	__u32 count; /* entries */
	const struct sluice_policy *policy;
	const struct sluice_packet *packet;
	/* of the rule found, for the direction, as in its binding */
	__u32 usage;
	__u32 meter;
	__u16 class;
};

static __always_inline const struct sluice_binding *match_binding(const struct sluice_policy *policy,
								  __u32 ordinal)
{
	__u32 slot;

	if (ordinal < SLUICE_INLINE_BINDINGS)
		return &policy->binding[ordinal];
	slot = policy->bindings + ordinal - SLUICE_INLINE_BINDINGS;
	return bpf_map_lookup_elem(&bindings, &slot);
}

/* Takes the rule unless its time is over; true: the search ends. */
static __always_inline bool match_take(struct match_search *search, __u32 ordinal, __u8 action)
{
	const struct sluice_binding *binding = match_binding(search->policy, ordinal);

	if (!binding) {
		search->result = MATCH_DEFECT;
		return true;
	}
	if (binding->deadline_ns && bpf_ktime_get_ns() >= binding->deadline_ns)
		return false;
	search->usage = binding->usage;
	if (search->direction == SLUICE_UPLINK) {
		search->class = binding->uplink_class;
		search->meter = binding->uplink_meter;
	} else {
		search->class = binding->downlink_class;
		search->meter = binding->downlink_meter;
	}
	search->action = action;
	search->result = MATCH_RULE;
	return true;
}

/* The part of an entry that has the same meaning in both families. */
#define match_transport(search, entry)                                                             \
	(((entry)->flags & SLUICE_MATCH_VALID) &&                                                  \
	 (!((entry)->flags & SLUICE_MATCH_PROTOCOL) || (entry)->protocol == (search)->protocol) && \
	 (!((entry)->flags & SLUICE_MATCH_PORTS) ||                                                \
	  ((search)->has_ports && (search)->remote_port >= (entry)->remote_port_low &&             \
	   (search)->remote_port <= (entry)->remote_port_high &&                                   \
	   (search)->local_port >= (entry)->local_port_low &&                                      \
	   (search)->local_port <= (entry)->local_port_high)))

/* `outside`: not zero where the remote address is not in the entry's prefix. */
#define match_entry(search, entry, outside)                                                            \
	({                                                                                             \
		bool out = (outside);                                                                  \
                                                                                                       \
		(!out || ((entry)->terms.which & SLUICE_TERM_REMOTE_NOT)) &&                           \
			match_transport(search, entry) &&                                              \
			(!(entry)->terms.which || terms_hold(&(entry)->terms, (search)->packet, out)); \
	})

static __always_inline bool match_block4(struct match_search *search, __u32 block, __u32 entries)
{
	const struct sluice_match4_block *list;

	list = bpf_map_lookup_elem(&matches4, &block);
	if (!list) {
		search->result = MATCH_DEFECT;
		return true;
	}
	for (__u32 i = 0; i < SLUICE_MATCH_BLOCK; i++) {
		const struct sluice_match4 *entry = &list->match[i];

		if (i >= entries)
			break;
		if (match_entry(search, entry, (search->remote[0] & entry->mask_be) ^ entry->remote_be) &&
		    match_take(search, entry->ordinal, entry->action))
			return true;
	}
	return false;
}

static __always_inline bool match_block6(struct match_search *search, __u32 block, __u32 entries)
{
	const struct sluice_match6_block *list;
	const __u64 *remote = (const __u64 *)search->remote;

	list = bpf_map_lookup_elem(&matches6, &block);
	if (!list) {
		search->result = MATCH_DEFECT;
		return true;
	}
	for (__u32 i = 0; i < SLUICE_MATCH_BLOCK; i++) {
		const struct sluice_match6 *entry = &list->match[i];

		if (i >= entries)
			break;
		if (match_entry(search, entry,
				((remote[0] & entry->mask_be[0]) ^ entry->remote_be[0]) |
					((remote[1] & entry->mask_be[1]) ^ entry->remote_be[1])) &&
		    match_take(search, entry->ordinal, entry->action))
			return true;
	}
	return false;
}

/* bpf_loop bodies: the blocks after the first. */
static long match_further4(__u32 index, void *context)
{
	struct match_search *search = context;
	__u32 done = (index + 1) * SLUICE_MATCH_BLOCK;

	return match_block4(search, search->block + index + 1, search->count - done);
}

static long match_further6(__u32 index, void *context)
{
	struct match_search *search = context;
	__u32 done = (index + 1) * SLUICE_MATCH_BLOCK;

	return match_block6(search, search->block + index + 1, search->count - done);
}

/* From the root to a leaf, which becomes search->block and search->count. False: the tree is broken. */
static __always_inline bool match_descend(struct match_search *search, __u8 family)
{
	__u64 transport = sluice_word_transport(search->has_ports, search->remote_port, search->local_port,
						search->protocol);
	__u64 first, second = 0;
	__u32 block = search->block, count = 0;

	if (family == 4) {
		first = bpf_ntohl(search->remote[0]);
	} else {
		first = bpf_be64_to_cpu(*(const __u64 *)search->remote) >> 1;
		second = bpf_be64_to_cpu(*(const __u64 *)(search->remote + 2)) >> 1;
	}
	for (int i = 0; i < SLUICE_TREE_DEPTH && (block & SLUICE_BRANCH); i++) {
		const struct sluice_branch *branch;
		__u32 slot = block & ~SLUICE_BRANCH;
		__u64 key;
		__u32 below;

		branch = bpf_map_lookup_elem(&branches, &slot);
		if (!branch)
			return false;
		key = (first & -(__u64)branch->first) | (second & -(__u64)branch->second) |
		      (transport & branch->mask);
		/* by its sign, not by a jump, which the processor could only guess */
		below = (key - branch->pivot) >> 63;
		block = branch->child[below];
		count = branch->count[below];
	}
	search->block = block;
	search->count = count;
	return !(block & SLUICE_BRANCH);
}

/* MATCH_RULE: which one is in search->usage and what follows it. */
static __always_inline enum match_result match_find(struct match_search *search,
						    const struct sluice_packet *packet,
						    const struct sluice_policy *policy,
						    enum sluice_direction direction)
{
	bool uplink = direction == SLUICE_UPLINK;
	__u32 further;

	__builtin_memcpy(search->remote, uplink ? packet->destination : packet->source,
			 sizeof(search->remote));
	search->remote_port = uplink ? packet->destination_port : packet->source_port;
	search->local_port = uplink ? packet->source_port : packet->destination_port;
	search->protocol = packet->protocol;
	search->has_ports = packet->has_ports;
	search->result = MATCH_NONE;
	search->direction = direction;
	search->block = uplink ? policy->uplink_block : policy->downlink_block;
	search->count = uplink ? policy->uplink_count : policy->downlink_count;
	search->policy = policy;
	search->packet = packet;

	if (!search->count)
		return MATCH_NONE;
	if ((search->block & SLUICE_BRANCH) && !match_descend(search, packet->family))
		return MATCH_DEFECT;
	if (!search->count)
		return MATCH_NONE;
	if (search->count > SLUICE_MATCHES_PER_DIRECTION)
		search->count = SLUICE_MATCHES_PER_DIRECTION;
	further = (search->count - 1) / SLUICE_MATCH_BLOCK;

	if (packet->family == 4) {
		if (!match_block4(search, search->block, search->count) && further)
			bpf_loop(further, match_further4, search, 0);
	} else {
		if (!match_block6(search, search->block, search->count) && further)
			bpf_loop(further, match_further6, search, 0);
	}
	return search->result;
}

#endif
