/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks by when to look at them next: a binary heap. Private to the folder. */
#ifndef SL_IDS_DEADLINES_H
#define SL_IDS_DEADLINES_H

#include "ids/blocks.h"

struct sl_ids_deadlines {
	struct sl_ids_block **block; /* owned array; the first is the next */
	size_t count, capacity;
};

void sl_ids_deadlines_clear(struct sl_ids_deadlines *deadlines);

/* Into the heap, or to another place in it. UINT64_MAX: never. -ENOMEM. */
int sl_ids_deadlines_set(struct sl_ids_deadlines *deadlines, struct sl_ids_block *block, uint64_t due_ns);
void sl_ids_deadlines_remove(struct sl_ids_deadlines *deadlines, struct sl_ids_block *block);

/* NULL: none. */
struct sl_ids_block *sl_ids_deadlines_next(const struct sl_ids_deadlines *deadlines);

#endif
