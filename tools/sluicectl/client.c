// SPDX-License-Identifier: Apache-2.0
#include "client.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/util.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"

#define CONNECT_TIMEOUT_MS 3000
#define GONE_TIMEOUT_MS	   5000
#define GONE_STEP_MS	   20
#define UNIX_PREFIX	   "unix:"

/* --- connection ------------------------------------------------------------ */

/* The agent's address for the kernel; -EINVAL if it is none. */
static int resolve(const char *address, struct sockaddr_storage *out, socklen_t *length)
{
	struct sockaddr_un *local = (struct sockaddr_un *)out;
	int size = sizeof(*out);

	memset(out, 0, sizeof(*out));
	if (strncmp(address, UNIX_PREFIX, strlen(UNIX_PREFIX)) == 0) {
		const char *path = address + strlen(UNIX_PREFIX);

		if (!*path || strlen(path) >= sizeof(local->sun_path))
			return -EINVAL;
		local->sun_family = AF_UNIX;
		strcpy(local->sun_path, path);
		*length = sizeof(*local);
		return 0;
	}
	if (evutil_parse_sockaddr_port(address, (struct sockaddr *)out, &size) < 0)
		return -EINVAL;
	*length = (socklen_t)size;
	return 0;
}

/*
 * Whether somebody listens, by a connection of its own: the transport says
 * UNAVAILABLE both for that and for an agent that does not serve yet.
 */
static int probe(const char *address)
{
	struct sockaddr_storage remote;
	_cleanup_fd_ int fd = -1;
	struct pollfd ready;
	socklen_t length;
	int code = 0;

	if (resolve(address, &remote, &length) < 0)
		return -EINVAL;
	fd = socket(remote.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	if (connect(fd, (struct sockaddr *)&remote, length) == 0)
		return 0;
	if (errno != EINPROGRESS)
		return -errno;
	ready = (struct pollfd){.fd = fd, .events = POLLOUT};
	if (poll(&ready, 1, CONNECT_TIMEOUT_MS) != 1)
		return -ETIMEDOUT;
	length = sizeof(code);
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &code, &length) < 0)
		return -errno;
	return -code;
}

int client_open(struct ctl *ctl)
{
	struct sl_error err = {""};
	int ret;

	ret = probe(ctl->address);
	if (ret == -EINVAL)
		return ctl_error(CTL_USAGE,
				 "bad address \"%s\"; allowed: ADDRESS:PORT, [ADDRESS]:PORT, or a path",
				 ctl->address);
	if (ret < 0)
		return ctl_error(CTL_UNREACHABLE, "no agent at %s: %s%s", ctl->address, strerror(-ret),
				 ret == -EACCES ? "" : "; is sluiced running?");
	ctl->base = event_base_new();
	if (!ctl->base)
		return ctl_error(CTL_UNREACHABLE, "cannot make an event loop");
	if (sl_grpc_client_new(ctl->base, ctl->address, &ctl->client, &err) < 0)
		return ctl_error(CTL_UNREACHABLE, "%s", err.text);
	return CTL_OK;
}

void client_close(struct ctl *ctl)
{
	if (ctl->client)
		sl_grpc_client_free(ctl->client);
	if (ctl->base)
		event_base_free(ctl->base);
	ctl->client = NULL;
	ctl->base = NULL;
}

/* --- status ------------------------------------------------------------------ */

const char *client_status_name(enum sl_grpc_status status)
{
	static const char *const names[] = {
		"ok",
		"cancelled",
		"unknown",
		"invalid-argument",
		"deadline-exceeded",
		"not-found",
		"already-exists",
		"permission-denied",
		"resource-exhausted",
		"failed-precondition",
		"aborted",
		"out-of-range",
		"unimplemented",
		"internal",
		"unavailable",
		"data-loss",
		"unauthenticated",
	};

	return (unsigned int)status < SL_ARRAY_SIZE(names) ? names[status] : "unknown";
}

int client_failed(struct ctl *ctl, const char *path, enum sl_grpc_status status, const char *text)
{
	const char *method = strrchr(path, '/');

	if (status == SL_GRPC_UNAVAILABLE && probe(ctl->address) < 0)
		return ctl_error(CTL_UNREACHABLE, "the agent at %s has gone", ctl->address);
	return ctl_error(CTL_REFUSED, "%s: %s%s%s", method ? method + 1 : path, client_status_name(status),
			 text && text[0] ? ": " : "", text ? text : "");
}

int client_wait_gone(struct ctl *ctl)
{
	unsigned int waited;

	for (waited = 0; waited < GONE_TIMEOUT_MS; waited += GONE_STEP_MS) {
		if (probe(ctl->address) < 0)
			return CTL_OK;
		usleep(GONE_STEP_MS * 1000);
	}
	return ctl_error(CTL_REFUSED, "the agent at %s has not ended after %d s", ctl->address,
			 GONE_TIMEOUT_MS / 1000);
}

