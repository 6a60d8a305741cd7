// SPDX-License-Identifier: Apache-2.0
/*
 * Keys that have been silent so long that their state says nothing any more are taken out of the tables, a
 * part of one table a step, so that those who left make room for those who come.
 */
#include "ids/engine_parts.h"

#define STEP	 256
#define REST_NS	 5000000000ull	/* after each round */
#define LEAST_NS 10000000000ull /* a packet that has found it, is through long before that */
#define GONE_NS	 60000000000ull /* of connections, and of rules that are no more */

static const enum sl_ids_map tables[] = {SL_IDS_BUCKETS, SL_IDS_BUCKETS_LRU, SL_IDS_WINDOWS, SL_IDS_LOGS,
					 SL_IDS_SETS};
#define TABLES (sizeof(tables) / sizeof(tables[0]))

struct step {
	struct sl_ids_engine *engine;
	enum sl_ids_map table;
	uint64_t now;
};

static uint64_t last_of(enum sl_ids_map table, const void *value)
{
	switch (table) {
	case SL_IDS_WINDOWS:
		return ((const struct sluice_ids_window *)value)->last_ns;
	case SL_IDS_LOGS:
		return ((const struct sluice_ids_log *)value)->last_ns;
	case SL_IDS_SETS:
		return ((const struct sluice_ids_set *)value)->last_ns;
	default:
		return ((const struct sluice_ids_bucket *)value)->last_ns;
	}
}

/* A bucket may be full for longer than its window, by its burst. */
static uint64_t memory_of(const struct sluice_ids_rule *rule, uint32_t limit)
{
	const struct sluice_ids_limit *of;
	uint64_t memory = LEAST_NS;

	if (!rule || limit >= rule->limit_count)
		return GONE_NS;
	of = &rule->limit[limit];
	if (of->window_ns * 2 > memory)
		memory = of->window_ns * 2;
	if (of->kind == SLUICE_IDS_BUCKET && sluice_ids_most(of) / 1024 > memory)
		memory = sluice_ids_most(of) / 1024;
	return memory;
}

static int look(const void *of, void *value, void *user)
{
	const struct sluice_ids_key *key = of;
	struct step *step = user;
	struct sl_ids_engine *engine = step->engine;
	const struct sluice_ids_rule *rule = sl_ids_rules_image(
		engine->config.rules, sl_ids_rules_by_identity(engine->config.rules, key->rule));

	if (step->now <= last_of(step->table, value) + memory_of(rule, key->limit)) {
		engine->silent.kept++;
		return 0;
	}
	if (sl_ids_delete(engine->config.datapath, step->table, key) < 0)
		return 0;
	engine->stats.removed++;
	engine->silent.removed_lru += step->table == SL_IDS_BUCKETS_LRU;
	return 0;
}

/* What packets have made, and is neither there nor taken out. */
static void count_evicted(struct sl_ids_engine *engine, uint32_t kept)
{
	uint64_t evicted = engine->silent.made_lru - engine->silent.removed_lru - kept;

	if (!engine->silent.has_before) {
		engine->silent.evicted_before = evicted;
		engine->silent.has_before = true;
	}
	/* keys that came during the round make it too few, until the next one */
	if (evicted - engine->silent.evicted_before < UINT64_MAX / 2 &&
	    evicted - engine->silent.evicted_before > engine->stats.evicted)
		engine->stats.evicted = evicted - engine->silent.evicted_before;
}

static void begin_round(struct sl_ids_engine *engine, enum sl_ids_map table)
{
	struct sluice_ids_table_count counts;

	if (table == SL_IDS_BUCKETS_LRU && sl_ids_table_counts(engine->config.datapath, table, &counts) == 0)
		engine->silent.made_lru = counts.made;
}

static void end_round(struct sl_ids_engine *engine, enum sl_ids_map table)
{
	engine->stats.used[table] = engine->silent.kept;
	if (table == SL_IDS_BUCKETS_LRU)
		count_evicted(engine, engine->silent.kept);
	engine->silent.kept = 0;
}

void sl_ids_silent(struct sl_ids_engine *engine, uint64_t now)
{
	struct step step = {.engine = engine, .table = tables[engine->silent.table % TABLES], .now = now};

	if (now < engine->silent.due_ns)
		return;
	if (!engine->silent.position)
		begin_round(engine, step.table);
	if (sl_ids_walk(engine->config.datapath, step.table, &engine->silent.position, STEP, look, &step) < 0)
		engine->silent.position = 0;
	if (engine->silent.position)
		return;
	end_round(engine, step.table);
	if (++engine->silent.table % TABLES == 0)
		engine->silent.due_ns = now + REST_NS;
}
