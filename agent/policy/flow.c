// SPDX-License-Identifier: Apache-2.0
#include "policy/flow.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "policy/address.h"

#define PORT_LAST  65535
#define FIELD_SIZE 96

static bool given(const struct sl_flow_address *address)
{
	return address->text && *address->text;
}

static int parse_side(const char *field, const char *name, const struct sl_flow_address *side,
		      struct sl_address *address, uint8_t *length, struct sl_error *err)
{
	char full[FIELD_SIZE];
	int result;

	snprintf(full, sizeof(full), "%s.%s", field, name);
	result = sl_prefix_parse(full, side->text, address, length, err);
	if (result < 0)
		return result;
	if (side->family != 0 && side->family != address->family)
		return sl_error(err, EINVAL, "%s: '%s' is not of version IPv%u", full, side->text,
				side->family);
	return 0;
}

static int check_addresses(const char *field, const struct sl_flow_match *match, struct sluice_flow *flow,
			   struct sl_error *err)
{
	const struct {
		const char *name;
		const struct sl_flow_address *side;
		enum sluice_direction remote_in;
	} sides[] = {
		{"ip_src", &match->ip_src, SLUICE_DOWNLINK},
		{"ip_dst", &match->ip_dst, SLUICE_UPLINK},
	};

	for (int i = 0; i < 2; i++) {
		struct sl_address address;
		uint8_t length;
		int result;

		if (!given(sides[i].side))
			continue;
		result = parse_side(field, sides[i].name, sides[i].side, &address, &length, err);
		if (result < 0)
			return result;
		if (flow->family != 0 && flow->family != address.family)
			return sl_error(err, EINVAL,
					"%s: ip_src '%s' and ip_dst '%s' are of different families", field,
					match->ip_src.text, match->ip_dst.text);
		flow->family = (uint8_t)address.family;
		if (sides[i].remote_in != match->direction)
			continue;
		flow->has_remote = 1;
		flow->prefix_length = length;
		memcpy(flow->remote, address.bytes, sizeof(flow->remote));
	}
	return 0;
}

static void set_port(uint32_t port, uint16_t *low, uint16_t *high)
{
	if (port == 0)
		return;
	*low = (uint16_t)port;
	*high = (uint16_t)port;
}

static int check_ports(const char *field, const struct sl_flow_match *match, struct sluice_flow *flow,
		       struct sl_error *err)
{
	const struct {
		const char *name;
		uint32_t port;
		uint32_t protocol;
		enum sluice_direction remote_in;
	} ports[] = {
		{"tcp_src", match->tcp_src, IPPROTO_TCP, SLUICE_DOWNLINK},
		{"tcp_dst", match->tcp_dst, IPPROTO_TCP, SLUICE_UPLINK},
		{"udp_src", match->udp_src, IPPROTO_UDP, SLUICE_DOWNLINK},
		{"udp_dst", match->udp_dst, IPPROTO_UDP, SLUICE_UPLINK},
	};

	for (int i = 0; i < 4; i++) {
		if (ports[i].port == 0)
			continue;
		if (ports[i].port > PORT_LAST)
			return sl_error(err, EINVAL, "%s.%s: %u is not a port", field, ports[i].name,
					ports[i].port);
		if (match->ip_proto != ports[i].protocol)
			return sl_error(err, EINVAL, "%s.%s: %u needs ip_proto %s, not %u", field,
					ports[i].name, ports[i].port,
					ports[i].protocol == IPPROTO_TCP ? "TCP" : "UDP", match->ip_proto);
		if (ports[i].remote_in == match->direction)
			set_port(ports[i].port, &flow->remote_port_low, &flow->remote_port_high);
		else
			set_port(ports[i].port, &flow->local_port_low, &flow->local_port_high);
	}
	return 0;
}

int sl_flow_from_match(const char *field, const struct sl_flow_match *match, struct sluice_flow *out,
		       struct sl_error *err)
{
	struct sluice_flow flow = {
		.direction = match->direction,
		.action = match->action,
		.remote_port_high = PORT_LAST,
		.local_port_high = PORT_LAST,
	};
	int result;

	if (match->direction != SLUICE_UPLINK && match->direction != SLUICE_DOWNLINK)
		return sl_error(err, EINVAL, "%s.direction: %u is neither UPLINK nor DOWNLINK", field,
				match->direction);
	if (match->ip_proto > 255)
		return sl_error(err, EINVAL, "%s.ip_proto: %u is not a protocol number", field,
				match->ip_proto);
	flow.protocol = (uint8_t)match->ip_proto;
	result = check_addresses(field, match, &flow, err);
	if (result < 0)
		return result;
	result = check_ports(field, match, &flow, err);
	if (result < 0)
		return result;
	*out = flow;
	return 0;
}
