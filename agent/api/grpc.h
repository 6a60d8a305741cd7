/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gRPC over HTTP/2 (nghttp2, libevent): the transport. Bytes of messages in,
 * bytes of messages out; protobuf is the services' business. Everything runs
 * on the thread of the event base.
 *
 * Every buffer has a bound, and passing it answers RESOURCE_EXHAUSTED or closes
 * the connection (docs/architecture.md, "The wire").
 */
#ifndef SL_API_GRPC_H
#define SL_API_GRPC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

struct event_base;

/* https://grpc.github.io/grpc/core/md_doc_statuscodes.html */
enum sl_grpc_status {
	SL_GRPC_OK = 0,
	SL_GRPC_CANCELLED = 1,
	SL_GRPC_UNKNOWN = 2,
	SL_GRPC_INVALID_ARGUMENT = 3,
	SL_GRPC_DEADLINE_EXCEEDED = 4,
	SL_GRPC_NOT_FOUND = 5,
	SL_GRPC_ALREADY_EXISTS = 6,
	SL_GRPC_PERMISSION_DENIED = 7,
	SL_GRPC_RESOURCE_EXHAUSTED = 8,
	SL_GRPC_FAILED_PRECONDITION = 9,
	SL_GRPC_ABORTED = 10,
	SL_GRPC_OUT_OF_RANGE = 11,
	SL_GRPC_UNIMPLEMENTED = 12,
	SL_GRPC_INTERNAL = 13,
	SL_GRPC_UNAVAILABLE = 14,
	SL_GRPC_DATA_LOSS = 15,
	SL_GRPC_UNAUTHENTICATED = 16,
};

/* "NOT_FOUND"; "UNKNOWN" for a number outside the list. */
const char *sl_grpc_status_name(enum sl_grpc_status status);

/* --- server ------------------------------------------------------------- */

struct sl_grpc_server;
struct sl_call;

/* Zero means the default in brackets. */
struct sl_grpc_limits {
	size_t message;	       /* one request message [16 MiB] */
	size_t held_requests;  /* request bytes held over all calls [64 MiB] */
	size_t held_responses; /* response bytes held over all calls [128 MiB] */
	uint32_t connections;  /* [512]; at the bound the longest silent one is closed */
	uint32_t streams;      /* concurrent calls per connection [256] */
	uint32_t queue;	       /* messages queued on one server-streaming call [64] */
	uint32_t preface_ms;   /* connection without a complete preface [5 s] */
	uint32_t request_ms;   /* request not complete [20 s] */
	uint32_t stall_ms;     /* peer takes no output [20 s] */
	uint32_t idle_ms;      /* connection without calls [600 s] */
};

/*
 * Called once with the whole request message. The handler answers now or
 * later; a call is finished exactly once, by sl_call_finish, and must not be
 * touched afterwards.
 */
typedef void (*sl_grpc_handler)(struct sl_call *call, const uint8_t *message, size_t length, void *user);

int sl_grpc_server_new(struct event_base *base, const struct sl_grpc_limits *limits,
		       struct sl_grpc_server **out, struct sl_error *err);
void sl_grpc_server_free(struct sl_grpc_server *server); /* GOAWAY, then closes; calls are told by on_gone */

/*
 * The gentle end: takes no new connections, tells clients to go (GOAWAY) and
 * lets open calls finish for limit_ms at most. on_drained runs once, from the
 * event loop; the server is freed after it, not in it.
 */
void sl_grpc_server_drain(struct sl_grpc_server *server, uint32_t limit_ms, void (*on_drained)(void *user),
			  void *user);

/* "127.0.0.1:50063", "[::1]:50063"; port 0 takes a free one, which *port tells (may be NULL). */
int sl_grpc_listen_tcp(struct sl_grpc_server *server, const char *address, uint16_t *port,
		       struct sl_error *err);

/*
 * A socket that only its owner may use (mode 0600). A stale socket file of a
 * dead server is replaced; one that answers is an error.
 */
