/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rates, ARP and class in YAML, as rules and QoS profiles have them:
 *
 *   mbr: {uplink: 1Mbit, downlink: 8Mbit}      # each may be left out
 *   gbr: {uplink: 64kbit}
 *   arp: {level: 2, may_preempt: true, may_be_preempted: false}
 *   class_id: 6
 *
 * An absent node leaves the value as it is. Errors as rule_document.h has them.
 */
#ifndef SL_CATALOG_QOS_DOCUMENT_H
#define SL_CATALOG_QOS_DOCUMENT_H

#include <stdint.h>

#include "base/error.h"
#include "config/yaml.h"
#include "policy/rule.h"

/* Rates below 8 kbit/s, which no meter and no class keeps, or above `max` bit/s are refused. */
int sl_rates_document_read(struct sl_yaml_node node, uint64_t max, uint64_t rates[SLUICE_DIRECTIONS],
			   struct sl_error *err);

/* `node`: the GBRs', each of which is at most the MBR, where there is one. */
int sl_gbr_document_check(struct sl_yaml_node node, const uint64_t mbr[SLUICE_DIRECTIONS],
			  const uint64_t gbr[SLUICE_DIRECTIONS], struct sl_error *err);

/* What is left out of an ARP is as 3GPP TS 29.212 clauses 5.3.46 and 5.3.47 have it. */
int sl_arp_document_read(struct sl_yaml_node node, struct sl_arp *arp, struct sl_error *err);
int sl_class_document_read(struct sl_yaml_node node, uint16_t min, uint16_t *class_id, struct sl_error *err);

#endif
