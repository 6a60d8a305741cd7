/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who watches, and what they are told. Each watcher has a bounded queue (the
 * stream's); one that does not read loses events and is told how many.
 */
#ifndef SL_API_WATCH_H
#define SL_API_WATCH_H

#include "api/service.h"
#include "desired/desired.h"
#include "sluice/v1/admin.pb-c.h"

struct sl_alert_watchers;

/* Watchers at one time; one more is refused with RESOURCE_EXHAUSTED. */
#define SL_WATCHERS 32

int sl_watchers_new(struct sl_service *service, struct sl_watchers **out);
void sl_watchers_free(struct sl_watchers *watchers);
void sl_watchers_end(struct sl_watchers *watchers); /* the streams; new ones may come */
struct sl_alert_watchers *sl_watchers_alerts(struct sl_watchers *watchers);
void sl_watchers_add(struct sl_watchers *watchers, struct sl_call *call, bool drops);

/* What run/ wires to the parts that have something to tell. */
void sl_watch_session(struct sl_watchers *watchers, const struct sl_control_event *from);
void sl_watch_drop(struct sl_watchers *watchers, const struct sluice_drop_event *from);
void sl_watch_usage_reported(struct sl_watchers *watchers, size_t records);
void sl_watch_session_manager(struct sl_watchers *watchers, bool up, const char *reason);
void sl_watch_policy(struct sl_watchers *watchers);
void sl_watch_repair(struct sl_watchers *watchers, const struct sl_desired_repair *from);
void sl_watch_notify(struct sl_watchers *watchers, Sluice__V1__IdsAlert *alert);
void sl_watch_pool(struct sl_watchers *watchers, const char *pool, const char *state, uint64_t used,
		   uint64_t size);

#endif
