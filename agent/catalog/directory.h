/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy directory while the agent runs: the catalogue in force, and the
 * next one when its files have changed. A directory with any error leaves the
 * catalogue in force as it is.
 */
#ifndef SL_CATALOG_DIRECTORY_H
#define SL_CATALOG_DIRECTORY_H

#include <stdint.h>

#include "catalog/catalog.h"

struct event_base;
struct sl_policy_directory;

/*
 * Reads the directory and watches it. What is wrong with it is not an error
 * here: it is logged, the status has it, and what is put right is read then.
 * `on_read` (may be NULL) runs after every further reading. If it went well,
 * another catalogue is in force, and the one before is gone when it returns.
 * `access` and `parts` are as in sl_catalog_load_with, and stay the caller's. -ENOMEM, -EMFILE.
 */
int sl_policy_directory_open(struct event_base *base, const char *path, const char *const *access,
			     const struct sl_catalog_part *const *parts, void (*on_read)(void *user),
			     void *user, struct sl_policy_directory **out, struct sl_error *err);
void sl_policy_directory_close(struct sl_policy_directory *directory);

/* Reads it now, changed or not (SIGHUP). */
void sl_policy_directory_reload(struct sl_policy_directory *directory);

/* NULL as long as nothing could be read. A NULL directory has none. */
const struct sl_catalog *sl_policy_directory_catalog(const struct sl_policy_directory *directory);

struct sl_policy_status {
	const char *path;
	uint64_t loaded_ms;  /* since 1970, of the catalogue in force; 0: there is none */
	uint32_t loads;	     /* that brought a catalogue into force */
	uint32_t failures;   /* that did not */
	const char *problem; /* of the last load; NULL: it went well */
};
void sl_policy_directory_status(const struct sl_policy_directory *directory, struct sl_policy_status *out);

#endif
