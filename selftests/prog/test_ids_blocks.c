// SPDX-License-Identifier: Apache-2.0
/* Blocks of the IDS: what makes them, what they drop, and how they end without anybody's help. */
#include <net/if.h>
#include <sched.h>
#include <stdio.h>

#include "ids_rig.h"
#include "qos/meter.h"

static const struct packet_spec udp = {.source = "10.0.0.1",
				       .destination = "198.51.100.9",
				       .protocol = 17,
				       .source_port = 4000,
				       .destination_port = 53,
				       .payload = 20};
static const struct packet_spec other_connection = {.source = "10.0.0.1",
						    .destination = "198.51.100.9",
						    .protocol = 17,
						    .source_port = 4001,
						    .destination_port = 53,
						    .payload = 20};

/* One packet in 10 s, then a block of the subscriber. */
static struct sluice_ids_rule blocking(uint8_t verdict, uint64_t hard, uint64_t idle, uint32_t flags)
{
	return (struct sluice_ids_rule){
		.track = SLUICE_IDS_SUBSCRIBER,
		.count = SLUICE_IDS_PACKETS,
		.verdict = verdict,
		.flags = SLUICE_IDS_BLOCKS | flags,
		.hard_ns = hard,
		.idle_ns = idle,
		.limit = {{.kind = SLUICE_IDS_EXACT, .count = 1, .window_ns = 10 * S}}};
}

static int find_block(struct ids_rig *rig, struct sluice_ids_block *out)
{
	struct sluice_ids_key key;

	if (bpf_map_get_next_key(bpf_map__fd(rig->programs->maps.ids_blocks), NULL, &key))
		return -ENOENT;
	return bpf_map_lookup_elem(bpf_map__fd(rig->programs->maps.ids_blocks), &key, out);
}

static void offend(struct ids_rig *rig)
{
	assert_int_equal(rig_up(rig, &udp), 0);
	rig_up(rig, &udp);
}

static void the_excess_makes_one_block_and_one_event_of_it(void **state)
{
	struct ids_rig *rig = *state;
	struct sluice_ids_rule rule = blocking(SLUICE_IDS_DROP, 120 * S, 30 * S, SLUICE_IDS_EXTEND);
	struct sluice_ids_block block;

	rig_uplink_rule(rig, &rule);
	offend(rig);
	for (int i = 0; i < 3; i++)
		assert_int_equal(rig_up(rig, &udp), SLUICE_DROP_IDS_BLOCK);
	rig_events(rig);
	assert_int_equal(rig->events, 1);
	assert_int_equal(rig->event[0].type, SLUICE_IDS_EVENT_BLOCK);
	assert_int_equal(rig->event[0].dropped, SLUICE_DROP_IDS_LIMIT);
	assert_int_equal(rig->rules[0].blocks, 1);
	assert_int_equal(rig_table(rig, SLUICE_IDS_TABLE_BLOCKS).made, 1);
	assert_int_equal(find_block(rig, &block), 0);
	assert_int_equal(block.since_ns, NOON);
	assert_int_equal(block.hard_ns, NOON + 120 * S);
	assert_int_equal(block.idle_ns, 30 * S);
	assert_int_equal(block.hits.packets, 3);
	assert_int_equal(block.hits.bytes, 3 * 48);
	assert_int_equal(block.flags, SLUICE_IDS_BLOCK_EXTEND);
	/* and of nobody else */
	rig->programs->bss->session = 1;
	assert_int_equal(rig_up(rig, &udp), 0);
}

