/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the client share: grpc_client.c (the client, its connection
 * and back-off), grpc_client_call.c (one call, from request to answer).
 */
#ifndef SL_API_GRPC_CLIENT_H
#define SL_API_GRPC_CLIENT_H

#include "api/endpoint.h"
#include "api/grpc.h"
#include "api/grpc_frame.h"
#include "api/h2.h"

#define SL_CLIENT_CALLS	  1000
#define SL_CLIENT_MESSAGE (16 * 1024 * 1024) /* one response message, bytes */
#define SL_CLIENT_HELD	  (64 * 1024 * 1024) /* response bytes held over all calls */

/* Header bytes of one response; above: the call fails. */
#define SL_CLIENT_HEADERS (64 * 1024)

struct sl_client_call {
	TAILQ_ENTRY(sl_client_call) link; /* conn->calls, or client->failed */
	struct sl_grpc_client *client;
	struct sl_client_conn *conn; /* NULL: on client->failed */
	int32_t stream_id;

	uint8_t *request; /* with prefix */
	size_t request_length;
	size_t request_sent;

	struct sl_frame_reader reader;
	size_t header_bytes;
	int http_status;
	bool has_content_type;
	bool has_message; /* unary: complete */
	bool has_status;
	enum sl_grpc_status status;
	char *text; /* decoded; NULL: none */

	sl_grpc_on_message on_message;
	sl_grpc_on_done on_done;
	void *user;
	struct event deadline;
	bool has_deadline;
	bool is_done; /* on_done has run; waits for its stream to close */
};

TAILQ_HEAD(sl_client_call_list, sl_client_call);

struct sl_client_conn {
	struct sl_h2 h2; /* first: on_closed gets from one to the other */
	TAILQ_ENTRY(sl_client_conn) link;
	struct sl_grpc_client *client;
	struct sl_client_call_list calls;
	struct event timeout; /* until is_ready */
	bool is_ready;	      /* the server's SETTINGS are here */
};

TAILQ_HEAD(sl_client_conn_list, sl_client_conn);

struct sl_grpc_client {
	struct sl_h2_batch batch;
	struct sl_endpoint endpoint;
	char *address;
	struct sl_budget responses;
	struct sl_client_conn *conn;	   /* takes new calls; NULL: none */
	struct sl_client_conn_list conns;  /* that one, and those that only finish their calls */
	struct sl_client_call_list failed; /* failed at once; on_done comes from the loop */
	struct event tell_failed;
	uint32_t open;
	uint32_t backoff_ms; /* 0: the last connection worked */
	uint64_t retry_ms;   /* no attempt before, CLOCK_MONOTONIC */
	char why[256];	     /* the last attempt failed */
	nghttp2_session_callbacks *callbacks;
	bool is_freeing;
};

/* grpc_client_call.c */
void sl_client_session_callbacks(nghttp2_session_callbacks *callbacks);

/* NULL: out of memory. The request is copied. */
struct sl_client_call *sl_client_call_new(struct sl_grpc_client *client, const uint8_t *message,
					  size_t length);
void sl_client_call_free(struct sl_client_call *call);

/* Puts the request on the connection. 0, or an nghttp2 error and then nothing has happened. */
int sl_client_call_submit(struct sl_client_call *call, struct sl_client_conn *conn, const char *path,
			  uint32_t timeout_ms);

/* on_done, unless it has run; the message goes with OK only. */
void sl_client_call_end(struct sl_client_call *call, enum sl_grpc_status status, const char *text);

/* grpc_client.c */
void sl_client_conn_ready(struct sl_client_conn *conn);
void sl_client_conn_retire(struct sl_client_conn *conn); /* takes no new calls */

#endif
