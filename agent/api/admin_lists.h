/* SPDX-License-Identifier: Apache-2.0 */
/* The paged lists of sluice.v1.Admin. */
#ifndef SL_API_ADMIN_LISTS_H
#define SL_API_ADMIN_LISTS_H

#include "api/service.h"

void sl_admin_list_sessions(struct sl_call *call, const uint8_t *bytes, size_t length, void *user);
void sl_admin_list_rules(struct sl_call *call, const uint8_t *bytes, size_t length, void *user);
void sl_admin_list_usage(struct sl_call *call, const uint8_t *bytes, size_t length, void *user);

#endif
