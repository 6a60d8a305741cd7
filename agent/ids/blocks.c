// SPDX-License-Identifier: Apache-2.0
/* Blocks as they begin and end, and the level of who comes back. */
#include "ids/blocks.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "ids/blocks_state.h"
#include "ids/key.h"
#include "ids/repeat.h"

#define RUN_MAX	 1024
#define WALK	 512	      /* entries in one call of the kernel */
#define EVENT_NS 100000000ull /* so long may an event be on its way */

static const struct sl_ids_rule *rule_of(const struct sl_ids_blocks *blocks, const struct sluice_ids_key *key)
{
	return sl_ids_rules_at(blocks->config.rules,
			       sl_ids_rules_by_identity(blocks->config.rules, key->rule));
}

/* --- how many there are, which is what packets look at first ------------------------------ */

void sl_ids_blocks_count(struct sl_ids_blocks *blocks, const struct sluice_ids_key *key, int change)
{
	struct sluice_ids_settings *settings = sl_ids_arrays(blocks->config.datapath)->settings;
	struct sluice_ids_rule *image;
	uint32_t before;

	if (key->rule) {
		image = sl_ids_rules_image(blocks->config.rules,
					   sl_ids_rules_by_identity(blocks->config.rules, key->rule));
		if (!image)
			return;
		before = __atomic_load_n(&image->blocks, __ATOMIC_RELAXED);
		/* packets count up at the same time; down is only here, and never below nothing */
		while ((change > 0 || before > 0) &&
		       !__atomic_compare_exchange_n(&image->blocks, &before, before + (uint32_t)change, false,
						    __ATOMIC_RELAXED, __ATOMIC_RELAXED))
			;
		return;
	}
	blocks->operators[key->track] += (uint32_t)change;
	blocks->operator_count += (uint32_t)change;
	if (blocks->operators[key->track])
		settings->operator_tracks |= 1u << key->track;
	else
		settings->operator_tracks &= ~(1u << key->track);
	if (blocks->operator_count)
		settings->active |= SLUICE_IDS_ACTIVE_OPERATOR;
	else
		settings->active &= ~(uint32_t)SLUICE_IDS_ACTIVE_OPERATOR;
}

/* --- what is remembered -------------------------------------------------------------------- */

static struct sl_ids_block *find(struct sl_ids_blocks *blocks, const struct sluice_ids_key *key)
{
	struct sl_ids_block *block;

	HASH_FIND(hh, blocks->all, key, sizeof(*key), block);
	return block;
}

struct sl_ids_block *sl_ids_blocks_remember(struct sl_ids_blocks *blocks, const struct sluice_ids_key *key)
{
	struct sl_ids_block *block = find(blocks, key);

	if (block)
		return block;
	block = calloc(1, sizeof(*block));
	if (!block)
		return NULL;
	block->key = *key;
	HASH_ADD(hh, blocks->all, key, sizeof(block->key), block);
	return block;
}

static void forget(struct sl_ids_blocks *blocks, struct sl_ids_block *block)
{
	sl_ids_deadlines_remove(&blocks->deadlines, block);
	if (blocks->cursor == block)
		blocks->cursor = NULL;
	HASH_DEL(blocks->all, block);
	free(block);
}

static uint64_t deadline(const struct sluice_ids_block *value)
{
	uint64_t idle = value->idle_ns ? value->last_ns + value->idle_ns : UINT64_MAX;
	uint64_t hard = value->hard_ns ? value->hard_ns : UINT64_MAX;

	return hard < idle ? hard : idle;
}

static const char *reason_of(const struct sluice_ids_block *value)
{
	return value->hard_ns && value->hard_ns == deadline(value) ? "hard" : "idle";
}

/* When there is nothing to look at any more, it is forgotten. */
void sl_ids_blocks_plan(struct sl_ids_blocks *blocks, struct sl_ids_block *block)
{
	const struct sl_ids_rule *rule = rule_of(blocks, &block->key);
	uint64_t due = UINT64_MAX;

	if (block->active)
		due = deadline(&block->value);
	else if (block->offender.level)
		due = block->offender.ended_ns + (rule && rule->forget_ns ? rule->forget_ns : SL_IDS_DAY_NS);
	else {
		forget(blocks, block);
		return;
	}
	if (sl_ids_deadlines_set(&blocks->deadlines, block, due) < 0)
		sl_log(SL_LOG_ERROR, "ids-block-not-timed", "reason", "%s", "out of memory", NULL);
}

