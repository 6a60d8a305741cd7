// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "ipfilter_model.h"
#include "policy/ipfilter.h"

#define PAIRS		 1000000
#define PACKETS_PER_LIST 20
#define RULES_MAX	 6

/* The terminal of the tests has 10.0.0.1 and 2001:db8:0:7::/64. */
static const struct sl_ipfilter_prefix assigned[] = {
	{{4, {10, 0, 0, 1}}, 32},
	{{6, {0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 7}}, 64},
};
static const struct sl_ipfilter_terminal terminal = {SL_ARRAY_SIZE(assigned), assigned};

static void read_rule(const char *text, enum sl_ipfilter_dialect dialect, struct sl_ipfilter *rule)
{
	struct sl_error err = {""};

	if (sl_ipfilter_parse("rule", text, strlen(text), dialect, rule, &err) < 0)
		fail_msg("'%s': %s", text, err.text);
}

static bool matches(const char *text, const struct sl_ipfilter_packet *packet)
{
	struct sl_ipfilter rule;

	read_rule(text, SL_IPFILTER_FULL, &rule);
	return sl_ipfilter_matches(&rule, &terminal, packet);
}

/* Uplink; ports 40000 -> 80, a SYN with mss and ts where it is TCP, an echo request where it is ICMP. */
static struct sl_ipfilter_packet packet_of(uint8_t protocol, const char *source, const char *destination)
{
	struct sl_ipfilter_packet packet = {
		.direction = SL_IPFILTER_IN,
		.protocol = protocol,
		.has_ports = protocol == IPPROTO_TCP || protocol == IPPROTO_UDP || protocol == IPPROTO_SCTP,
		.source_port = 40000,
		.destination_port = 80,
		.has_tcp = protocol == IPPROTO_TCP,
		.tcp_flags = SL_IPFILTER_SYN,
		.tcp_options = SL_IPFILTER_TCP_MSS | SL_IPFILTER_TCP_TS,
		.has_icmp = protocol == IPPROTO_ICMP,
		.icmp_type = 8,
	};

	assert_int_equal(sl_address_parse("source", source, &packet.source, NULL), 0);
	assert_int_equal(sl_address_parse("destination", destination, &packet.destination, NULL), 0);
	return packet;
}

struct expectation {
	const char *rule;
	bool is_match;
};

static void assert_expectations(const struct expectation *expected, size_t count,
				const struct sl_ipfilter_packet *packet)
{
	for (size_t i = 0; i < count; i++) {
		if (matches(expected[i].rule, packet) != expected[i].is_match)
			fail_msg("'%s' %s", expected[i].rule,
				 expected[i].is_match ? "does not match" : "matches");
	}
}

#define ASSERT_EXPECTATIONS(expected, packet) assert_expectations(expected, SL_ARRAY_SIZE(expected), packet)

static void direction_protocol_and_addresses_must_all_fit(void **state)
{
	static const struct expectation expected[] = {
		{"permit in ip from any to any", true},
		{"permit out ip from any to any", false},
		{"permit in 6 from any to any", true},
		{"permit in 17 from any to any", false},
		{"permit in 0 from any to any", false},
		{"permit in ip from 10.0.0.1 to 192.0.2.7", true},
		{"permit in ip from 10.0.0.2 to any", false},
		{"permit in ip from any to 10.0.0.1", false},
		{"permit in ip from 10.0.0.0/31 to 192.0.2.0/29", true},
		{"permit in ip from any to 192.0.2.0/30", false},
		{"permit in ip from any to 128.0.0.0/1", true},
		{"permit in ip from any to 0.0.0.0/1", false},
		{"permit in ip from assigned to any", true},
		{"permit in ip from any to assigned", false},
	};
	struct sl_ipfilter_packet packet = packet_of(IPPROTO_TCP, "10.0.0.1", "192.0.2.7");

	(void)state;
	ASSERT_EXPECTATIONS(expected, &packet);
}

