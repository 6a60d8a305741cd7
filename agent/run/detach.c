// SPDX-License-Identifier: Apache-2.0
#include "run/detach.h"

#include "base/cleanup.h"
#include "base/log.h"
#include "redirect/route.h"
#include "run/settings.h"

int sl_agent_detach(uint32_t *hooks, struct sl_error *err, void *user)
{
	struct sl_hook_status status[2 * SL_DATAPATH_DEVICES * 3];
	struct sl_agent *agent = user;
	size_t count = sl_datapath_hooks(agent->datapath, status, SL_ARRAY_SIZE(status));
	int rc;

	rc = sl_datapath_detach(agent->datapath, err);
	if (rc == 0 && agent->qos)
		rc = sl_qos_remove(agent->qos, err);
	/* also those of an earlier run that had a portal */
	if (rc == 0)
		rc = sl_route_remove(&agent->claims, err);
	if (rc < 0)
		return rc;
	event_del(agent->pool_timer);
	for (size_t i = 0; i < count; i++)
		*hooks += status[i].attached;
	sl_log(SL_LOG_INFO, "detached", "hooks", "%u", *hooks, NULL);
	return 0;
}

void sl_agent_quit(void *user)
{
	struct timeval soon = {.tv_usec = 100000};

	event_base_loopexit(((struct sl_agent *)user)->base, &soon);
}

void sl_agent_undo_start(struct sl_agent *agent)
{
	struct sl_error err = {{0}};

	if (agent->adopted || !agent->datapath)
		return;
	if (agent->portal && sl_route_remove(&agent->claims, &err) < 0)
		sl_log(SL_LOG_ERROR, "undo-failed", "reason", "%s", err.text, NULL);
	if (agent->qos && sl_qos_remove(agent->qos, &err) < 0)
		sl_log(SL_LOG_ERROR, "undo-failed", "reason", "%s", err.text, NULL);
	if (sl_datapath_detach(agent->datapath, &err) < 0)
		sl_log(SL_LOG_ERROR, "undo-failed", "reason", "%s", err.text, NULL);
}

int sl_detach_offline(const struct sl_config *config, struct sl_error *err)
{
	struct sl_qos_config settings;
	struct sl_qos *qos = NULL;
	int rc;

	rc = sl_datapath_remove(config->pin_path, err);
	if (rc == 0)
		rc = sl_route_remove(NULL, err);
	if (rc < 0)
		return rc;
	sl_settings_of_qos(config, &settings);
	/* without a pool to make room for, what others have put on a device is not in the way */
	settings.pool_size = settings.trees = 0;
	rc = sl_qos_open(&settings, &qos, err);
	sl_qos_close(qos);
	return rc;
}
