// SPDX-License-Identifier: Apache-2.0
/*
 * Rules with engine poll: packets only count, and the counts are read every interval. Judged is what was
 * counted in the limit's own window, as differences between readings; never an average since
 * the key began. A window has at most PARTS parts, so a key's memory is bounded.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "ids/engine_parts.h"
#include "ids/key.h"

#define PARTS 60
#define WALK  256 /* entries in one call of the kernel */

struct sl_ids_polled {
	struct sluice_ids_key key; /* with the limit's number */
	uint64_t counted;	   /* at the last reading */
	uint64_t part_ns;	   /* length of a part */
	uint64_t newest;	   /* number of the newest part */
	uint64_t last_ns;
	uint32_t revision;
	UT_hash_handle hh;
	uint32_t part[PARTS];
};

/* The window is a whole number of parts, each a whole number of intervals. */
static uint64_t part_of(const struct sl_ids_rule *rule, const struct sluice_ids_limit *limit)
{
	uint64_t least = limit->window_ns / PARTS + 1;

	return rule->poll_ns > least ? rule->poll_ns : least;
}

static void drop(struct sl_ids_engine *engine, struct sl_ids_polled *polled)
{
	if (engine->polled_next == polled)
		engine->polled_next = polled->hh.next;
	HASH_DEL(engine->polled, polled);
	free(polled);
	engine->stats.polled--;
}

static struct sl_ids_polled *polled_of(struct sl_ids_engine *engine, const struct sluice_ids_key *key,
				       const struct sl_ids_rule *rule, const struct sluice_ids_limit *limit,
				       uint64_t now)
{
	uint64_t part = part_of(rule, limit);
	struct sl_ids_polled *polled;

	HASH_FIND(hh, engine->polled, key, sizeof(*key), polled);
	if (polled && polled->revision == rule->image.revision && polled->part_ns == part)
		return polled;
	if (polled)
		drop(engine, polled);
	if (HASH_COUNT(engine->polled) >= SL_IDS_POLLED || !(polled = calloc(1, sizeof(*polled)))) {
		engine->stats.polled_refused++;
		return NULL;
	}
	polled->key = *key;
	polled->revision = rule->image.revision;
	polled->part_ns = part;
	polled->newest = now / part;
	HASH_ADD(hh, engine->polled, key, sizeof(polled->key), polled);
	engine->stats.polled++;
	return polled;
}

static uint64_t add(struct sl_ids_polled *polled, const struct sluice_ids_limit *limit, uint64_t units,
		    uint64_t now)
{
	uint64_t number = now / polled->part_ns, parts = limit->window_ns / polled->part_ns, sum = 0;
	uint32_t *part;

	for (uint64_t i = polled->newest + 1; i <= number && i <= polled->newest + PARTS; i++)
		polled->part[i % PARTS] = 0;
	polled->newest = number;
	part = &polled->part[number % PARTS];
	*part = units > UINT32_MAX - *part ? UINT32_MAX : *part + (uint32_t)units;
	if (parts > PARTS)
		parts = PARTS;
	for (uint64_t i = 0; i < (parts ? parts : 1); i++)
		sum += polled->part[(number - i) % PARTS];
	/* an interval that is longer than the window: what it would be in the window */
	return parts ? sum : sum * limit->window_ns / polled->part_ns;
}

uint64_t sl_ids_polled_add(struct sl_ids_engine *engine, const struct sluice_ids_key *key,
			   const struct sl_ids_rule *rule, uint32_t limit, uint64_t units, uint64_t now)
{
	struct sluice_ids_key of = *key;
	struct sl_ids_polled *polled;

	of.limit = (uint8_t)limit;
	polled = polled_of(engine, &of, rule, &rule->image.limit[limit], now);
	if (!polled)
		return 0;
	polled->last_ns = now;
	return add(polled, &rule->image.limit[limit], units, now);
}

uint64_t sl_ids_polled_count(struct sl_ids_engine *engine, const struct sluice_ids_key *key,
			     const struct sl_ids_rule *rule, uint32_t limit, uint64_t now)
{
	struct sluice_ids_key of = *key;
	struct sl_ids_polled *polled;

	of.limit = (uint8_t)limit;
	HASH_FIND(hh, engine->polled, &of, sizeof(of), polled);
	if (!polled || polled->revision != rule->image.revision)
		return 0;
	return add(polled, &rule->image.limit[limit], 0, now);
}

/* --- excess ------------------------------------------------------------------------------ */

void sl_ids_judge(struct sl_ids_engine *engine, const struct sl_ids_rule *rule,
		  const struct sluice_ids_key *key, uint32_t limit, uint64_t observed, uint64_t now)
{
	const struct sluice_ids_rule *image = &rule->image;
	struct sl_ids_block_order order = {
		.key = *key,
		.verdict = image->verdict,
		.flags = (image->flags & SLUICE_IDS_EXTEND ? SLUICE_IDS_BLOCK_EXTEND : 0) |
			 (image->flags & SLUICE_IDS_OBSERVE ? SLUICE_IDS_BLOCK_OBSERVE : 0),
		.hard_ns = image->hard_ns,
		.idle_ns = image->idle_ns,
		.police = image->police,
		.observed = observed,
		.limit = (uint8_t)limit,
	};
	struct sl_error err;
	int rc;

	order.key.limit = 0;
	rc = image->flags & SLUICE_IDS_BLOCKS ? sl_ids_blocks_make(engine->blocks, &order, now, NULL, &err)
					      : -EEXIST;
	/* the block's beginning tells it all */
	if (rc == 0)
		return;
	sl_ids_alert_excess(engine, rule, &order.key, limit, observed, now);
	if (rc != -EEXIST)
		sl_log(SL_LOG_WARNING, "ids-not-blocked", "rule", "%s", rule->name, "reason", "%s", err.text,
		       NULL);
}

