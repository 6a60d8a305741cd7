// SPDX-License-Identifier: Apache-2.0
/*
 * Most subscribers share a handful of plans, so equal match lists are stored
 * once: what packets scan then stays in the cache whatever the number of
 * sessions.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "control/model.h"

static enum sl_slot_kind match_kind(uint32_t family)
{
	return family == 4 ? SL_SLOT_MATCH4 : SL_SLOT_MATCH6;
}

static void write_list(struct sl_maps *maps, uint32_t family, const struct sl_match_list *list,
		       uint32_t first)
{
	if (family == 4)
		memcpy(&maps->matches4[first], list->block4, list->blocks * sizeof(*list->block4));
	else
		memcpy(&maps->matches6[first], list->block6, list->blocks * sizeof(*list->block6));
}

static void index_ruleset(struct sl_control *control, struct sl_ruleset *ruleset)
{
	struct sl_ruleset *head;

	HASH_FIND(hh, control->rulesets, &ruleset->image.hash, sizeof(ruleset->image.hash), head);
	if (head) {
		ruleset->next = head->next;
		head->next = ruleset;
		return;
	}
	ruleset->next = NULL;
	HASH_ADD(hh, control->rulesets, image.hash, sizeof(ruleset->image.hash), ruleset);
}

static void unindex_ruleset(struct sl_control *control, struct sl_ruleset *ruleset)
{
	struct sl_ruleset *head, *next = ruleset->next;

	HASH_FIND(hh, control->rulesets, &ruleset->image.hash, sizeof(ruleset->image.hash), head);
	if (head != ruleset) {
		while (head->next != ruleset)
			head = head->next;
		head->next = next;
		return;
	}
	HASH_DELETE(hh, control->rulesets, ruleset);
	if (next)
		HASH_ADD(hh, control->rulesets, image.hash, sizeof(next->image.hash), next);
}

static struct sl_ruleset *find_equal(struct sl_control *control, const struct sl_ruleset_image *image)
{
	struct sl_ruleset *ruleset;

	HASH_FIND(hh, control->rulesets, &image->hash, sizeof(image->hash), ruleset);
	while (ruleset && !sl_ruleset_image_equal(&ruleset->image, image))
		ruleset = ruleset->next;
	return ruleset;
}

static struct sl_ruleset *ruleset_new(const struct sl_ruleset_image *image)
{
	struct sl_ruleset *ruleset = calloc(1, sizeof(*ruleset));

	if (!ruleset)
		return NULL;
	ruleset->image = *image;
	ruleset->references = 1;
	ruleset->number = SLUICE_NONE;
	ruleset->first[SLUICE_UPLINK] = SLUICE_NONE;
	ruleset->first[SLUICE_DOWNLINK] = SLUICE_NONE;
	return ruleset;
}

/* Never published: everything it holds is free at once. */
static void ruleset_discard(struct sl_control *control, struct sl_ruleset *ruleset)
{
	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++)
		if (ruleset->first[direction] != SLUICE_NONE)
			sl_slots_release(&control->slots, match_kind(ruleset->image.family),
					 ruleset->first[direction], ruleset->image.list[direction].blocks);
	if (ruleset->number != SLUICE_NONE)
		sl_slots_release(&control->slots, SL_SLOT_RULESET, ruleset->number, 1);
	sl_ruleset_image_clear(&ruleset->image);
	free(ruleset);
}

int sl_ruleset_get(struct sl_control *control, const struct sl_install *installs, size_t count,
		   uint32_t family, struct sl_ruleset **out, struct sl_error *err)
{
	struct sl_ruleset_image image = {0};
	struct sl_ruleset *ruleset;
	int rc;

	rc = sl_compile(installs, count, family, &image, err);
	if (rc < 0)
		return rc;
	ruleset = find_equal(control, &image);
	if (ruleset) {
		sl_ruleset_image_clear(&image);
		ruleset->references++;
		*out = ruleset;
		return 0;
	}
	ruleset = ruleset_new(&image);
	if (!ruleset) {
		sl_ruleset_image_clear(&image);
		return sl_error(err, ENOMEM, "out of memory");
	}
	rc = sl_slots_take(&control->slots, SL_SLOT_RULESET, 1, &ruleset->number, err);
	for (int direction = 0; direction < SLUICE_DIRECTIONS && rc == 0; direction++) {
		const struct sl_match_list *list = &ruleset->image.list[direction];

		if (list->blocks == 0)
			continue;
		rc = sl_slots_take(&control->slots, match_kind(family), list->blocks,
				   &ruleset->first[direction], err);
		if (rc == 0)
			write_list(control->maps, family, list, ruleset->first[direction]);
	}
	if (rc < 0) {
		ruleset_discard(control, ruleset);
		return rc;
	}
	index_ruleset(control, ruleset);
	*out = ruleset;
	return 0;
}

