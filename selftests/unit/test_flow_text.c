// SPDX-License-Identifier: Apache-2.0
/* Flows in sluice's own form: read, shown, and read again. */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "policy/flow_text.h"
#include "policy/rule.h"

#define _cleanup_list_ _cleanup_(sl_flow_list_clear)

static void read_text(const struct sl_flow_text *text, struct sl_flow_list *list)
{
	struct sl_error err = {""};
	const char *part = "";

	assert_int_equal(sl_flow_list_init(list, NULL), 0);
	if (sl_flow_text_read(text, list, &part, &err) < 0)
		fail_msg("%s: %s", part, err.text);
}

static void validate(const struct sl_flow_list *list)
{
	struct sl_rule rule = {.id = "r", .flow_count = (uint32_t)list->count, .flows = list->flows};
	struct sl_error err = {""};

	if (sl_rule_validate(&rule, &err) < 0)
		fail_msg("%s", err.text);
}

static struct sluice_flow read_one(struct sl_flow_text text)
{
	_cleanup_list_ struct sl_flow_list list = {NULL, 0};

	if (!text.direction)
		text.direction = "uplink";
	read_text(&text, &list);
	assert_int_equal(list.count, 1);
	validate(&list);
	return list.flows[0];
}

#define ONE(...) read_one((struct sl_flow_text){__VA_ARGS__})

static void nothing_asked_for_is_any_packet_in_both_directions(void **state)
{
	_cleanup_list_ struct sl_flow_list list = {NULL, 0};
	const struct sluice_flow uplink = {.remote_port_high = 65535, .local_port_high = 65535};
	const struct sl_flow_text empty = {.direction = "", .action = "", .remote = "", .remote_port = ""};

	(void)state;
	read_text(&(struct sl_flow_text){.family = 0}, &list);
	assert_int_equal(list.count, 2);
	assert_memory_equal(&list.flows[0], &uplink, sizeof(uplink));
	assert_int_equal(list.flows[1].direction, SLUICE_DOWNLINK);
	sl_flow_list_clear(&list);
	read_text(&empty, &list);
	assert_int_equal(list.count, 2);
	assert_memory_equal(&list.flows[0], &uplink, sizeof(uplink));
}

static void every_part_is_read_into_its_place(void **state)
{
	struct sluice_flow flow;

	(void)state;
	assert_int_equal(ONE(.action = "deny").action, SLUICE_DENY);
	assert_int_equal(ONE(.direction = "downlink").direction, SLUICE_DOWNLINK);
	assert_int_equal(ONE(.protocol = "any").flags, 0);
	assert_int_equal(ONE(.protocol = "tcp").protocol, IPPROTO_TCP);
	assert_int_equal(ONE(.protocol = "esp").protocol, IPPROTO_ESP);
	assert_int_equal(ONE(.protocol = "255").protocol, 255);
	assert_int_equal(ONE(.protocol = "0").flags, SLUICE_FLOW_PROTOCOL_ZERO);
	flow = ONE(.remote = "192.0.2.0/24");
	assert_int_equal(flow.family, 4);
	assert_int_equal(flow.has_remote, 1);
	assert_int_equal(flow.prefix_length, 24);
	assert_memory_equal(flow.remote, "\xc0\0\x02\0", 4);
	assert_int_equal(flow.terms.which, 0);
	flow = ONE(.remote = "!2001:db8::1");
	assert_int_equal(flow.family, 6);
	assert_int_equal(flow.prefix_length, 128);
	assert_int_equal(flow.terms.which, SLUICE_TERM_REMOTE_NOT);
	flow = ONE(.local = "10.0.0.0/8");
	assert_int_equal(flow.flags, SLUICE_FLOW_LOCAL);
	assert_int_equal(flow.local_length, 8);
	assert_int_equal(flow.local[0], 10);
	assert_int_equal(ONE(.local = "!2001:db8::/64").flags, SLUICE_FLOW_LOCAL_NOT);
	flow = ONE(.protocol = "udp", .remote_port = "5000-5100", .local_port = "7");
	assert_int_equal(flow.remote_port_low, 5000);
	assert_int_equal(flow.remote_port_high, 5100);
	assert_int_equal(flow.local_port_low, 7);
	assert_int_equal(flow.local_port_high, 7);
	assert_int_equal(ONE(.dscp = "ef").terms.dscp, 46);
	assert_int_equal(ONE(.dscp = "af41").terms.dscp, 34);
	assert_int_equal(ONE(.dscp = "cs1").terms.dscp, 8);
	assert_int_equal(ONE(.dscp = "0").terms.dscp, 0);
	assert_int_equal(ONE(.dscp = "0").terms.which, SLUICE_TERM_DSCP);
	assert_int_equal(ONE(.dscp = "63").terms.dscp, 63);
	flow = ONE(.protocol = "tcp", .tcp_flags = "syn,!ack");
	assert_int_equal(flow.terms.tcp_mask, 0x12);
	assert_int_equal(flow.terms.tcp_value, 0x02);
	assert_int_equal(flow.terms.tcp_any, 0);
	flow = ONE(.protocol = "tcp", .tcp_flags = "established, cwr");
	assert_int_equal(flow.terms.tcp_mask, 0x80);
	assert_int_equal(flow.terms.tcp_value, 0x80);
	assert_int_equal(flow.terms.tcp_any, 0x14);
	flow = ONE(.protocol = "tcp", .tcp_options = "mss,!sack");
	assert_int_equal(flow.terms.tcp_options_present, 1);
	assert_int_equal(flow.terms.tcp_options_absent, 4);
	flow = ONE(.protocol = "icmpv6", .icmp_type = "128-129");
	assert_int_equal(flow.terms.icmp_low, 128);
	assert_int_equal(flow.terms.icmp_high, 129);
	assert_int_equal(ONE(.fragment = "later").terms.which, SLUICE_TERM_LATER_FRAGMENT);
	assert_int_equal(ONE(.ip_options = "!rr").terms.ip_options_absent, 4);
	assert_int_equal(ONE(.family = 6).family, 6);
}

