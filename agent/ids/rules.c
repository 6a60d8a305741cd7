// SPDX-License-Identifier: Apache-2.0
/* The rules in force: taking over those of an earlier start, and looking at them. */
#include "ids/rules.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "ids/table.h"

/* That packets read. */
static const struct sluice_ids_order *current_order(const struct sl_ids_maps *maps)
{
	return &maps->settings->order[maps->settings->current & 1];
}

void sl_ids_slot_free(struct sl_ids_table *table, uint32_t slot)
{
	struct sluice_ids_rule *image = &table->maps.rules[slot];

	if (image->verdict == SLUICE_IDS_MIRROR && table->slot[slot].in_force)
		table->maps.steer_put(image->steer, table->maps.user);
	__atomic_store_n(&image->in_use, 0, __ATOMIC_RELEASE);
	memset(image, 0, sizeof(*image));
	if (table->slot[slot].rule) {
		sl_ids_rule_clear(table->slot[slot].rule);
		free(table->slot[slot].rule);
	}
	table->slot[slot] = (struct sl_ids_slot){.rule = NULL};
}

/* --- taking over ---------------------------------------------------------------------- */

static int adopt_slot(struct sl_ids_table *table, uint32_t slot, uint32_t place)
{
	struct sluice_ids_rule *image = &table->maps.rules[slot];

	if (slot >= SLUICE_IDS_RULES || !image->in_use)
		return -EINVAL;
	if (table->slot[slot].in_force)
		return 0;
	if (image->verdict == SLUICE_IDS_MIRROR &&
	    table->maps.steer_adopt(image->steer, table->maps.user) < 0) {
		sl_log(SL_LOG_WARNING, "ids-rule-without-interface", "rule", "%s", image->name, NULL);
		image->verdict = SLUICE_IDS_ALERT;
		image->content = 0; /* so that the next reading writes it anew */
	}
	table->slot[slot].in_force = true;
	table->slot[slot].place = (uint8_t)place;
	return 0;
}

static void adopt_order(struct sl_ids_table *table)
{
	const struct sluice_ids_order *order = current_order(&table->maps);
	uint64_t places = 0;

	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++)
		for (int protocol = 0; protocol < 256; protocol++)
			places |= order->candidates[direction][protocol];
	for (uint32_t place = 0; place < SLUICE_IDS_RULES && places >> place; place++) {
		if (!(places >> place & 1) || adopt_slot(table, order->slot[place], place) < 0)
			continue;
		table->order.base[table->order.count++] = order->slot[place];
	}
	/* places without a rule close up: what is adopted is in order, but maybe not under the same bits */
	for (uint32_t place = 0; place < table->order.count; place++)
		table->slot[table->order.base[place]].place = (uint8_t)place;
}

static void adopt_overrides(struct sl_ids_table *table, const struct sl_ids_pairs *pairs)
{
	for (size_t i = 0; i < pairs->count; i++) {
		const struct sl_ids_pair *pair = &pairs->pair[i];
		const uint32_t base = pair->key.rule;

		if (base >= SLUICE_IDS_RULES || !table->slot[base].in_force ||
		    (pair->slot != SLUICE_NONE && adopt_slot(table, pair->slot, table->slot[base].place) < 0))
			table->maps.override_delete(&pair->key, table->maps.user);
		else
			table->overrides++;
	}
}

int sl_ids_rules_open(const struct sl_ids_maps *maps, struct sl_ids_table **out, struct sl_error *err)
{
	_cleanup_(sl_ids_pairs_clear) struct sl_ids_pairs pairs = {.pair = NULL};
	struct sl_ids_table *table;
	int rc;

	rc = sl_ids_pairs_present(maps, &pairs);
	if (rc < 0)
		return sl_error(err, -rc, "the map ids_overrides: %s", strerror(-rc));
	table = calloc(1, sizeof(*table));
	if (!table)
		return sl_error(err, ENOMEM, "out of memory");
	table->maps = *maps;
	adopt_order(table);
	adopt_overrides(table, &pairs);
	for (uint32_t slot = 0; slot < SLUICE_IDS_RULES; slot++)
		if (!table->slot[slot].in_force && maps->rules[slot].in_use)
			sl_ids_slot_free(table, slot);
	*out = table;
	return 0;
}

void sl_ids_rules_close(struct sl_ids_table *table)
{
	if (!table)
		return;
	for (uint32_t slot = 0; slot < SLUICE_IDS_RULES; slot++) {
		if (!table->slot[slot].rule)
			continue;
		sl_ids_rule_clear(table->slot[slot].rule);
		free(table->slot[slot].rule);
	}
	free(table);
}

/* --- views ------------------------------------------------------------------------------ */

