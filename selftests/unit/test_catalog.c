// SPDX-License-Identifier: Apache-2.0
/* Rules and base names of a policy directory: all of them, or the first thing that is wrong. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "catalog/catalog.h"
#include "policy_files.h"

static void catalog_freep(struct sl_catalog **catalog)
{
	sl_catalog_free(*catalog);
}
#define _cleanup_catalog_ _cleanup_(catalog_freep)

#define RULE(id) "  - {id: " id ", flows: [{}]}\n"

static const char *const access_interfaces[] = {"wlan0", "access0", NULL};

static struct sl_catalog *load(struct policy_files *files)
{
	struct sl_catalog *catalog = NULL;
	struct sl_error err = {""};

	if (sl_catalog_load(files->path, access_interfaces, &catalog, &err) < 0)
		fail_msg("%s", err.text);
	return catalog;
}

/* The error, without the directory's path. */
static void assert_refused(struct policy_files *files, int code, const char *reason)
{
	struct sl_catalog *catalog = NULL;
	struct sl_error err = {""};
	char *at;

	assert_int_equal(sl_catalog_load(files->path, access_interfaces, &catalog, &err), code);
	assert_null(catalog);
	at = strstr(err.text, files->path);
	if (at) {
		const char *rest = at + strlen(files->path);

		rest += *rest == '/';
		memmove(at, rest, strlen(rest) + 1);
	}
	if (strncmp(err.text, reason, strlen(reason)) != 0)
		fail_msg("\"%s\" is not \"%s\"", err.text, reason);
}

static void rules_of_all_files_are_found_by_id(void **state)
{
	struct policy_files *files = *state;
	_cleanup_catalog_ struct sl_catalog *catalog = NULL;
	const struct sl_rule *rule;

	policy_files_write(files, "b.yaml", "rules:\n" RULE("two"));
	policy_files_write(files, "a.yaml",
			   "rules:\n  - {id: one, precedence: 7, mbr: {uplink: 2Mbit}, flows: [{}]}\n");
	catalog = load(files);
	rule = sl_catalog_rule(catalog, "one");
	assert_non_null(rule);
	assert_int_equal(rule->precedence, 7);
	assert_int_equal(rule->mbr[SLUICE_UPLINK], 2000000);
	assert_int_equal(rule->flow_count, 2);
	assert_true(rule->is_static);
	assert_non_null(sl_catalog_rule(catalog, "two"));
	assert_null(sl_catalog_rule(catalog, "three"));
	assert_null(sl_catalog_rule(NULL, "one"));
	assert_int_equal(sl_catalog_rule_count(catalog), 2);
	assert_int_equal(sl_catalog_file_count(catalog), 2);
}

static void a_base_name_stands_for_rules_of_any_file(void **state)
{
	struct policy_files *files = *state;
	_cleanup_catalog_ struct sl_catalog *catalog = NULL;
	const struct sl_rule *const *rules;

	policy_files_write(files, "a.yaml", "base_names:\n  all: [two, one]\n  some: [one]\n");
	policy_files_write(files, "b.yaml", "rules:\n" RULE("one") RULE("two"));
	catalog = load(files);
	assert_int_equal(sl_catalog_resolve(catalog, "all", &rules), 2);
	assert_string_equal(rules[0]->id, "two");
	assert_string_equal(rules[1]->id, "one");
	assert_int_equal(sl_catalog_resolve(catalog, "one", &rules), 1);
	assert_ptr_equal(rules[0], sl_catalog_rule(catalog, "one"));
	assert_int_equal(sl_catalog_resolve(catalog, "none", &rules), 0);
	assert_int_equal(sl_catalog_resolve(NULL, "one", &rules), 0);
	assert_null(sl_catalog_rule(catalog, "all"));
	assert_int_equal(sl_catalog_base_name_count(catalog), 2);
}

static int note_view(const struct sl_catalog_view *view, void *user)
{
	char *text = user;

	sprintf(text + strlen(text), "%s%s %zu %s:%u;", view->name, view->is_base_name ? "*" : "",
		view->rule_count, view->file, view->line);
	return 0;
}

