/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A section of the policy directory's files that belongs to another part of the
 * agent. It is read with the rules, all or nothing, and what it came to lives
 * as long as the catalogue.
 */
#ifndef SL_CATALOG_PART_H
#define SL_CATALOG_PART_H

#include "base/error.h"
#include "config/yaml.h"

#define SL_CATALOG_PARTS 8 /* of one catalogue */

struct sl_catalog;

struct sl_catalog_part {
	const char *key; /* on the files' top level */
	/* What one reading comes to, still empty; NULL: out of memory. */
	void *(*make)(void);
	/* Of one file; may be called several times, in the order of the files' names. Keeps the node for
	 * check. */
	int (*read)(void *content, struct sl_yaml_node node, struct sl_error *err);
	/*
	 * Once, when all sections of all files are read; the nodes end with it. `access`
	 * is as in sl_catalog_load. May be NULL.
	 */
	int (*check)(void *content, const struct sl_catalog *catalog, const char *const *access,
		     struct sl_error *err);
	void (*free)(void *content);
};

#endif
