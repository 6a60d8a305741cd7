/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An HTTP/2 client made by hand, which can misbehave: it builds frames byte by
 * byte, sends them when told to, and notes what comes back. It answers nothing
 * by itself, neither SETTINGS nor PING, and opens no windows.
 */
#ifndef H2_RAW_H
#define H2_RAW_H

#include <event2/event.h>
#include <nghttp2/nghttp2.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	H2_DATA = 0,
	H2_HEADERS = 1,
	H2_RST = 3,
	H2_SETTINGS = 4,
	H2_PING = 6,
	H2_GOAWAY = 7,
	H2_CONTINUATION = 9
};
enum { H2_END_STREAM = 1, H2_END_HEADERS = 4 };

/* What the server said about one stream. */
struct h2_answer {
	int http;	/* :status; 0: none yet */
	int status;	/* grpc-status; -1: none yet */
	char text[256]; /* grpc-message, as on the wire */
	size_t data;	/* bytes of DATA */
	bool ended;	/* END_STREAM */
	bool reset;
	uint32_t reset_code;
};

#define H2_ANSWERS 64 /* streams 1, 3, ... 127 are noted */

struct h2_raw {
	struct event_base *base;
	int fd;
	uint8_t *out; /* built, not sent yet */
	size_t out_used, out_size;
	uint8_t *in;
	size_t in_used, in_size;
	nghttp2_hd_inflater *inflater;
	struct h2_answer answers[H2_ANSWERS];
	bool goaway;
	uint32_t goaway_code;
	bool closed;
	bool mute; /* do not read */
};

void h2_raw_open(struct h2_raw *raw, struct event_base *base, uint16_t port);
void h2_raw_close(struct h2_raw *raw);

/* Building. */
void h2_bytes(struct h2_raw *raw, const void *bytes, size_t length);
void h2_preface(struct h2_raw *raw); /* magic and empty SETTINGS */
void h2_frame(struct h2_raw *raw, uint8_t type, uint8_t flags, uint32_t stream, const void *payload,
	      size_t length);

/* HEADERS of a gRPC request; extra: name, value, name, value, ..., NULL, in place of those with the same
 * name. */
void h2_request(struct h2_raw *raw, uint32_t stream, uint8_t flags, const char *path,
		const char *const *extra);

/* DATA with one whole message. */
void h2_message(struct h2_raw *raw, uint32_t stream, uint8_t flags, const void *message, size_t length);

/* HPACK: a literal without indexing; returns its length. */
size_t h2_literal(uint8_t *out, const char *name, const char *value);

/* Runs the loop, sending what was built and reading, until *flag or 5 seconds are over; returns *flag. */
bool h2_until(struct h2_raw *raw, const bool *flag);

/* The same for a fixed time. */
void h2_run(struct h2_raw *raw, int ms);

struct h2_answer *h2_answer(struct h2_raw *raw, uint32_t stream);

#endif