static void an_address_has_a_version_and_inversion_stays_within_it(void **state)
{
	static const struct expectation v4[] = {
		{"permit in ip from 0.0.0.0/0 to any", true},
		{"permit in ip from ::/0 to any", false},
		{"permit in ip from !::/0 to any", false},
		{"permit in ip from !0.0.0.0/0 to any", false},
		{"permit in ip from !2001:db8::/32 to any", false},
		{"permit in ip from any to !192.0.2.0/24", false},
		{"permit in ip from any to !192.0.3.0/24", true},
		{"permit in ip from !any to any", false},
		{"permit in ip from !assigned to any", false},
		{"permit in ip from any to !assigned", true},
	};
	static const struct expectation v6[] = {
		{"permit in ip from 0.0.0.0/0 to any", false},
		{"permit in ip from !0.0.0.0/0 to any", false},
		{"permit in ip from ::/0 to any", true},
		{"permit in ip from assigned to any", true},
		{"permit in ip from any to !assigned", true},
		{"permit in ip from 2001:db8:0:7::/64 to 2001:db8:0:8::1", true},
		{"permit in ip from any to !2001:db8:0:8::/64", false},
		{"permit in ip from any to !2001:db8:0:9::/64", true},
		{"permit in ip from any to 2001:db8:0:8::/127", true},
		{"permit in ip from any to 2001:db8:0:8::2/127", false},
	};
	struct sl_ipfilter_packet packet = packet_of(IPPROTO_TCP, "10.0.0.1", "192.0.2.7");

	(void)state;
	ASSERT_EXPECTATIONS(v4, &packet);
	packet = packet_of(IPPROTO_TCP, "2001:db8:0:7:1::2", "2001:db8:0:8::1");
	ASSERT_EXPECTATIONS(v6, &packet);
}

static void a_terminal_without_addresses_has_nothing_assigned(void **state)
{
	const struct sl_ipfilter_terminal none = {.count = 0};
	struct sl_ipfilter_packet packet = packet_of(IPPROTO_TCP, "10.0.0.1", "192.0.2.7");
	struct sl_ipfilter rule;

	(void)state;
	read_rule("deny in ip from assigned to any", SL_IPFILTER_FULL, &rule);
	assert_false(sl_ipfilter_matches(&rule, &none, &packet));
	read_rule("deny in ip from !assigned to any", SL_IPFILTER_FULL, &rule);
	assert_true(sl_ipfilter_matches(&rule, &none, &packet));
}

static void ports_are_lists_of_ports_and_ranges_that_inversion_leaves_alone(void **state)
{
	static const struct expectation expected[] = {
		{"permit in 6 from any to any 80", true},
		{"permit in 6 from any to any 79,81", false},
		{"permit in 6 from any to any 1-79,81-65535", false},
		{"permit in 6 from any to any 22,79-80", true},
		{"permit in 6 from any to any 80-81,22", true},
		{"permit in 6 from any 40000 to any 80", true},
		{"permit in 6 from any 80 to any 40000", false},
		{"permit in 6 from any 40001 to any 80", false},
		{"permit in 6 from any to !192.0.2.8 80", true},
		{"permit in 6 from any to !192.0.2.8 81", false},
		{"permit in 6 from any to !192.0.2.7 81", false},
	};
	struct sl_ipfilter_packet packet = packet_of(IPPROTO_TCP, "10.0.0.1", "192.0.2.7");

	(void)state;
	ASSERT_EXPECTATIONS(expected, &packet);
	packet.has_ports = false;
	assert_false(matches("permit in 6 from any to any 80", &packet));
	assert_true(matches("permit in 6 from any to any", &packet));
}

static void ports_beside_ip_in_a_flow_description_are_those_of_any_protocol(void **state)
{
	struct sl_ipfilter_packet udp = packet_of(IPPROTO_UDP, "10.0.0.1", "192.0.2.7");
	struct sl_ipfilter_packet icmp = packet_of(IPPROTO_ICMP, "10.0.0.1", "192.0.2.7");
	struct sl_ipfilter rule;

	(void)state;
	read_rule("permit in ip from any to any 80", SL_IPFILTER_FLOW_DESCRIPTION, &rule);
	assert_true(sl_ipfilter_matches(&rule, &terminal, &udp));
	assert_false(sl_ipfilter_matches(&rule, &terminal, &icmp));
}