/* --- who comes back -------------------------------------------------------------------------- */

static void write_offender(struct sl_ids_blocks *blocks, struct sl_ids_block *block)
{
	int rc;

	if (block->offender.level)
		rc = sl_ids_set(blocks->config.datapath, SL_IDS_OFFENDERS, &block->key, &block->offender,
				SL_IDS_ANY);
	else
		rc = sl_ids_delete(blocks->config.datapath, SL_IDS_OFFENDERS, &block->key);
	if (rc < 0 && rc != -ENOENT) {
		/* the next block lasts as long as this one, no worse */
		blocks->stats.offenders_refused++;
		sl_log(SL_LOG_DEBUG, "ids-offender-not-kept", "reason", "%s", strerror(-rc), NULL);
		return;
	}
	blocks->stats.offenders += (block->offender.level > 0) - block->offender_kept;
	block->offender_kept = block->offender.level > 0;
}

static void raise_level(struct sl_ids_blocks *blocks, struct sl_ids_block *block, uint64_t now)
{
	const struct sl_ids_rule *rule = rule_of(blocks, &block->key);
	struct sluice_ids_offender *offender = &block->offender;

	if (!rule || !sl_ids_rule_repeats(rule) || offender->level > block->value.level)
		return;
	if (!offender->blocks)
		offender->first_ns = now;
	offender->blocks++;
	offender->level = block->value.level + 1 < SL_IDS_LEVELS ? block->value.level + 1 : SL_IDS_LEVELS;
	offender->hard_ns = sl_ids_level_time(rule, offender->level, arc4random());
	offender->ended_ns = 0;
	write_offender(blocks, block);
}

static void lower_level(struct sl_ids_blocks *blocks, struct sl_ids_block *block, uint64_t now)
{
	const struct sl_ids_rule *rule = rule_of(blocks, &block->key);
	struct sluice_ids_offender *offender = &block->offender;
	uint64_t quiet = now > offender->ended_ns ? now - offender->ended_ns : 0;
	uint32_t left;

	if (!rule) {
		/* not read yet after a start */
		offender->ended_ns = now;
		return;
	}
	left = sl_ids_level_left(rule, offender->level, quiet);
	if (left == offender->level)
		return;
	if (left) {
		offender->ended_ns += (offender->level - left) * rule->forget_ns;
		offender->hard_ns = sl_ids_level_time(rule, left, arc4random());
	}
	offender->level = left;
	write_offender(blocks, block);
}

/* --- beginning and end ------------------------------------------------------------------------- */

static void tell(struct sl_ids_blocks *blocks, struct sl_ids_block *block, const char *reason, bool adopted,
		 uint64_t now)
{
	if (reason)
		blocks->stats.ended++;
	else if (!adopted)
		blocks->stats.begun++;
	if (blocks->config.on_change)
		blocks->config.on_change(block, reason, adopted, now, blocks->config.user);
}

/* It is not in the map any more, or another one is in its place. */
void sl_ids_blocks_finish(struct sl_ids_blocks *blocks, struct sl_ids_block *block, const char *reason,
			  uint64_t at, uint64_t now)
{
	block->active = false;
	blocks->active--;
	block->offender.ended_ns = at;
	if (block->offender.level)
		write_offender(blocks, block);
	tell(blocks, block, reason, false, now);
	if (block->reason[0])
		sl_ids_notes_reason(&blocks->notes, &block->key, "");
	block->reason[0] = '\0';
	block->below_ns = block->above_ns = 0;
	block->packet = (struct sl_ids_packet){.family = 0};
	block->imsi[0] = block->apn[0] = '\0';
	block->session.family = 0;
}

/* Another one is in its place, because it was over. */
static void end_before(struct sl_ids_blocks *blocks, struct sl_ids_block *block,
		       const struct sluice_ids_block *next, uint64_t now)
{
	uint64_t at = deadline(&block->value);

	sl_ids_blocks_finish(blocks, block, reason_of(&block->value),
			     at < next->since_ns ? at : next->since_ns, now);
}

void sl_ids_blocks_begin(struct sl_ids_blocks *blocks, struct sl_ids_block *block,
			 const struct sluice_ids_block *value, bool adopted, uint64_t now)
{
	if (block->active)
		end_before(blocks, block, value, now);
	block->value = *value;
	block->active = true;
	block->number = ++blocks->last_number;
	blocks->active++;
	/* the list is in order of numbers */
	if (blocks->cursor == block)
		blocks->cursor = NULL;
	HASH_DEL(blocks->all, block);
	HASH_ADD(hh, blocks->all, key, sizeof(block->key), block);
	raise_level(blocks, block, now);
	sl_ids_blocks_plan(blocks, block);
	tell(blocks, block, NULL, adopted, now);
}

