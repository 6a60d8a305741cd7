// SPDX-License-Identifier: Apache-2.0
/*
 * Blocks of rules with `clear` end when the key has been below a part of every limit for a while: once a
 * second all of them are looked at, in turns.
 */
#include "ids/engine_parts.h"
#include "ids/state.h"

#define ROUND_NS 3000000000ull /* longer than a round through the connections takes */

struct look {
	struct sl_ids_engine *engine;
	uint64_t now;
	uint64_t begun; /* by the clock: the turn */
};

/* What a limit holds at most: of a bucket the burst, however long the window. */
static uint64_t whole_of(const struct sluice_ids_limit *limit)
{
	return limit->kind == SLUICE_IDS_BUCKET ? limit->burst : limit->count;
}

static bool is_below(struct sl_ids_engine *engine, const struct sl_ids_rule *rule,
		     const struct sl_ids_block *block, uint64_t now)
{
	if (rule->image.count == SLUICE_IDS_OPEN_CONNECTIONS)
		return now - block->above_ns > ROUND_NS;
	for (uint32_t i = 0; i < rule->image.limit_count; i++) {
		const struct sluice_ids_limit *limit = &rule->image.limit[i];
		uint64_t whole = whole_of(limit), count;

		/* what the agent counts itself, as of its last reading */
		count = sl_ids_polled_count(engine, &block->key, rule, i, now);
		if (rule->image.flags & SLUICE_IDS_POLL)
			whole = limit->count;
		else
			count += sl_ids_state_count(engine->config.datapath, &rule->image, &block->key, i,
						    now);
		if (count * 100 >= whole * rule->clear_percent)
			return false;
	}
	return true;
}

static int look_at(struct sl_ids_block *block, void *user)
{
	struct look *look = user;
	struct sl_ids_engine *engine = look->engine;
	const struct sl_ids_rule *rule = sl_ids_rules_at(
		engine->config.rules, sl_ids_rules_by_identity(engine->config.rules, block->key.rule));

	engine->clear_from = block->number + 1;
	/* of a wider or a narrower key nothing is counted: such a block has its time */
	if (rule && rule->clear_percent && block->key.track == rule->image.track) {
		if (!is_below(engine, rule, block, look->now))
			block->below_ns = 0;
		else if (!block->below_ns)
			block->below_ns = look->now;
		if (block->below_ns && look->now - block->below_ns >= rule->clear_ns)
			sl_ids_blocks_end(engine->blocks, block, "clear", look->now);
	}
	return sl_ids_turn_is_over(look->begun);
}

void sl_ids_clear_begin(struct sl_ids_engine *engine)
{
	/* a round that is under way is not begun anew, so that it comes to its end */
	for (uint32_t slot = 0; slot < SLUICE_IDS_RULES && !engine->clear_from; slot++) {
		const struct sl_ids_rule *rule = sl_ids_rules_at(engine->config.rules, slot);

		if (rule && rule->clear_percent)
			engine->clear_from = 1;
	}
}

void sl_ids_clear(struct sl_ids_engine *engine, uint64_t now)
{
	struct look look = {.engine = engine, .now = now, .begun = sl_now_ns()};

	if (engine->clear_from && sl_ids_blocks_each(engine->blocks, engine->clear_from, look_at, &look) == 0)
		engine->clear_from = 0;
}
