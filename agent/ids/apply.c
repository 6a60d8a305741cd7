// SPDX-License-Identifier: Apache-2.0
/*
 * From the rules that are in force to those that should be. New and changed
 * rules are written to slots that no packet is led to, then one write leads
 * packets to all of them; what only the rules before used is freed when no packet
 * can be there any more. A crash at any point leaves the one or the other.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "ids/table.h"

#define NOT_TAKEN SLUICE_NONE

struct change {
	struct sl_ids_table *table;
	const struct sl_ids_rules *rules;
	/* by rule */
	uint32_t slot[SLUICE_IDS_RULES];
	uint32_t base[SLUICE_IDS_RULES];
	uint32_t steer[SLUICE_IDS_RULES];
	uint8_t place[SLUICE_IDS_RULES];
	struct sl_ids_rule *copy[SLUICE_IDS_RULES];
	bool fresh[SLUICE_IDS_RULES]; /* is written to its slot by this change */
	/* its image of before and all that it had counted, where its slot had to be freed first; in_use:
	 * there is */
	struct sluice_ids_rule ended[SLUICE_IDS_RULES];
	/* by slot */
	bool kept[SLUICE_IDS_RULES];
	uint32_t successor[SLUICE_IDS_RULES]; /* the rule that has its identity now; SLUICE_NONE: none */
	uint32_t blocks[SLUICE_IDS_RULES];    /* as they were copied */
	struct sl_ids_order order;
	struct sl_ids_applied result;
};

static struct sluice_ids_rule *image_of(const struct change *change, uint32_t slot)
{
	return &change->table->maps.rules[slot];
}

/* --- which rule goes where ------------------------------------------------------------- */

static bool is_same(const struct sluice_ids_rule *image, const struct sl_ids_rule *rule)
{
	return image->identity == rule->image.identity && image->content == rule->content &&
	       image->revision == rule->image.revision;
}

/* Packets are led to the rule for all, or where there is none to the first for some. */
static bool is_led_to(const struct sl_ids_rules *rules, uint32_t i)
{
	for (uint32_t k = 0; k < rules->count; k++) {
		if (k == i || strcmp(rules->rule[k].name, rules->rule[i].name) != 0)
			continue;
		if (rules->rule[k].subscriber_count == 0 || (k < i && rules->rule[i].subscriber_count != 0))
			return false;
	}
	return true;
}

/*
 * Of a name all rules, or none: who has which is found by the slot that packets are led to, so
 * that another slot changes it together with the rest.
 */
static bool is_name_the_same(const struct change *change, const char *name)
{
	uint32_t before = 0, kept = 0;

	for (uint32_t slot = 0; slot < SLUICE_IDS_RULES; slot++)
		before += change->table->slot[slot].in_force &&
			  strncmp(image_of(change, slot)->name, name, SLUICE_IDS_NAME_SIZE) == 0;
	for (uint32_t i = 0; i < change->rules->count; i++) {
		if (strcmp(change->rules->rule[i].name, name) != 0)
			continue;
		if (change->slot[i] == NOT_TAKEN)
			return false;
		kept++;
	}
	return kept == before;
}

static void keep_what_is_the_same(struct change *change)
{
	for (uint32_t slot = 0; slot < SLUICE_IDS_RULES; slot++)
		change->successor[slot] = SLUICE_NONE;
	for (uint32_t i = 0; i < change->rules->count; i++) {
		const struct sl_ids_rule *rule = &change->rules->rule[i];

		change->slot[i] = NOT_TAKEN;
		for (uint32_t slot = 0; slot < SLUICE_IDS_RULES; slot++) {
			if (!change->table->slot[slot].in_force ||
			    image_of(change, slot)->identity != rule->image.identity)
				continue;
			change->successor[slot] = i;
			if (is_same(image_of(change, slot), rule)) {
				change->slot[i] = slot;
				change->kept[slot] = true;
			}
		}
	}
	for (uint32_t i = 0; i < change->rules->count; i++) {
		if (is_led_to(change->rules, i) && change->slot[i] != NOT_TAKEN &&
		    !is_name_the_same(change, change->rules->rule[i].name)) {
			change->kept[change->slot[i]] = false;
			change->slot[i] = NOT_TAKEN;
		}
	}
	for (uint32_t i = 0; i < change->rules->count; i++)
		change->result.kept += change->slot[i] != NOT_TAKEN;
}

