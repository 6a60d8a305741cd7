// SPDX-License-Identifier: Apache-2.0
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "policy/address.h"
#include "policy/compile.h"
#include "walk.h"

/* The sessions that rules are compiled for. */
static const struct sl_address ip4 = {.family = 4, .bytes = {10, 0, 0, 5}};
static const struct sl_address ip6 = {.family = 6, .bytes = {0x20, 0x01, 0x0d, 0xb8, 0, 5}};
static const struct sl_address none;

#define ANY_PORTS .remote_port_high = 65535, .local_port_high = 65535

static struct sl_rule rule_of(const char *id, uint32_t precedence, struct sluice_flow *flows, uint32_t count)
{
	struct sl_rule rule = {.precedence = precedence, .flow_count = count, .flows = flows};

	snprintf(rule.id, sizeof(rule.id), "%s", id);
	return rule;
}

static struct sluice_flow flow_to(enum sluice_direction direction, const char *prefix)
{
	struct sluice_flow flow = {.direction = direction, .has_remote = 1, ANY_PORTS};
	struct sl_address address;

	assert_int_equal(sl_prefix_parse("prefix", prefix, &address, &flow.prefix_length, NULL), 0);
	flow.family = (uint8_t)address.family;
	memcpy(flow.remote, address.bytes, sizeof(flow.remote));
	return flow;
}

static void clear_image(struct sl_ruleset_image *image)
{
	sl_ruleset_image_clear(image);
}

#define _cleanup_image_ _cleanup_(clear_image)

static void gy_comes_before_gx_whatever_the_precedence(void **state)
{
	struct sl_rule weak = rule_of("a", 4294967295u, NULL, 0), strong = rule_of("a", 0, NULL, 0);
	const struct sl_install gy = {.rule = &weak, .origin = SLUICE_ORIGIN_GY};
	const struct sl_install gx = {.rule = &strong, .origin = SLUICE_ORIGIN_GX};

	(void)state;
	assert_true(sl_install_compare(&gy, &gx) < 0);
	assert_true(sl_install_compare(&gx, &gy) > 0);
	assert_int_equal(sl_install_compare(&gx, &gx), 0);
}

static void all_32_bits_of_the_precedence_count(void **state)
{
	static const uint32_t order[] = {0,	      1,	   2,		3,	    65530,
					 65531,	      65532,	   65533,	65535,	    65536,
					 2147483647u, 2147483648u, 4294967294u, 4294967295u};

	(void)state;
	for (size_t i = 0; i + 1 < SL_ARRAY_SIZE(order); i++) {
		/* ids the other way round: a merged precedence would show */
		struct sl_rule left = rule_of("z", order[i], NULL, 0),
			       right = rule_of("a", order[i + 1], NULL, 0);
		const struct sl_install a = {.rule = &left}, b = {.rule = &right};

		assert_true(sl_install_compare(&a, &b) < 0);
		assert_true(sl_install_compare(&b, &a) > 0);
	}
}

static void equal_precedence_is_decided_by_the_bytes_of_the_id(void **state)
{
	static const char *const order[] = {"A", "B", "a", "aa", "b", "\x7f", "\x80", "\xc3\xa9", "\xff"};

	(void)state;
	for (size_t i = 0; i + 1 < SL_ARRAY_SIZE(order); i++) {
		struct sl_rule left = rule_of(order[i], 7, NULL, 0),
			       right = rule_of(order[i + 1], 7, NULL, 0);
		const struct sl_install a = {.rule = &left}, b = {.rule = &right};

		assert_true(sl_install_compare(&a, &b) < 0);
		assert_true(sl_install_compare(&b, &a) > 0);
	}
}

