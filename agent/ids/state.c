// SPDX-License-Identifier: Apache-2.0
#include "ids/state.h"

#include <string.h>

#include "base/cleanup.h"
#include "sluice/meter.h"

static uint64_t of_bucket(struct sl_datapath *datapath, const struct sluice_ids_rule *rule,
			  const struct sluice_ids_key *key, const struct sluice_ids_limit *limit,
			  uint64_t now)
{
	struct sluice_ids_bucket state;

	if (sl_ids_get(datapath, rule->sketch ? SL_IDS_BUCKETS_LRU : SL_IDS_BUCKETS, key, &state) < 0 ||
	    state.revision != rule->revision || !limit->interval)
		return 0;
	return (sluice_ids_outstanding(limit, state.tat, sluice_meter_ticks(now)) + limit->interval - 1) /
	       limit->interval;
}

static uint64_t of_log(struct sl_datapath *datapath, const struct sluice_ids_rule *rule,
		       const struct sluice_ids_key *key, const struct sluice_ids_limit *limit, uint64_t now)
{
	_cleanup_free_ struct sluice_ids_log *state = calloc(1, sizeof(*state));
	uint64_t count = 0;

	if (!state || sl_ids_get(datapath, SL_IDS_LOGS, key, state) < 0 || state->revision != rule->revision)
		return 0;
	for (uint64_t i = 0; i < limit->count && i < SLUICE_IDS_LOG; i++)
		count += state->at[i] && (now < state->at[i] || now - state->at[i] < limit->window_ns);
	return count;
}

static uint64_t of_window(struct sl_datapath *datapath, const struct sluice_ids_rule *rule,
			  const struct sluice_ids_key *key, const struct sluice_ids_limit *limit,
			  uint64_t now)
{
	struct sluice_ids_window state;
	uint64_t part, sum = 0;

	if (sl_ids_get(datapath, SL_IDS_WINDOWS, key, &state) < 0 || state.revision != rule->revision)
		return 0;
	switch (limit->kind) {
	case SLUICE_IDS_SLIDING:
		part = now / (limit->window_ns / (SLUICE_IDS_PARTS - 1) + 1);
		/* parts that have passed since are still to be emptied */
		for (uint64_t i = 0; i < SLUICE_IDS_PARTS; i++)
			if (state.part + SLUICE_IDS_PARTS > part + i)
				sum += state.count[(state.part - i) & (SLUICE_IDS_PARTS - 1)];
		return part >= state.part + SLUICE_IDS_PARTS ? 0 : sum;
	case SLUICE_IDS_FIXED:
		return now < state.part + limit->window_ns ? state.count[0] : 0;
	default: {
		uint64_t passed = now > state.last_ns ? now - state.last_ns : 0;

		if (passed >= limit->window_ns)
			return 0;
		return (state.count[0] - state.count[0] * ((passed << 10) / limit->window_ns) / 1024) >> 10;
	}
	}
}

static uint64_t of_set(struct sl_datapath *datapath, const struct sluice_ids_rule *rule,
		       const struct sluice_ids_key *key, const struct sluice_ids_limit *limit, uint64_t now)
{
	uint64_t half = now / (limit->window_ns / 2 + 1);
	struct sluice_ids_set state;
	uint32_t bits = 0;

	if (sl_ids_get(datapath, SL_IDS_SETS, key, &state) < 0 || state.revision != rule->revision ||
	    half > state.half + 1)
		return 0;
	/* what belongs to the half before the last one is over */
	if (half == state.half + 1)
		memset(state.bit[half & 1], 0, sizeof(state.bit[0]));
	for (size_t i = 0; i < SLUICE_IDS_SET_BITS / 64; i++)
		bits += (uint32_t)__builtin_popcountll(state.bit[0][i] | state.bit[1][i]);
	return sl_ids_distinct_estimate(bits);
}

uint64_t sl_ids_state_count(struct sl_datapath *datapath, const struct sluice_ids_rule *rule,
			    const struct sluice_ids_key *key, uint32_t limit, uint64_t now)
{
	const struct sluice_ids_limit *of = &rule->limit[limit];
	struct sluice_ids_key state = *key;

	if (limit >= rule->limit_count || !of->window_ns)
		return 0;
	state.limit = (uint8_t)limit;
	switch (of->kind) {
	case SLUICE_IDS_BUCKET:
		return of_bucket(datapath, rule, &state, of, now);
	case SLUICE_IDS_EXACT:
		return of_log(datapath, rule, &state, of, now);
	default:
		return rule->count >= SLUICE_IDS_DISTINCT_REMOTE_PORTS
			       ? of_set(datapath, rule, &state, of, now)
			       : of_window(datapath, rule, &state, of, now);
	}
}
