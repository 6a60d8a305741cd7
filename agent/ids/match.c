// SPDX-License-Identifier: Apache-2.0
#include "ids/match.h"

#include <errno.h>
#include <string.h>

#define PORT_LAST 65535

static void set_mask(uint8_t mask[16], unsigned int length)
{
	for (unsigned int bit = 0; bit < length; bit++)
		mask[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
}

static void set_prefix(uint8_t address[16], uint8_t mask[16], const uint8_t *bytes, unsigned int length)
{
	set_mask(mask, length);
	for (int i = 0; i < 16; i++)
		address[i] = bytes[i] & mask[i];
}

int sl_ids_match_of(const struct sluice_flow *flow, struct sluice_ids_match *out, struct sl_error *err)
{
	struct sluice_ids_match match = {
		.direction = (uint8_t)flow->direction,
		.family = flow->family,
		.protocol = flow->protocol,
		.flags = SLUICE_MATCH_VALID,
		.verdict = (uint8_t)flow->action,
		.remote_port_low = flow->remote_port_low,
		.remote_port_high = flow->remote_port_high,
		.local_port_low = flow->local_port_low,
		.local_port_high = flow->local_port_high,
		.terms = flow->terms,
	};

	if (flow->flags & SLUICE_FLOW_REMOTE_ASSIGNED)
		return sl_error(
			err, EINVAL,
			"the subscriber's own address on the remote side; allowed: an address, a prefix");
	if (flow->flags & SLUICE_FLOW_LOCAL_NOT)
		return sl_error(
			err, EINVAL,
			"a prefix that the subscriber's address is outside of; allowed: one that it is "
			"in");
	if (flow->protocol != 0 || (flow->flags & SLUICE_FLOW_PROTOCOL_ZERO))
		match.flags |= SLUICE_MATCH_PROTOCOL;
	if (flow->remote_port_low != 0 || flow->remote_port_high != PORT_LAST || flow->local_port_low != 0 ||
	    flow->local_port_high != PORT_LAST)
		match.flags |= SLUICE_MATCH_PORTS;
	if (flow->has_remote)
		set_prefix(match.remote, match.mask, flow->remote, flow->prefix_length);
	if (flow->flags & SLUICE_FLOW_LOCAL)
		set_prefix(match.local, match.local_mask, flow->local, flow->local_length);
	*out = match;
	return 0;
}

void sl_ids_match_exempt(enum sluice_direction direction, const struct sl_address *prefix, uint8_t length,
			 struct sluice_ids_match *out)
{
	memset(out, 0, sizeof(*out));
	out->direction = (uint8_t)direction;
	out->family = (uint8_t)prefix->family;
	out->flags = SLUICE_MATCH_VALID;
	out->verdict = SLUICE_DENY;
	out->remote_port_high = out->local_port_high = PORT_LAST;
	set_prefix(out->remote, out->mask, prefix->bytes, length);
}
