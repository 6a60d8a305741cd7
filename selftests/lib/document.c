// SPDX-License-Identifier: Apache-2.0
#include "document.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define FIELDS_MAX 32 /* of one mapping */

/* Everything of one document is freed at once. */
struct chunk {
	struct chunk *next;
	max_align_t data[];
};

struct document {
	struct chunk *chunks;
	yaml_document_t yaml;
	bool has_yaml;
};

int document_refuse(const struct document_reader *reader, const yaml_node_t *node, const char *what,
		    const char *value)
{
	sl_error(reader->err, EINVAL, "%s:%zu: %s '%s'", reader->path, node->start_mark.line + 1, what,
		 value);
	return -EINVAL;
}

static void *allocate(struct document_reader *reader, size_t size)
{
	struct chunk *chunk = calloc(1, sizeof(*chunk) + size);

	if (!chunk)
		return NULL;
	chunk->next = reader->document->chunks;
	reader->document->chunks = chunk;
	return chunk->data;
}

yaml_node_t *document_node(const struct document_reader *reader, int index)
{
	return yaml_document_get_node(&reader->document->yaml, index);
}

int document_scalar(struct document_reader *reader, yaml_node_t *node, const char **out)
{
	if (node->type != YAML_SCALAR_NODE)
		return document_refuse(reader, node, "a list or mapping where one value belongs, in",
				       reader->path);
	*out = (const char *)node->data.scalar.value;
	return 0;
}

int document_text(struct document_reader *reader, yaml_node_t *node, void *out)
{
	return document_scalar(reader, node, out);
}

int document_number(struct document_reader *reader, yaml_node_t *node, void *out)
{
	unsigned long long value;
	const char *text;
	char *end;

	if (document_scalar(reader, node, &text) < 0)
		return -EINVAL;
	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || *end || *text < '0' || *text > '9' || value > UINT32_MAX)
		return document_refuse(reader, node, "not a number of 32 bits:", text);
	*(uint32_t *)out = (uint32_t)value;
	return 0;
}

int document_word(struct document_reader *reader, yaml_node_t *node, const struct document_word *words,
		  size_t count, int *out)
{
	const char *text;

	if (document_scalar(reader, node, &text) < 0)
		return -EINVAL;
	for (size_t i = 0; i < count; i++) {
		if (strcmp(text, words[i].name) == 0) {
			*out = words[i].value;
			return 0;
		}
	}
	return document_refuse(reader, node, "unknown word", text);
}

static const struct document_field *find_field(const struct document_field *fields, size_t count,
					       const char *name)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(fields[i].name, name) == 0)
			return &fields[i];
	return NULL;
}

/* Each key once, none that is unknown, all that are required. */
int document_mapping(struct document_reader *reader, yaml_node_t *node, const struct document_field *fields,
		     size_t count, void *out)
{
	bool seen[FIELDS_MAX] = {false};

	if (node->type != YAML_MAPPING_NODE)
		return document_refuse(reader, node, "not a mapping where one belongs, with", fields[0].name);
	for (yaml_node_pair_t *pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top;
	     pair++) {
		yaml_node_t *key = document_node(reader, pair->key);
		const struct document_field *field;
		const char *name;

		if (document_scalar(reader, key, &name) < 0)
			return -EINVAL;
		field = find_field(fields, count, name);
		if (!field)
			return document_refuse(reader, key, "unknown key", name);
		if (seen[field - fields])
			return document_refuse(reader, key, "a key twice:", name);
		seen[field - fields] = true;
		if (field->read(reader, document_node(reader, pair->value), (char *)out + field->offset) < 0)
			return -EINVAL;
	}
	for (size_t i = 0; i < count; i++)
		if (fields[i].required && !seen[i])
			return document_refuse(reader, node, "missing key", fields[i].name);
	return 0;
}

int document_list(struct document_reader *reader, yaml_node_t *node, size_t size, document_read read,
		  struct document_list *list)
{
	yaml_node_item_t *item;
	size_t count;
	char *items;

	if (node->type != YAML_SEQUENCE_NODE)
		return document_refuse(reader, node, "not a list where one belongs, in", reader->path);
	count = (size_t)(node->data.sequence.items.top - node->data.sequence.items.start);
	items = allocate(reader, count * size);
	if (!items)
		return sl_error(reader->err, ENOMEM, "%s: no memory", reader->path);
	item = node->data.sequence.items.start;
	for (size_t i = 0; i < count; i++)
		if (read(reader, document_node(reader, item[i]), items + i * size) < 0)
			return -EINVAL;
	list->item = items;
	list->count = count;
	return 0;
}

static int parse(struct document_reader *reader, yaml_node_t **root)
{
	_cleanup_file_ FILE *file = fopen(reader->path, "re");
	yaml_parser_t parser;

	if (!file)
		return sl_error(reader->err, errno, "%s: %m", reader->path);
	if (!yaml_parser_initialize(&parser))
		return sl_error(reader->err, ENOMEM, "%s: no memory", reader->path);
	yaml_parser_set_input_file(&parser, file);
	if (!yaml_parser_load(&parser, &reader->document->yaml)) {
		sl_error(reader->err, EINVAL, "%s:%zu: %s", reader->path, parser.problem_mark.line + 1,
			 parser.problem ? parser.problem : "not YAML");
		yaml_parser_delete(&parser);
		return -EINVAL;
	}
	reader->document->has_yaml = true;
	yaml_parser_delete(&parser);
	*root = yaml_document_get_root_node(&reader->document->yaml);
	if (!*root)
		return sl_error(reader->err, EINVAL, "%s:1: empty", reader->path);
	return 0;
}

int document_load(const char *path, document_read read, void *out, struct document **document,
		  struct sl_error *err)
{
	struct document_reader reader = {.path = path, .err = err};
	yaml_node_t *root;
	int result;

	reader.document = calloc(1, sizeof(*reader.document));
	if (!reader.document)
		return sl_error(err, ENOMEM, "%s: no memory", path);
	result = parse(&reader, &root);
	if (result == 0)
		result = read(&reader, root, out);
	if (result < 0) {
		document_free(reader.document);
		return result;
	}
	*document = reader.document;
	return 0;
}

void document_free(struct document *document)
{
	struct chunk *chunk, *next;

	if (!document)
		return;
	for (chunk = document->chunks; chunk; chunk = next) {
		next = chunk->next;
		free(chunk);
	}
	if (document->has_yaml)
		yaml_document_delete(&document->yaml);
	free(document);
}
