// SPDX-License-Identifier: Apache-2.0
/* What a flow says beyond addresses and ports, and lists that become trees: in entries, places and maps. */
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
#include "policy/compile.h"
#include "walk.h"

#define ANY_PORTS .remote_port_high = 65535, .local_port_high = 65535
#define LONG_LIST 200

static const struct sl_address ip4 = {.family = 4, .bytes = {10, 0, 0, 5}};
static const struct sl_address ip6 = {.family = 6, .bytes = {0x20, 0x01, 0x0d, 0xb8, 0, 5, 0, 1}};

static void clear_image(struct sl_ruleset_image *image)
{
	sl_ruleset_image_clear(image);
}

#define _cleanup_image_ _cleanup_(clear_image)

static void compile_rule(struct sl_rule *rule, const struct sl_address *address, struct sl_ruleset_image *out)
{
	const struct sl_install install = {.rule = rule};

	assert_int_equal(sl_compile(&install, 1, address, out, NULL), 0);
}

static uint32_t entries_for(struct sluice_flow *flow, const struct sl_address *address)
{
	struct sl_rule rule = {.id = "r", .flow_count = 1, .flows = flow};
	_cleanup_image_ struct sl_ruleset_image image = {0};

	compile_rule(&rule, address, &image);
	return image.list[SLUICE_UPLINK].count;
}

static void a_flow_for_some_subscribers_is_in_the_lists_of_those(void **state)
{
	struct sluice_flow flow = {
		.family = 4, .flags = SLUICE_FLOW_LOCAL, .local = {10, 0, 0, 4}, ANY_PORTS};

	(void)state;
	flow.local_length = 31;
	assert_int_equal(entries_for(&flow, &ip4), 1);
	assert_int_equal(entries_for(&flow, &ip6), 0);
	flow.local_length = 32;
	assert_int_equal(entries_for(&flow, &ip4), 0);
	flow.flags = SLUICE_FLOW_LOCAL_NOT;
	assert_int_equal(entries_for(&flow, &ip4), 1);
	flow.local_length = 31;
	assert_int_equal(entries_for(&flow, &ip4), 0);
	/* all of them: the one is everybody, the other nobody */
	flow.local_length = 0;
	assert_int_equal(entries_for(&flow, &ip4), 0);
	flow.flags = SLUICE_FLOW_LOCAL;
	assert_int_equal(entries_for(&flow, &ip4), 1);

	flow = (struct sluice_flow){.family = 6,
				    .flags = SLUICE_FLOW_LOCAL,
				    .local = {0x20, 0x01, 0x0d, 0xb8, 0, 5, 0, 1},
				    .local_length = 64,
				    ANY_PORTS};
	assert_int_equal(entries_for(&flow, &ip6), 1);
	flow.local[7] = 2;
	assert_int_equal(entries_for(&flow, &ip6), 0);
}

static void protocol_zero_is_a_protocol_where_it_is_meant(void **state)
{
	struct sluice_flow flow = {ANY_PORTS};
	struct sl_rule rule = {.id = "r", .flow_count = 1, .flows = &flow};
	_cleanup_image_ struct sl_ruleset_image any = {0}, zero = {0};

	(void)state;
	compile_rule(&rule, &ip4, &any);
	flow.flags = SLUICE_FLOW_PROTOCOL_ZERO;
	compile_rule(&rule, &ip4, &zero);
	assert_int_equal(any.list[SLUICE_UPLINK].block4[0].match[0].flags, SLUICE_MATCH_VALID);
	assert_int_equal(zero.list[SLUICE_UPLINK].block4[0].match[0].flags,
			 SLUICE_MATCH_VALID | SLUICE_MATCH_PROTOCOL);
}

static void terms_are_carried_over_and_options_are_announced(void **state)
{
	struct sluice_flow flow = {
		.terms = {.which = SLUICE_TERM_DSCP, .dscp = 46}, .protocol = IPPROTO_TCP, ANY_PORTS};
	struct sl_rule rule = {.id = "r", .flow_count = 1, .flows = &flow};

	(void)state;
	for (int round = 0; round < 3; round++) {
		_cleanup_image_ struct sl_ruleset_image four = {0}, six = {0};

		if (round == 1)
			flow.terms = (struct sluice_terms){.which = SLUICE_TERM_TCP_OPTIONS,
							   .tcp_options_absent = 4};
		if (round == 2)
			flow.terms = (struct sluice_terms){.which = SLUICE_TERM_IP_OPTIONS,
							   .ip_options_present = 1};
		compile_rule(&rule, &ip4, &four);
		compile_rule(&rule, &ip6, &six);
		assert_memory_equal(&four.list[0].block4[0].match[0].terms, &flow.terms, sizeof(flow.terms));
		assert_memory_equal(&six.list[0].block6[0].match[0].terms, &flow.terms, sizeof(flow.terms));
		assert_int_equal(four.flags, round ? SLUICE_POLICY_OPTIONS : 0);
		assert_int_equal(six.flags, round ? SLUICE_POLICY_OPTIONS : 0);
	}
}

