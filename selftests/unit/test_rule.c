// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "policy/rule.h"

#define ANY_PORTS .remote_port_high = 65535, .local_port_high = 65535

/* 45.10.0.0/24, uplink, any protocol */
static struct sluice_flow some_flow(void)
{
	return (struct sluice_flow){
		.direction = SLUICE_UPLINK,
		.action = SLUICE_PERMIT,
		.family = 4,
		.has_remote = 1,
		.prefix_length = 24,
		.remote = {45, 10, 0, 0},
		ANY_PORTS,
	};
}

static struct sl_rule rule_of(struct sluice_flow *flow)
{
	return (struct sl_rule){.id = "r1", .precedence = 2, .flow_count = 1, .flows = flow};
}

static void accept_flow(struct sluice_flow flow)
{
	struct sl_rule rule = rule_of(&flow);
	struct sl_error err;

	if (sl_rule_validate(&rule, &err) < 0)
		fail_msg("%s", err.text);
}

static void refuse_flow(struct sluice_flow flow, const char *field, const char *value)
{
	struct sl_rule rule = rule_of(&flow);
	struct sl_error err = {""};

	assert_int_equal(sl_rule_validate(&rule, &err), -EINVAL);
	if (!strstr(err.text, field) || !strstr(err.text, value))
		fail_msg("'%s' does not name %s and %s", err.text, field, value);
	assert_int_equal(sl_rule_validate(&rule, NULL), -EINVAL);
}

static void a_rule_with_a_prefix_is_valid(void **state)
{
	struct sluice_flow flow = some_flow();

	(void)state;
	accept_flow(flow);
	flow.prefix_length = 32;
	flow.remote[3] = 255;
	accept_flow(flow);
	flow.prefix_length = 0;
	memset(flow.remote, 0, sizeof(flow.remote));
	accept_flow(flow);
	accept_flow((struct sluice_flow){
		.family = 6, .has_remote = 1, .prefix_length = 128, .remote = {0xfe, [15] = 1}, ANY_PORTS});
}

static void a_rule_without_a_remote_address_is_valid_for_any_family(void **state)
{
	(void)state;
	accept_flow((struct sluice_flow){ANY_PORTS});
	accept_flow((struct sluice_flow){.family = 4, ANY_PORTS});
	accept_flow((struct sluice_flow){.family = 6, ANY_PORTS});
}

static void a_rule_with_host_bits_in_its_prefix_is_refused(void **state)
{
	struct sluice_flow flow = some_flow();

	(void)state;
	flow.remote[3] = 1;
	refuse_flow(flow, "flow_list[0].match.ip_dst", "45.10.0.1/24");
	flow.direction = SLUICE_DOWNLINK;
	refuse_flow(flow, "flow_list[0].match.ip_src", "45.10.0.1/24");
	flow = some_flow();
	flow.prefix_length = 14; /* 45.10 has a bit below /14 */
	refuse_flow(flow, "ip_dst", "45.10.0.0/14");
	flow = some_flow();
	flow.remote[15] = 1; /* behind the four bytes of IPv4 */
	refuse_flow(flow, "ip_dst", "45.10.0.0/24");
	refuse_flow(
		(struct sluice_flow){
			.family = 6, .has_remote = 1, .prefix_length = 64, .remote = {[8] = 0x80}, ANY_PORTS},
		"ip_dst", "/64");
}

static void a_prefix_longer_than_its_family_is_refused(void **state)
{
	struct sluice_flow flow = some_flow();

	(void)state;
	flow.prefix_length = 33;
	refuse_flow(flow, "ip_dst", "/33");
	refuse_flow((struct sluice_flow){.family = 6, .has_remote = 1, .prefix_length = 129, ANY_PORTS},
		    "ip_dst", "/129");
}

static void an_address_without_family_or_a_length_without_address_is_refused(void **state)
{
	struct sluice_flow flow = some_flow();

	(void)state;
	flow.family = 0;
	refuse_flow(flow, "ip_dst", "no family");
	flow.family = 5;
	refuse_flow(flow, "family", "5");
	flow = some_flow();
	flow.has_remote = 0;
	refuse_flow(flow, "ip_dst", "24");
}

