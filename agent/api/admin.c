// SPDX-License-Identifier: Apache-2.0
/* sluice.v1.Admin: status, drops, watch, detach; the lists are in admin_lists.c. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/admin_ids.h"
#include "api/admin_lists.h"
#include "api/admin_load.h"
#include "api/admin_policy.h"
#include "api/admin_profiles.h"
#include "api/admin_quotas.h"
#include "api/admin_redirect.h"
#include "api/admin_sessions.h"
#include "api/admin_views.h"
#include "api/message.h"
#include "api/service.h"
#include "api/watch.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"

#define MAX_HOOKS (2 * SL_DATAPATH_DEVICES * 3)
#define MAX_FILLS 32

/* Everything a Status points to, so that it needs no allocation. */
struct status {
	Sluice__V1__Status message;
	struct sl_hook_status hook_status[MAX_HOOKS];
	Sluice__V1__Hook hooks[MAX_HOOKS];
	Sluice__V1__Hook *hook_pointers[MAX_HOOKS];
	struct sl_fill fill[MAX_FILLS];
	Sluice__V1__Fill fills[MAX_FILLS];
	Sluice__V1__Fill *fill_pointers[MAX_FILLS];
	Sluice__V1__ClassPool pools[2][SLUICE_DIRECTIONS]; /* of classes, of trees */
	Sluice__V1__ClassPool *pool_pointers[2][SLUICE_DIRECTIONS];
	Sluice__V1__SessionManager session_manager;
	struct sl_reporter_stats report;
	Sluice__V1__GrpcServer server;
	Sluice__V1__PolicyDirectory policy_directory;
	Sluice__V1__DesiredState desired;
	Sluice__V1__IdsStatus ids;
	struct sl_audit_stats audit_stats;
	Sluice__V1__Audit audit;
};

static void fill_hooks(struct sl_service *service, struct status *status)
{
	size_t count = sl_datapath_hooks(service->datapath, status->hook_status, MAX_HOOKS);

	for (size_t i = 0; i < count; i++) {
		struct sl_hook_status *from = &status->hook_status[i];
		Sluice__V1__Hook *hook = &status->hooks[i];

		sluice__v1__hook__init(hook);
		hook->interface = from->interface;
		hook->role = from->role == SL_ROLE_ACCESS ? "access" : "core";
		hook->hook = (char *)from->hook;
		hook->mechanism = (char *)(from->mechanism ? from->mechanism : "");
		hook->reason = from->reason;
		hook->attached = from->attached;
		status->hook_pointers[i] = hook;
	}
	status->message.hooks = status->hook_pointers;
	status->message.n_hooks = count;
}

static void fill_fills(struct sl_service *service, struct status *status)
{
	size_t count = sl_control_fill(service->control, status->fill, MAX_FILLS);

	for (size_t i = 0; i < count; i++) {
		Sluice__V1__Fill *fill = &status->fills[i];

		sluice__v1__fill__init(fill);
		fill->name = (char *)status->fill[i].name;
		fill->used = status->fill[i].used;
		fill->size = status->fill[i].size;
		status->fill_pointers[i] = fill;
	}
	status->message.fills = status->fill_pointers;
	status->message.n_fills = count;
}

static void fill_pool(Sluice__V1__ClassPool *pool, int direction, const struct sl_qos_pool_status *from)
{
	sluice__v1__class_pool__init(pool);
	pool->direction = direction == SLUICE_UPLINK ? "uplink" : "downlink";
	pool->size = from->size;
	pool->ready = from->ready;
	pool->used = from->used;
	pool->seconds_left = from->seconds_left == UINT32_MAX ? 0 : from->seconds_left;
}

static void fill_pools(struct sl_service *service, struct status *status)
{
	if (!service->qos)
		return;
	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
		struct sl_qos_pool_status from;

		sl_qos_pool_status(service->qos, direction, &from);
		fill_pool(&status->pools[0][direction], direction, &from);
		sl_qos_tree_status(service->qos, direction, &from);
		fill_pool(&status->pools[1][direction], direction, &from);
		for (int kind = 0; kind < 2; kind++)
			status->pool_pointers[kind][direction] = &status->pools[kind][direction];
	}
	status->message.class_pools = status->pool_pointers[0];
	status->message.tree_pools = status->pool_pointers[1];
	status->message.n_class_pools = status->message.n_tree_pools = SLUICE_DIRECTIONS;
}

static void fill_session_manager(struct sl_service *service, struct status *status)
{
	Sluice__V1__SessionManager *manager = &status->session_manager;

	if (!service->reporter)
		return;
	sl_reporter_stats(service->reporter, &status->report);
	sluice__v1__session_manager__init(manager);
	manager->address = (char *)service->session_manager;
	if (status->report.known)
		manager->state = status->report.up ? SLUICE__V1__SESSION_MANAGER__STATE__UP
						   : SLUICE__V1__SESSION_MANAGER__STATE__DOWN;
	manager->last_report_ms = status->report.last_report_ms;
	manager->reports = status->report.reports;
	manager->failures = status->report.failures;
	manager->last_error = status->report.last_error;
	status->message.session_manager = manager;
}

