/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The IDS stage: whether a packet of a known session, which its rules let pass, is
 * above a threshold or of something that is blocked. Order: an operator's block, which
 * is of no rule, then the rules by place; each first its exemptions, then its block, then
 * its limits. Rules that only tell see every packet; of the others the first that acts
 * decides.
 * What is dropped is counted here and nowhere else.
 */
#ifndef SLUICE_BPF_IDS_H
#define SLUICE_BPF_IDS_H

#include "decide.h"
#include "ids_block.h"
#include "ids_connection.h"
#include "ids_event.h"
#include "ids_limit.h"
#include "ids_maps.h"
#include "ids_match.h"
#include "ids_sketch.h"
#include "ids_walk.h"

/* The packet's time, read once. */
static __always_inline __u64 ids_now(const struct ids_walk *walk)
{
	return walk->now ? walk->now : bpf_ktime_get_ns();
}

/* --- one rule ------------------------------------------------------------------- */

static __always_inline __u64 ids_units(const struct sluice_ids_rule *rule, const struct ids_walk *walk)
{
	switch (rule->count) {
	case SLUICE_IDS_BYTES:
		return walk->bytes;
	case SLUICE_IDS_PAYLOAD_PACKETS:
		return walk->payload ? walk->packets : 0;
	case SLUICE_IDS_SYNS:
		return walk->has_tcp && (walk->tcp_flags & (IDS_TCP_SYN | IDS_TCP_ACK)) == IDS_TCP_SYN;
	case SLUICE_IDS_NEW_CONNECTIONS:
		return !!(walk->events & IDS_OPENED);
	case SLUICE_IDS_FAILED_CONNECTIONS:
		return !!(walk->events & IDS_FAILED);
	case SLUICE_IDS_OPEN_CONNECTIONS:
		return 0; /* the agent's sweep of ids_connections tells */
	case SLUICE_IDS_DISTINCT_REMOTE_PORTS:
	case SLUICE_IDS_DISTINCT_LOCAL_PORTS:
		return walk->has_ports;
	case SLUICE_IDS_DISTINCT_REMOTE_ADDRESSES:
		return 1;
	default:
		return walk->packets;
	}
}

static __always_inline __u32 ids_value(const struct sluice_ids_rule *rule, const struct ids_walk *walk)
{
	const __u64 *remote = (const __u64 *)walk->remote;

	switch (rule->count) {
	case SLUICE_IDS_DISTINCT_REMOTE_PORTS:
		return (__u32)ids_mix(walk->remote_port + 1);
	case SLUICE_IDS_DISTINCT_LOCAL_PORTS:
		return (__u32)ids_mix(walk->local_port + 1);
	default:
		return (__u32)ids_mix(ids_mix(remote[0]) ^ remote[1]);
	}
}

static __always_inline bool ids_counts_connections(const struct sluice_ids_rule *rule)
{
	return rule->count >= SLUICE_IDS_NEW_CONNECTIONS && rule->count <= SLUICE_IDS_FAILED_CONNECTIONS;
}

/* Of the key at hand; global, so that the verifier walks each once. */
#define IDS_LIMIT(name)                                                                                  \
	int ids_##name(const struct sluice_ids_limit *limit);                                            \
                                                                                                         \
	__weak __noinline int ids_##name(const struct sluice_ids_limit *limit)                           \
	{                                                                                                \
		struct ids_walk *walk = ids_walk_here();                                                 \
                                                                                                         \
		return walk && limit ? ids_##name##_take(&walk->key, limit, &walk->question) : IDS_FULL; \
	}

IDS_LIMIT(bucket)
IDS_LIMIT(exact)
IDS_LIMIT(window)
IDS_LIMIT(distinct)

/*
 * The key has a state of its first limit. The filter before the table is for those that have none: it
 * begins anew with each window, and would let half a limit pass in each that nobody counts.
 */
