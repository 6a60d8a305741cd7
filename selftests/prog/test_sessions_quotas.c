// SPDX-License-Identifier: Apache-2.0
/*
 * Quotas (Q11): not a byte above what was granted passes, from two CPUs neither,
 * and the next packet is the final rules'.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <bpf/bpf.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "bpfrun.h"
#include "control/quotas.h"
#include "datapath/internal.h"
#include "quotas_world.h"

/* --- two CPUs ------------------------------------------------------------------------- */

struct flood {
	struct world *world;
	int cpu;
	uint32_t seed;
	bool pinned;
	bool failed;
	bool *stop;
};

static void *flood(void *argument)
{
	struct flood *flood = argument;
	int program = sl_program_fd(flood->world->datapath, SL_PROGRAM_ACCESS_EGRESS);
	cpu_set_t cpus;

	CPU_ZERO(&cpus);
	CPU_SET(flood->cpu, &cpus);
	flood->pinned = sched_setaffinity(0, sizeof(cpus), &cpus) == 0;
	while (flood->pinned && !__atomic_load_n(flood->stop, __ATOMIC_RELAXED)) {
		struct packet packet;
		LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = packet.data, .repeat = 64);

		flood->seed = flood->seed * 1664525 + 1013904223;
		packet_build(&packet, &(struct packet_spec){.source = flood->seed & 1 << 20 ? WEB : VIDEO,
							    .destination = ADDRESS_A,
							    .protocol = 17,
							    .source_port = 80,
							    .destination_port = 5000,
							    .payload = (flood->seed >> 8) % 1372});
		opts.data_size_in = (uint32_t)packet.length;
		if (bpf_prog_test_run_opts(program, &opts) != 0)
			flood->failed = true;
	}
	return NULL;
}

struct floods {
	struct flood of[2];
	pthread_t thread[2];
	bool stop;
};

static void floods_begin(struct world *world, struct floods *floods)
{
	floods->stop = false;
	for (int i = 0; i < 2; i++) {
		floods->of[i] = (struct flood){
			.world = world, .cpu = i, .seed = (uint32_t)i + 1, .stop = &floods->stop};
		assert_int_equal(pthread_create(&floods->thread[i], NULL, flood, &floods->of[i]), 0);
	}
}

/* -1: there is one CPU only. */
static int floods_end(struct floods *floods)
{
	__atomic_store_n(&floods->stop, true, __ATOMIC_RELAXED);
	for (int i = 0; i < 2; i++)
		pthread_join(floods->thread[i], NULL);
	assert_false(floods->of[0].failed || floods->of[1].failed);
	return floods->of[0].pinned && floods->of[1].pinned ? 0 : -1;
}

/* As floods_end. Ends when `quota` is used up. */
static int flood_from_two(struct world *world, uint32_t quota)
{
	const struct sluice_quota *live = &sl_datapath_maps(world->datapath)->quotas[quota];
	uint64_t until = sl_now_ns() + 20000000000ull;
	struct floods floods;

	floods_begin(world, &floods);
	while (!(__atomic_load_n(&live->state, __ATOMIC_RELAXED) & SLUICE_QUOTA_EXHAUSTED) &&
	       sl_now_ns() < until)
		usleep(1000);
	usleep(20000); /* what comes after that must not pass */
	return floods_end(&floods);
}

#define SKIP_ON_ONE_CPU(call)                                        \
	do {                                                         \
		if (call) {                                          \
			world_stop(&world);                          \
			print_message("SKIP: needs CPUs 0 and 1\n"); \
			skip();                                      \
		}                                                    \
	} while (0)

