/* SPDX-License-Identifier: Apache-2.0 */
/* What control/ keeps in memory; private to the folder. All of it can be rebuilt from the maps. */
#ifndef SL_CONTROL_MODEL_H
#define SL_CONTROL_MODEL_H

#include <stdlib.h>
#include <uthash.h>
#include <utlist.h>

#include "base/clock.h"
#include "control/control.h"
#include "control/slots.h"

/* What lists are compiled from: the family, then a word for each rule, in order. */
struct sl_source {
	uint64_t *words; /* NULL: they depend on more than that, or it is not known */
	size_t size;	 /* in bytes */
};

/* Compiled match lists in the maps, shared by sessions with equal ones. */
struct sl_ruleset {
	struct sl_ruleset_image image;
	uint32_t number;
	struct sl_match_place place[SLUICE_DIRECTIONS];
	uint32_t references;
	uint32_t audited;	 /* the audit's pass that looked at it last */
	struct sl_ruleset *next; /* same hash */
	UT_hash_handle hh;	 /* by image.hash */
	struct sl_source source; /* of the session that was compiled last; none: it is not known */
	UT_hash_handle by_source;
};

/* Usage that only waits to be acknowledged. */
struct sl_retired {
	uint32_t usage;
	struct sl_rule *rule; /* NULL: the default drop of an ended session */
	enum sluice_origin origin;
	uint32_t version;
	uint32_t sequence; /* tells this retirement from an earlier one of the same slot */
	bool final;
};

struct sl_session {
	char imsi[SLUICE_IMSI_SIZE];
	struct sl_address address;
	uint8_t key[12]; /* family and what identifies the endpoint */
	uint32_t slot;
	bool active;	 /* published; else ended and draining */
	bool unrepaired; /* not as it should be since the start: the audit tries again */

	uint32_t policy;	   /* published slot */
	uint32_t endpoint_audited; /* the audit's pass that found the endpoint right */
	uint32_t index_audited;	   /* and that saw to its entry in the index */
	uint32_t overflow_first;
	uint32_t overflow_count;
	uint32_t default_usage;
	uint8_t apn; /* its number, as published */
	struct sl_ruleset *ruleset;
	struct sl_ruleset *final;    /* of the final rules; NULL: there are none */
	struct sl_install *installs; /* in order */
	uint32_t install_count;
	struct sl_session_quota *quotas; /* quotas.h */
	uint32_t quota_count;

	/* of one rule the older version first: a session manager ignores it after a newer one */
	struct sl_retired *retired;
	uint32_t retired_count;

	bool is_counted; /* in control->states */
	enum sl_session_state counted_as;
	uint8_t counted_apn;
	uint64_t state_since_ns; /* restricted, redirected: as in sl_session_view */

	struct sl_session *twin;	   /* the subscriber's other address family; NULL: none */
	uint32_t meter[SLUICE_DIRECTIONS]; /* of the AMBR: slot + 1; 0: none */
	uint16_t tree[SLUICE_DIRECTIONS];  /* or the HTB class that keeps it; 0: none */

	UT_hash_handle hh;			    /* active ones by key */
	struct sl_session *imsi_next;		    /* sessions of the same IMSI */
	struct sl_session *prev, *next;		    /* all sessions */
	struct sl_session *drain_prev, *drain_next; /* sessions with retired usage */
	bool draining;
};

struct sl_subscriber {
	char imsi[SLUICE_IMSI_SIZE];
	struct sl_session *sessions;
	UT_hash_handle hh;
};

/* Hard timeouts to come, the next one first; entries may be out of date. */
struct sl_deadline {
	uint64_t when_ns;     /* when it comes up: at the deadline, later if that failed */
	uint64_t deadline_ns; /* of the binding */
	uint32_t session;     /* slot */
	uint32_t usage;
	uint32_t failures;
};

struct sl_deadlines {
	struct sl_deadline *heap;
	size_t count;
	size_t capacity;
};

