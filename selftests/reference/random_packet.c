// SPDX-License-Identifier: Apache-2.0
#include "random_draw.h"

/* The address before or after, over all bits. */
static void step(uint8_t *address, int bits, bool up)
{
	for (int i = bits / 8 - 1; i >= 0; i--) {
		address[i] = (uint8_t)(up ? address[i] + 1 : address[i] - 1);
		if (address[i] != (up ? 0 : 255))
			return;
	}
}

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

/* Options as they are sent, unknown ones, and such as contradict themselves. */
static void draw_option_bytes(struct random *random, uint8_t *out, unsigned int size)
{
	static const uint8_t kinds[] = {1, 1, 1, 2, 3, 4, 5, 8, 11, 12, 13, 7, 68, 131, 137, 254, 130};
	unsigned int at = 0;

	while (at < size) {
		uint8_t kind = PICK(random, kinds);
		unsigned int length = 2 + below(random, 9);

		if (below(random, 40) == 0)
			kind = 0;
		out[at++] = kind;
		if (kind < 2 || at == size)
			continue;
		if (at - 1 + length > size && percent(random, 90))
			length = size - at + 1;
		out[at++] =
			(uint8_t)(below(random, 25) ? length : below(random, percent(random, 60) ? 3 : 256));
		for (unsigned int i = 2; i < length && at < size; i++)
			out[at++] = (uint8_t)draw(random);
	}
}

static void aim_at_terms(struct random *random, const struct model_terms *terms, struct sample *sample)
{
	if (terms->dscp_given && percent(random, 80))
		sample->class_of_traffic = terms->dscp * 4 + below(random, 4);
	if (terms->icmp_given && percent(random, 80))
		sample->icmp_type = (percent(random, 50) ? terms->icmp_low : terms->icmp_high) +
				    (percent(random, 20) ? below(random, 3) : 0);
	if (terms->flags_given && percent(random, 80))
		sample->tcp_flags = (sample->tcp_flags & ~terms->flags_mask) | terms->flags_value;
	if (terms->later_fragment && sample->family == 4 && percent(random, 70))
		sample->fragment_offset = 185;
	sample->icmp_type &= 0xff;
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
	draw_option_bytes(random, sample->ip_option, sample->ip_options * 4);
	draw_option_bytes(random, sample->tcp_option, sample->tcp_options * 4);
	sample->tcp_flags = below(random, 256);
	/* XDP leaves what exceeds the MTU to tc */
	sample->payload = percent(random, 2) && !sample->xdp ? below(random, 1200) : below(random, 64);
	if (percent(random, 10))
		sample->padding = below(random, 40);
	sample->mark = percent(random, 30) ? (uint32_t)draw(random) : 0;
	if ((sample->mark & 0xffff) > LAST_CLASS)
		sample->mark = 0;
	if (percent(random, 4)) {
		sample->spoil = below(random, SAMPLE_SPOILS);
		sample->amount = below(random, percent(random, 70) ? 24 : 80);
	} else if (sample->protocol == TCP && !fragmented && !sample->xdp && percent(random, 3)) {
		draw_gso(random, sample);
	}
}

static const struct model_prefix *remote_of(const struct model_flow *flow)
{
	return flow->downlink ? &flow->ip_src : &flow->ip_dst;
}

static void aim_at_remote(struct random *random, const struct model_prefix *remote, struct sample *sample)
{
	if (remote->given && remote->length <= (sample->family == 4 ? 32 : 128)) {
		aim_at_prefix(random, remote, sample->remote);
		return;
	}
	memcpy(sample->remote, random->centre[sample->family == 6][below(random, RANDOM_CENTRES)], 16);
	if (percent(random, 50))
		flip(sample->remote, (int)below(random, sample->family == 4 ? 32 : 128));
}

/* By how the flow says it: exactly, as a range, or not at all. */
static unsigned int aim_at_remote_port(struct random *random, const struct model_flow *flow)
{
	return aim_at_port(random,
			   flow->downlink ? flow->tcp_src | flow->udp_src : flow->tcp_dst | flow->udp_dst,
			   &flow->remote_port);
}

static unsigned int aim_at_local_port(struct random *random, const struct model_flow *flow)
{
	return aim_at_port(random,
			   flow->downlink ? flow->tcp_dst | flow->udp_dst : flow->tcp_src | flow->udp_src,
			   &flow->local_port);
}

static bool names_remote_port(const struct model_flow *flow)
{
	return (flow->downlink ? flow->tcp_src | flow->udp_src : flow->tcp_dst | flow->udp_dst) ||
	       flow->remote_port.given;
}

static bool names_local_port(const struct model_flow *flow)
{
	return (flow->downlink ? flow->tcp_dst | flow->udp_dst : flow->tcp_src | flow->udp_src) ||
	       flow->local_port.given;
}

void random_sample(struct random *random, const struct model_world *world, struct sample *out)
{
	static const unsigned int protocols[] = {TCP,  TCP,   TCP, UDP, UDP, UDP, SCTP,
						 ICMP, ICMP6, 47,  50,	253, 255};
	static const struct model_flow none = {0};
	const struct model_flow *target, *first, *other;

	*out = (struct sample){.downlink = percent(random, 50)};
	out->xdp = !out->downlink && percent(random, 4);
	draw_subscriber(random, world, out);
	target = draw_target(random, world, out);
	first = target ? target : &none;
	/* what the one says nothing of may be what another asks for: then both are about the packet */
	other = target && random->kind == RANDOM_TURNS ? draw_target(random, world, out) : NULL;
	if (!other)
		other = first;
	if (!remote_of(first)->given)
		aim_at_remote(random, remote_of(other), out);
	else
		aim_at_remote(random, remote_of(first), out);
	if (below(random, 100) == 0)
		memcpy(out->remote, world->sessions[out->family == 6].address, out->family == 4 ? 4 : 16);
	out->protocol = (first->ip_proto || other->ip_proto) && percent(random, 85)
				? (first->ip_proto ? first->ip_proto : other->ip_proto) & 0xff
				: PICK(random, protocols);
	/* in IPv6 these are headers before the protocol, not protocols */
	if (out->family == 6 && (out->protocol == 51 || out->protocol == 60))
		out->protocol = 59;
	out->remote_port = aim_at_remote_port(random, names_remote_port(first) ? first : other);
	out->ue_port = aim_at_local_port(random, names_local_port(first) ? first : other);
	draw_shape(random, out);
	if (target)
		aim_at_terms(random, &target->terms, out);
}
