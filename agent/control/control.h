/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What should be enforced, and making it so. The only place that changes the
 * maps: requests come in validated form from the API, become slots, classes
 * and match lists, and are published one session at a time by one write.
 * A request that fails leaves everything as it was.
 */
#ifndef SL_CONTROL_H
#define SL_CONTROL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "control/apn.h"
#include "control/quota.h"
#include "datapath/datapath.h"
#include "datapath/grace.h"
#include "policy/address.h"
#include "policy/compile.h"
#include "policy/profile.h"
#include "policy/rule.h"
#include "qos/qos.h"
#include "usage/record.h"

struct sl_control;

enum sl_control_event_type {
	SL_EVENT_SESSION_ACTIVATED,
	SL_EVENT_SESSION_UPDATED,
	SL_EVENT_SESSION_ENDED,
	SL_EVENT_RULE_FAILED,
	SL_EVENT_RULE_EXPIRED,
	SL_EVENT_SESSION_RESTRICTED, /* the state it is in now; not told for a session that was adopted so */
	SL_EVENT_SESSION_REDIRECTED,
	SL_EVENT_SESSION_RELEASED, /* neither any more */
	SL_EVENT_REPAIRED, /* by the audit; reason says what, imsi and address are NULL if no session's */
	SL_EVENT_RULE_PREEMPTED,  /* its guaranteed rate went to another rule, and it is gone */
	SL_EVENT_RULE_POLICED,	  /* it was to have a queue, but none is free */
	SL_EVENT_SESSION_POLICED, /* its AMBR was to be kept by queues, but no tree of them is free */
	SL_EVENT_QUOTA_THRESHOLD, /* event.quota: what it is now */
	SL_EVENT_QUOTA_USED_UP,
	SL_EVENT_QUOTA_GRANTED,
};
#define SL_EVENT_TYPES (SL_EVENT_QUOTA_GRANTED + 1)

/* The later one holds if several would: a session with a redirect and a restriction is redirected. */
enum sl_session_state {
	SL_SESSION_ACTIVE,
	SL_SESSION_RESTRICTED, /* a GY rule is in force: a final unit, or what it leaves open */
	SL_SESSION_REDIRECTED, /* a redirect rule is in force */
	SL_SESSION_ENDED,      /* enforced no more; final usage is not yet acknowledged */
};

struct sl_control_event {
	enum sl_control_event_type type;
	const char *imsi;
	const struct sl_address *address;
	const char *rule_id;		   /* NULL where none is meant */
	uint32_t version;		   /* of that rule */
	uint32_t rules;			   /* in force afterwards */
	const char *reason;		   /* NULL or one line */
	const struct sl_quota_view *quota; /* of quota events; else NULL */

	/* Of a session, afterwards. */
	enum sl_session_state state;
	uint64_t state_since_ns; /* as in sl_session_view */
};

/* How the MBR and GBR of a rule and the AMBR of a session are kept. */
enum sl_rate_backend {
	SL_RATE_SHAPE,	/* by queues; without them the rule or the request fails */
	SL_RATE_POLICE, /* by a meter in BPF */
	SL_RATE_AUTO,	/* by queues, and where none are free by a meter, as long as the rate is there */
};

struct sl_control_config {
	struct sl_datapath *datapath;
	struct sl_qos *qos; /* NULL: no queues */
	enum sl_rate_backend backend;
	struct sl_grace *grace;
	/* Interfaces on the subscribers' side, NULL after the last; no rule may send packets there. */
	const char *const *access; /* NULL: none */
	/* Of different names, at most SLUICE_APNS; the caller's as long as the control lives. */
	const struct sl_control_apn *apns;
	size_t apn_count;
	uint64_t link_rate[SLUICE_DIRECTIONS]; /* bit/s, as sl_load_view tells it; 0: not known */
	uint64_t link_cap[SLUICE_DIRECTIONS];  /* bit/s of all sessions, by a meter; 0: queues keep it, or
						  nobody */
	uint64_t reserve[SLUICE_DIRECTIONS];   /* bit/s of the link that GBRs may take; 0: without a bound */
	bool keep_retired; /* a session manager acknowledges final usage; else it is dropped when final */
	/*
	 * Rules that are not the session manager's: its setup leaves them in force, and
	 * a session does not stay for their sake alone. Must change nothing; may be NULL.
	 */
	bool (*is_desired)(const char *imsi, const struct sl_address *address,
			   const struct sl_install *install, void *user);
	/*
	 * The addresses that a host has now, at most max, none as long as it could not
	 * be resolved; -ENOSPC: too many hosts. NULL: rules that redirect are refused.
	 * When they change, sl_control_refresh with the rules as they are.
	 */
	int (*redirect_servers)(const char *host, struct sl_address *out, size_t max, size_t *count,
				struct sl_error *err, void *user);
	/*
	 * The QoS profile of this name, as it is now; NULL: there is none. A rule in
	 * force keeps what it has from one that is no more; others fail with -ENOENT.
	 * When profiles change, sl_control_refresh with the rules as they are. NULL: no
	 * profiles at all.
	 */
	const struct sl_profile *(*profile)(const char *name, void *user);
	bool redirect_reject; /* what a redirect leaves no way is answered, not only dropped */
	/*
	 * sl_control_session_usage says of the default drop what rules have dropped,
	 * as pipelined does. What the slot of a rule that has gone had counted moves to
	 * the default drop's slot then, so that no count goes back.
	 */
	bool deny_as_default_drop;
	void (*on_event)(const struct sl_control_event *event, void *user); /* may be NULL */
	void *user;
};