int sl_grpc_listen_unix(struct sl_grpc_server *server, const char *path, struct sl_error *err);

/*
 * "/magma.lte.Pipelined/ActivateFlows" -> handler; the path is copied. A path of
 * an unknown service or method answers UNIMPLEMENTED by itself.
 */
int sl_grpc_register(struct sl_grpc_server *server, const char *path, sl_grpc_handler handler, void *user);

/*
 * The same for a method whose request is a stream: the handler runs for every
 * request message, and once with a NULL message when the client has ended its side.
 * A message of no bytes is not NULL. After sl_call_finish it runs no more.
 */
int sl_grpc_register_stream(struct sl_grpc_server *server, const char *path, sl_grpc_handler handler,
			    void *user);

/*
 * Queues one response message (copied). 0, or 1: the stream's queue or the memory for answers is full and the
 * message was dropped. Where that was the first one, the call ends in RESOURCE_EXHAUSTED whatever it is
 * finished with.
 */
int sl_call_send(struct sl_call *call, const uint8_t *message, size_t length);

/* The end of the call. The text is for people and may be NULL for OK. */
void sl_call_finish(struct sl_call *call, enum sl_grpc_status status, const char *text);

/* sl_call_send + sl_call_finish(OK): the way of a unary answer. */
void sl_call_reply(struct sl_call *call, const uint8_t *message, size_t length);

/* on_gone runs if the client leaves or its deadline passes before sl_call_finish; the call dies with it. */
void sl_call_on_gone(struct sl_call *call, void (*on_gone)(struct sl_call *call, void *user), void *user);

/* "127.0.0.1:40912" or "unix:uid=0,pid=123": for logs. Lives as long as the call. */
const char *sl_call_peer(const struct sl_call *call);
bool sl_call_is_local(const struct sl_call *call); /* came in over the Unix socket */

struct sl_grpc_server_stats {
	uint64_t calls;
	uint64_t failed;	   /* finished with a status other than OK */
	uint64_t refused;	   /* never reached a handler */
	uint64_t dropped_messages; /* full stream queues */
	uint32_t connections;	   /* now */
};
void sl_grpc_server_stats(const struct sl_grpc_server *server, struct sl_grpc_server_stats *out);

/* --- client ------------------------------------------------------------- */

struct sl_grpc_client;

/*
 * "127.0.0.1:50065", "[::1]:50065" or "unix:/run/sluice/api.sock". Connects
 * lazily, and again after a failure with a back-off of 100 ms doubling to 5 s;
 * calls made meanwhile fail at once with UNAVAILABLE once the connection attempt has failed.
 */
int sl_grpc_client_new(struct event_base *base, const char *address, struct sl_grpc_client **out,
		       struct sl_error *err);

/* Open calls end with CANCELLED. Not to be called from a callback of the client. */
void sl_grpc_client_free(struct sl_grpc_client *client);

/* Once per response message of a streaming call. */
typedef void (*sl_grpc_on_message)(const uint8_t *message, size_t length, void *user);
/*
 * Once per call. The text is never NULL. For a unary call message/length hold
 * the answer when the status is OK.
 */
typedef void (*sl_grpc_on_done)(enum sl_grpc_status status, const char *text, const uint8_t *message,
				size_t length, void *user);

/*
 * A unary call (on_message NULL) or a server-streaming one. timeout_ms 0: none.
 * At most 1,000 calls are open; one more is -EBUSY. A request above 16 MiB is
 * -EMSGSIZE, an answer above 16 MiB ends the call with RESOURCE_EXHAUSTED. The
 * callbacks always come later, from the event loop, and once at the latest from
 * sl_grpc_client_free. They may make calls, but then not those: -ESHUTDOWN.
 */
int sl_grpc_client_call(struct sl_grpc_client *client, const char *path, const uint8_t *message,
			size_t length, uint32_t timeout_ms, sl_grpc_on_message on_message,
			sl_grpc_on_done on_done, void *user);

#endif
