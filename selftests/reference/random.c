// SPDX-License-Identifier: Apache-2.0
#include "random_draw.h"

static bool are_apart(const struct random *random)
{
	return random->kind == RANDOM_APART || random->kind == RANDOM_TURNS;
}

static int draw_length(struct random *random, int family)
{
	static const int common4[] = {0, 1, 7, 8, 9, 15, 16, 24, 25, 30, 31, 32, 32, 32};
	static const int common6[] = {0, 1, 31, 32, 33, 48, 63, 64, 65, 96, 97, 127, 128, 128};

	if (percent(random, 50))
		return (int)below(random, family == 4 ? 33 : 129);
	return family == 4 ? PICK(random, common4) : PICK(random, common6);
}

static struct model_prefix draw_prefix(struct random *random, int family)
{
	struct model_prefix prefix = {.given = true, .family = family, .length = draw_length(random, family)};
	int bits = family == 4 ? 32 : 128;

	if (prefix.length < 8 && percent(random, 80))
		prefix.length = bits - prefix.length; /* wide ones would leave nothing to the others */
	if (percent(random, 10) && random->kind != RANDOM_NESTED)
		draw_bytes(random, prefix.address, (size_t)bits / 8);
	else
		memcpy(prefix.address,
		       random->centre[family == 6]
				     [random->kind == RANDOM_MIXED ? below(random, RANDOM_CENTRES) : 0],
		       (size_t)bits / 8);
	if (are_apart(random)) {
		prefix.length = bits - (int)below(random, 3);
		prefix.address[bits / 8 - 2] = (uint8_t)below(random, 16);
		prefix.address[bits / 8 - 1] = (uint8_t)draw(random);
	}
	if (prefix.length && percent(random, random->kind == RANDOM_NESTED ? 5 : 30))
		flip(prefix.address, prefix.length - 1);
	set_host_bits(prefix.address, prefix.length, bits, false);
	if (prefix.length < bits && below(random, 400) == 0)
		flip(prefix.address,
		     prefix.length + (int)below(random, (unsigned int)(bits - prefix.length)));
	return prefix;
}

static unsigned int draw_port(struct random *random)
{
	static const unsigned int ends[] = {1, 2, 255, 256, 32767, 32768, 65534, 65535};

	if (percent(random, 20))
		return PICK(random, ends);
	if (are_apart(random))
		return 20000 + below(random, 4000);
	return PICK(random, random->ports);
}

static struct model_range draw_range(struct random *random)
{
	struct model_range range = {.given = true};
	unsigned int swap;

	if (random->kind == RANDOM_NESTED) {
		range.low = below(random, 32768);
		range.high = 65535 - range.low + (range.low ? below(random, 2) : 0);
		return range;
	}
	range.low = percent(random, 15) ? 0 : draw_port(random);
	range.high = percent(random, 15) ? 65535 : draw_port(random);
	if (range.low > range.high && below(random, 50)) {
		swap = range.low;
		range.low = range.high;
		range.high = swap;
	}
	return range;
}

static void draw_ports(struct random *random, struct model_flow *flow)
{
	bool ranges = flow->ip_proto == SCTP || percent(random, 25);
	bool source = percent(random, 30), destination = percent(random, 50);

	/* which of a flow's two is remote follows from its direction: both must come often */
	if (flow->downlink && percent(random, 60)) {
		bool swap = source;

		source = destination;
		destination = swap;
	}
	if (ranges) {
		if (flow->downlink ? source : destination)
			flow->remote_port = draw_range(random);
		if (flow->downlink ? destination : source)
			flow->local_port = draw_range(random);
	} else if (flow->ip_proto == TCP) {
		flow->tcp_src = source ? draw_port(random) : 0;
		flow->tcp_dst = destination ? draw_port(random) : 0;
	} else {
		flow->udp_src = source ? draw_port(random) : 0;
		flow->udp_dst = destination ? draw_port(random) : 0;
	}
}

static struct model_options draw_options(struct random *random, unsigned int count)
{
	struct model_options options = {.given = true, .present = 1u << below(random, count)};

	if (percent(random, 30))
		options.present |= 1u << below(random, count);
	if (percent(random, 50))
		options.absent = 1u << below(random, count);
	if (percent(random, 40)) {
		options.absent |= options.present;
		options.present = 0;
	}
	return options;
}

static void draw_flags(struct random *random, struct model_terms *terms)
{
	static const unsigned int flags[] = {0x01, 0x02, 0x04, 0x08, 0x10, 0x20, 0x12, 0x3f, 0xff};

	terms->flags_given = true;
	if (percent(random, 30)) {
		terms->flags_any = 0x14; /* established */
		return;
	}
	terms->flags_mask = PICK(random, flags);
	terms->flags_value = terms->flags_mask & PICK(random, flags);
}

