/* SPDX-License-Identifier: Apache-2.0 */
/* Commands that print a stream of pages: one table, or one JSON array. */
#ifndef CTL_LIST_H
#define CTL_LIST_H

#include <protobuf-c/protobuf-c.h>

#include "ctl.h"
#include "table.h"

/*
 * Connects, reads all pages, prints. `field` is the repeated field of a page;
 * add_page puts its rows into the table, which is then sorted by `compare`
 * unless that is NULL. Returns an exit code.
 */
int list_run(struct ctl *ctl, const char *path, ProtobufCMessage *request,
	     const ProtobufCMessageDescriptor *type, const char *field, const char *const *headers,
	     void (*add_page)(struct table *table, const ProtobufCMessage *page),
	     int (*compare)(const void *, const void *));

#endif
