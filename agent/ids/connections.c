// SPDX-License-Identifier: Apache-2.0
/*
 * Connections, once a second: how many of a key are open, which were never answered, and which are
 * over. Rounds go in steps; what is judged is a whole round.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "ids/engine_parts.h"
#include "ids/state.h"

#define STEP	   256
#define NS_PER_S   1000000000ull
#define ROUND_NS   NS_PER_S
#define ANSWER_NS  (5 * NS_PER_S) /* a SYN that nobody answers, since its last repeat */
#define REFUSED_NS NS_PER_S	  /* a packet that saw it before is through by then */
#define SILENT_NS  (60 * NS_PER_S)
#define SILENT_TCP (600 * NS_PER_S) /* answered: keep-alives may be rare */
#define ENDED_NS   (10 * NS_PER_S)  /* for its last packets, which open nothing */

/* How many a key has open, in the round at hand. */
struct sl_ids_talk {
	struct sluice_ids_key key;
	uint64_t open;
	UT_hash_handle hh;
};

struct round {
	struct sl_ids_engine *engine;
	uint64_t now;
	bool any; /* a rule wants this */
	/* of the last address: connections of one are often neighbours */
	struct sl_address address;
	struct sluice_endpoint endpoint;
};

static bool in_prefix(const uint8_t *address, const uint8_t *wanted, const uint8_t *mask)
{
	for (int i = 0; i < 16; i++)
		if ((address[i] & mask[i]) != wanted[i])
			return false;
	return true;
}

/* As for the packet that opened it; what only a packet can tell (DSCP, flags) is not asked again. */
static bool match_one(const struct sluice_ids_match *match, const struct sluice_ids_key *key,
		      uint32_t direction)
{
	bool outside;

	if (match->direction != direction || (match->family && match->family != key->family))
		return false;
	if ((match->flags & SLUICE_MATCH_PROTOCOL) && match->protocol != key->protocol)
		return false;
	if ((match->flags & SLUICE_MATCH_PORTS) &&
	    (key->remote_port < match->remote_port_low || key->remote_port > match->remote_port_high ||
	     key->local_port < match->local_port_low || key->local_port > match->local_port_high))
		return false;
	if (!in_prefix(key->local, match->local, match->local_mask))
		return false;
	outside = !in_prefix(key->remote, match->remote, match->mask);
	return outside == !!(match->terms.which & SLUICE_TERM_REMOTE_NOT);
}

static bool matches(const struct sl_ids_rule *rule, const struct sluice_ids_key *key, uint32_t direction)
{
	for (uint32_t i = 0; i < rule->match_count; i++)
		if (match_one(&rule->match[i], key, direction))
			return rule->match[i].verdict == SLUICE_PERMIT;
	return false;
}

static void cut(uint8_t *address, uint32_t bytes, uint32_t length)
{
	for (uint32_t i = 0; i < 16; i++) {
		uint32_t keep = length > i * 8 ? length - i * 8 : 0;

		if (i >= bytes || keep == 0)
			address[i] = 0;
		else if (keep < 8)
			address[i] &= (uint8_t)(0xff << (8 - keep));
	}
}

