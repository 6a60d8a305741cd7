// SPDX-License-Identifier: Apache-2.0
/*
 * The wait itself, in order of preference:
 *
 * 1. membarrier(MEMBARRIER_CMD_GLOBAL), membarrier(2): synchronize_rcu() by
 *    name. The kernel refuses it where a CPU runs tickless (nohz_full), and a
 *    seccomp profile may.
 * 2. One update of an array-of-maps: before that system call returns, the
 *    kernel waits for every running BPF program, so that what was replaced can
 *    be freed. It needs CAP_BPF, which the agent has.
 *
 * Where neither works sl_grace_new fails: freeing after a guessed time could
 * hand a slot to somebody else while a packet still reads it.
 *
 * With a single CPU online membarrier returns at once, rightly: BPF programs
 * run in softirq context or with bottom halves off, so none is half way
 * through while a thread runs.
 */
#include "datapath/grace.h"

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/membarrier.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>

#include "base/cleanup.h"

/*
 * More than all the slots of the largest maps can be: an item holds at least
 * one slot, and a slot is deferred once before it is given out again. At the
 * bound sl_grace_defer answers -ENOMEM.
 */
#define MAX_PENDING (1u << 24)

struct entry {
	struct entry *next;
	struct sl_grace_item item;
};

struct queue {
	struct entry *first;
	struct entry **tail;
};

struct sl_grace {
	pthread_t thread;
	pthread_mutex_t lock;
	pthread_cond_t work; /* something deferred, or stop */
	pthread_cond_t idle; /* nothing waits any more */
	struct queue deferred;
	struct queue ready;
	size_t pending; /* deferred, waiting or ready */
	bool waiting;	/* the thread is inside a wait, with items of its own */
	bool stop;
	int event_fd;
	int outer_fd; /* array-of-maps; -1: membarrier does it */
	int inner_fd;
};

static void queue_init(struct queue *queue)
{
	queue->first = NULL;
	queue->tail = &queue->first;
}

static void queue_append(struct queue *queue, struct entry *entry)
{
	entry->next = NULL;
	*queue->tail = entry;
	queue->tail = &entry->next;
}

/* Moves all of `from` behind `to`. */
static void queue_move(struct queue *to, struct queue *from)
{
	if (!from->first)
		return;
	*to->tail = from->first;
	to->tail = from->tail;
	queue_init(from);
}

static int wait_membarrier(void)
{
	return syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0) < 0 ? -errno : 0;
}

static int wait_map_update(int outer_fd, int inner_fd)
{
	__u32 key = 0;
	__u32 value = (__u32)inner_fd;

	return bpf_map_update_elem(outer_fd, &key, &value, BPF_ANY);
}

static int wait_once(const struct sl_grace *grace)
{
	return grace->outer_fd < 0 ? wait_membarrier() : wait_map_update(grace->outer_fd, grace->inner_fd);
}

static void *run(void *argument)
{
	struct sl_grace *grace = argument;
	struct queue batch;

	queue_init(&batch);
	pthread_mutex_lock(&grace->lock);
	for (;;) {
		while (!grace->deferred.first && !grace->stop)
			pthread_cond_wait(&grace->work, &grace->lock);
		if (!grace->deferred.first)
			break;
		queue_move(&batch, &grace->deferred);
		grace->waiting = true;
		pthread_mutex_unlock(&grace->lock);

		/* a wait that worked at the start can only fail for want of memory: try until it does not */
		while (wait_once(grace) != 0)
			usleep(10000);

		pthread_mutex_lock(&grace->lock);
		queue_move(&grace->ready, &batch);
		grace->waiting = false;
		eventfd_write(grace->event_fd, 1);
		if (!grace->deferred.first)
			pthread_cond_broadcast(&grace->idle);
	}
	pthread_mutex_unlock(&grace->lock);
	return NULL;
}

static int make_maps(int *outer, int *inner)
{
	_cleanup_fd_ int inner_fd = -1;
	int outer_fd;

	inner_fd = bpf_map_create(BPF_MAP_TYPE_ARRAY, "grace_inner", 4, 4, 1, NULL);
	if (inner_fd < 0)
		return inner_fd;
	LIBBPF_OPTS(bpf_map_create_opts, opts, .inner_map_fd = (__u32)inner_fd);
	outer_fd = bpf_map_create(BPF_MAP_TYPE_ARRAY_OF_MAPS, "grace_outer", 4, 4, 1, &opts);
	if (outer_fd < 0)
		return outer_fd;
	*inner = SL_TAKE_FD(inner_fd);
	*outer = outer_fd;
	return 0;
}

