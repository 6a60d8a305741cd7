// SPDX-License-Identifier: Apache-2.0
/* Lists of IPFilterRules as flows: they judge every packet as the list itself does. */
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
#include "policy/filter.h"
#include "policy/rule.h"

#define LIST_MAX      6
#define RANDOM_LISTS  4000
#define PACKETS_EACH  50
#define UNIVERSE_PORT 65535

/* --- a plain judge of flows, written from include/sluice/maps.h ------------------ */

static bool in_prefix(const uint8_t *prefix, unsigned int length, const uint8_t *address)
{
	for (unsigned int bit = 0; bit < length; bit++) {
		if ((prefix[bit / 8] ^ address[bit / 8]) >> (7 - bit % 8) & 1)
			return false;
	}
	return true;
}

static bool terms_hold(const struct sluice_flow *flow, const struct sl_ipfilter_packet *packet)
{
	const struct sluice_terms *terms = &flow->terms;
	const bool is_tcp =
		packet->protocol == IPPROTO_TCP && packet->has_tcp && packet->fragment_offset == 0;
	const uint8_t ip_options = packet->source.family == 4 ? packet->ip_options : 0;

	if ((terms->which & SLUICE_TERM_TCP_FLAGS) &&
	    (!is_tcp || (packet->tcp_flags & terms->tcp_mask) != terms->tcp_value ||
	     (terms->tcp_any && !(packet->tcp_flags & terms->tcp_any))))
		return false;
	if ((terms->which & SLUICE_TERM_TCP_OPTIONS) &&
	    (!is_tcp || (packet->tcp_options & terms->tcp_options_present) != terms->tcp_options_present ||
	     (packet->tcp_options & terms->tcp_options_absent)))
		return false;
	if ((terms->which & SLUICE_TERM_ICMP_TYPE) &&
	    (!packet->has_icmp || packet->fragment_offset != 0 || packet->icmp_type < terms->icmp_low ||
	     packet->icmp_type > terms->icmp_high))
		return false;
	if ((terms->which & SLUICE_TERM_LATER_FRAGMENT) && packet->fragment_offset == 0)
		return false;
	if ((terms->which & SLUICE_TERM_IP_OPTIONS) &&
	    ((ip_options & terms->ip_options_present) != terms->ip_options_present ||
	     (ip_options & terms->ip_options_absent)))
		return false;
	return true;
}

static bool flow_holds(const struct sluice_flow *flow, const struct sl_ipfilter_prefix *own,
		       const struct sl_ipfilter_packet *packet)
{
	const bool is_uplink = packet->direction == SL_IPFILTER_IN;
	const struct sl_address *local = is_uplink ? &packet->source : &packet->destination;
	const struct sl_address *remote = is_uplink ? &packet->destination : &packet->source;
	const uint16_t local_port = is_uplink ? packet->source_port : packet->destination_port;
	const uint16_t remote_port = is_uplink ? packet->destination_port : packet->source_port;
	const bool asks_ports = flow->remote_port_low || flow->remote_port_high != UNIVERSE_PORT ||
				flow->local_port_low || flow->local_port_high != UNIVERSE_PORT;

	if ((flow->direction == SLUICE_UPLINK) != is_uplink)
		return false;
	if (flow->family != 0 && flow->family != local->family)
		return false;
	if (flow->protocol != 0 || (flow->flags & SLUICE_FLOW_PROTOCOL_ZERO)) {
		if (flow->protocol != packet->protocol)
			return false;
	}
	if ((flow->flags & SLUICE_FLOW_REMOTE_ASSIGNED) &&
	    in_prefix(own->address.bytes, own->length, remote->bytes) ==
		    ((flow->terms.which & SLUICE_TERM_REMOTE_NOT) != 0))
		return false;
	if (flow->has_remote && in_prefix(flow->remote, flow->prefix_length, remote->bytes) ==
					((flow->terms.which & SLUICE_TERM_REMOTE_NOT) != 0))
		return false;
	if ((flow->flags & SLUICE_FLOW_LOCAL) && !in_prefix(flow->local, flow->local_length, local->bytes))
		return false;
	if ((flow->flags & SLUICE_FLOW_LOCAL_NOT) && in_prefix(flow->local, flow->local_length, local->bytes))
		return false;
	if (asks_ports && (!packet->has_ports || packet->fragment_offset != 0 ||
			   remote_port < flow->remote_port_low || remote_port > flow->remote_port_high ||
			   local_port < flow->local_port_low || local_port > flow->local_port_high))
		return false;
	return terms_hold(flow, packet);
}

