// SPDX-License-Identifier: Apache-2.0
/* What an IDS rule tracks, counts and allows. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/units.h"
#include "ids/document_parts.h"
#include "ids/names.h"

#define COUNT_MAX     1000000000000ull
#define WINDOW_MIN_MS 10
#define BYTES_MIN     1514  /* an Ethernet frame: less is never within the limit */
#define BYTES_BURST   65536 /* a super-packet of segmentation offload is judged whole */
#define PREFIX6	      64    /* what one host is given (RFC 7934) */
#define TRACK_SYNTAX                                                                              \
	"connection, subscriber, subscriber-rule, source, destination, pair, rule, apn; source, " \
	"destination and pair also with prefix lengths of IPv4 and IPv6, as source/24/56"

/* --- track -------------------------------------------------------------------------- */

/* "/24" or "/24/56" behind the word. */
static int read_prefixes(const char *text, struct sluice_ids_rule *image)
{
	uint64_t prefix4, prefix6 = PREFIX6;
	const char *slash = strchr(text, '/');
	char first[8];

	if (slash && (sl_parse_uint(slash + 1, &prefix6) < 0 || prefix6 < 1 || prefix6 > 128))
		return -EINVAL;
	if ((slash ? (size_t)(slash - text) : strlen(text)) >= sizeof(first))
		return -EINVAL;
	snprintf(first, sizeof(first), "%.*s", slash ? (int)(slash - text) : (int)strlen(text), text);
	if (sl_parse_uint(first, &prefix4) < 0 || prefix4 < 1 || prefix4 > 32)
		return -EINVAL;
	/* whole addresses are not cut, which 0 says */
	image->prefix4 = prefix4 == 32 ? 0 : (uint8_t)prefix4;
	image->prefix6 = prefix6 == 128 ? 0 : (uint8_t)prefix6;
	return 0;
}

static int read_track(struct sl_yaml_node node, struct sluice_ids_rule *image, struct sl_error *err)
{
	char text[64], *slash;
	bool has_address;
	int rc;

	rc = sl_yaml_text(node, text, sizeof(text), err);
	if (rc < 0)
		return rc;
	slash = strchr(text, '/');
	if (slash)
		*slash = '\0';
	image->track = (uint8_t)sl_ids_track_value(text);
	has_address = image->track == SLUICE_IDS_SOURCE || image->track == SLUICE_IDS_DESTINATION ||
		      image->track == SLUICE_IDS_PAIR;
	if (slash)
		*slash = '/';
	if (has_address)
		image->prefix6 = PREFIX6;
	if (!image->track || (slash && (!has_address || read_prefixes(slash + 1, image) < 0)))
		return sl_yaml_error(node, err, "bad value \"%s\"; allowed: %s", text, TRACK_SYNTAX);
	return 0;
}

/* --- limits ------------------------------------------------------------------------- */

static bool is_distinct(const struct sluice_ids_rule *image)
{
	return image->count >= SLUICE_IDS_DISTINCT_REMOTE_PORTS;
}

static int read_kind(struct sl_yaml_node node, const struct sl_ids_rule *rule, struct sluice_ids_limit *limit,
		     struct sl_error *err)
{
	const struct sluice_ids_rule *image = &rule->image;
	struct sl_yaml_node kind = sl_yaml_get(node, "kind"), count = sl_yaml_get(node, "count");
	unsigned int choice = 0;
	int rc;

