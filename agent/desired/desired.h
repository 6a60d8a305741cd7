/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Desired state: the rules that a subscriber's sessions should have, from when
 * until when, as SetSessionRules says. It is brought about at once in sessions
 * that are in force and in later ones as they appear, at the second in which a
 * time comes, and looked after: what is missing or different is put right and
 * told. Nothing of it is kept over a restart of the agent: the rules stay in
 * force, and whoever set them sets them again.
 *
 * The rules are GX. A rule of the same id that the session manager has activated
 * belongs to who wrote last; while it is the session manager's it is left alone.
 */
#ifndef SL_DESIRED_H
#define SL_DESIRED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "catalog/catalog.h"
#include "control/control.h"

struct event_base;
struct sl_desired;

/* At these bounds a request is refused whole (-ENOSPC); a scope has at most SLUICE_RULES_PER_SESSION. */
#define SL_DESIRED_SUBSCRIBERS (1u << 18)
#define SL_DESIRED_RULES       (1u << 20) /* rules and base names, each scope's own */
#define SL_DESIRED_FLOWS       (1u << 20) /* of different dynamic rules */

/* Names by which sessions were activated. What is beyond is not followed, with a line in the log. */
#define SL_DESIRED_BASE_NAMES	   (1u << 20)
#define SL_DESIRED_BASE_NAMES_EACH 256 /* of a session */

/* One rule that was missing, different, or still there. */
struct sl_desired_repair {
	const char *imsi;
	const struct sl_address *address;
	const char *rule_id;
	uint32_t version;
	const char *what; /* "missing", "different", "unwanted" */
};

struct sl_desired_config {
	struct sl_control *control;
	const struct sl_catalog *catalog; /* may be NULL; see sl_desired_catalog_changed */
	uint64_t (*now_ns)(void);	  /* since 1970; NULL: CLOCK_REALTIME */
	/*
	 * In sessions from before sl_desired_new versions go on above this: more with
	 * each start of the agent than any given before, such as its epoch. In later
	 * sessions they begin with 1.
	 */
	uint32_t versions_above;
	void (*on_repair)(const struct sl_desired_repair *repair, void *user); /* may be NULL */
	void *user;
};

int sl_desired_new(const struct sl_desired_config *config, struct sl_desired **out);
void sl_desired_free(struct sl_desired *desired); /* what is in force stays */

/* Times from now on, and all sessions once in every interval. -ENOMEM, or the errno of timerfd_create. */
int sl_desired_start(struct sl_desired *desired, struct event_base *base, uint32_t check_interval_ms,
		     struct sl_error *err);

/* --- what is desired ------------------------------------------------------------ */

/* A name of the catalogue, or a rule of its own; one of the two is NULL. */
struct sl_desired_rule {
	const char *name;
	const struct sl_rule *rule;
	uint64_t from_ns;  /* since 1970; 0: at once */
	uint64_t until_ns; /* 0: for good */
	bool missing;	   /* of sl_desired_each: the catalogue has no such name any more */
};

struct sl_desired_scope {
	char imsi[SLUICE_IMSI_SIZE];
	bool subscriber_wide;	   /* all sessions of the IMSI, whatever apn says */
	char apn[SLUICE_APN_SIZE]; /* otherwise those of this APN; empty: those without one */
	const struct sl_desired_rule *rules;
	size_t rule_count; /* 0: none any more */
};

/*
 * Each scope gets exactly these rules in place of those it had; other scopes stay.
 * Where two rules of one id are wanted in a session, the APN's own comes before
 * the subscriber's, and in a scope the first one. All or nothing: -EINVAL
 * (a scope or a rule twice, a rule that is no good, times the wrong way round),
 * -ENOENT (a name that the catalogue does not have, of a QoS profile as well), -ENOSPC, -ENOMEM. A rule
 * that a session then refuses is an event of control's, and is tried again.
 */
int sl_desired_set(struct sl_desired *desired, const struct sl_desired_scope *scopes, size_t count,
		   struct sl_error *err);

/* --- what others tell ----------------------------------------------------------- */

/* The session manager has activated or changed this session: its rules are its own, and the others are added.
 */
void sl_desired_activated(struct sl_desired *desired, const struct sl_session_request *request);

/* The same for all sessions, after a setup. */
void sl_desired_setup_done(struct sl_desired *desired, const struct sl_session_request *requests,
			   size_t count);

/*
 * The session manager has activated this session, which is in force, by these
 * names of the catalogue. It follows the base names among them until the same
 * names are deactivated, it ends, or a setup comes. Not kept over a restart.
 */
void sl_desired_named(struct sl_desired *desired, const struct sl_session_request *session,
		      enum sluice_origin origin, char *const *texts, size_t count);

/* It has deactivated this: with rule_ids these names, without all of the origins. */
void sl_desired_unnamed(struct sl_desired *desired, const struct sl_deactivation *request, char *const *texts,
			size_t count);

/*
 * Another catalogue is in force; the one before must still be there. Static
 * rules are changed in every session that has them, counts going on; those that
 * are gone from it go away, with final usage; base names stand for what they
 * stand for now, in scopes and in sessions that were activated by them. Rules with a
 * QoS profile get its values, in place, and keep those of one that is no more. A desired
 * rule whose name has gone is failing, which is said once, until the name is back.
 */
void sl_desired_catalog_changed(struct sl_desired *desired, const struct sl_catalog *catalog);

/* For sl_control_config.is_desired. A NULL desired state has no rules. */
bool sl_desired_owns(const struct sl_desired *desired, const char *imsi, const struct sl_address *address,
		     const struct sl_install *install);

/* --- time ------------------------------------------------------------------------- */

/* What sl_desired_start does by itself: times that have come, then a part of the sessions. */
void sl_desired_run_due(struct sl_desired *desired);
void sl_desired_check(struct sl_desired *desired, size_t subscribers);

/* The next activation or deactivation, since 1970; 0: none. */
uint64_t sl_desired_next_ns(const struct sl_desired *desired);

/* --- views ------------------------------------------------------------------------ */

struct sl_desired_status {
	uint32_t subscribers;
	uint32_t rules;	  /* as SL_DESIRED_RULES counts them */
	uint32_t failing; /* refused by a session and tried again, or missing in the catalogue */
	uint64_t next_ns; /* as sl_desired_next_ns */
	uint64_t repairs; /* since the start */
	uint64_t checks;  /* passes through all subscribers */
};
void sl_desired_status(const struct sl_desired *desired, struct sl_desired_status *out);

/* Calls visit for each scope of all subscribers (imsi NULL) or of one; non-zero ends the walk and is
 * returned. */
int sl_desired_each(const struct sl_desired *desired, const char *imsi,
		    int (*visit)(const struct sl_desired_scope *scope, void *user), void *user);

/* Why a rule of such a scope is failing, in *why; false: it is not. */
bool sl_desired_problem(const struct sl_desired *desired, const struct sl_desired_scope *scope,
			const struct sl_desired_rule *rule, struct sl_error *why);

#endif
