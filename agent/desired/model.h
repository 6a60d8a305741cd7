/* SPDX-License-Identifier: Apache-2.0 */
/* What desired/ keeps in memory; private to the folder. */
#ifndef SL_DESIRED_MODEL_H
#define SL_DESIRED_MODEL_H

#include <uthash.h>
#include <utlist.h>

#include "desired/desired.h"

struct sl_scope {
	bool subscriber_wide;
	char apn[SLUICE_APN_SIZE];
	struct sl_desired_rule *rules; /* owned; names by malloc, rules in the table */
	size_t rule_count;
	bool fresh; /* set by the request that is being applied */
	struct sl_scope *next;
};

/* A rule id in a session, wanted now or earlier: so that no version comes twice. */
struct sl_track {
	char *id;
	uint32_t version; /* the last one in force; 0: none yet */
	bool owned;	  /* what is in the session is there because of a scope */
	/* CLOCK_MONOTONIC */
	uint64_t deadline_ns; /* hard timeout of the content below; 0: none */
	uint64_t retry_ns;    /* refused: not before */
	uint32_t refusals;    /* in a row */
	char *refusal;	      /* why, the last time; owned, NULL: not refused, or no memory for it */
	uint64_t content;     /* hash of what was put in last */
};

struct sl_tracked {
	struct sl_address address;
	char apn[SLUICE_APN_SIZE];
	uint64_t since_ns;	 /* of the session; another one at this address begins anew */
	uint32_t versions_above; /* where ids that are not among the tracks begin */
	struct sl_track *tracks; /* by id */
	size_t count;
	size_t capacity;
	bool seen; /* in this pass */
	struct sl_tracked *next;
};

struct sl_desired_subscriber {
	char imsi[SLUICE_IMSI_SIZE];
	struct sl_scope *scopes;
	struct sl_tracked *sessions;
	uint64_t next_ns; /* the next time in its scopes; UINT64_MAX: none */
	UT_hash_handle hh;
	struct sl_desired_subscriber *prev, *next;
};

/* names.c */
struct sl_names {
	struct sl_name *all; /* NULL: none yet */
};

struct sl_desired {
	struct sl_desired_config config;
	const struct sl_catalog *catalog;
	struct sl_rule_table *table; /* dynamic rules, each content once */
	size_t flows;		     /* of those */
	struct sl_desired_subscriber *by_imsi;
	struct sl_desired_subscriber *all;
	struct sl_desired_subscriber *cursor; /* the next one to be checked; NULL: begin anew */
	size_t rules;
	uint64_t started_ns; /* CLOCK_MONOTONIC */
	uint64_t next_ns;
	uint64_t repairs;
	uint64_t checks;
	struct sl_desired_timer *timer;
	struct sl_base_names *base_names;
	struct sl_names profiles_missing;
	size_t missing; /* rules of scopes whose name the catalogue does not have */
};

/* subscribers.c */
struct sl_desired_subscriber *sl_subscriber_of(const struct sl_desired *desired, const char *imsi);
struct sl_desired_subscriber *sl_subscriber_make(struct sl_desired *desired, const char *imsi);
/* Unless something is wanted for it, or one of its sessions is remembered. */
void sl_subscriber_collect(struct sl_desired *desired, struct sl_desired_subscriber *subscriber);
/* Puts `scope` in the place of the one it is about; NULL rules: takes that away. */
void sl_scope_put(struct sl_desired *desired, struct sl_desired_subscriber *subscriber,
		  struct sl_scope *scope);
void sl_scope_free(struct sl_desired *desired, struct sl_scope *scope);
bool sl_scope_is(const struct sl_scope *scope, bool subscriber_wide, const char *apn);

/* tracks.c */
struct sl_tracked *sl_tracked_find(const struct sl_desired_subscriber *subscriber,
				   const struct sl_address *address);
struct sl_tracked *sl_tracked_make(struct sl_desired_subscriber *subscriber,
				   const struct sl_address *address);
/* Nothing is known any more of what was put in; also before the first time. */
void sl_tracked_begin(struct sl_tracked *tracked, uint64_t since_ns, uint32_t versions_above);
void sl_tracked_free(struct sl_tracked *tracked);
struct sl_track *sl_track_find(const struct sl_tracked *tracked, const char *id);
void sl_track_refused(struct sl_track *track, const char *reason);
void sl_track_not_refused(struct sl_track *track);
/* The pointer holds until the next one is made; NULL: out of memory. */
struct sl_track *sl_track_make(struct sl_tracked *tracked, const char *id);

/*
 * wanted.c: the rules that a session of this APN should have at a time, each id
 * once, in the order of their ids. `out` has room for SLUICE_RULES_PER_SESSION;
 * what is wanted beyond that is left out. Rules live as long as the scopes and
 * the catalogue. -ENOMEM.
 */
int sl_wanted_rules(const struct sl_desired_subscriber *subscriber, const struct sl_catalog *catalog,
		    const char *apn, uint64_t now_ns, const struct sl_rule **out, size_t *count);
/* Whether a rule of this id is among what fresh scopes want now. */
bool sl_wanted_freshly(const struct sl_desired_subscriber *subscriber, const struct sl_catalog *catalog,
		       const char *apn, uint64_t now_ns, const char *id);
/* The next time at which that changes; UINT64_MAX: never. */
uint64_t sl_wanted_next(const struct sl_desired_subscriber *subscriber, uint64_t now_ns);
/* Same rule, but for what control/ fills in. */
bool sl_wanted_equal(const struct sl_rule *wanted, const struct sl_rule *installed);
uint64_t sl_wanted_hash(const struct sl_rule *wanted); /* likewise */

/* base_names.c */
struct sl_base_names *sl_base_names_new(void);
void sl_base_names_free(struct sl_base_names *names);
void sl_base_names_forget(struct sl_desired *desired); /* all */
/* follow.c: after another catalogue; the one before must still be there. */
void sl_base_names_follow(struct sl_desired *desired, const struct sl_catalog *before);

/* missing.c: looks for the names of all scopes anew, and tells of those that have gone and come. */
void sl_missing_update(struct sl_desired *desired);
/* How many of the rules that are wanted now or later are missing. */
uint32_t sl_missing_count(const struct sl_desired *desired, uint64_t now_ns);

/* profiles.c: QoS profiles that rules in force have, and the catalogue no more; told once. */
void sl_profiles_missing_update(struct sl_desired *desired);

/* names.c: different names, in the order in which they came. */
#define SL_NAMES_SHOWN 5
#define SL_NAMES_TEXT  (SL_NAMES_SHOWN * (SLUICE_RULE_ID_SIZE + 2) + 32)
void sl_names_add(struct sl_names *names, const char *text); /* what there is no memory for is left out */
bool sl_names_has(const struct sl_names *names, const char *text);
size_t sl_names_count(const struct sl_names *names);
/* "web, dns, mail, voice, video and 3 more" */
const char *sl_names_text(const struct sl_names *names, char out[SL_NAMES_TEXT]);
void sl_names_clear(struct sl_names *names);

/* apply.c */
enum sl_apply {
	SL_APPLY_SET,	/* what fresh scopes want becomes ours, whoever's it was */
	SL_APPLY_EVENT, /* a time, a session, a catalogue */
	SL_APPLY_CHECK, /* nothing should be to do */
};
void sl_desired_apply(struct sl_desired *desired, struct sl_desired_subscriber *subscriber,
		      enum sl_apply why);

/* timer.c */
void sl_desired_timer_set(struct sl_desired *desired);
void sl_desired_timer_free(struct sl_desired_timer *timer);

uint64_t sl_desired_now(const struct sl_desired *desired);

#endif
