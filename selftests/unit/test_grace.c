// SPDX-License-Identifier: Apache-2.0
/* What is deferred runs once, later, in order, on the collecting thread. */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "datapath/grace.h"

struct log {
	uint32_t first[4096];
	uint32_t kind[4096];
	uint32_t count[4096];
	size_t used;
	pthread_t thread;
	struct sl_grace *defer_again; /* once */
};

static void note(void *owner, uint32_t kind, uint32_t first, uint32_t count)
{
	struct log *log = owner;

	log->kind[log->used] = kind;
	log->first[log->used] = first;
	log->count[log->used] = count;
	log->used++;
	log->thread = pthread_self();
	if (log->defer_again) {
		struct sl_grace_item item = {.run = note, .owner = log, .kind = 99};
		struct sl_grace *grace = log->defer_again;

		log->defer_again = NULL;
		sl_grace_defer(grace, &item);
	}
}

static struct sl_grace *new_grace(void)
{
	struct sl_grace *grace = NULL;
	struct sl_error err = {""};

	if (sl_grace_new(&grace, &err) < 0)
		fail_msg("%s", err.text);
	return grace;
}

static void defer(struct sl_grace *grace, struct log *log, uint32_t kind, uint32_t first, uint32_t count)
{
	struct sl_grace_item item = {.run = note, .owner = log, .kind = kind, .first = first, .count = count};

	assert_int_equal(sl_grace_defer(grace, &item), 0);
}

static bool is_readable(const struct sl_grace *grace, int timeout_ms)
{
	struct pollfd wanted = {.fd = sl_grace_fd(grace), .events = POLLIN};

	return poll(&wanted, 1, timeout_ms) == 1;
}

static void nothing_runs_before_it_is_collected(void **state)
{
	struct sl_grace *grace = new_grace();
	struct log log = {.used = 0};

	(void)state;
	defer(grace, &log, 1, 2, 3);
	assert_true(is_readable(grace, 60000));
	assert_int_equal(log.used, 0);
	assert_int_equal(sl_grace_pending(grace), 1);
	sl_grace_collect(grace);
	assert_int_equal(log.used, 1);
	assert_int_equal(log.kind[0], 1);
	assert_int_equal(log.first[0], 2);
	assert_int_equal(log.count[0], 3);
	assert_int_equal(sl_grace_pending(grace), 0);
	sl_grace_free(grace);
}

static void an_idle_grace_is_not_readable_and_collects_nothing(void **state)
{
	struct sl_grace *grace = new_grace();

	(void)state;
	assert_false(is_readable(grace, 0));
	sl_grace_collect(grace);
	assert_int_equal(sl_grace_pending(grace), 0);
	sl_grace_drain(grace);
	sl_grace_free(grace);
}

static void after_collecting_the_fd_is_quiet_again(void **state)
{
	struct sl_grace *grace = new_grace();
	struct log log = {.used = 0};

	(void)state;
	defer(grace, &log, 1, 0, 1);
	sl_grace_drain(grace);
	assert_false(is_readable(grace, 0));
	sl_grace_free(grace);
}

static void items_run_in_the_order_they_were_deferred_on_the_collecting_thread(void **state)
{
	struct sl_grace *grace = new_grace();
	struct log *log = calloc(1, sizeof(*log));

	(void)state;
	for (uint32_t i = 0; i < 4096; i++)
		defer(grace, log, i % 3, i, 1);
	sl_grace_drain(grace);
	assert_int_equal(log->used, 4096);
	for (uint32_t i = 0; i < 4096; i++)
		assert_int_equal(log->first[i], i);
	assert_true(pthread_equal(log->thread, pthread_self()));
	assert_int_equal(sl_grace_pending(grace), 0);
	sl_grace_free(grace);
	free(log);
}

static void freeing_runs_what_is_left_and_what_that_defers(void **state)
{
	struct sl_grace *grace = new_grace();
	struct log log = {.used = 0, .defer_again = grace};

	(void)state;
	defer(grace, &log, 7, 0, 1);
	sl_grace_free(grace);
	assert_int_equal(log.used, 2);
	assert_int_equal(log.kind[0], 7);
	assert_int_equal(log.kind[1], 99);
}

static void freeing_none_is_allowed(void **state)
{
	(void)state;
	sl_grace_free(NULL);
}

/* --- where membarrier is refused ------------------------------------------------------ */

/* Answers one system call with EPERM from here on. */
static int refuse(unsigned int number)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {.len = 4, .filter = code};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return -errno;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0 ? -errno : 0;
}

static int status_of(pid_t child)
{
	int status;

	waitpid(child, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static int defer_one_and_drain(void)
{
	struct sl_grace *grace = NULL;
	struct log log = {.used = 0};
	struct sl_grace_item item = {.run = note, .owner = &log};
	struct sl_error err = {""};

	if (sl_grace_new(&grace, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return 2;
	}
	if (sl_grace_defer(grace, &item) < 0)
		return 3;
	sl_grace_drain(grace);
	if (log.used != 1)
		return 4;
	sl_grace_free(grace);
	return 0;
}

static void where_membarrier_is_refused_a_map_update_waits_instead(void **state)
{
	pid_t child = fork();

	(void)state;
	if (child == 0)
		_exit(refuse(SYS_membarrier) < 0 ? 1 : defer_one_and_drain());
	assert_int_equal(status_of(child), 0);
}

static void where_nothing_can_wait_there_is_no_grace_and_the_error_says_both(void **state)
{
	pid_t child = fork();

	(void)state;
	if (child == 0) {
		struct sl_grace *grace = NULL;
		struct sl_error err = {""};

		if (refuse(SYS_membarrier) < 0 || refuse(SYS_bpf) < 0)
			_exit(1);
		if (sl_grace_new(&grace, &err) != -EPERM || grace)
			_exit(2);
		_exit(strstr(err.text, "membarrier") && strstr(err.text, "array-of-maps") ? 0 : 3);
	}
	assert_int_equal(status_of(child), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_runs_before_it_is_collected),
		cmocka_unit_test(an_idle_grace_is_not_readable_and_collects_nothing),
		cmocka_unit_test(after_collecting_the_fd_is_quiet_again),
		cmocka_unit_test(items_run_in_the_order_they_were_deferred_on_the_collecting_thread),
		cmocka_unit_test(freeing_runs_what_is_left_and_what_that_defers),
		cmocka_unit_test(freeing_none_is_allowed),
		cmocka_unit_test(where_membarrier_is_refused_a_map_update_waits_instead),
		cmocka_unit_test(where_nothing_can_wait_there_is_no_grace_and_the_error_says_both),
	};

	return cmocka_run_group_tests_name("grace", tests, NULL, NULL);
}