static void a_fragment_with_an_offset_matches_no_rule_that_looks_behind_the_ip_header(void **state)
{
	static const struct expectation tcp[] = {
		{"permit in 6 from any to any", true},
		{"permit in 6 from any to any frag", true},
		{"permit in ip from any to any ipoptions !rr", true},
		{"permit in 6 from any to any 0-65535", false},
		{"permit in 6 from any 0-65535 to any", false},
		{"permit in 6 from any to any setup", false},
		{"permit in 6 from any to any established", false},
		{"permit in 6 from any to any tcpflags syn", false},
		{"permit in 6 from any to any tcpflags !fin", false},
		{"permit in 6 from any to any tcpoptions mss", false},
		{"permit in 6 from any to any tcpoptions !cc", false},
	};
	static const char *const addresses[][2] = {{"10.0.0.1", "192.0.2.7"},
						   {"2001:db8:0:7::1", "2001:db8:0:8::1"}};

	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(addresses); i++) {
		struct sl_ipfilter_packet packet = packet_of(IPPROTO_TCP, addresses[i][0], addresses[i][1]);

		packet.fragment_offset = 185;
		ASSERT_EXPECTATIONS(tcp, &packet);
		packet.tcp_flags = SL_IPFILTER_ACK;
		assert_false(matches("permit in 6 from any to any established", &packet));
		packet = packet_of(IPPROTO_ICMP, addresses[i][0], addresses[i][1]);
		packet.fragment_offset = 185;
		assert_false(matches("permit in 1 from any to any icmptypes 0-18", &packet));
	}
}

static void a_first_fragment_is_judged_like_a_whole_packet(void **state)
{
	struct sl_ipfilter_packet packet = packet_of(IPPROTO_TCP, "10.0.0.1", "192.0.2.7");

	(void)state;
	packet.has_more_fragments = true;
	assert_true(matches("permit in 6 from any to any 80 setup", &packet));
	assert_false(matches("permit in 6 from any to any frag", &packet));
}

static void ip_options_are_asked_for_by_presence_and_absence(void **state)
{
	static const struct expectation expected[] = {
		{"deny in ip from any to any ipoptions rr", true},
		{"deny in ip from any to any ipoptions rr,ts", true},
		{"deny in ip from any to any ipoptions rr,lsrr", false},
		{"deny in ip from any to any ipoptions rr,!lsrr", true},
		{"deny in ip from any to any ipoptions !rr", false},
		{"deny in ip from any to any ipoptions !ssrr,!lsrr", true},
	};
	static const struct expectation none[] = {
		{"deny in ip from any to any ipoptions ssrr", false},
		{"deny in ip from any to any ipoptions lsrr", false},
		{"deny in ip from any to any ipoptions rr", false},
		{"deny in ip from any to any ipoptions ts", false},
		{"deny in ip from any to any ipoptions !rr", true},
	};
	struct sl_ipfilter_packet packet = packet_of(IPPROTO_UDP, "10.0.0.1", "192.0.2.7");

	(void)state;
	packet.ip_options = SL_IPFILTER_RR | SL_IPFILTER_TS;
	ASSERT_EXPECTATIONS(expected, &packet);
	packet = packet_of(IPPROTO_UDP, "2001:db8:0:7::1", "2001:db8:0:8::1");
	packet.ip_options = SL_IPFILTER_SSRR | SL_IPFILTER_LSRR | SL_IPFILTER_RR | SL_IPFILTER_TS;
	ASSERT_EXPECTATIONS(none, &packet);
}

