// SPDX-License-Identifier: Apache-2.0
#include "api/grpc_server.h"

#include <stdlib.h>
#include <string.h>

#include "api/grpc_status.h"

static const nghttp2_nv status_ok = SL_H2_CONSTANT(":status", "200");
static const nghttp2_nv content_type = SL_H2_CONSTANT("content-type", "application/grpc");
static const nghttp2_nv accept_encoding = SL_H2_CONSTANT("grpc-accept-encoding", "identity,deflate,gzip");

static void free_queue(struct sl_call *call)
{
	struct sl_out_message *message;

	while ((message = STAILQ_FIRST(&call->queue))) {
		STAILQ_REMOVE_HEAD(&call->queue, link);
		sl_budget_give(&call->conn->server->responses, message->length);
		free(message);
	}
	call->queued = 0;
	if (call->is_unsent)
		TAILQ_REMOVE(&call->conn->unsent, call, unsent_link);
	call->is_unsent = false;
}

static void disarm_deadline(struct sl_call *call)
{
	if (call->has_deadline)
		event_del(&call->deadline);
	call->has_deadline = false;
}

struct sl_call *sl_call_new(struct sl_conn *conn, int32_t stream_id)
{
	struct sl_call *call = calloc(1, sizeof(*call));

	if (!call)
		return NULL;
	call->conn = conn;
	call->stream_id = stream_id;
	sl_frame_reader_init(&call->reader, &conn->server->requests, conn->server->limits.message);
	STAILQ_INIT(&call->queue);
	TAILQ_INSERT_TAIL(&conn->calls, call, link);
	sl_call_begin(call);
	return call;
}

void sl_call_begin(struct sl_call *call)
{
	if (call->is_incomplete)
		return;
	call->begun_ms = sl_h2_now_ms();
	call->is_incomplete = true;
	TAILQ_INSERT_TAIL(&call->conn->incomplete, call, incomplete_link);
}

void sl_call_complete(struct sl_call *call)
{
	if (call->is_incomplete)
		TAILQ_REMOVE(&call->conn->incomplete, call, incomplete_link);
	call->is_incomplete = false;
}

/* Keeps the list of calls that wait for their client in order; to be called whenever bytes moved or came. */
static void note_progress(struct sl_call *call)
{
	struct sl_conn *conn = call->conn;

	if (call->is_unsent)
		TAILQ_REMOVE(&conn->unsent, call, unsent_link);
	call->is_unsent = !STAILQ_EMPTY(&call->queue) || (call->is_over && !call->has_ended);
	if (!call->is_unsent)
		return;
	call->progress_ms = sl_h2_now_ms();
	TAILQ_INSERT_TAIL(&conn->unsent, call, unsent_link);
}

/* From here on the handler's side does not touch the call. */
static void end(struct sl_call *call, enum sl_grpc_status status)
{
	call->is_over = true;
	call->status = status;
	disarm_deadline(call);
	sl_call_complete(call);
	/* a handler may look at its message after it has answered */
	if (!call->is_in_handler)
		sl_frame_reader_reset(&call->reader);
	if (call->is_handled && status != SL_GRPC_OK)
		call->conn->server->stats.failed++;
}

static void tell_gone(struct sl_call *call)
{
	if (call->on_gone)
		call->on_gone(call, call->gone_user);
	call->on_gone = NULL;
}

void sl_call_free(struct sl_call *call)
{
	struct sl_conn *conn = call->conn;

	if (!call->is_over) {
		end(call, SL_GRPC_CANCELLED);
		tell_gone(call);
	}
	free_queue(call);
	sl_call_complete(call);
	TAILQ_REMOVE(&conn->calls, call, link);
	if (TAILQ_EMPTY(&conn->calls))
		conn->idle_ms = sl_h2_now_ms();
	free(call->text);
	free(call);
}