static int choose_wait(struct sl_grace *grace, struct sl_error *err)
{
	int refused = wait_membarrier();
	int r;

	if (refused == 0)
		return 0;
	r = make_maps(&grace->outer_fd, &grace->inner_fd);
	if (r == 0)
		r = wait_map_update(grace->outer_fd, grace->inner_fd);
	if (r < 0)
		return sl_error(
			err, -r,
			"no way to wait for running BPF programs: membarrier(MEMBARRIER_CMD_GLOBAL): %s; "
			"array-of-maps: %s",
			strerror(-refused), strerror(-r));
	return 0;
}

static int start_thread(struct sl_grace *grace)
{
	sigset_t all;
	sigset_t before;
	int r;

	/* signals are the main thread's */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	r = pthread_create(&grace->thread, NULL, run, grace);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return -r;
}

static void release(struct sl_grace *grace)
{
	sl_cleanup_fd(&grace->event_fd);
	sl_cleanup_fd(&grace->outer_fd);
	sl_cleanup_fd(&grace->inner_fd);
	pthread_cond_destroy(&grace->work);
	pthread_cond_destroy(&grace->idle);
	pthread_mutex_destroy(&grace->lock);
	free(grace);
}

int sl_grace_new(struct sl_grace **out, struct sl_error *err)
{
	struct sl_grace *grace = calloc(1, sizeof(*grace));
	int r;

	if (!grace)
		return sl_error(err, ENOMEM, "grace: out of memory");
	grace->event_fd = grace->outer_fd = grace->inner_fd = -1;
	pthread_mutex_init(&grace->lock, NULL);
	pthread_cond_init(&grace->work, NULL);
	pthread_cond_init(&grace->idle, NULL);
	queue_init(&grace->deferred);
	queue_init(&grace->ready);

	r = choose_wait(grace, err);
	if (r < 0)
		goto fail;
	grace->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (grace->event_fd < 0) {
		r = sl_error(err, errno, "grace: eventfd: %s", strerror(errno));
		goto fail;
	}
	r = start_thread(grace);
	if (r < 0) {
		sl_error(err, -r, "grace: thread: %s", strerror(-r));
		goto fail;
	}
	*out = grace;
	return 0;

fail:
	release(grace);
	return r;
}

void sl_grace_free(struct sl_grace *grace)
{
	if (!grace)
		return;
	/* what runs may defer more */
	while (sl_grace_pending(grace) > 0)
		sl_grace_drain(grace);
	pthread_mutex_lock(&grace->lock);
	grace->stop = true;
	pthread_cond_signal(&grace->work);
	pthread_mutex_unlock(&grace->lock);
	pthread_join(grace->thread, NULL);
	release(grace);
}

int sl_grace_fd(const struct sl_grace *grace)
{
	return grace->event_fd;
}

int sl_grace_defer(struct sl_grace *grace, const struct sl_grace_item *item)
{
	struct entry *entry;
	int r = -ENOMEM;

	entry = malloc(sizeof(*entry));
	if (!entry)
		return -ENOMEM;
	entry->item = *item;
	pthread_mutex_lock(&grace->lock);
	if (grace->pending < MAX_PENDING) {
		grace->pending++;
		queue_append(&grace->deferred, entry);
		pthread_cond_signal(&grace->work);
		r = 0;
	}
	pthread_mutex_unlock(&grace->lock);
	if (r < 0)
		free(entry);
	return r;
}

void sl_grace_collect(struct sl_grace *grace)
{
	struct queue batch;
	eventfd_t ignored;

	queue_init(&batch);
	pthread_mutex_lock(&grace->lock);
	eventfd_read(grace->event_fd, &ignored);
	queue_move(&batch, &grace->ready);
	pthread_mutex_unlock(&grace->lock);

	while (batch.first) {
		struct entry *entry = batch.first;

		batch.first = entry->next;
		pthread_mutex_lock(&grace->lock);
		grace->pending--;
		pthread_mutex_unlock(&grace->lock);
		entry->item.run(entry->item.owner, entry->item.kind, entry->item.first, entry->item.count);
		free(entry);
	}
}

size_t sl_grace_pending(const struct sl_grace *grace)
{
	struct sl_grace *mutable = (struct sl_grace *)grace;
	size_t pending;

	pthread_mutex_lock(&mutable->lock);
	pending = grace->pending;
	pthread_mutex_unlock(&mutable->lock);
	return pending;
}

void sl_grace_drain(struct sl_grace *grace)
{
	pthread_mutex_lock(&grace->lock);
	while (grace->deferred.first || grace->waiting)
		pthread_cond_wait(&grace->idle, &grace->lock);
	pthread_mutex_unlock(&grace->lock);
	sl_grace_collect(grace);
}
