// SPDX-License-Identifier: Apache-2.0
/*
 * Pages go out until the list or the stream's queue ends; a page names where
 * the next one would begin, so a client goes on from the last it has got.
 */
#include "api/admin_lists.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "api/admin_views.h"
#include "api/message.h"
#include "base/cleanup.h"

#define PAGE_ITEMS   500
#define PAGE_DETAILS 2000 /* rules of sessions, flows of rules */
#define PAGES	     48	  /* below the bound of a stream's queue */

/* "IMSI..." or digits; empty: NULL. false: the call was answered. */
static bool read_imsi(struct sl_call *call, const char *text, char digits[SLUICE_IMSI_SIZE], const char **out)
{
	struct sl_error err;

	*out = NULL;
	if (!text || !text[0])
		return true;
	if (sl_imsi_parse("imsi", text, digits, &err) < 0) {
		sl_call_finish(call, SL_GRPC_INVALID_ARGUMENT, err.text);
		return false;
	}
	*out = digits;
	return true;
}

static ProtobufCMessage *unpack(struct sl_call *call, const ProtobufCMessageDescriptor *descriptor,
				const uint8_t *bytes, size_t length)
{
	ProtobufCMessage *message;
	struct sl_error err;
	int rc = sl_message_unpack(descriptor, bytes, length, &message, &err);

	if (rc == 0)
		return message;
	sl_call_finish(call, sl_status_of(rc), err.text);
	return NULL;
}

/* --- sessions ------------------------------------------------------------------ */

struct session_page {
	struct sl_service *service;
	struct sl_arena arena;
	bool with_rules;
	const struct sl_view_queues *queues; /* NULL: not asked for */
	bool failed;
	uint32_t next; /* slot of the first that did not fit */
	size_t details;
	size_t count;
	Sluice__V1__Session *sessions[PAGE_ITEMS];
};

static int add_session(const struct sl_session_view *view, void *user)
{
	struct session_page *page = user;

	if (page->count == PAGE_ITEMS || page->details >= PAGE_DETAILS) {
		page->next = view->slot;
		return 1;
	}
	page->sessions[page->count] =
		sl_view_session(&page->arena, page->service, view, page->with_rules, page->queues);
	if (!page->sessions[page->count]) {
		page->failed = true;
		return 1;
	}
	page->count++;
	page->details += page->with_rules ? view->install_count : 0;
	return 0;
}

void sl_admin_list_sessions(struct sl_call *call, const uint8_t *bytes, size_t length, void *user)
{
	struct sl_service *service = user;
	_cleanup_free_ struct session_page *page = calloc(1, sizeof(*page));
	Sluice__V1__ListSessionsRequest *wire = (Sluice__V1__ListSessionsRequest *)unpack(
		call, &sluice__v1__list_sessions_request__descriptor, bytes, length);
	struct sl_view_queues queues = {0};
	struct sl_error err;
	char digits[SLUICE_IMSI_SIZE];
	const char *imsi;
	uint32_t start;
	int rc = 0;

	if (!wire)
		return;
	if (!page || !read_imsi(call, wire->imsi, digits, &imsi)) {
		if (!page)
			sl_call_finish(call, SL_GRPC_RESOURCE_EXHAUSTED, "out of memory");
		sl_message_free(&wire->base);
		return;
	}
	/* once: what comes later in the list is as of now, too */
	if (wire->rules && wire->queues)
		rc = sl_view_queues_read(service, &queues, &err);
	if (rc < 0) {
		sl_call_finish(call, sl_status_of(rc), err.text);
		sl_message_free(&wire->base);
		return;
	}
	start = wire->start > UINT32_MAX ? UINT32_MAX : (uint32_t)wire->start;
	for (int pages = 0; pages < PAGES && !page->failed; pages++) {
		Sluice__V1__SessionPage message = SLUICE__V1__SESSION_PAGE__INIT;
		bool full;

		*page = (struct session_page){.service = service,
					      .with_rules = wire->rules,
					      .queues = wire->queues ? &queues : NULL};
		sl_control_each_session(service->control, imsi, start, add_session, page);
		message.sessions = page->sessions;
		message.n_sessions = page->count;
		message.next = page->next;
		full = sl_message_send(call, &message.base) != 0;
		sl_arena_clear(&page->arena);
		start = page->next;
		if (full || !start)
			break;
	}
	sl_call_finish(call, page->failed ? SL_GRPC_RESOURCE_EXHAUSTED : SL_GRPC_OK,
		       page->failed ? "out of memory" : NULL);
	sl_view_queues_clear(&queues);
	sl_message_free(&wire->base);
}