/* What the rule tracks of it, as packets make it (bpf/ids_walk.h). False: the agent cannot know. */
static bool key_of(const struct sl_ids_rule *rule, const struct sluice_ids_key *connection,
		   uint32_t direction, const struct round *round, struct sluice_ids_key *out)
{
	const bool local = (rule->image.track == SLUICE_IDS_SOURCE) == (direction == SLUICE_UPLINK);
	const struct sl_maps *maps = sl_datapath_maps(round->engine->config.datapath);
	uint8_t prefix = connection->family == 4 ? rule->image.prefix4 : rule->image.prefix6;

	*out = (struct sluice_ids_key){.rule = rule->image.identity, .track = rule->image.track};
	switch (rule->image.track) {
	case SLUICE_IDS_CONNECTION:
		*out = *connection;
		out->rule = rule->image.identity;
		break;
	case SLUICE_IDS_SUBSCRIBER:
		memcpy(out->local, round->endpoint.imsi, sizeof(out->local));
		break;
	case SLUICE_IDS_SOURCE:
	case SLUICE_IDS_DESTINATION:
		out->family = connection->family;
		memcpy(out->remote, local ? connection->local : connection->remote, sizeof(out->remote));
		if (prefix)
			cut(out->remote, connection->family == 4 ? 4 : 16, prefix);
		break;
	case SLUICE_IDS_PAIR:
		out->family = connection->family;
		memcpy(out->local, connection->local, sizeof(out->local));
		memcpy(out->remote, connection->remote, sizeof(out->remote));
		if (prefix)
			cut(out->remote, connection->family == 4 ? 4 : 16, prefix);
		break;
	case SLUICE_IDS_APN:
		if (round->endpoint.policy >= maps->policy_count)
			return false;
		out->number = maps->policies[round->endpoint.policy].apn;
		break;
	case SLUICE_IDS_SUBSCRIBER_RULE:
		/* which rule of the session it was, only its packets know */
		return false;
	default:
		break;
	}
	return true;
}

static void count_open(struct sl_ids_engine *engine, const struct sluice_ids_key *key)
{
	struct sl_ids_talk *talk;

	HASH_FIND(hh, engine->talk, key, sizeof(*key), talk);
	if (!talk) {
		if (HASH_COUNT(engine->talk) >= SL_IDS_POLLED || !(talk = calloc(1, sizeof(*talk)))) {
			engine->stats.polled_refused++;
			return;
		}
		talk->key = *key;
		HASH_ADD(hh, engine->talk, key, sizeof(talk->key), talk);
	}
	talk->open++;
}

/* One that was never answered, or is unreachable; those that were reset are counted by packets. */
static void count_failed(struct sl_ids_engine *engine, const struct sl_ids_rule *rule,
			 const struct sluice_ids_key *key, uint64_t now)
{
	for (uint32_t i = 0; i < rule->image.limit_count; i++) {
		uint64_t count = sl_ids_polled_add(engine, key, rule, i, 1, now) +
				 sl_ids_state_count(engine->config.datapath, &rule->image, key, i, now);

		if (count > rule->image.limit[i].count)
			sl_ids_judge(engine, rule, key, i, count, now);
	}
}

static bool is_local(struct round *round, const struct sluice_ids_key *key)
{
	struct sl_address address = {.family = key->family};

	memcpy(address.bytes, key->local, sizeof(address.bytes));
	if (memcmp(&round->address, &address, sizeof(address)) == 0)
		return true;
	if (sl_endpoint_get(round->engine->config.datapath, &address, &round->endpoint) < 0) {
		round->address.family = 0;
		return false;
	}
	round->address = address;
	return true;
}

static void tell_rules(struct round *round, const struct sluice_ids_key *key, uint8_t count,
		       uint32_t direction)
{
	struct sl_ids_engine *engine = round->engine;

	if (!is_local(round, key))
		return;
	for (uint32_t place = 0; place < SLUICE_IDS_RULES; place++) {
		uint32_t slot = sl_ids_rules_for(engine->config.rules, place, round->endpoint.imsi);
		const struct sl_ids_rule *rule = sl_ids_rules_at(engine->config.rules, slot);
		struct sluice_ids_key of;

		if (!rule || rule->image.count != count || !matches(rule, key, direction) ||
		    !key_of(rule, key, direction, round, &of))
			continue;
		if (count == SLUICE_IDS_OPEN_CONNECTIONS)
			count_open(engine, &of);
		else
			count_failed(engine, rule, &of, round->now);
	}
}

