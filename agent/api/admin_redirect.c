// SPDX-License-Identifier: Apache-2.0
#include "api/admin_redirect.h"

#include <stdlib.h>
#include <string.h>

#include "api/message.h"
#include "base/cleanup.h"
#include "redirect/portal.h"
#include "redirect/servers.h"
#include "sluice/v1/admin.pb-c.h"

/* A row with everything that it points to. */
struct row {
	Sluice__V1__RedirectServer message;
	char text[SL_SERVERS_ADDRESSES][SL_ADDRESS_TEXT]; /* of the answer, then those that are held */
	char *texts[SL_SERVERS_ADDRESSES];
	Sluice__V1__HeldAddress held[SL_SERVERS_ADDRESSES];
	Sluice__V1__HeldAddress *helds[SL_SERVERS_ADDRESSES];
};

struct rows {
	struct row *list;
	size_t count;
	size_t capacity;
	bool failed;
};

static void add_addresses(const struct sl_server_view *view, struct row *row)
{
	const struct sl_addresses *open = view->open;

	for (size_t i = 0; i < open->count; i++) {
		if (!open->held_until_ns[i])
			sl_address_format(&open->address[i], row->text[row->message.n_addresses++]);
	}
	for (size_t i = 0; i < open->count; i++) {
		uint64_t until = open->held_until_ns[i];
		size_t at = row->message.n_held;

		if (!until)
			continue;
		sl_address_format(&open->address[i], row->text[row->message.n_addresses + at]);
		sluice__v1__held_address__init(&row->held[at]);
		row->held[at].left_ms = until > view->now_ns ? (until - view->now_ns) / 1000000 : 0;
		row->message.n_held++;
	}
}

static void add(const struct sl_server_view *view, void *user)
{
	struct rows *rows = user;
	struct row *row;

	if (rows->count == rows->capacity) {
		size_t capacity = rows->capacity ? rows->capacity * 2 : 16;
		struct row *grown = reallocarray(rows->list, capacity, sizeof(*grown));

		if (!grown) {
			rows->failed = true;
			return;
		}
		rows->list = grown;
		rows->capacity = capacity;
	}
	row = &rows->list[rows->count++];
	sluice__v1__redirect_server__init(&row->message);
	row->message.host = (char *)view->host;
	row->message.error = (char *)(view->error ? view->error : "");
	row->message.failures = view->failures;
	row->message.next_try_ms = view->next_try_ms;
	add_addresses(view, row);
}

/* Only now: the rows have moved while they were gathered. */
static void point(struct rows *rows, Sluice__V1__RedirectServer **pointers)
{
	for (size_t i = 0; i < rows->count; i++) {
		struct row *row = &rows->list[i];

		for (size_t at = 0; at < row->message.n_addresses; at++)
			row->texts[at] = row->text[at];
		row->message.addresses = row->texts;
		for (size_t at = 0; at < row->message.n_held; at++) {
			row->held[at].address = row->text[row->message.n_addresses + at];
			row->helds[at] = &row->held[at];
		}
		row->message.held = row->helds;
		pointers[i] = &row->message;
	}
}

void sl_admin_list_redirects(struct sl_call *call, const uint8_t *bytes, size_t length, void *user)
{
	_cleanup_free_ Sluice__V1__RedirectServer **pointers = NULL;
	Sluice__V1__RedirectTable table = SLUICE__V1__REDIRECT_TABLE__INIT;
	Sluice__V1__Portal portal = SLUICE__V1__PORTAL__INIT;
	const struct sl_service *service = user;
	struct rows rows = {0};

	(void)bytes;
	(void)length;
	if (service->portal) {
		struct sl_portal_counters counters = sl_portal_counters(service->portal);

		portal.port = service->portal_port;
		portal.open = counters.open;
		portal.redirected = counters.redirected;
		portal.api = counters.api;
		portal.refused = counters.refused;
		portal.closed = counters.closed;
		table.portal = &portal;
		sl_servers_each(service->servers, add, &rows);
	}
	pointers = calloc(rows.count + 1, sizeof(Sluice__V1__RedirectServer *));
	if (rows.failed || !pointers) {
		sl_call_finish(call, SL_GRPC_RESOURCE_EXHAUSTED, "out of memory");
	} else {
		point(&rows, pointers);
		table.servers = pointers;
		table.n_servers = rows.count;
		sl_message_reply(call, &table.base);
	}
	free(rows.list);
}
