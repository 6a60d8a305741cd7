// SPDX-License-Identifier: Apache-2.0
#include "ids/deadlines.h"

#include <errno.h>
#include <stdlib.h>

static void put(struct sl_ids_deadlines *deadlines, size_t at, struct sl_ids_block *block)
{
	deadlines->block[at] = block;
	block->heap = at + 1;
}

/* To where it belongs, from a free place. */
static void settle(struct sl_ids_deadlines *deadlines, size_t at, struct sl_ids_block *block)
{
	while (at > 0 && deadlines->block[(at - 1) / 2]->due_ns > block->due_ns) {
		put(deadlines, at, deadlines->block[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	for (;;) {
		size_t child = at * 2 + 1;

		if (child + 1 < deadlines->count &&
		    deadlines->block[child + 1]->due_ns < deadlines->block[child]->due_ns)
			child++;
		if (child >= deadlines->count || deadlines->block[child]->due_ns >= block->due_ns)
			break;
		put(deadlines, at, deadlines->block[child]);
		at = child;
	}
	put(deadlines, at, block);
}

void sl_ids_deadlines_clear(struct sl_ids_deadlines *deadlines)
{
	free(deadlines->block);
	*deadlines = (struct sl_ids_deadlines){.block = NULL};
}

int sl_ids_deadlines_set(struct sl_ids_deadlines *deadlines, struct sl_ids_block *block, uint64_t due_ns)
{
	if (due_ns == UINT64_MAX) {
		sl_ids_deadlines_remove(deadlines, block);
		return 0;
	}
	if (!block->heap) {
		if (deadlines->count == deadlines->capacity) {
			size_t capacity = deadlines->capacity ? deadlines->capacity * 2 : 64;
			struct sl_ids_block **larger =
				reallocarray(deadlines->block, capacity, sizeof(struct sl_ids_block *));

			if (!larger)
				return -ENOMEM;
			deadlines->block = larger;
			deadlines->capacity = capacity;
		}
		block->heap = ++deadlines->count;
	}
	block->due_ns = due_ns;
	settle(deadlines, block->heap - 1, block);
	return 0;
}

void sl_ids_deadlines_remove(struct sl_ids_deadlines *deadlines, struct sl_ids_block *block)
{
	size_t at = block->heap - 1;
	struct sl_ids_block *last;

	if (!block->heap)
		return;
	block->heap = 0;
	last = deadlines->block[--deadlines->count];
	if (last != block)
		settle(deadlines, at, last);
}

struct sl_ids_block *sl_ids_deadlines_next(const struct sl_ids_deadlines *deadlines)
{
	return deadlines->count ? deadlines->block[0] : NULL;
}
