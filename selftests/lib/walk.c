// SPDX-License-Identifier: Apache-2.0
#include "walk.h"

#include <string.h>

static bool fits(uint8_t flags, uint8_t protocol, const uint16_t ports[4], const struct walk_packet *packet)
{
	if (!(flags & SLUICE_MATCH_VALID))
		return false;
	if ((flags & SLUICE_MATCH_PROTOCOL) && protocol != packet->protocol)
		return false;
	if (!(flags & SLUICE_MATCH_PORTS))
		return true;
	return packet->has_ports && packet->remote_port >= ports[0] && packet->remote_port <= ports[1] &&
	       packet->local_port >= ports[2] && packet->local_port <= ports[3];
}

static int walk4(const struct sl_match_list *list, const struct walk_packet *packet,
		 enum sluice_action *action)
{
	uint32_t remote;

	memcpy(&remote, packet->remote, sizeof(remote));
	for (uint32_t i = 0; i < list->count; i++) {
		const struct sluice_match4 *match =
			&list->block4[i / SLUICE_MATCH_BLOCK].match[i % SLUICE_MATCH_BLOCK];
		const uint16_t ports[] = {match->remote_port_low, match->remote_port_high,
					  match->local_port_low, match->local_port_high};

		if ((remote & match->mask_be) != match->remote_be)
			continue;
		if (!fits(match->flags, match->protocol, ports, packet))
			continue;
		*action = match->action;
		return match->ordinal;
	}
	return WALK_NO_RULE;
}

static int walk6(const struct sl_match_list *list, const struct walk_packet *packet,
		 enum sluice_action *action)
{
	uint64_t remote[2];

	memcpy(remote, packet->remote, sizeof(remote));
	for (uint32_t i = 0; i < list->count; i++) {
		const struct sluice_match6 *match =
			&list->block6[i / SLUICE_MATCH_BLOCK].match[i % SLUICE_MATCH_BLOCK];
		const uint16_t ports[] = {match->remote_port_low, match->remote_port_high,
					  match->local_port_low, match->local_port_high};

		if ((remote[0] & match->mask_be[0]) != match->remote_be[0] ||
		    (remote[1] & match->mask_be[1]) != match->remote_be[1])
			continue;
		if (!fits(match->flags, match->protocol, ports, packet))
			continue;
		*action = match->action;
		return match->ordinal;
	}
	return WALK_NO_RULE;
}

int walk_image(const struct sl_ruleset_image *image, const struct walk_packet *packet,
	       enum sluice_action *action)
{
	const struct sl_match_list *list = &image->list[packet->direction];

	if (packet->family != image->family)
		return WALK_NO_RULE;
	return image->family == 4 ? walk4(list, packet, action) : walk6(list, packet, action);
}
