// SPDX-License-Identifier: Apache-2.0
/*
 * Bytes of a peer as an IPFilterRule, in both dialects. What is taken must come
 * back from its canonical text; what the narrow dialect takes and has no ports
 * with "ip", the full one takes as well; a refusal has a column within the text.
 * The bytes before the first NUL are the rule, those behind it a packet.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/ipfilter.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition, const char *what)
{
	if (condition)
		return;
	fprintf(stderr, "fuzz_ipfilter: %s\n", what);
	abort();
}

static void require_reason(const struct sl_error *err, size_t length)
{
	size_t column = 0;

	require(sscanf(err->text, "f: column %zu: expected ", &column) == 1, "a reason without a column");
	require(column >= 1 && column <= length + 1, "a column outside the text");
	require(strstr(err->text, ", found ") != NULL, "a reason that does not say what was found");
}

static void require_round_trip(const struct sl_ipfilter *rule, enum sl_ipfilter_dialect dialect)
{
	char text[SL_IPFILTER_TEXT], again[SL_IPFILTER_TEXT];
	struct sl_ipfilter parsed;

	sl_ipfilter_format(rule, text);
	require(sl_ipfilter_parse("f", text, strlen(text), dialect, &parsed, NULL) == 0,
		"a canonical text that is refused");
	sl_ipfilter_format(&parsed, again);
	require(strcmp(text, again) == 0, "a canonical text that is not");
	require(rule->icmp_types >> (SL_IPFILTER_ICMP_LAST + 1) == 0, "an ICMP type out of range");
}

static void judge(const struct sl_ipfilter *rule, const uint8_t *data, size_t size)
{
	const struct sl_ipfilter_prefix prefix = {.address.family = 4, .length = 0};
	const struct sl_ipfilter_terminal terminal = {.count = 1, .prefixes = &prefix};
	struct sl_ipfilter_packet packet = {.direction = rule->direction, .protocol = rule->protocol};
	struct sl_ipfilter_verdict verdict;
	uint8_t raw[40] = {0};

	memcpy(raw, data, size < sizeof(raw) ? size : sizeof(raw));
	packet.source.family = raw[0] & 1 ? 6 : 4;
	packet.destination.family = packet.source.family;
	memcpy(packet.source.bytes, raw + 8, 16);
	memcpy(packet.destination.bytes, raw + 24, 16);
	packet.fragment_offset = raw[0] >> 1 & 3;
	packet.has_ports = raw[0] & 8;
	packet.has_tcp = raw[0] & 16;
	packet.has_icmp = raw[0] & 32;
	packet.source_port = raw[1];
	packet.destination_port = raw[2];
	packet.ip_options = raw[3];
	packet.tcp_flags = raw[4];
	packet.tcp_options = raw[5];
	packet.icmp_type = raw[6];
	verdict = sl_ipfilter_evaluate(rule, 1, &terminal, &packet);
	if (verdict.reason == SL_IPFILTER_BY_FRAGMENT_OFFSET)
		require(packet.fragment_offset == 1 && !verdict.is_passed, "a wrong drop by offset");
	else
		require(verdict.is_passed == (sl_ipfilter_matches(rule, &terminal, &packet) ==
					      (rule->action == SL_IPFILTER_PERMIT)),
			"one rule that neither matched nor was the last");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	const uint8_t *end = size ? memchr(data, '\0', size) : NULL;
	const size_t length = end ? (size_t)(end - data) : size;
	struct sl_ipfilter narrow, full;
	struct sl_error err = {""};
	int narrow_result, full_result;

	narrow_result = sl_ipfilter_parse("f", text, length, SL_IPFILTER_FLOW_DESCRIPTION, &narrow, &err);
	if (narrow_result < 0)
		require_reason(&err, length);
	else
		require_round_trip(&narrow, SL_IPFILTER_FLOW_DESCRIPTION);
	full_result = sl_ipfilter_parse("f", text, length, SL_IPFILTER_FULL, &full, &err);
	if (full_result < 0) {
		require_reason(&err, length);
		require(narrow_result < 0 || (narrow.is_any_protocol &&
					      narrow.source.port_count + narrow.destination.port_count > 0),
			"a Flow-Description that is no IPFilterRule");
		return 0;
	}
	require_round_trip(&full, SL_IPFILTER_FULL);
	judge(&full, data + length, size - length);
	return 0;
}
