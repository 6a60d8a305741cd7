// SPDX-License-Identifier: Apache-2.0
/* The ways to a match list: from the address by the index or the hash, and through branches to a leaf. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <netinet/in.h>

#include "bpfrun_fixture.h"

#define UE4	"10.0.0.5"
#define UE6	"2001:db8:5::7"
#define SERVER4 "198.51.100.9"
#define SERVER6 "2001:db8:99::9"

/* A block, branch or policy that does not exist. */
#define NOWHERE 0x7fff0000u

#define NO_RULE (-1)

static int setup(void **state)
{
	(void)state;
	bpfrun_reset(run);
	return 0;
}

static uint64_t packets(const struct bpfrun_session *session, int rule)
{
	const struct sluice_usage *usage = bpfrun_usage(run, session->base + 1 + (uint32_t)rule);

	return rule == NO_RULE ? usage->uplink_dropped.packets : usage->uplink.packets;
}

/* The rule, of those that permit, on whose account the packet went uplink. */
static int deciding_rule(const struct bpfrun_session *session, int count, const struct packet_spec *spec)
{
	uint64_t before[8];
	int found = NO_RULE - 1;

	for (int rule = NO_RULE; rule < count; rule++)
		before[rule + 1] = packets(session, rule);
	bpfrun_send(run, BPFRUN_ACCESS_INGRESS, spec);
	for (int rule = NO_RULE; rule < count; rule++)
		if (packets(session, rule) != before[rule + 1])
			found = rule;
	return found;
}

#define UP4(...)                                                                                     \
	&(struct packet_spec)                                                                        \
	{                                                                                            \
		.source = UE4, .destination = SERVER4, .protocol = IPPROTO_UDP, .source_port = 4000, \
		.destination_port = 53, __VA_ARGS__                                                  \
	}
#define UP6(...)                                                                                     \
	&(struct packet_spec)                                                                        \
	{                                                                                            \
		.source = UE6, .destination = SERVER6, .protocol = IPPROTO_UDP, .source_port = 4000, \
		.destination_port = 53, __VA_ARGS__                                                  \
	}

/* Later members win in a compound literal: that is how the packets above are varied. */
#pragma GCC diagnostic ignored "-Woverride-init"

/* --- trees; the agent's own are compared with a model by test_differential ------- */

/* The session's uplink list becomes the leaves of branches: remote ports below 1000, from 1000, from 2000. */
static struct bpfrun_session session_with_tree(const char *address, const struct bpfrun_rule rules[3])
{
	struct bpfrun_session session = bpfrun_session(run, address, rules, 3);
	struct sluice_policy *policy = bpfrun_policy(run, session.policy);
	struct sluice_branch *branches = bpfrun_maps(run).branches;
	struct sluice_branch port = {.mask = SLUICE_WORD_PORT_MASK << SLUICE_WORD_REMOTE_PORT};
	uint32_t block = policy->uplink_block;

	branches[10] = branches[11] = port;
	branches[10].pivot = 1001ull << SLUICE_WORD_REMOTE_PORT;
	branches[10].child[0] = SLUICE_BRANCH | 11;
	branches[10].child[1] = block;
	branches[10].count[1] = 1;
	branches[11].pivot = 2001ull << SLUICE_WORD_REMOTE_PORT;
	branches[11].child[0] = branches[11].child[1] = block;
	branches[11].count[0] = 3;
	branches[11].count[1] = 2;
	policy->uplink_block = SLUICE_BRANCH | 10;
	policy->uplink_count = 2;
	return session;
}

static const struct bpfrun_rule tree_rules[3] = {
	{SLUICE_UPLINK, SLUICE_PERMIT, .remote_port = {500, 500}, .protocol = IPPROTO_UDP},
	{SLUICE_UPLINK, SLUICE_PERMIT, .remote_port = {1500, 1500}, .protocol = IPPROTO_UDP},
	{SLUICE_UPLINK, SLUICE_PERMIT, .remote_port = {500, 2500}, .protocol = IPPROTO_UDP},
};

static void branches_lead_to_the_leaf_of_the_packet(void **state)
{
	struct bpfrun_session s4 = session_with_tree(UE4, tree_rules);
	struct bpfrun_session s6;

	(void)state;
	assert_int_equal(deciding_rule(&s4, 3, UP4(.destination_port = 500)), 0);
	/* the third entry is not in the first two leaves */
	assert_int_equal(deciding_rule(&s4, 3, UP4(.destination_port = 999)), NO_RULE);
	assert_int_equal(deciding_rule(&s4, 3, UP4(.destination_port = 1500)), 1);
	assert_int_equal(deciding_rule(&s4, 3, UP4(.destination_port = 1999)), NO_RULE);
	assert_int_equal(deciding_rule(&s4, 3, UP4(.destination_port = 2000)), 2);
	bpfrun_reset(run);
	s6 = session_with_tree(UE6, tree_rules);
	assert_int_equal(deciding_rule(&s6, 3, UP6(.destination_port = 1500)), 1);
	assert_int_equal(deciding_rule(&s6, 3, UP6(.destination_port = 2000)), 2);
}

