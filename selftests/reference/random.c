// SPDX-License-Identifier: Apache-2.0
#include "random.h"

#include <string.h>

enum { ICMP = 1, TCP = 6, UDP = 17, ICMP6 = 58, SCTP = 132 };

/* splitmix64 */
static uint64_t draw(struct random *random)
{
	uint64_t z = random->state += 0x9e3779b97f4a7c15ull;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ z >> 27) * 0x94d049bb133111ebull;
	return z ^ z >> 31;
}

static unsigned int below(struct random *random, unsigned int bound)
{
	return (unsigned int)((draw(random) >> 32) * bound >> 32);
}

static bool percent(struct random *random, unsigned int chance)
{
	return below(random, 100) < chance;
}

#define PICK(random, array) ((array)[below((random), sizeof(array) / sizeof((array)[0]))])

static void draw_bytes(struct random *random, uint8_t *out, size_t bytes)
{
	for (size_t i = 0; i < bytes; i++)
		out[i] = (uint8_t)draw(random);
}

static void flip(uint8_t *address, int bit)
{
	address[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
}

static void set_host_bits(uint8_t *address, int length, int bits, bool one)
{
	for (int i = length; i < bits; i++) {
		uint8_t mask = (uint8_t)(0x80 >> i % 8);

		address[i / 8] = (uint8_t)(one ? address[i / 8] | mask : address[i / 8] & ~mask);
	}
}

/* The address before or after, over all bits. */
static void step(uint8_t *address, int bits, bool up)
{
	for (int i = bits / 8 - 1; i >= 0; i--) {
		address[i] = (uint8_t)(up ? address[i] + 1 : address[i] - 1);
		if (address[i] != (up ? 0 : 255))
			return;
	}
}

/* --- worlds ------------------------------------------------------------------ */

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
	if (percent(random, 10))
		draw_bytes(random, prefix.address, (size_t)bits / 8);
	else
		memcpy(prefix.address, random->centre[family == 6][below(random, RANDOM_CENTRES)],
		       (size_t)bits / 8);
	if (prefix.length && percent(random, 30))
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
	return PICK(random, random->ports);
}

