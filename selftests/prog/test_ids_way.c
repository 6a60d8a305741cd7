// SPDX-License-Identifier: Apache-2.0
/* Where the IDS stands on a packet's way through the real programs: after its rule, before its charge. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <sys/mman.h>

#include "bpfrun_fixture.h"
#include "bpfrun_rig.h"
#include "sluice/ids.h"

static const struct packet_spec up = {.source = "10.0.0.1",
				      .destination = "198.51.100.9",
				      .protocol = 17,
				      .source_port = 4000,
				      .destination_port = 53,
				      .payload = 20};
static const struct packet_spec down = {.source = "198.51.100.9",
					.destination = "10.0.0.1",
					.protocol = 17,
					.source_port = 53,
					.destination_port = 4000,
					.payload = 20};
static const struct bpfrun_rule permit[] = {
	{.direction = SLUICE_UPLINK, .action = SLUICE_PERMIT, .remote = "198.51.100.0/24"},
	{.direction = SLUICE_DOWNLINK, .action = SLUICE_PERMIT, .remote = "198.51.100.0/24"},
};

static void put(const struct bpf_map *map, uint32_t slot, const void *value)
{
	assert_int_equal(bpf_map_update_elem(bpf_map__fd(map), &slot, value, BPF_ANY), 0);
}

/* `limit` packets in a minute of a subscriber in one direction; 0: the rule is taken out. */
static void set_rule(enum sluice_direction direction, uint64_t limit)
{
	static struct sluice_ids_settings settings;
	static uint32_t revision;
	struct sluice_ids_match match = {.direction = (uint8_t)direction, .verdict = SLUICE_PERMIT};
	struct sluice_ids_rule rule = {
		.in_use = 1,
		.revision = ++revision,
		.match_count = 1,
		.track = SLUICE_IDS_SUBSCRIBER,
		.count = SLUICE_IDS_PACKETS,
		.verdict = SLUICE_IDS_DROP,
		.limit_count = 1,
		.identity = 1,
		.limit = {{.kind = SLUICE_IDS_EXACT, .count = limit, .window_ns = 60000000000ull}}};

	memset(&settings, 0, sizeof(settings));
	if (limit) {
		settings.active = SLUICE_IDS_ACTIVE_RULES;
		memset(settings.order[0].candidates[direction], 0xff,
		       sizeof(settings.order[0].candidates[direction]));
		for (int protocol = 0; protocol < 256; protocol++)
			settings.order[0].candidates[direction][protocol] = 1;
	}
	put(run->tc->maps.ids_matches, 0, &match);
	put(run->tc->maps.ids_rules, 0, &rule);
	put(run->tc->maps.ids_settings, 0, &settings);
}

static struct bpfrun_session session_of(void)
{
	struct bpfrun_session session = bpfrun_session(run, "10.0.0.1", permit, 2);
	struct sluice_session_record record = {
		.state = SLUICE_SESSION_ACTIVE, .family = 4, .imsi = "001010000000001"};

	put(run->tc->maps.sessions, session.session, &record);
	return session;
}

static struct sluice_counter lost_of(uint32_t session)
{
	struct sluice_counter lost;

	assert_int_equal(bpf_map_lookup_elem(bpf_map__fd(run->tc->maps.ids_dropped), &session, &lost), 0);
	return lost;
}