/* apns.c: an APN of the configuration */
struct sl_apn_entry {
	const struct sl_control_apn *apn;
	uint8_t number;
	uint8_t way_out[2]; /* of IPv4 and IPv6 sessions, as in sl_install */
};

struct sl_apns {
	struct sl_apn_entry entry[SLUICE_APNS]; /* by name */
	size_t count;
	const struct sl_apn_entry *by_number[SLUICE_APNS + 1];
	struct sl_rule_steer old[SLUICE_STEERS]; /* held until no session that was adopted needs them */
	size_t old_count;
	struct sl_neighbour neighbours[SLUICE_APNS * SLUICE_APN_NEIGHBOURS]; /* in order, each once */
	size_t neighbour_count;
};

/* audit.c: where the comparison with the kernel is, and what it has found */
struct sl_audit {
	/* first what is read in bulk, so that sessions need not ask for each of theirs */
	enum {
		SL_AUDIT_ENDPOINTS4,
		SL_AUDIT_ENDPOINTS6,
		SL_AUDIT_INDEX4,
		SL_AUDIT_INDEX6,
		SL_AUDIT_SESSIONS,
		SL_AUDIT_REST,
	} phase;
	uint64_t position; /* in the phase */
	uint32_t step;	   /* of the interval, from 0 */
	bool done;	   /* with this pass: it waits for the interval to end */
	uint64_t started_ns;
	struct sluice_settings settings; /* as the agent wrote them when it started */
	char failing[SL_ERROR_SIZE];	 /* what could not be repaired, so that it is said once */
	struct sl_audit_stats stats;
};

/* profiles.c: how the rates of a session's rules with one profile are kept; the later one counts */
enum sl_profile_kept { SL_PROFILE_FREE, SL_PROFILE_SHAPED, SL_PROFILE_POLICED };

/* A QoS profile that rules in the maps name. */
struct sl_profile_use {
	char name[SLUICE_PROFILE_SIZE];
	uint32_t references; /* of records of rules */
	uint32_t rules;	     /* of those that are in force */
	uint32_t sessions[SL_PROFILE_POLICED + 1];
	bool is_of_session; /* while one session is counted */
	enum sl_profile_kept of_session;
	struct sl_profile_view shown;
	UT_hash_handle hh;
};

struct sl_control {
	struct sl_control_config config;
	struct sl_maps *maps;
	struct sl_slots slots;
	struct sl_rule_table *rules;
	struct sl_ruleset *rulesets;
	struct sl_ruleset *sources; /* those rulesets by what they were compiled from */
	uint64_t compilations;	    /* since the start */
	struct sl_session *by_key;
	struct sl_session **by_slot; /* maps->size.sessions entries */
	struct sl_session *all;
	struct sl_session *drain;
	struct sl_subscriber *subscribers;
	uint32_t active;
	uint32_t states[SL_SESSION_ENDED];	/* sessions in force, by state */
	uint32_t apn_sessions[SLUICE_APNS + 1]; /* and by number of their APN */
	struct sluice_usage found;		/* in the slots when the agent started */
	struct sluice_usage cleared;		/* of slots whose counts were cleared since */
	uint32_t retirements;
	struct sl_deadlines deadlines;
	struct sl_audit audit;
	uint32_t steers[SLUICE_STEERS]; /* references of each slot */
	struct sl_apns apns;
	struct sl_profile_use *profiles;
	struct sl_guarantees *guarantees;
	struct sl_load *load;
	uint8_t *meter_users;  /* references of each slot: twins share */
	uint8_t *quota_users;  /* likewise */
	uint32_t quota_looked; /* where the search for what events did not tell goes on */
};

/* sessions.c: the tables */
struct sl_session *sl_session_find(struct sl_control *control, const struct sl_address *address);
struct sl_session *sl_session_find_ended(struct sl_control *control, const char *imsi,
					 const struct sl_address *address);
