/* SPDX-License-Identifier: Apache-2.0 */
/* The end of enforcement: at somebody's request, without an agent, after a start that failed. */
#ifndef SL_RUN_DETACH_H
#define SL_RUN_DETACH_H

#include "run/agent.h"

/* For sl_service: takes programs, pins and queues away; *hooks is how many hooks were attached. */
int sl_agent_detach(uint32_t *hooks, struct sl_error *err, void *user);

/* For sl_service: ends the loop when the answer has gone out. */
void sl_agent_quit(void *user);

/* Takes away what a start has made, unless it was adopted: that stays as it was. */
void sl_agent_undo_start(struct sl_agent *agent);

/* Without a running agent: what the pins and the configuration name. */
int sl_detach_offline(const struct sl_config *config, struct sl_error *err);

#endif