static void an_ipv4_flow_becomes_masked_words(void **state)
{
	struct sluice_flow flow = flow_to(SLUICE_UPLINK, "45.10.0.0/24");
	struct sl_rule rule = rule_of("r", 1, &flow, 1);
	const struct sl_install install = {.rule = &rule};
	_cleanup_image_ struct sl_ruleset_image image = {0};
	const struct sluice_match4 *match;

	(void)state;
	flow.action = SLUICE_DENY;
	flow.protocol = IPPROTO_TCP;
	flow.remote_port_low = 80;
	flow.remote_port_high = 90;
	flow.local_port_low = 1024;
	assert_int_equal(sl_compile(&install, 1, &ip4, &image, NULL), 0);
	assert_int_equal(image.family, 4);
	assert_int_equal(image.list[SLUICE_UPLINK].count, 1);
	assert_int_equal(image.list[SLUICE_UPLINK].blocks, 1);
	assert_null(image.list[SLUICE_UPLINK].block6);
	assert_int_equal(image.list[SLUICE_DOWNLINK].count, 0);
	assert_int_equal(image.list[SLUICE_DOWNLINK].blocks, 0);
	assert_null(image.list[SLUICE_DOWNLINK].block4);
	match = &image.list[SLUICE_UPLINK].block4[0].match[0];
	assert_int_equal(match->remote_be, inet_addr("45.10.0.0"));
	assert_int_equal(match->mask_be, inet_addr("255.255.255.0"));
	assert_int_equal(match->remote_port_low, 80);
	assert_int_equal(match->remote_port_high, 90);
	assert_int_equal(match->local_port_low, 1024);
	assert_int_equal(match->local_port_high, 65535);
	assert_int_equal(match->ordinal, 0);
	assert_int_equal(match->protocol, IPPROTO_TCP);
	assert_int_equal(match->flags, SLUICE_MATCH_VALID | SLUICE_MATCH_PROTOCOL | SLUICE_MATCH_PORTS);
	assert_int_equal(match->action, SLUICE_DENY);
	/* the rest of the block can match nothing */
	for (int i = 1; i < SLUICE_MATCH_BLOCK; i++)
		assert_int_equal(image.list[SLUICE_UPLINK].block4[0].match[i].flags, 0);
}

static void an_ipv6_flow_becomes_masked_words(void **state)
{
	static const struct {
		const char *prefix;
		uint8_t mask[16];
	} cases[] = {
		{"::/0", {0}},
		{"8000::/1", {0x80}},
		{"2001:db8:8000::/33", {0xff, 0xff, 0xff, 0xff, 0x80}},
		{"2001:db8::/64", {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff}},
		{"2001:db8:0:0:8000::/65", {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x80}},
		{"2001:db8::dbca",
		 {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff,
		  0xff}},
	};

	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(cases); i++) {
		struct sluice_flow flow = flow_to(SLUICE_DOWNLINK, cases[i].prefix);
		struct sl_rule rule = rule_of("r", 1, &flow, 1);
		const struct sl_install install = {.rule = &rule};
		_cleanup_image_ struct sl_ruleset_image image = {0};
		const struct sluice_match6 *match;

		assert_int_equal(sl_compile(&install, 1, &ip6, &image, NULL), 0);
		assert_int_equal(image.list[SLUICE_DOWNLINK].count, 1);
		assert_null(image.list[SLUICE_DOWNLINK].block4);
		match = &image.list[SLUICE_DOWNLINK].block6[0].match[0];
		assert_memory_equal(match->remote_be, flow.remote, 16);
		assert_memory_equal(match->mask_be, cases[i].mask, 16);
		assert_int_equal(match->flags, SLUICE_MATCH_VALID);
	}
}

