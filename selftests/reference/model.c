// SPDX-License-Identifier: Apache-2.0
#include "model.h"

enum { ICMP = 1, TCP = 6, UDP = 17, ICMP6 = 58, SCTP = 132 };
enum { HOP_BY_HOP = 0, ROUTING = 43, FRAGMENT = 44, AUTHENTICATION = 51, DESTINATION_OPTIONS = 60 };

/* What rules can name of a packet. */
struct reading {
	int family; /* 0: not IP */
	const uint8_t *source, *destination;
	unsigned int protocol;
	bool has_ports;
	unsigned int source_port, destination_port;
	unsigned int dscp;
	unsigned int offset; /* of a fragment, in units of eight bytes */
	unsigned int ip_options, tcp_options;
	bool has_tcp; /* the whole header */
	unsigned int tcp_flags;
	bool has_icmp;
	unsigned int icmp_type;
	uint32_t bytes;
	uint32_t headers; /* IP and transport, repeated in each segment */
};

enum fragment { WHOLE, FIRST, LATER };

static unsigned int get16(const uint8_t *at)
{
	return (unsigned int)at[0] << 8 | at[1];
}

static int bit(const uint8_t *address, int i)
{
	return address[i / 8] >> (7 - i % 8) & 1;
}

static bool begins_alike(const uint8_t *a, const uint8_t *b, int bits)
{
	for (int i = 0; i < bits; i++)
		if (bit(a, i) != bit(b, i))
			return false;
	return true;
}

/* --- rules: which are valid, which is first, what matches -------------------- */

static bool prefix_is_valid(const struct model_prefix *prefix)
{
	int bits = prefix->family == 4 ? 32 : 128;

	if (!prefix->given)
		return true;
	if (prefix->length < 0 || prefix->length > bits)
		return false;
	for (int i = prefix->length; i < bits; i++)
		if (bit(prefix->address, i))
			return false;
	return true;
}

static bool range_is_given(const struct model_range *range)
{
	return range->given && !(range->low == 0 && range->high == 65535);
}

static bool range_is_valid(const struct model_range *range, unsigned int protocol)
{
	if (!range_is_given(range))
		return true;
	return range->low <= range->high && (protocol == TCP || protocol == UDP || protocol == SCTP);
}

static bool has_port_conditions(const struct model_flow *flow)
{
	return flow->tcp_src || flow->tcp_dst || flow->udp_src || flow->udp_dst ||
	       range_is_given(&flow->remote_port) || range_is_given(&flow->local_port);
}

static bool terms_are_valid(const struct model_flow *flow)
{
	const struct model_terms *terms = &flow->terms;
	bool tcp = terms->flags_given || terms->tcp_options.given;

	if (terms->outside && !(flow->downlink ? flow->ip_src.given : flow->ip_dst.given))
		return false;
	if (tcp && flow->ip_proto != TCP)
		return false;
	if (terms->flags_given && (terms->flags_value & ~terms->flags_mask))
		return false;
	if (terms->icmp_given &&
	    ((flow->ip_proto != ICMP && flow->ip_proto != ICMP6) || terms->icmp_low > terms->icmp_high))
		return false;
	if (terms->later_fragment && (tcp || terms->icmp_given || has_port_conditions(flow)))
		return false;
	return !terms->dscp_given || terms->dscp < 64;
}

static bool local_is_valid(const struct model_flow *flow)
{
	const struct model_prefix *local = &flow->local;

	if (!local->given)
		return true;
	/* an IPv6 session is its whole /64 */
	return prefix_is_valid(local) && local->length <= (local->family == 4 ? 32 : 64) &&
	       (!flow->ip_src.given || flow->ip_src.family == local->family) &&
	       (!flow->ip_dst.given || flow->ip_dst.family == local->family);
}

bool model_flow_is_valid(const struct model_flow *flow)
{
	const unsigned int ports[] = {flow->tcp_src, flow->tcp_dst, flow->udp_src, flow->udp_dst};

	if (!prefix_is_valid(&flow->ip_src) || !prefix_is_valid(&flow->ip_dst))
		return false;
	if (!terms_are_valid(flow) || !local_is_valid(flow) || (flow->protocol_zero && flow->ip_proto))
		return false;
	if (flow->ip_src.given && flow->ip_dst.given && flow->ip_src.family != flow->ip_dst.family)
		return false;
	for (int i = 0; i < 4; i++)
		if (ports[i] && (ports[i] > 65535 || flow->ip_proto != (i < 2 ? TCP : UDP)))
			return false;
	return flow->ip_proto <= 255 && range_is_valid(&flow->remote_port, flow->ip_proto) &&
	       range_is_valid(&flow->local_port, flow->ip_proto);
}

