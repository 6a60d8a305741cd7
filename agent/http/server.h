/* SPDX-License-Identifier: Apache-2.0 */
/*
 * HTTP for those who watch the agent:
 *
 *   GET /metrics           Prometheus' text form
 *   GET /metrics/classes   likewise, of each HTB class in use
 *   GET /healthz           200 "ok": the agent's loop turns
 *   GET /readyz            200 "ready", or 503 and why sessions cannot be activated
 *
 * HEAD is answered likewise; another path is 404, another method 405. One
 * request a connection. Everything is made when it is asked for, on the thread
 * of the event base. SIGPIPE must be ignored.
 */
#ifndef SL_HTTP_SERVER_H
#define SL_HTTP_SERVER_H

#include <stdbool.h>

#include "base/error.h"
#include "http/metrics.h"

struct event_base;
struct sl_http;

#define SL_HTTP_CONNECTIONS 32	 /* at one time; more wait in the kernel's queue until one has ended */
#define SL_HTTP_HEADERS	    8192 /* bytes of a request's headers; more: 400 */
#define SL_HTTP_BODY	    1024 /* bytes of a request's body, which nobody reads; more: 413 */
#define SL_HTTP_LIFE_MS	    5000 /* from connection to the end of the answer; then it is closed */

struct sl_http_ops {
	void (*metrics)(struct sl_metrics *metrics, void *user);
	void (*class_metrics)(struct sl_metrics *metrics, void *user);
	bool (*ready)(struct sl_error *why, void *user); /* false: `why` says why not */
};

/*
 * "127.0.0.1:9464", "[::1]:9464". -EADDRINUSE and other errors of bind name the
 * address. `ops` is copied.
 */
int sl_http_new(struct event_base *base, const char *address, const struct sl_http_ops *ops, void *user,
		struct sl_http **out, struct sl_error *err);
void sl_http_free(struct sl_http *http); /* closes its connections; before the event base is freed */

#endif
