/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Usage reports: the reporter of usage/ with its clock, fed by control/, its
 * messages sent to the session manager.
 */
#ifndef SL_API_REPORTS_H
#define SL_API_REPORTS_H

#include <stdint.h>

#include "api/service.h"
#include "base/error.h"

struct event_base;
struct sl_reports;

/*
 * Reports every interval, the first at once, in messages of at most max_bytes;
 * before Setup an empty report every three seconds, which shows the epoch. Sets service->reporter,
 * service->reports and service->session_manager; the service and the address outlive the reports.
 */
int sl_reports_new(struct event_base *base, struct sl_service *service, const char *address,
		   uint32_t interval_ms, size_t max_bytes, struct sl_reports **out, struct sl_error *err);
/* The next report now, not when the interval has passed: what there is to report has changed as a whole. */
void sl_reports_now(struct sl_reports *reports);
void sl_reports_free(struct sl_reports *reports);

#endif
