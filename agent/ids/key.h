/* SPDX-License-Identifier: Apache-2.0 */
/* What IDS rules track and blocks are about, as text and back. Pure. */
#ifndef SL_IDS_KEY_H
#define SL_IDS_KEY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "policy/address.h"
#include "sluice/ids.h"

#define SL_IDS_KEY_TEXT 128

/*
 * "subscriber 001010000000001", "source 192.0.2.1", "pair 192.0.2.1 198.51.100.1",
 * "connection 192.0.2.1:5000 198.51.100.1:5222 tcp" (IPv6: [2001:db8::1]:5000), "apn 3", "rule",
 * "subscriber-rule 001010000000001 17": local side first. Returns the buffer.
 */
const char *sl_ids_key_format(const struct sluice_ids_key *key, char out[SL_IDS_KEY_TEXT]);

/*
 * The key of an operator's block: "subscriber IMSI", "source A", "destination A", "pair LOCAL REMOTE",
 * "connection LOCAL:PORT REMOTE:PORT PROTOCOL" (tcp, udp, sctp, or a number; without ports A A PROTOCOL).
 * -EINVAL with what is wrong.
 */
int sl_ids_key_parse(const char *text, struct sluice_ids_key *out, struct sl_error *err);

/* The same for the two sides of a connection, and for both of its directions; never 0. */
uint64_t sl_ids_flow_id(const struct sluice_ids_event *event);

/* The subscriber's address of a key that has it, family 0 of another. */
struct sl_address sl_ids_key_local(const struct sluice_ids_key *key);

#endif
