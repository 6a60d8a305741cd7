// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "policy/flow.h"
#include "policy/rule.h"

static struct sluice_flow read_flow(const struct sl_flow_match *match)
{
	struct sluice_flow flow;
	struct sl_error err;
	struct sl_rule rule = {.id = "r", .flow_count = 1, .flows = &flow};

	if (sl_flow_from_match("flow_list[0].match", match, &flow, &err) < 0)
		fail_msg("%s", err.text);
	if (sl_rule_validate(&rule, &err) < 0)
		fail_msg("%s", err.text);
	return flow;
}

static void refuse(const struct sl_flow_match *match, const char *field, const char *value)
{
	struct sluice_flow flow = {.protocol = 77};
	struct sl_error err = {""};

	assert_int_equal(sl_flow_from_match("flow_list[3].match", match, &flow, &err), -EINVAL);
	assert_int_equal(flow.protocol, 77);
	if (!strstr(err.text, "flow_list[3].match.") || !strstr(err.text, field) || !strstr(err.text, value))
		fail_msg("'%s' does not name %s and %s", err.text, field, value);
}

static void an_empty_match_is_all_traffic_of_its_direction(void **state)
{
	struct sluice_flow flow = read_flow(&(struct sl_flow_match){.direction = SLUICE_DOWNLINK});

	(void)state;
	assert_int_equal(flow.direction, SLUICE_DOWNLINK);
	assert_int_equal(flow.action, SLUICE_PERMIT);
	assert_int_equal(flow.family, 0);
	assert_int_equal(flow.has_remote, 0);
	assert_int_equal(flow.protocol, 0);
	assert_int_equal(flow.remote_port_low, 0);
	assert_int_equal(flow.remote_port_high, 65535);
	assert_int_equal(flow.local_port_low, 0);
	assert_int_equal(flow.local_port_high, 65535);
}

static void uplink_the_destination_is_the_remote_side(void **state)
{
	struct sluice_flow flow = read_flow(&(struct sl_flow_match){
		.direction = SLUICE_UPLINK,
		.action = SLUICE_DENY,
		.ip_proto = IPPROTO_TCP,
		.ip_dst = {.text = "45.10.0.0/24"},
		.tcp_dst = 443,
		.tcp_src = 40000,
	});

	(void)state;
	assert_int_equal(flow.action, SLUICE_DENY);
	assert_int_equal(flow.family, 4);
	assert_int_equal(flow.has_remote, 1);
	assert_int_equal(flow.prefix_length, 24);
	assert_memory_equal(flow.remote, "\x2d\x0a\x00\x00", 4);
	assert_int_equal(flow.remote_port_low, 443);
	assert_int_equal(flow.remote_port_high, 443);
	assert_int_equal(flow.local_port_low, 40000);
	assert_int_equal(flow.local_port_high, 40000);
}

static void downlink_the_source_is_the_remote_side(void **state)
{
	struct sluice_flow flow = read_flow(&(struct sl_flow_match){
		.direction = SLUICE_DOWNLINK,
		.ip_proto = IPPROTO_UDP,
		.ip_src = {.text = "2001:db8::/32", .family = 6},
		.udp_src = 53,
		.udp_dst = 65535,
	});

	(void)state;
	assert_int_equal(flow.family, 6);
	assert_int_equal(flow.prefix_length, 32);
	assert_int_equal(flow.remote_port_low, 53);
	assert_int_equal(flow.remote_port_high, 53);
	assert_int_equal(flow.local_port_low, 65535);
	assert_int_equal(flow.local_port_high, 65535);
}

static void of_the_address_of_the_ue_side_only_the_family_counts(void **state)
{
	struct sluice_flow uplink = read_flow(&(struct sl_flow_match){
		.direction = SLUICE_UPLINK, .ip_src = {.text = "10.0.0.0/8", .family = 4}});
	struct sluice_flow downlink = read_flow(&(struct sl_flow_match){
		.direction = SLUICE_DOWNLINK,
		.ip_src = {.text = "8.8.8.8"},
		.ip_dst = {.text = "192.168.0.0/24"},
	});

	(void)state;
	assert_int_equal(uplink.has_remote, 0);
	assert_int_equal(uplink.prefix_length, 0);
	assert_int_equal(uplink.family, 4);
	assert_int_equal(downlink.has_remote, 1);
	assert_int_equal(downlink.prefix_length, 32);
	assert_memory_equal(downlink.remote, "\x08\x08\x08\x08", 4);
}

