// SPDX-License-Identifier: Apache-2.0
#include "run/ids.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "catalog/catalog.h"
#include "catalog/directory.h"
#include "ids/engine.h"
#include "ids/rules.h"
#include "run/ids_alerts.h"

/* Rules that found no room are tried again so often. */
#define RETRY_MS 10000

static void apply(struct sl_agent *agent, const struct sl_ids_rules *rules)
{
	struct sl_ids_applied applied = {.kept = 0};
	struct sl_ids_rules_status status;
	struct sl_error before = {""}, err = {""};

	sl_ids_rules_status(agent->ids, &status);
	if (status.problem)
		snprintf(before.text, sizeof(before.text), "%s", status.problem);
	if (sl_ids_rules_apply(agent->ids, rules, &applied, &err) < 0) {
		if (strcmp(before.text, err.text) != 0)
			sl_log(SL_LOG_ERROR, "ids-rules-refused", "reason", "%s", err.text, NULL);
		return;
	}
	if (applied.changed || applied.added || applied.removed)
		sl_log(SL_LOG_INFO, "ids-rules-changed", "rules", "%u", rules->count, "added", "%u",
		       applied.added, "changed", "%u", applied.changed, "removed", "%u", applied.removed,
		       "interrupted", "%u", applied.interrupted, NULL);
}

/* Without a directory there are no rules; one that could not be read leaves those before in force. */
static void read_rules(struct sl_agent *agent, const struct sl_catalog *catalog)
{
	const struct sl_ids_rules *rules = sl_catalog_content(catalog, &sl_ids_section);

	if (rules)
		apply(agent, rules);
	else if (!agent->policy)
		apply(agent, &(struct sl_ids_rules){.rule = NULL});
}

static const struct sl_catalog *catalog_of(void *user)
{
	const struct sl_agent *agent = user;

	return agent->policy ? sl_policy_directory_catalog(agent->policy) : NULL;
}

/* There may be room by now. Refused again, that is not told once more. */
static void on_retry(evutil_socket_t fd, short what, void *user)
{
	struct sl_ids_rules_status status;
	struct sl_agent *agent = user;

	(void)fd;
	(void)what;
	sl_ids_rules_status(agent->ids, &status);
	if (status.problem)
		read_rules(agent, catalog_of(agent));
}

static void on_gone(uint32_t identity, void *user)
{
	struct sl_agent *agent = user;

	sl_ids_engine_gone(agent->ids_engine, identity, sl_now_ns());
}

static int start(struct sl_agent *agent, struct sl_error *err)
{
	struct sl_ids_engine_config config = {
		.datapath = agent->datapath,
		.control = agent->control,
		.catalog = catalog_of,
		.user = agent,
	};
	struct sl_ids_maps maps;
	int rc;

	agent->ids_kernel = (struct sl_ids_kernel){
		.datapath = agent->datapath,
		.control = agent->control,
		.grace = agent->grace,
		.gone = on_gone,
		.user = agent,
	};
	sl_ids_maps_of(&agent->ids_kernel, &maps);
	rc = sl_ids_rules_open(&maps, &agent->ids, err);
	if (rc < 0)
		return rc;
	config.rules = agent->ids;
	rc = sl_ids_alerts_start(agent, &config, err);
	if (rc < 0)
		return rc;
	return sl_ids_engine_new(&config, sl_now_ns(), &agent->ids_engine, err);
}

static int serve(struct sl_agent *agent, struct sl_error *err)
{
	int rc = sl_agent_add_timer(agent, RETRY_MS, on_retry, err);

	return rc < 0 ? rc : sl_ids_engine_start(agent->ids_engine, agent->base, err);
}

static void stop(struct sl_agent *agent)
{
	sl_ids_engine_free(agent->ids_engine);
	sl_ids_alerts_stop(agent);
	sl_ids_rules_close(agent->ids);
}

static bool owns(const struct sl_agent *agent, const char *imsi, const struct sl_install *install)
{
	return sl_ids_engine_owns(agent->ids_engine, imsi, install);
}

const struct sl_module sl_module_ids = {
	.name = "ids",
	.start = start,
	.serve = serve,
	.stop = stop,
	.section = &sl_ids_section,
	.read = read_rules,
	.owns = owns,
	.metrics = sl_ids_metrics,
	.reopen = sl_ids_alerts_reopen,
};
