/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules that come as names of the policy directory, and the fields in which
 * session managers before release 1.5 send rules.
 */
#ifndef SL_API_CONVERT_OLD_H
#define SL_API_CONVERT_OLD_H

#include "api/convert.h"
#include "catalog/catalog.h"

/* Nothing of the rule is said but its id: the policy directory's is meant, if it has one. */
bool sl_rule_is_only_id(const Magma__Lte__PolicyRule *wire);

/*
 * Completes what sl_activation_read has read: policies that have only an id
 * become the catalogue's rules; dynamic_rules, then rule_ids are put behind them,
 * each base name as all its rules, each once and with version 0. In dynamic_rules the
 * flows' old ipv4_src and ipv4_dst count where ip_src and ip_dst are not given.
 * The activation is cleared as before, and must be before the catalogue goes.
 * -E2BIG over SL_REQUEST_RULES dynamic_rules, or rules that rule_ids stand for,
 * -ENOMEM: the activation is as it was.
 */
int sl_activation_complete(const Magma__Lte__ActivateFlowsRequest *wire, const struct sl_catalog *catalog,
			   struct sl_activation *activation, struct sl_error *err);

/* Of all rules of the request; GX unless it says otherwise. */
enum sluice_origin sl_activation_origin(const Magma__Lte__ActivateFlowsRequest *wire);

/*
 * The same for rule_ids; what is named there is taken as a rule's id and as a base
 * name. In policies there are rule ids only, as in an activation.
 */
int sl_deactivation_complete(const Magma__Lte__DeactivateFlowsRequest *wire, const struct sl_catalog *catalog,
			     struct sl_deactivations *deactivations, struct sl_error *err);

#endif
