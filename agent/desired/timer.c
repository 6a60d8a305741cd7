// SPDX-License-Identifier: Apache-2.0
/*
 * Time: a timer at the next activation or deactivation, by the wall clock and
 * cancelled when that is set (timerfd_create(2)), and the round of checks.
 */
#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "desired/model.h"

#define NS_PER_S 1000000000ull
#define PARTS	 100 /* of a round: one every hundredth of the interval */

struct sl_desired_timer {
	int fd;
	struct event *due, *part;
	uint32_t parts_done;
	bool clock_set; /* seen while the timer was set anew */
};

/* --- times that have come ------------------------------------------------------- */

void sl_desired_run_due(struct sl_desired *desired)
{
	struct sl_desired_subscriber *subscriber, *tmp;
	uint64_t now = sl_desired_now(desired);

	/* a look at each: a few milliseconds with the most there can be */
	desired->next_ns = UINT64_MAX;
	DL_FOREACH_SAFE(desired->all, subscriber, tmp)
	{
		bool due = subscriber->next_ns <= now;

		if (due)
			subscriber->next_ns = sl_wanted_next(subscriber, now);
		if (subscriber->next_ns < desired->next_ns)
			desired->next_ns = subscriber->next_ns;
		if (due)
			sl_desired_apply(desired, subscriber, SL_APPLY_EVENT);
	}
	sl_desired_timer_set(desired);
}

/* The clock was set: everything may be due or not yet. */
static void start_over(struct sl_desired *desired)
{
	struct sl_desired_subscriber *subscriber;

	sl_log(SL_LOG_INFO, "clock-set", "rules", "%s",
	       "activation and deactivation times are looked at anew", NULL);
	DL_FOREACH (desired->all, subscriber)
		subscriber->next_ns = 0;
	sl_desired_run_due(desired);
}

static void on_due(evutil_socket_t fd, short what, void *user)
{
	struct sl_desired *desired = user;
	bool clock_set = desired->timer->clock_set;
	uint64_t expirations;

	(void)what;
	desired->timer->clock_set = false;
	if ((read(fd, &expirations, sizeof(expirations)) < 0 && errno == ECANCELED) || clock_set)
		start_over(desired);
	else
		sl_desired_run_due(desired);
}

void sl_desired_timer_set(struct sl_desired *desired)
{
	struct itimerspec at = {0};

	if (!desired->timer)
		return;
	/* without a time to come it still tells when the clock is set */
	at.it_value.tv_sec =
		(time_t)(desired->next_ns == UINT64_MAX ? INT32_MAX * 64ll : desired->next_ns / NS_PER_S);
	if (desired->next_ns != UINT64_MAX)
		at.it_value.tv_nsec = (long)(desired->next_ns % NS_PER_S);
	if (timerfd_settime(desired->timer->fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &at, NULL) == 0)
		return;
	/* the timer runs, but that the clock was set is told only once: here */
	if (errno == ECANCELED) {
		desired->timer->clock_set = true;
		event_active(desired->timer->due, EV_READ, 0);
		return;
	}
	sl_log(SL_LOG_ERROR, "timer-failed", "reason", "%s", strerror(errno), NULL);
}

/* --- the round --------------------------------------------------------------------- */

void sl_desired_check(struct sl_desired *desired, size_t subscribers)
{
	/* what has become due is no repair */
	if (desired->next_ns <= sl_desired_now(desired))
		sl_desired_run_due(desired);
	if (!desired->cursor)
		desired->cursor = desired->all;
	while (desired->cursor && subscribers-- > 0) {
		struct sl_desired_subscriber *subscriber = desired->cursor;

		desired->cursor = subscriber->next;
		sl_desired_apply(desired, subscriber, SL_APPLY_CHECK);
		if (!desired->cursor)
			desired->checks++;
	}
}

static void on_part(evutil_socket_t fd, short what, void *user)
{
	struct sl_desired *desired = user;
	struct sl_desired_timer *timer = desired->timer;
	size_t count = HASH_COUNT(desired->by_imsi);

	(void)fd;
	(void)what;
	/* those that fall to this part of the interval */
	sl_desired_check(desired,
			 count * (timer->parts_done + 1) / PARTS - count * timer->parts_done / PARTS);
	timer->parts_done = (timer->parts_done + 1) % PARTS;
}

/* --- start and end ------------------------------------------------------------------ */

void sl_desired_timer_free(struct sl_desired_timer *timer)
{
	if (!timer)
		return;
	if (timer->due)
		event_free(timer->due);
	if (timer->part)
		event_free(timer->part);
	if (timer->fd >= 0)
		close(timer->fd);
	free(timer);
}

int sl_desired_start(struct sl_desired *desired, struct event_base *base, uint32_t check_interval_ms,
		     struct sl_error *err)
{
	struct timeval every = {.tv_sec = check_interval_ms / PARTS / 1000,
				.tv_usec = check_interval_ms / PARTS % 1000 * 1000};
	struct sl_desired_timer *timer = calloc(1, sizeof(*timer));

	if (!timer)
		return sl_error(err, ENOMEM, "out of memory");
	desired->timer = timer; /* freed with it, whatever fails */
	timer->fd = timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK | TFD_CLOEXEC);
	if (timer->fd < 0)
		return sl_error(err, errno, "cannot make a timer: %s", strerror(errno));
	timer->due = event_new(base, timer->fd, EV_READ | EV_PERSIST, on_due, desired);
	timer->part = event_new(base, -1, EV_PERSIST, on_part, desired);
	if (!timer->due || !timer->part || event_add(timer->due, NULL) < 0 ||
	    event_add(timer->part, &every) < 0)
		return sl_error(err, ENOMEM, "out of memory");
	sl_desired_timer_set(desired);
	return 0;
}
