// SPDX-License-Identifier: Apache-2.0
#include "run/metrics.h"

#include <stddef.h>
#include <stdio.h>
#include <sys/resource.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "redirect/servers.h"
#include "run/agent.h"
#include "run/modules.h"
#include "run/policy.h"

#define MAX_FILLS 32
#define MAX_HOOKS (2 * SL_DATAPATH_DEVICES * 3)

static const char *const directions[] = {[SLUICE_UPLINK] = "uplink", [SLUICE_DOWNLINK] = "downlink"};

/* --- the agent ------------------------------------------------------------------------ */

static uint64_t resident_bytes(void)
{
	_cleanup_file_ FILE *file = fopen("/proc/self/statm", "re");
	unsigned long long pages = 0;

	if (!file || fscanf(file, "%*u %llu", &pages) != 1)
		return 0;
	/* cppcheck-suppress resourceLeak ; its cleanup closes it */
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static double seconds(struct timeval time)
{
	return (double)time.tv_sec + (double)time.tv_usec / 1e6;
}

static void add_process(struct sl_metrics *out, const struct sl_agent *agent)
{
	struct rusage usage = {0};

	getrusage(RUSAGE_SELF, &usage);
	sl_metric_family(out, "sluice_build_info", SL_METRIC_GAUGE, "Always 1; the version is in the label.");
	sl_metric(out, 1, "version", SLUICE_VERSION, NULL);
	sl_metric_family(out, "sluice_epoch", SL_METRIC_GAUGE,
			 "Start of the agent as its reports name it, seconds since 1970.");
	sl_metric(out, agent->service.epoch, NULL);
	sl_metric_family(out, "sluice_setup_done", SL_METRIC_GAUGE,
			 "1 when sessions may be activated: a setup came, or none is waited for.");
	sl_metric(out, agent->service.setup_done, NULL);
	sl_metric_family(out, "process_cpu_seconds_total", SL_METRIC_COUNTER, "CPU time, user and system.");
	sl_metric_real(out, seconds(usage.ru_utime) + seconds(usage.ru_stime), NULL);
	sl_metric_family(out, "process_resident_memory_bytes", SL_METRIC_GAUGE,
			 "Memory in RAM; what of the memory-mapped maps was touched is part of it.");
	sl_metric(out, resident_bytes(), NULL);
}

/* --- sessions and rules ----------------------------------------------------------------- */

static void add_sessions(struct sl_metrics *out, struct sl_agent *agent)
{
	static const char *const states[] = {
		[SL_SESSION_ACTIVE] = "active",
		[SL_SESSION_RESTRICTED] = "restricted",
		[SL_SESSION_REDIRECTED] = "redirected",
		[SL_SESSION_ENDED] = "ended",
	};
	uint32_t counts[SL_ARRAY_SIZE(states)];

	sl_control_count_sessions(agent->control, counts);
	sl_metric_family(out, "sluice_sessions", SL_METRIC_GAUGE,
			 "Sessions the agent knows, by state; ended ones wait for an acknowledgement.");
	for (size_t i = 0; i < SL_ARRAY_SIZE(states); i++)
		sl_metric(out, counts[i], "state", states[i], NULL);
	sl_metric_family(out, "sluice_endpoints", SL_METRIC_GAUGE,
			 "Addresses that are enforced, counted in the kernel.");
	sl_metric(out, sl_endpoint_count(agent->datapath, 4), "family", "ipv4", NULL);
	sl_metric(out, sl_endpoint_count(agent->datapath, 6), "family", "ipv6", NULL);
	sl_metric_family(out, "sluice_rules", SL_METRIC_GAUGE, "Different rule contents in force.");
	sl_metric(out, sl_control_rule_count(agent->control), NULL);
}

static void add_events(struct sl_metrics *out, const struct sl_agent *agent)
{
	static const char *const events[] = {
		[SL_EVENT_SESSION_ACTIVATED] = "session-activated",
		[SL_EVENT_SESSION_UPDATED] = "session-updated",
		[SL_EVENT_SESSION_ENDED] = "session-ended",
		[SL_EVENT_RULE_FAILED] = "rule-failed",
		[SL_EVENT_RULE_EXPIRED] = "rule-expired",
		[SL_EVENT_SESSION_RESTRICTED] = "session-restricted",
		[SL_EVENT_SESSION_REDIRECTED] = "session-redirected",
		[SL_EVENT_SESSION_RELEASED] = "session-released",
		[SL_EVENT_REPAIRED] = "repaired",
		[SL_EVENT_RULE_POLICED] = "rule-policed",
		[SL_EVENT_SESSION_POLICED] = "session-policed",
		[SL_EVENT_RULE_PREEMPTED] = "rule-preempted",
		[SL_EVENT_QUOTA_THRESHOLD] = "quota-threshold",
		[SL_EVENT_QUOTA_USED_UP] = "quota-used-up",
		[SL_EVENT_QUOTA_GRANTED] = "quota-granted",
	};

	_Static_assert(SL_ARRAY_SIZE(events) == SL_EVENT_TYPES, "an event has no name");
	sl_metric_family(out, "sluice_events_total", SL_METRIC_COUNTER,
			 "What happened to sessions, rules and the kernel's state since the start.");
	for (size_t i = 0; i < SL_ARRAY_SIZE(events); i++)
		sl_metric(out, agent->event_counts[i], "event", events[i], NULL);
}

/* --- room --------------------------------------------------------------------------------- */

static void add_fills(struct sl_metrics *out, const struct sl_agent *agent)
{
	struct sl_fill fills[MAX_FILLS];
	size_t count = sl_control_fill(agent->control, fills, MAX_FILLS);

	sl_metric_family(out, "sluice_map_slots", SL_METRIC_GAUGE, "Slots of a map.");
	for (size_t i = 0; i < count; i++)
		sl_metric(out, fills[i].size, "map", fills[i].name, NULL);
	sl_metric_family(out, "sluice_map_slots_used", SL_METRIC_GAUGE, "Slots of a map that are taken.");
	for (size_t i = 0; i < count; i++)
		sl_metric(out, fills[i].used, "map", fills[i].name, NULL);
}

struct pools {
	const char *kind;
	struct sl_qos_pool_status of[SLUICE_DIRECTIONS];
};

static void add_pool(struct sl_metrics *out, const char *name, const char *help, const uint32_t *values)
{
	sl_metric_family(out, name, SL_METRIC_GAUGE, help);
	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++)
		sl_metric(out, values[direction], "direction", directions[direction], NULL);
}