static void a_list_becomes_a_flow_for_each_combination_and_direction(void **state)
{
	_cleanup_list_ struct sl_flow_list list = {NULL, 0};

	(void)state;
	read_text(&(struct sl_flow_text){.protocol = "tcp",
					 .remote_port = "80, 443,5000-5100",
					 .local_port = "1,2"},
		  &list);
	assert_int_equal(list.count, 12);
	assert_int_equal(list.flows[2].remote_port_low, 443);
	assert_int_equal(list.flows[2].local_port_low, 1);
	assert_int_equal(list.flows[6].direction, SLUICE_DOWNLINK);
	validate(&list);
}

static void all_ports_asked_for_are_not_the_same_as_none(void **state)
{
	_cleanup_list_ struct sl_flow_list list = {NULL, 0};

	(void)state;
	read_text(&(struct sl_flow_text){.direction = "uplink", .protocol = "tcp", .remote_port = "0-65535"},
		  &list);
	assert_int_equal(list.count, 2);
	assert_int_equal(list.flows[0].remote_port_high, 32767);
	assert_int_equal(list.flows[1].remote_port_low, 32768);
}

static void the_flows_of_a_rule_are_counted_beyond_their_bound(void **state)
{
	_cleanup_list_ struct sl_flow_list list = {NULL, 0};
	struct sluice_flow *flows = NULL;
	struct sl_error err = {""};
	const char *part = "";
	char ports[512] = "1";
	uint32_t count = 0;

	(void)state;
	for (int i = 3; i < 64; i += 2)
		snprintf(ports + strlen(ports), sizeof(ports) - strlen(ports), ",%d", i);
	assert_int_equal(sl_flow_list_init(&list, NULL), 0);
	assert_int_equal(
		sl_flow_text_read(
			&(struct sl_flow_text){.protocol = "udp", .remote_port = ports, .local_port = ports},
			&list, &part, &err),
		0);
	assert_int_equal(sl_flow_list_take(&list, "flows", &flows, &count, &err), -E2BIG);
	assert_string_equal(err.text, "flows: they come to 2048 flows, at most 256 are allowed");
	assert_null(flows);
}