/* Addresses of one host that redirects use. More: the last ones are left out. */
#define SL_REDIRECT_SERVERS 32

/* With `adopt`, rebuilds everything from the pinned maps and repairs what a crash left half done. */
int sl_control_new(const struct sl_control_config *config, bool adopt, struct sl_control **out,
		   struct sl_error *err);
void sl_control_free(struct sl_control *control); /* the maps stay as they are */

/* --- requests ----------------------------------------------------------- */

struct sl_rule_request {
	struct sl_rule *rule; /* the caller's; NULL when it could not even be read (then error says why) */
	const char *id;
	uint32_t version;
	enum sluice_origin origin;
	const char *note; /* what of the rule is not done though it works; NULL: nothing. Passed on only */
	/* answer */
	int result;	    /* 0 or -errno */
	uint32_t preempted; /* rules that gave way to it; then `error` says so, though result is 0 */
	struct sl_error error;
};

struct sl_session_request {
	char imsi[SLUICE_IMSI_SIZE];
	struct sl_address address;
	/*
	 * The other address of a dual-stack subscriber, of the other family (family 0:
	 * the request says nothing of one; in a setup that means there is none). The
	 * two sessions are twins as soon as both are active: a rule (id and origin)
	 * that both have is in one queue, its MBR is one rate for both. If their
	 * contents differ, the MBR that was asked for last holds.
	 */
	struct sl_address twin;
	char apn[SLUICE_APN_SIZE];
	char msisdn[24];
	uint32_t uplink_tunnel;
	uint32_t downlink_tunnel;
	uint32_t shard;
	bool has_ambr;
	/*
	 * bit/s of all rules together but those with a GBR; 0: no limit in that
	 * direction. Twins have one AMBR, the one asked for last. A request that says
	 * nothing of it leaves it as it is; in a setup that means there is none.
	 */
	uint64_t ambr[SLUICE_DIRECTIONS];
	struct sl_rule_request *rules;
	size_t rule_count;
	const struct sl_quota_request *quotas; /* in force with the rules, or the request fails */
	size_t quota_count;
};

/*
 * Adds the rules to the session, which is made if it does not exist; a rule
 * that is there already (same id and origin) is changed in place: with the same
 * version its counts go on, with another one they begin anew and the old ones
 * are kept until acknowledged. An APN, an MSISDN, an AMBR that the request does
 * not name stay as they were, unless the session was not in force. Rules fail
 * one by one, each with its reason;
 * the others are in force. An error here means that nothing has changed:
 * -ENOSPC a map is full, -EIO the kernel refused.
 */
int sl_control_activate(struct sl_control *control, struct sl_session_request *request, struct sl_error *err);

/*
 * Adds or changes rules, as sl_control_activate does, of a session of which
 * nothing else changes; hard timeouts of rules that are there go on. A rule that
 * is there and cannot match the session's address family as it is now fails
 * with -EAFNOSUPPORT and goes. -ENOENT: the session is not in force.
 */
int sl_control_install(struct sl_control *control, const char *imsi, const struct sl_address *address,
		       struct sl_rule_request *rules, size_t count, struct sl_error *err);

struct sl_deactivation {
	char imsi[SLUICE_IMSI_SIZE];
	struct sl_address address; /* family 0: every session of the IMSI */
	bool gx;
	bool gy;
	const char **rule_ids; /* NULL: all rules of these origins */
	size_t rule_count;
	bool end_session; /* remove_default_drop_flows: the session ends unless other rules remain */
};

/* Unknown sessions and rules are no error. *sessions (may be NULL): how many were touched. */
int sl_control_deactivate(struct sl_control *control, const struct sl_deactivation *request,
			  uint32_t *sessions, struct sl_error *err);

