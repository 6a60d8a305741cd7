/* SPDX-License-Identifier: Apache-2.0 */
/* The activation that the benches send: one session with BENCH_RULES rules. */
#ifndef SLUICE_BENCH_REQUEST_H
#define SLUICE_BENCH_REQUEST_H

#include <stddef.h>
#include <stdint.h>

/* 10 Mbit/s each way: of the first rule, or of all rules together. */
enum request_rate { REQUEST_NO_RATE, REQUEST_MBR, REQUEST_AMBR };

/* Rule r: UDP to and from port BENCH_FIRST_PORT + r. Returns the bytes of the message. */
size_t request_pack(const char *imsi, const char *address, enum request_rate rate, uint8_t *out, size_t size);

/* Dies unless every rule is in force. */
void request_check(const uint8_t *message, size_t length);

#endif