static size_t status_fields(const struct sl_call *call, nghttp2_nv fields[2])
{
	static const char *const numbers[] = {"0", "1",	 "2",  "3",  "4",  "5",	 "6",  "7", "8",
					      "9", "10", "11", "12", "13", "14", "15", "16"};
	const char *number =
		numbers[call->status <= SL_GRPC_UNAUTHENTICATED ? call->status : SL_GRPC_UNKNOWN];

	fields[0] = (nghttp2_nv){(uint8_t *)"grpc-status", (uint8_t *)number, strlen("grpc-status"),
				 strlen(number), SL_H2_CONSTANT_FLAGS};
	if (!call->text)
		return 1;
	fields[1] = (nghttp2_nv){(uint8_t *)"grpc-message", (uint8_t *)call->text, strlen("grpc-message"),
				 strlen(call->text), NGHTTP2_NV_FLAG_NO_COPY_NAME};
	return 2;
}

static size_t copy_out(struct sl_call *call, uint8_t *out, size_t room)
{
	struct sl_out_message *message;
	size_t used = 0;

	while (used < room && (message = STAILQ_FIRST(&call->queue))) {
		size_t part = message->length - message->sent;

		if (part > room - used)
			part = room - used;
		memcpy(out + used, message->bytes + message->sent, part);
		message->sent += part;
		used += part;
		if (message->sent < message->length)
			break;
		STAILQ_REMOVE_HEAD(&call->queue, link);
		call->queued--;
		sl_budget_give(&call->conn->server->responses, message->length);
		free(message);
	}
	return used;
}

static ssize_t read_answer(nghttp2_session *session, int32_t stream_id, uint8_t *out, size_t room,
			   uint32_t *flags, nghttp2_data_source *source, void *user)
{
	struct sl_call *call = source->ptr;
	nghttp2_nv fields[2];
	size_t used;

	(void)user;
	if (call->is_reset)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	used = copy_out(call, out, room);
	if (call->is_over && STAILQ_EMPTY(&call->queue)) {
		call->has_ended = true;
		*flags |= NGHTTP2_DATA_FLAG_EOF | NGHTTP2_DATA_FLAG_NO_END_STREAM;
		if (nghttp2_submit_trailer(session, stream_id, fields, status_fields(call, fields)))
			return NGHTTP2_ERR_CALLBACK_FAILURE;
	}
	if (used > 0 || call->has_ended) {
		note_progress(call);
	} else {
		call->is_deferred = true;
		return NGHTTP2_ERR_DEFERRED;
	}
	return (ssize_t)used;
}

static void check(struct sl_call *call, int rc)
{
	/* the rest of nghttp2's errors mean that the stream is closing, which the session tells by itself */
	if (nghttp2_is_fatal(rc))
		sl_h2_close(&call->conn->h2, nghttp2_strerror(rc));
	else
		sl_h2_flush_later(&call->conn->h2);
}

/* Makes the session ask for data: for the first time, or again. */
static void wake(struct sl_call *call)
{
	const nghttp2_nv fields[] = {status_ok, content_type, accept_encoding};
	nghttp2_data_provider provider = {.source.ptr = call, .read_callback = read_answer};
	nghttp2_session *session = call->conn->h2.session;

	if (!call->is_started) {
		call->is_started = true;
		check(call, nghttp2_submit_response(session, call->stream_id, fields, 3, &provider));
	} else if (call->is_deferred) {
		call->is_deferred = false;
		check(call, nghttp2_session_resume_data(session, call->stream_id));
	}
}

static void answer(struct sl_call *call, enum sl_grpc_status status, const char *text)
{
	nghttp2_nv fields[5] = {status_ok, content_type, accept_encoding};
	char encoded[SL_GRPC_ENCODED_SIZE];

	end(call, status);
	/* without memory for the text the status goes alone */
	if (text && *text) {
		sl_grpc_percent_encode(text, encoded);
		call->text = strdup(encoded);
	}
	if (call->is_started) {
		if (!call->is_unsent)
			note_progress(call);
		wake(call);
		return;
	}
	call->is_started = true;
	call->has_ended = true;
	check(call, nghttp2_submit_response(call->conn->h2.session, call->stream_id, fields,
					    3 + status_fields(call, fields + 3), NULL));
}

static const char no_room[] = "the memory for answers is full";

