/* SPDX-License-Identifier: Apache-2.0 */
/* What happens to the running agent, and who is told: signals, the clock, the kernel, sessions. */
#ifndef SL_RUN_EVENTS_H
#define SL_RUN_EVENTS_H

#include "run/agent.h"

/* Signals, the clock, grace periods, drop records; the last part to start. */
int sl_events_start(struct sl_agent *agent, struct sl_error *err);

/* For sl_control_config: to the log and to who watches. `user` is the agent. */
void sl_on_control_event(const struct sl_control_event *event, void *user);

#endif
