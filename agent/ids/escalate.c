// SPDX-License-Identifier: Apache-2.0
/* Several offences of narrow keys make one block of the wider one: who reconnects is blocked himself. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "ids/engine_parts.h"
#include "ids/key.h"

/* The last `after` times, of which the oldest says whether they were within the rule's time. */
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

static struct sl_ids_escalation *entry_of(struct sl_ids_engine *engine, const struct sluice_ids_key *key,
					  uint32_t after)
{
	struct sl_ids_escalation *entry;

	HASH_FIND(hh, engine->escalations, key, sizeof(*key), entry);
	if (entry && entry->after == after) {
		/* the oldest in the list is the longest silent */
		HASH_DEL(engine->escalations, entry);
		HASH_ADD(hh, engine->escalations, key, sizeof(entry->key), entry);
		return entry;
	}
	if (entry || HASH_COUNT(engine->escalations) >= SL_IDS_ESCALATIONS) {
		struct sl_ids_escalation *old = entry ? entry : engine->escalations;

		HASH_DEL(engine->escalations, old);
		free(old);
		engine->stats.escalations_evicted += !entry;
	}
	entry = calloc(1, sizeof(*entry) + after * sizeof(entry->at[0]));
	if (!entry)
		return NULL;
	entry->key = *key;
	entry->after = after;
	HASH_ADD(hh, engine->escalations, key, sizeof(entry->key), entry);
	engine->stats.escalations = HASH_COUNT(engine->escalations);
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
	entry->next = (entry->next + 1) % entry->after;
	oldest = entry->at[entry->next];
	if (!oldest || since - oldest > rule->escalate_within_ns)
		return;
	/* these have had their answer */
	memset(entry->at, 0, entry->after * sizeof(entry->at[0]));
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

void sl_ids_escalate_free(struct sl_ids_engine *engine)
{
	struct sl_ids_escalation *entry, *next;

	HASH_ITER (hh, engine->escalations, entry, next) {
		HASH_DEL(engine->escalations, entry);
		free(entry);
	}
}
