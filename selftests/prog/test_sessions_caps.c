// SPDX-License-Identifier: Apache-2.0
/* What an APN and the link may have in all, as packets meet it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/clock.h"
#include "control/model.h"
#include "rates_world.h"

#define INTERNET 0
#define IMS	 1

static const struct sl_control_apn apns[] = {
	[INTERNET] = {.name = "internet", .cap = {8 * MBIT, 8 * MBIT}, .reserve = {UINT64_MAX, UINT64_MAX}},
	[IMS] = {.name = "ims", .reserve = {UINT64_MAX, UINT64_MAX}},
};

static const struct sl_control_config with_link = {
	.backend = SL_RATE_POLICE,
	.keep_retired = true,
	.apns = apns,
	.apn_count = 2,
	.link_cap = {20 * MBIT, 20 * MBIT},
};

static struct sl_control_config without_link(void)
{
	struct sl_control_config config = with_link;

	config.link_cap[SLUICE_UPLINK] = config.link_cap[SLUICE_DOWNLINK] = 0;
	return config;
}

static void activate(struct world *world, const char *imsi, const char *address, const char *apn,
		     struct rates rates)
{
	struct activation activation;
	struct sl_error err = {{0}};

	world_fill(&activation, imsi, address, rates_rules, 2);
	for (size_t i = 0; i < 2; i++) {
		activation.rules[i].mbr[SLUICE_DOWNLINK] = rates.mbr[i];
		activation.rules[i].gbr[SLUICE_DOWNLINK] = rates.gbr[i];
	}
	strcpy(activation.session.apn, apn);
	activation.session.has_ambr = true;
	activation.session.ambr[SLUICE_DOWNLINK] = rates.ambr;
	if (sl_control_activate(world->control, &activation.session, &err) < 0)
		fail_msg("%s", err.text);
	for (size_t i = 0; i < 2; i++)
		if (activation.requests[i].result < 0)
			fail_msg("%s", activation.requests[i].error.text);
}

/* Slot + 1 of a meter that is always there. */
static uint32_t fixed(struct world *world, uint32_t apn)
{
	return sluice_meter_fixed(sl_datapath_maps(world->datapath)->size.meters, apn, SLUICE_DOWNLINK) + 1;
}

static uint32_t number(struct world *world, int apn)
{
	uint8_t found = sl_apn_number(world->control, apns[apn].name);

	assert_int_not_equal(found, 0);
	return found;
}

static uint32_t first(struct world *world, const char *address, const char *rule)
{
	return rates_binding(world, address, rule)->downlink_meter;
}

static uint64_t dropped(struct world *world, enum sluice_drop_reason reason)
{
	struct sluice_counter drops[SLUICE_DROP_REASON_COUNT][SLUICE_DIRECTIONS];

	assert_int_equal(sl_drops_read(world->datapath, drops), 0);
	return drops[reason][SLUICE_DOWNLINK].packets;
}

static void end_all(struct world *world)
{
	world_deactivate(world, IMSI_B, NULL, NULL, true);
	rates_end(world);
}

