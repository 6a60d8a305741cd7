// SPDX-License-Identifier: Apache-2.0
#include "datapath/index.h"

#include <string.h>

/* Packets may be reading: an entry is taken back before it becomes another's. */
static void write6(struct sluice_index6_entry *entry, uint64_t prefix, uint32_t policy)
{
	if (entry->prefix != prefix) {
		__atomic_store_n(&entry->policy, 0, __ATOMIC_RELEASE);
		__atomic_store_n(&entry->prefix, prefix, __ATOMIC_RELEASE);
	}
	__atomic_store_n(&entry->policy, policy, __ATOMIC_RELEASE);
}

static struct sluice_index4 *bucket4(const struct sl_index *index, uint32_t address)
{
	return &index->index4[sluice_index4_bucket(address, index->size4 - 1)];
}

static struct sluice_index6 *bucket6(const struct sl_index *index, uint64_t prefix)
{
	return &index->index6[sluice_index6_bucket(prefix, index->size6 - 1)];
}

/* `policy` 0: none. */
static void put4(const struct sl_index *index, uint32_t address, uint32_t policy)
{
	struct sluice_index4 *bucket = bucket4(index, address);
	uint64_t value = policy ? (uint64_t)policy << 32 | address : 0;
	__u64 *free = NULL;

	for (int i = 0; i < SLUICE_INDEX4_ENTRIES; i++) {
		__u64 *entry = &bucket->entry[i];

		if (!*entry) {
			free = free ? free : entry;
		} else if ((uint32_t)*entry == address) {
			__atomic_store_n(entry, value, __ATOMIC_RELEASE);
			return;
		}
	}
	if (policy && free)
		__atomic_store_n(free, value, __ATOMIC_RELEASE);
}

static void put6(const struct sl_index *index, uint64_t prefix, uint32_t policy)
{
	struct sluice_index6 *bucket = bucket6(index, prefix);
	struct sluice_index6_entry *free = NULL;

	for (int i = 0; i < SLUICE_INDEX6_ENTRIES; i++) {
		struct sluice_index6_entry *entry = &bucket->entry[i];

		if (!entry->policy) {
			free = free ? free : entry;
		} else if (entry->prefix == prefix) {
			write6(entry, prefix, policy);
			return;
		}
	}
	if (policy && free)
		write6(free, prefix, policy);
}

static void put(const struct sl_index *index, const struct sl_address *address, uint32_t policy)
{
	uint64_t prefix;
	uint32_t word;

	if (address->family == 4) {
		memcpy(&word, address->bytes, sizeof(word));
		put4(index, word, policy);
	} else if (address->family == 6) {
		memcpy(&prefix, address->bytes, sizeof(prefix));
		put6(index, prefix, policy);
	}
}

void sl_index_set(const struct sl_index *index, const struct sl_address *address, uint32_t policy)
{
	put(index, address, policy + 1);
}

void sl_index_remove(const struct sl_index *index, const struct sl_address *address)
{
	put(index, address, 0);
}

void sl_index_clear(const struct sl_index *index)
{
	for (uint32_t i = 1; i < index->size4; i++)
		for (int entry = 0; entry < SLUICE_INDEX4_ENTRIES; entry++)
			__atomic_store_n(&index->index4[i].entry[entry], 0, __ATOMIC_RELEASE);
	for (uint32_t i = 1; i < index->size6; i++)
		for (int entry = 0; entry < SLUICE_INDEX6_ENTRIES; entry++)
			__atomic_store_n(&index->index6[i].entry[entry].policy, 0, __ATOMIC_RELEASE);
	__atomic_store_n(&index->index4[0].entry[0], index->size4 - 1, __ATOMIC_RELEASE);
	__atomic_store_n(&index->index6[0].entry[0].policy, index->size6 - 1, __ATOMIC_RELEASE);
}

