// SPDX-License-Identifier: Apache-2.0
/* Blocks that the agent makes: of operators, of rules that it judges itself, of wider tracks. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "ids/blocks_state.h"

static void fill(const struct sl_ids_block_order *order, const struct sluice_ids_offender *offender,
		 uint64_t now, struct sluice_ids_block *out)
{
	uint64_t hard = offender->level && offender->hard_ns ? offender->hard_ns : order->hard_ns;

	*out = (struct sluice_ids_block){
		.since_ns = now,
		.last_ns = now,
		.hard_ns = hard ? now + hard : 0,
		.idle_ns = order->idle_ns,
		.police = order->police,
		.level = offender->level,
		.verdict = order->verdict,
		.flags = order->flags,
	};
}

static void note_order(struct sl_ids_blocks *blocks, struct sl_ids_block *block,
		       const struct sl_ids_block_order *order)
{
	snprintf(block->imsi, sizeof(block->imsi), "%s", order->imsi ? order->imsi : "");
	snprintf(block->reason, sizeof(block->reason), "%s", order->reason ? order->reason : "");
	if (block->reason[0])
		sl_ids_notes_reason(&blocks->notes, &block->key, block->reason);
	memset(&block->packet, 0, sizeof(block->packet));
	block->observed = order->observed;
	block->limit = order->limit;
}

static int no_room(struct sl_ids_blocks *blocks, struct sl_error *err)
{
	blocks->stats.refused++;
	return sl_error(err, ENOSPC, "no room for another block: the map ids_blocks has %u",
			blocks->stats.size);
}

static int failed(struct sl_ids_blocks *blocks, int rc, struct sl_error *err)
{
	if (rc == -E2BIG || rc == -ENOMEM)
		return no_room(blocks, err);
	return sl_error(err, -rc, "the map ids_blocks: %s", strerror(-rc));
}

int sl_ids_blocks_make(struct sl_ids_blocks *blocks, const struct sl_ids_block_order *order, uint64_t now,
		       struct sl_ids_block **out, struct sl_error *err)
{
	const uint32_t slot = sl_ids_rules_by_identity(blocks->config.rules, order->key.rule);
	struct sluice_ids_block value, there;
	struct sl_ids_block *block;
	int rc;

	if (!order->key.rule) {
		rc = sl_ids_blocks_make_many(blocks, order, 1, now, err);
		if (rc == 0 && out)
			*out = sl_ids_blocks_find(blocks, &order->key);
		return rc;
	}
	if (slot == SLUICE_NONE)
		return sl_error(err, ENOENT, "the rule is not in force");
	block = sl_ids_blocks_remember(blocks, &order->key);
	if (!block)
		return sl_error(err, ENOMEM, "out of memory");
	fill(order, &block->offender, now, &value);
	value.rule = (uint16_t)slot;
	/* before it is there, so that nobody misses it */
	sl_ids_blocks_count(blocks, &order->key, 1);
	rc = sl_ids_set(blocks->config.datapath, SL_IDS_BLOCKS, &order->key, &value, SL_IDS_NEW);
	if (rc < 0)
		sl_ids_blocks_count(blocks, &order->key, -1);
	if (rc == -EEXIST) {
		rc = sl_ids_get(blocks->config.datapath, SL_IDS_BLOCKS, &order->key, &there);
		if (rc == 0 && !block->active)
			sl_ids_blocks_begin(blocks, block, &there, false, now);
		if (rc == 0 && (!there.hard_ns || now < there.hard_ns) &&
		    (!there.idle_ns || now < there.last_ns + there.idle_ns))
			return sl_error(err, EEXIST, "it is blocked already");
		rc = sl_ids_set(blocks->config.datapath, SL_IDS_BLOCKS, &order->key, &value, SL_IDS_ANY);
	}
	if (rc < 0) {
		sl_ids_blocks_plan(blocks, block);
		return failed(blocks, rc, err);
	}
	if (block->active)
		sl_ids_blocks_finish(blocks, block, "operator", now, now);
	note_order(blocks, block, order);
	sl_ids_blocks_begin(blocks, block, &value, false, now);
	if (out)
		*out = block;
	return 0;
}

/* --- many at once ---------------------------------------------------------------------------- */

struct batch {
	struct sluice_ids_key *keys;
	struct sluice_ids_block *values;
	struct sl_ids_block **blocks;
};

static void batch_clear(struct batch *batch)
{
	free(batch->keys);
	free(batch->values);
	free(batch->blocks);
}

/* What was set goes again, and what was before comes back. */
static void undo(struct sl_ids_blocks *blocks, const struct batch *batch, uint32_t done)
{
	for (uint32_t i = 0; i < done; i++) {
		const struct sl_ids_block *block = batch->blocks[i];

		if (block->active)
			sl_ids_set(blocks->config.datapath, SL_IDS_BLOCKS, &batch->keys[i], &block->value,
				   SL_IDS_ANY);
		else
			sl_ids_delete(blocks->config.datapath, SL_IDS_BLOCKS, &batch->keys[i]);
	}
}

/* Those that are remembered for nothing. A key may be there twice. */
static void drop(struct sl_ids_blocks *blocks, const struct batch *batch, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct sl_ids_block *block;

		HASH_FIND(hh, blocks->all, &batch->keys[i], sizeof(batch->keys[i]), block);
		if (block && !block->active)
			sl_ids_blocks_plan(blocks, block);
	}
}

int sl_ids_blocks_make_many(struct sl_ids_blocks *blocks, const struct sl_ids_block_order *orders,
			    size_t count, uint64_t now, struct sl_error *err)
{
	static const struct sluice_ids_offender nobody = {.level = 0};
	_cleanup_(batch_clear) struct batch batch = {.keys = NULL};
	uint32_t done = 0, fresh = 0;
	int rc;

	if (count > blocks->stats.size)
		return no_room(blocks, err);
	batch.keys = calloc(count + 1, sizeof(*batch.keys));
	batch.values = calloc(count + 1, sizeof(*batch.values));
	batch.blocks = calloc(count + 1, sizeof(*batch.blocks));
	if (!batch.keys || !batch.values || !batch.blocks)
		return sl_error(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < count; i++) {
		batch.keys[i] = orders[i].key;
		fill(&orders[i], &nobody, now, &batch.values[i]);
		batch.blocks[i] = sl_ids_blocks_remember(blocks, &orders[i].key);
		if (!batch.blocks[i]) {
			drop(blocks, &batch, i);
			return sl_error(err, ENOMEM, "out of memory");
		}
		fresh += !batch.blocks[i]->active;
	}
	if (blocks->active + fresh > blocks->stats.size) {
		drop(blocks, &batch, count);
		return no_room(blocks, err);
	}
	rc = sl_ids_set_many(blocks->config.datapath, SL_IDS_BLOCKS, batch.keys, batch.values,
			     (uint32_t)count, &done);
	if (rc < 0) {
		undo(blocks, &batch, done);
		drop(blocks, &batch, count);
		return failed(blocks, rc, err);
	}
	for (size_t i = 0; i < count; i++) {
		struct sl_ids_block *block = batch.blocks[i];

		/* twice in the list: it has begun already */
		if (block->active && block->value.since_ns == now)
			continue;
		if (block->active)
			sl_ids_blocks_finish(blocks, block, "operator", now, now);
		else
			sl_ids_blocks_count(blocks, &orders[i].key, 1);
		note_order(blocks, block, &orders[i]);
		sl_ids_blocks_begin(blocks, block, &batch.values[i], false, now);
	}
	return 0;
}
