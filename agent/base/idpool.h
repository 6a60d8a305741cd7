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

enum sl_idpool_fit {
	SL_IDPOOL_UNFIT,
	SL_IDPOOL_FIT,
	SL_IDPOOL_BEST,
};
#define SL_IDPOOL_CHOICES 64 /* free slots that are looked at for a better one than the first that is fit */

/* One slot that is fit, the best of those looked at; -ENOSPC: no free one is. Asks about each free slot at
 * most once. */
int sl_idpool_choose(struct sl_idpool *pool, enum sl_idpool_fit (*judge)(uint32_t slot, const void *user),
		     const void *user, uint32_t *slot);

/* Marks slots as taken (adoption after a restart); -EEXIST if one already is, -ERANGE outside. */
int sl_idpool_claim(struct sl_idpool *pool, uint32_t first, uint32_t count);

/* Gives slots back; releasing a free slot is a defect and asserts. */
void sl_idpool_release(struct sl_idpool *pool, uint32_t first, uint32_t count);

bool sl_idpool_is_taken(const struct sl_idpool *pool, uint32_t slot);
/* The first slot that is taken, from this one on; the pool's size: none is. */
uint32_t sl_idpool_next(const struct sl_idpool *pool, uint32_t from);
uint32_t sl_idpool_used(const struct sl_idpool *pool);
uint32_t sl_idpool_size(const struct sl_idpool *pool);

#endif
