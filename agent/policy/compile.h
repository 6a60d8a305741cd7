/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ordered rules -> match lists, the image that packets scan. Pure: no BPF, no
 * sockets, no clock.
 *
 * The order is total (docs/architecture.md, "Rules"): final rules, which are a
 * list of their own, after all others; GY before GX, then the
 * smaller precedence, then the rule id in byte order. A flow becomes one entry
 * in the list of its direction when its family fits, and the session's address
 * where it names that; the first entry that matches a packet decides.
 */
#ifndef SL_POLICY_COMPILE_H
#define SL_POLICY_COMPILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "policy/address.h"
#include "policy/match_list.h"
#include "policy/rule.h"
#include "sluice/maps.h"

/* One rule as installed in a session; the array that is compiled holds these. */
struct sl_install {
	struct sl_rule *rule;
	enum sluice_origin origin;
	uint32_t version;
	struct sluice_binding binding; /* usage: the slot alone */
	bool charged; /* as published: what it permits is charged to quotas, SLUICE_USAGE_QUOTA */
	uint32_t meter[SLUICE_DIRECTIONS]; /* of the rule's own MBR: slot in meters + 1; 0: not policed */
	uint32_t guarantee;		   /* of its GBR: slot in the book of admission + 1; 0: none */
	uint64_t since_ns;
	/* SLUICE_STEER_FIRST + slot where uplink that it permits goes, by its session's APN; 0: as routed */
	uint8_t way_out;
};

/* <0, 0, >0 as a comes before, equals, comes after b in the total order. A session has an
 * (origin, rule id) once, so that two of its installs are never equal. */
int sl_install_compare(const struct sl_install *a, const struct sl_install *b);
void sl_install_sort(struct sl_install *installs, size_t count);
/* How many of those in order are not final. */
size_t sl_installs_before_final(const struct sl_install *installs, size_t count);

/* The compiled lists of one family; equal images can be shared. */
struct sl_ruleset_image {
	uint32_t family;
	struct sl_match_list list[SLUICE_DIRECTIONS];
	uint16_t flags; /* enum sluice_policy_flags */
	uint64_t hash;
};

/*
 * Compiles installs that are already in order, for the session at the address;
 * the ordinal in each entry is the index in the array. Rules without a fitting
 * flow simply have no entry. A list over SLUICE_MATCH_BLOCK entries becomes a
 * tree or several (policy/forest.h), with at most eight times its blocks. What
 * `binding` says counts for nothing but whether the rule has a deadline.
 * -E2BIG over SLUICE_MATCHES_PER_DIRECTION or SLUICE_RULES_PER_SESSION;
 * -ENOMEM. Free the image with sl_ruleset_image_clear.
 */
int sl_compile(const struct sl_install *installs, size_t count, const struct sl_address *address,
	       struct sl_ruleset_image *out, struct sl_error *err);

/* Whether what the rule compiles to depends on the session's address, not only on its family. */
bool sl_compiles_by_address(const struct sl_rule *rule);

/*
 * All that the compiled lists depend on besides the order of the rules, the
 * family and what sl_compiles_by_address says. Of rules of one table only.
 */
uint64_t sl_compiles_from(const struct sl_install *install);
void sl_ruleset_image_clear(struct sl_ruleset_image *image);

/* Sets image->hash and image->flags from the lists: for an image that was read back from the maps. */
void sl_ruleset_image_rehash(struct sl_ruleset_image *image);
int sl_ruleset_image_equal(const struct sl_ruleset_image *a, const struct sl_ruleset_image *b);

#endif
