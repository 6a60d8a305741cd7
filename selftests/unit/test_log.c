// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/log.h"

#define CAPTURE_SIZE 8192

static char captured[CAPTURE_SIZE];
static int saved_stderr = -1;
static int pipe_read = -1;

static void capture_begin(void)
{
	int ends[2];

	assert_int_equal(pipe(ends), 0);
	saved_stderr = dup(STDERR_FILENO);
	assert_true(saved_stderr >= 0);
	assert_int_equal(dup2(ends[1], STDERR_FILENO), STDERR_FILENO);
	close(ends[1]);
	pipe_read = ends[0];
}

/* What was logged since; lines are shorter than what a pipe holds. */
static const char *capture_end(void)
{
	size_t used = 0;
	ssize_t got;

	dup2(saved_stderr, STDERR_FILENO);
	close(saved_stderr);
	while ((got = read(pipe_read, captured + used, sizeof(captured) - 1 - used)) > 0)
		used += (size_t)got;
	close(pipe_read);
	captured[used] = '\0';
	return captured;
}

static int quiet(void **state)
{
	(void)state;
	sl_log_set_level(SL_LOG_INFO);
	return 0;
}

static void an_event_is_one_line_of_keys_and_values(void **state)
{
	(void)state;
	capture_begin();
	sl_log(SL_LOG_INFO, "session-activated", "imsi", "%s", "001010000000001", "rules", "%u", 4u, NULL);
	assert_string_equal(capture_end(),
			    "<6>level=info event=session-activated imsi=001010000000001 rules=4\n");
}

static void every_level_has_its_journal_priority(void **state)
{
	(void)state;
	sl_log_set_level(SL_LOG_DEBUG);
	capture_begin();
	sl_log(SL_LOG_ERROR, "e", NULL);
	sl_log(SL_LOG_WARNING, "e", NULL);
	sl_log(SL_LOG_INFO, "e", NULL);
	sl_log(SL_LOG_DEBUG, "e", NULL);
	assert_string_equal(capture_end(), "<3>level=error event=e\n<4>level=warning event=e\n"
					   "<6>level=info event=e\n<7>level=debug event=e\n");
}

static void below_the_level_nothing_is_written(void **state)
{
	(void)state;
	sl_log_set_level(SL_LOG_WARNING);
	capture_begin();
	sl_log(SL_LOG_INFO, "quiet", NULL);
	sl_log(SL_LOG_WARNING, "heard", NULL);
	assert_string_equal(capture_end(), "<4>level=warning event=heard\n");
}

static void every_number_format_prints_its_number(void **state)
{
	(void)state;
	capture_begin();
	sl_log(SL_LOG_INFO, "n", "d", "%d", -1, "u", "%u", 4294967295u, "x", "%x", 0x7ffeu, "ld", "%ld", -2L,
	       "lu", "%lu", 3UL, "lld", "%lld", -4LL, "llu", "%llu", 18446744073709551615ULL, "zu", "%zu",
	       (size_t)5, NULL);
	assert_string_equal(capture_end(), "<6>level=info event=n d=-1 u=4294967295 x=7ffe ld=-2 lu=3 lld=-4 "
					   "llu=18446744073709551615 zu=5\n");
}

static void a_format_that_is_not_ours_ends_the_line(void **state)
{
	(void)state;
	capture_begin();
	sl_log(SL_LOG_INFO, "n", "rate", "%f", 1.5, "after", "%d", 1, NULL);
	assert_string_equal(capture_end(), "<6>level=info event=n rate=?\n");
}

static void a_value_can_not_forge_a_line_or_a_key(void **state)
{
	(void)state;
	capture_begin();
	sl_log(SL_LOG_INFO, "rule-failed", "rule", "%s", "a\nevent=forged \"q\" \\ \xc3\xa9", "empty", "%s",
	       "", "none", "%s", (const char *)NULL, NULL);
	assert_string_equal(
		capture_end(),
		"<6>level=info event=rule-failed rule=\"a\\x0aevent=forged \\\"q\\\" \\\\ \\xc3\\xa9\" "
		"empty=\"\" none=(none)\n");
}

static void a_line_is_cut_at_its_bound_and_still_ends(void **state)
{
	char value[1000];
	const char *line;

	(void)state;
	memset(value, '\n', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	capture_begin();
	sl_log(SL_LOG_INFO, "long", "a", "%s", value, "b", "%s", value, NULL);
	sl_log(SL_LOG_INFO, "next", NULL);
	line = capture_end();
	assert_ptr_equal(strchr(line, '\n'), line + 2047);
	assert_string_equal(line + 2048, "<6>level=info event=next\n");
}

static void the_level_that_was_set_is_the_level(void **state)
{
	(void)state;
	sl_log_set_level(SL_LOG_DEBUG);
	assert_int_equal(sl_log_level(), SL_LOG_DEBUG);
	sl_log_set_level(SL_LOG_ERROR);
	assert_int_equal(sl_log_level(), SL_LOG_ERROR);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(an_event_is_one_line_of_keys_and_values, quiet),
		cmocka_unit_test_setup(every_level_has_its_journal_priority, quiet),
		cmocka_unit_test_setup(below_the_level_nothing_is_written, quiet),
		cmocka_unit_test_setup(every_number_format_prints_its_number, quiet),
		cmocka_unit_test_setup(a_format_that_is_not_ours_ends_the_line, quiet),
		cmocka_unit_test_setup(a_value_can_not_forge_a_line_or_a_key, quiet),
		cmocka_unit_test_setup(a_line_is_cut_at_its_bound_and_still_ends, quiet),
		cmocka_unit_test_setup(the_level_that_was_set_is_the_level, quiet),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
