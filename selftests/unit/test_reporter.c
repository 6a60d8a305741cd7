// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "usage/reporter.h"

#define ENDED_SLOT   1000000 /* records of ended sessions have usage slots from here on, others from 0 */
#define RECORD_BYTES 100
#define MESSAGE	     (1000 * RECORD_BYTES + 32) /* room for 1,000 records */
#define ENDED_ROOM   874			/* seven eighths of it */

/*
 * A control and a session manager that do what the test says and remember what
 * they were asked. Sessions have one record each unless said otherwise.
 */
struct fake {
	struct sl_reporter *reporter;
	bool ready;
	int send_result;
	size_t active;
	size_t ended;
	size_t not_final;   /* of the ended, the last so many are not final yet */
	size_t per_session; /* records of an ended session; 0: one */
	size_t per_active;  /* of one in force */
	bool unused;	    /* ended sessions' records count nothing */
	bool frees;	    /* what is acknowledged is gone */

	unsigned int sent; /* messages */
	size_t count;	   /* records in the last one */
	size_t ended_in;   /* of ended sessions among them */
	size_t seen;	   /* active ones in all messages of the cycle */
	uint32_t first_active;
	char *reported; /* by ENDED_SLOT + index: in how many messages */
	size_t reported_size;

	unsigned int acknowledged; /* calls */
	size_t slots;		   /* in the last one */
	uint32_t slot[8];
	size_t freed;

	unsigned int ups, downs;
	char reason[64];
	unsigned int cycles;
	size_t cycle_records;
};

static size_t fake_session(bool ended, struct sl_usage_record *out, size_t max, uint32_t *slot, void *user)
{
	struct fake *fake = user;
	size_t sessions = ended ? fake->ended - fake->freed : fake->active;
	size_t records = ended ? fake->per_session : fake->per_active;

	records += !records;
	if (*slot >= sessions) {
		*slot = SLUICE_NONE;
		return 0;
	}
	if (records > max)
		return records;
	for (size_t i = 0; i < records; i++) {
		uint32_t at = (uint32_t)((*slot + (ended ? fake->freed : 0)) * records + i);

		out[i] = (struct sl_usage_record){.slot = ended ? ENDED_SLOT + at : at};
		out[i].retired = ended;
		out[i].final = ended && at / records + fake->not_final < fake->ended;
		out[i].usage.uplink.bytes = fake->unused ? 0 : 7;
	}
	++*slot;
	return records;
}

static size_t fake_size(const struct sl_usage_record *record)
{
	(void)record;
	return RECORD_BYTES;
}

static void fake_acknowledge(const struct sl_usage_receipt *receipts, size_t count, void *user)
{
	struct fake *fake = user;

	fake->acknowledged++;
	fake->slots = count;
	for (size_t i = 0; i < count && i < 8; i++)
		fake->slot[i] = receipts[i].slot;
	for (size_t i = 0; i < count && fake->reported; i++)
		assert_true(fake->reported[receipts[i].slot - ENDED_SLOT]);
	if (fake->frees)
		fake->freed += count / (fake->per_session ? fake->per_session : 1);
}

static int fake_send(const struct sl_usage_record *records, size_t count, void *user)
{
	struct fake *fake = user;

	fake->sent++;
	fake->count = count;
	fake->ended_in = 0;
	for (size_t i = 0; i < count; i++) {
		fake->ended_in += records[i].retired;
		if (records[i].retired && records[i].slot - ENDED_SLOT < fake->reported_size)
			fake->reported[records[i].slot - ENDED_SLOT]++;
	}
	/* the sessions in force follow the others, each whole, where the last message ended */
	for (size_t i = fake->ended_in; i < count && fake->per_active; i++)
		assert_int_equal(records[i].slot, fake->seen + i - fake->ended_in);
	assert_true(!fake->per_active || (count - fake->ended_in) % fake->per_active == 0);
	fake->seen += count - fake->ended_in;
	if (count > fake->ended_in)
		fake->first_active = records[fake->ended_in].slot;
	return fake->send_result;
}

static bool fake_ready(void *user)
{
	return ((struct fake *)user)->ready;
}

static void fake_change(bool up, const char *reason, void *user)
{
	struct fake *fake = user;

	if (up) {
		fake->ups++;
		assert_null(reason);
		return;
	}
	fake->downs++;
	strncpy(fake->reason, reason, sizeof(fake->reason) - 1);
}

