// SPDX-License-Identifier: Apache-2.0
/* Where a subscriber's web traffic is sent: what may be asked for, and the flows it comes to. */
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
#include "policy/redirect.h"

static struct sl_rule redirect_to(enum sluice_redirect type, const char *text)
{
	struct sl_rule rule = {.id = "redirect"};
	struct sl_error err = {""};

	if (sl_redirect_set(&rule, "address", type, text, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(rule.redirect, type);
	assert_int_equal(sl_rule_validate(&rule, NULL), 0);
	return rule;
}

static void a_host_name_is_to_be_resolved_and_an_address_is_not(void **state)
{
	static const struct {
		enum sluice_redirect type;
		const char *text, *kept, *host;
	} cases[] = {
		{SLUICE_REDIRECT_IPV4, "192.0.2.1", "192.0.2.1", NULL},
		{SLUICE_REDIRECT_IPV6, "2001:DB8:0::1", "2001:db8::1", NULL},
		{SLUICE_REDIRECT_URL, "http://192.0.2.1", "http://192.0.2.1", NULL},
		{SLUICE_REDIRECT_URL, "https://[2001:db8::1]:8443/top-up",
		 "https://[2001:db8::1]:8443/top-up", NULL},
		{SLUICE_REDIRECT_URL, "http://top-up.example/", "http://top-up.example/", "top-up.example"},
		{SLUICE_REDIRECT_URL, "HTTPS://Top-Up.Example.:65535?a=b@c#d:e/f",
		 "HTTPS://Top-Up.Example.:65535?a=b@c#d:e/f", "top-up.example"},
		{SLUICE_REDIRECT_URL, "http://localhost", "http://localhost", "localhost"},
		{SLUICE_REDIRECT_URL, "http://4.example:1/x", "http://4.example:1/x", "4.example"},
	};

	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(cases); i++) {
		struct sl_rule rule = redirect_to(cases[i].type, cases[i].text);
		char host[SL_REDIRECT_HOST_SIZE] = "x";

		assert_string_equal(rule.redirect_address, cases[i].kept);
		assert_int_equal(sl_redirect_host(&rule, host), cases[i].host != NULL);
		assert_string_equal(host, cases[i].host ? cases[i].host : "");
	}
}

static void what_is_no_address_of_its_type_is_refused_and_leaves_the_rule_alone(void **state)
{
	static const struct {
		enum sluice_redirect type;
		const char *text, *says;
	} cases[] = {
		{SLUICE_REDIRECT_IPV4, "", "not an IPv4"},
		{SLUICE_REDIRECT_IPV4, "2001:db8::1", "not an IPv4"},
		{SLUICE_REDIRECT_IPV4, "192.0.2.1/32", "not an IPv4"},
		{SLUICE_REDIRECT_IPV4, "example.org", "not an IPv4"},
		{SLUICE_REDIRECT_IPV6, "192.0.2.1", "not an IPv6"},
		{SLUICE_REDIRECT_IPV6, "[2001:db8::1]", "not an IPv6"},
		{SLUICE_REDIRECT_URL, "", "http://"},
		{SLUICE_REDIRECT_URL, "example.org", "http://"},
		{SLUICE_REDIRECT_URL, "ftp://example.org", "http://"},
		{SLUICE_REDIRECT_URL, "http://", "no host"},
		{SLUICE_REDIRECT_URL, "http:///path", "no host"},
		{SLUICE_REDIRECT_URL, "http://:80", "no host"},
		{SLUICE_REDIRECT_URL, "http://.", "no host"},
		{SLUICE_REDIRECT_URL, "http://a..b", "no host"},
		{SLUICE_REDIRECT_URL, "http://-a.b", "no host"},
		{SLUICE_REDIRECT_URL, "http://a-.b", "no host"},
		{SLUICE_REDIRECT_URL, "http://a.b-", "no host"},
		{SLUICE_REDIRECT_URL, "http://a_b", "no host"},
		{SLUICE_REDIRECT_URL, "http://192.0.2.256", "no host"},
		{SLUICE_REDIRECT_URL, "http://192.0.2.1.", "no host"},
		{SLUICE_REDIRECT_URL, "http://2001:db8::1", "no host"},
		{SLUICE_REDIRECT_URL, "http://[192.0.2.1]", "no IPv6"},
		{SLUICE_REDIRECT_URL, "http://[2001:db8::1", "no IPv6"},
		{SLUICE_REDIRECT_URL, "http://[2001:db8::1]x", "port"},
		{SLUICE_REDIRECT_URL, "http://[]/", "no IPv6"},
		{SLUICE_REDIRECT_URL, "http://a:0/", "port"},
		{SLUICE_REDIRECT_URL, "http://a:65536/", "port"},
		{SLUICE_REDIRECT_URL, "http://a:/", "port"},
		{SLUICE_REDIRECT_URL, "http://user@a/", "user"},
		{SLUICE_REDIRECT_URL, "http://a/\r\nSet-Cookie: b", "control"},
		{SLUICE_REDIRECT_URL, "http://a/ b", "blank"},
		{SLUICE_REDIRECT_URL, "http://a/\x7f", "control"},
		{SLUICE_REDIRECT_URL, "http://\xc3\xa4.example/", "ASCII"},
		{SLUICE_REDIRECT_NONE, "192.0.2.1", "type"},
		{(enum sluice_redirect)9, "192.0.2.1", "type"},
	};
	char longest[SLUICE_REDIRECT_SIZE + 1];
	struct sl_rule rule = {.id = "r"};
	struct sl_error err = {""};

	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(cases); i++) {
		assert_int_equal(sl_redirect_set(&rule, "address", cases[i].type, cases[i].text, &err),
				 -EINVAL);
		if (strncmp(err.text, "address: ", 9) != 0 || !strstr(err.text, cases[i].says))
			fail_msg("'%s' of %s does not say %s", err.text, cases[i].text, cases[i].says);
		assert_int_equal(rule.redirect, SLUICE_REDIRECT_NONE);
		assert_string_equal(rule.redirect_address, "");
	}
	memset(longest, 'a', sizeof(longest));
	memcpy(longest, "http://a/", 9);
	longest[SLUICE_REDIRECT_SIZE] = '\0';
	assert_int_equal(sl_redirect_set(&rule, "address", SLUICE_REDIRECT_URL, longest, &err), -EINVAL);
	assert_non_null(strstr(err.text, "256 bytes"));
	longest[SLUICE_REDIRECT_SIZE - 1] = '\0';
	assert_int_equal(sl_redirect_set(&rule, "address", SLUICE_REDIRECT_URL, longest, &err), 0);
	assert_string_equal(rule.redirect_address, longest);
}

