/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the services share: the agent's parts, wired by run/, and the state
 * of the conversation with the session manager.
 */
#ifndef SL_API_SERVICE_H
#define SL_API_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "api/grpc.h"
#include "base/error.h"
#include "control/control.h"
#include "usage/reporter.h"

struct sl_desired;
struct sl_ids_engine;
struct sl_ids_table;
struct sl_policy_directory;
struct sl_portal;
struct sl_reports;
struct sl_servers;
struct sl_watchers;

struct sl_service {
	struct sl_grpc_server *server;
	struct sl_datapath *datapath;
	struct sl_qos *qos; /* NULL: no queues */
	struct sl_control *control;
	struct sl_policy_directory *policy; /* NULL: no rules by name */
	struct sl_desired *desired;
	struct sl_ids_engine *ids;
	struct sl_ids_table *ids_rules; /* those in force */
	struct sl_reporter *reporter;	/* NULL: no session manager */
	struct sl_reports *reports;	/* NULL likewise */
	const char *session_manager;	/* its address, or NULL */
	struct sl_portal *portal;	/* NULL: nobody is redirected */
	uint32_t portal_port;
	struct sl_servers *servers; /* NULL likewise */
	bool unknown_drop;

	uint64_t epoch;	     /* start of the agent, seconds since 1970 */
	uint64_t started_ms; /* CLOCK_MONOTONIC */
	bool defaults_done;  /* SetupDefaultControllers came */
	bool setup_done;     /* sessions may be activated */
	bool setup_applied;  /* a session manager's state is in force */

	struct sl_watchers *watchers;
	/* Ends enforcement and then the agent; called once. */
	int (*detach)(uint32_t *hooks, struct sl_error *err, void *user);
	void (*quit)(void *user);
	void *user;
};

/* magma.lte.Pipelined. -errno when a path cannot be registered. */
int sl_pipelined_register(struct sl_service *service);

/* SetSessionRules and UpdateActiveRules. */
int sl_set_rules_register(struct sl_service *service);

/* sluice.v1.Admin. */
int sl_admin_register(struct sl_service *service);

enum sl_grpc_status sl_status_of(int error);

#endif
