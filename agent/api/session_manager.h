/* SPDX-License-Identifier: Apache-2.0 */
/* The session manager as we call it: magma.lte.LocalSessionManager/ReportRuleStats. */
#ifndef SL_API_SESSION_MANAGER_H
#define SL_API_SESSION_MANAGER_H

#include <stddef.h>
#include <stdint.h>

#include "api/grpc.h"
#include "base/error.h"
#include "usage/record.h"

struct sl_session_manager;

/* Connects when first used. done runs once for each report sent; reason NULL: acknowledged. */
int sl_session_manager_new(struct event_base *base, const char *address, uint64_t epoch,
			   void (*done)(const char *reason, void *user), void *user,
			   struct sl_session_manager **out, struct sl_error *err);
void sl_session_manager_free(struct sl_session_manager *manager);

/* -ENOMEM, or what sl_grpc_client_call says; then done does not run. */
int sl_session_manager_report(struct sl_session_manager *manager, const struct sl_usage_record *records,
			      size_t count);

#endif
