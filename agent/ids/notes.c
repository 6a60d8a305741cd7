// SPDX-License-Identifier: Apache-2.0
#include "ids/notes.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "datapath/ids_maps.h"

#define WALK 512

static void set(struct sl_ids_notes *notes, const struct sluice_ids_key *key,
		const struct sluice_ids_note *note)
{
	int rc = sl_ids_set(notes->datapath, SL_IDS_NOTES, key, note, SL_IDS_NEW);

	notes->used += rc == 0;
	if (rc == -EEXIST)
		rc = sl_ids_set(notes->datapath, SL_IDS_NOTES, key, note, SL_IDS_EXISTING);
	if (rc == 0)
		return;
	notes->refused++;
	sl_log(SL_LOG_DEBUG, "ids-note-not-kept", "reason", "%s", strerror(-rc), NULL);
}

static void clear(struct sl_ids_notes *notes, const struct sluice_ids_key *key)
{
	/* what is not there is no longer wanted, whoever took it out */
	if (sl_ids_delete(notes->datapath, SL_IDS_NOTES, key) == 0)
		notes->used--;
}

void sl_ids_notes_reason(struct sl_ids_notes *notes, const struct sluice_ids_key *key, const char *reason)
{
	struct sluice_ids_note note = {.reason = ""};

	if (!reason[0]) {
		clear(notes, key);
		return;
	}
	snprintf(note.reason, sizeof(note.reason), "%s", reason);
	set(notes, key, &note);
}

static struct sluice_ids_key part_of(const struct sluice_ids_key *key, uint32_t part)
{
	struct sluice_ids_key of = *key;

	of.limit = (uint8_t)(part + 1);
	return of;
}

void sl_ids_notes_times(struct sl_ids_notes *notes, const struct sluice_ids_key *key, uint32_t part,
			const uint64_t at[SLUICE_IDS_NOTE_TIMES])
{
	static const struct sluice_ids_note none;
	const struct sluice_ids_key of = part_of(key, part);
	struct sluice_ids_note note;

	memcpy(note.at, at, sizeof(note.at));
	if (memcmp(&note, &none, sizeof(note)) == 0)
		clear(notes, &of);
	else
		set(notes, &of, &note);
}

int sl_ids_notes_times_read(const struct sl_ids_notes *notes, const struct sluice_ids_key *key, uint32_t part,
			    uint64_t at[SLUICE_IDS_NOTE_TIMES])
{
	const struct sluice_ids_key of = part_of(key, part);
	struct sluice_ids_note note;
	int rc = sl_ids_get(notes->datapath, SL_IDS_NOTES, &of, &note);

	if (rc == 0)
		memcpy(at, note.at, sizeof(note.at));
	return rc;
}

/* --- the start ------------------------------------------------------------------------------ */

struct walk {
	struct sl_ids_notes *notes;
	bool (*visit)(const struct sluice_ids_key *key, const struct sluice_ids_note *note, void *user);
	void *user;
};

static int look(const void *key, void *value, void *user)
{
	struct walk *walk = user;

	walk->notes->used++;
	if (!walk->visit(key, value, walk->user))
		clear(walk->notes, key);
	return 0;
}

int sl_ids_notes_each(struct sl_ids_notes *notes,
		      bool (*visit)(const struct sluice_ids_key *key, const struct sluice_ids_note *note,
				    void *user),
		      void *user)
{
	struct walk walk = {.notes = notes, .visit = visit, .user = user};
	uint64_t position = 0;
	int rc;

	notes->used = 0;
	do {
		rc = sl_ids_walk(notes->datapath, SL_IDS_NOTES, &position, WALK, look, &walk);
	} while (rc == 0 && position);
	return rc;
}
