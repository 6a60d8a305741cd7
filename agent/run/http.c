// SPDX-License-Identifier: Apache-2.0
#include "run/http.h"

#include <errno.h>

#include "base/cleanup.h"
#include "http/server.h"
#include "run/class_metrics.h"
#include "run/metrics.h"

/* Whether a session manager may send sessions, and whether they will be enforced. */
static bool is_ready(struct sl_error *why, void *user)
{
	struct sl_hook_status hooks[2 * SL_DATAPATH_DEVICES * 3];
	struct sl_agent *agent = user;
	size_t count = sl_datapath_hooks(agent->datapath, hooks, SL_ARRAY_SIZE(hooks));

	if (!agent->service.setup_done) {
		sl_error(why, EAGAIN, "waiting for the session manager's setup");
		return false;
	}
	for (size_t i = 0; i < count; i++) {
		if (!hooks[i].attached) {
			sl_error(why, ENODEV, "no program at %s of %s", hooks[i].hook, hooks[i].interface);
			return false;
		}
	}
	return true;
}

int sl_http_start(struct sl_agent *agent, struct sl_error *err)
{
	static const struct sl_http_ops ops = {
		.metrics = sl_metrics_of_agent, .class_metrics = sl_class_metrics, .ready = is_ready};
	int rc;

	if (!*agent->config->http.listen)
		return 0;
	rc = sl_http_new(agent->base, agent->config->http.listen, &ops, agent, &agent->http, err);
	return rc < 0 ? sl_error_prefix(err, rc, "http.listen") : 0;
}
