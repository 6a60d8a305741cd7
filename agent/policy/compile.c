// SPDX-License-Identifier: Apache-2.0
#include "policy/compile.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "policy/hash.h"

#define PORT_LAST 65535

int sl_install_compare(const struct sl_install *a, const struct sl_install *b)
{
	if (a->origin != b->origin)
		return a->origin == SLUICE_ORIGIN_GY ? -1 : 1;
	if (a->rule->precedence != b->rule->precedence)
		return a->rule->precedence < b->rule->precedence ? -1 : 1;
	return strcmp(a->rule->id, b->rule->id);
}

static int compare(const void *a, const void *b)
{
	return sl_install_compare(a, b);
}

void sl_install_sort(struct sl_install *installs, size_t count)
{
	qsort(installs, count, sizeof(*installs), compare);
}

/* What both families have in common in an entry. */
struct match_terms {
	uint16_t remote_low, remote_high, local_low, local_high;
	uint8_t flags;
};

static struct match_terms terms_of(const struct sluice_flow *flow)
{
	struct match_terms terms = {
		.remote_low = flow->remote_port_low,
		.remote_high = flow->remote_port_high,
		.local_low = flow->local_port_low,
		.local_high = flow->local_port_high,
		.flags = SLUICE_MATCH_VALID,
	};

	if (flow->protocol != 0)
		terms.flags |= SLUICE_MATCH_PROTOCOL;
	if (terms.remote_low != 0 || terms.remote_high != PORT_LAST || terms.local_low != 0 ||
	    terms.local_high != PORT_LAST)
		terms.flags |= SLUICE_MATCH_PORTS;
	return terms;
}

static void encode4(const struct sluice_flow *flow, uint16_t ordinal, struct sluice_match4 *match)
{
	const struct match_terms terms = terms_of(flow);

	match->remote_port_low = terms.remote_low;
	match->remote_port_high = terms.remote_high;
	match->local_port_low = terms.local_low;
	match->local_port_high = terms.local_high;
	match->ordinal = ordinal;
	match->protocol = flow->protocol;
	match->flags = terms.flags;
	match->action = (uint8_t)flow->action;
	/* a shift by 32 is undefined in C, and /0 asks for one */
	if (!flow->has_remote || flow->prefix_length == 0)
		return;
	match->mask_be = htonl(0xffffffffu << (32 - flow->prefix_length));
	memcpy(&match->remote_be, flow->remote, sizeof(match->remote_be));
	match->remote_be &= match->mask_be;
}

static void encode6(const struct sluice_flow *flow, uint16_t ordinal, struct sluice_match6 *match)
{
	const struct match_terms terms = terms_of(flow);
	uint8_t mask[16] = {0};

	match->remote_port_low = terms.remote_low;
	match->remote_port_high = terms.remote_high;
	match->local_port_low = terms.local_low;
	match->local_port_high = terms.local_high;
	match->ordinal = ordinal;
	match->protocol = flow->protocol;
	match->flags = terms.flags;
	match->action = (uint8_t)flow->action;
	if (!flow->has_remote)
		return;
	for (unsigned int bit = 0; bit < flow->prefix_length; bit++)
		mask[bit / 8] |= (uint8_t)(0x80 >> bit % 8);
	memcpy(match->mask_be, mask, sizeof(match->mask_be));
	memcpy(match->remote_be, flow->remote, sizeof(match->remote_be));
	match->remote_be[0] &= match->mask_be[0];
	match->remote_be[1] &= match->mask_be[1];
}

static bool fits(const struct sluice_flow *flow, uint32_t family)
{
	return flow->family == 0 || flow->family == family;
}

static int count_entries(const struct sl_install *installs, size_t count, struct sl_ruleset_image *image,
			 struct sl_error *err)
{
	for (size_t i = 0; i < count; i++) {
		const struct sl_rule *rule = installs[i].rule;

		for (uint32_t f = 0; f < rule->flow_count; f++) {
			const struct sluice_flow *flow = &rule->flows[f];
			struct sl_match_list *list = &image->list[flow->direction];

			if (!fits(flow, image->family))
				continue;
			if (list->count == SLUICE_MATCHES_PER_DIRECTION)
				return sl_error(err, E2BIG,
						"policies: rule '%s' brings the session over %d %s flows",
						rule->id, SLUICE_MATCHES_PER_DIRECTION,
						flow->direction == SLUICE_UPLINK ? "uplink" : "downlink");
			list->count++;
		}
	}
	return 0;
}

