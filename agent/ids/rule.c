// SPDX-License-Identifier: Apache-2.0
#include "ids/rule.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "policy/hash.h"

#define TICKS_PER_NS 1024ull
#define BUCKET_MAX   (1ull << 62)

void sl_ids_rule_clear(struct sl_ids_rule *rule)
{
	free(rule->exempt);
	free(rule->subscribers);
	memset(rule, 0, sizeof(*rule));
}

static int copy_list(char (*from)[SLUICE_IMSI_SIZE], uint32_t count, char (**out)[SLUICE_IMSI_SIZE])
{
	*out = NULL;
	if (count == 0)
		return 0;
	*out = calloc(count, sizeof(**out));
	if (!*out)
		return -ENOMEM;
	memcpy(*out, from, count * sizeof(**out));
	return 0;
}

int sl_ids_rule_copy(const struct sl_ids_rule *rule, struct sl_ids_rule *out)
{
	char(*exempt)[SLUICE_IMSI_SIZE], (*subscribers)[SLUICE_IMSI_SIZE];

	if (copy_list(rule->exempt, rule->exempt_count, &exempt) < 0)
		return -ENOMEM;
	if (copy_list(rule->subscribers, rule->subscriber_count, &subscribers) < 0) {
		free(exempt);
		return -ENOMEM;
	}
	memcpy(out, rule, sizeof(*out));
	out->exempt = exempt;
	out->subscribers = subscribers;
	return 0;
}

void sl_ids_rules_clear(struct sl_ids_rules *rules)
{
	for (uint32_t i = 0; i < rules->count; i++)
		sl_ids_rule_clear(&rules->rule[i]);
	free(rules->rule);
	*rules = (struct sl_ids_rules){.rule = NULL};
}

bool sl_ids_rule_is_swept(const struct sl_ids_rule *rule)
{
	return (rule->image.flags & SLUICE_IDS_POLL) || rule->image.count == SLUICE_IDS_OPEN_CONNECTIONS;
}

/* --- hashes ----------------------------------------------------------------------- */

static uint32_t fold(uint64_t hash)
{
	/* twice, so that a difference in the highest bits of the last word comes down */
	uint32_t word = (uint32_t)sl_hash_word(sl_hash_word(hash, 1), 2);

	return word ? word : 1;
}

/* What states hold counts of: with another one they mean nothing. */
static uint64_t hash_counted(const struct sl_ids_rule *rule)
{
	const struct sluice_ids_rule *image = &rule->image;
	const uint32_t small[] = {image->track,	  image->count,	      image->prefix4,
				  image->prefix6, image->limit_count, image->flags & SLUICE_IDS_POLL};
	uint64_t hash = sl_hash(1, small, sizeof(small));

	hash = sl_hash(hash, image->limit, sizeof(image->limit));
	return sl_hash(hash, rule->match, rule->match_count * sizeof(rule->match[0]));
}

void sl_ids_rule_seal(struct sl_ids_rule *rule, uint32_t ordinal)
{
	struct sluice_ids_rule *image = &rule->image;
	uint64_t named = sl_hash(2, rule->name, strlen(rule->name)), hash;

	rule->number = SL_IDS_NUMBER_LOW + fold(named) % (INT32_MAX - SL_IDS_NUMBER_LOW);
	memcpy(image->name, rule->name, sizeof(image->name));
	image->match_count = rule->match_count;
	image->identity = fold(ordinal ? sl_hash_word(named, ordinal) : named);
	hash = hash_counted(rule);
	image->revision = fold(hash);
#define ADD(member) hash = sl_hash(hash, &rule->member, sizeof(rule->member))
	ADD(name);
	ADD(image.identity);
	ADD(image.flags);
	ADD(image.verdict);
	ADD(image.hard_ns);
	ADD(image.idle_ns);
	ADD(image.police);
	ADD(mirror);
	ADD(quarantine);
	ADD(redirect);
	ADD(redirect_type);
	ADD(repeat_factor);
	ADD(repeat_max_ns);
	ADD(forget_ns);
	ADD(jitter_percent);
	ADD(escalate_track);
	ADD(escalate_after);
	ADD(escalate_within_ns);
	ADD(clear_percent);
	ADD(clear_ns);
	ADD(log);
	ADD(log_number);
	ADD(evidence_packets);
	ADD(evidence_headers);
	ADD(poll_ns);
	ADD(severity);
	ADD(category);
#undef ADD
	hash = sl_hash(hash, rule->exempt, rule->exempt_count * sizeof(*rule->exempt));
	hash = sl_hash(hash, rule->subscribers, rule->subscriber_count * sizeof(*rule->subscribers));
	rule->content = image->content = fold(hash);
}

/* --- arithmetic ------------------------------------------------------------------- */

/* m(1 - (1 - 1/m)^n) */
static double bits_on_average(uint32_t count)
{
	const double share = 1.0 - 1.0 / SLUICE_IDS_SET_BITS;
	double clear = SLUICE_IDS_SET_BITS;

	for (uint32_t i = 0; i < count; i++)
		clear *= share;
	return SLUICE_IDS_SET_BITS - clear;
}

uint32_t sl_ids_distinct_bits(uint32_t count)
{
	return (uint32_t)(bits_on_average(count) + 0.5);
}

uint32_t sl_ids_distinct_estimate(uint32_t bits)
{
	uint32_t low = 0, high = 2 * SL_IDS_DISTINCT_MAX;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (sl_ids_distinct_bits(middle) < bits)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int sl_ids_bucket_interval(uint64_t window_ns, uint64_t count, uint64_t burst, uint64_t *interval)
{
	unsigned __int128 ticks = (unsigned __int128)window_ns * TICKS_PER_NS;

	if (count == 0 || ticks < count)
		return -ERANGE;
	ticks = (ticks + count - 1) / count;
	if (ticks * burst > BUCKET_MAX)
		return -ERANGE;
	*interval = (uint64_t)ticks;
	return 0;
}
