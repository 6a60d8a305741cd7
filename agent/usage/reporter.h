/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When usage is reported, and what is done with the answer. Absolute counts, so
 * a lost report harms nothing: the next one says it again. What is final is
 * repeated until a report that carried it was acknowledged.
 *
 * A session manager takes a report without a session's records as that
 * session's end. So a report is one message as long as the receiver allows; all
 * records of a session are in the same message; and the sessions that have
 * ended are in every message of a cycle that needs several, before all others.
 * Of an ended session the records that count nothing are left out as long as
 * one record remains.
 *
 * One message is under way at a time; the next one of a cycle is sent when it
 * was acknowledged.
 */
#ifndef SL_USAGE_REPORTER_H
#define SL_USAGE_REPORTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "usage/record.h"

struct sl_reporter_ops {
	/* As sl_control_session_usage. */
	size_t (*session)(bool ended, struct sl_usage_record *out, size_t max, uint32_t *slot, void *user);
	/* Bytes that the record takes in a message, at most; never 0. */
	size_t (*size)(const struct sl_usage_record *record);
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

/*
 * max_bytes: of one message. Sessions that have ended take at most seven eighths
 * of it, so that the others are reported, too; those beyond wait for a further
 * message of the cycle, which goes out as soon as the first ones are
 * acknowledged. Of a session that is longer than a message, what fits is sent,
 * and the rest when that was acknowledged.
 */
int sl_reporter_new(const struct sl_reporter_ops *ops, size_t max_bytes, void *user,
		    struct sl_reporter **out);
void sl_reporter_free(struct sl_reporter *reporter);

/* The interval has passed: begins a cycle unless one is under way. */
void sl_reporter_tick(struct sl_reporter *reporter);

/* The answer to the message under way; reason is NULL when it was acknowledged, else one line of UTF-8. */
void sl_reporter_done(struct sl_reporter *reporter, const char *reason);

void sl_reporter_stats(const struct sl_reporter *reporter, struct sl_reporter_stats *out);

#endif
