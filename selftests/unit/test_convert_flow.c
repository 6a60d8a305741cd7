// SPDX-License-Identifier: Apache-2.0
/* A rule of the wire, up to the judgement of sl_rule_validate. */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "api/convert_flow.h"

#define UPLINK	 MAGMA__LTE__FLOW_MATCH__DIRECTION__UPLINK
#define DOWNLINK MAGMA__LTE__FLOW_MATCH__DIRECTION__DOWNLINK
#define TCP	 MAGMA__LTE__FLOW_MATCH__IPPROTO__IPPROTO_TCP
#define UDP	 MAGMA__LTE__FLOW_MATCH__IPPROTO__IPPROTO_UDP
#define V4	 MAGMA__LTE__IPADDRESS__IPVERSION__IPV4
#define V6	 MAGMA__LTE__IPADDRESS__IPVERSION__IPV6

/* Rule "r" of one flow; a test changes what it is about. */
struct wire {
	Magma__Lte__PolicyRule rule;
	Magma__Lte__FlowDescription flow;
	Magma__Lte__FlowDescription *flows[1];
	Magma__Lte__FlowMatch match;
	Magma__Lte__IPAddress source, destination;
	Magma__Lte__FlowQos qos;
	Magma__Lte__RedirectInformation redirect;
};

static void start(struct wire *wire)
{
	*wire = (struct wire){
		.rule = MAGMA__LTE__POLICY_RULE__INIT,
		.flow = MAGMA__LTE__FLOW_DESCRIPTION__INIT,
		.flows = {&wire->flow},
		.match = MAGMA__LTE__FLOW_MATCH__INIT,
		.source = MAGMA__LTE__IPADDRESS__INIT,
		.destination = MAGMA__LTE__IPADDRESS__INIT,
		.qos = MAGMA__LTE__FLOW_QOS__INIT,
		.redirect = MAGMA__LTE__REDIRECT_INFORMATION__INIT,
	};
	wire->rule.id = (char *)"r";
	wire->rule.flow_list = wire->flows;
	wire->rule.n_flow_list = 1;
	wire->flow.match = &wire->match;
}

static void set_address(Magma__Lte__IPAddress *address, Magma__Lte__IPAddress__IPVersion version,
			const char *text)
{
	address->version = version;
	address->address.data = (uint8_t *)text;
	address->address.len = strlen(text);
}

static void set_source(struct wire *wire, Magma__Lte__IPAddress__IPVersion version, const char *text)
{
	set_address(&wire->source, version, text);
	wire->match.ip_src = &wire->source;
}

static void set_destination(struct wire *wire, Magma__Lte__IPAddress__IPVersion version, const char *text)
{
	set_address(&wire->destination, version, text);
	wire->match.ip_dst = &wire->destination;
}

static struct sl_rule read_rule(const struct wire *wire)
{
	struct sl_rule rule;
	struct sl_error err = {""};

	if (sl_rule_read(&wire->rule, &rule, &err) < 0)
		fail_msg("%s", err.text);
	return rule;
}

static struct sluice_flow read_flow(const struct wire *wire)
{
	struct sl_rule rule = read_rule(wire);
	struct sluice_flow flow;
	struct sl_error err = {""};

	assert_int_equal(rule.flow_count, 1);
	if (sl_rule_validate(&rule, &err) < 0)
		fail_msg("%s", err.text);
	flow = rule.flows[0];
	free(rule.flows);
	return flow;
}

static void refuse(const struct wire *wire, int code, const char *field, const char *value)
{
	struct sl_rule rule = {.precedence = 77};
	struct sl_error err = {""};

	assert_int_equal(sl_rule_read(&wire->rule, &rule, &err), -code);
	assert_int_equal(rule.precedence, 77);
	if (strncmp(err.text, field, strlen(field)) != 0 || !strstr(err.text, value))
		fail_msg("'%s' does not name %s and %s", err.text, field, value);
}

