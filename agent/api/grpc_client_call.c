// SPDX-License-Identifier: Apache-2.0
#include "api/grpc_client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/grpc_status.h"
#include "base/cleanup.h"

static bool equals(const uint8_t *bytes, size_t length, const char *text)
{
	return length == strlen(text) && memcmp(bytes, text, length) == 0;
}

struct sl_client_call *sl_client_call_new(struct sl_grpc_client *client, const uint8_t *message,
					  size_t length)
{
	struct sl_client_call *call = calloc(1, sizeof(*call));

	if (!call)
		return NULL;
	call->request_length = SL_FRAME_PREFIX + length;
	call->request = malloc(call->request_length);
	if (!call->request) {
		free(call);
		return NULL;
	}
	sl_frame_prefix(call->request, (uint32_t)length);
	if (length > 0)
		memcpy(call->request + SL_FRAME_PREFIX, message, length);
	call->client = client;
	sl_frame_reader_init(&call->reader, &client->responses, SL_CLIENT_MESSAGE);
	return call;
}

void sl_client_call_free(struct sl_client_call *call)
{
	if (call->conn)
		TAILQ_REMOVE(&call->conn->calls, call, link);
	if (call->has_deadline)
		event_del(&call->deadline);
	sl_frame_reader_reset(&call->reader);
	free(call->request);
	free(call->text);
	free(call);
}

void sl_client_call_end(struct sl_client_call *call, enum sl_grpc_status status, const char *text)
{
	const uint8_t *message = NULL;
	size_t length = 0;

	if (call->is_done)
		return;
	call->is_done = true;
	call->client->open--;
	if (call->has_deadline)
		event_del(&call->deadline);
	call->has_deadline = false;
	if (status == SL_GRPC_OK && call->has_message) {
		message = call->reader.message ? call->reader.message : (const uint8_t *)"";
		length = call->reader.used;
	}
	call->on_done(status, text ? text : "", message, length, call->user);
	sl_frame_reader_reset(&call->reader);
}

/* Ends the call and takes the stream back from the server. */
static void give_up(struct sl_client_call *call, enum sl_grpc_status status, const char *text)
{
	nghttp2_submit_rst_stream(call->conn->h2.session, NGHTTP2_FLAG_NONE, call->stream_id, NGHTTP2_CANCEL);
	sl_h2_flush_later(&call->conn->h2);
	sl_client_call_end(call, status, text);
}

/* --- request ------------------------------------------------------------ */

static ssize_t read_request(nghttp2_session *session, int32_t stream_id, uint8_t *out, size_t room,
			    uint32_t *flags, nghttp2_data_source *source, void *user)
{
	struct sl_client_call *call = source->ptr;
	size_t part = call->request_length - call->request_sent;

	(void)session;
	(void)stream_id;
	(void)user;
	if (part > room)
		part = room;
	memcpy(out, call->request + call->request_sent, part);
	call->request_sent += part;
	if (call->request_sent == call->request_length)
		*flags |= NGHTTP2_DATA_FLAG_EOF;
	return (ssize_t)part;
}

static void on_deadline(evutil_socket_t fd, short what, void *user)
{
	(void)fd;
	(void)what;
	give_up(user, SL_GRPC_DEADLINE_EXCEEDED, "no answer before the deadline of the call");
}

static void arm_deadline(struct sl_client_call *call, uint32_t timeout_ms)
{
	struct timeval after = {.tv_sec = timeout_ms / 1000,
				.tv_usec = (suseconds_t)(timeout_ms % 1000) * 1000};

	evtimer_assign(&call->deadline, call->client->batch.base, on_deadline, call);
	evtimer_add(&call->deadline, &after);
	call->has_deadline = true;
}

static nghttp2_nv field(const char *name, const char *value)
{
	return (nghttp2_nv){(uint8_t *)name, (uint8_t *)value, strlen(name), strlen(value),
			    NGHTTP2_NV_FLAG_NONE};
}

int sl_client_call_submit(struct sl_client_call *call, struct sl_client_conn *conn, const char *path,
			  uint32_t timeout_ms)
{
	nghttp2_data_provider provider = {.source.ptr = call, .read_callback = read_request};
	const char *authority =
		sl_endpoint_is_unix(&call->client->endpoint) ? "localhost" : call->client->address;
	nghttp2_nv fields[] = {
		SL_H2_CONSTANT(":method", "POST"),
		SL_H2_CONSTANT(":scheme", "http"),
		field(":path", path),
		field(":authority", authority),
		SL_H2_CONSTANT("te", "trailers"),
		SL_H2_CONSTANT("content-type", "application/grpc"),
		SL_H2_CONSTANT("user-agent", "sluice"),
		SL_H2_CONSTANT("grpc-accept-encoding", "identity"),
		{NULL, NULL, 0, 0, 0},
	};
	size_t count = SL_ARRAY_SIZE(fields) - 1;
	char timeout[16];
	int32_t rc;

	if (timeout_ms > 0) {
		/* at most eight digits */
		if (timeout_ms < 100000000)
			snprintf(timeout, sizeof(timeout), "%um", timeout_ms);
		else
			snprintf(timeout, sizeof(timeout), "%uS", timeout_ms / 1000);
		fields[count++] = field("grpc-timeout", timeout);
	}
	rc = nghttp2_submit_request(conn->h2.session, NULL, fields, count, &provider, call);
	if (rc < 0)
		return rc;
	call->stream_id = rc;
	call->conn = conn;
	TAILQ_INSERT_TAIL(&conn->calls, call, link);
	if (timeout_ms > 0)
		arm_deadline(call, timeout_ms);
	sl_h2_flush_later(&conn->h2);
	return 0;
}