static void fake_report(size_t records, void *user)
{
	struct fake *fake = user;

	fake->cycles++;
	fake->cycle_records = records;
}

static const struct sl_reporter_ops ops = {
	.session = fake_session,
	.size = fake_size,
	.acknowledge = fake_acknowledge,
	.send = fake_send,
	.ready = fake_ready,
	.on_change = fake_change,
	.on_report = fake_report,
};

static int set_up(void **state)
{
	struct fake *fake = calloc(1, sizeof(*fake));

	if (!fake)
		return -1;
	fake->ready = true;
	*state = fake;
	return sl_reporter_new(&ops, MESSAGE, fake, &fake->reporter);
}

static int tear_down(void **state)
{
	struct fake *fake = *state;

	sl_reporter_free(fake->reporter);
	free(fake);
	return 0;
}

static struct sl_reporter_stats stats_of(const struct fake *fake)
{
	struct sl_reporter_stats stats;

	sl_reporter_stats(fake->reporter, &stats);
	return stats;
}

static void one_report_is_under_way_at_a_time(void **state)
{
	struct fake *fake = *state;

	fake->active = 3;
	sl_reporter_tick(fake->reporter);
	assert_int_equal(fake->sent, 1);
	assert_int_equal(fake->count, 3);
	sl_reporter_tick(fake->reporter);
	sl_reporter_tick(fake->reporter);
	assert_int_equal(fake->sent, 1);
	sl_reporter_done(fake->reporter, NULL);
	assert_int_equal(fake->sent, 1);
	sl_reporter_tick(fake->reporter);
	assert_int_equal(fake->sent, 2);
}

static void a_cycle_of_one_message_ends_with_its_answer(void **state)
{
	struct fake *fake = *state;

	fake->active = 3;
	fake->ended = 2;
	sl_reporter_tick(fake->reporter);
	assert_int_equal(fake->cycles, 0);
	sl_reporter_done(fake->reporter, NULL);
	assert_int_equal(fake->cycles, 1);
	assert_int_equal(fake->cycle_records, 5);
	assert_int_equal(stats_of(fake).reports, 1);
	assert_true(stats_of(fake).last_report_ms > 0);
}

static void many_sessions_go_in_messages_one_after_the_other(void **state)
{
	struct fake *fake = *state;

	fake->active = 2 * 1000 + 10;
	sl_reporter_tick(fake->reporter);
	assert_int_equal(fake->count, 1000);
	assert_int_equal(fake->first_active, 0);
	sl_reporter_tick(fake->reporter);
	assert_int_equal(fake->sent, 1);
	sl_reporter_done(fake->reporter, NULL);
	assert_int_equal(fake->sent, 2);
	assert_int_equal(fake->first_active, 1000);
	assert_int_equal(fake->cycles, 0);
	sl_reporter_done(fake->reporter, NULL);
	assert_int_equal(fake->sent, 3);
	assert_int_equal(fake->count, 10);
	sl_reporter_done(fake->reporter, NULL);
	assert_int_equal(fake->sent, 3);
	assert_int_equal(fake->cycles, 1);
	assert_int_equal(fake->cycle_records, fake->active);
	assert_int_equal(fake->seen, fake->active);
	assert_int_equal(stats_of(fake).reports, 3);
}

static void sessions_that_have_ended_are_in_every_message(void **state)
{
	struct fake *fake = *state;

	fake->active = 1000;
	fake->ended = 7;
	sl_reporter_tick(fake->reporter);
	assert_int_equal(fake->ended_in, 7);
	assert_int_equal(fake->count, 1000);
	sl_reporter_done(fake->reporter, NULL);
	assert_int_equal(fake->sent, 2);
	assert_int_equal(fake->ended_in, 7);
	assert_int_equal(fake->count, 14);
	assert_int_equal(fake->seen, fake->active);
}

static void ended_sessions_leave_room_in_a_message_for_the_others(void **state)
{
	struct fake *fake = *state;

	fake->active = 1000;
	fake->ended = 3000;
	for (int i = 0; i < 1000 / (1000 - ENDED_ROOM); i++) {
		if (i == 0)
			sl_reporter_tick(fake->reporter);
		assert_int_equal(fake->ended_in, ENDED_ROOM);
		assert_int_equal(fake->count, 1000);
		sl_reporter_done(fake->reporter, NULL);
		assert_int_equal(fake->slots, ENDED_ROOM);
	}
	assert_int_equal(fake->seen, fake->active);
}

