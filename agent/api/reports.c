// SPDX-License-Identifier: Apache-2.0
#include "api/reports.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>

#include "api/convert.h"
#include "api/session_manager.h"
#include "api/watch.h"
#include "base/log.h"
#include "usage/reporter.h"

#define EMPTY_REPORT_MS 3000 /* as pipelined does */

struct sl_reports {
	struct sl_service *service;
	uint32_t interval_ms;
	struct event *timer;
	struct sl_session_manager *manager;
	struct sl_reporter *reporter;
};

static size_t session(bool ended, struct sl_usage_record *out, size_t max, uint32_t *slot, void *user)
{
	return sl_control_session_usage(((struct sl_reports *)user)->service->control, ended, out, max, slot);
}

static void acknowledge(const struct sl_usage_receipt *receipts, size_t count, void *user)
{
	sl_control_acknowledge(((struct sl_reports *)user)->service->control, receipts, count);
}

static int send_report(const struct sl_usage_record *records, size_t count, void *user)
{
	return sl_session_manager_report(((struct sl_reports *)user)->manager, records, count);
}

static bool ready(void *user)
{
	return ((struct sl_reports *)user)->service->setup_done;
}

static void on_change(bool up, const char *reason, void *user)
{
	struct sl_service *service = ((struct sl_reports *)user)->service;

	sl_log(up ? SL_LOG_INFO : SL_LOG_WARNING, up ? "session-manager-up" : "session-manager-down",
	       "address", "%s", service->session_manager, "reason", "%s",
	       reason ? reason : "report acknowledged", NULL);
	sl_watch_session_manager(service->watchers, up, reason);
}

static void on_report(size_t records, void *user)
{
	sl_watch_usage_reported(((struct sl_reports *)user)->service->watchers, records);
}

static void on_answer(const char *reason, void *user)
{
	sl_reporter_done(((struct sl_reports *)user)->reporter, reason);
}

static void on_timer(evutil_socket_t fd, short what, void *user)
{
	struct sl_reports *reports = user;
	uint32_t ms = reports->service->setup_done ? reports->interval_ms : EMPTY_REPORT_MS;
	struct timeval again = {.tv_sec = ms / 1000, .tv_usec = (ms % 1000) * 1000};

	(void)fd;
	(void)what;
	sl_reporter_tick(reports->reporter);
	event_add(reports->timer, &again);
}

int sl_reports_new(struct event_base *base, struct sl_service *service, const char *address,
		   uint32_t interval_ms, size_t max_bytes, struct sl_reports **out, struct sl_error *err)
{
	static const struct sl_reporter_ops ops = {
		.session = session,
		.size = sl_record_size,
		.acknowledge = acknowledge,
		.send = send_report,
		.ready = ready,
		.on_change = on_change,
		.on_report = on_report,
	};
	struct sl_reports *reports = calloc(1, sizeof(*reports));
	struct timeval now = {0};
	int rc;

	if (!reports)
		return sl_error(err, ENOMEM, "out of memory");
	reports->service = service;
	reports->interval_ms = interval_ms;
	rc = sl_session_manager_new(base, address, service->epoch, on_answer, reports, &reports->manager,
				    err);
	if (rc < 0) {
		sl_error_prefix(err, rc, "session_manager.address");
		goto fail;
	}
	rc = sl_reporter_new(&ops, max_bytes, reports, &reports->reporter);
	if (rc == 0) {
		reports->timer = event_new(base, -1, 0, on_timer, reports);
		rc = reports->timer && event_add(reports->timer, &now) == 0 ? 0 : -ENOMEM;
	}
	if (rc < 0) {
		sl_error(err, -rc, "out of memory");
		goto fail;
	}
	service->reporter = reports->reporter;
	service->reports = reports;
	service->session_manager = address;
	*out = reports;
	return 0;

fail:
	sl_reports_free(reports);
	return rc;
}

void sl_reports_now(struct sl_reports *reports)
{
	struct timeval now = {0};

	event_add(reports->timer, &now);
}

void sl_reports_free(struct sl_reports *reports)
{
	if (!reports)
		return;
	if (reports->timer)
		event_free(reports->timer);
	sl_session_manager_free(reports->manager);
	sl_reporter_free(reports->reporter);
	free(reports);
}
