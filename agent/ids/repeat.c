// SPDX-License-Identifier: Apache-2.0
#include "ids/repeat.h"

uint32_t sl_ids_level_left(const struct sl_ids_rule *rule, uint32_t level, uint64_t quiet_ns)
{
	uint64_t steps = rule->forget_ns ? quiet_ns / rule->forget_ns : 0;

	return steps >= level ? 0 : level - (uint32_t)steps;
}

uint64_t sl_ids_level_time(const struct sl_ids_rule *rule, uint32_t level, uint32_t random)
{
	const double max = (double)rule->repeat_max_ns;
	double time = (double)rule->image.hard_ns;

	if (level == 0 || rule->image.hard_ns == 0)
		return rule->image.hard_ns;
	for (uint32_t i = 0; i < level && i < SL_IDS_LEVELS && time < max; i++)
		time *= rule->repeat_factor;
	if (time > max)
		time = max;
	time *= 1 + rule->jitter_percent / 100.0 * (random / (double)UINT32_MAX * 2 - 1);
	if (time > max)
		time = max;
	return time < 1 ? 1 : (uint64_t)time;
}

bool sl_ids_rule_repeats(const struct sl_ids_rule *rule)
{
	return rule->image.hard_ns != 0 && (rule->repeat_factor > 1 || rule->jitter_percent != 0);
}
