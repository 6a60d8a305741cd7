// SPDX-License-Identifier: Apache-2.0
#include "api/watch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/admin_policy.h"
#include "api/admin_quotas.h"
#include "api/admin_views.h"
#include "api/message.h"
#include "api/watch_alerts.h"

struct watcher {
	struct sl_call *call; /* NULL: free */
	bool drops;
	uint64_t missed;
};

struct sl_watchers {
	struct sl_service *service;
	struct watcher watcher[SL_WATCHERS];
	struct sl_alert_watchers *alerts;
};

int sl_watchers_new(struct sl_service *service, struct sl_watchers **out)
{
	struct sl_watchers *watchers = calloc(1, sizeof(*watchers));

	if (!watchers)
		return -ENOMEM;
	watchers->alerts = sl_alert_watchers_new();
	if (!watchers->alerts) {
		free(watchers);
		return -ENOMEM;
	}
	watchers->service = service;
	*out = watchers;
	return 0;
}

void sl_watchers_free(struct sl_watchers *watchers)
{
	if (!watchers)
		return;
	sl_alert_watchers_free(watchers->alerts);
	free(watchers);
}

struct sl_alert_watchers *sl_watchers_alerts(struct sl_watchers *watchers)
{
	return watchers->alerts;
}

/* The kernel makes drop records only while somebody reads them. */
static void update_drops(struct sl_watchers *watchers)
{
	bool on = false;

	for (size_t i = 0; i < SL_WATCHERS; i++)
		on = on || (watchers->watcher[i].call && watchers->watcher[i].drops);
	sl_watch_drops(watchers->service->datapath, on);
}

static void gone(struct sl_call *call, void *user)
{
	struct sl_watchers *watchers = user;

	for (size_t i = 0; i < SL_WATCHERS; i++)
		if (watchers->watcher[i].call == call)
			watchers->watcher[i] = (struct watcher){0};
	update_drops(watchers);
}

void sl_watchers_add(struct sl_watchers *watchers, struct sl_call *call, bool drops)
{
	for (size_t i = 0; i < SL_WATCHERS; i++) {
		if (watchers->watcher[i].call)
			continue;
		watchers->watcher[i] = (struct watcher){.call = call, .drops = drops};
		sl_call_on_gone(call, gone, watchers);
		update_drops(watchers);
		return;
	}
	sl_call_finish(call, SL_GRPC_RESOURCE_EXHAUSTED, "too many watchers");
}

void sl_watchers_end(struct sl_watchers *watchers)
{
	sl_alert_watchers_end(watchers->alerts);
	for (size_t i = 0; i < SL_WATCHERS; i++) {
		struct sl_call *call = watchers->watcher[i].call;

		watchers->watcher[i] = (struct watcher){0};
		if (call)
			sl_call_finish(call, SL_GRPC_UNAVAILABLE, "the agent ends");
	}
	update_drops(watchers);
}

static void tell(struct sl_watchers *watchers, Sluice__V1__Event *event)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	event->time_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
	for (size_t i = 0; i < SL_WATCHERS; i++) {
		struct watcher *watcher = &watchers->watcher[i];

		if (!watcher->call)
			continue;
		if (event->event_case == SLUICE__V1__EVENT__EVENT_PACKET_DROPPED && !watcher->drops)
			continue;
		event->missed = watcher->missed;
		if (sl_message_send(watcher->call, &event->base))
			watcher->missed++;
		else
			watcher->missed = 0;
	}
}

/* A macro, because each message that has these fields is a type of its own. */
#define SAY_RULE(message, from, text)                        \
	do {                                                 \
		(message).imsi = (char *)(from)->imsi;       \
		(message).address = (text);                  \
		(message).rule_id = (char *)(from)->rule_id; \
		(message).version = (from)->version;         \
	} while (0)

