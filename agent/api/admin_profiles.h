/* SPDX-License-Identifier: Apache-2.0 */
/* QoS profiles and who has them, as sluice.v1.Admin shows them. */
#ifndef SL_API_ADMIN_PROFILES_H
#define SL_API_ADMIN_PROFILES_H

#include "api/service.h"

void sl_admin_list_profiles(struct sl_call *call, const uint8_t *bytes, size_t length, void *user);

#endif
