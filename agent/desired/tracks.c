// SPDX-License-Identifier: Apache-2.0
/* What was put into a session: rule ids in order, so that look-ups stay cheap with a thousand of them. */
#include <stdlib.h>
#include <string.h>

#include "desired/model.h"

/* Ids of rules that have gone are forgotten above this, so that a session's memory has an end. */
#define TRACKS (4 * SLUICE_RULES_PER_SESSION)

struct sl_tracked *sl_tracked_find(const struct sl_desired_subscriber *subscriber,
				   const struct sl_address *address)
{
	struct sl_tracked *tracked;

	LL_FOREACH (subscriber->sessions, tracked)
		if (sl_address_same_endpoint(&tracked->address, address))
			return tracked;
	return NULL;
}

struct sl_tracked *sl_tracked_make(struct sl_desired_subscriber *subscriber, const struct sl_address *address)
{
	struct sl_tracked *tracked = sl_tracked_find(subscriber, address);

	if (tracked)
		return tracked;
	tracked = calloc(1, sizeof(*tracked));
	if (!tracked)
		return NULL;
	tracked->address = *address;
	LL_PREPEND(subscriber->sessions, tracked);
	return tracked;
}

void sl_tracked_begin(struct sl_tracked *tracked, uint64_t since_ns, uint32_t versions_above)
{
	for (size_t i = 0; i < tracked->count; i++) {
		free(tracked->tracks[i].id);
		free(tracked->tracks[i].refusal);
	}
	tracked->count = 0;
	tracked->since_ns = since_ns;
	tracked->versions_above = versions_above;
}

void sl_tracked_free(struct sl_tracked *tracked)
{
	sl_tracked_begin(tracked, 0, 0);
	free(tracked->tracks);
	free(tracked);
}

/* Where the id is, or where it belongs. */
static size_t position(const struct sl_tracked *tracked, const char *id)
{
	size_t low = 0, high = tracked->count;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (strcmp(tracked->tracks[middle].id, id) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct sl_track *sl_track_find(const struct sl_tracked *tracked, const char *id)
{
	size_t at = position(tracked, id);

	if (at == tracked->count || strcmp(tracked->tracks[at].id, id) != 0)
		return NULL;
	return &tracked->tracks[at];
}

void sl_track_refused(struct sl_track *track, const char *reason)
{
	free(track->refusal);
	track->refusal = strdup(reason);
	track->refusals++;
}

void sl_track_not_refused(struct sl_track *track)
{
	free(track->refusal);
	track->refusal = NULL;
	track->refusals = 0;
}

static void forget_gone(struct sl_tracked *tracked)
{
	size_t kept = 0;

	for (size_t i = 0; i < tracked->count; i++) {
		const struct sl_track *track = &tracked->tracks[i];

		if (track->owned) {
			tracked->tracks[kept++] = *track;
			continue;
		}
		if (track->version > tracked->versions_above)
			tracked->versions_above = track->version;
		free(track->id);
		free(track->refusal);
	}
	tracked->count = kept;
}

struct sl_track *sl_track_make(struct sl_tracked *tracked, const char *id)
{
	struct sl_track *track = sl_track_find(tracked, id);
	size_t at;
	char *copy;

	if (track)
		return track;
	if (tracked->count == TRACKS)
		forget_gone(tracked);
	if (tracked->count == tracked->capacity) {
		size_t capacity = tracked->capacity ? 2 * tracked->capacity : 4;
		struct sl_track *grown = reallocarray(tracked->tracks, capacity, sizeof(*grown));

		if (!grown)
			return NULL;
		tracked->tracks = grown;
		tracked->capacity = capacity;
	}
	copy = strdup(id);
	if (!copy)
		return NULL;
	at = position(tracked, id);
	memmove(&tracked->tracks[at + 1], &tracked->tracks[at],
		(tracked->count - at) * sizeof(*tracked->tracks));
	tracked->count++;
	tracked->tracks[at] = (struct sl_track){.id = copy, .version = tracked->versions_above};
	return &tracked->tracks[at];
}
