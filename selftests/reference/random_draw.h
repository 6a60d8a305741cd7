/* SPDX-License-Identifier: Apache-2.0 */
/* Random numbers and bits of addresses, for the two files that make worlds and packets of them. */
#ifndef REFERENCE_RANDOM_DRAW_H
#define REFERENCE_RANDOM_DRAW_H

#include <string.h>

#include "random.h"

enum { ICMP = 1, TCP = 6, UDP = 17, ICMP6 = 58, SCTP = 132 };

/* The numbers above are the marks of APNs, of the portal and of answers. */
#define LAST_CLASS 0x7fff

/* splitmix64 */
static inline uint64_t draw(struct random *random)
{
	uint64_t z = random->state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static inline unsigned int below(struct random *random, unsigned int bound)
{
	return (unsigned int)((draw(random) >> 32) * bound >> 32);
}

static inline bool percent(struct random *random, unsigned int chance)
{
	return below(random, 100) < chance;
}

#define PICK(random, array) ((array)[below((random), sizeof(array) / sizeof((array)[0]))])

static inline void draw_bytes(struct random *random, uint8_t *out, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		out[i] = (uint8_t)draw(random);
}

static inline void flip(uint8_t *address, int bit)
{
	address[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
}

static inline void set_host_bits(uint8_t *address, int length, int bits, bool one)
{
	for (int i = length; i < bits; i++) {
		uint8_t mask = (uint8_t)(0x80 >> i % 8);

		address[i / 8] = (uint8_t)(one ? address[i / 8] | mask : address[i / 8] & ~mask);
	}
}

#endif