static void what_a_rule_with_an_interface_permits_goes_there(void **state)
{
	struct sluice_flow flows[] = {{.action = SLUICE_PERMIT, ANY_PORTS},
				      {.action = SLUICE_DENY, ANY_PORTS}};
	struct sl_rule rule = {.id = "r",
			       .flow_count = 2,
			       .flows = flows,
			       .steer = {.mode = SLUICE_STEER_REDIRECT, .slot = 3}};
	_cleanup_image_ struct sl_ruleset_image image = {0};

	(void)state;
	compile_rule(&rule, &ip4, &image);
	assert_int_equal(image.list[0].block4[0].match[0].action, SLUICE_STEER_FIRST + 3);
	assert_int_equal(image.list[0].block4[0].match[1].action, SLUICE_DENY);
}

/* --- long lists ------------------------------------------------------------------ */

static struct sluice_flow flows[LONG_LIST];
static struct sl_rule rules[LONG_LIST];
static struct sl_install installs[LONG_LIST];

/* Rule i: UDP to port 1000 + i of a /24 of its own, in both directions by turns. */
static void make_long_list(uint32_t family, uint32_t count)
{
	for (uint32_t i = 0; i < count; i++) {
		flows[i] = (struct sluice_flow){.direction = SLUICE_UPLINK,
						.family = (uint8_t)family,
						.protocol = IPPROTO_UDP,
						.has_remote = 1,
						.prefix_length = family == 4 ? 24 : 64,
						.remote_port_low = (uint16_t)(1000 + i),
						.remote_port_high = (uint16_t)(1000 + i),
						.local_port_high = 65535};
		flows[i].remote[family == 4 ? 2 : 7] = (uint8_t)i;
		rules[i] = (struct sl_rule){.id = "r", .flow_count = 1, .flows = &flows[i]};
		installs[i] = (struct sl_install){.rule = &rules[i]};
	}
}

/* By turns only the prefix and only the port of it. */
static void make_turns(uint32_t family, uint32_t count)
{
	make_long_list(family, count);
	for (uint32_t i = 0; i < count; i++) {
		if (i % 2) {
			flows[i].has_remote = 0;
			flows[i].prefix_length = 0;
			memset(flows[i].remote, 0, sizeof(flows[i].remote));
		} else {
			flows[i].remote_port_low = 0;
			flows[i].remote_port_high = 65535;
		}
	}
}

static void assert_decides(const struct sl_ruleset_image *image, uint32_t rule, bool match)
{
	struct walk_packet packet = {.family = image->family,
				     .protocol = IPPROTO_UDP,
				     .has_ports = true,
				     .remote_port = (uint16_t)(1000 + rule)};
	enum sluice_action action;

	packet.remote[image->family == 4 ? 2 : 7] = (uint8_t)rule;
	assert_int_equal(walk_image(image, &packet, &action), match ? (int)rule : WALK_NO_RULE);
	packet.remote[image->family == 4 ? 2 : 7]++;
	assert_int_equal(walk_image(image, &packet, &action), WALK_NO_RULE);
}

static void more_entries_than_a_block_become_a_tree(void **state)
{
	(void)state;
	for (uint32_t family = 4; family <= 6; family += 2) {
		const struct sl_address *address = family == 4 ? &ip4 : &ip6;
		_cleanup_image_ struct sl_ruleset_image block = {0}, tree = {0}, again = {0};

		make_long_list(family, LONG_LIST);
		assert_int_equal(sl_compile(installs, SLUICE_MATCH_BLOCK, address, &block, NULL), 0);
		assert_null(block.list[SLUICE_UPLINK].branch);
		assert_int_equal(block.list[SLUICE_UPLINK].count, SLUICE_MATCH_BLOCK);
		assert_int_equal(sl_compile(installs, LONG_LIST, address, &tree, NULL), 0);
		assert_non_null(tree.list[SLUICE_UPLINK].branch);
		assert_int_equal(sl_match_list_branches(&tree.list[SLUICE_UPLINK]),
				 tree.list[SLUICE_UPLINK].count);
		for (uint32_t i = 0; i < LONG_LIST; i++)
			assert_decides(&tree, i, true);
		assert_decides(&tree, LONG_LIST, false);
		assert_int_equal(sl_compile(installs, LONG_LIST, address, &again, NULL), 0);
		assert_true(sl_ruleset_image_equal(&tree, &again));
		again.list[SLUICE_UPLINK].branch[1].pivot++;
		sl_ruleset_image_rehash(&again);
		assert_false(sl_ruleset_image_equal(&tree, &again));
	}
}

