/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What of blocks and offences only the agent knows, kept for its next start in the pinned map ids_notes. A
 * note that finds no room is not kept, and counted: nothing but the restart misses it.
 */
#ifndef SL_IDS_NOTES_H
#define SL_IDS_NOTES_H

#include <stdbool.h>
#include <stdint.h>

#include "sluice/ids.h"

struct sl_datapath;

struct sl_ids_notes {
	struct sl_datapath *datapath;
	uint32_t used;
	uint64_t refused;
};

/* key.limit 0; "": there is none any more. Longer ones are cut. */
void sl_ids_notes_reason(struct sl_ids_notes *notes, const struct sluice_ids_key *key, const char *reason);

/* One part of the times, from 0; all of them 0: there is none any more. */
void sl_ids_notes_times(struct sl_ids_notes *notes, const struct sluice_ids_key *key, uint32_t part,
			const uint64_t at[SLUICE_IDS_NOTE_TIMES]);

/* -ENOENT: there is no such part. */
int sl_ids_notes_times_read(const struct sl_ids_notes *notes, const struct sluice_ids_key *key, uint32_t part,
			    uint64_t at[SLUICE_IDS_NOTE_TIMES]);

/* Counts all there are. Those of which visit says false are taken out. */
int sl_ids_notes_each(struct sl_ids_notes *notes,
		      bool (*visit)(const struct sluice_ids_key *key, const struct sluice_ids_note *note,
				    void *user),
		      void *user);

#endif