static void a_packet_without_ports_is_below_every_port(void **state)
{
	struct bpfrun_session session = session_with_tree(UE4, tree_rules);
	struct sluice_branch *branches = bpfrun_maps(run).branches;

	(void)state;
	/* the leaf below the lowest port has nothing; all others would drop for want of their block */
	branches[10].pivot = 1ull << SLUICE_WORD_REMOTE_PORT;
	branches[10].count[1] = 0;
	branches[10].child[0] = NOWHERE;
	assert_int_equal(deciding_rule(&session, 3, UP4(.protocol = IPPROTO_ICMP)), NO_RULE);
	assert_int_equal(deciding_rule(&session, 3, UP4(.fragment_offset = 1480, .payload = 64)), NO_RULE);
	assert_int_equal(bpfrun_drops(run, SLUICE_DROP_POLICY_MISSING, SLUICE_UPLINK).packets, 0);
}

static void a_tree_that_is_broken_drops_and_lets_nothing_by(void **state)
{
	const struct sluice_branch circle = {.child = {SLUICE_BRANCH | 10, SLUICE_BRANCH | 10}};
	const struct sluice_branch nowhere = {.child = {SLUICE_BRANCH | NOWHERE, SLUICE_BRANCH | NOWHERE}};
	const struct sluice_branch no_block = {.child = {NOWHERE, NOWHERE}, .count = {1, 1}};
	const struct sluice_branch *const spoiled[] = {&circle, &nowhere, &no_block};

	(void)state;
	session_with_tree(UE4, tree_rules);
	session_with_tree(UE6, tree_rules);
	for (size_t i = 0; i < sizeof(spoiled) / sizeof(spoiled[0]); i++) {
		bpfrun_maps(run).branches[10] = *spoiled[i];
		assert_int_equal(bpfrun_send(run, BPFRUN_ACCESS_INGRESS, UP4()), BPFRUN_TC_DROP);
		assert_int_equal(bpfrun_send(run, BPFRUN_ACCESS_INGRESS, UP6()), BPFRUN_TC_DROP);
		assert_int_equal(bpfrun_drops(run, SLUICE_DROP_POLICY_MISSING, SLUICE_UPLINK).packets,
				 2 * (i + 1));
	}
}

/* --- the index of endpoints -------------------------------------------------------- */

static void an_address_is_found_by_the_index_alone_by_the_hash_alone_and_never_as_anothers(void **state)
{
	static const struct bpfrun_rule permit[] = {{SLUICE_UPLINK, SLUICE_PERMIT, .remote = NULL}};
	static const char *const addresses[] = {UE4, UE6};
	const struct sl_index the_index = bpfrun_maps(run).index;

	(void)state;
	for (int i = 0; i < 2; i++) {
		const struct packet_spec *packet = i ? UP6() : UP4();
		struct bpfrun_session own, other;
		struct sl_address address;

		bpfrun_reset(run);
		own = bpfrun_session(run, addresses[i], permit, 1);
		other = bpfrun_session(run, i ? "2001:db8:6::" : "10.0.0.6", permit, 1);
		assert_int_equal(sl_address_parse("address", addresses[i], &address, NULL), 0);
		/* there is none; it is empty; it leads elsewhere: the hash */
		assert_int_equal(deciding_rule(&own, 1, packet), 0);
		sl_index_clear(&the_index);
		assert_int_equal(deciding_rule(&own, 1, packet), 0);
		sl_index_set(&the_index, &address, other.policy);
		assert_int_equal(deciding_rule(&own, 1, packet), 0);
		sl_index_set(&the_index, &address, NOWHERE);
		assert_int_equal(deciding_rule(&own, 1, packet), 0);
		/* the hash leads nowhere: the index */
		sl_index_set(&the_index, &address, own.policy);
		bpfrun_break_endpoint(run, addresses[i]);
		assert_int_equal(deciding_rule(&own, 1, packet), 0);
		sl_index_remove(&the_index, &address);
		assert_int_equal(bpfrun_send(run, BPFRUN_ACCESS_INGRESS, packet), BPFRUN_TC_DROP);
	}
}

#define T(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(branches_lead_to_the_leaf_of_the_packet),
		T(a_packet_without_ports_is_below_every_port),
		T(a_tree_that_is_broken_drops_and_lets_nothing_by),
		T(an_address_is_found_by_the_index_alone_by_the_hash_alone_and_never_as_anothers),
	};

	return cmocka_run_group_tests_name("lookup", tests, open_rig, close_rig);
}
