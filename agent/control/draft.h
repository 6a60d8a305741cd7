/* SPDX-License-Identifier: Apache-2.0 */
/* The next list of a session's rules while it is being made; private to control/. */
#ifndef SL_CONTROL_DRAFT_H
#define SL_CONTROL_DRAFT_H

#include "control/model.h"

struct sl_entry {
	struct sl_install install;
	const struct sl_install *present;  /* the one it continues, same usage; NULL: it is new */
	const struct sl_install *replaces; /* another version, to be retired; its classes moved here */
	bool requested;			   /* named by this request already */
	bool new_usage;
	bool new_deadline;
	uint32_t revived;			  /* usage taken back from the retired ones; SLUICE_NONE */
	bool assigned[SLUICE_DIRECTIONS];	  /* a use of a class that this draft took */
	uint64_t old_rate[SLUICE_DIRECTIONS];	  /* 0: the rate was not changed */
	uint16_t unused_class[SLUICE_DIRECTIONS]; /* to be released once published */
};

struct sl_draft {
	struct sl_control *control;
	struct sl_session *session;
	struct sl_session *twin;    /* after this update; NULL: none */
	struct sl_session *left[2]; /* published: those that had this one or its twin for theirs */
	bool separate;		    /* classes that others use, too, are left to them */
	struct sl_entry *entries;
	uint32_t count;
	struct sl_install *installs; /* in order, what becomes the session's */
};

/*
 * classes.c: the queues of an entry, one for each direction that needs one. A
 * rule that the twin has, too, is in the twin's queue: the MBR is the
 * subscriber's, whatever the address family. On failure nothing is taken.
 */
int sl_classes_set(struct sl_draft *draft, struct sl_entry *entry, struct sl_error *err);
/* The same, but a queue that is there keeps its rate: nobody asked for another. */
int sl_classes_keep(struct sl_draft *draft, struct sl_entry *entry, struct sl_error *err);
/* Gives back what the draft took for this entry, classes only. */
void sl_classes_undo(struct sl_draft *draft, struct sl_entry *entry);
/* Forgets what was noted; the entry's binding is the present one again. */
void sl_classes_forget(struct sl_entry *entry);

#endif