static void tcp_options_and_flags_are_asked_for_by_presence_and_absence(void **state)
{
	static const struct expectation expected[] = {
		{"deny in 6 from any to any tcpoptions mss,ts", true},
		{"deny in ip from any to any tcpoptions mss,!cc,!sack,!window", true},
		{"deny in 6 from any to any tcpoptions mss,window", false},
		{"deny in 6 from any to any tcpoptions !ts", false},
		{"deny in 6 from any to any tcpflags syn", true},
		{"deny in ip from any to any tcpflags syn,!ack,!fin,!rst,!psh,!urg", true},
		{"deny in 6 from any to any tcpflags syn,ack", false},
		{"deny in 6 from any to any tcpflags !syn", false},
	};
	static const struct expectation udp[] = {
		{"deny in ip from any to any tcpoptions !cc", false},
		{"deny in ip from any to any tcpflags !ack", false},
		{"deny in 17 from any to any tcpflags !ack", false},
		{"deny in ip from any to any setup", false},
	};
	struct sl_ipfilter_packet packet = packet_of(IPPROTO_TCP, "10.0.0.1", "192.0.2.7");

	(void)state;
	ASSERT_EXPECTATIONS(expected, &packet);
	packet.has_tcp = false;
	assert_false(matches("deny in 6 from any to any tcpflags syn", &packet));
	assert_false(matches("deny in 6 from any to any tcpoptions !cc", &packet));
	packet = packet_of(IPPROTO_UDP, "10.0.0.1", "192.0.2.7");
	ASSERT_EXPECTATIONS(udp, &packet);
}

static void established_is_rst_or_ack_and_setup_is_syn_without_ack(void **state)
{
	static const struct {
		uint8_t flags;
		bool is_established, is_setup;
	} cases[] = {
		{0, false, false},
		{SL_IPFILTER_SYN, false, true},
		{SL_IPFILTER_SYN | SL_IPFILTER_ACK, true, false},
		{SL_IPFILTER_ACK, true, false},
		{SL_IPFILTER_RST, true, false},
		{SL_IPFILTER_RST | SL_IPFILTER_SYN, true, true},
		{SL_IPFILTER_FIN | SL_IPFILTER_PSH | SL_IPFILTER_URG, false, false},
		{SL_IPFILTER_SYN | 0xc0, false, true}, /* ECN set-up */
	};
	struct sl_ipfilter_packet packet = packet_of(IPPROTO_TCP, "10.0.0.1", "192.0.2.7");

	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(cases); i++) {
		packet.tcp_flags = cases[i].flags;
		assert_int_equal(matches("deny in ip from any to any established", &packet),
				 cases[i].is_established);
		assert_int_equal(matches("deny in ip from any to any setup", &packet), cases[i].is_setup);
	}
}

static void icmp_types_match_icmp_packets_of_that_type_only(void **state)
{
	static const struct expectation expected[] = {
		{"deny in 1 from any to any icmptypes 8", true},
		{"deny in ip from any to any icmptypes echo request", true},
		{"deny in 1 from any to any icmptypes 0,3,5-9", true},
		{"deny in 1 from any to any icmptypes 0,3-5,9-18", false},
	};
	struct sl_ipfilter_packet packet = packet_of(IPPROTO_ICMP, "10.0.0.1", "192.0.2.7");

	(void)state;
	ASSERT_EXPECTATIONS(expected, &packet);
	packet.icmp_type = 8 + 32;
	assert_false(matches("deny in 1 from any to any icmptypes 8", &packet));
	packet.icmp_type = 8;
	packet.has_icmp = false;
	assert_false(matches("deny in 1 from any to any icmptypes 8", &packet));
	packet.has_icmp = true;
	packet.protocol = IPPROTO_ICMPV6;
	assert_false(matches("deny in ip from any to any icmptypes 8", &packet));
}

static void assert_verdict(struct sl_ipfilter_verdict verdict, bool is_passed, enum sl_ipfilter_reason reason,
			   size_t rule)
{
	assert_int_equal(verdict.is_passed, is_passed);
	assert_int_equal(verdict.reason, reason);
	assert_int_equal(verdict.rule, rule);
}

