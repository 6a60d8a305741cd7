// SPDX-License-Identifier: Apache-2.0
/* Alerts as lines of EVE JSON and as syslog messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>

#include "ids/eve.h"
#include "ids/syslog.h"

#define TIME 1795636008123456789ull /* 2026-11-25T19:46:48.123456789Z */

static struct sl_ids_alert some_alert(void)
{
	struct sl_ids_alert alert = {
		.type = SL_IDS_ALERT_EXCESS,
		.sequence = 7,
		.time_ns = TIME,
		.flow_id = 9007199254740991ull,
		.rule = "xmpp-flood",
		.signature = 1000001,
		.revision = 4294967295u,
		.category = "attempted-dos",
		.severity = 2,
		.action = "blocked",
		.verdict = "drop",
		.imsi = "001010000000001",
		.session_address = "192.0.2.1",
		.apn = "internet",
		.pcc_rule = "all",
		.track = "connection",
		.key = "connection 192.0.2.1:5000 198.51.100.1:5222 tcp",
		.count = "payload-packets",
		.limit = 100,
		.window_ns = 60000000000ull,
		.kind = "exact",
		.observed = 101,
		.level = 1,
		.until_ns = TIME + 120000000000ull,
		.reason = "",
		.suppressed = 3,
		.direction = SLUICE_UPLINK,
		.family = 4,
		.protocol = IPPROTO_TCP,
		.source_port = 5000,
		.destination_port = 5222,
		.source = {192, 0, 2, 1},
		.destination = {198, 51, 100, 1},
		.interface = "access0",
	};

	return alert;
}

static void is_line(const struct sl_ids_alert *alert, const char *expected)
{
	size_t length = 0;
	char *line = sl_ids_eve_format(alert, &length);

	assert_non_null(line);
	assert_string_equal(line, expected);
	assert_int_equal(length, strlen(expected));
	free(line);
}

static void a_line_is_what_eve_readers_expect_to_the_byte(void **state)
{
	struct sl_ids_alert alert = some_alert();

	(void)state;
	is_line(&alert,
		"{\"timestamp\":\"2026-11-25T19:46:48.123456+00:00\",\"flow_id\":9007199254740991,"
		"\"in_iface\":\"access0\",\"event_type\":\"alert\",\"src_ip\":\"192.0.2.1\",\"src_port\":"
		"5000,"
		"\"dest_ip\":\"198.51.100.1\",\"dest_port\":5222,\"proto\":\"TCP\","
		"\"alert\":{\"action\":\"blocked\",\"gid\":1,\"signature_id\":1000001,\"rev\":4294967295,"
		"\"signature\":\"xmpp-flood\",\"category\":\"attempted-dos\",\"severity\":2},"
		"\"sluice\":{\"event\":\"alert\",\"sequence\":7,\"subscriber\":\"001010000000001\","
		"\"session\":\"192.0.2.1\",\"apn\":\"internet\",\"rule\":\"xmpp-flood\",\"pcc_rule\":\"all\","
		"\"verdict\":\"drop\",\"direction\":\"uplink\",\"track\":\"connection\","
		"\"key\":\"connection 192.0.2.1:5000 198.51.100.1:5222 tcp\",\"count\":\"payload-packets\","
		"\"limit\":100,\"window\":60.0,\"kind\":\"exact\",\"observed\":101,\"level\":1,"
		"\"until\":\"2026-11-25T19:48:48.123456+00:00\",\"suppressed\":3}}\n");
}

static void what_ends_says_what_it_dropped_and_what_no_packet_belongs_to_has_no_addresses(void **state)
{
	struct sl_ids_alert alert = {
		.type = SL_IDS_ALERT_UNBLOCK,
		.sequence = 8,
		.time_ns = 1000,
		.rule = "operator",
		.category = "operator",
		.severity = 2,
		.action = "allowed",
		.verdict = "drop",
		.imsi = "",
		.session_address = "",
		.apn = "",
		.pcc_rule = "",
		.track = "source",
		.key = "source 192.0.2.1",
		.count = "",
		.kind = "",
		.reason = "operator",
		.observe = true,
		.hits = {.packets = 5, .bytes = 1000},
	};

	(void)state;
	is_line(&alert,
		"{\"timestamp\":\"1970-01-01T00:00:00.000001+00:00\",\"event_type\":\"alert\","
		"\"alert\":{\"action\":\"allowed\",\"gid\":1,\"signature_id\":0,\"rev\":0,\"signature\":"
		"\"operator\","
		"\"category\":\"operator\",\"severity\":2},"
		"\"sluice\":{\"event\":\"unblock\",\"sequence\":8,\"rule\":\"operator\",\"verdict\":\"drop\","
		"\"observe\":true,\"track\":\"source\",\"key\":\"source "
		"192.0.2.1\",\"observed\":0,\"level\":0,"
		"\"reason\":\"operator\",\"suppressed\":0,\"hits\":{\"packets\":5,\"bytes\":1000}}}\n");
}

