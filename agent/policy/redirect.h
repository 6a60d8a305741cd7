/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A rule that redirects a subscriber's web traffic (3GPP TS 29.212 clause
 * 5.3.82, RFC 8506 clause 8.37): where to, and the flows it comes to. Pure:
 * names are resolved by others.
 */
#ifndef SL_POLICY_REDIRECT_H
#define SL_POLICY_REDIRECT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "policy/address.h"
#include "policy/rule.h"

/* A host name with its NUL (RFC 1123 clause 2.1: at most 253 characters). */
#define SL_REDIRECT_HOST_SIZE 254

/*
 * Sets rule->redirect and rule->redirect_address from a type and its text: an
 * IPv4 or IPv6 address, kept in canonical form, or a URL, kept as it is. A URL
 * is http:// or https://, a host, perhaps a port from 1 to 65535, perhaps more;
 * only visible ASCII, since it goes into a header of an answer as it is; no
 * user or password. Its host is a name of letters, digits and hyphens, an IPv4
 * address or an IPv6 address in brackets. -EINVAL naming `field` and the value,
 * also for a text of SLUICE_REDIRECT_SIZE bytes and more.
 */
int sl_redirect_set(struct sl_rule *rule, const char *field, enum sluice_redirect type, const char *text,
		    struct sl_error *err);

/*
 * The host name whose addresses must be found before the server is reachable,
 * in lower case and without a final dot: true. A rule without a redirect and
 * one whose server is given by its address have none: false, and host empty.
 */
bool sl_redirect_host(const struct sl_rule *rule, char host[SL_REDIRECT_HOST_SIZE]);

/*
 * The flows of a rule with redirect != NONE. `servers`: the present addresses
 * of sl_redirect_host, in order of preference; an address that stands in the
 * rule itself is always open and needs not be among them. Both families.
 *
 * Open in both directions: the server's addresses, and port 53 of UDP and TCP.
 * Uplink besides: TCP port 80 to the portal, TCP port 443 reset, the rest
 * rejected with an answer (reject_others) or dropped. Downlink besides: what
 * this host itself sends from TCP port 80, the portal's answers; anything else
 * in downlink is left to the rules that come after.
 *
 * SLUICE_FLOWS_PER_RULE bounds them: of more than 124 addresses the last ones
 * are left out, and stay closed. *flows is the caller's to free. -EINVAL if the
 * rule redirects nothing; -ENOMEM.
 */
int sl_redirect_flows(const struct sl_rule *rule, const struct sl_address *servers, size_t count,
		      bool reject_others, struct sluice_flow **flows, uint32_t *flow_count,
		      struct sl_error *err);

#endif
