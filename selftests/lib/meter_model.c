// SPDX-License-Identifier: Apache-2.0
#include "meter_model.h"

void model_set(struct model_bucket *bucket, uint64_t bits_per_second, uint64_t tolerance_ns, uint32_t mtu)
{
	const model_ticks second = (model_ticks)8000000000u << 20;
	model_ticks floor;

	if (!bits_per_second) {
		bucket->cost = 0;
		return;
	}
	bucket->cost = (uint64_t)(second / bits_per_second + (second % bits_per_second != 0));
	floor = ((model_ticks)bucket->cost * mtu * 2 + (1 << 20) - 1) >> 20;
	if (floor > tolerance_ns)
		tolerance_ns = (uint64_t)floor;
	bucket->tolerance = ((model_ticks)tolerance_ns + 2047) / 2048 * 2048 * 1024;
}

static model_ticks content(const struct model_bucket *bucket, model_ticks now)
{
	if (now <= bucket->at)
		return bucket->content ? bucket->content + (bucket->at - now) : 0;
	return now - bucket->at >= bucket->content ? 0 : bucket->content - (now - bucket->at);
}

static model_ticks amount(const struct model_bucket *bucket, uint32_t bytes)
{
	model_ticks exact = (model_ticks)bucket->cost * bytes;

	return exact / 1024 + (exact % 1024 != 0);
}

static bool fits(const struct model_bucket *bucket, uint32_t bytes, model_ticks now)
{
	model_ticks present = content(bucket, now);

	return !bucket->cost || present == 0 || present + amount(bucket, bytes) <= bucket->tolerance;
}

static void fill(struct model_bucket *bucket, uint32_t bytes, model_ticks now, bool bounded)
{
	model_ticks most = 4 * bucket->tolerance + (model_ticks)bucket->cost * 8192;
	model_ticks sum = content(bucket, now) + amount(bucket, bytes);

	if (!bucket->cost || (bounded && sum > most))
		return;
	bucket->content = sum;
	bucket->at = now;
}

enum sluice_meter_level model_pass(struct model_meter *meters, uint32_t leaf, uint32_t bytes,
				   uint32_t packets, model_ticks now_ns)
{
	model_ticks now = now_ns * 1024;
	bool green = meters[leaf].green.cost && fits(&meters[leaf].green, bytes, now);
	uint32_t first = green ? meters[leaf].green_parent : meters[leaf].parent;

	for (uint32_t i = leaf; i != SLUICE_NONE; i = i == leaf ? first : meters[i].parent) {
		if (i != leaf && green)
			break;
		if (!fits(&meters[i].bucket, bytes, now)) {
			meters[i].refused_bytes += bytes;
			meters[i].refused_packets += packets;
			return meters[i].level;
		}
	}
	if (green)
		fill(&meters[leaf].green, bytes, now, false);
	for (uint32_t i = leaf; i != SLUICE_NONE; i = i == leaf ? first : meters[i].parent)
		fill(&meters[i].bucket, bytes, now, green && i != leaf);
	return SLUICE_METER_PASSED;
}