/* Of connections that are open there is no window: how many there may be is said all the same. */
static void a_limit_without_a_window_is_told(void **state)
{
	struct sl_ids_alert alert = some_alert();
	char text[SL_IDS_SYSLOG_SIZE];
	size_t length = 0;
	char *line;

	(void)state;
	alert.count = "open-connections";
	alert.kind = "";
	alert.window_ns = 0;
	line = sl_ids_eve_format(&alert, &length);
	assert_non_null(strstr(line, "\"count\":\"open-connections\",\"limit\":100,\"observed\":101,"));
	free(line);
	sl_ids_syslog_format(&alert, SL_IDS_SYSLOG_STRUCTURED, "gw.example", 42, text);
	assert_non_null(strstr(text, " limit=\"100\" observed=\"101\""));
	assert_null(strstr(text, "window_ms"));
}

static void texts_of_peers_cannot_end_a_line_or_break_its_json(void **state)
{
	struct sl_ids_alert alert = some_alert();
	size_t length = 0;
	char *line;

	(void)state;
	alert.apn = "a\"},\n{\"x\":\\\xff\x01";
	line = sl_ids_eve_format(&alert, &length);
	assert_non_null(strstr(line, "\"apn\":\"a\\\"},\\n{\\\"x\\\":\\\\?\\u0001\""));
	assert_ptr_equal(strchr(line, '\n'), line + length - 1);
	free(line);
}

