// SPDX-License-Identifier: Apache-2.0
/*
 * What outlives what: desired rules when their session ends and comes back, when
 * the agent starts again, and when the clock is set.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <event2/event.h>

#include "base/log.h"
#include "desired_world.h"

static const struct rule_spec own[] = {{.id = "own", .version = 7, .precedence = 20}};

static void pass_a_second(struct world *world)
{
	nanosleep(&(struct timespec){.tv_sec = 1, .tv_nsec = 200000000}, NULL);
	sl_control_expire(world->control);
}

static void a_hard_timeout_of_an_earlier_session_says_nothing_of_the_next_one(void **state)
{
	static const struct wish wishes[] = {{.id = "timed", .port = 1, .hard_timeout_s = 1}};

	for (int checked_between = 0; checked_between < 2; checked_between++) {
		struct world world;

		desired_start(&world, false, 0);
		desired_set_ok(IMSI_A, wishes, 1);
		desired_activate(&world, IMSI_A, ADDRESS_A, NULL, 0);
		desired_assert_rules(&world, IMSI_A, ADDRESS_A, "timed v1");
		pass_a_second(&world);
		desired_check();
		desired_assert_rules(&world, IMSI_A, ADDRESS_A, "");
		world_deactivate(&world, IMSI_A, ADDRESS_A, NULL, true);
		sl_grace_drain(world.grace);
		world_acknowledge_all(&world);
		if (checked_between)
			desired_check();
		desired_activate(&world, IMSI_A, ADDRESS_A, NULL, 0);
		desired_assert_rules(&world, IMSI_A, ADDRESS_A, "timed v1");
		desired_stop(&world);
		fixture_no_devices(state);
		fixture_devices(state);
	}
}

static void a_refusal_in_an_earlier_session_does_not_make_the_next_one_wait(void **state)
{
	static const struct wish hog[] = {{.id = "a", .port = 1, .mbr_downlink = 1000000},
					  {.id = "b", .port = 2, .mbr_downlink = 1000000}};
	static const struct wish wishes[] = {{.id = "shaped", .port = 1, .mbr_downlink = 1000000}};
	struct world world;

	(void)state;
	desired_start(&world, false, 2);
	desired_activate(&world, IMSI_A, ADDRESS_A, NULL, 0);
	desired_activate(&world, IMSI_B, ADDRESS_B, NULL, 0);
	desired_set_ok(IMSI_A, hog, 2);
	desired_set_ok(IMSI_B, wishes, 1);
	desired_assert_rules(&world, IMSI_B, ADDRESS_B, "");
	world_deactivate(&world, IMSI_B, ADDRESS_B, NULL, true);
	desired_set_ok(IMSI_A, hog, 1);
	sl_grace_drain(world.grace);
	desired_activate(&world, IMSI_B, ADDRESS_B, NULL, 0);
	desired_assert_rules(&world, IMSI_B, ADDRESS_B, "shaped v1");
	desired_stop(&world);
}

static void no_version_comes_twice_in_a_session_that_outlives_the_agent(void **state)
{
	static const struct wish wishes[] = {{.id = "wish", .port = 1}};
	struct world world;

	(void)state;
	desired_start(&world, false, 0);
	desired_activate(&world, IMSI_A, ADDRESS_A, own, 1);
	for (int i = 0; i < 3; i++) {
		desired_set_ok(IMSI_A, wishes, 1);
		desired_set_ok(IMSI_A, NULL, 0);
	}
	desired_set_ok(IMSI_A, wishes, 1);
	desired_assert_rules(&world, IMSI_A, ADDRESS_A, "own v7, wish v4");
	desired_stop(&world);
	/* what is in force goes on */
	desired_world.epoch = 1000;
	desired_start(&world, true, 0);
	desired_set_ok(IMSI_A, wishes, 1);
	desired_assert_rules(&world, IMSI_A, ADDRESS_A, "own v7, wish v4");
	desired_set_ok(IMSI_A, NULL, 0);
	desired_stop(&world);
	/* what comes anew is above all that was there before */
	desired_start(&world, true, 0);
	desired_set_ok(IMSI_A, wishes, 1);
	desired_assert_rules(&world, IMSI_A, ADDRESS_A, "own v7, wish v1001");
	desired_set_ok(IMSI_A, NULL, 0);
	sl_grace_drain(world.grace);
	world_acknowledge_all(&world);
	desired_stop(&world);
	desired_world.epoch = 2000;
	desired_start(&world, true, 0);
	desired_set_ok(IMSI_A, wishes, 1);
	desired_assert_rules(&world, IMSI_A, ADDRESS_A, "own v7, wish v2001");
	/* a session of this agent's own time */
	desired_activate(&world, IMSI_A, ADDRESS_B, NULL, 0);
	desired_assert_rules(&world, IMSI_A, ADDRESS_B, "wish v1");
	desired_world.epoch = 0;
	desired_stop(&world);
}

