/* SPDX-License-Identifier: Apache-2.0 */
/* One rule from the wire. */
#ifndef SL_API_CONVERT_FLOW_H
#define SL_API_CONVERT_FLOW_H

#include "base/error.h"
#include "magma/lte/policydb.pb-c.h"
#include "policy/rule.h"

/*
 * Reads what the wire alone decides (texts, enums, ports); sl_rule_validate
 * judges the rest. A rule is about traffic in exactly one of four ways:
 * flow_list, filter_rules, flows or redirect; only beside a redirect the
 * flow_list does not count. out->flows is the caller's to free. -EINVAL, -E2BIG,
 * -EOPNOTSUPP (redirect to a SIP URI, application detection) or -ENOMEM.
 */
int sl_rule_read(const Magma__Lte__PolicyRule *wire, struct sl_rule *out, struct sl_error *err);

/*
 * What people should know of a rule that works: what of it is not done all the
 * same, or may not be meant; static. NULL: nothing.
 */
const char *sl_rule_note(const Magma__Lte__PolicyRule *wire);

#endif