/* --- answer ------------------------------------------------------------- */

static struct sl_client_call *call_of(nghttp2_session *session, int32_t stream_id)
{
	struct sl_client_call *call = nghttp2_session_get_stream_user_data(session, stream_id);

	return call && !call->is_done ? call : NULL;
}

static int number_of(const uint8_t *value, size_t length)
{
	int number = 0;

	if (length == 0 || length > 3)
		return -1;
	for (size_t i = 0; i < length; i++) {
		if (value[i] < '0' || value[i] > '9')
			return -1;
		number = number * 10 + (value[i] - '0');
	}
	return number;
}

static void take_status(struct sl_client_call *call, const uint8_t *value, size_t length)
{
	int number = number_of(value, length);

	call->has_status = true;
	call->status = number >= 0 && number <= SL_GRPC_UNAUTHENTICATED ? (enum sl_grpc_status)number
									: SL_GRPC_UNKNOWN;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
		     size_t name_length, const uint8_t *value, size_t value_length, uint8_t flags, void *user)
{
	struct sl_client_call *call = call_of(session, frame->hd.stream_id);
	char text[SL_GRPC_TEXT_MAX + 1];

	(void)flags;
	(void)user;
	if (!call)
		return 0;
	call->header_bytes += name_length + value_length + 32;
	if (call->header_bytes > SL_CLIENT_HEADERS) {
		give_up(call, SL_GRPC_RESOURCE_EXHAUSTED, "the answer's headers exceed 65536 bytes");
	} else if (equals(name, name_length, ":status")) {
		call->http_status = number_of(value, value_length);
	} else if (equals(name, name_length, "content-type")) {
		call->has_content_type = value_length >= strlen("application/grpc") &&
					 memcmp(value, "application/grpc", strlen("application/grpc")) == 0;
	} else if (equals(name, name_length, "grpc-status")) {
		take_status(call, value, value_length);
	} else if (equals(name, name_length, "grpc-message") && !call->text) {
		sl_grpc_percent_decode(value, value_length, text, sizeof(text));
		call->text = strdup(text);
	}
	return 0;
}

static void take_message(struct sl_client_call *call)
{
	if (!call->on_message) {
		call->has_message = true;
		return;
	}
	call->on_message(call->reader.message ? call->reader.message : (const uint8_t *)"", call->reader.used,
			 call->user);
	sl_frame_reader_reset(&call->reader);
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream_id, const uint8_t *bytes,
		   size_t length, void *user)
{
	struct sl_client_call *call = call_of(session, stream_id);
	size_t taken;

	(void)flags;
	(void)user;
	/* the body of a proxy's error page is no message; the end of the stream tells what it was */
	if (!call || call->http_status != 200 || !call->has_content_type)
		return 0;
	while (length > 0 && !call->is_done) {
		if (call->has_message) {
			give_up(call, SL_GRPC_INTERNAL,
				"the answer to a unary call has more than one message");
			break;
		}
		switch (sl_frame_read(&call->reader, bytes, length, &taken)) {
		case SL_FRAME_MORE:
			break;
		case SL_FRAME_MESSAGE:
			take_message(call);
			break;
		case SL_FRAME_FAILED:
			give_up(call, call->reader.status, call->reader.text);
			break;
		}
		bytes += taken;
		length -= taken;
	}
	return 0;
}

static void conclude(struct sl_client_call *call)
{
	char text[64];

	if (call->http_status != 200 && !call->has_status) {
		snprintf(text, sizeof(text), "the server answered with HTTP status %d", call->http_status);
		sl_client_call_end(call, sl_grpc_status_from_http(call->http_status), text);
	} else if (!call->has_content_type && !call->has_status) {
		sl_client_call_end(call, SL_GRPC_UNKNOWN,
				   "the answer's content-type is not application/grpc");
	} else if (!call->has_status) {
		sl_client_call_end(call, SL_GRPC_INTERNAL, "the answer ended without a grpc-status");
	} else if (call->status == SL_GRPC_OK && !call->has_message &&
		   !sl_frame_reader_is_empty(&call->reader)) {
		sl_client_call_end(call, SL_GRPC_INTERNAL, "the answer ended inside a message");
	} else if (call->status == SL_GRPC_OK && !call->has_message && !call->on_message) {
		sl_client_call_end(call, SL_GRPC_INTERNAL, "the answer has no message");
	} else {
		sl_client_call_end(call, call->status, call->text);
	}
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct sl_client_conn *conn = user;
	struct sl_client_call *call;

	switch (frame->hd.type) {
	case NGHTTP2_SETTINGS:
		sl_client_conn_ready(conn);
		return 0;
	case NGHTTP2_GOAWAY:
		sl_client_conn_retire(conn);
		return 0;
	case NGHTTP2_HEADERS:
	case NGHTTP2_DATA:
		break;
	default:
		return 0;
	}
	call = call_of(session, frame->hd.stream_id);
	if (!call || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
		return 0;
	if (call->request_sent < call->request_length)
		nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, call->stream_id, NGHTTP2_CANCEL);
	conclude(call);
	return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream_id, uint32_t error_code, void *user)
{
	struct sl_client_call *call = nghttp2_session_get_stream_user_data(session, stream_id);
	char text[64];

	(void)user;
	if (!call)
		return 0;
	snprintf(text, sizeof(text), "the server ended the stream: %s", nghttp2_http2_strerror(error_code));
	sl_client_call_end(call, sl_grpc_status_from_h2(error_code), text);
	sl_client_call_free(call);
	return 0;
}

void sl_client_session_callbacks(nghttp2_session_callbacks *callbacks)
{
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
}