static void a_packet_meets_rule_session_apn_and_link_in_turn_each_only_if_it_has_a_rate(void **state)
{
	const uint32_t none = SLUICE_NONE;
	struct world world;
	uint32_t own, ambr;

	(void)state;
	rates_start(&world, false, &with_link, 0);
	activate(&world, IMSI_A, ADDRESS_A, "internet", (struct rates){.ambr = 5 * MBIT, .mbr = {MBIT}});
	own = first(&world, ADDRESS_A, "web");
	ambr = first(&world, ADDRESS_A, "video");
	assert_int_equal(rates_meter(&world, own)->level, SLUICE_METER_RULE);
	assert_int_equal(rates_meter(&world, own)->parent + 1, ambr);
	assert_int_equal(rates_meter(&world, ambr)->level, SLUICE_METER_SESSION);
	assert_int_equal(rates_meter(&world, ambr)->parent + 1, fixed(&world, number(&world, INTERNET)));
	assert_int_equal(rates_meter(&world, fixed(&world, number(&world, INTERNET)))->level,
			 SLUICE_METER_APN);
	assert_int_equal(rates_meter(&world, fixed(&world, number(&world, INTERNET)))->parent + 1,
			 fixed(&world, 0));
	assert_int_equal(rates_meter(&world, fixed(&world, 0))->parent, none);

	activate(&world, IMSI_A, ADDRESS_A, "internet", (struct rates){.mbr = {MBIT}});
	assert_int_equal(rates_meter(&world, own)->parent + 1, fixed(&world, number(&world, INTERNET)));
	assert_int_equal(first(&world, ADDRESS_A, "video"), fixed(&world, number(&world, INTERNET)));

	/* an APN without a cap; and no APN of the configuration: another one is moved there */
	activate(&world, IMSI_A, ADDRESS_A, "ims", (struct rates){.ambr = 5 * MBIT});
	ambr = first(&world, ADDRESS_A, "video");
	assert_int_equal(rates_meter(&world, ambr)->parent + 1, fixed(&world, 0));
	activate(&world, IMSI_B, ADDRESS_B, "other", (struct rates){0});
	assert_int_equal(first(&world, ADDRESS_B, "web"), fixed(&world, 0));

	/* a rule with a GBR is outside the AMBR, green and yellow */
	activate(&world, IMSI_A, ADDRESS_A, "internet",
		 (struct rates){.ambr = 5 * MBIT, .mbr = {2 * MBIT}, .gbr = {MBIT}});
	own = first(&world, ADDRESS_A, "web");
	assert_int_equal(rates_meter(&world, own)->parent + 1, fixed(&world, number(&world, INTERNET)));
	assert_int_equal(rates_meter(&world, own)->green_parent + 1, fixed(&world, number(&world, INTERNET)));
	end_all(&world);
}

static void without_a_cap_on_its_way_a_session_without_rates_has_no_meter(void **state)
{
	struct sl_control_config config = without_link();
	struct world world;

	(void)state;
	rates_start(&world, false, &config, 0);
	activate(&world, IMSI_A, ADDRESS_A, "ims", (struct rates){0});
	activate(&world, IMSI_B, ADDRESS_B, "", (struct rates){0});
	assert_int_equal(first(&world, ADDRESS_A, "web"), 0);
	assert_int_equal(first(&world, ADDRESS_B, "web"), 0);
	activate(&world, IMSI_A, ADDRESS_A, "INTERNET", (struct rates){0});
	assert_int_equal(first(&world, ADDRESS_A, "web"), fixed(&world, number(&world, INTERNET)));
	assert_int_equal(rates_meter(&world, first(&world, ADDRESS_A, "web"))->parent, SLUICE_NONE);
	end_all(&world);
}

static void sessions_of_an_apn_share_its_cap_and_all_share_the_links(void **state)
{
	struct world world;
	uint64_t since, internet, all;

	(void)state;
	rates_start(&world, false, &with_link, 0);
	activate(&world, IMSI_A, ADDRESS_A, "internet", (struct rates){0});
	activate(&world, IMSI_B, ADDRESS_B, "internet", (struct rates){0});
	since = sl_now_ns();
	for (int i = 0; i < 10; i++) {
		rates_receive(&world, WEB, ADDRESS_A, 50);
		rates_receive(&world, VIDEO, ADDRESS_B, 50);
	}
	internet = rates_usage(&world, ADDRESS_A, "web")->downlink.bytes +
		   rates_usage(&world, ADDRESS_B, "video")->downlink.bytes;
	rates_assert_policed(internet, 8 * MBIT, since);
	assert_int_equal(dropped(&world, SLUICE_DROP_RATE_APN), 1000 - internet / BYTES);
	assert_int_equal(dropped(&world, SLUICE_DROP_RATE_LINK), 0);

	/* another APN has what the first one leaves of the link */
	activate(&world, IMSI_B, ADDRESS_B, "ims", (struct rates){0});
	for (int i = 0; i < 20; i++)
		rates_receive(&world, WEB, ADDRESS_B, 50);
	all = internet + rates_usage(&world, ADDRESS_B, "web")->downlink.bytes;
	rates_assert_policed(all, 20 * MBIT, since);
	assert_true(dropped(&world, SLUICE_DROP_RATE_LINK) > 0);
	end_all(&world);
}

