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

static struct sl_match_maps match_maps(const struct sl_control *control)
{
	return (struct sl_match_maps){
		.matches4 = control->maps->matches4,
		.matches6 = control->maps->matches6,
		.branches = control->maps->branches,
		.match_count = control->maps->size.matches,
		.branch_count = control->maps->size.matches,
	};
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
	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++)
		ruleset->place[direction] =
			(struct sl_match_place){.block = SLUICE_NONE, .branch = SLUICE_NONE};
	return ruleset;
}

/* Gives back what the ruleset holds, at once or after a grace period. */
static void release_places(struct sl_control *control, const struct sl_ruleset *ruleset, bool published)
{
	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
		const struct sl_match_list *list = &ruleset->image.list[direction];
		const struct {
			enum sl_slot_kind kind;
			uint32_t first, count;
		} runs[] = {
			{match_kind(ruleset->image.family), ruleset->place[direction].block, list->blocks},
			{SL_SLOT_BRANCH, ruleset->place[direction].branch, sl_match_list_branches(list)},
		};

		for (size_t i = 0; i < SL_ARRAY_SIZE(runs); i++) {
			if (runs[i].first == SLUICE_NONE)
				continue;
			if (published)
				sl_control_defer(control, runs[i].kind, runs[i].first, runs[i].count);
			else
				sl_slots_release(&control->slots, runs[i].kind, runs[i].first, runs[i].count);
		}
	}
	if (ruleset->number != SLUICE_NONE)
		sl_slots_release(&control->slots, SL_SLOT_RULESET, ruleset->number, 1);
}

/* Never published: everything it holds is free at once. */
static void ruleset_discard(struct sl_control *control, struct sl_ruleset *ruleset)
{
	release_places(control, ruleset, false);
	sl_ruleset_image_clear(&ruleset->image);
	free(ruleset);
}

static int take_place(struct sl_control *control, const struct sl_ruleset *ruleset, int direction,
		      struct sl_match_place *place, struct sl_error *err)
{
	const struct sl_match_list *list = &ruleset->image.list[direction];
	int rc = 0;

	if (list->blocks)
		rc = sl_slots_take(&control->slots, match_kind(ruleset->image.family), list->blocks,
				   &place->block, err);
	if (rc == 0 && list->branch)
		rc = sl_slots_take(&control->slots, SL_SLOT_BRANCH, sl_match_list_branches(list),
				   &place->branch, err);
	return rc;
}

int sl_ruleset_get(struct sl_control *control, const struct sl_install *installs, size_t count,
		   const struct sl_address *address, struct sl_ruleset **out, struct sl_error *err)
{
	const struct sl_match_maps maps = match_maps(control);
	_cleanup_(sl_source_clear) struct sl_source source = {0};
	struct sl_ruleset_image image = {0};
	struct sl_ruleset *ruleset;
	int rc;

	rc = sl_source_make(installs, count, address, &source);
	if (rc < 0)
		return sl_error(err, -rc, "out of memory");
	ruleset = sl_source_find(control, &source);
	if (ruleset) {
		ruleset->references++;
		*out = ruleset;
		return 0;
	}
	rc = sl_compile(installs, count, address, &image, err);
	if (rc < 0)
		return rc;
	control->compilations++;
	ruleset = find_equal(control, &image);
	if (ruleset) {
		sl_ruleset_image_clear(&image);
		sl_source_keep(control, ruleset, &source);
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
		rc = take_place(control, ruleset, direction, &ruleset->place[direction], err);
		if (rc == 0)
			sl_match_list_write(&ruleset->image.list[direction], ruleset->place[direction],
					    &maps);
	}
	if (rc < 0) {
		ruleset_discard(control, ruleset);
		return rc;
	}
	index_ruleset(control, ruleset);
	sl_source_keep(control, ruleset, &source);
	*out = ruleset;
	return 0;
}

void sl_ruleset_put(struct sl_control *control, struct sl_ruleset *ruleset)
{
	if (--ruleset->references > 0)
		return;
	unindex_ruleset(control, ruleset);
	sl_source_forget(control, ruleset);
	release_places(control, ruleset, true);
	sl_ruleset_image_clear(&ruleset->image);
	free(ruleset);
}

