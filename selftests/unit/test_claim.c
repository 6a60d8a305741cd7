// SPDX-License-Identifier: Apache-2.0
/* Who owns a routing rule's priority or a table: by names of this network namespace. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "redirect/claim.h"

/* No agent's: tables of this process's own, so that two runs of the test do not meet. */
static uint32_t number;

static int setup(void **state)
{
	(void)state;
	number = 0x70000000u | (uint32_t)getpid();
	return 0;
}

/* A process that claims the number and lives until it is killed. */
static pid_t claimant(void)
{
	struct sl_claims claims = {.count = 0};
	struct sl_error err;
	int ready[2];
	char byte = 0;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (sl_claim(&claims, SL_CLAIM_TABLE, number, "redirect.table", &err) < 0 ||
		    write(ready[1], "x", 1) != 1)
			_exit(1);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	close(ready[0]);
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void a_number_has_one_owner_who_is_named(void **state)
{
	struct sl_claims mine = {.count = 0};
	pid_t other = claimant();
	struct sl_error err;
	char expected[128];

	(void)state;
	assert_true(sl_claimed_by_other(&mine, SL_CLAIM_TABLE, number));
	assert_true(sl_claimed_by_other(NULL, SL_CLAIM_TABLE, number));
	assert_int_equal(sl_claim(&mine, SL_CLAIM_TABLE, number, "redirect.table", &err), -EADDRINUSE);
	snprintf(expected, sizeof(expected),
		 "redirect.table: %u belongs to another agent in this network namespace (process %d)", number,
		 other);
	assert_string_equal(err.text, expected);
	assert_int_equal(mine.count, 0);
	/* whoever asks often is refused all the same */
	for (int i = 0; i < 10; i++)
		assert_int_equal(sl_claim(&mine, SL_CLAIM_TABLE, number, "redirect.table", &err),
				 -EADDRINUSE);
	end(other);
	assert_int_equal(sl_claim(&mine, SL_CLAIM_TABLE, number, "redirect.table", &err), 0);
	sl_claims_release(&mine);
}

static void what_is_claimed_is_not_another_s_and_free_when_it_is_released(void **state)
{
	struct sl_claims mine = {.count = 0}, again = {.count = 0};
	struct sl_error err;

	(void)state;
	assert_int_equal(sl_claim(&mine, SL_CLAIM_PRIORITY, number, "redirect.rule_priority", &err), 0);
	assert_false(sl_claimed_by_other(&mine, SL_CLAIM_PRIORITY, number));
	assert_false(sl_claimed_by_other(&mine, SL_CLAIM_PRIORITY, number + 1));
	/* a table of the same number is another thing */
	assert_false(sl_claimed_by_other(NULL, SL_CLAIM_TABLE, number));
	assert_true(sl_claimed_by_other(NULL, SL_CLAIM_PRIORITY, number));
	sl_claims_release(&mine);
	assert_false(sl_claimed_by_other(NULL, SL_CLAIM_PRIORITY, number));
	assert_int_equal(sl_claim(&again, SL_CLAIM_PRIORITY, number, "redirect.rule_priority", &err), 0);
	sl_claims_release(&again);
}

static void a_name_that_is_held_by_what_is_no_agent_refuses_nobody(void **state)
{
	struct sockaddr_un name = {.sun_family = AF_UNIX};
	struct sl_claims mine = {.count = 0};
	int length =
		snprintf(name.sun_path + 1, sizeof(name.sun_path) - 1, "sluice/redirect/table/%u", number);
	socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)length);
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	struct sl_error err;

	(void)state;
	assert_int_equal(bind(fd, (struct sockaddr *)&name, size), 0);
	assert_int_equal(sl_claim(&mine, SL_CLAIM_TABLE, number, "redirect.table", &err), 0);
	assert_false(sl_claimed_by_other(&mine, SL_CLAIM_TABLE, number));
	sl_claims_release(&mine);
	close(fd);
}

static void more_claims_than_there_is_room_for_are_refused(void **state)
{
	struct sl_claims mine = {.count = 0};
	struct sl_error err;

	(void)state;
	for (uint32_t i = 0; i < SL_CLAIMS_MAX; i++)
		assert_int_equal(sl_claim(&mine, SL_CLAIM_TABLE, number + i, "redirect.table", &err), 0);
	assert_int_equal(sl_claim(&mine, SL_CLAIM_TABLE, number + SL_CLAIMS_MAX, "redirect.table", &err),
			 -ENOSPC);
	sl_claims_release(&mine);
	assert_int_equal(mine.count, 0);
}

#define T(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_number_has_one_owner_who_is_named),
		T(what_is_claimed_is_not_another_s_and_free_when_it_is_released),
		T(a_name_that_is_held_by_what_is_no_agent_refuses_nobody),
		T(more_claims_than_there_is_room_for_are_refused),
	};

	return cmocka_run_group_tests_name("claim", tests, NULL, NULL);
}
