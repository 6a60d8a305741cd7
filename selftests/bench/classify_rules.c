// SPDX-License-Identifier: Apache-2.0
#include "classify_rules.h"

#include <stdlib.h>
#include <string.h>

#define TCP 6
#define UDP 17

/* Protocols that nobody has, RFC 5237 and IANA's list. */
#define UNASSIGNED	 149
#define UNASSIGNED_COUNT 100

const char *const classify_shape_names[CLASSIFY_SHAPES] = {
	"prefixes", "ports", "mixed ACL", "IPv6", "by turns", "thirds", "wide", "ranges", "both ends"};

static uint32_t below(unsigned int *seed, uint32_t bound)
{
	return (uint32_t)rand_r(seed) % bound;
}

static void set_remote(struct sluice_flow *flow, const uint8_t *address, uint8_t length)
{
	flow->has_remote = 1;
	flow->prefix_length = length;
	memcpy(flow->remote, address, flow->family == 4 ? 4 : 16);
	for (unsigned int bit = length; bit < (flow->family == 4 ? 32u : 128u); bit++)
		flow->remote[bit / 8] &= (uint8_t) ~(0x80 >> bit % 8);
}

static void set_port(struct sluice_flow *flow, uint8_t protocol, uint32_t low, uint32_t width)
{
	flow->protocol = protocol;
	flow->remote_port_low = (uint16_t)low;
	flow->remote_port_high = (uint16_t)(low + width);
}

/* A rule of a firewall: a network or host of few providers, mostly with a service; some for everybody. */
static void acl_flow(unsigned int *seed, struct sluice_flow *flow)
{
	static const uint8_t lengths[] = {8, 12, 16, 16, 20, 24, 24, 24, 28, 32, 32, 32};
	static const uint16_t services[] = {22, 25, 53, 80, 110, 123, 143, 443, 993, 3306, 5060, 8080};
	uint8_t address[4] = {(uint8_t)(100 + below(seed, 6)), (uint8_t)below(seed, 16),
			      (uint8_t)below(seed, 64), (uint8_t)below(seed, 256)};

	if (below(seed, 100) < 92)
		set_remote(flow, address, lengths[below(seed, sizeof(lengths))]);
	if (!flow->has_remote || below(seed, 100) < 75) {
		if (below(seed, 4))
			set_port(flow, below(seed, 3) ? TCP : UDP, services[below(seed, 12)], 0);
		else
			set_port(flow, below(seed, 2) ? TCP : UDP, 1024 + below(seed, 30000),
				 below(seed, 2000));
	}
	flow->action = below(seed, 3) ? SLUICE_PERMIT : SLUICE_DENY;
}

static void ipv6_flow(unsigned int *seed, uint32_t number, struct sluice_flow *flow)
{
	static const uint8_t lengths[] = {48, 56, 64, 64, 64, 128};
	uint8_t address[16] = {0x20, 0x01, 0x0d, 0xb8, (uint8_t)below(seed, 4), (uint8_t)(number >> 2)};

	for (int i = 6; i < 16; i++)
		address[i] = (uint8_t)below(seed, 256);
	flow->family = 6;
	set_remote(flow, address, lengths[below(seed, sizeof(lengths))]);
	if (below(seed, 3) == 0)
		set_port(flow, TCP, 1 + below(seed, 60000), 0);
}

/* Prefixes of all lengths in few networks, so that most lie in others. */
static void wide_flow(unsigned int *seed, struct sluice_flow *flow)
{
	uint8_t address[4] = {(uint8_t)(100 + below(seed, 40)), (uint8_t)below(seed, 256),
			      (uint8_t)below(seed, 256), (uint8_t)below(seed, 256)};

	set_remote(flow, address, (uint8_t)(8 + below(seed, 25)));
	if (below(seed, 2))
		set_port(flow, below(seed, 2) ? TCP : UDP, 1 + below(seed, 60000), 0);
}

static void range_flow(unsigned int *seed, struct sluice_flow *flow)
{
	uint32_t low = 1 + below(seed, 60000), width = below(seed, 5000);

	set_port(flow, below(seed, 2) ? TCP : UDP, low, low + width > 65535 ? 65535 - low : width);
}

void classify_flows(enum classify_shape shape, uint32_t count, struct sluice_flow *flows)
{
	unsigned int seed = 7;

	for (uint32_t i = 0; i < count; i++) {
		/* in no order of addresses: precedence says nothing of them */
		uint32_t number = i * 7919 % 1021;
		uint8_t address[4] = {198, (uint8_t)(18 + (number >> 8)), (uint8_t)number, 0};
		struct sluice_flow *flow = &flows[i];

		*flow = (struct sluice_flow){
			.family = 4,
			.remote_port_high = 65535,
			.local_port_high = 65535,
		};
		switch (shape) {
		case CLASSIFY_PREFIXES:
			set_remote(flow, address, 24);
			break;
		case CLASSIFY_PORTS:
			set_port(flow, UDP, 1000 + number * 61, 0);
			break;
		case CLASSIFY_TURNS:
			if (i % 2)
				set_port(flow, UDP, 1000 + number * 61, 0);
			else
				set_remote(flow, address, 24);
			break;
		case CLASSIFY_THIRDS:
			if (i % 3 == 0)
				flow->protocol = (uint8_t)(UNASSIGNED + number % UNASSIGNED_COUNT);
			else if (i % 3 == 1)
				set_remote(flow, address, 24);
			else
				set_port(flow, TCP, 1000 + number * 61, 0);
			break;
		case CLASSIFY_WIDE:
			wide_flow(&seed, flow);
			break;
		case CLASSIFY_RANGES:
			range_flow(&seed, flow);
			break;
		case CLASSIFY_ENDS:
			set_port(flow, UDP, 1000 + number * 61, 0);
			if (i % 2) {
				flow->local_port_low = flow->local_port_high = flow->remote_port_low;
				flow->remote_port_low = 0;
				flow->remote_port_high = 65535;
			}
			break;
		case CLASSIFY_ACL:
			acl_flow(&seed, flow);
			break;
		default:
			ipv6_flow(&seed, number, flow);
		}
	}
}

void classify_packet(const struct sluice_flow *flow, uint32_t family, uint32_t seed,
		     struct classify_packet *out)
{
	unsigned int state = seed * 2654435761u;

	*out = (struct classify_packet){.family = family, .protocol = flow->protocol};
	for (unsigned int i = 0; i < (family == 4 ? 4u : 16u); i++) {
		unsigned int kept =
			flow->has_remote && flow->prefix_length > i * 8 ? flow->prefix_length - i * 8 : 0;
		uint8_t mask = kept >= 8 ? 0 : (uint8_t)(0xff >> kept);

		out->remote[i] = (uint8_t)((flow->has_remote ? flow->remote[i] : 0) |
					   ((uint8_t)rand_r(&state) & mask));
	}
	if (!out->protocol)
		out->protocol = rand_r(&state) % 2 ? TCP : UDP;
	out->remote_port = (uint16_t)(flow->remote_port_low +
				      below(&state, 1u + flow->remote_port_high - flow->remote_port_low));
	out->local_port = (uint16_t)(1024 + below(&state, 60000));
	if (flow->local_port_low == flow->local_port_high)
		out->local_port = flow->local_port_low;
}