static void what_is_guaranteed_passes_where_the_cap_is_used_up_and_is_charged_to_it(void **state)
{
	const struct timespec wait = {.tv_nsec = 100000000};
	struct sluice_meter *cap;
	struct world world;
	uint64_t charged;

	(void)state;
	rates_start(&world, false, &with_link, 0);
	activate(&world, IMSI_A, ADDRESS_A, "internet", (struct rates){.mbr = {4 * MBIT}, .gbr = {4 * MBIT}});
	activate(&world, IMSI_B, ADDRESS_B, "internet", (struct rates){0});
	cap = rates_meter(&world, fixed(&world, number(&world, INTERNET)));
	rates_receive(&world, WEB, ADDRESS_B, 500);
	for (int i = 0; i < 5; i++) {
		nanosleep(&wait, NULL);
		rates_receive(&world, WEB, ADDRESS_B, 500);
		charged = cap->tat;
		/* 50 ms of the GBR, which has rested since */
		rates_receive(&world, WEB, ADDRESS_A, 25);
		assert_int_equal(rates_usage(&world, ADDRESS_A, "web")->downlink.packets, 25 * (i + 1));
		assert_int_equal(rates_usage(&world, ADDRESS_A, "web")->downlink_dropped.packets, 0);
		assert_true(cap->tat > charged);
	}
	/* above the GBR it is as any other */
	rates_receive(&world, WEB, ADDRESS_A, 25);
	assert_true(rates_usage(&world, ADDRESS_A, "web")->downlink_dropped.packets > 20);
	end_all(&world);
}

static void a_guaranteed_rule_with_a_queue_or_without_an_mbr_passes_the_cap_as_well(void **state)
{
	const struct timespec wait = {.tv_nsec = 100000000};
	struct sl_control_config config = with_link;
	const struct sluice_meter *guard;
	struct world world;

	(void)state;
	config.backend = SL_RATE_AUTO;
	rates_start(&world, false, &config, 8);
	activate(&world, IMSI_A, ADDRESS_A, "internet",
		 (struct rates){.mbr = {6 * MBIT}, .gbr = {4 * MBIT, 2 * MBIT}});
	activate(&world, IMSI_B, ADDRESS_B, "internet", (struct rates){0});
	assert_int_not_equal(rates_binding(&world, ADDRESS_A, "web")->downlink_class, 0);
	guard = rates_meter(&world, first(&world, ADDRESS_A, "web"));
	assert_int_equal(guard->rate, 0);
	assert_int_not_equal(guard->green_rate, 0);
	for (int i = 0; i < 3; i++) {
		nanosleep(&wait, NULL);
		rates_receive(&world, WEB, ADDRESS_B, 500);
		rates_receive(&world, WEB, ADDRESS_A, 25);
		rates_receive(&world, VIDEO, ADDRESS_A, 12);
	}
	assert_int_equal(rates_usage(&world, ADDRESS_A, "web")->downlink_dropped.packets, 0);
	assert_int_equal(rates_usage(&world, ADDRESS_A, "video")->downlink_dropped.packets, 0);
	/* what is above the GBR competes for the cap */
	rates_receive(&world, VIDEO, ADDRESS_A, 100);
	assert_true(rates_usage(&world, ADDRESS_A, "video")->downlink_dropped.packets > 90);

	/* over a restart, and in an APN without a cap where nothing is above */
	world_stop(&world);
	rates_start(&world, true, &config, 8);
	assert_int_not_equal(rates_meter(&world, first(&world, ADDRESS_A, "web"))->green_rate, 0);
	assert_int_not_equal(rates_binding(&world, ADDRESS_A, "web")->downlink_class, 0);
	world_stop(&world);
	config.link_cap[SLUICE_UPLINK] = config.link_cap[SLUICE_DOWNLINK] = 0;
	rates_start(&world, true, &config, 8);
	activate(&world, IMSI_A, ADDRESS_A, "ims",
		 (struct rates){.mbr = {6 * MBIT}, .gbr = {4 * MBIT, 2 * MBIT}});
	assert_int_equal(first(&world, ADDRESS_A, "web"), 0);
	assert_int_equal(first(&world, ADDRESS_A, "video"), 0);
	assert_int_equal(world_used(&world, "meters"), 0);
	end_all(&world);
}

