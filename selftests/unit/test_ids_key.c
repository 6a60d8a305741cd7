// SPDX-License-Identifier: Apache-2.0
/* Subjects of blocks as text and back. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "ids/key.h"

static void there_and_back(void **state)
{
	static const char *const texts[] = {
		"subscriber 001010000000001",
		"source 192.0.2.1",
		"source 2001:db8::1",
		"destination 198.51.100.1",
		"pair 192.0.2.1 198.51.100.1",
		"pair 2001:db8::1 2001:db8::2",
		"connection 192.0.2.1:5000 198.51.100.1:5222 tcp",
		"connection [2001:db8::1]:5000 [2001:db8::2]:53 udp",
		"connection 192.0.2.1:0 198.51.100.1:65535 200",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct sluice_ids_key key;
		char text[SL_IDS_KEY_TEXT];
		struct sl_error err = {""};

		if (sl_ids_key_parse(texts[i], &key, &err) < 0)
			fail_msg("%s: %s", texts[i], err.text);
		assert_string_equal(sl_ids_key_format(&key, text), texts[i]);
		assert_int_equal(key.rule, 0);
	}
}

static void refused(void **state)
{
	static const char *const texts[] = {
		"",
		"subscriber",
		"subscriber 12",
		"subscriber 001010000000001 more",
		"source 192.0.2.0/24",
		"source 192.0.2.1 198.51.100.1",
		"pair 192.0.2.1 2001:db8::1",
		"connection 192.0.2.1 198.51.100.1 tcp",
		"connection 192.0.2.1:5000 198.51.100.1:70000 tcp",
		"connection 192.0.2.1:5000 198.51.100.1:80 256",
		"connection 192.0.2.1:5000 198.51.100.1:80 tpc",
		"connection [2001:db8::1]5000 [2001:db8::2]:53 udp",
		"connection 2001:db8::1:5000 2001:db8::2:53 udp",
		"connection 192.0.2.1: 198.51.100.1:80 tcp",
		"rule",
		"apn 3",
		"subscriber-rule 001010000000001 17",
		"nobody 192.0.2.1",
	};
	struct sluice_ids_key key = {.rule = 77};
	char longer[200];

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct sl_error err = {""};

		if (sl_ids_key_parse(texts[i], &key, &err) != -EINVAL)
			fail_msg("\"%s\" is taken", texts[i]);
		assert_non_null(strstr(err.text, "subject"));
		assert_int_equal(key.rule, 77);
	}
	memset(longer, ' ', sizeof(longer));
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(sl_ids_key_parse(longer, &key, NULL), -EINVAL);
}

static void flow_ids(void **state)
{
	struct sluice_ids_event up = {.family = 4,
				      .protocol = 6,
				      .source_port = 5000,
				      .destination_port = 80,
				      .source = {192, 0, 2, 1},
				      .destination = {198, 51, 100, 1}};
	struct sluice_ids_event down = {.family = 4,
					.protocol = 6,
					.source_port = 80,
					.destination_port = 5000,
					.source = {198, 51, 100, 1},
					.destination = {192, 0, 2, 1}};
	uint64_t id = sl_ids_flow_id(&up);

	(void)state;
	assert_int_equal(id, sl_ids_flow_id(&down));
	assert_true(id > 0 && id < 1ull << 53);
	/* the same ports at the other addresses are another connection */
	down.source_port = 5000;
	down.destination_port = 80;
	assert_int_not_equal(id, sl_ids_flow_id(&down));
	up.protocol = 17;
	assert_int_not_equal(id, sl_ids_flow_id(&up));
}

static void local_side(void **state)
{
	struct sluice_ids_key key;

	(void)state;
	assert_int_equal(sl_ids_key_parse("pair 192.0.2.1 198.51.100.1", &key, NULL), 0);
	assert_int_equal(sl_ids_key_local(&key).family, 4);
	assert_int_equal(sl_ids_key_local(&key).bytes[3], 1);
	assert_int_equal(sl_ids_key_local(&key).bytes[0], 192);
	assert_int_equal(sl_ids_key_parse("source 192.0.2.1", &key, NULL), 0);
	assert_int_equal(sl_ids_key_local(&key).family, 0);
}

int main(void)
{
#define TEST(name, function)                     \
	{                                        \
		name, function, NULL, NULL, NULL \
	}
	const struct CMUnitTest tests[] = {
		TEST("every subject is written as it is read", there_and_back),
		TEST("what is no subject is refused, with what is wrong", refused),
		TEST("a connection has one flow id in both directions", flow_ids),
		TEST("only pairs and connections say the subscriber's address", local_side),
	};

	return cmocka_run_group_tests_name("ids key", tests, NULL, NULL);
}
