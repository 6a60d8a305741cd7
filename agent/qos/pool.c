// SPDX-License-Identifier: Apache-2.0
#include "qos/pool.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/idpool.h"
#include "sluice/limits.h"

struct sl_pool {
	struct sl_idpool *ids; /* a class that is not built counts as taken there */
	uint32_t size;
	uint32_t ready;
	uint32_t lowest; /* every class before it is built */
	struct {
		uint64_t rate;
		uint32_t users;
		bool ready;
	} class[];
};

static uint32_t slot_of(const struct sl_pool *pool, uint16_t minor)
{
	assert(sl_pool_holds(pool, minor));
	return (uint32_t)minor - SLUICE_HTB_POOL_MINOR;
}

int sl_pool_new(uint32_t size, struct sl_pool **out)
{
	_cleanup_pool_ struct sl_pool *pool = NULL;
	int code;

	if (size == 0)
		return -EINVAL;
	pool = calloc(1, sizeof(*pool) + size * sizeof(pool->class[0]));
	if (!pool)
		return -ENOMEM;
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

uint32_t sl_pool_missing(const struct sl_pool *pool, uint16_t *minor, uint32_t max)
{
	uint32_t count = 0;

	for (uint32_t slot = pool->lowest; slot < pool->size && count < max; slot++)
		if (!pool->class[slot].ready)
			minor[count++] = (uint16_t)(slot + SLUICE_HTB_POOL_MINOR);
	return count;
}

bool sl_pool_holds(const struct sl_pool *pool, uint16_t minor)
{
	return minor >= SLUICE_HTB_POOL_MINOR && minor - SLUICE_HTB_POOL_MINOR < (int64_t)pool->size;
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
	*minor = (uint16_t)(slot + SLUICE_HTB_POOL_MINOR);
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
	assert(sl_pool_is_used(pool, minor));
	if (--pool->class[slot_of(pool, minor)].users == 0)
		sl_idpool_release(pool->ids, slot_of(pool, minor), 1);
}

uint64_t sl_pool_rate(const struct sl_pool *pool, uint16_t minor)
{
	return pool->class[slot_of(pool, minor)].rate;
}

void sl_pool_set_rate(struct sl_pool *pool, uint16_t minor, uint64_t rate)
{
	pool->class[slot_of(pool, minor)].rate = rate;
}
