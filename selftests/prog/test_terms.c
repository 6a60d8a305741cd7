// SPDX-License-Identifier: Apache-2.0
/* What few entries of a match list ask for, one term after the other, and fragments that hide flags. */
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

static int setup(void **state)
{
	(void)state;
	bpfrun_reset(run);
	return 0;
}

#define UP4(...)                                                                                     \
	&(struct packet_spec)                                                                        \
	{                                                                                            \
		.source = UE4, .destination = SERVER4, .protocol = IPPROTO_TCP, .source_port = 4000, \
		.destination_port = 80, __VA_ARGS__                                                  \
	}
#define UP6(...)                                                                                     \
	&(struct packet_spec)                                                                        \
	{                                                                                            \
		.source = UE6, .destination = SERVER6, .protocol = IPPROTO_TCP, .source_port = 4000, \
		.destination_port = 80, __VA_ARGS__                                                  \
	}

/* Later members win in a compound literal: that is how the packets above are varied. */
#pragma GCC diagnostic ignored "-Woverride-init"

/* One rule with these terms in a session of each family; the packets then tell whether they hold. */
static void ask_for(struct sluice_terms terms, const char *remote4, const char *remote6)
{
	const struct bpfrun_rule rule4 = {SLUICE_UPLINK, SLUICE_PERMIT, .remote = remote4, .terms = terms};
	const struct bpfrun_rule rule6 = {SLUICE_UPLINK, SLUICE_PERMIT, .remote = remote6, .terms = terms};
	struct bpfrun_session session4, session6;

	bpfrun_reset(run);
	session4 = bpfrun_session(run, UE4, &rule4, 1);
	session6 = bpfrun_session(run, UE6, &rule6, 1);
	bpfrun_policy(run, session4.policy)->flags = SLUICE_POLICY_OPTIONS;
	bpfrun_policy(run, session6.policy)->flags = SLUICE_POLICY_OPTIONS;
}

static bool holds(const struct packet_spec *spec)
{
	uint64_t before = bpfrun_drops(run, SLUICE_DROP_NO_RULE, SLUICE_UPLINK).packets;
	bool passes = bpfrun_send(run, BPFRUN_ACCESS_INGRESS, spec) == BPFRUN_TC_NEXT;

	assert_int_equal(bpfrun_drops(run, SLUICE_DROP_NO_RULE, SLUICE_UPLINK).packets,
			 before + (passes ? 0 : 1));
	return passes;
}

static void dscp_is_the_upper_six_bits_of_the_class(void **state)
{
	(void)state;
	ask_for((struct sluice_terms){.which = SLUICE_TERM_DSCP, .dscp = 46}, NULL, NULL);
	assert_true(holds(UP4(.dscp = 46)));
	assert_false(holds(UP4(.dscp = 45)));
	assert_false(holds(UP4(.dscp = 0)));
	assert_true(holds(UP4(.dscp = 46, .protocol = IPPROTO_UDP)));
	assert_true(holds(UP4(.dscp = 46, .fragment_offset = 1480, .payload = 64)));
	for (uint8_t dscp = 0; dscp < 64; dscp++)
		assert_int_equal(holds(UP6(.dscp = dscp)), dscp == 46);
}

static void tcp_flags_are_masked_compared_and_any_of_some(void **state)
{
	(void)state;
	/* setup: SYN and not ACK */
	ask_for((struct sluice_terms){.which = SLUICE_TERM_TCP_FLAGS, .tcp_mask = 0x12, .tcp_value = 0x02},
		NULL, NULL);
	assert_true(holds(UP4(.tcp_flags = 0x02)));
	assert_true(holds(UP6(.tcp_flags = 0xc2)));
	assert_false(holds(UP4(.tcp_flags = 0x12)));
	assert_false(holds(UP6(.tcp_flags = 0x00)));
	assert_false(holds(UP4(.protocol = IPPROTO_UDP)));
	/* established: RST or ACK */
	ask_for((struct sluice_terms){.which = SLUICE_TERM_TCP_FLAGS, .tcp_any = 0x14}, NULL, NULL);
	assert_true(holds(UP4(.tcp_flags = 0x10)));
	assert_true(holds(UP4(.tcp_flags = 0x04)));
	assert_true(holds(UP6(.tcp_flags = 0x14)));
	assert_false(holds(UP4(.tcp_flags = 0x02)));
	/* absence is asked of TCP only, too */
	ask_for((struct sluice_terms){.which = SLUICE_TERM_TCP_FLAGS, .tcp_mask = 0x02}, NULL, NULL);
	assert_true(holds(UP4(.tcp_flags = 0x10)));
	assert_false(holds(UP4(.protocol = IPPROTO_UDP)));
	assert_false(holds(UP4(.protocol = IPPROTO_ICMP)));
}