static void an_id_has_1_to_255_bytes(void **state)
{
	static const size_t good[] = {1, 254, 255};
	static const struct {
		size_t length;
		const char *text;
	} bad[] = {{256, "256 bytes"}, {300, "300 bytes"}, {100000, "100000 bytes"}};
	char *id = calloc(1, 100001);

	(void)state;
	assert_non_null(id);
	for (int i = 0; i < 3; i++) {
		struct sl_rule rule;
		struct wire wire;

		start(&wire);
		memset(id, 0, 100001);
		memset(id, 'i', good[i]);
		wire.rule.id = id;
		rule = read_rule(&wire);
		assert_string_equal(rule.id, id);
		assert_int_equal(strlen(rule.id), good[i]);
		free(rule.flows);
		memset(id, 'i', bad[i].length);
		refuse(&wire, EINVAL, "rule.id", bad[i].text);
	}
	free(id);
}

static void a_rule_without_an_id_is_refused(void **state)
{
	struct wire wire;

	(void)state;
	start(&wire);
	wire.rule.id = (char *)"";
	refuse(&wire, EINVAL, "rule.id", "empty");
	wire.rule.id = NULL;
	refuse(&wire, EINVAL, "rule.id", "empty");
}

static void numbers_of_a_rule_are_kept_whole(void **state)
{
	struct sl_rule rule;
	struct wire wire;

	(void)state;
	start(&wire);
	wire.rule.priority = UINT32_MAX;
	wire.rule.rating_group = 17;
	wire.rule.hard_timeout = 3600;
	wire.rule.qos = &wire.qos;
	wire.qos.max_req_bw_ul = 1;
	wire.qos.max_req_bw_dl = UINT32_MAX;
	wire.qos.gbr_ul = 3;
	wire.qos.gbr_dl = 4;
	rule = read_rule(&wire);
	assert_true(rule.precedence == UINT32_MAX);
	assert_int_equal(rule.rating_group, 17);
	assert_int_equal(rule.hard_timeout_s, 3600);
	assert_true(rule.mbr[SLUICE_UPLINK] == 1);
	assert_true(rule.mbr[SLUICE_DOWNLINK] == UINT32_MAX);
	assert_true(rule.gbr[SLUICE_UPLINK] == 3);
	assert_true(rule.gbr[SLUICE_DOWNLINK] == 4);
	assert_int_equal(rule.record, SLUICE_NONE);
	free(rule.flows);
}

static void an_arp_is_taken_and_one_without_a_level_says_nothing(void **state)
{
	Magma__Lte__QosArp arp = MAGMA__LTE__QOS_ARP__INIT;
	struct sl_error err = {{0}};
	struct wire wire;
	struct sl_rule rule;

	(void)state;
	start(&wire);
	wire.rule.qos = &wire.qos;
	wire.qos.qci = MAGMA__LTE__FLOW_QOS__QCI__QCI_65;
	wire.qos.arp = &arp;
	rule = read_rule(&wire);
	assert_int_equal(rule.class_id, 65);
	assert_int_equal(rule.arp.level, 0);
	assert_false(rule.arp.may_preempt || rule.arp.may_be_preempted);
	assert_int_equal(sl_rule_arp(&rule).level, 15);
	assert_false(sl_rule_arp(&rule).may_preempt);
	assert_true(sl_rule_arp(&rule).may_be_preempted);
	free(rule.flows);

	/* the wire's numbers: 0 is enabled */
	arp.priority_level = 15;
	rule = read_rule(&wire);
	assert_int_equal(rule.arp.level, 15);
	assert_true(rule.arp.may_preempt && rule.arp.may_be_preempted);
	free(rule.flows);
	arp.pre_capability = MAGMA__LTE__QOS_ARP__PRE_CAP__PRE_CAP_DISABLED;
	rule = read_rule(&wire);
	assert_false(rule.arp.may_preempt);
	free(rule.flows);
	arp.pre_vulnerability = MAGMA__LTE__QOS_ARP__PRE_VUL__PRE_VUL_DISABLED;
	rule = read_rule(&wire);
	assert_false(rule.arp.may_be_preempted);
	free(rule.flows);

	arp.priority_level = 16;
	assert_int_equal(sl_rule_read(&wire.rule, &rule, &err), -EINVAL);
	assert_string_equal(err.text, "rule.qos.arp.priority_level: 16 is outside 1..15");
	arp.priority_level = 1;
	arp.pre_capability = (Magma__Lte__QosArp__PreCap)2;
	assert_int_equal(sl_rule_read(&wire.rule, &rule, &err), -EINVAL);
	assert_string_equal(err.text, "rule.qos.arp.pre_capability: unknown value 2");
}

