/* SPDX-License-Identifier: Apache-2.0 */
/* What may stand in a file of the policy directory: one section a top-level key. Private to the folder. */
#ifndef SL_CATALOG_SECTION_H
#define SL_CATALOG_SECTION_H

#include <uthash.h>

#include "catalog/catalog.h"
#include "config/yaml.h"
#include "policy/profile.h"

/* A rule or a base name; both are found by name, and a name is only one of them. */
struct sl_catalog_entry {
	char name[SLUICE_RULE_ID_SIZE];
	bool is_base_name;
	struct sl_rule rule;	      /* of a rule */
	const struct sl_rule **rules; /* what the name stands for; owned */
	size_t rule_count;
	char file[64];
	unsigned int line;
	struct sl_yaml_node node; /* while reading: where it stands */
	UT_hash_handle hh;
};

struct sl_catalog_profile {
	struct sl_profile profile;
	char file[64];
	unsigned int line;
	UT_hash_handle hh; /* by profile.name */
};

struct sl_catalog {
	struct sl_catalog_entry *entries;
	struct sl_catalog_profile *profiles;
	size_t rule_count;
	size_t base_name_count;
	size_t file_count;
	const char *const *access; /* while reading: where no rule may send packets */
	size_t part_count;
	struct {
		const struct sl_catalog_part *part;
		void *content; /* owned, by part->free */
	} part[SL_CATALOG_PARTS];
};

struct sl_catalog_section {
	const char *key;
	/* Of one file; may be called several times. */
	int (*read)(struct sl_catalog *catalog, struct sl_yaml_node node, struct sl_error *err);
	/* Once, when all sections of all files are read; may be NULL. */
	int (*check)(struct sl_catalog *catalog, struct sl_error *err);
};

extern const struct sl_catalog_section sl_catalog_profiles, sl_catalog_rules, sl_catalog_base_names;

void sl_catalog_free_profiles(struct sl_catalog *catalog);

/* The last part of the path of the node's file. */
const char *sl_catalog_file(struct sl_yaml_node node);

/* Adds an entry for what stands at the node; -EINVAL when the name is taken. */
int sl_catalog_add(struct sl_catalog *catalog, const char *name, struct sl_yaml_node node,
		   struct sl_catalog_entry **out, struct sl_error *err);
struct sl_catalog_entry *sl_catalog_find(const struct sl_catalog *catalog, const char *name);

#endif
