/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A YAML file of the rules that subscribers should have, as the message of
 * SetSessionRules. set_file_example says what may stand in it.
 */
#ifndef CTL_SET_FILE_H
#define CTL_SET_FILE_H

#include <stddef.h>

#include "arena.h"
#include "base/error.h"
#include "magma/lte/session_manager.pb-c.h"

#define SET_FILE_SETS 65536 /* of all subscribers; more is refused, as the agent does */

struct set_file {
	struct arena arena; /* all of the message */
	Magma__Lte__SessionRules message;
	size_t sets, rules; /* rules: and base names */
};

/* A commented file that set_file_load takes. */
extern const char set_file_example[];

/* 0 or -errno; a file with any error is refused whole, with FILE:LINE. */
int set_file_load(const char *path, struct set_file *out, struct sl_error *err);
void set_file_free(struct set_file *file);

#endif
