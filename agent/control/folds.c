// SPDX-License-Identifier: Apache-2.0
/*
 * What rules have dropped that have gone since, for a session manager to whom it
 * is the default drop's. Added to the default drop's live counts it would be
 * lost or there twice after a crash, because packets count there, too. So it is
 * in the session's record, which only the agent writes: first the sum as it will
 * be, then the mark, then the sum itself; the slot is freed before the mark goes.
 */
#include <string.h>

#include "control/model.h"

static void finish(struct sluice_session_record *record)
{
	memcpy(record->folded, record->folding, sizeof(record->folded));
}

static void add(struct sluice_counter *sum, const struct sluice_counter *more)
{
	sum->bytes += more->bytes;
	sum->packets += more->packets;
}

void sl_fold_begin(struct sl_control *control, const struct sl_session *session, uint32_t usage)
{
	struct sluice_session_record *record = &control->maps->sessions[session->slot];
	struct sluice_usage gone = sl_control_read_usage(control, usage);

	memcpy(record->folding, record->folded, sizeof(record->folding));
	add(&record->folding[SLUICE_UPLINK], &gone.uplink_dropped);
	add(&record->folding[SLUICE_DOWNLINK], &gone.downlink_dropped);
	__atomic_store_n(&record->folding_usage, usage + 1, __ATOMIC_SEQ_CST);
	finish(record);
}

void sl_fold_end(struct sl_control *control, const struct sl_session *session)
{
	__atomic_store_n(&control->maps->sessions[session->slot].folding_usage, 0, __ATOMIC_SEQ_CST);
}

void sl_fold_add(const struct sl_control *control, const struct sl_session *session,
		 struct sluice_usage *default_drop)
{
	const struct sluice_session_record *record = &control->maps->sessions[session->slot];

	add(&default_drop->uplink_dropped, &record->folded[SLUICE_UPLINK]);
	add(&default_drop->downlink_dropped, &record->folded[SLUICE_DOWNLINK]);
}

void sl_folds_adopt(struct sl_control *control)
{
	for (uint32_t slot = 0; slot < control->maps->size.sessions; slot++) {
		struct sluice_session_record *record = &control->maps->sessions[slot];
		uint32_t usage = record->folding_usage - 1;

		if (record->state == SLUICE_SESSION_FREE || usage >= control->maps->size.usage)
			continue;
		finish(record);
		if (control->maps->usage_owners[usage].session == slot)
			memset(&control->maps->usage_owners[usage], 0, sizeof(struct sluice_usage_owner));
		__atomic_store_n(&record->folding_usage, 0, __ATOMIC_SEQ_CST);
	}
}
