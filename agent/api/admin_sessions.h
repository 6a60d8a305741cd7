/* SPDX-License-Identifier: Apache-2.0 */
/* The whole state of sessions, as an operator says it: sluice.v1.Admin/ReplaceSessions. */
#ifndef SL_API_ADMIN_SESSIONS_H
#define SL_API_ADMIN_SESSIONS_H

#include "api/service.h"

void sl_admin_replace_sessions(struct sl_call *call, const uint8_t *bytes, size_t length, void *user);

#endif
