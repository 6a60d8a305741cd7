// SPDX-License-Identifier: Apache-2.0
#include "config/yaml.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <yaml.h>

#include "base/cleanup.h"
#include "base/units.h"

#define PATH_SIZE  160
#define PATH_DEPTH 16 /* deeper than anything that is read; also ends the search in a cycle of aliases */

struct sl_yaml {
	yaml_document_t document;
	char name[256];
};

static void sl_yaml_freep(struct sl_yaml **document)
{
	sl_yaml_free(*document);
}

static const yaml_node_t *node_at(const struct sl_yaml *document, int index)
{
	/* libyaml reads only, but its signature says otherwise */
	return yaml_document_get_node((yaml_document_t *)&document->document, index);
}

static const yaml_node_t *node_of(struct sl_yaml_node node)
{
	return node.index ? node_at(node.document, node.index) : NULL;
}

static const char *scalar_of(const yaml_node_t *node)
{
	return (const char *)node->data.scalar.value;
}

/* --- errors -------------------------------------------------------------- */

/* Writes the way from `from` to `target` behind text[used]; false if there is none. */
static bool find_path(const struct sl_yaml *document, int from, int target, char *text, size_t used,
		      unsigned int depth)
{
	const yaml_node_t *node = node_at(document, from);
	const yaml_node_pair_t *pair;
	const yaml_node_item_t *item;

	if (from == target)
		return true;
	if (!node || depth == PATH_DEPTH)
		return false;
	if (node->type == YAML_MAPPING_NODE) {
		for (pair = node->data.mapping.pairs.start; pair < node->data.mapping.pairs.top; pair++) {
			const yaml_node_t *key = node_at(document, pair->key);
			int length;

			length = snprintf(text + used, PATH_SIZE - used, "%s%s", used ? "." : "",
					  key->type == YAML_SCALAR_NODE ? scalar_of(key) : "?");
			if (length < 0 || used + (size_t)length >= PATH_SIZE)
				continue;
			if (pair->key == target ||
			    find_path(document, pair->value, target, text, used + (size_t)length, depth + 1))
				return true;
		}
	} else if (node->type == YAML_SEQUENCE_NODE) {
		for (item = node->data.sequence.items.start; item < node->data.sequence.items.top; item++) {
			int length;

			length = snprintf(text + used, PATH_SIZE - used, "[%td]",
					  item - node->data.sequence.items.start);
			if (length < 0 || used + (size_t)length >= PATH_SIZE)
				continue;
			if (find_path(document, *item, target, text, used + (size_t)length, depth + 1))
				return true;
		}
	}
	text[used] = '\0';
	return false;
}

/* Values and keys come from the file: no control character of theirs gets into a message. */
static void one_line(char *text)
{
	for (; *text; text++) {
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = '?';
	}
}

int sl_yaml_error(struct sl_yaml_node node, struct sl_error *err, const char *format, ...)
{
	char path[PATH_SIZE] = "";
	char text[SL_ERROR_SIZE];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	find_path(node.document, 1, node.index, path, 0, 0);
	one_line(text);
	one_line(path);
	return sl_error(err, EINVAL, "%s:%u: %s%s%s", node.document->name, sl_yaml_line(node), path,
			path[0] ? ": " : "", text);
}

/* "a, b, c" of a NULL-terminated list. */
static const char *join(const char *const *names, char *text, size_t size)
{
	size_t used = 0;

	text[0] = '\0';
	for (; *names && used < size; names++) {
		int length = snprintf(text + used, size - used, "%s%s", used ? ", " : "", *names);

		used += length > 0 ? (size_t)length : 0;
	}
	return text;
}

/* --- reading ------------------------------------------------------------- */

static int parse_problem(const char *name, const yaml_parser_t *parser, struct sl_error *err)
{
	if (parser->error == YAML_MEMORY_ERROR)
		return sl_error(err, ENOMEM, "%s: out of memory", name);
	/* the reader knows bytes, everything behind it knows lines */
	if (parser->error == YAML_READER_ERROR)
		return sl_error(err, EINVAL, "%s: byte %zu: %s", name, parser->problem_offset,
				parser->problem);
	return sl_error(err, EINVAL, "%s:%zu: %s", name, parser->problem_mark.line + 1, parser->problem);
}

