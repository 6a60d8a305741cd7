// SPDX-License-Identifier: Apache-2.0
/* What a rule is about in sluice's own fields of the wire, and where it sends its traffic. */
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
#include "base/cleanup.h"

#define ENABLED MAGMA__LTE__REDIRECT_INFORMATION__SUPPORT__ENABLED

struct wire {
	Magma__Lte__PolicyRule rule;
	Magma__Lte__FlowDescription description, *flow_list[1];
	Sluice__V1__Flow flow, *flows[1];
	char *filters[1];
	Magma__Lte__RedirectInformation redirect;
	Sluice__V1__Steer steer;
};

/* Rule "r" that says nothing yet; what it points to is ready. */
static void start(struct wire *wire)
{
	*wire = (struct wire){
		.rule = MAGMA__LTE__POLICY_RULE__INIT,
		.description = MAGMA__LTE__FLOW_DESCRIPTION__INIT,
		.flow_list = {&wire->description},
		.flow = SLUICE__V1__FLOW__INIT,
		.flows = {&wire->flow},
		.filters = {(char *)"permit in ip from any to any"},
		.redirect = MAGMA__LTE__REDIRECT_INFORMATION__INIT,
		.steer = SLUICE__V1__STEER__INIT,
	};
	wire->rule.id = (char *)"r";
	wire->rule.flow_list = wire->flow_list;
	wire->rule.flows = wire->flows;
	wire->rule.filter_rules = wire->filters;
	wire->redirect.support = ENABLED;
	wire->redirect.address_type = MAGMA__LTE__REDIRECT_INFORMATION__ADDRESS_TYPE__URL;
	wire->redirect.server_address = (char *)"http://a.example/";
}

static struct sl_rule read_rule(const struct wire *wire)
{
	struct sl_rule rule;
	struct sl_error err = {""};

	if (sl_rule_read(&wire->rule, &rule, &err) < 0 || sl_rule_validate(&rule, &err) < 0)
		fail_msg("%s", err.text);
	return rule;
}

static void refuse(const struct wire *wire, int code, const char *text)
{
	struct sl_rule rule = {.precedence = 77};
	struct sl_error err = {""};

	assert_int_equal(sl_rule_read(&wire->rule, &rule, &err), -code);
	assert_int_equal(rule.precedence, 77);
	if (strncmp(err.text, text, strlen(text)) != 0)
		fail_msg("'%s' is not '%s...'", err.text, text);
}

static void a_rate_of_64_bits_holds_in_the_place_of_one_of_32(void **state)
{
	Magma__Lte__FlowQos qos = MAGMA__LTE__FLOW_QOS__INIT;
	struct sl_rule rule;
	struct wire wire;

	(void)state;
	start(&wire);
	wire.rule.n_flows = 1;
	wire.flow.direction = (char *)"uplink";
	wire.rule.qos = &qos;
	qos.max_req_bw_ul = qos.max_req_bw_dl = UINT32_MAX;
	qos.mbr_uplink = 400000000000;
	qos.gbr_ul = 7;
	qos.gbr_uplink = 5000000000;
	qos.gbr_downlink = 3000000001;
	rule = read_rule(&wire);
	assert_true(rule.mbr[SLUICE_UPLINK] == 400000000000);
	assert_true(rule.mbr[SLUICE_DOWNLINK] == UINT32_MAX);
	assert_true(rule.gbr[SLUICE_UPLINK] == 5000000000);
	assert_true(rule.gbr[SLUICE_DOWNLINK] == 3000000001);
	free(rule.flows);
}

static void own_flows_are_read_and_a_wrong_part_is_named(void **state)
{
	struct sl_rule rule;
	struct wire wire;

	(void)state;
	start(&wire);
	wire.rule.n_flows = 1;
	wire.flow.direction = (char *)"downlink";
	wire.flow.protocol = (char *)"tcp";
	wire.flow.remote_port = (char *)"80,443";
	wire.flow.remote = (char *)"!192.0.2.0/24";
	wire.flow.tcp_flags = (char *)"established";
	wire.flow.dscp = (char *)"ef";
	rule = read_rule(&wire);
	assert_int_equal(rule.flow_count, 2);
	assert_int_equal(rule.flows[1].remote_port_low, 443);
	assert_int_equal(rule.flows[1].terms.tcp_any, 0x14);
	assert_int_equal(rule.flows[1].terms.dscp, 46);
	free(rule.flows);
	wire.flow.dscp = (char *)"64";
	refuse(&wire, EINVAL, "rule.flows[0].dscp: bad value \"64\"; allowed: ");
	wire.flow.dscp = (char *)"";
	wire.flow.protocol = (char *)"";
	refuse(&wire, EINVAL, "rule.flows[0]: a port without its protocol");
	wire.flow.this_host = 1;
	refuse(&wire, EINVAL, "rule.flows[0].this_host: ");
}