bool model_rule_is_valid(const struct model_rule *rule)
{
	for (unsigned int i = 0; i < rule->flow_count; i++)
		if (!model_flow_is_valid(&rule->flows[i]))
			return false;
	return rule->flow_count > 0 && rule->id[0];
}

static bool comes_before(const struct model_rule *a, const struct model_rule *b)
{
	const uint8_t *left = (const uint8_t *)a->id, *right = (const uint8_t *)b->id;

	if (a->gy != b->gy)
		return a->gy;
	if (a->precedence != b->precedence)
		return a->precedence < b->precedence;
	while (*left && *left == *right) {
		left++;
		right++;
	}
	return *left < *right;
}

static bool family_fits(const struct model_flow *flow, int family)
{
	return (!flow->ip_src.given || flow->ip_src.family == family) &&
	       (!flow->ip_dst.given || flow->ip_dst.family == family) &&
	       (!flow->local.given || flow->local.family == family);
}

bool model_rule_fits(const struct model_rule *rule, int family)
{
	for (unsigned int i = 0; i < rule->flow_count; i++)
		if (family_fits(&rule->flows[i], family))
			return true;
	return false;
}

/* The UE's side is the session's address, whatever a FlowMatch says: of that only the family counts. */
static bool addresses_match(const struct model_flow *flow, const struct reading *packet)
{
	const struct model_prefix *remote = flow->downlink ? &flow->ip_src : &flow->ip_dst;
	const uint8_t *address = flow->downlink ? packet->source : packet->destination;
	const uint8_t *own = flow->downlink ? packet->destination : packet->source;

	if (!family_fits(flow, packet->family))
		return false;
	if (flow->local.given &&
	    begins_alike(flow->local.address, own, flow->local.length) == flow->local_outside)
		return false;
	return !remote->given ||
	       begins_alike(remote->address, address, remote->length) != flow->terms.outside;
}

static bool options_match(const struct model_options *wanted, unsigned int options)
{
	return !wanted->given || ((wanted->present & ~options) == 0 && (wanted->absent & options) == 0);
}

static bool terms_match(const struct model_terms *terms, const struct reading *packet)
{
	if (terms->dscp_given && packet->dscp != terms->dscp)
		return false;
	if (terms->later_fragment && packet->offset == 0)
		return false;
	if (!options_match(&terms->ip_options, packet->ip_options))
		return false;
	if (terms->icmp_given && !(packet->has_icmp && packet->icmp_type >= terms->icmp_low &&
				   packet->icmp_type <= terms->icmp_high))
		return false;
	if ((terms->flags_given || terms->tcp_options.given) && !packet->has_tcp)
		return false;
	if (terms->flags_given && (packet->tcp_flags & terms->flags_mask) != terms->flags_value)
		return false;
	if (terms->flags_given && terms->flags_any && (packet->tcp_flags & terms->flags_any) == 0)
		return false;
	return options_match(&terms->tcp_options, packet->tcp_options);
}

static bool port_matches(unsigned int wanted, const struct reading *packet, unsigned int port)
{
	return !wanted || (packet->has_ports && port == wanted);
}

static bool range_matches(const struct model_range *range, const struct reading *packet, unsigned int port)
{
	return !range_is_given(range) || (packet->has_ports && port >= range->low && port <= range->high);
}

static bool flow_matches(const struct model_flow *flow, const struct reading *packet, bool downlink)
{
	unsigned int remote = downlink ? packet->source_port : packet->destination_port;
	unsigned int local = downlink ? packet->destination_port : packet->source_port;

	return flow->downlink == downlink &&
	       ((!flow->ip_proto && !flow->protocol_zero) || flow->ip_proto == packet->protocol) &&
	       terms_match(&flow->terms, packet) && addresses_match(flow, packet) &&
	       port_matches(flow->tcp_src, packet, packet->source_port) &&
	       port_matches(flow->tcp_dst, packet, packet->destination_port) &&
	       port_matches(flow->udp_src, packet, packet->source_port) &&
	       port_matches(flow->udp_dst, packet, packet->destination_port) &&
	       range_matches(&flow->remote_port, packet, remote) &&
	       range_matches(&flow->local_port, packet, local);
}

/* The first flow of the rule that matches; NULL: none, or the rule's time is over. */
static const struct model_flow *rule_matches(const struct model_rule *rule, const struct reading *packet,
					     bool downlink)
{
	if (rule->timeout == MODEL_PASSED)
		return NULL;
	for (unsigned int i = 0; i < rule->flow_count; i++)
		if (flow_matches(&rule->flows[i], packet, downlink))
			return model_rule_is_valid(rule) ? &rule->flows[i] : NULL;
	return NULL;
}