static void a_rule_without_qos_has_no_rates(void **state)
{
	struct sl_rule rule;
	struct wire wire;

	(void)state;
	start(&wire);
	rule = read_rule(&wire);
	assert_true(rule.mbr[SLUICE_UPLINK] == 0 && rule.mbr[SLUICE_DOWNLINK] == 0);
	assert_true(rule.gbr[SLUICE_UPLINK] == 0 && rule.gbr[SLUICE_DOWNLINK] == 0);
	assert_int_equal(rule.hard_timeout_s, 0);
	free(rule.flows);
}

static void a_redirection_counts_only_where_it_is_enabled_and_then_without_flows(void **state)
{
	struct sl_rule rule;
	struct wire wire;

	(void)state;
	start(&wire);
	wire.rule.redirect = &wire.redirect;
	wire.redirect.server_address = (char *)"192.0.2.1";
	rule = read_rule(&wire);
	assert_int_equal(rule.flow_count, 1);
	assert_int_equal(rule.redirect, SLUICE_REDIRECT_NONE);
	free(rule.flows);
	wire.redirect.support = MAGMA__LTE__REDIRECT_INFORMATION__SUPPORT__ENABLED;
	rule = read_rule(&wire);
	assert_int_equal(rule.flow_count, 0);
	assert_int_equal(rule.redirect, SLUICE_REDIRECT_IPV4);
	assert_string_equal(rule.redirect_address, "192.0.2.1");
}

static void an_unknown_kind_of_redirection_is_refused(void **state)
{
	struct wire wire;

	(void)state;
	start(&wire);
	wire.rule.redirect = &wire.redirect;
	wire.redirect.support = (Magma__Lte__RedirectInformation__Support)2;
	refuse(&wire, EINVAL, "rule.redirect.support", "2");
}

static void application_detection_is_refused_in_the_rule_and_in_its_flows(void **state)
{
	struct wire wire;

	(void)state;
	start(&wire);
	wire.rule.app_name = MAGMA__LTE__POLICY_RULE__APP_NAME__NETFLIX;
	refuse(&wire, EOPNOTSUPP, "rule.app_name", "8");
	start(&wire);
	wire.match.app_name = (char *)"netflix";
	refuse(&wire, EOPNOTSUPP, "rule.flow_list[0].match.app_name", "'netflix'");
}

static void an_empty_flow_list_is_left_to_the_judge_of_rules(void **state)
{
	struct sl_error err = {""};
	struct sl_rule rule;
	struct wire wire;

	(void)state;
	start(&wire);
	wire.rule.n_flow_list = 0;
	rule = read_rule(&wire);
	assert_int_equal(rule.flow_count, 0);
	assert_int_equal(sl_rule_validate(&rule, &err), -EINVAL);
	free(rule.flows);
}

static void more_flows_than_a_rule_may_have_are_refused(void **state)
{
	Magma__Lte__FlowDescription *flows[SLUICE_FLOWS_PER_RULE + 1];
	struct sl_rule rule;
	struct wire wire;

	(void)state;
	start(&wire);
	for (int i = 0; i <= SLUICE_FLOWS_PER_RULE; i++)
		flows[i] = &wire.flow;
	wire.rule.flow_list = flows;
	wire.rule.n_flow_list = SLUICE_FLOWS_PER_RULE;
	rule = read_rule(&wire);
	assert_int_equal(rule.flow_count, SLUICE_FLOWS_PER_RULE);
	free(rule.flows);
	wire.rule.n_flow_list++;
	refuse(&wire, E2BIG, "rule.flow_list", "257 flows, at most 256");
}

