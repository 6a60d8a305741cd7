/* SPDX-License-Identifier: Apache-2.0 */
/* All cases of a directory as a group of tests, one a file. */
#ifndef SL_TEST_CASE_LIST_H
#define SL_TEST_CASE_LIST_H

#include "case_run.h"

#define CASE_DIRECTORY "selftests/cases"

/*
 * Runs every .yaml of $CASES, or of selftests/cases, that names the engine; the
 * others are counted as skipped. name: of the group. For main(): 0 when all passed. No file at all
 * is a failure.
 */
int case_list_run(const char *name, const struct case_engine *engine);

#endif