static void the_first_match_decides_and_else_the_opposite_of_the_last_of_the_direction(void **state)
{
	struct sl_ipfilter_packet packet = packet_of(IPPROTO_TCP, "10.0.0.1", "192.0.2.7");
	struct sl_ipfilter list[4];

	(void)state;
	read_rule("permit in 17 from any to any", SL_IPFILTER_FULL, &list[0]);
	read_rule("deny in 6 from any to any 80", SL_IPFILTER_FULL, &list[1]);
	read_rule("permit in ip from any to any", SL_IPFILTER_FULL, &list[2]);
	read_rule("deny out ip from any to any", SL_IPFILTER_FULL, &list[3]);
	assert_verdict(sl_ipfilter_evaluate(list, 4, &terminal, &packet), false, SL_IPFILTER_BY_RULE, 1);
	packet.destination_port = 81;
	assert_verdict(sl_ipfilter_evaluate(list, 4, &terminal, &packet), true, SL_IPFILTER_BY_RULE, 2);
	assert_verdict(sl_ipfilter_evaluate(list, 2, &terminal, &packet), true, SL_IPFILTER_BY_DEFAULT, 1);
	assert_verdict(sl_ipfilter_evaluate(list, 1, &terminal, &packet), false, SL_IPFILTER_BY_DEFAULT, 0);
	/* the deny for the other direction is not the last */
	list[2] = list[0];
	assert_verdict(sl_ipfilter_evaluate(list, 4, &terminal, &packet), false, SL_IPFILTER_BY_DEFAULT, 2);
	assert_verdict(sl_ipfilter_evaluate(list + 3, 1, &terminal, &packet), true, SL_IPFILTER_BY_NO_RULE,
		       0);
	assert_verdict(sl_ipfilter_evaluate(NULL, 0, &terminal, &packet), true, SL_IPFILTER_BY_NO_RULE, 0);
}

static void a_fragment_with_offset_1_is_dropped_whatever_the_rules(void **state)
{
	struct sl_ipfilter_packet packet = packet_of(IPPROTO_TCP, "10.0.0.1", "192.0.2.7");
	struct sl_ipfilter all;

	(void)state;
	read_rule("permit in ip from any to any", SL_IPFILTER_FULL, &all);
	packet.fragment_offset = 1;
	assert_verdict(sl_ipfilter_evaluate(&all, 1, &terminal, &packet), false,
		       SL_IPFILTER_BY_FRAGMENT_OFFSET, 0);
	assert_verdict(sl_ipfilter_evaluate(NULL, 0, &terminal, &packet), false,
		       SL_IPFILTER_BY_FRAGMENT_OFFSET, 0);
	packet.fragment_offset = 2;
	assert_verdict(sl_ipfilter_evaluate(&all, 1, &terminal, &packet), true, SL_IPFILTER_BY_RULE, 0);
	packet = packet_of(IPPROTO_TCP, "2001:db8:0:7::1", "2001:db8:0:8::1");
	packet.fragment_offset = 1;
	assert_verdict(sl_ipfilter_evaluate(&all, 1, &terminal, &packet), false,
		       SL_IPFILTER_BY_FRAGMENT_OFFSET, 0);
}

/* What decided how often: a generator that misses a case would make the comparison below say little. */
struct seen {
	unsigned int rule[2], by_default[2], no_rule, offset; /* [is_passed] */
	unsigned int any_protocol, a_protocol, address, prefix, any, assigned, inverted, port_list,
		port_range, both_ports, v6;
	unsigned int frag, ip_options, no_ip_options, tcp_options, no_tcp_options, tcp_flags, no_tcp_flags,
		established, setup, icmp_types;
	unsigned int later_fragment_by_rule, later_fragment_by_default[2];
};

static void note_end(struct seen *seen, const struct sl_ipfilter_end *end)
{
	const unsigned int whole = end->prefix.address.family == 4 ? 32 : 128;

	seen->any += end->place == SL_IPFILTER_ANY;
	seen->assigned += end->place == SL_IPFILTER_ASSIGNED;
	seen->address += end->place == SL_IPFILTER_PREFIX && end->prefix.length == whole;
	seen->prefix += end->place == SL_IPFILTER_PREFIX && end->prefix.length < whole;
	seen->inverted += end->is_inverted;
	seen->port_list += end->port_count > 1;
	for (size_t i = 0; i < end->port_count; i++)
		seen->port_range += end->ports[i].low < end->ports[i].high;
}