static void every_prefix_length_takes_its_own_addresses_and_no_other(void **state)
{
	(void)state;
	for (uint32_t family = 4; family <= 6; family += 2) {
		uint32_t bits = family == 4 ? 32 : 128;

		for (uint32_t length = 0; length <= bits; length++) {
			struct sluice_flow flow = {.family = (uint8_t)family,
						   .has_remote = 1,
						   .prefix_length = (uint8_t)length,
						   ANY_PORTS};
			struct sl_rule rule = rule_of("r", 1, &flow, 1);
			const struct sl_install install = {.rule = &rule};
			_cleanup_image_ struct sl_ruleset_image image = {0};
			struct walk_packet packet = {.family = family};
			enum sluice_action action;

			for (uint32_t bit = 0; bit < length; bit++)
				flow.remote[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
			assert_int_equal(sl_compile(&install, 1, family == 4 ? &ip4 : &ip6, &image, NULL), 0);
			memset(packet.remote, 0xff, bits / 8);
			assert_int_equal(walk_image(&image, &packet, &action), 0);
			memcpy(packet.remote, flow.remote, 16);
			assert_int_equal(walk_image(&image, &packet, &action), 0);
			if (length == 0)
				continue;
			packet.remote[(length - 1) / 8] ^= (uint8_t)(0x80 >> (length - 1) % 8);
			assert_int_equal(walk_image(&image, &packet, &action), WALK_NO_RULE);
		}
	}
}

static void a_flow_goes_into_the_images_of_the_families_it_fits(void **state)
{
	struct sluice_flow flows[] = {
		flow_to(SLUICE_UPLINK, "45.10.0.0/24"),
		flow_to(SLUICE_UPLINK, "2001:db8::/32"),
		{.direction = SLUICE_UPLINK, .protocol = IPPROTO_UDP, ANY_PORTS},
		{.direction = SLUICE_DOWNLINK, .family = 6, ANY_PORTS},
	};
	struct sl_rule rule = rule_of("r", 1, flows, SL_ARRAY_SIZE(flows));
	const struct sl_install install = {.rule = &rule};
	_cleanup_image_ struct sl_ruleset_image four = {0}, six = {0};

	(void)state;
	assert_int_equal(sl_compile(&install, 1, &ip4, &four, NULL), 0);
	assert_int_equal(four.list[SLUICE_UPLINK].count, 2);
	assert_int_equal(four.list[SLUICE_DOWNLINK].count, 0);
	assert_int_equal(sl_compile(&install, 1, &ip6, &six, NULL), 0);
	assert_int_equal(six.list[SLUICE_UPLINK].count, 2);
	assert_int_equal(six.list[SLUICE_DOWNLINK].count, 1);
	assert_int_equal(six.list[SLUICE_UPLINK].block6[0].match[1].protocol, IPPROTO_UDP);
	assert_int_equal(sl_ruleset_image_equal(&four, &six), 0);
}

static void no_rules_compile_to_an_image_that_matches_nothing(void **state)
{
	_cleanup_image_ struct sl_ruleset_image image = {0};
	struct walk_packet packet = {.family = 4};
	enum sluice_action action;

	(void)state;
	assert_int_equal(sl_compile(NULL, 0, &ip4, &image, NULL), 0);
	assert_int_equal(image.list[SLUICE_UPLINK].blocks, 0);
	assert_int_equal(walk_image(&image, &packet, &action), WALK_NO_RULE);
}

static void a_rule_with_ports_lets_a_later_fragment_by(void **state)
{
	struct sluice_flow flow = {.protocol = IPPROTO_UDP,
				   .remote_port_low = 53,
				   .remote_port_high = 53,
				   .local_port_high = 65535};
	struct sl_rule rule = rule_of("dns", 1, &flow, 1);
	const struct sl_install install = {.rule = &rule};
	_cleanup_image_ struct sl_ruleset_image image = {0};
	struct walk_packet packet = {
		.family = 4, .protocol = IPPROTO_UDP, .has_ports = true, .remote_port = 53};
	enum sluice_action action;

	(void)state;
	assert_int_equal(sl_compile(&install, 1, &ip4, &image, NULL), 0);
	assert_int_equal(walk_image(&image, &packet, &action), 0);
	packet.has_ports = false;
	assert_int_equal(walk_image(&image, &packet, &action), WALK_NO_RULE);
}

static void images_with_the_same_content_are_equal_whoever_the_rules_belong_to(void **state)
{
	struct sluice_flow flow = flow_to(SLUICE_UPLINK, "45.10.0.0/24"), same = flow;
	struct sl_rule rule = rule_of("one", 1, &flow, 1), other = rule_of("two", 9, &same, 1);
	const struct sl_install install = {.rule = &rule, .version = 1};
	const struct sl_install another = {.rule = &other, .version = 5, .binding = {.usage = 77}};
	_cleanup_image_ struct sl_ruleset_image a = {0}, b = {0}, c = {0}, d = {0};

	(void)state;
	assert_int_equal(sl_compile(&install, 1, &ip4, &a, NULL), 0);
	assert_int_equal(sl_compile(&another, 1, &ip4, &b, NULL), 0);
	assert_int_equal(sl_ruleset_image_equal(&a, &b), 1);
	assert_true(a.hash == b.hash);
	same.action = SLUICE_DENY;
	assert_int_equal(sl_compile(&another, 1, &ip4, &c, NULL), 0);
	assert_int_equal(sl_ruleset_image_equal(&a, &c), 0);
	assert_false(a.hash == c.hash);
	/* the same entries, but in the other direction */
	same = flow;
	same.direction = SLUICE_DOWNLINK;
	assert_int_equal(sl_compile(&another, 1, &ip4, &d, NULL), 0);
	assert_int_equal(sl_ruleset_image_equal(&a, &d), 0);
	assert_false(a.hash == d.hash);
}

static void a_family_that_is_none_is_refused(void **state)
{
	struct sl_ruleset_image image = {.family = 77};
	struct sl_error err;

	(void)state;
	assert_int_equal(sl_compile(NULL, 0, &none, &image, &err), -EINVAL);
	assert_int_equal(image.family, 77);
	assert_non_null(strstr(err.text, "family"));
}

static void too_many_rules_or_flows_are_refused_and_the_image_is_untouched(void **state)
{
	static struct sluice_flow flows[SLUICE_FLOWS_PER_RULE];
	static struct sl_install installs[SLUICE_RULES_PER_SESSION + 1];
	struct sl_ruleset_image image = {.family = 77};
	struct sl_rule one, many;
	struct sl_error err;
	const size_t fit = SLUICE_MATCHES_PER_DIRECTION / SLUICE_FLOWS_PER_RULE;

	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(flows); i++)
		flows[i] = (struct sluice_flow){.direction = SLUICE_UPLINK, ANY_PORTS};
	one = rule_of("one", 1, flows, 1);
	many = rule_of("many", 1, flows, SLUICE_FLOWS_PER_RULE);
	for (size_t i = 0; i < SL_ARRAY_SIZE(installs); i++)
		installs[i].rule = &one;
	assert_int_equal(sl_compile(installs, SLUICE_RULES_PER_SESSION + 1, &ip4, &image, &err), -E2BIG);
	assert_non_null(strstr(err.text, "1025"));
	assert_int_equal(image.family, 77);
	assert_int_equal(sl_compile(installs, SLUICE_RULES_PER_SESSION, &ip4, &image, &err), 0);
	assert_int_equal(image.list[SLUICE_UPLINK].count, SLUICE_RULES_PER_SESSION);
	assert_int_equal(image.list[SLUICE_UPLINK].block4[127].match[7].ordinal, 1023);
	sl_ruleset_image_clear(&image);
	assert_null(image.list[SLUICE_UPLINK].block4);

	for (size_t i = 0; i < fit; i++)
		installs[i].rule = &many;
	assert_int_equal(sl_compile(installs, fit, &ip4, &image, &err), 0);
	assert_int_equal(image.list[SLUICE_UPLINK].blocks, SLUICE_MATCHES_PER_DIRECTION / SLUICE_MATCH_BLOCK);
	sl_ruleset_image_clear(&image);
	assert_int_equal(sl_compile(installs, fit + 1, &ip4, &image, &err), -E2BIG);
	assert_non_null(strstr(err.text, "one"));
	assert_non_null(strstr(err.text, "4096 uplink"));
}

