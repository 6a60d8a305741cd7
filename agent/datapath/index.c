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
