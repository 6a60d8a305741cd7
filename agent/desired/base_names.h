/* SPDX-License-Identifier: Apache-2.0 */
/* The names by which sessions were activated; private to the folder. */
#ifndef SL_DESIRED_BASE_NAMES_H
#define SL_DESIRED_BASE_NAMES_H

#include "desired/model.h"

struct sl_base_name {
	UT_hash_handle hh;
	size_t references;
	/* while a catalogue takes another's place: rules of the new one, of the old one; owned arrays */
	const struct sl_rule **added, **removed;
	size_t added_count, removed_count;
	char text[];
};

struct sl_naming {
	struct sl_base_name *word;
	enum sluice_origin origin;
};

/* A session, from its activation to its end. */
struct sl_named {
	struct sl_address address;
	uint64_t since_ns;
	struct sl_naming *entries;
	size_t count, capacity;
	struct sl_named *next;
};

struct sl_named_subscriber {
	char imsi[SLUICE_IMSI_SIZE];
	struct sl_named *sessions;
	UT_hash_handle hh;
};

struct sl_base_names {
	struct sl_base_name *words;
	struct sl_named_subscriber *subscribers;
	size_t entries; /* of all sessions */
	bool full;	/* said once, until there is room again */
};

/* Forgets the session's names; it goes with the next sl_named_collect. */
void sl_named_clear(struct sl_base_names *names, struct sl_named *named);
/* Sessions without names go, and the subscriber if he has no other. */
void sl_named_collect(struct sl_base_names *names, struct sl_named_subscriber *subscriber);

#endif
