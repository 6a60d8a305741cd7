/* SPDX-License-Identifier: Apache-2.0 */
/* Content hash of rules and images: finds equal ones, protects against nobody. */
#ifndef SL_POLICY_HASH_H
#define SL_POLICY_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* The odd constant carries low bits up, the shift brings high bits down. */
static inline uint64_t sl_hash_word(uint64_t hash, uint64_t word)
{
	hash = (hash ^ word) * 0x9e3779b97f4a7c15ull;
	return hash ^ hash >> 32;
}

/* Any start value; a hash feeds the next call, so that a sequence hashes as one. */
static inline uint64_t sl_hash(uint64_t hash, const void *data, size_t size)
{
	const unsigned char *byte = data;

	/* mixed in like a word, so that where one part of a sequence ends makes a difference */
	hash = sl_hash_word(hash, size);
	while (size > 0) {
		size_t step = size < sizeof(uint64_t) ? size : sizeof(uint64_t);
		uint64_t word = 0;

		memcpy(&word, byte, step);
		hash = sl_hash_word(hash, word);
		byte += step;
		size -= step;
	}
	return hash;
}

#endif
