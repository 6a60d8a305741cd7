// SPDX-License-Identifier: Apache-2.0
/*
 * Lists of IPFilterRules in the real BPF programs: random lists, compiled as the
 * agent does, judge random packets as policy/ipfilter.h says. SLUICE_SEED
 * repeats a run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include <bpf/bpf.h>
#include <netinet/in.h>

#include "base/cleanup.h"
#include "bpfrun.h"
#include "ipfilter_model.h"
#include "packet_terms.h"
#include "policy/compile.h"
#include "policy/filter.h"

#define LIST_MAX     6
#define RANDOM_LISTS 1500
#define PACKETS_EACH 40
#define ROOM	     1000 /* blocks and branches of a direction */
#define POLICY	     1
#define USAGE	     1

static const struct sl_address ue4 = {4, {10, 9, 0, 1}};
static const struct sl_address ue6 = {6, {0x20, 0x01, 0x0d, 0xb8, 0, 9}};

static struct bpfrun *rig;
static struct bpfrun_maps maps;

/* --- the list in the maps ---------------------------------------------------------- */

/* False: the trees are larger than the rig has room for. */
static bool publish(struct sl_rule *rule, const struct sl_address *ue)
{
	const struct sl_match_maps all = {
		.matches4 = maps.matches4, .matches6 = maps.matches6, .branches = maps.branches};
	const struct sl_install install = {.rule = rule, .binding = {.usage = USAGE + 1}};
	struct sluice_endpoint endpoint = {.policy = POLICY};
	struct sluice_policy policy = {
		.default_usage = USAGE, .rules = 1, .endpoint_tag = sl_address_tag(ue)};
	struct sl_ruleset_image image;
	struct sl_error err = {""};
	bool fits = true;

	if (sl_compile(&install, 1, ue, &image, &err) < 0)
		fail_msg("%s", err.text);
	for (uint32_t i = 0; i < SLUICE_DIRECTIONS; i++) {
		const struct sl_match_place place = {.block = 1 + i * ROOM, .branch = 1 + i * ROOM};
		uint32_t *root = i == SLUICE_UPLINK ? &policy.uplink_block : &policy.downlink_block;

		fits = fits && image.list[i].blocks <= ROOM && sl_match_list_branches(&image.list[i]) <= ROOM;
		if (!fits)
			break;
		sl_match_list_write(&image.list[i], place, &all);
		*root = sl_match_list_root(&image.list[i], place);
	}
	policy.uplink_count = (uint16_t)image.list[SLUICE_UPLINK].count;
	policy.downlink_count = (uint16_t)image.list[SLUICE_DOWNLINK].count;
	policy.flags = image.flags;
	policy.binding[0] = install.binding;
	maps.policies[POLICY] = policy;
	sl_ruleset_image_clear(&image);
	/* the key is the beginning of the address in both families */
	if (bpf_map_update_elem(ue->family == 4 ? maps.endpoints4 : maps.endpoints6, ue->bytes, &endpoint,
				BPF_ANY) < 0)
		fail_msg("endpoint");
	return fits;
}

/* --- packets -------------------------------------------------------------------------- */

/* The packet as it can be on the wire, to or from the subscriber; false: it cannot. */
static bool settle(uint64_t *random, const struct sl_address *ue, struct sl_ipfilter_packet *packet)
{
	static const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP, IPPROTO_ICMP, 200};
	struct sl_address *own = packet->direction == SL_IPFILTER_IN ? &packet->source : &packet->destination;
	struct sl_address *far = packet->direction == SL_IPFILTER_IN ? &packet->destination : &packet->source;

	if (far->family != ue->family)
		return false;
	*own = *ue;
	if (model_one_in(random, 20))
		*far = *ue;
	/* other numbers are extension headers of IPv6, or pass as control traffic */
	if (packet->protocol != 0 || ue->family == 6)
		packet->protocol = protocols[model_random(random, sizeof(protocols))];
	if (ue->family == 6)
		packet->ip_options = 0;
	packet->has_tcp = packet->protocol == IPPROTO_TCP && packet->fragment_offset == 0;
	/* what IPv6 carries as protocol 1 is not ICMP */
	packet->has_icmp =
		packet->protocol == IPPROTO_ICMP && packet->fragment_offset == 0 && ue->family == 4;
	packet->has_ports = packet->fragment_offset == 0 &&
			    (packet->protocol == IPPROTO_TCP || packet->protocol == IPPROTO_UDP ||
			     packet->protocol == IPPROTO_SCTP);
	packet->fragment_offset &= 0x1ffe | (packet->fragment_offset == 1);
	return packet->fragment_offset < 0x1f00;
}

static void build(const struct sl_ipfilter_packet *from, struct packet *packet)
{
	char source[SL_ADDRESS_TEXT], destination[SL_ADDRESS_TEXT];
	const struct packet_terms terms = {.tcp_flags = from->tcp_flags,
					   .tcp_options = from->tcp_options,
					   .ip_options = from->ip_options};
	struct packet_spec spec = {
		.source = source,
		.destination = destination,
		.protocol = from->protocol,
		.source_port = from->source_port,
		.destination_port = from->destination_port,
		.icmp_type = from->icmp_type,
		.payload = 16,
		.fragment_offset = (uint16_t)(from->fragment_offset * 8),
		.more_fragments = from->has_more_fragments,
	};

	sl_address_format(&from->source, source);
	sl_address_format(&from->destination, destination);
	if (from->source.family == 6 && (from->fragment_offset || from->has_more_fragments))
		spec.extension[0] = IPPROTO_FRAGMENT;
	packet_terms_build(packet, &spec, &terms);
}

