// SPDX-License-Identifier: Apache-2.0
/* The file of `sluicectl activate`, seen as the messages that the agent gets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>

#include "api/convert_old.h"
#include "text_file.h"

#include "../../tools/sluicectl/arena.c"
#include "../../tools/sluicectl/policy_example.c"
#include "../../tools/sluicectl/policy_file.c"
#include "../../tools/sluicectl/rule_message.c"
#include "../../tools/sluicectl/yaml_quota.c"
#include "../../tools/sluicectl/yaml_rule.c"

/* What is only a warning goes to standard error. */
int ctl_error(int code, const char *format, ...)
{
	(void)format;
	return code;
}

#define _cleanup_policy_ _cleanup_(policy_file_free)

static int load(const char *text, struct policy_file *out, struct sl_error *err)
{
	struct text_file file;
	int ret;

	text_file_begin(&file, text);
	ret = policy_file_load(file.path, out, err);
	text_file_end(&file, ret < 0 ? err : NULL);
	return ret;
}

static Magma__Lte__ActivateFlowsRequest *request_of(const struct policy_file *file, size_t i)
{
	Magma__Lte__ActivateFlowsRequest *message = magma__lte__activate_flows_request__unpack(
		NULL, file->requests[i].length, file->requests[i].bytes);

	assert_non_null(message);
	return message;
}