static void ports_without_a_protocol_that_has_ports_are_refused(void **state)
{
	static const uint8_t with_ports[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP};
	static const uint8_t without[] = {0, IPPROTO_ICMP, IPPROTO_GRE, IPPROTO_ICMPV6, 255};

	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(with_ports); i++) {
		struct sluice_flow flow = some_flow();

		flow.protocol = with_ports[i];
		accept_flow(flow);
		flow.remote_port_low = 80;
		flow.remote_port_high = 80;
		accept_flow(flow);
		flow.remote_port_high = 90;
		flow.local_port_low = 1024;
		accept_flow(flow);
	}
	for (size_t i = 0; i < SL_ARRAY_SIZE(without); i++) {
		struct sluice_flow flow = some_flow();

		flow.protocol = without[i];
		accept_flow(flow);
		flow.remote_port_low = 80;
		flow.remote_port_high = 80;
		refuse_flow(flow, "remote port", "80");
		flow = some_flow();
		flow.protocol = without[i];
		flow.local_port_high = 1023;
		refuse_flow(flow, "local port", "ip_proto");
	}
}

static void an_empty_port_range_is_refused(void **state)
{
	struct sluice_flow flow = some_flow();

	(void)state;
	flow.protocol = IPPROTO_TCP;
	flow.remote_port_low = 81;
	flow.remote_port_high = 80;
	refuse_flow(flow, "remote port", "81-80");
}

static void an_unknown_direction_or_action_is_refused(void **state)
{
	struct sluice_flow flow = some_flow();

	(void)state;
	flow.direction = (enum sluice_direction)2;
	refuse_flow(flow, "flow_list[0].match.direction", "2");
	flow = some_flow();
	flow.action = (enum sluice_action)7;
	refuse_flow(flow, "flow_list[0].action", "7");
}

static void the_error_names_which_flow_is_wrong(void **state)
{
	struct sluice_flow flows[3] = {some_flow(), some_flow(), some_flow()};
	struct sl_rule rule = {.id = "r1", .flow_count = 3, .flows = flows};
	struct sl_error err;

	(void)state;
	flows[2].remote[3] = 9;
	assert_int_equal(sl_rule_validate(&rule, &err), -EINVAL);
	assert_non_null(strstr(err.text, "flow_list[2].match.ip_dst"));
}

static void an_empty_or_endless_id_is_refused(void **state)
{
	struct sluice_flow flow = some_flow();
	struct sl_rule rule = rule_of(&flow);
	struct sl_error err;

	(void)state;
	rule.id[0] = '\0';
	assert_int_equal(sl_rule_validate(&rule, &err), -EINVAL);
	assert_non_null(strstr(err.text, "id:"));
	memset(rule.id, 'x', sizeof(rule.id));
	assert_int_equal(sl_rule_validate(&rule, &err), -EINVAL);
	assert_non_null(strstr(err.text, "255 bytes"));
	rule.id[SLUICE_RULE_ID_SIZE - 1] = '\0';
	assert_int_equal(sl_rule_validate(&rule, &err), 0);
}

static void a_rule_has_at_least_one_flow_and_no_more_than_the_bound(void **state)
{
	static struct sluice_flow flows[SLUICE_FLOWS_PER_RULE + 1];
	struct sl_rule rule = {.id = "many", .flows = flows};
	struct sl_error err;

	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(flows); i++)
		flows[i] = some_flow();
	assert_int_equal(sl_rule_validate(&rule, &err), -EINVAL);
	assert_non_null(strstr(err.text, "flow_list"));
	rule.flow_count = SLUICE_FLOWS_PER_RULE;
	assert_int_equal(sl_rule_validate(&rule, &err), 0);
	rule.flow_count++;
	assert_int_equal(sl_rule_validate(&rule, &err), -EINVAL);
	assert_non_null(strstr(err.text, "257"));
}

static void a_gbr_is_at_most_the_mbr_where_there_is_one(void **state)
{
	struct sluice_flow flow = some_flow();
	struct sl_rule rule = rule_of(&flow);
	struct sl_error err = {""};

	(void)state;
	rule.gbr[SLUICE_UPLINK] = 2000000;
	assert_int_equal(sl_rule_validate(&rule, &err), 0);
	rule.mbr[SLUICE_UPLINK] = 2000000;
	assert_int_equal(sl_rule_validate(&rule, &err), 0);
	rule.mbr[SLUICE_UPLINK] = 1000000;
	assert_int_equal(sl_rule_validate(&rule, &err), -EINVAL);
	assert_string_equal(err.text, "gbr.uplink: 2Mbit is above the MBR; allowed: at most 1Mbit");
	assert_int_equal(sl_rule_validate(&rule, NULL), -EINVAL);
}

