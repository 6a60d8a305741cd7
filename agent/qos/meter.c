// SPDX-License-Identifier: Apache-2.0
#include "qos/meter.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#define NS_BITS_PER_BYTE 8000000000ull
#define COST_FRACTION	 20 /* bits */

static unsigned __int128 divide_up(unsigned __int128 a, unsigned __int128 b)
{
	return (a + b - 1) / b;
}

static uint64_t smaller(uint64_t a, uint64_t b)
{
	return a < b ? a : b;
}

int sl_meter_rate(uint64_t bits_per_second, uint64_t tolerance_ns, uint32_t mtu, uint64_t *rate,
		  struct sl_error *err)
{
	uint64_t cost, floor_ns, units;

	if (bits_per_second < SLUICE_METER_RATE_MIN || bits_per_second > SLUICE_METER_RATE_MAX)
		return sl_error(err, ERANGE, "rate %" PRIu64 " bit/s: allowed are %llu to %llu",
				bits_per_second, SLUICE_METER_RATE_MIN, SLUICE_METER_RATE_MAX);
	if (tolerance_ns > SL_METER_TOLERANCE_MAX_NS)
		return sl_error(err, ERANGE, "tolerance %" PRIu64 " ns: at most %llu", tolerance_ns,
				SL_METER_TOLERANCE_MAX_NS);
	cost = (uint64_t)divide_up((unsigned __int128)NS_BITS_PER_BYTE << COST_FRACTION, bits_per_second);
	floor_ns = (uint64_t)divide_up((unsigned __int128)2 * mtu * cost, 1u << COST_FRACTION);
	if (tolerance_ns < floor_ns)
		tolerance_ns = smaller(floor_ns, SL_METER_TOLERANCE_MAX_NS);
	units = (uint64_t)divide_up(tolerance_ns, 1u << SLUICE_METER_TOLERANCE_UNIT);
	*rate = units << SLUICE_METER_COST_BITS | cost;
	return 0;
}

uint64_t sl_meter_bits_per_second(uint64_t rate)
{
	uint64_t cost = sluice_meter_cost(rate);

	if (!rate)
		return 0;
	return (uint64_t)((((unsigned __int128)NS_BITS_PER_BYTE << COST_FRACTION) + cost / 2) / cost);
}

uint64_t sl_meter_burst(uint64_t rate)
{
	unsigned __int128 tolerance = sluice_meter_tolerance(rate);

	return (uint64_t)((tolerance << (COST_FRACTION - SLUICE_METER_TICK_BITS)) / sluice_meter_cost(rate));
}

void sl_meter_start(struct sluice_meter *meter, const struct sl_meter_settings *settings, uint64_t now_ns)
{
	memset(meter, 0, sizeof(*meter));
	meter->tat = sluice_meter_ticks(now_ns);
	meter->rate = settings->rate;
	meter->green_tat = meter->tat;
	meter->green_rate = settings->green_rate;
	meter->parent = settings->parent;
	meter->green_parent = settings->green_parent;
	meter->level = (uint8_t)settings->level;
}

/* The same part of the new tolerance. */
static uint64_t rescale(uint64_t ahead, uint64_t old, uint64_t rate)
{
	uint64_t tolerance = sluice_meter_tolerance(rate), before = sluice_meter_tolerance(old);

	return ahead < before ? (uint64_t)((unsigned __int128)ahead * tolerance / before) : tolerance;
}

static void change(__u64 *tat, __u64 *word, uint64_t rate, uint64_t now)
{
	uint64_t old = __atomic_load_n(word, __ATOMIC_RELAXED);
	uint64_t seen, ahead, kept, next;

	if (old == rate)
		return;
	seen = __atomic_load_n(tat, __ATOMIC_RELAXED);
	ahead = old ? sluice_meter_outstanding(old, seen, now) : 0;
	kept = old && rate ? rescale(ahead, old, rate) : 0;
	__atomic_store_n(word, rate, __ATOMIC_SEQ_CST);

	seen = __atomic_load_n(tat, __ATOMIC_SEQ_CST);
	do {
		/* what passed meanwhile counts in full; what it was judged by is not known */
		uint64_t present = sluice_meter_outstanding(old ? old : rate, seen, now);
		uint64_t added = present > ahead && old ? present - ahead : 0;

		next = now + smaller(kept + added, sluice_meter_tolerance(rate));
		/* a packet that has read the old rate must find that `tat` is another */
		if (next == seen)
			next++;
	} while (!__atomic_compare_exchange_n(tat, &seen, next, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST));
}

void sl_meter_change(struct sluice_meter *meter, uint64_t rate, uint64_t green_rate, uint64_t now_ns)
{
	uint64_t now = sluice_meter_ticks(now_ns);

	change(&meter->green_tat, &meter->green_rate, green_rate, now);
	change(&meter->tat, &meter->rate, rate, now);
}
