// SPDX-License-Identifier: Apache-2.0
/* What sluicectl prints: tables for people, JSON for programs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "../../tools/sluicectl/output.c"
#include "sluice/v1/admin.pb-c.h"

#define must table_must /* both files have one */
#include "../../tools/sluicectl/table.c"
#undef must

static char *printed(const struct table *table, unsigned int indent)
{
	char *text = NULL;
	size_t size = 0;
	FILE *file = open_memstream(&text, &size);

	assert_non_null(file);
	table_print(table, indent, file);
	fclose(file);
	return text;
}

static void columns_are_as_wide_as_their_widest_cell(void **state)
{
	static const char *const headers[] = {"NAME", ">USED", "WHY", NULL};
	_cleanup_(table_freep) struct table *table = table_new(headers);
	_cleanup_free_ char *text = NULL;

	(void)state;
	table_cell(table, "sessions");
	table_cell(table, "%d", 7);
	table_cell(table, "%s", "");
	table_cell(table, "%s", "r\xc3\xa8gles"); /* one character, two bytes */
	table_cell(table, "%d", 1048576);
	table_cell(table, "full");
	text = printed(table, 1);
	assert_string_equal(text, " NAME         USED  WHY\n"
				  " sessions        7  -\n"
				  " r\xc3\xa8gles    1048576  full\n");
}

static void a_table_without_rows_is_its_headers(void **state)
{
	static const char *const headers[] = {"A", ">B", NULL};
	_cleanup_(table_freep) struct table *table = table_new(headers);
	_cleanup_free_ char *text = printed(table, 0);

	(void)state;
	assert_string_equal(text, "A  B\n");
}

static void text_of_a_peer_cannot_move_the_cursor(void **state)
{
	static const char *const headers[] = {"RULE", NULL};
	_cleanup_(table_freep) struct table *table = table_new(headers);
	_cleanup_free_ char *text = NULL;

	(void)state;
	table_cell(table, "%s", "a\x1b[2Jb\nc\x7f\xc2\x9b");
	text = printed(table, 0);
	assert_string_equal(text, "RULE\na\\x1b[2Jb\\x0ac\\x7f\\xc2\\x9b\n");
}

static void every_field_of_a_message_is_in_its_json(void **state)
{
	Sluice__V1__Usage usage = SLUICE__V1__USAGE__INIT;
	Sluice__V1__UsageRecord record = SLUICE__V1__USAGE_RECORD__INIT;
	Sluice__V1__UsageRecord *records[] = {&record};
	Sluice__V1__UsagePage page = SLUICE__V1__USAGE_PAGE__INIT;
	json_t *json, *wanted, *array = json_array();

	(void)state;
	usage.uplink_bytes = 9007199254740993; /* one more than a double can tell */
	record.imsi = "001010000000001";
	record.version = 4294967295;
	record.origin = SLUICE__V1__ORIGIN__GY;
	record.state = SLUICE__V1__USAGE_RECORD__STATE__RETIRED;
	page.n_records = 1;
	page.records = records;
	json = output_message(&page.base);
	wanted = json_pack("{s:[{s:s,s:s,s:s,s:I,s:s,s:s,s:i,s:n}],s:i}", "records", "imsi",
			   "001010000000001", "address", "", "rule_id", "", "version", (json_int_t)4294967295,
			   "origin", "gy", "state", "retired", "since_ms", 0, "usage", "next", 0);
	assert_non_null(wanted);
	assert_true(json_equal(json, wanted));
	json_decref(json);
	json_decref(wanted);

	record.usage = &usage;
	output_extend(array, &page.base, "records");
	output_extend(array, &page.base, "records");
	assert_int_equal(json_array_size(array), 2);
	json = json_object_get(json_array_get(array, 1), "usage");
	assert_true(json_integer_value(json_object_get(json, "uplink_bytes")) == 9007199254740993);
	json_decref(array);
}

static void only_the_event_that_happened_is_in_its_json(void **state)
{
	Sluice__V1__SessionEvent session = SLUICE__V1__SESSION_EVENT__INIT;
	Sluice__V1__Event event = SLUICE__V1__EVENT__INIT;
	json_t *json;

	(void)state;
	event.event_case = SLUICE__V1__EVENT__EVENT_SESSION_ENDED;
	event.session_ended = &session;
	json = output_message(&event.base);
	assert_int_equal(json_object_size(json), 3);
	assert_true(json_is_object(json_object_get(json, "session_ended")));
	json_decref(json);
}

static void bytes_that_are_no_utf8_do_not_lose_the_rest(void **state)
{
	json_t *json = output_string("a\xff\xc3\xa8\xe2\x82");

	(void)state;
	assert_string_equal(json_string_value(json), "a\xef\xbf\xbd\xc3\xa8\xef\xbf\xbd\xef\xbf\xbd");
	json_decref(json);
}

static void an_enumeration_is_lower_case_with_hyphens(void **state)
{
	const ProtobufCEnumDescriptor *type = &sluice__v1__status__setup__descriptor;

	(void)state;
	assert_string_equal(output_enum(type, 1), "waiting-for-policy");
	assert_string_equal(output_enum(type, 99), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(columns_are_as_wide_as_their_widest_cell),
		cmocka_unit_test(a_table_without_rows_is_its_headers),
		cmocka_unit_test(text_of_a_peer_cannot_move_the_cursor),
		cmocka_unit_test(every_field_of_a_message_is_in_its_json),
		cmocka_unit_test(only_the_event_that_happened_is_in_its_json),
		cmocka_unit_test(bytes_that_are_no_utf8_do_not_lose_the_rest),
		cmocka_unit_test(an_enumeration_is_lower_case_with_hyphens),
	};

	return cmocka_run_group_tests_name("output", tests, NULL, NULL);
}