static void a_hard_time_ends_a_block_to_the_nanosecond_whatever_is_sent(void **state)
{
	struct ids_rig *rig = *state;
	struct sluice_ids_rule rule = blocking(SLUICE_IDS_DROP, 120 * S, 0, SLUICE_IDS_EXTEND);

	rig_uplink_rule(rig, &rule);
	offend(rig);
	for (uint64_t at = S; at < 120 * S; at += S) {
		rig_at(rig, at);
		assert_int_equal(rig_up(rig, &udp), SLUICE_DROP_IDS_BLOCK);
	}
	rig_at(rig, 120 * S - 1);
	assert_int_equal(rig_up(rig, &udp), SLUICE_DROP_IDS_BLOCK);
	rig_at(rig, 120 * S);
	assert_int_equal(rig_up(rig, &udp), 0);
	/* the next offence has a block of its own, in the same place */
	assert_int_equal(rig_up(rig, &udp), SLUICE_DROP_IDS_LIMIT);
	assert_int_equal(rig_up(rig, &udp), SLUICE_DROP_IDS_BLOCK);
	assert_int_equal(rig->rules[0].blocks, 1);
	rig_events(rig);
	assert_int_equal(rig->event[rig->events - 1].type, SLUICE_IDS_EVENT_BLOCK);
}

static void without_extend_the_idle_time_runs_from_the_offence(void **state)
{
	struct ids_rig *rig = *state;
	struct sluice_ids_rule rule = blocking(SLUICE_IDS_DROP, 120 * S, 30 * S, 0);

	rig_uplink_rule(rig, &rule);
	offend(rig);
	for (uint64_t at = S; at < 30 * S; at += S) {
		rig_at(rig, at);
		assert_int_equal(rig_up(rig, &udp), SLUICE_DROP_IDS_BLOCK);
	}
	rig_at(rig, 30 * S);
	assert_int_equal(rig_up(rig, &udp), 0);
}

static void with_extend_who_never_pauses_stays_blocked_until_the_hard_time(void **state)
{
	struct ids_rig *rig = *state;
	struct sluice_ids_rule rule = blocking(SLUICE_IDS_DROP, 120 * S, 30 * S, SLUICE_IDS_EXTEND);
	uint32_t extended = 0;

	rig_uplink_rule(rig, &rule);
	offend(rig);
	for (uint64_t at = 29 * S; at < 117 * S; at += 29 * S) {
		rig_at(rig, at);
		assert_int_equal(rig_up(rig, &udp), SLUICE_DROP_IDS_BLOCK);
	}
	rig_events(rig);
	for (uint32_t i = 0; i < rig->events; i++)
		extended += rig->event[i].type == SLUICE_IDS_EVENT_EXTEND;
	assert_int_equal(extended, 4);
	rig_at(rig, 120 * S);
	assert_int_equal(rig_up(rig, &udp), 0);
}

static void with_extend_who_pauses_is_free_after_the_idle_time(void **state)
{
	struct ids_rig *rig = *state;
	struct sluice_ids_rule rule = blocking(SLUICE_IDS_DROP, 0, 30 * S, SLUICE_IDS_EXTEND);

	rig_uplink_rule(rig, &rule);
	offend(rig);
	rig_at(rig, 20 * S);
	assert_int_equal(rig_up(rig, &udp), SLUICE_DROP_IDS_BLOCK);
	rig_at(rig, 50 * S - 1);
	assert_int_equal(rig_up(rig, &udp), SLUICE_DROP_IDS_BLOCK);
	rig_at(rig, 80 * S - 1);
	assert_int_equal(rig_up(rig, &udp), 0);
}

static void an_observed_block_drops_nothing_and_is_told_once(void **state)
{
	struct ids_rig *rig = *state;
	struct sluice_ids_rule rule = blocking(SLUICE_IDS_DROP, 120 * S, 0, SLUICE_IDS_OBSERVE);
	struct sluice_ids_block block;
	uint32_t blocks = 0;

	rig_uplink_rule(rig, &rule);
	for (uint64_t i = 0; i < 20; i++) {
		rig_at(rig, i * S / 10);
		assert_int_equal(rig_up(rig, &udp), 0);
	}
	rig_events(rig);
	for (uint32_t i = 0; i < rig->events; i++)
		blocks += rig->event[i].type == SLUICE_IDS_EVENT_BLOCK;
	assert_int_equal(blocks, 1);
	assert_int_equal(find_block(rig, &block), 0);
	assert_int_equal(block.flags, SLUICE_IDS_BLOCK_OBSERVE);
}

