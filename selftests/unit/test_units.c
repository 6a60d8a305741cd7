// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "base/cleanup.h"
#include "base/units.h"

static void a_number_is_decimal_digits_and_nothing_else(void **state)
{
	static const char *const refused[] = {"",    " 1",  "1 ",    "+1",  "-1",  "010", "00",
					      "0x1", "1_0", "80abc", "1.0", "1e3", "\t1", "1\n"};
	uint64_t value = 77;
	size_t i;

	(void)state;
	assert_int_equal(sl_parse_uint("0", &value), 0);
	assert_int_equal(value, 0);
	assert_int_equal(sl_parse_uint("1048576", &value), 0);
	assert_int_equal(value, 1048576);
	value = 77;
	for (i = 0; i < SL_ARRAY_SIZE(refused); i++) {
		assert_int_equal(sl_parse_uint(refused[i], &value), -EINVAL);
		assert_int_equal(value, 77);
	}
}

static void a_number_that_does_not_fit_is_out_of_range_and_does_not_wrap(void **state)
{
	uint64_t value = 77;

	(void)state;
	assert_int_equal(sl_parse_uint("18446744073709551615", &value), 0);
	assert_true(value == UINT64_MAX);
	value = 77;
	assert_int_equal(sl_parse_uint("18446744073709551616", &value), -ERANGE);
	assert_int_equal(sl_parse_uint("99999999999999999999999", &value), -ERANGE);
	assert_int_equal(value, 77);
}

static void a_duration_needs_its_unit(void **state)
{
	static const char *const refused[] = {"2",   "2 s", "2S",   "2sec", "1.5s", "-2s",
					      "02s", "s",   "2ms ", "2mss", "",	    "2d"};
	static const struct {
		const char *text;
		uint64_t ms;
	} accepted[] = {{"250ms", 250}, {"2s", 2000}, {"1m", 60000}, {"12h", 43200000}, {"0s", 0}};
	uint64_t ms = 77;
	size_t i;

	(void)state;
	for (i = 0; i < SL_ARRAY_SIZE(accepted); i++) {
		assert_int_equal(sl_parse_duration(accepted[i].text, &ms), 0);
		assert_int_equal(ms, accepted[i].ms);
	}
	ms = 77;
	for (i = 0; i < SL_ARRAY_SIZE(refused); i++) {
		assert_int_equal(sl_parse_duration(refused[i], &ms), -EINVAL);
		assert_int_equal(ms, 77);
	}
	assert_int_equal(sl_parse_duration("18446744073709551615s", &ms), -ERANGE);
}

static void a_size_counts_in_powers_of_two_and_needs_its_unit(void **state)
{
	static const char *const refused[] = {"4", "4MB",   "4 MiB",  "4mib", "MiB",
					      "",  "-1MiB", "1.5MiB", "4MiBs"};
	uint64_t bytes = 77;

	(void)state;
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		assert_int_equal(sl_parse_size(refused[i], &bytes), -EINVAL);
	assert_int_equal(sl_parse_size("18446744073709551615KiB", &bytes), -ERANGE);
	assert_int_equal(bytes, 77);
	assert_int_equal(sl_parse_size("4MiB", &bytes), 0);
	assert_int_equal(bytes, 4194304);
	assert_int_equal(sl_parse_size("512KiB", &bytes), 0);
	assert_int_equal(bytes, 524288);
}

static void a_rate_counts_in_thousands_and_may_have_a_fraction(void **state)
{
	static const struct {
		const char *text;
		uint64_t rate;
	} accepted[] = {
		{"64000", 64000},
		{"64kbit", 64000},
		{"10Mbit", 10000000},
		{"1.5Gbit", 1500000000},
		{"0.25kbit", 250},
		{"2.500Mbit", 2500000},
		{"1Tbit", 1000000000000},
		{"1bit", 1},
		{"10mbit", 10000000},
		{"0", 0},
		{"1.0bit", 1},
		{"0.000001Mbit", 1},
		{"18446744.073709551615Tbit", UINT64_MAX},
	};
	uint64_t rate;
	size_t i;

	(void)state;
	for (i = 0; i < SL_ARRAY_SIZE(accepted); i++) {
		assert_int_equal(sl_parse_rate(accepted[i].text, &rate), 0);
		assert_true(rate == accepted[i].rate);
	}
}

