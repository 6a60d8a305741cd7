// SPDX-License-Identifier: Apache-2.0
#include "qos/pool.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/idpool.h"

#define MINUTE_NS 60000000000ull
#define MINUTES	  10u /* that a forecast looks back */

struct sl_pool {
	struct sl_idpool *ids; /* a class that is not built counts as taken there */
	uint32_t first, step, size;
	uint32_t ready;
	uint32_t lowest; /* every class before it is built */
	/* `used` when a minute began, by minute; the first minute is left out */
	uint64_t first_minute, minute;
	uint32_t used_at[MINUTES + 1];
	struct {
		struct sl_qos_rates asked, kernel;
		uint32_t users;
		bool ready;
	} class[];
};

static uint32_t slot_of(const struct sl_pool *pool, uint16_t minor)
{
	assert(sl_pool_holds(pool, minor));
	return (minor - pool->first) / pool->step;
}

int sl_pool_new(uint16_t first, uint16_t step, uint32_t size, struct sl_pool **out)
{
	_cleanup_pool_ struct sl_pool *pool = NULL;
	int code;

	if (size == 0)
		return -EINVAL;
	pool = calloc(1, sizeof(*pool) + size * sizeof(pool->class[0]));
	if (!pool)
		return -ENOMEM;
	pool->first = first;
	pool->step = step;
	pool->size = size;
	code = sl_idpool_new(size, &pool->ids);
	if (code == 0)
		code = sl_idpool_claim(pool->ids, 0, size);
	if (code < 0)
		return code;
	*out = SL_TAKE(pool);
	return 0;
}

void sl_pool_free(struct sl_pool *pool)
{
	if (!pool)
		return;
	if (pool->ids)
		sl_idpool_free(pool->ids);
	free(pool);
}

uint32_t sl_pool_size(const struct sl_pool *pool)
{
	return pool->size;
}

uint32_t sl_pool_ready(const struct sl_pool *pool)
{
	return pool->ready;
}

uint32_t sl_pool_used(const struct sl_pool *pool)
{
	return sl_idpool_used(pool->ids) - (pool->size - pool->ready);
}

uint16_t sl_pool_minor(const struct sl_pool *pool, uint32_t number)
{
	assert(number < pool->size);
	return (uint16_t)(pool->first + number * pool->step);
}

uint32_t sl_pool_missing(const struct sl_pool *pool, uint16_t *minor, uint32_t max)
{
	uint32_t count = 0;

	for (uint32_t slot = pool->lowest; slot < pool->size && count < max; slot++)
		if (!pool->class[slot].ready)
			minor[count++] = sl_pool_minor(pool, slot);
	return count;
}

bool sl_pool_holds(const struct sl_pool *pool, uint16_t minor)
{
	return pool && minor >= pool->first && (minor - pool->first) % pool->step == 0 &&
	       (minor - pool->first) / pool->step < pool->size;
}

bool sl_pool_is_ready(const struct sl_pool *pool, uint16_t minor)
{
	return pool->class[slot_of(pool, minor)].ready;
}

bool sl_pool_is_used(const struct sl_pool *pool, uint16_t minor)
{
	return sl_pool_is_ready(pool, minor) && sl_idpool_is_taken(pool->ids, slot_of(pool, minor));
}

void sl_pool_set_ready(struct sl_pool *pool, uint16_t minor)
{
	uint32_t slot = slot_of(pool, minor);

	assert(!pool->class[slot].ready);
	pool->class[slot].ready = true;
	pool->ready++;
	sl_idpool_release(pool->ids, slot, 1);
	while (pool->lowest < pool->size && pool->class[pool->lowest].ready)
		pool->lowest++;
}

int sl_pool_take(struct sl_pool *pool, uint16_t *minor)
{
	uint32_t slot;
	int code = sl_idpool_take(pool->ids, 1, &slot);

	if (code < 0)
		return code;
	pool->class[slot].users = 1;
	*minor = sl_pool_minor(pool, slot);
	return 0;
}

