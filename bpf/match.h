/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Which rule decides: the first entry of the policy's match list that fits the
 * packet and whose rule has not passed its deadline. A long list is a tree
 * (struct sluice_branch); what is scanned then is the leaf that the packet
 * falls into. One tree and the first block, which is all that most lists and
 * leaves have, are searched in line. What is rarer, several trees and further
 * blocks, are global functions: the verifier walks them once and for
 * themselves, not once for every state in which they are called. A list in
 * several trees is one call and no more, since returns are dear where they are
 * guarded against speculation.
 */
#ifndef SLUICE_BPF_MATCH_H
#define SLUICE_BPF_MATCH_H

#include "maps.h"
#include "packet.h"
#include "terms.h"

/* Blocks of all leaves, and going from one leaf to the next. */
#define MATCH_STEPS (SLUICE_MATCHES_PER_DIRECTION / SLUICE_MATCH_BLOCK + 2 * SLUICE_TREES)

enum match_result {
	MATCH_NONE,
	MATCH_RULE,
	MATCH_DEFECT, /* the list or a binding lies outside its map: nothing may pass by what comes after */
};

/* A run of blocks; as a child of a branch, which may be a branch, on the way there. */
struct match_leaf {
	__u32 block;
	__u32 count;
};

/*
 * One search: what is looked for, where, and what was found. No padding and no
 * pointers, since global functions get it as plain memory.
 */
struct match_search {
	__u32 remote[4]; /* network order; IPv4 in the first word */
	__u16 remote_port;
	__u16 local_port;
	__u8 protocol;
	__u8 has_ports;
	__u8 result; /* enum match_result */
	__u8 action; /* as in the entry */
	/* from the first block not looked at yet; a list in one tree, or in none, has the first only */
	struct match_leaf leaf[SLUICE_TREES];
	/* of the rule found, for the direction, as in its binding */
	__u32 rank; /* match_rank; SLUICE_NONE: none yet */
	__u32 usage;
	__u32 meter;
	__u16 class;
	__u8 direction;
	__u8 tree; /* which leaf is looked at */
};

/* The smallest decides: the first rule, and of its entries in several trees that of the first tree. */
static __always_inline __u32 match_rank(__u32 ordinal, __u32 tree)
{
	return ordinal << 8 | tree;
}

static __always_inline const struct sluice_binding *match_binding(const struct sluice_policy *policy,
								  __u32 ordinal)
{
	__u32 slot;

	if (ordinal < SLUICE_INLINE_BINDINGS)
		return &policy->binding[ordinal];
	slot = policy->bindings + ordinal - SLUICE_INLINE_BINDINGS;
	return bpf_map_lookup_elem(&bindings, &slot);
}

