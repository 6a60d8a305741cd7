// SPDX-License-Identifier: Apache-2.0
/* A rule in YAML: every key in its place, every mistake with its line. */
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
#include "catalog/rule_document.h"

static void free_flows(struct sl_rule *rule)
{
	free(rule->flows);
}

#define _cleanup_rule_ _cleanup_(free_flows)

static int read_text(const char *text, const char *const *more, struct sl_rule *rule, struct sl_error *err)
{
	struct sl_yaml *document = NULL;
	int rc = sl_yaml_parse("F", text, strlen(text), &document, err);

	if (rc == 0)
		rc = sl_rule_document_read(sl_yaml_root(document), more, 1000000000, rule, err);
	sl_yaml_free(document);
	return rc;
}

static void read_rule(const char *text, struct sl_rule *rule)
{
	struct sl_error err = {""};

	if (read_text(text, NULL, rule, &err) < 0)
		fail_msg("%s", err.text);
}

static void a_rule_has_every_field_that_it_names_and_defaults_for_the_rest(void **state)
{
	_cleanup_rule_ struct sl_rule full = {.flows = NULL}, least = {.flows = NULL};

	(void)state;
	read_rule("id: web\n"
		  "precedence: 7\n"
		  "rating_group: 9\n"
		  "mbr: {uplink: 1Mbit, downlink: 8Mbit}\n"
		  "gbr: {downlink: 64kbit}\n"
		  "arp: {level: 3, may_preempt: true}\n"
		  "class_id: 2\n"
		  "hard_timeout: 1h\n"
		  "action: deny\n"
		  "flows: [{direction: uplink}, {direction: uplink, action: permit}]\n",
		  &full);
	assert_string_equal(full.id, "web");
	assert_int_equal(full.precedence, 7);
	assert_int_equal(full.rating_group, 9);
	assert_int_equal(full.mbr[SLUICE_UPLINK], 1000000);
	assert_int_equal(full.mbr[SLUICE_DOWNLINK], 8000000);
	assert_int_equal(full.gbr[SLUICE_UPLINK], 0);
	assert_int_equal(full.gbr[SLUICE_DOWNLINK], 64000);
	assert_int_equal(full.arp.level, 3);
	assert_true(full.arp.may_preempt && full.arp.may_be_preempted);
	assert_int_equal(full.class_id, 2);
	assert_int_equal(full.hard_timeout_s, 3600);
	assert_int_equal(full.flow_count, 2);
	assert_int_equal(full.flows[0].action, SLUICE_DENY);
	assert_int_equal(full.flows[1].action, SLUICE_PERMIT);
	read_rule("{id: r, flows: [{}]}", &least);
	assert_int_equal(least.precedence, SL_RULE_DOCUMENT_PRECEDENCE);
	assert_int_equal(least.flow_count, 2);
	assert_int_equal(least.flows[0].action, SLUICE_PERMIT);
	assert_int_equal(least.steer.mode, SLUICE_STEER_FREE);
	assert_int_equal(least.redirect, SLUICE_REDIRECT_NONE);
}

static void a_flow_takes_lists_as_yaml_or_with_commas(void **state)
{
	_cleanup_rule_ struct sl_rule rule = {.flows = NULL};

	(void)state;
	read_rule("id: r\n"
		  "flows:\n"
		  "  - direction: uplink\n"
		  "    protocol: tcp\n"
		  "    remote: \"!192.0.2.0/24\"\n"
		  "    remote_port: [80, 443, 5000-5100]\n"
		  "    local: 10.45.0.0/16\n"
		  "    local_port: \"1024-65535\"\n"
		  "    dscp: ef\n"
		  "    tcp_flags: [syn, \"!ack\"]\n"
		  "    tcp_options: mss\n"
		  "    ip_options: \"!ssrr\"\n"
		  "  - {direction: downlink, protocol: icmp, icmp_type: [0, 3-5]}\n"
		  "  - {direction: downlink, fragment: later}\n",
		  &rule);
	assert_int_equal(rule.flow_count, 6);
	assert_int_equal(rule.flows[2].remote_port_low, 5000);
	assert_int_equal(rule.flows[2].local_port_low, 1024);
	assert_int_equal(rule.flows[2].flags, SLUICE_FLOW_LOCAL);
	assert_int_equal(rule.flows[2].terms.which, SLUICE_TERM_REMOTE_NOT | SLUICE_TERM_DSCP |
							    SLUICE_TERM_TCP_FLAGS | SLUICE_TERM_TCP_OPTIONS |
							    SLUICE_TERM_IP_OPTIONS);
	assert_int_equal(rule.flows[4].terms.icmp_low, 3);
	assert_int_equal(rule.flows[4].terms.icmp_high, 5);
	assert_int_equal(rule.flows[5].terms.which, SLUICE_TERM_LATER_FRAGMENT);
}

