// SPDX-License-Identifier: Apache-2.0
#include "api/admin_policy.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "api/message.h"
#include "base/cleanup.h"

#define PAGE_ITEMS 500
#define PAGE_NAMES 8192 /* of rules in base names */
#define PAGES	   48	/* below the bound of a stream's queue */
#define NS_PER_MS  1000000ull

void sl_view_policy_directory(const struct sl_policy_directory *from, Sluice__V1__PolicyDirectory *out)
{
	const struct sl_catalog *catalog = sl_policy_directory_catalog(from);
	struct sl_policy_status status;

	sl_policy_directory_status(from, &status);
	sluice__v1__policy_directory__init(out);
	out->path = (char *)status.path;
	out->loaded_ms = status.loaded_ms;
	out->rules = (uint32_t)sl_catalog_rule_count(catalog);
	out->base_names = (uint32_t)sl_catalog_base_name_count(catalog);
	out->files = (uint32_t)sl_catalog_file_count(catalog);
	out->loads = status.loads;
	out->failures = status.failures;
	if (status.problem)
		out->problem = (char *)status.problem;
}

void sl_view_desired(const struct sl_desired *from, Sluice__V1__DesiredState *out)
{
	struct sl_desired_status status;

	sl_desired_status(from, &status);
	sluice__v1__desired_state__init(out);
	out->subscribers = status.subscribers;
	out->rules = status.rules;
	out->failing = status.failing;
	out->next_ms = status.next_ns / NS_PER_MS;
	out->repairs = status.repairs;
	out->checks = status.checks;
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

/* --- names of the policy directory -------------------------------------------------- */

struct policy_page {
	uint64_t start, at, next; /* positions in the catalogue */
	size_t count, names;
	Sluice__V1__Policy items[PAGE_ITEMS];
	Sluice__V1__Policy *pointers[PAGE_ITEMS];
	char *rule_ids[PAGE_NAMES];
};

static int add_policy(const struct sl_catalog_view *view, void *user)
{
	struct policy_page *page = user;
	size_t names = view->is_base_name ? view->rule_count : 0;
	Sluice__V1__Policy *item = &page->items[page->count];

	if (page->at++ < page->start)
		return 0;
	if (page->count == PAGE_ITEMS || page->names + names > PAGE_NAMES) {
		page->next = page->at - 1;
		return 1;
	}
	sluice__v1__policy__init(item);
	item->name = (char *)view->name;
	item->is_base_name = view->is_base_name;
	item->rule_ids = &page->rule_ids[page->names];
	item->n_rule_ids = names;
	for (size_t i = 0; i < names; i++)
		page->rule_ids[page->names++] = (char *)view->rules[i]->id;
	item->precedence = view->is_base_name ? 0 : view->rules[0]->precedence;
	item->file = (char *)view->file;
	item->line = view->line;
	page->pointers[page->count++] = item;
	return 0;
}

void sl_admin_list_policies(struct sl_call *call, const uint8_t *bytes, size_t length, void *user)
{
	struct sl_service *service = user;
	_cleanup_free_ struct policy_page *page = calloc(1, sizeof(*page));
	ProtobufCMessage *wire = unpack(call, &sluice__v1__list_policies_request__descriptor, bytes, length);
	uint64_t start;

	if (!wire)
		return;
	start = ((Sluice__V1__ListPoliciesRequest *)wire)->start;
	sl_message_free(wire);
	for (int pages = 0; page && pages < PAGES; pages++) {
		Sluice__V1__PolicyPage message = SLUICE__V1__POLICY_PAGE__INIT;

		page->start = start;
		page->at = page->next = 0;
		page->count = page->names = 0;
		sl_catalog_each(sl_policy_directory_catalog(service->policy), add_policy, page);
		message.policies = page->pointers;
		message.n_policies = page->count;
		message.next = start = page->next;
		if (sl_message_send(call, &message.base) || !start)
			break;
	}
	sl_call_finish(call, page ? SL_GRPC_OK : SL_GRPC_RESOURCE_EXHAUSTED, page ? NULL : "out of memory");
}

/* --- desired rules -------------------------------------------------------------------- */

struct desired_page {
	const struct sl_desired *desired;
	uint64_t now_ns;
	uint64_t start, at, next; /* positions among all rules */
	size_t count;
	Sluice__V1__DesiredRule items[PAGE_ITEMS];
	Sluice__V1__DesiredRule *pointers[PAGE_ITEMS];
	char imsi[PAGE_ITEMS][SLUICE_IMSI_SIZE]; /* of the items, whose scope is gone after its visit */
	char apn[PAGE_ITEMS][SLUICE_APN_SIZE];
	struct sl_error problem[PAGE_ITEMS];
};

static void fill_desired(struct desired_page *page, const struct sl_desired_scope *scope,
			 const struct sl_desired_rule *rule)
{
	Sluice__V1__DesiredRule *item = &page->items[page->count];

	memcpy(page->imsi[page->count], scope->imsi, sizeof(scope->imsi));
	memcpy(page->apn[page->count], scope->apn, sizeof(scope->apn));
	sluice__v1__desired_rule__init(item);
	item->imsi = page->imsi[page->count];
	item->apn = page->apn[page->count];
	item->subscriber_wide = scope->subscriber_wide;
	item->is_static = rule->name != NULL;
	item->rule_id = (char *)(rule->name ? rule->name : rule->rule->id);
	item->activation_ms = rule->from_ns / NS_PER_MS;
	item->deactivation_ms = rule->until_ns / NS_PER_MS;
	item->wanted_now =
		rule->from_ns <= page->now_ns && (rule->until_ns == 0 || page->now_ns < rule->until_ns);
	if (sl_desired_problem(page->desired, scope, rule, &page->problem[page->count]))
		item->problem = page->problem[page->count].text;
	page->pointers[page->count++] = item;
}

static int add_scope(const struct sl_desired_scope *scope, void *user)
{
	struct desired_page *page = user;

	for (size_t i = 0; i < scope->rule_count; i++) {
		if (page->at++ < page->start)
			continue;
		if (page->count == PAGE_ITEMS) {
			page->next = page->at - 1;
			return 1;
		}
		fill_desired(page, scope, &scope->rules[i]);
	}
	return 0;
}

static uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 * NS_PER_MS + (uint64_t)now.tv_nsec;
}

