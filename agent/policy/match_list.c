// SPDX-License-Identifier: Apache-2.0
#include "policy/match_list.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint32_t blocks_of(uint32_t entries)
{
	return (entries + SLUICE_MATCH_BLOCK - 1) / SLUICE_MATCH_BLOCK;
}

uint32_t sl_match_list_branches(const struct sl_match_list *list)
{
	return list->branch ? list->count : 0;
}

/* A child that counts from one place, counted from another; a leaf without entries has no block. */
static uint32_t moved(uint32_t child, uint16_t count, struct sl_match_place place)
{
	if (child & SLUICE_BRANCH)
		return SLUICE_BRANCH | ((child & ~SLUICE_BRANCH) + place.branch);
	return count ? child + place.block : 0;
}

void sl_match_list_write(const struct sl_match_list *list, struct sl_match_place place,
			 const struct sl_match_maps *maps)
{
	if (list->block4)
		memcpy(&maps->matches4[place.block], list->block4, list->blocks * sizeof(*list->block4));
	if (list->block6)
		memcpy(&maps->matches6[place.block], list->block6, list->blocks * sizeof(*list->block6));
	for (uint32_t i = 0; i < sl_match_list_branches(list); i++) {
		struct sluice_branch branch = list->branch[i];

		for (int side = 0; side < 2; side++)
			branch.child[side] = moved(branch.child[side], branch.count[side], place);
		maps->branches[place.branch + i] = branch;
	}
}

uint32_t sl_match_list_root(const struct sl_match_list *list, struct sl_match_place place)
{
	return list->branch ? SLUICE_BRANCH | place.branch : place.block;
}

void sl_match_list_clear(struct sl_match_list *list)
{
	free(list->block4);
	free(list->block6);
	free(list->branch);
	*list = (struct sl_match_list){0};
}

const void *sl_match_list_data(const struct sl_match_list *list, size_t *size)
{
	*size = list->blocks * (list->block4 ? sizeof(*list->block4) : sizeof(*list->block6));
	return list->block4 ? (const void *)list->block4 : (const void *)list->block6;
}

bool sl_match_list_equal(const struct sl_match_list *a, const struct sl_match_list *b)
{
	size_t size, other;
	const void *left = sl_match_list_data(a, &size), *right = sl_match_list_data(b, &other);

	if (a->count != b->count || size != other || !a->branch != !b->branch)
		return false;
	return (size == 0 || memcmp(left, right, size) == 0) &&
	       (!a->branch || memcmp(a->branch, b->branch, a->count * sizeof(*a->branch)) == 0);
}

/* --- reading back ------------------------------------------------------------ */

/* Branches that say "both" are the first ones, each the rest of the one before, and not too many. */
static bool divided_well(const struct sl_match_list *list, const struct sl_match_place *at)
{
	uint32_t boths = 0;

	for (uint32_t i = 0; i < list->count; i++) {
		if (!list->branch[i].both)
			continue;
		if (i != boths++ || boths == SLUICE_TREES)
			return false;
		if (i > 0 && list->branch[i - 1].child[1] != (SLUICE_BRANCH | (at->branch + i)))
			return false;
	}
	return true;
}

/* The run of blocks that the leaves of these branches name. False: there is none. */
static bool leaf_run(const struct sl_match_maps *maps, const struct sl_match_list *list,
		     const struct sl_match_place *at, uint32_t *first, uint32_t *end)
{
	*first = maps->match_count;
	*end = 0;
	for (uint32_t i = 0; i < list->count; i++) {
		for (int side = 0; side < 2; side++) {
			uint32_t child = list->branch[i].child[side];
			uint32_t blocks = blocks_of(list->branch[i].count[side]);

			if (child & SLUICE_BRANCH) {
				child &= ~SLUICE_BRANCH;
				/* a child comes after its parent: no packet walks in a circle */
				if (child <= at->branch + i || child >= at->branch + list->count)
					return false;
				continue;
			}
			if (blocks > maps->match_count || child > maps->match_count - blocks)
				return false;
			if (blocks && child < *first)
				*first = child;
			if (blocks && child + blocks > *end)
				*end = child + blocks;
		}
	}
	return *first < *end;
}

static int read_branches(const struct sl_match_maps *maps, struct sl_match_list *list,
			 struct sl_match_place *place)
{
	uint32_t end;

	if (list->count > maps->branch_count || place->branch > maps->branch_count - list->count)
		return -ERANGE;
	list->branch = calloc(list->count, sizeof(*list->branch));
	if (!list->branch)
		return -ENOMEM;
	memcpy(list->branch, &maps->branches[place->branch], list->count * sizeof(*list->branch));
	if (!divided_well(list, place) || !leaf_run(maps, list, place, &place->block, &end))
		return -ERANGE;
	list->blocks = end - place->block;
	for (uint32_t i = 0; i < list->count; i++) {
		for (int side = 0; side < 2; side++) {
			uint32_t *child = &list->branch[i].child[side];

			if (*child & SLUICE_BRANCH)
				*child = SLUICE_BRANCH | ((*child & ~SLUICE_BRANCH) - place->branch);
			else if (list->branch[i].count[side])
				*child -= place->block;
		}
	}
	return 0;
}

static int read_blocks(const struct sl_match_maps *maps, uint32_t family, struct sl_match_list *list,
		       const struct sl_match_place *place)
{
	if (list->blocks > maps->match_count || place->block > maps->match_count - list->blocks)
		return -ERANGE;
	if (family == 4) {
		list->block4 = calloc(list->blocks, sizeof(*list->block4));
		if (!list->block4)
			return -ENOMEM;
		memcpy(list->block4, &maps->matches4[place->block], list->blocks * sizeof(*list->block4));
	} else {
		list->block6 = calloc(list->blocks, sizeof(*list->block6));
		if (!list->block6)
			return -ENOMEM;
		memcpy(list->block6, &maps->matches6[place->block], list->blocks * sizeof(*list->block6));
	}
	return 0;
}

int sl_match_list_read(const struct sl_match_maps *maps, uint32_t family, uint32_t root, uint32_t count,
		       struct sl_match_list *out, struct sl_match_place *place)
{
	struct sl_match_list list = {.count = count};
	struct sl_match_place at = {.block = SLUICE_NONE, .branch = SLUICE_NONE};
	int rc = 0;

	if (count > 0 && (root & SLUICE_BRANCH)) {
		at.branch = root & ~SLUICE_BRANCH;
		rc = read_branches(maps, &list, &at);
	} else if (count > 0) {
		at.block = root;
		list.blocks = blocks_of(count);
	}
	if (rc == 0 && list.blocks > 0)
		rc = read_blocks(maps, family, &list, &at);
	if (rc < 0) {
		sl_match_list_clear(&list);
		return rc;
	}
	*out = list;
	*place = at;
	return 0;
}
