/* SPDX-License-Identifier: Apache-2.0 */
/* Redirected subscribers: the portal, the addresses of servers, the route to the portal. */
#ifndef SL_RUN_REDIRECT_H
#define SL_RUN_REDIRECT_H

#include "run/agent.h"

/* The portal's sockets and the resolver, before control/: it asks for addresses. */
int sl_redirect_start(struct sl_agent *agent, struct sl_error *err);

/* For sl_control_config; nothing where there is no portal. */
void sl_redirect_hooks(const struct sl_agent *agent, struct sl_control_config *out);

/* When control/ has its rules: their servers, the programs' sockets, the route, the clock. */
int sl_redirect_serve(struct sl_agent *agent, struct sl_error *err);

void sl_redirect_stop(struct sl_agent *agent);

#endif