static void q11_two_cpus_pass_what_was_granted_less_a_packet_and_no_byte_more(void **state)
{
	static const uint64_t grants[] = {1, 1400, 100000, 3333333, 40000000};
	struct world world;

	(void)state;
	quotas_begin(&world);
	for (uint64_t n = 0; n < SL_ARRAY_SIZE(grants); n++) {
		struct sl_quota_request quota = quota_of_group(7, n + 1, grants[n]);
		uint64_t before = 0, used;

		quota.warn_bytes = grants[n] / 2;
		if (n)
			before = quotas_passed(&world, "web") + quotas_passed(&world, "video");
		memset(&quotas_told, 0, sizeof(quotas_told));
		quotas_activate(&world, 2, &quota, 1);
		SKIP_ON_ONE_CPU(flood_from_two(&world, quotas_first(&world).slot));
		used = quotas_passed(&world, "web") + quotas_passed(&world, "video") - before;
		assert_in_range(used, grants[n] > 1400 ? grants[n] - 1400 : 0, grants[n]);
		print_message("Q11: %llu bytes granted, %llu passed\n", (unsigned long long)grants[n],
			      (unsigned long long)used);
		assert_int_equal(quotas_first(&world).used, before + used);
		assert_int_equal(sl_datapath_maps(world.datapath)->quotas[quotas_first(&world).slot].used,
				 before + used);
		quotas_hear(&world);
		assert_int_equal(quotas_count_told(SL_EVENT_QUOTA_USED_UP), 1);
		assert_int_equal(quotas_told.type[quotas_told.count - 1], SL_EVENT_QUOTA_USED_UP);
		if (n < 2)
			continue;
		assert_int_equal(quotas_count_told(SL_EVENT_QUOTA_THRESHOLD), 1);
		assert_int_equal(quotas_told.type[quotas_told.count - 2], SL_EVENT_QUOTA_THRESHOLD);
	}
	rates_end(&world);
}

static void two_cpus_charge_a_packet_to_rule_group_and_session_or_to_none(void **state)
{
	struct sl_quota_request quotas[] = {quota_of_rule("web", 1, 30000000), quota_of_group(7, 1, 25000000),
					    quota_of_session(1, 20000000)};
	const struct sl_maps *maps;
	struct world world;
	uint64_t web, video;

	(void)state;
	quotas_begin(&world);
	maps = sl_datapath_maps(world.datapath);
	quotas_activate(&world, 2, quotas, 3);
	SKIP_ON_ONE_CPU(flood_from_two(&world, quotas_first_of(&world, SLUICE_QUOTA_SESSION).slot));
	web = quotas_passed(&world, "web");
	video = quotas_passed(&world, "video");
	assert_in_range(web + video, 20000000 - 1400, 20000000);
	assert_int_equal(maps->quotas[quotas_first_of(&world, SLUICE_QUOTA_RULE).slot].used, web);
	assert_int_equal(maps->quotas[quotas_first_of(&world, SLUICE_QUOTA_RATING_GROUP).slot].used,
			 web + video);
	assert_int_equal(maps->quotas[quotas_first_of(&world, SLUICE_QUOTA_SESSION).slot].used, web + video);
	assert_false(quotas_first_of(&world, SLUICE_QUOTA_RULE).used_up);
	assert_false(quotas_first_of(&world, SLUICE_QUOTA_RATING_GROUP).used_up);

	/* more for the session: now it is the group's turn, and the rule's is still open */
	quotas[2] = quota_of_session(2, 20000000);
	quotas_activate(&world, 0, &quotas[2], 1);
	SKIP_ON_ONE_CPU(flood_from_two(&world, quotas_first_of(&world, SLUICE_QUOTA_RATING_GROUP).slot));
	assert_in_range(quotas_passed(&world, "web") + quotas_passed(&world, "video"), 25000000 - 1400,
			25000000);
	assert_false(quotas_first_of(&world, SLUICE_QUOTA_SESSION).used_up);
	rates_end(&world);
}

/*
 * A grant reads what was paid while packets that are about to be refused may be in
 * that sum: what was left before may survive it by a packet, but what passes in
 * all is never more than all grants.
 */