/* --- random rules against a plain reading of the order ------------------- */

#define RANDOM_RULES 24
#define RANDOM_FLOWS 4

/* Few different values, so that ties, overlaps and misses are all frequent. */
static struct sluice_flow random_flow(unsigned int *seed)
{
	static const uint8_t protocols[] = {0, IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP};
	struct sluice_flow flow = {
		.direction = rand_r(seed) % 2 ? SLUICE_UPLINK : SLUICE_DOWNLINK,
		.action = rand_r(seed) % 2 ? SLUICE_PERMIT : SLUICE_DENY,
		.protocol = protocols[rand_r(seed) % 4],
		ANY_PORTS,
	};

	flow.family = (uint8_t)(rand_r(seed) % 3 * 2); /* 0, 2, 4 */
	flow.family = flow.family == 2 ? 6 : flow.family;
	if (flow.family != 0 && rand_r(seed) % 4) {
		flow.has_remote = 1;
		flow.prefix_length = (uint8_t)(rand_r(seed) % 4);
		flow.remote[0] = (uint8_t)(rand_r(seed) & 0xff & ~(0xff >> flow.prefix_length));
	}
	if ((flow.protocol == IPPROTO_TCP || flow.protocol == IPPROTO_UDP) && rand_r(seed) % 2) {
		flow.remote_port_low = (uint16_t)(rand_r(seed) % 8);
		flow.remote_port_high = (uint16_t)(flow.remote_port_low + rand_r(seed) % 4);
	}
	if ((flow.protocol == IPPROTO_TCP || flow.protocol == IPPROTO_UDP) && rand_r(seed) % 4 == 0) {
		flow.local_port_low = (uint16_t)(rand_r(seed) % 8);
		flow.local_port_high = 65535;
	}
	return flow;
}

