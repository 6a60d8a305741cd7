/* SPDX-License-Identifier: Apache-2.0 */
/* What the IDS module tells: alerts to where the configuration says, and metrics. */
#ifndef SL_RUN_IDS_ALERTS_H
#define SL_RUN_IDS_ALERTS_H

#include "run/agent.h"

struct sl_metrics;
struct sl_ids_engine_config;

/* Opens the ways out, and has the engine call them. */
int sl_ids_alerts_start(struct sl_agent *agent, struct sl_ids_engine_config *config, struct sl_error *err);
void sl_ids_alerts_stop(struct sl_agent *agent);
void sl_ids_alerts_reopen(struct sl_agent *agent);

/* ids_metrics.c */
void sl_ids_metrics(struct sl_metrics *out, const struct sl_agent *agent);

#endif
