/* SPDX-License-Identifier: Apache-2.0 */
/* Worlds and packets at random, biased towards where decisions change: ends of prefixes, ports one off. */
#ifndef REFERENCE_RANDOM_H
#define REFERENCE_RANDOM_H

#include "sample.h"

#define RANDOM_CENTRES 3
#define RANDOM_PORTS   6

struct random {
	uint64_t state;
	/* of the world: what its rules and packets have in common, so that they meet */
	uint8_t centre[2][RANDOM_CENTRES][16];
	unsigned int ports[RANDOM_PORTS];
	uint8_t own[2][16]; /* of the subscriber */
	enum random_kind {
		RANDOM_MIXED,
		RANDOM_APART, /* an address or a port each: long lists whose entries do not meet */
		RANDOM_TURNS, /* likewise, by turns an address, a remote port or a port of the subscriber's */
		RANDOM_NESTED, /* prefixes and ranges one inside the other */
		RANDOM_KINDS,
	} kind;
};

/* The same seed brings the same world and the same packets after it. */
void random_world(struct random *random, uint64_t seed, struct model_world *out);
void random_sample(struct random *random, const struct model_world *world, struct sample *out);

#endif
