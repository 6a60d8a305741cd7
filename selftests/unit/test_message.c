// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "api/message.h"
#include "base/cleanup.h"
#include "magma/lte/pipelined.pb-c.h"

#define SUBSCRIBER (&magma__lte__subscriber_id__descriptor)
#define VERSIONED  (&magma__lte__versioned_policy__descriptor)
#define SETUP	   (&magma__lte__setup_policy_request__descriptor)
#define BYTES(...) (const uint8_t[]){__VA_ARGS__}, sizeof((const uint8_t[]){__VA_ARGS__})

static ProtobufCMessage *accept(const ProtobufCMessageDescriptor *descriptor, const uint8_t *bytes,
				size_t length)
{
	ProtobufCMessage *message = NULL;
	struct sl_error err = {""};

	if (sl_message_unpack(descriptor, bytes, length, &message, &err) < 0)
		fail_msg("%s", err.text);
	assert_non_null(message);
	return message;
}

/* Not touching the out pointer on the way. */
static void refuse(const ProtobufCMessageDescriptor *descriptor, const uint8_t *bytes, size_t length,
		   int code, const char *text)
{
	ProtobufCMessage untouched;
	ProtobufCMessage *message = &untouched;
	struct sl_error err = {""};

	assert_int_equal(sl_message_unpack(descriptor, bytes, length, &message, &err), -code);
	assert_ptr_equal(message, &untouched);
	if (!strstr(err.text, text))
		fail_msg("'%s' does not say '%s'", err.text, text);
}

/* SubscriberID.id with these bytes. */
static size_t put_id(uint8_t out[64], const char *text, size_t length)
{
	out[0] = 0x0a;
	out[1] = (uint8_t)length;
	memcpy(out + 2, text, length);
	return length + 2;
}

static void a_well_formed_message_is_read(void **state)
{
	Magma__Lte__VersionedPolicy *policy;

	(void)state;
	policy = (Magma__Lte__VersionedPolicy *)accept(
		VERSIONED, BYTES(0x0a, 0x05, 0x0a, 0x01, 'r', 0x18, 0x07, 0x10, 0xac, 0x02));
	assert_int_equal(policy->version, 300);
	assert_string_equal(policy->rule->id, "r");
	assert_int_equal(policy->rule->priority, 7);
	sl_message_free(&policy->base);
}

static void no_bytes_are_a_message_of_defaults(void **state)
{
	Magma__Lte__VersionedPolicy *policy;

	(void)state;
	policy = (Magma__Lte__VersionedPolicy *)accept(VERSIONED, NULL, 0);
	assert_null(policy->rule);
	assert_int_equal(policy->version, 0);
	sl_message_free(&policy->base);
	sl_message_free(NULL);
}

static void text_of_any_length_of_character_is_read(void **state)
{
	static const char *const good[] = {
		"",
		"plain",
		"\x7f",
		"\xc2\x80",
		"\xdf\xbf",
		"\xe0\xa0\x80",
		"\xed\x9f\xbf",
		"\xee\x80\x80",
		"\xef\xbf\xbf",
		"\xf0\x90\x80\x80",
		"\xf4\x8f\xbf\xbf",
		"K\xc3\xb6ln \xe2\x82\xac \xf0\x9f\x93\xb6",
	};

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		uint8_t bytes[64];
		size_t length = put_id(bytes, good[i], strlen(good[i]));
		Magma__Lte__SubscriberID *id = (Magma__Lte__SubscriberID *)accept(SUBSCRIBER, bytes, length);

		assert_string_equal(id->id, good[i]);
		sl_message_free(&id->base);
	}
}

