// SPDX-License-Identifier: Apache-2.0
/* Real packets through the real programs, and what the engine tells of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include <bpf/bpf.h>
#include <net/if.h>
#include <sched.h>
#include <unistd.h>

#include "base/clock.h"
#include "bpfrun.h"
#include "ids_engine_world.h"

static void activate(struct ids_engine_world *world)
{
	static const struct rule_spec ordinary[] = {
		{.id = "all", .version = 1, .precedence = 100, .action = SLUICE_PERMIT},
	};
	struct activation activation;
	struct sl_error err = {""};

	world_fill(&activation, IMSI_A, ADDRESS_A, ordinary, 1);
	strcpy(activation.session.apn, "internet");
	assert_int_equal(sl_control_activate(world->world.control, &activation.session, &err), 0);
	assert_int_equal(activation.requests[0].result, 0);
}

/* One packet a minute of each connection; the second one makes a block. */
static void apply(struct ids_engine_world *world)
{
	struct sl_ids_rule *rule = &world->rule[0];

	rule->image.track = SLUICE_IDS_CONNECTION;
	rule->image.limit[0] = (struct sluice_ids_limit){.kind = SLUICE_IDS_BUCKET,
							 .count = 1,
							 .window_ns = 60 * SECOND,
							 .burst = 1,
							 .interval = 60 * SECOND * 1024};
	ids_engine_apply(world);
	activate(world);
}

static void send_twice(int program, uint16_t port)
{
	const struct packet_spec spec = {.source = ADDRESS_A,
					 .destination = "192.0.2.1",
					 .protocol = 17,
					 .source_port = port,
					 .destination_port = 53,
					 .payload = 20};
	struct __sk_buff context = {.ifindex = if_nametoindex("access0")};
	struct packet packet;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &context, .ctx_size_in = sizeof(context),
		    .data_in = packet.data, .repeat = 2);

	packet_build(&packet, &spec);
	opts.data_size_in = (uint32_t)packet.length;
	assert_int_equal(bpf_prog_test_run_opts(program, &opts), 0);
}

static int program_of_access(void)
{
	int program = bpf_prog_get_fd_by_id(fixture_tcx_program("access0", true).id);

	assert_true(program >= 0);
	return program;
}

static void test_one_alert(void **state)
{
	struct ids_engine_world *world = *state;
	const struct told *told;
	int program;

	fixture_need_tcx();
	program = program_of_access();
	apply(world);
	world->now = sl_now_ns();
	send_twice(program, 4000);
	ids_engine_pass(world, SECOND / 2);
	assert_int_equal(world->told_count, 1);
	told = ids_engine_told(world, SL_IDS_ALERT_BLOCK, 0);
	assert_string_equal(told->imsi, IMSI_A);
	assert_string_equal(told->session, ADDRESS_A);
	assert_string_equal(told->apn, "internet");
	assert_string_equal(told->action, "blocked");
	assert_int_equal(told->family, 4);
	assert_true(told->captured >= 42);
	assert_true(told->observed > 0);
	/* its end says whose it was, though the session is no more */
	world_deactivate(&world->world, IMSI_A, NULL, NULL, true);
	ids_engine_pass(world, 3 * SECOND);
	assert_int_equal(world->told_count, 2);
	told = ids_engine_told(world, SL_IDS_ALERT_UNBLOCK, 0);
	assert_string_equal(told->reason, "hard");
	assert_string_equal(told->imsi, IMSI_A);
	assert_string_equal(told->session, ADDRESS_A);
	assert_string_equal(told->apn, "internet");
	assert_int_equal(told->captured, 0);
	close(program);
}

static void test_lost(void **state)
{
	enum { MANY = 6000 };
	struct ids_engine_world *world = *state;
	struct sl_ids_engine_stats stats;
	cpu_set_t before, one;
	int program;

	fixture_need_tcx();
	program = program_of_access();
	world->rule[0].image.hard_ns = 600 * SECOND;
	apply(world);
	/* each CPU counts its own records */
	assert_int_equal(sched_getaffinity(0, sizeof(before), &before), 0);
	CPU_ZERO(&one);
	CPU_SET(sched_getcpu(), &one);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
	for (uint16_t port = 1; port <= MANY; port++)
		send_twice(program, port);
	world->now = sl_now_ns();
	ids_engine_pass(world, 2 * SECOND);
	/* the next one shows the gap */
	send_twice(program, MANY + 1);
	ids_engine_pass(world, 2 * SECOND);
	assert_int_equal(sched_setaffinity(0, sizeof(before), &before), 0);
	sl_ids_engine_stats(world->engine, &stats);
	assert_true(stats.lost > 0);
	assert_int_equal(stats.events + stats.lost, MANY + 1);
	assert_int_equal(world->lost, stats.lost);
	assert_int_equal(stats.used[SLUICE_IDS_TABLE_BLOCKS], MANY + 1);
	close(program);
}

int main(void)
{
#define TEST(name, function)                                                \
	{                                                                   \
		name, function, ids_engine_setup, ids_engine_teardown, NULL \
	}
	const struct CMUnitTest tests[] = {
		TEST("a packet's block is one alert with its headers, and its end says whose it was",
		     test_one_alert),
		TEST("records that found the ring full are counted one by one, and their blocks found",
		     test_lost),
	};

	return cmocka_run_group_tests_name("ids engine: alerts", tests, fixture_setup, fixture_teardown);
}
