/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The web server that redirected subscribers meet in place of every other: it
 * answers GET, HEAD and POST with 302 to the address of the subscriber's rule,
 * whatever was asked for. To who asks for application/captive+json, or for
 * SL_PORTAL_API, it says whether he is captive (RFC 8908), redirected or not.
 * 503 with Retry-After to who asks for the host of the rule's URL itself, whose
 * address he knows and this host does not: 302 would send him here again.
 * 405 to other methods; 404 to who has no session, or is not redirected, or did
 * not come by redirection but to the portal's own port (SL_PORTAL_API excepted).
 */
#ifndef SL_REDIRECT_PORTAL_H
#define SL_REDIRECT_PORTAL_H

#include <event2/event.h>
#include <stdint.h>

#include "base/error.h"
#include "policy/address.h"
#include "policy/rule.h"

#define SL_PORTAL_API "/captive-portal/api"

/* At the bound: */
#define SL_PORTAL_CONNECTIONS \
	512			/* further ones wait in the kernel's queue of 128, then their SYNs are lost */
#define SL_PORTAL_PER_CLIENT 16 /* of one address (IPv6: /64); one more is closed at once */
#define SL_PORTAL_STRANGERS  32 /* of all who have no session together; one more is closed at once */
#define SL_PORTAL_IDLE_S     5	/* silence: closed */
#define SL_PORTAL_LIFE_S     20 /* however busy: closed */
#define SL_PORTAL_HEADERS    16384 /* bytes of a request: 400, or closed */
#define SL_PORTAL_BODY	     65536 /* bytes: 413 */

struct sl_portal_config {
	struct event_base *base;
	uint16_t port;
	/* The rule that redirects the client, NULL if none does; -ENOENT: a stranger. */
	int (*redirect_of)(const struct sl_address *client, const struct sl_rule **rule, void *user);
	void *user;
};

struct sl_portal_counters {
	uint64_t redirected; /* answers 302 */
	uint64_t api;	     /* captive or not */
	uint64_t refused;    /* other answers */
	uint64_t closed;     /* connections, at a bound */
	uint32_t open;	     /* connections now */
};

struct sl_portal;

/* Listens on every address, IPv4 and, where there is one, IPv6. -EADDRINUSE and others name the port. */
int sl_portal_new(const struct sl_portal_config *config, struct sl_portal **out, struct sl_error *err);
void sl_portal_free(struct sl_portal *portal);

/* The listening socket of a family (4 or 6), the portal's; negative where there is none. */
int sl_portal_socket(const struct sl_portal *portal, uint32_t family);

struct sl_portal_counters sl_portal_counters(const struct sl_portal *portal);

#endif
