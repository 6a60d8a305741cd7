// SPDX-License-Identifier: Apache-2.0
/*
 * The two sessions of a dual-stack subscriber. They are published, counted and
 * ended apart; what they share is the rate: a rule that both have is in one
 * queue for both. Each one's record names the other, and only where both do
 * are they twins: so a crash between the two writes leaves none.
 */
#include <string.h>

#include "control/model.h"

const struct sl_install *sl_twin_install(const struct sl_session *twin, const struct sl_install *install)
{
	for (uint32_t i = 0; twin && i < twin->install_count; i++) {
		const struct sl_install *other = &twin->installs[i];

		if (other->origin == install->origin && strcmp(other->rule->id, install->rule->id) == 0)
			return other;
	}
	return NULL;
}

uint16_t sl_twin_class(const struct sl_session *twin, const struct sl_install *install, int direction)
{
	const struct sl_install *other = sl_twin_install(twin, install);

	if (!other)
		return 0;
	return direction == SLUICE_UPLINK ? other->binding.uplink_class : other->binding.downlink_class;
}

struct sl_session *sl_twin_wanted(struct sl_control *control, const struct sl_session *session,
				  const struct sl_update *update)
{
	const struct sl_session_request *request = update->request;
	struct sl_session *other;

	if (!request || update->refresh)
		return session->twin;
	if (!request->twin.family)
		return update->exact ? NULL : session->twin;
	other = sl_session_find(control, &request->twin);
	if (!other || other == session || other->address.family == session->address.family ||
	    strcmp(other->imsi, session->imsi) != 0)
		return session->twin;
	return other;
}

void sl_twin_record(struct sl_control *control, const struct sl_session *session,
		    const struct sl_session *twin)
{
	__atomic_store_n(&control->maps->sessions[session->slot].twin, twin ? twin->slot + 1 : 0,
			 __ATOMIC_RELEASE);
}

void sl_twin_unlink(struct sl_control *control, struct sl_session *session)
{
	struct sl_session *twin = session->twin;

	if (!twin)
		return;
	twin->twin = NULL;
	session->twin = NULL;
	sl_twin_record(control, twin, NULL);
	sl_twin_record(control, session, NULL);
}

void sl_twin_link(struct sl_control *control, struct sl_session *session, struct sl_session *twin)
{
	session->twin = twin;
	sl_twin_record(control, session, twin);
	if (!twin)
		return;
	twin->twin = session;
	sl_twin_record(control, twin, session);
}

void sl_twin_adopt(struct sl_control *control, struct sl_session *session)
{
	const struct sluice_session_record *records = control->maps->sessions;
	uint32_t named = records[session->slot].twin;
	struct sl_session *other;

	if (named == 0 || named > control->maps->size.sessions)
		return;
	other = control->by_slot[named - 1];
	if (other && other->active && !other->twin && records[other->slot].twin == session->slot + 1 &&
	    other->address.family != session->address.family && strcmp(other->imsi, session->imsi) == 0) {
		session->twin = other;
		other->twin = session;
	}
}