static void a_grant_that_meets_a_packet_about_to_be_refused_adds_no_more_than_itself(void **state)
{
	struct sl_quota_request quota = quota_of_group(7, 1, 10000);
	struct sluice_quota *live;
	struct world world;

	(void)state;
	quotas_begin(&world);
	quotas_activate(&world, 2, &quota, 1);
	live = &sl_datapath_maps(world.datapath)->quotas[quotas_first(&world).slot];
	live->used = 9000;
	/* one that does not fit: another CPU takes it back in a moment */
	live->used += 1400;
	quota = quota_of_group(7, 2, 20000);
	quotas_activate(&world, 2, &quota, 1);
	live->used -= 1400;
	assert_int_equal(live->limit, 10000 + 20000);
	/* one that fits here, and that a quota above will refuse */
	live->used += 1400;
	quota = quota_of_group(7, 3, 5000);
	quotas_activate(&world, 2, &quota, 1);
	live->used -= 1400;
	assert_int_equal(live->limit, 9000 + 1400 + 5000);
	rates_end(&world);
}

static void grants_under_fire_are_never_exceeded_in_all(void **state)
{
	enum { GRANTS = 400, GROUP = 30000, SESSION = 29000 };
	struct sl_quota_request quotas[] = {quota_of_group(7, 1, GROUP), quota_of_session(1, SESSION)};
	struct floods floods;
	struct world world;
	uint64_t passed;

	(void)state;
	quotas_begin(&world);
	quotas_activate(&world, 2, quotas, 2);
	floods_begin(&world, &floods);
	for (uint64_t number = 2; number <= GRANTS; number++) {
		usleep((useconds_t)(number % 8) * 100);
		quotas[0].grant = quotas[1].grant = number;
		memset(&quotas_told, 0, sizeof(quotas_told));
		quotas_activate(&world, 0, quotas, 2);
	}
	usleep(20000);
	SKIP_ON_ONE_CPU(floods_end(&floods));
	passed = quotas_passed(&world, "web") + quotas_passed(&world, "video");
	assert_in_range(passed, GRANTS * SESSION / 10, GRANTS * SESSION);
	print_message("Q11: %d grants of %d bytes under fire, %llu passed of %d\n", GRANTS, SESSION,
		      (unsigned long long)passed, GRANTS * SESSION);
	rates_end(&world);
}

/* --- what comes after it ------------------------------------------------------------------ */

static void the_very_next_packet_is_decided_by_the_final_rules(void **state)
{
	struct sl_quota_request quota = quota_of_rule("web", 1, 10 * BYTES);
	struct world world;

	(void)state;
	quotas_begin(&world);
	quotas_activate(&world, 3, &quota, 1);
	/* a final rule decides about nothing else */
	rates_receive(&world, TOP_UP, ADDRESS_A, 3);
	assert_int_equal(quotas_passed(&world, "top-up"), 0);
	assert_int_equal(quotas_dropped(&world, SLUICE_DROP_NO_RULE), 3);
	rates_receive(&world, WEB, ADDRESS_A, 10);
	assert_int_equal(quotas_passed(&world, "web"), 10 * BYTES);
	assert_false(quotas_first(&world).used_up);
	rates_receive(&world, WEB, ADDRESS_A, 1);
	assert_true(quotas_first(&world).used_up);
	assert_int_equal(quotas_dropped(&world, SLUICE_DROP_QUOTA), 1);
	rates_receive(&world, WEB, ADDRESS_A, 5);
	assert_int_equal(quotas_passed(&world, "web"), 10 * BYTES);
	assert_int_equal(quotas_dropped(&world, SLUICE_DROP_QUOTA), 6);
	assert_int_equal(quotas_first(&world).refused, 6 * BYTES);
	/* the other rule goes on */
	rates_receive(&world, VIDEO, ADDRESS_A, 2);
	assert_int_equal(quotas_passed(&world, "video"), 2 * BYTES);
	rates_end(&world);
}