/* 1 passed, 0 dropped, -1 no flow matched. */
static int judge(const struct sluice_flow *flows, uint32_t count, const struct sl_ipfilter_prefix *own,
		 const struct sl_ipfilter_packet *packet)
{
	if (packet->fragment_offset == 1)
		return 0;
	for (uint32_t i = 0; i < count; i++) {
		if (flow_holds(&flows[i], own, packet))
			return flows[i].action == SLUICE_PERMIT;
	}
	return -1;
}

/* --- helpers ----------------------------------------------------------------------- */

struct made {
	struct sluice_flow *flows;
	uint32_t count;
};

static void made_free(struct made *made)
{
	free(made->flows);
}

#define _cleanup_made_ _cleanup_(made_free)

static void make(const char *const *texts, size_t count, bool restricts, struct made *made)
{
	struct sl_error err = {""};
	struct sl_rule rule = {.id = "r"};

	if (sl_filter_flows("filters", texts, count, restricts, &made->flows, &made->count, &err) < 0)
		fail_msg("%s", err.text);
	rule.flows = made->flows;
	rule.flow_count = made->count;
	if (sl_rule_validate(&rule, &err) < 0)
		fail_msg("%s", err.text);
}

#define MAKE(made, restricts, ...)                                    \
	do {                                                          \
		static const char *const texts_[] = {__VA_ARGS__};    \
		make(texts_, SL_ARRAY_SIZE(texts_), restricts, made); \
	} while (0)

static void refuse(const char *text, const char *says)
{
	const char *texts[] = {"permit in ip from any to any", text};
	struct sluice_flow *flows = NULL;
	struct sl_error err = {""};
	uint32_t count = 7;

	if (sl_filter_flows("filters", texts, 2, false, &flows, &count, &err) == 0)
		fail_msg("accepted: %s", text);
	if (strncmp(err.text, "filters[1]: ", 12) != 0 || !strstr(err.text, says))
		fail_msg("'%s' does not name filters[1] and %s", err.text, says);
	assert_null(flows);
	assert_int_equal(count, 7);
}

/* --- tests -------------------------------------------------------------------------- */

static void the_last_flow_of_a_direction_is_the_opposite_of_its_last_rule(void **state)
{
	_cleanup_made_ struct made permits = {NULL, 0}, denies = {NULL, 0}, both = {NULL, 0};

	(void)state;
	MAKE(&permits, false, "permit in ip from any to 192.0.2.0/24");
	assert_int_equal(permits.count, 3);
	assert_int_equal(permits.flows[1].direction, SLUICE_UPLINK);
	assert_int_equal(permits.flows[1].action, SLUICE_DENY);
	/* no rule of this direction: passed */
	assert_int_equal(permits.flows[2].direction, SLUICE_DOWNLINK);
	assert_int_equal(permits.flows[2].action, SLUICE_PERMIT);
	MAKE(&denies, false, "deny in ip from any to 192.0.2.0/24");
	assert_int_equal(denies.flows[1].action, SLUICE_PERMIT);
	MAKE(&both, false, "permit out ip from any to any", "deny in ip from any to 192.0.2.0/24",
	     "deny out ip from 192.0.2.0/24 to any");
	assert_int_equal(both.flows[3].action, SLUICE_PERMIT);
	assert_int_equal(both.flows[4].action, SLUICE_PERMIT);
}