/* --- calls --------------------------------------------------------------------- */

struct call {
	const ProtobufCMessageDescriptor *type;
	client_on_message on_message;
	void *user;
	bool done;
	bool bad; /* a message that is not of the type */
	enum sl_grpc_status status;
	char *text;
	ProtobufCMessage *answer; /* unary */
};

static void on_message(const uint8_t *message, size_t length, void *user)
{
	struct call *call = user;
	ProtobufCMessage *unpacked = protobuf_c_message_unpack(call->type, NULL, length, message);

	if (!unpacked) {
		call->bad = true;
		return;
	}
	call->on_message(unpacked, call->user);
	protobuf_c_message_free_unpacked(unpacked, NULL);
}

static void on_done(enum sl_grpc_status status, const char *text, const uint8_t *message, size_t length,
		    void *user)
{
	struct call *call = user;

	call->done = true;
	call->status = status;
	call->text = text ? strdup(text) : NULL;
	if (status != SL_GRPC_OK || call->on_message)
		return;
	call->answer = protobuf_c_message_unpack(call->type, NULL, length, message);
	call->bad = call->answer == NULL;
}

static int run(struct ctl *ctl, const char *path, const ProtobufCMessage *request, uint32_t timeout_ms,
	       struct call *call)
{
	size_t length = protobuf_c_message_get_packed_size(request);
	_cleanup_free_ uint8_t *bytes = malloc(length ? length : 1);
	int ret;

	if (!bytes)
		return ctl_error(CTL_REFUSED, "out of memory");
	protobuf_c_message_pack(request, bytes);
	ret = sl_grpc_client_call(ctl->client, path, bytes, length, timeout_ms,
				  call->on_message ? on_message : NULL, on_done, call);
	if (ret < 0)
		return ctl_error(CTL_REFUSED, "%s: %s", path, strerror(-ret));
	/* output that a pager or another program reads should not wait for the next event */
	while (!call->done) {
		fflush(stdout);
		if (event_base_loop(ctl->base, EVLOOP_ONCE) != 0)
			return ctl_error(CTL_REFUSED, "%s: the event loop ended", path);
	}
	if (call->status != SL_GRPC_OK)
		ret = client_failed(ctl, path, call->status, call->text);
	else if (call->bad)
		ret = ctl_error(CTL_REFUSED, "%s: the answer is no %s", path, call->type->name);
	else
		ret = CTL_OK;
	free(call->text);
	return ret;
}

int client_call(struct ctl *ctl, const char *path, const ProtobufCMessage *request,
		const ProtobufCMessageDescriptor *type, ProtobufCMessage **out)
{
	struct call call = {.type = type};
	int ret;

	ret = run(ctl, path, request, CLIENT_TIMEOUT_MS, &call);
	if (ret == CTL_OK)
		*out = call.answer;
	return ret;
}

int client_stream(struct ctl *ctl, const char *path, const ProtobufCMessage *request,
		  const ProtobufCMessageDescriptor *type, uint32_t timeout_ms, client_on_message on_each,
		  void *user)
{
	struct call call = {.type = type, .on_message = on_each, .user = user};

	return run(ctl, path, request, timeout_ms, &call);
}

struct pages {
	const ProtobufCFieldDescriptor *next_field;
	uint64_t next;
	client_on_message on_page;
	void *user;
};

static void on_page(const ProtobufCMessage *page, void *user)
{
	struct pages *pages = user;

	memcpy(&pages->next, (const char *)page + pages->next_field->offset, sizeof(pages->next));
	pages->on_page(page, pages->user);
}

int client_pages(struct ctl *ctl, const char *path, ProtobufCMessage *request,
		 const ProtobufCMessageDescriptor *type, client_on_message on_each, void *user)
{
	const ProtobufCFieldDescriptor *start =
		protobuf_c_message_descriptor_get_field_by_name(request->descriptor, "start");
	struct pages pages = {.on_page = on_each, .user = user};
	uint64_t from = 0;
	int ret;

	pages.next_field = protobuf_c_message_descriptor_get_field_by_name(type, "next");
	for (;;) {
		memcpy((char *)request + start->offset, &from, sizeof(from));
		pages.next = 0;
		ret = client_stream(ctl, path, request, type, CLIENT_TIMEOUT_MS, on_page, &pages);
		if (ret != CTL_OK || pages.next == 0)
			return ret;
		if (pages.next <= from)
			return ctl_error(CTL_REFUSED, "%s: the agent does not get on", path);
		from = pages.next;
	}
}