static void note_event(struct sl_ids_block *block, const struct sluice_ids_event *event)
{
	struct sl_ids_packet *packet = &block->packet;

	packet->flow_id = sl_ids_flow_id(event);
	packet->ifindex = event->ifindex;
	packet->direction = event->direction;
	packet->family = event->family;
	packet->protocol = event->protocol;
	packet->source_port = event->source_port;
	packet->destination_port = event->destination_port;
	memcpy(packet->source, event->source, sizeof(packet->source));
	memcpy(packet->destination, event->destination, sizeof(packet->destination));
	block->observed = event->observed;
	block->limit = event->limit;
}

struct sl_ids_block *sl_ids_blocks_seen(struct sl_ids_blocks *blocks, const struct sluice_ids_key *key,
					const struct sluice_ids_event *event, const char *imsi, uint64_t now)
{
	struct sl_ids_block *block;
	struct sluice_ids_block value;

	if (sl_ids_get(blocks->config.datapath, SL_IDS_BLOCKS, key, &value) < 0)
		return NULL;
	block = sl_ids_blocks_remember(blocks, key);
	if (!block || (block->active && block->value.since_ns == value.since_ns))
		return block;
	/* the one before is told with what was known of it */
	if (block->active)
		end_before(blocks, block, &value, now);
	if (event)
		note_event(block, event);
	snprintf(block->imsi, sizeof(block->imsi), "%s", imsi ? imsi : "");
	sl_ids_blocks_begin(blocks, block, &value, false, now);
	return block;
}

/* Out of the map, if it is still the same one. */
static int end(struct sl_ids_blocks *blocks, struct sl_ids_block *block, const char *reason, uint64_t at,
	       uint64_t now)
{
	struct sluice_ids_block value;
	int rc = sl_ids_take(blocks->config.datapath, SL_IDS_BLOCKS, &block->key, &value);

	if (rc < 0 && rc != -ENOENT)
		return rc;
	if (rc == 0 && value.since_ns != block->value.since_ns &&
	    sl_ids_set(blocks->config.datapath, SL_IDS_BLOCKS, &block->key, &value, SL_IDS_NEW) == 0) {
		/* a packet has begun another one meanwhile: that goes on */
		sl_ids_blocks_begin(blocks, block, &value, false, now);
		return 0;
	}
	if (rc == 0) {
		sl_ids_blocks_count(blocks, &block->key, -1);
		if (value.since_ns == block->value.since_ns)
			block->value = value;
	}
	sl_ids_blocks_finish(blocks, block, reason, at, now);
	sl_ids_blocks_plan(blocks, block);
	return 0;
}

int sl_ids_blocks_end(struct sl_ids_blocks *blocks, struct sl_ids_block *block, const char *reason,
		      uint64_t now)
{
	return block->active ? end(blocks, block, reason, now, now) : -ENOENT;
}

uint64_t sl_ids_blocks_run(struct sl_ids_blocks *blocks, uint64_t now)
{
	for (int i = 0; i < RUN_MAX; i++) {
		struct sl_ids_block *block = sl_ids_deadlines_next(&blocks->deadlines);
		struct sluice_ids_block value;

		if (!block)
			return UINT64_MAX;
		if (block->due_ns > now)
			return block->due_ns;
		if (!block->active) {
			lower_level(blocks, block, now);
			sl_ids_blocks_plan(blocks, block);
			continue;
		}
		/* packets may have made it last longer */
		if (sl_ids_get(blocks->config.datapath, SL_IDS_BLOCKS, &block->key, &value) == 0) {
			if (value.since_ns != block->value.since_ns) {
				sl_ids_blocks_begin(blocks, block, &value, false, now);
				continue;
			}
			block->value = value;
		}
		if (deadline(&block->value) > now) {
			sl_ids_blocks_plan(blocks, block);
		} else if (end(blocks, block, reason_of(&block->value), deadline(&block->value), now) < 0) {
			/* it blocks nothing any more; its place is taken until this works */
			sl_ids_deadlines_set(&blocks->deadlines, block, now + 1000000000ull);
		}
	}
	return now;
}