/* --- the sweep --------------------------------------------------------------------------- */

struct sweep {
	struct sl_ids_engine *engine;
	uint64_t now;
};

static int read_one(const void *of, void *value, void *user)
{
	const struct sluice_ids_bucket *bucket = value;
	const struct sluice_ids_key *key = of;
	struct sweep *sweep = user;
	struct sl_ids_engine *engine = sweep->engine;
	const uint32_t slot = sl_ids_rules_by_identity(engine->config.rules, key->rule);
	const struct sl_ids_rule *rule = sl_ids_rules_at(engine->config.rules, slot);
	const struct sluice_ids_limit *limit;
	struct sl_ids_polled *polled;
	uint64_t sum;
	bool is_new;

	if (!rule || !engine->poll.due[slot] || bucket->revision != rule->image.revision ||
	    key->limit >= rule->image.limit_count)
		return 0;
	limit = &rule->image.limit[key->limit];
	HASH_FIND(hh, engine->polled, key, sizeof(*key), polled);
	is_new = !polled || polled->revision != rule->image.revision;
	polled = polled_of(engine, key, rule, limit, sweep->now);
	if (!polled)
		return 0;
	polled->last_ns = bucket->last_ns;
	/* counted at an unknown time, maybe hours ago: where counting goes on from */
	if (is_new && engine->poll_first[slot]) {
		polled->counted = bucket->counted;
		return 0;
	}
	sum = add(polled, limit,
		  bucket->counted >= polled->counted ? bucket->counted - polled->counted : bucket->counted,
		  sweep->now);
	polled->counted = bucket->counted;
	if (sum > limit->count)
		sl_ids_judge(engine, rule, key, key->limit, sum, sweep->now);
	return 0;
}

/* False: it is not through. */
static bool read_table(struct sl_ids_engine *engine, enum sl_ids_map map, uint64_t now, uint64_t begun)
{
	struct sweep sweep = {.engine = engine, .now = now};

	do {
		if (sl_ids_turn_is_over(begun))
			return false;
		if (sl_ids_walk(engine->config.datapath, map, &engine->poll.position, WALK, read_one,
				&sweep) < 0)
			engine->poll.position = 0;
	} while (engine->poll.position);
	return true;
}

static bool read_all(struct sl_ids_engine *engine, uint64_t now, uint64_t begun)
{
	static const enum sl_ids_map maps[] = {SL_IDS_BUCKETS, SL_IDS_BUCKETS_LRU};

	for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++) {
		if (!engine->poll.table[i])
			continue;
		if (!read_table(engine, maps[i], now, begun))
			return false;
		engine->poll.table[i] = false;
	}
	return true;
}

static bool is_counted(struct sl_ids_engine *engine, const struct sluice_ids_key *key)
{
	struct sluice_ids_bucket bucket;

	return sl_ids_get(engine->config.datapath, SL_IDS_BUCKETS, key, &bucket) == 0 ||
	       sl_ids_get(engine->config.datapath, SL_IDS_BUCKETS_LRU, key, &bucket) == 0;
}

static void forget_silent(struct sl_ids_engine *engine, uint64_t now, uint64_t begun)
{
	while (engine->polled_next && !sl_ids_turn_is_over(begun)) {
		struct sl_ids_polled *polled = engine->polled_next;

		engine->polled_next = polled->hh.next;
		/*
		 * Parts are all empty then, whichever way a reading and a packet cross. As long as the
		 * table has the key, so have we: its count goes on from where it was.
		 */
		if (now > polled->last_ns + polled->part_ns * (PARTS + 1) &&
		    !is_counted(engine, &polled->key))
			drop(engine, polled);
	}
}

/* Rules that are due while others are read wait for the end of that round. */
static bool begin_round(struct sl_ids_engine *engine, uint64_t now)
{
	for (uint32_t slot = 0; slot < SLUICE_IDS_RULES; slot++) {
		const struct sl_ids_rule *rule = sl_ids_rules_at(engine->config.rules, slot);
		bool due = rule && (rule->image.flags & SLUICE_IDS_POLL) && now >= engine->poll_due_ns[slot];

		engine->poll.due[slot] = due;
		if (!due)
			continue;
		engine->poll_due_ns[slot] = now + rule->poll_ns;
		engine->poll_first[slot] = engine->poll_read[slot] != rule->image.revision;
		engine->poll_read[slot] = rule->image.revision;
		/* whether keys are from outside, the rule in the map says */
		engine->poll.table[!!rule->image.sketch] = true;
	}
	return engine->poll.table[0] || engine->poll.table[1];
}

void sl_ids_poll(struct sl_ids_engine *engine, uint64_t now)
{
	const uint64_t begun = sl_now_ns();
	bool under_way = engine->poll.table[0] || engine->poll.table[1];

	if ((under_way || begin_round(engine, now)) && read_all(engine, now, begun) && !engine->polled_next)
		engine->polled_next = engine->polled;
	forget_silent(engine, now, begun);
}

void sl_ids_poll_free(struct sl_ids_engine *engine)
{
	struct sl_ids_polled *polled, *next;

	HASH_ITER (hh, engine->polled, polled, next)
		drop(engine, polled);
}
