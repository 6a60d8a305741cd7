/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the server share: grpc_server.c (the server, its clock),
 * grpc_listener.c (where connections come from), grpc_conn.c (a connection's
 * life), grpc_session.c (what arrives on it), grpc_call.c (what a call answers).
 * Each calls those after it only.
 */
#ifndef SL_API_GRPC_SERVER_H
#define SL_API_GRPC_SERVER_H

#include <uthash.h>

#include "api/endpoint.h"
#include "api/grpc.h"
#include "api/grpc_frame.h"
#include "api/h2.h"

/* Header bytes of one request, counted as RFC 9113 6.5.2 does: name + value + 32. */
#define SL_HEADERS_ANSWER (16 * 1024)  /* above: RESOURCE_EXHAUSTED */
#define SL_HEADERS_CLOSE  (256 * 1024) /* above: the connection is closed */

struct sl_method {
	char *path;
	sl_grpc_handler handler;
	void *user;
	bool is_stream; /* the handler runs per message */
	UT_hash_handle hh;
};

struct sl_out_message {
	STAILQ_ENTRY(sl_out_message) link;
	size_t length; /* prefix included */
	size_t sent;
	uint8_t bytes[];
};

struct sl_call {
	TAILQ_ENTRY(sl_call) link;	      /* conn->calls */
	TAILQ_ENTRY(sl_call) incomplete_link; /* conn->incomplete, oldest first */
	TAILQ_ENTRY(sl_call) unsent_link;     /* conn->unsent, longest without progress first */
	struct sl_conn *conn;
	const struct sl_method *method; /* NULL: none of that path */
	int32_t stream_id;

	/* the request */
	struct sl_frame_reader reader;
	size_t header_bytes;
	uint64_t begun_ms;
	uint64_t timeout_ms;
	bool has_timeout;
	bool has_post;
	bool has_content_type;
	bool has_bad_timeout;
	bool has_unknown_encoding;
	bool headers_done;
	bool has_message; /* unary: the message is complete, the end of the stream is not here yet */
	bool request_done;
	bool is_incomplete; /* on conn->incomplete */
	bool is_handled;    /* a handler has seen it */
	bool is_in_handler;

	/* the answer */
	STAILQ_HEAD(, sl_out_message) queue;
	uint32_t queued;
	uint64_t progress_ms;
	bool is_unsent;	   /* on conn->unsent */
	bool is_started;   /* response headers are submitted */
	bool is_deferred;  /* the session waits to be told of more */
	bool has_ended;	   /* the status is submitted */
	bool is_over;	   /* finished or gone: the handler's side holds no reference any more */
	bool has_lost_all; /* of its messages the first was dropped */
	bool is_reset;	   /* RST_STREAM is submitted */
	enum sl_grpc_status status;
	char *text; /* percent-encoded; NULL: none */

	struct event deadline;
	bool has_deadline;
	void (*on_gone)(struct sl_call *call, void *user);
	void *gone_user;
};

TAILQ_HEAD(sl_call_list, sl_call);

struct sl_conn {
	struct sl_h2 h2; /* first: on_closed gets from one to the other */
	TAILQ_ENTRY(sl_conn) link;
	struct sl_grpc_server *server;
	struct sl_call_list calls;
	struct sl_call_list incomplete;
	struct sl_call_list unsent;
	uint64_t opened_ms;
	uint64_t idle_ms; /* since when there is no call */
	bool has_preface;
	bool is_local;
	bool is_going; /* GOAWAY with the last stream's number is submitted */
	char peer[SL_ENDPOINT_TEXT];
};

TAILQ_HEAD(sl_conn_list, sl_conn);

struct sl_listener {
	TAILQ_ENTRY(sl_listener) link;
	struct sl_grpc_server *server;
	int fd;
	struct event readable;
	struct event retry; /* out of descriptors: listens again a little later */
	char *path;	    /* of a Unix socket: removed at the end if it is still ours */
	dev_t device;
	ino_t inode;
};

struct sl_grpc_server {
	struct sl_h2_batch batch;
	struct sl_grpc_limits limits;
	struct sl_budget requests;
	struct sl_budget responses;
	struct sl_method *methods;
	TAILQ_HEAD(sl_listener_list, sl_listener) listeners;
	struct sl_conn_list conns;
	nghttp2_session_callbacks *callbacks;
	nghttp2_option *option;
	struct event tick;
	uint32_t tick_ms;
	bool is_ticking;
	bool is_draining;
	uint64_t drain_ms; /* when draining began */
	uint64_t drain_limit_ms;
	void (*on_drained)(void *user);
	void *drained_user;
	struct sl_grpc_server_stats stats;
};

static inline struct timeval sl_after_ms(uint32_t ms)
{
	return (struct timeval){.tv_sec = ms / 1000, .tv_usec = (suseconds_t)(ms % 1000) * 1000};
}

/* grpc_listener.c */
void sl_listener_remove(struct sl_listener *listener); /* closed, and its Unix socket's file gone */

/* grpc_conn.c */
int sl_conn_open(struct sl_grpc_server *server, int socket,
		 struct sl_conn **out);			/* takes fd over, also on failure */
void sl_conn_make_room(struct sl_grpc_server *server);	/* closes the one that is missed least */
void sl_conn_check(struct sl_conn *conn, uint64_t now); /* ends what has taken too long */
void sl_conn_drain(struct sl_conn *conn);		/* names the last stream that is served; once */

/* grpc_session.c */
void sl_session_callbacks(nghttp2_session_callbacks *callbacks);

/* grpc_call.c: a stream's life */
struct sl_call *sl_call_new(struct sl_conn *conn, int32_t stream_id);
void sl_call_free(struct sl_call *call);     /* the stream is closed: tells on_gone if the call is not over */
void sl_call_complete(struct sl_call *call); /* off the list of incomplete requests */
void sl_call_begin(struct sl_call *call);    /* onto it, with the clock at zero */
void sl_call_arm_deadline(struct sl_call *call);

/* A call that ends before any handler has seen it; http is 0 for an answer by gRPC status. */
void sl_call_refuse(struct sl_call *call, enum sl_grpc_status status, const char *text);
void sl_call_refuse_http(struct sl_call *call, const char *http_status);

/* The server ends a call that a handler may hold: on_gone, then the status. */
void sl_call_abort(struct sl_call *call, enum sl_grpc_status status, const char *text);

/* The same without an answer: RST_STREAM, and what is queued is dropped. */
void sl_call_reset(struct sl_call *call, uint32_t error_code);

#endif