static void a_restriction_drops_in_both_directions_what_no_filter_permits(void **state)
{
	_cleanup_made_ struct made made = {NULL, 0};

	(void)state;
	MAKE(&made, true, "permit in 6 from any to any 0-65535", "deny in ip from any to 192.0.2.0/24");
	/* ports that are asked for are never all ports, or later fragments would match */
	assert_int_equal(made.count, 2 + 1 + 2);
	assert_int_equal(made.flows[0].remote_port_high, 32767);
	assert_int_equal(made.flows[1].remote_port_low, 32768);
	assert_int_equal(made.flows[made.count - 2].direction, SLUICE_UPLINK);
	assert_int_equal(made.flows[made.count - 2].action, SLUICE_DENY);
	assert_int_equal(made.flows[made.count - 1].direction, SLUICE_DOWNLINK);
	assert_int_equal(made.flows[made.count - 1].action, SLUICE_DENY);
}

static void lists_become_a_flow_for_each_combination(void **state)
{
	_cleanup_made_ struct made ports = {NULL, 0}, types = {NULL, 0};

	(void)state;
	MAKE(&ports, false, "permit in 6 from any 1,2-3 to any 80,443,8000-8099");
	assert_int_equal(ports.count, 6 + 2);
	assert_int_equal(ports.flows[0].local_port_low, 1);
	assert_int_equal(ports.flows[0].remote_port_low, 80);
	/* 0, 3 to 5, 8 */
	MAKE(&types, false, "permit in 1 from any to any icmptypes 3-5,8,0");
	assert_int_equal(types.count, 3 + 2);
	assert_int_equal(types.flows[1].terms.icmp_low, 3);
	assert_int_equal(types.flows[1].terms.icmp_high, 5);
}

static void more_flows_than_a_rule_may_have_are_refused_with_their_number(void **state)
{
	const char *text = "permit in 6 from any 1,3,5,7,9,11,13,15,17,19,21,23,25,27,29,31 to any "
			   "1,3,5,7,9,11,13,15,17,19,21,23,25,27,29,31";
	struct sluice_flow *flows = NULL;
	struct sl_error err = {""};
	uint32_t count = 0;

	(void)state;
	assert_int_equal(sl_filter_flows("filters", &text, 1, false, &flows, &count, &err), -E2BIG);
	assert_string_equal(err.text, "filters: they come to 258 flows, at most 256 are allowed");
	assert_null(flows);
	assert_int_equal(sl_filter_flows("filters", &text, 0, false, &flows, &count, &err), -EINVAL);
	assert_string_equal(err.text, "filters: empty");
}

static void what_cannot_be_kept_is_refused(void **state)
{
	(void)state;
	refuse("permit in ip from any to", "column 25");
	refuse("permit in ip from 2001:db8::/65 to any", "2001:db8::/65");
	refuse("permit out ip from any to !2001:db8::1", "2001:db8::1/128");
}

static void a_rule_that_matches_nothing_is_still_the_last_one(void **state)
{
	_cleanup_made_ struct made made = {NULL, 0};

	(void)state;
	MAKE(&made, false, "permit in ip from any to 192.0.2.0/24", "deny in ip from !assigned to any");
	assert_int_equal(made.count, 3);
	assert_int_equal(made.flows[1].direction, SLUICE_UPLINK);
	assert_int_equal(made.flows[1].action, SLUICE_PERMIT);
}

/* Now and then as the model makes it, mostly without what is refused. */
static bool is_kept(const struct model_rule *rule)
{
	const struct model_end *local = &rule->end[rule->is_out];

	return !(local->place == MODEL_PREFIX && local->prefix.family == 6 && local->prefix.length > 64);
}

/*
 * Families differ and the remote prefix is of the other one: the prefix of the
 * subscriber's side is then never looked at.
 */
static bool is_refused(const struct model_rule *rule)
{
	const struct model_end *local = &rule->end[rule->is_out], *remote = &rule->end[!rule->is_out];

	return local->place == MODEL_PREFIX && local->prefix.family == 6 && local->prefix.length > 64 &&
	       !(remote->place == MODEL_PREFIX && remote->prefix.family == 4);
}