struct judging {
	const struct sl_pool *pool;
	const struct sl_qos_choice *choice;
};

static enum sl_idpool_fit judge(uint32_t slot, const void *user)
{
	const struct judging *judging = user;

	return judging->choice->judge(sl_pool_minor(judging->pool, slot), judging->choice->user);
}

int sl_pool_choose(struct sl_pool *pool, const struct sl_qos_choice *choice, uint16_t *minor)
{
	const struct judging judging = {pool, choice};
	uint32_t slot;
	int code;

	if (!choice)
		return sl_pool_take(pool, minor);
	code = sl_idpool_choose(pool->ids, judge, &judging, &slot);
	if (code < 0)
		return code;
	pool->class[slot].users = 1;
	*minor = sl_pool_minor(pool, slot);
	return 0;
}

int sl_pool_claim(struct sl_pool *pool, uint16_t minor)
{
	int code;

	assert(sl_pool_is_ready(pool, minor));
	code = sl_idpool_claim(pool->ids, slot_of(pool, minor), 1);
	if (code == 0)
		pool->class[slot_of(pool, minor)].users = 1;
	return code;
}

void sl_pool_share(struct sl_pool *pool, uint16_t minor)
{
	assert(sl_pool_is_used(pool, minor));
	pool->class[slot_of(pool, minor)].users++;
}

uint32_t sl_pool_users(const struct sl_pool *pool, uint16_t minor)
{
	return pool->class[slot_of(pool, minor)].users;
}

void sl_pool_release(struct sl_pool *pool, uint16_t minor)
{
	uint32_t slot = slot_of(pool, minor);

	assert(sl_pool_is_used(pool, minor));
	if (--pool->class[slot].users > 0)
		return;
	pool->class[slot].asked = (struct sl_qos_rates){0};
	sl_idpool_release(pool->ids, slot, 1);
}

struct sl_qos_rates sl_pool_asked(const struct sl_pool *pool, uint16_t minor)
{
	return pool->class[slot_of(pool, minor)].asked;
}

void sl_pool_set_asked(struct sl_pool *pool, uint16_t minor, struct sl_qos_rates rates)
{
	pool->class[slot_of(pool, minor)].asked = rates;
}

struct sl_qos_rates sl_pool_kernel(const struct sl_pool *pool, uint16_t minor)
{
	return pool->class[slot_of(pool, minor)].kernel;
}

void sl_pool_set_kernel(struct sl_pool *pool, uint16_t minor, struct sl_qos_rates rates)
{
	pool->class[slot_of(pool, minor)].kernel = rates;
}

void sl_pool_tick(struct sl_pool *pool, uint64_t now_ns)
{
	uint64_t minute = now_ns / MINUTE_NS;
	uint32_t used = sl_pool_used(pool);

	if (!pool->first_minute)
		pool->first_minute = pool->minute = minute;
	/* nothing has changed since the last tick, so that all minutes between began with the same */
	if (minute - pool->minute > MINUTES)
		pool->minute = minute - MINUTES - 1;
	while (pool->minute < minute)
		pool->used_at[++pool->minute % (MINUTES + 1)] = used;
}

uint32_t sl_pool_seconds_left(const struct sl_pool *pool, uint64_t now_ns)
{
	uint64_t oldest = pool->minute - MINUTES, seconds, left;
	uint32_t used = sl_pool_used(pool), before;

	if (used >= pool->size)
		return 0;
	if (pool->minute <= pool->first_minute)
		return UINT32_MAX;
	if (pool->minute - pool->first_minute <= MINUTES)
		oldest = pool->first_minute + 1;
	before = pool->used_at[oldest % (MINUTES + 1)];
	seconds = (now_ns - oldest * MINUTE_NS) / 1000000000u;
	if (used <= before || seconds < 60)
		return UINT32_MAX;
	left = (uint64_t)(pool->size - used) * seconds / (used - before);
	return left < UINT32_MAX ? (uint32_t)left : UINT32_MAX;
}