static void add_forecast(struct sl_metrics *out, const struct pools *pools)
{
	sl_metric_family(out, "sluice_classes_seconds_left", SL_METRIC_GAUGE,
			 "Until all are used, if that goes on as in the last ten minutes; 0: they are; "
			 "absent: it does "
			 "not grow.");
	for (int kind = 0; kind < 2; kind++)
		for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++)
			if (pools[kind].of[direction].seconds_left != UINT32_MAX)
				sl_metric(out, pools[kind].of[direction].seconds_left, "kind",
					  pools[kind].kind, "direction", directions[direction], NULL);
}

static void add_queues(struct sl_metrics *out, const struct sl_agent *agent)
{
	struct sl_qos_class_stats total[SLUICE_DIRECTIONS];

	/* no value rather than a wrong one */
	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++)
		if (sl_qos_read_total(agent->qos, direction, &total[direction], NULL) < 0)
			return;
	sl_metric_family(out, "sluice_classes_dropped_packets_total", SL_METRIC_COUNTER,
			 "Packets dropped by the queues of HTB classes.");
	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++)
		sl_metric(out, total[direction].dropped_packets, "direction", directions[direction], NULL);
	sl_metric_family(out, "sluice_classes_backlog_bytes", SL_METRIC_GAUGE,
			 "Bytes that wait in the queues of HTB classes.");
	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++)
		sl_metric(out, total[direction].backlog_bytes, "direction", directions[direction], NULL);
}

static void add_classes(struct sl_metrics *out, const struct sl_agent *agent)
{
	struct pools pools[2] = {{.kind = "classes"}, {.kind = "trees"}};
	uint32_t size[2][SLUICE_DIRECTIONS], ready[2][SLUICE_DIRECTIONS], used[2][SLUICE_DIRECTIONS];

	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
		sl_qos_pool_status(agent->qos, direction, &pools[0].of[direction]);
		sl_qos_tree_status(agent->qos, direction, &pools[1].of[direction]);
		for (int kind = 0; kind < 2; kind++) {
			size[kind][direction] = pools[kind].of[direction].size;
			ready[kind][direction] = pools[kind].of[direction].ready;
			used[kind][direction] = pools[kind].of[direction].used;
		}
	}
	add_pool(out, "sluice_classes", "HTB classes of the pool when it is built.", size[0]);
	add_pool(out, "sluice_classes_ready", "HTB classes that are built.", ready[0]);
	add_pool(out, "sluice_classes_used", "HTB classes that rules have.", used[0]);
	add_pool(out, "sluice_trees", "HTB trees, a session's AMBR each, when all are built.", size[1]);
	add_pool(out, "sluice_trees_ready", "HTB trees that are built.", ready[1]);
	add_pool(out, "sluice_trees_used", "HTB trees that sessions have.", used[1]);
	add_forecast(out, pools);
	add_queues(out, agent);
}

