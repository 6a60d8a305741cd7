// SPDX-License-Identifier: Apache-2.0
#include "packet_terms.h"

#include <netinet/in.h>
#include <string.h>

#include "base/cleanup.h"

#define OPTION_BYTES 40 /* in either header */
#define IP_HEADER    20
#define TCP_HEADER   20
#define TCP_FLAGS    13 /* offset of the byte */

/* As they stand in a header, NOPs behind them up to a multiple of four; entry n is bit n. */
struct option {
	uint8_t length;
	uint8_t bytes[12];
};

static const struct option ip_options[] = {
	{4, {137, 3, 4, 1}}, {4, {131, 3, 4, 1}}, {4, {7, 3, 4, 1}}, {4, {68, 4, 5, 0}}};
static const struct option tcp_options[] = {{4, {2, 4, 5, 0xb4}},
					    {4, {3, 3, 7, 1}},
					    {4, {4, 2, 1, 1}},
					    {12, {8, 10, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1}},
					    {8, {11, 6, 0, 0, 0, 1, 1, 1}}};

static size_t put(const struct option *options, size_t count, uint8_t bits, uint8_t out[OPTION_BYTES])
{
	size_t used = 0;

	for (size_t i = 0; i < count; i++) {
		if (!(bits & 1u << i))
			continue;
		memcpy(out + used, options[i].bytes, options[i].length);
		used += options[i].length;
	}
	return used;
}

static bool is_ip6(const struct packet_spec *spec)
{
	return strchr(spec->source, ':') != NULL;
}

static bool has_tcp(const struct packet_spec *spec)
{
	return spec->protocol == IPPROTO_TCP && spec->fragment_offset == 0;
}

static size_t put_ip(const struct packet_spec *spec, const struct packet_terms *terms,
		     uint8_t out[OPTION_BYTES])
{
	return is_ip6(spec) ? 0 : put(ip_options, SL_ARRAY_SIZE(ip_options), terms->ip_options, out);
}

static size_t put_tcp(const struct packet_spec *spec, const struct packet_terms *terms,
		      uint8_t out[OPTION_BYTES])
{
	return has_tcp(spec) ? put(tcp_options, SL_ARRAY_SIZE(tcp_options), terms->tcp_options, out) : 0;
}

size_t packet_terms_size(const struct packet_spec *spec, const struct packet_terms *terms)
{
	uint8_t unused[OPTION_BYTES];

	return put_ip(spec, terms, unused) + put_tcp(spec, terms, unused);
}

void packet_terms_build(struct packet *packet, const struct packet_spec *spec,
			const struct packet_terms *terms)
{
	struct packet_spec whole = *spec;
	uint8_t ip[OPTION_BYTES], tcp[OPTION_BYTES], *network, *transport;

	whole.ip_options = put_ip(spec, terms, ip);
	whole.tcp_options = put_tcp(spec, terms, tcp);
	packet_build(packet, &whole);
	network = packet->data + packet->network;
	transport = packet->data + packet->transport;
	if (is_ip6(spec)) {
		network[0] |= terms->dscp >> 2;
		network[1] |= (uint8_t)(terms->dscp << 6);
	} else {
		network[1] = (uint8_t)(terms->dscp << 2);
		memcpy(network + IP_HEADER, ip, whole.ip_options);
	}
	if (has_tcp(spec)) {
		transport[TCP_FLAGS] = terms->tcp_flags;
		memcpy(transport + TCP_HEADER, tcp, whole.tcp_options);
	}
}