/* --- rules ---------------------------------------------------------------------- */

struct rule_list {
	const struct sl_rule **rules;
	size_t count;
	size_t max;
	const char *id;
};

static void add_rule(struct sl_rule *rule, void *user)
{
	struct rule_list *list = user;

	if (list->count < list->max && (!list->id || strcmp(list->id, rule->id) == 0))
		list->rules[list->count++] = rule;
}

static int by_record(const void *a, const void *b)
{
	const struct sl_rule *const *left = a, *const *right = b;

	return ((*left)->record > (*right)->record) - ((*left)->record < (*right)->record);
}

/* One page from index `at`; returns the index after its last rule, 0 when memory is short. */
static size_t send_rules(struct sl_call *call, const struct rule_list *list, size_t at, bool *full)
{
	Sluice__V1__RulePage message = SLUICE__V1__RULE_PAGE__INIT;
	Sluice__V1__Rule *rules[PAGE_ITEMS];
	struct sl_arena arena = {0};
	size_t details = 0, n = 0;

	for (; at < list->count && n < PAGE_ITEMS && details < PAGE_DETAILS; at++, n++) {
		rules[n] = sl_view_rule(&arena, list->rules[at]);
		if (!rules[n]) {
			sl_arena_clear(&arena);
			return 0;
		}
		details += list->rules[at]->flow_count;
	}
	message.rules = rules;
	message.n_rules = n;
	/* record numbers begin at 0, which means "no more" here */
	message.next = at < list->count ? (uint64_t)list->rules[at]->record + 1 : 0;
	*full = sl_message_send(call, &message.base) != 0;
	sl_arena_clear(&arena);
	return at ? at : 1;
}

void sl_admin_list_rules(struct sl_call *call, const uint8_t *bytes, size_t length, void *user)
{
	struct sl_service *service = user;
	struct rule_list list = {.max = sl_control_rule_count(service->control)};
	_cleanup_free_ const struct sl_rule **rules = calloc(list.max + 1, sizeof(*rules));
	Sluice__V1__ListRulesRequest *wire = (Sluice__V1__ListRulesRequest *)unpack(
		call, &sluice__v1__list_rules_request__descriptor, bytes, length);
	bool full = false;
	size_t at = 0;

	if (!wire)
		return;
	if (!rules)
		goto no_memory;
	list.rules = rules;
	list.id = wire->rule_id && wire->rule_id[0] ? wire->rule_id : NULL;
	sl_control_each_rule(service->control, add_rule, &list);
	qsort(rules, list.count, sizeof(*rules), by_record);
	while (at < list.count && (uint64_t)rules[at]->record + 1 < wire->start)
		at++;
	for (int pages = 0; pages < PAGES && !full; pages++) {
		at = send_rules(call, &list, at, &full);
		if (!at)
			goto no_memory;
		if (at >= list.count)
			break;
	}
	sl_call_finish(call, SL_GRPC_OK, NULL);
	sl_message_free(&wire->base);
	return;

no_memory:
	sl_call_finish(call, SL_GRPC_RESOURCE_EXHAUSTED, "out of memory");
	sl_message_free(&wire->base);
}

/* --- usage ---------------------------------------------------------------------- */

/* `start` of a usage list: which retirement comes next, then the walk's cursor with this bit. */
#define ACTIVE_PHASE (1ull << 63)

struct usage_walk {
	struct sl_service *service;
	struct sl_usage_record *retired;
	size_t retired_count, at;
	const char *imsi;
	uint64_t start;
};