static const char *resource(const struct sl_load_view *view)
{
	return view->apn ? view->apn : "";
}

/* One of what a view says; families come one after the other. */
struct load_family {
	struct sl_metrics *out;
	size_t offset; /* of a uint64_t[SLUICE_DIRECTIONS] */
};

static void add_load_directions(const struct sl_load_view *view, void *user)
{
	const struct load_family *family = user;
	const uint64_t *values = (const uint64_t *)((const char *)view + family->offset);

	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++)
		if (values[direction] != UINT64_MAX)
			sl_metric_real(family->out, (double)values[direction] / 8, "apn", resource(view),
				       "direction", directions[direction], NULL);
}

static void add_load_rules(const struct sl_load_view *view, void *user)
{
	sl_metric(user, view->rules, "apn", resource(view), NULL);
}

static void add_load_sessions(const struct sl_load_view *view, void *user)
{
	sl_metric(user, view->sessions, "apn", resource(view), NULL);
}

static void add_load(struct sl_metrics *out, const struct sl_agent *agent)
{
	static const struct {
		const char *name, *help;
		size_t offset;
	} families[] = {
		{"sluice_load_capacity_bytes_per_second",
		 "Rate of the link (apn \"\") or cap of an APN; 0: none.",
		 offsetof(struct sl_load_view, capacity)},
		{"sluice_load_used_bytes_per_second", "What rules permitted over the last five seconds.",
		 offsetof(struct sl_load_view, used)},
		{"sluice_load_reserve_bytes_per_second", "What guaranteed rates may take; no value: any.",
		 offsetof(struct sl_load_view, reserve)},
		{"sluice_load_reserved_bytes_per_second", "What guaranteed rates have taken.",
		 offsetof(struct sl_load_view, reserved)},
		{"sluice_load_headroom_bytes_per_second", "What one more guaranteed rate may take.",
		 offsetof(struct sl_load_view, headroom)},
	};
	uint64_t refused, preempted;

	for (size_t i = 0; i < SL_ARRAY_SIZE(families); i++) {
		struct load_family family = {.out = out, .offset = families[i].offset};

		sl_metric_family(out, families[i].name, SL_METRIC_GAUGE, families[i].help);
		sl_control_each_load(agent->control, add_load_directions, &family);
	}
	sl_metric_family(out, "sluice_load_gbr_rules", SL_METRIC_GAUGE,
			 "Rules with a guaranteed rate, of the link (apn \"\") and of APNs.");
	sl_control_each_load(agent->control, add_load_rules, out);
	sl_metric_family(out, "sluice_load_sessions", SL_METRIC_GAUGE,
			 "Sessions in force, of the link (apn \"\") and of APNs.");
	sl_control_each_load(agent->control, add_load_sessions, out);
	sl_control_count_guarantees(agent->control, &refused, &preempted);
	sl_metric_family(out, "sluice_guarantees_refused_total", SL_METRIC_COUNTER,
			 "Rules that were refused for want of room for their guaranteed rate.");
	sl_metric(out, refused, NULL);
	sl_metric_family(out, "sluice_guarantees_preempted_total", SL_METRIC_COUNTER,
			 "Rules that lost their guaranteed rate to another.");
	sl_metric(out, preempted, NULL);
}

/* --- packets -------------------------------------------------------------------------------- */

static const char *const drop_reasons[] = {
#define X(name, text, why) [SLUICE_DROP_##name] = (text),
	SLUICE_DROP_REASONS(X)
#undef X
};

static const char *const pass_kinds[] = {
#define X(name, text, why) [SLUICE_PASS_##name] = (text),
	SLUICE_PASS_KINDS(X)
#undef X
};

/* The first of each list is "none". */
static void add_counters(struct sl_metrics *out, const char *label, const char *const *names, size_t count,
			 struct sluice_counter counters[][SLUICE_DIRECTIONS], bool bytes)
{
	for (size_t i = 1; i < count; i++)
		for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++)
			sl_metric(out, bytes ? counters[i][direction].bytes : counters[i][direction].packets,
				  label, names[i], "direction", directions[direction], NULL);
}

