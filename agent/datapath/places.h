/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A table whose keys are in groups of places (sluice/ids_places.h): the agent's side. One writer
 * besides packets.
 */
#ifndef SL_DATAPATH_PLACES_H
#define SL_DATAPATH_PLACES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sluice/ids_places.h"

struct sl_places {
	struct sluice_ids_group *groups; /* the map in memory; the first element is the head */
	uint32_t elements;
	int states_fd;	       /* the map of states, by place; not owned */
	const uint8_t *states; /* in memory; NULL: it cannot be, for its locks */
	size_t state_size;
	size_t last_ns; /* where in a state the time of its last packet is */
};

/* Elements of the map of keys for so many of them; of states, eight for each but the first. */
uint32_t sl_places_elements(uint32_t keys);
/* And the other way round: keys that find room, but for a few in a million of small tables. */
uint32_t sl_places_keys(uint32_t elements);

/* A new table, with seeds of its own, before packets meet it. -errno of getrandom. */
int sl_places_begin(const struct sl_places *places);

/* -ENOENT: the key has no place. */
int sl_places_get(const struct sl_places *places, const struct sluice_ids_key *key, void *state);

/*
 * flags: enum sl_ids_write. -E2BIG: no room. A key that is new while packets of it come may get
 * two places; nobody but tests adds one.
 */
int sl_places_set(const struct sl_places *places, const struct sluice_ids_key *key, const void *state,
		  uint64_t flags);

/* The place is free SLUICE_IDS_LEFT_SECONDS later, when a walk comes by. -ENOENT. */
int sl_places_delete(const struct sl_places *places, const struct sluice_ids_key *key);

/* As sl_ids_walk; besides, places that were left long enough are freed. */
int sl_places_walk(const struct sl_places *places, uint64_t *position, uint32_t max,
		   int (*visit)(const void *key, void *value, void *user), void *user);

#endif
