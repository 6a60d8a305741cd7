// SPDX-License-Identifier: Apache-2.0
/* What sessions have by their APN, in the maps: numbers, marks, ways out; over changes, restarts and damage.
 */
#include <errno.h>
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <bpf/bpf.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "session_world.h"

#define CLASSES 16

static const struct rule_spec plain = {.id = "plain", .version = 1, .precedence = 20};

static void start(struct world *world, bool adopted, const struct sl_control_apn *apns, size_t count)
{
	struct sl_datapath_limits limits = fixture_config().limits;

	world_start_with(world, adopted,
			 &(struct sl_control_config){.keep_retired = true, .apns = apns, .apn_count = count},
			 &limits, CLASSES);
}

/* One rule with a queue each way. */
static void activate(struct world *world, const char *imsi, const char *address, const char *apn)
{
	struct activation activation;
	struct sl_error err = {{0}};

	world_fill(&activation, imsi, address, &plain, 1);
	snprintf(activation.session.apn, sizeof(activation.session.apn), "%s", apn);
	activation.rules[0].mbr[SLUICE_UPLINK] = 1000000;
	if (sl_control_activate(world->control, &activation.session, &err) < 0 ||
	    activation.requests[0].result < 0)
		fail_msg("%s%s", err.text, activation.requests[0].error.text);
}

static void finish(struct world *world)
{
	world_deactivate(world, IMSI_A, ADDRESS_A, NULL, true);
	world_deactivate(world, IMSI_B, ADDRESS_B, NULL, true);
	world_acknowledge_all(world);
	world_stop(world);
}

/* The VLAN of the session's packets: in a queue, and without one. */
static void has_vlan(struct world *world, const char *address, uint32_t vlan)
{
	const struct sluice_policy *policy = world_policy(world, address);
	const struct sl_maps *maps = sl_datapath_maps(world->datapath);

	assert_int_not_equal(policy->binding[0].uplink_class, 0);
	assert_int_equal(maps->marks[policy->binding[0].uplink_class].vlan, vlan);
	assert_int_equal(policy->apn ? maps->marks[SLUICE_MARK_APN + policy->apn].vlan : 0, vlan);
}

static void audit(struct world *world)
{
	for (int i = 0; i < 20; i++)
		sl_control_audit(world->control, 1);
}

static uint64_t repairs(struct world *world)
{
	struct sl_audit_stats stats;

	audit(world);
	sl_control_audit_stats(world->control, &stats);
	return stats.repairs;
}

static void a_session_has_the_vlan_of_its_apn_whatever_the_case(void **state)
{
	static const struct sl_control_apn apns[] = {{.name = "internet", .vlan = 100},
						     {.name = "IMS", .vlan = 200}};
	struct world world;

	(void)state;
	start(&world, false, apns, 2);
	activate(&world, IMSI_A, ADDRESS_A, "Internet");
	activate(&world, IMSI_B, ADDRESS_B, "ims");
	has_vlan(&world, ADDRESS_A, 100);
	has_vlan(&world, ADDRESS_B, 200);
	assert_int_equal(sl_datapath_maps(world.datapath)->vlans[100], 1);
	assert_int_equal(sl_datapath_maps(world.datapath)->vlans[200], 1);
	assert_int_equal(sl_datapath_maps(world.datapath)->vlans[101], 0);
	/* another APN, one that is not configured, and a request that names none */
	activate(&world, IMSI_A, ADDRESS_A, "ims");
	has_vlan(&world, ADDRESS_A, 200);
	activate(&world, IMSI_A, ADDRESS_A, "");
	has_vlan(&world, ADDRESS_A, 200);
	activate(&world, IMSI_A, ADDRESS_A, "internet.mnc001.mcc001.gprs");
	has_vlan(&world, ADDRESS_A, 0);
	assert_int_equal(world_policy(&world, ADDRESS_A)->apn, 0);
	has_vlan(&world, ADDRESS_B, 200);
	assert_int_equal(repairs(&world), 0);
	finish(&world);
}

#define ADDRESS_A6 "2001:db8:1::1"

static void activate_twin(struct world *world, const char *address, const char *twin, const char *apn)
{
	struct activation activation;
	struct sl_error err = {{0}};

	world_fill(&activation, IMSI_A, address, &plain, 1);
	snprintf(activation.session.apn, sizeof(activation.session.apn), "%s", apn);
	activation.rules[0].mbr[SLUICE_UPLINK] = 1000000;
	if (twin)
		assert_int_equal(sl_address_parse("twin", twin, &activation.session.twin, NULL), 0);
	assert_int_equal(sl_control_activate(world->control, &activation.session, &err), 0);
	assert_int_equal(activation.requests[0].result, 0);
}

