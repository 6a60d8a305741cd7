/* SPDX-License-Identifier: Apache-2.0 */
/* What has to have come of a case's steps: usage records, rules in force. */
#ifndef SL_TEST_CASE_EXPECTATION_H
#define SL_TEST_CASE_EXPECTATION_H

#include "case_run.h"

/* -EINVAL with the first difference. */
int case_check_usage(struct case_run *run, const struct case_expectation *expect, struct sl_error *err);
int case_check_rules(struct case_run *run, const struct case_expectation *expect, struct sl_error *err);

#endif
