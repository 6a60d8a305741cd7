// SPDX-License-Identifier: Apache-2.0
/* Alerts as CEF lines: to the byte, and by an independent reader of the format. */
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "ids/cef.h"

static struct sl_ids_alert some_alert(void)
{
	return (struct sl_ids_alert){
		.type = SL_IDS_ALERT_BLOCK,
		.sequence = 7,
		.time_ns = 1795636008123456000ull,
		.flow_id = 9007199254740991ull,
		.rule = "xmpp-flood",
		.signature = 1234567,
		.category = "attempted-dos",
		.severity = 2,
		.action = "blocked",
		.verdict = "drop",
		.imsi = "001010000000001",
		.session_address = "192.0.2.1",
		.apn = "internet",
		.pcc_rule = "chat",
		.track = "connection",
		.key = "connection 192.0.2.1:5000 198.51.100.1:5222 tcp",
		.count = "packets",
		.limit = 100,
		.window_ns = 60000000000ull,
		.kind = "exact",
		.observed = 101,
		.until_ns = 1795636128123456000ull,
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
}

static void a_line_is_as_receivers_read_it(void **state)
{
	struct sl_ids_alert alert = some_alert();
	char line[2048] = "";
	size_t length;

	(void)state;
	length = sl_ids_cef_format(&alert, line, sizeof(line));
	assert_int_equal(length, strlen(line));
	assert_string_equal(
		line,
		"CEF:0|sluice|sluiced|" SLUICE_VERSION
		"|1234567|block xmpp-flood|8|rt=1795636008123 act=blocked "
		"cat=attempted-dos src=192.0.2.1 dst=198.51.100.1 spt=5000 dpt=5222 proto=TCP "
		"deviceInboundInterface=access0 deviceDirection=1 suser=001010000000001 "
		"externalId=9007199254740991 cs1=xmpp-flood cs1Label=rule "
		"cs2=connection 192.0.2.1:5000 198.51.100.1:5222 tcp cs2Label=key cs3=packets cs3Label=count "
		"cs4=chat cs4Label=pcc rule cs5=internet cs5Label=apn cs6=drop cs6Label=verdict cn1=100 "
		"cn1Label=limit cn2=60000 cn2Label=window ms cn3=101 cn3Label=observed cnt=4 "
		"end=1795636128123");
}

static void ipv6_has_keys_of_its_own_and_what_ends_is_of_little_weight(void **state)
{
	struct sl_ids_alert alert = some_alert();
	char line[2048] = "";

	(void)state;
	alert.family = 6;
	alert.type = SL_IDS_ALERT_UNBLOCK;
	alert.reason = "idle";
	memcpy(alert.source, "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01", 16);
	sl_ids_cef_format(&alert, line, sizeof(line));
	assert_non_null(strstr(line, "|unblock xmpp-flood|1|"));
	assert_non_null(strstr(line, " c6a2=2001:db8::1 c6a2Label=Source IPv6 Address "));
	assert_null(strstr(line, " src="));
	assert_non_null(strstr(line, " reason=idle "));
}

static void what_would_end_a_field_or_a_line_is_escaped(void **state)
{
	struct sl_ids_alert alert = some_alert();
	char line[2048] = "";

	(void)state;
	alert.rule = "a|b\\c";
	alert.reason = "x=y\\z|\nCEF:0|evil\xc3\xbc";
	sl_ids_cef_format(&alert, line, sizeof(line));
	assert_non_null(strstr(line, "|block a\\|b\\\\c|8|rt="));
	assert_non_null(strstr(line, " reason=x\\=y\\\\z|?CEF:0|evil?? "));
	for (const char *at = line; *at; at++)
		assert_true(*at >= 0x20 && *at < 0x7f);
}

/* Every size leaves whole values: each word that has an equals sign is a key of the full line. */
static void what_does_not_fit_is_left_out_whole(void **state)
{
	struct sl_ids_alert alert = some_alert();
	char full[2048], line[2048];

	(void)state;
	sl_ids_cef_format(&alert, full, sizeof(full));
	for (size_t size = 256; size < 700; size++) {
		size_t length;
		char *next;

		memset(line, 'x', sizeof(line));
		length = sl_ids_cef_format(&alert, line, size);
		assert_true(length < size);
		assert_int_equal(line[length], '\0');
		assert_int_equal(line[size], 'x');
		for (char *word = strchr(line, '='); word; word = next) {
			char value[256];

			next = strchr(word + 1, '=');
			/* from the equals sign to the next key */
			if (next)
				while (*next != ' ')
					next--;
			snprintf(value, sizeof(value), "%.*s", next ? (int)(next - word) : 255, word);
			assert_non_null(strstr(full, value));
			next = next ? strchr(next, '=') : NULL;
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_line_is_as_receivers_read_it),
		cmocka_unit_test(ipv6_has_keys_of_its_own_and_what_ends_is_of_little_weight),
		cmocka_unit_test(what_would_end_a_field_or_a_line_is_escaped),
		cmocka_unit_test(what_does_not_fit_is_left_out_whole),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