static void two_sides_of_different_families_are_refused(void **state)
{
	struct sl_flow_match match = {.ip_src = {.text = "10.0.0.0/8"}, .ip_dst = {.text = "2001:db8::/32"}};
	struct sluice_flow flow = {.protocol = 77};
	struct sl_error err;

	(void)state;
	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
		match.direction = (enum sluice_direction)direction;
		assert_int_equal(sl_flow_from_match("match", &match, &flow, &err), -EINVAL);
		assert_int_equal(flow.protocol, 77);
		assert_non_null(strstr(err.text, "10.0.0.0/8"));
		assert_non_null(strstr(err.text, "2001:db8::/32"));
	}
}

static void a_malformed_address_is_refused_on_either_side(void **state)
{
	(void)state;
	refuse(&(struct sl_flow_match){.direction = SLUICE_UPLINK, .ip_src = {.text = "9999.0.0.0/24"}},
	       "ip_src", "9999.0.0.0/24");
	refuse(&(struct sl_flow_match){.direction = SLUICE_UPLINK, .ip_dst = {.text = "9999.0.0.0/24"}},
	       "ip_dst", "9999.0.0.0/24");
	refuse(&(struct sl_flow_match){.direction = SLUICE_DOWNLINK, .ip_src = {.text = "10.0.0.1/24"}},
	       "ip_src", "10.0.0.1/24");
}

static void an_address_of_another_version_than_it_says_is_refused(void **state)
{
	(void)state;
	refuse(&(struct sl_flow_match){.ip_dst = {.text = "2001:db8::1", .family = 4}}, "ip_dst",
	       "2001:db8::1");
	refuse(&(struct sl_flow_match){.ip_dst = {.text = "10.0.0.1", .family = 6}}, "ip_dst", "10.0.0.1");
}

static void an_empty_address_is_no_address(void **state)
{
	struct sluice_flow flow = read_flow(&(struct sl_flow_match){.ip_dst = {.text = "", .family = 4}});

	(void)state;
	assert_int_equal(flow.has_remote, 0);
	assert_int_equal(flow.family, 0);
}

static void ports_need_the_protocol_they_belong_to(void **state)
{
	(void)state;
	refuse(&(struct sl_flow_match){.tcp_dst = 80}, "tcp_dst", "80");
	refuse(&(struct sl_flow_match){.ip_proto = IPPROTO_UDP, .tcp_dst = 80}, "tcp_dst", "80");
	refuse(&(struct sl_flow_match){.ip_proto = IPPROTO_TCP, .udp_src = 53}, "udp_src", "53");
	refuse(&(struct sl_flow_match){.ip_proto = IPPROTO_ICMP, .tcp_src = 1}, "tcp_src", "1");
	refuse(&(struct sl_flow_match){.ip_proto = IPPROTO_TCP, .tcp_src = 1, .udp_dst = 2}, "udp_dst", "2");
}

static void numbers_out_of_range_are_refused(void **state)
{
	(void)state;
	refuse(&(struct sl_flow_match){.ip_proto = IPPROTO_TCP, .tcp_dst = 65536}, "tcp_dst", "65536");
	refuse(&(struct sl_flow_match){.ip_proto = IPPROTO_UDP, .udp_dst = 4294967295u}, "udp_dst",
	       "4294967295");
	refuse(&(struct sl_flow_match){.ip_proto = 256}, "ip_proto", "256");
	refuse(&(struct sl_flow_match){.direction = (enum sluice_direction)2}, "direction", "2");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_match_is_all_traffic_of_its_direction),
		cmocka_unit_test(uplink_the_destination_is_the_remote_side),
		cmocka_unit_test(downlink_the_source_is_the_remote_side),
		cmocka_unit_test(of_the_address_of_the_ue_side_only_the_family_counts),
		cmocka_unit_test(two_sides_of_different_families_are_refused),
		cmocka_unit_test(a_malformed_address_is_refused_on_either_side),
		cmocka_unit_test(an_address_of_another_version_than_it_says_is_refused),
		cmocka_unit_test(an_empty_address_is_no_address),
		cmocka_unit_test(ports_need_the_protocol_they_belong_to),
		cmocka_unit_test(numbers_out_of_range_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
