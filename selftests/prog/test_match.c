// SPDX-License-Identifier: Apache-2.0
/* Which rule of a session decides: order, every field of a match entry, deadlines, lists of any length. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include <netinet/in.h>

#include "bpfrun_fixture.h"

#define UE4	"10.0.0.5"
#define UE6	"2001:db8:5::7"
#define SERVER4 "198.51.100.9"
#define SERVER6 "2001:db8:99::9"

static int setup(void **state)
{
	(void)state;
	bpfrun_reset(run);
	return 0;
}

#define NO_RULE (-1)

/* The rule on whose account the packet went; its verdict must be that rule's action. */
static int deciding_rule(const struct bpfrun_session *session, const struct bpfrun_rule *rules, int count,
			 const struct packet_spec *spec, enum sluice_direction direction)
{
	bool uplink = direction == SLUICE_UPLINK;
	int verdict, found = NO_RULE, changes = 0;
	struct sluice_usage *before = calloc((size_t)count + 1, sizeof(*before));

	assert_non_null(before);
	for (int i = 0; i <= count; i++)
		before[i] = *bpfrun_usage(run, session->base + (uint32_t)i);
	verdict = bpfrun_send(run, uplink ? BPFRUN_ACCESS_INGRESS : BPFRUN_ACCESS_EGRESS, spec);
	for (int i = 0; i <= count; i++) {
		const struct sluice_usage *after = bpfrun_usage(run, session->base + (uint32_t)i);
		bool dropped = i == 0 || rules[i - 1].action == SLUICE_DENY;

		if (!memcmp(after, &before[i], sizeof(*after)))
			continue;
		changes++;
		found = i - 1;
		assert_int_equal(verdict, dropped ? BPFRUN_TC_DROP : BPFRUN_TC_NEXT);
		if (dropped && uplink)
			assert_int_equal(after->uplink_dropped.packets, before[i].uplink_dropped.packets + 1);
		else if (dropped)
			assert_int_equal(after->downlink_dropped.packets,
					 before[i].downlink_dropped.packets + 1);
		else if (uplink)
			assert_int_equal(after->uplink.packets, before[i].uplink.packets + 1);
		else
			assert_int_equal(after->downlink.packets, before[i].downlink.packets + 1);
	}
	free(before);
	assert_int_equal(changes, 1);
	return found;
}

#define UP4(...)                                                                                     \
	&(struct packet_spec)                                                                        \
	{                                                                                            \
		.source = UE4, .destination = SERVER4, .protocol = IPPROTO_UDP, .source_port = 4000, \
		.destination_port = 53, __VA_ARGS__                                                  \
	}
#define DOWN4(...)                                                                                 \
	&(struct packet_spec)                                                                      \
	{                                                                                          \
		.source = SERVER4, .destination = UE4, .protocol = IPPROTO_UDP, .source_port = 53, \
		.destination_port = 4000, __VA_ARGS__                                              \
	}
#define UP6(...)                                                                                     \
	&(struct packet_spec)                                                                        \
	{                                                                                            \
		.source = UE6, .destination = SERVER6, .protocol = IPPROTO_UDP, .source_port = 4000, \
		.destination_port = 53, __VA_ARGS__                                                  \
	}
#define DOWN6(...)                                                                                 \
	&(struct packet_spec)                                                                      \
	{                                                                                          \
		.source = SERVER6, .destination = UE6, .protocol = IPPROTO_UDP, .source_port = 53, \
		.destination_port = 4000, __VA_ARGS__                                              \
	}

/* Later members win in a compound literal: that is how the packets above are varied. */
#pragma GCC diagnostic ignored "-Woverride-init"

