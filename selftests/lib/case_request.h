/* SPDX-License-Identifier: Apache-2.0 */
/* What a session manager asks for in a case, done to the sessions of the run. */
#ifndef SL_TEST_CASE_REQUEST_H
#define SL_TEST_CASE_REQUEST_H

#include "case_run.h"

/* check: the results are those that the request expects */
int case_activate(struct case_run *run, const struct case_request *request, bool check, struct sl_error *err);
int case_deactivate(struct case_run *run, const struct case_request *request, struct sl_error *err);
int case_setup(struct case_run *run, const struct case_step *step, struct sl_error *err);

/* All usage that is final is forgotten. */
void case_acknowledge(struct case_run *run);

#endif
