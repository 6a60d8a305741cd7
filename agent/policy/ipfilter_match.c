// SPDX-License-Identifier: Apache-2.0
#include "policy/ipfilter.h"

#include <netinet/in.h>
#include <string.h>

static bool prefix_holds(const struct sl_ipfilter_prefix *prefix, const struct sl_address *address)
{
	const unsigned int whole = prefix->length / 8, rest = prefix->length % 8;

	if (prefix->address.family != address->family)
		return false;
	if (memcmp(prefix->address.bytes, address->bytes, whole) != 0)
		return false;
	return rest == 0 || (prefix->address.bytes[whole] ^ address->bytes[whole]) >> (8 - rest) == 0;
}

static bool terminal_holds(const struct sl_ipfilter_terminal *terminal, const struct sl_address *address)
{
	for (size_t i = 0; i < terminal->count; i++) {
		if (prefix_holds(&terminal->prefixes[i], address))
			return true;
	}
	return false;
}

static bool address_fits(const struct sl_ipfilter_end *end, const struct sl_ipfilter_terminal *terminal,
			 const struct sl_address *address)
{
	switch (end->place) {
	case SL_IPFILTER_PREFIX:
		return end->prefix.address.family == address->family &&
		       prefix_holds(&end->prefix, address) != end->is_inverted;
	case SL_IPFILTER_ANY:
		return !end->is_inverted;
	case SL_IPFILTER_ASSIGNED:
		return terminal_holds(terminal, address) != end->is_inverted;
	}
	return false;
}

static bool port_fits(const struct sl_ipfilter_end *end, const struct sl_ipfilter_packet *packet,
		      uint16_t port)
{
	if (end->port_count == 0)
		return true;
	if (packet->fragment_offset != 0 || !packet->has_ports)
		return false;
	for (uint32_t i = 0; i < end->port_count; i++) {
		if (port >= end->ports[i].low && port <= end->ports[i].high)
			return true;
	}
	return false;
}

static bool spec_fits(const struct sl_ipfilter_spec *spec, uint8_t bits)
{
	return (bits & spec->present) == spec->present && (bits & spec->absent) == 0;
}

static bool ip_header_fits(const struct sl_ipfilter *rule, const struct sl_ipfilter_packet *packet)
{
	const uint8_t options = packet->source.family == 4 ? packet->ip_options : 0;

	if (!rule->is_any_protocol && rule->protocol != packet->protocol)
		return false;
	if (rule->is_frag && packet->fragment_offset == 0)
		return false;
	return spec_fits(&rule->ip_options, options);
}

static bool tcp_fits(const struct sl_ipfilter *rule, const struct sl_ipfilter_packet *packet)
{
	const uint8_t asked = rule->tcp_flags.present | rule->tcp_flags.absent | rule->tcp_options.present |
			      rule->tcp_options.absent;

	if (!asked && !rule->is_established && !rule->is_setup)
		return true;
	if (packet->protocol != IPPROTO_TCP || packet->fragment_offset != 0 || !packet->has_tcp)
		return false;
	if (rule->is_established && !(packet->tcp_flags & (SL_IPFILTER_RST | SL_IPFILTER_ACK)))
		return false;
	if (rule->is_setup && (packet->tcp_flags & (SL_IPFILTER_SYN | SL_IPFILTER_ACK)) != SL_IPFILTER_SYN)
		return false;
	return spec_fits(&rule->tcp_flags, packet->tcp_flags) &&
	       spec_fits(&rule->tcp_options, packet->tcp_options);
}

static bool icmp_fits(const struct sl_ipfilter *rule, const struct sl_ipfilter_packet *packet)
{
	if (!rule->icmp_types)
		return true;
	if (packet->protocol != IPPROTO_ICMP || packet->fragment_offset != 0 || !packet->has_icmp)
		return false;
	return packet->icmp_type <= SL_IPFILTER_ICMP_LAST && rule->icmp_types & 1u << packet->icmp_type;
}

bool sl_ipfilter_matches(const struct sl_ipfilter *rule, const struct sl_ipfilter_terminal *terminal,
			 const struct sl_ipfilter_packet *packet)
{
	return rule->direction == packet->direction && ip_header_fits(rule, packet) &&
	       address_fits(&rule->source, terminal, &packet->source) &&
	       address_fits(&rule->destination, terminal, &packet->destination) &&
	       port_fits(&rule->source, packet, packet->source_port) &&
	       port_fits(&rule->destination, packet, packet->destination_port) && tcp_fits(rule, packet) &&
	       icmp_fits(rule, packet);
}

struct sl_ipfilter_verdict sl_ipfilter_evaluate(const struct sl_ipfilter *rules, size_t count,
						const struct sl_ipfilter_terminal *terminal,
						const struct sl_ipfilter_packet *packet)
{
	struct sl_ipfilter_verdict verdict = {.is_passed = true, .reason = SL_IPFILTER_BY_NO_RULE};

	if (packet->fragment_offset == 1)
		return (struct sl_ipfilter_verdict){.is_passed = false,
						    .reason = SL_IPFILTER_BY_FRAGMENT_OFFSET};
	for (size_t i = 0; i < count; i++) {
		const bool permits = rules[i].action == SL_IPFILTER_PERMIT;

		if (rules[i].direction != packet->direction)
			continue;
		if (sl_ipfilter_matches(&rules[i], terminal, packet))
			return (struct sl_ipfilter_verdict){
				.is_passed = permits, .reason = SL_IPFILTER_BY_RULE, .rule = i};
		verdict = (struct sl_ipfilter_verdict){
			.is_passed = !permits, .reason = SL_IPFILTER_BY_DEFAULT, .rule = i};
	}
	return verdict;
}
