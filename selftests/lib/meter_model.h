/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a tree of meters must do, said another way: buckets that packets fill and
 * time empties, in 128-bit numbers that never come round, one packet at a time.
 */
#ifndef SL_TEST_METER_MODEL_H
#define SL_TEST_METER_MODEL_H

#include <stdbool.h>
#include <stdint.h>

#include "sluice/meter.h"

typedef unsigned __int128 model_ticks; /* 2^-10 ns */

struct model_bucket {
	uint64_t cost; /* 2^-20 ns per byte; 0: no limit */
	model_ticks tolerance;
	model_ticks content; /* at `at` */
	model_ticks at;
};

struct model_meter {
	struct model_bucket bucket, green;
	uint32_t parent, green_parent; /* SLUICE_NONE: none */
	enum sluice_meter_level level;
	uint64_t refused_bytes, refused_packets;
};

/* From bit/s, the tolerance in ns and the MTU, as documented; 0 bit/s: no limit. */
void model_set(struct model_bucket *bucket, uint64_t bits_per_second, uint64_t tolerance_ns, uint32_t mtu);

/* One packet. The time does not need to come round after 64 bits, nor to grow. */
enum sluice_meter_level model_pass(struct model_meter *meters, uint32_t leaf, uint32_t bytes,
				   uint32_t packets, model_ticks now_ns);

#endif
