// SPDX-License-Identifier: Apache-2.0
#include "run/events.h"

#include <signal.h>
#include <string.h>

#include "api/watch.h"
#include "base/log.h"
#include "run/modules.h"
#include "run/policy.h"
#include "run/queues.h"

#define AUDIT_STEP_MS  50
#define DRAIN_LIMIT_MS 2000

static void on_drained(void *user)
{
	event_base_loopexit(((struct sl_agent *)user)->base, NULL);
}

/* Calls that have begun are answered; a second signal does not wait for them. */
static void on_signal(evutil_socket_t number, short what, void *user)
{
	struct sl_agent *agent = user;

	(void)what;
	if (agent->is_stopping) {
		event_base_loopexit(agent->base, NULL);
		return;
	}
	agent->is_stopping = true;
	sl_log(SL_LOG_INFO, "stopping", "signal", "%s", strsignal((int)number), "enforcement", "%s", "stays",
	       NULL);
	sl_watchers_end(agent->service.watchers);
	sl_grpc_server_drain(agent->server, DRAIN_LIMIT_MS, on_drained, agent);
}

static void on_hangup(evutil_socket_t number, short what, void *user)
{
	(void)number;
	(void)what;
	sl_policy_reload(user);
	sl_modules_reopen(user);
}

static void on_grace(evutil_socket_t fd, short what, void *user)
{
	struct sl_agent *agent = user;

	(void)fd;
	(void)what;
	sl_grace_collect(agent->grace);
}

static void on_drop(const struct sluice_drop_event *event, void *user)
{
	struct sl_agent *agent = user;

	sl_watch_drop(agent->service.watchers, event);
}

static void on_quota(const struct sluice_quota_event *event, void *user)
{
	struct sl_agent *agent = user;

	sl_control_quota_event(agent->control, event->quota);
}

static void on_datapath_events(evutil_socket_t fd, short what, void *user)
{
	struct sl_agent *agent = user;

	(void)fd;
	(void)what;
	sl_events_consume(agent->datapath, on_drop, on_quota, agent);
}

static void on_second(evutil_socket_t fd, short what, void *user)
{
	struct sl_agent *agent = user;

	(void)fd;
	(void)what;
	sl_control_expire(agent->control);
	sl_queues_follow(agent);
}

static void on_audit(evutil_socket_t fd, short what, void *user)
{
	struct sl_agent *agent = user;

	(void)fd;
	(void)what;
	sl_control_audit(agent->control, agent->config->audit_interval_ms / AUDIT_STEP_MS);
}

void sl_on_control_event(const struct sl_control_event *event, void *user)
{
	static const char *const names[] = {
		[SL_EVENT_SESSION_ACTIVATED] = "session-activated",
		[SL_EVENT_SESSION_UPDATED] = "session-updated",
		[SL_EVENT_SESSION_ENDED] = "session-ended",
		[SL_EVENT_SESSION_RESTRICTED] = "session-restricted",
		[SL_EVENT_SESSION_REDIRECTED] = "session-redirected",
		[SL_EVENT_SESSION_RELEASED] = "session-released",
		[SL_EVENT_RULE_FAILED] = "rule-failed",
		[SL_EVENT_RULE_POLICED] = "rule-policed",
		[SL_EVENT_SESSION_POLICED] = "session-policed",
		[SL_EVENT_RULE_PREEMPTED] = "rule-preempted",
		[SL_EVENT_QUOTA_THRESHOLD] = "quota-threshold",
		[SL_EVENT_QUOTA_USED_UP] = "quota-used-up",
		[SL_EVENT_QUOTA_GRANTED] = "quota-granted",
	};
	bool state = event->type >= SL_EVENT_SESSION_RESTRICTED && event->type <= SL_EVENT_SESSION_RELEASED;
	/* many sessions may have to do without a tree: that is worth a line each, but no warning */
	enum sl_log_level level =
		state || event->type == SL_EVENT_SESSION_POLICED ? SL_LOG_INFO : SL_LOG_DEBUG;
	struct sl_agent *agent = user;
	char address[SL_ADDRESS_TEXT];

	agent->event_counts[event->type]++;
	if (event->type == SL_EVENT_RULE_FAILED || event->type == SL_EVENT_RULE_POLICED ||
	    event->type == SL_EVENT_RULE_PREEMPTED) {
		sl_log(SL_LOG_WARNING, names[event->type], "imsi", "%s", event->imsi, "rule", "%s",
		       event->rule_id, "version", "%u", event->version, "reason", "%s", event->reason, NULL);
	} else if (event->quota) {
		/* business as usual, and much of it */
		sl_log(SL_LOG_DEBUG, names[event->type], "imsi", "%s", event->imsi, "rule", "%s",
		       event->quota->rule_id, "rating_group", "%u", event->quota->rating_group, NULL);
	} else if (event->type == SL_EVENT_RULE_EXPIRED) {
		sl_log(SL_LOG_INFO, "rule-expired", "imsi", "%s", event->imsi, "rule", "%s", event->rule_id,
		       "version", "%u", event->version, NULL);
	} else if (event->type == SL_EVENT_REPAIRED) {
		sl_log(SL_LOG_WARNING, "repaired", "imsi", "%s", event->imsi ? event->imsi : "", "what", "%s",
		       event->reason, NULL);
	} else if (sl_log_level() >= level) {
		sl_address_format(event->address, address);
		sl_log(level, names[event->type], "imsi", "%s", event->imsi, "address", "%s", address,
		       "rules", "%u", event->rules, "reason", "%s", event->reason ? event->reason : "", NULL);
	}
	if (agent->service.watchers)
		sl_watch_session(agent->service.watchers, event);
}

int sl_events_start(struct sl_agent *agent, struct sl_error *err)
{
	int rc;

	rc = sl_agent_add_event(agent, SIGTERM, EV_SIGNAL, on_signal, err);
	if (rc == 0)
		rc = sl_agent_add_event(agent, SIGINT, EV_SIGNAL, on_signal, err);
	if (rc == 0)
		rc = sl_agent_add_event(agent, SIGHUP, EV_SIGNAL, on_hangup, err);
	if (rc == 0)
		rc = sl_agent_add_event(agent, sl_grace_fd(agent->grace), EV_READ, on_grace, err);
	if (rc == 0)
		rc = sl_agent_add_timer(agent, 1000, on_second, err);
	if (rc == 0)
		rc = sl_agent_add_timer(agent, AUDIT_STEP_MS, on_audit, err);
	if (rc == 0)
		rc = sl_agent_add_event(agent, sl_events_fd(agent->datapath), EV_READ, on_datapath_events,
					err);
	return rc;
}