static __always_inline bool ids_is_known(const struct sluice_ids_rule *rule, const struct sluice_ids_key *key)
{
	if ((rule->flags & SLUICE_IDS_POLL) || rule->limit[0].kind == SLUICE_IDS_BUCKET)
		return bpf_map_lookup_elem(&ids_buckets_lru, key);
	if (rule->limit[0].kind == SLUICE_IDS_EXACT)
		return ids_place_find(&ids_log_keys, key) != IDS_NOWHERE;
	if (rule->count >= SLUICE_IDS_DISTINCT_REMOTE_PORTS)
		return bpf_map_lookup_elem(&ids_sets, key);
	return ids_place_find(&ids_window_keys, key) != IDS_NOWHERE;
}

static __always_inline enum ids_result ids_ask_one(const struct sluice_ids_rule *rule,
						   const struct sluice_ids_limit *limit,
						   const struct ids_question *question)
{
	if (question->poll || limit->kind == SLUICE_IDS_BUCKET)
		return (enum ids_result)ids_bucket(limit);
	if (limit->kind == SLUICE_IDS_EXACT)
		return (enum ids_result)ids_exact(limit);
	if (rule->count >= SLUICE_IDS_DISTINCT_REMOTE_PORTS)
		return (enum ids_result)ids_distinct(limit);
	return (enum ids_result)ids_window(limit);
}

/* IDS_WITHIN, or which limit fires in walk->limit. */
static __always_inline enum ids_result ids_ask(const struct sluice_ids_rule *rule, struct ids_walk *walk,
					       const struct ids_question *question)
{
	enum ids_result result = IDS_WITHIN;

	for (__u32 i = 0; i < SLUICE_IDS_LIMITS && i < rule->limit_count; i++) {
		walk->key.limit = i;
		result = ids_ask_one(rule, &rule->limit[i], question);
		if (result != IDS_WITHIN) {
			walk->limit = i;
			break;
		}
	}
	walk->key.limit = 0;
	return result;
}

/* It does more than tell. */
static __always_inline bool ids_acts(const struct sluice_ids_rule *rule)
{
	return rule->verdict != SLUICE_IDS_ALERT && rule->verdict != SLUICE_IDS_NOTIFY &&
	       !(rule->flags & SLUICE_IDS_OBSERVE);
}

/* Whether the key at hand has a block that drops the packet, which is counted then. */
static __always_inline bool ids_is_blocked(struct __sk_buff *skb, struct ids_walk *walk,
					   const struct sluice_ids_rule *rule,
					   struct sluice_ids_rule_count *count, __u32 slot)
{
	struct sluice_ids_block *block = bpf_map_lookup_elem(&ids_blocks, &walk->key);

	if (block && rule->verdict == SLUICE_IDS_MIRROR && ids_block_holds(block, walk->now))
		walk->steer = rule->steer + 1;
	if (!block || !ids_block_hits(walk, block))
		return false;
	count->dropped.bytes += walk->bytes;
	count->dropped.packets += walk->packets;
	walk->dropped = SLUICE_DROP_IDS_BLOCK;
	if (ids_block_extend(walk, block) && ids_may_tell(count, walk->now))
		ids_tell(skb, walk, slot, SLUICE_IDS_EVENT_EXTEND);
	return true;
}

int ids_rule(struct __sk_buff *skb, const struct sluice_packet *packet, __u32 slot);