	rc = sl_yaml_choice(kind, sl_ids_kinds, &choice, err);
	if (rc < 0)
		return rc;
	if (sl_ids_rule_is_swept(rule)) {
		if (sl_yaml_present(kind))
			return sl_yaml_error(
				kind, err,
				"the agent's sweeps have true windows, and no kinds; allowed: no kind");
		/* the word that polled packets are counted in */
		limit->kind = SLUICE_IDS_BUCKET;
		return 0;
	}
	if (sl_yaml_present(kind))
		limit->kind = (uint8_t)(choice + 1);
	else if (is_distinct(image) || image->count == SLUICE_IDS_BYTES || limit->count > SLUICE_IDS_LOG)
		limit->kind = SLUICE_IDS_SLIDING;
	else
		limit->kind = SLUICE_IDS_EXACT;
	if (is_distinct(image) && limit->kind != SLUICE_IDS_SLIDING)
		return sl_yaml_error(kind, err,
				     "distinct values are counted in one way only; allowed: sliding");
	if (limit->kind == SLUICE_IDS_EXACT && image->count == SLUICE_IDS_BYTES)
		return sl_yaml_error(kind, err,
				     "an exact limit counts packets; allowed: sliding, bucket, fixed");
	if (limit->kind == SLUICE_IDS_EXACT && limit->count > SLUICE_IDS_LOG)
		return sl_yaml_error(count, err,
				     "%" PRIu64
				     " is more than an exact limit can count; allowed: at most %d, or "
				     "kind: sliding, or kind: bucket with a burst",
				     (uint64_t)limit->count, SLUICE_IDS_LOG);
	return 0;
}

static int read_burst(struct sl_yaml_node node, const struct sluice_ids_rule *image,
		      struct sluice_ids_limit *limit, struct sl_error *err)
{
	const bool is_bytes = image->count == SLUICE_IDS_BYTES;
	struct sl_yaml_node burst = sl_yaml_get(node, "burst");
	uint64_t value = limit->count / 10 ? limit->count / 10 : 1, interval;
	int rc;

	if (limit->kind != SLUICE_IDS_BUCKET) {
		if (sl_yaml_present(burst))
			return sl_yaml_error(burst, err, "only a bucket has a burst; allowed: kind: bucket");
		return 0;
	}
	if (is_bytes && value < BYTES_BURST)
		value = BYTES_BURST;
	rc = sl_yaml_uint(burst, is_bytes ? BYTES_MIN : 1, COUNT_MAX, &value, err);
	if (rc < 0)
		return rc;
	if (sl_ids_bucket_interval(limit->window_ns, limit->count, value, &interval) < 0)
		return sl_yaml_error(
			sl_yaml_present(burst) ? burst : node, err,
			"a bucket of this rate and burst is beyond the clock; allowed: a burst that "
			"takes at most 52 days to fill, a rate of at most 10^12 a second");
	limit->burst = value;
	limit->interval = interval;
	return 0;
}

static int read_limit(struct sl_yaml_node node, const struct sl_ids_rule *rule,
		      struct sluice_ids_limit *limit, struct sl_error *err)
{
	static const char *const keys[] = {"count", "window", "kind", "burst", NULL};
	const struct sluice_ids_rule *image = &rule->image;
	const bool is_open = image->count == SLUICE_IDS_OPEN_CONNECTIONS;
	uint64_t count = 0, window = 0;
	int rc;

	if ((rc = sl_yaml_mapping(node, keys, err)) < 0 || (rc = sl_yaml_require(node, "count", err)) < 0 ||
	    (rc = sl_yaml_uint(sl_yaml_get(node, "count"), image->count == SLUICE_IDS_BYTES ? BYTES_MIN : 1,
			       is_distinct(image) ? SL_IDS_DISTINCT_MAX : COUNT_MAX, &count, err)) < 0)
		return rc;
	if (is_open && sl_yaml_present(sl_yaml_get(node, "window")))
		return sl_yaml_error(sl_yaml_get(node, "window"), err,
				     "open connections are those of now; allowed: no window");
	if (!is_open && (rc = sl_yaml_require(node, "window", err)) < 0)
		return rc;
	rc = sl_ids_read_duration(sl_yaml_get(node, "window"), WINDOW_MIN_MS, SL_IDS_DAY_MS, &window, err);
	if (rc < 0)
		return rc;
	limit->count = count;
	limit->window_ns = window;
	if (rule->poll_ns && !is_open && window < rule->poll_ns)
		return sl_yaml_error(sl_yaml_get(node, "window"), err,
				     "shorter than the interval of the poll engine; allowed: at least that");
	rc = read_kind(node, rule, limit, err);
	if (rc < 0)
		return rc;
	if (is_distinct(image))
		limit->burst = sl_ids_distinct_bits((uint32_t)count);
	if (sl_ids_rule_is_swept(rule)) {
		if (sl_yaml_present(sl_yaml_get(node, "burst")))
			return sl_yaml_error(sl_yaml_get(node, "burst"), err,
					     "only a bucket has a burst; allowed: kind: bucket");
		return 0;
	}
	return read_burst(node, image, limit, err);
}

