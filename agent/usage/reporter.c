// SPDX-License-Identifier: Apache-2.0
#include "usage/reporter.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define MESSAGE_BYTES 32 /* what a message has besides its records, at most */
#define FIRST_RECORDS 256

struct sl_reporter {
	struct sl_reporter_ops ops;
	size_t max_bytes;
	void *user;

	/* the message that is made or under way */
	struct sl_usage_record *records;
	size_t count, capacity;
	size_t bytes;
	struct sl_usage_receipt *final; /* slots to acknowledge with it */
	size_t final_count, final_capacity;

	uint32_t next;	 /* session slot where the cycle goes on; SLUICE_NONE: all have been said */
	bool ended_left; /* not all ended sessions fitted */
	size_t cycle_records;
	bool in_flight;
	struct sl_reporter_stats stats;
};

int sl_reporter_new(const struct sl_reporter_ops *ops, size_t max_bytes, void *user, struct sl_reporter **out)
{
	struct sl_reporter *reporter = calloc(1, sizeof(*reporter));

	if (!reporter)
		return -ENOMEM;
	reporter->ops = *ops;
	reporter->max_bytes = max_bytes;
	reporter->user = user;
	*out = reporter;
	return 0;
}

void sl_reporter_free(struct sl_reporter *reporter)
{
	if (!reporter)
		return;
	free(reporter->records);
	free(reporter->final);
	free(reporter);
}

static void failed(struct sl_reporter *reporter, const char *reason)
{
	bool change = !reporter->stats.known || reporter->stats.up;

	reporter->in_flight = false;
	reporter->final_count = 0;
	reporter->stats.known = true;
	reporter->stats.up = false;
	reporter->stats.failures++;
	snprintf(reporter->stats.last_error, sizeof(reporter->stats.last_error), "%s", reason);
	if (change)
		reporter->ops.on_change(false, reason, reporter->user);
}

static int grow(void **array, size_t *capacity, size_t wanted, size_t size)
{
	size_t more = *capacity ? *capacity : FIRST_RECORDS;
	void *grown;

	while (more < wanted)
		more *= 2;
	if (more == *capacity)
		return 0;
	grown = reallocarray(*array, more, size);
	if (!grown)
		return -ENOMEM;
	*array = grown;
	*capacity = more;
	return 0;
}

/* The next session's records behind those that the message has; their number, 0 at the end. */
static int fetch(struct sl_reporter *reporter, bool ended, uint32_t *slot, size_t *out)
{
	for (;;) {
		size_t room = reporter->capacity - reporter->count, n;
		int rc;

		n = reporter->ops.session(ended, reporter->records + reporter->count, room, slot,
					  reporter->user);
		if (n <= room) {
			*out = n;
			return 0;
		}
		rc = grow((void **)&reporter->records, &reporter->capacity, reporter->count + n,
			  sizeof(*reporter->records));
		if (rc < 0)
			return rc;
	}
}

static bool counts_nothing(const struct sl_usage_record *record)
{
	static const struct sluice_usage nothing;

	return memcmp(&record->usage, &nothing, sizeof(nothing)) == 0;
}

enum taken { NOTHING, A_PART, ALL };

/*
 * Takes the n records behind the message into it if all fit into `budget`. Of
 * the first session (`cut`) those that do: else it would never go out.
 */
static enum taken take(struct sl_reporter *reporter, size_t n, bool lean, size_t budget, bool cut)
{
	struct sl_usage_record *record = reporter->records + reporter->count;
	size_t bytes = reporter->bytes, kept = 0, receipts = reporter->final_count, i;

	if (grow((void **)&reporter->final, &reporter->final_capacity, receipts + n,
		 sizeof(*reporter->final)) < 0)
		return NOTHING;
	for (i = 0; i < n; i++) {
		bool said = !lean || !counts_nothing(&record[i]) || (kept == 0 && i == n - 1);
		size_t size = said ? reporter->ops.size(&record[i]) : 0;

		if (bytes + size > budget) {
			if (cut && i > 0)
				break;
			return NOTHING;
		}
		if (record[i].final)
			reporter->final[receipts++] =
				(struct sl_usage_receipt){record[i].slot, record[i].sequence};
		bytes += size;
		if (said)
			record[kept++] = record[i];
	}
	reporter->bytes = bytes;
	reporter->count += kept;
	reporter->final_count = receipts;
	return i == n ? ALL : A_PART;
}

/* Sessions from *slot on, as many as fit; *slot is then the first that did not. */
static int fill(struct sl_reporter *reporter, bool ended, size_t budget, uint32_t *slot)
{
	bool first = true;

	while (*slot != SLUICE_NONE) {
		uint32_t at = *slot;
		size_t n;
		int rc = fetch(reporter, ended, slot, &n);

		if (rc < 0)
			return rc;
		if (n == 0)
			break;
		switch (take(reporter, n, ended, budget, first)) {
		case ALL:
			break;
		case A_PART:
			/* the rest of a session in force waits for the next cycle */
			if (ended)
				*slot = at;
			return 0;
		case NOTHING:
			*slot = at;
			return 0;
		}
		first = false;
	}
	return 0;
}

static int make_message(struct sl_reporter *reporter)
{
	uint32_t slot = 0;
	int rc;

	rc = fill(reporter, true, reporter->max_bytes / 8 * 7, &slot);
	reporter->ended_left = slot != SLUICE_NONE;
	if (rc == 0)
		rc = fill(reporter, false, reporter->max_bytes, &reporter->next);
	return rc;
}

static void send_next(struct sl_reporter *reporter)
{
	reporter->count = 0;
	reporter->final_count = 0;
	reporter->bytes = MESSAGE_BYTES;
	reporter->ended_left = false;
	if (!reporter->ops.ready(reporter->user)) {
		reporter->next = SLUICE_NONE;
	} else if (make_message(reporter) < 0) {
		failed(reporter, "out of memory");
		return;
	}
	reporter->cycle_records += reporter->count;
	reporter->in_flight = true;
	if (reporter->ops.send(reporter->records, reporter->count, reporter->user) < 0)
		failed(reporter, "the report could not be sent");
}

void sl_reporter_tick(struct sl_reporter *reporter)
{
	if (reporter->in_flight)
		return;
	reporter->next = 0;
	reporter->cycle_records = 0;
	send_next(reporter);
}

void sl_reporter_done(struct sl_reporter *reporter, const char *reason)
{
	struct timespec now;
	bool change, more;

	if (!reporter->in_flight)
		return;
	if (reason) {
		failed(reporter, reason);
		return;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	change = !reporter->stats.known || !reporter->stats.up;
	reporter->in_flight = false;
	reporter->stats.known = true;
	reporter->stats.up = true;
	reporter->stats.reports++;
	reporter->stats.last_report_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
	if (change)
		reporter->ops.on_change(true, NULL, reporter->user);
	/* ended sessions that found no room find it as soon as others have gone */
	more = reporter->next != SLUICE_NONE || (reporter->ended_left && reporter->final_count);
	reporter->ops.acknowledge(reporter->final, reporter->final_count, reporter->user);
	reporter->final_count = 0;
	if (more)
		send_next(reporter);
	else
		reporter->ops.on_report(reporter->cycle_records, reporter->user);
}

void sl_reporter_stats(const struct sl_reporter *reporter, struct sl_reporter_stats *out)
{
	*out = reporter->stats;
}
