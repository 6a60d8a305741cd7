// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "config/config.h"
#include "text_file.h"

#define INTERFACES "access: [{interface: a0}]\ncore: [{interface: c0}]\n"

static int load(const char *text, struct sl_config *config, struct sl_error *err)
{
	struct text_file file;
	int ret;

	text_file_begin(&file, text);
	ret = sl_config_load(file.path, config, err);
	text_file_end(&file, ret < 0 ? err : NULL);
	return ret;
}

static void the_example_that_is_shipped_is_accepted_and_says_the_defaults(void **state)
{
	struct sl_config example, minimal;
	struct sl_error err = {""};

	(void)state;
	if (sl_config_load("deploy/sluice.yaml", &example, &err) < 0)
		fail_msg("%s", err.text);
	if (load(INTERFACES, &minimal, &err) < 0)
		fail_msg("%s", err.text);
	assert_string_equal(example.api.tcp, minimal.api.tcp);
	assert_string_equal(example.api.socket, minimal.api.socket);
	assert_true(example.session_manager.configured);
	assert_false(minimal.session_manager.configured);
	assert_int_equal(example.session_manager.report_interval_ms,
			 minimal.session_manager.report_interval_ms);
	assert_string_equal(example.http.listen, "127.0.0.1:9464");
	assert_string_equal(minimal.http.listen, "");
	assert_string_equal(example.policy_directory, "/etc/sluice/policy");
	assert_string_equal(minimal.policy_directory, "");
	assert_int_equal(example.desired_check_interval_ms, minimal.desired_check_interval_ms);
	assert_string_equal(example.pin_path, minimal.pin_path);
	assert_int_equal(example.startup, minimal.startup);
	assert_int_equal(example.unknown_subscriber, minimal.unknown_subscriber);
	assert_int_equal(example.mode, minimal.mode);
	assert_int_equal(example.log_level, minimal.log_level);
	assert_memory_equal(&example.qos, &minimal.qos, sizeof(example.qos));
	assert_memory_equal(&example.limits, &minimal.limits, sizeof(example.limits));
}

