// SPDX-License-Identifier: Apache-2.0
/* Rules that some subscribers have in the place of others: the map ids_overrides. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "ids/table.h"

void sl_ids_pairs_clear(struct sl_ids_pairs *pairs)
{
	free(pairs->pair);
	*pairs = (struct sl_ids_pairs){.pair = NULL};
}

static int compare(const void *a, const void *b)
{
	const struct sl_ids_pair *first = a, *second = b;

	return memcmp(&first->key, &second->key, sizeof(first->key));
}

static const struct sl_ids_pair *find(const struct sl_ids_pairs *pairs, const struct sl_ids_pair *like)
{
	return pairs->count ? bsearch(like, pairs->pair, pairs->count, sizeof(*like), compare) : NULL;
}

static int add(struct sl_ids_pairs *pairs, const struct sluice_ids_override *key, uint32_t slot)
{
	if (pairs->count == pairs->capacity) {
		size_t capacity = pairs->capacity ? 2 * pairs->capacity : 64;
		struct sl_ids_pair *grown = reallocarray(pairs->pair, capacity, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		pairs->pair = grown;
		pairs->capacity = capacity;
	}
	pairs->pair[pairs->count].key = *key;
	pairs->pair[pairs->count++].slot = slot;
	return 0;
}

static int add_list(struct sl_ids_pairs *pairs, char (*list)[SLUICE_IMSI_SIZE], uint32_t count, uint32_t base,
		    uint32_t slot)
{
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < count; i++) {
		struct sluice_ids_override key = {.rule = base};

		/* what stands behind the text is part of the key */
		strncpy(key.imsi, list[i], sizeof(key.imsi) - 1);
		rc = add(pairs, &key, slot);
	}
	return rc;
}

static void sort(struct sl_ids_pairs *pairs)
{
	if (pairs->count)
		qsort(pairs->pair, pairs->count, sizeof(*pairs->pair), compare);
}

int sl_ids_pairs_wanted(const struct sl_ids_rules *rules, const uint32_t *slot, const uint32_t *base,
			struct sl_ids_pairs *out)
{
	_cleanup_(sl_ids_pairs_clear) struct sl_ids_pairs pairs = {.pair = NULL};
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < rules->count; i++) {
		const struct sl_ids_rule *rule = &rules->rule[i];

		rc = add_list(&pairs, rule->subscribers, rule->subscriber_count, base[i], slot[i]);
		if (rc == 0)
			rc = add_list(&pairs, rule->exempt, rule->exempt_count, base[i], SLUICE_NONE);
	}
	if (rc < 0)
		return rc;
	sort(&pairs);
	*out = pairs;
	pairs.pair = NULL;
	return 0;
}

static int note(const struct sluice_ids_override *key, uint32_t slot, void *context)
{
	return add(context, key, slot);
}

int sl_ids_pairs_present(const struct sl_ids_maps *maps, struct sl_ids_pairs *out)
{
	_cleanup_(sl_ids_pairs_clear) struct sl_ids_pairs pairs = {.pair = NULL};
	int rc = maps->override_each(note, &pairs, maps->user);

	if (rc < 0)
		return rc;
	sort(&pairs);
	*out = pairs;
	pairs.pair = NULL;
	return 0;
}

static void undo(const struct sl_ids_maps *maps, const struct sl_ids_pairs *wanted, size_t count,
		 const struct sl_ids_pairs *present)
{
	for (size_t i = 0; i < count; i++) {
		const struct sl_ids_pair *before = find(present, &wanted->pair[i]);

		if (!before)
			maps->override_delete(&wanted->pair[i].key, maps->user);
		else if (before->slot != wanted->pair[i].slot)
			maps->override_set(&before->key, before->slot, maps->user);
	}
}

int sl_ids_pairs_write(const struct sl_ids_maps *maps, const struct sl_ids_pairs *wanted,
		       const struct sl_ids_pairs *present, struct sl_error *err)
{
	for (size_t i = 0; i < wanted->count; i++) {
		const struct sl_ids_pair *before = find(present, &wanted->pair[i]);
		int rc;

		if (before && before->slot == wanted->pair[i].slot)
			continue;
		rc = maps->override_set(&wanted->pair[i].key, wanted->pair[i].slot, maps->user);
		if (rc < 0) {
			undo(maps, wanted, i, present);
			return sl_error(err, -rc, "the map ids_overrides: %s (%zu entries, %zu wanted)",
					strerror(-rc), present->count, wanted->count);
		}
	}
	return 0;
}

void sl_ids_pairs_prune(const struct sl_ids_maps *maps, const struct sl_ids_pairs *wanted,
			const struct sl_ids_pairs *present)
{
	for (size_t i = 0; i < present->count; i++)
		if (!find(wanted, &present->pair[i]))
			maps->override_delete(&present->pair[i].key, maps->user);
}
