// SPDX-License-Identifier: Apache-2.0
/* The file of `sluicectl set-rules`, seen as the message that the agent gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "text_file.h"

#include "../../tools/sluicectl/arena.c"
#include "../../tools/sluicectl/rule_message.c"
#include "../../tools/sluicectl/set_file.c"
#include "../../tools/sluicectl/yaml_rule.c"

/* What is only a warning goes to standard error. */
int ctl_error(int code, const char *format, ...)
{
	(void)format;
	return code;
}

#define _cleanup_set_ _cleanup_(set_file_free)

static int load(const char *text, struct set_file *out, struct sl_error *err)
{
	struct text_file file;
	int ret;

	text_file_begin(&file, text);
	ret = set_file_load(file.path, out, err);
	text_file_end(&file, ret < 0 ? err : NULL);
	return ret;
}

static void the_example_is_accepted(void **state)
{
	_cleanup_set_ struct set_file file = {.sets = 0};
	struct sl_error err = {""};

	(void)state;
	if (load(set_file_example, &file, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(file.message.n_rules_per_subscriber, 1);
	assert_int_equal(file.sets, 3);
	assert_int_equal(file.rules, 2);
}

static void every_scope_rule_and_time_comes_in_its_place(void **state)
{
	_cleanup_set_ struct set_file file = {.sets = 0};
	struct sl_error err = {""};
	const Magma__Lte__RulesPerSubscriber *one;
	const Magma__Lte__RuleSet *set;

	(void)state;
	if (load("subscribers:\n"
		 "  - imsi: IMSI001010000000001\n"
		 "    rule_sets:\n"
		 "      - apply_subscriber_wide: true\n"
		 "        rules:\n"
		 "          - {id: web, activation_time: 2030-01-02T03:04:05Z}\n"
		 "          - id: own\n"
		 "            precedence: 7\n"
		 "            deactivation_time: 2030-01-02T03:04:05.25+01:30\n"
		 "            flows: [{direction: uplink, protocol: udp, remote_port: 53}]\n"
		 "        base_names: [basic]\n"
		 "      - {apn: ims}\n"
		 "  - {imsi: 001010000000002, rule_sets: [{}]}\n",
		 &file, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(file.message.n_rules_per_subscriber, 2);
	assert_int_equal(file.sets, 3);
	assert_int_equal(file.rules, 3);
	one = file.message.rules_per_subscriber[0];
	assert_string_equal(one->imsi, "001010000000001");
	assert_int_equal(one->n_rule_set, 2);
	set = one->rule_set[0];
	assert_true(set->apply_subscriber_wide);
	assert_string_equal(set->apn, "");
	assert_int_equal(set->n_static_rules, 2);
	assert_string_equal(set->static_rules[0]->rule_id, "web");
	assert_int_equal(set->static_rules[0]->activation_time->seconds, 1893553445);
	assert_null(set->static_rules[0]->deactivation_time);
	assert_string_equal(set->static_rules[1]->rule_id, "basic");
	assert_null(set->static_rules[1]->activation_time);
	assert_int_equal(set->n_dynamic_rules, 1);
	assert_string_equal(set->dynamic_rules[0]->policy_rule->id, "own");
	assert_int_equal(set->dynamic_rules[0]->policy_rule->priority, 7);
	assert_int_equal(set->dynamic_rules[0]->policy_rule->n_flow_list, 1);
	assert_int_equal(set->dynamic_rules[0]->deactivation_time->seconds, 1893553445 - 5400);
	assert_int_equal(set->dynamic_rules[0]->deactivation_time->nanos, 250000000);
	set = one->rule_set[1];
	assert_false(set->apply_subscriber_wide);
	assert_string_equal(set->apn, "ims");
	assert_int_equal(set->n_static_rules + set->n_dynamic_rules, 0);
	one = file.message.rules_per_subscriber[1];
	assert_int_equal(one->n_rule_set, 1);
	assert_string_equal(one->rule_set[0]->apn, "");
}

#define SET(text)  "subscribers: [{imsi: 001010000000001, rule_sets: [" text "]}]\n"
#define TIME(text) SET("{rules: [{id: r, activation_time: " text "}]}")
#define WRONG_TIME(text)                                                                                   \
	{                                                                                                  \
		TIME(text), "F:1: subscribers[0].rule_sets[0].rules[0].activation_time: bad value \"" text \
			    "\"; allowed: a time after 1970 such as 2030-12-24T18:00:00Z"                  \
	}

static void a_wrong_file_is_refused_whole_with_its_line(void **state)
{
	static const struct {
		const char *text;
		const char *error;
	} cases[] = {
		{"sessions: []\n", "F:1: sessions: unknown key; allowed: subscribers"},
		{"subscribers: [{rule_sets: [{}]}]\n", "F:1: subscribers[0]: the key imsi is missing"},
		{"subscribers: [{imsi: 001010000000001}]\n",
		 "F:1: subscribers[0]: the key rule_sets is missing"},
		{"subscribers: [{imsi: 12345, rule_sets: [{}]}]\n",
		 "F:1: subscribers[0].imsi: bad value \"12345\"; allowed: 6 to 15 digits"},
		{SET(""), "F:1: subscribers[0].rule_sets: empty; allowed: at least one set, which may be "
			  "without rules"},
		{SET("{apn: ims, apply_subscriber_wide: true}"),
		 "F:1: subscribers[0].rule_sets[0].apn: an APN and the whole subscriber; allowed: one of the "
		 "two"},
		{SET("{apply_subscriber_wide: yes}"),
		 "F:1: subscribers[0].rule_sets[0].apply_subscriber_wide: bad value \"yes\"; allowed: false, "
		 "true"},
		{SET("{rules: [{id: r, precedence: 1}]}"), "F:1: subscribers[0].rule_sets[0].rules[0]: the "
							   "key flows is missing; allowed: flows, filters "
							   "or redirect"},
		WRONG_TIME("tomorrow"),
		WRONG_TIME("2030-01-02"),
		WRONG_TIME("2030-01-02T03:04:05"),
		WRONG_TIME("2030-02-30T03:04:05Z"),
		WRONG_TIME("2030-01-02T03:04:60Z"),
		WRONG_TIME("2030-01-02T03:04:05+1:00"),
		WRONG_TIME("2030-01-02T03:04:05+24:00"),
		WRONG_TIME("2030-01-02T03:04:05.Z"),
		WRONG_TIME("2030-01-02T03:04:05.1234567890Z"),
		WRONG_TIME("1969-12-31T23:59:59Z"),
		WRONG_TIME("1970-01-01T00:00:00Z"),
		WRONG_TIME("2300-01-01T00:00:00Z"),
	};

	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(cases); i++) {
		struct set_file file = {.sets = 0};
		struct sl_error err = {""};

		assert_int_equal(load(cases[i].text, &file, &err), -EINVAL);
		assert_string_equal(err.text, cases[i].error);
		assert_null(file.arena.blocks);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_example_is_accepted),
		cmocka_unit_test(every_scope_rule_and_time_comes_in_its_place),
		cmocka_unit_test(a_wrong_file_is_refused_whole_with_its_line),
	};

	return cmocka_run_group_tests_name("set file", tests, NULL, NULL);
}
