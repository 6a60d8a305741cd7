// SPDX-License-Identifier: Apache-2.0
#include "api/admin_load.h"

#include <stdlib.h>

#include "api/message.h"
#include "base/cleanup.h"
#include "sluice/v1/admin.pb-c.h"

/* The link and every APN, so that it needs no further allocation. */
struct answer {
	Sluice__V1__Load message;
	Sluice__V1__LoadResource resource[SLUICE_APNS + 1];
	Sluice__V1__LoadResource *pointer[SLUICE_APNS + 1];
	Sluice__V1__LoadDirection direction[SLUICE_APNS + 1][SLUICE_DIRECTIONS];
};

static void fill_direction(const struct sl_load_view *view, int direction, Sluice__V1__LoadDirection *out)
{
	sluice__v1__load_direction__init(out);
	out->capacity = view->capacity[direction];
	out->used = view->used[direction];
	out->reserve = view->reserve[direction];
	out->reserved = view->reserved[direction];
	out->headroom = view->headroom[direction];
}

static void add(const struct sl_load_view *view, void *user)
{
	struct answer *answer = user;
	size_t at = answer->message.n_resources++;
	Sluice__V1__LoadResource *out = &answer->resource[at];

	sluice__v1__load_resource__init(out);
	out->apn = (char *)(view->apn ? view->apn : "");
	out->sessions = view->sessions;
	out->rules = view->rules;
	fill_direction(view, SLUICE_UPLINK, &answer->direction[at][SLUICE_UPLINK]);
	fill_direction(view, SLUICE_DOWNLINK, &answer->direction[at][SLUICE_DOWNLINK]);
	out->uplink = &answer->direction[at][SLUICE_UPLINK];
	out->downlink = &answer->direction[at][SLUICE_DOWNLINK];
	answer->pointer[at] = out;
}

void sl_admin_get_load(struct sl_call *call, const uint8_t *bytes, size_t length, void *user)
{
	_cleanup_free_ struct answer *answer = calloc(1, sizeof(*answer));
	const struct sl_service *service = user;

	(void)bytes;
	(void)length;
	if (!answer) {
		sl_call_finish(call, SL_GRPC_RESOURCE_EXHAUSTED, "out of memory");
		return;
	}
	sluice__v1__load__init(&answer->message);
	answer->message.resources = answer->pointer;
	sl_control_each_load(service->control, add, answer);
	sl_control_count_guarantees(service->control, &answer->message.refused, &answer->message.preempted);
	sl_message_reply(call, &answer->message.base);
}