static uint32_t find_free(const struct change *change)
{
	for (uint32_t slot = 0; slot < SLUICE_IDS_RULES; slot++) {
		bool is_taken = change->table->slot[slot].in_force;

		for (uint32_t i = 0; !is_taken && i < change->rules->count; i++)
			is_taken = change->slot[i] == slot;
		if (!is_taken)
			return slot;
	}
	return NOT_TAKEN;
}

static uint32_t count_lacking(const struct change *change)
{
	uint32_t wanted = change->rules->count - change->result.kept, in_force = 0;

	for (uint32_t slot = 0; slot < SLUICE_IDS_RULES; slot++)
		in_force += change->table->slot[slot].in_force;
	return wanted > SLUICE_IDS_RULES - in_force ? wanted - (SLUICE_IDS_RULES - in_force) : 0;
}

/* --- places ----------------------------------------------------------------------------- */

/* By name: that of its first rule. */
static void make_order(struct change *change)
{
	const struct sl_ids_rules *rules = change->rules;

	for (uint32_t i = 0; i < rules->count; i++) {
		uint32_t first;

		for (first = 0; first < i; first++)
			if (strcmp(rules->rule[first].name, rules->rule[i].name) == 0)
				break;
		change->place[i] = first < i ? change->place[first] : (uint8_t)change->order.count++;
		if (is_led_to(rules, i))
			change->order.base[change->place[i]] = change->slot[i];
	}
	for (uint32_t i = 0; i < rules->count; i++)
		change->base[i] = change->order.base[change->place[i]];
}

/* --- what goes on ------------------------------------------------------------------------------ */

/* Blocks are found by what is tracked and do what the verdict says. */
static bool blocks_go_on(const struct sluice_ids_rule *before, const struct sluice_ids_rule *after)
{
	return before->track == after->track && before->prefix4 == after->prefix4 &&
	       before->prefix6 == after->prefix6 && before->verdict == after->verdict &&
	       (after->flags & SLUICE_IDS_BLOCKS);
}

static void add(struct sluice_counter *to, const struct sluice_counter *counted)
{
	to->bytes += counted->bytes;
	to->packets += counted->packets;
}

/* No packet is at the slot any more, so that its counts are final. */
static struct sluice_ids_rule final_image(const struct change *change, uint32_t slot)
{
	const struct sl_ids_maps *maps = &change->table->maps;
	struct sluice_ids_rule_count sum = {.sequence = 0};
	struct sluice_ids_rule image = *image_of(change, slot);

	if (maps->counts_read(slot, &sum, maps->user) < 0)
		sl_log(SL_LOG_WARNING, "ids-counts-lost", "rule", "%s", image.name, NULL);
	add(&image.before_matched, &sum.matched);
	add(&image.before_excess, &sum.excess);
	add(&image.before_dropped, &sum.dropped);
	image.before_refused += sum.keys_refused;
	image.before_suppressed += sum.events_suppressed;
	return image;
}

static void tell_gone(const struct change *change, uint32_t identity)
{
	const struct sl_ids_maps *maps = &change->table->maps;

	if (maps->gone)
		maps->gone(identity, maps->user);
}

static void hand_over(const struct change *change, const struct sluice_ids_rule *before,
		      struct sluice_ids_rule *after)
{
	add(&after->before_matched, &before->before_matched);
	add(&after->before_excess, &before->before_excess);
	add(&after->before_dropped, &before->before_dropped);
	after->before_refused += before->before_refused;
	after->before_suppressed += before->before_suppressed;
	if ((before->flags & SLUICE_IDS_BLOCKS) && !blocks_go_on(before, after))
		tell_gone(change, before->identity);
}

/* --- room ----------------------------------------------------------------------------------- */

