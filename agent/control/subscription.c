// SPDX-License-Identifier: Apache-2.0
/* What a session is besides its rules: its record in the maps, for the next start and for people. */
#include <string.h>

#include "base/clock.h"
#include "control/draft.h"

/* `whole`: what the request does not say is not so; else it stays as it was. */
static void write_subscription(struct sluice_session_record *record, const struct sl_session_request *request,
			       bool whole)
{
	if (whole || request->apn[0])
		memcpy(record->apn, request->apn, sizeof(record->apn));
	if (whole || request->msisdn[0])
		memcpy(record->msisdn, request->msisdn, sizeof(record->msisdn));
	if (whole || request->has_ambr) {
		record->ambr_uplink = request->has_ambr ? request->ambr[SLUICE_UPLINK] : 0;
		record->ambr_downlink = request->has_ambr ? request->ambr[SLUICE_DOWNLINK] : 0;
	}
	record->uplink_tunnel = request->uplink_tunnel;
	record->downlink_tunnel = request->downlink_tunnel;
	record->shard = request->shard;
}

void sl_subscription_write(struct sl_draft *draft, const struct sl_session_request *request, bool exact)
{
	struct sl_session *session = draft->session;
	struct sluice_session_record *record = &draft->control->maps->sessions[session->slot];

	/* in force from here on for the next start, if the endpoint leads here */
	sl_session_record(draft->control, session);
	record->twin = draft->twin ? draft->twin->slot + 1 : 0;
	record->uplink_meter = draft->meter[SLUICE_UPLINK];
	record->downlink_meter = draft->meter[SLUICE_DOWNLINK];
	record->uplink_tree = draft->tree[SLUICE_UPLINK];
	record->downlink_tree = draft->tree[SLUICE_DOWNLINK];
	if (draft->twin)
		sl_twin_record(draft->control, draft->twin, session);
	if (!session->active)
		record->since_ns = sl_now_ns();
	if (request)
		write_subscription(record, request, exact || !session->active);
}
