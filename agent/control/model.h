/* SPDX-License-Identifier: Apache-2.0 */
/* What control/ keeps in memory; private to the folder. All of it can be rebuilt from the maps. */
#ifndef SL_CONTROL_MODEL_H
#define SL_CONTROL_MODEL_H

#include <uthash.h>
#include <utlist.h>

#include "base/clock.h"
#include "control/control.h"
#include "control/slots.h"

/* Compiled match lists in the maps, shared by sessions with equal ones. */
struct sl_ruleset {
	struct sl_ruleset_image image;
	uint32_t number;
	struct sl_match_place place[SLUICE_DIRECTIONS];
	uint32_t references;
	uint64_t audited;	 /* the audit's pass that looked at it last */
	struct sl_ruleset *next; /* same hash */
	UT_hash_handle hh;	 /* by image.hash */
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
	bool active; /* published; else ended and draining */

	uint32_t policy; /* published slot */
	uint32_t overflow_first;
	uint32_t overflow_count;
	uint32_t default_usage;
	struct sl_ruleset *ruleset;
	struct sl_install *installs; /* in order */
	uint32_t install_count;

	/* of one rule the older version first: a session manager ignores it after a newer one */
	struct sl_retired *retired;
	uint32_t retired_count;

	bool is_counted; /* in control->states */
	enum sl_session_state counted_as;

	struct sl_session *twin;	   /* the subscriber's other address family; NULL: none */
	uint32_t meter[SLUICE_DIRECTIONS]; /* of the AMBR: slot + 1; 0: none */

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

/* audit.c: where the comparison with the kernel is, and what it has found */
struct sl_audit {
	enum {
		SL_AUDIT_SESSIONS,
		SL_AUDIT_ENDPOINTS4,
		SL_AUDIT_ENDPOINTS6,
		SL_AUDIT_INDEX4,
		SL_AUDIT_INDEX6,
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

struct sl_control {
	struct sl_control_config config;
	struct sl_maps *maps;
	struct sl_slots slots;
	struct sl_rule_table *rules;
	struct sl_ruleset *rulesets;
	struct sl_session *by_key;
	struct sl_session **by_slot; /* maps->size.sessions entries */
	struct sl_session *all;
	struct sl_session *drain;
	struct sl_subscriber *subscribers;
	uint32_t active;
	uint32_t states[SL_SESSION_ENDED]; /* sessions in force, by state */
	struct sluice_usage found;	   /* in the slots when the agent started */
	struct sluice_usage cleared;	   /* of slots whose counts were cleared since */
	uint32_t retirements;
	struct sl_deadlines deadlines;
	struct sl_audit audit;
	uint32_t steers[SLUICE_STEERS]; /* references of each slot */
	uint8_t *meter_users;		/* references of each slot: twins share */
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
void sl_session_collect_ended(struct sl_control *control, struct sl_session *session);

/* rulesets.c */
int sl_ruleset_get(struct sl_control *control, const struct sl_install *installs, size_t count,
		   const struct sl_address *address, struct sl_ruleset **out, struct sl_error *err);
int sl_ruleset_adopt(struct sl_control *control, const struct sluice_policy *policy, uint32_t family,
		     struct sl_ruleset **out, struct sl_error *err);
void sl_ruleset_put(struct sl_control *control, struct sl_ruleset *ruleset);
/* Whether the maps differ from the ruleset's image; they are written again where they are then. */
bool sl_ruleset_repair(struct sl_control *control, struct sl_ruleset *ruleset);

/* image.c: what one endpoint write publishes */
struct sl_image {
	uint32_t policy;
	uint32_t overflow_first;
	uint32_t overflow_count;
	struct sl_ruleset *ruleset;
};
int sl_image_make(struct sl_control *control, const struct sl_session *session,
		  const struct sl_install *installs, uint32_t count, struct sl_image *out,
		  struct sl_error *err);
/* The policy that the image has, or should have. */
struct sluice_policy sl_image_policy(const struct sl_session *session, const struct sl_install *installs,
				     uint32_t count, const struct sl_image *image);
void sl_image_abandon(struct sl_control *control, const struct sl_image *image); /* never published */

/* records.c: rules in the maps */
int sl_rule_record_get(struct sl_control *control, const struct sl_rule *rule, struct sl_rule **out,
		       struct sl_error *err);
void sl_rule_record_put(struct sl_control *control, struct sl_rule *rule);

/* redirect.c: the record of a rule as it is to be enforced: one that redirects gets its flows here */
int sl_rule_take(struct sl_control *control, const struct sl_rule *rule, struct sl_rule **out,
		 struct sl_error *err);

/* steers.c: slots for the interfaces of rules; mode FREE takes none */
int sl_steer_take(struct sl_control *control, struct sl_rule_steer *steer, struct sl_error *err);
void sl_steer_put(struct sl_control *control, const struct sl_rule_steer *steer);
int sl_steer_adopt(struct sl_control *control, uint32_t slot, struct sl_rule_steer *out);

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

/* meters.c: the policed rates of what is in force; those of a draft are in draft.h */
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

/* adopt.c */
int sl_control_adopt(struct sl_control *control, struct sl_error *err);

#endif
