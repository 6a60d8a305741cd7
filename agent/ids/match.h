/* SPDX-License-Identifier: Apache-2.0 */
/* Flows as the IDS stage compares them: for any session, so that its address does not stand in them. */
#ifndef SL_IDS_MATCH_H
#define SL_IDS_MATCH_H

#include "base/error.h"
#include "policy/address.h"
#include "sluice/ids.h"

/*
 * PERMIT: the rule is about such a packet; DENY: it is not. -EINVAL, with a reason
 * that names no field, for what asks for the session's own address: a remote side
 * "assigned", a local side outside a prefix.
 */
int sl_ids_match_of(const struct sluice_flow *flow, struct sluice_ids_match *out, struct sl_error *err);

/* Packets of this direction to or from the prefix: DENY. */
void sl_ids_match_exempt(enum sluice_direction direction, const struct sl_address *prefix, uint8_t length,
			 struct sluice_ids_match *out);

#endif
