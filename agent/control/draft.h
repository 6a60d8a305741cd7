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
	bool metered[SLUICE_DIRECTIONS];	  /* a use of a meter that this draft took */
	uint32_t unused_meter[SLUICE_DIRECTIONS]; /* to be put once published */
	bool fell_back;				  /* to a meter, because no class was free */
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
	/* of the session, after this update */
	uint64_t ambr[SLUICE_DIRECTIONS];
	uint64_t ambr_word[SLUICE_DIRECTIONS];
	bool ambr_asked;		   /* by this request: its rate holds for a twin, too */
	uint32_t meter[SLUICE_DIRECTIONS]; /* slot + 1; 0: none */
	bool metered[SLUICE_DIRECTIONS];   /* a use that this draft took */
};

/*
 * classes.c: the queues of an entry, one for each direction that needs one, or
 * the meters in their place. A rule that the twin has, too, is in the twin's: the
 * MBR is the subscriber's, whatever the address family. On failure nothing is taken.
 */
int sl_classes_set(struct sl_draft *draft, struct sl_entry *entry, struct sl_error *err);
/* The same, but a queue that is there keeps its rate: nobody asked for another. */
int sl_classes_keep(struct sl_draft *draft, struct sl_entry *entry, struct sl_error *err);
/* Gives back what the draft took for this entry, classes and meters only. */
void sl_classes_undo(struct sl_draft *draft, struct sl_entry *entry);
/* Forgets what was noted; the entry's binding is the present one again. */
void sl_classes_forget(struct sl_entry *entry);

/*
 * meters.c: first the session's, then those of rules where a class is not wanted
 * or not to be had, then the bindings. Rates of meters in use change at the commit.
 */
int sl_meters_begin(struct sl_draft *draft, const struct sl_update *update, struct sl_error *err);
void sl_meters_abandon(struct sl_draft *draft); /* the session's; entries are undone one by one */
bool sl_meter_is_wanted(const struct sl_draft *draft, const struct sl_entry *entry, int direction);
int sl_meter_set(struct sl_draft *draft, struct sl_entry *entry, int direction, struct sl_error *err);
void sl_meter_unset(struct sl_entry *entry, int direction);
void sl_meters_bind(struct sl_draft *draft);
void sl_meters_commit(struct sl_draft *draft); /* published */

#endif
