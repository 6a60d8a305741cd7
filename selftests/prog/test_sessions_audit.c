// SPDX-License-Identifier: Apache-2.0
/*
 * The audit: whatever is damaged in the kernel is found within one pass, put
 * right and told; what is right is left alone. On the real maps, hooks and queues.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "control/model.h"
#include "session_world.h"

#define STEPS 8

static const struct rule_spec rules[] = {
	{.id = "video", .version = 1, .precedence = 20, .mbr_downlink = 5000000, .remote = "45.10.0.0/24"},
	{.id = "block", .version = 3, .precedence = 10, .remote = "45.11.0.0/24", .action = SLUICE_DENY},
};

static struct sl_audit_stats stats(struct world *world)
{
	struct sl_audit_stats out;

	sl_control_audit_stats(world->control, &out);
	return out;
}

/* From where the audit is to the end of a whole pass. */
static void one_pass(struct world *world)
{
	uint64_t until = stats(world).passes + 2;

	for (int step = 0; step < 4 * STEPS + 200 && stats(world).passes < until; step++)
		sl_control_audit(world->control, STEPS);
	assert_int_equal(stats(world).passes, until);
}

static void start(struct world *world)
{
	world_start(world, false, true, 16);
	world_activate_ok(world, IMSI_A, ADDRESS_A, rules, 2);
	world_activate_ok(world, IMSI_B, "2001:db8:1::5", rules + 1, 0);
	one_pass(world);
	if (stats(world).repairs)
		fail_msg("repaired although nothing was wrong: %s", stats(world).last);
}

static void end(struct world *world)
{
	uint64_t repairs = stats(world).repairs;

	/* what was repaired stays so */
	one_pass(world);
	assert_int_equal(stats(world).repairs, repairs);
	assert_int_equal(stats(world).failures, 0);
	world_deactivate(world, IMSI_A, NULL, NULL, true);
	world_deactivate(world, IMSI_B, NULL, NULL, true);
	world_acknowledge_all(world);
	world_assert_nothing_used(world);
	world_stop(world);
}

static void expect_repair(struct world *world, const char *what)
{
	one_pass(world);
	if (stats(world).repairs == 0)
		fail_msg("%s: not found", what);
	if (!strstr(stats(world).last, what))
		fail_msg("found \"%s\", not %s", stats(world).last, what);
}

static struct sl_address parsed(const char *text)
{
	struct sl_address address;

	assert_int_equal(sl_address_parse("address", text, &address, NULL), 0);
	return address;
}

static void what_is_right_is_left_alone_over_a_restart_too(void **state)
{
	struct sluice_policy before;
	struct world world;

	(void)state;
	start(&world);
	before = *world_policy(&world, ADDRESS_A);
	world_stop(&world);
	world_start(&world, true, true, 16);
	one_pass(&world);
	if (stats(&world).repairs)
		fail_msg("repaired although nothing was wrong: %s", stats(&world).last);
	assert_memory_equal(world_policy(&world, ADDRESS_A), &before, sizeof(before));
	end(&world);
}

static void an_endpoint_that_is_missing_comes_back(void **state)
{
	struct sl_address address = parsed(ADDRESS_A), six = parsed("2001:db8:1::5");
	struct world world;

	(void)state;
	start(&world);
	assert_int_equal(sl_endpoint_delete(world.datapath, &address, NULL), 0);
	assert_int_equal(sl_endpoint_delete(world.datapath, &six, NULL), 0);
	expect_repair(&world, "the endpoint, which was missing");
	assert_int_equal(stats(&world).repairs, 2);
	assert_int_equal(world_policy(&world, ADDRESS_A)->rules, 2);
	assert_non_null(world_policy(&world, "2001:db8:1::5"));
	end(&world);
}