static void a_host_name_has_labels_of_at_most_63_and_at_most_253_characters(void **state)
{
	char url[SLUICE_REDIRECT_SIZE], host[SL_REDIRECT_HOST_SIZE];
	struct sl_rule rule = {.id = "r"};

	(void)state;
	memset(url, 'a', sizeof(url));
	memcpy(url, "http://", 7);
	url[7 + 63] = '\0';
	assert_int_equal(sl_redirect_set(&rule, "", SLUICE_REDIRECT_URL, url, NULL), 0);
	assert_true(sl_redirect_host(&rule, host));
	assert_int_equal(strlen(host), 63);
	url[7 + 63] = 'a';
	url[7 + 64] = '\0';
	assert_int_equal(sl_redirect_set(&rule, "", SLUICE_REDIRECT_URL, url, NULL), -EINVAL);
}

static uint32_t count_flows(const struct sluice_flow *flows, uint32_t count, enum sluice_direction direction,
			    enum sluice_action action, uint32_t family, uint8_t protocol, uint16_t port)
{
	uint32_t found = 0;

	for (uint32_t i = 0; i < count; i++) {
		const struct sluice_flow *flow = &flows[i];

		found += flow->direction == direction && flow->action == action && flow->family == family &&
			 flow->protocol == protocol && flow->remote_port_low == port &&
			 flow->remote_port_high == (port ? port : 65535) && flow->local_port_low == 0 &&
			 flow->local_port_high == 65535;
	}
	return found;
}

static void the_server_and_dns_stay_open_and_the_rest_goes_to_the_portal_or_is_refused(void **state)
{
	struct sl_rule rule = redirect_to(SLUICE_REDIRECT_URL, "http://top-up.example/");
	struct sl_address servers[2];
	_cleanup_free_ struct sluice_flow *flows = NULL;
	uint32_t count = 0;

	(void)state;
	sl_address_parse("", "192.0.2.1", &servers[0], NULL);
	sl_address_parse("", "2001:db8::1", &servers[1], NULL);
	assert_int_equal(sl_redirect_flows(&rule, servers, 2, true, &flows, &count, NULL), 0);
	assert_int_equal(count, 12);
	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
		assert_int_equal(count_flows(flows, count, direction, SLUICE_PERMIT, 4, 0, 0), 1);
		assert_int_equal(count_flows(flows, count, direction, SLUICE_PERMIT, 6, 0, 0), 1);
		assert_int_equal(count_flows(flows, count, direction, SLUICE_PERMIT, 0, IPPROTO_UDP, 53), 1);
		assert_int_equal(count_flows(flows, count, direction, SLUICE_PERMIT, 0, IPPROTO_TCP, 53), 1);
	}
	assert_memory_equal(flows[0].remote, servers[0].bytes, 16);
	assert_int_equal(flows[0].prefix_length, 32);
	assert_memory_equal(flows[2].remote, servers[1].bytes, 16);
	assert_int_equal(flows[2].prefix_length, 128);
	assert_int_equal(count_flows(flows, count, SLUICE_UPLINK, SLUICE_PORTAL, 0, IPPROTO_TCP, 80), 1);
	assert_int_equal(count_flows(flows, count, SLUICE_UPLINK, SLUICE_RESET, 0, IPPROTO_TCP, 443), 1);
	assert_int_equal(count_flows(flows, count, SLUICE_UPLINK, SLUICE_REJECT, 0, 0, 0), 1);
	assert_int_equal(count_flows(flows, count, SLUICE_DOWNLINK, SLUICE_PERMIT, 0, IPPROTO_TCP, 80), 1);
	/* the catch-all is the last of uplink; of the portal's port only what this host sends is open */
	assert_int_equal(flows[count - 2].action, SLUICE_REJECT);
	assert_int_equal(flows[count - 1].terms.which, SLUICE_TERM_THIS_HOST);
	rule.flows = flows;
	rule.flow_count = count;
	assert_int_equal(sl_rule_validate(&rule, NULL), 0);
}