/* Rules that ask for more than addresses and ports; always such as are valid. */
static void draw_terms(struct random *random, struct model_flow *flow)
{
	bool remote = flow->downlink ? flow->ip_src.given : flow->ip_dst.given;
	struct model_terms *terms = &flow->terms;

	if (remote && percent(random, 20))
		terms->outside = true;
	if (percent(random, 20)) {
		terms->dscp_given = true;
		terms->dscp = percent(random, 70) ? 8 : below(random, 64);
	}
	if (percent(random, 20))
		terms->ip_options = draw_options(random, 4);
	if (flow->ip_proto == TCP && percent(random, 50))
		draw_flags(random, terms);
	if (flow->ip_proto == TCP && percent(random, 30))
		terms->tcp_options = draw_options(random, 5);
	if ((flow->ip_proto == ICMP || flow->ip_proto == ICMP6) && percent(random, 60)) {
		terms->icmp_given = true;
		terms->icmp_low = below(random, 20);
		terms->icmp_high = terms->icmp_low + below(random, 3) * 100;
	}
	if (flow->ip_proto != TCP && flow->ip_proto != UDP && flow->ip_proto != SCTP && !terms->icmp_given &&
	    percent(random, 20))
		terms->later_fragment = true;
	if (!flow->ip_proto && percent(random, 5))
		flow->protocol_zero = true;
}

/* The subscriber's own address, in the form that looks at it. */
static void draw_local(struct random *random, int family, struct model_flow *flow)
{
	int most = family == 4 ? 32 : 64;

	flow->local = (struct model_prefix){.given = true, .family = family};
	flow->local.length = (int)below(random, (unsigned int)most + 1);
	memcpy(flow->local.address, random->own[family == 6], sizeof(flow->local.address));
	if (flow->local.length && percent(random, 20))
		flip(flow->local.address, (int)below(random, (unsigned int)flow->local.length));
	set_host_bits(flow->local.address, flow->local.length, family == 4 ? 32 : 128, false);
	flow->local_outside = percent(random, 20);
}

/* One thing alone, that the flows of other turns say nothing of. */
static void draw_turn(struct random *random, struct model_flow *flow)
{
	unsigned int port = draw_port(random), turn = below(random, 4);

	if (turn < 2) {
		*(flow->downlink ? &flow->ip_src : &flow->ip_dst) =
			draw_prefix(random, percent(random, 50) ? 4 : 6);
		return;
	}
	flow->ip_proto = percent(random, 50) ? TCP : UDP;
	if (flow->ip_proto == TCP)
		*((turn == 2) == flow->downlink ? &flow->tcp_src : &flow->tcp_dst) = port;
	else
		*((turn == 2) == flow->downlink ? &flow->udp_src : &flow->udp_dst) = port;
}

static void draw_flow(struct random *random, struct model_flow *flow)
{
	bool both_of_family = true;
	static const unsigned int protocols[] = {TCP,  TCP,   TCP,   TCP, UDP, UDP, UDP, SCTP, ICMP,
						 ICMP, ICMP6, ICMP6, 47,  50,  51,  60,	 253,  255};
	int family = percent(random, 50) ? 4 : 6;

	flow->downlink = percent(random, 50);
	flow->deny = percent(random, 35);
	if (random->kind == RANDOM_TURNS && percent(random, 95)) {
		draw_turn(random, flow);
		return;
	}
	if (percent(random, 90))
		*(flow->downlink ? &flow->ip_src : &flow->ip_dst) = draw_prefix(random, family);
	if (percent(random, 10))
		*(flow->downlink ? &flow->ip_dst : &flow->ip_src) =
			draw_prefix(random, (both_of_family = below(random, 30)) ? family : 10 - family);
	if (percent(random, 60))
		flow->ip_proto = PICK(random, protocols);
	if (flow->ip_proto == TCP || flow->ip_proto == UDP || flow->ip_proto == SCTP)
		draw_ports(random, flow);
	if (percent(random, random->kind == RANDOM_MIXED ? 15 : 4))
		draw_terms(random, flow);
	if (both_of_family && percent(random, 5))
		draw_local(random, family, flow);
	/* a side's ports are said in one form or the other */
	if (!flow->remote_port.given && !flow->local_port.given && below(random, 300) == 0)
		flow->udp_dst = draw_port(random);
	if (below(random, 500) == 0)
		flow->tcp_src = 65536 + below(random, 70000);
	if (below(random, 500) == 0)
		flow->ip_proto += 256;
}

static uint32_t draw_precedence(struct random *random, unsigned int kind)
{
	static const uint32_t edges[] = {0,	     1,		 2,	     255,	 256,
					 65531,	     65532,	 65535,	     65536,	 65537,
					 0x7fffffff, 0x80000000, 0x80000001, 0xfffffffe, 0xffffffff};

	switch (kind) {
	case 0:
		return 7;
	case 1:
		return below(random, 4);
	case 2:
		return (uint32_t)draw(random);
	case 3: /* alike in one half or the other */
		return below(random, 3) << 16 | below(random, 3);
	default:
		return PICK(random, edges);
	}
}

