// SPDX-License-Identifier: Apache-2.0
/* Quotas from a file of sessions to the agent's requests, by way of the wire. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "api/convert.h"
#include "policy/compile.h"
#include "text_file.h"

#include "../../tools/sluicectl/arena.c"
#include "../../tools/sluicectl/policy_file.c"
#include "../../tools/sluicectl/rule_message.c"
#include "../../tools/sluicectl/yaml_quota.c"
#include "../../tools/sluicectl/yaml_rule.c"

/* What is only a warning goes to standard error. */
int ctl_error(int code, const char *format, ...)
{
	(void)format;
	return code;
}

#define HEAD "sessions:\n  - imsi: 001010000000001\n    ipv4: 10.45.0.2\n"

static int load(const char *text, struct policy_file *out, struct sl_error *err)
{
	struct text_file file;
	char whole[2048];
	int ret;

	assert_in_range(snprintf(whole, sizeof(whole), HEAD "%s", text), 0, sizeof(whole) - 1);
	text_file_begin(&file, whole);
	ret = policy_file_load(file.path, out, err);
	text_file_end(&file, ret < 0 ? err : NULL);
	return ret;
}

/* Of the file's request i; *wire is freed by the caller, after the activation. */
static void read_back(const struct policy_file *file, size_t i, Magma__Lte__ActivateFlowsRequest **wire,
		      struct sl_activation *out)
{
	struct sl_error err = {""};

	*wire = magma__lte__activate_flows_request__unpack(NULL, file->requests[i].length,
							   file->requests[i].bytes);
	assert_non_null(*wire);
	if (sl_activation_read(*wire, out, &err) < 0)
		fail_msg("%s", err.text);
}

