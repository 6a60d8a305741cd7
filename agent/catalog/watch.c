// SPDX-License-Identifier: Apache-2.0
#include "catalog/watch.h"

#include <errno.h>
#include <event2/event.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

#define QUIET_MS  200
#define LATEST_MS 2000 /* changes that do not end are looked at all the same */
#define LOOK_MS	  1000 /* whether the path still leads to the same directory */

#define CHANGES (IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO | IN_CREATE | IN_DELETE | IN_ATTRIB)

struct sl_watch {
	char path[256];
	void (*changed)(void *user);
	void *user;
	int fd;
	int descriptor; /* of the directory; -1: there is none */
	dev_t device;
	ino_t inode;
	struct event *readable, *quiet, *look;
	struct timeval first; /* of the changes not told yet */
	bool pending;
};

static struct timeval in_ms(int ms)
{
	return (struct timeval){.tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000};
}

static void note_change(struct sl_watch *watch)
{
	struct timeval wait = in_ms(QUIET_MS), now, latest = in_ms(LATEST_MS);

	event_base_gettimeofday_cached(event_get_base(watch->quiet), &now);
	if (!watch->pending)
		watch->first = now;
	timeradd(&watch->first, &latest, &latest);
	if (watch->pending && timercmp(&now, &latest, >))
		return;
	watch->pending = true;
	event_add(watch->quiet, &wait);
}

static void on_quiet(evutil_socket_t fd, short what, void *user)
{
	struct sl_watch *watch = user;

	(void)fd;
	(void)what;
	watch->pending = false;
	watch->changed(watch->user);
}

static void forget_directory(struct sl_watch *watch)
{
	if (watch->descriptor >= 0)
		inotify_rm_watch(watch->fd, watch->descriptor);
	watch->descriptor = -1;
}

/* True when the path leads to another directory than before, or to none any more. */
static bool follow(struct sl_watch *watch)
{
	struct stat status;

	if (stat(watch->path, &status) < 0 || !S_ISDIR(status.st_mode)) {
		bool had_one = watch->descriptor >= 0;

		forget_directory(watch);
		return had_one;
	}
	if (watch->descriptor >= 0 && status.st_dev == watch->device && status.st_ino == watch->inode)
		return false;
	forget_directory(watch);
	watch->descriptor = inotify_add_watch(watch->fd, watch->path, CHANGES);
	watch->device = status.st_dev;
	watch->inode = status.st_ino;
	return watch->descriptor >= 0;
}

static void on_look(evutil_socket_t fd, short what, void *user)
{
	struct sl_watch *watch = user;

	(void)fd;
	(void)what;
	if (follow(watch))
		note_change(watch);
}

/* What exactly happened does not matter: the directory is read as a whole. */
static void on_readable(evutil_socket_t fd, short what, void *user)
{
	_Alignas(struct inotify_event) char events[4096];
	struct sl_watch *watch = user;
	bool any = false;
	ssize_t length;

	(void)what;
	while ((length = read(fd, events, sizeof(events))) > 0) {
		const struct inotify_event *event;

		for (char *at = events; at < events + length; at += sizeof(*event) + event->len) {
			event = (const struct inotify_event *)at;
			/* a directory that was removed loses its watch; an event of an earlier one says
			 * nothing */
			if (event->wd == watch->descriptor && (event->mask & IN_IGNORED))
				watch->descriptor = -1;
			any = any || event->wd == watch->descriptor || (event->mask & IN_Q_OVERFLOW);
		}
	}
	if (any)
		note_change(watch);
}

void sl_watch_free(struct sl_watch *watch)
{
	if (!watch)
		return;
	if (watch->readable)
		event_free(watch->readable);
	if (watch->quiet)
		event_free(watch->quiet);
	if (watch->look)
		event_free(watch->look);
	if (watch->fd >= 0)
		close(watch->fd);
	free(watch);
}

static void watch_freep(struct sl_watch **watch)
{
	sl_watch_free(*watch);
}

int sl_watch_new(struct event_base *base, const char *path, void (*changed)(void *user), void *user,
		 struct sl_watch **out, struct sl_error *err)
{
	_cleanup_(watch_freep) struct sl_watch *watch = calloc(1, sizeof(*watch));
	struct timeval look = in_ms(LOOK_MS);

	if (!watch)
		return sl_error(err, ENOMEM, "out of memory");
	watch->descriptor = -1;
	watch->changed = changed;
	watch->user = user;
	snprintf(watch->path, sizeof(watch->path), "%s", path);
	watch->fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	if (watch->fd < 0)
		return sl_error(err, errno, "cannot watch %s: %s", path, strerror(errno));
	watch->readable = event_new(base, watch->fd, EV_READ | EV_PERSIST, on_readable, watch);
	watch->quiet = event_new(base, -1, 0, on_quiet, watch);
	watch->look = event_new(base, -1, EV_PERSIST, on_look, watch);
	if (!watch->readable || !watch->quiet || !watch->look || event_add(watch->readable, NULL) < 0 ||
	    event_add(watch->look, &look) < 0)
		return sl_error(err, ENOMEM, "out of memory");
	follow(watch);
	*out = SL_TAKE(watch);
	return 0;
}