/*
 * Too few slots for what is before and after: so many rules that change or go end now. Those that
 * change are not in force until the change is.
 */
static void make_room(struct change *change, uint32_t lacking)
{
	struct sl_ids_table *table = change->table;
	struct sl_ids_order order = {.count = 0};
	bool in[SLUICE_IDS_RULES], ends[SLUICE_IDS_RULES] = {false};
	uint8_t place[SLUICE_IDS_RULES] = {0};

	/* those that go anyway first */
	for (int round = 0; round < 2; round++) {
		for (uint32_t slot = 0; slot < SLUICE_IDS_RULES && lacking; slot++) {
			if (!table->slot[slot].in_force || change->kept[slot] || ends[slot] ||
			    (round == 0 && change->successor[slot] != SLUICE_NONE))
				continue;
			ends[slot] = true;
			lacking--;
			change->result.interrupted += change->successor[slot] != SLUICE_NONE;
		}
	}
	for (uint32_t old = 0; old < table->order.count; old++) {
		const uint32_t base = table->order.base[old];

		if (ends[base])
			continue;
		for (uint32_t slot = 0; slot < SLUICE_IDS_RULES; slot++)
			if (table->slot[slot].in_force && table->slot[slot].place == old)
				place[slot] = (uint8_t)order.count;
		order.base[order.count++] = base;
	}
	for (uint32_t slot = 0; slot < SLUICE_IDS_RULES; slot++) {
		const struct sl_ids_slot *at = &table->slot[slot];

		/* with its base an override goes, too; its slot stays its own until it is freed */
		in[slot] = at->in_force && !ends[slot] && !ends[table->order.base[at->place]];
	}
	sl_ids_lead(table, &order, in, place, table->maps.settings->overrides);
	for (uint32_t slot = 0; slot < SLUICE_IDS_RULES; slot++) {
		const uint32_t next = change->successor[slot];

		if (!ends[slot])
			continue;
		if (next == SLUICE_NONE) {
			tell_gone(change, image_of(change, slot)->identity);
			change->result.removed++;
		} else {
			change->ended[next] = final_image(change, slot);
		}
		sl_ids_slot_free(table, slot);
	}
	table->order = order;
	for (uint32_t slot = 0; slot < SLUICE_IDS_RULES; slot++)
		table->slot[slot].place = place[slot];
}

/* --- writing -------------------------------------------------------------------------------- */

static uint64_t longest_window(const struct sluice_ids_rule *image)
{
	uint64_t longest = 0;

	for (uint32_t i = 0; i < image->limit_count; i++)
		if (image->limit[i].window_ns > longest)
			longest = image->limit[i].window_ns;
	return longest;
}

/* Rules of the same longest window share a filter. While more are wanted than there are, one is shared
 * that should not be: it counts too much then, and keys get states that need none. */
static uint8_t pick_sketch(const struct change *change, const struct sl_ids_rule *rule)
{
	bool used[SLUICE_IDS_SKETCHES + 1] = {false};

	if (!rule->image.sketch)
		return 0;
	for (uint32_t slot = 0; slot < SLUICE_IDS_RULES; slot++) {
		const struct sluice_ids_rule *image = image_of(change, slot);

		if (!image->in_use || !image->sketch || image->sketch > SLUICE_IDS_SKETCHES)
			continue;
		if (longest_window(image) == longest_window(&rule->image))
			return image->sketch;
		used[image->sketch] = true;
	}
	for (uint8_t sketch = 1; sketch <= SLUICE_IDS_SKETCHES; sketch++)
		if (!used[sketch])
			return sketch;
	return SLUICE_IDS_SKETCHES;
}