static void every_key_reaches_its_field(void **state)
{
	struct sl_config config;
	struct sl_error err = {""};

	(void)state;
	if (load("access: [{interface: a0}, {interface: a1.100}]\n"
		 "core:\n  - interface: c0\n"
		 "api: {tcp: '[::1]:50064', socket: /tmp/s.sock}\n"
		 "session_manager: {address: 10.0.0.1:50065, report_interval: 250ms, max_report: 16MiB}\n"
		 "report: {deny_as_default_drop: true}\naudit: {interval: 1m}\n"
		 "http: {listen: '[::1]:9465'}\n"
		 "policy: {directory: /srv/policy}\ndesired: {check_interval: 20s}\n"
		 "pin_path: /sys/fs/bpf/a/b\n"
		 "startup: serve\nunknown_subscriber: pass\ndatapath: {mode: xdp}\n"
		 "qos: {backend: police, pool: 64, trees: 7, leaf: fifo, link_rate: 2.5Gbit, default_rate: "
		 "100Mbit}\n"
		 "limits: {sessions: 16, usage: 64, rules: 17, flows: 18, matches: 65, bindings: 66, meters: "
		 "67}\n"
		 "log: {level: debug}\n",
		 &config, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(config.access.count, 2);
	assert_string_equal(config.access.list[0].name, "a0");
	assert_string_equal(config.access.list[1].name, "a1.100");
	assert_int_equal(config.core.count, 1);
	assert_string_equal(config.core.list[0].name, "c0");
	assert_int_equal(config.core.list[0].line, 3);
	assert_string_equal(config.api.tcp, "[::1]:50064");
	assert_string_equal(config.api.socket, "/tmp/s.sock");
	assert_true(config.session_manager.configured);
	assert_string_equal(config.session_manager.address, "10.0.0.1:50065");
	assert_int_equal(config.session_manager.report_interval_ms, 250);
	assert_int_equal(config.session_manager.max_report, 16 << 20);
	assert_true(config.deny_as_default_drop);
	assert_int_equal(config.audit_interval_ms, 60000);
	assert_string_equal(config.http.listen, "[::1]:9465");
	assert_string_equal(config.policy_directory, "/srv/policy");
	assert_int_equal(config.desired_check_interval_ms, 20000);
	assert_string_equal(config.pin_path, "/sys/fs/bpf/a/b");
	assert_int_equal(config.startup, SL_STARTUP_SERVE);
	assert_int_equal(config.unknown_subscriber, SL_UNKNOWN_PASS);
	assert_int_equal(config.mode, SL_CONFIG_MODE_XDP);
	assert_int_equal(config.log_level, SL_LOG_DEBUG);
	assert_int_equal(config.qos.backend, SL_CONFIG_BACKEND_POLICE);
	assert_int_equal(config.qos.pool, 64);
	assert_int_equal(config.qos.trees, 7);
	assert_int_equal(config.qos.leaf, SL_CONFIG_LEAF_FIFO);
	assert_true(config.qos.link_rate == 2500000000);
	assert_int_equal(config.qos.default_rate, 100000000);
	assert_int_equal(config.limits.sessions, 16);
	assert_int_equal(config.limits.usage, 64);
	assert_int_equal(config.limits.rules, 17);
	assert_int_equal(config.limits.flows, 18);
	assert_int_equal(config.limits.matches, 65);
	assert_int_equal(config.limits.bindings, 66);
	assert_int_equal(config.limits.meters, 67);
}

static void a_backend_that_polices_has_no_queues_unless_the_file_says_so(void **state)
{
	struct sl_config config;

	(void)state;
	assert_int_equal(load(INTERFACES "qos: {backend: police}\n", &config, NULL), 0);
	assert_int_equal(config.qos.pool, 0);
	assert_int_equal(config.qos.trees, 0);
	assert_int_equal(load(INTERFACES "qos: {backend: police, pool: 32504}\n", &config, NULL), 0);
	assert_int_equal(config.qos.pool, 32504);
	assert_int_equal(config.qos.trees, 0);
	assert_int_equal(load(INTERFACES "qos: {backend: shape}\n", &config, NULL), 0);
	assert_int_equal(config.qos.pool, 2048);
	assert_int_equal(config.qos.trees, 256);
	/* nothing would keep it */
	assert_int_equal(load(INTERFACES "qos: {backend: police, link_rate: 1Gbit, default_rate: 1Gbit}\n",
			      &config, NULL),
			 0);
}

static void the_default_class_gets_the_link_unless_the_file_says_less(void **state)
{
	struct sl_config config;

	(void)state;
	assert_int_equal(load(INTERFACES "qos: {link_rate: 1Gbit}\n", &config, NULL), 0);
	assert_int_equal(config.qos.default_rate, 1000000000);
	assert_true(config.qos.has_link_rate);
	assert_int_equal(config.qos.reserve[0], 1000000000);
	assert_int_equal(config.qos.reserve[1], 1000000000);
	assert_int_equal(load(INTERFACES "qos: {reserve: {downlink: 10Mbit}}\n", &config, NULL), 0);
	assert_false(config.qos.has_link_rate);
	assert_true(config.qos.reserve[0] == config.qos.link_rate);
	assert_int_equal(config.qos.reserve[1], 10000000);
}

static void a_wrong_file_is_refused_with_line_key_and_what_is_allowed(void **state)
{
	static const struct {
		const char *text;
		const char *error;
	} cases[] = {
		{INTERFACES "colour: red\n",
		 "F:3: colour: unknown key; allowed: access, core, api, session_manager, http, pin_path, "
		 "startup, "
		 "datapath, unknown_subscriber, redirect, policy, desired, ids, qos, apns, limits, report, "
		 "audit, "
		 "log"},
		{INTERFACES "policy: {directory: policy}\n",
		 "F:3: policy.directory: bad value \"policy\"; allowed: an absolute path of a directory"},
		{INTERFACES "policy: {directory: /etc/sluice/}\n",
		 "F:3: policy.directory: bad value \"/etc/sluice/\"; allowed: an absolute path of a "
		 "directory"},
		{INTERFACES "policy: {file: /x}\n", "F:3: policy.file: unknown key; allowed: directory"},
		{INTERFACES "desired: {check_interval: 500ms}\n",
		 "F:3: desired.check_interval: bad value \"500ms\"; allowed: 1s to 1h00m"},
		{"core: [{interface: c0}]\n", "F:1: the key access is missing"},
		{"access: []\ncore: [{interface: c0}]\n", "F:1: access: no interface; allowed: 1 to 16"},
		{"access: [a0]\ncore: [{interface: c0}]\n",
		 "F:1: access[0]: a single value where a mapping must be; allowed: interface"},
		{"access: [{interface: a0}]\ncore:\n  - interface: a0\n",
		 "F:3: core[0].interface: interface a0 is there twice; allowed: one role"},
		{"access: [{interface: a/0}]\ncore: [{interface: c0}]\n",
		 "F:1: access[0].interface: bad value \"a/0\"; allowed: the name of a network interface"},
		{"access: [{interface: sixteen-bytes-xx}]\ncore: [{interface: c0}]\n",
		 "F:1: access[0].interface: 16 bytes long; allowed: 1 to 15 bytes of text"},
		{INTERFACES "api: {tcp: 'localhost:50063'}\n",
		 "F:3: api.tcp: bad value \"localhost:50063\"; allowed: ADDRESS:PORT or [ADDRESS]:PORT, "
		 "numeric"},
		{INTERFACES "api: {tcp: '127.0.0.1:65536'}\n",
		 "F:3: api.tcp: bad value \"127.0.0.1:65536\"; allowed: ADDRESS:PORT or [ADDRESS]:PORT, "
		 "numeric"},
		{INTERFACES "api: {tcp: '::1:50063'}\n",
		 "F:3: api.tcp: bad value \"::1:50063\"; allowed: ADDRESS:PORT or [ADDRESS]:PORT, numeric"},
		{INTERFACES "api: {tcp: '[]:50063'}\n",
		 "F:3: api.tcp: bad value \"[]:50063\"; allowed: ADDRESS:PORT or [ADDRESS]:PORT, numeric"},
		{INTERFACES "api: {tcp: ':50063'}\n",
		 "F:3: api.tcp: bad value \":50063\"; allowed: ADDRESS:PORT or [ADDRESS]:PORT, numeric"},
		{INTERFACES "api:\n  socket: run/api.sock\n",
		 "F:4: api.socket: bad value \"run/api.sock\"; allowed: an absolute path of a file"},
		{INTERFACES "session_manager: {report_interval: 2s}\n",
		 "F:3: session_manager: the key address is missing"},
		{INTERFACES "session_manager: {address: '127.0.0.1:1', report_interval: 2}\n",
		 "F:3: session_manager.report_interval: bad value \"2\"; "
		 "allowed: a whole number with ms, s, m or h, such as 250ms or 2s"},
		{INTERFACES "session_manager: {address: '127.0.0.1:1', max_report: 4MB}\n",
		 "F:3: session_manager.max_report: bad value \"4MB\"; "
		 "allowed: a whole number with KiB or MiB, such as 4MiB"},
		{INTERFACES "session_manager: {address: '127.0.0.1:1', max_report: 1023KiB}\n",
		 "F:3: session_manager.max_report: bad value \"1023KiB\"; allowed: 1MiB to 1024MiB"},
		{INTERFACES "report: {deny_as_default_drop: yes}\n",
		 "F:3: report.deny_as_default_drop: bad value \"yes\"; allowed: false, true"},
		{INTERFACES "audit: {interval: 10ms}\n",
		 "F:3: audit.interval: bad value \"10ms\"; allowed: 1s to 1h00m"},
		{INTERFACES "session_manager: {address: '127.0.0.1:1', report_interval: 99ms}\n",
		 "F:3: session_manager.report_interval: bad value \"99ms\"; allowed: 100ms to 1h00m"},
		{INTERFACES "pin_path: /sys/fs/bpf/../cgroup\n",
		 "F:3: pin_path: bad value \"/sys/fs/bpf/../cgroup\"; "
		 "allowed: a directory below /sys/fs/bpf/, no dots in names"},
		{INTERFACES "http: {}\n", "F:3: http: the key listen is missing"},
		{INTERFACES "http: {listen: 9464}\n",
		 "F:3: http.listen: bad value \"9464\"; allowed: ADDRESS:PORT or [ADDRESS]:PORT, numeric"},
		{INTERFACES "pin_path: /tmp/sluice\n",
		 "F:3: pin_path: bad value \"/tmp/sluice\"; "
		 "allowed: a directory below /sys/fs/bpf/, no dots in names"},
		{INTERFACES "startup: now\n",
		 "F:3: startup: bad value \"now\"; allowed: wait-for-setup, serve"},
		{INTERFACES "unknown_subscriber: police\n",
		 "F:3: unknown_subscriber: bad value \"police\"; allowed: drop, pass"},
		{INTERFACES "datapath: {mode: fast}\n",
		 "F:3: datapath.mode: bad value \"fast\"; allowed: auto, tc, xdp"},
		{INTERFACES "log: {level: chatty}\n",
		 "F:3: log.level: bad value \"chatty\"; allowed: error, warning, info, debug"},
		{INTERFACES "qos: {pool: 30457}\n",
		 "F:3: qos.pool: bad value \"30457\"; allowed: a whole number from 0 to 30456"},
		{INTERFACES "qos: {pool: 32001, trees: 63}\n",
		 "F:3: qos.pool: bad value \"32001\"; allowed: a whole number from 0 to 32000"},
		{INTERFACES "qos: {trees: 4064}\n",
		 "F:3: qos.trees: bad value \"4064\"; allowed: a whole number from 0 to 4063"},
		{INTERFACES "qos: {backend: police, default_rate: 1Gbit}\n",
		 "F:3: qos.default_rate: a rate below link_rate is kept by queues alone; allowed: with a "
		 "pool or "
		 "trees"},
		{INTERFACES "qos: {leaf: cake}\n",
		 "F:3: qos.leaf: bad value \"cake\"; allowed: auto, fifo, fq_codel"},
		{INTERFACES "qos:\n  link_rate: 1Gbit\n  reserve: {uplink: 2Gbit}\n",
		 "F:5: qos.reserve.uplink: bad value \"2Gbit\"; allowed: 8kbit to 1Gbit"},
		{INTERFACES "qos:\n  link_rate: 1Gbit\n  default_rate: 2Gbit\n",
		 "F:5: qos.default_rate: bad value \"2Gbit\"; allowed: 8kbit to 1Gbit"},
		{INTERFACES "limits: {sessions: 15}\n",
		 "F:3: limits.sessions: bad value \"15\"; allowed: a whole number from 16 to 1048576"},
		{INTERFACES "limits: {sessions: 1000, usage: 1999}\n",
		 "F:3: limits.usage: 1999 usage slots for 1000 sessions; allowed: at least 2 for each"},
		{INTERFACES "limits: {sessions: 131073}\n", "F:3: limits.sessions: 262144 usage slots for "
							    "131073 sessions; allowed: at least 2 for each"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < SL_ARRAY_SIZE(cases); i++) {
		struct sl_config config;
		struct sl_error err = {""};

		memset(&config, 0x77, sizeof(config));
		assert_int_equal(load(cases[i].text, &config, &err), -EINVAL);
		assert_string_equal(err.text, cases[i].error);
		assert_int_equal(config.access.count, 0x77777777);
	}
}

static void too_many_interfaces_are_refused(void **state)
{
	struct sl_config config;
	struct sl_error err;
	char text[1024] = "core: [{interface: c0}]\naccess:\n";
	size_t used = strlen(text);
	int i;

	(void)state;
	for (i = 0; i <= SL_CONFIG_INTERFACES; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, "  - interface: a%d\n", i);
	assert_int_equal(load(text, &config, &err), -EINVAL);
	assert_string_equal(err.text, "F:3: access: 17 entries; allowed: at most 16");
	*strstr(text, "  - interface: a16\n") = '\0';
	assert_int_equal(load(text, &config, &err), 0);
	assert_int_equal(config.access.count, SL_CONFIG_INTERFACES);
}

static void an_interface_that_does_not_exist_is_named_with_those_that_do(void **state)
{
	struct sl_config config;
	struct sl_error err = {""};

	(void)state;
	assert_int_equal(
		load("access: [{interface: lo}]\ncore:\n  - interface: no-such-device\n", &config, NULL), 0);
	assert_int_equal(sl_config_check_interfaces(&config, &err), -ENODEV);
	assert_non_null(strstr(
		err.text, ":3: core[0].interface: there is no interface \"no-such-device\" here; allowed: "));
	assert_non_null(strstr(err.text, "lo"));
	config.core.count = 0;
	assert_int_equal(sl_config_check_interfaces(&config, &err), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_example_that_is_shipped_is_accepted_and_says_the_defaults),
		cmocka_unit_test(every_key_reaches_its_field),
		cmocka_unit_test(a_backend_that_polices_has_no_queues_unless_the_file_says_so),
		cmocka_unit_test(the_default_class_gets_the_link_unless_the_file_says_less),
		cmocka_unit_test(a_wrong_file_is_refused_with_line_key_and_what_is_allowed),
		cmocka_unit_test(too_many_interfaces_are_refused),
		cmocka_unit_test(an_interface_that_does_not_exist_is_named_with_those_that_do),
	};

	return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