static void a_wrong_part_is_named_with_its_value(void **state)
{
	static const struct {
		struct sl_flow_text text;
		const char *part, *says;
	} cases[] = {
		{{.direction = "up"}, "direction", "\"up\""},
		{{.action = "portal"}, "action", "\"portal\""},
		{{.protocol = "256"}, "protocol", "\"256\""},
		{{.protocol = "TCP"}, "protocol", "\"TCP\""},
		{{.protocol = "06"}, "protocol", "\"06\""},
		{{.remote = "10.0.0.1/24"}, "remote", "10.0.0.0/24"},
		{{.remote = "!"}, "remote", "\"!\""},
		{{.remote = "!!10.0.0.1"}, "remote", "\"!!10.0.0.1\""},
		{{.remote = "any"}, "remote", "\"any\""},
		{{.local = "assigned"}, "local", "assigned"},
		{{.remote = "10.0.0.1", .local = "2001:db8::/64"}, "local", "IPv4"},
		{{.remote = "10.0.0.1", .family = 6}, "remote", "IPv6"},
		{{.local = "2001:db8::/65"}, "local", "64"},
		{{.family = 5}, "family", "5"},
		{{.protocol = "tcp", .remote_port = "0"}, "remote_port", "\"0\""},
		{{.protocol = "tcp", .remote_port = "65536"}, "remote_port", "65536"},
		{{.protocol = "tcp", .remote_port = "81-80"}, "remote_port", "81-80"},
		{{.protocol = "tcp", .remote_port = "80,"}, "remote_port", "\"80,\""},
		{{.protocol = "tcp", .remote_port = ",80"}, "remote_port", "\",80\""},
		{{.protocol = "tcp", .remote_port = "-80"}, "remote_port", "\"-80\""},
		{{.protocol = "tcp", .remote_port = "1-2-3"}, "remote_port", "\"1-2-3\""},
		{{.protocol = "tcp", .remote_port = "080"}, "remote_port", "\"080\""},
		{{.protocol = "tcp", .local_port = " "}, "local_port", "\" \""},
		{{.protocol = "tcp", .local_port = "12345678901234567890123456789012345"},
		 "local_port",
		 "1234"},
		{{.remote_port = "80"}, "", "protocol"},
		{{.protocol = "icmp", .local_port = "80"}, "", "protocol"},
		{{.dscp = "64"}, "dscp", "\"64\""},
		{{.dscp = "EF"}, "dscp", "\"EF\""},
		{{.protocol = "tcp", .tcp_flags = "syn,!syn"}, "tcp_flags", "once"},
		{{.protocol = "tcp", .tcp_flags = "!established"}, "tcp_flags", "established"},
		{{.protocol = "tcp", .tcp_flags = "SYN"}, "tcp_flags", "\"SYN\""},
		{{.protocol = "udp", .tcp_flags = "syn"}, "", "protocol tcp"},
		{{.tcp_options = "mss"}, "", "protocol tcp"},
		{{.protocol = "tcp", .tcp_options = "nop"}, "tcp_options", "nop"},
		{{.protocol = "icmp", .icmp_type = "256"}, "icmp_type", "256"},
		{{.protocol = "icmp", .icmp_type = "echo"}, "icmp_type", "echo"},
		{{.icmp_type = "8"}, "", "icmp"},
		{{.fragment = "first"}, "fragment", "later"},
		{{.protocol = "tcp", .fragment = "later", .remote_port = "80"}, "", "fragment"},
		{{.ip_options = "lsrr,"}, "ip_options", "lsrr,"},
	};

	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(cases); i++) {
		_cleanup_list_ struct sl_flow_list list = {NULL, 0};
		struct sl_error err = {""};
		const char *part = "?";

		assert_int_equal(sl_flow_list_init(&list, NULL), 0);
		if (sl_flow_text_read(&cases[i].text, &list, &part, &err) != -EINVAL)
			fail_msg("case %zu (%s) was accepted", i, cases[i].part);
		if (strcmp(part, cases[i].part) != 0 || !strstr(err.text, cases[i].says))
			fail_msg("case %zu: '%s: %s' does not name %s and %s", i, part, err.text,
				 cases[i].part, cases[i].says);
	}
}

static uint32_t pick(uint32_t *seed, uint32_t bound)
{
	return (uint32_t)rand_r(seed) % bound;
}

/* A flow that the readers could have made. */
static struct sluice_flow random_flow(uint32_t *seed)
{
	static const uint8_t protocols[] = {0, 1, 6, 17, 47, 50, 58, 89, 132, 200};
	struct sluice_flow flow = {
		.direction = pick(seed, 2),
		.action = pick(seed, 2),
		.family = (uint8_t)(pick(seed, 3) * 2),
		.protocol = protocols[pick(seed, SL_ARRAY_SIZE(protocols))],
		.remote_port_high = 65535,
		.local_port_high = 65535,
	};
	struct sluice_terms *terms = &flow.terms;

