/* SPDX-License-Identifier: Apache-2.0 */
/* The packets of a case: sent, and those that pass counted. */
#ifndef SL_TEST_CASE_PACKET_H
#define SL_TEST_CASE_PACKET_H

#include "case_run.h"

/* -EINVAL if another number passes than the case says; -E2BIG above 65536 addresses. */
int case_send_packets(struct case_run *run, const struct case_send *send, struct sl_error *err);

#endif
