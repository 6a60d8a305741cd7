/* SPDX-License-Identifier: Apache-2.0 */
/* The small grammars of gRPC over HTTP/2: grpc-message, grpc-timeout, and status from other layers' codes. */
#ifndef SL_API_GRPC_STATUS_H
#define SL_API_GRPC_STATUS_H

#include <stddef.h>
#include <stdint.h>

#include "api/grpc.h"

/* Longest text that goes into a grpc-message before percent-encoding, in bytes; the rest is cut. */
#define SL_GRPC_TEXT_MAX     1024
#define SL_GRPC_ENCODED_SIZE (3 * SL_GRPC_TEXT_MAX + 1)

/* Percent-encodes into out (SL_GRPC_ENCODED_SIZE bytes, NUL-terminated) and returns the length. Cuts between
 * characters. */
size_t sl_grpc_percent_encode(const char *text, char *out);

/* The way back, lenient: a broken escape stays as it is. Cut at size - 1, NUL-terminated; NUL bytes become
 * '?'. */
void sl_grpc_percent_decode(const uint8_t *value, size_t length, char *out, size_t size);

/* grpc-timeout: one to eight digits and a unit of H M S m u n, rounded up to milliseconds. -EINVAL. */
int sl_grpc_parse_timeout(const uint8_t *value, size_t length, uint64_t *ms);

/* Status of an answer that has no grpc-status: from its HTTP status, or from the HTTP/2 code that ended the
 * stream. */
enum sl_grpc_status sl_grpc_status_from_http(int http);
enum sl_grpc_status sl_grpc_status_from_h2(uint32_t error_code);

#endif