	if (flow.family == 2)
		flow.family = 6;
	if (flow.protocol == 0 && pick(seed, 2))
		flow.flags |= SLUICE_FLOW_PROTOCOL_ZERO;
	if (pick(seed, 4) == 0) {
		flow.flags |= SLUICE_FLOW_REMOTE_ASSIGNED;
		if (pick(seed, 2))
			terms->which |= SLUICE_TERM_REMOTE_NOT;
	} else if (flow.family && pick(seed, 2)) {
		flow.has_remote = 1;
		flow.prefix_length = (uint8_t)(8 * pick(seed, flow.family == 4 ? 5 : 17));
		for (int i = 0; i < flow.prefix_length / 8; i++)
			flow.remote[i] = (uint8_t)pick(seed, 256);
		if (pick(seed, 2))
			terms->which |= SLUICE_TERM_REMOTE_NOT;
	}
	if (flow.family && pick(seed, 2)) {
		flow.flags |= pick(seed, 2) ? SLUICE_FLOW_LOCAL : SLUICE_FLOW_LOCAL_NOT;
		flow.local_length = (uint8_t)(8 * pick(seed, flow.family == 4 ? 5 : 9));
		for (int i = 0; i < flow.local_length / 8; i++)
			flow.local[i] = (uint8_t)pick(seed, 256);
	}
	if (pick(seed, 2)) {
		terms->which |= SLUICE_TERM_DSCP;
		terms->dscp = (uint8_t)pick(seed, 64);
	}
	if (pick(seed, 2)) {
		terms->which |= SLUICE_TERM_IP_OPTIONS;
		terms->ip_options_present = (uint8_t)(1 + pick(seed, 15));
		terms->ip_options_absent = 15 & ~terms->ip_options_present;
	}
	if (pick(seed, 4) == 0) {
		terms->which |= SLUICE_TERM_LATER_FRAGMENT;
		return flow;
	}
	if ((flow.protocol == 6 || flow.protocol == 17 || flow.protocol == 132) && pick(seed, 2)) {
		flow.remote_port_low = (uint16_t)pick(seed, 1000);
		flow.remote_port_high = (uint16_t)(flow.remote_port_low + pick(seed, 2) * pick(seed, 64000));
	}
	if (flow.protocol == 6 && pick(seed, 2)) {
		terms->which |= SLUICE_TERM_TCP_FLAGS;
		terms->tcp_mask = (uint8_t)(1 + pick(seed, 255));
		terms->tcp_value = terms->tcp_mask & (uint8_t)pick(seed, 256);
		terms->tcp_any = pick(seed, 2) ? 0x14 : 0;
	}
	if (flow.protocol == 6 && pick(seed, 2)) {
		terms->which |= SLUICE_TERM_TCP_OPTIONS;
		terms->tcp_options_present = (uint8_t)(1 + pick(seed, 31));
	}
	if ((flow.protocol == 1 || flow.protocol == 58) && pick(seed, 2)) {
		terms->which |= SLUICE_TERM_ICMP_TYPE;
		terms->icmp_low = (uint8_t)pick(seed, 128);
		terms->icmp_high = (uint8_t)(terms->icmp_low + pick(seed, 128));
	}
	return flow;
}

static void what_is_shown_is_read_back_as_the_same_flow(void **state)
{
	uint32_t seed = 20814;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		const struct sluice_flow flow = random_flow(&seed);
		_cleanup_list_ struct sl_flow_list list = {NULL, 0};
		struct sl_flow_shown shown;

		sl_flow_show(&flow, &shown);
		read_text(&(struct sl_flow_text){shown.direction, shown.action, shown.protocol, shown.remote,
						 shown.remote_port, shown.local, shown.local_port, shown.dscp,
						 shown.tcp_flags, shown.tcp_options, shown.icmp_type,
						 shown.fragment, shown.ip_options, shown.family},
			  &list);
		assert_int_equal(list.count, 1);
		if (memcmp(&list.flows[0], &flow, sizeof(flow)) != 0)
			fail_msg("round %d: %s %s remote '%s' port '%s' local '%s' flags '%s'", round,
				 shown.protocol, shown.action, shown.remote, shown.remote_port, shown.local,
				 shown.tcp_flags);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_asked_for_is_any_packet_in_both_directions),
		cmocka_unit_test(every_part_is_read_into_its_place),
		cmocka_unit_test(a_list_becomes_a_flow_for_each_combination_and_direction),
		cmocka_unit_test(all_ports_asked_for_are_not_the_same_as_none),
		cmocka_unit_test(the_flows_of_a_rule_are_counted_beyond_their_bound),
		cmocka_unit_test(a_wrong_part_is_named_with_its_value),
		cmocka_unit_test(what_is_shown_is_read_back_as_the_same_flow),
	};

	return cmocka_run_group_tests_name("flow text", tests, NULL, NULL);
}