static void note(struct seen *seen, const struct sl_ipfilter_verdict *verdict,
		 const struct sl_ipfilter *rules, const struct sl_ipfilter_packet *packet)
{
	const struct sl_ipfilter *rule = &rules[verdict->rule];

	seen->offset += verdict->reason == SL_IPFILTER_BY_FRAGMENT_OFFSET;
	seen->no_rule += verdict->reason == SL_IPFILTER_BY_NO_RULE;
	if (verdict->reason == SL_IPFILTER_BY_DEFAULT) {
		seen->by_default[verdict->is_passed]++;
		seen->later_fragment_by_default[verdict->is_passed] += packet->fragment_offset > 1;
	}
	if (verdict->reason != SL_IPFILTER_BY_RULE)
		return;
	seen->rule[verdict->is_passed]++;
	seen->later_fragment_by_rule += packet->fragment_offset > 1;
	seen->any_protocol += rule->is_any_protocol;
	seen->a_protocol += !rule->is_any_protocol;
	note_end(seen, &rule->source);
	note_end(seen, &rule->destination);
	seen->frag += rule->is_frag;
	seen->ip_options += rule->ip_options.present != 0;
	seen->no_ip_options += rule->ip_options.absent != 0;
	seen->tcp_options += rule->tcp_options.present != 0;
	seen->no_tcp_options += rule->tcp_options.absent != 0;
	seen->tcp_flags += rule->tcp_flags.present != 0;
	seen->no_tcp_flags += rule->tcp_flags.absent != 0;
	seen->established += rule->is_established;
	seen->setup += rule->is_setup;
	seen->icmp_types += rule->icmp_types != 0;
	seen->both_ports += rule->source.port_count > 0 && rule->destination.port_count > 0;
	seen->v6 += packet->source.family == 6 && rule->source.place == SL_IPFILTER_PREFIX;
}

static void assert_all_seen(const struct seen *seen)
{
	const unsigned int *counts = (const unsigned int *)seen;

	for (size_t i = 0; i < sizeof(*seen) / sizeof(*counts); i++) {
		if (counts[i] < 100)
			fail_msg("case %zu decided only %u times", i, counts[i]);
	}
}

static void fail_with_pair(const struct sl_ipfilter *rules, size_t count, const struct model_terminal *model,
			   const struct sl_ipfilter_packet *packet, const struct sl_ipfilter_verdict *got,
			   const struct sl_ipfilter_verdict *wanted)
{
	char text[SL_IPFILTER_TEXT], source[SL_ADDRESS_TEXT], destination[SL_ADDRESS_TEXT];
	struct sl_ipfilter_prefix room[MODEL_PREFIXES];

	for (size_t i = 0; i < count; i++) {
		sl_ipfilter_format(&rules[i], text);
		print_error("rule %zu: %s\n", i, text);
	}
	model_terminal_given(model, room);
	for (size_t i = 0; i < model->count; i++) {
		sl_address_format(&room[i].address, text);
		print_error("assigned: %s/%u\n", text, room[i].length);
	}
	sl_address_format(&packet->source, source);
	sl_address_format(&packet->destination, destination);
	print_error("packet: %s %u from %s %u to %s %u, offset %u, IP options %#x; known: ports %d, TCP %d "
		    "flags %#x "
		    "options %#x, ICMP %d type %u\n",
		    packet->direction == SL_IPFILTER_OUT ? "out" : "in", packet->protocol, source,
		    packet->source_port, destination, packet->destination_port, packet->fragment_offset,
		    packet->ip_options, packet->has_ports, packet->has_tcp, packet->tcp_flags,
		    packet->tcp_options, packet->has_icmp, packet->icmp_type);
	fail_msg("passed %d, reason %d, rule %zu; the model says %d, %d, %zu", got->is_passed, got->reason,
		 got->rule, wanted->is_passed, wanted->reason, wanted->rule);
}