static struct walk_packet random_packet(unsigned int *seed, uint32_t family)
{
	static const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_GRE};
	struct walk_packet packet = {
		.direction = rand_r(seed) % 2 ? SLUICE_UPLINK : SLUICE_DOWNLINK,
		.family = family,
		.remote = {(uint8_t)rand_r(seed), (uint8_t)rand_r(seed)},
		.protocol = protocols[rand_r(seed) % 4],
		.remote_port = (uint16_t)(rand_r(seed) % 12),
		.local_port = (uint16_t)(rand_r(seed) % 12),
	};

	packet.has_ports =
		(packet.protocol == IPPROTO_TCP || packet.protocol == IPPROTO_UDP) && rand_r(seed) % 4 != 0;
	return packet;
}

static bool plainly_matches(const struct sluice_flow *flow, const struct walk_packet *packet)
{
	bool all_ports = flow->remote_port_low == 0 && flow->remote_port_high == 65535 &&
			 flow->local_port_low == 0 && flow->local_port_high == 65535;

	if (flow->direction != packet->direction || (flow->family != 0 && flow->family != packet->family))
		return false;
	for (uint32_t bit = 0; flow->has_remote && bit < flow->prefix_length; bit++)
		if ((flow->remote[bit / 8] ^ packet->remote[bit / 8]) & (0x80 >> bit % 8))
			return false;
	if (flow->protocol != 0 && flow->protocol != packet->protocol)
		return false;
	if (all_ports)
		return true;
	return packet->has_ports && packet->remote_port >= flow->remote_port_low &&
	       packet->remote_port <= flow->remote_port_high && packet->local_port >= flow->local_port_low &&
	       packet->local_port <= flow->local_port_high;
}

static bool plainly_before(const struct sl_install *a, const struct sl_install *b)
{
	bool a_gy = a->origin == SLUICE_ORIGIN_GY, b_gy = b->origin == SLUICE_ORIGIN_GY;

	if (a_gy != b_gy)
		return a_gy;
	if (a->rule->precedence != b->rule->precedence)
		return a->rule->precedence < b->rule->precedence;
	for (size_t i = 0; i < SLUICE_RULE_ID_SIZE; i++)
		if (a->rule->id[i] != b->rule->id[i])
			return (uint8_t)a->rule->id[i] < (uint8_t)b->rule->id[i];
	return false;
}

/* Without sorting or compiling: of all flows that match, that of the install before all others. */
static const struct sluice_flow *plainly_decides(const struct sl_install *installs, size_t count,
						 const struct walk_packet *packet,
						 const struct sl_install **winner)
{
	const struct sluice_flow *decided = NULL;

	*winner = NULL;
	for (size_t i = 0; i < count; i++) {
		for (uint32_t f = 0; f < installs[i].rule->flow_count; f++) {
			if (!plainly_matches(&installs[i].rule->flows[f], packet))
				continue;
			if (!*winner || plainly_before(&installs[i], *winner)) {
				*winner = &installs[i];
				decided = &installs[i].rule->flows[f];
			}
			break;
		}
	}
	return decided;
}

