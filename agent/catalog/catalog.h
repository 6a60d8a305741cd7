/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operator's rules by name, read from the policy directory: rules by their
 * ids, base names (3GPP TS 29.212 clause 5.3.7), each of which stands for
 * several rules, and QoS profiles, which rules take their rates from. A catalogue
 * is made whole and never changes; the next one takes its place.
 */
#ifndef SL_CATALOG_H
#define SL_CATALOG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "catalog/part.h"
#include "policy/profile.h"
#include "policy/rule.h"

/* At each of these bounds the whole catalogue is refused. */
#define SL_CATALOG_FILES      256
#define SL_CATALOG_BYTES      (8u << 20) /* of all files; about half a second of reading */
#define SL_CATALOG_RULES      16384
#define SL_CATALOG_BASE_NAMES 4096
#define SL_CATALOG_PROFILES   1024

struct sl_catalog;

/*
 * Reads every file of the directory whose name ends in .yaml and does not begin
 * with a dot, in the order of their names. Any error in any of them is the error
 * of all: -EINVAL and FILE:LINE, -EFBIG, -ENOMEM, or the errno of reading.
 * `access`: interfaces that no rule may send packets to, as sl_rule_check_steer.
 */
int sl_catalog_load(const char *directory, const char *const *access, struct sl_catalog **out,
		    struct sl_error *err);
void sl_catalog_free(struct sl_catalog *catalog);

/* The same with sections of others, NULL after the last; `parts` NULL: none. */
int sl_catalog_load_with(const char *directory, const char *const *access,
			 const struct sl_catalog_part *const *parts, struct sl_catalog **out,
			 struct sl_error *err);

/* What the part's sections came to, also when no file has one; NULL: the catalogue was read without the part.
 */
const void *sl_catalog_content(const struct sl_catalog *catalog, const struct sl_catalog_part *part);

/* A NULL catalogue has no rules. Rules live as long as their catalogue; is_static is set in all of
 * them, and those with a QoS profile have its values. */
const struct sl_rule *sl_catalog_rule(const struct sl_catalog *catalog, const char *id);

/* What a name stands for: the rule of this id, or those of this base name in the file's order. 0: unknown. */
size_t sl_catalog_resolve(const struct sl_catalog *catalog, const char *name,
			  const struct sl_rule *const **rules);

struct sl_catalog_view {
	const char *name;
	bool is_base_name;
	const struct sl_rule *const *rules; /* of a rule: itself */
	size_t rule_count;
	const char *file; /* without the directory */
	unsigned int line;
};

/* In order of reading: rules and base names as they stand in the files. Non-zero from visit ends the walk. */
int sl_catalog_each(const struct sl_catalog *catalog,
		    int (*visit)(const struct sl_catalog_view *view, void *user), void *user);

/* NULL: unknown. Lives as long as its catalogue. */
const struct sl_profile *sl_catalog_profile(const struct sl_catalog *catalog, const char *name);

/* In order of reading, with where it stands (the file without the directory). Non-zero ends the walk. */
int sl_catalog_each_profile(const struct sl_catalog *catalog,
			    int (*visit)(const struct sl_profile *profile, const char *file,
					 unsigned int line, void *user),
			    void *user);

size_t sl_catalog_profile_count(const struct sl_catalog *catalog);
size_t sl_catalog_rule_count(const struct sl_catalog *catalog);
size_t sl_catalog_base_name_count(const struct sl_catalog *catalog);
size_t sl_catalog_file_count(const struct sl_catalog *catalog);

#endif