static bool passes(const struct sl_ipfilter_packet *from)
{
	const bool uplink = from->direction == SL_IPFILTER_IN;
	const struct bpfrun_context context = {.mark = 0};
	struct packet packet;

	build(from, &packet);
	if (uplink && bpfrun_packet(rig, BPFRUN_XDP_ACCESS, &packet, &context).verdict == BPFRUN_XDP_DROP)
		return false;
	return bpfrun_packet(rig, uplink ? BPFRUN_ACCESS_INGRESS : BPFRUN_ACCESS_EGRESS, &packet, &context)
		       .verdict != BPFRUN_TC_DROP;
}

/* --- the test --------------------------------------------------------------------------- */

struct list {
	size_t count;
	char texts[LIST_MAX][SL_IPFILTER_TEXT];
	struct sl_ipfilter rules[LIST_MAX];
	struct sl_rule rule;
};

static void list_clear(struct list *list)
{
	free(list->rule.flows);
}

/* False: a list that is refused, as it can be. */
static bool make_list(uint64_t *random, struct list *list)
{
	const char *pointers[LIST_MAX];

	list->count = 1 + model_random(random, LIST_MAX);
	for (size_t i = 0; i < list->count; i++) {
		struct model_rule rule;

		model_rule(random, SL_IPFILTER_FULL, &rule);
		/* else few packets of one subscriber would ever match */
		if (!model_one_in(random, 4))
			rule.end[rule.is_out] = (struct model_end){.place = MODEL_ASSIGNED};
		model_text(random, &rule, list->texts[i]);
		pointers[i] = list->texts[i];
		assert_int_equal(sl_ipfilter_parse("f", list->texts[i], strlen(list->texts[i]),
						   SL_IPFILTER_FULL, &list->rules[i], NULL),
				 0);
	}
	strcpy(list->rule.id, "filters");
	return sl_filter_flows("filters", pointers, list->count, false, &list->rule.flows,
			       &list->rule.flow_count, NULL) == 0;
}

static void q13_random_filter_rules_judge_packets_in_bpf_as_their_evaluator_does(void **state)
{
	uint64_t random = model_seed();
	unsigned int seen[2] = {0, 0}, matched = 0;

	(void)state;
	for (int i = 0; i < RANDOM_LISTS; i++) {
		const struct sl_address *ue = model_one_in(&random, 2) ? &ue4 : &ue6;
		const struct sl_ipfilter_prefix own = {*ue, ue->family == 4 ? 32 : 64};
		const struct sl_ipfilter_terminal terminal = {1, &own};
		_cleanup_(list_clear) struct list list = {.count = 0};

		if (!make_list(&random, &list) || !publish(&list.rule, ue))
			continue;
		for (int p = 0; p < PACKETS_EACH; p++) {
			struct sl_ipfilter_verdict verdict;
			struct sl_ipfilter_packet packet;
			bool passed;

			model_packet(&random, &packet);
			if (!settle(&random, ue, &packet))
				continue;
			verdict = sl_ipfilter_evaluate(list.rules, list.count, &terminal, &packet);
			passed = passes(&packet);
			if (passed != verdict.is_passed) {
				for (size_t t = 0; t < list.count; t++)
					print_message("%s\n", list.texts[t]);
				fail_msg("IPv%u packet %s, expected %s (rule %zu, reason %d); protocol %u, "
					 "offset %u, TCP flags 0x%x options 0x%x, IP options 0x%x",
					 ue->family, passed ? "passes" : "is dropped",
					 verdict.is_passed ? "passes" : "is dropped", verdict.rule,
					 verdict.reason, packet.protocol, packet.fragment_offset,
					 packet.tcp_flags, packet.tcp_options, packet.ip_options);
			}
			seen[passed]++;
			matched += verdict.reason == SL_IPFILTER_BY_RULE;
		}
	}
	print_message("%u dropped, %u passed, %u of them by a rule\n", seen[0], seen[1], matched);
	/* a generator that made only one verdict would prove nothing */
	assert_true(seen[0] > 1000 && seen[1] > 1000 && matched > 1000);
}

static void the_programs_load(void **state)
{
	(void)state;
	rig = bpfrun_open();
	maps = bpfrun_maps(rig);
}

int main(void)
{
	const struct CMUnitTest load[] = {cmocka_unit_test(the_programs_load)};
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(q13_random_filter_rules_judge_packets_in_bpf_as_their_evaluator_does),
	};
	int failed = cmocka_run_group_tests(load, NULL, NULL);

	if (!rig)
		return failed;
	failed += cmocka_run_group_tests(tests, NULL, NULL);
	bpfrun_close(rig);
	return failed;
}