static void filter_rules_are_read_and_a_wrong_column_is_named(void **state)
{
	struct sl_rule rule;
	struct wire wire;

	(void)state;
	start(&wire);
	wire.rule.n_filter_rules = 1;
	rule = read_rule(&wire);
	assert_int_equal(rule.flow_count, 3);
	assert_int_equal(rule.flows[2].action, SLUICE_PERMIT);
	free(rule.flows);
	wire.rule.restrict_to_filters = 1;
	rule = read_rule(&wire);
	assert_int_equal(rule.flows[2].direction, SLUICE_DOWNLINK);
	assert_int_equal(rule.flows[2].action, SLUICE_DENY);
	free(rule.flows);
	wire.filters[0] = (char *)"permit in ip from any to nowhere";
	refuse(&wire, EINVAL, "rule.filter_rules[0]: column 26: ");
	wire.rule.n_filter_rules = 0;
	refuse(&wire, EINVAL, "rule.restrict_to_filters: ");
}

static void a_rule_says_what_it_is_about_in_one_way(void **state)
{
	(void)state;
	for (unsigned int ways = 0; ways < 16; ways++) {
		const bool by_list = ways & 1, by_filters = ways & 2, by_flows = ways & 4,
			   redirects = ways & 8;
		/* the flow list of a redirect does not count */
		const int count = (by_list && !redirects) + by_filters + by_flows + redirects;
		struct sl_rule rule;
		struct wire wire;

		start(&wire);
		wire.rule.n_flow_list = by_list;
		wire.rule.n_filter_rules = by_filters;
		wire.rule.n_flows = by_flows;
		wire.rule.redirect = redirects ? &wire.redirect : NULL;
		if (count == 1) {
			rule = read_rule(&wire);
			assert_int_equal(rule.redirect != SLUICE_REDIRECT_NONE, redirects);
			free(rule.flows);
		} else if (count > 1) {
			refuse(&wire, EINVAL, "rule: more than one of flow_list (");
		} else {
			assert_int_equal(sl_rule_read(&wire.rule, &rule, NULL), 0);
			assert_int_equal(sl_rule_validate(&rule, NULL), -EINVAL);
			free(rule.flows);
		}
	}
}

static void a_redirect_goes_to_an_address_or_url_and_a_sip_uri_is_refused_aloud(void **state)
{
	static const struct {
		Magma__Lte__RedirectInformation__AddressType type;
		const char *address;
		int code;
		const char *says;
	} cases[] = {
		{MAGMA__LTE__REDIRECT_INFORMATION__ADDRESS_TYPE__IPv4, "192.0.2.1", 0, "192.0.2.1"},
		{MAGMA__LTE__REDIRECT_INFORMATION__ADDRESS_TYPE__IPv6, "2001:DB8::1", 0, "2001:db8::1"},
		{MAGMA__LTE__REDIRECT_INFORMATION__ADDRESS_TYPE__URL, "https://a.example/b", 0,
		 "https://a.example/b"},
		{MAGMA__LTE__REDIRECT_INFORMATION__ADDRESS_TYPE__IPv4, "a.example", EINVAL,
		 "rule.redirect.server_address: 'a.example' is not an IPv4 address"},
		{MAGMA__LTE__REDIRECT_INFORMATION__ADDRESS_TYPE__IPv6, "", EINVAL,
		 "rule.redirect.server_address: '' is not an IPv6 address"},
		{MAGMA__LTE__REDIRECT_INFORMATION__ADDRESS_TYPE__URL, "a.example", EINVAL,
		 "rule.redirect.server_address: URL 'a.example' does not begin with"},
		{MAGMA__LTE__REDIRECT_INFORMATION__ADDRESS_TYPE__SIP_URI, "sip:a@b.example", EOPNOTSUPP,
		 "rule.redirect.address_type: SIP_URI 'sip:a@b.example'"},
		{(Magma__Lte__RedirectInformation__AddressType)9, "192.0.2.1", EINVAL,
		 "rule.redirect.address_type: unknown value 9"},
	};

	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(cases); i++) {
		struct wire wire;

		start(&wire);
		wire.rule.redirect = &wire.redirect;
		wire.redirect.address_type = cases[i].type;
		wire.redirect.server_address = (char *)cases[i].address;
		if (cases[i].code)
			refuse(&wire, cases[i].code, cases[i].says);
		else
			assert_string_equal(read_rule(&wire).redirect_address, cases[i].says);
	}
}