static void rules_of_prefixes_and_of_ports_by_turns_become_two_trees(void **state)
{
	(void)state;
	for (uint32_t family = 4; family <= 6; family += 2) {
		_cleanup_image_ struct sl_ruleset_image image = {0};
		const struct sl_match_list *list = &image.list[SLUICE_UPLINK];

		make_turns(family, LONG_LIST);
		assert_int_equal(sl_compile(installs, LONG_LIST, family == 4 ? &ip4 : &ip6, &image, NULL), 0);
		assert_int_equal(list->branch[0].both, 1);
		assert_true(list->blocks < LONG_LIST / 2);
		for (uint32_t i = 0; i < LONG_LIST; i++) {
			/* the prefix of rule i, the port of its neighbour: the first of the two decides */
			for (uint32_t port = i & ~1u; port <= (i | 1u); port++) {
				struct walk_packet packet = {.family = family,
							     .protocol = IPPROTO_UDP,
							     .has_ports = true,
							     .remote_port = (uint16_t)(1000 + port)};
				enum sluice_action action;
				int wanted = i % 2 == 0 ? (int)i : port % 2 ? (int)port : WALK_NO_RULE;

				packet.remote[family == 4 ? 2 : 7] = (uint8_t)i;
				assert_int_equal(walk_image(&image, &packet, &action), wanted);
			}
		}
	}
}

static void a_deadline_makes_another_tree_because_it_leaves_the_rest_in_force(void **state)
{
	_cleanup_image_ struct sl_ruleset_image forever = {0}, timed = {0}, dead = {0};

	(void)state;
	make_long_list(4, 40);
	flows[0] = (struct sluice_flow){ANY_PORTS};
	assert_int_equal(sl_compile(installs, 40, &ip4, &forever, NULL), 0);
	rules[0].hard_timeout_s = 60;
	assert_int_equal(sl_compile(installs, 40, &ip4, &timed, NULL), 0);
	rules[0].hard_timeout_s = 0;
	installs[0].binding.deadline_ns = 1;
	assert_int_equal(sl_compile(installs, 40, &ip4, &dead, NULL), 0);
	assert_false(sl_ruleset_image_equal(&forever, &timed));
	assert_true(sl_ruleset_image_equal(&timed, &dead));
}

/* --- to the maps and back ---------------------------------------------------------- */

#define BLOCKS 512

static struct sluice_match4_block matches4[BLOCKS];
static struct sluice_match6_block matches6[BLOCKS];
static struct sluice_branch branches[BLOCKS];
static const struct sl_match_maps maps = {matches4, matches6, branches, BLOCKS, BLOCKS};

static void a_list_written_to_the_maps_is_read_back_as_it_was(void **state)
{
	static const uint32_t counts[] = {0, 1, SLUICE_MATCH_BLOCK, SLUICE_MATCH_BLOCK + 1, LONG_LIST};

	(void)state;
	for (uint32_t family = 4; family <= 6; family += 2) {
		for (size_t i = 0; i < 2 * SL_ARRAY_SIZE(counts); i++) {
			_cleanup_image_ struct sl_ruleset_image image = {0}, back = {.family = family};
			struct sl_match_place place = {.block = 100, .branch = 50}, found;
			const struct sl_match_list *list = &image.list[SLUICE_UPLINK];
			uint32_t count = counts[i / 2];

			if (i % 2)
				make_turns(family, LONG_LIST);
			else
				make_long_list(family, LONG_LIST);
			assert_int_equal(sl_compile(installs, count, family == 4 ? &ip4 : &ip6, &image, NULL),
					 0);
			if (!list->blocks)
				place.block = SLUICE_NONE;
			if (!list->branch)
				place.branch = SLUICE_NONE;
			sl_match_list_write(list, place, &maps);
			assert_int_equal(sl_match_list_read(&maps, family, sl_match_list_root(list, place),
							    list->count, &back.list[SLUICE_UPLINK], &found),
					 0);
			assert_int_equal(found.block, place.block);
			assert_int_equal(found.branch, place.branch);
			sl_ruleset_image_rehash(&back);
			assert_true(sl_ruleset_image_equal(&image, &back));
		}
	}
}

