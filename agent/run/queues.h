/* SPDX-License-Identifier: Apache-2.0 */
/* HTB's classes are built while the agent serves, in chunks, on a timer. */
#ifndef SL_RUN_QUEUES_H
#define SL_RUN_QUEUES_H

#include "run/agent.h"

/* The qdiscs, the first classes, and the timer that builds the rest. */
int sl_queues_start(struct sl_agent *agent, struct sl_error *err);

/* About once a second: devices whose transmit queues have changed, or that were made anew. */
void sl_queues_follow(struct sl_agent *agent);

#endif
