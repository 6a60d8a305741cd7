/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How marked packets reach the portal, whatever their destination: rules and a
 * table of our own, for IPv4 and IPv6, as `ip` shows them:
 *
 *	ip rule:   PRIORITY:   from all fwmark 0xfffe/0xffff iif lo goto PRIORITY+2
 *	           PRIORITY+1: from all fwmark 0xfffe/0xffff lookup TABLE
 *	           PRIORITY+2: from all nop
 *	ip route:  local default dev lo table TABLE
 *
 * The first one keeps out look-ups that are not for a packet on its way in: what
 * this host sends, and the reverse path, where the host lets the mark count for
 * these (net.ipv4.tcp_fwmark_accept, fwmark_reflect, src_valid_mark).
 *
 * They stay when the agent ends, as enforcement does. The protocol number and the
 * mark say that they are an agent's, the priority and the table which one's: what
 * another living agent claims (claim.h) is not changed or removed, nor anything else.
 */
#ifndef SL_REDIRECT_ROUTE_H
#define SL_REDIRECT_ROUTE_H

#include <stdint.h>

#include "base/error.h"
#include "redirect/claim.h"

#define SL_ROUTE_PROTOCOL 214 /* rtnetlink(7): 5 and more are free for administrators */

struct sl_route {
	uint32_t table;
	uint32_t priority; /* of the first rule; the smaller is asked first, 0 is the kernel's own */
};

/* The three priorities and the table; -EADDRINUSE names the field of the configuration and the number. */
int sl_route_claim(const struct sl_route *route, struct sl_claims *claims, struct sl_error *err);

/*
 * Makes them, unless they are there already, and removes those of an earlier
 * configuration; `own`: what the caller claims. *added (may be NULL) says how many were missing. -EEXIST: the
 * table has a default route of somebody else's. A host without IPv6, or with IPv6
 * switched off, gets none for it.
 */
int sl_route_add(const struct sl_route *route, const struct sl_claims *own, uint32_t *added,
		 struct sl_error *err);

/* Removes all, of whatever table and priority, that no other living agent claims; none is no error. */
int sl_route_remove(const struct sl_claims *own, struct sl_error *err);

#endif
