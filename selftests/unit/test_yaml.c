// SPDX-License-Identifier: Apache-2.0
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "config/yaml.h"

static void yaml_freep(struct sl_yaml **yaml)
{
	sl_yaml_free(*yaml);
}
#define _cleanup_yaml_ _cleanup_(yaml_freep)

static struct sl_yaml *parse(const char *text)
{
	struct sl_yaml *yaml = NULL;
	struct sl_error err = {""};

	if (sl_yaml_parse("f.yaml", text, strlen(text), &yaml, &err) < 0)
		fail_msg("%s", err.text);
	return yaml;
}

static void a_value_is_found_by_its_keys_and_knows_its_line(void **state)
{
	_cleanup_yaml_ struct sl_yaml *yaml = parse("a:\n  b:\n    - c: 7\n    - c: 8\n");
	struct sl_yaml_node list, node;
	uint64_t value = 0;
	size_t count = 0;

	(void)state;
	list = sl_yaml_get(sl_yaml_get(sl_yaml_root(yaml), "a"), "b");
	assert_int_equal(sl_yaml_sequence(list, 2, &count, NULL), 0);
	assert_int_equal(count, 2);
	node = sl_yaml_get(sl_yaml_item(list, 1), "c");
	assert_int_equal(sl_yaml_line(node), 4);
	assert_int_equal(sl_yaml_uint(node, 0, 10, &value, NULL), 0);
	assert_int_equal(value, 8);
}

static void what_is_absent_leaves_the_default_alone(void **state)
{
	static const char *const names[] = {"one", "two", NULL};
	_cleanup_yaml_ struct sl_yaml *yaml = parse("a: 1\n");
	struct sl_yaml_node none = sl_yaml_get(sl_yaml_root(yaml), "b");
	uint64_t value = 77;
	uint32_t small = 78;
	unsigned int choice = 79;
	size_t count = 80;
	char text[8] = "before";

	(void)state;
	assert_false(sl_yaml_present(none));
	assert_false(sl_yaml_present(sl_yaml_get(none, "c")));
	assert_int_equal(sl_yaml_uint(none, 0, 1, &value, NULL), 0);
	assert_int_equal(sl_yaml_duration(none, 0, 1, &value, NULL), 0);
	assert_int_equal(sl_yaml_rate(none, 0, 1, &value, NULL), 0);
	assert_int_equal(value, 77);
	assert_int_equal(sl_yaml_uint32(none, 0, 1, &small, NULL), 0);
	assert_int_equal(small, 78);
	assert_int_equal(sl_yaml_choice(none, names, &choice, NULL), 0);
	assert_int_equal(choice, 79);
	assert_int_equal(sl_yaml_text(none, text, sizeof(text), NULL), 0);
	assert_string_equal(text, "before");
	assert_int_equal(sl_yaml_mapping(none, names, NULL), 0);
	assert_int_equal(sl_yaml_sequence(none, 0, &count, NULL), 0);
	assert_int_equal(count, 0);
}

static void an_unknown_key_is_refused_with_its_line_and_the_known_ones(void **state)
{
	static const char *const keys[] = {"one", "two", NULL};
	_cleanup_yaml_ struct sl_yaml *yaml = parse("a:\n  one: 1\n  three: 3\n");
	struct sl_error err;

	(void)state;
	assert_int_equal(sl_yaml_mapping(sl_yaml_get(sl_yaml_root(yaml), "a"), keys, &err), -EINVAL);
	assert_string_equal(err.text, "f.yaml:3: a.three: unknown key; allowed: one, two");
}

static void a_key_that_is_there_twice_is_refused(void **state)
{
	static const char *const keys[] = {"one", NULL};
	_cleanup_yaml_ struct sl_yaml *yaml = parse("one: 1\none: 2\n");
	struct sl_error err;

	(void)state;
	assert_int_equal(sl_yaml_mapping(sl_yaml_root(yaml), keys, &err), -EINVAL);
	assert_string_equal(err.text, "f.yaml:2: one: the key is there twice; allowed: once");
}

static void a_missing_key_is_named(void **state)
{
	_cleanup_yaml_ struct sl_yaml *yaml = parse("a:\n  - b: 1\n  - c: 2\n");
	struct sl_yaml_node list = sl_yaml_get(sl_yaml_root(yaml), "a");
	struct sl_error err;

	(void)state;
	assert_int_equal(sl_yaml_require(sl_yaml_item(list, 0), "b", &err), 0);
	assert_int_equal(sl_yaml_require(sl_yaml_item(list, 1), "b", &err), -EINVAL);
	assert_string_equal(err.text, "f.yaml:3: a[1]: the key b is missing");
}