/* What a pass has read in bulk it does not ask for again: the next one does. */
static void an_endpoint_that_goes_after_the_pass_has_read_it_comes_back_in_the_next(void **state)
{
	struct sl_address address = parsed(ADDRESS_A);
	struct world world;

	(void)state;
	start(&world);
	for (int step = 0; step < 4 * STEPS && world.control->audit.phase != SL_AUDIT_SESSIONS; step++)
		sl_control_audit(world.control, STEPS);
	assert_int_equal(world.control->audit.phase, SL_AUDIT_SESSIONS);
	assert_int_equal(sl_endpoint_delete(world.datapath, &address, NULL), 0);
	expect_repair(&world, "the endpoint, which was missing");
	assert_int_equal(stats(&world).repairs, 1);
	assert_int_equal(world_policy(&world, ADDRESS_A)->rules, 2);
	end(&world);
}

static void an_endpoint_that_leads_elsewhere_is_put_right(void **state)
{
	struct sl_address address = parsed(ADDRESS_A);
	struct sluice_endpoint endpoint;
	struct world world;

	(void)state;
	start(&world);
	assert_int_equal(sl_endpoint_get(world.datapath, &address, &endpoint), 0);
	endpoint.policy++;
	assert_int_equal(sl_endpoint_set(world.datapath, &address, &endpoint, NULL), 0);
	expect_repair(&world, "the endpoint, which led elsewhere");
	assert_int_equal(world_policy(&world, ADDRESS_A)->rules, 2);
	end(&world);
}

static void an_endpoint_that_is_no_sessions_is_removed(void **state)
{
	struct sl_address strangers[] = {parsed("192.0.2.66"), parsed("2001:db8:66::1")};
	struct sluice_endpoint endpoint;
	struct sl_address address = parsed(ADDRESS_A);
	struct world world;

	(void)state;
	start(&world);
	assert_int_equal(sl_endpoint_get(world.datapath, &address, &endpoint), 0);
	for (int i = 0; i < 2; i++)
		assert_int_equal(sl_endpoint_set(world.datapath, &strangers[i], &endpoint, NULL), 0);
	expect_repair(&world, "which is no session's, was removed");
	assert_int_equal(stats(&world).repairs, 2);
	assert_int_equal(sl_control_enforced_sessions(world.control), 2);
	end(&world);
}

static void a_policy_that_was_changed_is_published_anew_and_counts_go_on(void **state)
{
	struct sl_usage_record record;
	struct sluice_policy *policy;
	struct world world;
	uint32_t usage;

	(void)state;
	start(&world);
	policy = (struct sluice_policy *)world_policy(&world, ADDRESS_A);
	usage = policy->binding[1].usage;
	world_count_bytes(&world, usage, 4711);
	policy->uplink_count = 0;
	policy->binding[1].downlink_class = 0;
	expect_repair(&world, "the policy");
	assert_int_equal(world_policy(&world, ADDRESS_A)->uplink_count, 2);
	assert_true(world_policy(&world, ADDRESS_A)->binding[1].downlink_class >= SLUICE_HTB_POOL_MINOR);
	assert_true(world_find_record(&world, "video", 1, &record));
	assert_int_equal(record.usage.uplink.bytes, 4711);
	end(&world);
}

static void a_binding_beyond_the_policy_is_put_right(void **state)
{
	struct rule_spec specs[10] = {0};
	struct sluice_binding *bindings;
	struct world world;
	char ids[10][8];

	(void)state;
	start(&world);
	for (int i = 0; i < 10; i++) {
		snprintf(ids[i], sizeof(ids[i]), "r%d", i);
		specs[i] = (struct rule_spec){.id = ids[i], .version = 1, .precedence = (uint32_t)i};
	}
	world_activate_ok(&world, IMSI_B, ADDRESS_B, specs, 10);
	bindings = sl_datapath_maps(world.datapath)->bindings + world_policy(&world, ADDRESS_B)->bindings;
	bindings[2].usage = 0;
	expect_repair(&world, "a binding");
	bindings = sl_datapath_maps(world.datapath)->bindings + world_policy(&world, ADDRESS_B)->bindings;
	assert_int_not_equal(bindings[2].usage, 0);
	end(&world);
}