static void a_rule_fits_a_family_when_one_of_its_flows_does(void **state)
{
	struct sluice_flow flows[2] = {some_flow(), some_flow()};
	struct sl_rule rule = {.id = "r", .flow_count = 2, .flows = flows};

	(void)state;
	assert_true(sl_rule_fits(&rule, 4));
	assert_false(sl_rule_fits(&rule, 6));
	flows[1] = (struct sluice_flow){.family = 6, ANY_PORTS};
	assert_true(sl_rule_fits(&rule, 6));
	flows[1].family = 0;
	rule.flows = &flows[1];
	rule.flow_count = 1;
	assert_true(sl_rule_fits(&rule, 4));
	assert_true(sl_rule_fits(&rule, 6));
}

static void a_prefix_of_the_subscribers_side_is_whole_and_no_longer_than_its_address(void **state)
{
	struct sluice_flow flow = some_flow();

	(void)state;
	flow.flags = SLUICE_FLOW_LOCAL;
	flow.local_length = 8;
	flow.local[0] = 10;
	accept_flow(flow);
	flow.flags = SLUICE_FLOW_LOCAL_NOT;
	accept_flow(flow);
	flow.flags = 0;
	refuse_flow(flow, "local", "no or in both");
	flow.flags = SLUICE_FLOW_LOCAL | SLUICE_FLOW_LOCAL_NOT;
	refuse_flow(flow, "local", "no or in both");
	flow.flags = SLUICE_FLOW_LOCAL;
	flow.local[1] = 1;
	refuse_flow(flow, "local", "10.1.0.0/8");
	flow.local_length = 33;
	refuse_flow(flow, "local", "0..32");
	flow = (struct sluice_flow){.family = 6, .flags = SLUICE_FLOW_LOCAL, .local_length = 64, ANY_PORTS};
	accept_flow(flow);
	flow.local_length = 65;
	refuse_flow(flow, "local", "::/65");
	flow.local_length = 8;
	flow.family = 0;
	refuse_flow(flow, "local", "no family");
}

static void terms_that_can_hold_for_no_packet_of_the_flow_are_refused(void **state)
{
	const struct sluice_flow any = {.direction = SLUICE_UPLINK, ANY_PORTS};
	struct sluice_flow flow;

	(void)state;
#define TERM(...) (flow = any, flow.terms = (struct sluice_terms){__VA_ARGS__}, flow)
#define TERM_OF(number, ...) \
	(flow = any, flow.protocol = (number), flow.terms = (struct sluice_terms){__VA_ARGS__}, flow)
	accept_flow(TERM(.which = SLUICE_TERM_DSCP, .dscp = 63));
	refuse_flow(TERM(.which = SLUICE_TERM_DSCP, .dscp = 64), "dscp", "64");
	refuse_flow(TERM(.which = SLUICE_TERM_REMOTE_NOT), "remote", "without a prefix");
	accept_flow(TERM_OF(6, .which = SLUICE_TERM_TCP_FLAGS, .tcp_mask = 3, .tcp_value = 2));
	refuse_flow(TERM_OF(6, .which = SLUICE_TERM_TCP_FLAGS, .tcp_mask = 1, .tcp_value = 2), "tcp_flags",
		    "0x02");
	refuse_flow(TERM_OF(17, .which = SLUICE_TERM_TCP_FLAGS), "TCP", "17");
	refuse_flow(TERM(.which = SLUICE_TERM_TCP_OPTIONS), "TCP", "not 0");
	accept_flow(TERM_OF(58, .which = SLUICE_TERM_ICMP_TYPE, .icmp_low = 1, .icmp_high = 255));
	refuse_flow(TERM_OF(1, .which = SLUICE_TERM_ICMP_TYPE, .icmp_low = 2, .icmp_high = 1), "icmp_type",
		    "2-1");
	refuse_flow(TERM(.which = SLUICE_TERM_ICMP_TYPE), "icmp_type", "not 0");
	accept_flow(TERM(.which = SLUICE_TERM_LATER_FRAGMENT | SLUICE_TERM_IP_OPTIONS));
	refuse_flow(TERM_OF(6, .which = SLUICE_TERM_LATER_FRAGMENT | SLUICE_TERM_TCP_FLAGS), "fragment",
		    "TCP");
	flow = TERM_OF(6, .which = SLUICE_TERM_LATER_FRAGMENT);
	flow.remote_port_low = 1;
	refuse_flow(flow, "fragment", "ports");
	refuse_flow(TERM(.which = SLUICE_TERM_THIS_HOST), "this host", "redirects");
	flow = any;
	flow.flags = SLUICE_FLOW_PROTOCOL_ZERO;
	accept_flow(flow);
	flow.protocol = 6;
	refuse_flow(flow, "ip_proto", "6");
	flow = any;
	flow.flags = SLUICE_FLOW_REMOTE_ASSIGNED;
	accept_flow(flow);
	flow.terms.which = SLUICE_TERM_REMOTE_NOT;
	accept_flow(flow);
	flow = some_flow();
	flow.flags = SLUICE_FLOW_REMOTE_ASSIGNED;
	refuse_flow(flow, "remote", "assigned");
#undef TERM
#undef TERM_OF
}

