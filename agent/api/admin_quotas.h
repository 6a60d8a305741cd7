/* SPDX-License-Identifier: Apache-2.0 */
/* Quotas as sluice.v1.Admin shows them. */
#ifndef SL_API_ADMIN_QUOTAS_H
#define SL_API_ADMIN_QUOTAS_H

#include "api/service.h"
#include "control/quota.h"
#include "sluice/v1/admin.pb-c.h"

/* Texts are the view's; `address` is that of the view as text. */
void sl_view_quota(const struct sl_quota_view *view, char *address, Sluice__V1__Quota *out);

void sl_admin_list_quotas(struct sl_call *call, const uint8_t *bytes, size_t length, void *user);

#endif
