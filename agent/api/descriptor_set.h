/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Look-ups in a serialized google.protobuf.FileDescriptorSet (descriptor.proto).
 * The set is our own build's, so it is well-formed; a set that is not finds
 * nothing. Nothing is copied: results point into the set.
 */
#ifndef SL_API_DESCRIPTOR_SET_H
#define SL_API_DESCRIPTOR_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sl_bytes {
	const uint8_t *data;
	size_t length;
};

/* More files than this are not looked at. */
#define SL_DESCRIPTOR_FILES 64

/*
 * The FileDescriptorProto with this name, or the one that defines this full
 * symbol ("pkg.Message.field", "pkg.Service.Method"); as an index, -ENOENT if there is none.
 */
int sl_descriptor_by_name(struct sl_bytes set, const char *name);
int sl_descriptor_by_symbol(struct sl_bytes set, const char *symbol);

/* A file, then all it imports, directly or not, each once. Returns how many. */
size_t sl_descriptor_closure(struct sl_bytes set, int index, struct sl_bytes out[SL_DESCRIPTOR_FILES]);

#endif
