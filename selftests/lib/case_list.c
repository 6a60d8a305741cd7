// SPDX-License-Identifier: Apache-2.0
#include "case_list.h"

#include <glob.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

static const struct case_engine *engine_of_group;

static void a_case(void **state)
{
	const char *path = *state;
	struct test_case *test = NULL;
	struct sl_error err = {"no reason given"};
	int result;

	if (case_load(path, &test, &err) < 0)
		fail_msg("%s", err.text);
	if (!(test->engines & engine_of_group->name)) {
		case_free(test);
		skip();
	}
	result = case_run(test, engine_of_group, &err);
	case_free(test);
	if (result < 0)
		fail_msg("%s", err.text);
}

int case_list_run(const char *name, const struct case_engine *engine)
{
	const char *directory = getenv("CASES") ? getenv("CASES") : CASE_DIRECTORY;
	struct CMUnitTest *tests;
	char pattern[512];
	glob_t files;
	int failed;

	snprintf(pattern, sizeof(pattern), "%s/*.yaml", directory);
	if (glob(pattern, 0, NULL, &files) != 0) {
		fprintf(stderr, "no case matches %s\n", pattern);
		return 1;
	}
	tests = calloc(files.gl_pathc, sizeof(*tests));
	if (!tests) {
		globfree(&files);
		return 1;
	}
	for (size_t i = 0; i < files.gl_pathc; i++) {
		const char *slash = strrchr(files.gl_pathv[i], '/');

		tests[i] = (struct CMUnitTest){
			.name = slash ? slash + 1 : files.gl_pathv[i],
			.test_func = a_case,
			.initial_state = files.gl_pathv[i],
		};
	}
	engine_of_group = engine;
	failed = _cmocka_run_group_tests(name, tests, files.gl_pathc, NULL, NULL);
	free(tests);
	globfree(&files);
	return failed;
}