/* Of one place: the base, then the others by slot. */
static int each_at(const struct sl_ids_table *table, uint32_t place,
		   int (*visit)(const struct sl_ids_view *view, void *user), void *user)
{
	const uint32_t base = table->order.base[place];
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i <= SLUICE_IDS_RULES; i++) {
		const uint32_t slot = i == 0 ? base : i - 1;

		if ((i > 0 && slot == base) || !table->slot[slot].in_force ||
		    table->slot[slot].place != place)
			continue;
		rc = visit(&(struct sl_ids_view){.slot = slot,
						 .place = place,
						 .rule = table->slot[slot].rule,
						 .image = &table->maps.rules[slot]},
			   user);
	}
	return rc;
}

int sl_ids_rules_each(const struct sl_ids_table *table,
		      int (*visit)(const struct sl_ids_view *view, void *user), void *user)
{
	int rc = 0;

	for (uint32_t place = 0; rc == 0 && place < table->order.count; place++)
		rc = each_at(table, place, visit, user);
	return rc;
}

void sl_ids_rules_status(const struct sl_ids_table *table, struct sl_ids_rules_status *out)
{
	*out = (struct sl_ids_rules_status){
		.changes = table->changes,
		.refusals = table->refusals,
		.problem = table->problem.text[0] ? table->problem.text : NULL,
		.overrides = table->overrides,
	};
}

uint32_t sl_ids_rules_count(const struct sl_ids_table *table)
{
	uint32_t count = 0;

	for (uint32_t slot = 0; slot < SLUICE_IDS_RULES; slot++)
		count += table->slot[slot].in_force;
	return count;
}

const struct sl_ids_rule *sl_ids_rules_at(const struct sl_ids_table *table, uint32_t slot)
{
	return slot < SLUICE_IDS_RULES ? table->slot[slot].rule : NULL;
}

struct sluice_ids_rule *sl_ids_rules_image(const struct sl_ids_table *table, uint32_t slot)
{
	return slot < SLUICE_IDS_RULES && table->slot[slot].in_force ? &table->maps.rules[slot] : NULL;
}

uint32_t sl_ids_rules_find(const struct sl_ids_table *table, const char *name)
{
	for (uint32_t place = 0; place < table->order.count; place++) {
		const uint32_t slot = table->order.base[place];

		if (strncmp(table->maps.rules[slot].name, name, SLUICE_IDS_NAME_SIZE) == 0)
			return slot;
	}
	return SLUICE_NONE;
}

uint32_t sl_ids_rules_by_identity(const struct sl_ids_table *table, uint32_t identity)
{
	for (uint32_t slot = 0; slot < SLUICE_IDS_RULES; slot++)
		if (table->slot[slot].in_force && table->maps.rules[slot].identity == identity)
			return slot;
	return SLUICE_NONE;
}

static bool has_imsi(char (*list)[SLUICE_IMSI_SIZE], uint32_t count, const char *imsi)
{
	for (uint32_t i = 0; i < count; i++)
		if (strcmp(list[i], imsi) == 0)
			return true;
	return false;
}

uint32_t sl_ids_rules_for(const struct sl_ids_table *table, uint32_t place, const char *imsi)
{
	const uint32_t base = place < table->order.count ? table->order.base[place] : SLUICE_NONE;
	const struct sl_ids_rule *rule = sl_ids_rules_at(table, base);

	if (!rule || has_imsi(rule->exempt, rule->exempt_count, imsi))
		return SLUICE_NONE;
	for (uint32_t slot = 0; slot < SLUICE_IDS_RULES; slot++) {
		const struct sl_ids_rule *own = table->slot[slot].rule;

		if (own && table->slot[slot].place == place &&
		    has_imsi(own->subscribers, own->subscriber_count, imsi))
			return slot;
	}
	return rule->subscriber_count ? SLUICE_NONE : base;
}

int sl_ids_rules_counts(const struct sl_ids_table *table, uint32_t slot, struct sluice_ids_rule_count *out)
{
	const struct sluice_ids_rule *image = sl_ids_rules_image(table, slot);
	struct sluice_ids_rule_count sum = {.sequence = 0};
	int rc;

	if (!image)
		return -ENOENT;
	rc = table->maps.counts_read(slot, &sum, table->maps.user);
	if (rc < 0)
		return rc;
	sum.matched.bytes += image->before_matched.bytes;
	sum.matched.packets += image->before_matched.packets;
	sum.excess.bytes += image->before_excess.bytes;
	sum.excess.packets += image->before_excess.packets;
	sum.dropped.bytes += image->before_dropped.bytes;
	sum.dropped.packets += image->before_dropped.packets;
	sum.keys_refused += image->before_refused;
	sum.events_suppressed += image->before_suppressed;
	sum.sequence = sum.told_ns = 0;
	*out = sum;
	return 0;
}
