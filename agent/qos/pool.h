/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which classes of one kind in one direction exist, which are taken, what rates
 * each was given and what the kernel has. Only the book: the kernel is not asked
 * and not told.
 */
#ifndef SL_POOL_H
#define SL_POOL_H

#include <stdbool.h>
#include <stdint.h>

#include "base/cleanup.h"
#include "qos/qos.h"

struct sl_pool;

/* Classes first, first + step, .. : `size` of them, none built. -ENOMEM; -EINVAL for size 0. */
int sl_pool_new(uint16_t first, uint16_t step, uint32_t size, struct sl_pool **out);
void sl_pool_free(struct sl_pool *pool);

static inline void sl_cleanup_pool(struct sl_pool **pool)
{
	sl_pool_free(*pool);
}
#define _cleanup_pool_ _cleanup_(sl_cleanup_pool)

uint32_t sl_pool_size(const struct sl_pool *pool);
uint32_t sl_pool_ready(const struct sl_pool *pool);
uint32_t sl_pool_used(const struct sl_pool *pool);

/* The minor of the class with this number, from 0 on; below the size. */
uint16_t sl_pool_minor(const struct sl_pool *pool, uint32_t number);

/* The lowest classes that are not built, at most `max` of them; how many. */
uint32_t sl_pool_missing(const struct sl_pool *pool, uint16_t *minor, uint32_t max);

/* May be asked of no pool. */
bool sl_pool_holds(const struct sl_pool *pool, uint16_t minor);
bool sl_pool_is_ready(const struct sl_pool *pool, uint16_t minor);
bool sl_pool_is_used(const struct sl_pool *pool, uint16_t minor);

/* A class has come to be on every device: from now on it can be taken. */
void sl_pool_set_ready(struct sl_pool *pool, uint16_t minor);

/* A class that is built and free, the longest unused first; -ENOSPC. */
int sl_pool_take(struct sl_pool *pool, uint16_t *minor);

/* The same of those that are fit; `choice` may be NULL. */
int sl_pool_choose(struct sl_pool *pool, const struct sl_qos_choice *choice, uint16_t *minor);

/* This class, which must be built; -EEXIST when it is taken. */
int sl_pool_claim(struct sl_pool *pool, uint16_t minor);

/* Who takes or claims a class is its first user; the last one that releases it frees it. */
void sl_pool_share(struct sl_pool *pool, uint16_t minor);
uint32_t sl_pool_users(const struct sl_pool *pool, uint16_t minor);
void sl_pool_release(struct sl_pool *pool, uint16_t minor);

/* What its user asked for. */
struct sl_qos_rates sl_pool_asked(const struct sl_pool *pool, uint16_t minor);
void sl_pool_set_asked(struct sl_pool *pool, uint16_t minor, struct sl_qos_rates rates);

/* What the kernel has; an mbr (the class's ceil) of 0 = not known or not the same on every device. */
struct sl_qos_rates sl_pool_kernel(const struct sl_pool *pool, uint16_t minor);
void sl_pool_set_kernel(struct sl_pool *pool, uint16_t minor, struct sl_qos_rates rates);

/*
 * The seconds until the pool is full if it goes on as in the last ten minutes;
 * 0: it is full, since whenever;
 * UINT32_MAX: it does not grow, or the first minute, in which a restart adopts what
 * was there, is not over. To be told the time before classes are taken or released.
 */
void sl_pool_tick(struct sl_pool *pool, uint64_t now_ns);
uint32_t sl_pool_seconds_left(const struct sl_pool *pool, uint64_t now_ns);

#endif