static void others_are_dropped_without_an_answer_if_asked_for(void **state)
{
	struct sl_rule rule = redirect_to(SLUICE_REDIRECT_URL, "http://top-up.example/");
	_cleanup_free_ struct sluice_flow *flows = NULL;
	uint32_t count = 0;

	(void)state;
	assert_int_equal(sl_redirect_flows(&rule, NULL, 0, false, &flows, &count, NULL), 0);
	assert_int_equal(count, 8);
	assert_int_equal(count_flows(flows, count, SLUICE_UPLINK, SLUICE_DENY, 0, 0, 0), 1);
	assert_int_equal(count_flows(flows, count, SLUICE_UPLINK, SLUICE_REJECT, 0, 0, 0), 0);
}

static void the_address_of_the_rule_itself_is_always_open(void **state)
{
	static const struct {
		enum sluice_redirect type;
		const char *text;
		uint32_t family;
	} cases[] = {
		{SLUICE_REDIRECT_IPV4, "192.0.2.1", 4},
		{SLUICE_REDIRECT_IPV6, "2001:db8::1", 6},
		{SLUICE_REDIRECT_URL, "http://192.0.2.1:8080/", 4},
		{SLUICE_REDIRECT_URL, "https://[2001:db8::1]", 6},
	};

	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(cases); i++) {
		struct sl_rule rule = redirect_to(cases[i].type, cases[i].text);
		_cleanup_free_ struct sluice_flow *flows = NULL;
		uint32_t count = 0;

		assert_int_equal(sl_redirect_flows(&rule, NULL, 0, true, &flows, &count, NULL), 0);
		assert_int_equal(count, 10);
		assert_int_equal(flows[0].family, cases[i].family);
		assert_int_equal(flows[0].has_remote, 1);
		assert_int_equal(flows[1].direction, SLUICE_DOWNLINK);
		assert_int_equal(flows[1].family, cases[i].family);
	}
}

static void of_too_many_addresses_the_last_ones_stay_closed(void **state)
{
	struct sl_rule rule = redirect_to(SLUICE_REDIRECT_URL, "http://top-up.example/");
	struct sl_rule literal = redirect_to(SLUICE_REDIRECT_IPV4, "198.51.100.1");
	struct sl_address servers[300];

	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(servers); i++)
		servers[i] = (struct sl_address){4, {10, 0, (uint8_t)(i >> 8), (uint8_t)i}};
	for (int i = 0; i < 2; i++) {
		_cleanup_free_ struct sluice_flow *flows = NULL;
		struct sl_rule *made = i ? &literal : &rule;
		uint32_t count = 0;

		assert_int_equal(
			sl_redirect_flows(made, servers, SL_ARRAY_SIZE(servers), true, &flows, &count, NULL),
			0);
		assert_int_equal(count, SLUICE_FLOWS_PER_RULE);
		assert_int_equal(flows[2 * 123].remote[3], i ? 122 : 123);
		assert_int_equal(count_flows(flows, count, SLUICE_UPLINK, SLUICE_REJECT, 0, 0, 0), 1);
	}
}

static void a_rule_that_redirects_nothing_has_no_flows_of_a_redirect(void **state)
{
	struct sl_rule rule = {.id = "plain"};
	struct sluice_flow *flows = NULL;
	char host[SL_REDIRECT_HOST_SIZE];
	uint32_t count = 7;

	(void)state;
	assert_int_equal(sl_redirect_flows(&rule, NULL, 0, true, &flows, &count, NULL), -EINVAL);
	assert_null(flows);
	assert_int_equal(count, 7);
	assert_false(sl_redirect_host(&rule, host));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_host_name_is_to_be_resolved_and_an_address_is_not),
		cmocka_unit_test(what_is_no_address_of_its_type_is_refused_and_leaves_the_rule_alone),
		cmocka_unit_test(a_host_name_has_labels_of_at_most_63_and_at_most_253_characters),
		cmocka_unit_test(the_server_and_dns_stay_open_and_the_rest_goes_to_the_portal_or_is_refused),
		cmocka_unit_test(others_are_dropped_without_an_answer_if_asked_for),
		cmocka_unit_test(the_address_of_the_rule_itself_is_always_open),
		cmocka_unit_test(of_too_many_addresses_the_last_ones_stay_closed),
		cmocka_unit_test(a_rule_that_redirects_nothing_has_no_flows_of_a_redirect),
	};

	return cmocka_run_group_tests_name("redirect", tests, NULL, NULL);
}