static int look(const void *of, void *value, void *user)
{
	const struct sluice_ids_connection *connection = value;
	const struct sluice_ids_key *key = of;
	struct round *round = user;
	const uint32_t state = connection->state & 0xff;
	const uint32_t direction =
		connection->state & SLUICE_IDS_BY_DOWNLINK ? SLUICE_DOWNLINK : SLUICE_UPLINK;
	const bool tcp = key->protocol == IPPROTO_TCP;
	uint64_t silent = round->now > connection->last_ns ? round->now - connection->last_ns : 0;
	uint64_t limit = tcp && state == SLUICE_IDS_ANSWERED ? SILENT_TCP : SILENT_NS;
	bool failed = tcp && state == SLUICE_IDS_ASKED && silent >= ANSWER_NS;

	if (state == SLUICE_IDS_ENDED)
		limit = ENDED_NS;
	if (state == SLUICE_IDS_REFUSED)
		failed = silent >= REFUSED_NS;
	if (failed || silent >= limit || !round->any) {
		if (sl_ids_delete(round->engine->config.datapath, SL_IDS_CONNECTIONS, key) < 0)
			return 0;
		round->engine->stats.removed++;
		if (failed)
			tell_rules(round, key, SLUICE_IDS_FAILED_CONNECTIONS, direction);
		return 0;
	}
	round->engine->talk_kept++;
	if (state < SLUICE_IDS_ENDED)
		tell_rules(round, key, SLUICE_IDS_OPEN_CONNECTIONS, direction);
	return 0;
}

static void judge_limit(struct sl_ids_engine *engine, const struct sl_ids_rule *rule,
			const struct sl_ids_talk *talk, uint32_t limit, uint64_t now)
{
	const uint64_t most = rule->image.limit[limit].count;
	struct sl_ids_block *block;

	if (talk->open > most)
		sl_ids_judge(engine, rule, &talk->key, limit, talk->open, now);
	if (!rule->clear_percent || talk->open * 100 < most * rule->clear_percent)
		return;
	block = sl_ids_blocks_find(engine->blocks, &talk->key);
	if (block)
		block->above_ns = now;
}

/* False: there are more. */
static bool judge_open(struct sl_ids_engine *engine, uint64_t now, uint64_t begun)
{
	struct sl_ids_talk *talk;

	while ((talk = engine->talk)) {
		uint32_t slot = sl_ids_rules_by_identity(engine->config.rules, talk->key.rule);
		const struct sl_ids_rule *rule = sl_ids_rules_at(engine->config.rules, slot);

		if (sl_ids_turn_is_over(begun))
			return false;
		for (uint32_t i = 0; rule && i < rule->image.limit_count; i++)
			judge_limit(engine, rule, talk, i, now);
		HASH_DEL(engine->talk, talk);
		free(talk);
	}
	return true;
}

/* False: there are more. */
static bool read_all(struct round *round, uint64_t begun)
{
	struct sl_ids_engine *engine = round->engine;

	do {
		if (sl_ids_turn_is_over(begun))
			return false;
		if (sl_ids_walk(engine->config.datapath, SL_IDS_CONNECTIONS, &engine->talk_position, STEP,
				look, round) < 0)
			engine->talk_position = 0;
	} while (engine->talk_position);
	return true;
}

void sl_ids_connections(struct sl_ids_engine *engine, uint64_t now)
{
	struct round round = {.engine = engine,
			      .now = now,
			      .any = sl_ids_arrays(engine->config.datapath)->settings->connections};
	const uint64_t begun = sl_now_ns();
	uint32_t *used = &engine->stats.used[SLUICE_IDS_TABLE_CONNECTIONS];

	if (!engine->talk_begun) {
		/* when no rule wants them any more, those that are there still go */
		if (now < engine->talk_due_ns || (!round.any && !*used))
			return;
		engine->talk_begun = true;
		engine->talk_read = false;
		engine->talk_kept = 0;
		engine->talk_due_ns = now + ROUND_NS;
	}
	if (!engine->talk_read) {
		if (!read_all(&round, begun))
			return;
		engine->talk_read = true;
		*used = engine->talk_kept;
	}
	if (judge_open(engine, now, begun))
		engine->talk_begun = false;
}

void sl_ids_connections_free(struct sl_ids_engine *engine)
{
	struct sl_ids_talk *talk, *next;

	HASH_ITER (hh, engine->talk, talk, next) {
		HASH_DEL(engine->talk, talk);
		free(talk);
	}
}
