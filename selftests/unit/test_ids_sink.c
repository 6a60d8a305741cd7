// SPDX-License-Identifier: Apache-2.0
/* Files of alerts: rotation, a full disk, the cap; evidence that readers of captures open. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ids/line_file.h"
#include "ids/sink.h"

static char directory[64];

static const char *path_of(const char *name)
{
	static char path[4][160];
	static int next;

	next = (next + 1) % 4;
	snprintf(path[next], sizeof(path[0]), "%s/%s", directory, name);
	return path[next];
}

static int setup(void **state)
{
	(void)state;
	snprintf(directory, sizeof(directory), "/tmp/sluice-unit-sink-XXXXXX");
	return mkdtemp(directory) ? 0 : -1;
}

static int teardown(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof(command), "rm -rf %s", directory);
	return system(command);
}

static long size_of(const char *path)
{
	struct stat status;

	return stat(path, &status) < 0 ? -1 : (long)status.st_size;
}

static void write_text(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static void is_text(const char *path, const char *expected)
{
	char text[4096] = "";
	FILE *file = fopen(path, "r");

	assert_non_null(file);
	text[fread(text, 1, sizeof(text) - 1, file)] = '\0';
	fclose(file);
	assert_string_equal(text, expected);
}

static struct sl_line_file *open_file(const char *path, uint64_t max_size, uint32_t keep)
{
	struct sl_line_file *file = NULL;
	struct sl_error err;

	if (sl_line_file_open(path, max_size, keep, &file, &err) < 0)
		fail_msg("%s", err.text);
	return file;
}

/* --- lines ---------------------------------------------------------------------------------------- */

static void a_file_that_is_long_enough_moves_aside_and_the_oldest_goes(void **state)
{
	struct sl_line_file *file = open_file(path_of("new/eve"), 12, 2);
	const char *lines[] = {"aaaa\n", "bbbb\n", "cccc\n", "dddd\n", "eeee\n", "ffff\n", "gggg\n"};

	(void)state;
	for (size_t i = 0; i < 7; i++) {
		assert_int_equal(sl_line_file_add(file, lines[i], 5), 0);
		assert_int_equal(sl_line_file_flush(file), 0);
	}
	is_text(path_of("new/eve"), "gggg\n");
	is_text(path_of("new/eve.1"), "eeee\nffff\n");
	is_text(path_of("new/eve.2"), "cccc\ndddd\n");
	assert_int_equal(size_of(path_of("new/eve.3")), -1);
	assert_int_equal(sl_line_file_written(file), 7);
	sl_line_file_close(file);
}

