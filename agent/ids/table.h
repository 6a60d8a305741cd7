/* SPDX-License-Identifier: Apache-2.0 */
/* What rules.c, apply.c, lead.c and overrides.c share. Private to the folder. */
#ifndef SL_IDS_TABLE_H
#define SL_IDS_TABLE_H

#include "ids/rules.h"

struct sl_ids_slot {
	bool in_force;
	uint8_t place;
	struct sl_ids_rule *rule; /* owned; NULL: not read yet */
};

/* Which slots a packet meets, and as what. */
struct sl_ids_order {
	uint32_t count;
	uint32_t base[SLUICE_IDS_RULES]; /* by place: the slot that packets are led to */
};

struct sl_ids_table {
	struct sl_ids_maps maps;
	struct sl_ids_slot slot[SLUICE_IDS_RULES];
	struct sl_ids_order order;
	uint64_t changes, refusals;
	struct sl_error problem; /* empty: the last reading is in force */
	uint32_t overrides;	 /* in the map */
};

struct sl_ids_pair {
	struct sluice_ids_override key;
	uint32_t slot;
};

/* Entries of ids_overrides, in order. */
struct sl_ids_pairs {
	struct sl_ids_pair *pair; /* owned */
	size_t count, capacity;
};

void sl_ids_pairs_clear(struct sl_ids_pairs *pairs);

/*
 * What leads subscribers from a base to a rule of their own. slot[i] is that of
 * rules->rule[i]; `base` is by rule, too. -ENOMEM.
 */
int sl_ids_pairs_wanted(const struct sl_ids_rules *rules, const uint32_t *slot, const uint32_t *base,
			struct sl_ids_pairs *out);
/* Those of the map. */
int sl_ids_pairs_present(const struct sl_ids_maps *maps, struct sl_ids_pairs *out);

/* Adds and changes; on failure those that are written so far are as before. */
int sl_ids_pairs_write(const struct sl_ids_maps *maps, const struct sl_ids_pairs *wanted,
		       const struct sl_ids_pairs *present, struct sl_error *err);
/* Takes out what is not wanted. */
void sl_ids_pairs_prune(const struct sl_ids_maps *maps, const struct sl_ids_pairs *wanted,
			const struct sl_ids_pairs *present);

/*
 * Leads packets to the rules at these places: by slot, `in` says whether it is in force
 * and `place` where; `overrides`, whether subscribers may have rules of their own. What is
 * to be asked more than before is asked first, what less, after the switch. Waits until no
 * packet reads the order before.
 */
void sl_ids_lead(struct sl_ids_table *table, const struct sl_ids_order *order, const bool *in,
		 const uint8_t *place, bool overrides);

/* A slot that no packet can be at becomes a free one; its steer goes back. */
void sl_ids_slot_free(struct sl_ids_table *table, uint32_t slot);

#endif
