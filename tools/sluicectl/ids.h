/* SPDX-License-Identifier: Apache-2.0 */
/* The parts of `sluicectl ids`. */
#ifndef CTL_IDS_H
#define CTL_IDS_H

#include <protobuf-c/protobuf-c.h>
#include <stdint.h>

#include "ctl.h"

#define IDS_SUBJECT_SIZE 128
#define IDS_SUBJECTS	 65536 /* of one file */

/* Of alerts; empty or 0: all. */
struct ids_filter {
	char *rule, *imsi;
	uint64_t severity;
};

struct ids_verb {
	char **words; /* of the subject */
	int word_count;
	const char *file; /* instead; NULL: none */
	uint64_t number;  /* instead; 0: none */
	uint64_t hard_ms, idle_ms;
	bool extend;
	char *reason;
};

/* Exit codes. */
int ids_watch(struct ctl *ctl, const struct ids_filter *filter);
int ids_block(struct ctl *ctl, const struct ids_verb *verb);
int ids_unblock(struct ctl *ctl, const struct ids_verb *verb);

/* Connects, calls, closes. *answer is freed by protobuf_c_message_free_unpacked. */
int ids_call(struct ctl *ctl, const char *path, const ProtobufCMessage *request,
	     const ProtobufCMessageDescriptor *type, ProtobufCMessage **answer);

#endif