static void a_redirect_needs_no_flows_and_has_an_address(void **state)
{
	struct sluice_flow flow = {.direction = SLUICE_UPLINK, .action = SLUICE_PORTAL, ANY_PORTS};
	struct sl_rule rule = {.id = "r", .redirect = SLUICE_REDIRECT_IPV4, .redirect_address = "192.0.2.1"};
	struct sl_error err = {""};

	(void)state;
	assert_int_equal(sl_rule_validate(&rule, &err), 0);
	assert_true(sl_rule_fits(&rule, 4) && sl_rule_fits(&rule, 6));
	rule.flows = &flow;
	rule.flow_count = 1;
	assert_int_equal(sl_rule_validate(&rule, &err), 0);
	flow.action = SLUICE_STEER_FIRST;
	assert_int_equal(sl_rule_validate(&rule, &err), -EINVAL);
	flow.action = SLUICE_REJECT;
	strcpy(rule.redirect_address, "2001:db8::1");
	assert_int_equal(sl_rule_validate(&rule, &err), -EINVAL);
	assert_non_null(strstr(err.text, "'2001:db8::1'"));
	rule.redirect = SLUICE_REDIRECT_NONE;
	assert_int_equal(sl_rule_validate(&rule, &err), -EINVAL);
	rule.redirect_address[0] = '\0';
	/* only a redirect may reject */
	assert_int_equal(sl_rule_validate(&rule, &err), -EINVAL);
	assert_non_null(strstr(err.text, "action"));
	rule.redirect = SLUICE_REDIRECT_URL;
	memset(rule.redirect_address, 'a', sizeof(rule.redirect_address));
	assert_int_equal(sl_rule_validate(&rule, &err), -EINVAL);
	assert_non_null(strstr(err.text, "without an end"));
}

static void a_steer_needs_an_interface_and_something_that_is_permitted(void **state)
{
	static const char *const names[] = {"", ".", "..", "a b", "a/b", "a:1", "abcdefghijklmnop"};
	struct sluice_flow flow = some_flow();
	struct sl_rule rule = rule_of(&flow);
	struct sl_error err = {""};

	(void)state;
	rule.steer = (struct sl_rule_steer){.mode = SLUICE_STEER_REDIRECT, .interface = "eth9"};
	assert_int_equal(sl_rule_validate(&rule, &err), 0);
	rule.steer.next_hop_family = 6;
	assert_int_equal(sl_rule_validate(&rule, &err), 0);
	rule.steer.next_hop_family = 5;
	assert_int_equal(sl_rule_validate(&rule, &err), -EINVAL);
	rule.steer.next_hop_family = 4;
	rule.steer.mode = SLUICE_STEER_MIRROR;
	assert_int_equal(sl_rule_validate(&rule, &err), -EINVAL);
	assert_non_null(strstr(err.text, "next_hop"));
	rule.steer.next_hop_family = 0;
	assert_int_equal(sl_rule_validate(&rule, &err), 0);
	rule.steer.mode = (enum sluice_steer_mode)3;
	assert_int_equal(sl_rule_validate(&rule, &err), -EINVAL);
	rule.steer.mode = SLUICE_STEER_MIRROR;
	for (size_t i = 0; i < SL_ARRAY_SIZE(names); i++) {
		memcpy(rule.steer.interface, names[i], strnlen(names[i], 16) + (strlen(names[i]) < 16));
		assert_int_equal(sl_rule_validate(&rule, &err), -EINVAL);
		assert_non_null(strstr(err.text, "steer.interface"));
	}
	strcpy(rule.steer.interface, "eth9");
	flow.action = SLUICE_DENY;
	assert_int_equal(sl_rule_validate(&rule, &err), -EINVAL);
	assert_non_null(strstr(err.text, "permits nothing"));
}

