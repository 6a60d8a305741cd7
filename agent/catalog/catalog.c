// SPDX-License-Identifier: Apache-2.0
#include "catalog/catalog.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "catalog/section.h"

#define PATH_SIZE 512
#define SUFFIX	  ".yaml"

static const struct sl_catalog_section *const sections[] = {&sl_catalog_rules, &sl_catalog_base_names,
							    &sl_catalog_profiles};

/* --- entries ------------------------------------------------------------------- */

struct sl_catalog_entry *sl_catalog_find(const struct sl_catalog *catalog, const char *name)
{
	struct sl_catalog_entry *entry;

	HASH_FIND_STR(catalog->entries, name, entry);
	return entry;
}

const char *sl_catalog_file(struct sl_yaml_node node)
{
	const char *path = sl_yaml_name(node);
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

int sl_catalog_add(struct sl_catalog *catalog, const char *name, struct sl_yaml_node node,
		   struct sl_catalog_entry **out, struct sl_error *err)
{
	struct sl_catalog_entry *entry = sl_catalog_find(catalog, name);

	if (entry)
		return sl_yaml_error(node, err, "\"%s\" is a %s in %s:%u already; allowed: a name once", name,
				     entry->is_base_name ? "base name" : "rule", entry->file, entry->line);
	entry = calloc(1, sizeof(*entry));
	if (!entry)
		return sl_error(err, ENOMEM, "out of memory");
	snprintf(entry->name, sizeof(entry->name), "%s", name);
	snprintf(entry->file, sizeof(entry->file), "%.63s", sl_catalog_file(node));
	entry->line = sl_yaml_line(node);
	entry->node = node;
	HASH_ADD_STR(catalog->entries, name, entry);
	*out = entry;
	return 0;
}

void sl_catalog_free(struct sl_catalog *catalog)
{
	struct sl_catalog_entry *entry, *tmp;

	if (!catalog)
		return;
	HASH_ITER (hh, catalog->entries, entry, tmp) {
		HASH_DEL(catalog->entries, entry);
		free(entry->rule.flows);
		free(entry->rules);
		free(entry);
	}
	sl_catalog_free_profiles(catalog);
	for (size_t i = 0; i < catalog->part_count; i++)
		catalog->part[i].part->free(catalog->part[i].content);
	free(catalog);
}

static void catalog_freep(struct sl_catalog **catalog)
{
	sl_catalog_free(*catalog);
}

/* --- files ----------------------------------------------------------------------- */

/* The documents stay until the end, because what is checked last names a line too. */
struct files {
	struct dirent **names;
	int count;
	struct sl_yaml *documents[SL_CATALOG_FILES];
};

static void files_clear(struct files *files)
{
	for (int i = 0; i < files->count; i++) {
		if (i < SL_CATALOG_FILES)
			sl_yaml_free(files->documents[i]);
		free(files->names[i]);
	}
	free(files->names);
}

static int is_ours(const struct dirent *entry)
{
	const size_t length = strlen(entry->d_name);

	return entry->d_name[0] != '.' && length > strlen(SUFFIX) &&
	       strcmp(entry->d_name + length - strlen(SUFFIX), SUFFIX) == 0;
}

static int in_byte_order(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int find_files(const char *directory, struct files *files, struct sl_error *err)
{
	int count = scandir(directory, &files->names, is_ours, in_byte_order);

	if (count < 0)
		return sl_error(err, errno, "policy.directory: %s: %s", directory, strerror(errno));
	files->count = count;
	if (count > SL_CATALOG_FILES)
		return sl_error(err, E2BIG, "policy.directory: %s: %d files; allowed: at most %d", directory,
				count, SL_CATALOG_FILES);
	return 0;
}

/* A pipe or a device would keep the reader waiting. */
static int check_size(const char *path, uint64_t *bytes, struct sl_error *err)
{
	struct stat status;

	if (stat(path, &status) < 0)
		return sl_error(err, errno, "%s: %s", path, strerror(errno));
	if (!S_ISREG(status.st_mode))
		return sl_error(err, EINVAL, "%s: not a regular file", path);
	*bytes += (uint64_t)status.st_size;
	if (*bytes > SL_CATALOG_BYTES)
		return sl_error(err, EFBIG, "%s: the files before it and this one have more than %u bytes",
				path, SL_CATALOG_BYTES);
	return 0;
}

static int read_file(struct sl_catalog *catalog, const struct sl_yaml *document, struct sl_error *err)
{
	const char *keys[SL_ARRAY_SIZE(sections) + SL_CATALOG_PARTS + 1] = {NULL};
	struct sl_yaml_node root = sl_yaml_root(document);
	int rc;

	for (size_t i = 0; i < SL_ARRAY_SIZE(sections); i++)
		keys[i] = sections[i]->key;
	for (size_t i = 0; i < catalog->part_count; i++)
		keys[SL_ARRAY_SIZE(sections) + i] = catalog->part[i].part->key;
	rc = sl_yaml_mapping(root, keys, err);
	for (size_t i = 0; rc == 0 && i < SL_ARRAY_SIZE(sections); i++) {
		struct sl_yaml_node node = sl_yaml_get(root, sections[i]->key);

		if (sl_yaml_present(node))
			rc = sections[i]->read(catalog, node, err);
	}
	for (size_t i = 0; rc == 0 && i < catalog->part_count; i++) {
		struct sl_yaml_node node = sl_yaml_get(root, catalog->part[i].part->key);

		if (sl_yaml_present(node))
			rc = catalog->part[i].part->read(catalog->part[i].content, node, err);
	}
	return rc;
}

static int load(const char *directory, struct files *files, struct sl_catalog *catalog, struct sl_error *err)
{
	uint64_t bytes = 0;
	int rc;

	rc = find_files(directory, files, err);
	for (int i = 0; rc == 0 && i < files->count; i++) {
		char path[PATH_SIZE];

		if (snprintf(path, sizeof(path), "%s/%s", directory, files->names[i]->d_name) >= PATH_SIZE)
			return sl_error(err, ENAMETOOLONG, "%s: a file's name in it is too long", directory);
		rc = check_size(path, &bytes, err);
		if (rc == 0)
			rc = sl_yaml_load(path, &files->documents[i], err);
		if (rc == 0)
			rc = read_file(catalog, files->documents[i], err);
	}
	for (size_t i = 0; rc == 0 && i < SL_ARRAY_SIZE(sections); i++)
		if (sections[i]->check)
			rc = sections[i]->check(catalog, err);
	for (size_t i = 0; rc == 0 && i < catalog->part_count; i++)
		if (catalog->part[i].part->check)
			rc = catalog->part[i].part->check(catalog->part[i].content, catalog, catalog->access,
							  err);
	catalog->file_count = (size_t)files->count;
	return rc;
}

static int make_parts(struct sl_catalog *catalog, const struct sl_catalog_part *const *parts,
		      struct sl_error *err)
{
	for (; parts && *parts; parts++) {
		void *content;

		if (catalog->part_count == SL_CATALOG_PARTS)
			return sl_error(err, E2BIG, "more than %d parts of a catalogue", SL_CATALOG_PARTS);
		content = (*parts)->make();
		if (!content)
			return sl_error(err, ENOMEM, "out of memory");
		catalog->part[catalog->part_count].part = *parts;
		catalog->part[catalog->part_count++].content = content;
	}
	return 0;
}

int sl_catalog_load(const char *directory, const char *const *access, struct sl_catalog **out,
		    struct sl_error *err)
{
	return sl_catalog_load_with(directory, access, NULL, out, err);
}

int sl_catalog_load_with(const char *directory, const char *const *access,
			 const struct sl_catalog_part *const *parts, struct sl_catalog **out,
			 struct sl_error *err)
{
	_cleanup_(catalog_freep) struct sl_catalog *catalog = calloc(1, sizeof(*catalog));
	_cleanup_(files_clear) struct files files = {0};
	int rc;

	if (!catalog)
		return sl_error(err, ENOMEM, "out of memory");
	catalog->access = access;
	rc = make_parts(catalog, parts, err);
	if (rc == 0)
		rc = load(directory, &files, catalog, err);
	catalog->access = NULL;
	if (rc < 0)
		return rc;
	*out = SL_TAKE(catalog);
	return 0;
}

/* --- look-up -------------------------------------------------------------------- */

const struct sl_rule *sl_catalog_rule(const struct sl_catalog *catalog, const char *id)
{
	const struct sl_catalog_entry *entry = catalog ? sl_catalog_find(catalog, id) : NULL;

	return entry && !entry->is_base_name ? &entry->rule : NULL;
}

size_t sl_catalog_resolve(const struct sl_catalog *catalog, const char *name,
			  const struct sl_rule *const **rules)
{
	const struct sl_catalog_entry *entry = catalog ? sl_catalog_find(catalog, name) : NULL;

	if (!entry)
		return 0;
	*rules = entry->rules;
	return entry->rule_count;
}

int sl_catalog_each(const struct sl_catalog *catalog,
		    int (*visit)(const struct sl_catalog_view *view, void *user), void *user)
{
	const struct sl_catalog_entry *entry;
	int rc = 0;

	if (!catalog)
		return 0;
	for (entry = catalog->entries; entry && rc == 0; entry = entry->hh.next) {
		const struct sl_catalog_view view = {
			.name = entry->name,
			.is_base_name = entry->is_base_name,
			.rules = entry->rules,
			.rule_count = entry->rule_count,
			.file = entry->file,
			.line = entry->line,
		};

		rc = visit(&view, user);
	}
	return rc;
}

const void *sl_catalog_content(const struct sl_catalog *catalog, const struct sl_catalog_part *part)
{
	for (size_t i = 0; catalog && i < catalog->part_count; i++)
		if (catalog->part[i].part == part)
			return catalog->part[i].content;
	return NULL;
}

size_t sl_catalog_rule_count(const struct sl_catalog *catalog)
{
	return catalog ? catalog->rule_count : 0;
}

size_t sl_catalog_base_name_count(const struct sl_catalog *catalog)
{
	return catalog ? catalog->base_name_count : 0;
}

size_t sl_catalog_file_count(const struct sl_catalog *catalog)
{
	return catalog ? catalog->file_count : 0;
}
