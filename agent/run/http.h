/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics and health over HTTP, if the configuration has http.listen. */
#ifndef SL_RUN_HTTP_H
#define SL_RUN_HTTP_H

#include "run/agent.h"

/* Listens; requests are answered when the loop runs. */
int sl_http_start(struct sl_agent *agent, struct sl_error *err);

#endif