void sl_watch_session(struct sl_watchers *watchers, const struct sl_control_event *from)
{
	Sluice__V1__Event event = SLUICE__V1__EVENT__INIT;
	Sluice__V1__SessionEvent session = SLUICE__V1__SESSION_EVENT__INIT;
	Sluice__V1__RuleFailed failed = SLUICE__V1__RULE_FAILED__INIT;
	Sluice__V1__RuleExpired expired = SLUICE__V1__RULE_EXPIRED__INIT;
	Sluice__V1__RulePoliced policed = SLUICE__V1__RULE_POLICED__INIT;
	Sluice__V1__SessionPoliced session_policed = SLUICE__V1__SESSION_POLICED__INIT;
	Sluice__V1__RulePreempted preempted = SLUICE__V1__RULE_PREEMPTED__INIT;
	Sluice__V1__Quota quota;
	Sluice__V1__Repaired repaired = SLUICE__V1__REPAIRED__INIT;
	char address[SL_ADDRESS_TEXT] = "";

	if (from->address)
		sl_address_format(from->address, address);
	session.imsi = (char *)from->imsi;
	session.address = address;
	session.rules = from->rules;
	session.state = sl_view_state(from->state);
	session.state_since_ms = sl_view_wall_ms(from->state_since_ns);
	switch (from->type) {
	case SL_EVENT_SESSION_ACTIVATED:
		event.event_case = SLUICE__V1__EVENT__EVENT_SESSION_ACTIVATED;
		event.session_activated = &session;
		break;
	case SL_EVENT_SESSION_UPDATED:
		event.event_case = SLUICE__V1__EVENT__EVENT_SESSION_UPDATED;
		event.session_updated = &session;
		break;
	case SL_EVENT_SESSION_ENDED:
		event.event_case = SLUICE__V1__EVENT__EVENT_SESSION_ENDED;
		event.session_ended = &session;
		break;
	case SL_EVENT_SESSION_RESTRICTED:
		event.event_case = SLUICE__V1__EVENT__EVENT_SESSION_RESTRICTED;
		event.session_restricted = &session;
		break;
	case SL_EVENT_SESSION_REDIRECTED:
		event.event_case = SLUICE__V1__EVENT__EVENT_SESSION_REDIRECTED;
		event.session_redirected = &session;
		break;
	case SL_EVENT_SESSION_RELEASED:
		event.event_case = SLUICE__V1__EVENT__EVENT_SESSION_RELEASED;
		event.session_released = &session;
		break;
	case SL_EVENT_REPAIRED:
		repaired.imsi = (char *)(from->imsi ? from->imsi : "");
		repaired.address = address;
		repaired.what = (char *)from->reason;
		event.event_case = SLUICE__V1__EVENT__EVENT_REPAIRED;
		event.repaired = &repaired;
		break;
	case SL_EVENT_RULE_EXPIRED:
		SAY_RULE(expired, from, address);
		event.event_case = SLUICE__V1__EVENT__EVENT_RULE_EXPIRED;
		event.rule_expired = &expired;
		break;
	case SL_EVENT_RULE_POLICED:
		SAY_RULE(policed, from, address);
		policed.reason = (char *)from->reason;
		event.event_case = SLUICE__V1__EVENT__EVENT_RULE_POLICED;
		event.rule_policed = &policed;
		break;
	case SL_EVENT_SESSION_POLICED:
		session_policed.imsi = (char *)from->imsi;
		session_policed.address = address;
		session_policed.reason = (char *)from->reason;
		event.event_case = SLUICE__V1__EVENT__EVENT_SESSION_POLICED;
		event.session_policed = &session_policed;
		break;
	case SL_EVENT_RULE_PREEMPTED:
		SAY_RULE(preempted, from, address);
		preempted.reason = (char *)from->reason;
		event.event_case = SLUICE__V1__EVENT__EVENT_RULE_PREEMPTED;
		event.rule_preempted = &preempted;
		break;
	case SL_EVENT_QUOTA_THRESHOLD:
		sl_view_quota(from->quota, address, &quota);
		event.event_case = SLUICE__V1__EVENT__EVENT_QUOTA_THRESHOLD;
		event.quota_threshold = &quota;
		break;
	case SL_EVENT_QUOTA_USED_UP:
		sl_view_quota(from->quota, address, &quota);
		event.event_case = SLUICE__V1__EVENT__EVENT_QUOTA_USED_UP;
		event.quota_used_up = &quota;
		break;
	case SL_EVENT_QUOTA_GRANTED:
		sl_view_quota(from->quota, address, &quota);
		event.event_case = SLUICE__V1__EVENT__EVENT_QUOTA_GRANTED;
		event.quota_granted = &quota;
		break;
	case SL_EVENT_RULE_FAILED:
		SAY_RULE(failed, from, address);
		failed.reason = (char *)from->reason;
		event.event_case = SLUICE__V1__EVENT__EVENT_RULE_FAILED;
		event.rule_failed = &failed;
		break;
	}
	tell(watchers, &event);
}

static const char *const reasons[] = {
#define X(name, text, why) text,
	SLUICE_DROP_REASONS(X)
#undef X
};

static void format_protocol(uint8_t protocol, char *out, size_t size)
{
	static const struct {
		uint8_t number;
		const char *name;
	} known[] = {
		{IPPROTO_ICMP, "icmp"}, {IPPROTO_TCP, "tcp"}, {IPPROTO_UDP, "udp"},
		{IPPROTO_GRE, "gre"},	{IPPROTO_ESP, "esp"}, {IPPROTO_ICMPV6, "icmpv6"},
		{IPPROTO_SCTP, "sctp"},
	};

	for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
		if (known[i].number == protocol) {
			snprintf(out, size, "%s", known[i].name);
			return;
		}
	}
	snprintf(out, size, "%u", protocol);
}

