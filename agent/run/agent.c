// SPDX-License-Identifier: Apache-2.0
#include "run/agent.h"

#include <errno.h>
#include <time.h>

#include "api/watch.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "run/detach.h"
#include "http/server.h"
#include "run/events.h"
#include "run/http.h"
#include "run/modules.h"
#include "run/policy.h"
#include "run/queues.h"
#include "run/redirect.h"
#include "run/services.h"
#include "run/settings.h"

static int add_event(struct sl_agent *agent, int fd, short what, const struct timeval *every,
		     event_callback_fn callback, struct sl_error *err)
{
	struct event *event;

	if (agent->event_count == SL_AGENT_EVENTS)
		return sl_error(err, ENOSPC, "more than %d events of the loop", SL_AGENT_EVENTS);
	event = event_new(agent->base, fd, (short)(what | EV_PERSIST), callback, agent);
	if (!event || event_add(event, every) < 0) {
		if (event)
			event_free(event);
		return sl_error(err, ENOMEM, "out of memory");
	}
	agent->events[agent->event_count++] = event;
	return 0;
}

int sl_agent_add_event(struct sl_agent *agent, int fd, short what, event_callback_fn callback,
		       struct sl_error *err)
{
	return add_event(agent, fd, what, NULL, callback, err);
}

int sl_agent_add_timer(struct sl_agent *agent, uint32_t every_ms, event_callback_fn callback,
		       struct sl_error *err)
{
	struct timeval every = {.tv_sec = every_ms / 1000, .tv_usec = (suseconds_t)(every_ms % 1000) * 1000};

	return add_event(agent, -1, 0, &every, callback, err);
}

/* A session manager tells starts apart by their epochs, also two within one second. */
static uint64_t next_epoch(struct sl_agent *agent)
{
	struct sluice_settings *settings = sl_datapath_maps(agent->datapath)->settings;
	uint32_t now = (uint32_t)time(NULL);

	settings->epoch = now > settings->epoch ? now : settings->epoch + 1;
	return settings->epoch;
}

static int start_datapath(struct sl_agent *agent, struct sl_error *err)
{
	struct sl_datapath_config config;
	int rc;

	sl_settings_of_datapath(agent->config, &config);
	rc = sl_datapath_open(&config, &agent->datapath, &agent->adopted, err);
	if (rc == 0)
		agent->epoch = next_epoch(agent);
	return rc;
}

static int start_control(struct sl_agent *agent, struct sl_error *err)
{
	struct sl_control_config config = {
		.datapath = agent->datapath,
		.qos = agent->qos,
		.backend = sl_settings_of_backend(agent->config),
		.access = agent->access.name,
		.apns = agent->apns,
		.apn_count = agent->config->apn_count,
		.keep_retired = agent->config->session_manager.configured,
		.deny_as_default_drop = agent->config->deny_as_default_drop,
		.on_event = sl_on_control_event,
		.is_desired = sl_policy_is_desired,
		.profile = sl_policy_profile,
		.user = agent,
	};
	int rc;

	rc = sl_grace_new(&agent->grace, err);
	if (rc < 0)
		return rc;
	config.grace = agent->grace;
	sl_settings_of_link(agent->config, agent->qos, &config);
	sl_settings_of_apns(agent->config, agent->apns);
	sl_redirect_hooks(agent, &config);
	return sl_control_new(&config, agent->adopted, &agent->control, err);
}

static int start_service(struct sl_agent *agent, struct sl_error *err)
{
	agent->service = (struct sl_service){
		.server = agent->server,
		.datapath = agent->datapath,
		.qos = agent->qos,
		.control = agent->control,
		.portal = agent->portal,
		.portal_port = agent->config->redirect.portal_port,
		.servers = agent->servers,
		.policy = agent->policy,
		.desired = agent->desired,
		.ids = agent->ids_engine,
		.ids_rules = agent->ids,
		.unknown_drop = agent->config->unknown_subscriber == SL_UNKNOWN_DROP,
		.epoch = agent->epoch,
		.started_ms = sl_now_ns() / 1000000,
		.setup_done = agent->config->startup == SL_STARTUP_SERVE,
		.detach = sl_agent_detach,
		.quit = sl_agent_quit,
		.user = agent,
	};
	if (sl_watchers_new(&agent->service, &agent->service.watchers) < 0)
		return sl_error(err, ENOMEM, "out of memory");
	return sl_services_register(agent, err);
}

static int start_reports(struct sl_agent *agent, struct sl_error *err)
{
	if (!agent->config->session_manager.configured)
		return 0;
	return sl_reports_new(agent->base, &agent->service, agent->config->session_manager.address,
			      agent->config->session_manager.report_interval_ms,
			      agent->config->session_manager.max_report, &agent->reports, err);
}

static int attach(struct sl_agent *agent, struct sl_error *err)
{
	return sl_datapath_attach(agent->datapath, err);
}

/*
 * The sockets first: they tell whether another agent is running, before
 * anything in the kernel is touched. Calls are answered when the loop runs.
 * The addresses of redirect servers before the rules by name, of which some may
 * redirect to them. The hooks when the maps hold what is in force.
 */
static int start(struct sl_agent *agent, struct sl_error *err)
{
	static int (*const parts[])(struct sl_agent * agent, struct sl_error * err) = {
		sl_services_listen, sl_http_start,     start_datapath,	 sl_queues_start,  sl_redirect_start,
		start_control,	    sl_redirect_serve, sl_modules_start, sl_policy_start,  attach,
		start_service,	    start_reports,     sl_events_start,	 sl_modules_serve,
	};
	int rc = 0;

	agent->base = event_base_new();
	if (!agent->base)
		return sl_error(err, ENOMEM, "cannot make an event loop");
	for (size_t i = 0; rc == 0 && i < SL_ARRAY_SIZE(parts); i++)
		rc = parts[i](agent, err);
	return rc;
}

/* In the opposite order; what did not start is NULL. */
static void stop(struct sl_agent *agent)
{
	if (agent->pool_timer)
		event_free(agent->pool_timer);
	for (size_t i = 0; i < agent->event_count; i++)
		event_free(agent->events[i]);
	if (agent->datapath)
		sl_watch_drops(agent->datapath, false);
	sl_http_free(agent->http);
	sl_reports_free(agent->reports);
	sl_grpc_server_free(agent->server);
	sl_health_free(agent->health);
	sl_watchers_free(agent->service.watchers);
	sl_redirect_stop(agent);
	sl_policy_stop(agent);
	sl_modules_stop(agent);
	sl_control_free(agent->control);
	sl_grace_free(agent->grace);
	sl_qos_close(agent->qos);
	sl_datapath_close(agent->datapath);
	if (agent->base)
		event_base_free(agent->base);
}

int sl_agent_run(const struct sl_config *config, struct sl_error *err)
{
	struct sl_agent agent = {.config = config, .access = sl_settings_of_access(config)};
	int rc;

	rc = start(&agent, err);
	if (rc == 0) {
		sl_log(SL_LOG_INFO, "ready", "version", "%s", SLUICE_VERSION, "epoch", "%llu",
		       (unsigned long long)agent.service.epoch, "sessions", "%u",
		       sl_control_known_sessions(agent.control), "setup", "%s",
		       agent.service.setup_done ? "serving" : "waiting", NULL);
		event_base_dispatch(agent.base);
	} else {
		sl_log(SL_LOG_ERROR, "start-failed", "reason", "%s", err->text, NULL);
		sl_agent_undo_start(&agent);
	}
	stop(&agent);
	return rc;
}