static int parse(const char *name, yaml_parser_t *parser, struct sl_yaml **out, struct sl_error *err)
{
	_cleanup_(sl_yaml_freep) struct sl_yaml *yaml = NULL;
	yaml_document_t second;
	bool more;

	yaml = calloc(1, sizeof(*yaml));
	if (!yaml)
		return sl_error(err, ENOMEM, "%s: out of memory", name);
	snprintf(yaml->name, sizeof(yaml->name), "%s", name);
	if (!yaml_parser_load(parser, &yaml->document))
		return parse_problem(name, parser, err);
	if (!yaml_document_get_root_node(&yaml->document))
		return sl_error(err, EINVAL, "%s:1: the file is empty", name);
	if (!yaml_parser_load(parser, &second))
		return parse_problem(name, parser, err);
	more = yaml_document_get_root_node(&second) != NULL;
	yaml_document_delete(&second);
	if (more)
		return sl_error(err, EINVAL, "%s: more than one document; allowed: one", name);
	*out = SL_TAKE(yaml);
	return 0;
}

int sl_yaml_parse(const char *name, const char *text, size_t length, struct sl_yaml **out,
		  struct sl_error *err)
{
	yaml_parser_t parser;
	int ret;

	if (length > SL_YAML_FILE_SIZE)
		return sl_error(err, EFBIG, "%s: longer than %u bytes", name, SL_YAML_FILE_SIZE);
	if (!yaml_parser_initialize(&parser))
		return sl_error(err, ENOMEM, "%s: out of memory", name);
	yaml_parser_set_input_string(&parser, (const unsigned char *)text, length);
	ret = parse(name, &parser, out, err);
	yaml_parser_delete(&parser);
	return ret;
}

int sl_yaml_load(const char *path, struct sl_yaml **out, struct sl_error *err)
{
	_cleanup_file_ FILE *file = NULL;
	_cleanup_free_ char *text = NULL;
	size_t size = 4096, length = 0;

	file = fopen(path, "re");
	if (!file)
		return sl_error(err, errno, "%s: %s", path, strerror(errno));
	for (;;) {
		char *larger = realloc(text, size);

		if (!larger)
			return sl_error(err, ENOMEM, "%s: out of memory", path);
		text = larger;
		errno = 0;
		length += fread(text + length, 1, size - length, file);
		if (ferror(file)) {
			int code = errno ? errno : EIO;

			return sl_error(err, code, "%s: %s", path, strerror(code));
		}
		if (length < size || length > SL_YAML_FILE_SIZE)
			break;
		size *= 2;
	}
	return sl_yaml_parse(path, text, length, out, err);
}

void sl_yaml_free(struct sl_yaml *document)
{
	if (!document)
		return;
	yaml_document_delete(&document->document);
	free(document);
}

/* --- places -------------------------------------------------------------- */

struct sl_yaml_node sl_yaml_root(const struct sl_yaml *document)
{
	return (struct sl_yaml_node){document, 1};
}

bool sl_yaml_present(struct sl_yaml_node node)
{
	return node.index != 0;
}

unsigned int sl_yaml_line(struct sl_yaml_node node)
{
	return node.index ? (unsigned int)node_of(node)->start_mark.line + 1 : 0;
}

const char *sl_yaml_name(struct sl_yaml_node node)
{
	return node.document->name;
}

static const char *kind_of(const yaml_node_t *node)
{
	if (node->type == YAML_MAPPING_NODE)
		return "a mapping";
	if (node->type == YAML_SEQUENCE_NODE)
		return "a list";
	return scalar_of(node)[0] ? "a single value" : "nothing";
}

int sl_yaml_mapping(struct sl_yaml_node node, const char *const *keys, struct sl_error *err)
{
	const yaml_node_t *at = node_of(node);
	const yaml_node_pair_t *pair;
	char allowed[SL_ERROR_SIZE];
	uint64_t seen = 0;

	if (!at)
		return 0;
	join(keys, allowed, sizeof(allowed));
	if (at->type != YAML_MAPPING_NODE)
		return sl_yaml_error(node, err, "%s where a mapping must be; allowed: %s", kind_of(at),
				     allowed);
	for (pair = at->data.mapping.pairs.start; pair < at->data.mapping.pairs.top; pair++) {
		struct sl_yaml_node key = {node.document, pair->key};
		const yaml_node_t *name = node_of(key);
		unsigned int i;

		if (name->type != YAML_SCALAR_NODE)
			return sl_yaml_error(key, err, "a key must be a single value; allowed: %s", allowed);
		for (i = 0; keys[i] && strcmp(keys[i], scalar_of(name)) != 0; i++)
			;
		if (!keys[i])
			return sl_yaml_error(key, err, "unknown key; allowed: %s", allowed);
		if (seen & (1ULL << i))
			return sl_yaml_error(key, err, "the key is there twice; allowed: once");
		seen |= 1ULL << i;
	}
	return 0;
}