static void a_first_fragment_has_flags_if_its_tcp_header_is_whole_and_a_later_one_never(void **state)
{
	struct bpfrun_context context = {0};
	struct packet packet;

	(void)state;
	ask_for((struct sluice_terms){.which = SLUICE_TERM_TCP_FLAGS, .tcp_mask = 0x02, .tcp_value = 0x02},
		NULL, NULL);
	assert_true(holds(UP4(.tcp_flags = 0x02, .more_fragments = true, .payload = 12)));
	assert_true(holds(UP6(.tcp_flags = 0x02, .extension = {IPPROTO_FRAGMENT}, .more_fragments = true,
			      .payload = 12)));
	/* the flags lie where this fragment has ended: RFC 3128 */
	packet_build(&packet, UP4(.tcp_flags = 0x02, .more_fragments = true));
	packet.data[packet.network + 3] = 20 + 16;
	assert_int_equal(bpfrun_packet(run, BPFRUN_ACCESS_INGRESS, &packet, &context).verdict,
			 BPFRUN_TC_DROP);
	assert_int_equal(bpfrun_drops(run, SLUICE_DROP_NO_RULE, SLUICE_UPLINK).packets, 1);
	assert_false(holds(UP4(.tcp_flags = 0x02, .fragment_offset = 1480, .payload = 64)));
}

static void icmp_types_are_those_of_the_family(void **state)
{
	(void)state;
	ask_for((struct sluice_terms){.which = SLUICE_TERM_ICMP_TYPE, .icmp_low = 3, .icmp_high = 8}, NULL,
		NULL);
	assert_true(holds(UP4(.protocol = IPPROTO_ICMP, .icmp_type = 3)));
	assert_true(holds(UP4(.protocol = IPPROTO_ICMP, .icmp_type = 8)));
	assert_false(holds(UP4(.protocol = IPPROTO_ICMP, .icmp_type = 2)));
	assert_false(holds(UP4(.protocol = IPPROTO_ICMP, .icmp_type = 9)));
	assert_true(holds(UP6(.protocol = IPPROTO_ICMPV6, .icmp_type = 4)));
	assert_false(holds(UP6(.protocol = IPPROTO_ICMPV6, .icmp_type = 128)));
	assert_false(holds(UP4(.protocol = IPPROTO_ICMPV6, .icmp_type = 3)));
	assert_false(holds(UP6(.protocol = IPPROTO_ICMP, .icmp_type = 3)));
	assert_false(holds(UP4(.protocol = IPPROTO_UDP)));
	assert_false(holds(UP4(.protocol = IPPROTO_ICMP, .fragment_offset = 1480, .payload = 64)));
	/* type 0 is one, too */
	ask_for((struct sluice_terms){.which = SLUICE_TERM_ICMP_TYPE}, NULL, NULL);
	assert_true(holds(UP4(.protocol = IPPROTO_ICMP)));
	assert_false(holds(UP4(.protocol = IPPROTO_UDP)));
}