void sl_watch_drop(struct sl_watchers *watchers, const struct sluice_drop_event *from)
{
	Sluice__V1__Event event = SLUICE__V1__EVENT__INIT;
	Sluice__V1__PacketDropped drop = SLUICE__V1__PACKET_DROPPED__INIT;
	char source[SL_ADDRESS_TEXT], destination[SL_ADDRESS_TEXT], protocol[32], ports[2][8] = {"", ""};
	char interface[IF_NAMESIZE] = "";
	const char *imsi, *rule_id;

	sl_control_owner(watchers->service->control, from->usage, &imsi, &rule_id);
	drop.reason = (char *)(from->reason < SLUICE_DROP_REASON_COUNT ? reasons[from->reason] : "unknown");
	drop.direction = from->direction == SLUICE_UPLINK ? "uplink" : "downlink";
	drop.imsi = (char *)(imsi ? imsi : "");
	drop.rule_id = (char *)(rule_id && from->reason == SLUICE_DROP_RULE_DENY ? rule_id : "");
	if (if_indextoname(from->ifindex, interface))
		drop.interface = interface;
	if (from->family) {
		int family = from->family == 4 ? AF_INET : AF_INET6;

		inet_ntop(family, from->source, source, sizeof(source));
		inet_ntop(family, from->destination, destination, sizeof(destination));
		format_protocol(from->protocol, protocol, sizeof(protocol));
		drop.source = source;
		drop.destination = destination;
		drop.protocol = protocol;
	}
	if (from->source_port || from->destination_port) {
		snprintf(ports[0], sizeof(ports[0]), "%u", from->source_port);
		snprintf(ports[1], sizeof(ports[1]), "%u", from->destination_port);
	}
	drop.source_port = ports[0];
	drop.destination_port = ports[1];
	drop.bytes = from->bytes;
	event.event_case = SLUICE__V1__EVENT__EVENT_PACKET_DROPPED;
	event.packet_dropped = &drop;
	tell(watchers, &event);
}

void sl_watch_usage_reported(struct sl_watchers *watchers, size_t records)
{
	Sluice__V1__Event event = SLUICE__V1__EVENT__INIT;
	Sluice__V1__UsageReported reported = SLUICE__V1__USAGE_REPORTED__INIT;

	reported.records = (uint32_t)records;
	event.event_case = SLUICE__V1__EVENT__EVENT_USAGE_REPORTED;
	event.usage_reported = &reported;
	tell(watchers, &event);
}

void sl_watch_session_manager(struct sl_watchers *watchers, bool up, const char *reason)
{
	Sluice__V1__Event event = SLUICE__V1__EVENT__INIT;
	Sluice__V1__SessionManagerChange change = SLUICE__V1__SESSION_MANAGER_CHANGE__INIT;

	change.address = (char *)watchers->service->session_manager;
	change.reason = (char *)(reason ? reason : "");
	if (up) {
		event.event_case = SLUICE__V1__EVENT__EVENT_SESSION_MANAGER_UP;
		event.session_manager_up = &change;
	} else {
		event.event_case = SLUICE__V1__EVENT__EVENT_SESSION_MANAGER_DOWN;
		event.session_manager_down = &change;
	}
	tell(watchers, &event);
}

void sl_watch_pool(struct sl_watchers *watchers, const char *pool, const char *state, uint64_t used,
		   uint64_t size)
{
	Sluice__V1__Event event = SLUICE__V1__EVENT__INIT;
	Sluice__V1__PoolEvent change = SLUICE__V1__POOL_EVENT__INIT;

	change.pool = (char *)pool;
	change.state = (char *)state;
	change.used = used;
	change.size = size;
	event.event_case = SLUICE__V1__EVENT__EVENT_POOL;
	event.pool = &change;
	tell(watchers, &event);
}

void sl_watch_notify(struct sl_watchers *watchers, Sluice__V1__IdsAlert *alert)
{
	Sluice__V1__Event event = SLUICE__V1__EVENT__INIT;

	event.event_case = SLUICE__V1__EVENT__EVENT_IDS_NOTIFY;
	event.ids_notify = alert;
	tell(watchers, &event);
}

void sl_watch_policy(struct sl_watchers *watchers)
{
	Sluice__V1__Event event = SLUICE__V1__EVENT__INIT;
	Sluice__V1__PolicyDirectory directory;

	sl_view_policy_directory(watchers->service->policy, &directory);
	event.event_case = SLUICE__V1__EVENT__EVENT_POLICY_READ;
	event.policy_read = &directory;
	tell(watchers, &event);
}

void sl_watch_repair(struct sl_watchers *watchers, const struct sl_desired_repair *from)
{
	Sluice__V1__Event event = SLUICE__V1__EVENT__INIT;
	Sluice__V1__DesiredRepaired repaired = SLUICE__V1__DESIRED_REPAIRED__INIT;
	char address[SL_ADDRESS_TEXT];

	sl_address_format(from->address, address);
	SAY_RULE(repaired, from, address);
	repaired.was = (char *)from->what;
	event.event_case = SLUICE__V1__EVENT__EVENT_DESIRED_REPAIRED;
	event.desired_repaired = &repaired;
	tell(watchers, &event);
}
