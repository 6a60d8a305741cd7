/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index of endpoints that packets try first (sluice/maps.h). It only
 * shortens the way to what endpoints4 and endpoints6 say: an address that it
 * has no room for is found there. One writer.
 */
#ifndef SL_DATAPATH_INDEX_H
#define SL_DATAPATH_INDEX_H

#include <stdbool.h>
#include <stdint.h>

#include "policy/address.h"
#include "sluice/maps.h"

struct sl_index {
	struct sluice_index4 *index4; /* the maps in memory */
	struct sluice_index6 *index6;
	uint32_t size4, size6; /* their entries: the first of each holds the number of buckets after it */
};

/* Empty, and in use from now on. */
void sl_index_clear(const struct sl_index *index);

/* The address leads to that slot in policies; in place of an earlier one in one write. */
void sl_index_set(const struct sl_index *index, const struct sl_address *address, uint32_t policy);
void sl_index_remove(const struct sl_index *index, const struct sl_address *address);
bool sl_index_has(const struct sl_index *index, const struct sl_address *address);

/* The slot in policies that the address is to lead to, as it does to `found` now; SLUICE_NONE: none. */
typedef uint32_t (*sl_index_wanted)(const struct sl_address *address, uint32_t found, void *user);

/*
 * Compares the elements first to first + count - 1 of a family's index with what
 * they should be. An entry that is nobody's, leads elsewhere, is in a bucket that
 * is not its own or there twice is taken out, and put where it belongs if that
 * has room. Returns how many entries were wrong.
 */
uint32_t sl_index_check(const struct sl_index *index, uint32_t family, uint32_t first, uint32_t count,
			sl_index_wanted wanted, void *user);

#endif