/* Byte order is not the order of letters: signs, upper case, UTF-8, one id the beginning of another. */
static void draw_id(struct random *random, char *id)
{
	static const char *const letters[] = {"a", "b", "Z",	"0",	  "9",	   "-",
					      "~", "_", "\x7f", "\u00e9", "\u20ac"};
	unsigned int count = 1 + below(random, 5);

	id[0] = 0;
	if (below(random, 100) == 0) {
		memset(id, 'q', 230);
		id[230] = 0;
	}
	for (unsigned int i = 0; i < count; i++)
		strcat(id, PICK(random, letters));
}

static bool id_is_taken(const struct model_world *world, const struct model_rule *rule)
{
	for (unsigned int i = 0; i < world->rule_count; i++)
		if (world->rules[i].gy == rule->gy && !strcmp(world->rules[i].id, rule->id))
			return true;
	return false;
}

/* Rules that say the same, or the contrary: only their order tells which of them decides. */
static void copy_flows(struct random *random, const struct model_rule *from, struct model_rule *to)
{
	to->flow_count = from->flow_count;
	memcpy(to->flows, from->flows, sizeof(to->flows));
	if (percent(random, 50))
		to->flows[0].deny = !to->flows[0].deny;
}

static void add_rule(struct random *random, struct model_world *world, unsigned int precedences,
		     bool long_list)
{
	struct model_rule *rule = &world->rules[world->rule_count];
	unsigned int timeout = below(random, 100);

	memset(rule, 0, sizeof(*rule));
	rule->gy = percent(random, 20);
	rule->precedence = draw_precedence(random, precedences);
	rule->timeout = timeout < 10 ? MODEL_PASSED : timeout < 20 ? MODEL_NOT_PASSED : MODEL_NO_TIMEOUT;
	rule->uplink_class = percent(random, 40) ? 1 + below(random, LAST_CLASS) : 0;
	rule->downlink_class = percent(random, 40) ? 1 + below(random, LAST_CLASS) : 0;
	rule->flow_count = 1 + below(random, percent(random, 20) && !long_list ? MODEL_FLOWS : 2);
	for (unsigned int i = 0; i < rule->flow_count; i++)
		draw_flow(random, &rule->flows[i]);
	if (world->rule_count && percent(random, 15))
		copy_flows(random, &world->rules[below(random, world->rule_count)], rule);
	do
		draw_id(random, rule->id);
	while (id_is_taken(world, rule));
	world->rule_count++;
}

static void add_session(struct model_world *world, int family, const uint8_t *address, bool has_rules)
{
	struct model_session *session = &world->sessions[world->session_count++];

	session->family = family;
	session->has_rules = has_rules;
	memcpy(session->address, address, family == 4 ? 4 : 16);
}

/* A subscriber with both families and the rules, and his neighbour, who has none. */
static void add_sessions(struct random *random, struct model_world *world)
{
	uint8_t ip4[4] = {10}, ip6[16] = {0x20, 0x01, 0x0d, 0xb8};

	draw_bytes(random, ip4 + 1, 3);
	draw_bytes(random, ip6 + 4, 12);
	memcpy(random->own[0], ip4, sizeof(ip4));
	memcpy(random->own[1], ip6, sizeof(ip6));
	add_session(world, 4, ip4, true);
	add_session(world, 6, ip6, true);
	flip(ip4, 8 + (int)below(random, 24));
	flip(ip6, 32 + (int)below(random, 32));
	add_session(world, 4, ip4, false);
	add_session(world, 6, ip6, false);
}

void random_world(struct random *random, uint64_t seed, struct model_world *out)
{
	unsigned int size, precedences, kind;

	*random = (struct random){.state = seed};
	draw(random);
	draw_bytes(random, &random->centre[0][0][0], sizeof(random->centre));
	for (int i = 0; i < RANDOM_PORTS; i++)
		random->ports[i] = 70 + below(random, 65535 - 70); /* DHCP is control traffic */
	random->ports[1] = random->ports[0] + 1;

	out->unknown_passes = percent(random, 20);
	out->rule_count = 0;
	out->session_count = 0;
	add_sessions(random, out);
	kind = below(random, 200);
	size = kind == 0   ? 300 + below(random, MODEL_RULES - 300 + 1)
	       : kind < 20 ? 41 + below(random, 100)
	       : kind < 80 ? 1 + below(random, 8)
			   : 1 + below(random, 40);
	random->kind = percent(random, 60) ? RANDOM_MIXED : 1 + below(random, RANDOM_KINDS - 1);
	if (random->kind == RANDOM_TURNS && size < 20)
		size += 150; /* where several trees are worth while */
	precedences = below(random, 5);
	for (unsigned int i = 0; i < size; i++)
		add_rule(random, out, precedences, size > 40);
}