int sl_call_send(struct sl_call *call, const uint8_t *message, size_t length)
{
	struct sl_grpc_server *server = call->conn->server;
	struct sl_out_message *out = NULL;
	size_t total = SL_FRAME_PREFIX + length;

	if (call->queued < server->limits.queue && length <= UINT32_MAX &&
	    sl_budget_take(&server->responses, total) == 0) {
		out = malloc(sizeof(*out) + total);
		if (!out)
			sl_budget_give(&server->responses, total);
	}
	if (!out) {
		server->stats.dropped_messages++;
		call->has_lost_all |= !call->is_started && call->queued == 0;
		return 1;
	}
	out->length = total;
	out->sent = 0;
	sl_frame_prefix(out->bytes, (uint32_t)length);
	if (length > 0)
		memcpy(out->bytes + SL_FRAME_PREFIX, message, length);
	STAILQ_INSERT_TAIL(&call->queue, out, link);
	call->queued++;
	if (!call->is_unsent)
		note_progress(call);
	wake(call);
	return 0;
}

void sl_call_finish(struct sl_call *call, enum sl_grpc_status status, const char *text)
{
	/* an answer without messages would say that there is nothing */
	if (status == SL_GRPC_OK && call->has_lost_all)
		answer(call, SL_GRPC_RESOURCE_EXHAUSTED, no_room);
	else
		answer(call, status, text);
}

void sl_call_reply(struct sl_call *call, const uint8_t *message, size_t length)
{
	sl_call_send(call, message, length);
	sl_call_finish(call, SL_GRPC_OK, NULL);
}

void sl_call_on_gone(struct sl_call *call, void (*on_gone)(struct sl_call *call, void *user), void *user)
{
	call->on_gone = on_gone;
	call->gone_user = user;
}

const char *sl_call_peer(const struct sl_call *call)
{
	return call->conn->peer;
}

bool sl_call_is_local(const struct sl_call *call)
{
	return call->conn->is_local;
}

void sl_call_refuse(struct sl_call *call, enum sl_grpc_status status, const char *text)
{
	call->conn->server->stats.refused++;
	answer(call, status, text);
}

void sl_call_refuse_http(struct sl_call *call, const char *http_status)
{
	const nghttp2_nv field = {(uint8_t *)":status", (uint8_t *)http_status, strlen(":status"),
				  strlen(http_status), NGHTTP2_NV_FLAG_NONE};

	call->conn->server->stats.refused++;
	end(call, SL_GRPC_UNKNOWN);
	call->is_started = true;
	call->has_ended = true;
	check(call, nghttp2_submit_response(call->conn->h2.session, call->stream_id, &field, 1, NULL));
}

void sl_call_reset(struct sl_call *call, uint32_t error_code)
{
	bool was_over = call->is_over;

	if (!was_over)
		end(call, SL_GRPC_CANCELLED);
	call->is_reset = true;
	free_queue(call);
	check(call, nghttp2_submit_rst_stream(call->conn->h2.session, NGHTTP2_FLAG_NONE, call->stream_id,
					      error_code));
	if (!was_over)
		tell_gone(call);
}

void sl_call_abort(struct sl_call *call, enum sl_grpc_status status, const char *text)
{
	struct sl_out_message *head = STAILQ_FIRST(&call->queue);

	if (!call->is_handled)
		call->conn->server->stats.refused++;
	/* a status behind half a message would be read as part of that message */
	if (head && head->sent > 0) {
		sl_call_reset(call, NGHTTP2_CANCEL);
		return;
	}
	free_queue(call);
	answer(call, status, text);
	tell_gone(call);
}

static void on_deadline(evutil_socket_t fd, short what, void *user)
{
	struct sl_call *call = user;

	(void)fd;
	(void)what;
	call->has_deadline = false;
	sl_call_abort(call, SL_GRPC_DEADLINE_EXCEEDED, "the deadline of the call has passed");
}

void sl_call_arm_deadline(struct sl_call *call)
{
	struct timeval after = {
		.tv_sec = (time_t)(call->timeout_ms / 1000),
		.tv_usec = (suseconds_t)(call->timeout_ms % 1000) * 1000,
	};

	evtimer_assign(&call->deadline, call->conn->server->batch.base, on_deadline, call);
	evtimer_add(&call->deadline, &after);
	call->has_deadline = true;
}