static int write_rule(struct change *change, uint32_t i, struct sl_error *err)
{
	const struct sl_ids_maps *maps = &change->table->maps;
	const struct sl_ids_rule *rule = &change->rules->rule[i];
	const uint32_t slot = change->slot[i];
	struct sluice_ids_rule *image = image_of(change, slot), next = rule->image;
	int rc;

	rc = maps->counts_clear(slot, maps->user);
	if (rc < 0)
		return sl_error(err, -rc, "the map ids_rule_counts: %s", strerror(-rc));
	next.in_use = 0;
	next.first_match = slot * SLUICE_IDS_MATCHES_PER_RULE;
	next.steer = change->steer[i] == NOT_TAKEN ? 0 : change->steer[i];
	next.sketch = pick_sketch(change, rule);
	next.blocks = 0;
	memcpy(&maps->matches[next.first_match], rule->match, sizeof(rule->match));
	if (change->ended[i].in_use) {
		next.blocks = change->ended[i].blocks;
		hand_over(change, &change->ended[i], &next);
	}
	*image = next;
	for (uint32_t old = 0; old < SLUICE_IDS_RULES; old++) {
		if (!change->table->slot[old].in_force || change->successor[old] != i)
			continue;
		change->blocks[old] = __atomic_load_n(&image_of(change, old)->blocks, __ATOMIC_RELAXED);
		image->blocks = change->blocks[old];
	}
	__atomic_store_n(&image->in_use, 1, __ATOMIC_RELEASE);
	return 0;
}

/* Everything that can fail for want of memory or slots, before anything is written. */
static int take_what_is_needed(struct change *change, struct sl_error *err)
{
	const struct sl_ids_maps *maps = &change->table->maps;

	for (uint32_t i = 0; i < change->rules->count; i++)
		change->steer[i] = NOT_TAKEN;
	for (uint32_t i = 0; i < change->rules->count; i++) {
		const struct sl_ids_rule *rule = &change->rules->rule[i];
		int rc;

		change->copy[i] = malloc(sizeof(*change->copy[i]));
		if (!change->copy[i])
			return sl_error(err, ENOMEM, "out of memory");
		if (sl_ids_rule_copy(rule, change->copy[i]) < 0) {
			free(SL_TAKE(change->copy[i]));
			return sl_error(err, ENOMEM, "out of memory");
		}
		if (change->slot[i] != NOT_TAKEN || rule->image.verdict != SLUICE_IDS_MIRROR)
			continue;
		rc = maps->steer_take(rule->mirror, &change->steer[i], err, maps->user);
		if (rc < 0) {
			change->steer[i] = NOT_TAKEN;
			return sl_error_prefix(err, rc, "rule %s: mirror", rule->name);
		}
	}
	return 0;
}

static void give_back(struct change *change)
{
	const struct sl_ids_maps *maps = &change->table->maps;

	for (uint32_t i = 0; i < change->rules->count; i++) {
		if (change->copy[i]) {
			sl_ids_rule_clear(change->copy[i]);
			free(change->copy[i]);
		}
		if (change->steer[i] != NOT_TAKEN)
			maps->steer_put(change->steer[i], maps->user);
		if (change->fresh[i])
			memset(image_of(change, change->slot[i]), 0, sizeof(struct sluice_ids_rule));
	}
}

/* --- after the switch -------------------------------------------------------------------------- */

static void free_what_is_before(struct change *change)
{
	struct sl_ids_table *table = change->table;

	for (uint32_t slot = 0; slot < SLUICE_IDS_RULES; slot++) {
		const uint32_t next = change->successor[slot];

		if (!table->slot[slot].in_force || change->kept[slot])
			continue;
		if (next != SLUICE_NONE) {
			const struct sluice_ids_rule before = final_image(change, slot);
			struct sluice_ids_rule *after = image_of(change, change->slot[next]);

			hand_over(change, &before, after);
			/* those that packets made between the copy and the switch */
			__atomic_fetch_add(&after->blocks, before.blocks - change->blocks[slot],
					   __ATOMIC_RELAXED);
		} else {
			tell_gone(change, image_of(change, slot)->identity);
			change->result.removed++;
		}
		sl_ids_slot_free(table, slot);
	}
}

static void settle(struct change *change)
{
	struct sl_ids_table *table = change->table;

	for (uint32_t i = 0; i < change->rules->count; i++) {
		struct sl_ids_slot *slot = &table->slot[change->slot[i]];

		if (slot->rule) {
			sl_ids_rule_clear(slot->rule);
			free(slot->rule);
		}
		*slot = (struct sl_ids_slot){
			.in_force = true, .place = change->place[i], .rule = change->copy[i]};
		change->copy[i] = NULL;
		change->steer[i] = NOT_TAKEN;
		change->fresh[i] = false;
	}
	table->order = change->order;
}