static void what_was_there_goes_on_and_a_part_of_a_line_of_ours_is_taken_back(void **state)
{
	static const struct {
		const char *before, *after;
	} cases[] = {
		{"{\"timestamp\":1}\n", "{\"timestamp\":1}\nx\n"},
		{"{\"timestamp\":1}\n{\"timestamp\":\"20", "{\"timestamp\":1}\nx\n"},
		{"{\"timestamp\":\"20", "x\n"},
		{"somebody's", "somebody's\nx\n"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct sl_line_file *file;

		write_text(path_of("old"), cases[i].before);
		file = open_file(path_of("old"), 1 << 20, 2);
		assert_int_equal(sl_line_file_add(file, "x\n", 2), 0);
		sl_line_file_close(file);
		is_text(path_of("old"), cases[i].after);
	}
}

static void a_full_disk_takes_whole_lines_and_the_rest_later(void **state)
{
	struct sl_line_file *file = open_file(path_of("full"), 1 << 20, 2);
	struct rlimit before, small;
	char line[101];
	int rc = 0, refused = 0, added = 0;

	(void)state;
	memset(line, 'x', sizeof(line));
	line[99] = '\n';
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	signal(SIGXFSZ, SIG_IGN);
	small = before;
	small.rlim_cur = 1234; /* twelve lines and a part */
	setrlimit(RLIMIT_FSIZE, &small);
	for (int i = 0; i < 1000; i++) {
		if (sl_line_file_add(file, line, 100) < 0)
			refused++;
		else
			added++;
	}
	rc = sl_line_file_flush(file);
	assert_true(rc < 0);
	assert_int_equal(size_of(path_of("full")), 1200);
	assert_int_equal(sl_line_file_written(file), 12);
	assert_true(refused > 300);
	setrlimit(RLIMIT_FSIZE, &before);
	assert_int_equal(sl_line_file_flush(file), 0);
	assert_int_equal(sl_line_file_written(file), added);
	assert_int_equal(size_of(path_of("full")), added * 100);
	assert_int_equal(added + refused, 1000);
	sl_line_file_close(file);
}

static void a_file_that_somebody_moved_is_made_anew(void **state)
{
	struct sl_line_file *file = open_file(path_of("log"), 1 << 20, 2);

	(void)state;
	sl_line_file_add(file, "a\n", 2);
	assert_int_equal(rename(path_of("log"), path_of("log.moved")), 0);
	assert_int_equal(sl_line_file_reopen(file), 0);
	sl_line_file_add(file, "b\n", 2);
	sl_line_file_close(file);
	is_text(path_of("log.moved"), "a\n");
	is_text(path_of("log"), "b\n");
}

/* --- the cap: I11 ---------------------------------------------------------------------------------- */

static uint64_t clock_ns = 5000000000ull;

static uint64_t clock_of_test(void)
{
	return clock_ns;
}

static struct sl_ids_alert alert_of(uint32_t signature, uint64_t sequence)
{
	struct sl_ids_alert alert = {
		.sequence = sequence,
		.time_ns = 1795636008000000000ull,
		.flow_id = 77,
		.rule = signature == 1 ? "storm" : "rare",
		.signature = signature,
		.category = "x",
		.severity = 2,
		.action = "blocked",
		.verdict = "drop",
		.imsi = "",
		.session_address = "",
		.apn = "",
		.pcc_rule = "",
		.track = "source",
		.key = "source 192.0.2.1",
		.count = "packets",
		.kind = "exact",
		.reason = "",
	};

	return alert;
}

struct lines {
	uint64_t count, suppressed, rare;
};

static void read_lines(const char *path, struct lines *out)
{
	FILE *file = fopen(path, "r");
	char line[4096];

	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		json_t *json = json_loads(line, 0, NULL), *own;

		assert_non_null(json);
		own = json_object_get(json, "sluice");
		out->count++;
		out->suppressed += (uint64_t)json_integer_value(json_object_get(own, "suppressed"));
		out->rare += strcmp(json_string_value(json_object_get(own, "rule")), "rare") == 0;
		json_decref(json);
	}
	fclose(file);
}

static void I11_in_a_storm_the_file_keeps_its_cap_and_the_suppressed_count_is_exact(void **state)
{
	struct sl_ids_sink_config config = {
		.eve_max_size = 1 << 30, .per_second = 1000, .clock = clock_of_test};
	struct sl_ids_sink_stats stats;
	struct sl_ids_sink *sink = NULL;
	struct lines lines = {0};
	uint64_t sequence = 0;
	struct sl_error err;

	(void)state;
	snprintf(config.eve_file, sizeof(config.eve_file), "%s", path_of("storm"));
	if (sl_ids_sink_open(&config, &sink, &err) < 0)
		fail_msg("%s", err.text);
	for (int second = 0; second < 2; second++) {
		for (int i = 0; i < 100000; i++) {
			struct sl_ids_alert alert = alert_of(1, ++sequence);

			sl_ids_sink_write(sink, &alert);
			clock_ns += 10000;
			if (i % 10000 == 5000) {
				alert = alert_of(2, ++sequence);
				sl_ids_sink_write(sink, &alert);
			}
			if (i % 100 == 0)
				sl_ids_sink_flush(sink);
		}
	}
	/* nobody comes any more */
	clock_ns += 2000000000ull;
	sl_ids_sink_flush(sink);
	sl_ids_sink_stats(sink, &stats);
	sl_ids_sink_close(sink);
	read_lines(path_of("storm"), &lines);
	assert_in_range(lines.count, 1000, 2 * 1000 + 1);
	assert_int_equal(lines.count + lines.suppressed, sequence);
	/* the noisy rule does not hide the other */
	assert_int_equal(lines.rare, 20);
	assert_int_equal(stats.eve_written, lines.count);
	assert_int_equal(stats.eve_failed, 0);
}