static void a_later_fragment_is_one_with_an_offset(void **state)
{
	(void)state;
	ask_for((struct sluice_terms){.which = SLUICE_TERM_LATER_FRAGMENT}, NULL, NULL);
	assert_true(holds(UP4(.fragment_offset = 1480, .payload = 64)));
	assert_true(holds(UP4(.fragment_offset = 16, .more_fragments = true, .payload = 64)));
	assert_true(holds(UP6(.extension = {IPPROTO_FRAGMENT}, .fragment_offset = 1448, .payload = 64)));
	assert_false(holds(UP4(.more_fragments = true, .payload = 12)));
	assert_false(holds(UP4()));
	assert_false(holds(UP6(.extension = {IPPROTO_FRAGMENT}, .more_fragments = true, .payload = 12)));
	assert_false(holds(UP6(.extension = {IPPROTO_FRAGMENT})));
}

/* NOP, record route (7), strict source route, end. */
static const uint8_t ip_route[] = {1, 7, 3, 4, 137, 3, 4, 0};
static const uint8_t ip_loose[] = {131, 4, 4, 0, 68, 4, 5, 0};
/* A length that leads nowhere, and one before the first byte. */
static const uint8_t ip_endless[] = {7, 0, 1, 1, 68, 4, 5, 0};
static const uint8_t ip_too_long[] = {7, 9, 4, 0, 68, 4, 5, 0};

static void ip_options_are_there_or_are_not(void **state)
{
	(void)state;
	ask_for((struct sluice_terms){.which = SLUICE_TERM_IP_OPTIONS, .ip_options_present = 0x05}, NULL,
		NULL);
	assert_true(holds(UP4(.ip_options = 8, .ip_option = ip_route)));
	assert_true(
		holds(UP4(.ip_options = 8, .ip_option = ip_route, .fragment_offset = 1480, .payload = 64)));
	assert_false(holds(UP4(.ip_options = 8, .ip_option = ip_loose)));
	assert_false(holds(UP4()));
	assert_false(holds(UP6()));
	ask_for((struct sluice_terms){.which = SLUICE_TERM_IP_OPTIONS, .ip_options_absent = 0x0a}, NULL,
		NULL);
	assert_true(holds(UP4(.ip_options = 8, .ip_option = ip_route)));
	assert_false(holds(UP4(.ip_options = 8, .ip_option = ip_loose)));
	assert_true(holds(UP4()));
	assert_true(holds(UP6()));
	/* what follows an option that contradicts itself is not read */
	assert_true(holds(UP4(.ip_options = 8, .ip_option = ip_endless)));
	assert_true(holds(UP4(.ip_options = 8, .ip_option = ip_too_long)));
}

/* What a SYN has: MSS, SACK permitted, timestamps, NOP, window scale. */
static const uint8_t tcp_syn[] = {2, 4, 5, 0xb4, 4, 2, 8, 10, 0, 0, 0, 1, 0, 0, 0, 0, 1, 3, 3, 7};
static const uint8_t tcp_sack[] = {1, 1, 5, 10, 0, 0, 0, 1, 0, 0, 0, 2};

static void tcp_options_are_there_or_are_not(void **state)
{
	(void)state;
	ask_for((struct sluice_terms){.which = SLUICE_TERM_TCP_OPTIONS,
				      .tcp_options_present = 0x04,
				      .tcp_options_absent = 0x10},
		NULL, NULL);
	assert_true(holds(UP4(.tcp_options = sizeof(tcp_syn), .tcp_option = tcp_syn)));
	assert_true(holds(UP6(.tcp_options = sizeof(tcp_sack), .tcp_option = tcp_sack)));
	assert_true(holds(UP4(.tcp_options = sizeof(tcp_syn), .tcp_option = tcp_syn, .ip_options = 8,
			      .ip_option = ip_route)));
	assert_false(holds(UP4()));
	ask_for((struct sluice_terms){.which = SLUICE_TERM_TCP_OPTIONS, .tcp_options_present = 0x0f}, NULL,
		NULL);
	assert_true(holds(UP4(.tcp_options = sizeof(tcp_syn), .tcp_option = tcp_syn)));
	assert_false(holds(UP4(.tcp_options = sizeof(tcp_sack), .tcp_option = tcp_sack)));
	ask_for((struct sluice_terms){.which = SLUICE_TERM_TCP_OPTIONS, .tcp_options_absent = 0x04}, NULL,
		NULL);
	assert_true(holds(UP4()));
	assert_false(holds(UP4(.tcp_options = sizeof(tcp_syn), .tcp_option = tcp_syn)));
	assert_false(holds(UP4(.protocol = IPPROTO_UDP)));
	assert_false(holds(UP4(.fragment_offset = 1480, .payload = 64)));
}