static void ended_sessions_that_did_not_fit_follow_at_once(void **state)
{
	struct fake *fake = *state;
	size_t messages = 0;

	fake->frees = true;
	fake->ended = fake->reported_size = 3000;
	fake->reported = calloc(fake->ended, 1);
	assert_non_null(fake->reported);
	sl_reporter_tick(fake->reporter);
	for (; fake->cycles == 0; messages++)
		sl_reporter_done(fake->reporter, NULL);
	assert_int_equal(messages, (3000 + ENDED_ROOM - 1) / ENDED_ROOM);
	for (size_t i = 0; i < fake->ended; i++)
		assert_int_equal(fake->reported[i], 1);
	assert_int_equal(fake->freed, 3000);
	free(fake->reported);
}

#define GRPC_LIMIT (4u << 20) /* the default of max_report: 41,942 records of 100 bytes */

/* 100,000 sessions in force, each with two rules and its default drop. */
static void start_large(struct fake *fake)
{
	sl_reporter_free(fake->reporter);
	assert_int_equal(sl_reporter_new(&ops, GRPC_LIMIT, fake, &fake->reporter), 0);
	fake->active = 100000;
	fake->per_active = 3;
}

static void a_hundred_thousand_sessions_are_reported_whole_in_a_few_messages(void **state)
{
	struct fake *fake = *state;
	size_t messages = 0;

	start_large(fake);
	fake->ended = fake->not_final = 1000;
	sl_reporter_tick(fake->reporter);
	for (; fake->cycles == 0; messages++) {
		assert_int_equal(fake->ended_in, 1000);
		assert_true(fake->count * RECORD_BYTES <= GRPC_LIMIT);
		sl_reporter_done(fake->reporter, NULL);
	}
	assert_int_equal(messages, 8); /* of 40,942 / 3 sessions beside those that have ended */
	assert_int_equal(fake->seen, 300000);
	assert_int_equal(fake->cycle_records, 300000 + 8 * 1000);
}

static void more_ended_sessions_than_a_message_holds_wait_and_none_is_lost(void **state)
{
	struct fake *fake = *state;
	size_t freed;

	start_large(fake);
	fake->frees = true;
	fake->ended = fake->reported_size = 100000;
	fake->not_final = 10;
	fake->reported = calloc(fake->ended, 1);
	assert_non_null(fake->reported);
	sl_reporter_tick(fake->reporter);
	sl_reporter_done(fake->reporter, NULL);
	freed = fake->freed;
	assert_int_equal(freed, (GRPC_LIMIT / 8 * 7 - 32) / RECORD_BYTES);
	sl_reporter_done(fake->reporter, "deadline exceeded");
	assert_int_equal(fake->freed, freed);
	fake->seen = 0;
	sl_reporter_tick(fake->reporter);
	for (; fake->cycles == 0; sl_reporter_done(fake->reporter, NULL))
		fake->not_final = fake->freed == 100000 - 10 ? 0 : fake->not_final;
	assert_int_equal(fake->seen, 300000);
	assert_int_equal(fake->freed, 100000);
	assert_int_equal(fake->reported[0], 1);
	assert_int_equal(fake->reported[freed], 2); /* of the message that failed */
	assert_true(fake->reported[99999] > 1);	    /* not final at first */
	free(fake->reported);
}

static void a_session_is_never_split_between_two_messages(void **state)
{
	struct fake *fake = *state;

	fake->frees = true;
	fake->per_session = 9;
	fake->ended = 200;
	sl_reporter_tick(fake->reporter);
	assert_int_equal(fake->count, ENDED_ROOM / 9 * 9);
	sl_reporter_done(fake->reporter, NULL);
	assert_int_equal(fake->count, ENDED_ROOM / 9 * 9);
	sl_reporter_done(fake->reporter, NULL);
	assert_int_equal(fake->count, (200 - 2 * (ENDED_ROOM / 9)) * 9);
}

/* It may not keep the others from being reported for ever. */
static void of_a_session_longer_than_a_message_as_much_is_sent_as_fits(void **state)
{
	struct fake *fake = *state;

	fake->per_session = 5000;
	fake->ended = 1;
	fake->active = 10;
	sl_reporter_tick(fake->reporter);
	assert_int_equal(fake->ended_in, ENDED_ROOM);
	assert_int_equal(fake->seen, 10);
	sl_reporter_done(fake->reporter, NULL);
	assert_int_equal(fake->slots, ENDED_ROOM);
}

