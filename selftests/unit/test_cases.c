// SPDX-License-Identifier: Apache-2.0
/* Engine 1 of the cases: the compiled images walked in user space. And the loader: what it refuses. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "case_list.h"
#include "text_file.h"

static struct sluice_usage usage[CASE_USAGE];

static int publish(struct case_run *run, const struct case_session *session, struct sl_error *err)
{
	(void)run;
	(void)session;
	(void)err;
	return 0; /* send looks into the session itself */
}

static int send_packet(struct case_run *run, const struct case_packet *packet, bool *passed,
		       struct sl_error *err)
{
	const struct case_session *session = case_run_session(run, &packet->ue);
	enum sluice_action action = SLUICE_DENY;
	struct sluice_counter *counter;
	struct sluice_usage *counted;
	int ordinal;

	(void)err;
	*passed = false;
	if (!session)
		return 0;
	ordinal = walk_image(&session->image, &packet->walk, &action);
	counted = &usage[ordinal == WALK_NO_RULE ? session->default_usage
						 : session->installs[ordinal].binding.usage];
	*passed = ordinal != WALK_NO_RULE && action == SLUICE_PERMIT;
	if (packet->walk.direction == SLUICE_UPLINK)
		counter = *passed ? &counted->uplink : &counted->uplink_dropped;
	else
		counter = *passed ? &counted->downlink : &counted->downlink_dropped;
	counter->packets++;
	counter->bytes += packet->size;
	return 0;
}

static int read_usage(struct case_run *run, uint32_t slot, struct sluice_usage *out, struct sl_error *err)
{
	(void)run;
	(void)err;
	*out = usage[slot];
	return 0;
}

static int clear_usage(struct case_run *run, uint32_t slot, struct sl_error *err)
{
	(void)run;
	(void)err;
	usage[slot] = (struct sluice_usage){0};
	return 0;
}

static const struct case_engine engine = {
	.name = CASE_UNIT,
	.publish = publish,
	.withdraw = publish,
	.send = send_packet,
	.read_usage = read_usage,
	.clear_usage = clear_usage,
};

/* --- the loader and the runner themselves ---------------------------------- */

/* Loads and runs a text as a file; the reason is in err. */
static int run_text(const char *text, struct sl_error *err)
{
	struct test_case *test = NULL;
	struct text_file file;
	int result;

	text_file_begin(&file, text);
	result = case_load(file.path, &test, err);
	text_file_end(&file, NULL);
	if (result < 0) {
		assert_null(test);
		return result;
	}
	result = case_run(test, &engine, err);
	case_free(test);
	return result;
}

#define ACTIVATE                                                                                   \
	"title: t\nsteps:\n"                                                                       \
	"  - activate:\n      imsi: '001010000000001'\n      ip: 192.0.2.1\n"                      \
	"      policies: [{id: r, version: 1, precedence: 2, flows: [{direction: UPLINK, action: " \
	"PERMIT}]}]\n"
#define RESULT "      results: [{id: r, version: 1, result: SUCCESS}]\n"
#define SEND                                                                                                 \
	"  - send: {direction: UPLINK, ue: 192.0.2.1, remote: 192.0.2.8/30, protocol: 6, size: 40, passed: " \
	"4}\n"

static void what_the_file_format_does_not_have_is_refused_with_its_line(void **state)
{
	static const struct {
		const char *text, *line, *names;
	} bad[] = {
		{"title: [", ":2:", ""},
		{"", ":1:", "empty"},
		{"- a\n", ":1:", "mapping"},
		{"title: t\n", ":1:", "steps"},
		{"title: t\nsteps: []\n", ":1:", "without steps"},
		{"title: t\nsteps:\n  - reboot: {}\n", ":3:", "reboot"},
		{"title: t\ntitle: u\nsteps: []\n", ":2:", "twice"},
		{"title: t\nengines: [unit, moon]\nsteps: []\n", ":2:", "moon"},
		{"title: t\nengines: [net]\nsteps: [reboot: {}]\n", ":1:", "left_out"},
		{"title: t\nengines: [net]\nleft_out: why\nsteps: 3\n", ":4:", "list"},
		{"title: t\nengines: [net, unit]\nleft_out: why\nsteps: [reboot: {}]\n", ":4:", "reboot"},
		{ACTIVATE, ":4:", "results"},
		{ACTIVATE "      colour: red\n" RESULT, ":7:", "colour"},
		{"title: t\nsteps:\n  - send: {direction: SIDEWAYS}\n", ":3:", "SIDEWAYS"},
		{"title: t\nsteps:\n  - send: {direction: UPLINK, size: -1}\n", ":3:", "-1"},
		{"title: t\nsteps:\n  - send: {direction: UPLINK, size: 4294967296}\n", ":3:", "4294967296"},
		{"title: t\nsteps:\n  - send: {direction: UPLINK, protocol: TPC}\n", ":3:", "TPC"},
		{"title: t\nsteps:\n  - deactivate: {imsi: '001010000000001'}\n", ":3:", "ip"},
		{"title: t\nsteps:\n  - acknowledge: some\n", ":3:", "some"},
		{"title: t\nsteps:\n  - expect: {usage: 3}\n", ":3:", "list"},
	};

	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(bad); i++) {
		struct sl_error err = {""};

		assert_int_equal(run_text(bad[i].text, &err), -EINVAL);
		if (!strstr(err.text, bad[i].line) || !strstr(err.text, bad[i].names))
			fail_msg("'%s' does not name %s %s", err.text, bad[i].line, bad[i].names);
	}
}