static void a_session_without_rules_drops_by_default_and_counts_it(void **state)
{
	struct bpfrun_session s4 = bpfrun_session(run, UE4, NULL, 0);
	struct bpfrun_session s6 = bpfrun_session(run, UE6, NULL, 0);

	(void)state;
	assert_int_equal(deciding_rule(&s4, NULL, 0, UP4(), SLUICE_UPLINK), NO_RULE);
	assert_int_equal(deciding_rule(&s4, NULL, 0, DOWN4(), SLUICE_DOWNLINK), NO_RULE);
	assert_int_equal(deciding_rule(&s6, NULL, 0, UP6(), SLUICE_UPLINK), NO_RULE);
	assert_int_equal(deciding_rule(&s6, NULL, 0, DOWN6(), SLUICE_DOWNLINK), NO_RULE);
	assert_int_equal(bpfrun_drops(run, SLUICE_DROP_NO_RULE, SLUICE_UPLINK).packets, 2);
	assert_int_equal(bpfrun_drops(run, SLUICE_DROP_NO_RULE, SLUICE_DOWNLINK).packets, 2);
}

static void a_rule_decides_only_in_its_direction(void **state)
{
	static const struct bpfrun_rule rules[] = {{SLUICE_UPLINK, SLUICE_PERMIT, .remote = NULL}};
	struct bpfrun_session session = bpfrun_session(run, UE4, rules, 1);

	(void)state;
	assert_int_equal(deciding_rule(&session, rules, 1, UP4(), SLUICE_UPLINK), 0);
	assert_int_equal(deciding_rule(&session, rules, 1, DOWN4(), SLUICE_DOWNLINK), NO_RULE);
}

static void the_first_entry_that_matches_decides(void **state)
{
	static const struct bpfrun_rule rules[] = {
		{SLUICE_UPLINK, SLUICE_PERMIT, .remote = "198.51.100.0/28"},
		{SLUICE_UPLINK, SLUICE_DENY, .remote = "198.51.100.0/24"},
		{SLUICE_UPLINK, SLUICE_PERMIT, .remote = NULL},
		{SLUICE_UPLINK, SLUICE_DENY, .remote = NULL},
	};
	struct bpfrun_session session = bpfrun_session(run, UE4, rules, 4);

	(void)state;
	assert_int_equal(
		deciding_rule(&session, rules, 4, UP4(.destination = "198.51.100.15"), SLUICE_UPLINK), 0);
	assert_int_equal(
		deciding_rule(&session, rules, 4, UP4(.destination = "198.51.100.16"), SLUICE_UPLINK), 1);
	assert_int_equal(deciding_rule(&session, rules, 4, UP4(.destination = "198.51.101.0"), SLUICE_UPLINK),
			 2);
}

static void a_denied_packet_is_dropped_and_counted_under_its_rule(void **state)
{
	static const struct bpfrun_rule rules[] = {
		{SLUICE_UPLINK, SLUICE_DENY, .remote = NULL},
		{SLUICE_DOWNLINK, SLUICE_DENY, .remote = NULL},
	};
	struct bpfrun_session session = bpfrun_session(run, UE4, rules, 2);

	(void)state;
	assert_int_equal(deciding_rule(&session, rules, 2, UP4(), SLUICE_UPLINK), 0);
	assert_int_equal(deciding_rule(&session, rules, 2, DOWN4(), SLUICE_DOWNLINK), 1);
	assert_int_equal(bpfrun_drops(run, SLUICE_DROP_RULE_DENY, SLUICE_UPLINK).bytes, 28);
	assert_int_equal(bpfrun_drops(run, SLUICE_DROP_RULE_DENY, SLUICE_DOWNLINK).bytes, 28);
}

static void the_remote_prefix_is_the_destination_up_and_the_source_down(void **state)
{
	static const struct bpfrun_rule rules[] = {
		{SLUICE_UPLINK, SLUICE_PERMIT, .remote = "198.51.100.9"},
		{SLUICE_DOWNLINK, SLUICE_PERMIT, .remote = "198.51.100.9"},
	};
	struct bpfrun_session session = bpfrun_session(run, UE4, rules, 2);

	(void)state;
	assert_int_equal(deciding_rule(&session, rules, 2, UP4(), SLUICE_UPLINK), 0);
	assert_int_equal(deciding_rule(&session, rules, 2, UP4(.destination = "198.51.100.8"), SLUICE_UPLINK),
			 NO_RULE);
	assert_int_equal(deciding_rule(&session, rules, 2, DOWN4(), SLUICE_DOWNLINK), 1);
	assert_int_equal(deciding_rule(&session, rules, 2, DOWN4(.source = "198.51.100.10"), SLUICE_DOWNLINK),
			 NO_RULE);
}

