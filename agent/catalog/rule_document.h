/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A rule in YAML, the one form of it: in sluicectl's files of sessions and in
 * the policy directory.
 *
 *   id: web                     # required
 *   precedence: 10              # default 100; the smaller decides first
 *   rating_group: 7             # default 0
 *   mbr: {uplink: 1Mbit, downlink: 8Mbit}      # each may be left out
 *   gbr: {uplink: 64kbit}
 *   arp: {level: 2, may_preempt: true, may_be_preempted: false}
 *   class_id: 6                 # QCI, 5QI or an operator's own
 *   qos_profile: gold           # in the place of the last four
 *   hard_timeout: 1h            # whole seconds
 *   action: permit              # or deny; of the flows that do not say
 *
 * and exactly one of
 *
 *   flows:                      # policy/flow_text.h says what may stand in each part
 *     - direction: uplink
 *       action: deny
 *       protocol: tcp
 *       remote: "!192.0.2.0/24"
 *       remote_port: [80, 443, 5000-5100]      # lists as YAML, or one text with commas
 *       local: 10.45.0.0/16
 *       local_port: 1024-65535
 *       dscp: ef
 *       tcp_flags: syn,!ack
 *       tcp_options: mss
 *       icmp_type: 8
 *       fragment: later
 *       ip_options: "!ssrr"
 *   filters:                    # IPFilterRules (policy/filter.h)
 *     - permit in 17 from assigned to 192.0.2.1 53
 *   redirect: {url: "http://top-up.example/"}  # or {ipv4: ...}, {ipv6: ...}
 *
 * with, beside filters, `restrict: true` (what matches none of them is dropped
 * whatever the last one says), and beside flows or filters
 *
 *   steer: {redirect: eth9, next_hop: 10.0.0.1} # next_hop may be left out
 *   steer: {mirror: eth9}
 *
 * and with any of them
 *
 *   final: true                 # only for packets whose quota is used up; default false
 */
#ifndef SL_CATALOG_RULE_DOCUMENT_H
#define SL_CATALOG_RULE_DOCUMENT_H

#include <stdint.h>

#include "base/error.h"
#include "config/yaml.h"
#include "policy/flow_list.h"
#include "policy/rule.h"

#define SL_RULE_DOCUMENT_PRECEDENCE 100 /* of a rule that names none */

/*
 * Reads a rule that sl_rule_validate accepts. `more`: keys that the caller
 * reads itself, NULL-terminated, at most 16; NULL: none. Rates above `max_rate`
 * bit/s are refused. Errors are FILE:LINE: key.path: what is wrong; allowed:
 * what would be right. -EINVAL, -ENOMEM. out->flows is the caller's to free.
 */
int sl_rule_document_read(struct sl_yaml_node node, const char *const *more, uint64_t max_rate,
			  struct sl_rule *out, struct sl_error *err);

/* One of `flows`: adds what it comes to; `action` is that of one that names none. */
int sl_flow_document_read(struct sl_yaml_node node, const char *action, struct sl_flow_list *list,
			  struct sl_error *err);

/* What stands under `redirect`: sets rule->redirect and rule->redirect_address. */
int sl_redirect_document_read(struct sl_yaml_node node, struct sl_rule *rule, struct sl_error *err);

#endif
