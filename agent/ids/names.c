// SPDX-License-Identifier: Apache-2.0
#include "ids/names.h"

#include <string.h>

#include "base/cleanup.h"

const char *const sl_ids_tracks[] = {
	"connection", "subscriber", "subscriber-rule", "source", "destination", "pair", "rule", "apn", NULL};
const char *const sl_ids_counts[] = {"packets",
				     "bytes",
				     "payload-packets",
				     "syns",
				     "new-connections",
				     "open-connections",
				     "failed-connections",
				     "distinct-remote-ports",
				     "distinct-remote-addresses",
				     "distinct-local-ports",
				     NULL};
const char *const sl_ids_kinds[] = {"exact", "sliding", "bucket", "fixed", "ewma", NULL};
const char *const sl_ids_verdicts[] = {"alert",	     "drop",	 "drop-connection", "police", "mirror",
				       "quarantine", "redirect", "notify",	    NULL};

_Static_assert(SL_ARRAY_SIZE(sl_ids_tracks) == SLUICE_IDS_APN + 1, "a word for each track");
_Static_assert(SL_ARRAY_SIZE(sl_ids_counts) == SLUICE_IDS_DISTINCT_LOCAL_PORTS + 1, "a word for each count");
_Static_assert(SL_ARRAY_SIZE(sl_ids_kinds) == SLUICE_IDS_EWMA + 1, "a word for each kind");
_Static_assert(SL_ARRAY_SIZE(sl_ids_verdicts) == SLUICE_IDS_NOTIFY + 1, "a word for each verdict");

static const char *name_of(const char *const *names, unsigned int value, unsigned int last)
{
	return value >= 1 && value <= last ? names[value - 1] : "?";
}

const char *sl_ids_track_name(unsigned int track)
{
	return name_of(sl_ids_tracks, track, SLUICE_IDS_APN);
}

const char *sl_ids_count_name(unsigned int count)
{
	return name_of(sl_ids_counts, count, SLUICE_IDS_DISTINCT_LOCAL_PORTS);
}

const char *sl_ids_kind_name(unsigned int kind)
{
	return name_of(sl_ids_kinds, kind, SLUICE_IDS_EWMA);
}

const char *sl_ids_limit_kind(const struct sluice_ids_rule *rule, uint32_t limit)
{
	bool swept = (rule->flags & SLUICE_IDS_POLL) || rule->count == SLUICE_IDS_OPEN_CONNECTIONS;

	return swept ? "" : sl_ids_kind_name(rule->limit[limit].kind);
}

const char *sl_ids_verdict_name(unsigned int verdict)
{
	return name_of(sl_ids_verdicts, verdict, SLUICE_IDS_NOTIFY);
}

unsigned int sl_ids_track_value(const char *name)
{
	for (unsigned int i = 0; sl_ids_tracks[i]; i++)
		if (strcmp(sl_ids_tracks[i], name) == 0)
			return i + 1;
	return 0;
}