static void a_quarantine_is_a_block_that_leaves_the_packets_to_the_agent(void **state)
{
	static const uint8_t verdicts[] = {SLUICE_IDS_QUARANTINE, SLUICE_IDS_REDIRECT, SLUICE_IDS_ALERT,
					   SLUICE_IDS_NOTIFY};
	struct ids_rig *rig = *state;

	for (size_t i = 0; i < SL_ARRAY_SIZE(verdicts); i++) {
		struct sluice_ids_rule rule = blocking(verdicts[i], 120 * S, 0, 0);
		struct sluice_ids_block block;

		rig_reset(state);
		rig_uplink_rule(rig, &rule);
		for (int k = 0; k < 4; k++)
			assert_int_equal(rig_up(rig, &udp), 0);
		assert_int_equal(find_block(rig, &block), 0);
		assert_int_equal(block.verdict, verdicts[i]);
	}
}

static void drop_connection_drops_the_one_that_offended_and_leaves_the_subscriber_others(void **state)
{
	struct ids_rig *rig = *state;
	struct sluice_ids_rule rule = blocking(SLUICE_IDS_DROP_CONNECTION, 120 * S, 0, 0);

	rig_uplink_rule(rig, &rule);
	offend(rig);
	rig_at(rig, 20 * S);
	assert_int_equal(rig_up(rig, &udp), SLUICE_DROP_IDS_BLOCK);
	assert_int_equal(rig_up(rig, &other_connection), 0);
	assert_int_equal(rig_up(rig, &other_connection), SLUICE_DROP_IDS_LIMIT);
}

static void police_lets_its_rate_through_and_no_more(void **state)
{
	struct ids_rig *rig = *state;
	struct sluice_ids_rule rule = blocking(SLUICE_IDS_POLICE, 3600 * S, 0, 0);
	struct sluice_ids_match match = rig_match(SLUICE_UPLINK);
	uint64_t rate = 0, passed = 0;

	/* 8 kbit/s are 1,000 bytes a second */
	assert_int_equal(sl_meter_rate(8000, 100 * MS, 1500, &rate, NULL), 0);
	rule.police = rate;
	rig_rule(rig, &rule, &match, 1);
	offend(rig);
	for (uint64_t i = 1; i <= 1000; i++) {
		rig_at(rig, i * 10 * MS);
		passed += rig_up(rig, &udp) == 0 ? 48 : 0;
	}
	assert_in_range(passed, 10000 - 48, 10000 + sl_meter_burst(rate));
}

static void a_full_table_of_blocks_leaves_the_limit_in_force(void **state)
{
	struct ids_rig *rig = *state;
	struct sluice_ids_rule rule = blocking(SLUICE_IDS_DROP, 120 * S, 0, 0);
	struct sluice_ids_block block = {.verdict = SLUICE_IDS_DROP};

	for (uint32_t i = 0; i < RIG_ENTRIES; i++) {
		struct sluice_ids_key key = {.rule = 99, .number = i};

		assert_int_equal(bpf_map_update_elem(bpf_map__fd(rig->programs->maps.ids_blocks), &key,
						     &block, BPF_ANY),
				 0);
	}
	rig_uplink_rule(rig, &rule);
	offend(rig);
	assert_int_equal(rig_up(rig, &udp), SLUICE_DROP_IDS_LIMIT);
	assert_int_equal(rig_table(rig, SLUICE_IDS_TABLE_BLOCKS).refused, 2);
	assert_int_equal(rig_counts(rig, 0).keys_refused, 2);
	rig_events(rig);
	assert_int_equal(rig->events, 1);
	assert_int_equal(rig->event[0].type, SLUICE_IDS_EVENT_EXCESS);
}

