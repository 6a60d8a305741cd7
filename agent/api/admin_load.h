/* SPDX-License-Identifier: Apache-2.0 */
/* What the link and APNs carry and have promised, as sluice.v1.Admin shows it. */
#ifndef SL_API_ADMIN_LOAD_H
#define SL_API_ADMIN_LOAD_H

#include "api/service.h"

void sl_admin_get_load(struct sl_call *call, const uint8_t *bytes, size_t length, void *user);

#endif