/* The lists of a published policy, copied from the maps. */
static int read_image(const struct sl_control *control, const struct sluice_policy *policy, uint32_t family,
		      struct sl_ruleset_image *out, struct sl_match_place place[SLUICE_DIRECTIONS])
{
	const struct sl_match_maps maps = match_maps(control);
	struct sl_ruleset_image image = {.family = family};
	int rc;

	rc = sl_match_list_read(&maps, family, policy->uplink_block, policy->uplink_count,
				&image.list[SLUICE_UPLINK], &place[SLUICE_UPLINK]);
	if (rc == 0)
		rc = sl_match_list_read(&maps, family, policy->downlink_block, policy->downlink_count,
					&image.list[SLUICE_DOWNLINK], &place[SLUICE_DOWNLINK]);
	if (rc < 0) {
		sl_ruleset_image_clear(&image);
		return rc;
	}
	sl_ruleset_image_rehash(&image);
	*out = image;
	return 0;
}

/* Slots in a row that a published policy names; SLUICE_NONE: none. */
static int claim(struct sl_control *control, enum sl_slot_kind kind, uint32_t wanted, uint32_t count,
		 uint32_t *first, struct sl_error *err)
{
	int rc;

	if (wanted == SLUICE_NONE)
		return 0;
	rc = sl_idpool_claim(control->slots.pool[kind], wanted, count);
	if (rc < 0)
		return sl_error(err, -rc, "%s %u+%u are taken twice", sl_slot_names[kind], wanted, count);
	*first = wanted;
	return 0;
}

static int claim_place(struct sl_control *control, struct sl_ruleset *ruleset, int direction,
		       const struct sl_match_place *wanted, struct sl_error *err)
{
	const struct sl_match_list *list = &ruleset->image.list[direction];
	int rc;

	rc = claim(control, match_kind(ruleset->image.family), wanted->block, list->blocks,
		   &ruleset->place[direction].block, err);
	if (rc == 0)
		rc = claim(control, SL_SLOT_BRANCH, wanted->branch, sl_match_list_branches(list),
			   &ruleset->place[direction].branch, err);
	return rc;
}

int sl_ruleset_adopt(struct sl_control *control, const struct sluice_policy *policy, uint32_t family,
		     struct sl_ruleset **out, struct sl_error *err)
{
	struct sl_match_place place[SLUICE_DIRECTIONS];
	struct sl_ruleset_image image = {0};
	struct sl_ruleset *ruleset;
	int rc;

	rc = read_image(control, policy, family, &image, place);
	if (rc < 0)
		return sl_error(err, -rc, "match lists %u and %u cannot be read", policy->uplink_block,
				policy->downlink_block);
	ruleset = find_equal(control, &image);
	if (ruleset && memcmp(ruleset->place, place, sizeof(place)) == 0) {
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
	for (int direction = 0; direction < SLUICE_DIRECTIONS && rc == 0; direction++)
		rc = claim_place(control, ruleset, direction, &place[direction], err);
	if (rc < 0) {
		ruleset_discard(control, ruleset);
		return rc;
	}
	index_ruleset(control, ruleset);
	*out = ruleset;
	return 0;
}

bool sl_ruleset_repair(struct sl_control *control, struct sl_ruleset *ruleset)
{
	const struct sl_match_maps maps = match_maps(control);
	bool differs = false;

	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
		const struct sl_match_list *wanted = &ruleset->image.list[direction];
		struct sl_match_list found = {0};
		struct sl_match_place place;
		int rc = sl_match_list_read(&maps, ruleset->image.family,
					    sl_match_list_root(wanted, ruleset->place[direction]),
					    wanted->count, &found, &place);

		if (rc < 0 || memcmp(&place, &ruleset->place[direction], sizeof(place)) != 0 ||
		    !sl_match_list_equal(wanted, &found)) {
			sl_match_list_write(wanted, ruleset->place[direction], &maps);
			differs = true;
		}
		if (rc == 0)
			sl_match_list_clear(&found);
	}
	return differs;
}