static void what_is_left_open_passes_and_is_charged_to_nobody(void **state)
{
	static const struct rule_spec open[] = {
		{.id = "all", .version = 1, .precedence = 10},
		{.id = "top-up", .version = 1, .precedence = 1, .remote = TOP_UP "/32"},
	};
	struct sl_quota_request quota = quota_of_session(1, 4 * BYTES);
	struct sl_error err;
	struct world world;

	(void)state;
	quotas_begin(&world);
	assert_int_equal(quotas_try(&world, ADDRESS_A, open, 2, &quota, 1, NULL, &err), 0);
	rates_receive(&world, TOP_UP, ADDRESS_A, 4);
	assert_int_equal(quotas_passed(&world, "all"), 4 * BYTES);
	rates_receive(&world, TOP_UP, ADDRESS_A, 3);
	assert_int_equal(quotas_passed(&world, "all"), 4 * BYTES);
	assert_int_equal(quotas_passed(&world, "top-up"), 3 * BYTES);
	rates_receive(&world, WEB, ADDRESS_A, 2);
	assert_int_equal(quotas_dropped(&world, SLUICE_DROP_QUOTA), 2);
	assert_int_equal(quotas_first(&world).used, 4 * BYTES);
	rates_end(&world);
}

static void without_final_rules_what_is_used_up_ends(void **state)
{
	struct sl_quota_request quota = quota_of_group(7, 1, 0); /* nothing is granted at all */
	struct world world;

	(void)state;
	quotas_begin(&world);
	quotas_activate(&world, 2, &quota, 1);
	assert_int_equal(world_used(&world, "policies"), 1);
	rates_receive(&world, WEB, ADDRESS_A, 2);
	rates_receive(&world, VIDEO, ADDRESS_A, 2);
	assert_int_equal(quotas_dropped(&world, SLUICE_DROP_QUOTA), 4);
	assert_int_equal(quotas_passed(&world, "web") + quotas_passed(&world, "video"), 0);
	quotas_hear(&world);
	assert_int_equal(quotas_count_told(SL_EVENT_QUOTA_USED_UP), 1);
	rates_end(&world);
}

static void what_a_rate_drops_is_not_charged(void **state)
{
	struct sl_quota_request quota = quota_of_rule("web", 1, 1000 * BYTES);
	struct rule_spec policed = {.id = "web", .version = 1, .precedence = 10, .mbr_downlink = MBIT};
	struct sl_error err = {{0}};
	struct world world;

	(void)state;
	quotas_begin(&world);
	assert_int_equal(quotas_try(&world, ADDRESS_A, &policed, 1, &quota, 1, NULL, &err), 0);
	rates_receive(&world, WEB, ADDRESS_A, 500);
	assert_true(quotas_dropped(&world, SLUICE_DROP_RATE_RULE) > 300);
	assert_int_equal(quotas_first(&world).used, quotas_passed(&world, "web"));
	rates_end(&world);
}

static void only_the_direction_that_is_asked_for_counts(void **state)
{
	struct sl_quota_request quota = quota_of_rule("web", 1, BYTES);
	struct world world;

	(void)state;
	quota.directions = 1 << SLUICE_UPLINK;
	quotas_begin(&world);
	quotas_activate(&world, 1, &quota, 1);
	rates_receive(&world, WEB, ADDRESS_A, 50);
	assert_int_equal(quotas_passed(&world, "web"), 50 * BYTES);
	assert_int_equal(quotas_first(&world).used, 0);
	rates_end(&world);
}

/* --- grants ---------------------------------------------------------------------------------- */

