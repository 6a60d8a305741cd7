/* SPDX-License-Identifier: Apache-2.0 */
/*
 * YAML with line numbers: a document in memory and typed getters that refuse
 * what is not exactly right. Every error is one line,
 *
 *	FILE:LINE: key.path: what is wrong; allowed: what would be right
 *
 * Getters return 0 or -EINVAL, and leave *out alone both on failure and when
 * the node is absent: a default put there before stays. The library's own
 * typing is not used, because it takes 010 for 8 and 1_0 for 10.
 */
#ifndef SL_CONFIG_YAML_H
#define SL_CONFIG_YAML_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

#define SL_YAML_FILE_SIZE (64u << 20) /* bytes; a longer file is refused */
#define SL_YAML_KEYS	  64	      /* keys that one mapping may allow */

struct sl_yaml;

/* A place in a document, or none. Valid as long as the document. */
struct sl_yaml_node {
	const struct sl_yaml *document;
	int index; /* 0: absent */
};

/*
 * Reads exactly one document. `name` stands in messages. -EINVAL for bad
 * YAML, an empty text, a second document; the errno of reading; -EFBIG.
 */
int sl_yaml_load(const char *path, struct sl_yaml **out, struct sl_error *err);
int sl_yaml_parse(const char *name, const char *text, size_t length, struct sl_yaml **out,
		  struct sl_error *err);
void sl_yaml_free(struct sl_yaml *document);

struct sl_yaml_node sl_yaml_root(const struct sl_yaml *document);
bool sl_yaml_present(struct sl_yaml_node node);
unsigned int sl_yaml_line(struct sl_yaml_node node); /* 0 when absent */
const char *sl_yaml_name(struct sl_yaml_node node);  /* of its document */

/*
 * A mapping whose keys are all in the NULL-terminated list, each at most once.
 * An absent node is fine.
 */
int sl_yaml_mapping(struct sl_yaml_node node, const char *const *keys, struct sl_error *err);
struct sl_yaml_node sl_yaml_get(struct sl_yaml_node mapping, const char *key);

/* Error if the mapping lacks the key. */
int sl_yaml_require(struct sl_yaml_node mapping, const char *key, struct sl_error *err);

/*
 * A mapping whose keys are names of the file's own choice: at most `max` pairs,
 * each key a single value; an absent node has none. Whether a key comes twice is
 * the caller's to see.
 */
int sl_yaml_pairs(struct sl_yaml_node node, size_t max, size_t *count, struct sl_error *err);
void sl_yaml_pair(struct sl_yaml_node mapping, size_t i, struct sl_yaml_node *key,
		  struct sl_yaml_node *value);

/* Whether a value that may be single or a list is a list. */
bool sl_yaml_is_sequence(struct sl_yaml_node node);

/* A sequence of at most `max` items; an absent node has none. */
int sl_yaml_sequence(struct sl_yaml_node node, size_t max, size_t *count, struct sl_error *err);
struct sl_yaml_node sl_yaml_item(struct sl_yaml_node sequence, size_t i);

/* Not empty, without NUL, and with its NUL not longer than size. */
int sl_yaml_text(struct sl_yaml_node node, char *out, size_t size, struct sl_error *err);
int sl_yaml_uint(struct sl_yaml_node node, uint64_t min, uint64_t max, uint64_t *out, struct sl_error *err);
int sl_yaml_uint32(struct sl_yaml_node node, uint32_t min, uint32_t max, uint32_t *out, struct sl_error *err);
/* Milliseconds; see sl_parse_duration. */
int sl_yaml_duration(struct sl_yaml_node node, uint64_t min, uint64_t max, uint64_t *out,
		     struct sl_error *err);
/* bit/s; see sl_parse_rate. */
int sl_yaml_rate(struct sl_yaml_node node, uint64_t min, uint64_t max, uint64_t *out, struct sl_error *err);
/* The position in a NULL-terminated list of names. */
int sl_yaml_choice(struct sl_yaml_node node, const char *const *names, unsigned int *out,
		   struct sl_error *err);

/* The line of an error at this node; returns -EINVAL. The format says what is wrong and what is allowed. */
int sl_yaml_error(struct sl_yaml_node node, struct sl_error *err, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
