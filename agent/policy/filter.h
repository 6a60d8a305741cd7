/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A list of IPFilterRules (RFC 6733 clause 4.3.1; a final unit's
 * Restriction-Filter-Rule, RFC 8506 clause 8.36) as the flows of one rule,
 * which judge packets as sl_ipfilter_evaluate does.
 */
#ifndef SL_POLICY_FILTER_H
#define SL_POLICY_FILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "sluice/maps.h"

/*
 * "in" is uplink, and its source the subscriber's side; "out" is downlink, and
 * its destination. Lists of ports and ICMP types become a flow for each
 * combination.
 *
 * What matches none of them, by the last flow of each direction:
 *  - RFC 6733: the opposite of the direction's last rule, passed where it has
 *    none (the RFC is silent; policy/ipfilter.h). So the list decides about
 *    every packet, and rules that come later are never asked.
 *  - `restricts` (RFC 8506: "MUST drop all the packets not matching these
 *    filters"): dropped, whatever the last rule, in both directions.
 *
 * A rule that can match no packet (options that exclude each other; a source
 * that is "!assigned" where only the subscriber's own addresses occur) comes to
 * no flow, but is the last of its direction all the same.
 *
 * "assigned" is the address of the session that the rule is in, of IPv6 its
 * /64, on either side. Refused, since it cannot be kept: a prefix on the
 * subscriber's side that is longer than that /64. -EINVAL naming field[index], the column or the reason;
 * -E2BIG above SLUICE_FLOWS_PER_RULE flows, with their number; -EINVAL for no texts at all; -ENOMEM. *flows
 * is the caller's to free.
 */
int sl_filter_flows(const char *field, const char *const *texts, size_t count, bool restricts,
		    struct sluice_flow **flows, uint32_t *flow_count, struct sl_error *err);

/*
 * What the author of such a list may not have meant, static; NULL: nothing. That
 * is a restriction all of whose filters are of one direction: the other one is
 * dropped whole, and with it every answer. The texts must be good ones.
 */
const char *sl_filter_note(const char *const *texts, size_t count, bool restricts);

#endif
