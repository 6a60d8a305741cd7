/* SPDX-License-Identifier: Apache-2.0 */
/* Parts of an IDS rule in YAML, one file each (ids/document.h). Private to the folder. */
#ifndef SL_IDS_DOCUMENT_PARTS_H
#define SL_IDS_DOCUMENT_PARTS_H

#include "ids/document.h"

/* Each is given the rule's own node and takes its keys. In this order: later ones look at what earlier ones
 * set. */
int sl_ids_read_limits(struct sl_yaml_node node, struct sl_ids_rule *rule, struct sl_error *err);
int sl_ids_read_matches(struct sl_yaml_node node, struct sl_ids_rule *rule, struct sl_error *err);
int sl_ids_read_verdict(struct sl_yaml_node node, struct sl_ids_rule *rule, struct sl_error *err);
int sl_ids_read_block(struct sl_yaml_node node, struct sl_ids_rule *rule, struct sl_error *err);

/* IMSIs, in order, each once; at most SL_IDS_SUBSCRIBERS. *list is the caller's to free. */
int sl_ids_read_imsis(struct sl_yaml_node node, char (**list)[SLUICE_IMSI_SIZE], uint32_t *count,
		      struct sl_error *err);

/* As sl_yaml_duration, in ns. */
int sl_ids_read_duration(struct sl_yaml_node node, uint64_t min_ms, uint64_t max_ms, uint64_t *ns,
			 struct sl_error *err);

#define SL_IDS_MS_NS   1000000ull
#define SL_IDS_DAY_MS  86400000ull
#define SL_IDS_LIFE_MS (365 * SL_IDS_DAY_MS) /* of a block */

#endif
