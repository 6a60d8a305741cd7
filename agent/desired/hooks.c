// SPDX-License-Identifier: Apache-2.0
/* What the session manager does beside the desired state: whose a rule is, and when sessions appear. */
#include <string.h>

#include "desired/model.h"

bool sl_desired_owns(const struct sl_desired *desired, const char *imsi, const struct sl_address *address,
		     const struct sl_install *install)
{
	const struct sl_desired_subscriber *subscriber = desired ? sl_subscriber_of(desired, imsi) : NULL;
	const struct sl_tracked *tracked = subscriber ? sl_tracked_find(subscriber, address) : NULL;
	const struct sl_track *track;

	if (!tracked || install->origin != SLUICE_ORIGIN_GX)
		return false;
	track = sl_track_find(tracked, install->rule->id);
	return track && track->owned;
}

/* The last one to write a rule has it. */
static void give_up(const struct sl_tracked *tracked, const struct sl_session_request *request)
{
	for (size_t i = 0; i < request->rule_count; i++) {
		const struct sl_rule_request *rule = &request->rules[i];
		struct sl_track *track = NULL;

		if (rule->result == 0 && rule->origin == SLUICE_ORIGIN_GX)
			track = sl_track_find(tracked, rule->id);
		if (track)
			track->owned = false;
	}
}

static struct sl_desired_subscriber *note(struct sl_desired *desired,
					  const struct sl_session_request *request)
{
	struct sl_desired_subscriber *subscriber = sl_subscriber_of(desired, request->imsi);
	const struct sl_tracked *tracked = subscriber ? sl_tracked_find(subscriber, &request->address) : NULL;

	if (tracked)
		give_up(tracked, request);
	return subscriber;
}

void sl_desired_activated(struct sl_desired *desired, const struct sl_session_request *request)
{
	struct sl_desired_subscriber *subscriber = note(desired, request);

	if (subscriber)
		sl_desired_apply(desired, subscriber, SL_APPLY_EVENT);
}

void sl_desired_setup_done(struct sl_desired *desired, const struct sl_session_request *requests,
			   size_t count)
{
	struct sl_desired_subscriber *subscriber, *tmp;

	sl_base_names_forget(desired);
	for (size_t i = 0; i < count; i++)
		note(desired, &requests[i]);
	DL_FOREACH_SAFE(desired->all, subscriber, tmp)
	sl_desired_apply(desired, subscriber, SL_APPLY_EVENT);
}