static void random_lists_judge_random_packets_as_the_evaluator_does(void **state)
{
	uint64_t random = model_seed();
	unsigned int seen[2] = {0, 0}, matched = 0, refused = 0;

	(void)state;
	for (int list = 0; list < RANDOM_LISTS; list++) {
		char texts[LIST_MAX][SL_IPFILTER_TEXT];
		const char *pointers[LIST_MAX];
		struct sl_ipfilter rules[LIST_MAX];
		_cleanup_made_ struct made made = {NULL, 0};
		const size_t count = 1 + model_random(&random, LIST_MAX);
		struct sl_error err = {""};
		bool expect_refusal = false;
		int rc;

		for (size_t i = 0; i < count; i++) {
			const bool any = model_one_in(&random, 10);
			struct model_rule rule;

			do
				model_rule(&random, SL_IPFILTER_FULL, &rule);
			while (!any && !is_kept(&rule));
			expect_refusal = expect_refusal || is_refused(&rule);
			model_text(&random, &rule, texts[i]);
			pointers[i] = texts[i];
			assert_int_equal(sl_ipfilter_parse("f", texts[i], strlen(texts[i]), SL_IPFILTER_FULL,
							   &rules[i], NULL),
					 0);
		}
		rc = sl_filter_flows("filters", pointers, count, false, &made.flows, &made.count, &err);
		if (rc == -E2BIG)
			continue;
		if ((rc < 0) != expect_refusal)
			fail_msg("%s: '%s' ... %s", expect_refusal ? "not refused" : "refused", texts[0],
				 err.text);
		refused += rc < 0;
		if (rc == 0) {
			struct sl_rule rule = {.id = "r", .flow_count = made.count, .flows = made.flows};

			if (sl_rule_validate(&rule, &err) < 0)
				fail_msg("'%s' ... %s", texts[0], err.text);
		}
		for (int p = 0; rc == 0 && p < PACKETS_EACH; p++) {
			struct sl_ipfilter_packet packet;
			struct sl_ipfilter_prefix own;
			const struct sl_ipfilter_terminal terminal = {1, &own};
			struct sl_ipfilter_verdict verdict;
			int judged;

			model_packet(&random, &packet);
			if (model_one_in(&random, 20))
				packet.destination = packet.source; /* to itself: what "assigned" is about */
			own.address = packet.direction == SL_IPFILTER_IN ? packet.source : packet.destination;
			own.length = own.address.family == 4 ? 32 : 64;
			if (own.address.family == 6)
				memset(own.address.bytes + 8, 0, 8);
			verdict = sl_ipfilter_evaluate(rules, count, &terminal, &packet);
			judged = judge(made.flows, made.count, &own, &packet);
			if (judged != verdict.is_passed) {
				for (size_t i = 0; i < count; i++)
					print_message("%s\n", texts[i]);
				fail_msg("flows judge %d, the list %d (rule %zu, reason %d); protocol %u, "
					 "offset %u, flags 0x%x",
					 judged, verdict.is_passed, verdict.rule, verdict.reason,
					 packet.protocol, packet.fragment_offset, packet.tcp_flags);
			}
			seen[judged]++;
			matched += verdict.reason == SL_IPFILTER_BY_RULE;
		}
	}
	/* a generator that only made one verdict would prove nothing */
	assert_true(seen[0] > 1000 && seen[1] > 1000);
	assert_true(matched > 1000);
	assert_true(refused > 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_last_flow_of_a_direction_is_the_opposite_of_its_last_rule),
		cmocka_unit_test(a_restriction_drops_in_both_directions_what_no_filter_permits),
		cmocka_unit_test(lists_become_a_flow_for_each_combination),
		cmocka_unit_test(more_flows_than_a_rule_may_have_are_refused_with_their_number),
		cmocka_unit_test(what_cannot_be_kept_is_refused),
		cmocka_unit_test(a_rule_that_matches_nothing_is_still_the_last_one),
		cmocka_unit_test(random_lists_judge_random_packets_as_the_evaluator_does),
	};

	return cmocka_run_group_tests_name("filter", tests, NULL, NULL);
}