static void a_flow_without_a_match_is_all_uplink(void **state)
{
	struct sluice_flow flow;
	struct wire wire;

	(void)state;
	start(&wire);
	wire.flow.match = NULL;
	wire.flow.action = MAGMA__LTE__FLOW_DESCRIPTION__ACTION__DENY;
	flow = read_flow(&wire);
	assert_int_equal(flow.direction, SLUICE_UPLINK);
	assert_int_equal(flow.action, SLUICE_DENY);
	assert_int_equal(flow.protocol, 0);
	assert_int_equal(flow.has_remote, 0);
	assert_int_equal(flow.remote_port_low, 0);
	assert_int_equal(flow.remote_port_high, 65535);
}

static void uplink_the_remote_side_is_the_destination(void **state)
{
	struct sluice_flow flow;
	struct wire wire;

	(void)state;
	start(&wire);
	wire.match.ip_proto = TCP;
	wire.match.tcp_dst = 65535;
	wire.match.tcp_src = 1;
	set_destination(&wire, V4, "45.10.0.0/24");
	flow = read_flow(&wire);
	assert_int_equal(flow.direction, SLUICE_UPLINK);
	assert_int_equal(flow.action, SLUICE_PERMIT);
	assert_int_equal(flow.protocol, IPPROTO_TCP);
	assert_int_equal(flow.family, 4);
	assert_int_equal(flow.has_remote, 1);
	assert_int_equal(flow.prefix_length, 24);
	assert_memory_equal(flow.remote, "\x2d\x0a\x00\x00", 4);
	assert_int_equal(flow.remote_port_low, 65535);
	assert_int_equal(flow.remote_port_high, 65535);
	assert_int_equal(flow.local_port_low, 1);
	assert_int_equal(flow.local_port_high, 1);
}

static void downlink_the_remote_side_is_the_source(void **state)
{
	struct sluice_flow flow;
	struct wire wire;

	(void)state;
	start(&wire);
	wire.match.direction = DOWNLINK;
	wire.match.ip_proto = UDP;
	wire.match.udp_src = 53;
	set_source(&wire, V6, "2001:db8::/32");
	flow = read_flow(&wire);
	assert_int_equal(flow.direction, SLUICE_DOWNLINK);
	assert_int_equal(flow.protocol, IPPROTO_UDP);
	assert_int_equal(flow.family, 6);
	assert_int_equal(flow.prefix_length, 32);
	assert_memory_equal(flow.remote, "\x20\x01\x0d\xb8", 4);
	assert_int_equal(flow.remote_port_low, 53);
	assert_int_equal(flow.remote_port_high, 53);
	assert_int_equal(flow.local_port_low, 0);
	assert_int_equal(flow.local_port_high, 65535);
}

static void the_address_of_the_ue_side_is_read_but_the_sessions_own_stands_there(void **state)
{
	struct sluice_flow flow;
	struct wire wire;

	(void)state;
	start(&wire);
	set_source(&wire, V4, "198.51.100.7");
	flow = read_flow(&wire);
	assert_int_equal(flow.has_remote, 0);
	assert_int_equal(flow.prefix_length, 0);
	assert_memory_equal(flow.remote, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16);
	wire.match.direction = DOWNLINK;
	wire.match.ip_src = NULL;
	set_destination(&wire, V4, "198.51.100.7");
	flow = read_flow(&wire);
	assert_int_equal(flow.has_remote, 0);
	/* read: a text that is no address is a mistake on either side */
	set_destination(&wire, V4, "198.51.100");
	refuse(&wire, EINVAL, "rule.flow_list[0].match.ip_dst", "'198.51.100'");
}

static void the_oldest_address_fields_are_without_effect(void **state)
{
	struct sluice_flow flow;
	struct wire wire;

	(void)state;
	start(&wire);
	wire.match.ipv4_dst = (char *)"45.10.0.1";
	wire.match.ipv4_src = (char *)"not an address";
	flow = read_flow(&wire);
	assert_int_equal(flow.has_remote, 0);
}

