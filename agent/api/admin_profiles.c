// SPDX-License-Identifier: Apache-2.0
#include "api/admin_profiles.h"

#include <errno.h>
#include <stdlib.h>
#include <uthash.h>

#include "api/message.h"
#include "base/cleanup.h"
#include "catalog/directory.h"
#include "sluice/v1/admin.pb-c.h"

#define PAGE_ITEMS 500
#define PAGES	   48 /* below the bound of a stream's queue */

/* In the order of the catalogue, then those that only rules in force know. */
struct item {
	Sluice__V1__Profile message; /* texts are the catalogue's and control's */
	const char *name;
	UT_hash_handle hh;
};

struct list {
	struct item *items;
	bool is_short; /* of memory */
};

static void list_clear(struct list *list)
{
	struct item *item, *tmp;

	HASH_ITER (hh, list->items, item, tmp) {
		HASH_DEL(list->items, item);
		free(item);
	}
}

static const char *backend_text(enum sluice_rate_backend backend)
{
	static const char *const texts[] = {
		[SLUICE_RATE_DEFAULT] = "",
		[SLUICE_RATE_SHAPE] = "shape",
		[SLUICE_RATE_POLICE] = "police",
		[SLUICE_RATE_AUTO] = "auto",
	};

	return texts[backend];
}

static struct item *add(struct list *list, const char *name, const struct sl_profile *profile)
{
	struct item *item = calloc(1, sizeof(*item));
	Sluice__V1__Profile *out;

	if (!item) {
		list->is_short = true;
		return NULL;
	}
	item->name = name;
	HASH_ADD_KEYPTR(hh, list->items, item->name, strlen(item->name), item);
	out = &item->message;
	sluice__v1__profile__init(out);
	out->name = (char *)name;
	out->class_id = profile->class_id;
	out->mbr_uplink = profile->mbr[SLUICE_UPLINK];
	out->mbr_downlink = profile->mbr[SLUICE_DOWNLINK];
	out->gbr_uplink = profile->gbr[SLUICE_UPLINK];
	out->gbr_downlink = profile->gbr[SLUICE_DOWNLINK];
	out->arp_level = profile->arp.level;
	out->arp_may_preempt = profile->arp.may_preempt;
	out->arp_may_be_preempted = profile->arp.may_be_preempted;
	out->backend = (char *)backend_text(profile->backend);
	return item;
}

static int add_known(const struct sl_profile *profile, const char *file, unsigned int line, void *user)
{
	struct item *item = add(user, profile->name, profile);

	if (!item)
		return -ENOMEM;
	item->message.file = (char *)file;
	item->message.line = line;
	return 0;
}

static void add_used(const struct sl_profile_view *view, void *user)
{
	struct list *list = user;
	struct sl_profile kept;
	struct item *item;

	HASH_FIND_STR(list->items, view->name, item);
	if (!item) {
		sl_profile_of(view->rule, &kept);
		item = add(list, view->name, &kept);
	}
	if (!item)
		return;
	item->message.rules = view->rules;
	item->message.sessions = view->sessions;
	item->message.shaped = view->shaped;
	item->message.policed = view->policed;
	item->message.behind = view->behind;
	item->message.missing = view->missing;
}

static void send(struct sl_call *call, const struct list *list, uint64_t start)
{
	Sluice__V1__Profile *pointers[PAGE_ITEMS];
	struct item *item = list->items;
	uint64_t at = 0;

	for (; item && at < start; at++)
		item = item->hh.next;
	for (int pages = 0; pages < PAGES; pages++) {
		Sluice__V1__ProfilePage message = SLUICE__V1__PROFILE_PAGE__INIT;

		for (; item && message.n_profiles < PAGE_ITEMS; item = item->hh.next, at++)
			pointers[message.n_profiles++] = &item->message;
		message.profiles = pointers;
		message.next = item ? at : 0;
		if (sl_message_send(call, &message.base) || !item)
			break;
	}
	sl_call_finish(call, SL_GRPC_OK, NULL);
}

void sl_admin_list_profiles(struct sl_call *call, const uint8_t *bytes, size_t length, void *user)
{
	_cleanup_(list_clear) struct list list = {.items = NULL};
	const struct sl_service *service = user;
	ProtobufCMessage *wire;
	struct sl_error err;
	uint64_t start;
	int rc =
		sl_message_unpack(&sluice__v1__list_profiles_request__descriptor, bytes, length, &wire, &err);

	if (rc < 0) {
		sl_call_finish(call, sl_status_of(rc), err.text);
		return;
	}
	start = ((Sluice__V1__ListProfilesRequest *)wire)->start;
	sl_message_free(wire);
	sl_catalog_each_profile(sl_policy_directory_catalog(service->policy), add_known, &list);
	sl_control_each_profile(service->control, add_used, &list);
	if (list.is_short)
		sl_call_finish(call, SL_GRPC_RESOURCE_EXHAUSTED, "out of memory");
	else
		send(call, &list, start);
}