static void a_match_list_that_was_changed_is_put_right_for_all_who_share_it(void **state)
{
	struct sluice_match4_block *blocks;
	struct world world;
	uint32_t block;

	(void)state;
	start(&world);
	world_activate_ok(&world, IMSI_B, ADDRESS_B, rules, 2);
	blocks = sl_datapath_maps(world.datapath)->matches4;
	block = world_policy(&world, ADDRESS_A)->uplink_block;
	assert_int_equal(world_policy(&world, ADDRESS_B)->uplink_block, block);
	blocks[block].match[0].action = SLUICE_PERMIT;
	expect_repair(&world, "a match list, which 2 session(s) share");
	assert_int_equal(blocks[block].match[0].action, SLUICE_DENY);
	assert_int_equal(stats(&world).repairs, 1);
	end(&world);
}

static void settings_that_were_changed_are_put_right(void **state)
{
	struct world world;

	(void)state;
	start(&world);
	sl_datapath_maps(world.datapath)->settings->unknown_drop = 0;
	expect_repair(&world, "the settings");
	assert_int_equal(sl_datapath_maps(world.datapath)->settings->unknown_drop, 1);
	end(&world);
}

static void records_that_the_next_start_needs_are_put_right(void **state)
{
	struct sluice_usage_owner *owner;
	struct sl_usage_record record;
	struct sl_maps *maps;
	struct world world;

	(void)state;
	start(&world);
	maps = sl_datapath_maps(world.datapath);
	owner = &maps->usage_owners[world_policy(&world, ADDRESS_A)->binding[1].usage];
	world_count_bytes(&world, world_policy(&world, ADDRESS_A)->binding[1].usage, 99);
	memset(owner, 0, sizeof(*owner));
	maps->sessions[world_policy(&world, ADDRESS_A)->session].default_usage = SLUICE_NONE;
	expect_repair(&world, "the records that the next start reads");
	world_stop(&world);
	world_start(&world, true, true, 16);
	assert_true(world_find_record(&world, "video", 1, &record));
	assert_int_equal(record.usage.uplink.bytes, 99);
	end(&world);
}

static void a_hook_that_was_taken_off_is_attached_again(void **state)
{
	struct world world;

	(void)state;
	start(&world);
	/* a device that is made anew has lost its hooks, and its queues with them */
	fixture_run("ip link del access0 && ip link add access0 type veth peer name ue0 && "
		    "ip link set access0 up && ip link set ue0 up");
	assert_false(fixture_hook(world.datapath, "access0", "tc-ingress").attached);
	one_pass(&world);
	assert_true(fixture_hook(world.datapath, "access0", "tc-ingress").attached);
	assert_true(fixture_hook(world.datapath, "access0", "tc-egress").attached);
	assert_true(fixture_succeeds("tc class show dev access0 | grep -q 'ceil 5Mbit'"));
	end(&world);
}

static void queues_that_were_changed_or_removed_are_put_right(void **state)
{
	struct world world;
	uint16_t minor;

	(void)state;
	start(&world);
	minor = world_policy(&world, ADDRESS_A)->binding[1].downlink_class;
	fixture_run("tc class change dev access0 classid 7ffe:%x htb rate 8kbit ceil 1Mbit", minor);
	expect_repair(&world, "a class in use had another rate");
	assert_true(
		fixture_succeeds("tc class show dev access0 classid 7ffe:%x | grep -q 'ceil 5Mbit'", minor));
	fixture_run("tc qdisc del dev access0 parent 7ffe:%x && tc class del dev access0 classid 7ffe:%x",
		    minor, minor);
	expect_repair(&world, "a class in use was missing");
	assert_true(
		fixture_succeeds("tc class show dev access0 classid 7ffe:%x | grep -q 'ceil 5Mbit'", minor));
	fixture_run("tc qdisc del dev access0 root");
	expect_repair(&world, "the qdisc was missing");
	assert_true(
		fixture_succeeds("tc class show dev access0 classid 7ffe:%x | grep -q 'ceil 5Mbit'", minor));
	/* every class of the pool, the default and the link */
	assert_true(fixture_succeeds("test $(tc class show dev access0 | grep -c 'class htb') -eq 18"));
	end(&world);
}