/* --- evidence: an independent reader of pcapng ------------------------------------------------------ */

struct capture {
	uint8_t bytes[65536];
	size_t size;
	unsigned int sections, interfaces, packets;
	uint16_t link;
	uint64_t time_ns;
	uint32_t captured, length;
	char comment[256];
	uint8_t data[256];
};

static uint32_t at32(const struct capture *capture, size_t at)
{
	uint32_t value;

	memcpy(&value, capture->bytes + at, sizeof(value));
	return value;
}

static uint16_t at16(const struct capture *capture, size_t at)
{
	uint16_t value;

	memcpy(&value, capture->bytes + at, sizeof(value));
	return value;
}

static void read_packet(struct capture *out, size_t at, uint32_t size)
{
	size_t options = at + 28 + (at32(out, at + 20) + 3) / 4 * 4;

	assert_int_equal(at32(out, at + 8), 0);
	out->time_ns = (uint64_t)at32(out, at + 12) << 32 | at32(out, at + 16);
	out->captured = at32(out, at + 20);
	out->length = at32(out, at + 24);
	memcpy(out->data, out->bytes + at + 28, out->captured);
	assert_int_equal(at16(out, options), 1);
	memcpy(out->comment, out->bytes + options + 4, at16(out, options + 2));
	out->comment[at16(out, options + 2)] = '\0';
	assert_int_equal(at32(out, at + size - 8), 0); /* opt_endofopt */
	out->packets++;
}

static void read_capture(const char *path, struct capture *out)
{
	FILE *file = fopen(path, "r");

	assert_non_null(file);
	memset(out, 0, sizeof(*out));
	out->size = fread(out->bytes, 1, sizeof(out->bytes), file);
	fclose(file);
	for (size_t at = 0; at < out->size;) {
		uint32_t type = at32(out, at), size = at32(out, at + 4);

		assert_true(size >= 12 && size % 4 == 0 && at + size <= out->size);
		assert_int_equal(at32(out, at + size - 4), size);
		if (type == 0x0a0d0d0a) {
			assert_int_equal(at32(out, at + 8), 0x1a2b3c4d);
			out->sections++;
		} else if (type == 1) {
			out->link = at16(out, at + 8);
			assert_int_equal(at16(out, at + 16), 9); /* if_tsresol */
			assert_int_equal(out->bytes[at + 20], 9);
			out->interfaces++;
		} else {
			assert_int_equal(type, 6);
			read_packet(out, at, size);
		}
		at += size;
	}
}

static struct sl_ids_sink *open_evidence(uint64_t max_size)
{
	struct sl_ids_sink_config config = {
		.per_second = 1000, .evidence_max_size = max_size, .clock = clock_of_test};
	struct sl_ids_sink *sink = NULL;
	struct sl_error err;

	snprintf(config.evidence_directory, sizeof(config.evidence_directory), "%s", path_of("evidence"));
	if (sl_ids_sink_open(&config, &sink, &err) < 0)
		fail_msg("%s", err.text);
	return sink;
}