static void text_that_is_not_utf8_is_refused_by_field_name(void **state)
{
	static const struct {
		const char *text;
		size_t length;
	} bad[] = {
		{"\x80", 1},		 /* a continuation alone */
		{"a\xbf", 2},		 /* the same after text */
		{"\xc2", 1},		 /* cut */
		{"\xe2\x82", 2},	 /* cut */
		{"\xf0\x9f\x93", 3},	 /* cut */
		{"\xc2 ", 2},		 /* no continuation */
		{"\xe2\x82 ", 3},	 /* no continuation */
		{"\xc0\xaf", 2},	 /* overlong '/' */
		{"\xc1\xbf", 2},	 /* overlong */
		{"\xe0\x9f\xbf", 3},	 /* overlong */
		{"\xf0\x8f\xbf\xbf", 4}, /* overlong */
		{"\xed\xa0\x80", 3},	 /* first surrogate */
		{"\xed\xbf\xbf", 3},	 /* last surrogate */
		{"\xf4\x90\x80\x80", 4}, /* above U+10FFFF */
		{"\xf5\x80\x80\x80", 4}, /* above U+10FFFF */
		{"\xf8\x88\x80\x80\x80", 5},
		{"\xfe", 1},
		{"\xff", 1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		uint8_t bytes[64];
		size_t length = put_id(bytes, bad[i].text, bad[i].length);

		refuse(SUBSCRIBER, bytes, length, EBADMSG, "SubscriberID.id");
	}
}

static void a_nul_inside_text_is_refused(void **state)
{
	uint8_t bytes[64];

	(void)state;
	refuse(SUBSCRIBER, bytes, put_id(bytes, "001\0evil", 8), EBADMSG, "SubscriberID.id");
	refuse(SUBSCRIBER, bytes, put_id(bytes, "\0", 1), EBADMSG, "SubscriberID.id");
}

static void text_deep_inside_a_message_is_checked_too(void **state)
{
	(void)state;
	refuse(VERSIONED, BYTES(0x0a, 0x03, 0x0a, 0x01, 0xff), EBADMSG, "PolicyRule.id");
	/* a field that comes twice counts both times */
	refuse(SUBSCRIBER, BYTES(0x0a, 0x01, 0xff, 0x0a, 0x01, 'a'), EBADMSG, "SubscriberID.id");
}

static void bytes_fields_may_hold_anything(void **state)
{
	Magma__Lte__ActivateFlowsRequest *request;

	(void)state;
	request = (Magma__Lte__ActivateFlowsRequest *)accept(&magma__lte__activate_flows_request__descriptor,
							     BYTES(0x42, 0x03, 0xff, 0x00, 0xc0));
	assert_int_equal(request->msisdn.len, 3);
	assert_memory_equal(request->msisdn.data, "\xff\x00\xc0", 3);
	sl_message_free(&request->base);
}

static void a_varint_of_more_than_ten_bytes_is_refused(void **state)
{
	Magma__Lte__SetupDefaultRequest *request;

	(void)state;
	request = (Magma__Lte__SetupDefaultRequest *)accept(
		&magma__lte__setup_default_request__descriptor,
		BYTES(0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01));
	assert_true(request->epoch == UINT64_MAX);
	sl_message_free(&request->base);
	refuse(&magma__lte__setup_default_request__descriptor,
	       BYTES(0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01), EBADMSG,
	       "SetupDefaultRequest");
}

static void a_message_that_ends_within_a_field_is_refused(void **state)
{
	(void)state;
	refuse(SUBSCRIBER, BYTES(0x0a), EBADMSG, "SubscriberID");
	refuse(SUBSCRIBER, BYTES(0x80), EBADMSG, "SubscriberID");
	refuse(SUBSCRIBER, BYTES(0x0a, 0x02, 'a'), EBADMSG, "SubscriberID");
	refuse(SUBSCRIBER, BYTES(0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f), EBADMSG, "SubscriberID");
	refuse(SUBSCRIBER, BYTES(0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01), EBADMSG,
	       "SubscriberID");
	refuse(VERSIONED, BYTES(0x10), EBADMSG, "VersionedPolicy");
	refuse(VERSIONED, BYTES(0x10, 0x80), EBADMSG, "VersionedPolicy");
	/* of unknown fields too: fixed32, fixed64, length-delimited */
	refuse(VERSIONED, BYTES(0x7d, 1, 2, 3), EBADMSG, "VersionedPolicy");
	refuse(VERSIONED, BYTES(0x79, 1, 2, 3, 4, 5, 6, 7), EBADMSG, "VersionedPolicy");
	refuse(VERSIONED, BYTES(0x7a, 3, 1, 2), EBADMSG, "VersionedPolicy");
}

static void a_submessage_that_runs_over_its_own_length_is_refused(void **state)
{
	(void)state;
	/* the rule says 2 bytes, its id says 5, and the bytes are there */
	refuse(VERSIONED, BYTES(0x0a, 0x02, 0x0a, 0x05, 'a', 'b', 'c', 'd', 'e'), EBADMSG, "PolicyRule");
}

static void field_numbers_outside_protobufs_range_are_refused(void **state)
{
	(void)state;
	refuse(SUBSCRIBER, BYTES(0x00, 0x01), EBADMSG, "SubscriberID");
	refuse(SUBSCRIBER, BYTES(0x02, 0x00), EBADMSG, "SubscriberID");
	/* 2^29 */
	refuse(SUBSCRIBER, BYTES(0x80, 0x80, 0x80, 0x80, 0x10, 0x01), EBADMSG, "SubscriberID");
}

static void groups_and_unknown_wire_types_are_refused(void **state)
{
	(void)state;
	refuse(SUBSCRIBER, BYTES(0x7b, 0x7c), EBADMSG, "SubscriberID");
	refuse(SUBSCRIBER, BYTES(0x7c), EBADMSG, "SubscriberID");
	refuse(SUBSCRIBER, BYTES(0x7e, 0x00), EBADMSG, "SubscriberID");
	refuse(SUBSCRIBER, BYTES(0x7f, 0x00), EBADMSG, "SubscriberID");
}

static void a_known_field_of_the_wrong_wire_type_is_refused(void **state)
{
	(void)state;
	refuse(SUBSCRIBER, BYTES(0x08, 0x01), EBADMSG, "SubscriberID");		/* string as varint */
	refuse(SUBSCRIBER, BYTES(0x0d, 1, 2, 3, 4), EBADMSG, "SubscriberID");	/* string as fixed32 */
	refuse(VERSIONED, BYTES(0x08, 0x01), EBADMSG, "VersionedPolicy");	/* message as varint */
	refuse(VERSIONED, BYTES(0x12, 0x01, 0x05), EBADMSG, "VersionedPolicy"); /* number as bytes */
	refuse(VERSIONED, BYTES(0x15, 1, 0, 0, 0), EBADMSG, "VersionedPolicy"); /* number as fixed32 */
	refuse(SETUP, BYTES(0x08, 0x01), EBADMSG, "SetupPolicyRequest");	/* repeated as varint */
}

static void unknown_fields_are_kept_and_harm_nothing(void **state)
{
	Magma__Lte__VersionedPolicy *policy;

	(void)state;
	policy =
		(Magma__Lte__VersionedPolicy *)accept(VERSIONED, BYTES(0x7a, 0x02, 0xff, 0x00, /* 15: bytes */
								       0x10, 0x09,	       /* version */
								       0x78, 0x01,	   /* 15: varint */
								       0xfa, 0x01, 0x00)); /* 31: empty */
	assert_int_equal(policy->version, 9);
	assert_int_equal(policy->base.n_unknown_fields, 3);
	assert_int_equal(policy->base.unknown_fields[0].tag, 15);
	assert_int_equal(policy->base.unknown_fields[2].tag, 31);
	sl_message_free(&policy->base);
}

static void an_enum_value_of_a_newer_sender_is_left_to_the_reader(void **state)
{
	Magma__Lte__RequestOriginType *origin;

	(void)state;
	origin = (Magma__Lte__RequestOriginType *)accept(&magma__lte__request_origin_type__descriptor,
							 BYTES(0x08, 0x63));
	assert_int_equal((int)origin->type, 99);
	sl_message_free(&origin->base);
}

static void two_bytes_each_cannot_take_all_memory(void **state)
{
	size_t count = 2000000;
	_cleanup_free_ uint8_t *bytes = malloc(2 * count);
	Magma__Lte__SetupPolicyRequest *request;

	(void)state;
	assert_non_null(bytes);
	for (size_t i = 0; i < count; i++) {
		bytes[2 * i] = 0x0a;
		bytes[2 * i + 1] = 0x00;
	}
	refuse(SETUP, bytes, 2 * count, EMSGSIZE, "SetupPolicyRequest needs more than 134217728 bytes");
	request = (Magma__Lte__SetupPolicyRequest *)accept(SETUP, bytes, 2 * 100000);
	assert_int_equal(request->n_requests, 100000);
	sl_message_free(&request->base);
}

/* A message that holds one of its own kind: no message of the wire does, yet the next may. */
struct node {
	ProtobufCMessage base;
	struct node *child;
};

static const ProtobufCMessageDescriptor node_descriptor;
static const ProtobufCFieldDescriptor node_fields[] = {{
	.name = "child",
	.id = 1,
	.label = PROTOBUF_C_LABEL_NONE,
	.type = PROTOBUF_C_TYPE_MESSAGE,
	.offset = offsetof(struct node, child),
	.descriptor = &node_descriptor,
}};
static const unsigned int node_names[] = {0};
static const ProtobufCIntRange node_ranges[] = {{1, 0}, {0, 1}};
static const ProtobufCMessageDescriptor node_descriptor = {
	.magic = PROTOBUF_C__MESSAGE_DESCRIPTOR_MAGIC,
	.name = "test.Node",
	.short_name = "Node",
	.c_name = "Node",
	.package_name = "test",
	.sizeof_message = sizeof(struct node),
	.n_fields = 1,
	.fields = node_fields,
	.fields_sorted_by_name = node_names,
	.n_field_ranges = 1,
	.field_ranges = node_ranges,
};

/* depth nodes inside the outermost one; at most 60, so that a length is one byte */
static size_t put_nodes(uint8_t out[128], size_t depth)
{
	for (size_t i = 0; i < depth; i++) {
		out[2 * i] = 0x0a;
		out[2 * i + 1] = (uint8_t)(2 * (depth - i - 1));
	}
	return 2 * depth;
}

static void nesting_is_read_to_sixteen_and_refused_beyond(void **state)
{
	uint8_t bytes[128];

	(void)state;
	sl_message_free(accept(&node_descriptor, bytes, put_nodes(bytes, 16)));
	refuse(&node_descriptor, bytes, put_nodes(bytes, 17), EBADMSG, "nested more than 16 deep");
	refuse(&node_descriptor, bytes, put_nodes(bytes, 60), EBADMSG, "nested more than 16 deep");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_well_formed_message_is_read),
		cmocka_unit_test(no_bytes_are_a_message_of_defaults),
		cmocka_unit_test(text_of_any_length_of_character_is_read),
		cmocka_unit_test(text_that_is_not_utf8_is_refused_by_field_name),
		cmocka_unit_test(a_nul_inside_text_is_refused),
		cmocka_unit_test(text_deep_inside_a_message_is_checked_too),
		cmocka_unit_test(bytes_fields_may_hold_anything),
		cmocka_unit_test(a_varint_of_more_than_ten_bytes_is_refused),
		cmocka_unit_test(a_message_that_ends_within_a_field_is_refused),
		cmocka_unit_test(a_submessage_that_runs_over_its_own_length_is_refused),
		cmocka_unit_test(field_numbers_outside_protobufs_range_are_refused),
		cmocka_unit_test(groups_and_unknown_wire_types_are_refused),
		cmocka_unit_test(a_known_field_of_the_wrong_wire_type_is_refused),
		cmocka_unit_test(unknown_fields_are_kept_and_harm_nothing),
		cmocka_unit_test(an_enum_value_of_a_newer_sender_is_left_to_the_reader),
		cmocka_unit_test(two_bytes_each_cannot_take_all_memory),
		cmocka_unit_test(nesting_is_read_to_sixteen_and_refused_beyond),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
