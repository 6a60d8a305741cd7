/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An IDS rule in YAML: an item of the section `ids` of the policy directory.
 *
 *   ids:
 *     - name: xmpp-flood            # required; letters, digits, "-", "_", "."
 *       match: {direction: uplink, protocol: tcp, remote_port: 5222}
 *                                   # required: a flow (catalog/rule_document.h), a list of flows, an
 *                                   # IPFilterRule as text, or a list of those: what matches none is not
 * meant track: connection           # required: connection | subscriber | subscriber-rule | source | #
 * destination | pair | rule | apn; source, destination and pair # with prefixes of IPv4 and IPv6:
 * source/24/56; default: whole, /64 count: payload-packets      # packets (default) | bytes | payload-packets
 * | syns | # new-connections | open-connections | failed-connections | # distinct-remote-ports |
 * distinct-remote-addresses | # distinct-local-ports limit: {count: 100, window: 60s, kind: exact}       #
 * required; or a list of at most 4: any may fire # kind: exact | sliding | bucket | fixed | ewma; default:
 * exact up to # 256, sliding above and for bytes and distinct values. # bucket: burst: N (default: count /
 * 10, at least 1) verdict: drop               # alert (default) | drop | drop-connection | quarantine |
 * redirect | # police | mirror | notify quarantine: [blocked, ..]   # rules or base names of the policy
 * directory redirect: {url: "http://top-up.example/"}           # or {ipv4: ..}, {ipv6: ..} police: 64kbit
 *       mirror: eth9
 *       block: {hard: 120s, idle: 30s, extend: true}        # without: only what is in excess is acted on
 *       repeat: {factor: 2, max: 1h, forget: 24h, jitter: 10%}
 *       escalate: {track: subscriber, after: 3, within: 10m}
 *       clear: {below: 50%, for: 30s}
 *       log: first                  # first (default) | {every: N} | {interval: T} | {backoff: N}
 *       exempt: {subscribers: [IMSI, ..], remote: [192.0.2.0/24, ..]}
 *       evidence: {packets: 8, headers: 128}
 *       engine: inline              # inline (default) | poll
 *       interval: 1s                # of poll
 *       mode: enforce               # enforce (default) | observe
 *       when_full: fail-open        # fail-open (default) | alert-only | fail-closed
 *       severity: 2                 # 1 to 4, default 2
 *       class: attempted-dos        # default misc-activity
 *       subscribers: [IMSI, ..]     # only for these, in the place of the rule of the same name
 *
 * Errors are FILE:LINE: key.path: what is wrong; allowed: what would be right.
 */
#ifndef SL_IDS_DOCUMENT_H
#define SL_IDS_DOCUMENT_H

#include "base/error.h"
#include "config/yaml.h"
#include "ids/rule.h"

#define SL_IDS_RESERVED_NAME "operator" /* whose blocks are nobody's rule */

/*
 * Reads a rule; what it names of the directory is not looked for. Not sealed.
 * -EINVAL, -ENOMEM. To be cleared with sl_ids_rule_clear.
 */
int sl_ids_document_read(struct sl_yaml_node node, struct sl_ids_rule *out, struct sl_error *err);

#endif