static void twins_share_a_class_in_one_apn_and_in_two_have_one_each_with_its_own_vlan(void **state)
{
	static const struct sl_control_apn apns[] = {{.name = "a", .vlan = 100}, {.name = "b", .vlan = 200}};
	struct world world;
	uint16_t shared;

	(void)state;
	start(&world, false, apns, 2);
	activate_twin(&world, ADDRESS_A, ADDRESS_A6, "a");
	activate_twin(&world, ADDRESS_A6, ADDRESS_A, "A");
	shared = world_policy(&world, ADDRESS_A)->binding[0].uplink_class;
	assert_int_equal(world_policy(&world, ADDRESS_A6)->binding[0].uplink_class, shared);
	activate_twin(&world, ADDRESS_A, NULL, "b");
	has_vlan(&world, ADDRESS_A, 200);
	has_vlan(&world, ADDRESS_A6, 100);
	assert_int_equal(world_policy(&world, ADDRESS_A6)->binding[0].uplink_class, shared);
	assert_int_equal(repairs(&world), 0);
	world_stop(&world);
	start(&world, true, apns, 2);
	has_vlan(&world, ADDRESS_A, 200);
	has_vlan(&world, ADDRESS_A6, 100);
	assert_int_equal(repairs(&world), 0);
	/* together again */
	activate_twin(&world, ADDRESS_A, NULL, "a");
	assert_int_equal(world_policy(&world, ADDRESS_A)->binding[0].uplink_class, shared);
	has_vlan(&world, ADDRESS_A, 100);
	has_vlan(&world, ADDRESS_A6, 100);
	assert_int_equal(repairs(&world), 0);
	world_deactivate(&world, IMSI_A, ADDRESS_A6, NULL, true);
	finish(&world);
}

static void an_apn_keeps_its_number_over_a_restart_in_another_order(void **state)
{
	static const struct sl_control_apn before[] = {{.name = "b", .vlan = 100},
						       {.name = "c", .vlan = 200}};
	static const struct sl_control_apn after[] = {
		{.name = "a", .vlan = 300}, {.name = "C", .vlan = 201}, {.name = "b", .vlan = 100}};
	struct world world;
	uint8_t number[2];

	(void)state;
	start(&world, false, before, 2);
	activate(&world, IMSI_A, ADDRESS_A, "b");
	activate(&world, IMSI_B, ADDRESS_B, "c");
	number[0] = world_policy(&world, ADDRESS_A)->apn;
	number[1] = world_policy(&world, ADDRESS_B)->apn;
	world_stop(&world);
	start(&world, true, after, 3);
	assert_int_equal(world_policy(&world, ADDRESS_A)->apn, number[0]);
	assert_int_equal(world_policy(&world, ADDRESS_B)->apn, number[1]);
	has_vlan(&world, ADDRESS_A, 100);
	has_vlan(&world, ADDRESS_B, 201);
	assert_int_equal(sl_datapath_maps(world.datapath)->vlans[200], 0);
	assert_int_equal(sl_datapath_maps(world.datapath)->vlans[300], 1);
	assert_string_equal(sl_apn(world.control, number[0])->name, "b");
	assert_int_equal(sl_apn_number(world.control, "B"), number[0]);
	assert_int_not_equal(sl_apn_number(world.control, "a"), 0);
	assert_int_equal(sl_apn_number(world.control, ""), 0);
	world_stop(&world);

	/* c is gone, and b is new to its session: both are published anew */
	start(&world, true, after, 1);
	assert_int_equal(world_policy(&world, ADDRESS_A)->apn, 0);
	has_vlan(&world, ADDRESS_A, 0);
	has_vlan(&world, ADDRESS_B, 0);
	assert_int_equal(sl_datapath_maps(world.datapath)->marks[SLUICE_MARK_APN + number[0]].vlan, 0);
	assert_int_equal(sl_datapath_maps(world.datapath)->marks[SLUICE_MARK_APN + number[0]].name, 0);
	assert_int_equal(repairs(&world), 0);
	finish(&world);
}