static void add_packets(struct sl_metrics *out, const struct sl_agent *agent)
{
	struct sluice_counter drops[SLUICE_DROP_REASON_COUNT][SLUICE_DIRECTIONS];
	struct sluice_counter passes[SLUICE_PASS_KIND_COUNT][SLUICE_DIRECTIONS];

	/* no value rather than a wrong one */
	if (sl_drops_read(agent->datapath, drops) == 0) {
		sl_metric_family(out, "sluice_dropped_packets_total", SL_METRIC_COUNTER,
				 "Packets dropped, by reason.");
		add_counters(out, "reason", drop_reasons, SLUICE_DROP_REASON_COUNT, drops, false);
		sl_metric_family(out, "sluice_dropped_bytes_total", SL_METRIC_COUNTER,
				 "IP bytes dropped, by reason.");
		add_counters(out, "reason", drop_reasons, SLUICE_DROP_REASON_COUNT, drops, true);
	}
	if (sl_passes_read(agent->datapath, passes) == 0) {
		sl_metric_family(out, "sluice_passed_packets_total", SL_METRIC_COUNTER,
				 "Packets that passed without a rule, by kind.");
		add_counters(out, "kind", pass_kinds, SLUICE_PASS_KIND_COUNT, passes, false);
		sl_metric_family(out, "sluice_passed_bytes_total", SL_METRIC_COUNTER,
				 "Bytes that passed without a rule, by kind.");
		add_counters(out, "kind", pass_kinds, SLUICE_PASS_KIND_COUNT, passes, true);
	}
	sl_metric_family(out, "sluice_drop_records_lost_total", SL_METRIC_COUNTER,
			 "Records of dropped packets that no watcher saw, because the ring was full.");
	sl_metric(out, sl_lost_events_read(agent->datapath), NULL);
	sl_metric_family(out, "sluice_answers_withheld_total", SL_METRIC_COUNTER,
			 "Rejected packets without an ICMP error, because there were too many of those.");
	sl_metric(out, sl_answers_withheld_read(agent->datapath), NULL);
}

static void add_usage(struct sl_metrics *out, const struct sl_agent *agent)
{
	struct sluice_usage total = sl_control_total_usage(agent->control);
	const struct {
		const char *direction, *verdict;
		const struct sluice_counter *counter;
	} parts[] = {
		{"uplink", "permitted", &total.uplink},
		{"downlink", "permitted", &total.downlink},
		{"uplink", "dropped", &total.uplink_dropped},
		{"downlink", "dropped", &total.downlink_dropped},
	};

	sl_metric_family(out, "sluice_usage_packets_total", SL_METRIC_COUNTER,
			 "Packets of all sessions that were counted while this agent runs.");
	for (size_t i = 0; i < SL_ARRAY_SIZE(parts); i++)
		sl_metric(out, parts[i].counter->packets, "direction", parts[i].direction, "verdict",
			  parts[i].verdict, NULL);
	sl_metric_family(out, "sluice_usage_bytes_total", SL_METRIC_COUNTER,
			 "IP bytes of all sessions that were counted while this agent runs.");
	for (size_t i = 0; i < SL_ARRAY_SIZE(parts); i++)
		sl_metric(out, parts[i].counter->bytes, "direction", parts[i].direction, "verdict",
			  parts[i].verdict, NULL);
}

static void add_hooks(struct sl_metrics *out, const struct sl_agent *agent)
{
	struct sl_hook_status hooks[MAX_HOOKS];
	size_t count = sl_datapath_hooks(agent->datapath, hooks, MAX_HOOKS);

	sl_metric_family(out, "sluice_hook_attached", SL_METRIC_GAUGE,
			 "1 where the kernel says that the program is attached.");
	for (size_t i = 0; i < count; i++)
		sl_metric(out, hooks[i].attached, "interface", hooks[i].interface, "role",
			  hooks[i].role == SL_ROLE_ACCESS ? "access" : "core", "hook", hooks[i].hook,
			  "mechanism", hooks[i].mechanism ? hooks[i].mechanism : "", NULL);
}

/* --- peers ------------------------------------------------------------------------------------ */

