// SPDX-License-Identifier: Apache-2.0
#include "run/services.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "api/grpc.h"
#include "api/reflection.h"

/* The last directory of the socket's path, which only its owner may enter. */
static int make_socket_directory(const char *socket, struct sl_error *err)
{
	char path[sizeof(((struct sl_config *)NULL)->api.socket)];
	char *slash;

	snprintf(path, sizeof(path), "%s", socket);
	slash = strrchr(path, '/');
	if (!slash || slash == path)
		return 0;
	*slash = '\0';
	if (mkdir(path, 0700) < 0 && errno != EEXIST)
		return sl_error(err, errno, "api.socket: cannot make the directory %s: %s", path,
				strerror(errno));
	return 0;
}

int sl_services_listen(struct sl_agent *agent, struct sl_error *err)
{
	int rc;

	rc = make_socket_directory(agent->config->api.socket, err);
	if (rc < 0)
		return rc;
	rc = sl_grpc_server_new(agent->base, NULL, &agent->server, err);
	if (rc == 0)
		rc = sl_grpc_listen_unix(agent->server, agent->config->api.socket, err);
	if (rc == 0)
		rc = sl_grpc_listen_tcp(agent->server, agent->config->api.tcp, NULL, err);
	return rc;
}

int sl_services_register(struct sl_agent *agent, struct sl_error *err)
{
	int rc;

	rc = sl_pipelined_register(&agent->service);
	if (rc == 0)
		rc = sl_set_rules_register(&agent->service);
	if (rc == 0)
		rc = sl_admin_register(&agent->service);
	if (rc == 0)
		rc = sl_reflection_register(agent->server);
	if (rc == 0)
		rc = sl_health_new(agent->server, &agent->health);
	if (rc == 0)
		rc = sl_health_set(agent->health, "", true);
	if (rc == 0)
		rc = sl_health_set(agent->health, "magma.lte.Pipelined", true);
	if (rc < 0)
		return sl_error(err, -rc, "cannot register the services: %s", strerror(-rc));
	return 0;
}
