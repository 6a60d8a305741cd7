/* SPDX-License-Identifier: Apache-2.0 */
/* An alert as a line of EVE JSON, with what EVE has no keys for in an object `sluice`. Pure. */
#ifndef SL_IDS_EVE_H
#define SL_IDS_EVE_H

#include <stddef.h>

#include "ids/alert.h"

#define SL_IDS_TIME_TEXT 40

/* "2026-11-25T19:29:13.123456+00:00" (RFC 3339), UTC. Returns the buffer. */
const char *sl_ids_time_format(uint64_t ns, char out[SL_IDS_TIME_TEXT]);

/* What happened: "alert", "block", "extend", "unblock", "state-pressure", "lost", "suppressed". */
const char *sl_ids_event_name(const struct sl_ids_alert *alert);

/* "TCP", "UDP", .. as EVE has them, else the number. */
const char *sl_ids_protocol_name(uint8_t protocol, char out[8]);

/*
 * A line with its newline, for the caller to free; *length without the NUL. NULL: out of memory. Bytes
 * that are not UTF-8 become "?".
 */
char *sl_ids_eve_format(const struct sl_ids_alert *alert, size_t *length);

#endif
