/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls to the agent. Every function returns an exit code and has said on
 * standard error what went wrong when that is not CTL_OK.
 */
#ifndef CTL_CLIENT_H
#define CTL_CLIENT_H

#include <protobuf-c/protobuf-c.h>
#include <stdint.h>

#include "api/grpc.h"
#include "ctl.h"

#define CLIENT_TIMEOUT_MS 60000

/* Sees at once whether anybody listens. */
int client_open(struct ctl *ctl);
void client_close(struct ctl *ctl);

/* One answer; *out is freed with protobuf_c_message_free_unpacked. */
int client_call(struct ctl *ctl, const char *path, const ProtobufCMessage *request,
		const ProtobufCMessageDescriptor *type, ProtobufCMessage **out);

typedef void (*client_on_message)(const ProtobufCMessage *message, void *user);

/* A stream until it ends; without a time limit when timeout_ms is 0. */
int client_stream(struct ctl *ctl, const char *path, const ProtobufCMessage *request,
		  const ProtobufCMessageDescriptor *type, uint32_t timeout_ms, client_on_message on_each,
		  void *user);

/*
 * A stream of pages, called again until the page with next = 0 has come. The
 * request must have a field `start`, the pages a field `next`.
 */
int client_pages(struct ctl *ctl, const char *path, ProtobufCMessage *request,
		 const ProtobufCMessageDescriptor *type, client_on_message on_each, void *user);

/* The exit code of a call's status, and the line that says what happened. */
int client_failed(struct ctl *ctl, const char *path, enum sl_grpc_status status, const char *text);

/* Until nobody listens any more, 5 s at most; CTL_REFUSED if somebody still does. */
int client_wait_gone(struct ctl *ctl);

/* "not-found"; the numbers of sl_grpc_status. */
const char *client_status_name(enum sl_grpc_status status);

#endif
