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
#define WALK  1024

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

/* --- excess ------------------------------------------------------------------------------ */

void sl_ids_judge(struct sl_ids_engine *engine, const struct sl_ids_rule *rule,
		  const struct sluice_ids_key *key, uint32_t limit, uint64_t observed, uint64_t now)
{
	const struct sluice_ids_rule *image = &rule->image;
	const char *imsi = key->track == SLUICE_IDS_SUBSCRIBER ? (const char *)key->local : "";
	struct sl_ids_block_order order = {
		.key = *key,
		.verdict = image->verdict,
		.flags = (image->flags & SLUICE_IDS_EXTEND ? SLUICE_IDS_BLOCK_EXTEND : 0) |
			 (image->flags & SLUICE_IDS_OBSERVE ? SLUICE_IDS_BLOCK_OBSERVE : 0),
		.hard_ns = image->hard_ns,
		.idle_ns = image->idle_ns,
		.police = image->police,
		.imsi = imsi,
	};
	struct sl_ids_block *block = NULL;
	struct sl_error err;
	int rc;

	order.key.limit = 0;
	sl_ids_alert_excess(engine, rule, &order.key, limit, observed, now);
	if (!(image->flags & SLUICE_IDS_BLOCKS))
		return;
	rc = sl_ids_blocks_make(engine->blocks, &order, now, &block, &err);
	if (rc == 0) {
		block->observed = observed;
		block->limit = (uint8_t)limit;
	} else if (rc != -EEXIST) {
		sl_log(SL_LOG_WARNING, "ids-not-blocked", "rule", "%s", rule->name, "reason", "%s", err.text,
		       NULL);
	}
}

/* --- the sweep --------------------------------------------------------------------------- */

struct sweep {
	struct sl_ids_engine *engine;
	uint64_t now;
	bool due[SLUICE_IDS_RULES];
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

	if (!rule || !sweep->due[slot] || bucket->revision != rule->image.revision ||
	    key->limit >= rule->image.limit_count)
		return 0;
	limit = &rule->image.limit[key->limit];
	HASH_FIND(hh, engine->polled, key, sizeof(*key), polled);
	/* what is silent longer than its window has nothing in it: no need to remember it */
	if (!polled && sweep->now > bucket->last_ns + limit->window_ns)
		return 0;
	polled = polled_of(engine, key, rule, limit, sweep->now);
	if (!polled)
		return 0;
	polled->last_ns = bucket->last_ns;
	sum = add(polled, limit,
		  bucket->counted >= polled->counted ? bucket->counted - polled->counted : bucket->counted,
		  sweep->now);
	polled->counted = bucket->counted;
	if (sum > limit->count)
		sl_ids_judge(engine, rule, key, key->limit, sum, sweep->now);
	return 0;
}

static void read_all(struct sl_ids_engine *engine, enum sl_ids_map map, struct sweep *sweep)
{
	uint64_t position = 0;

	do {
		if (sl_ids_walk(engine->config.datapath, map, &position, WALK, read_one, sweep) < 0)
			break;
	} while (position);
}

static void forget_silent(struct sl_ids_engine *engine, uint64_t now)
{
	struct sl_ids_polled *polled, *next;

	HASH_ITER (hh, engine->polled, polled, next) {
		/* parts are all empty then, whichever way a reading and a packet cross */
		if (now > polled->last_ns + polled->part_ns * (PARTS + 1))
			drop(engine, polled);
	}
}

void sl_ids_poll(struct sl_ids_engine *engine, uint64_t now)
{
	struct sweep sweep = {.engine = engine, .now = now};
	bool inside = false, outside = false;

	for (uint32_t slot = 0; slot < SLUICE_IDS_RULES; slot++) {
		const struct sl_ids_rule *rule = sl_ids_rules_at(engine->config.rules, slot);

		if (!rule || !(rule->image.flags & SLUICE_IDS_POLL) || now < engine->poll_due_ns[slot])
			continue;
		sweep.due[slot] = true;
		engine->poll_due_ns[slot] = now + rule->poll_ns;
		/* whether keys are from outside, the rule in the map says */
		if (rule->image.sketch)
			outside = true;
		else
			inside = true;
	}
	if (inside)
		read_all(engine, SL_IDS_BUCKETS, &sweep);
	if (outside)
		read_all(engine, SL_IDS_BUCKETS_LRU, &sweep);
	if (inside || outside)
		forget_silent(engine, now);
}

void sl_ids_poll_free(struct sl_ids_engine *engine)
{
	struct sl_ids_polled *polled, *next;

	HASH_ITER (hh, engine->polled, polled, next)
		drop(engine, polled);
}