static void what_the_ids_drops_is_charged_to_nobody_and_has_its_own_reason(void **state)
{
	static const struct {
		enum sluice_direction direction;
		enum bpfrun_program program;
		const struct packet_spec *spec;
	} ways[] = {{SLUICE_UPLINK, BPFRUN_ACCESS_INGRESS, &up},
		    {SLUICE_DOWNLINK, BPFRUN_ACCESS_EGRESS, &down}};

	(void)state;
	for (size_t i = 0; i < 2; i++) {
		struct sluice_counter before, lost;
		const struct sluice_usage *usage;
		struct bpfrun_session session;

		bpfrun_reset(run);
		session = session_of();
		set_rule(ways[i].direction, 3);
		before = lost_of(session.session);
		for (int k = 0; k < 3; k++)
			assert_int_equal(bpfrun_send(run, ways[i].program, ways[i].spec), BPFRUN_TC_NEXT);
		for (int k = 0; k < 2; k++)
			assert_int_equal(bpfrun_send(run, ways[i].program, ways[i].spec), BPFRUN_TC_DROP);
		usage = bpfrun_usage(run, session.base + 1 + (uint32_t)i);
		assert_int_equal(i ? usage->downlink.packets : usage->uplink.packets, 3);
		assert_int_equal(usage->uplink_dropped.packets + usage->downlink_dropped.packets, 0);
		assert_int_equal(bpfrun_counters(run).usage_dropped.packets, 0);
		assert_int_equal(bpfrun_drops(run, SLUICE_DROP_IDS_LIMIT, ways[i].direction).packets, 2);
		assert_int_equal(bpfrun_drops(run, SLUICE_DROP_IDS_LIMIT, ways[i].direction).bytes, 96);
		lost = lost_of(session.session);
		assert_int_equal(lost.packets - before.packets, 2);
		assert_int_equal(lost.bytes - before.bytes, 96);
	}
	set_rule(SLUICE_UPLINK, 0);
}

static void what_its_rules_drop_anyway_and_unknown_subscribers_are_not_asked(void **state)
{
	struct packet_spec denied = up, unknown = up;
	struct bpfrun_session session;

	(void)state;
	bpfrun_reset(run);
	session = session_of();
	set_rule(SLUICE_UPLINK, 1);
	denied.destination = "203.0.113.1";
	unknown.source = "10.0.0.77";
	for (int i = 0; i < 5; i++) {
		assert_int_equal(bpfrun_send(run, BPFRUN_ACCESS_INGRESS, &denied), BPFRUN_TC_DROP);
		assert_int_equal(bpfrun_send(run, BPFRUN_ACCESS_INGRESS, &unknown), BPFRUN_TC_DROP);
	}
	bpfrun_settings(run)->unknown_drop = 0;
	for (int i = 0; i < 5; i++)
		assert_int_equal(bpfrun_send(run, BPFRUN_ACCESS_INGRESS, &unknown), BPFRUN_TC_NEXT);
	bpfrun_settings(run)->unknown_drop = 1;
	assert_int_equal(bpfrun_drops(run, SLUICE_DROP_IDS_LIMIT, SLUICE_UPLINK).packets, 0);
	assert_int_equal(bpfrun_usage(run, session.base)->uplink_dropped.packets, 5);
	/* nothing of them was counted */
	assert_int_equal(bpfrun_send(run, BPFRUN_ACCESS_INGRESS, &up), BPFRUN_TC_NEXT);
	assert_int_equal(bpfrun_send(run, BPFRUN_ACCESS_INGRESS, &up), BPFRUN_TC_DROP);
	set_rule(SLUICE_UPLINK, 0);
	assert_int_equal(bpfrun_send(run, BPFRUN_ACCESS_INGRESS, &up), BPFRUN_TC_NEXT);
}

static void a_drop_by_the_ids_is_reported_to_who_watches(void **state)
{
	struct sluice_drop_event event;

	(void)state;
	bpfrun_reset(run);
	session_of();
	set_rule(SLUICE_UPLINK, 1);
	bpfrun_settings(run)->watch_drops = 1;
	assert_int_equal(bpfrun_send(run, BPFRUN_ACCESS_INGRESS, &up), BPFRUN_TC_NEXT);
	assert_false(bpfrun_event(run, &event));
	assert_int_equal(bpfrun_send(run, BPFRUN_ACCESS_INGRESS, &up), BPFRUN_TC_DROP);
	assert_true(bpfrun_event(run, &event));
	assert_int_equal(event.reason, SLUICE_DROP_IDS_LIMIT);
	bpfrun_settings(run)->watch_drops = 0;
	set_rule(SLUICE_UPLINK, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_the_ids_drops_is_charged_to_nobody_and_has_its_own_reason),
		cmocka_unit_test(what_its_rules_drop_anyway_and_unknown_subscribers_are_not_asked),
		cmocka_unit_test(a_drop_by_the_ids_is_reported_to_who_watches),
	};

	return cmocka_run_group_tests(tests, open_rig, close_rig);
}