void sl_ruleset_put(struct sl_control *control, struct sl_ruleset *ruleset)
{
	enum sl_slot_kind kind = match_kind(ruleset->image.family);

	if (--ruleset->references > 0)
		return;
	unindex_ruleset(control, ruleset);
	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++)
		if (ruleset->first[direction] != SLUICE_NONE)
			sl_control_defer(control, kind, ruleset->first[direction],
					 ruleset->image.list[direction].blocks);
	sl_slots_release(&control->slots, SL_SLOT_RULESET, ruleset->number, 1);
	sl_ruleset_image_clear(&ruleset->image);
	free(ruleset);
}

/* The lists of a published policy, copied from the maps. */
static int read_image(const struct sl_control *control, const uint32_t first[SLUICE_DIRECTIONS],
		      const uint32_t count[SLUICE_DIRECTIONS], uint32_t family, struct sl_ruleset_image *out)
{
	struct sl_ruleset_image image = {.family = family};
	const struct sl_maps *maps = control->maps;

	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
		struct sl_match_list *list = &image.list[direction];
		uint32_t blocks = (count[direction] + SLUICE_MATCH_BLOCK - 1) / SLUICE_MATCH_BLOCK;
		void *copy;

		if (blocks == 0)
			continue;
		if (blocks > maps->size.matches || first[direction] > maps->size.matches - blocks) {
			sl_ruleset_image_clear(&image);
			return -ERANGE;
		}
		copy = calloc(blocks, family == 4 ? sizeof(*list->block4) : sizeof(*list->block6));
		if (!copy) {
			sl_ruleset_image_clear(&image);
			return -ENOMEM;
		}
		list->count = count[direction];
		list->blocks = blocks;
		if (family == 4) {
			list->block4 = copy;
			memcpy(copy, &maps->matches4[first[direction]], blocks * sizeof(*list->block4));
		} else {
			list->block6 = copy;
			memcpy(copy, &maps->matches6[first[direction]], blocks * sizeof(*list->block6));
		}
	}
	sl_ruleset_image_rehash(&image);
	*out = image;
	return 0;
}

int sl_ruleset_adopt(struct sl_control *control, const struct sluice_policy *policy, uint32_t family,
		     struct sl_ruleset **out, struct sl_error *err)
{
	const uint32_t first[SLUICE_DIRECTIONS] = {policy->uplink_block, policy->downlink_block};
	const uint32_t count[SLUICE_DIRECTIONS] = {policy->uplink_count, policy->downlink_count};
	struct sl_ruleset_image image = {0};
	struct sl_ruleset *ruleset;
	int rc;

	rc = read_image(control, first, count, family, &image);
	if (rc < 0)
		return sl_error(err, -rc, "match blocks %u and %u cannot be read", first[0], first[1]);
	ruleset = find_equal(control, &image);
	if (ruleset && (!image.list[0].blocks || ruleset->first[0] == first[0]) &&
	    (!image.list[1].blocks || ruleset->first[1] == first[1])) {
		sl_ruleset_image_clear(&image);
		ruleset->references++;
		*out = ruleset;
		return 0;
	}
	ruleset = ruleset_new(&image);
	if (!ruleset) {
		sl_ruleset_image_clear(&image);
		return sl_error(err, ENOMEM, "out of memory");
	}
	rc = sl_slots_take(&control->slots, SL_SLOT_RULESET, 1, &ruleset->number, err);
	for (int direction = 0; direction < SLUICE_DIRECTIONS && rc == 0; direction++) {
		uint32_t blocks = ruleset->image.list[direction].blocks;

		if (blocks == 0)
			continue;
		rc = sl_idpool_claim(control->slots.pool[match_kind(family)], first[direction], blocks);
		if (rc == 0)
			ruleset->first[direction] = first[direction];
		else
			sl_error(err, -rc, "match blocks %u+%u are taken twice", first[direction], blocks);
	}
	if (rc < 0) {
		ruleset_discard(control, ruleset);
		return rc;
	}
	index_ruleset(control, ruleset);
	*out = ruleset;
	return 0;
}
