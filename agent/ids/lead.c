// SPDX-License-Identifier: Apache-2.0
/* Leads packets to rules: the next of two orders is written, then one word makes it the present one. */
#include <string.h>

#include "ids/table.h"

static void add_candidates(struct sluice_ids_order *order, const struct sluice_ids_rule *image,
			   const struct sluice_ids_match *matches, uint32_t place)
{
	for (uint32_t i = 0; i < image->match_count; i++) {
		const struct sluice_ids_match *match = &matches[image->first_match + i];
		__u64 *words = order->candidates[match->direction % SLUICE_DIRECTIONS];

		if (match->verdict != SLUICE_PERMIT)
			continue;
		for (int protocol = 0; protocol < 256; protocol++)
			if (!(match->flags & SLUICE_MATCH_PROTOCOL) || match->protocol == protocol)
				words[protocol] |= 1ull << place;
	}
}

static bool counts_connections(const struct sluice_ids_rule *image)
{
	return image->count >= SLUICE_IDS_NEW_CONNECTIONS && image->count <= SLUICE_IDS_FAILED_CONNECTIONS;
}

void sl_ids_lead(struct sl_ids_table *table, const struct sl_ids_order *order, const bool *in,
		 const uint8_t *place, bool overrides)
{
	struct sluice_ids_settings *settings = table->maps.settings;
	const uint32_t next = !(settings->current & 1);
	struct sluice_ids_order *to = &settings->order[next];
	bool connections = false;

	memset(to, 0, sizeof(*to));
	for (uint32_t i = 0; i < order->count; i++)
		to->slot[i] = (uint8_t)order->base[i];
	for (uint32_t slot = 0; slot < SLUICE_IDS_RULES; slot++) {
		if (!in[slot])
			continue;
		add_candidates(to, &table->maps.rules[slot], table->maps.matches, place[slot]);
		connections |= counts_connections(&table->maps.rules[slot]);
	}
	if (connections)
		settings->connections = 1;
	if (overrides)
		settings->overrides = 1;
	if (order->count)
		settings->active |= SLUICE_IDS_ACTIVE_RULES;
	__atomic_store_n(&settings->current, next, __ATOMIC_RELEASE);
	if (!order->count)
		settings->active &= ~(uint32_t)SLUICE_IDS_ACTIVE_RULES;
	table->maps.wait(table->maps.user);
	settings->connections = connections;
	settings->overrides = overrides;
}