__weak __noinline int ids_rule(struct __sk_buff *skb, const struct sluice_packet *packet, __u32 slot)
{
	struct ids_walk *walk = ids_walk_here();
	struct sluice_ids_rule_count *count;
	struct ids_question *question;
	struct sluice_ids_rule *rule;
	struct sluice_ids_block *block;
	enum ids_result result;
	__u32 direction, type;
	bool own = false;

	if (!packet || !walk)
		return 0;
	if (walk->overrides) {
		__u32 *other;

		ids_copy(walk->override.imsi, walk->imsi);
		walk->override.rule = slot;
		other = bpf_map_lookup_elem(&ids_overrides, &walk->override);
		if (other)
			slot = *other;
		if (slot == SLUICE_NONE)
			return 0;
		own = !!other;
	}
	rule = bpf_map_lookup_elem(&ids_rules, &slot);
	count = bpf_map_lookup_elem(&ids_rule_counts, &slot);
	if (!rule || !count || !rule->in_use || (!own && (rule->flags & SLUICE_IDS_OVERRIDE)))
		return 0;
	walk->acts = ids_acts(rule);
	if (walk->dropped && walk->acts)
		return 0;
	direction = ids_counts_connections(rule) && walk->events ? walk->opener : walk->direction;
	if (!ids_matches_packet(rule, walk, packet, direction))
		return 0;
	question = &walk->question;
	question->observed = 0;
	walk->limit = 0;
	count->matched.bytes += walk->bytes;
	count->matched.packets += walk->packets;

	ids_key_put(walk, rule->identity,
		    rule->verdict == SLUICE_IDS_DROP_CONNECTION ? SLUICE_IDS_CONNECTION : rule->track,
		    rule->prefix4, rule->prefix6);
	if (rule->blocks && walk->acts) {
		if (ids_is_blocked(skb, walk, rule, count, slot))
			return 0;
		if (rule->escalate) {
			ids_key_make(walk, rule->identity, rule->escalate, 0, 0);
			if (ids_is_blocked(skb, walk, rule, count, slot))
				return 0;
		}
	}
	if ((rule->blocks && walk->acts && rule->escalate) || rule->verdict == SLUICE_IDS_DROP_CONNECTION)
		ids_key_make(walk, rule->identity, rule->track, rule->prefix4, rule->prefix6);

	question->now = walk->now;
	question->units = ids_units(rule, walk);
	question->revision = rule->revision;
	question->outside = rule->sketch;
	question->poll = !!(rule->flags & SLUICE_IDS_POLL);
	if (!question->units)
		return 0;
	if (rule->sketch && !ids_is_known(rule, &walk->key) &&
	    !ids_sketch_promotes(rule, &walk->key, question->units, walk->now))
		return 0;
	if (rule->count >= SLUICE_IDS_DISTINCT_REMOTE_PORTS)
		question->value = ids_value(rule, walk);
	result = ids_ask(rule, walk, question);
	if (result == IDS_WITHIN)
		return 0;
	if (result == IDS_FULL) {
		count->keys_refused++;
		if (walk->acts && (rule->flags & SLUICE_IDS_FULL_CLOSED)) {
			walk->dropped = SLUICE_DROP_IDS_LIMIT;
			count->dropped.bytes += walk->bytes;
			count->dropped.packets += walk->packets;
		}
		if ((rule->flags & SLUICE_IDS_FULL_ALERT) && ids_may_tell(count, walk->now))
			ids_tell(skb, walk, slot, SLUICE_IDS_EVENT_FULL);
		return 0;
	}
	count->excess.bytes += walk->bytes;
	count->excess.packets += walk->packets;
	if (walk->acts) {
		switch (rule->verdict) {
		case SLUICE_IDS_DROP:
		case SLUICE_IDS_DROP_CONNECTION:
			walk->dropped = SLUICE_DROP_IDS_LIMIT;
			count->dropped.bytes += walk->bytes;
			count->dropped.packets += walk->packets;
			break;
		case SLUICE_IDS_MIRROR:
			walk->steer = rule->steer + 1;
			break;
		}
	}
	type = SLUICE_IDS_EVENT_EXCESS;
	if (rule->flags & SLUICE_IDS_BLOCKS) {
		if (rule->verdict == SLUICE_IDS_DROP_CONNECTION)
			ids_key_make(walk, rule->identity, SLUICE_IDS_CONNECTION, 0, 0);
		block = bpf_map_lookup_elem(&ids_blocks, &walk->key);
		/* one that tells only, or lets a rate pass, goes on as it is */
		if (block && ids_block_holds(block, walk->now)) {
			ids_block_extend(walk, block);
		} else {
			long error = ids_block_make(walk, rule, slot, block != NULL);

			if (!error)
				type = SLUICE_IDS_EVENT_BLOCK;
			else if (error != IDS_EXISTS)
				count->keys_refused++;
		}
	}
	if (type == SLUICE_IDS_EVENT_BLOCK || ids_may_tell(count, walk->now))
		ids_tell(skb, walk, slot, type);
	return 0;
}