static void as_many_apns_as_numbers_can_be_had_and_exchanged(void **state)
{
	static struct sl_control_apn apns[SLUICE_APNS];
	bool seen[SLUICE_APNS + 1] = {false};
	struct world world;

	(void)state;
	for (uint32_t i = 0; i < SLUICE_APNS; i++) {
		apns[i].vlan = i + 1;
		snprintf(apns[i].name, sizeof(apns[i].name), "apn%u", i);
	}
	start(&world, false, apns, SLUICE_APNS);
	for (uint32_t i = 0; i < SLUICE_APNS; i++) {
		uint8_t number = sl_apn_number(world.control, apns[i].name);

		assert_false(seen[number]);
		seen[number] = true;
		assert_int_equal(sl_datapath_maps(world.datapath)->marks[SLUICE_MARK_APN + number].vlan,
				 i + 1);
	}
	assert_false(seen[0]);
	activate(&world, IMSI_A, ADDRESS_A, "apn254");
	has_vlan(&world, ADDRESS_A, 255);
	world_stop(&world);
	start(&world, true, apns, SLUICE_APNS);
	has_vlan(&world, ADDRESS_A, 255);
	finish(&world);
}

static void damage_to_marks_and_numbers_is_repaired(void **state)
{
	static const struct sl_control_apn apns[] = {{.name = "internet", .vlan = 100}};
	struct sluice_policy *policy;
	struct sl_maps *maps;
	struct world world;

	(void)state;
	start(&world, false, apns, 1);
	activate(&world, IMSI_A, ADDRESS_A, "internet");
	maps = sl_datapath_maps(world.datapath);
	maps->marks[world_policy(&world, ADDRESS_A)->binding[0].uplink_class].vlan = 7;
	assert_int_equal(repairs(&world), 1);
	maps->marks[SLUICE_MARK_APN + world_policy(&world, ADDRESS_A)->apn].vlan = 8;
	maps->vlans[100] = 0;
	assert_int_equal(repairs(&world), 2);
	has_vlan(&world, ADDRESS_A, 100);
	assert_int_equal(maps->vlans[100], 1);
	policy = &maps->policies[world_policy(&world, ADDRESS_A) - maps->policies];
	policy->apn = 9;
	assert_int_equal(repairs(&world), 3);
	has_vlan(&world, ADDRESS_A, 100);
	finish(&world);
}

static uint32_t vlan_behind(const char *address, bool present, uint32_t damage)
{
	_cleanup_free_ char *path = NULL;
	_cleanup_fd_ int fd = -1;
	struct sluice_neighbour key = {0};
	struct sl_address parsed;
	uint32_t vlan = 0;

	assert_true(asprintf(&path, "%s/maps/neighbours", fixture_config().pin_path) > 0);
	fd = bpf_obj_get(path);
	assert_true(fd >= 0);
	assert_int_equal(sl_address_parse("address", address, &parsed, NULL), 0);
	key.family = parsed.family;
	memcpy(key.address, parsed.bytes, sizeof(key.address));
	assert_int_equal(bpf_map_lookup_elem(fd, &key, &vlan), present ? 0 : -ENOENT);
	if (damage)
		assert_int_equal(bpf_map_update_elem(fd, &key, &damage, BPF_ANY), 0);
	return vlan;
}

static void routers_behind_vlans_are_in_the_map_as_long_as_the_configuration_has_them(void **state)
{
	static struct sl_control_apn apns[] = {{.name = "a", .vlan = 100, .neighbour_count = 2},
					       {.name = "b", .vlan = 100, .neighbour_count = 1},
					       {.name = "c", .vlan = 200, .neighbour_count = 1}};
	struct world world;

	(void)state;
	sl_address_parse("", "192.0.2.1", &apns[0].neighbours[0], NULL);
	sl_address_parse("", "fe80::1", &apns[0].neighbours[1], NULL);
	sl_address_parse("", "192.0.2.1", &apns[1].neighbours[0], NULL);
	sl_address_parse("", "192.0.2.2", &apns[2].neighbours[0], NULL);
	start(&world, false, apns, 3);
	activate(&world, IMSI_A, ADDRESS_A, "a");
	activate(&world, IMSI_B, ADDRESS_B, "b");
	assert_int_equal(vlan_behind("192.0.2.1", true, 0), 100);
	assert_int_equal(vlan_behind("fe80::1", true, 0), 100);
	assert_int_equal(repairs(&world), 0);
	/* one that has another VLAN, one that is nobody's */
	vlan_behind("192.0.2.2", true, 7);
	vlan_behind("192.0.2.3", false, 7);
	assert_int_equal(repairs(&world), 1);
	assert_int_equal(vlan_behind("192.0.2.2", true, 0), 200);
	vlan_behind("192.0.2.3", false, 0);
	world_stop(&world);
	apns[2].vlan = 201;
	start(&world, true, &apns[1], 2);
	assert_int_equal(vlan_behind("192.0.2.1", true, 0), 100);
	assert_int_equal(vlan_behind("192.0.2.2", true, 0), 201);
	vlan_behind("fe80::1", false, 0);
	finish(&world);
}