struct sweep {
	struct sl_ids_blocks *blocks;
	uint64_t now;
};

static int sweep_one(const void *key, void *value, void *user)
{
	struct sweep *sweep = user;
	struct sl_ids_blocks *blocks = sweep->blocks;
	struct sl_ids_block *block = find(blocks, key);
	const struct sluice_ids_block *read = value;

	if (block && block->active && block->value.since_ns == read->since_ns) {
		/* only what goes on counting: what was read since is newer */
		if (read->hits.packets >= block->value.hits.packets)
			block->value = *read;
		return 0;
	}
	/* its event says more of it than the map */
	if (sweep->now < read->since_ns + EVENT_NS)
		return 0;
	/* over, and nobody knew of it; or begun, and its event is lost */
	blocks->stats.found++;
	sl_ids_blocks_seen(blocks, key, NULL, NULL, sweep->now);
	return 0;
}

void sl_ids_blocks_sweep(struct sl_ids_blocks *blocks, uint32_t max, uint64_t now)
{
	struct sweep sweep = {.blocks = blocks, .now = now};

	if (!blocks->active && !blocks->position && now < blocks->rest_ns)
		return;
	for (uint32_t done = 0; done < max; done += WALK) {
		if (sl_ids_walk(blocks->config.datapath, SL_IDS_BLOCKS, &blocks->position, WALK, sweep_one,
				&sweep) < 0)
			blocks->position = 0;
		if (!blocks->position) {
			blocks->rest_ns = now + 1000000000ull;
			break;
		}
	}
}

void sl_ids_blocks_gone(struct sl_ids_blocks *blocks, uint32_t identity, uint64_t now)
{
	struct sl_ids_block *block, *next;

	HASH_ITER (hh, blocks->all, block, next) {
		if (block->key.rule != identity)
			continue;
		if (block->offender.level) {
			block->offender.level = 0;
			write_offender(blocks, block);
		}
		if (block->active)
			end(blocks, block, "reload", now, now);
		else
			forget(blocks, block);
	}
}

/* --- views ---------------------------------------------------------------------------------------- */

struct sl_ids_block *sl_ids_blocks_find(struct sl_ids_blocks *blocks, const struct sluice_ids_key *key)
{
	struct sl_ids_block *block = find(blocks, key);

	return block && block->active ? block : NULL;
}

int sl_ids_blocks_each(struct sl_ids_blocks *blocks, uint64_t from,
		       int (*visit)(struct sl_ids_block *block, void *user), void *user)
{
	struct sl_ids_block *next,
		*block = blocks->cursor && blocks->cursor->number <= from ? blocks->cursor : blocks->all;

	for (; block; block = next) {
		int rc;

		next = block->hh.next;
		if (!block->active || block->number < from)
			continue;
		blocks->cursor = block;
		rc = visit(block, user);
		if (rc)
			return rc;
	}
	return 0;
}

void sl_ids_blocks_stats(const struct sl_ids_blocks *blocks, struct sl_ids_blocks_stats *out)
{
	*out = blocks->stats;
	out->active = blocks->active;
	out->operators = blocks->operator_count;
}

/* --- taking over ------------------------------------------------------------------------------------- */

static int adopt_offender(const void *key, void *value, void *user)
{
	struct sweep *sweep = user;
	struct sl_ids_block *block = sl_ids_blocks_remember(sweep->blocks, key);

	if (!block)
		return -ENOMEM;
	memcpy(&block->offender, value, sizeof(block->offender));
	/* a walk may come by it twice */
	sweep->blocks->stats.offenders += !block->offender_kept;
	block->offender_kept = true;
	return 0;
}

static int adopt_block(const void *key, void *value, void *user)
{
	const struct sluice_ids_key *of = key;
	struct sweep *sweep = user;
	struct sl_ids_block *block = sl_ids_blocks_remember(sweep->blocks, of);

	if (!block)
		return -ENOMEM;
	if (block->active)
		return 0;
	if (!of->rule)
		sl_ids_blocks_count(sweep->blocks, of, 1);
	sl_ids_blocks_begin(sweep->blocks, block, value, true, sweep->now);
	return 0;
}

static int walk_all(struct sl_ids_blocks *blocks, enum sl_ids_map map,
		    int (*visit)(const void *key, void *value, void *user), struct sweep *sweep)
{
	uint64_t position = 0;
	int rc;

	do {
		rc = sl_ids_walk(blocks->config.datapath, map, &position, WALK, visit, sweep);
	} while (rc == 0 && position);
	return rc;
}

