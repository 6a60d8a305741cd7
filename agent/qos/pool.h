/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which classes of one direction exist, which are taken, and what rate each
 * has. Only the book: the kernel is not asked and not told.
 */
#ifndef SL_POOL_H
#define SL_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"

struct sl_pool;

/* Classes SLUICE_HTB_POOL_MINOR .. + size - 1, none of them built. -ENOMEM; -EINVAL for size 0. */
int sl_pool_new(uint32_t size, struct sl_pool **out);
void sl_pool_free(struct sl_pool *pool);

static inline void sl_cleanup_pool(struct sl_pool **pool)
{
	sl_pool_free(*pool);
}
#define _cleanup_pool_ _cleanup_(sl_cleanup_pool)

uint32_t sl_pool_size(const struct sl_pool *pool);
uint32_t sl_pool_ready(const struct sl_pool *pool);
uint32_t sl_pool_used(const struct sl_pool *pool);

/* The lowest classes that are not built, at most `max` of them; how many. */
uint32_t sl_pool_missing(const struct sl_pool *pool, uint16_t *minor, uint32_t max);

bool sl_pool_holds(const struct sl_pool *pool, uint16_t minor);
bool sl_pool_is_ready(const struct sl_pool *pool, uint16_t minor);
bool sl_pool_is_used(const struct sl_pool *pool, uint16_t minor);

/* A class has come to be on every device: from now on it can be taken. */
void sl_pool_set_ready(struct sl_pool *pool, uint16_t minor);

/* A class that is built and free, the longest unused first; -ENOSPC. */
int sl_pool_take(struct sl_pool *pool, uint16_t *minor);

/* This class, which must be built; -EEXIST when it is taken. */
int sl_pool_claim(struct sl_pool *pool, uint16_t minor);

/* Who takes or claims a class is its first user; the last one that releases it frees it. */
void sl_pool_share(struct sl_pool *pool, uint16_t minor);
uint32_t sl_pool_users(const struct sl_pool *pool, uint16_t minor);
void sl_pool_release(struct sl_pool *pool, uint16_t minor);

/* What the kernel has, in bit/s; 0 = not known or not the same on every device. */
uint64_t sl_pool_rate(const struct sl_pool *pool, uint16_t minor);
void sl_pool_set_rate(struct sl_pool *pool, uint16_t minor, uint64_t rate);

#endif
