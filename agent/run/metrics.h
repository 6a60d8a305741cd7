/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What /metrics says. Nothing by subscriber: the number of values is fixed by
 * the configuration (docs/operations.md lists them).
 */
#ifndef SL_RUN_METRICS_H
#define SL_RUN_METRICS_H

#include "http/metrics.h"

void sl_metrics_of_agent(struct sl_metrics *metrics, void *user);

#endif