static void a_node_of_the_wrong_kind_is_refused(void **state)
{
	static const char *const keys[] = {"x", NULL};
	_cleanup_yaml_ struct sl_yaml *yaml =
		parse("list: [1]\nmap: {x: 1}\nvalue: 5\nnothing:\n? [odd]\n: 1\n");
	struct sl_yaml_node root = sl_yaml_root(yaml);
	struct sl_error err;
	uint64_t value;
	size_t count;
	char text[8];

	(void)state;
	assert_int_equal(sl_yaml_mapping(sl_yaml_get(root, "list"), keys, &err), -EINVAL);
	assert_string_equal(err.text, "f.yaml:1: list: a list where a mapping must be; allowed: x");
	assert_int_equal(sl_yaml_sequence(sl_yaml_get(root, "map"), 9, &count, &err), -EINVAL);
	assert_string_equal(err.text, "f.yaml:2: map: a mapping where a list must be");
	assert_int_equal(sl_yaml_text(sl_yaml_get(root, "map"), text, sizeof(text), &err), -EINVAL);
	assert_int_equal(sl_yaml_uint(sl_yaml_get(root, "nothing"), 0, 9, &value, &err), -EINVAL);
	assert_string_equal(err.text, "f.yaml:4: nothing: nothing where a value must be; "
				      "allowed: a whole number from 0 to 9");
	assert_int_equal(sl_yaml_mapping(root, keys, &err), -EINVAL);
}

static void a_list_has_a_bound(void **state)
{
	_cleanup_yaml_ struct sl_yaml *yaml = parse("[1, 2, 3]\n");
	struct sl_error err;
	size_t count = 77;

	(void)state;
	assert_int_equal(sl_yaml_sequence(sl_yaml_root(yaml), 2, &count, &err), -EINVAL);
	assert_string_equal(err.text, "f.yaml:1: 3 entries; allowed: at most 2");
	assert_int_equal(count, 77);
}

static void numbers_that_yaml_libraries_guess_at_are_refused(void **state)
{
	static const char *const texts[] = {"a: 010", "a: 80abc", "a: 1_0", "a: 0x10", "a: -1",
					    "a: 1.0", "a: 1e1",	  "a: 11",  "a: ~",    "a: ' 1'"};
	size_t i;

	(void)state;
	for (i = 0; i < SL_ARRAY_SIZE(texts); i++) {
		_cleanup_yaml_ struct sl_yaml *yaml = parse(texts[i]);
		struct sl_error err;
		uint64_t value = 77;

		assert_int_equal(sl_yaml_uint(sl_yaml_get(sl_yaml_root(yaml), "a"), 0, 10, &value, &err),
				 -EINVAL);
		assert_non_null(strstr(err.text, "f.yaml:1: a: bad value "));
		assert_non_null(strstr(err.text, "allowed: a whole number from 0 to 10"));
		assert_int_equal(value, 77);
	}
}

static void values_outside_their_bounds_are_refused_with_the_bounds(void **state)
{
	static const char *const names[] = {"drop", "pass", NULL};
	_cleanup_yaml_ struct sl_yaml *yaml =
		parse("time: 5h\nrate: 1kbit\nname: toolongtext\nchoice: Drop\n");
	struct sl_yaml_node root = sl_yaml_root(yaml);
	struct sl_error err;
	unsigned int choice;
	uint64_t value;
	char text[8];

	(void)state;
	assert_int_equal(sl_yaml_duration(sl_yaml_get(root, "time"), 100, 3600000, &value, &err), -EINVAL);
	assert_string_equal(err.text, "f.yaml:1: time: bad value \"5h\"; allowed: 100ms to 1h00m");
	assert_int_equal(sl_yaml_rate(sl_yaml_get(root, "rate"), 8000, 1000000000, &value, &err), -EINVAL);
	assert_string_equal(err.text, "f.yaml:2: rate: bad value \"1kbit\"; allowed: 8kbit to 1Gbit");
	assert_int_equal(sl_yaml_text(sl_yaml_get(root, "name"), text, sizeof(text), &err), -EINVAL);
	assert_string_equal(err.text, "f.yaml:3: name: 11 bytes long; allowed: 1 to 7 bytes of text");
	assert_int_equal(sl_yaml_choice(sl_yaml_get(root, "choice"), names, &choice, &err), -EINVAL);
	assert_string_equal(err.text, "f.yaml:4: choice: bad value \"Drop\"; allowed: drop, pass");
}

