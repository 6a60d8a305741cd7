// SPDX-License-Identifier: Apache-2.0
#include "api/grpc_status.h"

#include <errno.h>
#include <nghttp2/nghttp2.h>
#include <string.h>

#include "base/cleanup.h"

static const char hex[] = "0123456789ABCDEF";

const char *sl_grpc_status_name(enum sl_grpc_status status)
{
	static const char *const names[] = {
		"OK",
		"CANCELLED",
		"UNKNOWN",
		"INVALID_ARGUMENT",
		"DEADLINE_EXCEEDED",
		"NOT_FOUND",
		"ALREADY_EXISTS",
		"PERMISSION_DENIED",
		"RESOURCE_EXHAUSTED",
		"FAILED_PRECONDITION",
		"ABORTED",
		"OUT_OF_RANGE",
		"UNIMPLEMENTED",
		"INTERNAL",
		"UNAVAILABLE",
		"DATA_LOSS",
		"UNAUTHENTICATED",
	};

	return (unsigned int)status < SL_ARRAY_SIZE(names) ? names[status] : "UNKNOWN";
}

size_t sl_grpc_percent_encode(const char *text, char *out)
{
	size_t length = strnlen(text, SL_GRPC_TEXT_MAX + 1);
	size_t used = 0;

	if (length > SL_GRPC_TEXT_MAX) {
		length = SL_GRPC_TEXT_MAX;
		/* bytes 10xxxxxx continue a UTF-8 character */
		while (length > 0 && ((unsigned char)text[length] & 0xc0) == 0x80)
			length--;
	}
	for (size_t i = 0; i < length; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c >= ' ' && c <= '~' && c != '%') {
			out[used++] = (char)c;
		} else {
			out[used++] = '%';
			out[used++] = hex[c >> 4];
			out[used++] = hex[c & 15];
		}
	}
	out[used] = '\0';
	return used;
}

static int hex_value(uint8_t c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	return -1;
}

void sl_grpc_percent_decode(const uint8_t *value, size_t length, char *out, size_t size)
{
	size_t used = 0;

	for (size_t i = 0; i < length && used < size - 1; i++) {
		int c = value[i];

		if (c == '%' && i + 2 < length && hex_value(value[i + 1]) >= 0 &&
		    hex_value(value[i + 2]) >= 0) {
			c = hex_value(value[i + 1]) << 4 | hex_value(value[i + 2]);
			i += 2;
		}
		out[used++] = (char)(c ? c : '?');
	}
	out[used] = '\0';
}

int sl_grpc_parse_timeout(const uint8_t *value, size_t length, uint64_t *ms)
{
	uint64_t amount = 0;

	if (length < 2 || length > 9)
		return -EINVAL;
	for (size_t i = 0; i < length - 1; i++) {
		if (value[i] < '0' || value[i] > '9')
			return -EINVAL;
		amount = amount * 10 + (value[i] - '0');
	}
	switch (value[length - 1]) {
	case 'H':
		*ms = amount * 3600 * 1000;
		return 0;
	case 'M':
		*ms = amount * 60 * 1000;
		return 0;
	case 'S':
		*ms = amount * 1000;
		return 0;
	case 'm':
		*ms = amount;
		return 0;
	case 'u':
		*ms = (amount + 999) / 1000;
		return 0;
	case 'n':
		*ms = (amount + 999999) / 1000000;
		return 0;
	default:
		return -EINVAL;
	}
}

/* https://github.com/grpc/grpc/blob/master/doc/http-grpc-status-mapping.md */
enum sl_grpc_status sl_grpc_status_from_http(int http)
{
	switch (http) {
	case 400:
		return SL_GRPC_INTERNAL;
	case 401:
		return SL_GRPC_UNAUTHENTICATED;
	case 403:
		return SL_GRPC_PERMISSION_DENIED;
	case 404:
		return SL_GRPC_UNIMPLEMENTED;
	case 429:
	case 502:
	case 503:
	case 504:
		return SL_GRPC_UNAVAILABLE;
	default:
		return SL_GRPC_UNKNOWN;
	}
}

/* https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md, "Errors" */
enum sl_grpc_status sl_grpc_status_from_h2(uint32_t error_code)
{
	switch (error_code) {
	case NGHTTP2_REFUSED_STREAM:
		return SL_GRPC_UNAVAILABLE;
	case NGHTTP2_CANCEL:
		return SL_GRPC_CANCELLED;
	case NGHTTP2_ENHANCE_YOUR_CALM:
		return SL_GRPC_RESOURCE_EXHAUSTED;
	case NGHTTP2_INADEQUATE_SECURITY:
		return SL_GRPC_PERMISSION_DENIED;
	default:
		return SL_GRPC_INTERNAL;
	}
}
