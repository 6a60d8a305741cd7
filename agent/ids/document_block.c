// SPDX-License-Identifier: Apache-2.0
/* How long an IDS rule blocks, how that grows, when it ends, and what is told of it. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "ids/document_parts.h"
#include "ids/names.h"

#define FACTOR_MAX     16
#define FACTOR_SYNTAX  "1 to 16, such as 2 or 1.5"
#define LOG_NUMBER_MAX 1000000000

int sl_ids_read_duration(struct sl_yaml_node node, uint64_t min_ms, uint64_t max_ms, uint64_t *ns,
			 struct sl_error *err)
{
	uint64_t ms = 0;
	int rc = sl_yaml_duration(node, min_ms, max_ms, &ms, err);

	if (rc == 0 && sl_yaml_present(node))
		*ns = ms * SL_IDS_MS_NS;
	return rc;
}

/* "10%": a whole number with its sign. */
static int read_percent(struct sl_yaml_node node, uint32_t min, uint32_t max, uint32_t *out,
			struct sl_error *err)
{
	uint64_t value = 0;
	char text[32];
	size_t length;
	bool is_percent;
	int rc;

	if (!sl_yaml_present(node))
		return 0;
	rc = sl_yaml_text(node, text, sizeof(text), err);
	if (rc < 0)
		return rc;
	length = strlen(text);
	is_percent = text[length - 1] == '%';
	text[length - 1] = '\0';
	if (!is_percent || sl_parse_uint(text, &value) < 0 || value < min || value > max) {
		sl_yaml_text(node, text, sizeof(text), NULL);
		return sl_yaml_error(node, err, "bad value \"%s\"; allowed: %u%% to %u%%", text, min, max);
	}
	*out = (uint32_t)value;
	return 0;
}

/* --- block -------------------------------------------------------------------------- */

static int read_times(struct sl_yaml_node node, struct sluice_ids_rule *image, struct sl_error *err)
{
	static const char *const keys[] = {"hard", "idle", "extend", NULL};
	static const char *const booleans[] = {"false", "true", NULL};
	struct sl_yaml_node extend = sl_yaml_get(node, "extend");
	uint64_t hard = 0, idle = 0;
	unsigned int choice = 0;
	int rc;

	if (!sl_yaml_present(node))
		return 0;
	if ((rc = sl_yaml_mapping(node, keys, err)) < 0 ||
	    (rc = sl_ids_read_duration(sl_yaml_get(node, "hard"), 10, SL_IDS_LIFE_MS, &hard, err)) < 0 ||
	    (rc = sl_ids_read_duration(sl_yaml_get(node, "idle"), 10, SL_IDS_LIFE_MS, &idle, err)) < 0 ||
	    (rc = sl_yaml_choice(extend, booleans, &choice, err)) < 0)
		return rc;
	if (!hard && !idle)
		return sl_yaml_error(node, err, "no time at which it ends; allowed: hard, idle, or both");
	if (choice == 1 && !idle)
		return sl_yaml_error(extend, err,
				     "there is no idle time that it would extend; allowed: with idle");
	image->hard_ns = hard;
	image->idle_ns = idle;
	image->flags |= SLUICE_IDS_BLOCKS;
	if (choice == 1)
		image->flags |= SLUICE_IDS_EXTEND;
	return 0;
}

/* Without a block there is nothing that these could act on. */
static int need_block(struct sl_yaml_node node, const char *key, const struct sl_ids_rule *rule,
		      struct sl_error *err)
{
	struct sl_yaml_node value = sl_yaml_get(node, key);

	if (!sl_yaml_present(value) || (rule->image.flags & SLUICE_IDS_BLOCKS))
		return 0;
	return sl_yaml_error(value, err, "the rule has no block; allowed: with block");
}

static bool acts_by_agent(const struct sl_ids_rule *rule)
{
	switch (rule->image.verdict) {
	case SLUICE_IDS_POLICE:
	case SLUICE_IDS_QUARANTINE:
	case SLUICE_IDS_REDIRECT:
		return true;
	case SLUICE_IDS_ALERT:
	case SLUICE_IDS_NOTIFY:
		return false;
	default:
		return sl_ids_rule_is_swept(rule);
	}
}

/* --- repeat, escalate, clear ------------------------------------------------------- */

