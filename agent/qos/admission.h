/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who gets a guaranteed rate: admission of GBR rules against what the link and
 * their APN have in reserve for guarantees, by allocation and retention priority
 * (ARP, 3GPP TS 29.212 clauses 5.3.45 to 5.3.47, TS 23.401 clause 4.7.3). Only the book: nothing is
 * enforced here, and priority says nothing about how packets are forwarded.
 *
 * Rates are bit/s, one for each direction. A resource is the link or an APN;
 * each has a capacity in each direction. Where a request does not fit and its
 * rule may pre-empt, rules that may be pre-empted and have a worse level (a
 * higher number) give way: the worst level first, of a level the newest first;
 * passed over is one that frees nothing where it is short. Either they free
 * enough, or nobody gives way and the request is refused.
 */
#ifndef SL_ADMISSION_H
#define SL_ADMISSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "sluice/verdict.h"

#define SL_ADMISSION_LEVELS 15	/* 1 is the best */
#define SL_ADMISSION_APNS   256 /* resources beside the link */

/* No APN of its own: only the link counts. */
#define SL_ADMISSION_LINK UINT32_MAX

/* A capacity that is never short. */
#define SL_ADMISSION_UNLIMITED UINT64_MAX

struct sl_admission;

struct sl_admission_request {
	uint64_t owner; /* the caller's name for it; nothing here depends on it */
	uint64_t gbr[SLUICE_DIRECTIONS];
	uint32_t apn;	       /* below SL_ADMISSION_APNS, or SL_ADMISSION_LINK */
	uint8_t level;	       /* 1 .. 15 */
	bool may_preempt;      /* pre-emption capability; 3GPP's default is no */
	bool may_be_preempted; /* pre-emption vulnerability; 3GPP's default is yes */
};

enum sl_admission_verdict {
	SL_ADMISSION_ACCEPTED,
	SL_ADMISSION_REFUSED,
};

struct sl_admission_victim {
	uint32_t slot; /* free again, or at the end (sl_admission_begin) */
	uint64_t owner;
};

/* What was decided. */
struct sl_admission_answer {
	enum sl_admission_verdict verdict;
	uint32_t slot; /* accepted: the caller's handle until it is removed */
	/* accepted: who gave way, in that order; removed already. Valid until the next call. */
	const struct sl_admission_victim *victim;
	uint32_t victims;
	/* refused: the first resource that is short, link before APN, uplink before downlink */
	uint32_t short_apn; /* SL_ADMISSION_LINK: the link */
	enum sluice_direction short_direction;
	uint64_t short_by; /* bit/s, before anybody would give way */
};

/* At most so many rules with a GBR; all capacities are 0. -ENOMEM; -EINVAL for 0. */
int sl_admission_new(uint32_t size, struct sl_admission **out);
void sl_admission_free(struct sl_admission *admission);

/*
 * What a resource has for guarantees. Below what is reserved already nobody loses
 * anything, but nothing more is accepted until it fits. -ERANGE: no such APN.
 */
int sl_admission_set_capacity(struct sl_admission *admission, uint32_t apn,
			      const uint64_t capacity[SLUICE_DIRECTIONS], struct sl_error *err);

/*
 * Both verdicts are a success. -EINVAL: a level or an APN that does not exist, no
 * GBR in either direction, or a rate above SL_ADMISSION_RATE_MAX; -ENOSPC: `size` rules are in the book
 * (nobody is pre-empted for that); -ENOMEM between begin and end.
 */
int sl_admission_admit(struct sl_admission *admission, const struct sl_admission_request *request,
		       struct sl_admission_answer *answer, struct sl_error *err);

/* So high that the sum over all rules fits 64 bits: 1 Tbit/s. */
#define SL_ADMISSION_RATE_MAX 1000000000000ull

/* What is in force already, after a restart, the oldest first: never refused, nobody gives way. */
int sl_admission_restore(struct sl_admission *admission, const struct sl_admission_request *request,
			 uint32_t *slot, struct sl_error *err);

/*
 * Another request in the place of an earlier one, which keeps its age and its slot. What it has
 * counts as free for it, and it does not give way to itself. Who asks for no more is never refused.
 * Refused: it stays as it was.
 * -ENOENT: no such slot.
 */
int sl_admission_change(struct sl_admission *admission, uint32_t slot,
			const struct sl_admission_request *request, struct sl_admission_answer *answer,
			struct sl_error *err);

/* -ENOENT: no such slot; -ENOMEM between begin and end. */
int sl_admission_remove(struct sl_admission *admission, uint32_t slot);

/*
 * Between begin and end what is decided can be taken back, because whoever asks may
 * fail for other reasons: rewind goes back to a mark, so that requests, those who
 * gave way and their ages are as they were then. A slot that becomes free meanwhile is
 * used again only after the end. Not nested; without a beginning all is for good at once.
 */
void sl_admission_begin(struct sl_admission *admission);
size_t sl_admission_mark(const struct sl_admission *admission);
void sl_admission_rewind(struct sl_admission *admission, size_t mark);
void sl_admission_end(struct sl_admission *admission);

/* One resource now. */
struct sl_admission_load {
	uint64_t capacity[SLUICE_DIRECTIONS];
	uint64_t reserved[SLUICE_DIRECTIONS];
	uint32_t rules;
};

int sl_admission_load(const struct sl_admission *admission, uint32_t apn, struct sl_admission_load *load);

#endif