/* The same prefix with a bit set behind its end is an error, wherever it stands. */
static void q13_host_bits_are_refused_in_every_prefix(void **state)
{
	uint64_t random = model_seed();
	unsigned int refused[2] = {0, 0};

	(void)state;
	for (int i = 0; i < 20000; i++) {
		struct model_prefix *prefix;
		struct sl_ipfilter rule;
		struct sl_error err = {""};
		struct model_rule model;
		char text[SL_IPFILTER_TEXT];
		int end = (int)model_random(&random, 2), size;

		model_rule(&random, SL_IPFILTER_FULL, &model);
		prefix = &model.end[end].prefix;
		size = prefix->family == 4 ? 32 : 128;
		if (model.end[end].place != MODEL_PREFIX || prefix->length == size)
			continue;
		prefix->value |= (unsigned __int128)1
				 << model_random(&random, (unsigned int)(size - prefix->length));
		model_text(&random, &model, text);
		if (sl_ipfilter_parse("rule", text, strlen(text), SL_IPFILTER_FULL, &rule, &err) != -EINVAL)
			fail_msg("'%s' is accepted", text);
		refused[end]++;
	}
	assert_true(refused[0] > 1000 && refused[1] > 1000);
}

static void q13_a_million_random_lists_and_packets_are_judged_as_by_the_model(void **state)
{
	struct model_rule models[RULES_MAX];
	struct sl_ipfilter rules[RULES_MAX];
	struct model_terminal model;
	struct sl_ipfilter_prefix room[MODEL_PREFIXES];
	struct sl_ipfilter_terminal given;
	uint64_t random = model_seed();
	struct seen seen = {0};
	size_t count = 0;

	(void)state;
	for (int i = 0; i < PAIRS; i++) {
		struct sl_ipfilter_verdict got, wanted;
		struct sl_ipfilter_packet packet;

		if (i % PACKETS_PER_LIST == 0) {
			model_terminal(&random, &model);
			given = model_terminal_given(&model, room);
			count = model_random(&random, RULES_MAX + 1);
		}
		for (size_t k = 0; i % PACKETS_PER_LIST == 0 && k < count; k++) {
			const enum sl_ipfilter_dialect dialect = model_random(&random, 8) == 0
									 ? SL_IPFILTER_FLOW_DESCRIPTION
									 : SL_IPFILTER_FULL;
			char text[SL_IPFILTER_TEXT];

			model_rule(&random, dialect, &models[k]);
			model_text(&random, &models[k], text);
			read_rule(text, dialect, &rules[k]);
		}
		model_packet(&random, &packet);
		got = sl_ipfilter_evaluate(rules, count, &given, &packet);
		wanted = model_judge(models, count, &model, &packet);
		if (got.is_passed != wanted.is_passed || got.reason != wanted.reason ||
		    got.rule != wanted.rule)
			fail_with_pair(rules, count, &model, &packet, &got, &wanted);
		note(&seen, &got, rules, &packet);
	}
	assert_all_seen(&seen);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(direction_protocol_and_addresses_must_all_fit),
		cmocka_unit_test(an_address_has_a_version_and_inversion_stays_within_it),
		cmocka_unit_test(a_terminal_without_addresses_has_nothing_assigned),
		cmocka_unit_test(ports_are_lists_of_ports_and_ranges_that_inversion_leaves_alone),
		cmocka_unit_test(ports_beside_ip_in_a_flow_description_are_those_of_any_protocol),
		cmocka_unit_test(a_fragment_with_an_offset_matches_no_rule_that_looks_behind_the_ip_header),
		cmocka_unit_test(a_first_fragment_is_judged_like_a_whole_packet),
		cmocka_unit_test(ip_options_are_asked_for_by_presence_and_absence),
		cmocka_unit_test(tcp_options_and_flags_are_asked_for_by_presence_and_absence),
		cmocka_unit_test(established_is_rst_or_ack_and_setup_is_syn_without_ack),
		cmocka_unit_test(icmp_types_match_icmp_packets_of_that_type_only),
		cmocka_unit_test(the_first_match_decides_and_else_the_opposite_of_the_last_of_the_direction),
		cmocka_unit_test(a_fragment_with_offset_1_is_dropped_whatever_the_rules),
		cmocka_unit_test(q13_host_bits_are_refused_in_every_prefix),
		cmocka_unit_test(q13_a_million_random_lists_and_packets_are_judged_as_by_the_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