static void the_same_grant_again_changes_nothing_and_another_one_opens(void **state)
{
	struct sl_quota_request quota = quota_of_rule("web", 5, 10 * BYTES);
	struct world world;

	(void)state;
	quotas_begin(&world);
	quotas_activate(&world, 3, &quota, 1);
	assert_int_equal(quotas_count_told(SL_EVENT_QUOTA_GRANTED), 1);
	rates_receive(&world, WEB, ADDRESS_A, 8);
	quotas_activate(&world, 3, &quota, 1);
	quotas_activate(&world, 0, &quota, 1);
	assert_int_equal(quotas_count_told(SL_EVENT_QUOTA_GRANTED), 1);
	assert_int_equal(quotas_first(&world).used, 8 * BYTES);
	rates_receive(&world, WEB, ADDRESS_A, 8);
	assert_int_equal(quotas_passed(&world, "web"), 10 * BYTES);
	assert_true(quotas_first(&world).used_up);
	quotas_activate(&world, 0, &quota, 1);
	assert_true(quotas_first(&world).used_up);

	quota = quota_of_rule("web", 6, 3 * BYTES);
	quotas_activate(&world, 0, &quota, 1);
	assert_false(quotas_first(&world).used_up);
	assert_int_equal(quotas_first(&world).limit, 13 * BYTES);
	rates_receive(&world, WEB, ADDRESS_A, 8);
	assert_int_equal(quotas_passed(&world, "web"), 13 * BYTES);
	/* what is left of a grant goes with the next one */
	quota = quota_of_rule("web", 7, 5 * BYTES);
	quotas_activate(&world, 0, &quota, 1);
	rates_receive(&world, WEB, ADDRESS_A, 2);
	quota = quota_of_rule("web", 8, BYTES);
	quotas_activate(&world, 0, &quota, 1);
	rates_receive(&world, WEB, ADDRESS_A, 8);
	assert_int_equal(quotas_passed(&world, "web"), 16 * BYTES);
	quotas_hear(&world);
	assert_int_equal(quotas_count_told(SL_EVENT_QUOTA_GRANTED), 4);
	rates_end(&world);
}

static void each_grant_is_told_of_once_at_its_threshold_and_once_when_used_up(void **state)
{
	struct world world;

	(void)state;
	quotas_begin(&world);
	for (uint64_t grant = 1; grant < 4; grant++) {
		struct sl_quota_request quota = quota_of_rule("web", grant, 10 * BYTES);

		memset(&quotas_told, 0, sizeof(quotas_told));
		quota.warn_bytes = 8 * BYTES;
		quotas_activate(&world, 1, &quota, 1);
		for (int i = 0; i < 20; i++) {
			rates_receive(&world, WEB, ADDRESS_A, 1);
			quotas_hear(&world);
			sl_quotas_step(world.control);
			assert_int_equal(quotas_count_told(SL_EVENT_QUOTA_THRESHOLD), i >= 7);
			assert_int_equal(quotas_count_told(SL_EVENT_QUOTA_USED_UP), i >= 10);
		}
		assert_int_equal(quotas_told.grant[quotas_told.count - 1], grant);
	}
	rates_end(&world);
}

/* Nine packets stay below it, and the tenth does not fit; of a time quota, when all is over. */
static void a_threshold_that_is_passed_by_is_told_before_the_end(void **state)
{
	struct sl_quota_request volume = quota_of_rule("web", 1, 10 * BYTES - 1);
	struct sl_quota_request time = quota_of_rule("web", 2, 0);
	struct sluice_quota *live;
	struct world world;

	(void)state;
	quotas_begin(&world);
	volume.warn_bytes = 10 * BYTES - 2;
	quotas_activate(&world, 1, &volume, 1);
	rates_receive(&world, WEB, ADDRESS_A, 9);
	quotas_hear(&world);
	assert_int_equal(quotas_count_told(SL_EVENT_QUOTA_THRESHOLD), 0);
	rates_receive(&world, WEB, ADDRESS_A, 9);
	quotas_hear(&world);
	assert_int_equal(quotas_count_told(SL_EVENT_QUOTA_THRESHOLD), 1);
	assert_int_equal(quotas_count_told(SL_EVENT_QUOTA_USED_UP), 1);
	assert_int_equal(quotas_told.type[quotas_told.count - 1], SL_EVENT_QUOTA_USED_UP);

	time.time_s = 1000;
	time.warn_s = 500;
	quotas_activate(&world, 0, &time, 1);
	rates_receive(&world, WEB, ADDRESS_A, 1);
	live = &sl_datapath_maps(world.datapath)->quotas[quotas_first(&world).slot];
	live->first_ns -= 1001000000000ull;
	rates_receive(&world, WEB, ADDRESS_A, 5);
	quotas_hear(&world);
	for (int i = 0; i < 8; i++)
		sl_quotas_step(world.control);
	assert_int_equal(quotas_count_told(SL_EVENT_QUOTA_THRESHOLD), 2);
	assert_int_equal(quotas_count_told(SL_EVENT_QUOTA_USED_UP), 2);
	assert_int_equal(quotas_told.type[quotas_told.count - 1], SL_EVENT_QUOTA_USED_UP);
	rates_end(&world);
}