/* --- ways out ---------------------------------------------------------------------- */

static struct sl_control_apn out_of(const char *name, const char *interface, const char *hop4,
				    const char *hop6)
{
	struct sl_control_apn apn = {0};

	snprintf(apn.name, sizeof(apn.name), "%s", name);
	snprintf(apn.interface, sizeof(apn.interface), "%s", interface);
	if (hop4)
		assert_int_equal(sl_address_parse("hop", hop4, &apn.next_hop[0], NULL), 0);
	if (hop6)
		assert_int_equal(sl_address_parse("hop", hop6, &apn.next_hop[1], NULL), 0);
	return apn;
}

static uint8_t action_of(struct world *world, const char *address, int direction)
{
	const struct sluice_policy *policy = world_policy(world, address);
	const struct sl_maps *maps = sl_datapath_maps(world->datapath);
	uint32_t block = direction == SLUICE_UPLINK ? policy->uplink_block : policy->downlink_block;

	return strchr(address, ':') ? maps->matches6[block].match[0].action
				    : maps->matches4[block].match[0].action;
}

static const struct sluice_steer *way_of(struct world *world, const char *address)
{
	uint8_t action = action_of(world, address, SLUICE_UPLINK);

	assert_in_range(action, SLUICE_STEER_FIRST, SLUICE_STEER_FIRST + SLUICE_STEERS - 1);
	return &sl_datapath_maps(world->datapath)->steers[action - SLUICE_STEER_FIRST];
}

static void equal_rules_in_two_apns_lead_two_ways(void **state)
{
	const struct sl_control_apn apns[] = {out_of("x", "core0", "192.0.2.1", NULL),
					      out_of("y", "missing0", NULL, NULL)};
	struct world world;

	(void)state;
	start(&world, false, apns, 2);
	activate(&world, IMSI_A, ADDRESS_A, "x");
	activate(&world, IMSI_B, ADDRESS_B, "y");
	assert_string_equal(way_of(&world, ADDRESS_A)->name, "core0");
	assert_int_equal(way_of(&world, ADDRESS_A)->ifindex, if_nametoindex("core0"));
	assert_int_equal(way_of(&world, ADDRESS_A)->next_hop_family, 4);
	assert_string_equal(way_of(&world, ADDRESS_B)->name, "missing0");
	assert_int_equal(way_of(&world, ADDRESS_B)->ifindex, 0);
	assert_int_equal(action_of(&world, ADDRESS_A, SLUICE_DOWNLINK), SLUICE_PERMIT);
	activate(&world, IMSI_B, ADDRESS_B, "z");
	assert_int_equal(action_of(&world, ADDRESS_B, SLUICE_UPLINK), SLUICE_PERMIT);
	assert_int_equal(repairs(&world), 0);
	finish(&world);
}

static void a_restart_keeps_the_way_or_takes_the_new_one_and_gives_the_old_back(void **state)
{
	const struct sl_control_apn first[] = {out_of("x", "core0", "192.0.2.1", "2001:db8::1")};
	const struct sl_control_apn second[] = {out_of("a", "core0", "192.0.2.7", NULL),
						out_of("x", "core0", "192.0.2.2", NULL)};
	struct world world;
	uint8_t action;

	(void)state;
	start(&world, false, first, 1);
	activate(&world, IMSI_A, ADDRESS_A, "x");
	activate(&world, IMSI_B, "2001:db8:1::1", "x");
	assert_int_equal(way_of(&world, "2001:db8:1::1")->next_hop_family, 6);
	assert_int_equal(world_used(&world, "steers"), 2);
	action = action_of(&world, ADDRESS_A, SLUICE_UPLINK);
	world_stop(&world);
	start(&world, true, first, 1);
	assert_int_equal(action_of(&world, ADDRESS_A, SLUICE_UPLINK), action);
	assert_int_equal(world_used(&world, "steers"), 2);
	world_stop(&world);

	start(&world, true, second, 2);
	assert_int_equal(way_of(&world, ADDRESS_A)->next_hop[3], 2);
	/* no slot that a session led to has another meaning before that session is published anew */
	assert_int_not_equal(action_of(&world, ADDRESS_A, SLUICE_UPLINK), action);
	/* an IPv4 neighbour alone is no way for IPv6 */
	action = action_of(&world, "2001:db8:1::1", SLUICE_UPLINK);
	assert_in_range(action, SLUICE_STEER_FIRST + SLUICE_STEERS, UINT8_MAX);
	sl_grace_drain(world.grace);
	assert_int_equal(world_used(&world, "steers"), 2);
	world_stop(&world);
	start(&world, true, NULL, 0);
	assert_int_equal(action_of(&world, ADDRESS_A, SLUICE_UPLINK), SLUICE_PERMIT);
	assert_int_equal(action_of(&world, "2001:db8:1::1", SLUICE_UPLINK), SLUICE_PERMIT);
	sl_grace_drain(world.grace);
	assert_int_equal(world_used(&world, "steers"), 0);
	world_deactivate(&world, IMSI_B, "2001:db8:1::1", NULL, true);
	finish(&world);
}

