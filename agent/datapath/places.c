// SPDX-License-Identifier: Apache-2.0
#include "datapath/places.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "datapath/ids_maps.h"

/* Free places cost a step of a walk so much less than keys. */
#define WALK_FREE 16

static const struct sluice_ids_places *head_of(const struct sl_places *places)
{
	return (const struct sluice_ids_places *)&places->groups[0];
}

static uint32_t seconds(void)
{
	return (uint32_t)(sl_now_ns() / 1000000000);
}

uint32_t sl_places_elements(uint32_t keys)
{
	return 1 + sluice_ids_groups(keys);
}

uint32_t sl_places_keys(uint32_t elements)
{
	return (uint32_t)((uint64_t)(elements - 1) * SLUICE_IDS_GROUP * 2 / 3);
}

int sl_places_begin(const struct sl_places *places)
{
	struct sluice_ids_places *head = (struct sluice_ids_places *)&places->groups[0];

	if (getrandom(head->seed, sizeof(head->seed), 0) != (ssize_t)sizeof(head->seed))
		return -errno;
	__atomic_store_n(&head->groups, places->elements - 1, __ATOMIC_RELEASE);
	return 0;
}

/* Tag and place of a key; false: it has none. */
static bool find(const struct sl_places *places, const struct sluice_ids_key *key, uint32_t **tag,
		 uint32_t *place)
{
	const uint64_t hash = sluice_ids_hash(head_of(places), key);
	const uint32_t groups = places->elements - 1, wanted = sluice_ids_tag_of(hash);
	const uint32_t element[] = {sluice_ids_group_first(hash, groups),
				    sluice_ids_group_second(hash, groups)};

	for (int e = 0; e < 2; e++) {
		struct sluice_ids_group *group = &places->groups[element[e]];

		for (uint32_t i = 0; i < SLUICE_IDS_GROUP; i++) {
			if (__atomic_load_n(&group->tag[i], __ATOMIC_ACQUIRE) != wanted ||
			    !sluice_ids_same_key(&group->key[i], key))
				continue;
			*tag = &group->tag[i];
			*place = (element[e] - 1) * SLUICE_IDS_GROUP + i;
			return true;
		}
	}
	return false;
}

static int read_state(const struct sl_places *places, uint32_t place, void *state)
{
	if (places->states) {
		memcpy(state, places->states + place * places->state_size, places->state_size);
		return 0;
	}
	return bpf_map_lookup_elem(places->states_fd, &place, state);
}

/* What was left long ago becomes free, its state nobody's. */
static void free_left(const struct sl_places *places, uint32_t element)
{
	struct sluice_ids_group *group = &places->groups[element];

	for (uint32_t i = 0; i < SLUICE_IDS_GROUP; i++) {
		uint32_t place = (element - 1) * SLUICE_IDS_GROUP + i;
		_cleanup_free_ void *zero = NULL;

		if (__atomic_load_n(&group->tag[i], __ATOMIC_ACQUIRE) != SLUICE_IDS_TAG_LEFT ||
		    seconds() - group->since[i] < SLUICE_IDS_LEFT_SECONDS)
			continue;
		zero = calloc(1, places->state_size);
		if (zero && bpf_map_update_elem(places->states_fd, &place, zero, BPF_ANY) == 0)
			__atomic_store_n(&group->tag[i], SLUICE_IDS_TAG_FREE, __ATOMIC_RELEASE);
	}
}

int sl_places_get(const struct sl_places *places, const struct sluice_ids_key *key, void *state)
{
	uint32_t *tag, place;

	return find(places, key, &tag, &place) ? read_state(places, place, state) : -ENOENT;
}