static void of_an_ended_session_that_counted_nothing_one_record_is_enough(void **state)
{
	struct fake *fake = *state;

	fake->per_session = 5;
	fake->ended = 300;
	fake->unused = true;
	sl_reporter_tick(fake->reporter);
	assert_int_equal(fake->count, 300);
	sl_reporter_done(fake->reporter, NULL);
	/* those that were left out have nothing to say: they are done with, too */
	assert_int_equal(fake->slots, 1500);
}

static void final_usage_is_acknowledged_when_its_report_was(void **state)
{
	struct fake *fake = *state;

	fake->active = 2;
	fake->ended = 3;
	fake->not_final = 1;
	sl_reporter_tick(fake->reporter);
	assert_int_equal(fake->acknowledged, 0);
	sl_reporter_done(fake->reporter, NULL);
	assert_int_equal(fake->acknowledged, 1);
	assert_int_equal(fake->slots, 2);
	assert_int_equal(fake->slot[0], ENDED_SLOT);
	assert_int_equal(fake->slot[1], ENDED_SLOT + 1);
}

static void what_becomes_final_while_a_report_is_under_way_waits_for_the_next(void **state)
{
	struct fake *fake = *state;

	fake->ended = 1;
	fake->not_final = 1;
	sl_reporter_tick(fake->reporter);
	fake->not_final = 0;
	sl_reporter_done(fake->reporter, NULL);
	assert_int_equal(fake->slots, 0);
	sl_reporter_tick(fake->reporter);
	sl_reporter_done(fake->reporter, NULL);
	assert_int_equal(fake->slots, 1);
}

static void a_failed_report_acknowledges_nothing_and_all_is_said_again(void **state)
{
	struct fake *fake = *state;

	fake->active = 2 * 1000;
	fake->ended = 1;
	sl_reporter_tick(fake->reporter);
	sl_reporter_done(fake->reporter, "connection refused");
	assert_int_equal(fake->acknowledged, 0);
	assert_int_equal(fake->sent, 1); /* the rest of the cycle waits too */
	assert_int_equal(fake->cycles, 0);
	sl_reporter_tick(fake->reporter);
	assert_int_equal(fake->sent, 2);
	assert_int_equal(fake->ended_in, 1);
	assert_int_equal(fake->first_active, 0);
	sl_reporter_done(fake->reporter, NULL);
	assert_int_equal(fake->slots, 1);
	assert_int_equal(fake->slot[0], ENDED_SLOT);
}

static void a_failure_in_the_middle_begins_the_cycle_anew(void **state)
{
	struct fake *fake = *state;

	fake->active = 2 * 1000;
	sl_reporter_tick(fake->reporter);
	sl_reporter_done(fake->reporter, NULL);
	assert_int_equal(fake->first_active, 1000);
	sl_reporter_done(fake->reporter, "deadline exceeded");
	sl_reporter_tick(fake->reporter);
	assert_int_equal(fake->first_active, 0);
	sl_reporter_done(fake->reporter, NULL);
	sl_reporter_done(fake->reporter, NULL);
	assert_int_equal(fake->cycles, 1);
	assert_int_equal(fake->cycle_records, fake->active);
}

static void loss_and_recovery_are_each_told_once(void **state)
{
	struct fake *fake = *state;

	assert_false(stats_of(fake).known);
	for (int i = 0; i < 3; i++) {
		sl_reporter_tick(fake->reporter);
		sl_reporter_done(fake->reporter, i == 0 ? "connection refused" : "deadline exceeded");
	}
	assert_int_equal(fake->downs, 1);
	assert_int_equal(fake->ups, 0);
	assert_string_equal(fake->reason, "connection refused");
	assert_true(stats_of(fake).known);
	assert_false(stats_of(fake).up);
	assert_int_equal(stats_of(fake).failures, 3);
	assert_string_equal(stats_of(fake).last_error, "deadline exceeded");
	for (int i = 0; i < 3; i++) {
		sl_reporter_tick(fake->reporter);
		sl_reporter_done(fake->reporter, NULL);
	}
	assert_int_equal(fake->downs, 1);
	assert_int_equal(fake->ups, 1);
	assert_true(stats_of(fake).up);
	sl_reporter_tick(fake->reporter);
	sl_reporter_done(fake->reporter, "connection reset");
	assert_int_equal(fake->downs, 2);
	assert_string_equal(fake->reason, "connection reset");
	/* the last failure stays readable */
	sl_reporter_tick(fake->reporter);
	sl_reporter_done(fake->reporter, NULL);
	assert_string_equal(stats_of(fake).last_error, "connection reset");
}

