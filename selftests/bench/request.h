/* SPDX-License-Identifier: Apache-2.0 */
/* The activation that the benches send: one session with BENCH_RULES rules. */
#ifndef SLUICE_BENCH_REQUEST_H
#define SLUICE_BENCH_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Rule r: UDP to and from port BENCH_FIRST_PORT + r; the first one with an MBR if
 * asked. Returns the bytes of the message.
 */
size_t request_pack(const char *imsi, const char *address, bool mbr, uint8_t *out, size_t size);

/* Dies unless every rule is in force. */
void request_check(const uint8_t *message, size_t length);

#endif
