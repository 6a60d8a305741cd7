// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "policy/address.h"

static void every_strict_form_of_an_address_is_read(void **state)
{
	static const struct {
		const char *text, *canonical;
		uint32_t family;
	} good[] = {
		{"192.0.2.1", "192.0.2.1", 4},
		{"0.0.0.0", "0.0.0.0", 4},
		{"255.255.255.255", "255.255.255.255", 4},
		{"2001:db8::1", "2001:db8::1", 6},
		{"2001:0DB8:0:0:0:0:0:1", "2001:db8::1", 6},
		{"::", "::", 6},
		{"::ffff:192.0.2.1", "::ffff:192.0.2.1", 6},
	};

	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(good); i++) {
		struct sl_address address;
		char text[SL_ADDRESS_TEXT];

		assert_int_equal(sl_address_parse("ip_addr", good[i].text, &address, NULL), 0);
		assert_int_equal(address.family, good[i].family);
		sl_address_format(&address, text);
		assert_string_equal(text, good[i].canonical);
	}
}

static void anything_else_is_refused_naming_field_and_value(void **state)
{
	static const char *const bad[] = {
		"",	  "192.0.2",	   "192.0.2.256",  "192.0.2.01",   "192.0.2.1 ",       " 192.0.2.1",
		"0x7f.1", "3232235777",	   "192.0.2.1/32", "example.org",  "2001:db8::1%eth0", "2001:db8",
		"::1::",  "[2001:db8::1]", "12345::",	   "192.0.2.1:80",
	};

	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(bad); i++) {
		struct sl_address address = {.family = 77};
		struct sl_error err;

		assert_int_equal(sl_address_parse("ip_addr", bad[i], &address, &err), -EINVAL);
		assert_int_equal(address.family, 77);
		assert_non_null(strstr(err.text, "ip_addr"));
		assert_non_null(strstr(err.text, bad[i]));
	}
}

static void a_prefix_is_read_with_its_length_and_a_bare_address_is_a_host(void **state)
{
	static const struct {
		const char *text, *network;
		uint32_t family, length;
	} good[] = {
		{"45.10.0.0/24", "45.10.0.0", 4, 24},
		{"0.0.0.0/0", "0.0.0.0", 4, 0},
		{"128.0.0.0/1", "128.0.0.0", 4, 1},
		{"192.0.2.254/31", "192.0.2.254", 4, 31},
		{"8.8.8.8", "8.8.8.8", 4, 32},
		{"8.8.8.8/32", "8.8.8.8", 4, 32},
		{"::/0", "::", 6, 0},
		{"2001:db8::/33", "2001:db8::", 6, 33},
		{"2001:db8:8000::/33", "2001:db8:8000::", 6, 33},
		{"f333:432::dbca", "f333:432::dbca", 6, 128},
		{"2001:db8::fe/127", "2001:db8::fe", 6, 127},
	};

	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(good); i++) {
		struct sl_address address;
		char text[SL_ADDRESS_TEXT];
		uint8_t length;

		assert_int_equal(sl_prefix_parse("ip_dst", good[i].text, &address, &length, NULL), 0);
		assert_int_equal(address.family, good[i].family);
		assert_int_equal(length, good[i].length);
		sl_address_format(&address, text);
		assert_string_equal(text, good[i].network);
	}
}

static void a_prefix_out_of_form_is_refused_naming_field_and_value(void **state)
{
	static const char *const bad[] = {
		"9999.0.0.0/24",
		"45.10.0.0/33",
		"45.10.0.0/",
		"45.10.0.0/-1",
		"45.10.0.0/+8",
		"45.10.0.0/08",
		"45.10.0.0/ 8",
		"45.10.0.0/8x",
		"/24",
		"45.10.0.0/24/24",
		"::/129",
		"::/999999999999",
		"45.10.0.0/255.255.255.0",
		"",
		"0000:0000:0000:0000:0000:0000:0000:0000:0000:0000/0",
	};

	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(bad); i++) {
		struct sl_address address = {.family = 77};
		struct sl_error err;
		uint8_t length = 99;

		assert_int_equal(sl_prefix_parse("ip_dst", bad[i], &address, &length, &err), -EINVAL);
		assert_int_equal(address.family, 77);
		assert_int_equal(length, 99);
		assert_non_null(strstr(err.text, "ip_dst"));
		assert_non_null(strstr(err.text, bad[i]));
	}
}

