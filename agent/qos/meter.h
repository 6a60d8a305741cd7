/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a rate means to the policer (struct sluice_meter). Pure but for
 * sl_meter_change, which writes to a meter that packets use.
 *
 * Rates are bit/s of IP bytes, times are ns.
 */
#ifndef SL_METER_H
#define SL_METER_H

#include <stdint.h>

#include "base/error.h"
#include "sluice/meter.h"

/* Where nothing else is asked for: a TCP connection needs about its round-trip time. */
#define SL_METER_TOLERANCE_NS 50000000ull

/* What fits the word: 34 s. Two packets of 1,500 bytes at 8 kbit/s are 3 s. */
#define SL_METER_TOLERANCE_MAX_NS (((1ull << SLUICE_METER_TOLERANCE_BITS) - 1) << SLUICE_METER_TOLERANCE_UNIT)

/*
 * The word for sluice_meter.rate. The rate in it is the one asked for or less by at most
 * 0.005 %. The tolerance is the one asked for, rounded up to 2,048 ns, or the time of two
 * packets of the MTU if that is more (up to SL_METER_TOLERANCE_MAX_NS).
 * -ERANGE outside 8 kbit/s .. 400 Gbit/s, or a tolerance above the highest.
 */
int sl_meter_rate(uint64_t bits_per_second, uint64_t tolerance_ns, uint32_t mtu, uint64_t *rate,
		  struct sl_error *err);

/* What a word says: bit/s, rounded to the nearest; 0: no limit. */
uint64_t sl_meter_bits_per_second(uint64_t rate);

/* The bytes that may pass at once, where nothing is outstanding. Not for 0. */
uint64_t sl_meter_burst(uint64_t rate);

/* What a meter is from the beginning; the rest follows from traffic. */
struct sl_meter_settings {
	enum sluice_meter_level level;
	uint64_t rate;	     /* a word; 0: no limit */
	uint64_t green_rate; /* a word; 0: one rate */
	uint32_t parent;     /* SLUICE_NONE: none */
	uint32_t green_parent;
};

/* A meter that no packet uses: full tolerance, counters 0. */
void sl_meter_start(struct sluice_meter *meter, const struct sl_meter_settings *settings, uint64_t now_ns);

/*
 * Another rate for a meter in use, in force for the next packet. The part of the
 * tolerance that is used stays used: a meter that is full remains full but
 * empties at the new rate from now on, however long it would have taken at
 * the old one, and changing to and fro makes no credit. Only one thread at a time.
 */
void sl_meter_change(struct sluice_meter *meter, uint64_t rate, uint64_t green_rate, uint64_t now_ns);

#endif
