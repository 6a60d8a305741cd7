/* SPDX-License-Identifier: Apache-2.0 */
/*
 * grpc.health.v1.Health: who serves. A service that was never set is unknown:
 * Check answers NOT_FOUND, Watch sends SERVICE_UNKNOWN and goes on watching.
 */
#ifndef SL_API_HEALTH_H
#define SL_API_HEALTH_H

#include <stdbool.h>

struct sl_grpc_server;
struct sl_health;

/* Longest service name and number of services that can be set. */
#define SL_HEALTH_NAME	   128
#define SL_HEALTH_SERVICES 32

/* Registers Check and Watch. -ENOMEM, or -EEXIST if the server has them already. */
int sl_health_new(struct sl_grpc_server *server, struct sl_health **out);

/* After sl_grpc_server_free, because open Watch calls refer to it. */
void sl_health_free(struct sl_health *health);

/*
 * name: "magma.lte.Pipelined", or "" for the agent as a whole. Tells whoever
 * watches if it is news. -ENOSPC: 32 services are set already; -ENAMETOOLONG.
 */
int sl_health_set(struct sl_health *health, const char *name, bool serving);

#endif
