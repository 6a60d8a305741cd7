/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Maps of IDS rules in memory, a policy directory, and a model of a packet's way through them. While a
 * change is watched, every step of it is looked at through the model: it shows the rules before or those
 * after, whole.
 */
#ifndef SL_TEST_IDS_WORLD_H
#define SL_TEST_IDS_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "catalog/catalog.h"
#include "ids/rules.h"
#include "policy_files.h"

#define PAIRS 70000
#define VIEW  8192

#define A "001010000000001"
#define B "001010000000002"
#define C "001010000000003"

struct ids_world {
	struct policy_files *files;
	struct sluice_ids_settings settings;
	struct sluice_ids_rule rules[SLUICE_IDS_RULES];
	struct sluice_ids_match matches[SLUICE_IDS_MATCHES];
	struct sluice_ids_rule_count counts[SLUICE_IDS_RULES];
	struct {
		struct sluice_ids_override key;
		uint32_t slot;
		bool used;
	} pair[PAIRS];
	uint32_t pair_top, pair_room;
	uint32_t waits;
	uint32_t gone[256], gone_count;
	uint32_t steers[4];
	struct sl_ids_table *table;
	/* what packets may see while a change is under way, by subscriber */
	bool watching;
	bool seen_after[3];
	char before[3][VIEW], after[3][VIEW];
	uint32_t checks;
};

#define RULE(name, count)                                                                       \
	"  - {name: " name                                                                      \
	", match: {direction: uplink, protocol: tcp}, track: subscriber, limit: {count: " count \
	", window: 1s}}\n"
#define RULE_FOR(name, count, more)                                                             \
	"  - {name: " name                                                                      \
	", match: {direction: uplink, protocol: tcp}, track: subscriber, limit: {count: " count \
	", window: 1s}, " more "}\n"

#define OUTSIDE(name, window) \
	"  - {name: " name    \
	", match: {direction: downlink}, track: source, limit: {count: 5, window: " window "}}\n"

extern const char *const ids_world_imsis[3];
extern const char *const ids_world_access[];
extern const struct sl_catalog_part *const ids_world_parts[];

/* cmocka: *state becomes a world without rules. */
int ids_world_setup(void **state);
int ids_world_teardown(void **state);
/* A start of the agent on the maps as they are. */
void ids_world_start(struct ids_world *world);

/* The rules that judge a subscriber's packets, in order, as text. */
void ids_world_look(const struct ids_world *world, const char *imsi, char out[VIEW]);
void ids_world_assert_view(struct ids_world *world, const char *imsi, const char *wanted);
void ids_world_check(struct ids_world *world);

/* The directory is one file with this text. */
struct sl_catalog *ids_world_load(struct ids_world *world, const char *text);
int ids_world_apply(struct ids_world *world, const char *text, struct sl_ids_applied *out,
		    struct sl_error *err);
struct sl_ids_applied ids_world_apply_ok(struct ids_world *world, const char *text);
struct sl_ids_applied ids_world_apply_watched(struct ids_world *world, const char *text);

#endif
