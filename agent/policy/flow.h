/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A FlowMatch in the session manager's fields (docs/architecture.md, "Rules"),
 * and what it comes to once the UE side is replaced by the session's address.
 */
#ifndef SL_POLICY_FLOW_H
#define SL_POLICY_FLOW_H

#include <stdint.h>

#include "base/error.h"
#include "sluice/maps.h"

/* An address or prefix as text; NULL or empty = not given. */
struct sl_flow_address {
	const char *text;
	uint32_t family; /* 4 or 6: the text must be of that family; 0: whatever it is */
};

/* Packet fields of that direction; 0 = not given, as on the wire. Ports in host order. */
struct sl_flow_match {
	enum sluice_direction direction;
	enum sluice_action action;
	uint32_t ip_proto;
	struct sl_flow_address ip_src;
	struct sl_flow_address ip_dst;
	uint32_t tcp_src;
	uint32_t tcp_dst;
	uint32_t udp_src;
	uint32_t udp_dst;
};

/*
 * Uplink: source = UE, destination = remote; downlink the other way round. The
 * address of the UE side must be well formed; of it only the family counts,
 * because the session's own address stands there. TCP ports need ip_proto TCP,
 * UDP ports UDP. -EINVAL naming `field`, for instance "flow_list[0].match", and
 * the value.
 */
int sl_flow_from_match(const char *field, const struct sl_flow_match *match, struct sluice_flow *out,
		       struct sl_error *err);

#endif
