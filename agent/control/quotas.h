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

/* The first of these that the rule is charged to; NULL: none. rule: the hash of its id. */
const struct sl_session_quota *sl_quota_first(const struct sl_session_quota *quotas, uint32_t count,
					      const struct sl_install *install, uint64_t rule);
/* The next one after it; NULL: none. */
const struct sl_session_quota *sl_quota_parent(const struct sl_session_quota *quotas, uint32_t count,
					       const struct sl_session_quota *quota,
					       const struct sl_install *install);

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
/* The session has it no more; if another has, that is the twin. May be NULL. */
void sl_quota_put(struct sl_control *control, uint32_t slot, const struct sl_session *session,
		  const struct sl_session *twin);
void sl_quota_tell_granted(struct sl_control *control, uint32_t slot);
void sl_quotas_step(struct sl_control *control); /* once a second: what no record told */

/* --- of a session ----------------------------------------------------------------- */

/* Every usage slot and every quota leads on as it should. True: one did not. */
bool sl_quotas_lead(struct sl_control *control, const struct sl_session *session);
/* It ends. twin: the one it had; may be NULL. */
void sl_quotas_release(struct sl_control *control, struct sl_session *session, const struct sl_session *twin);
/* repair: by session slot; set where bindings say something else. -ENOMEM. */
int sl_quotas_adopt(struct sl_control *control, bool *repair, struct sl_error *err);

/* --- of a draft, whose rules are known ----------------------------------------------- */

int sl_quotas_draft(struct sl_draft *draft, const struct sl_update *update, struct sl_error *err);
void sl_quotas_abandon(struct sl_draft *draft);
void sl_quotas_prepare(struct sl_draft *draft); /* about to be published */
void sl_quotas_commit(struct sl_draft *draft);	/* published; the session has its rules and its twin */
void sl_quotas_tell(struct sl_draft *draft);	/* afterwards, and frees what the draft had */
/* The session has quotas that its twin should have and has not: the twin gets them. */
void sl_quotas_follow(struct sl_control *control, const struct sl_session *session);

#endif