static void a_record_that_was_lost_is_made_good(void **state)
{
	struct sl_quota_request quota = quota_of_rule("web", 1, BYTES);
	struct world world;

	(void)state;
	quotas_begin(&world);
	quotas_activate(&world, 1, &quota, 1);
	rates_receive(&world, WEB, ADDRESS_A, 2);
	assert_int_equal(quotas_count_told(SL_EVENT_QUOTA_USED_UP), 0);
	for (int i = 0; i < 8; i++)
		sl_quotas_step(world.control);
	assert_int_equal(quotas_count_told(SL_EVENT_QUOTA_USED_UP), 1);
	quotas_hear(&world);
	assert_int_equal(quotas_count_told(SL_EVENT_QUOTA_USED_UP), 1);
	rates_end(&world);
}

static void a_time_quota_begins_with_the_first_packet_and_ends(void **state)
{
	struct sl_quota_request quota = quota_of_rule("web", 1, 0);
	struct sluice_quota *live;
	struct world world;

	(void)state;
	quota.time_s = 1000;
	quota.warn_s = 500;
	quotas_begin(&world);
	quotas_activate(&world, 1, &quota, 1);
	live = &sl_datapath_maps(world.datapath)->quotas[quotas_first(&world).slot];
	assert_int_equal(live->first_ns, 0);
	assert_int_equal(quotas_first(&world).left_ns, 1000000000000ull);
	rates_receive(&world, WEB, ADDRESS_A, 5);
	assert_int_not_equal(live->first_ns, 0);
	quotas_hear(&world);
	assert_int_equal(quotas_count_told(SL_EVENT_QUOTA_THRESHOLD), 0);
	/* as if it had been long ago */
	live->first_ns -= 501000000000ull;
	rates_receive(&world, WEB, ADDRESS_A, 5);
	quotas_hear(&world);
	assert_int_equal(quotas_count_told(SL_EVENT_QUOTA_THRESHOLD), 1);
	assert_int_equal(quotas_passed(&world, "web"), 10 * BYTES);
	live->first_ns -= 500000000000ull;
	rates_receive(&world, WEB, ADDRESS_A, 5);
	assert_int_equal(quotas_passed(&world, "web"), 10 * BYTES);
	assert_true(quotas_first(&world).used_up);
	quota.grant = 2;
	quotas_activate(&world, 0, &quota, 1);
	rates_receive(&world, WEB, ADDRESS_A, 5);
	assert_int_equal(quotas_passed(&world, "web"), 15 * BYTES);
	rates_end(&world);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_devices, fixture_no_devices)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_very_next_packet_is_decided_by_the_final_rules),
		TEST(what_is_left_open_passes_and_is_charged_to_nobody),
		TEST(without_final_rules_what_is_used_up_ends),
		TEST(what_a_rate_drops_is_not_charged),
		TEST(only_the_direction_that_is_asked_for_counts),
		TEST(the_same_grant_again_changes_nothing_and_another_one_opens),
		TEST(each_grant_is_told_of_once_at_its_threshold_and_once_when_used_up),
		TEST(a_threshold_that_is_passed_by_is_told_before_the_end),
		TEST(a_record_that_was_lost_is_made_good),
		TEST(a_time_quota_begins_with_the_first_packet_and_ends),
		TEST(q11_two_cpus_pass_what_was_granted_less_a_packet_and_no_byte_more),
		TEST(two_cpus_charge_a_packet_to_rule_group_and_session_or_to_none),
		TEST(a_grant_that_meets_a_packet_about_to_be_refused_adds_no_more_than_itself),
		TEST(grants_under_fire_are_never_exceeded_in_all),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