static void each_part_of_a_quota_arrives(void **state)
{
	_cleanup_(policy_file_free) struct policy_file file = {0};
	Magma__Lte__ActivateFlowsRequest *wire;
	struct sl_activation activation;
	const struct sl_quota_request *quotas;
	struct sl_error err = {""};

	(void)state;
	if (load("    ipv6: 2001:db8:45:2::1\n"
		 "    rules:\n"
		 "      - {id: web, flows: [{}]}\n"
		 "      - {id: restricted, origin: gy, flows: [{}]}\n"
		 "      - {id: top-up, final: true, redirect: {ipv4: 192.0.2.80}}\n"
		 "    quotas:\n"
		 "      - {rule: web, volume: 10MB, time: 1h, threshold: 80%, grant: 7}\n"
		 "      - {rule: restricted, uplink: 1MiB}\n"
		 "      - {rating_group: 9, downlink: 5, threshold: 4B}\n"
		 "      - {session: true, volume: 0}\n"
		 "      - {session: true, remove: true}\n",
		 &file, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(file.count, 2);
	read_back(&file, 0, &wire, &activation);
	assert_int_equal(activation.session_count, 2);
	assert_int_equal(activation.session[1].quota_count, 4);
	assert_false(activation.storage[0].is_final);
	assert_true(activation.storage[1].is_final);
	quotas = activation.session[0].quotas;
	assert_int_equal(quotas[0].scope, SLUICE_QUOTA_RULE);
	assert_string_equal(quotas[0].rule_id, "web");
	assert_int_equal(quotas[0].origin, SLUICE_ORIGIN_GX);
	assert_int_equal(quotas[0].grant, 7);
	assert_int_equal(quotas[0].bytes, 10000000);
	assert_int_equal(quotas[0].warn_bytes, 8000000);
	assert_int_equal(quotas[0].time_s, 3600);
	assert_int_equal(quotas[0].warn_s, 2880);
	assert_int_equal(quotas[0].directions, 3);
	assert_int_equal(quotas[1].scope, SLUICE_QUOTA_RATING_GROUP);
	assert_int_equal(quotas[1].rating_group, 9);
	assert_int_equal(quotas[1].directions, 1 << SLUICE_DOWNLINK);
	assert_int_equal(quotas[1].bytes, 5);
	assert_int_equal(quotas[1].warn_bytes, 4);
	assert_int_equal(quotas[2].scope, SLUICE_QUOTA_SESSION);
	assert_int_equal(quotas[2].bytes, 0);
	assert_false(quotas[2].remove);
	assert_true(quotas[3].remove);
	sl_activation_clear(&activation);
	magma__lte__activate_flows_request__free_unpacked(wire, NULL);

	/* that of a GY rule goes with it */
	read_back(&file, 1, &wire, &activation);
	assert_int_equal(activation.session[0].quota_count, 1);
	assert_string_equal(activation.session[0].quotas[0].rule_id, "restricted");
	assert_int_equal(activation.session[0].quotas[0].origin, SLUICE_ORIGIN_GY);
	assert_int_equal(activation.session[0].quotas[0].bytes, 1048576);
	assert_int_equal(activation.session[0].quotas[0].directions, 1 << SLUICE_UPLINK);
	sl_activation_clear(&activation);
	magma__lte__activate_flows_request__free_unpacked(wire, NULL);
}

static void a_quota_with_a_mistake_is_refused_with_its_line(void **state)
{
	static const struct {
		const char *quota;
		const char *says;
	} bad[] = {
		{"{volume: 1MB}", "exactly one of rule"},
		{"{rule: web, session: true, volume: 1MB}", "exactly one of rule"},
		{"{rating_group: 0, volume: 1MB}", "rating_group"},
		{"{session: true}", "nothing is granted"},
		{"{session: true, volume: 1mb}", "bad value \"1mb\""},
		{"{session: true, volume: 1.5MB}", "bad value \"1.5MB\""},
		{"{session: true, volume: -1}", "bad value \"-1\""},
		{"{session: true, volume: 2000000TB}", "at most 2^60"},
		{"{session: true, volume: 1MB, uplink: 1MB}", "a second volume"},
		{"{session: true, time: 1500ms}", "whole seconds"},
		{"{session: true, volume: 1MB, threshold: 101%}", "1% to 100%"},
		{"{session: true, volume: 1MB, threshold: 2MB}", "more than the volume"},
		{"{session: true, volume: 1MB, bytes: 3}", "bytes"},
	};

	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(bad); i++) {
		_cleanup_(policy_file_free) struct policy_file file = {0};
		struct sl_error err = {""};
		char text[256];

		snprintf(text, sizeof(text), "    quotas:\n      - %s\n", bad[i].quota);
		assert_int_equal(load(text, &file, &err), -EINVAL);
		if (!strstr(err.text, bad[i].says) || !strstr(err.text, ":5: "))
			fail_msg("%s: %s", bad[i].quota, err.text);
	}
}

static void bad_quotas_of_the_wire_are_refused_by_index_and_field(void **state)
{
	Sluice__V1__QuotaGrant grant[2];
	Sluice__V1__QuotaGrant *pointers[300];
	Magma__Lte__ActivateFlowsRequest wire = MAGMA__LTE__ACTIVATE_FLOWS_REQUEST__INIT;
	Magma__Lte__SubscriberID sid = MAGMA__LTE__SUBSCRIBER_ID__INIT;
	struct sl_activation activation;
	struct sl_error err = {""};

	(void)state;
	for (int i = 0; i < 2; i++) {
		sluice__v1__quota_grant__init(&grant[i]);
		grant[i].session = true;
	}
	for (int i = 0; i < 300; i++)
		pointers[i] = &grant[i != 0];
	sid.id = (char *)"IMSI001010000000001";
	wire.sid = &sid;
	wire.ip_addr = (char *)"192.0.2.1";
	wire.quotas = pointers;
	wire.n_quotas = 2;
	grant[1].direction = (char *)"sideways";
	assert_int_equal(sl_activation_read(&wire, &activation, &err), -EINVAL);
	assert_non_null(strstr(err.text, "quotas[1].direction: bad value \"sideways\""));
	grant[1].direction = (char *)"";
	grant[1].rating_group = 3;
	assert_int_equal(sl_activation_read(&wire, &activation, &err), -EINVAL);
	assert_non_null(strstr(err.text, "quotas[1]: exactly one of"));
	wire.n_quotas = 300;
	assert_int_equal(sl_activation_read(&wire, &activation, &err), -E2BIG);
	assert_non_null(strstr(err.text, "quotas: 300"));
}

static void final_rules_come_after_all_others(void **state)
{
	struct sl_rule rules[] = {{.id = "a", .precedence = 1, .is_final = true},
				  {.id = "b", .precedence = 9},
				  {.id = "c", .precedence = 5, .is_final = true},
				  {.id = "d", .precedence = 7}};
	struct sl_install installs[4] = {{.rule = &rules[0], .origin = SLUICE_ORIGIN_GY},
					 {.rule = &rules[1]},
					 {.rule = &rules[2]},
					 {.rule = &rules[3]}};

	(void)state;
	sl_install_sort(installs, 4);
	assert_string_equal(installs[0].rule->id, "d");
	assert_string_equal(installs[1].rule->id, "b");
	assert_string_equal(installs[2].rule->id, "a");
	assert_string_equal(installs[3].rule->id, "c");
	assert_int_equal(sl_installs_before_final(installs, 4), 2);
	assert_int_equal(sl_installs_before_final(installs, 2), 2);
	assert_int_equal(sl_installs_before_final(installs + 2, 2), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_part_of_a_quota_arrives),
		cmocka_unit_test(a_quota_with_a_mistake_is_refused_with_its_line),
		cmocka_unit_test(bad_quotas_of_the_wire_are_refused_by_index_and_field),
		cmocka_unit_test(final_rules_come_after_all_others),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
