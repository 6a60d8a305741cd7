/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Headers of packets that alerts are about, as pcapng, which any reader of captures opens: each day (UTC) has
 * sluice-YYYYMMDD-eth.pcapng and, for interfaces without Ethernet, -raw.pcapng. Each packet's comment has the
 * flow_id of its alert, and the rule. Each start of the agent begins a section of its own in the file.
 */
#ifndef SL_IDS_EVIDENCE_H
#define SL_IDS_EVIDENCE_H

#include <stdint.h>

#include "base/error.h"
#include "ids/alert.h"

struct sl_ids_evidence;

/* Makes the directory if it is missing. max_size: bytes of all such files; the oldest goes, today's never. */
int sl_ids_evidence_open(const char *directory, uint64_t max_size, struct sl_ids_evidence **out,
			 struct sl_error *err);
void sl_ids_evidence_close(struct sl_ids_evidence *evidence);
void sl_ids_evidence_reopen(struct sl_ids_evidence *evidence);

/*
 * At most `headers` bytes of the packet. A packet is in the file whole or not at all. -ENOSPC: today's
 * file alone is max_size; otherwise the errno of writing.
 */
int sl_ids_evidence_write(struct sl_ids_evidence *evidence, const struct sl_ids_alert *alert,
			  uint32_t headers);

#endif