static void a_first_report_that_arrives_is_told_too(void **state)
{
	struct fake *fake = *state;

	sl_reporter_tick(fake->reporter);
	sl_reporter_done(fake->reporter, NULL);
	assert_int_equal(fake->ups, 1);
	assert_int_equal(fake->downs, 0);
}

static void before_setup_reports_are_empty_but_sent(void **state)
{
	struct fake *fake = *state;

	fake->ready = false;
	fake->active = 5;
	fake->ended = 5;
	sl_reporter_tick(fake->reporter);
	assert_int_equal(fake->sent, 1);
	assert_int_equal(fake->count, 0);
	sl_reporter_done(fake->reporter, NULL);
	assert_int_equal(fake->slots, 0);
	assert_int_equal(fake->cycles, 1);
	fake->ready = true;
	sl_reporter_tick(fake->reporter);
	assert_int_equal(fake->count, 10);
}

static void a_report_that_cannot_be_sent_is_a_failure_and_the_next_tick_tries_again(void **state)
{
	struct fake *fake = *state;

	fake->ended = 1;
	fake->send_result = -ENOMEM;
	sl_reporter_tick(fake->reporter);
	assert_int_equal(fake->downs, 1);
	assert_int_equal(stats_of(fake).failures, 1);
	fake->send_result = 0;
	sl_reporter_tick(fake->reporter);
	assert_int_equal(fake->sent, 2);
	sl_reporter_done(fake->reporter, NULL);
	assert_int_equal(fake->slots, 1);
}

static void an_answer_nobody_waits_for_changes_nothing(void **state)
{
	struct fake *fake = *state;

	sl_reporter_done(fake->reporter, NULL);
	sl_reporter_done(fake->reporter, "late");
	assert_int_equal(fake->acknowledged, 0);
	assert_int_equal(fake->ups + fake->downs, 0);
	assert_false(stats_of(fake).known);
	fake->ended = 1;
	sl_reporter_tick(fake->reporter);
	sl_reporter_done(fake->reporter, "deadline exceeded");
	sl_reporter_done(fake->reporter, NULL);
	assert_int_equal(fake->acknowledged, 0);
	assert_int_equal(stats_of(fake).reports, 0);
}

static void a_reason_longer_than_its_room_is_cut(void **state)
{
	struct fake *fake = *state;
	char reason[2 * SL_ERROR_SIZE];
	struct sl_reporter_stats stats;

	memset(reason, 'r', sizeof(reason) - 1);
	reason[sizeof(reason) - 1] = '\0';
	sl_reporter_tick(fake->reporter);
	sl_reporter_done(fake->reporter, reason);
	stats = stats_of(fake);
	assert_int_equal(strlen(stats.last_error), sizeof(stats.last_error) - 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_report_is_under_way_at_a_time),
		TEST(a_cycle_of_one_message_ends_with_its_answer),
		TEST(many_sessions_go_in_messages_one_after_the_other),
		TEST(sessions_that_have_ended_are_in_every_message),
		TEST(ended_sessions_leave_room_in_a_message_for_the_others),
		TEST(ended_sessions_that_did_not_fit_follow_at_once),
		TEST(a_hundred_thousand_sessions_are_reported_whole_in_a_few_messages),
		TEST(more_ended_sessions_than_a_message_holds_wait_and_none_is_lost),
		TEST(a_session_is_never_split_between_two_messages),
		TEST(of_a_session_longer_than_a_message_as_much_is_sent_as_fits),
		TEST(of_an_ended_session_that_counted_nothing_one_record_is_enough),
		TEST(final_usage_is_acknowledged_when_its_report_was),
		TEST(what_becomes_final_while_a_report_is_under_way_waits_for_the_next),
		TEST(a_failed_report_acknowledges_nothing_and_all_is_said_again),
		TEST(a_failure_in_the_middle_begins_the_cycle_anew),
		TEST(loss_and_recovery_are_each_told_once),
		TEST(a_first_report_that_arrives_is_told_too),
		TEST(before_setup_reports_are_empty_but_sent),
		TEST(a_report_that_cannot_be_sent_is_a_failure_and_the_next_tick_tries_again),
		TEST(an_answer_nobody_waits_for_changes_nothing),
		TEST(a_reason_longer_than_its_room_is_cut),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
