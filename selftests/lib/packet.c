// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/ipv6.h>
#include <linux/tcp.h>
#include <linux/udp.h>
#include <netinet/in.h>

#include "bpfrun.h"

#define HOP_BY_HOP_HERE 0xff

static void *append(struct packet *packet, size_t size)
{
	void *at = packet->data + packet->length;

	if (packet->length + size > sizeof(packet->data))
		fail_msg("a packet of more than %zu bytes", sizeof(packet->data));
	memset(at, 0, size);
	packet->length += size;
	return at;
}

static void append16(struct packet *packet, uint16_t value)
{
	value = htons(value);
	memcpy(append(packet, sizeof(value)), &value, sizeof(value));
}

static void build_ethernet(struct packet *packet, const struct packet_spec *spec, uint16_t ethertype)
{
	static const uint8_t source[6] = {0x02, 0, 0, 0, 0, 1};
	unsigned int mac[6] = {0x02, 0, 0, 0, 0, 2};

	if (spec->mac &&
	    sscanf(spec->mac, "%x:%x:%x:%x:%x:%x", &mac[0], &mac[1], &mac[2], &mac[3], &mac[4], &mac[5]) != 6)
		fail_msg("MAC address '%s'", spec->mac);
	for (int i = 0; i < 6; i++)
		*(uint8_t *)append(packet, 1) = (uint8_t)mac[i];
	memcpy(append(packet, sizeof(source)), source, sizeof(source));
	for (size_t i = 0; i < 3 && spec->tag[i]; i++) {
		append16(packet, spec->tag[i]);
		append16(packet, (uint16_t)(100 + i));
	}
	append16(packet, ethertype);
}

static void build_transport(struct packet *packet, const struct packet_spec *spec)
{
	size_t start = packet->length;

	packet->transport = start;
	if (!spec->fragment_offset) {
		switch (spec->protocol) {
		case IPPROTO_TCP:
			append16(packet, spec->source_port);
			append16(packet, spec->destination_port);
			append(packet, 16 + spec->tcp_options);
			packet->data[start + 12] = (uint8_t)((20 + spec->tcp_options) / 4 << 4);
			packet->data[start + 13] = spec->tcp_flags;
			if (spec->tcp_option)
				memcpy(packet->data + start + 20, spec->tcp_option, spec->tcp_options);
			break;
		case IPPROTO_UDP:
			append16(packet, spec->source_port);
			append16(packet, spec->destination_port);
			append16(packet, (uint16_t)(8 + spec->payload));
			append16(packet, 0);
			break;
		case IPPROTO_SCTP:
			append16(packet, spec->source_port);
			append16(packet, spec->destination_port);
			append(packet, 8);
			break;
		case IPPROTO_ICMP:
		case IPPROTO_ICMPV6:
			*(uint8_t *)append(packet, 8) = spec->icmp_type;
			break;
		}
	}
	append(packet, spec->payload);
}

static void build_ip4(struct packet *packet, const struct packet_spec *spec)
{
	size_t header = sizeof(struct iphdr) + spec->ip_options;
	struct iphdr ip = {
		.version = 4,
		.ihl = (header / 4) & 0xf,
		.tos = (uint8_t)(spec->dscp << 2),
		.ttl = spec->hop_limit ? spec->hop_limit : 64,
		.protocol = spec->protocol,
		.frag_off =
			htons((uint16_t)(spec->fragment_offset / 8 | (spec->more_fragments ? 0x2000 : 0))),
	};

	if (inet_pton(AF_INET, spec->source, &ip.saddr) != 1 ||
	    inet_pton(AF_INET, spec->destination, &ip.daddr) != 1)
		fail_msg("IPv4 address '%s' or '%s'", spec->source, spec->destination);
	append(packet, header);
	if (spec->ip_option)
		memcpy(packet->data + packet->network + sizeof(ip), spec->ip_option, spec->ip_options);
	build_transport(packet, spec);
	packet->ip_bytes = (uint32_t)(packet->length - packet->network);
	ip.tot_len = htons((uint16_t)packet->ip_bytes);
	memcpy(packet->data + packet->network, &ip, sizeof(ip));
}

static uint8_t extension_type(const struct packet_spec *spec, size_t i)
{
	if (i >= sizeof(spec->extension) || !spec->extension[i])
		return spec->protocol;
	return spec->extension[i] == HOP_BY_HOP_HERE ? IPPROTO_HOPOPTS : spec->extension[i];
}

static void build_ip6(struct packet *packet, const struct packet_spec *spec)
{
	struct ipv6hdr ip = {
		.version = 6,
		.hop_limit = spec->hop_limit ? spec->hop_limit : 64,
		.nexthdr = extension_type(spec, 0),
		.priority = (spec->dscp >> 2) & 0xf,
		.flow_lbl = {(uint8_t)(spec->dscp << 6)},
	};

	if (inet_pton(AF_INET6, spec->source, &ip.saddr) != 1 ||
	    inet_pton(AF_INET6, spec->destination, &ip.daddr) != 1)
		fail_msg("IPv6 address '%s' or '%s'", spec->source, spec->destination);
	append(packet, sizeof(ip));
	for (size_t i = 0; i < sizeof(spec->extension) && spec->extension[i]; i++) {
		bool authentication = spec->extension[i] == IPPROTO_AH;
		uint8_t *header = append(packet, authentication ? 12 : 8);

		header[0] = extension_type(spec, i + 1);
		if (authentication)
			header[1] = 1; /* in words, less two */
		if (spec->extension[i] == IPPROTO_FRAGMENT) {
			header[2] = (uint8_t)(spec->fragment_offset >> 8);
			header[3] = (uint8_t)((spec->fragment_offset & 0xf8) | spec->more_fragments);
		}
	}
	build_transport(packet, spec);
	packet->ip_bytes = (uint32_t)(packet->length - packet->network);
	ip.payload_len = htons((uint16_t)(packet->ip_bytes - sizeof(ip)));
	memcpy(packet->data + packet->network, &ip, sizeof(ip));
}

void packet_build(struct packet *packet, const struct packet_spec *spec)
{
	bool ip6 = spec->source && strchr(spec->source, ':');
	uint16_t ethertype = spec->ethertype;

	packet->length = 0;
	packet->transport = 0;
	packet->ip_bytes = 0;
	if (!ethertype)
		ethertype = ip6 ? ETH_P_IPV6 : ETH_P_IP;
	if (!spec->no_ethernet)
		build_ethernet(packet, spec, ethertype);
	packet->network = packet->length;
	if (!spec->source)
		append(packet, spec->payload);
	else if (ip6)
		build_ip6(packet, spec);
	else
		build_ip4(packet, spec);
	append(packet, spec->padding);
}
