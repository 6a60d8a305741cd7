// SPDX-License-Identifier: Apache-2.0
#include "redirect/addresses.h"

#include <stdlib.h>
#include <string.h>

/* An address with the time until which it is held, for sorting. */
struct entry {
	struct sl_address address;
	uint64_t until_ns;
};

static int compare(const struct sl_address *left, const struct sl_address *right)
{
	if (left->family != right->family)
		return left->family < right->family ? -1 : 1;
	return memcmp(left->bytes, right->bytes, left->family == 4 ? 4 : sizeof(left->bytes));
}

static int by_address(const void *a, const void *b)
{
	return compare(&((const struct entry *)a)->address, &((const struct entry *)b)->address);
}

/* Those of the answer, then what is held longest: the first ones stay. */
static int by_stay(const void *a, const void *b)
{
	const struct entry *left = a, *right = b;

	if (left->until_ns == right->until_ns)
		return compare(&left->address, &right->address);
	if (!left->until_ns || !right->until_ns)
		return left->until_ns ? 1 : -1;
	return left->until_ns > right->until_ns ? -1 : 1;
}

static bool has(const struct entry *list, size_t count, const struct sl_address *address)
{
	for (size_t i = 0; i < count; i++)
		if (compare(&list[i].address, address) == 0)
			return true;
	return false;
}

/* True: others than before. */
static bool set(struct sl_addresses *open, const struct entry *list, size_t count)
{
	bool same = count == open->count;

	for (size_t i = 0; i < count; i++) {
		same = same && compare(&open->address[i], &list[i].address) == 0;
		open->address[i] = list[i].address;
		open->held_until_ns[i] = list[i].until_ns;
	}
	open->count = count;
	return !same;
}

bool sl_addresses_take(struct sl_addresses *open, const struct sl_address *answer, size_t count,
		       uint64_t hold_ns, uint64_t now_ns)
{
	struct entry list[2 * SL_SERVERS_ADDRESSES];
	size_t size = 0;

	for (size_t i = 0; i < count && size < SL_SERVERS_ADDRESSES; i++)
		if (!has(list, size, &answer[i]))
			list[size++] = (struct entry){.address = answer[i]};
	for (size_t i = 0; i < open->count; i++) {
		uint64_t until = open->held_until_ns[i] ? open->held_until_ns[i] : now_ns + open->hold_ns;

		if (until > now_ns && !has(list, size, &open->address[i]))
			list[size++] = (struct entry){.address = open->address[i], .until_ns = until};
	}
	qsort(list, size, sizeof(list[0]), by_stay);
	if (size > SL_SERVERS_ADDRESSES)
		size = SL_SERVERS_ADDRESSES;
	qsort(list, size, sizeof(list[0]), by_address);
	open->hold_ns = hold_ns;
	return set(open, list, size);
}

bool sl_addresses_expire(struct sl_addresses *open, uint64_t now_ns)
{
	struct entry list[SL_SERVERS_ADDRESSES];
	size_t size = 0;

	for (size_t i = 0; i < open->count; i++)
		if (!open->held_until_ns[i] || open->held_until_ns[i] > now_ns)
			list[size++] = (struct entry){open->address[i], open->held_until_ns[i]};
	return set(open, list, size);
}

uint64_t sl_addresses_next_ns(const struct sl_addresses *open)
{
	uint64_t next = 0;

	for (size_t i = 0; i < open->count; i++)
		if (open->held_until_ns[i] && (!next || open->held_until_ns[i] < next))
			next = open->held_until_ns[i];
	return next;
}