static void fill_server(struct sl_service *service, struct status *status)
{
	struct sl_grpc_server_stats from;

	sl_grpc_server_stats(service->server, &from);
	sluice__v1__grpc_server__init(&status->server);
	status->server.calls = from.calls;
	status->server.failed = from.failed;
	status->server.refused = from.refused;
	status->server.dropped_messages = from.dropped_messages;
	status->server.connections = from.connections;
	status->message.grpc_server = &status->server;
}

static void fill_audit(struct sl_service *service, struct status *status)
{
	sl_control_audit_stats(service->control, &status->audit_stats);
	sluice__v1__audit__init(&status->audit);
	status->audit.passes = status->audit_stats.passes;
	status->audit.repairs = status->audit_stats.repairs;
	status->audit.failures = status->audit_stats.failures;
	status->audit.last_pass_ms = status->audit_stats.last_pass_ms;
	status->audit.last = status->audit_stats.last;
	status->message.audit = &status->audit;
}

static void get_status(struct sl_call *call, const uint8_t *bytes, size_t length, void *user)
{
	_cleanup_free_ struct status *status = calloc(1, sizeof(*status));
	struct sl_service *service = user;

	(void)bytes;
	(void)length;
	if (!status) {
		sl_call_finish(call, SL_GRPC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	sluice__v1__status__init(&status->message);
	status->message.version = SLUICE_VERSION;
	status->message.epoch = service->epoch;
	status->message.uptime_ms = sl_now_ns() / 1000000 - service->started_ms;
	status->message.setup = service->setup_done	 ? SLUICE__V1__STATUS__SETUP__DONE
				: service->defaults_done ? SLUICE__V1__STATUS__SETUP__WAITING_FOR_POLICY
							 : SLUICE__V1__STATUS__SETUP__WAITING_FOR_DEFAULTS;
	status->message.known_sessions = sl_control_known_sessions(service->control);
	status->message.enforced_sessions = sl_control_enforced_sessions(service->control);
	status->message.lost_events = sl_lost_events_read(service->datapath);
	status->message.unknown_subscriber = service->unknown_drop ? "drop" : "pass";
	fill_hooks(service, status);
	fill_fills(service, status);
	fill_pools(service, status);
	fill_session_manager(service, status);
	fill_server(service, status);
	fill_audit(service, status);
	if (service->policy) {
		sl_view_policy_directory(service->policy, &status->policy_directory);
		status->message.policy_directory = &status->policy_directory;
	}
	sl_view_desired(service->desired, &status->desired);
	status->message.desired = &status->desired;
	sl_view_ids(service, &status->ids);
	status->message.ids = &status->ids;
	sl_message_reply(call, &status->message.base);
}

/* --- drops -------------------------------------------------------------------- */

static const struct {
	const char *text;
	const char *why;
} drop_reasons[] =
	{
#define X(name, text, why) {text, why},
		SLUICE_DROP_REASONS(X)
#undef X
},
  pass_kinds[] = {
#define X(name, text, why) {text, why},
	  SLUICE_PASS_KINDS(X)
#undef X
};

static void fill_count(Sluice__V1__PacketCount *count, const char *name, const char *why,
		       const struct sluice_counter from[SLUICE_DIRECTIONS])
{
	sluice__v1__packet_count__init(count);
	count->name = (char *)name;
	count->explanation = (char *)why;
	count->uplink_bytes = from[SLUICE_UPLINK].bytes;
	count->uplink_packets = from[SLUICE_UPLINK].packets;
	count->downlink_bytes = from[SLUICE_DOWNLINK].bytes;
	count->downlink_packets = from[SLUICE_DOWNLINK].packets;
}

static void list_drops(struct sl_call *call, const uint8_t *bytes, size_t length, void *user)
{
	struct sluice_counter drops[SLUICE_DROP_REASON_COUNT][SLUICE_DIRECTIONS];
	struct sluice_counter passes[SLUICE_PASS_KIND_COUNT][SLUICE_DIRECTIONS];
	Sluice__V1__PacketCount drop_counts[SLUICE_DROP_REASON_COUNT], pass_counts[SLUICE_PASS_KIND_COUNT];
	Sluice__V1__PacketCount *drop_pointers[SLUICE_DROP_REASON_COUNT],
		*pass_pointers[SLUICE_PASS_KIND_COUNT];
	Sluice__V1__DropTable table = SLUICE__V1__DROP_TABLE__INIT;
	struct sl_service *service = user;

	(void)bytes;
	(void)length;
	if (sl_drops_read(service->datapath, drops) < 0 || sl_passes_read(service->datapath, passes) < 0) {
		sl_call_finish(call, SL_GRPC_INTERNAL, "cannot read the drop counters");
		return;
	}
	/* the first of each list is "none" */
	for (int i = 1; i < SLUICE_DROP_REASON_COUNT; i++) {
		fill_count(&drop_counts[i], drop_reasons[i].text, drop_reasons[i].why, drops[i]);
		drop_pointers[i - 1] = &drop_counts[i];
	}
	for (int i = 1; i < SLUICE_PASS_KIND_COUNT; i++) {
		fill_count(&pass_counts[i], pass_kinds[i].text, pass_kinds[i].why, passes[i]);
		pass_pointers[i - 1] = &pass_counts[i];
	}
	table.drops = drop_pointers;
	table.n_drops = SLUICE_DROP_REASON_COUNT - 1;
	table.passes = pass_pointers;
	table.n_passes = SLUICE_PASS_KIND_COUNT - 1;
	sl_message_reply(call, &table.base);
}

/* --- watch, detach ------------------------------------------------------------- */

static void watch(struct sl_call *call, const uint8_t *bytes, size_t length, void *user)
{
	struct sl_service *service = user;
	ProtobufCMessage *message;
	struct sl_error err;
	int rc;

	rc = sl_message_unpack(&sluice__v1__watch_request__descriptor, bytes, length, &message, &err);
	if (rc < 0) {
		sl_call_finish(call, sl_status_of(rc), err.text);
		return;
	}
	sl_watchers_add(service->watchers, call, ((Sluice__V1__WatchRequest *)message)->drops);
	sl_message_free(message);
}

static void detach(struct sl_call *call, const uint8_t *bytes, size_t length, void *user)
{
	Sluice__V1__DetachResult answer = SLUICE__V1__DETACH_RESULT__INIT;
	struct sl_service *service = user;
	struct sl_error err;
	uint32_t hooks = 0;
	int rc;

	(void)bytes;
	(void)length;
	if (!sl_call_is_local(call)) {
		sl_call_finish(call, SL_GRPC_PERMISSION_DENIED, "Detach is served on the Unix socket only");
		return;
	}
	answer.sessions = sl_control_known_sessions(service->control);
	sl_log(SL_LOG_WARNING, "detach-requested", "peer", "%s", sl_call_peer(call), NULL);
	rc = service->detach(&hooks, &err, service->user);
	if (rc < 0) {
		sl_call_finish(call, SL_GRPC_INTERNAL, err.text);
		return;
	}
	answer.hooks = hooks;
	sl_message_reply(call, &answer.base);
	service->quit(service->user);
}

int sl_admin_register(struct sl_service *service)
{
	static const struct {
		const char *path;
		sl_grpc_handler handler;
	} methods[] = {
		{"/sluice.v1.Admin/GetStatus", get_status},
		{"/sluice.v1.Admin/ListSessions", sl_admin_list_sessions},
		{"/sluice.v1.Admin/ListRules", sl_admin_list_rules},
		{"/sluice.v1.Admin/ListUsage", sl_admin_list_usage},
		{"/sluice.v1.Admin/ListQuotas", sl_admin_list_quotas},
		{"/sluice.v1.Admin/ListPolicies", sl_admin_list_policies},
		{"/sluice.v1.Admin/ListProfiles", sl_admin_list_profiles},
		{"/sluice.v1.Admin/ListDesired", sl_admin_list_desired},
		{"/sluice.v1.Admin/ListDrops", list_drops},
		{"/sluice.v1.Admin/ListRedirects", sl_admin_list_redirects},
		{"/sluice.v1.Admin/GetLoad", sl_admin_get_load},
		{"/sluice.v1.Admin/ListIdsRules", sl_admin_list_ids_rules},
		{"/sluice.v1.Admin/ListIdsBlocks", sl_admin_list_ids_blocks},
		{"/sluice.v1.Admin/IdsBlock", sl_admin_ids_block},
		{"/sluice.v1.Admin/IdsUnblock", sl_admin_ids_unblock},
		{"/sluice.v1.Admin/ExplainIds", sl_admin_explain_ids},
		{"/sluice.v1.Admin/WatchIdsAlerts", sl_admin_watch_ids_alerts},
		{"/sluice.v1.Admin/Watch", watch},
		{"/sluice.v1.Admin/ReplaceSessions", sl_admin_replace_sessions},
		{"/sluice.v1.Admin/Detach", detach},
	};

	for (size_t i = 0; i < SL_ARRAY_SIZE(methods); i++) {
		int rc = sl_grpc_register(service->server, methods[i].path, methods[i].handler, service);

		if (rc < 0)
			return rc;
	}
	return 0;
}
