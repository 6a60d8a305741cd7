// SPDX-License-Identifier: Apache-2.0
#include "api/grpc_server.h"

#include <stdio.h>
#include <string.h>

#include "api/grpc_status.h"

static bool equals(const uint8_t *bytes, size_t length, const char *text)
{
	return length == strlen(text) && memcmp(bytes, text, length) == 0;
}

/* "application/grpc", or followed by a subtype "+proto" or parameters ";..." */
static bool is_grpc_content(const uint8_t *value, size_t length)
{
	static const char type[] = "application/grpc";
	size_t base = sizeof(type) - 1;

	return length >= base && memcmp(value, type, base) == 0 &&
	       (length == base || value[base] == '+' || value[base] == ';');
}

static struct sl_call *call_of(nghttp2_session *session, int32_t stream_id)
{
	return nghttp2_session_get_stream_user_data(session, stream_id);
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct sl_conn *conn = user;
	struct sl_call *call;

	if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
		return 0;
	call = sl_call_new(conn, frame->hd.stream_id);
	if (!call)
		return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
	nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, call);
	return 0;
}

static void take_path(struct sl_call *call, const uint8_t *value, size_t length)
{
	struct sl_method *method;

	HASH_FIND(hh, call->conn->server->methods, value, length, method);
	call->method = method;
	/* the reader's text has no other use before the first message */
	if (!method)
		snprintf(call->reader.text, sizeof(call->reader.text), "unknown method %.*s",
			 length > 64 ? 64 : (int)length, (const char *)value);
}

static void take_encoding(struct sl_call *call, const uint8_t *value, size_t length)
{
	if (equals(value, length, "gzip"))
		call->reader.encoding = SL_FRAME_GZIP;
	else if (equals(value, length, "deflate"))
		call->reader.encoding = SL_FRAME_DEFLATE;
	else if (!equals(value, length, "identity"))
		call->has_unknown_encoding = true;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
		     size_t name_length, const uint8_t *value, size_t value_length, uint8_t flags, void *user)
{
	struct sl_conn *conn = user;
	struct sl_call *call = call_of(session, frame->hd.stream_id);

	(void)flags;
	if (!call)
		return 0;
	call->header_bytes += name_length + value_length + 32;
	if (call->header_bytes > SL_HEADERS_CLOSE) {
		sl_h2_close(&conn->h2, "a request has more than 256 KB of headers");
		return NGHTTP2_ERR_CALLBACK_FAILURE;
	}
	if (call->headers_done || call->header_bytes > SL_HEADERS_ANSWER)
		return 0;
	if (equals(name, name_length, ":path"))
		take_path(call, value, value_length);
	else if (equals(name, name_length, ":method"))
		call->has_post = equals(value, value_length, "POST");
	else if (equals(name, name_length, "content-type"))
		call->has_content_type = is_grpc_content(value, value_length);
	else if (equals(name, name_length, "grpc-encoding"))
		take_encoding(call, value, value_length);
	else if (equals(name, name_length, "grpc-timeout")) {
		call->has_timeout = true;
		call->has_bad_timeout = sl_grpc_parse_timeout(value, value_length, &call->timeout_ms) < 0;
	}
	return 0;
}

static void take_headers(struct sl_call *call)
{
	call->headers_done = true;
	if (call->header_bytes > SL_HEADERS_ANSWER) {
		sl_call_refuse(call, SL_GRPC_RESOURCE_EXHAUSTED, "the request's headers exceed 16384 bytes");
	} else if (!call->has_post) {
		sl_call_refuse_http(call, "405");
	} else if (!call->has_content_type) {
		sl_call_refuse_http(call, "415");
	} else if (!call->method) {
		sl_call_refuse(call, SL_GRPC_UNIMPLEMENTED, call->reader.text);
	} else if (call->has_unknown_encoding) {
		sl_call_refuse(call, SL_GRPC_UNIMPLEMENTED,
			       "unknown grpc-encoding; allowed: identity, gzip, deflate");
	} else if (call->has_bad_timeout) {
		sl_call_refuse(call, SL_GRPC_INTERNAL,
			       "grpc-timeout is not 1 to 8 digits and one of H M S m u n");
	} else if (call->has_timeout) {
		sl_call_arm_deadline(call);
	}
}