static void an_error_is_one_line_whatever_the_file_holds(void **state)
{
	static const char *const keys[] = {"a", NULL};
	_cleanup_yaml_ struct sl_yaml *yaml = parse("{a: \"1\\n2\\e[2J\", \"k\\ney\": 1}\n");
	struct sl_yaml_node root = sl_yaml_root(yaml);
	struct sl_error err;
	uint64_t value;

	(void)state;
	assert_int_equal(sl_yaml_uint(sl_yaml_get(root, "a"), 0, 9, &value, &err), -EINVAL);
	assert_string_equal(err.text,
			    "f.yaml:1: a: bad value \"1?2?[2J\"; allowed: a whole number from 0 to 9");
	assert_int_equal(sl_yaml_mapping(root, keys, &err), -EINVAL);
	assert_string_equal(err.text, "f.yaml:1: k?ey: unknown key; allowed: a");
}

static void a_nul_inside_a_text_is_refused(void **state)
{
	_cleanup_yaml_ struct sl_yaml *yaml = parse("a: \"x\\0y\"\n");
	char text[8] = "";

	(void)state;
	assert_int_equal(sl_yaml_text(sl_yaml_get(sl_yaml_root(yaml), "a"), text, sizeof(text), NULL),
			 -EINVAL);
	assert_string_equal(text, "");
}

static void text_that_is_no_yaml_is_refused_with_the_line(void **state)
{
	static const struct {
		const char *text;
		const char *begins;
	} cases[] = {
		{"a: 1\nb: [2\nc: 3\n", "f.yaml:3: "},
		{"", "f.yaml:1: the file is empty"},
		{"# only a comment\n", "f.yaml:1: the file is empty"},
		{"a: 1\n---\nb: 2\n", "f.yaml: more than one document"},
		{"a: *nowhere\n", "f.yaml:1: "},
		{"a: \xff\xfe\n", "f.yaml: byte "},
		{"a: 1\n\tb: 2\n", "f.yaml:2: "},
	};
	size_t i;

	(void)state;
	for (i = 0; i < SL_ARRAY_SIZE(cases); i++) {
		struct sl_yaml *yaml = (struct sl_yaml *)0x77;
		struct sl_error err = {""};

		assert_int_equal(sl_yaml_parse("f.yaml", cases[i].text, strlen(cases[i].text), &yaml, &err),
				 -EINVAL);
		assert_memory_equal(err.text, cases[i].begins, strlen(cases[i].begins));
		assert_ptr_equal(yaml, (struct sl_yaml *)0x77);
	}
}

static void a_cycle_of_aliases_ends(void **state)
{
	static const char *const keys[] = {"x", NULL};
	_cleanup_yaml_ struct sl_yaml *yaml = parse("&a [*a, *a, {y: 1}]\n");
	struct sl_error err;

	(void)state;
	assert_int_equal(sl_yaml_mapping(sl_yaml_item(sl_yaml_root(yaml), 2), keys, &err), -EINVAL);
	assert_non_null(strstr(err.text, "unknown key"));
}

static void a_file_that_cannot_be_read_is_named(void **state)
{
	struct sl_yaml *yaml = NULL;
	struct sl_error err;

	(void)state;
	assert_int_equal(sl_yaml_load("/nowhere/f.yaml", &yaml, &err), -ENOENT);
	assert_string_equal(err.text, "/nowhere/f.yaml: No such file or directory");
	assert_int_equal(sl_yaml_load("/", &yaml, &err), -EISDIR);
	assert_null(yaml);
}

static void a_file_that_never_ends_is_refused(void **state)
{
	struct sl_yaml *yaml = NULL;
	struct sl_error err;

	(void)state;
	assert_int_equal(sl_yaml_load("/dev/zero", &yaml, &err), -EFBIG);
	assert_null(yaml);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_value_is_found_by_its_keys_and_knows_its_line),
		cmocka_unit_test(what_is_absent_leaves_the_default_alone),
		cmocka_unit_test(an_unknown_key_is_refused_with_its_line_and_the_known_ones),
		cmocka_unit_test(a_key_that_is_there_twice_is_refused),
		cmocka_unit_test(a_missing_key_is_named),
		cmocka_unit_test(a_node_of_the_wrong_kind_is_refused),
		cmocka_unit_test(a_list_has_a_bound),
		cmocka_unit_test(numbers_that_yaml_libraries_guess_at_are_refused),
		cmocka_unit_test(values_outside_their_bounds_are_refused_with_the_bounds),
		cmocka_unit_test(an_error_is_one_line_whatever_the_file_holds),
		cmocka_unit_test(a_nul_inside_a_text_is_refused),
		cmocka_unit_test(text_that_is_no_yaml_is_refused_with_the_line),
		cmocka_unit_test(a_cycle_of_aliases_ends),
		cmocka_unit_test(a_file_that_cannot_be_read_is_named),
		cmocka_unit_test(a_file_that_never_ends_is_refused),
	};

	return cmocka_run_group_tests_name("yaml", tests, NULL, NULL);
}
