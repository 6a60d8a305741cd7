// SPDX-License-Identifier: Apache-2.0
#include "redirect/claim.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"

/* Who only looks holds a name for an instant. */
#define ATTEMPTS 20
#define PAUSE_NS 1000000

static socklen_t name_of(enum sl_claim_kind kind, uint32_t number, struct sockaddr_un *out)
{
	int length;

	*out = (struct sockaddr_un){.sun_family = AF_UNIX};
	length = snprintf(out->sun_path + 1, sizeof(out->sun_path) - 1, "sluice/redirect/%s/%u",
			  kind == SL_CLAIM_TABLE ? "table" : "rule", number);
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
}

static int open_socket(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	return fd < 0 ? -errno : fd;
}

/* 0: held from now on, by *out. */
static int hold(const struct sockaddr_un *name, socklen_t length, int *out)
{
	_cleanup_fd_ int fd = open_socket();

	if (fd < 0)
		return fd;
	/* listening, so that others can be told who it is; nobody is ever accepted */
	if (bind(fd, (const struct sockaddr *)name, length) < 0 || listen(fd, 1) < 0)
		return -errno;
	*out = SL_TAKE_FD(fd);
	return 0;
}

/* -EADDRINUSE: an agent has the name, *pid may be 0; -EPERM: no agent has it; -EAGAIN: nobody listens. */
static int judge_holder(const struct sockaddr_un *name, socklen_t length, pid_t *pid)
{
	struct ucred holder = {.pid = 0};
	socklen_t size = sizeof(holder);
	_cleanup_fd_ int fd = open_socket();

	*pid = 0;
	if (fd < 0)
		return fd;
	if (connect(fd, (const struct sockaddr *)name, length) < 0) {
		/* EAGAIN: too many have asked before; whoever it is, he is there */
		return errno == EAGAIN ? -EADDRINUSE : -EAGAIN;
	}
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &holder, &size) < 0)
		return -errno;
	*pid = holder.pid;
	return holder.uid == 0 || holder.uid == geteuid() ? -EADDRINUSE : -EPERM;
}

static int refuse(const char *field, uint32_t number, pid_t pid, struct sl_error *err)
{
	if (pid > 0)
		return sl_error(err, EADDRINUSE,
				"%s: %u belongs to another agent in this network namespace (process %d)",
				field, number, pid);
	return sl_error(err, EADDRINUSE, "%s: %u belongs to another agent in this network namespace", field,
			number);
}

int sl_claim(struct sl_claims *claims, enum sl_claim_kind kind, uint32_t number, const char *field,
	     struct sl_error *err)
{
	const struct timespec pause = {.tv_nsec = PAUSE_NS};
	struct sockaddr_un name;
	socklen_t length = name_of(kind, number, &name);
	pid_t pid = 0;
	int fd = -1;
	int rc = -EAGAIN;

	if (claims->count == SL_CLAIMS_MAX)
		return sl_error(err, ENOSPC, "%s: more than %d claims", field, SL_CLAIMS_MAX);
	for (int i = 0; i < ATTEMPTS && rc == -EAGAIN; i++) {
		rc = hold(&name, length, &fd);
		if (rc == -EADDRINUSE)
			rc = judge_holder(&name, length, &pid);
		if (rc == -EAGAIN)
			nanosleep(&pause, NULL);
	}
	if (rc == -EADDRINUSE)
		return refuse(field, number, pid, err);
	/* an agent would listen by now */
	if (rc == -EPERM || rc == -EAGAIN) {
		sl_log(SL_LOG_WARNING, "claim-held", "field", "%s", field, "number", "%u", number, "process",
		       "%d", (int)pid, NULL);
		rc = 0;
	}
	if (rc < 0)
		return sl_error(err, -rc, "%s: cannot claim %u: %s", field, number, strerror(-rc));
	claims->list[claims->count].kind = kind;
	claims->list[claims->count].number = number;
	claims->list[claims->count].fd = fd;
	claims->count++;
	return 0;
}

bool sl_claimed_by_other(const struct sl_claims *own, enum sl_claim_kind kind, uint32_t number)
{
	struct sockaddr_un name;
	socklen_t length = name_of(kind, number, &name);
	_cleanup_fd_ int fd = -1;

	for (unsigned int i = 0; own && i < own->count; i++)
		if (own->list[i].kind == kind && own->list[i].number == number)
			return false;
	fd = open_socket();
	return fd >= 0 && bind(fd, (struct sockaddr *)&name, length) < 0 && errno == EADDRINUSE;
}

void sl_claims_release(struct sl_claims *claims)
{
	for (unsigned int i = 0; i < claims->count; i++)
		if (claims->list[i].fd >= 0)
			close(claims->list[i].fd);
	claims->count = 0;
}
