// SPDX-License-Identifier: Apache-2.0
#include "usage/reporter.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

struct sl_reporter {
	struct sl_reporter_ops ops;
	void *user;
	struct sl_usage_record *records; /* SL_REPORT_RECORDS */
	struct sl_usage_receipt *final;	 /* slots to acknowledge with the message under way */
	size_t final_count;
	uint64_t cursor;
	size_t cycle_records;
	bool in_flight;
	struct sl_reporter_stats stats;
};

int sl_reporter_new(const struct sl_reporter_ops *ops, void *user, struct sl_reporter **out)
{
	struct sl_reporter *reporter = calloc(1, sizeof(*reporter));

	if (!reporter)
		return -ENOMEM;
	reporter->records = calloc(SL_REPORT_RECORDS, sizeof(*reporter->records));
	reporter->final = calloc(SL_REPORT_RECORDS, sizeof(*reporter->final));
	if (!reporter->records || !reporter->final) {
		sl_reporter_free(reporter);
		return -ENOMEM;
	}
	reporter->ops = *ops;
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

/* There is always room for usage in force, so that the cycle advances. */
static void send_next(struct sl_reporter *reporter)
{
	size_t count = 0;

	reporter->final_count = 0;
	if (reporter->ops.ready(reporter->user)) {
		count = reporter->ops.retired(reporter->records, SL_REPORT_RETIRED_RECORDS, reporter->user);
		for (size_t i = 0; i < count; i++)
			if (reporter->records[i].final)
				reporter->final[reporter->final_count++] = (struct sl_usage_receipt){
					reporter->records[i].slot, reporter->records[i].sequence};
		count += reporter->ops.active(reporter->records + count, SL_REPORT_RECORDS - count,
					      &reporter->cursor, reporter->user);
	}
	reporter->cycle_records += count;
	reporter->in_flight = true;
	if (reporter->ops.send(reporter->records, count, reporter->user) < 0)
		failed(reporter, "the report could not be sent");
}

void sl_reporter_tick(struct sl_reporter *reporter)
{
	if (reporter->in_flight)
		return;
	reporter->cursor = 0;
	reporter->cycle_records = 0;
	send_next(reporter);
}

void sl_reporter_done(struct sl_reporter *reporter, const char *reason)
{
	struct timespec now;
	bool change;

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
	reporter->ops.acknowledge(reporter->final, reporter->final_count, reporter->user);
	reporter->final_count = 0;
	if (reporter->cursor)
		send_next(reporter);
	else
		reporter->ops.on_report(reporter->cycle_records, reporter->user);
}

void sl_reporter_stats(const struct sl_reporter *reporter, struct sl_reporter_stats *out)
{
	*out = reporter->stats;
}
