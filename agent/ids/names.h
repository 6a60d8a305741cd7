/* SPDX-License-Identifier: Apache-2.0 */
/* The words of IDS rules: the same in files, in alerts and on the screen. */
#ifndef SL_IDS_NAMES_H
#define SL_IDS_NAMES_H

#include "ids/rule.h"

/* NULL-terminated; the name of value v is at v - 1, since all of these begin at 1. */
extern const char *const sl_ids_tracks[];   /* enum sluice_ids_track */
extern const char *const sl_ids_counts[];   /* enum sluice_ids_count */
extern const char *const sl_ids_kinds[];    /* enum sluice_ids_kind */
extern const char *const sl_ids_verdicts[]; /* enum sluice_ids_verdict */

/* Static texts; "?" for a value that is none. */
const char *sl_ids_track_name(unsigned int track);
const char *sl_ids_count_name(unsigned int count);
const char *sl_ids_kind_name(unsigned int kind);
const char *sl_ids_verdict_name(unsigned int verdict);

/* Of a rule's limit; "" where the agent judges, which knows no kinds. */
const char *sl_ids_limit_kind(const struct sluice_ids_rule *rule, uint32_t limit);

/* The value, 0 for a word that is none. */
unsigned int sl_ids_track_value(const char *name);

#endif