static void ipv6_prefixes_of_any_length_match_exactly(void **state)
{
	static const struct {
		const char *prefix, *inside, *outside;
	} cases[] = {
		{"2000::/3", "3fff::1", "4000::1"},
		{"2001:db8:99::/48", "2001:db8:99:ffff::1", "2001:db8:9a::1"},
		{"2001:db8:99:8000::/49", "2001:db8:99:ffff::1", "2001:db8:99:7fff::1"},
		{"2001:db8:99:1::/64", "2001:db8:99:1:ffff::", "2001:db8:99:2::"},
		{"2001:db8:99:1:8000::/65", "2001:db8:99:1:8000::", "2001:db8:99:1:7fff::"},
		{"2001:db8::ff00/120", "2001:db8::ffff", "2001:db8::fe00"},
		{"2001:db8::1/128", "2001:db8::1", "2001:db8::2"},
		{"2001:db8::1", "2001:db8::1", "2001:db9::1"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bpfrun_rule rules[] = {
			{SLUICE_UPLINK, SLUICE_PERMIT, .remote = cases[i].prefix},
			{SLUICE_DOWNLINK, SLUICE_PERMIT, .remote = cases[i].prefix},
		};
		struct bpfrun_session session = bpfrun_session(run, UE6, rules, 2);

		assert_int_equal(
			deciding_rule(&session, rules, 2, UP6(.destination = cases[i].inside), SLUICE_UPLINK),
			0);
		assert_int_equal(deciding_rule(&session, rules, 2, UP6(.destination = cases[i].outside),
					       SLUICE_UPLINK),
				 NO_RULE);
		assert_int_equal(
			deciding_rule(&session, rules, 2, DOWN6(.source = cases[i].inside), SLUICE_DOWNLINK),
			1);
		assert_int_equal(
			deciding_rule(&session, rules, 2, DOWN6(.source = cases[i].outside), SLUICE_DOWNLINK),
			NO_RULE);
	}
}

static void ipv4_prefixes_of_any_length_match_exactly(void **state)
{
	static const struct {
		const char *prefix, *inside, *outside;
	} cases[] = {
		{"128.0.0.0/1", "255.0.0.1", "127.0.0.1"},
		{"198.51.96.0/19", "198.51.127.255", "198.51.128.0"},
		{"198.51.100.0/24", "198.51.100.255", "198.51.101.0"},
		{"198.51.100.8/31", "198.51.100.9", "198.51.100.10"},
		{"198.51.100.9/32", "198.51.100.9", "198.51.100.8"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct bpfrun_rule rules[] = {{SLUICE_UPLINK, SLUICE_PERMIT, .remote = cases[i].prefix}};
		struct bpfrun_session session = bpfrun_session(run, UE4, rules, 1);

		assert_int_equal(
			deciding_rule(&session, rules, 1, UP4(.destination = cases[i].inside), SLUICE_UPLINK),
			0);
		assert_int_equal(deciding_rule(&session, rules, 1, UP4(.destination = cases[i].outside),
					       SLUICE_UPLINK),
				 NO_RULE);
	}
}

static void a_rule_with_a_protocol_matches_that_protocol_only(void **state)
{
	static const struct bpfrun_rule rules[] = {
		{SLUICE_UPLINK, SLUICE_PERMIT, .protocol = IPPROTO_TCP},
		{SLUICE_UPLINK, SLUICE_PERMIT, .protocol = IPPROTO_ICMP},
		{SLUICE_UPLINK, SLUICE_PERMIT, .protocol = IPPROTO_ESP},
	};
	struct bpfrun_session session = bpfrun_session(run, UE4, rules, 3);

	(void)state;
	assert_int_equal(deciding_rule(&session, rules, 3, UP4(.protocol = IPPROTO_TCP), SLUICE_UPLINK), 0);
	assert_int_equal(deciding_rule(&session, rules, 3, UP4(.protocol = IPPROTO_ICMP), SLUICE_UPLINK), 1);
	assert_int_equal(
		deciding_rule(&session, rules, 3, UP4(.protocol = IPPROTO_ESP, .payload = 40), SLUICE_UPLINK),
		2);
	assert_int_equal(deciding_rule(&session, rules, 3, UP4(), SLUICE_UPLINK), NO_RULE);
}

static void port_ranges_are_inclusive_on_both_sides_and_in_both_directions(void **state)
{
	static const struct bpfrun_rule rules[] = {
		{SLUICE_UPLINK, SLUICE_PERMIT, .protocol = IPPROTO_UDP, .remote_port = {1000, 2000},
		 .local_port = {40, 50}},
		{SLUICE_DOWNLINK, SLUICE_PERMIT, .protocol = IPPROTO_UDP, .remote_port = {1000, 2000},
		 .local_port = {40, 50}},
	};
	static const struct {
		uint16_t remote, local;
		bool inside;
	} cases[] = {
		{1000, 40, true},   {2000, 50, true},  {1500, 45, true},  {999, 45, false},
		{2001, 45, false},  {1500, 39, false}, {1500, 51, false}, {45, 1500, false},
		{65535, 45, false}, {0, 45, false},
	};
	struct bpfrun_session s4 = bpfrun_session(run, UE4, rules, 2);
	struct bpfrun_session s6 = bpfrun_session(run, UE6, rules, 2);

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint16_t remote = cases[i].remote, local = cases[i].local;

		assert_int_equal(deciding_rule(&s4, rules, 2,
					       UP4(.source_port = local, .destination_port = remote),
					       SLUICE_UPLINK),
				 cases[i].inside ? 0 : NO_RULE);
		assert_int_equal(deciding_rule(&s4, rules, 2,
					       DOWN4(.source_port = remote, .destination_port = local),
					       SLUICE_DOWNLINK),
				 cases[i].inside ? 1 : NO_RULE);
		assert_int_equal(deciding_rule(&s6, rules, 2,
					       UP6(.source_port = local, .destination_port = remote),
					       SLUICE_UPLINK),
				 cases[i].inside ? 0 : NO_RULE);
		assert_int_equal(deciding_rule(&s6, rules, 2,
					       DOWN6(.source_port = remote, .destination_port = local),
					       SLUICE_DOWNLINK),
				 cases[i].inside ? 1 : NO_RULE);
	}
}

static void a_later_fragment_never_matches_ports_but_goes_on_to_the_next_rule(void **state)
{
	static const struct bpfrun_rule rules[] = {
		/* a range that spans all ports is still a condition on ports */
		{SLUICE_UPLINK, SLUICE_PERMIT, .protocol = IPPROTO_UDP, .local_port = {0, 65535}},
		{SLUICE_UPLINK, SLUICE_DENY, .protocol = IPPROTO_UDP, .remote_port = {53, 53}},
		{SLUICE_UPLINK, SLUICE_PERMIT, .protocol = IPPROTO_UDP},
	};
	struct bpfrun_session s4 = bpfrun_session(run, UE4, rules, 3);
	struct bpfrun_session s6 = bpfrun_session(run, UE6, rules, 3);

	(void)state;
	assert_int_equal(deciding_rule(&s4, rules, 3, UP4(), SLUICE_UPLINK), 0);
	assert_int_equal(
		deciding_rule(&s4, rules, 3, UP4(.more_fragments = true, .payload = 8), SLUICE_UPLINK), 0);
	assert_int_equal(
		deciding_rule(&s4, rules, 3, UP4(.fragment_offset = 16, .payload = 64), SLUICE_UPLINK), 2);
	assert_int_equal(
		deciding_rule(&s6, rules, 3,
			      UP6(.extension = {IPPROTO_FRAGMENT}, .fragment_offset = 16, .payload = 64),
			      SLUICE_UPLINK),
		2);
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void a_rule_past_its_deadline_gives_way_to_the_next(void **state)
{
	uint64_t hour = 3600ULL * 1000000000;
	struct bpfrun_rule rules[] = {
		{SLUICE_UPLINK, SLUICE_DENY, .deadline_ns = 1},
		{SLUICE_UPLINK, SLUICE_PERMIT, .deadline_ns = now_ns()},
		{SLUICE_UPLINK, SLUICE_PERMIT, .deadline_ns = now_ns() + hour},
		{SLUICE_UPLINK, SLUICE_DENY, .remote = NULL},
	};
	struct bpfrun_session session = bpfrun_session(run, UE4, rules, 4);

	(void)state;
	assert_int_equal(deciding_rule(&session, rules, 4, UP4(), SLUICE_UPLINK), 2);
	session = bpfrun_session(run, UE4, rules, 2);
	assert_int_equal(deciding_rule(&session, rules, 2, UP4(), SLUICE_UPLINK), NO_RULE);
}

static void a_deadline_holds_for_bindings_outside_the_policy_too(void **state)
{
	struct bpfrun_rule rules[20] = {0};
	struct bpfrun_session session;

	(void)state;
	for (int i = 0; i < 19; i++)
		rules[i] = (struct bpfrun_rule){SLUICE_UPLINK, SLUICE_PERMIT, .deadline_ns = 1};
	rules[19] = (struct bpfrun_rule){SLUICE_UPLINK, SLUICE_PERMIT, .remote = NULL};
	session = bpfrun_session(run, UE4, rules, 20);
	assert_int_equal(deciding_rule(&session, rules, 20, UP4(), SLUICE_UPLINK), 19);
}

/* Rule i permits port 1000 + i: in lists of every length around the block size and far beyond. */
static void every_entry_of_a_list_of_any_length_is_reached_and_none_beyond(void **state)
{
	static const int lengths[] = {1, 2, 7, 8, 9, 15, 16, 17, 63, 64, 65, 100, 1000};
	static struct bpfrun_rule rules[1000];

	(void)state;
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		int count = lengths[i], step = count > 100 ? 37 : 1;
		struct bpfrun_session s4, s6;

		bpfrun_reset(run);
		for (int j = 0; j < count; j++) {
			uint16_t port = (uint16_t)(1000 + j);

			rules[j] = (struct bpfrun_rule){j % 3 == 2 ? SLUICE_DOWNLINK : SLUICE_UPLINK,
							j % 2 ? SLUICE_DENY : SLUICE_PERMIT,
							.protocol = IPPROTO_UDP, .remote_port = {port, port}};
		}
		s4 = bpfrun_session(run, UE4, rules, (size_t)count);
		s6 = bpfrun_session(run, UE6, rules, (size_t)count);
		for (int j = 0; j <= count; j += j >= count - 20 || j < 20 ? 1 : step) {
			uint16_t port = (uint16_t)(1000 + j);
			int uplink = j == count || j % 3 == 2 ? NO_RULE : j;
			int downlink = j == count || j % 3 != 2 ? NO_RULE : j;

			assert_int_equal(deciding_rule(&s4, rules, count, UP4(.destination_port = port),
						       SLUICE_UPLINK),
					 uplink);
			assert_int_equal(
				deciding_rule(&s4, rules, count, DOWN4(.source_port = port), SLUICE_DOWNLINK),
				downlink);
			assert_int_equal(deciding_rule(&s6, rules, count, UP6(.destination_port = port),
						       SLUICE_UPLINK),
					 uplink);
			assert_int_equal(
				deciding_rule(&s6, rules, count, DOWN6(.source_port = port), SLUICE_DOWNLINK),
				downlink);
		}
	}
}

static void the_last_of_4096_entries_is_reached(void **state)
{
	static struct bpfrun_rule rules[SLUICE_MATCHES_PER_DIRECTION];
	int last = SLUICE_MATCHES_PER_DIRECTION - 1;
	struct bpfrun_session session;

	(void)state;
	for (int i = 0; i < last; i++)
		rules[i] = (struct bpfrun_rule){SLUICE_UPLINK, SLUICE_DENY, .protocol = IPPROTO_TCP};
	rules[last] = (struct bpfrun_rule){SLUICE_UPLINK, SLUICE_PERMIT, .protocol = IPPROTO_UDP};
	session = bpfrun_session(run, UE4, rules, SLUICE_MATCHES_PER_DIRECTION);
	assert_int_equal(deciding_rule(&session, rules, SLUICE_MATCHES_PER_DIRECTION, UP4(), SLUICE_UPLINK),
			 last);
}

static void the_first_of_two_matches_decides_across_blocks(void **state)
{
	static struct bpfrun_rule rules[40];
	struct bpfrun_session session;

	(void)state;
	for (int i = 0; i < 40; i++)
		rules[i] = (struct bpfrun_rule){SLUICE_UPLINK, SLUICE_DENY, .protocol = IPPROTO_TCP};
	rules[20].protocol = rules[25].protocol = rules[39].protocol = IPPROTO_UDP;
	rules[25].action = SLUICE_PERMIT;
	session = bpfrun_session(run, UE4, rules, 40);
	assert_int_equal(deciding_rule(&session, rules, 40, UP4(), SLUICE_UPLINK), 20);
}

static void subscribers_are_told_apart_by_address_and_by_64_bit_prefix(void **state)
{
	static const struct bpfrun_rule permit[] = {{SLUICE_UPLINK, SLUICE_PERMIT, .remote = NULL}};
	static const struct bpfrun_rule deny[] = {{SLUICE_UPLINK, SLUICE_DENY, .remote = NULL}};
	struct bpfrun_session a4 = bpfrun_session(run, "10.0.0.5", permit, 1);
	struct bpfrun_session b4 = bpfrun_session(run, "10.0.0.6", deny, 1);
	struct bpfrun_session a6 = bpfrun_session(run, "2001:db8:5::", permit, 1);
	struct bpfrun_session b6 = bpfrun_session(run, "2001:db8:5:1::", deny, 1);

	(void)state;
	assert_int_equal(deciding_rule(&a4, permit, 1, UP4(.source = "10.0.0.5"), SLUICE_UPLINK), 0);
	assert_int_equal(deciding_rule(&b4, deny, 1, UP4(.source = "10.0.0.6"), SLUICE_UPLINK), 0);
	assert_int_equal(deciding_rule(&a6, permit, 1, UP6(.source = "2001:db8:5::1"), SLUICE_UPLINK), 0);
	assert_int_equal(deciding_rule(&a6, permit, 1, UP6(.source = "2001:db8:5::ffff:ffff:ffff:ffff"),
				       SLUICE_UPLINK),
			 0);
	assert_int_equal(deciding_rule(&b6, deny, 1, UP6(.source = "2001:db8:5:1::1"), SLUICE_UPLINK), 0);
}

static void an_entry_that_is_not_valid_never_matches(void **state)
{
	/* block 0 of the rig stays zero: a list that points there holds eight entries that are not valid */
	static const struct bpfrun_rule rules[] = {{SLUICE_UPLINK, SLUICE_PERMIT, .remote = NULL}};
	struct bpfrun_session session = bpfrun_session(run, UE4, rules, 1);

	(void)state;
	bpfrun_policy(run, session.policy)->uplink_block = 0;
	bpfrun_policy(run, session.policy)->uplink_count = 8;
	assert_int_equal(deciding_rule(&session, rules, 1, UP4(), SLUICE_UPLINK), NO_RULE);
}

#define T(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(a_session_without_rules_drops_by_default_and_counts_it),
		T(a_rule_decides_only_in_its_direction),
		T(the_first_entry_that_matches_decides),
		T(a_denied_packet_is_dropped_and_counted_under_its_rule),
		T(the_remote_prefix_is_the_destination_up_and_the_source_down),
		T(ipv4_prefixes_of_any_length_match_exactly),
		T(ipv6_prefixes_of_any_length_match_exactly),
		T(a_rule_with_a_protocol_matches_that_protocol_only),
		T(port_ranges_are_inclusive_on_both_sides_and_in_both_directions),
		T(a_later_fragment_never_matches_ports_but_goes_on_to_the_next_rule),
		T(a_rule_past_its_deadline_gives_way_to_the_next),
		T(a_deadline_holds_for_bindings_outside_the_policy_too),
		T(every_entry_of_a_list_of_any_length_is_reached_and_none_beyond),
		T(the_last_of_4096_entries_is_reached),
		T(the_first_of_two_matches_decides_across_blocks),
		T(subscribers_are_told_apart_by_address_and_by_64_bit_prefix),
		T(an_entry_that_is_not_valid_never_matches),
	};

	return cmocka_run_group_tests_name("match", tests, open_rig, close_rig);
}
