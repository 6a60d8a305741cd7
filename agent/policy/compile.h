/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ordered rules -> match lists, the image that packets scan. Pure: no BPF, no
 * sockets, no clock.
 *
 * The order is total (docs/architecture.md, "Rules"): GY before GX, then the
 * smaller precedence, then the rule id in byte order. A flow becomes one entry
 * in the list of its direction when its family fits; the first entry that
 * matches a packet decides.
 */
#ifndef SL_POLICY_COMPILE_H
#define SL_POLICY_COMPILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "policy/rule.h"
#include "sluice/maps.h"

/* One rule as installed in a session; the array that is compiled holds these. */
struct sl_install {
	struct sl_rule *rule;
	enum sluice_origin origin;
	uint32_t version;
	struct sluice_binding binding;
	uint64_t since_ns;
};

/* <0, 0, >0 as a comes before, equals, comes after b in the total order. A session has an
 * (origin, rule id) once, so that two of its installs are never equal. */
int sl_install_compare(const struct sl_install *a, const struct sl_install *b);
void sl_install_sort(struct sl_install *installs, size_t count);

struct sl_match_list {
	uint32_t count;	 /* entries */
	uint32_t blocks; /* whole blocks; the rest of the last one is zero */
	/* of the family compiled for; the other pointer is NULL */
	struct sluice_match4_block *block4;
	struct sluice_match6_block *block6;
};

/* The compiled lists of one family; equal images can be shared. */
struct sl_ruleset_image {
	uint32_t family;
	struct sl_match_list list[SLUICE_DIRECTIONS];
	uint64_t hash;
};

/*
 * Compiles installs that are already in order; the ordinal in each entry is
 * the index in the array. Rules without a fitting flow simply have no entry.
 * -E2BIG over SLUICE_MATCHES_PER_DIRECTION or SLUICE_RULES_PER_SESSION;
 * -ENOMEM. Free the image with sl_ruleset_image_clear.
 */
int sl_compile(const struct sl_install *installs, size_t count, uint32_t family, struct sl_ruleset_image *out,
	       struct sl_error *err);
void sl_ruleset_image_clear(struct sl_ruleset_image *image);

/* Sets image->hash from the lists: for an image that was read back from the maps. */
void sl_ruleset_image_rehash(struct sl_ruleset_image *image);
int sl_ruleset_image_equal(const struct sl_ruleset_image *a, const struct sl_ruleset_image *b);

#endif