bool sl_index_has(const struct sl_index *index, const struct sl_address *address)
{
	uint64_t prefix;
	uint32_t word;

	if (address->family == 4) {
		const struct sluice_index4 *bucket;

		memcpy(&word, address->bytes, sizeof(word));
		bucket = bucket4(index, word);
		for (int i = 0; i < SLUICE_INDEX4_ENTRIES; i++)
			if (bucket->entry[i] && (uint32_t)bucket->entry[i] == word)
				return true;
	} else if (address->family == 6) {
		const struct sluice_index6 *bucket;

		memcpy(&prefix, address->bytes, sizeof(prefix));
		bucket = bucket6(index, prefix);
		for (int i = 0; i < SLUICE_INDEX6_ENTRIES; i++)
			if (bucket->entry[i].policy && bucket->entry[i].prefix == prefix)
				return true;
	}
	return false;
}

/* --- comparison ------------------------------------------------------------------ */

static bool check_head(const struct sl_index *index, uint32_t family)
{
	if (family == 4 && index->index4[0].entry[0] != index->size4 - 1) {
		__atomic_store_n(&index->index4[0].entry[0], index->size4 - 1, __ATOMIC_RELEASE);
		return true;
	}
	if (family == 6 && index->index6[0].entry[0].policy != index->size6 - 1) {
		__atomic_store_n(&index->index6[0].entry[0].policy, index->size6 - 1, __ATOMIC_RELEASE);
		return true;
	}
	return false;
}

static bool is_before4(const struct sluice_index4 *bucket, int end, uint32_t address)
{
	for (int i = 0; i < end; i++)
		if (bucket->entry[i] && (uint32_t)bucket->entry[i] == address)
			return true;
	return false;
}

static uint32_t check_bucket4(const struct sl_index *index, struct sluice_index4 *bucket,
			      sl_index_wanted wanted, void *user)
{
	struct sl_address address = {.family = 4};
	uint32_t repairs = 0;

	for (int i = 0; i < SLUICE_INDEX4_ENTRIES; i++) {
		uint32_t word = (uint32_t)bucket->entry[i], slot;

		if (!bucket->entry[i])
			continue;
		memcpy(address.bytes, &word, sizeof(word));
		slot = wanted(&address, (uint32_t)(bucket->entry[i] >> 32) - 1, user);
		if (slot != SLUICE_NONE && (uint32_t)(bucket->entry[i] >> 32) == slot + 1 &&
		    bucket4(index, word) == bucket && !is_before4(bucket, i, word))
			continue;
		__atomic_store_n(&bucket->entry[i], 0, __ATOMIC_RELEASE);
		if (slot != SLUICE_NONE)
			sl_index_set(index, &address, slot);
		repairs++;
	}
	return repairs;
}

static bool is_before6(const struct sluice_index6 *bucket, int end, uint64_t prefix)
{
	for (int i = 0; i < end; i++)
		if (bucket->entry[i].policy && bucket->entry[i].prefix == prefix)
			return true;
	return false;
}

static uint32_t check_bucket6(const struct sl_index *index, struct sluice_index6 *bucket,
			      sl_index_wanted wanted, void *user)
{
	struct sl_address address = {.family = 6};
	uint32_t repairs = 0;

	for (int i = 0; i < SLUICE_INDEX6_ENTRIES; i++) {
		struct sluice_index6_entry *entry = &bucket->entry[i];
		uint32_t slot;

		if (!entry->policy)
			continue;
		memcpy(address.bytes, &entry->prefix, sizeof(entry->prefix));
		slot = wanted(&address, entry->policy - 1, user);
		if (slot != SLUICE_NONE && entry->policy == slot + 1 &&
		    bucket6(index, entry->prefix) == bucket && !is_before6(bucket, i, entry->prefix))
			continue;
		__atomic_store_n(&entry->policy, 0, __ATOMIC_RELEASE);
		if (slot != SLUICE_NONE)
			sl_index_set(index, &address, slot);
		repairs++;
	}
	return repairs;
}

uint32_t sl_index_check(const struct sl_index *index, uint32_t family, uint32_t first, uint32_t count,
			sl_index_wanted wanted, void *user)
{
	uint32_t size = family == 4 ? index->size4 : index->size6, repairs = 0;

	if (first == 0)
		repairs += check_head(index, family);
	for (uint32_t i = first ? first : 1; i < size && i - first < count; i++)
		repairs += family == 4 ? check_bucket4(index, &index->index4[i], wanted, user)
				       : check_bucket6(index, &index->index6[i], wanted, user);
	return repairs;
}
