// SPDX-License-Identifier: Apache-2.0
/* Rules that change their content without being asked for again. */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "control/model.h"

static bool refresh_session(struct sl_control *control, struct sl_session *session,
			    sl_rule_successor successor, void *user)
{
	_cleanup_free_ struct sl_rule_request *rules = NULL;
	struct sl_session_request request = {0};
	struct sl_update update = {.request = &request, .keep_deadlines = true, .refresh = true};
	struct sl_error err = {{0}};

	for (uint32_t i = 0; i < session->install_count; i++) {
		const struct sl_install *install = &session->installs[i];
		struct sl_rule *next = successor(session->imsi, install, user);

		if (!next)
			continue;
		if (!rules)
			rules = calloc(session->install_count, sizeof(*rules));
		if (!rules) {
			sl_log(SL_LOG_ERROR, "refresh-failed", "imsi", "%s", session->imsi, "reason", "%s",
			       "out of memory", NULL);
			return false;
		}
		rules[request.rule_count++] = (struct sl_rule_request){
			.rule = next,
			.id = install->rule->id,
			.version = install->version,
			.origin = install->origin,
		};
	}
	if (!rules)
		return false;
	request.rules = rules;
	if (sl_update_session(control, session, &update, &err) < 0) {
		sl_log(SL_LOG_ERROR, "refresh-failed", "imsi", "%s", session->imsi, "reason", "%s", err.text,
		       NULL);
		return false;
	}
	for (size_t i = 0; i < request.rule_count; i++)
		if (rules[i].result == 0 || rules[i].result == -EAFNOSUPPORT)
			return true;
	return false;
}

void sl_control_refresh(struct sl_control *control, sl_rule_successor successor, void *user,
			uint32_t *changed)
{
	uint32_t sessions = 0;

	/* by slot: an update may not add or remove sessions, but the list need not be trusted for that */
	for (uint32_t slot = 0; slot < control->maps->size.sessions; slot++) {
		struct sl_session *session = control->by_slot[slot];

		if (session && session->active)
			sessions += refresh_session(control, session, successor, user);
	}
	if (changed)
		*changed = sessions;
}
