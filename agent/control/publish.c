// SPDX-License-Identifier: Apache-2.0
/* From a draft to what packets and the next start find: records before, publication, records after. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "control/draft.h"
#include "control/guarantees.h"
#include "control/quotas.h"

/*
 * What the next start will read if this one dies in between: new slots are
 * still free, and rules that change in place say what they are about to become
 * under which policy. So after a crash either the old set or the new one is
 * found, whole.
 */
void sl_owners_prepare(struct sl_draft *draft, uint32_t policy)
{
	for (uint32_t i = 0; i < draft->count; i++) {
		const struct sl_entry *entry = &draft->entries[i];

		if (entry->new_usage)
			sl_owner_write(draft->control, draft->session, &entry->install, SLUICE_USAGE_FREE);
		else
			sl_owner_pend(draft->control, &entry->install, policy);
	}
}

void sl_owners_unprepare(struct sl_draft *draft)
{
	for (uint32_t i = 0; i < draft->count; i++)
		if (!draft->entries[i].new_usage)
			sl_owner_unpend(draft->control, draft->entries[i].install.binding.usage);
}

static void unretire_usage(struct sl_control *control, struct sl_session *session, uint32_t usage)
{
	for (uint32_t i = 0; i < session->retired_count; i++) {
		if (session->retired[i].usage != usage)
			continue;
		if (session->retired[i].rule)
			sl_rule_record_put(control, session->retired[i].rule);
		sl_session_unretire(control, session, i);
		return;
	}
}

static bool continued(const struct sl_draft *draft, const struct sl_install *present)
{
	for (uint32_t i = 0; i < draft->count; i++)
		if (draft->entries[i].present == present)
			return true;
	return false;
}

static bool classes_moved(const struct sl_draft *draft, const struct sl_install *present)
{
	for (uint32_t i = 0; i < draft->count; i++)
		if (draft->entries[i].replaces == present)
			return true;
	return false;
}

static void release_class(struct sl_control *control, int direction, uint16_t minor)
{
	if (minor)
		sl_control_defer(control,
				 direction == SLUICE_UPLINK ? SL_SLOT_UPLINK_CLASS : SL_SLOT_DOWNLINK_CLASS,
				 minor, 1);
}

void sl_draft_commit(struct sl_draft *draft, const struct sl_image *image)
{
	struct sl_control *control = draft->control;
	struct sl_session *session = draft->session;

	sl_guarantees_commit(draft);
	sl_profiles_count(session, false);
	for (uint32_t i = 0; i < session->install_count; i++) {
		const struct sl_install *present = &session->installs[i];

		if (continued(draft, present)) {
			sl_rule_record_put(control, present->rule);
			continue;
		}
		if (!classes_moved(draft, present)) {
			release_class(control, SLUICE_UPLINK, present->binding.uplink_class);
			release_class(control, SLUICE_DOWNLINK, present->binding.downlink_class);
			sl_meters_release(control, present);
		}
		sl_retire_install(control, session, present);
	}
	for (uint32_t i = 0; i < draft->count; i++) {
		const struct sl_entry *entry = &draft->entries[i];

		for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++)
			release_class(control, direction, entry->unused_class[direction]);
		if (entry->revived != SLUICE_NONE)
			unretire_usage(control, session, entry->revived);
	}
	for (uint32_t i = 0; i < draft->count; i++)
		sl_owner_write(control, session, &draft->entries[i].install, SLUICE_USAGE_ACTIVE);
	if (control->maps->usage_owners[session->default_usage].state != SLUICE_USAGE_ACTIVE)
		sl_owner_write_default(control, session, SLUICE_USAGE_ACTIVE);

	sl_meters_commit(draft);
	sl_trees_commit(draft);
	sl_retire_policy(control, session);
	session->policy = image->policy;
	session->overflow_first = image->overflow_first;
	session->overflow_count = image->overflow_count;
	session->ruleset = image->ruleset;
	session->final = image->final;
	session->apn = image->apn;
	session->unrepaired = false;
	if (session->twin != draft->twin) {
		draft->left[0] = session->twin;
		draft->left[1] = draft->twin ? draft->twin->twin : NULL;
		sl_twin_unlink(control, session);
		if (draft->twin)
			sl_twin_unlink(control, draft->twin);
		sl_twin_link(control, session, draft->twin);
	}
	free(session->installs);
	session->installs = SL_TAKE(draft->installs);
	session->install_count = draft->count;
	/* not when they are published anew, which may fail */
	for (size_t i = 0; i < SL_ARRAY_SIZE(draft->left); i++)
		if (draft->left[i])
			sl_guarantees_part(control, draft->left[i]);
	sl_profiles_count(session, true);
	sl_quotas_commit(draft);
	sl_meters_reparent(control, session->twin);
	for (uint32_t i = 0; i < draft->count; i++)
		if (draft->entries[i].new_deadline && draft->entries[i].install.binding.deadline_ns)
			sl_deadline_note(control, session, &draft->entries[i].install);
}

int sl_draft_publish(struct sl_draft *draft, const struct sl_image *image, struct sl_error *err)
{
	struct sl_control *control = draft->control;
	struct sl_session *session = draft->session;
	struct sl_session *displaced = sl_session_find(control, &session->address);
	struct sluice_endpoint endpoint = {.policy = image->policy, .session = session->slot};
	int rc;

	if (displaced == session)
		displaced = NULL;
	if (displaced && sl_session_reserve_retired(displaced, displaced->install_count + 1) < 0)
		return sl_error(err, ENOMEM, "out of memory");
	memcpy(endpoint.imsi, session->imsi, sizeof(endpoint.imsi));
	rc = sl_endpoint_set(control->config.datapath, &session->address, &endpoint, err);
	if (rc < 0)
		return rc;
	draft->alone = displaced ? displaced->twin : NULL;
	if (displaced)
		sl_retire_session(control, displaced, "address taken by another subscriber");
	sl_session_set_active(control, session, true);
	return 0;
}