static int put(const struct sl_places *places, const struct sluice_ids_key *key, const void *state)
{
	const uint64_t hash = sluice_ids_hash(head_of(places), key);
	const uint32_t groups = places->elements - 1;
	const uint32_t element[] = {sluice_ids_group_first(hash, groups),
				    sluice_ids_group_second(hash, groups)};
	uint32_t used[2] = {0}, first;

	for (int e = 0; e < 2; e++) {
		free_left(places, element[e]);
		for (uint32_t i = 0; i < SLUICE_IDS_GROUP; i++)
			used[e] += places->groups[element[e]].tag[i] != SLUICE_IDS_TAG_FREE;
	}
	first = used[1] < used[0];
	for (uint32_t e = 0; e < 2; e++) {
		struct sluice_ids_group *group = &places->groups[element[e ^ first]];

		for (uint32_t i = 0; i < SLUICE_IDS_GROUP; i++) {
			uint32_t tag = SLUICE_IDS_TAG_FREE;
			uint32_t place = (element[e ^ first] - 1) * SLUICE_IDS_GROUP + i;
			int r;

			if (!__atomic_compare_exchange_n(&group->tag[i], &tag, SLUICE_IDS_TAG_TAKEN, false,
							 __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
				continue;
			group->key[i] = *key;
			group->since[i] = seconds();
			r = bpf_map_update_elem(places->states_fd, &place, state, BPF_ANY);
			__atomic_store_n(&group->tag[i],
					 r < 0 ? (uint32_t)SLUICE_IDS_TAG_FREE : sluice_ids_tag_of(hash),
					 __ATOMIC_RELEASE);
			return r;
		}
	}
	return -E2BIG;
}

int sl_places_set(const struct sl_places *places, const struct sluice_ids_key *key, const void *state,
		  uint64_t flags)
{
	uint32_t *tag, place;

	if (find(places, key, &tag, &place))
		return flags == SL_IDS_NEW ? -EEXIST
					   : bpf_map_update_elem(places->states_fd, &place, state, BPF_ANY);
	return flags == SL_IDS_EXISTING ? -ENOENT : put(places, key, state);
}

int sl_places_delete(const struct sl_places *places, const struct sluice_ids_key *key)
{
	uint32_t *tag, place;

	if (!find(places, key, &tag, &place))
		return -ENOENT;
	places->groups[1 + place / SLUICE_IDS_GROUP].since[place % SLUICE_IDS_GROUP] = seconds();
	__atomic_store_n(tag, SLUICE_IDS_TAG_LEFT, __ATOMIC_RELEASE);
	return 0;
}

/* A packet writes its time into the state only after the key is there. */
static void date(const struct sl_places *places, void *state, uint32_t since)
{
	uint64_t last;

	memcpy(&last, (uint8_t *)state + places->last_ns, sizeof(last));
	if (last)
		return;
	last = since * 1000000000ull;
	memcpy((uint8_t *)state + places->last_ns, &last, sizeof(last));
}

int sl_places_walk(const struct sl_places *places, uint64_t *position, uint32_t max,
		   int (*visit)(const void *key, void *value, void *user), void *user)
{
	uint32_t element = *position ? (uint32_t)*position : 1, read = 0;
	uint64_t left = (uint64_t)max * WALK_FREE;
	_cleanup_free_ void *state = malloc(places->state_size);

	if (!state)
		return -ENOMEM;
	for (; element < places->elements && read < max && left >= SLUICE_IDS_GROUP;
	     element++, left -= SLUICE_IDS_GROUP) {
		struct sluice_ids_group *group = &places->groups[element];

		free_left(places, element);
		for (uint32_t i = 0; i < SLUICE_IDS_GROUP; i++) {
			struct sluice_ids_key key;
			int r;

			if (__atomic_load_n(&group->tag[i], __ATOMIC_ACQUIRE) < SLUICE_IDS_TAG_KEY)
				continue;
			key = group->key[i];
			r = read_state(places, (element - 1) * SLUICE_IDS_GROUP + i, state);
			if (r < 0)
				return r;
			date(places, state, group->since[i]);
			read++;
			r = visit(&key, state, user);
			if (r) {
				*position = element + 1;
				return r;
			}
		}
	}
	*position = element < places->elements ? element : 0;
	return 0;
}