static void other_protocols_have_their_names_and_no_ports(void **state)
{
	struct sl_ids_alert alert = some_alert();
	size_t length = 0;
	char *line;

	(void)state;
	alert.family = 6;
	alert.protocol = IPPROTO_ICMPV6;
	memcpy(alert.source, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01", 16);
	line = sl_ids_eve_format(&alert, &length);
	assert_non_null(strstr(line, "\"src_ip\":\"2001:db8::1\",\"dest_ip\":"));
	assert_non_null(strstr(line, "\"proto\":\"IPv6-ICMP\""));
	free(line);
	alert.protocol = 47;
	line = sl_ids_eve_format(&alert, &length);
	assert_non_null(strstr(line, "\"proto\":\"47\""));
	free(line);
}

/* --- syslog: an independent reader of clause 6 -------------------------------------------------- */

struct message {
	unsigned int priority;
	char header[256]; /* after PRI and VERSION, to the element */
	char text[512];
	char *name[64], *value[64];
	size_t count;
	char room[SL_IDS_SYSLOG_SIZE];
};

/* Fails where the message is not well formed. */
static void read_message(const char *from, struct message *out)
{
	const char *at = strchr(from, '[');
	char *to = out->room;
	char version[4];

	memset(out, 0, sizeof(*out));
	assert_int_equal(sscanf(from, "<%u>%3s", &out->priority, version), 2);
	assert_string_equal(version, "1");
	assert_non_null(at);
	memcpy(out->header, strchr(from, ' ') + 1, (size_t)(at - strchr(from, ' ') - 1));
	assert_memory_equal(at, "[sluice@32473", 13);
	at += 13;
	while (*at == ' ') {
		const char *equals = strchr(at, '=');

		assert_true(out->count < 64);
		out->name[out->count] = to;
		memcpy(to, at + 1, (size_t)(equals - at - 1));
		to += equals - at - 1;
		*to++ = '\0';
		assert_int_equal(equals[1], '"');
		out->value[out->count++] = to;
		for (at = equals + 2; *at != '"'; at++) {
			assert_true(*at >= 0x20 && *at < 0x7f && *at != ']');
			if (*at == '\\') {
				at++;
				assert_non_null(strchr("\"\\]", *at));
			}
			*to++ = *at;
		}
		*to++ = '\0';
		at++;
	}
	assert_int_equal(*at, ']');
	/* clause 6: the text may be missing */
	if (at[1])
		memcpy(out->text, at + 2, strlen(at + 2));
}

static const char *value_of(const struct message *message, const char *name)
{
	for (size_t i = 0; i < message->count; i++)
		if (strcmp(message->name[i], name) == 0)
			return message->value[i];
	return NULL;
}

static void a_syslog_message_has_the_same_as_structured_data(void **state)
{
	struct sl_ids_alert alert = some_alert();
	char text[SL_IDS_SYSLOG_SIZE];
	struct message message;
	size_t length;

	(void)state;
	length = sl_ids_syslog_format(&alert, SL_IDS_SYSLOG_STRUCTURED, "gw.example", 42, text);
	assert_int_equal(length, strlen(text));
	read_message(text, &message);
	assert_int_equal(message.priority, 4 * 8 + 3);
	assert_string_equal(message.header,
			    "2026-11-25T19:46:48.123456+00:00 gw.example sluice 42 ids-alert ");
	assert_string_equal(value_of(&message, "rule"), "xmpp-flood");
	assert_string_equal(value_of(&message, "subscriber"), "001010000000001");
	assert_string_equal(value_of(&message, "limit"), "100");
	assert_string_equal(value_of(&message, "window_ms"), "60000");
	assert_string_equal(value_of(&message, "observed"), "101");
	assert_string_equal(value_of(&message, "flow_id"), "9007199254740991");
	assert_string_equal(value_of(&message, "src_ip"), "192.0.2.1");
	assert_string_equal(value_of(&message, "dest_port"), "5222");
	assert_null(value_of(&message, "reason"));
	assert_string_equal(message.text, "xmpp-flood: connection 192.0.2.1:5000 198.51.100.1:5222 tcp");
}

static void a_cef_line_comes_as_text_without_structured_data(void **state)
{
	static const char begin[] = "<35>1 2026-11-25T19:46:48.123456+00:00 gw.example sluice 42 ids-alert - "
				    "CEF:0|sluice|sluiced|";
	struct sl_ids_alert alert = some_alert();
	char text[SL_IDS_SYSLOG_SIZE];
	size_t length;

	(void)state;
	length = sl_ids_syslog_format(&alert, SL_IDS_SYSLOG_CEF, "gw.example", 42, text);
	assert_int_equal(length, strlen(text));
	assert_memory_equal(text, begin, strlen(begin));
}

static void quotes_brackets_and_backslashes_are_escaped(void **state)
{
	struct sl_ids_alert alert = some_alert();
	char text[SL_IDS_SYSLOG_SIZE];
	struct message message;

	(void)state;
	alert.type = SL_IDS_ALERT_UNBLOCK;
	alert.reason = "a\"b\\c]d\ne\xc3\xbc";
	sl_ids_syslog_format(&alert, SL_IDS_SYSLOG_STRUCTURED, "", 42, text);
	read_message(text, &message);
	assert_string_equal(value_of(&message, "reason"), "a\"b\\c]d?e??");
	assert_int_equal(message.priority, 4 * 8 + 6);
	assert_non_null(strstr(message.header, " - sluice "));
}

static void a_message_that_is_too_long_is_whole_but_for_its_last_values(void **state)
{
	struct sl_ids_alert alert = some_alert();
	char text[SL_IDS_SYSLOG_SIZE], longest[2000];
	struct message message;

	(void)state;
	/* every length of a value that matters, with and without escapes */
	for (size_t size = 1000; size < sizeof(longest) - 1; size++) {
		memset(longest, size % 2 ? ']' : 'x', size);
		longest[size] = '\0';
		alert.key = "k";
		alert.reason = longest;
		assert_true(sl_ids_syslog_format(&alert, SL_IDS_SYSLOG_STRUCTURED, "h", 1, text) <
			    SL_IDS_SYSLOG_SIZE);
		read_message(text, &message);
		assert_string_equal(value_of(&message, "rule"), "xmpp-flood");
	}
}

static void targets_are_checked(void **state)
{
	static const char *const good[] = {"unix:/dev/log", "udp:192.0.2.1:514", "udp:[2001:db8::1]:514"};
	static const char *const bad[] = {"",
					  "/dev/log",
					  "unix:log",
					  "udp:host:514",
					  "udp:192.0.2.1",
					  "udp:192.0.2.1:0",
					  "udp:2001:db8::1:514",
					  "tcp:192.0.2.1:514"};
	struct sl_ids_syslog *syslog;
	struct sl_error err;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		assert_int_equal(sl_ids_syslog_open(good[i], SL_IDS_SYSLOG_STRUCTURED, &syslog, &err), 0);
		sl_ids_syslog_close(syslog);
	}
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_true(sl_ids_syslog_open(bad[i], SL_IDS_SYSLOG_STRUCTURED, &syslog, &err) < 0);
		assert_non_null(strstr(err.text, bad[i]));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_is_what_eve_readers_expect_to_the_byte),
		cmocka_unit_test(
			what_ends_says_what_it_dropped_and_what_no_packet_belongs_to_has_no_addresses),
		cmocka_unit_test(a_limit_without_a_window_is_told),
		cmocka_unit_test(texts_of_peers_cannot_end_a_line_or_break_its_json),
		cmocka_unit_test(other_protocols_have_their_names_and_no_ports),
		cmocka_unit_test(a_syslog_message_has_the_same_as_structured_data),
		cmocka_unit_test(a_cef_line_comes_as_text_without_structured_data),
		cmocka_unit_test(quotes_brackets_and_backslashes_are_escaped),
		cmocka_unit_test(a_message_that_is_too_long_is_whole_but_for_its_last_values),
		cmocka_unit_test(targets_are_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
