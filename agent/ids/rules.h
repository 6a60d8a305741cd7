/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The IDS rules in force: what the policy directory says, in the maps. Each
 * reading replaces all rules at once: a packet meets those before or those
 * after, never some of both. A rule whose text is the same stays where it is, with
 * its states, counts and blocks; so does one of another severity or block time,
 * in another slot. Where it counts something else, its states begin anew.
 */
#ifndef SL_IDS_RULES_H
#define SL_IDS_RULES_H

#include "catalog/part.h"
#include "ids/rule.h"

/*
 * Pairs of a subscriber and a rule, exemptions included, of a whole directory. More are
 * refused. The map has room for twice as many: those before and after are there together.
 */
#define SL_IDS_OVERRIDES 32768

/* The section `ids` of the policy directory; its content is a struct sl_ids_rules, sealed. */
extern const struct sl_catalog_part sl_ids_section;

/* The maps. What is not memory is behind calls, each 0 or -errno. */
struct sl_ids_maps {
	struct sluice_ids_settings *settings;
	struct sluice_ids_rule *rules;	  /* SLUICE_IDS_RULES */
	struct sluice_ids_match *matches; /* SLUICE_IDS_MATCHES */

	int (*override_set)(const struct sluice_ids_override *key, uint32_t slot, void *user);
	int (*override_delete)(const struct sluice_ids_override *key, void *user);
	/* Every entry once; visit may delete the one that it is given. */
	int (*override_each)(int (*visit)(const struct sluice_ids_override *key, uint32_t slot,
					  void *context),
			     void *context, void *user);
	/* Sums over CPUs; `sequence` and `told_ns` are not summed. */
	int (*counts_read)(uint32_t slot, struct sluice_ids_rule_count *out, void *user);
	int (*counts_clear)(uint32_t slot, void *user); /* no packet is at the slot */

	/* Slots in steers, for copies to an interface; `adopt`: the slot that the maps have already. */
	int (*steer_take)(const char *interface, uint32_t *slot, struct sl_error *err, void *user);
	int (*steer_adopt)(uint32_t slot, void *user);
	void (*steer_put)(uint32_t slot, void *user);

	void (*wait)(void *user); /* until no packet is under way that has seen what was there before */
	/*
	 * The rule of this identity is no more, or tracks or does another thing: its
	 * blocks end, with reason "reload". No packet looks for them any more. May be NULL.
	 */
	void (*gone)(uint32_t identity, void *user);
	void *user;
};

struct sl_ids_table;

/*
 * Takes over what the maps hold: rules of an earlier start are in force, though
 * nothing but their image is known of them until sl_ids_rules_apply. What a crash
 * left half done is cleared. `maps` is copied. -ENOMEM.
 */
int sl_ids_rules_open(const struct sl_ids_maps *maps, struct sl_ids_table **out, struct sl_error *err);
void sl_ids_rules_close(struct sl_ids_table *table); /* the maps stay as they are */

struct sl_ids_applied {
	uint32_t kept;	  /* as they were */
	uint32_t changed; /* in force before with another text */
	uint32_t added;
	uint32_t removed;
	/*
	 * Rules that were not in force for a moment (some ten ms), because there were fewer free slots than
	 * rules to change: before and after together are more than SLUICE_IDS_RULES.
	 */
	uint32_t interrupted;
};

/*
 * Makes exactly these the rules in force; they are copied. An error leaves the
 * rules before in force, unless some of them had to be interrupted: -ENOSPC, a
 * map is full, -ENOMEM, or the errno of the kernel. *out may be NULL. Waits
 * for packets under way: some ten ms.
 */
int sl_ids_rules_apply(struct sl_ids_table *table, const struct sl_ids_rules *rules,
		       struct sl_ids_applied *out, struct sl_error *err);

struct sl_ids_rules_status {
	uint64_t changes;    /* readings that changed something, since sl_ids_rules_open */
	uint64_t refusals;   /* that could not be put into the maps */
	const char *problem; /* of the last reading, valid until the next; NULL: it is in force */
	uint32_t overrides;  /* pairs of a subscriber and a rule in the map */
};
void sl_ids_rules_status(const struct sl_ids_table *table, struct sl_ids_rules_status *out);

/* --- views: valid until the next apply ------------------------------------------------- */

struct sl_ids_view {
	uint32_t slot;
	uint32_t place; /* in the order of deciding, from 0; of an override that of its name */
	const struct sl_ids_rule *rule; /* NULL: of an earlier start, not read again yet */
	const struct sluice_ids_rule *image;
};

/* In the order of deciding, of one name first the one that packets are led to. Non-zero ends the walk. */
int sl_ids_rules_each(const struct sl_ids_table *table,
		      int (*visit)(const struct sl_ids_view *view, void *user), void *user);
uint32_t sl_ids_rules_count(const struct sl_ids_table *table);

/* NULL: no rule is in force in this slot, or it was not read yet. */
const struct sl_ids_rule *sl_ids_rules_at(const struct sl_ids_table *table, uint32_t slot);
/* In force, whether read yet or not; NULL: none. Written to by packets. */
struct sluice_ids_rule *sl_ids_rules_image(const struct sl_ids_table *table, uint32_t slot);
/* The slot, SLUICE_NONE if there is none. By name: the rule for all, or the first one of the name. */
uint32_t sl_ids_rules_find(const struct sl_ids_table *table, const char *name);
uint32_t sl_ids_rules_by_identity(const struct sl_ids_table *table, uint32_t identity);

/* Whether a place's rule is asked about a subscriber: the slot that judges him; SLUICE_NONE: none does. */
uint32_t sl_ids_rules_for(const struct sl_ids_table *table, uint32_t place, const char *imsi);

/* What a rule has counted, in slots that it had before, too. `sequence` and `told_ns` are 0. */
int sl_ids_rules_counts(const struct sl_ids_table *table, uint32_t slot, struct sluice_ids_rule_count *out);

#endif
