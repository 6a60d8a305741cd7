// SPDX-License-Identifier: Apache-2.0
#include "h2_raw.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static void must(bool condition, const char *what)
{
	if (condition)
		return;
	perror(what);
	abort();
}

static uint64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void h2_raw_open(struct h2_raw *raw, struct event_base *base, uint16_t port)
{
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons(port), .sin_addr = {htonl(INADDR_LOOPBACK)}};

	memset(raw, 0, sizeof(*raw));
	raw->base = base;
	for (int i = 0; i < H2_ANSWERS; i++)
		raw->answers[i].status = -1;
	must(nghttp2_hd_inflate_new(&raw->inflater) == 0, "nghttp2_hd_inflate_new");
	raw->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(raw->fd >= 0, "socket");
	must(connect(raw->fd, (struct sockaddr *)&address, sizeof(address)) == 0, "connect");
	must(fcntl(raw->fd, F_SETFL, O_NONBLOCK) == 0, "fcntl");
}

void h2_raw_close(struct h2_raw *raw)
{
	close(raw->fd);
	nghttp2_hd_inflate_del(raw->inflater);
	free(raw->out);
	free(raw->in);
	memset(raw, 0, sizeof(*raw));
	raw->fd = -1;
}

static void append(uint8_t **buffer, size_t *used, size_t *size, const void *bytes, size_t length)
{
	if (*used + length > *size) {
		*size = (*used + length) * 2;
		*buffer = realloc(*buffer, *size);
		must(*buffer != NULL, "realloc");
	}
	if (length > 0)
		memcpy(*buffer + *used, bytes, length);
	*used += length;
}

void h2_bytes(struct h2_raw *raw, const void *bytes, size_t length)
{
	append(&raw->out, &raw->out_used, &raw->out_size, bytes, length);
}

void h2_frame(struct h2_raw *raw, uint8_t type, uint8_t flags, uint32_t stream, const void *payload,
	      size_t length)
{
	const uint8_t head[9] = {
		(uint8_t)(length >> 16),
		(uint8_t)(length >> 8),
		(uint8_t)length,
		type,
		flags,
		(uint8_t)(stream >> 24),
		(uint8_t)(stream >> 16),
		(uint8_t)(stream >> 8),
		(uint8_t)stream,
	};

	h2_bytes(raw, head, sizeof(head));
	h2_bytes(raw, payload, length);
}