static void a_rate_that_is_no_whole_number_of_bits_or_no_rate_is_refused(void **state)
{
	static const char *const refused[] = {
		"",	  "Mbit",   "10 Mbit", "10Mb",	 "10MBit/s",  "10Mbits",
		"1.",	  ".5Mbit", "1..5M",   "1.5",	 "0.5bit",    "1.0005kbit",
		"01Mbit", "-1Mbit", "1,5Mbit", "1e3bit", "1.5.5kbit", "1.0000000000001Tbit"};
	uint64_t rate = 77;
	size_t i;

	(void)state;
	for (i = 0; i < SL_ARRAY_SIZE(refused); i++)
		assert_int_equal(sl_parse_rate(refused[i], &rate), -EINVAL);
	assert_int_equal(sl_parse_rate("18446744074Gbit", &rate), -ERANGE);
	assert_int_equal(sl_parse_rate("18446744073.9Gbit", &rate), -ERANGE);
	assert_int_equal(rate, 77);
}

static void a_formatted_rate_reads_back_as_the_same_number(void **state)
{
	static const struct {
		uint64_t rate;
		const char *text;
	} cases[] = {
		{0, "0bit"},
		{999, "999bit"},
		{1000, "1kbit"},
		{1500000000, "1.5Gbit"},
		{1000001, "1000.001kbit"},
		{2050000, "2.05Mbit"},
		{10000000000, "10Gbit"},
		{1234567890, "1234567.89kbit"},
		{64000, "64kbit"},
		{UINT64_MAX, "18446744073709551.615kbit"},
	};
	char text[SL_UNITS_SIZE];
	uint64_t rate, step;
	size_t i;

	(void)state;
	for (i = 0; i < SL_ARRAY_SIZE(cases); i++) {
		assert_string_equal(sl_format_rate(cases[i].rate, text), cases[i].text);
		assert_int_equal(sl_parse_rate(text, &rate), 0);
		assert_true(rate == cases[i].rate);
	}
	for (step = 1; step < UINT64_MAX / 7; step = step * 7 + 3) {
		assert_int_equal(sl_parse_rate(sl_format_rate(step, text), &rate), 0);
		assert_true(rate == step);
	}
}

static void durations_and_bytes_are_written_for_people(void **state)
{
	char text[SL_UNITS_SIZE];

	(void)state;
	assert_string_equal(sl_format_duration(0, text), "0ms");
	assert_string_equal(sl_format_duration(999, text), "999ms");
	assert_string_equal(sl_format_duration(42999, text), "42s");
	assert_string_equal(sl_format_duration(307000, text), "5m07s");
	assert_string_equal(sl_format_duration(11100000, text), "3h05m");
	assert_string_equal(sl_format_duration(1051200000, text), "12d04h");
	assert_string_equal(sl_format_bytes(999, text), "999B");
	assert_string_equal(sl_format_bytes(1000, text), "1.00KB");
	assert_string_equal(sl_format_bytes(9996, text), "10.0KB");
	assert_string_equal(sl_format_bytes(99960, text), "100KB");
	assert_string_equal(sl_format_bytes(999499, text), "999KB");
	assert_string_equal(sl_format_bytes(999500, text), "1.00MB");
	assert_string_equal(sl_format_bytes(UINT64_MAX, text), "18.4EB");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_number_is_decimal_digits_and_nothing_else),
		cmocka_unit_test(a_number_that_does_not_fit_is_out_of_range_and_does_not_wrap),
		cmocka_unit_test(a_duration_needs_its_unit),
		cmocka_unit_test(a_size_counts_in_powers_of_two_and_needs_its_unit),
		cmocka_unit_test(a_rate_counts_in_thousands_and_may_have_a_fraction),
		cmocka_unit_test(a_rate_that_is_no_whole_number_of_bits_or_no_rate_is_refused),
		cmocka_unit_test(a_formatted_rate_reads_back_as_the_same_number),
		cmocka_unit_test(durations_and_bytes_are_written_for_people),
	};

	return cmocka_run_group_tests_name("units", tests, NULL, NULL);
}