static void names_are_listed_with_their_places(void **state)
{
	struct policy_files *files = *state;
	_cleanup_catalog_ struct sl_catalog *catalog = NULL;
	char text[512] = "";

	policy_files_write(files, "b.yaml", "rules:\n" RULE("three"));
	policy_files_write(files, "a.yaml",
			   "base_names:\n  all: [one, two]\nrules:\n" RULE("one") RULE("two"));
	catalog = load(files);
	sl_catalog_each(catalog, note_view, text);
	assert_string_equal(text, "one 1 a.yaml:4;two 1 a.yaml:5;all* 2 a.yaml:2;three 1 b.yaml:2;");
}

static void only_files_that_end_in_yaml_are_read(void **state)
{
	struct policy_files *files = *state;
	_cleanup_catalog_ struct sl_catalog *catalog = NULL;

	policy_files_write(files, ".a.yaml", "nonsense: 1\n");
	policy_files_write(files, "a.yaml.swp", "nonsense: 1\n");
	policy_files_write(files, "a.yaml~", "nonsense: 1\n");
	policy_files_write(files, "README", "nonsense: 1\n");
	policy_files_write(files, ".yaml", "nonsense: 1\n");
	catalog = load(files);
	assert_int_equal(sl_catalog_rule_count(catalog), 0);
	assert_int_equal(sl_catalog_file_count(catalog), 0);
}

static void what_is_wrong_is_said_with_file_and_line(void **state)
{
	static const struct {
		const char *text, *reason;
	} cases[] = {
		{"rules:\n" RULE("one") "  - {id: x, precedence: high, flows: [{}]}\n",
		 "a.yaml:3: rules[1].precedence: bad value \"high\""},
		{"rules:\n" RULE("one") RULE("one"),
		 "a.yaml:3: rules[1]: \"one\" is a rule in a.yaml:2 already"},
		{"rules:\n" RULE("one") "base_names:\n  one: [one]\n",
		 "a.yaml:4: base_names.one: \"one\" is a rule in a.yaml:2 already"},
		{"rules:\n" RULE("one") "base_names:\n  x: [one, two]\n",
		 "a.yaml:4: base_names.x[1]: \"two\" is no rule of the directory"},
		{"rules:\n" RULE("one") "base_names:\n  x: [one]\n  y: [x]\n",
		 "a.yaml:5: base_names.y[0]: \"x\" is a base name; allowed: the id of a rule"},
		{"rules:\n" RULE("one") "base_names:\n  x: [one, one]\n",
		 "a.yaml:4: base_names.x[1]: \"one\" is in the list twice"},
		{"rules:\n" RULE("one") "base_names:\n  x: [one]\n  x: [one]\n",
		 "a.yaml:5: base_names.x: \"x\" is a base name in a.yaml:4 already"},
		{"base_names:\n  x: []\n", "a.yaml:2: base_names.x: no rules"},
		{"base_names:\n  x: one\n", "a.yaml:2: base_names.x: a single value where a list must be"},
		{"base_names: [x]\n", "a.yaml:1: base_names: a list where a mapping must be"},
		{"rules:\n" RULE("internal_default_drop_flow_rule"),
		 "a.yaml:2: rules[0]: \"internal_default_drop_flow_rule\" is the name of what matches no "
		 "rule"},
		{"rules:\n  - {id: x, flows: []}\n", "a.yaml:2: rules[0]"},
		{"rules:\n" RULE("one") "  - id: x\n    steer:\n      redirect: access0\n    flows: [{}]\n",
		 "a.yaml:5: rules[1].steer.redirect: 'access0' is an access interface of this agent"},
		{"rules:\n  - {id: x, steer: {mirror: wlan0}, flows: [{}]}\n",
		 "a.yaml:2: rules[0].steer.mirror: 'wlan0' is an access interface of this agent"},
		{"sessions: []\n",
		 "a.yaml:1: sessions: unknown key; allowed: rules, base_names, qos_profiles"},
		{"rules: [\n", "a.yaml:"},
		{"", "a.yaml:1: the file is empty"},
	};
	struct policy_files *files = *state;

	for (size_t i = 0; i < SL_ARRAY_SIZE(cases); i++) {
		policy_files_write(files, "a.yaml", cases[i].text);
		assert_refused(files, -EINVAL, cases[i].reason);
	}
}