/* What a later limit refuses, those before it have counted: the shortest window, which fires most, goes
 * first. */
static int by_window(const void *a, const void *b)
{
	const struct sluice_ids_limit *first = a, *second = b;

	if (first->window_ns != second->window_ns)
		return first->window_ns < second->window_ns ? -1 : 1;
	return (first->count > second->count) - (first->count < second->count);
}

static int read_engine(struct sl_yaml_node node, struct sl_ids_rule *rule, struct sl_error *err)
{
	static const char *const engines[] = {"inline", "poll", NULL};
	struct sl_yaml_node engine = sl_yaml_get(node, "engine"), interval = sl_yaml_get(node, "interval");
	const bool is_distinct_count = is_distinct(&rule->image);
	unsigned int choice = 0;
	int rc;

	rc = sl_yaml_choice(engine, engines, &choice, err);
	if (rc < 0)
		return rc;
	if (choice == 1 && is_distinct_count)
		return sl_yaml_error(engine, err,
				     "distinct values are known where the packet is only; allowed: inline");
	if (choice == 1)
		rule->image.flags |= SLUICE_IDS_POLL;
	if (!sl_ids_rule_is_swept(rule)) {
		if (sl_yaml_present(interval))
			return sl_yaml_error(
				interval, err,
				"nothing is polled here; allowed: with engine: poll, or with count: "
				"open-connections");
		return 0;
	}
	rule->poll_ns = 1000 * SL_IDS_MS_NS;
	return sl_ids_read_duration(interval, 100, 3600000, &rule->poll_ns, err);
}

int sl_ids_read_limits(struct sl_yaml_node node, struct sl_ids_rule *rule, struct sl_error *err)
{
	struct sl_yaml_node limits = sl_yaml_get(node, "limit");
	struct sluice_ids_rule *image = &rule->image;
	unsigned int choice = 0;
	size_t count = 1;
	int rc;

	if ((rc = sl_yaml_require(node, "track", err)) < 0 ||
	    (rc = sl_yaml_require(node, "limit", err)) < 0 ||
	    (rc = read_track(sl_yaml_get(node, "track"), image, err)) < 0 ||
	    (rc = sl_yaml_choice(sl_yaml_get(node, "count"), sl_ids_counts, &choice, err)) < 0)
		return rc;
	image->count = (uint8_t)(choice + 1);
	rc = read_engine(node, rule, err);
	if (rc < 0)
		return rc;
	if (!sl_yaml_is_sequence(limits)) {
		image->limit_count = 1;
		return read_limit(limits, rule, &image->limit[0], err);
	}
	rc = sl_yaml_sequence(limits, SLUICE_IDS_LIMITS, &count, err);
	if (rc == 0 && count == 0)
		return sl_yaml_error(limits, err, "an empty list; allowed: 1 to %d limits",
				     SLUICE_IDS_LIMITS);
	for (size_t i = 0; rc == 0 && i < count; i++)
		rc = read_limit(sl_yaml_item(limits, i), rule, &image->limit[i], err);
	image->limit_count = (uint8_t)count;
	if (rc == 0)
		qsort(image->limit, count, sizeof(image->limit[0]), by_window);
	return rc;
}
