/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What /metrics/classes says: what the queue of each HTB class in use has sent and
 * dropped, and holds. As many values as there are classes in use, so apart from /metrics.
 */
#ifndef SL_RUN_CLASS_METRICS_H
#define SL_RUN_CLASS_METRICS_H

#include "http/metrics.h"

void sl_class_metrics(struct sl_metrics *metrics, void *user);

#endif
