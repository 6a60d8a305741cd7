// SPDX-License-Identifier: Apache-2.0
#include "run/redirect.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "redirect/portal.h"
#include "redirect/route.h"
#include "redirect/servers.h"

_Static_assert(SL_SERVERS_ADDRESSES <= SL_REDIRECT_SERVERS, "every address of a host is used");

#define SWEEP_MS  30000
#define REPAIR_MS 10000

static int redirect_of(const struct sl_address *client, const struct sl_rule **rule, void *user)
{
	struct sl_agent *agent = user;

	return sl_control_redirect_of(agent->control, client, rule);
}

static int servers_of(const char *host, struct sl_address *out, size_t max, size_t *count,
		      struct sl_error *err, void *user)
{
	struct sl_agent *agent = user;

	return sl_servers_get(agent->servers, host, out, max, count, err);
}

/* A rule that redirects to the host: the same once more, for control/ to put in the addresses. */
static struct sl_rule *to_host(const char *imsi, const struct sl_install *install, void *user)
{
	char host[SL_REDIRECT_HOST_SIZE];

	(void)imsi;
	if (!sl_redirect_host(install->rule, host) || strcmp(host, user) != 0)
		return NULL;
	return install->rule;
}

static void on_servers_change(const char *host, void *user)
{
	struct sl_agent *agent = user;
	char name[SL_REDIRECT_HOST_SIZE];
	uint32_t changed = 0;

	memccpy(name, host, '\0', sizeof(name));
	sl_control_refresh(agent->control, to_host, name, &changed);
	sl_log(SL_LOG_INFO, "redirect-refreshed", "host", "%s", name, "sessions", "%u", changed, NULL);
}

/* What a rule of the last run leaves open is what its server's addresses were. */
static void seed(struct sl_rule *rule, void *user)
{
	struct sl_address addresses[SL_SERVERS_ADDRESSES];
	struct sl_agent *agent = user;
	char host[SL_REDIRECT_HOST_SIZE];
	struct sl_error err = {{0}};
	size_t count = 0;

	if (!sl_redirect_host(rule, host))
		return;
	for (uint32_t i = 0; i < rule->flow_count && count < SL_ARRAY_SIZE(addresses); i++) {
		const struct sluice_flow *flow = &rule->flows[i];

		if (flow->direction != SLUICE_UPLINK || flow->action != SLUICE_PERMIT || !flow->has_remote)
			continue;
		addresses[count] = (struct sl_address){.family = flow->family};
		memcpy(addresses[count++].bytes, flow->remote, sizeof(flow->remote));
	}
	if (sl_servers_seed(agent->servers, host, addresses, count, &err) < 0)
		sl_log(SL_LOG_ERROR, "redirect-server-unresolved", "host", "%s", host, "reason", "%s",
		       err.text, NULL);
}

static void mark(struct sl_rule *rule, void *user)
{
	struct sl_agent *agent = user;
	char host[SL_REDIRECT_HOST_SIZE];

	if (sl_redirect_host(rule, host))
		sl_servers_mark(agent->servers, host);
}

static void on_sweep(evutil_socket_t fd, short what, void *user)
{
	struct sl_agent *agent = user;

	(void)fd;
	(void)what;
	sl_control_each_rule(agent->control, mark, agent);
	sl_servers_sweep(agent->servers);
}

static void on_second(evutil_socket_t fd, short what, void *user)
{
	struct sl_agent *agent = user;

	(void)fd;
	(void)what;
	sl_control_resolve_steers(agent->control);
}

int sl_redirect_start(struct sl_agent *agent, struct sl_error *err)
{
	const struct sl_config *from = agent->config;
	struct sl_servers_config servers = {
		.base = agent->base,
		.nameserver_count = from->redirect.nameserver_count,
		.on_change = on_servers_change,
		.user = agent,
	};
	const struct sl_portal_config portal = {
		.base = agent->base,
		.port = (uint16_t)from->redirect.portal_port,
		.redirect_of = redirect_of,
		.user = agent,
	};
	int rc;

	if (from->redirect.portal_port == 0)
		return 0;
	rc = sl_route_claim(&(struct sl_route){from->redirect.table, from->redirect.rule_priority},
			    &agent->claims, err);
	if (rc < 0)
		return rc;
	_Static_assert(sizeof(servers.nameserver) == sizeof(from->redirect.nameserver), "the same list");
	memcpy(servers.nameserver, from->redirect.nameserver, sizeof(servers.nameserver));
	rc = sl_portal_new(&portal, &agent->portal, err);
	return rc < 0 ? rc : sl_servers_new(&servers, &agent->servers, err);
}

void sl_redirect_hooks(const struct sl_agent *agent, struct sl_control_config *out)
{
	if (!agent->portal)
		return;
	out->redirect_servers = servers_of;
	out->redirect_reject = agent->config->redirect.reject;
}

/* The rules, the routes and the map's sockets; what is there stays as it is. */
static int lead_to_portal(struct sl_agent *agent, uint32_t *added, struct sl_error *err)
{
	const struct sl_route route = {
		.table = agent->config->redirect.table,
		.priority = agent->config->redirect.rule_priority,
	};
	int rc = sl_route_add(&route, &agent->claims, added, err);

	for (uint32_t family = 4; rc == 0 && family <= 6; family += 2)
		if (sl_portal_socket(agent->portal, family) >= 0)
			rc = sl_portal_set(agent->datapath, family, sl_portal_socket(agent->portal, family),
					   err);
	return rc;
}

/* Network managers remove rules that they do not know; an interface that went down has lost its routes. */
static void on_repair(evutil_socket_t fd, short what, void *user)
{
	struct sl_agent *agent = user;
	struct sl_error err = {{0}};
	uint32_t added = 0;

	(void)fd;
	(void)what;
	if (lead_to_portal(agent, &added, &err) < 0)
		sl_log(SL_LOG_ERROR, "repair-failed", "what", "%s", "the way to the portal", "reason", "%s",
		       err.text, NULL);
	else if (added)
		sl_log(SL_LOG_WARNING, "repaired", "what", "%s", "rules and routes to the portal", "missing",
		       "%u", added, NULL);
}

int sl_redirect_serve(struct sl_agent *agent, struct sl_error *err)
{
	int rc = sl_agent_add_timer(agent, 1000, on_second, err);

	if (rc < 0)
		return rc;
	/* an earlier run may have had a portal */
	if (!agent->portal)
		return sl_route_remove(&agent->claims, err);
	sl_control_each_rule(agent->control, seed, agent);
	rc = lead_to_portal(agent, NULL, err);
	if (rc == 0)
		rc = sl_agent_add_timer(agent, REPAIR_MS, on_repair, err);
	return rc < 0 ? rc : sl_agent_add_timer(agent, SWEEP_MS, on_sweep, err);
}

void sl_redirect_stop(struct sl_agent *agent)
{
	sl_servers_free(agent->servers);
	sl_portal_free(agent->portal);
	sl_claims_release(&agent->claims);
}