static void host_bits_are_refused_and_the_error_names_the_network(void **state)
{
	static const struct {
		const char *text, *network;
	} bad[] = {
		{"45.10.0.1/24", "45.10.0.0/24"},     {"45.10.255.0/20", "45.10.240.0/20"},
		{"192.0.2.255/31", "192.0.2.254/31"}, {"1.0.0.0/0", "0.0.0.0/0"},
		{"2001:db8::1/64", "2001:db8::/64"},  {"2001:db8:c000::/33", "2001:db8:8000::/33"},
	};

	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(bad); i++) {
		struct sl_address address;
		struct sl_error err;
		uint8_t length;

		assert_int_equal(sl_prefix_parse("ip_src", bad[i].text, &address, &length, &err), -EINVAL);
		assert_non_null(strstr(err.text, bad[i].text));
		assert_non_null(strstr(err.text, bad[i].network));
	}
}

static void no_address_formats_as_an_empty_text(void **state)
{
	struct sl_address none = {0};
	char text[SL_ADDRESS_TEXT] = "x";

	(void)state;
	sl_address_format(&none, text);
	assert_string_equal(text, "");
}

static bool same(const char *a, const char *b)
{
	struct sl_address left, right;

	assert_int_equal(sl_address_parse("a", a, &left, NULL), 0);
	assert_int_equal(sl_address_parse("b", b, &right, NULL), 0);
	return sl_address_same_endpoint(&left, &right);
}

static void an_ipv6_endpoint_is_its_64_and_an_ipv4_endpoint_its_address(void **state)
{
	struct sl_address none = {0};

	(void)state;
	assert_true(same("2001:db8::1", "2001:db8::ffff:1"));
	assert_true(same("2001:db8::", "2001:db8:0:0:ffff:ffff:ffff:ffff"));
	assert_false(same("2001:db8::1", "2001:db8:0:1::1"));
	assert_true(same("192.0.2.1", "192.0.2.1"));
	assert_false(same("192.0.2.1", "192.0.2.2"));
	assert_false(same("0.0.0.0", "::"));
	assert_false(sl_address_same_endpoint(&none, &none));
}

static void an_imsi_keeps_its_digits_with_or_without_its_prefix(void **state)
{
	static const struct {
		const char *text, *digits;
	} good[] = {
		{"IMSI001010000000013", "001010000000013"},
		{"001010000000013", "001010000000013"},
		{"IMSI000000000000001", "000000000000001"},
		{"123456", "123456"},
	};

	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(good); i++) {
		char digits[16];

		assert_int_equal(sl_imsi_parse("sid.id", good[i].text, digits, NULL), 0);
		assert_string_equal(digits, good[i].digits);
	}
}

static void what_is_no_imsi_is_refused_naming_field_and_value(void **state)
{
	static const char *const bad[] = {
		"",
		"IMSI",
		"12345",
		"IMSI12345",
		"1234567890123456",
		"imsi001010000000013",
		"IMSIIMSI001010000",
		"IMSI0010100000x",
		"00101000000001 ",
		"-01010000000013",
	};

	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(bad); i++) {
		char digits[16] = "untouched";
		struct sl_error err;

		assert_int_equal(sl_imsi_parse("sid.id", bad[i], digits, &err), -EINVAL);
		assert_string_equal(digits, "untouched");
		assert_non_null(strstr(err.text, "sid.id"));
		assert_non_null(strstr(err.text, bad[i]));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_strict_form_of_an_address_is_read),
		cmocka_unit_test(anything_else_is_refused_naming_field_and_value),
		cmocka_unit_test(a_prefix_is_read_with_its_length_and_a_bare_address_is_a_host),
		cmocka_unit_test(a_prefix_out_of_form_is_refused_naming_field_and_value),
		cmocka_unit_test(host_bits_are_refused_and_the_error_names_the_network),
		cmocka_unit_test(no_address_formats_as_an_empty_text),
		cmocka_unit_test(an_ipv6_endpoint_is_its_64_and_an_ipv4_endpoint_its_address),
		cmocka_unit_test(an_imsi_keeps_its_digits_with_or_without_its_prefix),
		cmocka_unit_test(what_is_no_imsi_is_refused_naming_field_and_value),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
