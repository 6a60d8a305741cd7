// SPDX-License-Identifier: Apache-2.0
#include "walk.h"

#include <endian.h>
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

static bool tcp_holds(const struct sluice_terms *terms, const struct walk_terms *has)
{
	if ((terms->which & SLUICE_TERM_TCP_FLAGS) &&
	    (!has->has_tcp || (has->tcp_flags & terms->tcp_mask) != terms->tcp_value ||
	     (terms->tcp_any && !(has->tcp_flags & terms->tcp_any))))
		return false;
	return !(terms->which & SLUICE_TERM_TCP_OPTIONS) ||
	       (has->has_tcp &&
		(has->tcp_options & terms->tcp_options_present) == terms->tcp_options_present &&
		!(has->tcp_options & terms->tcp_options_absent));
}

/* No packet of a case is sent by this host. */
static bool terms_hold(const struct sluice_terms *terms, const struct walk_terms *has)
{
	if ((terms->which & SLUICE_TERM_THIS_HOST) ||
	    ((terms->which & SLUICE_TERM_DSCP) && terms->dscp != has->dscp) ||
	    ((terms->which & SLUICE_TERM_LATER_FRAGMENT) && !has->is_later_fragment))
		return false;
	if ((terms->which & SLUICE_TERM_IP_OPTIONS) &&
	    ((has->ip_options & terms->ip_options_present) != terms->ip_options_present ||
	     (has->ip_options & terms->ip_options_absent)))
		return false;
	if ((terms->which & SLUICE_TERM_ICMP_TYPE) &&
	    (!has->has_icmp || has->icmp_type < terms->icmp_low || has->icmp_type > terms->icmp_high))
		return false;
	return tcp_holds(terms, has);
}

/* The prefix and the terms: with terms asked, the prefix may be what the address is to be outside of. */
static bool remote_fits(const struct sluice_terms *terms, const struct walk_packet *packet, bool inside)
{
	if (!packet->terms || !terms->which)
		return inside;
	return inside != ((terms->which & SLUICE_TERM_REMOTE_NOT) != 0) && terms_hold(terms, packet->terms);
}

static int walk4(const struct sl_match_list *list, uint32_t block, uint32_t count,
		 const struct walk_packet *packet, enum sluice_action *action)
{
	uint32_t remote;

	memcpy(&remote, packet->remote, sizeof(remote));
	for (uint32_t i = 0; i < count; i++) {
		const struct sluice_match4 *match =
			&list->block4[block + i / SLUICE_MATCH_BLOCK].match[i % SLUICE_MATCH_BLOCK];
		const uint16_t ports[] = {match->remote_port_low, match->remote_port_high,
					  match->local_port_low, match->local_port_high};

		if (!remote_fits(&match->terms, packet, (remote & match->mask_be) == match->remote_be))
			continue;
		if (!fits(match->flags, match->protocol, ports, packet))
			continue;
		*action = match->action;
		return match->ordinal;
	}
	return WALK_NO_RULE;
}

static int walk6(const struct sl_match_list *list, uint32_t block, uint32_t count,
		 const struct walk_packet *packet, enum sluice_action *action)
{
	uint64_t remote[2];

	memcpy(remote, packet->remote, sizeof(remote));
	for (uint32_t i = 0; i < count; i++) {
		const struct sluice_match6 *match =
			&list->block6[block + i / SLUICE_MATCH_BLOCK].match[i % SLUICE_MATCH_BLOCK];
		const uint16_t ports[] = {match->remote_port_low, match->remote_port_high,
					  match->local_port_low, match->local_port_high};

		if (!remote_fits(&match->terms, packet,
				 (remote[0] & match->mask_be[0]) == match->remote_be[0] &&
					 (remote[1] & match->mask_be[1]) == match->remote_be[1]))
			continue;
		if (!fits(match->flags, match->protocol, ports, packet))
			continue;
		*action = match->action;
		return match->ordinal;
	}
	return WALK_NO_RULE;
}

static void words_of(const struct walk_packet *packet, uint64_t words[3])
{
	uint64_t remote[2];
	uint32_t remote4;

	memcpy(remote, packet->remote, sizeof(remote));
	memcpy(&remote4, packet->remote, sizeof(remote4));
	words[0] = packet->family == 4 ? be32toh(remote4) : be64toh(remote[0]) >> 1;
	words[1] = packet->family == 4 ? 0 : be64toh(remote[1]) >> 1;
	words[2] = sluice_word_transport(packet->has_ports, packet->remote_port, packet->local_port,
					 packet->protocol);
}

/* In the tree or run at `block`. */
static int walk_tree(const struct sl_match_list *list, uint32_t block, uint32_t count,
		     const struct walk_packet *packet, enum sluice_action *action)
{
	uint64_t words[3];

	words_of(packet, words);
	for (int depth = 0; block & SLUICE_BRANCH; depth++) {
		const struct sluice_branch *branch = &list->branch[block & ~SLUICE_BRANCH];
		uint64_t key = branch->first ? words[0] : branch->second ? words[1] : words[2] & branch->mask;
		int side = key < branch->pivot;

		if (depth == SLUICE_TREE_DEPTH || branch->both)
			return WALK_TOO_DEEP;
		block = branch->child[side];
		count = branch->count[side];
	}
	return packet->family == 4 ? walk4(list, block, count, packet, action)
				   : walk6(list, block, count, packet, action);
}

int walk_image(const struct sl_ruleset_image *image, const struct walk_packet *packet,
	       enum sluice_action *action)
{
	const struct sl_match_list *list = &image->list[packet->direction];
	uint32_t block = list->branch ? SLUICE_BRANCH : 0, count = list->branch ? 0 : list->count;
	int best = WALK_NO_RULE;

	if (packet->family != image->family)
		return WALK_NO_RULE;
	for (int trees = 1;; trees++) {
		const struct sluice_branch *root =
			block & SLUICE_BRANCH ? &list->branch[block & ~SLUICE_BRANCH] : NULL;
		bool both = root && root->both;
		enum sluice_action found;
		int rule;

		rule = both ? walk_tree(list, root->child[0], root->count[0], packet, &found)
			    : walk_tree(list, block, count, packet, &found);
		if (rule == WALK_TOO_DEEP || trees > SLUICE_TREES)
			return WALK_TOO_DEEP;
		if (rule != WALK_NO_RULE && (best == WALK_NO_RULE || rule < best)) {
			best = rule;
			*action = found;
		}
		if (!both)
			return best;
		block = root->child[1];
		count = root->count[1];
	}
}
