// SPDX-License-Identifier: Apache-2.0
/* Several offences of narrow keys make one block of the wider one: who reconnects is blocked himself. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "ids/engine_parts.h"
#include "ids/key.h"
#include "ids/notes.h"

#define PART	  SLUICE_IDS_NOTE_TIMES
#define TIMES_MAX 1000 /* of a rule: document_block.c */
#define PARTS_MAX (TIMES_MAX / PART)

/*
 * The last `after` times, of which the oldest says whether they were within the rule's time. They are kept in
 * ids_notes as they are here; of an entry with `after` 0 they are only there.
 */
struct sl_ids_escalation {
	struct sluice_ids_key key; /* the wider one */
	uint32_t after;
	uint32_t next;
	UT_hash_handle hh;
	uint64_t at[];
};

/* Of the packet that was in excess, or of the block's own key. */
static bool wider_address(const struct sl_ids_block *block, uint8_t track, struct sluice_ids_key *out)
{
	const struct sl_ids_packet *packet = &block->packet;
	bool source = track == SLUICE_IDS_SOURCE;

	if (packet->family) {
		out->family = packet->family;
		memcpy(out->remote, source ? packet->source : packet->destination, sizeof(out->remote));
		return true;
	}
	if (block->key.track != SLUICE_IDS_CONNECTION && block->key.track != SLUICE_IDS_PAIR)
		return false;
	/* the direction is not known any more: the subscriber is the likelier offender */
	out->family = block->key.family;
	memcpy(out->remote, source ? block->key.local : block->key.remote, sizeof(out->remote));
	return true;
}

static bool wider_key(const struct sl_ids_block *block, uint8_t track, struct sluice_ids_key *out)
{
	*out = (struct sluice_ids_key){.rule = block->key.rule, .track = track};
	if (track != SLUICE_IDS_SUBSCRIBER)
		return wider_address(block, track, out);
	memcpy(out->local, block->imsi, sizeof(out->local));
	return block->imsi[0] != '\0';
}

/* --- what is kept --------------------------------------------------------------------------- */

static uint32_t parts_of(uint32_t after)
{
	return (after + PART - 1) / PART;
}

static void keep(struct sl_ids_engine *engine, const struct sl_ids_escalation *entry, uint32_t part)
{
	uint64_t at[PART] = {0};

	for (uint32_t i = 0; i < PART && part * PART + i < entry->after; i++)
		at[i] = entry->at[part * PART + i];
	sl_ids_notes_times(sl_ids_blocks_notes(engine->blocks), &entry->key, part, at);
}

static void keep_nothing(struct sl_ids_engine *engine, const struct sluice_ids_key *key, uint32_t from,
			 uint32_t to)
{
	static const uint64_t none[PART];

	for (uint32_t part = from; part < to; part++)
		sl_ids_notes_times(sl_ids_blocks_notes(engine->blocks), key, part, none);
}

static int by_time(const void *a, const void *b)
{
	const uint64_t *one = a, *other = b;

	return (*one > *other) - (*one < *other);
}

/* The newest of what was kept, and that is kept in this order from now on. */
static void load(struct sl_ids_engine *engine, struct sl_ids_escalation *entry)
{
	const struct sl_ids_notes *notes = sl_ids_blocks_notes(engine->blocks);
	uint64_t found[TIMES_MAX], at[PART];
	uint32_t count = 0, end = 0, skip;

	for (uint32_t part = 0; part < PARTS_MAX; part++) {
		/* one in between may have found no room */
		if (sl_ids_notes_times_read(notes, &entry->key, part, at) < 0)
			continue;
		end = part + 1;
		for (uint32_t i = 0; i < PART; i++)
			if (at[i])
				found[count++] = at[i];
	}
	if (!count)
		return;
	qsort(found, count, sizeof(found[0]), by_time);
	skip = count > entry->after ? count - entry->after : 0;
	memcpy(entry->at, found + skip, (count - skip) * sizeof(found[0]));
	entry->next = (count - skip) % entry->after;
	for (uint32_t part = 0; part < parts_of(entry->after); part++)
		keep(engine, entry, part);
	keep_nothing(engine, &entry->key, parts_of(entry->after), end);
}

/* --- entries --------------------------------------------------------------------------------- */

static void forget(struct sl_ids_engine *engine, struct sl_ids_escalation *entry, bool keep_it)
{
	if (!keep_it)
		keep_nothing(engine, &entry->key, 0, entry->after ? parts_of(entry->after) : PARTS_MAX);
	HASH_DEL(engine->escalations, entry);
	engine->stats.escalations = HASH_COUNT(engine->escalations);
	free(entry);
}

static struct sl_ids_escalation *add(struct sl_ids_engine *engine, const struct sluice_ids_key *key,
				     uint32_t after)
{
	struct sl_ids_escalation *entry = calloc(1, sizeof(*entry) + after * sizeof(entry->at[0]));

	if (!entry)
		return NULL;
	entry->key = *key;
	entry->after = after;
	HASH_ADD(hh, engine->escalations, key, sizeof(entry->key), entry);
	engine->stats.escalations = HASH_COUNT(engine->escalations);
	return entry;
}

