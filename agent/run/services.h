/* SPDX-License-Identifier: Apache-2.0 */
/* gRPC: where it is served, and which services. */
#ifndef SL_RUN_SERVICES_H
#define SL_RUN_SERVICES_H

#include "run/agent.h"

/* Makes the server and its sockets; -EADDRINUSE while another agent has them. */
int sl_services_listen(struct sl_agent *agent, struct sl_error *err);

/* What is served, by agent->service. */
int sl_services_register(struct sl_agent *agent, struct sl_error *err);

#endif
