// SPDX-License-Identifier: Apache-2.0
/* The section `ids` of the configuration. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>

#include "config/ids.h"

static int read_section(const char *text, struct sl_config *config, struct sl_error *err)
{
	struct sl_yaml *yaml = NULL;
	int rc;

	*config = (struct sl_config){.ids = {.alerts_per_second = 1000, .eve_max_size = 1, .eve_keep = 8}};
	rc = sl_yaml_parse("FILE", text, strlen(text), &yaml, err);
	assert_int_equal(rc, 0);
	rc = sl_config_read_ids(sl_yaml_get(sl_yaml_root(yaml), "ids"), config, err);
	sl_yaml_free(yaml);
	return rc;
}

static void without_the_section_nothing_is_written(void **state)
{
	struct sl_config config;
	struct sl_error err = {""};

	(void)state;
	assert_int_equal(read_section("x: 1", &config, &err), 0);
	assert_string_equal(config.ids.eve_file, "");
	assert_string_equal(config.ids.syslog, "");
	assert_string_equal(config.ids.evidence_directory, "");
	assert_int_equal(config.ids.alerts_per_second, 1000);
}

static void every_key_is_read(void **state)
{
	struct sl_config config;
	struct sl_error err = {""};

	(void)state;
	assert_int_equal(
		read_section("ids: {alerts_per_second: 50, eve: {file: /a/b, max_size: 1MiB, keep: 0},\n"
			     " syslog: 'udp:[2001:db8::1]:514', syslog_format: cef, evidence: {directory: "
			     "/c, max_size: 2MiB}}",
			     &config, &err),
		0);
	assert_int_equal(config.ids.alerts_per_second, 50);
	assert_string_equal(config.ids.eve_file, "/a/b");
	assert_int_equal(config.ids.eve_max_size, 1 << 20);
	assert_int_equal(config.ids.eve_keep, 0);
	assert_string_equal(config.ids.syslog, "udp:[2001:db8::1]:514");
	assert_true(config.ids.syslog_cef);
	assert_string_equal(config.ids.evidence_directory, "/c");
	assert_int_equal(config.ids.evidence_max_size, 2 << 20);
}

static void what_is_wrong_is_named_with_its_value(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{"ids: {alert: 1}", "ids"},
		{"ids: {alerts_per_second: 1}", "ids.alerts_per_second"},
		{"ids: {alerts_per_second: 100001}", "ids.alerts_per_second"},
		{"ids: {eve: {keep: 1}}", "ids.eve"},
		{"ids: {eve: {file: eve.json}}", "ids.eve.file: bad value \"eve.json\""},
		{"ids: {eve: {file: /var/log/}}", "ids.eve.file: bad value \"/var/log/\""},
		{"ids: {eve: {file: /a, max_size: 1KiB}}", "ids.eve.max_size: bad value \"1KiB\""},
		{"ids: {eve: {file: /a, max_size: 64}}", "ids.eve.max_size: bad value \"64\""},
		{"ids: {eve: {file: /a, keep: 100}}", "ids.eve.keep"},
		{"ids: {syslog_format: cef}", "ids.syslog_format: there is no syslog"},
		{"ids: {syslog: 'unix:/dev/log', syslog_format: leef}", "ids.syslog_format: bad value"},
		{"ids: {syslog: /dev/log}", "ids.syslog: bad value \"/dev/log\""},
		{"ids: {syslog: 'udp:gw:514'}", "ids.syslog: bad value \"udp:gw:514\""},
		{"ids: {syslog: 'udp:192.0.2.1:65536'}", "ids.syslog"},
		{"ids: {evidence: {max_size: 1MiB}}", "ids.evidence"},
		{"ids: {evidence: {directory: x}}", "ids.evidence.directory: bad value \"x\""},
	};
	struct sl_config config;
	struct sl_error err;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		err.text[0] = '\0';
		assert_int_equal(read_section(cases[i].text, &config, &err), -EINVAL);
		if (!strstr(err.text, cases[i].says))
			fail_msg("%s: %s", cases[i].text, err.text);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(without_the_section_nothing_is_written),
		cmocka_unit_test(every_key_is_read),
		cmocka_unit_test(what_is_wrong_is_named_with_its_value),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
