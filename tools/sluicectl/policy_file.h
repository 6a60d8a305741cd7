/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file of `sluicectl activate`: sessions with their rules in YAML, as
 * magma.lte.ActivateFlowsRequest messages. policy_file_example says what may
 * stand in it.
 */
#ifndef CTL_POLICY_FILE_H
#define CTL_POLICY_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define POLICY_FILE_SESSIONS (1u << 20) /* entries in one file; more is refused */

/* One request: a session's GX rules, or its GY rules if it has any. */
struct policy_request {
	char imsi[16];	  /* digits */
	char address[64]; /* for messages: one address, or two with a comma */
	uint32_t rules;	  /* and base names */
	size_t length;
	uint8_t *bytes; /* owned; the packed message */
};

struct policy_file {
	size_t sessions;		 /* addresses: an entry with both families is two */
	size_t count;			 /* requests */
	struct policy_request *requests; /* owned */
};

/* A commented file that policy_file_load takes. */
extern const char policy_file_example[];

/* 0 or -errno; a file with any error is refused whole, with FILE:LINE. */
int policy_file_load(const char *path, struct policy_file *out, struct sl_error *err);
void policy_file_free(struct policy_file *file);

#endif