static void an_unacknowledged_version_is_known_after_a_restart(void **state)
{
	static const struct wish wishes[] = {{.id = "wish", .port = 1}};
	struct world world;

	(void)state;
	desired_start(&world, false, 0);
	desired_activate(&world, IMSI_A, ADDRESS_A, own, 1);
	desired_set_ok(IMSI_A, wishes, 1);
	desired_set_ok(IMSI_A, NULL, 0);
	desired_stop(&world);
	desired_start(&world, true, 0);
	desired_set_ok(IMSI_A, wishes, 1);
	desired_assert_rules(&world, IMSI_A, ADDRESS_A, "own v7, wish v2");
	desired_stop(&world);
}

/* --- the clock ------------------------------------------------------------------------ */

static uint32_t clock_settings; /* that timerfd_settime has yet to tell */

/* In place of the C library's: tells that the clock was set, which a test must not do. */
int timerfd_settime(int fd, int flags, const struct itimerspec *at, struct itimerspec *before)
{
	int rc = (int)syscall(SYS_timerfd_settime, fd, flags, at, before);

	if (rc < 0 || clock_settings == 0)
		return rc;
	clock_settings--;
	errno = ECANCELED;
	return -1;
}

static void a_clock_that_was_set_once_is_looked_at_anew_once(void **state)
{
	struct sl_desired_config config = {.now_ns = desired_now};
	struct event_base *base = event_base_new();
	const uint64_t now = (uint64_t)time(NULL) * S;
	const struct wish first[] = {
		{.id = "wish", .port = 1, .from = now - 10 * S, .until = now + 3600 * S}};
	const struct wish second[] = {{.id = "next", .port = 2, .from = now + S}};
	struct world world;

	(void)state;
	assert_non_null(base);
	desired_start(&world, false, 0);
	sl_desired_free(desired_world.desired);
	config.control = world.control;
	assert_int_equal(sl_desired_new(&config, &desired_world.desired), 0);
	assert_int_equal(sl_desired_start(desired_world.desired, base, 3600000, NULL), 0);
	desired_world.wall = now;
	desired_activate(&world, IMSI_A, ADDRESS_A, NULL, 0);
	desired_set_ok(IMSI_A, first, 1);
	clock_settings = 1;
	desired_set_ok(IMSI_B, second, 1);
	assert_int_equal(clock_settings, 0);
	event_base_loop(base, EVLOOP_ONCE);
	desired_assert_rules(&world, IMSI_A, ADDRESS_A, "wish v1");
	/* who looks at everything anew takes the rule away; the timer of the other one alone must not */
	desired_world.wall = now - 20 * S;
	event_base_loopexit(base, &(struct timeval){.tv_sec = 1, .tv_usec = 500000});
	event_base_dispatch(base);
	desired_assert_rules(&world, IMSI_A, ADDRESS_A, "wish v1");
	/* told once more, it is heard once more */
	clock_settings = 1;
	desired_set_ok(IMSI_B, second, 1);
	event_base_loop(base, EVLOOP_ONCE);
	desired_assert_rules(&world, IMSI_A, ADDRESS_A, "");
	desired_stop(&world);
	event_base_free(base);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_devices, fixture_no_devices)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_hard_timeout_of_an_earlier_session_says_nothing_of_the_next_one),
		TEST(a_refusal_in_an_earlier_session_does_not_make_the_next_one_wait),
		TEST(no_version_comes_twice_in_a_session_that_outlives_the_agent),
		TEST(an_unacknowledged_version_is_known_after_a_restart),
		TEST(a_clock_that_was_set_once_is_looked_at_anew_once),
	};

	sl_log_set_level(SL_LOG_ERROR);
	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