struct sl_yaml_node sl_yaml_get(struct sl_yaml_node mapping, const char *key)
{
	const yaml_node_t *at = node_of(mapping);
	const yaml_node_pair_t *pair;

	if (!at || at->type != YAML_MAPPING_NODE)
		return (struct sl_yaml_node){mapping.document, 0};
	for (pair = at->data.mapping.pairs.start; pair < at->data.mapping.pairs.top; pair++) {
		const yaml_node_t *name = node_at(mapping.document, pair->key);

		if (name->type == YAML_SCALAR_NODE && strcmp(scalar_of(name), key) == 0)
			return (struct sl_yaml_node){mapping.document, pair->value};
	}
	return (struct sl_yaml_node){mapping.document, 0};
}

int sl_yaml_require(struct sl_yaml_node mapping, const char *key, struct sl_error *err)
{
	if (sl_yaml_present(sl_yaml_get(mapping, key)))
		return 0;
	return sl_yaml_error(mapping, err, "the key %s is missing", key);
}

int sl_yaml_pairs(struct sl_yaml_node node, size_t max, size_t *count, struct sl_error *err)
{
	const yaml_node_t *at = node_of(node);
	const yaml_node_pair_t *pair;
	size_t length;

	if (!at) {
		*count = 0;
		return 0;
	}
	if (at->type != YAML_MAPPING_NODE)
		return sl_yaml_error(node, err, "%s where a mapping must be", kind_of(at));
	length = (size_t)(at->data.mapping.pairs.top - at->data.mapping.pairs.start);
	if (length > max)
		return sl_yaml_error(node, err, "%zu keys; allowed: at most %zu", length, max);
	for (pair = at->data.mapping.pairs.start; pair < at->data.mapping.pairs.top; pair++) {
		struct sl_yaml_node key = {node.document, pair->key};

		if (node_of(key)->type != YAML_SCALAR_NODE)
			return sl_yaml_error(key, err, "a key must be a single value");
	}
	*count = length;
	return 0;
}

void sl_yaml_pair(struct sl_yaml_node mapping, size_t i, struct sl_yaml_node *key, struct sl_yaml_node *value)
{
	const yaml_node_pair_t *pair = &node_of(mapping)->data.mapping.pairs.start[i];

	*key = (struct sl_yaml_node){mapping.document, pair->key};
	*value = (struct sl_yaml_node){mapping.document, pair->value};
}

bool sl_yaml_is_sequence(struct sl_yaml_node node)
{
	return sl_yaml_present(node) && node_of(node)->type == YAML_SEQUENCE_NODE;
}

int sl_yaml_sequence(struct sl_yaml_node node, size_t max, size_t *count, struct sl_error *err)
{
	const yaml_node_t *at = node_of(node);
	size_t length;

	if (!at) {
		*count = 0;
		return 0;
	}
	if (at->type != YAML_SEQUENCE_NODE)
		return sl_yaml_error(node, err, "%s where a list must be", kind_of(at));
	length = (size_t)(at->data.sequence.items.top - at->data.sequence.items.start);
	if (length > max)
		return sl_yaml_error(node, err, "%zu entries; allowed: at most %zu", length, max);
	*count = length;
	return 0;
}

struct sl_yaml_node sl_yaml_item(struct sl_yaml_node sequence, size_t i)
{
	return (struct sl_yaml_node){sequence.document, node_of(sequence)->data.sequence.items.start[i]};
}

/* --- values -------------------------------------------------------------- */

static int scalar(struct sl_yaml_node node, const char *allowed, const char **out, struct sl_error *err)
{
	const yaml_node_t *at = node_of(node);

	if (at->type != YAML_SCALAR_NODE || at->data.scalar.length == 0)
		return sl_yaml_error(node, err, "%s where a value must be; allowed: %s", kind_of(at),
				     allowed);
	if (strlen(scalar_of(at)) != at->data.scalar.length)
		return sl_yaml_error(node, err, "a NUL character inside; allowed: %s", allowed);
	*out = scalar_of(at);
	return 0;
}