void h2_preface(struct h2_raw *raw)
{
	static const char magic[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

	h2_bytes(raw, magic, sizeof(magic) - 1);
	h2_frame(raw, H2_SETTINGS, 0, 0, NULL, 0);
}

/* RFC 7541 5.1 with a prefix of 7 bits, 5.2 without Huffman coding */
static size_t put_string(uint8_t *out, const char *text)
{
	size_t length = strlen(text), rest = length, used = 0;

	if (length < 127) {
		out[used++] = (uint8_t)length;
	} else {
		out[used++] = 127;
		for (rest -= 127; rest >= 128; rest >>= 7)
			out[used++] = (uint8_t)(rest | 0x80);
		out[used++] = (uint8_t)rest;
	}
	memcpy(out + used, text, length);
	return used + length;
}

size_t h2_literal(uint8_t *out, const char *name, const char *value)
{
	size_t used = 0;

	out[used++] = 0;
	used += put_string(out + used, name);
	return used + put_string(out + used, value);
}

static const char *replaced(const char *const *extra, const char *name, const char *value)
{
	for (; extra && *extra; extra += 2) {
		if (strcmp(extra[0], name) == 0)
			return extra[1];
	}
	return value;
}

void h2_request(struct h2_raw *raw, uint32_t stream, uint8_t flags, const char *path,
		const char *const *extra)
{
	static const char *const names[] = {":method",	  ":scheme",	  ":path",
					    ":authority", "content-type", "te"};
	const char *values[] = {"POST", "http", path, "localhost", "application/grpc", "trailers"};
	uint8_t block[16384];
	size_t used = 0;

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		used += h2_literal(block + used, names[i], replaced(extra, names[i], values[i]));
	for (; extra && *extra; extra += 2) {
		bool is_new = true;

		for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
			is_new = is_new && strcmp(extra[0], names[i]) != 0;
		if (is_new)
			used += h2_literal(block + used, extra[0], extra[1]);
	}
	h2_frame(raw, H2_HEADERS, flags, stream, block, used);
}

void h2_message(struct h2_raw *raw, uint32_t stream, uint8_t flags, const void *message, size_t length)
{
	uint8_t *payload = malloc(5 + length);

	must(payload != NULL, "malloc");
	payload[0] = 0;
	payload[1] = (uint8_t)(length >> 24);
	payload[2] = (uint8_t)(length >> 16);
	payload[3] = (uint8_t)(length >> 8);
	payload[4] = (uint8_t)length;
	if (length > 0)
		memcpy(payload + 5, message, length);
	h2_frame(raw, H2_DATA, flags, stream, payload, 5 + length);
	free(payload);
}

struct h2_answer *h2_answer(struct h2_raw *raw, uint32_t stream)
{
	return &raw->answers[stream / 2 % H2_ANSWERS];
}

static void take_fields(struct h2_raw *raw, struct h2_answer *answer, const uint8_t *block, size_t length)
{
	int flags = 0;

	while (!(flags & NGHTTP2_HD_INFLATE_FINAL)) {
		nghttp2_nv nv;
		ssize_t rc = nghttp2_hd_inflate_hd2(raw->inflater, &nv, &flags, block, length, 1);

		must(rc >= 0, "HPACK of the server");
		block += rc;
		length -= (size_t)rc;
		if (!(flags & NGHTTP2_HD_INFLATE_EMIT))
			continue;
		if (nv.namelen == 7 && memcmp(nv.name, ":status", 7) == 0)
			answer->http = atoi((const char *)nv.value);
		else if (nv.namelen == 11 && memcmp(nv.name, "grpc-status", 11) == 0)
			answer->status = atoi((const char *)nv.value);
		else if (nv.namelen == 12 && memcmp(nv.name, "grpc-message", 12) == 0)
			snprintf(answer->text, sizeof(answer->text), "%.*s", (int)nv.valuelen,
				 (const char *)nv.value);
	}
	nghttp2_hd_inflate_end_headers(raw->inflater);
}

static uint32_t number_at(const uint8_t *bytes)
{
	return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 | bytes[3];
}

static void take_frame(struct h2_raw *raw, const uint8_t *head, const uint8_t *payload, size_t length)
{
	struct h2_answer *answer = h2_answer(raw, number_at(head + 5) & 0x7fffffff);

	switch (head[3]) {
	case H2_DATA:
		answer->data += length;
		answer->ended = answer->ended || (head[4] & H2_END_STREAM);
		break;
	case H2_HEADERS:
		take_fields(raw, answer, payload, length);
		answer->ended = answer->ended || (head[4] & H2_END_STREAM);
		break;
	case H2_RST:
		answer->reset = true;
		answer->reset_code = number_at(payload);
		break;
	case H2_GOAWAY:
		raw->goaway = true;
		raw->goaway_code = number_at(payload + 4);
		break;
	}
}

static void take_frames(struct h2_raw *raw)
{
	size_t at = 0;

	while (raw->in_used - at >= 9) {
		const uint8_t *head = raw->in + at;
		size_t length = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];

		if (raw->in_used - at - 9 < length)
			break;
		take_frame(raw, head, head + 9, length);
		at += 9 + length;
	}
	memmove(raw->in, raw->in + at, raw->in_used - at);
	raw->in_used -= at;
}

static void exchange(struct h2_raw *raw)
{
	uint8_t bytes[65536];
	ssize_t rc;

	while (raw->out_used > 0 && (rc = send(raw->fd, raw->out, raw->out_used, MSG_NOSIGNAL)) > 0) {
		memmove(raw->out, raw->out + rc, raw->out_used - (size_t)rc);
		raw->out_used -= (size_t)rc;
	}
	while (!raw->mute && !raw->closed) {
		rc = recv(raw->fd, bytes, sizeof(bytes), 0);
		if (rc < 0 && errno == EAGAIN)
			break;
		if (rc <= 0)
			raw->closed = true;
		else
			append(&raw->in, &raw->in_used, &raw->in_size, bytes, (size_t)rc);
	}
	if (raw->in_used > 0)
		take_frames(raw);
}

static void step(struct h2_raw *raw)
{
	exchange(raw);
	event_base_loop(raw->base, EVLOOP_NONBLOCK);
	exchange(raw);
	usleep(200);
}

bool h2_until(struct h2_raw *raw, const bool *flag)
{
	uint64_t end = now_ms() + 5000;

	while (!*flag && now_ms() < end)
		step(raw);
	return *flag;
}

void h2_run(struct h2_raw *raw, int ms)
{
	uint64_t end = now_ms() + (uint64_t)ms;

	/* on a busy machine the time may be over after one step, and an exchange takes a few */
	for (int steps = 0; steps < 20 || now_ms() < end; steps++)
		step(raw);
}