/* Takes the rule unless its time is over; true: the search of this tree ends. */
static __always_inline bool match_take(struct match_search *search, const struct sluice_policy *policy,
				       __u32 ordinal, __u8 action)
{
	const struct sluice_binding *binding;
	__u32 rank = match_rank(ordinal, search->tree);

	/* another tree's comes before this one, and before all that follow here */
	if (rank >= search->rank)
		return true;
	binding = match_binding(policy, ordinal);
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
	search->rank = rank;
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
#define match_entry(search, packet, entry, outside)                                            \
	({                                                                                     \
		bool out = (outside);                                                          \
                                                                                               \
		(!out || ((entry)->terms.which & SLUICE_TERM_REMOTE_NOT)) &&                   \
			match_transport(search, entry) &&                                      \
			(!(entry)->terms.which || terms_hold(&(entry)->terms, (packet), out)); \
	})

/* The first block of the leaf; true: the search of this tree ends. */
static __always_inline bool match_block4(struct match_search *search, const struct sluice_packet *packet,
					 const struct sluice_policy *policy, const struct match_leaf *leaf)
{
	const struct sluice_match4_block *list;
	__u32 block = leaf->block, entries = leaf->count;

	list = bpf_map_lookup_elem(&matches4, &block);
	if (!list) {
		search->result = MATCH_DEFECT;
		return true;
	}
	for (__u32 i = 0; i < SLUICE_MATCH_BLOCK; i++) {
		const struct sluice_match4 *entry = &list->match[i];

		if (i >= entries)
			break;
		if (match_entry(search, packet, entry,
				(search->remote[0] & entry->mask_be) ^ entry->remote_be) &&
		    match_take(search, policy, entry->ordinal, entry->action))
			return true;
	}
	return false;
}

static __always_inline bool match_block6(struct match_search *search, const struct sluice_packet *packet,
					 const struct sluice_policy *policy, const struct match_leaf *leaf)
{
	const struct sluice_match6_block *list;
	const __u64 *remote = (const __u64 *)search->remote;
	__u32 block = leaf->block, entries = leaf->count;

	list = bpf_map_lookup_elem(&matches6, &block);
	if (!list) {
		search->result = MATCH_DEFECT;
		return true;
	}
	for (__u32 i = 0; i < SLUICE_MATCH_BLOCK; i++) {
		const struct sluice_match6 *entry = &list->match[i];

		if (i >= entries)
			break;
		if (match_entry(search, packet, entry,
				((remote[0] & entry->mask_be[0]) ^ entry->remote_be[0]) |
					((remote[1] & entry->mask_be[1]) ^ entry->remote_be[1])) &&
		    match_take(search, policy, entry->ordinal, entry->action))
			return true;
	}
	return false;
}

static __always_inline bool match_block(struct match_search *search, const struct sluice_packet *packet,
					const struct sluice_policy *policy, const struct match_leaf *leaf)
{
	return packet->family == 4 ? match_block4(search, packet, policy, leaf)
				   : match_block6(search, packet, policy, leaf);
}

/* What branches look at. */
struct match_words {
	__u64 first;
	__u64 second;
	__u64 transport;
};

static __always_inline void match_words_of(const struct match_search *search, __u8 family,
					   struct match_words *words)
{
	words->transport = sluice_word_transport(search->has_ports, search->remote_port, search->local_port,
						 search->protocol);
	if (family == 4) {
		words->first = bpf_ntohl(search->remote[0]);
		words->second = 0;
	} else {
		words->first = bpf_be64_to_cpu(*(const __u64 *)search->remote) >> 1;
		words->second = bpf_be64_to_cpu(*(const __u64 *)(search->remote + 2)) >> 1;
	}
}

static __always_inline void match_turn(const struct match_words *words, const struct sluice_branch *branch,
				       struct match_leaf *leaf)
{
	__u64 key = (words->first & -(__u64)branch->first) | (words->second & -(__u64)branch->second) |
		    (words->transport & branch->mask);
	/* by its sign, not by a jump, which the processor could only guess */
	__u32 below = (key - branch->pivot) >> 63;

	leaf->block = branch->child[below];
	leaf->count = branch->count[below];
}

/* From a tree's root to a leaf. False: the tree is broken. */
static __always_inline bool match_descend(const struct match_words *words, struct match_leaf *leaf)
{
	for (int i = 0; i < SLUICE_TREE_DEPTH && (leaf->block & SLUICE_BRANCH); i++) {
		const struct sluice_branch *branch;
		__u32 slot = leaf->block & ~SLUICE_BRANCH;

		branch = bpf_map_lookup_elem(&branches, &slot);
		if (!branch)
			return false;
		match_turn(words, branch, leaf);
	}
	return !(leaf->block & SLUICE_BRANCH);
}

/* One turn in a tree that may have come to its leaf already; without a jump that depends on it. */
static __always_inline bool match_turn_if(const struct match_words *words, struct match_leaf *leaf)
{
	__u32 turns = -(leaf->block >> 31);
	const struct sluice_branch *branch;
	struct match_leaf next;
	__u32 slot;

	/* what it is worth is none of the compiler's business: it would jump */
	barrier_var(turns);
	slot = leaf->block & ~SLUICE_BRANCH & turns;
	branch = bpf_map_lookup_elem(&branches, &slot);
	if (!branch)
		return false;
	match_turn(words, branch, &next);
	leaf->block = (leaf->block & ~turns) | (next.block & turns);
	leaf->count = (leaf->count & ~turns) | (next.count & turns);
	return true;
}

/* Both at the same time: each waits for memory at every turn. */
static __always_inline bool match_descend_both(const struct match_words *words, struct match_leaf *a,
					       struct match_leaf *b)
{
	for (int i = 0; i < SLUICE_TREE_DEPTH && ((a->block | b->block) & SLUICE_BRANCH); i++)
		if (!match_turn_if(words, a) || !match_turn_if(words, b))
			return false;
	return !((a->block | b->block) & SLUICE_BRANCH);
}

struct match_context {
	struct match_search *search;
	const struct sluice_packet *packet;
	const struct sluice_policy *policy;
};

/* bpf_loop body: the next block of a leaf, or from a leaf to the next. */
static long match_step(__u32 index, void *pointer)
{
	struct match_context *context = pointer;
	struct match_search *search = context->search;
	struct match_leaf *leaf;
	__u32 tree = search->tree;

	if (tree >= SLUICE_TREES)
		return 1;
	leaf = &search->leaf[tree];
	if (leaf->count <= SLUICE_MATCH_BLOCK) {
		search->tree++;
		return 0;
	}
	leaf->block++;
	leaf->count -= SLUICE_MATCH_BLOCK;
	if (match_block(search, context->packet, context->policy, leaf))
		leaf->count = 0;
	return search->result == MATCH_DEFECT;
}

/* The blocks after the first one, of all leaves. */
__weak int match_further(struct match_search *search, const struct sluice_packet *packet,
			 const struct sluice_policy *policy)
{
	struct match_context context = {search, packet, policy};

	if (!search || !packet || !policy)
		return 0;
	search->tree = 0;
	bpf_loop(MATCH_STEPS, match_step, &context, 0);
	return 0;
}

/* What the root at search->leaf[0] leads to, which may be several trees, becomes the packet's leaves. */
static __always_inline bool match_find_leaves(struct match_search *search, __u8 family)
{
	struct match_leaf a = search->leaf[0], b = {0}, c = {0};
	const struct sluice_branch *root;
	struct match_words words;
	__u32 slot = a.block & ~SLUICE_BRANCH;

	root = bpf_map_lookup_elem(&branches, &slot);
	if (!root)
		return false;
	if (root->both) {
		a = (struct match_leaf){root->child[0], root->count[0]};
		b = (struct match_leaf){root->child[1], root->count[1]};
	}
	if (b.block & SLUICE_BRANCH) {
		slot = b.block & ~SLUICE_BRANCH;
		root = bpf_map_lookup_elem(&branches, &slot);
		if (!root)
			return false;
		if (root->both) {
			b = (struct match_leaf){root->child[0], root->count[0]};
			c = (struct match_leaf){root->child[1], root->count[1]};
		}
	}
	match_words_of(search, family, &words);
	if (!match_descend_both(&words, &a, &b) || !match_descend(&words, &c))
		return false;
	search->leaf[0] = a;
	search->leaf[1] = b;
	search->leaf[2] = c;
	return true;
}

/* The list at search->leaf[0], whatever it is, but for the blocks after the first ones; 1: there are such. */
__weak int match_trees(struct match_search *search, const struct sluice_packet *packet,
		       const struct sluice_policy *policy)
{
	int further = 0;

	if (!search || !packet || !policy)
		return 0;
	if ((search->leaf[0].block & SLUICE_BRANCH) && !match_find_leaves(search, packet->family)) {
		search->result = MATCH_DEFECT;
		return 0;
	}
	for (int i = 0; i < SLUICE_TREES && search->result != MATCH_DEFECT; i++) {
		struct match_leaf *leaf = &search->leaf[i];

		if (!leaf->count)
			continue;
		search->tree = (__u8)i;
		if (match_block(search, packet, policy, leaf))
			leaf->count = 0;
		further |= leaf->count > SLUICE_MATCH_BLOCK;
	}
	return further && search->result != MATCH_DEFECT;
}

/* The root says "both". */
static __always_inline bool match_is_divided(const struct match_search *search)
{
	const struct sluice_branch *root;
	__u32 slot = search->leaf[0].block & ~SLUICE_BRANCH;

	root = bpf_map_lookup_elem(&branches, &slot);
	return root && root->both;
}

static __always_inline void match_list(struct match_search *search, const struct sluice_packet *packet,
				       const struct sluice_policy *policy)
{
	struct match_leaf *leaf = &search->leaf[0];
	bool further;

	if (!leaf->count)
		return;
	if ((leaf->block & SLUICE_BRANCH) && match_is_divided(search)) {
		further = match_trees(search, packet, policy);
	} else {
		if (leaf->block & SLUICE_BRANCH) {
			struct match_words words;

			match_words_of(search, packet->family, &words);
			if (!match_descend(&words, leaf)) {
				search->result = MATCH_DEFECT;
				return;
			}
			if (!leaf->count)
				return;
		}
		further = !match_block(search, packet, policy, leaf) && leaf->count > SLUICE_MATCH_BLOCK;
	}
	if (further)
		match_further(search, packet, policy);
}

static __always_inline void match_begin(struct match_search *search, const struct sluice_packet *packet,
					const struct sluice_policy *policy, enum sluice_direction direction)
{
	bool uplink = direction == SLUICE_UPLINK;

	*search = (struct match_search){
		.remote_port = uplink ? packet->destination_port : packet->source_port,
		.local_port = uplink ? packet->source_port : packet->destination_port,
		.protocol = packet->protocol,
		.has_ports = packet->has_ports,
		.result = MATCH_NONE,
		.leaf[0] = {uplink ? policy->uplink_block : policy->downlink_block,
			    uplink ? policy->uplink_count : policy->downlink_count},
		.rank = SLUICE_NONE,
		.direction = direction,
	};
	__builtin_memcpy(search->remote, uplink ? packet->destination : packet->source,
			 sizeof(search->remote));
}

/* MATCH_RULE: which one is in search->usage and what follows it. */
static __always_inline enum match_result match_find(struct match_search *search,
						    const struct sluice_packet *packet,
						    const struct sluice_policy *policy,
						    enum sluice_direction direction)
{
	match_begin(search, packet, policy, direction);
	match_list(search, packet, policy);
	return search->result;
}

/* The same with nothing in line: for a search that few packets need. */
static __always_inline enum match_result match_find_by_call(struct match_search *search,
							    const struct sluice_packet *packet,
							    const struct sluice_policy *policy,
							    enum sluice_direction direction)
{
	match_begin(search, packet, policy, direction);
	if (search->leaf[0].count && match_trees(search, packet, policy))
		match_further(search, packet, policy);
	return search->result;
}

#endif
