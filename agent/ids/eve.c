// SPDX-License-Identifier: Apache-2.0
#include "ids/eve.h"

#include <arpa/inet.h>
#include <jansson.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NS_PER_S 1000000000ull
#define GID	 1 /* generator: the only one */

const char *sl_ids_time_format(uint64_t ns, char out[SL_IDS_TIME_TEXT])
{
	time_t seconds = (time_t)(ns / NS_PER_S);
	struct tm tm;
	size_t used;

	gmtime_r(&seconds, &tm);
	used = strftime(out, SL_IDS_TIME_TEXT, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(out + used, SL_IDS_TIME_TEXT - used, ".%06u+00:00", (unsigned int)(ns % NS_PER_S / 1000));
	return out;
}

const char *sl_ids_event_name(const struct sl_ids_alert *alert)
{
	static const char *const names[] = {
		[SL_IDS_ALERT_EXCESS] = "alert",	  [SL_IDS_ALERT_BLOCK] = "block",
		[SL_IDS_ALERT_EXTEND] = "extend",	  [SL_IDS_ALERT_UNBLOCK] = "unblock",
		[SL_IDS_ALERT_FULL] = "state-pressure",	  [SL_IDS_ALERT_LOST] = "lost",
		[SL_IDS_ALERT_SUPPRESSED] = "suppressed",
	};

	return names[alert->type];
}

const char *sl_ids_protocol_name(uint8_t protocol, char out[8])
{
	switch (protocol) {
	case IPPROTO_TCP:
		return "TCP";
	case IPPROTO_UDP:
		return "UDP";
	case IPPROTO_ICMP:
		return "ICMP";
	case IPPROTO_ICMPV6:
		return "IPv6-ICMP";
	case IPPROTO_SCTP:
		return "SCTP";
	default:
		snprintf(out, 8, "%u", protocol);
		return out;
	}
}

/* Texts of subscribers' sessions come from peers, which may send any bytes. */
static json_t *text_of(const char *text)
{
	json_t *json = json_string(text);
	char *copy;

	if (json)
		return json;
	copy = strdup(text);
	for (char *at = copy; at && *at; at++)
		if ((unsigned char)*at >= 0x80)
			*at = '?';
	json = copy ? json_string(copy) : NULL;
	free(copy);
	return json;
}

/* What is not known has no key. */
static void set_text(json_t *object, const char *key, const char *text)
{
	if (text && text[0])
		json_object_set_new(object, key, text_of(text));
}

static void set_number(json_t *object, const char *key, uint64_t number)
{
	json_object_set_new(object, key, json_integer((json_int_t)number));
}

static void set_packet(json_t *line, const struct sl_ids_alert *alert)
{
	int family = alert->family == 6 ? AF_INET6 : AF_INET;
	bool has_ports = alert->protocol == IPPROTO_TCP || alert->protocol == IPPROTO_UDP ||
			 alert->protocol == IPPROTO_SCTP;
	char address[INET6_ADDRSTRLEN], protocol[8];

	if (!alert->family)
		return;
	set_text(line, "src_ip", inet_ntop(family, alert->source, address, sizeof(address)));
	if (has_ports)
		set_number(line, "src_port", alert->source_port);
	set_text(line, "dest_ip", inet_ntop(family, alert->destination, address, sizeof(address)));
	if (has_ports)
		set_number(line, "dest_port", alert->destination_port);
	set_text(line, "proto", sl_ids_protocol_name(alert->protocol, protocol));
}

static json_t *alert_of(const struct sl_ids_alert *alert)
{
	json_t *object = json_object();

	set_text(object, "action", alert->action);
	set_number(object, "gid", GID);
	set_number(object, "signature_id", alert->signature);
	set_number(object, "rev", alert->revision);
	set_text(object, "signature", alert->rule);
	set_text(object, "category", alert->category);
	set_number(object, "severity", alert->severity);
	return object;
}

static json_t *own_of(const struct sl_ids_alert *alert)
{
	json_t *object = json_object(), *hits;
	char until[SL_IDS_TIME_TEXT];

	set_text(object, "event", sl_ids_event_name(alert));
	set_number(object, "sequence", alert->sequence);
	set_text(object, "subscriber", alert->imsi);
	set_text(object, "session", alert->session_address);
	set_text(object, "apn", alert->apn);
	set_text(object, "rule", alert->rule);
	set_text(object, "pcc_rule", alert->pcc_rule);
	set_text(object, "verdict", alert->verdict);
	if (alert->observe)
		json_object_set_new(object, "observe", json_true());
	if (alert->family)
		set_text(object, "direction", alert->direction == SLUICE_UPLINK ? "uplink" : "downlink");
	set_text(object, "track", alert->track);
	set_text(object, "key", alert->key);
	set_text(object, "count", alert->count);
	if (alert->limit)
		set_number(object, "limit", alert->limit);
	if (alert->window_ns)
		json_object_set_new(object, "window", json_real((double)alert->window_ns / 1e9));
	set_text(object, "kind", alert->kind);
	set_number(object, "observed", alert->observed);
	set_number(object, "level", alert->level);
	if (alert->until_ns)
		set_text(object, "until", sl_ids_time_format(alert->until_ns, until));
	set_text(object, "reason", alert->reason);
	set_number(object, "suppressed", alert->suppressed);
	if (alert->type == SL_IDS_ALERT_UNBLOCK) {
		hits = json_object();
		set_number(hits, "packets", alert->hits.packets);
		set_number(hits, "bytes", alert->hits.bytes);
		json_object_set_new(object, "hits", hits);
	}
	return object;
}

char *sl_ids_eve_format(const struct sl_ids_alert *alert, size_t *length)
{
	json_t *json = json_object();
	char time[SL_IDS_TIME_TEXT], *text, *line;

	set_text(json, "timestamp", sl_ids_time_format(alert->time_ns, time));
	if (alert->flow_id)
		set_number(json, "flow_id", alert->flow_id);
	set_text(json, "in_iface", alert->interface);
	set_text(json, "event_type", "alert");
	set_packet(json, alert);
	json_object_set_new(json, "alert", alert_of(alert));
	json_object_set_new(json, "sluice", own_of(alert));
	text = json_dumps(json, JSON_COMPACT | JSON_REAL_PRECISION(15));
	json_decref(json);
	if (!text)
		return NULL;
	*length = strlen(text) + 1;
	line = realloc(text, *length + 1);
	if (!line) {
		free(text);
		return NULL;
	}
	memcpy(line + *length - 1, "\n", 2);
	return line;
}