static void a_list_outside_the_maps_or_in_a_circle_is_not_read(void **state)
{
	_cleanup_image_ struct sl_ruleset_image image = {0};
	const struct sl_match_place place = {.block = 100, .branch = 50};
	struct sl_match_place found = {7, 7};
	struct sl_match_list list = {.count = 77}, *tree = &image.list[SLUICE_UPLINK];
	struct sluice_branch *root = &branches[50], before;

	(void)state;
	make_long_list(4, LONG_LIST);
	assert_int_equal(sl_compile(installs, LONG_LIST, &ip4, &image, NULL), 0);
	sl_match_list_write(tree, place, &maps);
	before = *root;

	assert_int_equal(sl_match_list_read(&maps, 4, BLOCKS - 1, 9, &list, &found), -ERANGE);
	assert_int_equal(sl_match_list_read(&maps, 4, 0, 8 * BLOCKS + 1, &list, &found), -ERANGE);
	assert_int_equal(sl_match_list_read(&maps, 4, SLUICE_BRANCH | BLOCKS, 1, &list, &found), -ERANGE);
	assert_int_equal(sl_match_list_read(&maps, 4, SLUICE_BRANCH | 50, BLOCKS, &list, &found), -ERANGE);
	root->child[0] = SLUICE_BRANCH | 50;
	assert_int_equal(sl_match_list_read(&maps, 4, SLUICE_BRANCH | 50, tree->count, &list, &found),
			 -ERANGE);
	root->child[0] = SLUICE_BRANCH | (50 + tree->count);
	assert_int_equal(sl_match_list_read(&maps, 4, SLUICE_BRANCH | 50, tree->count, &list, &found),
			 -ERANGE);
	root->child[0] = BLOCKS;
	root->count[0] = 1;
	assert_int_equal(sl_match_list_read(&maps, 4, SLUICE_BRANCH | 50, tree->count, &list, &found),
			 -ERANGE);
	assert_int_equal(list.count, 77);
	assert_int_equal(found.block, 7);
	*root = before;
	assert_int_equal(sl_match_list_read(&maps, 4, SLUICE_BRANCH | 50, tree->count, &list, &found), 0);
	sl_match_list_clear(&list);
}

static void a_list_whose_branches_say_both_in_the_wrong_place_is_not_read(void **state)
{
	_cleanup_image_ struct sl_ruleset_image image = {0};
	const struct sl_match_place place = {.block = 100, .branch = 50};
	const struct sl_match_list *tree = &image.list[SLUICE_UPLINK];
	struct sl_match_list list = {0};
	struct sl_match_place found;

	(void)state;
	make_turns(4, LONG_LIST);
	assert_int_equal(sl_compile(installs, LONG_LIST, &ip4, &image, NULL), 0);
	assert_int_equal(tree->branch[0].both, 1);
	/* a turn of the first tree, a turn further down, and a branch too many */
	for (uint32_t i = 1; i < 4; i++) {
		sl_match_list_write(tree, place, &maps);
		branches[50 + i].both = 1;
		assert_int_equal(sl_match_list_read(&maps, 4, SLUICE_BRANCH | 50, tree->count, &list, &found),
				 -ERANGE);
	}
	sl_match_list_write(tree, place, &maps);
	for (uint32_t i = 0; i < SLUICE_TREES; i++) {
		branches[50 + i].both = 1;
		branches[50 + i].child[1] = SLUICE_BRANCH | (51 + i);
	}
	assert_int_equal(sl_match_list_read(&maps, 4, SLUICE_BRANCH | 50, tree->count, &list, &found),
			 -ERANGE);
	branches[50 + SLUICE_TREES - 1].both = 0;
	assert_int_equal(sl_match_list_read(&maps, 4, SLUICE_BRANCH | 50, tree->count, &list, &found), 0);
	sl_match_list_clear(&list);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_flow_for_some_subscribers_is_in_the_lists_of_those),
		cmocka_unit_test(protocol_zero_is_a_protocol_where_it_is_meant),
		cmocka_unit_test(terms_are_carried_over_and_options_are_announced),
		cmocka_unit_test(what_a_rule_with_an_interface_permits_goes_there),
		cmocka_unit_test(more_entries_than_a_block_become_a_tree),
		cmocka_unit_test(rules_of_prefixes_and_of_ports_by_turns_become_two_trees),
		cmocka_unit_test(a_deadline_makes_another_tree_because_it_leaves_the_rest_in_force),
		cmocka_unit_test(a_list_written_to_the_maps_is_read_back_as_it_was),
		cmocka_unit_test(a_list_outside_the_maps_or_in_a_circle_is_not_read),
		cmocka_unit_test(a_list_whose_branches_say_both_in_the_wrong_place_is_not_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
