// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/error.h"

static void an_error_returns_its_number_negative_whichever_sign_was_given(void **state)
{
	struct sl_error err;

	(void)state;
	assert_int_equal(sl_error(&err, EINVAL, "%s: %d", "port", 70000), -EINVAL);
	assert_string_equal(err.text, "port: 70000");
	assert_int_equal(sl_error(&err, -ENOSPC, "full"), -ENOSPC);
}

static void an_error_may_go_nowhere(void **state)
{
	(void)state;
	assert_int_equal(sl_error(NULL, EINVAL, "unheard"), -EINVAL);
	assert_int_equal(sl_error_prefix(NULL, -EINVAL, "unheard"), -EINVAL);
}

static void a_prefix_goes_before_the_text_and_leaves_the_number(void **state)
{
	struct sl_error err;

	(void)state;
	sl_error(&err, EINVAL, "ip_dst: bad");
	assert_int_equal(sl_error_prefix(&err, -EINVAL, "rule '%s'", "r1"), -EINVAL);
	assert_string_equal(err.text, "rule 'r1': ip_dst: bad");
}

static void a_text_is_cut_at_its_bound(void **state)
{
	char value[2 * SL_ERROR_SIZE];
	struct sl_error err;

	(void)state;
	memset(value, 'v', sizeof(value) - 1);
	value[sizeof(value) - 1] = '\0';
	sl_error(&err, EINVAL, "%s", value);
	assert_int_equal(strlen(err.text), SL_ERROR_SIZE - 1);
	sl_error_prefix(&err, -EINVAL, "field");
	assert_int_equal(strlen(err.text), SL_ERROR_SIZE - 1);
	assert_memory_equal(err.text, "field: vvv", 10);
}

static void a_prefix_of_any_length_stays_inside_the_bound(void **state)
{
	char prefix[2 * SL_ERROR_SIZE];

	(void)state;
	for (size_t length = SL_ERROR_SIZE - 8; length < SL_ERROR_SIZE + 8; length++) {
		struct sl_error err;

		memset(prefix, 'p', length);
		prefix[length] = '\0';
		sl_error(&err, EINVAL, "tail");
		sl_error_prefix(&err, -EINVAL, "%s", prefix);
		assert_true(strlen(err.text) < SL_ERROR_SIZE);
		assert_int_equal(err.text[0], 'p');
		if (length >= SL_ERROR_SIZE)
			assert_int_equal(strlen(err.text), SL_ERROR_SIZE - 1);
	}
}

static void a_value_with_line_breaks_stays_one_line(void **state)
{
	struct sl_error err;

	(void)state;
	sl_error(&err, EINVAL, "id: '%s'", "a\nlevel=error\r\tb\x7f");
	assert_string_equal(err.text, "id: 'a?level=error??b?'");
	sl_error_prefix(&err, -EINVAL, "rule\n");
	assert_string_equal(err.text, "rule?: id: 'a?level=error??b?'");
}

static void a_text_is_utf8_whatever_the_value_was(void **state)
{
	char value[2 * SL_ERROR_SIZE] = "";
	struct sl_error err;

	(void)state;
	sl_error(&err, EINVAL, "ip: '%s'", "\xff\xc0\xaf 10\xe2\x82\xac");
	assert_string_equal(err.text, "ip: '??? 10\xe2\x82\xac'");
	sl_error(&err, EINVAL, "'%.4s'", "abc\xc3\xa9");
	assert_string_equal(err.text, "'abc?'");
	/* the bound falls within a character */
	for (size_t i = 0; i < SL_ERROR_SIZE / 2; i++)
		memcpy(value + 2 * i, "\xc3\xa9", 2);
	sl_error(&err, EINVAL, "%s", value);
	assert_int_equal(strlen(err.text), SL_ERROR_SIZE - 1);
	assert_memory_equal(err.text + SL_ERROR_SIZE - 4, "\xc3\xa9?", 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_error_returns_its_number_negative_whichever_sign_was_given),
		cmocka_unit_test(an_error_may_go_nowhere),
		cmocka_unit_test(a_prefix_goes_before_the_text_and_leaves_the_number),
		cmocka_unit_test(a_text_is_cut_at_its_bound),
		cmocka_unit_test(a_prefix_of_any_length_stays_inside_the_bound),
		cmocka_unit_test(a_value_with_line_breaks_stays_one_line),
		cmocka_unit_test(a_text_is_utf8_whatever_the_value_was),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
