// SPDX-License-Identifier: Apache-2.0
#include "api/admin_quotas.h"

#include <errno.h>
#include <stdlib.h>

#include "api/admin_views.h"
#include "api/message.h"
#include "base/cleanup.h"

#define PAGE_ITEMS 500
#define PAGES	   48 /* below the bound of a stream's queue */
#define NS_PER_MS  1000000u

void sl_view_quota(const struct sl_quota_view *view, char *address, Sluice__V1__Quota *out)
{
	static const char *const scopes[] = {
		[SLUICE_QUOTA_RULE] = "rule",
		[SLUICE_QUOTA_RATING_GROUP] = "rating-group",
		[SLUICE_QUOTA_SESSION] = "session",
	};
	static const char *const directions[] = {"", "uplink", "downlink", "total"};

	sluice__v1__quota__init(out);
	out->imsi = (char *)view->imsi;
	out->address = address;
	if (view->scope >= SLUICE_QUOTA_RULE && view->scope <= SLUICE_QUOTA_SESSION)
		out->scope = (char *)scopes[view->scope];
	out->rule_id = (char *)view->rule_id;
	out->origin = view->origin == SLUICE_ORIGIN_GY ? SLUICE__V1__ORIGIN__GY : SLUICE__V1__ORIGIN__GX;
	out->rating_group = view->rating_group;
	out->direction = (char *)directions[view->directions & 3];
	out->grant = view->grant;
	out->used_bytes = view->used;
	out->has_volume = view->limit != SLUICE_QUOTA_UNLIMITED;
	if (out->has_volume) {
		out->granted_bytes = view->granted;
		out->limit_bytes = view->limit;
		out->left_bytes = view->used_up ? 0 : view->limit - view->used;
	}
	out->has_time = view->time_ns != SLUICE_QUOTA_UNLIMITED;
	if (out->has_time) {
		out->time_ms = view->time_ns / NS_PER_MS;
		out->time_left_ms = view->used_up ? 0 : view->left_ns / NS_PER_MS;
	}
	out->refused_bytes = view->refused;
	out->threshold_reached = view->warned;
	out->used_up = view->used_up;
	out->since_ms = sl_view_wall_ms(view->since_ns);
}

struct page {
	struct sl_call *call;
	uint32_t next; /* slot of the first that did not fit */
	size_t count;
	Sluice__V1__Quota quotas[PAGE_ITEMS];
	char address[PAGE_ITEMS][SL_ADDRESS_TEXT];
	Sluice__V1__Quota *pointers[PAGE_ITEMS];
};

static int add_quota(const struct sl_quota_view *view, void *user)
{
	struct page *page = user;
	size_t at = page->count;

	if (at == PAGE_ITEMS) {
		page->next = view->slot;
		return 1;
	}
	page->address[at][0] = '\0';
	if (view->address.family)
		sl_address_format(&view->address, page->address[at]);
	sl_view_quota(view, page->address[at], &page->quotas[at]);
	page->pointers[at] = &page->quotas[at];
	page->count++;
	return 0;
}

static bool send_page(struct page *page)
{
	Sluice__V1__QuotaPage message = SLUICE__V1__QUOTA_PAGE__INIT;

	message.quotas = page->pointers;
	message.n_quotas = page->count;
	message.next = page->next;
	return sl_message_send(page->call, &message.base) == 0;
}

void sl_admin_list_quotas(struct sl_call *call, const uint8_t *bytes, size_t length, void *user)
{
	struct sl_service *service = user;
	_cleanup_free_ struct page *page = calloc(1, sizeof(*page));
	char digits[SLUICE_IMSI_SIZE];
	Sluice__V1__ListQuotasRequest *wire;
	const char *imsi = NULL;
	ProtobufCMessage *message;
	struct sl_error err;
	int rc = sl_message_unpack(&sluice__v1__list_quotas_request__descriptor, bytes, length, &message,
				   &err);

	if (rc == 0 && !page)
		rc = sl_error(&err, ENOMEM, "out of memory");
	if (rc < 0) {
		sl_call_finish(call, sl_status_of(rc), err.text);
		return;
	}
	wire = (Sluice__V1__ListQuotasRequest *)message;
	if (wire->imsi[0]) {
		rc = sl_imsi_parse("imsi", wire->imsi, digits, &err);
		imsi = digits;
	}
	if (rc == 0 && wire->start > UINT32_MAX)
		rc = sl_error(&err, EINVAL, "start: out of range");
	page->call = call;
	page->next = (uint32_t)wire->start;
	for (int pages = 0; pages < PAGES && rc == 0; pages++) {
		uint32_t from = page->next;

		page->count = 0;
		page->next = 0;
		sl_control_each_quota(service->control, imsi, from, add_quota, page);
		if (!send_page(page) || !page->next)
			break;
	}
	if (rc < 0)
		sl_call_finish(call, sl_status_of(rc), err.text);
	else
		sl_call_finish(call, SL_GRPC_OK, NULL);
	sl_message_free(message);
}
