/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When usage is reported, and what is done with the answer. Absolute counts, so
 * a lost report harms nothing: the next one says it again. What is final is
 * repeated until a report that carried it was acknowledged.
 *
 * One report is under way at a time. A cycle over many sessions takes several
 * messages, each sent when the one before was acknowledged; all retired usage
 * goes into every message, because a session manager takes a report without a
 * session's records as that session's end.
 */
#ifndef SL_USAGE_REPORTER_H
#define SL_USAGE_REPORTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "usage/record.h"

/*
 * Records in one message: with the longest rule ids about 3 MiB, below the 4 MiB
 * that gRPC peers accept by default. Retired usage takes at most seven eighths
 * of it; beyond that number at one time the rest waits for the next message.
 */
#define SL_REPORT_RECORDS	  8000
#define SL_REPORT_RETIRED_RECORDS 7000

struct sl_reporter_ops {
	size_t (*active)(struct sl_usage_record *out, size_t max, uint64_t *cursor, void *user);
	size_t (*retired)(struct sl_usage_record *out, size_t max, void *user);
	void (*acknowledge)(const struct sl_usage_receipt *receipts, size_t count, void *user);
	/* Sends one message; sl_reporter_done is called later. -errno: not even tried. */
	int (*send)(const struct sl_usage_record *records, size_t count, void *user);
	bool (*ready)(void *user); /* false before Setup: only empty reports, to show the epoch */
	void (*on_change)(bool up, const char *reason, void *user);
	void (*on_report)(size_t records, void *user); /* a cycle is complete */
};

struct sl_reporter_stats {
	bool known; /* a first report has ended, one way or the other */
	bool up;
	uint64_t reports;
	uint64_t failures;
	uint64_t last_report_ms; /* CLOCK_REALTIME */
	char last_error[SL_ERROR_SIZE];
};

struct sl_reporter;

int sl_reporter_new(const struct sl_reporter_ops *ops, void *user, struct sl_reporter **out);
void sl_reporter_free(struct sl_reporter *reporter);

/* The interval has passed: begins a cycle unless one is under way. */
void sl_reporter_tick(struct sl_reporter *reporter);

/* The answer to the message under way; reason is NULL when it was acknowledged, else one line of UTF-8. */
void sl_reporter_done(struct sl_reporter *reporter, const char *reason);

void sl_reporter_stats(const struct sl_reporter *reporter, struct sl_reporter_stats *out);

#endif
