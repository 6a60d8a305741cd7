// SPDX-License-Identifier: Apache-2.0
/* The section `redirect` of the configuration. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>

#include "config/redirect.h"

static int read_section(const char *text, struct sl_config *config, struct sl_error *err)
{
	struct sl_yaml *yaml = NULL;
	int rc;

	*config = (struct sl_config){
		.redirect = {.portal_port = 8088, .reject = true, .table = 20814, .rule_priority = 814}};
	rc = sl_yaml_parse("FILE", text, strlen(text), &yaml, err);
	assert_int_equal(rc, 0);
	rc = sl_config_read_redirect(sl_yaml_get(sl_yaml_root(yaml), "redirect"), config, err);
	sl_yaml_free(yaml);
	return rc;
}

static void what_is_not_given_is_the_default(void **state)
{
	static const char *const texts[] = {"x: 1", "redirect: {}", "redirect: {nameservers: []}"};
	struct sl_config config;
	struct sl_error err = {{0}};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_int_equal(read_section(texts[i], &config, &err), 0);
		assert_int_equal(config.redirect.portal_port, 8088);
		assert_true(config.redirect.reject);
		assert_int_equal(config.redirect.table, 20814);
		assert_int_equal(config.redirect.rule_priority, 814);
		assert_int_equal(config.redirect.nameserver_count, 0);
	}
}

static void every_key_is_read(void **state)
{
	struct sl_config config;
	struct sl_error err = {{0}};

	(void)state;
	assert_int_equal(read_section("redirect: {portal_port: 0, others: drop, table: 4294967294,\n"
				      "  rule_priority: 32763, nameservers: [192.0.2.53, '192.0.2.53:5353',\n"
				      "  '2001:db8::53', '[2001:db8::53]:5353']}",
				      &config, &err),
			 0);
	assert_int_equal(config.redirect.portal_port, 0);
	assert_false(config.redirect.reject);
	assert_int_equal(config.redirect.table, 4294967294u);
	assert_int_equal(config.redirect.rule_priority, 32763);
	assert_int_equal(config.redirect.nameserver_count, 4);
	assert_string_equal(config.redirect.nameserver[0], "192.0.2.53");
	assert_string_equal(config.redirect.nameserver[3], "[2001:db8::53]:5353");
}

static void what_is_wrong_is_named_with_its_value(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{"redirect: {port: 1}", "redirect"},
		{"redirect: {portal_port: 80}", "redirect.portal_port: bad value 80; allowed: 0 or 1024"},
		{"redirect: {portal_port: 65536}", "redirect.portal_port"},
		{"redirect: {others: ignore}", "redirect.others: bad value \"ignore\""},
		{"redirect: {table: 0}", "redirect.table"},
		{"redirect: {table: 254}", "redirect.table: bad value 254, a table of the kernel's"},
		{"redirect: {rule_priority: 0}", "redirect.rule_priority"},
		{"redirect: {rule_priority: 32764}", "redirect.rule_priority"},
		{"redirect: {nameservers: [dns.example]}",
		 "redirect.nameservers[0]: bad value \"dns.example\""},
		{"redirect: {nameservers: ['192.0.2.53:0']}", "bad value \"192.0.2.53:0\""},
		{"redirect: {nameservers: ['192.0.2.53:65536']}", "bad value"},
		{"redirect: {nameservers: ['192.0.2.53:']}", "bad value"},
		{"redirect: {nameservers: ['[192.0.2.53]:53']}", "bad value"},
		{"redirect: {nameservers: ['[2001:db8::53']}", "bad value"},
		{"redirect: {nameservers: ['[2001:db8::53]x']}", "bad value"},
		{"redirect: {nameservers: ['192.0.2.053']}", "bad value"},
		{"redirect: {nameservers: [192.0.2.1, 192.0.2.2, 192.0.2.3, 192.0.2.4, 192.0.2.5]}",
		 "redirect.nameservers"},
	};
	struct sl_config config;
	struct sl_error err = {{0}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(read_section(cases[i].text, &config, &err), -EINVAL);
		if (!strstr(err.text, cases[i].says) || !strstr(err.text, "FILE:1"))
			fail_msg("%s: \"%s\" does not say \"%s\"", cases[i].text, err.text, cases[i].says);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_given_is_the_default),
		cmocka_unit_test(every_key_is_read),
		cmocka_unit_test(what_is_wrong_is_named_with_its_value),
	};

	return cmocka_run_group_tests_name("config_redirect", tests, NULL, NULL);
}