static void a_case_that_is_not_there_is_an_error(void **state)
{
	struct test_case *test = NULL;
	struct sl_error err;

	(void)state;
	assert_int_equal(case_load("/tmp/sluice-no-such-case.yaml", &test, &err), -ENOENT);
	assert_null(test);
}

static void a_case_fails_on_anything_that_differs_from_its_expectations(void **state)
{
	static const struct {
		const char *text, *names;
	} bad[] = {
		{ACTIVATE "      results: [{id: r, version: 1, result: FAILURE}]\n",
		 "SUCCESS, expected FAILURE"},
		{ACTIVATE "      results: [{id: r, version: 2, result: SUCCESS}]\n", "expected r version 2"},
		{ACTIVATE "      results: []\n", "only 0 results"},
		{ACTIVATE "      results: [{id: r, version: 1, result: SUCCESS}, {id: s, version: 1, result: "
			  "SUCCESS}]\n",
		 "1 results, expected 2"},
		{ACTIVATE RESULT
		 "  - send: {direction: UPLINK, ue: 192.0.2.1, remote: 192.0.2.8, protocol: 6, size: 40, "
		 "passed: 0}\n",
		 "1 packets passed, expected 0"},
		{ACTIVATE RESULT SEND "  - expect: {rules: []}\n", "has 1 rules, expected 0"},
		{ACTIVATE RESULT SEND "  - expect: {usage: []}\n", "2 usage records, expected 0"},
		{ACTIVATE RESULT SEND
		 "  - expect: {usage: [{imsi: '001010000000001', ue: 192.0.2.1, rule: r, version: 1, "
		 "uplink: {packets: 4, bytes: 161}}]}\n",
		 "uplink 4 packets 160 bytes, expected 4 and 161"},
		{ACTIVATE RESULT SEND
		 "  - expect: {usage: [{imsi: '001010000000001', ue: 192.0.2.1, rule: r, version: 9}]}\n",
		 "no usage of r version 9"},
		{ACTIVATE RESULT "  - expect: {rules: [{imsi: '001010000000001', ue: 192.0.2.1, id: r, "
				 "version: 1, origin: GY}]}\n",
		 "expected r version 1 GY"},
	};

	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(bad); i++) {
		struct sl_error err = {""};

		assert_int_equal(run_text(bad[i].text, &err), -EINVAL);
		if (!strstr(err.text, bad[i].names))
			fail_msg("'%s' does not say '%s'", err.text, bad[i].names);
	}
}

static void a_case_that_holds_passes(void **state)
{
	struct sl_error err = {""};

	(void)state;
	if (run_text(ACTIVATE RESULT SEND "  - expect:\n      usage:\n"
					  "        - {imsi: '001010000000001', ue: 192.0.2.1, rule: r, "
					  "version: 1, uplink: {packets: 4, bytes: 160}}\n"
					  "        - {imsi: '001010000000001', ue: 192.0.2.1, rule: "
					  "internal_default_drop_flow_rule, version: 0}\n"
					  "      rules: [{imsi: '001010000000001', ue: 192.0.2.1, id: r, "
					  "version: 1, origin: GX}]\n",
		     &err) < 0)
		fail_msg("%s", err.text);
}

static void steps_of_another_engine_are_not_read(void **state)
{
	struct sl_error err = {""};

	(void)state;
	if (run_text("title: t\nengines: [net]\nleft_out: why\nsteps: [reboot: {}]\n", &err) < 0)
		fail_msg("%s", err.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_file_format_does_not_have_is_refused_with_its_line),
		cmocka_unit_test(a_case_that_is_not_there_is_an_error),
		cmocka_unit_test(a_case_fails_on_anything_that_differs_from_its_expectations),
		cmocka_unit_test(a_case_that_holds_passes),
		cmocka_unit_test(steps_of_another_engine_are_not_read),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	return failed + case_list_run("cases", &engine);
}
