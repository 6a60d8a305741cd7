// SPDX-License-Identifier: Apache-2.0
/* The judge: what becomes of a packet under a list of rules. */
#include "ipfilter_model.h"

static unsigned __int128 number_of(const uint8_t *bytes, int size)
{
	unsigned __int128 value = 0;

	for (int i = 0; i < size; i++)
		value = value << 8 | bytes[i];
	return value;
}

static bool inside(const struct model_prefix *prefix, int family, unsigned __int128 value)
{
	int free_bits = (prefix->family == 4 ? 32 : 128) - prefix->length;

	return prefix->family == family && (prefix->length == 0 || (prefix->value ^ value) >> free_bits == 0);
}

static bool address_objects(const struct model_end *end, const struct model_terminal *terminal,
			    const struct sl_address *address)
{
	int family = (int)address->family, hits = 0;
	unsigned __int128 value = number_of(address->bytes, family == 4 ? 4 : 16);

	if (end->place == MODEL_ANY)
		hits = 1;
	if (end->place == MODEL_PREFIX) {
		if (end->prefix.family != family)
			return true;
		hits = inside(&end->prefix, family, value);
	}
	for (size_t i = 0; end->place == MODEL_ASSIGNED && i < terminal->count; i++)
		hits += inside(&terminal->prefix[i], family, value);
	return end->is_inverted ? hits > 0 : hits == 0;
}

static bool ports_object(const struct model_end *end, bool is_known, int port)
{
	int hits = 0;

	for (int i = 0; i < end->port_count; i++)
		hits += is_known && end->low[i] <= port && port <= end->high[i];
	return end->port_count > 0 && hits == 0;
}

static int wishes_unmet(const int *wish, int count, unsigned int bits)
{
	int unmet = 0;

	for (int i = 0; i < count; i++)
		unmet += wish[i] != 0 && wish[i] != (bits >> i & 1 ? 1 : -1);
	return unmet;
}

static int objections(const struct model_rule *rule, const struct model_terminal *terminal,
		      const struct sl_ipfilter_packet *packet)
{
	const bool is_whole_or_first = packet->fragment_offset == 0;
	const bool knows_ports = is_whole_or_first && packet->has_ports;
	const bool knows_tcp = is_whole_or_first && packet->has_tcp && packet->protocol == 6;
	const bool knows_icmp = is_whole_or_first && packet->has_icmp && packet->protocol == 1;
	const bool syn = packet->tcp_flags >> 1 & 1, rst = packet->tcp_flags >> 2 & 1,
		   ack = packet->tcp_flags >> 4 & 1;
	int sum = 0;

	sum += rule->is_out != (packet->direction == SL_IPFILTER_OUT);
	sum += rule->protocol >= 0 && rule->protocol != packet->protocol;
	sum += address_objects(&rule->end[0], terminal, &packet->source);
	sum += address_objects(&rule->end[1], terminal, &packet->destination);
	sum += ports_object(&rule->end[0], knows_ports, packet->source_port);
	sum += ports_object(&rule->end[1], knows_ports, packet->destination_port);
	sum += rule->is_frag && is_whole_or_first;
	sum += wishes_unmet(rule->ip_option, 4, packet->source.family == 6 ? 0 : packet->ip_options);
	sum += model_asks(rule->tcp_option, 5) && !knows_tcp;
	sum += wishes_unmet(rule->tcp_option, 5, packet->tcp_options);
	sum += model_asks(rule->tcp_flag, 6) && !knows_tcp;
	sum += wishes_unmet(rule->tcp_flag, 6, packet->tcp_flags);
	sum += rule->is_established && !(knows_tcp && (rst || ack));
	sum += rule->is_setup && !(knows_tcp && syn && !ack);
	for (int type = 0; type < 19; type++) {
		if (rule->icmp_type[type])
			return sum +
			       !(knows_icmp && packet->icmp_type < 19 && rule->icmp_type[packet->icmp_type]);
	}
	return sum;
}

struct sl_ipfilter_verdict model_judge(const struct model_rule *rules, size_t count,
				       const struct model_terminal *terminal,
				       const struct sl_ipfilter_packet *packet)
{
	struct sl_ipfilter_verdict verdict = {.is_passed = true, .reason = SL_IPFILTER_BY_NO_RULE};

	for (size_t i = 0; i < count; i++) {
		if (rules[i].is_out == (packet->direction == SL_IPFILTER_OUT))
			verdict = (struct sl_ipfilter_verdict){
				.is_passed = rules[i].is_deny, .reason = SL_IPFILTER_BY_DEFAULT, .rule = i};
	}
	for (size_t i = count; i-- > 0;) {
		if (objections(&rules[i], terminal, packet) == 0)
			verdict = (struct sl_ipfilter_verdict){
				.is_passed = !rules[i].is_deny, .reason = SL_IPFILTER_BY_RULE, .rule = i};
	}
	if (packet->fragment_offset == 1)
		verdict = (struct sl_ipfilter_verdict){.is_passed = false,
						       .reason = SL_IPFILTER_BY_FRAGMENT_OFFSET};
	return verdict;
}