static size_t next_usage(struct usage_walk *walk, struct sl_usage_record *out)
{
	uint64_t cursor;
	size_t n = 0;

	if (!(walk->start & ACTIVE_PHASE)) {
		while (n < PAGE_ITEMS && walk->at < walk->retired_count)
			out[n++] = walk->retired[walk->at++];
		if (walk->at < walk->retired_count) {
			walk->start = walk->retired[walk->at].sequence;
			return n;
		}
		walk->start = ACTIVE_PHASE;
		if (n == PAGE_ITEMS)
			return n;
	}
	cursor = walk->start & ~ACTIVE_PHASE;
	n += sl_control_usage(walk->service->control, out + n, PAGE_ITEMS - n, &cursor);
	walk->start = cursor ? cursor | ACTIVE_PHASE : 0;
	return n;
}

static bool send_usage(struct sl_call *call, struct usage_walk *walk, bool *full)
{
	Sluice__V1__UsagePage message = SLUICE__V1__USAGE_PAGE__INIT;
	Sluice__V1__UsageRecord *pointers[PAGE_ITEMS];
	struct sl_usage_record records[PAGE_ITEMS];
	struct sl_arena arena = {0};
	size_t kept = 0;

	/* a filter may leave pages empty: fill this one before it goes out */
	do {
		size_t count = next_usage(walk, records);

		for (size_t i = 0; i < count; i++) {
			if (walk->imsi && strcmp(walk->imsi, records[i].imsi) != 0)
				continue;
			pointers[kept] = sl_view_usage(&arena, &records[i]);
			if (!pointers[kept++]) {
				sl_arena_clear(&arena);
				return false;
			}
		}
	} while (walk->start && kept == 0);
	message.records = pointers;
	message.n_records = kept;
	message.next = walk->start;
	*full = sl_message_send(call, &message.base) != 0;
	sl_arena_clear(&arena);
	return true;
}

static int by_sequence(const void *left, const void *right)
{
	const struct sl_usage_record *a = left, *b = right;

	return (a->sequence > b->sequence) - (a->sequence < b->sequence);
}

/*
 * All retired usage, the oldest first: between two calls some of it may be acknowledged and more retire, and
 * a list that goes on must still find its place. -ENOMEM.
 */
static int collect_retired(struct sl_service *service, struct sl_usage_record **out, size_t *count)
{
	size_t capacity = 1024;

	for (;;) {
		struct sl_usage_record *records = calloc(capacity, sizeof(*records));

		if (!records)
			return -ENOMEM;
		*count = sl_control_retired(service->control, records, capacity);
		if (*count < capacity) {
			qsort(records, *count, sizeof(*records), by_sequence);
			*out = records;
			return 0;
		}
		free(records);
		capacity *= 4;
	}
}

void sl_admin_list_usage(struct sl_call *call, const uint8_t *bytes, size_t length, void *user)
{
	_cleanup_free_ struct sl_usage_record *retired = NULL;
	struct usage_walk walk = {.service = user};
	Sluice__V1__ListUsageRequest *wire = (Sluice__V1__ListUsageRequest *)unpack(
		call, &sluice__v1__list_usage_request__descriptor, bytes, length);
	char digits[SLUICE_IMSI_SIZE];
	bool full = false, ok = true;

	if (!wire)
		return;
	if (!read_imsi(call, wire->imsi, digits, &walk.imsi)) {
		sl_message_free(&wire->base);
		return;
	}
	if (collect_retired(user, &retired, &walk.retired_count) < 0)
		ok = false;
	walk.retired = retired;
	walk.start = wire->start;
	while (walk.at < walk.retired_count && retired[walk.at].sequence < walk.start)
		walk.at++;
	for (int pages = 0; ok && pages < PAGES && !full; pages++) {
		ok = send_usage(call, &walk, &full);
		if (!walk.start)
			break;
	}
	sl_call_finish(call, ok ? SL_GRPC_OK : SL_GRPC_RESOURCE_EXHAUSTED, ok ? NULL : "out of memory");
	sl_message_free(&wire->base);
}