/* --- operators ------------------------------------------------------------------------ */

static void block_by_hand(struct ids_rig *rig, const struct sluice_ids_key *key, uint64_t hard_ns)
{
	struct sluice_ids_block block = {.since_ns = NOON,
					 .hard_ns = hard_ns,
					 .verdict = SLUICE_IDS_DROP,
					 .flags = SLUICE_IDS_BLOCK_OPERATOR};

	assert_int_equal(
		bpf_map_update_elem(bpf_map__fd(rig->programs->maps.ids_blocks), key, &block, BPF_ANY), 0);
	rig->settings->operator_tracks |= 1u << key->track;
	rig->settings->active |= SLUICE_IDS_ACTIVE_OPERATOR;
}

static void an_operator_blocks_a_subscriber_an_address_a_pair_or_a_connection(void **state)
{
	static const struct packet_spec six = {.source = "2001:db8::1",
					       .destination = "2001:db8:9::9",
					       .protocol = 17,
					       .source_port = 1,
					       .destination_port = 2};
	struct ids_rig *rig = *state;
	struct sluice_ids_key subscriber = {.track = SLUICE_IDS_SUBSCRIBER};
	struct sluice_ids_key source = {.track = SLUICE_IDS_SOURCE, .family = 6};
	struct sluice_ids_key destination = {.track = SLUICE_IDS_DESTINATION, .family = 4};
	struct sluice_ids_key pair = {.track = SLUICE_IDS_PAIR, .family = 4};
	struct sluice_ids_key connection = {.track = SLUICE_IDS_CONNECTION,
					    .family = 4,
					    .protocol = 17,
					    .local_port = 4000,
					    .remote_port = 53};
	const struct {
		const struct sluice_ids_key *key;
		const struct packet_spec *yes, *no;
		uint32_t session; /* of `yes` */
	} all[] = {{&subscriber, &udp, &udp, 1},
		   {&source, &six, &udp, 0},
		   {&destination, &udp, &six, 0},
		   {&pair, &other_connection, &six, 0},
		   {&connection, &udp, &other_connection, 0}};

	memcpy(subscriber.local, "001010000000002", 16);
	inet_pton(AF_INET6, "2001:db8::1", source.remote);
	inet_pton(AF_INET, "198.51.100.9", destination.remote);
	inet_pton(AF_INET, "10.0.0.1", pair.local);
	inet_pton(AF_INET, "198.51.100.9", pair.remote);
	inet_pton(AF_INET, "10.0.0.1", connection.local);
	inet_pton(AF_INET, "198.51.100.9", connection.remote);
	for (size_t i = 0; i < SL_ARRAY_SIZE(all); i++) {
		rig_reset(state);
		block_by_hand(rig, all[i].key, NOON + 60 * S);
		rig->programs->bss->session = all[i].session;
		assert_int_equal(rig_up(rig, all[i].yes), SLUICE_DROP_IDS_BLOCK);
		rig->programs->bss->session = 0;
		assert_int_equal(rig_up(rig, all[i].no), 0);
		/* it needs no agent to end */
		rig_at(rig, 60 * S);
		rig->programs->bss->session = all[i].session;
		assert_int_equal(rig_up(rig, all[i].yes), 0);
	}
}