/* Longer packets would be counted as super-packets, and would not fit the buckets. */
static void queues_follow_the_mtu_of_their_device(void **state)
{
	struct world world;
	uint16_t minor;

	(void)state;
	start(&world);
	minor = world_policy(&world, ADDRESS_A)->binding[1].downlink_class;
	fixture_run("ip link set access0 mtu 3000");
	expect_repair(&world, "MTU");
	/* a bucket of two packets, as sl_shape_burst says */
	assert_true(fixture_succeeds(
		"tc class show dev access0 classid 7ffe:%x | grep -Eq 'cburst (6000|5999)b'", minor));
	end(&world);
}

static void a_foreign_qdisc_is_said_once_and_not_touched(void **state)
{
	struct sl_audit_stats now;
	struct world world;

	(void)state;
	start(&world);
	fixture_run("tc qdisc del dev access0 root && tc qdisc add dev access0 root handle 1: pfifo");
	one_pass(&world);
	now = stats(&world);
	assert_true(now.failures >= 1);
	assert_int_equal(now.repairs, 0);
	assert_non_null(strstr(now.last, "pfifo"));
	assert_true(fixture_succeeds("tc qdisc show dev access0 root | grep -q pfifo"));
	fixture_run("tc qdisc del dev access0 root");
	expect_repair(&world, "the qdisc was missing");
	world_stop(&world);
}

static void a_step_does_a_bounded_number_of_repairs(void **state)
{
	struct sl_address addresses[300];
	char imsi[16], text[32];
	struct world world;

	(void)state;
	world_start(&world, false, false, 256);
	for (uint32_t i = 0; i < SL_ARRAY_SIZE(addresses); i++) {
		snprintf(imsi, sizeof(imsi), "00101%010u", i);
		snprintf(text, sizeof(text), "10.0.%u.%u", i >> 8, i & 255);
		addresses[i] = parsed(text);
		world_activate_ok(&world, imsi, text, rules + 1, 1);
	}
	for (uint32_t i = 0; i < SL_ARRAY_SIZE(addresses); i++)
		assert_int_equal(sl_endpoint_delete(world.datapath, &addresses[i], NULL), 0);
	assert_int_equal(sl_control_enforced_sessions(world.control), 0);
	for (int step = 0; step < 40; step++) {
		uint64_t before = stats(&world).repairs;

		sl_control_audit(world.control, 2);
		assert_true(stats(&world).repairs - before <= 64);
		/* policies of what was published before are free after a grace period */
		sl_grace_drain(world.grace);
	}
	assert_int_equal(stats(&world).repairs, SL_ARRAY_SIZE(addresses));
	assert_int_equal(sl_control_enforced_sessions(world.control), SL_ARRAY_SIZE(addresses));
	world_stop(&world);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_devices, fixture_no_devices)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_right_is_left_alone_over_a_restart_too),
		TEST(an_endpoint_that_is_missing_comes_back),
		TEST(an_endpoint_that_goes_after_the_pass_has_read_it_comes_back_in_the_next),
		TEST(an_endpoint_that_leads_elsewhere_is_put_right),
		TEST(an_endpoint_that_is_no_sessions_is_removed),
		TEST(a_policy_that_was_changed_is_published_anew_and_counts_go_on),
		TEST(a_binding_beyond_the_policy_is_put_right),
		TEST(a_match_list_that_was_changed_is_put_right_for_all_who_share_it),
		TEST(settings_that_were_changed_are_put_right),
		TEST(records_that_the_next_start_needs_are_put_right),
		TEST(a_hook_that_was_taken_off_is_attached_again),
		TEST(queues_that_were_changed_or_removed_are_put_right),
		TEST(queues_follow_the_mtu_of_their_device),
		TEST(a_foreign_qdisc_is_said_once_and_not_touched),
		TEST(a_step_does_a_bounded_number_of_repairs),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
