// SPDX-License-Identifier: Apache-2.0
#include "run/policy.h"

#include <errno.h>

#include "api/watch.h"
#include "base/log.h"
#include "catalog/directory.h"
#include "desired/desired.h"
#include "http/metrics.h"
#include "run/modules.h"

bool sl_policy_is_desired(const char *imsi, const struct sl_address *address,
			  const struct sl_install *install, void *user)
{
	const struct sl_agent *agent = user;

	return sl_desired_owns(agent->desired, imsi, address, install) ||
	       sl_modules_own(agent, imsi, install);
}

static void on_read(void *user)
{
	struct sl_agent *agent = user;
	struct sl_policy_status status;

	sl_policy_directory_status(agent->policy, &status);
	if (!status.problem) {
		sl_desired_catalog_changed(agent->desired, sl_policy_directory_catalog(agent->policy));
		sl_modules_read(agent, sl_policy_directory_catalog(agent->policy));
	}
	if (agent->service.watchers)
		sl_watch_policy(agent->service.watchers);
}

static void on_repair(const struct sl_desired_repair *repair, void *user)
{
	struct sl_agent *agent = user;
	char address[SL_ADDRESS_TEXT];

	sl_address_format(repair->address, address);
	sl_log(SL_LOG_WARNING, "desired-repaired", "imsi", "%s", repair->imsi, "address", "%s", address,
	       "rule", "%s", repair->rule_id, "version", "%u", repair->version, "was", "%s", repair->what,
	       NULL);
	if (agent->service.watchers)
		sl_watch_repair(agent->service.watchers, repair);
}

const struct sl_profile *sl_policy_profile(const char *name, void *user)
{
	const struct sl_agent *agent = user;

	return sl_catalog_profile(sl_policy_directory_catalog(agent->policy), name);
}

int sl_policy_check(const struct sl_config *config, struct sl_error *err)
{
	const struct sl_access_names access = sl_settings_of_access(config);
	struct sl_catalog *catalog = NULL;
	int rc = 0;

	if (config->policy_directory[0])
		rc = sl_catalog_load_with(config->policy_directory, access.name, sl_modules_sections(),
					  &catalog, err);
	sl_catalog_free(catalog);
	return rc;
}

static void add_directory(struct sl_metrics *out, const struct sl_policy_directory *directory)
{
	struct sl_policy_status status;

	sl_policy_directory_status(directory, &status);
	sl_metric_family(out, "sluice_policy_rules", SL_METRIC_GAUGE,
			 "Rules of the policy directory in force.");
	sl_metric(out, sl_catalog_rule_count(sl_policy_directory_catalog(directory)), NULL);
	sl_metric_family(out, "sluice_policy_readings_total", SL_METRIC_COUNTER,
			 "Readings of the policy directory, by result.");
	sl_metric(out, status.loads, "result", "in-force", NULL);
	sl_metric(out, status.failures, "result", "refused", NULL);
	sl_metric_family(out, "sluice_policy_is_good", SL_METRIC_GAUGE,
			 "1 when the last reading of the policy directory found nothing wrong.");
	sl_metric(out, !status.problem, NULL);
}

struct profile_metrics {
	struct sl_metrics *out;
	uint32_t missing;
};

/* Those of the policy directory: their number has a bound. */
static void add_profile(const struct sl_profile_view *view, void *user)
{
	struct profile_metrics *metrics = user;

	if (view->missing) {
		metrics->missing++;
		return;
	}
	sl_metric(metrics->out, view->shaped, "profile", view->name, "kept", "shaped", NULL);
	sl_metric(metrics->out, view->policed, "profile", view->name, "kept", "policed", NULL);
}

static void add_profiles(struct sl_metrics *out, const struct sl_agent *agent)
{
	struct profile_metrics metrics = {.out = out};

	sl_metric_family(out, "sluice_profile_sessions", SL_METRIC_GAUGE,
			 "Sessions with a QoS profile, by how its rates are kept.");
	sl_control_each_profile(agent->control, add_profile, &metrics);
	sl_metric_family(out, "sluice_profiles_missing", SL_METRIC_GAUGE,
			 "QoS profiles that rules in force have and the policy directory does not any more.");
	sl_metric(out, metrics.missing, NULL);
}

void sl_policy_metrics(struct sl_metrics *out, const struct sl_agent *agent)
{
	struct sl_desired_status status;

	if (agent->policy)
		add_directory(out, agent->policy);
	add_profiles(out, agent);
	sl_desired_status(agent->desired, &status);
	sl_metric_family(out, "sluice_desired_subscribers", SL_METRIC_GAUGE,
			 "Subscribers that SetSessionRules has set rules for.");
	sl_metric(out, status.subscribers, NULL);
	sl_metric_family(out, "sluice_desired_failing_rules", SL_METRIC_GAUGE,
			 "Desired rules that a session has refused or the policy directory does not have.");
	sl_metric(out, status.failing, NULL);
	sl_metric_family(out, "sluice_desired_repairs_total", SL_METRIC_COUNTER,
			 "Desired rules that were missing, different or still there.");
	sl_metric(out, status.repairs, NULL);
}

void sl_policy_reload(struct sl_agent *agent)
{
	if (agent->policy)
		sl_policy_directory_reload(agent->policy);
}

int sl_policy_start(struct sl_agent *agent, struct sl_error *err)
{
	struct sl_desired_config config = {
		.control = agent->control,
		.versions_above = (uint32_t)agent->epoch,
		.on_repair = on_repair,
		.user = agent,
	};

	if (sl_desired_new(&config, &agent->desired) < 0)
		return sl_error(err, ENOMEM, "out of memory");
	if (agent->config->policy_directory[0]) {
		int rc = sl_policy_directory_open(agent->base, agent->config->policy_directory,
						  agent->access.name, sl_modules_sections(), on_read, agent,
						  &agent->policy, err);

		if (rc < 0)
			return rc;
		sl_desired_catalog_changed(agent->desired, sl_policy_directory_catalog(agent->policy));
		sl_modules_read(agent, sl_policy_directory_catalog(agent->policy));
	} else {
		sl_modules_read(agent, NULL);
	}
	return sl_desired_start(agent->desired, agent->base, agent->config->desired_check_interval_ms, err);
}

void sl_policy_stop(struct sl_agent *agent)
{
	sl_desired_free(agent->desired);
	sl_policy_directory_close(agent->policy);
}
