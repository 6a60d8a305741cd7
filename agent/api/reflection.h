/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Server reflection (grpc.reflection.v1 and v1alpha): lists the services that
 * are registered on the server, and serves the descriptors of all protobuf
 * files of the build.
 */
#ifndef SL_API_REFLECTION_H
#define SL_API_REFLECTION_H

struct sl_grpc_server;

/* -ENOMEM, or -EEXIST if the server has it already. */
int sl_reflection_register(struct sl_grpc_server *server);

#endif