/*
 * The whole desired state: afterwards exactly these sessions with exactly these
 * rules exist. Several entries of one session add up. Counters of what is
 * unchanged go on. One session that cannot be had (a full map) does not keep
 * the others out: it is logged and counted in *refused, and each of its rules
 * has that result. APN, MSISDN, AMBR and tunnels are what the request says, none
 * where it says none.
 */
int sl_control_setup(struct sl_control *control, struct sl_session_request *requests, size_t count,
		     uint32_t *refused, struct sl_error *err);

/*
 * Takes rules whose hard timeout has passed out of their sessions; packets have
 * not matched them since that moment, with or without this. To be called about
 * once a second: it tells who watches, and makes the usage final. Also what else
 * is done once a second: rules that lost their guaranteed rate and could not be
 * taken out are tried again, and the load is measured.
 */
void sl_control_expire(struct sl_control *control);

/*
 * Rules whose content has changed without a request: a server's address, the
 * policy directory. `successor` is called for every rule in force and returns
 * the content that takes its place (the caller's, until this returns) or NULL:
 * it stays. Counts, versions and hard timeouts go on. A rule that cannot be had
 * as it is now (a full map, no queue) stays as it was, alone; one of which
 * nothing can match the session's address family any more goes, with final
 * usage. Both are told as SL_EVENT_RULE_FAILED. *changed (may be NULL) counts
 * the sessions of which at least one rule has changed or gone; a session that
 * cannot be published anew stays as it was, with a line in the log.
 */
typedef struct sl_rule *(*sl_rule_successor)(const char *imsi, const struct sl_install *install, void *user);
void sl_control_refresh(struct sl_control *control, sl_rule_successor successor, void *user,
			uint32_t *changed);

/*
 * The rule that redirects who has this address (IPv6: its /64), NULL if none
 * does. -ENOENT: no session in force has it.
 */
int sl_control_redirect_of(struct sl_control *control, const struct sl_address *address,
			   const struct sl_rule **rule);

/*
 * Looks for the interfaces that rules send packets to: one may go and come back.
 * To be called about once a second.
 */
void sl_control_resolve_steers(struct sl_control *control);

/*
 * A slot in the map steers for copies to an interface that no rule of a session
 * names; the same slot for the same interface. To be put back as often as taken,
 * then free a grace period later. -ENOSPC: all are in use.
 */
int sl_control_mirror_take(struct sl_control *control, const char *interface, uint32_t *slot,
			   struct sl_error *err);
/* One that was taken by an earlier start; before sessions change. -EINVAL: it is none. */
int sl_control_mirror_adopt(struct sl_control *control, uint32_t slot);
void sl_control_mirror_put(struct sl_control *control, uint32_t slot);

/*
 * Compares the kernel with the model and repairs what differs, one step of
 * `steps` in a pass: endpoints (missing, changed, not ours), the index beside
 * them, policies, bindings, match lists, settings, the records that the next start reads, hooks, queues.
 * The work of a step is bounded, whatever the sizes of the maps; where that is
 * too little for a pass in `steps`, the pass takes longer. Every repair is told
 * as SL_EVENT_REPAIRED; what cannot be repaired is logged once.
 */
void sl_control_audit(struct sl_control *control, uint32_t steps);

struct sl_audit_stats {
	uint64_t passes;
	uint64_t repairs;
	uint64_t failures;	  /* repairs that were not possible */
	uint64_t last_pass_ms;	  /* what the last pass took, by the clock on the wall */
	char last[SL_ERROR_SIZE]; /* the last repair or failure */
};
void sl_control_audit_stats(const struct sl_control *control, struct sl_audit_stats *out);

/* --- usage ---------------------------------------------------------------- */

/*
 * Walks the usage in force, default drops included, by session slot: fills at
 * most max records and returns how many. *cursor is 0 at the start and opaque
 * after it; 0 again at the end of the walk. Sessions may come and go between
 * two calls; none that stays is left out.
 */
size_t sl_control_usage(struct sl_control *control, struct sl_usage_record *out, size_t max,
			uint64_t *cursor);

/* Retired usage that waits for an acknowledgement; at most max records. */
size_t sl_control_retired(struct sl_control *control, struct sl_usage_record *out, size_t max);

/*
 * All usage of one session, what is retired included, as it is reported: of the
 * first session from *slot on that is in force, or of the first that has ended.
 * Returns the number of its records, 0 when there is no such session; *slot is
 * then where to go on (SLUICE_NONE: nowhere). With more records than max nothing
 * is filled in and *slot is the session's: come again with more room.
 */
size_t sl_control_session_usage(struct sl_control *control, bool ended, struct sl_usage_record *out,
				size_t max, uint32_t *slot);

/*
 * The session manager has these final counts: their slots are freed. A receipt
 * for what has been counted into again since is void.
 */
