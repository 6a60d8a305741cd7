/* SPDX-License-Identifier: Apache-2.0 */
/* A world on the real side: read and compiled by the agent's own code, in the maps of the real programs. */
#ifndef REFERENCE_PUBLISHED_H
#define REFERENCE_PUBLISHED_H

#include "base/error.h"
#include "bpfrun.h"
#include "model.h"

/* The first usage slot and the last are nobody's. */
#define PUBLISHED_USAGE (1 + MODEL_SESSIONS * (1 + MODEL_RULES) + 1)

struct published {
	/* where the usage of a session begins: the default drop's, then one slot for each rule of the world
	 */
	uint32_t usage_of[MODEL_SESSIONS];
	uint32_t usage_slots;
	uint32_t divided; /* lists that lie in several trees */
};

/* All usage is zero afterwards. -EINVAL: agent and model do not agree on which rules are in force, and why.
 */
int published_publish(const struct bpfrun_maps *maps, const struct model_world *world, struct published *out,
		      struct sl_error *why);
void published_withdraw(const struct bpfrun_maps *maps, const struct model_world *world);

/* Whoever looks where nothing was published yet finds what matches everything. */
void published_poison(const struct bpfrun_maps *maps);

#endif
