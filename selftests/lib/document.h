/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A YAML document, read into structs: each mapping by a table of its keys, each
 * value by a function of its type. What a table does not have is refused with
 * "PATH:LINE: what 'value'".
 */
#ifndef SL_TEST_DOCUMENT_H
#define SL_TEST_DOCUMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <string.h>
#include <yaml.h>

#include "base/cleanup.h"
#include "base/error.h"

struct document; /* the texts and lists that were read from it live as long */

struct document_reader {
	const char *path;
	struct document *document;
	struct sl_error *err;
};

/* Reads a node to where `out` points: 0, or -errno with the error said. */
typedef int (*document_read)(struct document_reader *reader, yaml_node_t *node, void *out);

/* At most 32 in a mapping. */
struct document_field {
	const char *name;
	document_read read;
	size_t offset;
	bool required;
};

#define DOCUMENT_FIELD(type, member, how, needed)            \
	{                                                    \
#member, how, offsetof(type, member), needed \
	}

struct document_word {
	const char *name;
	int value;
};

struct document_list {
	void *item;
	size_t count;
};

/* Reads the whole file by `read`, its root's reader. Errors: -EINVAL, -ENOENT, -ENOMEM. */
int document_load(const char *path, document_read read, void *out, struct document **document,
		  struct sl_error *err);
void document_free(struct document *document);

/* -EINVAL */
int document_refuse(const struct document_reader *reader, const yaml_node_t *node, const char *what,
		    const char *value);
yaml_node_t *document_node(const struct document_reader *reader, int index);
int document_scalar(struct document_reader *reader, yaml_node_t *node, const char **out);
int document_text(struct document_reader *reader, yaml_node_t *node, void *out);   /* const char * */
int document_number(struct document_reader *reader, yaml_node_t *node, void *out); /* uint32_t */
int document_word(struct document_reader *reader, yaml_node_t *node, const struct document_word *words,
		  size_t count, int *out);
int document_mapping(struct document_reader *reader, yaml_node_t *node, const struct document_field *fields,
		     size_t count, void *out);
int document_list(struct document_reader *reader, yaml_node_t *node, size_t size, document_read read,
		  struct document_list *list);

/* A reader of one of the words given, each with its value of the type. */
#define DOCUMENT_WORDS(name, type, ...)                                                   \
	static int name(struct document_reader *reader, yaml_node_t *node, void *out)     \
	{                                                                                 \
		static const struct document_word words[] = {__VA_ARGS__};                \
		int value;                                                                \
                                                                                          \
		if (document_word(reader, node, words, SL_ARRAY_SIZE(words), &value) < 0) \
			return -EINVAL;                                                   \
		*(type *)out = (type)value;                                               \
		return 0;                                                                 \
	}

/* The list members are typed; all of them are a pointer and a count. */
#define DOCUMENT_LIST(name, type, read_one)                                           \
	static int name(struct document_reader *reader, yaml_node_t *node, void *out) \
	{                                                                             \
		struct document_list list = {NULL, 0};                                \
                                                                                      \
		if (document_list(reader, node, sizeof(type), read_one, &list) < 0)   \
			return -EINVAL;                                               \
		memcpy(out, &list, sizeof(list));                                     \
		return 0;                                                             \
	}

#endif