/* --- frames ------------------------------------------------------------------- */

/* The bits of the options between the two; what follows one that contradicts itself does not count. */
static unsigned int read_options(const uint8_t *at, const uint8_t *end, bool tcp)
{
	static const uint8_t ip_kinds[] = {137, 131, 7, 68};
	static const uint8_t tcp_kinds[] = {2, 3, 4, 8, 11};
	unsigned int bits = 0;

	while (at < end && at[0] != 0) {
		unsigned int kind = at[0];

		if (kind == 1) {
			at++;
			continue;
		}
		if (end - at < 2 || at[1] < 2 || at[1] > end - at)
			break;
		if (tcp && kind == 5)
			kind = 4;
		if (tcp && (kind == 12 || kind == 13))
			kind = 11;
		for (unsigned int i = 0; i < (tcp ? 5 : 4); i++)
			if (kind == (tcp ? tcp_kinds[i] : ip_kinds[i]))
				bits |= 1u << i;
		at += at[1];
	}
	return bits;
}

/* What of TCP lies beyond the ports. False: malformed. */
static bool read_tcp(struct reading *packet, const uint8_t *at, size_t room, enum fragment fragment)
{
	size_t header = room < 20 ? 0 : (size_t)(at[12] >> 4) * 4;

	/* of a first fragment the rest may be in the next one */
	if (header < 20 || header > room)
		return fragment == FIRST;
	packet->has_tcp = true;
	packet->tcp_flags = at[13];
	packet->tcp_options = read_options(at + 20, at + header, true);
	if (fragment == WHOLE)
		packet->headers += (uint32_t)header - 20;
	return true;
}

/* `at`..`end`: what follows the IP headers. False: malformed. */
static bool read_transport(struct reading *packet, const uint8_t *at, const uint8_t *end,
			   enum fragment fragment, bool gso)
{
	size_t room = (size_t)(end - at), least;

	if (fragment == LATER)
		return true;
	switch (packet->protocol) {
	case TCP:
		least = 20;
		break;
	case SCTP:
		least = 12;
		break;
	case UDP:
	case ICMP:
		least = 8;
		break;
	case ICMP6: /* all that its messages have in common: RFC 4443 clause 2.1 */
		least = 4;
		break;
	default:
		return true;
	}
	if (fragment == FIRST && least > 8)
		least = 8; /* the rest may be in the next one */
	if (room < least)
		return false;
	packet->headers += (uint32_t)least;
	if (packet->protocol == ICMP || packet->protocol == ICMP6) {
		packet->has_icmp = packet->protocol == (packet->family == 4 ? ICMP : ICMP6);
		packet->icmp_type = at[0];
		return true;
	}
	packet->has_ports = true;
	packet->source_port = get16(at);
	packet->destination_port = get16(at + 2);
	if (packet->protocol == TCP)
		return read_tcp(packet, at, room, fragment);
	if (fragment == FIRST)
		return true;
	if (packet->protocol == UDP && !gso)
		return get16(at + 4) >= 8 && get16(at + 4) <= room;
	return true;
}

static bool read_ip4(struct reading *packet, const uint8_t *ip, size_t room, bool gso)
{
	size_t header, total;
	enum fragment fragment = WHOLE;

	if (room < 20)
		return false;
	header = (size_t)(ip[0] & 15) * 4;
	total = get16(ip + 2);
	if (ip[0] >> 4 != 4 || header < 20 || total < header || total > room)
		return false;
	packet->offset = get16(ip + 6) % 8192;
	if (packet->offset)
		fragment = LATER;
	else if (get16(ip + 6) / 8192 % 2)
		fragment = FIRST;
	packet->family = 4;
	packet->source = ip + 12;
	packet->destination = ip + 16;
	packet->protocol = ip[9];
	packet->dscp = ip[1] >> 2;
	packet->ip_options = read_options(ip + 20, ip + header, false);
	packet->bytes = (uint32_t)total;
	packet->headers = (uint32_t)header;
	return read_transport(packet, ip + header, ip + total, fragment, gso);
}