static void options_are_read_only_for_policies_that_ask(void **state)
{
	const struct bpfrun_rule rule = {
		SLUICE_UPLINK, SLUICE_PERMIT,
		.terms = {.which = SLUICE_TERM_IP_OPTIONS, .ip_options_present = 0x01}};
	struct bpfrun_session session = bpfrun_session(run, UE4, &rule, 1);

	(void)state;
	assert_false(holds(UP4(.ip_options = 8, .ip_option = ip_route)));
	bpfrun_policy(run, session.policy)->flags = SLUICE_POLICY_OPTIONS;
	assert_true(holds(UP4(.ip_options = 8, .ip_option = ip_route)));
}

static void an_inverted_prefix_takes_every_other_address(void **state)
{
	(void)state;
	ask_for((struct sluice_terms){.which = SLUICE_TERM_REMOTE_NOT}, "198.51.100.0/24",
		"2001:db8:99::/49");
	assert_false(holds(UP4()));
	assert_true(holds(UP4(.destination = "198.51.101.0")));
	assert_true(holds(UP4(.destination = "8.8.8.8")));
	assert_false(holds(UP6()));
	assert_true(holds(UP6(.destination = "2001:db8:99:8000::1")));
	ask_for((struct sluice_terms){.which = SLUICE_TERM_REMOTE_NOT}, "0.0.0.0/0", "::/0");
	assert_false(holds(UP4()));
	assert_false(holds(UP6()));
}

static void every_term_named_must_hold(void **state)
{
	(void)state;
	ask_for((struct sluice_terms){.which = SLUICE_TERM_REMOTE_NOT | SLUICE_TERM_DSCP |
					       SLUICE_TERM_TCP_FLAGS,
				      .dscp = 8,
				      .tcp_mask = 0x10,
				      .tcp_value = 0x10},
		"192.0.2.0/24", "2001:db8:1::/48");
	assert_true(holds(UP4(.dscp = 8, .tcp_flags = 0x10)));
	assert_false(holds(UP4(.dscp = 9, .tcp_flags = 0x10)));
	assert_false(holds(UP4(.dscp = 8, .tcp_flags = 0x02)));
	assert_false(holds(UP4(.dscp = 8, .tcp_flags = 0x10, .destination = "192.0.2.1")));
	assert_true(holds(UP6(.dscp = 8, .tcp_flags = 0x18)));
}

static void what_this_host_sends_is_told_from_what_it_forwards(void **state)
{
	const struct bpfrun_rule rule = {SLUICE_DOWNLINK, SLUICE_PERMIT,
					 .terms = {.which = SLUICE_TERM_THIS_HOST}};
	const struct bpfrun_context here = {0}, forwarded = {.received_on = 1};
	struct packet packet;

	(void)state;
	for (int family = 4; family <= 6; family += 2) {
		bpfrun_session(run, family == 4 ? UE4 : UE6, &rule, 1);
		packet_build(&packet, &(struct packet_spec){.source = family == 4 ? SERVER4 : SERVER6,
							    .destination = family == 4 ? UE4 : UE6,
							    .protocol = IPPROTO_TCP,
							    .source_port = 80});
		assert_int_equal(bpfrun_packet(run, BPFRUN_ACCESS_EGRESS, &packet, &here).verdict,
				 BPFRUN_TC_NEXT);
		assert_int_equal(bpfrun_packet(run, BPFRUN_ACCESS_EGRESS, &packet, &forwarded).verdict,
				 BPFRUN_TC_DROP);
	}
}