int sl_yaml_text(struct sl_yaml_node node, char *out, size_t size, struct sl_error *err)
{
	char allowed[64];
	const char *text;
	int ret;

	if (!sl_yaml_present(node))
		return 0;
	snprintf(allowed, sizeof(allowed), "1 to %zu bytes of text", size - 1);
	ret = scalar(node, allowed, &text, err);
	if (ret < 0)
		return ret;
	if (strlen(text) >= size)
		return sl_yaml_error(node, err, "%zu bytes long; allowed: %s", strlen(text), allowed);
	memcpy(out, text, strlen(text) + 1);
	return 0;
}

int sl_yaml_uint(struct sl_yaml_node node, uint64_t min, uint64_t max, uint64_t *out, struct sl_error *err)
{
	char allowed[80];
	const char *text;
	uint64_t value;
	int ret;

	if (!sl_yaml_present(node))
		return 0;
	snprintf(allowed, sizeof(allowed), "a whole number from %" PRIu64 " to %" PRIu64, min, max);
	ret = scalar(node, allowed, &text, err);
	if (ret < 0)
		return ret;
	if (sl_parse_uint(text, &value) < 0 || value < min || value > max)
		return sl_yaml_error(node, err, "bad value \"%s\"; allowed: %s", text, allowed);
	*out = value;
	return 0;
}

int sl_yaml_uint32(struct sl_yaml_node node, uint32_t min, uint32_t max, uint32_t *out, struct sl_error *err)
{
	uint64_t value = *out;
	int ret;

	ret = sl_yaml_uint(node, min, max, &value, err);
	if (ret < 0)
		return ret;
	*out = (uint32_t)value;
	return 0;
}

int sl_yaml_duration(struct sl_yaml_node node, uint64_t min, uint64_t max, uint64_t *out,
		     struct sl_error *err)
{
	char low[SL_UNITS_SIZE], high[SL_UNITS_SIZE];
	const char *text;
	uint64_t value;
	int ret;

	if (!sl_yaml_present(node))
		return 0;
	ret = scalar(node, SL_DURATION_SYNTAX, &text, err);
	if (ret < 0)
		return ret;
	if (sl_parse_duration(text, &value) < 0)
		return sl_yaml_error(node, err, "bad value \"%s\"; allowed: %s", text, SL_DURATION_SYNTAX);
	if (value < min || value > max)
		return sl_yaml_error(node, err, "bad value \"%s\"; allowed: %s to %s", text,
				     sl_format_duration(min, low), sl_format_duration(max, high));
	*out = value;
	return 0;
}

int sl_yaml_rate(struct sl_yaml_node node, uint64_t min, uint64_t max, uint64_t *out, struct sl_error *err)
{
	char low[SL_UNITS_SIZE], high[SL_UNITS_SIZE];
	const char *text;
	uint64_t value;
	int ret;

	if (!sl_yaml_present(node))
		return 0;
	ret = scalar(node, SL_RATE_SYNTAX, &text, err);
	if (ret < 0)
		return ret;
	if (sl_parse_rate(text, &value) < 0)
		return sl_yaml_error(node, err, "bad value \"%s\"; allowed: %s", text, SL_RATE_SYNTAX);
	if (value < min || value > max)
		return sl_yaml_error(node, err, "bad value \"%s\"; allowed: %s to %s", text,
				     sl_format_rate(min, low), sl_format_rate(max, high));
	*out = value;
	return 0;
}

int sl_yaml_choice(struct sl_yaml_node node, const char *const *names, unsigned int *out,
		   struct sl_error *err)
{
	char allowed[SL_ERROR_SIZE / 2];
	const char *text;
	unsigned int i;
	int ret;

	if (!sl_yaml_present(node))
		return 0;
	join(names, allowed, sizeof(allowed));
	ret = scalar(node, allowed, &text, err);
	if (ret < 0)
		return ret;
	for (i = 0; names[i]; i++) {
		if (strcmp(names[i], text) == 0) {
			*out = i;
			return 0;
		}
	}
	return sl_yaml_error(node, err, "bad value \"%s\"; allowed: %s", text, allowed);
}