static void the_example_is_accepted(void **state)
{
	_cleanup_policy_ struct policy_file file = {0};
	struct sl_error err = {""};

	(void)state;
	if (load(policy_file_example, &file, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(file.sessions, 4);
	assert_int_equal(file.count, 4);
	assert_string_equal(file.requests[0].imsi, "001010000000001");
	assert_string_equal(file.requests[0].address, "10.45.0.2, 2001:db8:45:2::1");
	assert_int_equal(file.requests[0].rules, 3);
	assert_int_equal(file.requests[1].rules, 3);
}

static void a_session_becomes_one_request_with_every_field_in_its_place(void **state)
{
	_cleanup_policy_ struct policy_file file = {0};
	struct sl_error err = {""};
	Magma__Lte__ActivateFlowsRequest *message;
	const Magma__Lte__PolicyRule *rule;

	(void)state;
	if (load("sessions:\n"
		 "  - imsi: IMSI001010000000001\n"
		 "    ipv4: 10.0.0.1\n"
		 "    apn: internet\n"
		 "    ambr: {uplink: 50Mbit, downlink: 100Mbit}\n"
		 "    rules:\n"
		 "      - id: web\n"
		 "        version: 7\n"
		 "        precedence: 4294967295\n"
		 "        action: deny\n"
		 "        mbr: {uplink: 64kbit}\n"
		 "        hard_timeout: 2m\n"
		 "        flows: [{}]\n",
		 &file, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(file.count, 1);
	message = request_of(&file, 0);
	assert_string_equal(message->sid->id, "IMSI001010000000001");
	assert_string_equal(message->ip_addr, "10.0.0.1");
	assert_int_equal(message->ipv6_addr.len, 0);
	assert_string_equal(message->apn, "internet");
	assert_int_equal(message->request_origin->type, MAGMA__LTE__REQUEST_ORIGIN_TYPE__ORIGIN_TYPE__GX);
	assert_int_equal(message->apn_ambr->max_bandwidth_ul, 50000000);
	assert_int_equal(message->apn_ambr->max_bandwidth_dl, 100000000);
	assert_int_equal(message->apn_ambr->br_unit,
			 MAGMA__LTE__AGGREGATED_MAXIMUM_BITRATE__BITRATE_UNITS_AMBR__BPS);
	assert_int_equal(message->n_policies, 1);
	assert_int_equal(message->policies[0]->version, 7);
	rule = message->policies[0]->rule;
	assert_string_equal(rule->id, "web");
	assert_true(rule->priority == UINT32_MAX);
	assert_int_equal(rule->qos->max_req_bw_ul, 64000);
	assert_int_equal(rule->qos->max_req_bw_dl, 0);
	assert_int_equal(rule->hard_timeout, 120);
	assert_int_equal(rule->n_flow_list, 2);
	assert_int_equal(rule->flow_list[0]->match->direction, MAGMA__LTE__FLOW_MATCH__DIRECTION__UPLINK);
	assert_int_equal(rule->flow_list[1]->match->direction, MAGMA__LTE__FLOW_MATCH__DIRECTION__DOWNLINK);
	assert_int_equal(rule->flow_list[0]->action, MAGMA__LTE__FLOW_DESCRIPTION__ACTION__DENY);
	assert_null(rule->flow_list[0]->match->ip_dst);
	magma__lte__activate_flows_request__free_unpacked(message, NULL);
}

static void the_remote_side_is_the_destination_uplink_and_the_source_downlink(void **state)
{
	_cleanup_policy_ struct policy_file file = {0};
	struct sl_error err = {""};
	Magma__Lte__ActivateFlowsRequest *message;
	const Magma__Lte__FlowMatch *uplink, *downlink, *udp;

	(void)state;
	if (load("sessions:\n"
		 "  - imsi: '001010'\n"
		 "    ipv6: 2001:db8::1\n"
		 "    rules:\n"
		 "      - id: r\n"
		 "        flows:\n"
		 "          - {protocol: tcp, remote: 192.0.2.0/24, remote_port: 80, local_port: 5000}\n"
		 "          - {direction: downlink, action: deny, protocol: udp, remote: '2001:db8::/32', "
		 "local_port: 53}\n"
		 "          - {direction: uplink, protocol: 51}\n",
		 &file, &err) < 0)
		fail_msg("%s", err.text);
	message = request_of(&file, 0);
	assert_string_equal(message->ip_addr, "");
	assert_memory_equal(message->ipv6_addr.data, "2001:db8::1", 11);
	assert_int_equal(message->policies[0]->rule->n_flow_list, 4);
	uplink = message->policies[0]->rule->flow_list[0]->match;
	assert_memory_equal(uplink->ip_dst->address.data, "192.0.2.0/24", 12);
	assert_int_equal(uplink->ip_dst->version, MAGMA__LTE__IPADDRESS__IPVERSION__IPV4);
	assert_null(uplink->ip_src);
	assert_int_equal(uplink->tcp_dst, 80);
	assert_int_equal(uplink->tcp_src, 5000);
	assert_int_equal(uplink->udp_dst, 0);
	downlink = message->policies[0]->rule->flow_list[1]->match;
	assert_memory_equal(downlink->ip_src->address.data, "192.0.2.0/24", 12);
	assert_null(downlink->ip_dst);
	assert_int_equal(downlink->tcp_src, 80);
	assert_int_equal(downlink->tcp_dst, 5000);
	udp = message->policies[0]->rule->flow_list[2]->match;
	assert_int_equal(udp->ip_src->version, MAGMA__LTE__IPADDRESS__IPVERSION__IPV6);
	assert_int_equal(udp->udp_src, 0);
	assert_int_equal(udp->udp_dst, 53);
	assert_int_equal(message->policies[0]->rule->flow_list[2]->action,
			 MAGMA__LTE__FLOW_DESCRIPTION__ACTION__DENY);
	assert_int_equal(message->policies[0]->rule->flow_list[3]->match->ip_proto, 51);
	magma__lte__activate_flows_request__free_unpacked(message, NULL);
}

static void what_the_session_manager_cannot_say_goes_in_fields_of_our_own(void **state)
{
	_cleanup_policy_ struct policy_file file = {0};
	struct sl_error err = {""};
	Magma__Lte__ActivateFlowsRequest *message;
	const Magma__Lte__PolicyRule *rule;

	(void)state;
	if (load("sessions:\n"
		 "  - imsi: '001010'\n"
		 "    ipv4: 10.0.0.1\n"
		 "    rules:\n"
		 "      - {id: plain, rating_group: 3, gbr: {uplink: 64kbit}, flows: [{protocol: tcp, "
		 "remote_port: 80}]}\n"
		 "      - {id: ports, flows: [{}, {direction: uplink, protocol: tcp, remote_port: 80-90, "
		 "dscp: ef}]}\n"
		 "      - {id: unnamed, flows: [{direction: uplink, protocol: 50}]}\n"
		 "      - {id: filters, filters: [permit in 17 from any to any 0]}\n"
		 "      - {id: redirect, redirect: {url: 'http://a.example/'}}\n"
		 "      - {id: steer, flows: [{}], steer: {redirect: eth9, next_hop: '2001:db8::1'}}\n"
		 "      - {id: profile, flows: [{}], qos_profile: gold}\n",
		 &file, &err) < 0)
		fail_msg("%s", err.text);
	message = request_of(&file, 0);
	assert_int_equal(message->n_policies, 7);
	rule = message->policies[0]->rule;
	assert_int_equal(rule->n_flow_list, 2);
	assert_int_equal(rule->n_flows, 0);
	assert_int_equal(rule->rating_group, 3);
	assert_int_equal(rule->qos->gbr_ul, 64000);
	/* all flows of a rule in one form: their order decides */
	rule = message->policies[1]->rule;
	assert_int_equal(rule->n_flow_list, 0);
	assert_int_equal(rule->n_flows, 3);
	assert_string_equal(rule->flows[2]->remote_port, "80-90");
	assert_string_equal(rule->flows[2]->protocol, "tcp");
	assert_string_equal(rule->flows[2]->dscp, "ef");
	assert_int_equal(message->policies[2]->rule->n_flow_list, 0);
	assert_string_equal(message->policies[2]->rule->flows[0]->protocol, "esp");
	rule = message->policies[3]->rule;
	assert_int_equal(rule->n_flows, 3);
	assert_string_equal(rule->flows[0]->remote_port, "0-0");
	assert_string_equal(rule->flows[1]->action, "deny");
	rule = message->policies[4]->rule;
	assert_int_equal(rule->n_flows + rule->n_flow_list, 0);
	assert_int_equal(rule->redirect->support, MAGMA__LTE__REDIRECT_INFORMATION__SUPPORT__ENABLED);
	assert_int_equal(rule->redirect->address_type, MAGMA__LTE__REDIRECT_INFORMATION__ADDRESS_TYPE__URL);
	assert_string_equal(rule->redirect->server_address, "http://a.example/");
	rule = message->policies[5]->rule;
	assert_int_equal(rule->n_flow_list, 2);
	assert_string_equal(rule->steer->mode, "redirect");
	assert_string_equal(rule->steer->interface, "eth9");
	assert_string_equal(rule->steer->next_hop, "2001:db8::1");
	assert_string_equal(rule->qos_profile, "");
	rule = message->policies[6]->rule;
	assert_string_equal(rule->qos_profile, "gold");
	assert_null(rule->qos);
	magma__lte__activate_flows_request__free_unpacked(message, NULL);
}

static void gy_rules_become_a_request_of_their_own_without_ambr(void **state)
{
	_cleanup_policy_ struct policy_file file = {0};
	struct sl_error err = {""};
	Magma__Lte__ActivateFlowsRequest *gx, *gy;

	(void)state;
	if (load("sessions:\n"
		 "  - imsi: 001010000000001\n"
		 "    ipv4: 10.0.0.1\n"
		 "    ambr: {uplink: 1Mbit}\n"
		 "    rules: [{id: a, origin: gy, flows: [{}]}, {id: b, flows: [{}]}, {id: c, origin: gy, "
		 "flows: [{}]}]\n",
		 &file, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(file.sessions, 1);
	assert_int_equal(file.count, 2);
	gx = request_of(&file, 0);
	gy = request_of(&file, 1);
	assert_non_null(gx->apn_ambr);
	assert_int_equal(gx->n_policies, 1);
	assert_string_equal(gx->policies[0]->rule->id, "b");
	assert_int_equal(gy->request_origin->type, MAGMA__LTE__REQUEST_ORIGIN_TYPE__ORIGIN_TYPE__GY);
	assert_null(gy->apn_ambr);
	assert_int_equal(gy->n_policies, 2);
	assert_string_equal(gy->policies[0]->rule->id, "a");
	assert_string_equal(gy->policies[1]->rule->id, "c");
	magma__lte__activate_flows_request__free_unpacked(gx, NULL);
	magma__lte__activate_flows_request__free_unpacked(gy, NULL);
}

static void an_ambr_that_32_bits_of_bits_cannot_hold_goes_in_kilobits(void **state)
{
	_cleanup_policy_ struct policy_file file = {0};
	struct sl_error err = {""};
	Magma__Lte__ActivateFlowsRequest *message;

	(void)state;
	if (load("sessions: [{imsi: 001010000000001, ipv4: 10.0.0.1, ambr: {uplink: 64kbit, downlink: "
		 "10Gbit}}]\n",
		 &file, &err) < 0)
		fail_msg("%s", err.text);
	message = request_of(&file, 0);
	assert_int_equal(message->n_policies, 0);
	assert_int_equal(message->apn_ambr->br_unit,
			 MAGMA__LTE__AGGREGATED_MAXIMUM_BITRATE__BITRATE_UNITS_AMBR__KBPS);
	assert_int_equal(message->apn_ambr->max_bandwidth_ul, 64);
	assert_int_equal(message->apn_ambr->max_bandwidth_dl, 10000000);
	magma__lte__activate_flows_request__free_unpacked(message, NULL);
}

static void names_of_the_policy_directory_and_particulars_of_the_session_are_said_as_they_are(void **state)
{
	_cleanup_policy_ struct policy_file file = {0};
	struct sl_error err = {""};
	Magma__Lte__ActivateFlowsRequest *message;

	(void)state;
	if (load("sessions:\n"
		 "  - imsi: 001010000000001\n"
		 "    ipv4: 10.0.0.1\n"
		 "    rules:\n"
		 "      - id: web\n"
		 "      - {id: dns, version: 3}\n"
		 "      - {id: cut, origin: gy}\n"
		 "    base_names: [basic, extra]\n"
		 "    msisdn: 491710000001\n"
		 "    tunnels: {uplink: 4294967295, downlink: 2}\n"
		 "    shard: 7\n",
		 &file, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(file.count, 2);
	assert_int_equal(file.requests[0].rules, 4);
	message = request_of(&file, 0);
	assert_int_equal(message->n_policies, 2);
	assert_true(sl_rule_is_only_id(message->policies[0]->rule));
	assert_string_equal(message->policies[0]->rule->id, "web");
	assert_int_equal(message->policies[0]->version, 1);
	assert_true(sl_rule_is_only_id(message->policies[1]->rule));
	assert_int_equal(message->policies[1]->version, 3);
	assert_int_equal(message->n_rule_ids, 2);
	assert_string_equal(message->rule_ids[0], "basic");
	assert_string_equal(message->rule_ids[1], "extra");
	assert_int_equal(message->msisdn.len, 12);
	assert_memory_equal(message->msisdn.data, "491710000001", 12);
	assert_int_equal(message->uplink_tunnel, UINT32_MAX);
	assert_int_equal(message->downlink_tunnel, 2);
	assert_int_equal(message->shard_id, 7);
	magma__lte__activate_flows_request__free_unpacked(message, NULL);
	message = request_of(&file, 1);
	assert_int_equal(message->request_origin->type, MAGMA__LTE__REQUEST_ORIGIN_TYPE__ORIGIN_TYPE__GY);
	assert_int_equal(message->n_policies, 1);
	assert_string_equal(message->policies[0]->rule->id, "cut");
	assert_int_equal(message->n_rule_ids, 0);
	magma__lte__activate_flows_request__free_unpacked(message, NULL);
}

#define SESSION	   "sessions:\n  - imsi: 001010000000001\n    ipv4: 10.0.0.1\n"
#define FLOW(text) SESSION "    rules:\n      - id: r\n        flows:\n          - " text "\n"

static void a_wrong_file_is_refused_whole_with_its_line(void **state)
{
	static const struct {
		const char *text;
		const char *error;
	} cases[] = {
		{"session: []\n", "F:1: session: unknown key; allowed: sessions"},
		{"{}\n", "F:1: the key sessions is missing"},
		{"sessions:\n  - ipv4: 10.0.0.1\n", "F:2: sessions[0]: the key imsi is missing"},
		{"sessions:\n  - imsi: 001010000000001\n",
		 "F:2: sessions[0]: no address; allowed: ipv4, ipv6 or both"},
		{"sessions: [{imsi: 12345, ipv4: 10.0.0.1}]\n",
		 "F:1: sessions[0].imsi: bad value \"12345\"; allowed: 6 to 15 digits"},
		{"sessions: [{imsi: 1234567890123456, ipv4: 10.0.0.1}]\n",
		 "F:1: sessions[0].imsi: bad value \"1234567890123456\"; allowed: 6 to 15 digits"},
		{"sessions: [{imsi: 001010000000001, ipv4: 10.0.0.256}]\n",
		 "F:1: sessions[0].ipv4: bad value \"10.0.0.256\"; allowed: an IPv4 address"},
		{"sessions: [{imsi: 001010000000001, ipv6: 10.0.0.1}]\n",
		 "F:1: sessions[0].ipv6: bad value \"10.0.0.1\"; allowed: an IPv6 address"},
		{SESSION "    ambr: {uplink: 4294967297, downlink: 1Mbit}\n",
		 "F:4: sessions[0].ambr: above 4.29Gbit; allowed there: whole kbit/s in both directions"},
		{SESSION "    rules: [{id: r, precedence: 5}]\n",
		 "F:4: sessions[0].rules[0]: the key flows is missing; allowed: flows, "
		 "filters or redirect"},
		{SESSION "    rules: [{id: r, flow: []}]\n",
		 "F:4: sessions[0].rules[0].flow: unknown key; allowed: id, precedence, rating_group, "
		 "action, mbr, gbr, flows, hard_timeout, filters, restrict, redirect, steer, "
		 "arp, class_id, qos_profile, final, version, origin"},
		{SESSION "    rules: [{id: r, version: x}]\n",
		 "F:4: sessions[0].rules[0].version: bad value \"x\"; "
		 "allowed: a whole number from 0 to 4294967295"},
		{SESSION "    base_names: basic\n",
		 "F:4: sessions[0].base_names: a single value where a list must be"},
		{SESSION "    rules: [{flows: []}]\n", "F:4: sessions[0].rules[0]: the key id is missing"},
		{SESSION "    rules: [{id: r, flows: [], mbr: {uplink: 401Gbit}}]\n",
		 "F:4: sessions[0].rules[0].mbr.uplink: bad value \"401Gbit\"; allowed: 8kbit to "
		 "400Gbit"},
		{SESSION "    rules: [{id: r, flows: [], hard_timeout: 1500ms}]\n",
		 "F:4: sessions[0].rules[0].hard_timeout: not in whole seconds; allowed: s, m or h"},
		{SESSION "    rules: [{id: r, flows: [], precedence: -1}]\n",
		 "F:4: sessions[0].rules[0].precedence: bad value \"-1\"; "
		 "allowed: a whole number from 0 to 4294967295"},
		{FLOW("{direction: up}"), "F:7: sessions[0].rules[0].flows[0].direction: bad value \"up\"; "
					  "allowed: uplink, downlink, both"},
		{FLOW("{remote_port: 80}"), "F:7: sessions[0].rules[0].flows[0]: a port without its "
					    "protocol; allowed: protocol tcp, udp or sctp"},
		{FLOW("{protocol: icmp, local_port: 80}"),
		 "F:7: sessions[0].rules[0].flows[0]: a port without its protocol; allowed: protocol tcp, "
		 "udp or sctp"},
		{FLOW("{protocol: tcp, remote_port: 0}"),
		 "F:7: sessions[0].rules[0].flows[0].remote_port: bad value \"0\"; "
		 "allowed: ports from 1 to 65535, ranges LOW-HIGH, with commas between"},
		{FLOW("{remote: example.org}"),
		 "F:7: sessions[0].rules[0].flows[0].remote: bad value \"example.org\"; "
		 "allowed: ADDRESS or ADDRESS/LENGTH, after ! for what is outside"},
		{FLOW("{remote: 10.0.0.0/x}"),
		 "F:7: sessions[0].rules[0].flows[0].remote: bad value \"10.0.0.0/x\"; "
		 "allowed: ADDRESS or ADDRESS/LENGTH, after ! for what is outside"},
		{FLOW("{protocol: 256}"), "F:7: sessions[0].rules[0].flows[0].protocol: bad value \"256\"; "
					  "allowed: any, icmp, igmp, tcp, "
					  "udp, gre, esp, ah, icmpv6, ospf, sctp, or a number from 0 to 255"},
	};
	size_t i;

	(void)state;
	for (i = 0; i < SL_ARRAY_SIZE(cases); i++) {
		struct policy_file file = {0};
		struct sl_error err = {""};

		assert_int_equal(load(cases[i].text, &file, &err), -EINVAL);
		assert_string_equal(err.text, cases[i].error);
		assert_null(file.requests);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_example_is_accepted),
		cmocka_unit_test(a_session_becomes_one_request_with_every_field_in_its_place),
		cmocka_unit_test(the_remote_side_is_the_destination_uplink_and_the_source_downlink),
		cmocka_unit_test(what_the_session_manager_cannot_say_goes_in_fields_of_our_own),
		cmocka_unit_test(gy_rules_become_a_request_of_their_own_without_ambr),
		cmocka_unit_test(
			names_of_the_policy_directory_and_particulars_of_the_session_are_said_as_they_are),
		cmocka_unit_test(an_ambr_that_32_bits_of_bits_cannot_hold_goes_in_kilobits),
		cmocka_unit_test(a_wrong_file_is_refused_whole_with_its_line),
	};

	return cmocka_run_group_tests_name("policy file", tests, NULL, NULL);
}