int sl_session_new(struct sl_control *control, const char *imsi, const struct sl_address *address,
		   struct sl_session **out, struct sl_error *err); /* neither active nor in the maps yet */
int sl_session_claim(struct sl_control *control, uint32_t slot, struct sl_session **out); /* adoption */
void sl_session_free(struct sl_control *control, struct sl_session *session);		  /* and its slots */
void sl_session_record(struct sl_control *control, const struct sl_session *session);	  /* whose it is */
void sl_session_set_active(struct sl_control *control, struct sl_session *session, bool active);
struct sl_subscriber *sl_subscriber_find(struct sl_control *control, const char *imsi);
/* Whether a rule is there for the desired state's sake, not on the session manager's behalf. */
bool sl_session_is_desired(struct sl_control *control, const struct sl_session *session,
			   const struct sl_install *install);
int sl_session_reserve_retired(struct sl_session *session, uint32_t more);
/* Room must have been reserved. */
void sl_session_retire(struct sl_control *control, struct sl_session *session, struct sl_retired retired);
void sl_session_order_retired(struct sl_session *session); /* after an adoption, which goes by slots */
void sl_session_unretire(struct sl_control *control, struct sl_session *session, uint32_t index);
/* Takes back its default drop's usage, if that was never acknowledged. */
void sl_session_revive_default(struct sl_control *control, struct sl_session *session);
void sl_session_collect_ended(struct sl_control *control, struct sl_session *session);

/* rulesets.c */
int sl_ruleset_get(struct sl_control *control, const struct sl_install *installs, size_t count,
		   const struct sl_address *address, struct sl_ruleset **out, struct sl_error *err);
int sl_ruleset_adopt(struct sl_control *control, const struct sluice_policy *policy, uint32_t family,
		     struct sl_ruleset **out, struct sl_error *err);
void sl_ruleset_put(struct sl_control *control, struct sl_ruleset *ruleset);
/* Whether the maps differ from the ruleset's image; they are written again where they are then. */
bool sl_ruleset_repair(struct sl_control *control, struct sl_ruleset *ruleset);

/*
 * sources.c: rulesets by the rules that they were compiled from. Sessions with
 * the same plan then have it compiled once, at a start, a setup or a change.
 */
int sl_source_make(const struct sl_install *installs, size_t count, const struct sl_address *address,
		   struct sl_source *out); /* -ENOMEM */
struct sl_ruleset *sl_source_find(struct sl_control *control, const struct sl_source *source);
/* The ruleset is what these rules compile to; takes the words. */
void sl_source_keep(struct sl_control *control, struct sl_ruleset *ruleset, struct sl_source *source);
void sl_source_forget(struct sl_control *control, struct sl_ruleset *ruleset);
static inline void sl_source_clear(struct sl_source *source)
{
	free(source->words);
	source->words = NULL;
}

/* image.c: what one endpoint write publishes */
struct sl_image {
	uint32_t policy;
	uint32_t overflow_first;
	uint32_t overflow_count;
	struct sl_ruleset *ruleset;
	struct sl_ruleset *final; /* of final rules, whose policy is the next slot; NULL: there are none */
	uint8_t apn;
};
int sl_image_make(struct sl_control *control, const struct sl_session *session,
		  const struct sl_install *installs, uint32_t count, uint8_t apn, struct sl_image *out,
		  struct sl_error *err);
/* What is published and should not be so; NULL: nothing. */
const char *sl_image_difference(const struct sl_control *control, const struct sl_session *session);
uint32_t sl_image_policies(const struct sl_ruleset *final);			 /* slots in a row */
void sl_image_abandon(struct sl_control *control, const struct sl_image *image); /* never published */

/* records.c: rules in the maps */
int sl_rule_record_get(struct sl_control *control, const struct sl_rule *rule, struct sl_rule **out,
		       struct sl_error *err);
void sl_rule_record_put(struct sl_control *control, struct sl_rule *rule);
/*
 * Rules of the records in use, by slot, a reference each; NULL where there is none.
 * Returns how many could not be taken: those are free.
 */
