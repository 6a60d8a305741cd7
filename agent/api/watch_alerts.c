// SPDX-License-Identifier: Apache-2.0
#include "api/watch_alerts.h"

#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "api/admin_ids.h"
#include "api/message.h"
#include "ids/eve.h"
#include "ids/names.h"

struct watcher {
	struct sl_call *call; /* NULL: free */
	char rule[SLUICE_IDS_NAME_SIZE];
	char imsi[SLUICE_IMSI_SIZE];
	uint32_t max_severity; /* 0: all */
	uint64_t missed;
};

struct sl_alert_watchers {
	struct watcher watcher[SL_ALERT_WATCHERS];
};

struct sl_alert_watchers *sl_alert_watchers_new(void)
{
	return calloc(1, sizeof(struct sl_alert_watchers));
}

void sl_alert_watchers_free(struct sl_alert_watchers *watchers)
{
	free(watchers);
}

static void gone(struct sl_call *call, void *user)
{
	struct sl_alert_watchers *watchers = user;

	for (size_t i = 0; i < SL_ALERT_WATCHERS; i++)
		if (watchers->watcher[i].call == call)
			watchers->watcher[i] = (struct watcher){0};
}

void sl_alert_watchers_end(struct sl_alert_watchers *watchers)
{
	for (size_t i = 0; i < SL_ALERT_WATCHERS; i++) {
		struct sl_call *call = watchers->watcher[i].call;

		watchers->watcher[i] = (struct watcher){0};
		if (call)
			sl_call_finish(call, SL_GRPC_UNAVAILABLE, "the agent ends");
	}
}

static void add(struct sl_alert_watchers *watchers, struct sl_call *call,
		const Sluice__V1__WatchIdsAlertsRequest *request)
{
	struct watcher watcher = {.call = call, .max_severity = request->max_severity};

	/* what is longer is nobody's name */
	if (strlen(request->rule) >= sizeof(watcher.rule) || strlen(request->imsi) >= sizeof(watcher.imsi) ||
	    request->max_severity > 4) {
		sl_call_finish(call, SL_GRPC_INVALID_ARGUMENT,
			       "rule, imsi: too long, or max_severity: above 4");
		return;
	}
	memcpy(watcher.rule, request->rule, strlen(request->rule));
	memcpy(watcher.imsi, request->imsi, strlen(request->imsi));
	for (size_t i = 0; i < SL_ALERT_WATCHERS; i++) {
		if (watchers->watcher[i].call)
			continue;
		watchers->watcher[i] = watcher;
		sl_call_on_gone(call, gone, watchers);
		return;
	}
	sl_call_finish(call, SL_GRPC_RESOURCE_EXHAUSTED, "too many watchers");
}

void sl_admin_watch_ids_alerts(struct sl_call *call, const uint8_t *bytes, size_t length, void *user)
{
	struct sl_service *service = user;
	ProtobufCMessage *message;
	struct sl_error err;
	int rc;

	rc = sl_message_unpack(&sluice__v1__watch_ids_alerts_request__descriptor, bytes, length, &message,
			       &err);
	if (rc < 0) {
		sl_call_finish(call, sl_status_of(rc), err.text);
		return;
	}
	add(sl_watchers_alerts(service->watchers), call, (Sluice__V1__WatchIdsAlertsRequest *)message);
	sl_message_free(message);
}

/* --- alerts -------------------------------------------------------------------------------------- */

struct packet_text {
	char source[INET6_ADDRSTRLEN], destination[INET6_ADDRSTRLEN], protocol[8];
};

static void fill_packet(Sluice__V1__IdsAlert *message, const struct sl_ids_alert *alert,
			struct packet_text *text)
{
	int family = alert->family == 6 ? AF_INET6 : AF_INET;

	if (!alert->family)
		return;
	inet_ntop(family, alert->source, text->source, sizeof(text->source));
	inet_ntop(family, alert->destination, text->destination, sizeof(text->destination));
	message->direction = alert->direction == SLUICE_UPLINK ? "uplink" : "downlink";
	message->interface = (char *)alert->interface;
	message->protocol = (char *)sl_ids_protocol_name(alert->protocol, text->protocol);
	message->source = text->source;
	message->source_port = alert->source_port;
	message->destination = text->destination;
	message->destination_port = alert->destination_port;
}

static void fill(Sluice__V1__IdsAlert *message, const struct sl_ids_alert *alert)
{
	message->time_us = alert->time_ns / 1000;
	message->event = (char *)sl_ids_event_name(alert);
	message->sequence = alert->sequence;
	message->suppressed = alert->suppressed;
	message->flow_id = alert->flow_id;
	message->rule = (char *)alert->rule;
	message->number = alert->signature;
	message->revision = alert->revision;
	message->category = (char *)alert->category;
	message->severity = alert->severity;
	message->action = (char *)alert->action;
	message->verdict = (char *)(alert->verdict ? alert->verdict : "");
	message->observe = alert->observe;
	message->imsi = (char *)alert->imsi;
	message->session = (char *)alert->session_address;
	message->apn = (char *)alert->apn;
	message->pcc_rule = (char *)alert->pcc_rule;
	message->track = (char *)alert->track;
	message->key = (char *)alert->key;
	message->count = (char *)alert->count;
	message->limit = alert->limit;
	message->window_ms = alert->window_ns / 1000000;
	message->kind = (char *)alert->kind;
	message->observed = alert->observed;
	message->level = alert->level;
	message->until_ms = alert->until_ns / 1000000;
	message->reason = (char *)alert->reason;
	message->hit_packets = alert->hits.packets;
	message->hit_bytes = alert->hits.bytes;
}

static bool is_wanted(const struct watcher *watcher, const struct sl_ids_alert *alert)
{
	return watcher->call && (!watcher->rule[0] || strcmp(watcher->rule, alert->rule) == 0) &&
	       (!watcher->imsi[0] || strcmp(watcher->imsi, alert->imsi) == 0) &&
	       (!watcher->max_severity || alert->severity <= watcher->max_severity);
}

void sl_watch_alert(struct sl_watchers *watchers, const struct sl_ids_alert *alert)
{
	Sluice__V1__IdsAlert message = SLUICE__V1__IDS_ALERT__INIT;
	struct packet_text text;
	struct sl_alert_watchers *of;

	if (!watchers)
		return;
	of = sl_watchers_alerts(watchers);
	fill(&message, alert);
	fill_packet(&message, alert, &text);
	for (size_t i = 0; i < SL_ALERT_WATCHERS; i++) {
		struct watcher *watcher = &of->watcher[i];

		if (!is_wanted(watcher, alert))
			continue;
		message.missed = watcher->missed;
		if (sl_message_send(watcher->call, &message.base))
			watcher->missed++;
		else
			watcher->missed = 0;
	}
	message.missed = 0;
	if (strcmp(message.verdict, sl_ids_verdict_name(SLUICE_IDS_NOTIFY)) == 0)
		sl_watch_notify(watchers, &message);
}