/* --- the change ------------------------------------------------------------------------------ */

static int write_rules(struct change *change, struct sl_error *err)
{
	int rc = 0;

	for (uint32_t i = 0; rc == 0 && i < change->rules->count; i++) {
		if (change->slot[i] != NOT_TAKEN)
			continue;
		change->slot[i] = find_free(change);
		change->fresh[i] = true;
		rc = write_rule(change, i, err);
	}
	return rc;
}

/* It was in force before, with another text. */
static bool is_known(const struct change *change, uint32_t i)
{
	for (uint32_t slot = 0; slot < SLUICE_IDS_RULES; slot++)
		if (change->table->slot[slot].in_force && change->successor[slot] == i)
			return true;
	return change->ended[i].in_use;
}

static bool is_unchanged(const struct change *change)
{
	return change->result.kept == change->rules->count &&
	       sl_ids_rules_count(change->table) == change->rules->count &&
	       change->order.count == change->table->order.count &&
	       memcmp(change->order.base, change->table->order.base,
		      change->order.count * sizeof(change->order.base[0])) == 0;
}

static int run(struct change *change, struct sl_error *err)
{
	_cleanup_(sl_ids_pairs_clear) struct sl_ids_pairs present = {.pair = NULL}, wanted = {.pair = NULL};
	struct sl_ids_table *table = change->table;
	bool in[SLUICE_IDS_RULES] = {false};
	uint8_t place[SLUICE_IDS_RULES] = {0};
	uint32_t lacking;
	int rc;

	keep_what_is_the_same(change);
	rc = take_what_is_needed(change, err);
	if (rc < 0)
		return rc;
	lacking = count_lacking(change);
	if (lacking)
		make_room(change, lacking);
	rc = write_rules(change, err);
	if (rc < 0)
		return rc;
	make_order(change);
	rc = sl_ids_pairs_present(&table->maps, &present);
	if (rc == 0)
		rc = sl_ids_pairs_wanted(change->rules, change->slot, change->base, &wanted);
	if (rc < 0)
		return sl_error(err, -rc, "the map ids_overrides: %s", strerror(-rc));
	rc = sl_ids_pairs_write(&table->maps, &wanted, &present, err);
	if (rc < 0)
		return rc;
	for (uint32_t i = 0; i < change->rules->count; i++) {
		in[change->slot[i]] = true;
		place[change->slot[i]] = change->place[i];
		if (change->fresh[i] && is_known(change, i))
			change->result.changed++;
		else
			change->result.added += change->fresh[i];
	}
	if (is_unchanged(change)) {
		settle(change);
		return 0;
	}
	sl_ids_lead(table, &change->order, in, place, wanted.count > 0);
	sl_ids_pairs_prune(&table->maps, &wanted, &present);
	table->overrides = (uint32_t)wanted.count;
	free_what_is_before(change);
	settle(change);
	table->changes++;
	return 0;
}

int sl_ids_rules_apply(struct sl_ids_table *table, const struct sl_ids_rules *rules,
		       struct sl_ids_applied *out, struct sl_error *err)
{
	struct change *change = calloc(1, sizeof(*change));
	struct sl_error problem = {""};
	int rc;

	if (rules->count > SLUICE_IDS_RULES)
		rc = sl_error(&problem, E2BIG, "%u IDS rules; allowed: %d", rules->count, SLUICE_IDS_RULES);
	else if (!change)
		rc = sl_error(&problem, ENOMEM, "out of memory");
	else {
		change->table = table;
		change->rules = rules;
		rc = run(change, &problem);
		if (rc == 0 && out)
			*out = change->result;
		give_back(change);
	}
	free(change);
	table->problem = problem;
	if (rc < 0) {
		table->refusals++;
		if (err)
			*err = problem;
	}
	return rc;
}
