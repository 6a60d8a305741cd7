/* SPDX-License-Identifier: Apache-2.0 */
/* The policy directory and the desired state, as sluice.v1.Admin shows them. */
#ifndef SL_API_ADMIN_POLICY_H
#define SL_API_ADMIN_POLICY_H

#include "api/service.h"
#include "catalog/directory.h"
#include "desired/desired.h"
#include "sluice/v1/admin.pb-c.h"

/* Texts are the directory's and good until it is read again. */
void sl_view_policy_directory(const struct sl_policy_directory *from, Sluice__V1__PolicyDirectory *out);
void sl_view_desired(const struct sl_desired *from, Sluice__V1__DesiredState *out);

void sl_admin_list_policies(struct sl_call *call, const uint8_t *bytes, size_t length, void *user);
void sl_admin_list_desired(struct sl_call *call, const uint8_t *bytes, size_t length, void *user);

#endif