static void rules_are_equal_only_in_every_field(void **state)
{
	struct sluice_flow flow = some_flow(), other_flow = some_flow();
	const struct sl_rule rule = rule_of(&flow);
	struct sl_rule other = rule_of(&other_flow);

	(void)state;
	other.references = 9;
	other.record = 4;
	other.first_flow = 3;
	other.hash = 1;
	assert_true(sl_rule_equal(&rule, &other));
	assert_true(sl_rule_hash(&rule) == sl_rule_hash(&other));

#define DIFFERS(change)                                                    \
	do {                                                               \
		other_flow = some_flow();                                  \
		other = rule_of(&other_flow);                              \
		change;                                                    \
		assert_false(sl_rule_equal(&rule, &other));                \
		assert_false(sl_rule_hash(&rule) == sl_rule_hash(&other)); \
	} while (0)
	DIFFERS(other.id[1] = '2');
	DIFFERS(other.precedence = 3);
	DIFFERS(other.rating_group = 1);
	DIFFERS(other.hard_timeout_s = 1);
	DIFFERS(other.mbr[SLUICE_UPLINK] = 1);
	DIFFERS(other.mbr[SLUICE_DOWNLINK] = 1);
	DIFFERS(other.gbr[SLUICE_UPLINK] = 1);
	DIFFERS(other.gbr[SLUICE_DOWNLINK] = 1);
	DIFFERS(other.arp.level = 1);
	DIFFERS(other.arp.may_preempt = true);
	DIFFERS(other.arp.may_be_preempted = true);
	DIFFERS(other.class_id = 1);
	DIFFERS(other.flow_count = 0);
	DIFFERS(other_flow.direction = SLUICE_DOWNLINK);
	DIFFERS(other_flow.action = SLUICE_DENY);
	DIFFERS(other_flow.protocol = 6);
	DIFFERS(other_flow.prefix_length = 25);
	DIFFERS(other_flow.remote[2] = 1);
	DIFFERS(other_flow.remote_port_high = 1);
	DIFFERS(other_flow.local_port_low = 1);
	DIFFERS(other_flow.flags = SLUICE_FLOW_PROTOCOL_ZERO);
	DIFFERS(other_flow.local_length = 1);
	DIFFERS(other_flow.terms.dscp = 1);
	DIFFERS(other.redirect = SLUICE_REDIRECT_URL);
	DIFFERS(other.redirect_address[0] = 'a');
	DIFFERS(other.is_static = true);
	DIFFERS(other.steer.mode = SLUICE_STEER_MIRROR);
	DIFFERS(other.steer.interface[0] = 'a');
#undef DIFFERS
}

static void equal_rules_are_kept_once_and_counted(void **state)
{
	struct sluice_flow flow = some_flow(), same_flow = some_flow();
	struct sl_rule rule = rule_of(&flow), same = rule_of(&same_flow), *first, *second, *third;
	struct sl_rule_table *table;

	(void)state;
	memset(rule.id + 3, 0x55, 8); /* whatever the caller left behind the NUL */
	assert_int_equal(sl_rule_table_new(&table), 0);
	assert_int_equal(sl_rule_table_intern(table, &rule, &first), 0);
	assert_ptr_not_equal(first, &rule);
	assert_ptr_not_equal(first->flows, &flow);
	assert_int_equal(first->references, 1);
	assert_int_equal(first->record, SLUICE_NONE);
	assert_int_equal(first->id[4], 0);
	assert_true(first->hash == sl_rule_hash(&rule));
	assert_int_equal(sl_rule_table_intern(table, &same, &second), 0);
	assert_ptr_equal(first, second);
	assert_int_equal(first->references, 2);
	assert_int_equal(sl_rule_table_count(table), 1);

	same.precedence++;
	assert_int_equal(sl_rule_table_intern(table, &same, &third), 0);
	assert_ptr_not_equal(first, third);
	assert_int_equal(sl_rule_table_count(table), 2);
	assert_ptr_equal(sl_rule_ref(third), third);
	assert_int_equal(third->references, 2);
	sl_rule_table_free(table);
	sl_rule_table_free(NULL);
}

