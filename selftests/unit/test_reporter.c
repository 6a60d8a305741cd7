// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "reporter_fake.h"

static void one_report_is_under_way_at_a_time(void **state)
{
	struct reporter_fake *fake = *state;

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
	struct reporter_fake *fake = *state;

	fake->active = 3;
	fake->ended = 2;
	sl_reporter_tick(fake->reporter);
	assert_int_equal(fake->cycles, 0);
	sl_reporter_done(fake->reporter, NULL);
	assert_int_equal(fake->cycles, 1);
	assert_int_equal(fake->cycle_records, 5);
	assert_int_equal(reporter_fake_stats(fake).reports, 1);
	assert_true(reporter_fake_stats(fake).last_report_ms > 0);
}

static void many_sessions_go_in_messages_one_after_the_other(void **state)
{
	struct reporter_fake *fake = *state;

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
	assert_int_equal(reporter_fake_stats(fake).reports, 3);
}

static void sessions_that_have_ended_are_in_every_message(void **state)
{
	struct reporter_fake *fake = *state;

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
	struct reporter_fake *fake = *state;

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
	struct reporter_fake *fake = *state;
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
static void start_large(struct reporter_fake *fake)
{
	sl_reporter_free(fake->reporter);
	assert_int_equal(sl_reporter_new(&reporter_fake_ops, GRPC_LIMIT, fake, &fake->reporter), 0);
	fake->active = 100000;
	fake->per_active = 3;
}

static void a_hundred_thousand_sessions_are_reported_whole_in_a_few_messages(void **state)
{
	struct reporter_fake *fake = *state;
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
	struct reporter_fake *fake = *state;
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
	struct reporter_fake *fake = *state;

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
	struct reporter_fake *fake = *state;

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
	struct reporter_fake *fake = *state;

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
	struct reporter_fake *fake = *state;

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
	struct reporter_fake *fake = *state;

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
	struct reporter_fake *fake = *state;

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
	struct reporter_fake *fake = *state;

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
	struct reporter_fake *fake = *state;

	assert_false(reporter_fake_stats(fake).known);
	for (int i = 0; i < 3; i++) {
		sl_reporter_tick(fake->reporter);
		sl_reporter_done(fake->reporter, i == 0 ? "connection refused" : "deadline exceeded");
	}
	assert_int_equal(fake->downs, 1);
	assert_int_equal(fake->ups, 0);
	assert_string_equal(fake->reason, "connection refused");
	assert_true(reporter_fake_stats(fake).known);
	assert_false(reporter_fake_stats(fake).up);
	assert_int_equal(reporter_fake_stats(fake).failures, 3);
	assert_string_equal(reporter_fake_stats(fake).last_error, "deadline exceeded");
	for (int i = 0; i < 3; i++) {
		sl_reporter_tick(fake->reporter);
		sl_reporter_done(fake->reporter, NULL);
	}
	assert_int_equal(fake->downs, 1);
	assert_int_equal(fake->ups, 1);
	assert_true(reporter_fake_stats(fake).up);
	sl_reporter_tick(fake->reporter);
	sl_reporter_done(fake->reporter, "connection reset");
	assert_int_equal(fake->downs, 2);
	assert_string_equal(fake->reason, "connection reset");
	/* the last failure stays readable */
	sl_reporter_tick(fake->reporter);
	sl_reporter_done(fake->reporter, NULL);
	assert_string_equal(reporter_fake_stats(fake).last_error, "connection reset");
}

static void a_first_report_that_arrives_is_told_too(void **state)
{
	struct reporter_fake *fake = *state;

	sl_reporter_tick(fake->reporter);
	sl_reporter_done(fake->reporter, NULL);
	assert_int_equal(fake->ups, 1);
	assert_int_equal(fake->downs, 0);
}

static void before_setup_reports_are_empty_but_sent(void **state)
{
	struct reporter_fake *fake = *state;

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
	struct reporter_fake *fake = *state;

	fake->ended = 1;
	fake->send_result = -ENOMEM;
	sl_reporter_tick(fake->reporter);
	assert_int_equal(fake->downs, 1);
	assert_int_equal(reporter_fake_stats(fake).failures, 1);
	fake->send_result = 0;
	sl_reporter_tick(fake->reporter);
	assert_int_equal(fake->sent, 2);
	sl_reporter_done(fake->reporter, NULL);
	assert_int_equal(fake->slots, 1);
}

static void an_answer_nobody_waits_for_changes_nothing(void **state)
{
	struct reporter_fake *fake = *state;

	sl_reporter_done(fake->reporter, NULL);
	sl_reporter_done(fake->reporter, "late");
	assert_int_equal(fake->acknowledged, 0);
	assert_int_equal(fake->ups + fake->downs, 0);
	assert_false(reporter_fake_stats(fake).known);
	fake->ended = 1;
	sl_reporter_tick(fake->reporter);
	sl_reporter_done(fake->reporter, "deadline exceeded");
	sl_reporter_done(fake->reporter, NULL);
	assert_int_equal(fake->acknowledged, 0);
	assert_int_equal(reporter_fake_stats(fake).reports, 0);
}

static void a_reason_longer_than_its_room_is_cut(void **state)
{
	struct reporter_fake *fake = *state;
	char reason[2 * SL_ERROR_SIZE];
	struct sl_reporter_stats stats;

	memset(reason, 'r', sizeof(reason) - 1);
	reason[sizeof(reason) - 1] = '\0';
	sl_reporter_tick(fake->reporter);
	sl_reporter_done(fake->reporter, reason);
	stats = reporter_fake_stats(fake);
	assert_int_equal(strlen(stats.last_error), sizeof(stats.last_error) - 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, reporter_fake_setup, reporter_fake_teardown)

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