static void add_reports(struct sl_metrics *out, const struct sl_agent *agent)
{
	struct sl_reporter_stats stats;

	if (!agent->service.reporter)
		return;
	sl_reporter_stats(agent->service.reporter, &stats);
	sl_metric_family(out, "sluice_session_manager_up", SL_METRIC_GAUGE,
			 "1 when the last usage report was acknowledged.");
	sl_metric(out, stats.up, NULL);
	sl_metric_family(out, "sluice_reports_total", SL_METRIC_COUNTER, "Usage reports, by result.");
	sl_metric(out, stats.reports, "result", "acknowledged", NULL);
	sl_metric(out, stats.failures, "result", "failed", NULL);
	sl_metric_family(out, "sluice_report_last_success_timestamp_seconds", SL_METRIC_GAUGE,
			 "When the last usage report was acknowledged; 0: none was.");
	sl_metric_real(out, (double)stats.last_report_ms / 1000, NULL);
}

static void add_grpc(struct sl_metrics *out, const struct sl_agent *agent)
{
	struct sl_grpc_server_stats stats;

	sl_grpc_server_stats(agent->server, &stats);
	sl_metric_family(out, "sluice_grpc_calls_total", SL_METRIC_COUNTER, "gRPC calls that came in.");
	sl_metric(out, stats.calls, NULL);
	sl_metric_family(out, "sluice_grpc_calls_failed_total", SL_METRIC_COUNTER,
			 "gRPC calls that ended with another status than OK.");
	sl_metric(out, stats.failed, NULL);
	sl_metric_family(out, "sluice_grpc_calls_refused_total", SL_METRIC_COUNTER,
			 "gRPC calls that were refused before anything was done for them.");
	sl_metric(out, stats.refused, NULL);
	sl_metric_family(out, "sluice_grpc_messages_dropped_total", SL_METRIC_COUNTER,
			 "Messages to watchers that did not read in time.");
	sl_metric(out, stats.dropped_messages, NULL);
	sl_metric_family(out, "sluice_grpc_connections", SL_METRIC_GAUGE, "gRPC connections that are open.");
	sl_metric(out, stats.connections, NULL);
}

/* --- redirects and the audit -------------------------------------------- */

struct hosts {
	uint32_t resolved;
	uint32_t failing;
	uint32_t unknown; /* of the others: no address yet, so nobody can be sent there */
};

static void count_host(const struct sl_server_view *view, void *user)
{
	struct hosts *hosts = user;

	if (view->error)
		hosts->failing++;
	else if (view->open->count)
		hosts->resolved++;
	else
		hosts->unknown++;
}

static void add_redirects(struct sl_metrics *out, const struct sl_agent *agent)
{
	struct hosts hosts = {0};

	if (!agent->servers)
		return;
	sl_servers_each(agent->servers, count_host, &hosts);
	sl_metric_family(out, "sluice_redirect_hosts", SL_METRIC_GAUGE,
			 "Hosts that rules redirect to, by the state of their look-up.");
	sl_metric(out, hosts.resolved, "state", "resolved", NULL);
	sl_metric(out, hosts.failing, "state", "failing", NULL);
	sl_metric(out, hosts.unknown, "state", "unknown", NULL);
}

static void add_audit(struct sl_metrics *out, const struct sl_agent *agent)
{
	struct sl_audit_stats stats;

	sl_control_audit_stats(agent->control, &stats);
	sl_metric_family(out, "sluice_audit_passes_total", SL_METRIC_COUNTER,
			 "Comparisons of the whole kernel state with what it should be.");
	sl_metric(out, stats.passes, NULL);
	sl_metric_family(out, "sluice_audit_repairs_total", SL_METRIC_COUNTER,
			 "Differences that the audit found, by result.");
	sl_metric(out, stats.repairs, "result", "repaired", NULL);
	sl_metric(out, stats.failures, "result", "failed", NULL);
}

void sl_metrics_of_agent(struct sl_metrics *metrics, void *user)
{
	struct sl_agent *agent = user;

	add_process(metrics, agent);
	add_sessions(metrics, agent);
	add_events(metrics, agent);
	add_fills(metrics, agent);
	add_classes(metrics, agent);
	add_load(metrics, agent);
	add_packets(metrics, agent);
	add_usage(metrics, agent);
	add_hooks(metrics, agent);
	sl_policy_metrics(metrics, agent);
	sl_modules_metrics(metrics, agent);
	add_reports(metrics, agent);
	add_grpc(metrics, agent);
	add_redirects(metrics, agent);
	add_audit(metrics, agent);
}
