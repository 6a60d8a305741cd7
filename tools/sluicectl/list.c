// SPDX-License-Identifier: Apache-2.0
#include "list.h"

#include "base/cleanup.h"
#include "client.h"
#include "output.h"

struct list {
	const char *field;
	void (*add_page)(struct table *table, const ProtobufCMessage *page);
	json_t *array; /* NULL: the table is wanted */
	struct table *table;
};

static void on_page(const ProtobufCMessage *page, void *user)
{
	struct list *list = user;

	if (list->array)
		output_extend(list->array, page, list->field);
	else
		list->add_page(list->table, page);
}

int list_run(struct ctl *ctl, const char *path, ProtobufCMessage *request,
	     const ProtobufCMessageDescriptor *type, const char *field, const char *const *headers,
	     void (*add_page)(struct table *table, const ProtobufCMessage *page),
	     int (*compare)(const void *, const void *))
{
	_cleanup_(table_freep) struct table *table = table_new(headers);
	struct list list = {.field = field, .add_page = add_page, .table = table};
	int ret;

	list.array = ctl->json ? json_array() : NULL;
	ret = client_open(ctl);
	if (ret == CTL_OK)
		ret = client_pages(ctl, path, request, type, on_page, &list);
	client_close(ctl);
	if (ret != CTL_OK) {
		json_decref(list.array);
	} else if (list.array) {
		output_print(list.array);
	} else {
		if (compare)
			table_sort(table, compare);
		table_print(table, 0, stdout);
	}
	return ret;
}
