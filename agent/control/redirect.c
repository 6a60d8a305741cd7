// SPDX-License-Identifier: Apache-2.0
/* Rules that redirect: their flows, from the server's present addresses, and who is redirected. */
#include "policy/redirect.h"

#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "control/quotas.h"

int sl_rule_take(struct sl_control *control, const struct sl_rule *rule, struct sl_rule **out,
		 struct sl_error *err)
{
	const struct sl_control_config *config = &control->config;
	_cleanup_free_ struct sluice_flow *flows = NULL;
	struct sl_address servers[SL_REDIRECT_SERVERS];
	char host[SL_REDIRECT_HOST_SIZE];
	struct sl_rule expanded;
	size_t count = 0;
	int rc;

	if (rule->redirect == SLUICE_REDIRECT_NONE)
		return sl_rule_record_get(control, rule, out, err);
	if (!config->redirect_servers)
		return sl_error(err, EOPNOTSUPP, "redirect: there is no portal (redirect.portal_port is 0)");
	if (sl_redirect_host(rule, host)) {
		rc = config->redirect_servers(host, servers, SL_ARRAY_SIZE(servers), &count, err,
					      config->user);
		if (rc < 0)
			return rc;
	}
	expanded = *rule;
	rc = sl_redirect_flows(rule, servers, count, config->redirect_reject, &flows, &expanded.flow_count,
			       err);
	if (rc < 0)
		return rc;
	expanded.flows = flows;
	return sl_rule_record_get(control, &expanded, out, err);
}

static const struct sl_rule *redirect_among(const struct sl_install *installs, uint32_t count)
{
	uint64_t now = sl_now_ns();

	for (uint32_t i = 0; i < count; i++)
		if (installs[i].rule->redirect != SLUICE_REDIRECT_NONE &&
		    (!installs[i].binding.deadline_ns || installs[i].binding.deadline_ns > now))
			return installs[i].rule;
	return NULL;
}

/* Final rules come last, but who asks while a quota is used up was most likely sent by one of them. */
int sl_control_redirect_of(struct sl_control *control, const struct sl_address *address,
			   const struct sl_rule **rule)
{
	const struct sl_session *session = sl_session_find(control, address);
	const struct sl_rule *found = NULL;

	if (!session || !session->active)
		return -ENOENT;
	if (sl_quotas_used_up(control, session)) {
		size_t before = sl_installs_before_final(session->installs, session->install_count);

		found = redirect_among(session->installs + before, session->install_count - (uint32_t)before);
	}
	*rule = found ? found : redirect_among(session->installs, session->install_count);
	return 0;
}
