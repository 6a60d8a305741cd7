// SPDX-License-Identifier: Apache-2.0
/* What ends: rules, policies, sessions. Nothing is freed while a packet may still read it. */
#include <errno.h>
#include <stdlib.h>

#include "control/guarantees.h"
#include "control/quotas.h"

void sl_retire_install(struct sl_control *control, struct sl_session *session,
		       const struct sl_install *install)
{
	sl_owner_write(control, session, install, SLUICE_USAGE_RETIRED);
	sl_session_retire(control, session,
			  (struct sl_retired){
				  .usage = install->binding.usage,
				  .rule = install->rule,
				  .origin = install->origin,
				  .version = install->version,
			  });
}

void sl_retire_policy(struct sl_control *control, struct sl_session *session)
{
	if (session->policy != SLUICE_NONE)
		sl_control_defer(control, SL_SLOT_POLICY, session->policy, sl_image_policies(session->final));
	if (session->overflow_count)
		sl_control_defer(control, SL_SLOT_BINDING, session->overflow_first, session->overflow_count);
	if (session->ruleset)
		sl_ruleset_put(control, session->ruleset);
	if (session->final)
		sl_ruleset_put(control, session->final);
	session->policy = SLUICE_NONE;
	session->overflow_count = 0;
	session->ruleset = NULL;
	session->final = NULL;
}

static void release_classes(struct sl_control *control, const struct sl_install *install)
{
	if (install->binding.uplink_class)
		sl_control_defer(control, SL_SLOT_UPLINK_CLASS, install->binding.uplink_class, 1);
	if (install->binding.downlink_class)
		sl_control_defer(control, SL_SLOT_DOWNLINK_CLASS, install->binding.downlink_class, 1);
}

/* The endpoint no longer leads here, and room for the retired usage is reserved. */
void sl_retire_session(struct sl_control *control, struct sl_session *session, const char *reason)
{
	struct sluice_session_record *record = &control->maps->sessions[session->slot];
	struct sl_session *twin = session->twin;

	sl_session_set_active(control, session, false);
	sl_profiles_count(session, false);
	sl_twin_unlink(control, session);
	__atomic_store_n((unsigned int *)&record->state, SLUICE_SESSION_ENDED, __ATOMIC_RELEASE);
	for (uint32_t i = 0; i < session->install_count; i++) {
		sl_retire_install(control, session, &session->installs[i]);
		release_classes(control, &session->installs[i]);
		sl_meters_release(control, &session->installs[i]);
	}
	sl_guarantees_release(control, session);
	sl_meters_reparent(control, twin);
	sl_meters_release_session(control, session);
	sl_quotas_release(control, session);
	sl_trees_release(control, session);
	free(session->installs);
	session->installs = NULL;
	session->install_count = 0;
	if (session->default_usage != SLUICE_NONE) {
		sl_owner_write_default(control, session, SLUICE_USAGE_RETIRED);
		sl_session_retire(control, session, (struct sl_retired){.usage = session->default_usage});
		session->default_usage = SLUICE_NONE;
	}
	sl_retire_policy(control, session);
	sl_control_emit(control, SL_EVENT_SESSION_ENDED, session, reason);
}

int sl_end_session(struct sl_control *control, struct sl_session *session, const char *reason,
		   struct sl_error *err)
{
	struct sl_session *twin = session->twin;
	int rc;

	if (!session->active)
		return 0;
	rc = sl_session_reserve_retired(session, session->install_count + 1);
	if (rc < 0)
		return sl_error(err, -rc, "out of memory");
	rc = sl_endpoint_delete(control->config.datapath, &session->address, err);
	if (rc < 0 && rc != -ENOENT)
		return rc;
	sl_retire_session(control, session, reason);
	sl_tree_leave(control, twin);
	return 0;
}
