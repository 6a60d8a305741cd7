// SPDX-License-Identifier: Apache-2.0
#include "echo_service.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

/* A call that is answered by a timer, or never. */
struct waiting {
	struct echo *echo;
	struct sl_call *call;
	struct event *timer;
	size_t length;
	uint8_t message[];
};

static void waiting_free(struct waiting *waiting)
{
	waiting->echo->open--;
	if (waiting->timer)
		event_free(waiting->timer);
	free(waiting);
}

static void waiting_gone(struct sl_call *call, void *user)
{
	struct waiting *waiting = user;

	(void)call;
	waiting->echo->gone++;
	waiting_free(waiting);
}

static void reply_now(evutil_socket_t fd, short what, void *user)
{
	struct waiting *waiting = user;

	(void)fd;
	(void)what;
	sl_call_reply(waiting->call, waiting->message, waiting->length);
	waiting_free(waiting);
}

static void send_again(evutil_socket_t fd, short what, void *user)
{
	struct waiting *waiting = user;

	(void)fd;
	(void)what;
	if (sl_call_send(waiting->call, waiting->message, waiting->length))
		waiting->echo->dropped++;
}

static struct waiting *wait_with(struct echo *echo, struct sl_call *call, const uint8_t *message,
				 size_t length)
{
	struct waiting *waiting = calloc(1, sizeof(*waiting) + length);

	if (!waiting)
		abort();
	waiting->echo = echo;
	waiting->call = call;
	waiting->length = length;
	memcpy(waiting->message, message, length);
	echo->open++;
	sl_call_on_gone(call, waiting_gone, waiting);
	return waiting;
}

static void start(struct waiting *waiting, short flags, event_callback_fn callback, int ms)
{
	struct timeval every = {.tv_usec = ms * 1000};

	waiting->timer = event_new(waiting->echo->base, -1, flags, callback, waiting);
	event_add(waiting->timer, &every);
}

static size_t number_in(const uint8_t *message, size_t length)
{
	char text[32];

	snprintf(text, sizeof(text), "%.*s", (int)length, (const char *)message);
	return strtoul(text, NULL, 10);
}

static void unary(struct sl_call *call, const uint8_t *message, size_t length, void *user)
{
	struct echo *echo = user;

	echo->calls++;
	echo->last_length = length;
	sl_call_reply(call, message, length);
}

static void later(struct sl_call *call, const uint8_t *message, size_t length, void *user)
{
	start(wait_with(user, call, message, length), 0, reply_now, 100);
}

static void never(struct sl_call *call, const uint8_t *message, size_t length, void *user)
{
	wait_with(user, call, message, length);
}

static void watch(struct sl_call *call, const uint8_t *message, size_t length, void *user)
{
	start(wait_with(user, call, message, length), EV_PERSIST, send_again, 5);
}

static void fail(struct sl_call *call, const uint8_t *message, size_t length, void *user)
{
	char text[256];
	char *space;

	(void)user;
	snprintf(text, sizeof(text), "%.*s", (int)length, (const char *)message);
	space = strchr(text, ' ');
	sl_call_finish(call, (enum sl_grpc_status)strtoul(text, NULL, 10), space ? space + 1 : NULL);
}

static void grow(struct sl_call *call, const uint8_t *message, size_t length, void *user)
{
	size_t size = number_in(message, length);
	uint8_t *answer = calloc(1, size + 1);

	(void)user;
	if (!answer)
		abort();
	sl_call_reply(call, answer, size);
	free(answer);
}

static void count(struct sl_call *call, const uint8_t *message, size_t length, void *user)
{
	size_t total = number_in(message, length);
	char text[32];

	(void)user;
	for (size_t i = 0; i < total; i++) {
		snprintf(text, sizeof(text), "%zu", i);
		if (sl_call_send(call, (const uint8_t *)text, strlen(text))) {
			sl_call_finish(call, SL_GRPC_RESOURCE_EXHAUSTED, "the queue is full");
			return;
		}
	}
	sl_call_finish(call, SL_GRPC_OK, NULL);
}

/* As a list that goes on at a later call where this one had no room. */
static void list(struct sl_call *call, const uint8_t *message, size_t length, void *user)
{
	size_t total = number_in(message, length);

	(void)user;
	for (size_t i = 0; i < total && sl_call_send(call, message, length) == 0; i++)
		;
	sl_call_finish(call, SL_GRPC_OK, NULL);
}

static void chat(struct sl_call *call, const uint8_t *message, size_t length, void *user)
{
	(void)user;
	if (!message)
		sl_call_finish(call, SL_GRPC_OK, NULL);
	else if (sl_call_send(call, message, length))
		sl_call_finish(call, SL_GRPC_RESOURCE_EXHAUSTED, "the queue is full");
}

static void peer(struct sl_call *call, const uint8_t *message, size_t length, void *user)
{
	char text[160];
	int used = snprintf(text, sizeof(text), "%s %s", sl_call_is_local(call) ? "local" : "remote",
			    sl_call_peer(call));

	(void)message;
	(void)length;
	(void)user;
	sl_call_reply(call, (const uint8_t *)text, (size_t)used);
}

int echo_register(struct echo *echo, struct event_base *base, struct sl_grpc_server *server)
{
	static const struct {
		const char *path;
		sl_grpc_handler handler;
	} methods[] = {
		{"/test.Echo/Unary", unary}, {"/test.Echo/Later", later}, {"/test.Echo/Never", never},
		{"/test.Echo/Watch", watch}, {"/test.Echo/Fail", fail},	  {"/test.Echo/Grow", grow},
		{"/test.Echo/Count", count}, {"/test.Echo/List", list},	  {"/test.Echo/Peer", peer},
	};

	*echo = (struct echo){.base = base};
	for (size_t i = 0; i < SL_ARRAY_SIZE(methods); i++) {
		int rc = sl_grpc_register(server, methods[i].path, methods[i].handler, echo);

		if (rc < 0)
			return rc;
	}
	return sl_grpc_register_stream(server, "/test.Echo/Chat", chat, echo);
}
