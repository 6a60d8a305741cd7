// SPDX-License-Identifier: Apache-2.0
/* What happened, told to who asked for it. */
#include "control/model.h"

static void tell(struct sl_control *control, struct sl_control_event event, const struct sl_session *session)
{
	event.imsi = session->imsi;
	event.address = &session->address;
	event.rules = session->install_count;
	event.state = sl_session_state(session);
	event.state_since_ns = sl_session_state_since(control, session);
	if (control->config.on_event)
		control->config.on_event(&event, control->config.user);
}

void sl_control_emit(struct sl_control *control, enum sl_control_event_type type,
		     const struct sl_session *session, const char *reason)
{
	tell(control, (struct sl_control_event){.type = type, .reason = reason}, session);
}

void sl_control_emit_rule(struct sl_control *control, enum sl_control_event_type type,
			  const struct sl_session *session, const char *rule_id, uint32_t version,
			  const char *reason)
{
	tell(control,
	     (struct sl_control_event){
		     .type = type, .rule_id = rule_id, .version = version, .reason = reason},
	     session);
}
