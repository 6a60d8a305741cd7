// SPDX-License-Identifier: Apache-2.0
#include "base/idpool.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"

#define WORD_BITS 64u

struct sl_idpool {
	uint32_t size;
	uint32_t used;
	uint32_t cursor;
	uint64_t word[];
};

int sl_idpool_new(uint32_t size, struct sl_idpool **out)
{
	size_t words = ((size_t)size + WORD_BITS - 1) / WORD_BITS;
	struct sl_idpool *pool;

	if (size == 0)
		return -EINVAL;
	pool = calloc(1, sizeof(*pool) + words * sizeof(pool->word[0]));
	if (!pool)
		return -ENOMEM;
	pool->size = size;
	*out = pool;
	return 0;
}

void sl_idpool_free(struct sl_idpool *pool)
{
	free(pool);
}

bool sl_idpool_is_taken(const struct sl_idpool *pool, uint32_t slot)
{
	return slot < pool->size && (pool->word[slot / WORD_BITS] >> (slot % WORD_BITS) & 1);
}

uint32_t sl_idpool_next(const struct sl_idpool *pool, uint32_t from)
{
	while (from < pool->size) {
		uint64_t word = pool->word[from / WORD_BITS] >> (from % WORD_BITS);

		if (word)
			return from + (uint32_t)__builtin_ctzll(word);
		from = from / WORD_BITS * WORD_BITS + WORD_BITS;
	}
	return pool->size;
}

static void mark(struct sl_idpool *pool, uint32_t first, uint32_t count)
{
	for (uint32_t slot = first; slot < first + count; slot++)
		pool->word[slot / WORD_BITS] |= 1ull << (slot % WORD_BITS);
	pool->used += count;
}

/* A run that begins in [from, to) and ends inside the pool. */
static bool find(const struct sl_idpool *pool, uint32_t from, uint32_t to, uint32_t count, uint32_t *first)
{
	uint32_t run = 0;

	for (uint32_t slot = from; slot < pool->size; slot++) {
		if (run == 0 && slot >= to)
			return false;
		if (run == 0 && slot % WORD_BITS == 0 && pool->word[slot / WORD_BITS] == ~0ull) {
			slot += WORD_BITS - 1;
			continue;
		}
		run = sl_idpool_is_taken(pool, slot) ? 0 : run + 1;
		if (run == count) {
			*first = slot + 1 - count;
			return true;
		}
	}
	return false;
}

int sl_idpool_take(struct sl_idpool *pool, uint32_t count, uint32_t *first)
{
	uint32_t found;

	if (count == 0 || count > pool->size - pool->used)
		return -ENOSPC;
	if (!find(pool, pool->cursor, pool->size, count, &found) &&
	    !find(pool, 0, pool->cursor, count, &found))
		return -ENOSPC;
	mark(pool, found, count);
	pool->cursor = found + count < pool->size ? found + count : 0;
	*first = found;
	return 0;
}

int sl_idpool_choose(struct sl_idpool *pool, enum sl_idpool_fit (*judge)(uint32_t slot, const void *user),
		     const void *user, uint32_t *slot)
{
	const uint32_t bounds[] = {pool->cursor, pool->size, 0, pool->cursor};
	uint32_t chosen = pool->size, seen = 0, found;
	bool done = false;

	for (int lap = 0; lap < 4 && !done; lap += 2) {
		uint32_t from = bounds[lap];

		while (!done && from < bounds[lap + 1] && find(pool, from, bounds[lap + 1], 1, &found)) {
			enum sl_idpool_fit fit = judge(found, user);

			if (fit == SL_IDPOOL_BEST || (fit == SL_IDPOOL_FIT && chosen == pool->size))
				chosen = found;
			seen++;
			done = fit == SL_IDPOOL_BEST || (chosen < pool->size && seen >= SL_IDPOOL_CHOICES);
			from = found + 1;
		}
	}
	if (chosen == pool->size)
		return -ENOSPC;
	mark(pool, chosen, 1);
	pool->cursor = chosen + 1 < pool->size ? chosen + 1 : 0;
	*slot = chosen;
	return 0;
}

int sl_idpool_claim(struct sl_idpool *pool, uint32_t first, uint32_t count)
{
	if (first >= pool->size || count > pool->size - first)
		return -ERANGE;
	for (uint32_t slot = first; slot < first + count; slot++)
		if (sl_idpool_is_taken(pool, slot))
			return -EEXIST;
	mark(pool, first, count);
	return 0;
}

void sl_idpool_release(struct sl_idpool *pool, uint32_t first, uint32_t count)
{
	assert(first <= pool->size && count <= pool->size - first);
	for (uint32_t slot = first; slot < first + count; slot++) {
		assert(sl_idpool_is_taken(pool, slot));
		pool->word[slot / WORD_BITS] &= ~(1ull << (slot % WORD_BITS));
	}
	pool->used -= count;
}

uint32_t sl_idpool_used(const struct sl_idpool *pool)
{
	return pool->used;
}

uint32_t sl_idpool_size(const struct sl_idpool *pool)
{
	return pool->size;
}
