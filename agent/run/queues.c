// SPDX-License-Identifier: Apache-2.0
#include "run/queues.h"

#include <errno.h>
#include <net/if.h>

#include "api/watch.h"
#include "base/cleanup.h"
#include "base/log.h"
#include "run/settings.h"

/* A chunk of this many classes takes some milliseconds even in a large pool. */
#define POOL_CHUNK     16
#define POOL_PERIOD_MS 5
#define POOL_AT_START  1024 /* in both directions; half of them are in trees */
#define POOL_RETRY_MS  5000

static void tell_ready(struct sl_agent *agent, const char *name, const struct sl_qos_pool_status *status)
{
	sl_log(SL_LOG_INFO, "pool-ready", "pool", "%s", name, "size", "%u", status->size, NULL);
	sl_watch_pool(agent->service.watchers, name, "ready", status->used, status->size);
}

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
			bool uplink = direction == SLUICE_UPLINK;

			sl_qos_pool_status(agent->qos, direction, &status);
			tell_ready(agent, uplink ? "classes-uplink" : "classes-downlink", &status);
			sl_qos_tree_status(agent->qos, direction, &status);
			tell_ready(agent, uplink ? "trees-uplink" : "trees-downlink", &status);
		}
		return;
	}
	if (rc < 0)
		sl_log(SL_LOG_ERROR, "pool-build-failed", "reason", "%s", err.text, NULL);
	again = (struct timeval){.tv_sec = rc < 0 ? POOL_RETRY_MS / 1000 : 0,
				 .tv_usec = rc < 0 ? 0 : POOL_PERIOD_MS * 1000};
	event_add(agent->pool_timer, &again);
}

/* Packets must know in which of several transmit queues a device has which class. */
static int tell_devices(struct sl_agent *agent, struct sl_error *err)
{
	const struct sl_config_interfaces *sides[] = {&agent->config->access, &agent->config->core};
	struct sl_egress_device devices[SLUICE_EGRESS_DEVICES];
	size_t count = 0;

	for (size_t side = 0; side < SL_ARRAY_SIZE(sides); side++) {
		for (unsigned int i = 0; i < sides[side]->count && count < SLUICE_EGRESS_DEVICES; i++) {
			unsigned int ifindex = if_nametoindex(sides[side]->list[i].name);

			devices[count++] =
				(struct sl_egress_device){ifindex, sl_qos_queues(agent->qos, ifindex)};
		}
	}
	return sl_egress_devices_set(agent->datapath, devices, count, NULL, err);
}

void sl_queues_follow(struct sl_agent *agent)
{
	struct sl_error err;

	if (tell_devices(agent, &err) < 0)
		sl_log(SL_LOG_ERROR, "queues-not-told", "reason", "%s", err.text, NULL);
}

int sl_queues_start(struct sl_agent *agent, struct sl_error *err)
{
	struct timeval now = {0};
	struct sl_qos_config config;
	int rc;

	sl_settings_of_qos(agent->config, &config);
	rc = sl_qos_open(&config, &agent->qos, err);
	if (rc == 0)
		rc = tell_devices(agent, err);
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
