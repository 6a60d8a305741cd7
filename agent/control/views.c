// SPDX-License-Identifier: Apache-2.0
/* What others may see of the model. */
#include <string.h>

#include "control/model.h"
#include "datapath/ids_maps.h"

/* What this rule alone makes of a session. */
static enum sl_session_state state_by(const struct sl_install *install)
{
	if (install->rule->is_final)
		return SL_SESSION_ACTIVE;
	if (install->rule->redirect != SLUICE_REDIRECT_NONE)
		return SL_SESSION_REDIRECTED;
	return install->origin == SLUICE_ORIGIN_GY ? SL_SESSION_RESTRICTED : SL_SESSION_ACTIVE;
}

enum sl_session_state sl_session_state(const struct sl_session *session)
{
	enum sl_session_state state = SL_SESSION_ACTIVE;

	if (!session->active)
		return SL_SESSION_ENDED;
	for (uint32_t i = 0; i < session->install_count; i++) {
		enum sl_session_state by = state_by(&session->installs[i]);

		if (by > state)
			state = by;
	}
	return state;
}

uint64_t sl_session_first_in_state(const struct sl_session *session, enum sl_session_state state)
{
	uint64_t first = UINT64_MAX;

	for (uint32_t i = 0; i < session->install_count; i++) {
		const struct sl_install *install = &session->installs[i];

		if (state_by(install) == state && install->since_ns < first)
			first = install->since_ns;
	}
	return first;
}

uint64_t sl_session_state_since(const struct sl_control *control, const struct sl_session *session)
{
	enum sl_session_state state = sl_session_state(session);

	if (state == SL_SESSION_RESTRICTED || state == SL_SESSION_REDIRECTED)
		return session->state_since_ns;
	return control->maps->sessions[session->slot].since_ns;
}

static int visit_session(struct sl_control *control, const struct sl_session *session,
			 int (*visit)(const struct sl_session_view *view, void *user), void *user)
{
	struct sl_session_view view = {
		.slot = session->slot,
		.imsi = session->imsi,
		.address = session->address,
		.record = &control->maps->sessions[session->slot],
		.installs = session->installs,
		.install_count = session->install_count,
		.active = session->active,
		.state = sl_session_state(session),
		.state_since_ns = sl_session_state_since(control, session),
		.ids_dropped = sl_ids_arrays(control->config.datapath)->dropped[session->slot],
	};

	if (session->default_usage != SLUICE_NONE) {
		view.default_usage = sl_control_read_usage(control, session->default_usage);
		sl_fold_add(control, session, &view.default_usage);
	}
	return visit(&view, user);
}

int sl_control_each_session(struct sl_control *control, const char *imsi, uint32_t from_slot,
			    int (*visit)(const struct sl_session_view *view, void *user), void *user)
{
	int rc = 0;

	for (uint32_t slot = from_slot; slot < control->maps->size.sessions && rc == 0; slot++)
		if (control->by_slot[slot] && (!imsi || strcmp(control->by_slot[slot]->imsi, imsi) == 0))
			rc = visit_session(control, control->by_slot[slot], visit, user);
	return rc;
}

int sl_control_each_session_of(struct sl_control *control, const char *imsi,
			       int (*visit)(const struct sl_session_view *view, void *user), void *user)
{
	const struct sl_subscriber *subscriber = sl_subscriber_find(control, imsi);
	const struct sl_session *session = subscriber ? subscriber->sessions : NULL;
	int rc = 0;

	for (; session && rc == 0; session = session->imsi_next)
		if (session->active)
			rc = visit_session(control, session, visit, user);
	return rc;
}

uint32_t sl_control_last_version(struct sl_control *control, const struct sl_address *address, const char *id,
				 enum sluice_origin origin)
{
	const struct sl_session *session = sl_session_find(control, address);
	uint32_t last = 0;

	for (uint32_t i = 0; session && i < session->install_count; i++) {
		const struct sl_install *install = &session->installs[i];

		if (install->version > last && install->origin == origin &&
		    strcmp(install->rule->id, id) == 0)
			last = install->version;
	}
	for (uint32_t i = 0; session && i < session->retired_count; i++) {
		const struct sl_retired *retired = &session->retired[i];

		if (retired->version > last && retired->rule && retired->origin == origin &&
		    strcmp(retired->rule->id, id) == 0)
			last = retired->version;
	}
	return last;
}

void sl_control_each_rule(struct sl_control *control, void (*visit)(struct sl_rule *rule, void *user),
			  void *user)
{
	sl_rule_table_each(control->rules, visit, user);
}

uint32_t sl_control_rule_count(const struct sl_control *control)
{
	return sl_rule_table_count(control->rules);
}

size_t sl_control_fill(const struct sl_control *control, struct sl_fill *out, size_t max)
{
	size_t n = 0;

	for (int kind = 0; kind < SL_SLOT_KINDS && n < max; kind++) {
		const struct sl_idpool *pool = control->slots.pool[kind];

		out[n++] = (struct sl_fill){sl_slot_names[kind], sl_idpool_used(pool), sl_idpool_size(pool)};
	}
	return n;
}

uint32_t sl_control_known_sessions(const struct sl_control *control)
{
	return control->active;
}

uint32_t sl_control_enforced_sessions(struct sl_control *control)
{
	return sl_endpoint_count(control->config.datapath, 4) +
	       sl_endpoint_count(control->config.datapath, 6);
}
