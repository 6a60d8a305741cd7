/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which slots of an array are taken. A run is a number of neighbouring slots;
 * most callers take runs of one. The lowest free slot is not promised: the
 * search goes on from where the last one ended, so a freed slot rests as long
 * as possible before it is used again.
 */
#ifndef SL_IDPOOL_H
#define SL_IDPOOL_H

#include <stdbool.h>
#include <stdint.h>

struct sl_idpool;

/* Slots 0 .. size-1, all free. -ENOMEM; -EINVAL for size 0. */
int sl_idpool_new(uint32_t size, struct sl_idpool **out);
void sl_idpool_free(struct sl_idpool *pool);

/* A run of `count` free slots; -ENOSPC when there is none. */
int sl_idpool_take(struct sl_idpool *pool, uint32_t count, uint32_t *first);

/* Marks slots as taken (adoption after a restart); -EEXIST if one already is, -ERANGE outside. */
int sl_idpool_claim(struct sl_idpool *pool, uint32_t first, uint32_t count);

/* Gives slots back; releasing a free slot is a defect and asserts. */
void sl_idpool_release(struct sl_idpool *pool, uint32_t first, uint32_t count);

bool sl_idpool_is_taken(const struct sl_idpool *pool, uint32_t slot);
uint32_t sl_idpool_used(const struct sl_idpool *pool);
uint32_t sl_idpool_size(const struct sl_idpool *pool);

#endif