/* "2", "1.5": at most two decimals. */
static int read_factor(struct sl_yaml_node node, double *out, struct sl_error *err)
{
	uint64_t whole = 0, part = 0;
	char text[16], *point;
	bool is_good;
	int rc;

	if (!sl_yaml_present(node))
		return 0;
	rc = sl_yaml_text(node, text, sizeof(text), err);
	if (rc < 0)
		return rc;
	point = strchr(text, '.');
	if (point)
		*point = '\0';
	is_good = sl_parse_uint(text, &whole) == 0;
	if (point) {
		const size_t digits = strlen(point + 1);

		/* "05" is no number, but a part of one; a leading digit makes it one */
		*point = '1';
		is_good = is_good && (digits == 1 || digits == 2) && sl_parse_uint(point, &part) == 0;
		part = digits == 1 ? (part - 10) * 10 : part - 100;
		*point = '.';
	}
	if (!is_good || whole < 1 || whole * 100 + part > FACTOR_MAX * 100)
		return sl_yaml_error(node, err, "bad value \"%s\"; allowed: " FACTOR_SYNTAX, text);
	*out = (double)(whole * 100 + part) / 100;
	return 0;
}

static int read_repeat(struct sl_yaml_node node, struct sl_ids_rule *rule, struct sl_error *err)
{
	static const char *const keys[] = {"factor", "max", "forget", "jitter", NULL};
	const uint64_t hard_ns = rule->image.hard_ns;
	int rc;

	rule->repeat_factor = 1;
	rule->forget_ns = SL_IDS_DAY_NS;
	rule->repeat_max_ns = hard_ns > SL_IDS_DAY_NS ? hard_ns : SL_IDS_DAY_NS;
	if (!sl_yaml_present(node))
		return 0;
	if (!hard_ns)
		return sl_yaml_error(node, err,
				     "there is no hard time that could grow; allowed: with block.hard");
	if ((rc = sl_yaml_mapping(node, keys, err)) < 0 || (rc = sl_yaml_require(node, "factor", err)) < 0 ||
	    (rc = read_factor(sl_yaml_get(node, "factor"), &rule->repeat_factor, err)) < 0 ||
	    (rc = sl_ids_read_duration(sl_yaml_get(node, "max"), 10, SL_IDS_LIFE_MS, &rule->repeat_max_ns,
				       err)) < 0 ||
	    (rc = sl_ids_read_duration(sl_yaml_get(node, "forget"), 1000, SL_IDS_LIFE_MS, &rule->forget_ns,
				       err)) < 0 ||
	    (rc = read_percent(sl_yaml_get(node, "jitter"), 0, 50, &rule->jitter_percent, err)) < 0)
		return rc;
	if (rule->repeat_max_ns < hard_ns)
		return sl_yaml_error(sl_yaml_get(node, "max"), err,
				     "shorter than the first block; allowed: at least block.hard");
	return 0;
}

static int read_escalate(struct sl_yaml_node node, struct sl_ids_rule *rule, struct sl_error *err)
{
	static const char *const keys[] = {"track", "after", "within", NULL};
	static const char *const tracks[] = {"subscriber", "source", "destination", NULL};
	static const uint8_t values[] = {SLUICE_IDS_SUBSCRIBER, SLUICE_IDS_SOURCE, SLUICE_IDS_DESTINATION};
	struct sl_yaml_node track = sl_yaml_get(node, "track");
	unsigned int choice = 0;
	int rc;

	if (!sl_yaml_present(node))
		return 0;
	if ((rc = sl_yaml_mapping(node, keys, err)) < 0 || (rc = sl_yaml_require(node, "track", err)) < 0 ||
	    (rc = sl_yaml_require(node, "after", err)) < 0 ||
	    (rc = sl_yaml_require(node, "within", err)) < 0 ||
	    (rc = sl_yaml_choice(track, tracks, &choice, err)) < 0 ||
	    (rc = sl_yaml_uint32(sl_yaml_get(node, "after"), 2, 1000, &rule->escalate_after, err)) < 0 ||
	    (rc = sl_ids_read_duration(sl_yaml_get(node, "within"), 1000, 30 * SL_IDS_DAY_MS,
				       &rule->escalate_within_ns, err)) < 0)
		return rc;
	if (values[choice] == rule->image.track)
		return sl_yaml_error(track, err, "the rule tracks that already; allowed: something wider");
	rule->escalate_track = rule->image.escalate = values[choice];
	return 0;
}