static void hand_over(struct sl_call *call, const uint8_t *message, size_t length)
{
	if (!call->is_handled)
		call->conn->server->stats.calls++;
	call->is_handled = true;
	call->is_in_handler = true;
	call->method->handler(call, message, length, call->method->user);
	call->is_in_handler = false;
	sl_frame_reader_reset(&call->reader);
}

static const uint8_t *message_of(const struct sl_frame_reader *reader)
{
	return reader->message ? reader->message : (const uint8_t *)"";
}

static void take_message(struct sl_call *call)
{
	if (!call->method->is_stream) {
		call->has_message = true;
		return;
	}
	hand_over(call, message_of(&call->reader), call->reader.used);
	/* between the messages of a stream the client may think as long as it likes */
	sl_call_complete(call);
}

static void take_end(struct sl_call *call)
{
	sl_call_complete(call);
	if (call->is_over)
		return;
	if (call->method->is_stream) {
		if (sl_frame_reader_is_empty(&call->reader))
			hand_over(call, NULL, 0);
		else
			sl_call_abort(call, SL_GRPC_INTERNAL, "the request ends inside a message");
		return;
	}
	if (!call->has_message) {
		sl_call_refuse(call, SL_GRPC_INTERNAL,
			       sl_frame_reader_is_empty(&call->reader) ? "the request has no message"
								       : "the request ends inside a message");
		return;
	}
	hand_over(call, message_of(&call->reader), call->reader.used);
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream_id, const uint8_t *bytes,
		   size_t length, void *user)
{
	struct sl_call *call = call_of(session, stream_id);
	size_t taken;

	(void)flags;
	(void)user;
	while (call && length > 0 && !call->is_over) {
		if (call->has_message) {
			sl_call_refuse(call, SL_GRPC_UNIMPLEMENTED,
				       "the method takes one message, more arrived");
			break;
		}
		sl_call_begin(call);
		switch (sl_frame_read(&call->reader, bytes, length, &taken)) {
		case SL_FRAME_MORE:
			break;
		case SL_FRAME_MESSAGE:
			take_message(call);
			break;
		case SL_FRAME_FAILED:
			sl_call_abort(call, call->reader.status, call->reader.text);
			break;
		}
		bytes += taken;
		length -= taken;
	}
	return 0;
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct sl_conn *conn = user;
	struct sl_call *call;

	switch (frame->hd.type) {
	case NGHTTP2_SETTINGS:
		conn->has_preface = true;
		return 0;
	case NGHTTP2_HEADERS:
	case NGHTTP2_DATA:
		break;
	default:
		return 0;
	}
	call = call_of(session, frame->hd.stream_id);
	if (!call)
		return 0;
	if (frame->hd.type == NGHTTP2_HEADERS && !call->headers_done)
		take_headers(call);
	if (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) {
		call->request_done = true;
		take_end(call);
	}
	return 0;
}

static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *user)
{
	struct sl_call *call;

	(void)user;
	if (frame->hd.type != NGHTTP2_HEADERS || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
		return 0;
	call = call_of(session, frame->hd.stream_id);
	/* the answer is complete: the rest of the request is not wanted (RFC 9113 8.1) */
	if (call && !call->request_done)
		nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id, NGHTTP2_NO_ERROR);
	return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream_id, uint32_t error_code, void *user)
{
	struct sl_call *call = call_of(session, stream_id);

	(void)error_code;
	(void)user;
	if (call)
		sl_call_free(call);
	return 0;
}

void sl_session_callbacks(nghttp2_session_callbacks *callbacks)
{
	nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
	nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
	nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
	nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
	nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
	nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
}