/* --- load ---------------------------------------------------------------------------- */

#define LOAD_STEPS 5 /* all counters are read once in so many calls */
#define LOAD_BYTES 50000000ull

struct loads {
	uint64_t link, a, b; /* bit/s uplink */
};

static void keep_load(const struct sl_load_view *view, void *user)
{
	struct loads *loads = user;

	*(!view->apn			? &loads->link
	  : strcmp(view->apn, "a") == 0 ? &loads->a
					: &loads->b) = view->used[SLUICE_UPLINK];
}

/* The load of the round that ends here; *ended: before and after it did. */
static struct loads end_of_round(struct world *world, uint64_t ended[2])
{
	struct loads loads = {0};

	for (int step = 0; step < LOAD_STEPS; step++) {
		ended[0] = sl_now_ns();
		sl_control_expire(world->control);
	}
	ended[1] = sl_now_ns();
	sl_control_each_load(world->control, keep_load, &loads);
	return loads;
}

static void the_load_is_what_was_counted_in_a_round_by_apn_also_by_rules_that_ended(void **state)
{
	static const struct sl_control_apn apns[] = {{.name = "a"}, {.name = "b"}};
	const struct timespec pause = {.tv_nsec = 50000000};
	uint64_t first[2], second[2];
	struct loads loads;
	struct world world;

	(void)state;
	start(&world, false, apns, 2);
	activate(&world, IMSI_A, ADDRESS_A, "a");
	activate(&world, IMSI_B, ADDRESS_B, "b");
	loads = end_of_round(&world, first);
	assert_int_equal(loads.link, 0);
	world_count_bytes(&world, world_policy(&world, ADDRESS_A)->binding[0].usage, LOAD_BYTES);
	world_count_bytes(&world, world_policy(&world, ADDRESS_B)->binding[0].usage, 3 * LOAD_BYTES);
	world_deactivate(&world, IMSI_B, ADDRESS_B, NULL, true);
	nanosleep(&pause, NULL);
	loads = end_of_round(&world, second);
	/* neither more than in the shortest time that it may have been, nor less than in the longest */
	assert_true(loads.a <= LOAD_BYTES * 8000000 / ((second[0] - first[1]) / 1000));
	assert_true(loads.a >= LOAD_BYTES * 8000000 / ((second[1] - first[0]) / 1000 + 1));
	assert_in_range(loads.b, 3 * loads.a, 3 * loads.a + 3);
	assert_in_range(loads.link, loads.a + loads.b, loads.a + loads.b + 2);
	loads = end_of_round(&world, first);
	assert_int_equal(loads.link + loads.a + loads.b, 0);
	finish(&world);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_devices, fixture_no_devices)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_session_has_the_vlan_of_its_apn_whatever_the_case),
		TEST(twins_share_a_class_in_one_apn_and_in_two_have_one_each_with_its_own_vlan),
		TEST(an_apn_keeps_its_number_over_a_restart_in_another_order),
		TEST(as_many_apns_as_numbers_can_be_had_and_exchanged),
		TEST(damage_to_marks_and_numbers_is_repaired),
		TEST(routers_behind_vlans_are_in_the_map_as_long_as_the_configuration_has_them),
		TEST(equal_rules_in_two_apns_lead_two_ways),
		TEST(a_restart_keeps_the_way_or_takes_the_new_one_and_gives_the_old_back),
		TEST(the_load_is_what_was_counted_in_a_round_by_apn_also_by_rules_that_ended),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
