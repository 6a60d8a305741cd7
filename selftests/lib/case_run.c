// SPDX-License-Identifier: Apache-2.0
/* The steps of a case, one after the other. */
#include "case_run.h"

#include <errno.h>
#include <stdlib.h>

#include "case_expectation.h"
#include "case_packet.h"
#include "case_request.h"
#include "case_session.h"

static int mismatch(const struct case_run *run, const struct case_step *step, struct sl_error *err)
{
	return sl_error_prefix(err, -EINVAL, "%s:%u", run->test->path, step->line);
}

static int run_step(struct case_run *run, const struct case_step *step, struct sl_error *err)
{
	int result = 0;

	switch (step->type) {
	case CASE_ACTIVATE:
		return case_activate(run, &step->request, true, err);
	case CASE_SETUP:
		return case_setup(run, step, err);
	case CASE_DEACTIVATE:
		return case_deactivate(run, &step->request, err);
	case CASE_ACKNOWLEDGE:
		case_acknowledge(run);
		return 0;
	case CASE_SEND:
		return case_send_packets(run, &step->send, err);
	case CASE_EXPECT:
		if (step->expect.has_usage)
			result = case_check_usage(run, &step->expect, err);
		if (result == 0 && step->expect.has_rules)
			result = case_check_rules(run, &step->expect, err);
		return result;
	}
	return sl_error(err, EINVAL, "a step of no type");
}

int case_run(const struct test_case *test, const struct case_engine *engine, struct sl_error *err)
{
	struct case_run *run = calloc(1, sizeof(*run));
	struct sl_error ignored;
	int result = 0;

	if (!run || sl_rule_table_new(&run->rules) < 0) {
		free(run);
		return sl_error(err, ENOMEM, "%s: no memory", test->path);
	}
	run->test = test;
	run->engine = engine;
	for (size_t i = 0; i < test->steps.count; i++) {
		result = run_step(run, &test->steps.item[i], err);
		if (result < 0) {
			mismatch(run, &test->steps.item[i], err);
			break;
		}
	}
	for (uint32_t i = 0; i < CASE_SESSIONS; i++)
		if (run->sessions[i].active)
			case_session_end(run, &run->sessions[i], &ignored);
	sl_rule_table_free(run->rules);
	free(run);
	return result;
}