static void a_steer_names_its_interface(void **state)
{
	struct sl_rule rule;
	struct wire wire;

	(void)state;
	start(&wire);
	wire.rule.n_flow_list = 1;
	wire.rule.steer = &wire.steer;
	refuse(&wire, EINVAL, "rule.steer.mode: bad value \"\"; allowed: redirect, mirror");
	wire.steer.mode = (char *)"redirect";
	wire.steer.interface = (char *)"an-interface-name";
	refuse(&wire, EINVAL, "rule.steer.interface: 'an-interface-name' is longer than 15 bytes");
	wire.steer.interface = (char *)"eth9";
	wire.steer.next_hop = (char *)"here";
	refuse(&wire, EINVAL, "rule.steer.next_hop: 'here'");
	wire.steer.next_hop = (char *)"2001:db8::1";
	rule = read_rule(&wire);
	assert_int_equal(rule.steer.mode, SLUICE_STEER_REDIRECT);
	assert_string_equal(rule.steer.interface, "eth9");
	assert_int_equal(rule.steer.next_hop_family, 6);
	free(rule.flows);
	wire.steer.mode = (char *)"mirror";
	wire.steer.next_hop = (char *)"";
	rule = read_rule(&wire);
	assert_int_equal(rule.steer.mode, SLUICE_STEER_MIRROR);
	assert_int_equal(rule.steer.next_hop_family, 0);
	free(rule.flows);
}

static void header_enrichment_leaves_the_rule_working_with_a_note(void **state)
{
	Magma__Lte__HeaderEnrichment enrichment = MAGMA__LTE__HEADER_ENRICHMENT__INIT;
	char *urls[] = {(char *)"http://a.example/"};
	struct sl_rule rule;
	struct wire wire;

	(void)state;
	start(&wire);
	wire.rule.n_flow_list = 1;
	assert_null(sl_rule_note(&wire.rule));
	wire.rule.he = &enrichment;
	assert_null(sl_rule_note(&wire.rule));
	enrichment.urls = urls;
	enrichment.n_urls = 1;
	assert_non_null(strstr(sl_rule_note(&wire.rule), "header enrichment"));
	rule = read_rule(&wire);
	assert_int_equal(rule.flow_count, 1);
	free(rule.flows);
}

static void a_restriction_of_one_direction_works_with_a_note(void **state)
{
	char *filters[] = {(char *)"permit in ip from any to 192.0.2.1",
			   (char *)"permit out ip from any to any"};
	Magma__Lte__HeaderEnrichment enrichment = MAGMA__LTE__HEADER_ENRICHMENT__INIT;
	char *urls[] = {(char *)"http://a.example/"};
	struct sl_rule rule;
	struct wire wire;

	(void)state;
	start(&wire);
	wire.rule.filter_rules = filters;
	wire.rule.n_filter_rules = 1;
	assert_null(sl_rule_note(&wire.rule));
	wire.rule.restrict_to_filters = true;
	assert_non_null(strstr(sl_rule_note(&wire.rule), "none is \"out\": all downlink is dropped"));
	enrichment.urls = urls;
	enrichment.n_urls = 1;
	wire.rule.he = &enrichment;
	assert_non_null(strstr(sl_rule_note(&wire.rule), "all downlink is dropped"));
	rule = read_rule(&wire);
	assert_int_equal(rule.flow_count, 3);
	free(rule.flows);
	wire.rule.he = NULL;
	wire.rule.n_filter_rules = 2;
	assert_null(sl_rule_note(&wire.rule));
	wire.rule.filter_rules = filters + 1;
	wire.rule.n_filter_rules = 1;
	assert_non_null(strstr(sl_rule_note(&wire.rule), "none is \"in\": all uplink is dropped"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_rate_of_64_bits_holds_in_the_place_of_one_of_32),
		cmocka_unit_test(own_flows_are_read_and_a_wrong_part_is_named),
		cmocka_unit_test(filter_rules_are_read_and_a_wrong_column_is_named),
		cmocka_unit_test(a_rule_says_what_it_is_about_in_one_way),
		cmocka_unit_test(a_redirect_goes_to_an_address_or_url_and_a_sip_uri_is_refused_aloud),
		cmocka_unit_test(a_steer_names_its_interface),
		cmocka_unit_test(header_enrichment_leaves_the_rule_working_with_a_note),
		cmocka_unit_test(a_restriction_of_one_direction_works_with_a_note),
	};

	return cmocka_run_group_tests_name("convert rule", tests, NULL, NULL);
}