static void a_bad_address_is_refused_by_field_and_value(void **state)
{
	static const struct {
		Magma__Lte__IPAddress__IPVersion version;
		const char *text;
	} bad[] = {
		{V4, "45.10.0.1/24"},  {V6, "2001:db8::1/32"}, {V4, "45.10.0.0/33"}, {V6, "2001:db8::/129"},
		{V4, "45.10.0.0/"},    {V4, "45.10.0.0/ 8"},   {V4, "45.10.0"},	     {V4, "example.org"},
		{V4, "2001:db8::/32"}, {V6, "45.10.0.0/24"},   {V4, "/24"},	     {V4, " 45.10.0.0/24"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct wire wire;

		start(&wire);
		set_destination(&wire, bad[i].version, bad[i].text);
		refuse(&wire, EINVAL, "rule.flow_list[0].match.ip_dst", bad[i].text);
	}
}

static void an_address_as_raw_bytes_is_refused(void **state)
{
	char text[64];
	struct wire wire;

	(void)state;
	start(&wire);
	set_destination(&wire, V4, "");
	wire.destination.address = (ProtobufCBinaryData){4, (uint8_t *)"\x2d\x0a\x00\x00"};
	refuse(&wire, EINVAL, "rule.flow_list[0].match.ip_dst", "4 bytes");
	memset(text, '1', sizeof(text));
	wire.destination.address = (ProtobufCBinaryData){sizeof(text), (uint8_t *)text};
	refuse(&wire, EINVAL, "rule.flow_list[0].match.ip_dst", "64 bytes");
	wire.destination.address = (ProtobufCBinaryData){4, (uint8_t *)"\xff\xfe\x80\xc0"};
	refuse(&wire, EINVAL, "rule.flow_list[0].match.ip_dst", "'?\?\?\?'");
}

static void an_empty_address_is_not_given_whatever_its_version(void **state)
{
	struct sluice_flow flow;
	struct wire wire;

	(void)state;
	start(&wire);
	set_destination(&wire, (Magma__Lte__IPAddress__IPVersion)9, "");
	flow = read_flow(&wire);
	assert_int_equal(flow.has_remote, 0);
	assert_int_equal(flow.family, 0);
}

static void unknown_enums_are_refused_by_field_and_value(void **state)
{
	struct wire wire;

	(void)state;
	start(&wire);
	wire.flow.action = (Magma__Lte__FlowDescription__Action)2;
	refuse(&wire, EINVAL, "rule.flow_list[0].action", "2");
	start(&wire);
	wire.match.direction = (Magma__Lte__FlowMatch__Direction)2;
	refuse(&wire, EINVAL, "rule.flow_list[0].match.direction", "2");
	start(&wire);
	wire.match.ip_proto = (Magma__Lte__FlowMatch__IPProto)7;
	refuse(&wire, EINVAL, "rule.flow_list[0].match.ip_proto", "7");
	wire.match.ip_proto = (Magma__Lte__FlowMatch__IPProto)(256 + 6);
	refuse(&wire, EINVAL, "rule.flow_list[0].match.ip_proto", "262");
	wire.match.ip_proto = (Magma__Lte__FlowMatch__IPProto)-1;
	refuse(&wire, EINVAL, "rule.flow_list[0].match.ip_proto", "-1");
	start(&wire);
	set_destination(&wire, (Magma__Lte__IPAddress__IPVersion)2, "45.10.0.0/24");
	refuse(&wire, EINVAL, "rule.flow_list[0].match.ip_dst.version", "2");
}

static void ports_need_their_protocol(void **state)
{
	struct wire wire;

	(void)state;
	start(&wire);
	wire.match.tcp_dst = 443;
	refuse(&wire, EINVAL, "rule.flow_list[0].match.tcp_dst", "443 needs ip_proto TCP, not 0");
	wire.match.ip_proto = UDP;
	refuse(&wire, EINVAL, "rule.flow_list[0].match.tcp_dst", "443 needs ip_proto TCP, not 17");
	start(&wire);
	wire.match.udp_src = 53;
	wire.match.ip_proto = TCP;
	refuse(&wire, EINVAL, "rule.flow_list[0].match.udp_src", "53 needs ip_proto UDP, not 6");
}

static void a_port_above_65535_is_refused(void **state)
{
	struct wire wire;

	(void)state;
	start(&wire);
	wire.match.ip_proto = TCP;
	wire.match.tcp_dst = 65536;
	refuse(&wire, EINVAL, "rule.flow_list[0].match.tcp_dst", "65536");
	start(&wire);
	wire.match.ip_proto = UDP;
	wire.match.udp_src = UINT32_MAX;
	refuse(&wire, EINVAL, "rule.flow_list[0].match.udp_src", "4294967295");
}

static void the_flow_that_is_wrong_is_named_by_its_index(void **state)
{
	Magma__Lte__FlowDescription bad = MAGMA__LTE__FLOW_DESCRIPTION__INIT;
	Magma__Lte__FlowDescription *flows[3];
	struct wire wire;

	(void)state;
	start(&wire);
	bad.action = (Magma__Lte__FlowDescription__Action)5;
	flows[0] = &wire.flow;
	flows[1] = &wire.flow;
	flows[2] = &bad;
	wire.rule.flow_list = flows;
	wire.rule.n_flow_list = 3;
	refuse(&wire, EINVAL, "rule.flow_list[2].action", "5");
}

static void what_has_no_effect_is_accepted(void **state)
{
	Magma__Lte__ServiceIdentifier service = MAGMA__LTE__SERVICE_IDENTIFIER__INIT;
	Magma__Lte__HeaderEnrichment enrichment = MAGMA__LTE__HEADER_ENRICHMENT__INIT;
	struct sl_rule plain, rule;
	struct wire wire;

	(void)state;
	start(&wire);
	plain = read_rule(&wire);
	wire.rule.monitoring_key = (ProtobufCBinaryData){3, (uint8_t *)"\xff\0k"};
	wire.rule.tracking_type = MAGMA__LTE__POLICY_RULE__TRACKING_TYPE__NO_TRACKING;
	wire.rule.service_identifier = &service;
	wire.rule.app_service_type = MAGMA__LTE__POLICY_RULE__APP_SERVICE_TYPE__VIDEO;
	wire.rule.he = &enrichment;
	wire.rule.online = true;
	wire.rule.offline = true;
	wire.rule.qos = &wire.qos;
	rule = read_rule(&wire);
	assert_true(sl_rule_equal(&plain, &rule));
	free(plain.flows);
	free(rule.flows);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_id_has_1_to_255_bytes),
		cmocka_unit_test(a_rule_without_an_id_is_refused),
		cmocka_unit_test(numbers_of_a_rule_are_kept_whole),
		cmocka_unit_test(an_arp_is_taken_and_one_without_a_level_says_nothing),
		cmocka_unit_test(a_rule_without_qos_has_no_rates),
		cmocka_unit_test(a_redirection_counts_only_where_it_is_enabled_and_then_without_flows),
		cmocka_unit_test(an_unknown_kind_of_redirection_is_refused),
		cmocka_unit_test(application_detection_is_refused_in_the_rule_and_in_its_flows),
		cmocka_unit_test(an_empty_flow_list_is_left_to_the_judge_of_rules),
		cmocka_unit_test(more_flows_than_a_rule_may_have_are_refused),
		cmocka_unit_test(a_flow_without_a_match_is_all_uplink),
		cmocka_unit_test(uplink_the_remote_side_is_the_destination),
		cmocka_unit_test(downlink_the_remote_side_is_the_source),
		cmocka_unit_test(the_address_of_the_ue_side_is_read_but_the_sessions_own_stands_there),
		cmocka_unit_test(the_oldest_address_fields_are_without_effect),
		cmocka_unit_test(a_bad_address_is_refused_by_field_and_value),
		cmocka_unit_test(an_address_as_raw_bytes_is_refused),
		cmocka_unit_test(an_empty_address_is_not_given_whatever_its_version),
		cmocka_unit_test(unknown_enums_are_refused_by_field_and_value),
		cmocka_unit_test(ports_need_their_protocol),
		cmocka_unit_test(a_port_above_65535_is_refused),
		cmocka_unit_test(the_flow_that_is_wrong_is_named_by_its_index),
		cmocka_unit_test(what_has_no_effect_is_accepted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