static void a_restart_brings_other_caps_and_what_is_used_up_stays(void **state)
{
	struct sl_control_apn other[] = {apns[IMS], apns[INTERNET]};
	struct sl_control_config config = with_link;
	struct world world;
	uint32_t cap;
	uint64_t tat;

	(void)state;
	rates_start(&world, false, &with_link, 0);
	activate(&world, IMSI_A, ADDRESS_A, "internet", (struct rates){.ambr = 5 * MBIT});
	cap = fixed(&world, number(&world, INTERNET));
	rates_receive(&world, WEB, ADDRESS_A, 10);
	tat = rates_meter(&world, cap)->tat;
	world_stop(&world);

	/* the same once more, in another order */
	config.apns = other;
	rates_start(&world, true, &config, 0);
	assert_int_equal(fixed(&world, number(&world, INTERNET)), cap);
	assert_true(rates_meter(&world, cap)->tat == tat);
	rates_assert_rate(&world, cap, 8 * MBIT);
	world_stop(&world);

	/* another cap, and none for the link */
	other[1].cap[SLUICE_DOWNLINK] = 2 * MBIT;
	config.link_cap[SLUICE_DOWNLINK] = 0;
	rates_start(&world, true, &config, 0);
	rates_assert_rate(&world, cap, 2 * MBIT);
	assert_int_equal(rates_meter(&world, cap)->parent, SLUICE_NONE);
	assert_int_equal(rates_meter(&world, fixed(&world, 0))->rate, 0);
	assert_int_equal(rates_meter(&world, rates_ambr_meter(&world, ADDRESS_A))->parent + 1, cap);
	world_stop(&world);

	/* none at all */
	other[1].cap[SLUICE_DOWNLINK] = 0;
	rates_start(&world, true, &config, 0);
	assert_int_equal(rates_meter(&world, rates_ambr_meter(&world, ADDRESS_A))->parent, SLUICE_NONE);
	assert_int_equal(rates_meter(&world, cap)->rate, 0);
	world_stop(&world);

	/* and again, also for a session that has nothing else */
	rates_start(&world, true, &with_link, 0);
	assert_int_equal(rates_meter(&world, rates_ambr_meter(&world, ADDRESS_A))->parent + 1, cap);
	activate(&world, IMSI_A, ADDRESS_A, "internet", (struct rates){0});
	world_stop(&world);
	config = without_link();
	config.apns = other;
	rates_start(&world, true, &config, 0);
	assert_int_equal(first(&world, ADDRESS_A, "web"), 0);
	world_stop(&world);
	rates_start(&world, true, &with_link, 0);
	assert_int_equal(first(&world, ADDRESS_A, "web"), cap);
	end_all(&world);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_devices, fixture_no_devices)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_packet_meets_rule_session_apn_and_link_in_turn_each_only_if_it_has_a_rate),
		TEST(without_a_cap_on_its_way_a_session_without_rates_has_no_meter),
		TEST(sessions_of_an_apn_share_its_cap_and_all_share_the_links),
		TEST(what_is_guaranteed_passes_where_the_cap_is_used_up_and_is_charged_to_it),
		TEST(a_guaranteed_rule_with_a_queue_or_without_an_mbr_passes_the_cap_as_well),
		TEST(a_restart_brings_other_caps_and_what_is_used_up_stays),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