void sl_control_acknowledge(struct sl_control *control, const struct sl_usage_receipt *receipts,
			    size_t count);

/* --- views ------------------------------------------------------------------ */

struct sl_session_view {
	uint32_t slot;
	const char *imsi;
	struct sl_address address;
	const struct sluice_session_record *record;
	const struct sl_install *installs; /* in order of precedence */
	uint32_t install_count;
	struct sluice_usage default_usage;
	struct sluice_counter ids_dropped; /* by IDS rules and blocks; nobody's usage */
	bool active;
	enum sl_session_state state;
	/*
	 * CLOCK_MONOTONIC. Restricted, redirected: when that began; to an agent that
	 * has started since, the activation of the oldest version of such a rule.
	 * Otherwise the session's activation.
	 */
	uint64_t state_since_ns;
};

/*
 * Calls visit for the sessions from this slot on, in order of slots, all of them
 * (imsi NULL) or those of one IMSI. Non-zero from visit ends the walk and is returned.
 */
int sl_control_each_session(struct sl_control *control, const char *imsi, uint32_t from_slot,
			    int (*visit)(const struct sl_session_view *view, void *user), void *user);
/* The sessions of one IMSI that are in force, in no order, without a walk through all. */
int sl_control_each_session_of(struct sl_control *control, const char *imsi,
			       int (*visit)(const struct sl_session_view *view, void *user), void *user);
/*
 * The highest version of a rule of which the session at this address has usage,
 * in force or not yet acknowledged; 0: none.
 */
uint32_t sl_control_last_version(struct sl_control *control, const struct sl_address *address, const char *id,
				 enum sluice_origin origin);
void sl_control_each_rule(struct sl_control *control, void (*visit)(struct sl_rule *rule, void *user),
			  void *user);
uint32_t sl_control_rule_count(const struct sl_control *control);

/* The counts of one slot, as they are now. */
struct sluice_usage sl_control_read_usage(const struct sl_control *control, uint32_t slot);

/* For events: whose usage slot is this; NULLs where it is nobody's. */
void sl_control_owner(const struct sl_control *control, uint32_t usage, const char **imsi,
		      const char **rule_id);

struct sl_fill {
	const char *name; /* of the map or pool */
	uint64_t used;
	uint64_t size;
};
size_t sl_control_fill(const struct sl_control *control, struct sl_fill *out, size_t max);

void sl_control_count_sessions(const struct sl_control *control, uint32_t counts[SL_SESSION_ENDED + 1]);

/* What all sessions together have used since the agent started, those that have gone included. */
struct sluice_usage sl_control_total_usage(const struct sl_control *control);

/* A QoS profile that rules in force have. */
struct sl_profile_view {
	const char *name;
	uint32_t rules;	   /* of different content */
	uint32_t sessions; /* with at least one of them */
	uint32_t shaped;   /* of those: with a queue and without a meter for them */
	uint32_t policed;  /* with a meter in at least one direction; the others have no rate */
	uint32_t behind;   /* of the rules: could not be had with the profile's values of now */
	bool missing;	   /* the profile is no more; the rules keep what they have */

	const struct sl_rule *rule; /* one of them */
};

/* In no order. Walks the rules of different content, not the sessions. */
void sl_control_each_profile(struct sl_control *control,
			     void (*visit)(const struct sl_profile_view *view, void *user), void *user);

/* The link (apn NULL) or an APN of the configuration, with what all its sessions have. bit/s. */
struct sl_load_view {
	const char *apn;
	uint32_t sessions;
	uint32_t rules;			      /* with a GBR */
	uint64_t capacity[SLUICE_DIRECTIONS]; /* 0: no cap of its own, or not known */
	uint64_t reserve[SLUICE_DIRECTIONS];  /* what GBRs may take; UINT64_MAX: without a bound */
	uint64_t reserved[SLUICE_DIRECTIONS]; /* what they have taken */
	uint64_t headroom[SLUICE_DIRECTIONS]; /* what one more may take, of the link as well */
	uint64_t used[SLUICE_DIRECTIONS];     /* what rules permitted, over some five seconds */
};

/* The link first, then APNs by name. */
void sl_control_each_load(const struct sl_control *control,
			  void (*visit)(const struct sl_load_view *view, void *user), void *user);

/* Since the start: rules that were refused for their GBR, rules that gave way to others. */
void sl_control_count_guarantees(const struct sl_control *control, uint64_t *refused, uint64_t *preempted);

uint32_t sl_control_known_sessions(const struct sl_control *control); /* active in the model */
uint32_t sl_control_enforced_sessions(struct sl_control *control);    /* endpoints in the kernel */

#endif