static struct sl_ids_escalation *entry_of(struct sl_ids_engine *engine, const struct sluice_ids_key *key,
					  uint32_t after)
{
	struct sl_ids_escalation *entry;
	bool is_kept;

	HASH_FIND(hh, engine->escalations, key, sizeof(*key), entry);
	if (entry && entry->after == after) {
		/* the oldest in the list is the longest silent */
		HASH_DEL(engine->escalations, entry);
		HASH_ADD(hh, engine->escalations, key, sizeof(entry->key), entry);
		return entry;
	}
	is_kept = entry != NULL;
	if (entry) {
		forget(engine, entry, true);
	} else if (HASH_COUNT(engine->escalations) >= SL_IDS_ESCALATIONS) {
		forget(engine, engine->escalations, false);
		engine->stats.escalations_evicted++;
	}
	entry = add(engine, key, after);
	if (entry && is_kept)
		load(engine, entry);
	return entry;
}

static void widen(struct sl_ids_engine *engine, const struct sl_ids_rule *rule,
		  const struct sluice_ids_key *key, const char *imsi, uint64_t now)
{
	const struct sluice_ids_rule *image = &rule->image;
	struct sl_ids_block_order order = {
		.key = *key,
		.verdict = image->verdict == SLUICE_IDS_DROP_CONNECTION ? SLUICE_IDS_DROP : image->verdict,
		.flags = (image->flags & SLUICE_IDS_EXTEND ? SLUICE_IDS_BLOCK_EXTEND : 0) |
			 (image->flags & SLUICE_IDS_OBSERVE ? SLUICE_IDS_BLOCK_OBSERVE : 0),
		.hard_ns = image->hard_ns,
		.idle_ns = image->idle_ns,
		.police = image->police,
		.imsi = imsi,
		.reason = "escalated",
	};
	struct sl_error err;
	int rc = sl_ids_blocks_make(engine->blocks, &order, now, NULL, &err);

	if (rc == 0)
		engine->stats.escalated++;
	else if (rc != -EEXIST)
		sl_log(SL_LOG_WARNING, "ids-not-escalated", "rule", "%s", rule->name, "reason", "%s",
		       err.text, NULL);
}

static void count(struct sl_ids_engine *engine, const struct sl_ids_block *block, uint64_t now)
{
	const uint32_t slot = sl_ids_rules_by_identity(engine->config.rules, block->key.rule);
	const struct sl_ids_rule *rule = sl_ids_rules_at(engine->config.rules, slot);
	const uint64_t since = block->value.since_ns;
	struct sl_ids_escalation *entry;
	struct sluice_ids_key key;
	char imsi[SLUICE_IMSI_SIZE];
	uint64_t oldest;

	if (!rule || !rule->escalate_track || block->key.track == rule->escalate_track ||
	    !wider_key(block, rule->escalate_track, &key))
		return;
	entry = entry_of(engine, &key, rule->escalate_after);
	if (!entry)
		return;
	entry->at[entry->next] = since;
	keep(engine, entry, entry->next / PART);
	entry->next = (entry->next + 1) % entry->after;
	oldest = entry->at[entry->next];
	if (!oldest || since - oldest > rule->escalate_within_ns)
		return;
	/* these have had their answer */
	memset(entry->at, 0, entry->after * sizeof(entry->at[0]));
	entry->next = 0;
	keep_nothing(engine, &entry->key, 0, parts_of(entry->after));
	memcpy(imsi, block->imsi, sizeof(imsi));
	widen(engine, rule, &key, imsi, now);
}

void sl_ids_escalate(struct sl_ids_engine *engine, uint64_t now)
{
	/* wider blocks come after the last one, and are none to widen */
	for (size_t i = 0; i < engine->pending_count; i++) {
		struct sl_ids_block *block = sl_ids_blocks_find(engine->blocks, &engine->pending[i].key);

		if (block && block->value.since_ns == engine->pending[i].since_ns)
			count(engine, block, now);
	}
	engine->pending_count = 0;
}

/* --- life ------------------------------------------------------------------------------------- */

static bool adopt(const struct sluice_ids_key *part, const struct sluice_ids_note *note, void *user)
{
	struct sl_ids_engine *engine = user;
	struct sluice_ids_key key = *part;
	struct sl_ids_escalation *entry;

	(void)note;
	if (!part->limit)
		return true;
	key.limit = 0;
	HASH_FIND(hh, engine->escalations, &key, sizeof(key), entry);
	return entry || (HASH_COUNT(engine->escalations) < SL_IDS_ESCALATIONS && add(engine, &key, 0));
}

int sl_ids_escalate_open(struct sl_ids_engine *engine)
{
	return sl_ids_notes_each(sl_ids_blocks_notes(engine->blocks), adopt, engine);
}

void sl_ids_escalate_gone(struct sl_ids_engine *engine, uint32_t identity)
{
	struct sl_ids_escalation *entry, *next;

	HASH_ITER (hh, engine->escalations, entry, next) {
		if (entry->key.rule == identity)
			forget(engine, entry, false);
	}
}

void sl_ids_escalate_free(struct sl_ids_engine *engine)
{
	struct sl_ids_escalation *entry, *next;

	HASH_ITER (hh, engine->escalations, entry, next) {
		HASH_DEL(engine->escalations, entry);
		free(entry);
	}
}