static void count_gone(struct sl_rule *rule, void *user)
{
	assert_string_equal(rule->id, "r1");
	assert_int_equal(rule->flow_count, 1);
	++*(int *)user;
}

static void the_last_reference_removes_a_rule_and_says_so_once(void **state)
{
	struct sluice_flow flow = some_flow();
	struct sl_rule rule = rule_of(&flow), *kept;
	struct sl_rule_table *table;
	int gone = 0;

	(void)state;
	assert_int_equal(sl_rule_table_new(&table), 0);
	assert_int_equal(sl_rule_table_intern(table, &rule, &kept), 0);
	sl_rule_ref(kept);
	sl_rule_table_unref(table, kept, count_gone, &gone);
	assert_int_equal(gone, 0);
	sl_rule_table_unref(table, kept, count_gone, &gone);
	assert_int_equal(gone, 1);
	assert_int_equal(sl_rule_table_count(table), 0);
	assert_int_equal(sl_rule_table_intern(table, &rule, &kept), 0);
	sl_rule_table_unref(table, kept, NULL, NULL);
	assert_int_equal(sl_rule_table_count(table), 0);
	sl_rule_table_free(table);
}

static void sum_precedence(struct sl_rule *rule, void *user)
{
	*(uint64_t *)user += rule->precedence;
}

static void a_thousand_rules_are_each_found_and_each_visited(void **state)
{
	struct sluice_flow flow = some_flow();
	struct sl_rule rule = rule_of(&flow), *kept[1000];
	struct sl_rule_table *table;
	uint64_t sum = 0;

	(void)state;
	assert_int_equal(sl_rule_table_new(&table), 0);
	for (uint32_t i = 0; i < 1000; i++) {
		rule.precedence = i;
		assert_int_equal(sl_rule_table_intern(table, &rule, &kept[i]), 0);
	}
	assert_int_equal(sl_rule_table_count(table), 1000);
	sl_rule_table_each(table, sum_precedence, &sum);
	assert_int_equal(sum, 999 * 1000 / 2);
	for (uint32_t i = 0; i < 1000; i++) {
		struct sl_rule *again;

		rule.precedence = i;
		assert_int_equal(sl_rule_table_intern(table, &rule, &again), 0);
		assert_ptr_equal(again, kept[i]);
	}
	sl_rule_table_free(table);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_rule_with_a_prefix_is_valid),
		cmocka_unit_test(a_rule_without_a_remote_address_is_valid_for_any_family),
		cmocka_unit_test(a_rule_with_host_bits_in_its_prefix_is_refused),
		cmocka_unit_test(a_prefix_longer_than_its_family_is_refused),
		cmocka_unit_test(an_address_without_family_or_a_length_without_address_is_refused),
		cmocka_unit_test(ports_without_a_protocol_that_has_ports_are_refused),
		cmocka_unit_test(an_empty_port_range_is_refused),
		cmocka_unit_test(an_unknown_direction_or_action_is_refused),
		cmocka_unit_test(the_error_names_which_flow_is_wrong),
		cmocka_unit_test(an_empty_or_endless_id_is_refused),
		cmocka_unit_test(a_rule_has_at_least_one_flow_and_no_more_than_the_bound),
		cmocka_unit_test(a_gbr_is_at_most_the_mbr_where_there_is_one),
		cmocka_unit_test(a_rule_fits_a_family_when_one_of_its_flows_does),
		cmocka_unit_test(a_prefix_of_the_subscribers_side_is_whole_and_no_longer_than_its_address),
		cmocka_unit_test(terms_that_can_hold_for_no_packet_of_the_flow_are_refused),
		cmocka_unit_test(a_redirect_needs_no_flows_and_has_an_address),
		cmocka_unit_test(a_steer_needs_an_interface_and_something_that_is_permitted),
		cmocka_unit_test(rules_are_equal_only_in_every_field),
		cmocka_unit_test(equal_rules_are_kept_once_and_counted),
		cmocka_unit_test(the_last_reference_removes_a_rule_and_says_so_once),
		cmocka_unit_test(a_thousand_rules_are_each_found_and_each_visited),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
