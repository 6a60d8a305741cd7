// SPDX-License-Identifier: Apache-2.0
#include "run/queues.h"

#include <errno.h>

#include "api/watch.h"
#include "base/log.h"
#include "run/settings.h"

/* A chunk of this many classes takes some milliseconds even in a large pool. */
#define POOL_CHUNK     16
#define POOL_PERIOD_MS 5
#define POOL_AT_START  512
#define POOL_RETRY_MS  5000

static void on_pool_timer(evutil_socket_t fd, short what, void *user)
{
	struct sl_qos_pool_status status;
	struct sl_agent *agent = user;
	struct timeval again;
	struct sl_error err;
	int rc;

	(void)fd;
	(void)what;
	rc = sl_qos_build(agent->qos, POOL_CHUNK, &err);
	if (rc == 0) {
		for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
			const char *name = direction == SLUICE_UPLINK ? "classes-uplink" : "classes-downlink";

			sl_qos_pool_status(agent->qos, direction, &status);
			sl_log(SL_LOG_INFO, "pool-ready", "pool", "%s", name, "size", "%u", status.size,
			       NULL);
			sl_watch_pool(agent->service.watchers, name, "ready", status.used, status.size);
		}
		return;
	}
	if (rc < 0)
		sl_log(SL_LOG_ERROR, "pool-build-failed", "reason", "%s", err.text, NULL);
	again = (struct timeval){.tv_sec = rc < 0 ? POOL_RETRY_MS / 1000 : 0,
				 .tv_usec = rc < 0 ? 0 : POOL_PERIOD_MS * 1000};
	event_add(agent->pool_timer, &again);
}

int sl_queues_start(struct sl_agent *agent, struct sl_error *err)
{
	struct timeval now = {0};
	struct sl_qos_config config;
	int rc;

	sl_settings_of_qos(agent->config, &config);
	rc = sl_qos_open(&config, &agent->qos, err);
	if (rc < 0)
		return rc;
	/* the first activations need queues at once, and so do sessions that are adopted; the rest can wait
	 */
	for (uint32_t built = 0; agent->adopted || built < POOL_AT_START; built += POOL_CHUNK) {
		rc = sl_qos_build(agent->qos, POOL_CHUNK, err);
		if (rc < 0)
			return rc;
		if (rc == 0)
			break;
	}
	agent->pool_timer = event_new(agent->base, -1, 0, on_pool_timer, agent);
	if (!agent->pool_timer || event_add(agent->pool_timer, &now) < 0)
		return sl_error(err, ENOMEM, "out of memory");
	return 0;
}