static void filters_are_ipfilterrules_and_may_be_a_restriction(void **state)
{
	_cleanup_rule_ struct sl_rule open = {.flows = NULL}, restricted = {.flows = NULL};

	(void)state;
	read_rule("{id: r, filters: ['deny in 6 from any to 192.0.2.1 25']}", &open);
	assert_int_equal(open.flow_count, 3);
	assert_int_equal(open.flows[1].action, SLUICE_PERMIT);
	read_rule("{id: r, restrict: true, filters: ['deny in 6 from any to 192.0.2.1 25']}", &restricted);
	assert_null(open.note);
	assert_non_null(strstr(restricted.note, "none is \"out\": all downlink is dropped"));
	assert_int_equal(restricted.flow_count, 3);
	assert_int_equal(restricted.flows[1].action, SLUICE_DENY);
	assert_int_equal(restricted.flows[2].action, SLUICE_DENY);
}

static void a_redirect_has_an_address_of_one_kind_and_no_flows(void **state)
{
	static const struct {
		const char *text;
		enum sluice_redirect type;
		const char *address;
	} cases[] = {
		{"{id: r, redirect: {ipv4: 192.0.2.1}}", SLUICE_REDIRECT_IPV4, "192.0.2.1"},
		{"{id: r, redirect: {ipv6: '2001:db8::1'}}", SLUICE_REDIRECT_IPV6, "2001:db8::1"},
		{"{id: r, redirect: {url: 'http://a.example/'}}", SLUICE_REDIRECT_URL, "http://a.example/"},
	};

	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(cases); i++) {
		_cleanup_rule_ struct sl_rule rule = {.flows = NULL};

		read_rule(cases[i].text, &rule);
		assert_int_equal(rule.redirect, cases[i].type);
		assert_string_equal(rule.redirect_address, cases[i].address);
		assert_int_equal(rule.flow_count, 0);
	}
}

static void a_rule_may_be_steered_to_an_interface(void **state)
{
	_cleanup_rule_ struct sl_rule redirected = {.flows = NULL}, mirrored = {.flows = NULL};

	(void)state;
	read_rule("{id: r, flows: [{}], steer: {redirect: eth9, next_hop: 10.0.0.1}}", &redirected);
	assert_int_equal(redirected.steer.mode, SLUICE_STEER_REDIRECT);
	assert_string_equal(redirected.steer.interface, "eth9");
	assert_int_equal(redirected.steer.next_hop_family, 4);
	assert_memory_equal(redirected.steer.next_hop, "\x0a\0\0\x01", 4);
	read_rule("{id: r, filters: [permit in ip from any to any], steer: {mirror: tap0}}", &mirrored);
	assert_int_equal(mirrored.steer.mode, SLUICE_STEER_MIRROR);
	assert_int_equal(mirrored.steer.next_hop_family, 0);
}

static void keys_of_the_caller_are_left_to_it(void **state)
{
	static const char *const more[] = {"version", NULL};
	_cleanup_rule_ struct sl_rule rule = {.flows = NULL};
	struct sl_error err = {""};

	(void)state;
	assert_int_equal(read_text("{id: r, version: {}, flows: [{}]}", NULL, &rule, &err), -EINVAL);
	assert_int_equal(read_text("{id: r, version: {}, flows: [{}]}", more, &rule, &err), 0);
}

#define FLOW(text) "id: r\nflows:\n  - direction: uplink\n" text