static int read_clear(struct sl_yaml_node node, struct sl_ids_rule *rule, struct sl_error *err)
{
	static const char *const keys[] = {"below", "for", NULL};
	int rc;

	if (!sl_yaml_present(node))
		return 0;
	if (rule->image.verdict == SLUICE_IDS_DROP || rule->image.verdict == SLUICE_IDS_DROP_CONNECTION)
		return sl_yaml_error(
			node, err,
			"what is dropped is not counted on; allowed: block.idle, or another verdict");
	if ((rc = sl_yaml_mapping(node, keys, err)) < 0 || (rc = sl_yaml_require(node, "below", err)) < 0 ||
	    (rc = sl_yaml_require(node, "for", err)) < 0 ||
	    (rc = read_percent(sl_yaml_get(node, "below"), 1, 100, &rule->clear_percent, err)) < 0)
		return rc;
	return sl_ids_read_duration(sl_yaml_get(node, "for"), 100, SL_IDS_DAY_MS, &rule->clear_ns, err);
}

/* --- log, evidence --------------------------------------------------------------- */

static int read_log_mode(struct sl_yaml_node node, struct sl_ids_rule *rule, struct sl_error *err)
{
	static const char *const keys[] = {"every", "interval", "backoff", NULL};
	static const enum sl_ids_log modes[] = {SL_IDS_LOG_EVERY, SL_IDS_LOG_INTERVAL, SL_IDS_LOG_BACKOFF};
	size_t chosen = 0, count = 0;
	int rc;

	rc = sl_yaml_mapping(node, keys, err);
	for (size_t i = 0; rc == 0 && keys[i]; i++) {
		if (!sl_yaml_present(sl_yaml_get(node, keys[i])))
			continue;
		chosen = i;
		count++;
	}
	if (rc < 0)
		return rc;
	if (count != 1)
		return sl_yaml_error(node, err,
				     "not one mode; allowed: first, {every: N}, {interval: T}, {backoff: N}");
	rule->log = modes[chosen];
	if (rule->log == SL_IDS_LOG_INTERVAL)
		return sl_ids_read_duration(sl_yaml_get(node, keys[chosen]), 10, SL_IDS_DAY_MS,
					    &rule->log_number, err);
	return sl_yaml_uint(sl_yaml_get(node, keys[chosen]), 1, LOG_NUMBER_MAX, &rule->log_number, err);
}

static int read_log(struct sl_yaml_node node, struct sl_ids_rule *rule, struct sl_error *err)
{
	char text[16];

	rule->log = SL_IDS_LOG_FIRST;
	if (!sl_yaml_present(node) ||
	    (sl_yaml_text(node, text, sizeof(text), NULL) == 0 && strcmp(text, "first") == 0))
		return 0;
	if (sl_yaml_text(node, text, sizeof(text), NULL) == 0)
		return sl_yaml_error(
			node, err,
			"bad value \"%s\"; allowed: first, {every: N}, {interval: T}, {backoff: N}", text);
	return read_log_mode(node, rule, err);
}

static int read_evidence(struct sl_yaml_node node, struct sl_ids_rule *rule, struct sl_error *err)
{
	static const char *const keys[] = {"packets", "headers", NULL};
	int rc;

	rule->evidence_headers = SLUICE_IDS_HEADERS;
	if (!sl_yaml_present(node))
		return 0;
	if ((rc = sl_yaml_mapping(node, keys, err)) < 0 || (rc = sl_yaml_require(node, "packets", err)) < 0 ||
	    (rc = sl_yaml_uint32(sl_yaml_get(node, "packets"), 1, 64, &rule->evidence_packets, err)) < 0)
		return rc;
	return sl_yaml_uint32(sl_yaml_get(node, "headers"), 14, SLUICE_IDS_HEADERS, &rule->evidence_headers,
			      err);
}

int sl_ids_read_block(struct sl_yaml_node node, struct sl_ids_rule *rule, struct sl_error *err)
{
	static const char *const users[] = {"repeat", "escalate", "clear", NULL};
	int rc;

	rc = read_times(sl_yaml_get(node, "block"), &rule->image, err);
	if (rc == 0 && !(rule->image.flags & SLUICE_IDS_BLOCKS) && acts_by_agent(rule))
		return sl_yaml_error(sl_yaml_get(node, "verdict"), err,
				     "%s without a block, which says how long; allowed: with block",
				     sl_ids_verdict_name(rule->image.verdict));
	for (size_t i = 0; rc == 0 && users[i]; i++)
		rc = need_block(node, users[i], rule, err);
	if (rc == 0)
		rc = read_repeat(sl_yaml_get(node, "repeat"), rule, err);
	if (rc == 0)
		rc = read_escalate(sl_yaml_get(node, "escalate"), rule, err);
	if (rc == 0)
		rc = read_clear(sl_yaml_get(node, "clear"), rule, err);
	if (rc == 0)
		rc = read_log(sl_yaml_get(node, "log"), rule, err);
	return rc < 0 ? rc : read_evidence(sl_yaml_get(node, "evidence"), rule, err);
}