static struct model_range draw_range(struct random *random)
{
	struct model_range range = {.given = true};
	unsigned int swap;

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

static void draw_flow(struct random *random, struct model_flow *flow)
{
	static const unsigned int protocols[] = {TCP,  TCP,   TCP,   TCP, UDP, UDP, UDP, SCTP, ICMP,
						 ICMP, ICMP6, ICMP6, 47,  50,  51,  60,	 253,  255};
	int family = percent(random, 50) ? 4 : 6;

	flow->downlink = percent(random, 50);
	flow->deny = percent(random, 35);
	if (percent(random, 90))
		*(flow->downlink ? &flow->ip_src : &flow->ip_dst) = draw_prefix(random, family);
	if (percent(random, 10))
		*(flow->downlink ? &flow->ip_dst : &flow->ip_src) =
			draw_prefix(random, below(random, 30) ? family : 10 - family);
	if (percent(random, 60))
		flow->ip_proto = PICK(random, protocols);
	if (flow->ip_proto == TCP || flow->ip_proto == UDP || flow->ip_proto == SCTP)
		draw_ports(random, flow);
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
	rule->uplink_class = percent(random, 40) ? 1 + below(random, 0xffff) : 0;
	rule->downlink_class = percent(random, 40) ? 1 + below(random, 0xffff) : 0;
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
	       : kind < 6  ? 41 + below(random, 100)
	       : kind < 80 ? 1 + below(random, 8)
			   : 1 + below(random, 40);
	precedences = below(random, 5);
	for (unsigned int i = 0; i < size; i++)
		add_rule(random, out, precedences, size > 40);
}

/* --- packets ----------------------------------------------------------------- */

static void aim_at_prefix(struct random *random, const struct model_prefix *prefix, uint8_t *address)
{
	int bits = prefix->family == 4 ? 32 : 128;

	memcpy(address, prefix->address, (size_t)bits / 8);
	set_host_bits(address, prefix->length, bits, false);
	switch (below(random, 8)) {
	case 0: /* the first */
		break;
	case 1:
		set_host_bits(address, prefix->length, bits, true);
		break;
	case 2:
		step(address, bits, false);
		break;
	case 3:
		set_host_bits(address, prefix->length, bits, true);
		step(address, bits, true);
		break;
	case 4:
		if (prefix->length)
			flip(address, (int)below(random, (unsigned int)prefix->length));
		break;
	default:
		for (int i = prefix->length; i < bits; i++)
			if (draw(random) >> 63)
				flip(address, i);
	}
}

static unsigned int near_port(struct random *random, unsigned int port)
{
	switch (below(random, 6)) {
	case 0:
		return (port + 1) & 0xffff;
	case 1:
		return (port - 1) & 0xffff;
	default:
		return port & 0xffff;
	}
}

static unsigned int aim_at_port(struct random *random, unsigned int exact, const struct model_range *range)
{
	if (exact)
		return near_port(random, exact);
	if (range->given)
		return percent(random, 30) && range->low < range->high
			       ? range->low + below(random, range->high - range->low)
			       : near_port(random, percent(random, 50) ? range->low : range->high);
	return percent(random, 70) ? near_port(random, PICK(random, random->ports)) : below(random, 65536);
}

/* A flow that the packet shall nearly fit, or fit. */
static const struct model_flow *draw_target(struct random *random, const struct model_world *world,
					    const struct sample *sample)
{
	for (int i = 0; i < 12; i++) {
		const struct model_rule *rule = &world->rules[below(random, world->rule_count)];
		const struct model_flow *flow = &rule->flows[below(random, rule->flow_count)];
		const struct model_prefix *remote = flow->downlink ? &flow->ip_src : &flow->ip_dst;

		if (flow->downlink == sample->downlink &&
		    (!remote->given || remote->family == sample->family))
			return flow;
	}
	return NULL;
}

static void draw_subscriber(struct random *random, const struct model_world *world, struct sample *sample)
{
	const struct model_session *session =
		&world->sessions[percent(random, 90) ? below(random, 2)
						     : below(random, world->session_count)];

	sample->family = session->family;
	memcpy(sample->ue, session->address, 16);
	if (session->family == 6)
		draw_bytes(random, sample->ue + 8, 8);
	if (percent(random, 5))
		flip(sample->ue, (int)below(random, session->family == 4 ? 32 : 64));
}

static void draw_extensions(struct random *random, struct sample *sample, bool fragmented)
{
	static const uint8_t types[] = {0, 43, 51, 60};
	unsigned int at;

	if (percent(random, 25))
		sample->extension_count = 1 + below(random, percent(random, 80) ? 2 : SAMPLE_EXTENSIONS);
	for (unsigned int i = 0; i < sample->extension_count; i++) {
		sample->extensions[i].type = PICK(random, types);
		sample->extensions[i].length = (uint8_t)below(random, percent(random, 80) ? 3 : 8);
	}
	if (!fragmented && !percent(random, 5))
		return;
	if (!sample->extension_count)
		sample->extension_count = 1;
	at = below(random, sample->extension_count);
	sample->extensions[at].type = 44;
	sample->extensions[at].length = (uint8_t)draw(random);
}

static void draw_fragment(struct random *random, struct sample *sample)
{
	static const unsigned int offsets[] = {1, 2, 31, 32, 255, 256, 4095, 4096, 8191};

	sample->more_fragments = percent(random, 60);
	if (percent(random, 50))
		sample->fragment_offset = PICK(random, offsets);
	else
		sample->more_fragments = true;
}

static void draw_gso(struct random *random, struct sample *sample)
{
	sample->payload = 1 + below(random, 1200);
	sample->segment_size = 1 + below(random, 600);
	if (percent(random, 50))
		sample->segments = (sample->payload + sample->segment_size - 1) / sample->segment_size;
}

static void draw_shape(struct random *random, struct sample *sample)
{
	bool fragmented = percent(random, 15);

	if (percent(random, 20))
		sample->tag_count = 1 + below(random, percent(random, 90) ? 2 : SAMPLE_TAGS);
	for (unsigned int i = 0; i < sample->tag_count; i++)
		sample->tags[i] = percent(random, 50) ? 0x8100 : 0x88a8;
	if (below(random, 200) == 0)
		sample->ethertype = percent(random, 50) ? 0x88b5 : sample->family == 4 ? 0x86dd : 0x0800;
	sample->hop_limit = 2 + below(random, 253); /* 1 and 255 are what control traffic has */
	sample->class_of_traffic = below(random, 256);
	sample->icmp_type = below(random, 256);
	sample->dont_fragment = percent(random, 30);
	sample->reserved_flag = percent(random, 5);
	if (fragmented)
		draw_fragment(random, sample);
	if (sample->family == 6)
		draw_extensions(random, sample, fragmented);
	else if (percent(random, 15))
		sample->ip_options = 1 + below(random, 10);
	if (percent(random, 30))
		sample->tcp_options = below(random, 11);
	/* XDP leaves what exceeds the MTU to tc */
	sample->payload = percent(random, 2) && !sample->xdp ? below(random, 1200) : below(random, 64);
	if (percent(random, 10))
		sample->padding = below(random, 40);
	sample->mark = percent(random, 30) ? (uint32_t)draw(random) : 0;
	if (percent(random, 4)) {
		sample->spoil = below(random, SAMPLE_SPOILS);
		sample->amount = below(random, percent(random, 70) ? 24 : 80);
	} else if (sample->protocol == TCP && !fragmented && !sample->xdp && percent(random, 3)) {
		draw_gso(random, sample);
	}
}

void random_sample(struct random *random, const struct model_world *world, struct sample *out)
{
	static const unsigned int protocols[] = {TCP,  TCP,   TCP, UDP, UDP, UDP, SCTP,
						 ICMP, ICMP6, 47,  50,	253, 255};
	const struct model_flow *target;
	const struct model_prefix *remote;
	struct model_prefix anywhere = {0};

	*out = (struct sample){.downlink = percent(random, 50)};
	out->xdp = !out->downlink && percent(random, 4);
	draw_subscriber(random, world, out);
	target = draw_target(random, world, out);
	remote = !target ? &anywhere : target->downlink ? &target->ip_src : &target->ip_dst;
	if (remote->given && remote->length <= (out->family == 4 ? 32 : 128)) {
		aim_at_prefix(random, remote, out->remote);
	} else {
		memcpy(out->remote, random->centre[out->family == 6][below(random, RANDOM_CENTRES)], 16);
		if (percent(random, 50))
			flip(out->remote, (int)below(random, out->family == 4 ? 32 : 128));
	}
	if (below(random, 100) == 0)
		memcpy(out->remote, world->sessions[out->family == 6].address, out->family == 4 ? 4 : 16);
	out->protocol = target && target->ip_proto && percent(random, 85) ? target->ip_proto & 0xff
									  : PICK(random, protocols);
	/* in IPv6 these are headers before the protocol, not protocols */
	if (out->family == 6 && (out->protocol == 51 || out->protocol == 60))
		out->protocol = 59;
	if (target) {
		out->remote_port = aim_at_port(random,
					       out->downlink ? target->tcp_src | target->udp_src
							     : target->tcp_dst | target->udp_dst,
					       &target->remote_port);
		out->ue_port = aim_at_port(random,
					   out->downlink ? target->tcp_dst | target->udp_dst
							 : target->tcp_src | target->udp_src,
					   &target->local_port);
	} else {
		out->remote_port = aim_at_port(random, 0, &(struct model_range){0});
		out->ue_port = aim_at_port(random, 0, &(struct model_range){0});
	}
	draw_shape(random, out);
}
