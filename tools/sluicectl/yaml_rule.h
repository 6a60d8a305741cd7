/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of `activate` and `set-rules` have in common: rules, names of rules, IMSIs. */
#ifndef CTL_YAML_RULE_H
#define CTL_YAML_RULE_H

#include <stdbool.h>

#include "arena.h"
#include "config/yaml.h"
#include "magma/lte/policydb.pb-c.h"

/*
 * A rule with all that it says, or one with nothing but its id: a rule of the
 * policy directory, of which the message has the id alone (*is_named). `more`:
 * keys that both may have and the caller reads, NULL-terminated, at most 8.
 * -EINVAL and FILE:LINE. The message is in the arena.
 */
int yaml_rule_read(struct arena *arena, struct sl_yaml_node node, const char *const *more,
		   Magma__Lte__PolicyRule **out, bool *is_named, struct sl_error *err);

/* A list of names, at most `max`; none where it is absent. */
int yaml_names_read(struct arena *arena, struct sl_yaml_node node, size_t max, char ***out, size_t *count,
		    struct sl_error *err);

/* Digits, with or without "IMSI" before them; what comes out is digits. */
int yaml_imsi_read(struct sl_yaml_node node, char out[16], struct sl_error *err);

/* A text of less than `size` bytes into the arena; an absent one leaves *out alone. */
int yaml_text_read(struct arena *arena, struct sl_yaml_node node, size_t size, char **out,
		   struct sl_error *err);

#endif