uint32_t sl_rule_records_adopt(struct sl_control *control, struct sl_rule **by_slot);
/* Those of a content that another record has, which is the rule's: when nothing names them any more. */
void sl_rule_records_forget_duplicates(struct sl_control *control, struct sl_rule *const *by_slot);

/* redirect.c: the record of a rule as it is to be enforced: one that redirects gets its flows here */
int sl_rule_take(struct sl_control *control, const struct sl_rule *rule, struct sl_rule **out,
		 struct sl_error *err);

/*
 * profiles.c: the values of the rule's QoS profile, if it names one, or those that
 * `present` has, the rule that it continues (NULL: none). -ENOENT: there is neither.
 */
int sl_profile_fill(const struct sl_control *control, const struct sl_rule *present, struct sl_rule *rule,
		    struct sl_error *err);
/* As long as the rule has a record. -ENOMEM. */
int sl_profile_use_get(struct sl_control *control, struct sl_rule *rule);
void sl_profile_use_put(struct sl_control *control, struct sl_rule *rule);
void sl_profiles_clear(struct sl_control *control);
/* A session's rules in force: before they change they count no more, then they do again. */
void sl_profiles_count(const struct sl_session *session, bool more);

/* steers.c: slots for the interfaces of rules; mode FREE takes none */
/* -EINVAL: the rule would send packets to an access interface, by whatever name. */
int sl_steer_check(const struct sl_control *control, const struct sl_rule *rule, struct sl_error *err);
int sl_steer_take(struct sl_control *control, struct sl_rule_steer *steer, struct sl_error *err);
void sl_steer_put(struct sl_control *control, const struct sl_rule_steer *steer);
int sl_steer_adopt(struct sl_control *control, uint32_t slot, struct sl_rule_steer *out);

/* apns.c */
struct sl_update;
/* Numbers, marks, VLANs and ways out; those of what was adopted stay beside them until sl_apns_settle. */
int sl_apns_open(struct sl_control *control, struct sl_error *err);
void sl_apns_settle(struct sl_control *control);
/* The number of the session's APN after this update. */
uint8_t sl_apn_wanted(const struct sl_control *control, const struct sl_session *session,
		      const struct sl_update *update);
/* -EINVAL: the rule copies packets, which the way out of the APN does not. */
int sl_apn_check(const struct sl_control *control, uint8_t number, const struct sl_rule *rule,
		 struct sl_error *err);
void sl_apn_lead(const struct sl_control *control, uint8_t number, uint32_t family,
		 struct sl_install *installs, uint32_t count);
/* Whether two sessions have the same APN, by name; the first one after this update, or as it is (NULL). */
bool sl_apn_is_same(const struct sl_control *control, const struct sl_session *session,
		    const struct sl_update *update, const struct sl_session *other);
/* Puts the marks of numbers and the VLANs right; how many were wrong. */
uint32_t sl_apns_repair(struct sl_control *control);
/* False: the published policy is not of the APN that the record names. */
bool sl_apn_adopt(struct sl_control *control, struct sl_session *session, const struct sluice_policy *policy);

/* vlans.c: VLANs of uplink classes; those of a draft are in draft.h */
/* What packets in the uplink classes of these rules carry; before they are published. True: it was not so. */
bool sl_vlan_mark(struct sl_control *control, uint8_t apn, const struct sl_install *installs, uint32_t count);
/* sl_qos_release, and notes since when nobody has the class. */
void sl_vlan_release(struct sl_control *control, int direction, uint16_t minor);
/* Classes that were in use before the start and were not adopted are unused since now. */
void sl_vlans_settle(struct sl_control *control);

/* neighbours.c: routers behind the VLANs of APNs */
int sl_neighbours_open(struct sl_control *control, struct sl_error *err);
/* Writes what differs; *wrong says how many did. */
int sl_neighbours_repair(struct sl_control *control, uint32_t *wrong, struct sl_error *err);