static void check_packets(unsigned int *seed, const struct sl_install *unsorted,
			  const struct sl_install *sorted, size_t count, uint32_t family)
{
	_cleanup_image_ struct sl_ruleset_image image = {0};

	assert_int_equal(sl_compile(sorted, count, family == 4 ? &ip4 : &ip6, &image, NULL), 0);
	for (int p = 0; p < 200; p++) {
		struct walk_packet packet = random_packet(seed, family);
		const struct sl_install *winner;
		const struct sluice_flow *flow = plainly_decides(unsorted, count, &packet, &winner);
		enum sluice_action action = (enum sluice_action)9;
		int ordinal = walk_image(&image, &packet, &action);

		if (!winner) {
			assert_int_equal(ordinal, WALK_NO_RULE);
			continue;
		}
		assert_in_range(ordinal, 0, count - 1);
		assert_ptr_equal(sorted[ordinal].rule, winner->rule);
		assert_int_equal(action, flow->action);
	}
}

static void random_rules_decide_as_a_plain_reading_of_the_order_says(void **state)
{
	static const uint32_t precedences[] = {0, 1, 1, 65532, 65535, 65536, 4294967295u};
	unsigned int seed = (unsigned int)time(NULL);

	(void)state;
	if (getenv("SEED"))
		seed = (unsigned int)strtoul(getenv("SEED"), NULL, 10);
	print_message("seed %u (SEED=%u repeats it)\n", seed, seed);
	for (int round = 0; round < 100; round++) {
		struct sluice_flow flows[RANDOM_RULES][RANDOM_FLOWS];
		struct sl_rule rules[RANDOM_RULES];
		struct sl_install unsorted[RANDOM_RULES], sorted[RANDOM_RULES];
		size_t count = 1 + (size_t)rand_r(&seed) % RANDOM_RULES;

		for (size_t i = 0; i < count; i++) {
			uint32_t flow_count = 1 + (uint32_t)rand_r(&seed) % RANDOM_FLOWS;
			/* unique, in an order of their own, beyond 7 bits too */
			char id[] = {(char)(1 + (i * 41 + (size_t)round) % 255), 'r', '\0'};

			for (uint32_t f = 0; f < flow_count; f++)
				flows[i][f] = random_flow(&seed);
			rules[i] = rule_of(id, precedences[rand_r(&seed) % 7], flows[i], flow_count);
			unsorted[i] = (struct sl_install){
				.rule = &rules[i],
				.origin = rand_r(&seed) % 4 ? SLUICE_ORIGIN_GX : SLUICE_ORIGIN_GY,
			};
			assert_int_equal(sl_rule_validate(&rules[i], NULL), 0);
		}
		memcpy(sorted, unsorted, sizeof(sorted));
		sl_install_sort(sorted, count);
		for (size_t i = 0; i + 1 < count; i++)
			assert_true(plainly_before(&sorted[i], &sorted[i + 1]));
		check_packets(&seed, unsorted, sorted, count, 4);
		check_packets(&seed, unsorted, sorted, count, 6);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(gy_comes_before_gx_whatever_the_precedence),
		cmocka_unit_test(all_32_bits_of_the_precedence_count),
		cmocka_unit_test(equal_precedence_is_decided_by_the_bytes_of_the_id),
		cmocka_unit_test(an_ipv4_flow_becomes_masked_words),
		cmocka_unit_test(an_ipv6_flow_becomes_masked_words),
		cmocka_unit_test(every_prefix_length_takes_its_own_addresses_and_no_other),
		cmocka_unit_test(a_flow_goes_into_the_images_of_the_families_it_fits),
		cmocka_unit_test(no_rules_compile_to_an_image_that_matches_nothing),
		cmocka_unit_test(a_rule_with_ports_lets_a_later_fragment_by),
		cmocka_unit_test(images_with_the_same_content_are_equal_whoever_the_rules_belong_to),
		cmocka_unit_test(a_family_that_is_none_is_refused),
		cmocka_unit_test(too_many_rules_or_flows_are_refused_and_the_image_is_untouched),
		cmocka_unit_test(random_rules_decide_as_a_plain_reading_of_the_order_says),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