static void evidence_is_a_capture_with_the_flow_in_each_packets_comment(void **state)
{
	static struct capture capture;
	struct sl_ids_sink *sink = open_evidence(1 << 20);
	struct sl_ids_alert alert = alert_of(1, 9);
	uint8_t headers[128];

	(void)state;
	for (size_t i = 0; i < sizeof(headers); i++)
		headers[i] = (uint8_t)i;
	alert.headers = headers;
	alert.captured = 99;
	alert.bytes = 1400;
	sl_ids_sink_evidence(sink, &alert, 128);
	sl_ids_sink_evidence(sink, &alert, 61);
	alert.l3 = true;
	sl_ids_sink_evidence(sink, &alert, 128);
	sl_ids_sink_close(sink);
	read_capture(path_of("evidence/sluice-20261125-eth.pcapng"), &capture);
	assert_int_equal(capture.sections, 1);
	assert_int_equal(capture.interfaces, 1);
	assert_int_equal(capture.link, 1);
	assert_int_equal(capture.packets, 2);
	assert_int_equal(capture.captured, 61);
	assert_int_equal(capture.length, 1414);
	assert_int_equal(capture.time_ns, alert.time_ns);
	assert_memory_equal(capture.data, headers, 61);
	assert_string_equal(capture.comment, "flow_id=77 rule=storm sequence=9");
	read_capture(path_of("evidence/sluice-20261125-raw.pcapng"), &capture);
	assert_int_equal(capture.link, 101);
	assert_int_equal(capture.packets, 1);
	assert_int_equal(capture.length, 1400);

	/* another start goes on in the same file */
	sink = open_evidence(1 << 20);
	sl_ids_sink_evidence(sink, &alert, 128);
	sl_ids_sink_close(sink);
	read_capture(path_of("evidence/sluice-20261125-raw.pcapng"), &capture);
	assert_int_equal(capture.sections, 2);
	assert_int_equal(capture.packets, 2);
}

static void the_oldest_day_goes_when_there_is_no_room_and_what_is_not_ours_stays(void **state)
{
	struct sl_ids_sink_stats stats;
	uint8_t headers[128] = {0};
	struct sl_ids_alert alert = alert_of(1, 9);
	struct sl_ids_sink *sink;
	char filler[3001];

	(void)state;
	memset(filler, 'x', sizeof(filler) - 1);
	filler[sizeof(filler) - 1] = '\0';
	assert_int_equal(mkdir(path_of("evidence"), 0700), 0);
	write_text(path_of("evidence/sluice-20261101-eth.pcapng"), filler);
	write_text(path_of("evidence/sluice-20261102-eth.pcapng"), filler);
	write_text(path_of("evidence/mine.pcapng"), filler);
	alert.headers = headers;
	alert.captured = 128;
	sink = open_evidence(6500);
	for (int i = 0; i < 10; i++)
		sl_ids_sink_evidence(sink, &alert, 128);
	assert_int_equal(size_of(path_of("evidence/sluice-20261101-eth.pcapng")), -1);
	assert_int_equal(size_of(path_of("evidence/sluice-20261102-eth.pcapng")), 3000);
	/* today's alone is at its bound in the end */
	for (int i = 0; i < 50; i++)
		sl_ids_sink_evidence(sink, &alert, 128);
	assert_int_equal(size_of(path_of("evidence/sluice-20261102-eth.pcapng")), -1);
	assert_in_range(size_of(path_of("evidence/sluice-20261125-eth.pcapng")), 6000, 6500);
	assert_int_equal(size_of(path_of("evidence/mine.pcapng")), 3000);
	sl_ids_sink_stats(sink, &stats);
	assert_true(stats.evidence_failed > 0);
	assert_int_equal(stats.evidence_written + stats.evidence_failed, 60);
	sl_ids_sink_close(sink);
}

static void a_file_that_cannot_be_made_is_named(void **state)
{
	struct sl_ids_sink_config config = {.per_second = 2, .eve_file = "/proc/nowhere/eve.json"};
	struct sl_ids_sink *sink = NULL;
	struct sl_error err;

	(void)state;
	assert_true(sl_ids_sink_open(&config, &sink, &err) < 0);
	assert_non_null(strstr(err.text, "/proc/nowhere/eve.json"));
	assert_null(sink);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(a_file_that_is_long_enough_moves_aside_and_the_oldest_goes),
		TEST(what_was_there_goes_on_and_a_part_of_a_line_of_ours_is_taken_back),
		TEST(a_full_disk_takes_whole_lines_and_the_rest_later),
		TEST(a_file_that_somebody_moved_is_made_anew),
		TEST(I11_in_a_storm_the_file_keeps_its_cap_and_the_suppressed_count_is_exact),
		TEST(evidence_is_a_capture_with_the_flow_in_each_packets_comment),
		TEST(the_oldest_day_goes_when_there_is_no_room_and_what_is_not_ours_stays),
		TEST(a_file_that_cannot_be_made_is_named),
	};
#undef TEST

	return cmocka_run_group_tests(tests, NULL, NULL);
}