/* owners.c: usage slots and whose they are */
void sl_owner_write(struct sl_control *control, const struct sl_session *session,
		    const struct sl_install *install, enum sluice_usage_state state);
void sl_owner_pend(struct sl_control *control, const struct sl_install *install, uint32_t policy);
void sl_owner_unpend(struct sl_control *control, uint32_t usage);
void sl_owner_write_default(struct sl_control *control, const struct sl_session *session,
			    enum sluice_usage_state state);
void sl_usage_finalise(struct sl_control *control, uint32_t usage, uint32_t sequence);
void sl_usage_drop(struct sl_control *control, struct sl_session *session, uint32_t index);

/*
 * folds.c: what a rule has dropped becomes the default drop's, because its slot is freed between the two.
 * The session's record keeps such drops apart from the live counts, so that a crash counts none twice.
 */
void sl_fold_begin(struct sl_control *control, const struct sl_session *session, uint32_t usage);
void sl_fold_end(struct sl_control *control, const struct sl_session *session);
void sl_fold_add(const struct sl_control *control, const struct sl_session *session,
		 struct sluice_usage *default_drop);
void sl_folds_adopt(struct sl_control *control); /* ends what a crash interrupted */

/* room.c: drops the oldest unacknowledged usage if the request needs its room and fits then */
void sl_control_make_room(struct sl_control *control, const char *imsi, const struct sl_address *address,
			  const struct sl_session_request *request);

/* retire.c: what ends */
void sl_retire_install(struct sl_control *control, struct sl_session *session,
		       const struct sl_install *install);
void sl_retire_policy(struct sl_control *control, struct sl_session *session);
void sl_retire_session(struct sl_control *control, struct sl_session *session, const char *reason);

/* update.c: the one way a session changes */
struct sl_update {
	struct sl_session_request *request; /* rules to add or change; NULL: none */
	/* which of the present rules go; NULL: none */
	bool (*removes)(const struct sl_install *install, const void *user);
	const void *user;
	bool exact;	     /* Setup: only what the request names remains */
	bool keep_deadlines; /* a rule with the same hard timeout as before keeps its deadline */
	bool refresh;	     /* content only: of the session itself the request says nothing */
	bool repair;	     /* queues that were lost are taken anew */
	bool separate;	     /* queues shared with a session that is its twin no more are left to that */
};
int sl_update_session(struct sl_control *control, struct sl_session *session, const struct sl_update *update,
		      struct sl_error *err);
int sl_end_session(struct sl_control *control, struct sl_session *session, const char *reason,
		   struct sl_error *err); /* in retire.c */

/*
 * meters.c: the meters of the link and of APNs become what the configuration says;
 * then the policed rates of what is in force; those of a draft are in draft.h */
int sl_meters_open(struct sl_control *control, struct sl_error *err);
void sl_meter_put(struct sl_control *control, uint32_t meter);				/* slot + 1, or 0 */
void sl_meters_release(struct sl_control *control, const struct sl_install *install);	/* of the rule */
void sl_meters_release_session(struct sl_control *control, struct sl_session *session); /* of the AMBR */
/* Its twin, if it has one, or its former one has changed: its rules' meters are under the right AMBR. May be
 * NULL. */
void sl_meters_reparent(struct sl_control *control, const struct sl_session *session);
/* Adoption, the session first. False: something is not as it should be, and is so in the model only. */
bool sl_meters_adopt_session(struct sl_control *control, struct sl_session *session);
bool sl_meters_adopt(struct sl_control *control, const struct sl_session *session,
		     struct sl_install *install);

/* trees.c: AMBRs that are kept by queues; those of a draft are in draft.h */
/* The leaf of a tree that rules without an MBR of their own share. */
uint16_t sl_tree_shared(uint16_t tree);
void sl_trees_release(struct sl_control *control, struct sl_session *session);
/*
 * The session's twin has ended: rules that are in the twin's tree leave it. Not before
 * whatever ended that is done. May be NULL.
 */
