/* SPDX-License-Identifier: Apache-2.0 */
/* Who watches IDS alerts. As watch.h: a bounded queue each, and what is lost is counted. */
#ifndef SL_API_WATCH_ALERTS_H
#define SL_API_WATCH_ALERTS_H

#include "api/watch.h"
#include "ids/alert.h"

/* At one time, beside SL_WATCHERS; one more is refused with RESOURCE_EXHAUSTED. */
#define SL_ALERT_WATCHERS 32

/* watch.c makes, ends and frees them with its own. */
struct sl_alert_watchers;
struct sl_alert_watchers *sl_alert_watchers_new(void); /* NULL: out of memory */
void sl_alert_watchers_free(struct sl_alert_watchers *watchers);
void sl_alert_watchers_end(struct sl_alert_watchers *watchers);

/* Nobody there (NULL): nothing. */
void sl_watch_alert(struct sl_watchers *watchers, const struct sl_ids_alert *alert);

#endif
