/* SPDX-License-Identifier: Apache-2.0 */
/* The portal and the servers that rules redirect to, as sluice.v1.Admin shows them. */
#ifndef SL_API_ADMIN_REDIRECT_H
#define SL_API_ADMIN_REDIRECT_H

#include "api/service.h"

void sl_admin_list_redirects(struct sl_call *call, const uint8_t *bytes, size_t length, void *user);

#endif