/* Before blocks are told as taken over, so that they have their reasons. Others are of what has ended. */
static bool adopt_note(const struct sluice_ids_key *key, const struct sluice_ids_note *note, void *user)
{
	struct sl_ids_blocks *blocks = user;
	struct sluice_ids_block value;
	struct sl_ids_block *block;

	if (key->rule && sl_ids_rules_by_identity(blocks->config.rules, key->rule) == SLUICE_NONE)
		return false;
	if (key->limit)
		return true;
	if (sl_ids_get(blocks->config.datapath, SL_IDS_BLOCKS, key, &value) < 0)
		return false;
	block = sl_ids_blocks_remember(blocks, key);
	if (block)
		snprintf(block->reason, sizeof(block->reason), "%.*s", (int)sizeof(note->reason) - 1,
			 note->reason);
	return block != NULL;
}

/* A crash may have left a count behind; packets may have counted up since. Too many is harmless, none is not.
 */
static void recount(struct sl_ids_blocks *blocks)
{
	uint32_t counted[SLUICE_IDS_RULES] = {0};
	struct sl_ids_block *block, *next;

	HASH_ITER (hh, blocks->all, block, next) {
		uint32_t slot = sl_ids_rules_by_identity(blocks->config.rules, block->key.rule);

		if (block->active && slot < SLUICE_IDS_RULES)
			counted[slot]++;
	}
	for (uint32_t slot = 0; slot < SLUICE_IDS_RULES; slot++) {
		struct sluice_ids_rule *image = sl_ids_rules_image(blocks->config.rules, slot);

		if (image && __atomic_load_n(&image->blocks, __ATOMIC_RELAXED) < counted[slot])
			__atomic_store_n(&image->blocks, counted[slot], __ATOMIC_RELAXED);
	}
}

/* Those of rules that went while no agent was there; the others wait for their time. */
static void settle(struct sl_ids_blocks *blocks, uint64_t now)
{
	struct sl_ids_block *block, *next;

	HASH_ITER (hh, blocks->all, block, next) {
		if (block->key.rule &&
		    sl_ids_rules_by_identity(blocks->config.rules, block->key.rule) == SLUICE_NONE) {
			block->offender.level = 0;
			write_offender(blocks, block);
			if (block->active)
				end(blocks, block, "reload", now, now);
			else
				forget(blocks, block);
		} else if (!block->active) {
			/* its last block ended while nobody looked */
			if (block->offender.level && !block->offender.ended_ns) {
				block->offender.ended_ns = now;
				write_offender(blocks, block);
			}
			sl_ids_blocks_plan(blocks, block);
		}
	}
}

int sl_ids_blocks_open(const struct sl_ids_blocks_config *config, uint64_t now, struct sl_ids_blocks **out,
		       struct sl_error *err)
{
	struct sl_ids_blocks *blocks = calloc(1, sizeof(*blocks));
	struct sweep sweep = {.blocks = blocks, .now = now};
	int rc;

	if (!blocks)
		return sl_error(err, ENOMEM, "out of memory");
	blocks->config = *config;
	blocks->notes.datapath = config->datapath;
	blocks->stats.size = sl_ids_table_size(config->datapath, SL_IDS_BLOCKS);
	rc = walk_all(blocks, SL_IDS_OFFENDERS, adopt_offender, &sweep);
	if (rc == 0)
		rc = sl_ids_notes_each(&blocks->notes, adopt_note, blocks);
	if (rc == 0)
		rc = walk_all(blocks, SL_IDS_BLOCKS, adopt_block, &sweep);
	if (rc < 0) {
		sl_ids_blocks_close(blocks);
		return sl_error(err, -rc, "the map ids_blocks: %s", strerror(-rc));
	}
	recount(blocks);
	settle(blocks, now);
	*out = blocks;
	return 0;
}

struct sl_ids_notes *sl_ids_blocks_notes(struct sl_ids_blocks *blocks)
{
	return &blocks->notes;
}

void sl_ids_blocks_close(struct sl_ids_blocks *blocks)
{
	struct sl_ids_block *block, *next;

	if (!blocks)
		return;
	HASH_ITER (hh, blocks->all, block, next) {
		HASH_DEL(blocks->all, block);
		free(block);
	}
	sl_ids_deadlines_clear(&blocks->deadlines);
	free(blocks);
}
