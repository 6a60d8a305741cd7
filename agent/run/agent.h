/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The running agent: every part, wired to the others on one event loop. Each
 * file of the folder starts one part or answers for it; agent.c has the order.
 */
#ifndef SL_RUN_AGENT_H
#define SL_RUN_AGENT_H

#include <event2/event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "api/health.h"
#include "api/reports.h"
#include "api/service.h"
#include "base/error.h"
#include "config/config.h"
#include "control/control.h"
#include "datapath/datapath.h"
#include "datapath/grace.h"
#include "ids/maps.h"
#include "qos/qos.h"
#include "redirect/claim.h"
#include "run/settings.h"

#define SL_AGENT_EVENTS 16

struct sl_desired;
struct sl_http;
struct sl_ids_engine;
struct sl_ids_log_table;
struct sl_ids_sink;
struct sl_policy_directory;
struct sl_portal;
struct sl_servers;

struct sl_agent {
	const struct sl_config *config;
	struct sl_access_names access; /* where no rule may send packets */
	struct sl_control_apn apns[SLUICE_APNS];
	struct event_base *base;
	struct event *events[SL_AGENT_EVENTS];
	size_t event_count;
	struct event *pool_timer;
	struct sl_datapath *datapath;
	bool is_stopping;
	bool adopted; /* an earlier run's state, which a failed start must leave alone */
	uint64_t epoch;
	struct sl_qos *qos;
	struct sl_grace *grace;
	struct sl_control *control;
	struct sl_policy_directory *policy; /* NULL: none is configured */
	struct sl_desired *desired;
	struct sl_ids_kernel ids_kernel;
	struct sl_ids_table *ids; /* the IDS rules in force */
	struct sl_ids_engine *ids_engine;
	struct sl_ids_log_table *ids_log; /* which alerts are told */
	struct sl_ids_sink *ids_sink;
	struct sl_grpc_server *server;
	struct sl_health *health;
	struct sl_reports *reports;
	struct sl_http *http;
	struct sl_portal *portal; /* NULL: nobody is redirected */
	struct sl_servers *servers;
	struct sl_claims claims; /* of routing rules and the table to the portal */
	struct sl_service service;
	uint64_t event_counts[SL_EVENT_TYPES]; /* of control, since the start */
};

/* Until a signal or a request ends it; 0, or -errno when it could not start (err says why). */
int sl_agent_run(const struct sl_config *config, struct sl_error *err);

/*
 * An event of the loop that lasts as long as the agent: of a descriptor or a
 * signal (what: EV_READ, EV_SIGNAL), or by the clock. `user` of the callback is
 * the agent.
 */
int sl_agent_add_event(struct sl_agent *agent, int fd, short what, event_callback_fn callback,
		       struct sl_error *err);
int sl_agent_add_timer(struct sl_agent *agent, uint32_t every_ms, event_callback_fn callback,
		       struct sl_error *err);

#endif