static void an_error_in_one_file_is_the_error_of_all(void **state)
{
	struct policy_files *files = *state;

	policy_files_write(files, "a.yaml", "rules:\n" RULE("one"));
	policy_files_write(files, "b.yaml", "rules:\n" RULE("one"));
	assert_refused(files, -EINVAL, "b.yaml:2: rules[0]: \"one\" is a rule in a.yaml:2 already");
}

static void what_is_no_file_is_not_opened(void **state)
{
	struct policy_files *files = *state;
	char path[512];

	snprintf(path, sizeof(path), "%s/pipe.yaml", files->path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_refused(files, -EINVAL, "pipe.yaml: not a regular file");
	unlink(path);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_refused(files, -EINVAL, "pipe.yaml: not a regular file");
	rmdir(path);
	assert_int_equal(symlink("nowhere", path), 0);
	assert_refused(files, -ENOENT, "pipe.yaml: No such file");
	unlink(path);
}

static void a_directory_that_is_not_there_is_an_error(void **state)
{
	struct policy_files files = {.path = "/nonexistent-policy-directory"};

	(void)state;
	assert_refused(&files, -ENOENT, "policy.directory: : No such file");
	strcpy(files.path, "/etc/passwd");
	assert_refused(&files, -ENOTDIR, "policy.directory: : Not a directory");
}

static void too_many_bytes_are_refused_before_they_are_read(void **state)
{
	struct policy_files *files = *state;
	char path[512];
	FILE *file;

	policy_files_write(files, "a.yaml", "rules:\n" RULE("one"));
	snprintf(path, sizeof(path), "%s/b.yaml", files->path);
	file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(ftruncate(fileno(file), SL_CATALOG_BYTES), 0);
	fclose(file);
	assert_refused(files, -EFBIG, "b.yaml: the files before it and this one");
}

static void too_many_files_are_refused(void **state)
{
	struct policy_files *files = *state;
	char name[32], text[64];

	for (int i = 0; i <= SL_CATALOG_FILES; i++) {
		snprintf(name, sizeof(name), "%04d.yaml", i);
		snprintf(text, sizeof(text), "rules: [{id: r%d, flows: [{}]}]\n", i);
		policy_files_write(files, name, text);
	}
	assert_refused(files, -E2BIG, "policy.directory: : 257 files; allowed: at most 256");
}

static void too_many_rules_are_refused(void **state)
{
	struct policy_files *files = *state;
	_cleanup_free_ char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	fputs("rules:\n", out);
	for (int i = 0; i <= SL_CATALOG_RULES; i++)
		fprintf(out, "- {id: r%d, flows: [{}]}\n", i);
	fclose(out);
	policy_files_write(files, "a.yaml", text);
	assert_refused(files, -EINVAL, "a.yaml:2: rules: 16385 entries; allowed: at most 16384");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, policy_files_setup, policy_files_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(rules_of_all_files_are_found_by_id),
		TEST(a_base_name_stands_for_rules_of_any_file),
		TEST(names_are_listed_with_their_places),
		TEST(only_files_that_end_in_yaml_are_read),
		TEST(what_is_wrong_is_said_with_file_and_line),
		TEST(an_error_in_one_file_is_the_error_of_all),
		TEST(what_is_no_file_is_not_opened),
		TEST(a_directory_that_is_not_there_is_an_error),
		TEST(too_many_bytes_are_refused_before_they_are_read),
		TEST(too_many_files_are_refused),
		TEST(too_many_rules_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
