/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Metrics in Prometheus' text exposition format 0.0.4: families, each with its
 * HELP and TYPE line, and their values. Names and labels are the caller's and
 * constant; label values may be anything.
 */
#ifndef SL_HTTP_METRICS_H
#define SL_HTTP_METRICS_H

#include <stdint.h>

struct evbuffer;

#define SL_METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

enum sl_metric_type { SL_METRIC_COUNTER, SL_METRIC_GAUGE };

struct sl_metrics {
	struct evbuffer *out; /* the caller's */
	const char *family;   /* to which the next values belong */
};

/* All values of a family follow it before the next one begins. */
void sl_metric_family(struct sl_metrics *metrics, const char *name, enum sl_metric_type type,
		      const char *help);

/* One value, with label names and values in turn, then NULL. What is not UTF-8 in a value becomes '?'. */
void sl_metric(struct sl_metrics *metrics, uint64_t value, ...) __attribute__((sentinel));
void sl_metric_real(struct sl_metrics *metrics, double value, ...) __attribute__((sentinel));

#endif