static void a_condition_on_ports_is_for_packets_that_have_them(void **state)
{
	const struct bpfrun_rule rule = {SLUICE_UPLINK, SLUICE_PERMIT, .any_ports = true};

	(void)state;
	bpfrun_session(run, UE4, &rule, 1);
	bpfrun_session(run, UE6, &rule, 1);
	assert_true(holds(UP4()));
	assert_true(holds(UP4(.protocol = IPPROTO_UDP)));
	assert_true(holds(UP6(.protocol = IPPROTO_SCTP)));
	assert_true(holds(UP4(.more_fragments = true, .payload = 12)));
	assert_false(holds(UP4(.protocol = IPPROTO_ICMP)));
	assert_false(holds(UP6(.protocol = IPPROTO_ICMPV6, .icmp_type = 128)));
	assert_false(holds(UP4(.protocol = IPPROTO_GRE, .payload = 40)));
	assert_false(holds(UP4(.fragment_offset = 1480, .payload = 64)));
}

static void a_fragment_at_the_ninth_byte_is_dropped_whoever_sent_it(void **state)
{
	const struct bpfrun_rule rules[] = {{SLUICE_UPLINK, SLUICE_PERMIT, .remote = NULL},
					    {SLUICE_DOWNLINK, SLUICE_PERMIT, .remote = NULL}};
	const struct packet_spec *up[] = {
		UP4(.fragment_offset = 8, .payload = 64),
		UP4(.fragment_offset = 8, .payload = 64, .protocol = IPPROTO_UDP, .more_fragments = true),
		UP6(.extension = {IPPROTO_FRAGMENT}, .fragment_offset = 8, .payload = 64),
		UP4(.source = "10.9.9.9", .fragment_offset = 8, .payload = 64),
	};
	const size_t count = sizeof(up) / sizeof(up[0]);
	struct bpfrun_session session = bpfrun_session(run, UE4, rules, 2);

	(void)state;
	bpfrun_session(run, UE6, rules, 2);
	bpfrun_settings(run)->unknown_drop = 0;
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(bpfrun_send(run, BPFRUN_ACCESS_INGRESS, up[i]), BPFRUN_TC_DROP);
		assert_int_equal(bpfrun_send(run, BPFRUN_XDP_ACCESS, up[i]), BPFRUN_XDP_DROP);
	}
	assert_int_equal(bpfrun_drops(run, SLUICE_DROP_FRAGMENT_OFFSET, SLUICE_UPLINK).packets, 2 * count);
	assert_int_equal(bpfrun_send(run, BPFRUN_ACCESS_EGRESS,
				     &(struct packet_spec){.source = SERVER4,
							   .destination = UE4,
							   .protocol = IPPROTO_TCP,
							   .fragment_offset = 8,
							   .payload = 64}),
			 BPFRUN_TC_DROP);
	assert_int_equal(bpfrun_drops(run, SLUICE_DROP_FRAGMENT_OFFSET, SLUICE_DOWNLINK).packets, 1);
	assert_int_equal(bpfrun_counters(run).usage.packets, 0);
	assert_int_equal(bpfrun_usage(run, session.base)->uplink_dropped.packets, 0);
	assert_int_equal(bpfrun_send(run, BPFRUN_ACCESS_INGRESS, UP4(.fragment_offset = 16, .payload = 64)),
			 BPFRUN_TC_NEXT);
}

#define T(name) cmocka_unit_test_setup(name, setup)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(dscp_is_the_upper_six_bits_of_the_class),
		T(tcp_flags_are_masked_compared_and_any_of_some),
		T(a_first_fragment_has_flags_if_its_tcp_header_is_whole_and_a_later_one_never),
		T(icmp_types_are_those_of_the_family),
		T(a_later_fragment_is_one_with_an_offset),
		T(ip_options_are_there_or_are_not),
		T(tcp_options_are_there_or_are_not),
		T(options_are_read_only_for_policies_that_ask),
		T(an_inverted_prefix_takes_every_other_address),
		T(every_term_named_must_hold),
		T(what_this_host_sends_is_told_from_what_it_forwards),
		T(a_condition_on_ports_is_for_packets_that_have_them),
		T(a_fragment_at_the_ninth_byte_is_dropped_whoever_sent_it),
	};

	return cmocka_run_group_tests_name("terms", tests, open_rig, close_rig);
}