static int allocate(struct sl_ruleset_image *image)
{
	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
		struct sl_match_list *list = &image->list[direction];

		list->blocks = (list->count + SLUICE_MATCH_BLOCK - 1) / SLUICE_MATCH_BLOCK;
		if (list->blocks == 0)
			continue;
		if (image->family == 4)
			list->block4 = calloc(list->blocks, sizeof(*list->block4));
		else
			list->block6 = calloc(list->blocks, sizeof(*list->block6));
		if (!list->block4 && !list->block6)
			return -ENOMEM;
	}
	return 0;
}

static void encode(const struct sl_install *installs, size_t count, struct sl_ruleset_image *image)
{
	uint32_t used[SLUICE_DIRECTIONS] = {0};

	for (size_t i = 0; i < count; i++) {
		const struct sl_rule *rule = installs[i].rule;

		for (uint32_t f = 0; f < rule->flow_count; f++) {
			const struct sluice_flow *flow = &rule->flows[f];
			struct sl_match_list *list = &image->list[flow->direction];
			uint32_t block, entry;

			if (!fits(flow, image->family))
				continue;
			block = used[flow->direction] / SLUICE_MATCH_BLOCK;
			entry = used[flow->direction] % SLUICE_MATCH_BLOCK;
			used[flow->direction]++;
			if (image->family == 4)
				encode4(flow, (uint16_t)i, &list->block4[block].match[entry]);
			else
				encode6(flow, (uint16_t)i, &list->block6[block].match[entry]);
		}
	}
}

static size_t list_size(const struct sl_match_list *list, uint32_t family)
{
	return list->blocks * (family == 4 ? sizeof(*list->block4) : sizeof(*list->block6));
}

static const void *list_data(const struct sl_match_list *list, uint32_t family)
{
	return family == 4 ? (const void *)list->block4 : (const void *)list->block6;
}

int sl_compile(const struct sl_install *installs, size_t count, uint32_t family, struct sl_ruleset_image *out,
	       struct sl_error *err)
{
	struct sl_ruleset_image image = {.family = family};
	int result;

	if (family != 4 && family != 6)
		return sl_error(err, EINVAL, "family: %u is neither 4 nor 6", family);
	if (count > SLUICE_RULES_PER_SESSION)
		return sl_error(err, E2BIG, "policies: %zu rules, at most %d a session", count,
				SLUICE_RULES_PER_SESSION);
	result = count_entries(installs, count, &image, err);
	if (result < 0)
		return result;
	if (allocate(&image) < 0) {
		sl_ruleset_image_clear(&image);
		return sl_error(err, ENOMEM, "policies: no memory for %zu rules", count);
	}
	encode(installs, count, &image);
	sl_ruleset_image_rehash(&image);
	*out = image;
	return 0;
}

void sl_ruleset_image_rehash(struct sl_ruleset_image *image)
{
	image->hash = image->family;
	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++)
		image->hash = sl_hash(image->hash, list_data(&image->list[direction], image->family),
				      list_size(&image->list[direction], image->family));
}

void sl_ruleset_image_clear(struct sl_ruleset_image *image)
{
	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
		free(image->list[direction].block4);
		free(image->list[direction].block6);
	}
	*image = (struct sl_ruleset_image){0};
}

int sl_ruleset_image_equal(const struct sl_ruleset_image *a, const struct sl_ruleset_image *b)
{
	if (a->hash != b->hash || a->family != b->family)
		return 0;
	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
		const struct sl_match_list *left = &a->list[direction], *right = &b->list[direction];
		size_t size = list_size(left, a->family);

		if (left->count != right->count)
			return 0;
		if (size && memcmp(list_data(left, a->family), list_data(right, b->family), size) != 0)
			return 0;
	}
	return 1;
}