static bool read_ip6(struct reading *packet, const uint8_t *ip, size_t room, bool gso)
{
	const uint8_t *at = ip + 40, *end;
	enum fragment fragment = WHOLE;
	unsigned int next;

	if (room < 40 || ip[0] >> 4 != 6 || 40 + get16(ip + 4) > room)
		return false;
	end = ip + 40 + get16(ip + 4);
	next = ip[6];
	while (fragment != LATER && (next == HOP_BY_HOP || next == ROUTING || next == FRAGMENT ||
				     next == AUTHENTICATION || next == DESTINATION_OPTIONS)) {
		size_t length;

		if (end - at < 8)
			return false;
		if (next == FRAGMENT) {
			length = 8;
			packet->offset = get16(at + 2) / 8;
			if (packet->offset)
				fragment = LATER;
			else if (get16(at + 2) % 2)
				fragment = FIRST;
		} else if (next == AUTHENTICATION) {
			length = (at[1] + 2u) * 4;
		} else {
			length = (at[1] + 1u) * 8;
		}
		if ((size_t)(end - at) < length)
			return false;
		next = at[0];
		at += length;
	}
	packet->family = 6;
	packet->source = ip + 8;
	packet->destination = ip + 24;
	packet->protocol = next;
	packet->dscp = (unsigned int)(ip[0] % 16 * 16 + ip[1] / 16) / 4;
	packet->bytes = (uint32_t)(end - ip);
	packet->headers = (uint32_t)(at - ip);
	return read_transport(packet, at, end, fragment, gso);
}

/* False: malformed. Up to two VLAN tags are seen through. */
static bool read_frame(struct reading *packet, const struct model_frame *frame)
{
	size_t at = 12;
	unsigned int type = get16(frame->data + at);
	bool gso = frame->segment_size || frame->segments > 1;

	for (int tags = 0; tags < 2 && (type == 0x8100 || type == 0x88a8); tags++) {
		at += 4;
		if (frame->length < at + 2)
			return false;
		type = get16(frame->data + at);
	}
	at += 2;
	packet->bytes = (uint32_t)(frame->length - at);
	if (type == 0x0800)
		return read_ip4(packet, frame->data + at, frame->length - at, gso);
	if (type == 0x86dd)
		return read_ip6(packet, frame->data + at, frame->length - at, gso);
	return true;
}

/* On the wire each segment has the headers that the frame has once. */
static uint32_t count_packets(const struct reading *packet, const struct model_frame *frame)
{
	uint32_t payload = packet->bytes - packet->headers;

	if (frame->segments)
		return frame->segments;
	if (frame->segment_size && payload)
		return (payload + frame->segment_size - 1) / frame->segment_size;
	return 1;
}

static int find_session(const struct model_world *world, const struct reading *packet, bool downlink)
{
	const uint8_t *address = downlink ? packet->destination : packet->source;

	for (unsigned int i = 0; i < world->session_count; i++)
		if (world->sessions[i].family == packet->family &&
		    begins_alike(world->sessions[i].address, address, packet->family == 4 ? 32 : 64))
			return (int)i;
	return -1;
}

struct model_outcome model_decide(const struct model_world *world, const struct model_frame *frame)
{
	struct model_outcome outcome = {.session = -1, .rule = -1, .packets = 1};
	const struct model_flow *deciding = NULL;
	struct reading packet = {0};

	if (!read_frame(&packet, frame)) {
		outcome.reason = MODEL_MALFORMED;
		return outcome;
	}
	outcome.bytes = packet.bytes;
	if (!packet.family) {
		outcome.reason = MODEL_NOT_IP;
		outcome.passes = world->unknown_passes;
		return outcome;
	}
	outcome.packets = count_packets(&packet, frame);
	outcome.bytes += (outcome.packets - 1) * packet.headers;
	if (packet.offset == 1) {
		outcome.reason = MODEL_FRAGMENT_OFFSET;
		return outcome;
	}
	outcome.session = find_session(world, &packet, frame->downlink);
	if (outcome.session < 0) {
		outcome.reason = MODEL_UNKNOWN_SUBSCRIBER;
		outcome.passes = world->unknown_passes;
		return outcome;
	}
	for (unsigned int i = 0; world->sessions[outcome.session].has_rules && i < world->rule_count; i++) {
		const struct model_rule *rule = &world->rules[i];
		const struct model_flow *flow;

		if (outcome.rule >= 0 && !comes_before(rule, &world->rules[outcome.rule]))
			continue;
		flow = rule_matches(rule, &packet, frame->downlink);
		if (flow) {
			deciding = flow;
			outcome.rule = (int)i;
		}
	}
	outcome.reason = !deciding ? MODEL_NO_RULE : deciding->deny ? MODEL_DENIED : MODEL_PERMITTED;
	outcome.passes = outcome.reason == MODEL_PERMITTED;
	if (outcome.passes)
		outcome.class = frame->downlink ? world->rules[outcome.rule].downlink_class
						: world->rules[outcome.rule].uplink_class;
	return outcome;
}
