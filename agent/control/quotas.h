/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Quotas of sessions in the maps and in drafts. Private to control/.
 *
 * A quota is complete before a policy leads to it, and free a grace period
 * after the last one has gone. What is granted to one in use is noted in its
 * owner first, so that the next start ends what a crash interrupted, once.
 */
#ifndef SL_CONTROL_QUOTAS_H
#define SL_CONTROL_QUOTAS_H

#include "control/draft.h"

/* Which of a session's it is. */
struct sl_quota_key {
	uint32_t scope;	       /* enum sluice_quota_scope */
	uint32_t origin;       /* RULE */
	uint32_t rating_group; /* RATING_GROUP */
	uint64_t rule;	       /* RULE: sl_quota_rule_hash */
};

struct sl_session_quota {
	struct sl_quota_key key;
	uint32_t slot;
};

uint64_t sl_quota_rule_hash(const char *id);
bool sl_quota_key_equal(const struct sl_quota_key *a, const struct sl_quota_key *b);

/* NULL: none of these has the key. */
const struct sl_session_quota *sl_quota_find(const struct sl_session_quota *quotas, uint32_t count,
					     const struct sl_quota_key *key);

/* Slot of what a quota of `scope` has above it: of these, or of the twin, which may be NULL. SLUICE_NONE. */
uint32_t sl_quota_parent(const struct sl_session_quota *quotas, uint32_t count, const struct sl_session *twin,
			 uint32_t rating_group, uint32_t scope);

/* The first of these that the rule is charged to; NULL: none. rule: the hash of its id. */
const struct sl_session_quota *sl_quota_first(const struct sl_session_quota *quotas, uint32_t count,
					      const struct sl_install *install, uint64_t rule);

/* Of this key; NULL: it has none. session may be NULL. */
const struct sl_session_quota *sl_quota_of(const struct sl_session *session, const struct sl_quota_key *key);

/* --- one quota in the maps ------------------------------------------------------ */

/* 0 or -EINVAL, which names quotas[index] and its field. */
int sl_quota_check(const struct sl_quota_request *request, size_t index, struct sl_error *err);
/* A slot with what the request grants; -ENOSPC. Whose it is counts from sl_quota_keep on. */
int sl_quota_take(struct sl_control *control, const struct sl_session *session,
		  const struct sl_quota_key *key, const struct sl_quota_request *request, uint32_t *slot,
		  struct sl_error *err);
void sl_quota_keep(struct sl_control *control, const struct sl_session *session,
		   const struct sl_session_quota *quota);
/* False: it was the last grant again, and nothing has changed. */
bool sl_quota_grant(struct sl_control *control, uint32_t slot, const struct sl_quota_request *request);
/* A grant that a crash interrupted. */
void sl_quota_finish_grant(struct sl_control *control, uint32_t slot);
/* The session has it no more: it is another's of that IMSI, or free after a grace period. */
void sl_quota_put(struct sl_control *control, uint32_t slot, const struct sl_session *session);
void sl_quota_clear(struct sl_control *control, uint32_t slot); /* it is nobody's, and leads nowhere */
void sl_quota_tell_granted(struct sl_control *control, uint32_t slot);
void sl_quotas_step(struct sl_control *control); /* once a second: what no record told */

/* --- sessions that part, and those that become twins: in parted.c ------------------- */

/* Another session has the slot, and it is not this one's twin. twin may be NULL. */
bool sl_quota_is_parted(const struct sl_control *control, const struct sl_session_quota *quota,
			const struct sl_session *twin);
/* A slot for what this session is to have of the quota: nothing yet. -ENOSPC. */
int sl_quota_part(struct sl_control *control, const struct sl_session *session,
		  const struct sl_session_quota *quota, uint32_t *slot, struct sl_error *err);
/* Half of what is left of the first is the other's from now on, to which nothing leads yet. */
void sl_quota_divide(struct sl_control *control, uint32_t from, uint32_t to);
/* What is used of the first is used of the other, too, but for the bytes counted before; returns all. */
uint64_t sl_quota_join(struct sl_control *control, uint32_t from, uint32_t to, uint64_t counted);

/* --- of a session ----------------------------------------------------------------- */

/* Every usage slot and every quota leads on as it should. True: one did not. */
bool sl_quotas_lead(struct sl_control *control, const struct sl_session *session);
/* The same of all sessions of its IMSI: a quota leads to the same for each that has it. */
bool sl_quotas_lead_all(struct sl_control *control, const struct sl_session *session);
void sl_quotas_release(struct sl_control *control, struct sl_session *session); /* it ends */
/* Packets have found one of them used up. */
bool sl_quotas_used_up(const struct sl_control *control, const struct sl_session *session);
/* repair: by session slot; set where bindings say something else. -ENOMEM. */
int sl_quotas_adopt(struct sl_control *control, bool *repair, struct sl_error *err);

/* --- of a draft, whose rules are known: in quota_drafts.c ------------------------------ */

int sl_quotas_draft(struct sl_draft *draft, const struct sl_update *update, struct sl_error *err);
void sl_quotas_abandon(struct sl_draft *draft);
void sl_quotas_prepare(struct sl_draft *draft); /* about to be published */
void sl_quotas_commit(struct sl_draft *draft);	/* published; the session has its rules and its twin */
void sl_quotas_tell(struct sl_draft *draft);	/* afterwards, and frees what the draft had */
/* Quotas of the session that its twin should have and has not, or has for itself. */
bool sl_quotas_twin_lacks(const struct sl_session *session);
/* They are the twin's, too, then. */
void sl_quotas_follow(struct sl_control *control, const struct sl_session *session);

#endif
