/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which alerts are told: a rule's `log`, and how many packets its `evidence` wants of an
 * offence. An offence of a key begins with its first alert, and is over when the key was quiet for as
 * long as the rule's longest window, or when its block ends. Begin and end of blocks are always told.
 */
#ifndef SL_IDS_LOG_H
#define SL_IDS_LOG_H

#include <stdbool.h>
#include <stdint.h>

#include "ids/alert.h"
#include "ids/rule.h"

/* Keys at once. At the bound the one that was quiet longest gives way; what it held back the next alert
 * tells. */
#define SL_IDS_LOG_KEYS 65536

struct sl_ids_log_table;

struct sl_ids_log_table *sl_ids_log_new(void); /* NULL: out of memory */
void sl_ids_log_free(struct sl_ids_log_table *log);

struct sl_ids_log_answer {
	bool tell;
	bool evidence;	     /* its headers are wanted, told or not */
	uint64_t suppressed; /* told: what this one stands for, with the alert's own */
};

/*
 * `rule` and `key` may be NULL: always told. `now`: monotonic ns. Over all alerts the sum of 1 + suppressed
 * of those told, and what is held back still, is that of the alerts that were asked about.
 */
struct sl_ids_log_answer sl_ids_log_ask(struct sl_ids_log_table *log, const struct sl_ids_rule *rule,
					const struct sl_ids_alert *alert, const struct sluice_ids_key *key,
					uint64_t now);

/* Alerts that were not told, with what they stood for, ever; and how many of them no line has told of yet. */
void sl_ids_log_suppressed(const struct sl_ids_log_table *log, uint64_t *total, uint64_t *held);

#endif