void sl_tree_leave(struct sl_control *control, struct sl_session *session);
/* What a single class of the rule may send: without an MBR it has a queue for its GBR, up to the link. */
struct sl_qos_rates sl_class_rates(const struct sl_qos *qos, const struct sl_rule *rule, int direction);
/* Adoption, before the session's meters. False: something is not as it should be, and is so in the model
 * only. */
bool sl_trees_adopt(struct sl_control *control, struct sl_session *session);
/* The classes of a rule as its binding names them, after its meters. False as above. */
bool sl_classes_adopt(struct sl_control *control, const struct sl_session *session,
		      struct sl_install *install);

/* twins.c */
/* The same rule of the twin; NULL: it has not. twin may be NULL. */
const struct sl_install *sl_twin_install(const struct sl_session *twin, const struct sl_install *install);
/* The class in which the twin has this rule; 0: it has not. twin may be NULL. */
uint16_t sl_twin_class(const struct sl_session *twin, const struct sl_install *install, int direction);
/* Whose twin the session is to be by this update. */
struct sl_session *sl_twin_wanted(struct sl_control *control, const struct sl_session *session,
				  const struct sl_update *update);
void sl_twin_record(struct sl_control *control, const struct sl_session *session,
		    const struct sl_session *twin);
void sl_twin_link(struct sl_control *control, struct sl_session *session, struct sl_session *twin);
void sl_twin_unlink(struct sl_control *control, struct sl_session *session);
void sl_twin_adopt(struct sl_control *control, struct sl_session *session); /* as the records say */

/* expire.c: remembers deadlines of a published session, one or all of them */
void sl_deadline_note(struct sl_control *control, const struct sl_session *session,
		      const struct sl_install *install);
void sl_deadlines_note(struct sl_control *control, const struct sl_session *session);
void sl_deadlines_clear(struct sl_control *control);

/*
 * defer.c: what is free after a grace period, and waiting for it when there is too little without. Waiting
 * takes some ten milliseconds, in which no call is answered, and may free sessions that have ended.
 */
void sl_control_defer(struct sl_control *control, enum sl_slot_kind kind, uint32_t first, uint32_t count);
bool sl_control_waiting_helps(const struct sl_control *control); /* with something that was lacking */
void sl_control_wait(struct sl_control *control);
void sl_control_lack_nothing(struct sl_control *control);
void sl_control_emit(struct sl_control *control, enum sl_control_event_type type,
		     const struct sl_session *session, const char *reason);
void sl_control_emit_rule(struct sl_control *control, enum sl_control_event_type type,
			  const struct sl_session *session, const char *rule_id, uint32_t version,
			  const char *reason);

/* totals.c */
void sl_totals_begin(struct sl_control *control);
void sl_usage_clear(struct sl_control *control, uint32_t usage);		     /* for its next owner */
void sl_session_count_state(struct sl_control *control, struct sl_session *session); /* it may have changed */

/* views.c */
enum sl_session_state sl_session_state(const struct sl_session *session);
uint64_t sl_session_state_since(const struct sl_control *control, const struct sl_session *session);
/* The activation of the first rule that makes a session restricted or redirected, of those that it has now.
 */
uint64_t sl_session_first_in_state(const struct sl_session *session, enum sl_session_state state);

/* load.c: what is sent and received, by APN */
int sl_load_open(struct sl_control *control, struct sl_error *err);
void sl_load_adopt(struct sl_control *control); /* what slots have counted until now is nobody's load */
void sl_load_forget(struct sl_control *control, uint32_t usage); /* its counts begin anew */
void sl_load_step(struct sl_control *control);			 /* once a second */

/* control.c: what sessions refer to, before the first one */
int sl_control_open(struct sl_control *control, struct sl_error *err);

/* adopt.c */
int sl_control_adopt(struct sl_control *control, struct sl_error *err);

#endif