static void a_wrong_rule_is_refused_with_its_line(void **state)
{
	static const struct {
		const char *text, *error;
	} cases[] = {
		{"{id: r, colour: red, flows: [{}]}", "F:1: colour: unknown key; allowed: id, "},
		{"{flows: [{}]}", "F:1: the key id is missing"},
		{"{id: r}", "F:1: the key flows is missing; allowed: flows, filters or redirect"},
		{"{id: r, flows: [{}], filters: []}",
		 "F:1: more than one of flows, filters and redirect; allowed: one"},
		{"{id: r, flows: []}", "F:1: flow_list: empty in rule 'r'"},
		{"{id: r, filters: []}", "F:1: filters: empty"},
		{"{id: r, restrict: true, flows: [{}]}", "F:1: restrict: only filters"},
		{"{id: r, restrict: 1, filters: []}", "F:1: restrict: bad value"},
		{"{id: r, action: deny, filters: []}", "F:1: action: only flows"},
		{"{id: r, flows: [{}], mbr: {uplink: 2Gbit}}", "F:1: mbr.uplink: bad value \"2Gbit\""},
		{"{id: r, flows: [{}], mbr: {uplink: 7999bit}}",
		 "F:1: mbr.uplink: bad value \"7999bit\"; allowed: 8kbit to 1Gbit"},
		{"id: r\nflows: [{}]\ngbr:\n  downlink: 1kbit\n",
		 "F:4: gbr.downlink: bad value \"1kbit\"; allowed: 8kbit to 1Gbit"},
		{"id: r\nflows: [{}]\nmbr: {downlink: 1Mbit}\ngbr:\n  downlink: 2Mbit\n",
		 "F:5: gbr.downlink: 2Mbit is above the MBR; allowed: at most 1Mbit"},
		{"{id: r, flows: [{}], hard_timeout: 1500ms}", "F:1: hard_timeout: not in whole seconds"},
		{FLOW("    port: 1\n"), "F:4: flows[0].port: unknown key"},
		{FLOW("    protocol: tcp\n    remote_port: 70000\n"),
		 "F:5: flows[0].remote_port: bad value \"70000\"; allowed: ports from 1 to 65535, ranges "
		 "LOW-HIGH"},
		{FLOW("    protocol: tcp\n    remote_port: []\n"),
		 "F:5: flows[0].remote_port: an empty list"},
		{FLOW("    protocol: tcp\n    remote_port: [1, {}]\n"),
		 "F:5: flows[0].remote_port[1]: a mapping where a value must be"},
		{FLOW("    dscp: expedited\n"), "F:4: flows[0].dscp: bad value \"expedited\""},
		{FLOW("    remote_port: 80\n"), "F:3: flows[0]: a port without its protocol"},
		{"id: r\nflows:\n  - {protocol: tcp, remote_port: '1,3,5,7,9,11,13,15,17,19,21,23', "
		 "local_port: "
		 "'1,3,5,7,9,11,13,15,17,19,21,23'}\n",
		 "F:3: flows: they come to 288 flows, at most 256 are allowed"},
		{"id: r\nfilters:\n  - permit in ip from any to any\n  - permit in ip from any\n",
		 "F:4: filters[1]: column 22: expected"},
		{"id: r\nfilters:\n  - permit in ip from 2001:db8::/65 to any\n",
		 "F:3: filters[0]: '2001:db8::/65' on the subscriber"},
		{"{id: r, redirect: {}}", "F:1: redirect: no address"},
		{"{id: r, redirect: {ipv4: 192.0.2.1, url: 'http://a/'}}",
		 "F:1: redirect: more than one address"},
		{"id: r\nredirect:\n  url: ftp://a/\n",
		 "F:3: redirect.url: URL 'ftp://a/' does not begin with"},
		{"{id: r, redirect: {ipv4: 192.0.2.1}, steer: {mirror: eth9}}",
		 "F:1: steer: rule 'r' redirects"},
		{"{id: r, flows: [{}], steer: {}}", "F:1: steer: not one interface"},
		{"{id: r, flows: [{}], steer: {mirror: a, redirect: b}}", "F:1: steer: not one interface"},
		{"{id: r, flows: [{}], steer: {mirror: a/b}}", "F:1: steer.interface: 'a/b'"},
		{"{id: r, flows: [{}], steer: {mirror: abcdefghijklmnop}}",
		 "F:1: steer.mirror: 16 bytes long"},
		{"{id: r, flows: [{}], steer: {mirror: a, next_hop: 10.0.0.1}}",
		 "F:1: steer.next_hop: a copy"},
		{"{id: r, flows: [{}], steer: {redirect: a, next_hop: b}}",
		 "F:1: steer.next_hop: bad value \"b\""},
		{"{id: r, flows: [{}], arp: {level: 16}}",
		 "F:1: arp.level: bad value \"16\"; allowed: a whole number from 1 to 15"},
		{"{id: r, flows: [{}], arp: {may_preempt: true}}", "F:1: arp"},
		{"{id: r, action: deny, flows: [{}], steer: {redirect: a}}",
		 "F:1: steer: rule 'r' permits nothing"},
	};

	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(cases); i++) {
		struct sl_rule rule = {.precedence = 77};
		struct sl_error err = {""};

		if (read_text(cases[i].text, NULL, &rule, &err) != -EINVAL)
			fail_msg("accepted: %s", cases[i].text);
		if (strncmp(err.text, cases[i].error, strlen(cases[i].error)) != 0)
			fail_msg("'%s' is not '%s...'", err.text, cases[i].error);
		assert_int_equal(rule.precedence, 77);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_rule_has_every_field_that_it_names_and_defaults_for_the_rest),
		cmocka_unit_test(a_flow_takes_lists_as_yaml_or_with_commas),
		cmocka_unit_test(filters_are_ipfilterrules_and_may_be_a_restriction),
		cmocka_unit_test(a_redirect_has_an_address_of_one_kind_and_no_flows),
		cmocka_unit_test(a_rule_may_be_steered_to_an_interface),
		cmocka_unit_test(keys_of_the_caller_are_left_to_it),
		cmocka_unit_test(a_wrong_rule_is_refused_with_its_line),
	};

	return cmocka_run_group_tests_name("rule document", tests, NULL, NULL);
}
