// SPDX-License-Identifier: Apache-2.0
#include "ids/cef.h"

#include <arpa/inet.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "ids/eve.h"

#define NS_PER_MS 1000000u

struct line {
	char *at;
	size_t used, size;
};

/* With a backslash before each of `special`; whole, or not at all. */
static void put(struct line *line, const char *before, const char *value, const char *special)
{
	size_t wanted = strlen(before);

	for (const char *at = value; *at; at++)
		wanted += 1 + (strchr(special, *at) != NULL);
	if (line->used + wanted >= line->size)
		return;
	memcpy(line->at + line->used, before, strlen(before));
	line->used += strlen(before);
	for (const char *at = value; *at; at++) {
		unsigned char c = (unsigned char)*at;

		if (strchr(special, *at))
			line->at[line->used++] = '\\';
		line->at[line->used++] = c < 0x20 || c >= 0x7f ? '?' : *at;
	}
	line->at[line->used] = '\0';
}

static void put_field(struct line *line, const char *value)
{
	put(line, "|", value, "|\\");
}

static void put_key(struct line *line, const char *key, const char *value)
{
	char before[40];

	if (!value || !value[0])
		return;
	/* the first key comes after a bar */
	snprintf(before, sizeof(before), "%s%s=", line->at[line->used - 1] == '|' ? "" : " ", key);
	put(line, before, value, "=\\");
}

static void put_number(struct line *line, const char *key, uint64_t number)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%" PRIu64, number);
	put_key(line, key, digits);
}

/* What the dictionary has no key for: cs1 and cs1Label, .. */
static void put_custom(struct line *line, const char *key, const char *label, const char *value)
{
	char name[32];

	if (!value[0])
		return;
	snprintf(name, sizeof(name), "%sLabel", key);
	put_key(line, key, value);
	put_key(line, name, label);
}

static void put_custom_number(struct line *line, const char *key, const char *label, uint64_t number)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%" PRIu64, number);
	put_custom(line, key, label, digits);
}

static void put_packet(struct line *line, const struct sl_ids_alert *alert)
{
	const bool six = alert->family == 6;
	char source[INET6_ADDRSTRLEN], destination[INET6_ADDRSTRLEN], protocol[8];

	if (!alert->family)
		return;
	inet_ntop(six ? AF_INET6 : AF_INET, alert->source, source, sizeof(source));
	inet_ntop(six ? AF_INET6 : AF_INET, alert->destination, destination, sizeof(destination));
	/* src and dst are of IPv4 */
	if (six) {
		put_custom(line, "c6a2", "Source IPv6 Address", source);
		put_custom(line, "c6a3", "Destination IPv6 Address", destination);
	} else {
		put_key(line, "src", source);
		put_key(line, "dst", destination);
	}
	if (alert->source_port || alert->destination_port) {
		put_number(line, "spt", alert->source_port);
		put_number(line, "dpt", alert->destination_port);
	}
	put_key(line, "proto", sl_ids_protocol_name(alert->protocol, protocol));
	put_key(line, "deviceInboundInterface", alert->interface);
	put_key(line, "deviceDirection", alert->direction == SLUICE_UPLINK ? "1" : "0");
}

/* 0 to 10. */
static const char *severity_of(const struct sl_ids_alert *alert)
{
	static const char *const severities[] = {"10", "8", "6", "4"};

	if (alert->type == SL_IDS_ALERT_UNBLOCK)
		return "1";
	return severities[alert->severity < 1 ? 0 : alert->severity > 4 ? 3 : alert->severity - 1];
}

size_t sl_ids_cef_format(const struct sl_ids_alert *alert, char *out, size_t size)
{
	struct line line = {.at = out, .size = size};
	char signature[16], name[128];

	snprintf(signature, sizeof(signature), "%" PRIu32, alert->signature);
	snprintf(name, sizeof(name), "%s %s", sl_ids_event_name(alert), alert->rule);
	put(&line, "CEF:0", "", "");
	put_field(&line, "sluice");
	put_field(&line, "sluiced");
	put_field(&line, SLUICE_VERSION);
	put_field(&line, signature);
	put_field(&line, name);
	put_field(&line, severity_of(alert));
	put(&line, "|", "", "");
	put_number(&line, "rt", alert->time_ns / NS_PER_MS);
	put_key(&line, "act", alert->action);
	put_key(&line, "cat", alert->category);
	put_packet(&line, alert);
	put_key(&line, "suser", alert->imsi);
	put_key(&line, "reason", alert->reason);
	if (alert->flow_id)
		put_number(&line, "externalId", alert->flow_id);
	put_custom(&line, "cs1", "rule", alert->rule);
	put_custom(&line, "cs2", "key", alert->key);
	put_custom(&line, "cs3", "count", alert->count);
	put_custom(&line, "cs4", "pcc rule", alert->pcc_rule);
	put_custom(&line, "cs5", "apn", alert->apn);
	put_custom(&line, "cs6", "verdict", alert->observe ? "observe" : alert->verdict);
	if (alert->window_ns) {
		put_custom_number(&line, "cn1", "limit", alert->limit);
		put_custom_number(&line, "cn2", "window ms", alert->window_ns / NS_PER_MS);
	}
	put_custom_number(&line, "cn3", "observed", alert->observed);
	/* how many this one stands for */
	put_number(&line, "cnt", alert->suppressed + 1);
	if (alert->until_ns)
		put_number(&line, "end", alert->until_ns / NS_PER_MS);
	return line.used;
}