static void an_operators_block_comes_before_every_rule_and_those_that_tell_still_see_it(void **state)
{
	struct ids_rig *rig = *state;
	struct sluice_ids_rule acts = rig_exact(SLUICE_IDS_SUBSCRIBER, SLUICE_IDS_PACKETS, 1);
	struct sluice_ids_rule tells = acts;
	struct sluice_ids_key key = {.track = SLUICE_IDS_SUBSCRIBER};

	tells.verdict = SLUICE_IDS_ALERT;
	rig_uplink_rule(rig, &acts);
	rig_uplink_rule(rig, &tells);
	memcpy(key.local, "001010000000001", 16);
	block_by_hand(rig, &key, 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(rig_up(rig, &udp), SLUICE_DROP_IDS_BLOCK);
	assert_int_equal(rig_counts(rig, 0).matched.packets, 0);
	assert_int_equal(rig_counts(rig, 1).matched.packets, 3);
	assert_int_equal(rig->dropped[0].packets, 3);
}

/* --- mirror ------------------------------------------------------------------------------ */

static uint64_t sent_on_mirror(void)
{
	unsigned long long count = 0;
	FILE *file = popen("ip -s -j link show mirror0 | sed "
			   "'s/.*\"tx\":{\"bytes\":[0-9]*,\"packets\":\\([0-9]*\\).*/\\1/'",
			   "r");

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%llu", &count), 1);
	pclose(file);
	return count;
}

static void a_mirror_gets_a_copy_of_the_excess_and_of_all_while_its_block_is_in_force(void **state)
{
	struct ids_rig *rig = *state;
	struct sluice_ids_rule rule = blocking(SLUICE_IDS_MIRROR, 60 * S, 0, 0);
	struct sluice_steer steer = {.mode = SLUICE_STEER_MIRROR};
	uint32_t slot = 5;

	assert_int_equal(unshare(CLONE_NEWNET), 0);
	assert_int_equal(system("ip link set lo up && ip link add mirror0 type veth peer name mirror1 && "
				"sysctl -qw net.ipv6.conf.mirror0.disable_ipv6=1 "
				"net.ipv6.conf.mirror1.disable_ipv6=1 && "
				"ip link set mirror0 up && ip link set mirror1 up"),
			 0);
	steer.ifindex = if_nametoindex("mirror0");
	assert_int_equal(bpf_map_update_elem(bpf_map__fd(rig->programs->maps.steers), &slot, &steer, BPF_ANY),
			 0);
	rule.steer = slot;
	rig_uplink_rule(rig, &rule);
	assert_int_equal(rig_up(rig, &udp), 0);
	assert_int_equal(sent_on_mirror(), 0);
	assert_int_equal(rig_up(rig, &udp), 0);
	assert_int_equal(sent_on_mirror(), 1);
	rig_at(rig, 20 * S);
	assert_int_equal(rig_up(rig, &udp), 0);
	assert_int_equal(sent_on_mirror(), 2);
	rig_at(rig, 60 * S);
	assert_int_equal(rig_up(rig, &udp), 0);
	assert_int_equal(sent_on_mirror(), 2);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, rig_reset)
	const struct CMUnitTest tests[] = {
		TEST(the_excess_makes_one_block_and_one_event_of_it),
		TEST(a_hard_time_ends_a_block_to_the_nanosecond_whatever_is_sent),
		TEST(without_extend_the_idle_time_runs_from_the_offence),
		TEST(with_extend_who_never_pauses_stays_blocked_until_the_hard_time),
		TEST(with_extend_who_pauses_is_free_after_the_idle_time),
		TEST(an_observed_block_drops_nothing_and_is_told_once),
		TEST(a_quarantine_is_a_block_that_leaves_the_packets_to_the_agent),
		TEST(drop_connection_drops_the_one_that_offended_and_leaves_the_subscriber_others),
		TEST(police_lets_its_rate_through_and_no_more),
		TEST(a_full_table_of_blocks_leaves_the_limit_in_force),
		TEST(an_operator_blocks_a_subscriber_an_address_a_pair_or_a_connection),
		TEST(an_operators_block_comes_before_every_rule_and_those_that_tell_still_see_it),
		TEST(a_mirror_gets_a_copy_of_the_excess_and_of_all_while_its_block_is_in_force),
	};

	return cmocka_run_group_tests(tests, rig_open, rig_close);
}