/*
 * The same for what most rules are, and most packets to them: within the one limit of a rule, and of no
 * block. False: nothing has been counted, and ids_rule is to see to it.
 */
static __always_inline bool ids_rule_passes(const struct sluice_packet *packet, struct ids_walk *walk,
					    __u32 slot)
{
	const struct sluice_ids_rule *rule = bpf_map_lookup_elem(&ids_rules, &slot);
	struct sluice_ids_rule_count *count = bpf_map_lookup_elem(&ids_rule_counts, &slot);
	const struct sluice_ids_limit *limit;
	struct ids_question *question;
	enum ids_result result;
	int match;

	if (!rule || !count || !rule->in_use || rule->sketch || rule->limit_count != 1 ||
	    rule->flags & (SLUICE_IDS_POLL | SLUICE_IDS_OVERRIDE) ||
	    rule->count > SLUICE_IDS_PAYLOAD_PACKETS || !rule->match_count)
		return false;
	match = ids_match_slot(packet, walk, rule->first_match, walk->direction);
	if (match != IDS_MATCH_YES)
		return match == IDS_MATCH_NOT && rule->match_count == 1;
	question = &walk->question;
	question->units = ids_units(rule, walk);
	if (!question->units)
		return false;
	walk->now = question->now = ids_now(walk);
	question->revision = rule->revision;
	ids_key_put(walk, rule->identity, rule->track, rule->prefix4, rule->prefix6);
	if (rule->blocks && ids_acts(rule)) {
		/* what is tracked is not what is blocked, or not all of it */
		if (rule->escalate || rule->verdict == SLUICE_IDS_DROP_CONNECTION)
			return false;
		if (bpf_map_lookup_elem(&ids_blocks, &walk->key))
			return false;
	}
	limit = &rule->limit[0];
	switch (limit->kind) {
	case SLUICE_IDS_BUCKET:
		result = ids_bucket_take_known(&walk->key, limit, question);
		break;
	case SLUICE_IDS_EXACT:
		result = ids_exact_take_known(&walk->key, limit, question);
		break;
	case SLUICE_IDS_SLIDING:
	case SLUICE_IDS_FIXED:
		result = ids_window_take_known(&walk->key, limit, question);
		break;
	default: /* EWMA counts what is in excess */
		return false;
	}
	if (result != IDS_WITHIN)
		return false;
	count->matched.bytes += walk->bytes;
	count->matched.packets += walk->packets;
	return true;
}

/* --- the stage ------------------------------------------------------------------- */

/* Blocks of operators: at most one of each kind of subject. */
static __noinline bool ids_operator_blocks(struct ids_walk *walk, __u32 tracks)
{
	for (__u8 track = SLUICE_IDS_CONNECTION; track <= SLUICE_IDS_PAIR; track++) {
		struct sluice_ids_block *block;

		if (!(tracks & 1u << track))
			continue;
		ids_key_make(walk, 0, track, 0, 0);
		block = bpf_map_lookup_elem(&ids_blocks, &walk->key);
		if (block && ids_block_hits(walk, block)) {
			ids_block_extend(walk, block);
			return true;
		}
	}
	return false;
}

