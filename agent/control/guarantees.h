/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rules with a GBR and the book of admission (qos/admission.h): who asks, who
 * gives way, and that nothing of it holds before it is published. A guarantee is a
 * slot of the book; a rule that both sessions of a dual-stack subscriber have is one
 * guarantee. Private to control/.
 */
#ifndef SL_CONTROL_GUARANTEES_H
#define SL_CONTROL_GUARANTEES_H

#include "control/draft.h"
#include "qos/admission.h"

/* Rules with a GBR at most; one more fails. */
#define SL_GUARANTEES 65536u

/* Two twins, and one that is about to be a twin no more. */
#define SL_GUARANTEE_USERS 3

/* A rule that gives way, in one of its sessions. */
struct sl_preemption {
	struct sl_preemption *next;
	uint32_t guarantee; /* slot in the book */
	uint32_t session;   /* slot */
	char imsi[SLUICE_IMSI_SIZE];
	struct sl_address address;
	char rule_id[SLUICE_RULE_ID_SIZE];
	enum sluice_origin origin;
	uint32_t version;
	bool is_own; /* of the session that is being changed: it goes with that */
	struct sl_error reason;
};

struct sl_guarantees {
	struct sl_admission *book;
	uint32_t size;
	uint64_t refused;
	uint64_t preempted;
	bool is_collecting;
	struct sl_preemption *leaving; /* to be taken out of their sessions */
	struct {
		uint32_t session[SL_GUARANTEE_USERS]; /* slot + 1; 0: none */
	} user[];				      /* by slot in the book */
};

/* The book, with what the link and APNs of the configuration have for guarantees. */
int sl_guarantees_open(struct sl_control *control, struct sl_error *err);
void sl_guarantees_close(struct sl_control *control);
/* What adopted sessions have, the oldest rule first; nothing of it is refused. */
int sl_guarantees_adopt(struct sl_control *control, struct sl_error *err);
/* The session ends. */
void sl_guarantees_release(struct sl_control *control, struct sl_session *session);
/* It is nobody's twin any more: of what it shared it has its own, whether that fits or not. */
void sl_guarantees_part(struct sl_control *control, struct sl_session *session);
/* preemptions.c: rules that have lost their guarantee leave their sessions; what fails is tried again at the
 * next call. */
void sl_guarantees_collect(struct sl_control *control);

/* What the link (apn 0) or an APN has for guarantees. */
void sl_guarantees_load(const struct sl_control *control, uint8_t apn, struct sl_admission_load *out);

/* --- of a draft ------------------------------------------------------------------ */

/* Where to go back to when a rule fails after it was admitted. */
struct sl_guarantee_mark {
	size_t steps;
	const struct sl_preemption *newest;
};

/* What the update takes away is free for what it asks for. */
void sl_guarantees_begin(struct sl_draft *draft, const struct sl_update *update);
struct sl_guarantee_mark sl_guarantees_mark(const struct sl_draft *draft);
void sl_guarantees_rewind(struct sl_draft *draft, const struct sl_guarantee_mark *mark);
/*
 * For a rule that is asked for; `present`: the entry that it continues, NULL: none.
 * -EBUSY: refused, or as sl_admission_admit. *guarantee: slot + 1, or 0.
 */
int sl_guarantee_ask(struct sl_draft *draft, const struct sl_entry *present, const struct sl_rule *rule,
		     struct sl_rule_request *request, uint32_t *guarantee);
/* Accepted, and everything else was had: the note on those who gave way. */
void sl_guarantee_tell(struct sl_rule_request *request);
/* Rules that nobody asked for: in the book with those of the twin and the APN that the session has now. */
void sl_guarantees_keep(struct sl_draft *draft);
/* preemptions.c: entries that gave way to others of their own session; NULL: no more. Their requests have
 * failed. */
struct sl_entry *sl_guarantees_lost(struct sl_draft *draft, struct sl_session_request *request);
/* preemptions.c: who gives way to the winner, one for each session that has the rule; -ENOMEM: not all are
 * noted. */
int sl_preemptions_note(struct sl_draft *draft, const struct sl_admission_answer *answer,
			const struct sl_rule *winner);
/* Whoever has the guarantee (slot + 1) gives way. */
bool sl_preemptions_include(const struct sl_draft *draft, uint32_t guarantee);
void sl_preemption_forget(struct sl_draft *draft);  /* the last one: it does not give way */
void sl_preemptions_commit(struct sl_draft *draft); /* they have no guarantee any more, and are to go */
void sl_preemptions_clear(struct sl_guarantees *guarantees);
void sl_guarantees_abandon(struct sl_draft *draft);
void sl_guarantees_commit(
	struct sl_draft *draft); /* published; the session's rules are still those of before */

#endif
