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
	uint32_t revived;		  /* usage taken back from the retired ones; SLUICE_NONE */
	bool assigned[SLUICE_DIRECTIONS]; /* a use of a class that this draft took */
	struct sl_qos_rates old_rates[SLUICE_DIRECTIONS]; /* mbr 0: the rates were not changed */
	uint16_t unused_class[SLUICE_DIRECTIONS];	  /* to be released once published */
	bool metered[SLUICE_DIRECTIONS];		  /* a use of a meter that this draft took */
	uint32_t unused_meter[SLUICE_DIRECTIONS];	  /* to be put once published */
	bool preempted;	       /* by another rule of this request, and about to be taken out */
	const char *fell_back; /* to a meter, though there are queues: why; NULL: it did not */
};

struct sl_draft {
	struct sl_control *control;
	struct sl_session *session;
	struct sl_session *twin; /* after this update; NULL: none */
	struct sl_session
		*partner; /* the twin, if it has the same APN: only then they share queues and meters */
	struct sl_session *left[2]; /* published: those that had this one or its twin for theirs */
	bool separate;		    /* classes that others use, too, are left to them */
	uint8_t apn;		    /* its number, after this update */
	struct sl_entry *entries;
	uint32_t count;
	struct sl_install *installs; /* in order, what becomes the session's */
	/* of the session, after this update */
	uint64_t ambr[SLUICE_DIRECTIONS];
	uint64_t ambr_word[SLUICE_DIRECTIONS];
	bool ambr_asked;		      /* by this request: its rate holds for a twin, too */
	uint32_t meter[SLUICE_DIRECTIONS];    /* slot + 1; 0: none */
	bool metered[SLUICE_DIRECTIONS];      /* a use that this draft took */
	uint16_t tree[SLUICE_DIRECTIONS];     /* minor of the class that keeps the AMBR; 0: none */
	bool planted[SLUICE_DIRECTIONS];      /* a use of it that this draft took */
	uint64_t old_ambr[SLUICE_DIRECTIONS]; /* of a tree; 0: it was not changed */
	const char *fell_back;	  /* to a meter for the AMBR, though there are trees: why; NULL: it did not */
	struct sl_session *alone; /* published: the twin of one whose address this one has; NULL */
	struct sl_session *follows; /* published: the twin, whose rates have to be kept as this one's are */
	struct sl_draft_quota *quotas;	     /* quota_drafts.c: of the session, after this update */
	struct sl_session_quota *quota_list; /* the same, as the session has it */
	uint32_t quota_count;
	struct sl_preemption *victims; /* rules whose guarantees it takes, the last one first */
	uint32_t refused; /* guarantees; counted once it is published, as another try may follow */
};

/* subscription.c: the session's record becomes what the draft and the request say. */
void sl_subscription_write(struct sl_draft *draft, const struct sl_session_request *request, bool exact);

/* publish.c, in this order */
void sl_owners_prepare(struct sl_draft *draft, uint32_t policy);
void sl_owners_unprepare(struct sl_draft *draft); /* in place of what follows */
/* One endpoint write; after -errno packets find what they found before. From 0 on nothing can fail. */
int sl_draft_publish(struct sl_draft *draft, const struct sl_image *image, struct sl_error *err);
void sl_draft_commit(struct sl_draft *draft, const struct sl_image *image);

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
/* A rule that has stayed as it was is outside the session's tree, though the AMBR is its limit, too. */
bool sl_classes_escape(const struct sl_draft *draft, const struct sl_entry *entry);
/* It shares the last leaf then: the AMBR is kept, its MBR is not. On failure it is as it was. */
int sl_classes_catch(struct sl_draft *draft, struct sl_entry *entry, struct sl_error *err);
/* Forgets what was noted; the entry's binding is the present one again. */
void sl_classes_forget(struct sl_entry *entry);

/*
 * vlans.c: uplink classes and trees whose packets may be in the draft's VLAN; those
 * that were in it last before others. `wish` is what the choice points to.
 */
struct sl_vlan_wish {
	const struct sl_control *control;
	uint32_t vlan;
	uint32_t now_s;
};
struct sl_qos_choice sl_vlan_choice(const struct sl_draft *draft, struct sl_vlan_wish *wish);
struct sl_qos_choice sl_vlan_tree_choice(const struct sl_draft *draft, struct sl_vlan_wish *wish);
/* The class (0: none) is one whose packets are in another VLAN than the draft's: the draft must leave it. */
bool sl_vlan_differs(const struct sl_draft *draft, int direction, uint16_t minor);
bool sl_vlan_fits_tree(const struct sl_draft *draft, int direction, uint16_t tree);

/* How the rates of a rule are kept, as far as that is possible. */
enum sl_rate_backend sl_rate_backend_of(const struct sl_control *control, const struct sl_rule *rule);

/*
 * trees.c: the session's tree, where its AMBR is to be kept by one; none is no
 * error as long as a meter may take its place. -ENOSPC: it may not, or waiting helps.
 */
int sl_tree_begin(struct sl_draft *draft, int direction, struct sl_error *err);
void sl_trees_abandon(struct sl_draft *draft);
bool sl_trees_changed(const struct sl_draft *draft);			  /* before the commit */
void sl_trees_commit(struct sl_draft *draft);				  /* published */
void sl_tree_follow(struct sl_control *control, struct sl_session *twin); /* may be NULL */

/* A leaf of a tree: the one that rules share (mbr 0), or one of its own. -ENOSPC: all others are taken. */
int sl_tree_leaf(struct sl_control *control, int direction, uint16_t tree, uint64_t mbr, uint16_t *minor,
		 struct sl_error *err);
/* More of the pools than the timer has built so far; false: that did not work. */
bool sl_queues_build_some(struct sl_control *control);

/*
 * meters.c: first the session's, then those of rules where a class is not wanted
 * or not to be had, then the bindings. Rates of meters in use change at the commit.
 */
int sl_meters_begin(struct sl_draft *draft, const struct sl_update *update, struct sl_error *err);
void sl_meters_abandon(struct sl_draft *draft); /* the session's; entries are undone one by one */
/* keep: nobody asked for another rate. Notes in the entry why a queue is not wanted that there may be. */
bool sl_meter_is_wanted(const struct sl_draft *draft, struct sl_entry *entry, int direction, bool keep);
int sl_meter_set(struct sl_draft *draft, struct sl_entry *entry, int direction, struct sl_error *err);
/* Where the MBR is not policed: a meter only for a GBR that its APN or the link must not refuse. */
int sl_meter_guard(struct sl_draft *draft, struct sl_entry *entry, int direction, struct sl_error *err);
void sl_meter_unset(struct sl_entry *entry, int direction);
void sl_meters_bind(struct sl_draft *draft);
void sl_meters_commit(struct sl_draft *draft); /* published */

#endif