static __always_inline void ids_account(const struct ids_walk *walk)
{
	struct sluice_counter *lost = bpf_map_lookup_elem(&ids_dropped, &walk->session);

	if (!lost)
		return;
	__sync_fetch_and_add(&lost->bytes, walk->bytes);
	__sync_fetch_and_add(&lost->packets, walk->packets);
}

/* Bytes after the TCP, UDP or SCTP header; whether there are any is what matters. */
static __always_inline __u32 ids_payload(const struct sluice_packet *packet)
{
	__u32 headers = packet->transport - packet->network + packet->transport_header;

	if (!packet->has_ports)
		return 0;
	/* of super-packets each segment has headers of its own, and payload */
	if (packet->packets > 1)
		return 1;
	return packet_less(packet->bytes, headers);
}

/* A copy that cannot be sent is lost. Last: on another device it may meet this stage again. */
static __noinline void ids_mirror(struct __sk_buff *skb, __u32 slot)
{
	const struct sluice_steer *steer = bpf_map_lookup_elem(&steers, &slot);

	if (steer && steer->mode == SLUICE_STEER_MIRROR && steer->ifindex && steer->ifindex != skb->ifindex)
		bpf_clone_redirect(skb, steer->ifindex, 0);
}

/* What a rule that lets the packet pass asks of it. The clock is read when one matches: it is dear. */
static __always_inline void ids_fill(struct ids_walk *walk, const struct sluice_packet *packet, __u32 session,
				     __u32 usage, __u32 way)
{
	__u32 direction = way & 1;
	bool uplink = direction == SLUICE_UPLINK;

	const __u32 *local = uplink ? packet->source : packet->destination;
	const __u32 *remote = uplink ? packet->destination : packet->source;

	walk->now = 0;
	walk->session = session;
	walk->usage = usage;
	walk->apn = way >> 8;
	walk->direction = direction;
	walk->bytes = packet->bytes;
	walk->packets = packet->packets;
	walk->local_port = uplink ? packet->source_port : packet->destination_port;
	walk->remote_port = uplink ? packet->destination_port : packet->source_port;
	walk->family = packet->family;
	walk->protocol = packet->protocol;
	walk->has_ports = packet->has_ports;
	walk->made = 0;
	ids_load_address(walk->local, local);
	ids_load_address(walk->remote, remote);
	walk->tcp_flags = packet->tcp_flags;
	walk->has_tcp = packet->has_tcp;
	/* last: what the verifier knows by its branches, it would know in all that follows */
	walk->payload = ids_payload(packet);
}

/* And what the others do. */
static __always_inline void ids_fill_rest(struct ids_walk *walk, const struct __sk_buff *skb,
					  const struct sluice_packet *packet)
{
	walk->now = ids_now(walk);
	walk->ifindex = skb->ifindex;
	walk->events = 0;
	walk->opener = 0;
	walk->steer = 0;
	walk->source_port = packet->source_port;
	walk->destination_port = packet->destination_port;
	walk->l3 = packet->network == 0;
	walk->dropped = 0;
}

/* Rules that ids_pass looks at: the verifier walks 7,000 instructions for each. The rest is ids_judge's. */
#define IDS_PASSES 16

/* Of ids_pass: no reason for a drop. */
#define IDS_FURTHER 0x100

/*
 * 0, the packet passes, or IDS_FURTHER: ids_judge has to be asked. What most packets need of the stage, and
 * one call; beside ids_judge and not above it, so that their frames do not add up. Both are global functions,
 * which the verifier walks by themselves and not once more for each way that leads to them.
 */
int ids_pass(struct __sk_buff *skb, const struct sluice_packet *packet, __u32 session, __u32 usage,
	     __u32 way);

