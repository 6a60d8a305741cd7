/* SPDX-License-Identifier: Apache-2.0 */
/* Tables of the IDS whose keys have places (sluice/ids_places.h), for programs that load a BPF object by
 * themselves. */
#ifndef SL_TEST_PLACES_FIXTURE_H
#define SL_TEST_PLACES_FIXTURE_H

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "datapath/places.h"

static inline void places_die(const struct bpf_map *map, int error)
{
	fprintf(stderr, "map %s: %s\n", bpf_map__name(map), strerror(error));
	abort();
}

/* Before the object is loaded. */
static inline void places_size(struct bpf_map *keys, struct bpf_map *states, uint32_t entries)
{
	if (bpf_map__set_max_entries(keys, sl_places_elements(entries)) ||
	    bpf_map__set_max_entries(states, (sl_places_elements(entries) - 1) * SLUICE_IDS_GROUP))
		places_die(keys, EBUSY);
}

/* After that: an empty table. */
static inline struct sl_places places_open(const struct bpf_map *keys, const struct bpf_map *states,
					   size_t last_ns)
{
	struct sl_places places = {.elements = bpf_map__max_entries(keys),
				   .states_fd = bpf_map__fd(states),
				   .state_size = (bpf_map__value_size(states) + 7) / 8 * 8,
				   .last_ns = last_ns};
	int error;

	places.groups = mmap(NULL, places.elements * sizeof(*places.groups), PROT_READ | PROT_WRITE,
			     MAP_SHARED, bpf_map__fd(keys), 0);
	if (places.groups == MAP_FAILED)
		places_die(keys, errno);
	error = sl_places_begin(&places);
	if (error)
		places_die(keys, -error);
	return places;
}

static inline void places_clear(const struct sl_places *places)
{
	void *zero = calloc(1, places->state_size);

	for (uint32_t place = 0; zero && place < (places->elements - 1) * SLUICE_IDS_GROUP; place++) {
		uint32_t *tag = &places->groups[1 + place / SLUICE_IDS_GROUP].tag[place % SLUICE_IDS_GROUP];

		if (*tag && bpf_map_update_elem(places->states_fd, &place, zero, BPF_ANY) == 0)
			*tag = SLUICE_IDS_TAG_FREE;
	}
	free(zero);
}

#endif