static void send_desired(struct sl_call *call, const struct sl_desired *desired, const char *imsi,
			 uint64_t start)
{
	_cleanup_free_ struct desired_page *page = calloc(1, sizeof(*page));

	for (int pages = 0; page && pages < PAGES; pages++) {
		Sluice__V1__DesiredPage message = SLUICE__V1__DESIRED_PAGE__INIT;

		page->desired = desired;
		page->now_ns = now_ns();
		page->start = start;
		page->at = page->next = 0;
		page->count = 0;
		sl_desired_each(desired, imsi, add_scope, page);
		message.rules = page->pointers;
		message.n_rules = page->count;
		message.next = start = page->next;
		if (sl_message_send(call, &message.base) || !start)
			break;
	}
	sl_call_finish(call, page ? SL_GRPC_OK : SL_GRPC_RESOURCE_EXHAUSTED, page ? NULL : "out of memory");
}

void sl_admin_list_desired(struct sl_call *call, const uint8_t *bytes, size_t length, void *user)
{
	struct sl_service *service = user;
	ProtobufCMessage *message =
		unpack(call, &sluice__v1__list_desired_request__descriptor, bytes, length);
	const Sluice__V1__ListDesiredRequest *wire = (const Sluice__V1__ListDesiredRequest *)message;
	char imsi[SLUICE_IMSI_SIZE] = "";
	struct sl_error err;

	if (!wire)
		return;
	if (wire->imsi[0] && sl_imsi_parse("imsi", wire->imsi, imsi, &err) < 0)
		sl_call_finish(call, SL_GRPC_INVALID_ARGUMENT, err.text);
	else
		send_desired(call, service->desired, imsi[0] ? imsi : NULL, wire->start);
	sl_message_free(message);
}