__weak __noinline int ids_pass(struct __sk_buff *skb, const struct sluice_packet *packet, __u32 session,
			       __u32 usage, __u32 way)
{
	const struct sluice_ids_settings *setting;
	const struct sluice_session_record *record;
	const struct sluice_ids_order *order;
	struct ids_walk *walk;
	__u64 candidates;
	__u32 slot = 0, current, further;

	setting = bpf_map_lookup_elem(&ids_settings, &slot);
	walk = bpf_map_lookup_elem(&ids_walks, &slot);
	if (!packet || !walk || !setting)
		return 0;
	current = setting->current & 1;
	order = &setting->order[current];
	candidates = order->candidates[way & 1][packet->protocol];
	further = setting->overrides | setting->operator_tracks | setting->connections;
	if (!candidates && !further)
		return 0;
	record = bpf_map_lookup_elem(&sessions, &session);
	if (!record)
		return 0;
	ids_fill(walk, packet, session, usage, way);
	ids_copy(walk->imsi, record->imsi);
	walk->current = current;
	walk->candidates = candidates;
	if (further)
		return IDS_FURTHER;
	for (int i = 0; i < IDS_PASSES; i++) {
		if (!candidates)
			return 0;
		slot = order->slot[ids_bits((candidates & -candidates) - 1) % SLUICE_IDS_RULES];
		if (!ids_rule_passes(packet, walk, slot))
			break;
		candidates &= candidates - 1;
	}
	walk->candidates = candidates;
	return IDS_FURTHER;
}

/* The reason for which the packet is dropped, or 0: by the rules that ids_pass has left. */
int ids_judge(struct __sk_buff *skb, const struct sluice_packet *packet);

__weak __noinline int ids_judge(struct __sk_buff *skb, const struct sluice_packet *packet)
{
	const struct sluice_ids_settings *setting;
	const struct sluice_ids_order *order;
	struct ids_walk *walk;
	__u32 slot = 0;

	setting = bpf_map_lookup_elem(&ids_settings, &slot);
	walk = bpf_map_lookup_elem(&ids_walks, &slot);
	if (!packet || !walk || !setting)
		return 0;
	/* what ids_pass has read: another one has other rules at these places */
	order = &setting->order[walk->current & 1];
	ids_fill_rest(walk, skb, packet);
	walk->overrides = !!setting->overrides;
	if (setting->connections && walk->has_ports) {
		ids_key_make(walk, 0, SLUICE_IDS_CONNECTION, 0, 0);
		walk->events = ids_connection(&walk->key, packet, walk->now, walk->direction, &walk->opener);
		if (walk->events && walk->opener != walk->direction)
			walk->candidates |= order->candidates[walk->opener & 1][walk->protocol];
	}
	if (setting->connections && packet->has_icmp)
		ids_unreachable(skb, packet);
	if (setting->operator_tracks && ids_operator_blocks(walk, setting->operator_tracks))
		walk->dropped = SLUICE_DROP_IDS_BLOCK;
	/* not bpf_loop: its context and its callback would be stack, of which there is little left */
	for (int i = 0; i < SLUICE_IDS_RULES; i++) {
		__u64 candidates = walk->candidates;

		if (!candidates)
			break;
		walk->candidates = candidates & (candidates - 1);
		ids_rule(skb, packet,
			 order->slot[ids_bits((candidates & -candidates) - 1) % SLUICE_IDS_RULES]);
	}
	if (walk->dropped)
		ids_account(walk);
	else if (walk->steer)
		ids_mirror(skb, walk->steer - 1);
	return walk->dropped;
}

/* The reason for which the packet is dropped, or 0. */
static __always_inline int ids_ask_all(struct __sk_buff *skb, const struct sluice_packet *packet,
				       __u32 session, __u32 usage, __u32 way)
{
	int result = ids_pass(skb, packet, session, usage, way);

	return result == IDS_FURTHER ? ids_judge(skb, packet) : result;
}

/* Whether there is anything to ask: what every packet pays while there are no rules. */
static __always_inline bool ids_is_active(void)
{
	const struct sluice_ids_settings *setting;
	__u32 slot = 0;

	setting = bpf_map_lookup_elem(&ids_settings, &slot);
	return setting && setting->active;
}

#endif
