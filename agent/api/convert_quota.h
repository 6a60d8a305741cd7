/* SPDX-License-Identifier: Apache-2.0 */
/* Quotas of an ActivateFlowsRequest -> requests of control/. */
#ifndef SL_API_CONVERT_QUOTA_H
#define SL_API_CONVERT_QUOTA_H

#include "control/quota.h"
#include "magma/lte/pipelined.pb-c.h"

/* *out: an array of wire->n_quotas, the caller's to free; texts are the wire's. -EINVAL, -E2BIG or -ENOMEM.
 */
int sl_quotas_read(const Magma__Lte__ActivateFlowsRequest *wire, enum sluice_origin origin,
		   struct sl_quota_request **out, struct sl_error *err);

#endif
