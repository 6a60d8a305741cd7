// SPDX-License-Identifier: Apache-2.0
/* Requests of the wire: subscriber, addresses, rates, origins. Rules: test_convert_flow.c. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "api/convert.h"

#define GX	 MAGMA__LTE__REQUEST_ORIGIN_TYPE__ORIGIN_TYPE__GX
#define GY	 MAGMA__LTE__REQUEST_ORIGIN_TYPE__ORIGIN_TYPE__GY
#define N4	 MAGMA__LTE__REQUEST_ORIGIN_TYPE__ORIGIN_TYPE__N4
#define WILDCARD MAGMA__LTE__REQUEST_ORIGIN_TYPE__ORIGIN_TYPE__WILDCARD

/* A request with everything it may point to; a test changes what it is about. */
struct activate {
	Magma__Lte__ActivateFlowsRequest wire;
	Magma__Lte__SubscriberID sid;
	Magma__Lte__RequestOriginType origin;
	Magma__Lte__AggregatedMaximumBitrate ambr;
	Magma__Lte__VersionedPolicy policies[3];
	Magma__Lte__VersionedPolicy *pointers[3];
	Magma__Lte__PolicyRule rules[3];
};

static ProtobufCBinaryData bytes_of(const char *text)
{
	return (ProtobufCBinaryData){.len = strlen(text), .data = (uint8_t *)text};
}

/* IMSI001010000000001 with 192.0.2.1 and no rules */
static void start(struct activate *request)
{
	*request = (struct activate){
		.wire = MAGMA__LTE__ACTIVATE_FLOWS_REQUEST__INIT,
		.sid = MAGMA__LTE__SUBSCRIBER_ID__INIT,
		.origin = MAGMA__LTE__REQUEST_ORIGIN_TYPE__INIT,
		.ambr = MAGMA__LTE__AGGREGATED_MAXIMUM_BITRATE__INIT,
	};
	request->sid.id = (char *)"IMSI001010000000001";
	request->wire.sid = &request->sid;
	request->wire.ip_addr = (char *)"192.0.2.1";
	request->wire.policies = request->pointers;
	for (int i = 0; i < 3; i++) {
		static const char *const ids[] = {"first", "second", "third"};

		magma__lte__policy_rule__init(&request->rules[i]);
		magma__lte__versioned_policy__init(&request->policies[i]);
		request->rules[i].id = (char *)ids[i];
		request->policies[i].rule = &request->rules[i];
		request->policies[i].version = (uint32_t)(i + 1);
		request->pointers[i] = &request->policies[i];
	}
}

static void read_request(const struct activate *request, struct sl_activation *out)
{
	struct sl_error err = {""};

	if (sl_activation_read(&request->wire, out, &err) < 0)
		fail_msg("%s", err.text);
}

static void check_error(const struct sl_error *err, const char *field, const char *value)
{
	if (strncmp(err->text, field, strlen(field)) != 0 || !strstr(err->text, value))
		fail_msg("'%s' does not name %s and %s", err->text, field, value);
}

static void refuse(const struct activate *request, const char *field, const char *value)
{
	struct sl_activation activation = {.storage_count = 77};
	struct sl_error err = {""};

	assert_int_equal(sl_activation_read(&request->wire, &activation, &err), -EINVAL);
	assert_int_equal(activation.storage_count, 77);
	check_error(&err, field, value);
}

static void an_imsi_may_have_its_prefix_and_keeps_its_zeros(void **state)
{
	static const char *const forms[] = {"IMSI001010000000001", "001010000000001"};

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct sl_activation activation;
		struct activate request;

		start(&request);
		request.sid.id = (char *)forms[i];
		read_request(&request, &activation);
		assert_string_equal(activation.session[0].imsi, "001010000000001");
		sl_activation_clear(&activation);
	}
}

static void an_imsi_that_is_none_is_refused(void **state)
{
	static const char *const bad[] = {
		"",
		"IMSI",
		"12345",
		"1234567890123456",
		"imsi001010000000001",
		"00101x001",
		" 001010000000001",
		"IMSI IMSI001010",
		"001010000000001 ",
	};
	struct activate request;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		start(&request);
		request.sid.id = (char *)bad[i];
		refuse(&request, "sid.id", bad[i]);
	}
	start(&request);
	request.wire.sid = NULL;
	refuse(&request, "sid.id", "''");
}

static void an_ipv4_address_makes_one_session(void **state)
{
	struct sl_activation activation;
	struct activate request;

	(void)state;
	start(&request);
	read_request(&request, &activation);
	assert_int_equal(activation.session_count, 1);
	assert_int_equal(activation.session[0].address.family, 4);
	assert_memory_equal(activation.session[0].address.bytes, "\xc0\x00\x02\x01", 4);
	sl_activation_clear(&activation);
}

static void an_ipv6_address_is_text_in_a_bytes_field(void **state)
{
	static const uint8_t expected[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1};
	struct sl_activation activation;
	struct activate request;

	(void)state;
	start(&request);
	request.wire.ip_addr = (char *)"";
	request.wire.ipv6_addr = bytes_of("2001:db8::1");
	read_request(&request, &activation);
	assert_int_equal(activation.session_count, 1);
	assert_int_equal(activation.session[0].address.family, 6);
	assert_memory_equal(activation.session[0].address.bytes, expected, 16);
	sl_activation_clear(&activation);
	/* the sixteen bytes themselves are not */
	request.wire.ipv6_addr = (ProtobufCBinaryData){16, (uint8_t *)expected};
	refuse(&request, "ipv6_addr", "NUL");
}

static void both_addresses_make_two_sessions_ipv4_first(void **state)
{
	struct sl_activation activation;
	struct activate request;

	(void)state;
	start(&request);
	request.wire.ipv6_addr = bytes_of("2001:db8::1");
	request.wire.n_policies = 2;
	read_request(&request, &activation);
	assert_int_equal(activation.session_count, 2);
	assert_int_equal(activation.session[0].address.family, 4);
	assert_int_equal(activation.session[1].address.family, 6);
	for (int i = 0; i < 2; i++) {
		assert_string_equal(activation.session[i].imsi, "001010000000001");
		assert_int_equal(activation.session[i].rule_count, 2);
		assert_string_equal(activation.session[i].rules[1].id, "second");
	}
	/* the rules are the same, their results are not */
	assert_ptr_equal(activation.session[0].rules[0].rule, activation.session[1].rules[0].rule);
	assert_ptr_not_equal(activation.session[0].rules, activation.session[1].rules);
	sl_activation_clear(&activation);
}

static void without_an_address_there_is_no_session_but_the_rules_are_read(void **state)
{
	struct sl_activation activation;
	struct activate request;

	(void)state;
	start(&request);
	request.wire.ip_addr = NULL;
	request.wire.n_policies = 1;
	read_request(&request, &activation);
	assert_int_equal(activation.session_count, 0);
	assert_string_equal(activation.rules[0][0].id, "first");
	sl_activation_clear(&activation);
}

static void an_address_that_is_none_is_refused(void **state)
{
	static const char *const bad4[] = {"192.0.2", "192.0.2.256", "192.0.2.1/32", "2001:db8::1", "host"};
	static const char *const bad6[] = {"2001:db8::/64", "192.0.2.1", "2001:db8", "\xff\xfe"};
	struct activate request;

	(void)state;
	for (size_t i = 0; i < sizeof(bad4) / sizeof(bad4[0]); i++) {
		start(&request);
		request.wire.ip_addr = (char *)bad4[i];
		refuse(&request, "ip_addr", bad4[i]);
	}
	for (size_t i = 0; i < sizeof(bad6) / sizeof(bad6[0]); i++) {
		start(&request);
		request.wire.ipv6_addr = bytes_of(bad6[i]);
		refuse(&request, "ipv6_addr", i == 3 ? "??" : bad6[i]);
	}
	start(&request);
	request.wire.ipv6_addr = (ProtobufCBinaryData){100000, (uint8_t *)""};
	refuse(&request, "ipv6_addr", "100000 bytes, at most 63");
}

static void ambr_is_in_bits_or_in_kilobits(void **state)
{
	struct sl_activation activation;
	struct activate request;

	(void)state;
	start(&request);
	read_request(&request, &activation);
	assert_false(activation.session[0].has_ambr);
	sl_activation_clear(&activation);

	request.wire.apn_ambr = &request.ambr;
	request.ambr.max_bandwidth_ul = 3000;
	request.ambr.max_bandwidth_dl = UINT32_MAX;
	read_request(&request, &activation);
	assert_true(activation.session[0].has_ambr);
	assert_true(activation.session[0].ambr[SLUICE_UPLINK] == 3000);
	assert_true(activation.session[0].ambr[SLUICE_DOWNLINK] == UINT32_MAX);
	sl_activation_clear(&activation);

	request.ambr.br_unit = MAGMA__LTE__AGGREGATED_MAXIMUM_BITRATE__BITRATE_UNITS_AMBR__KBPS;
	read_request(&request, &activation);
	assert_true(activation.session[0].ambr[SLUICE_UPLINK] == 3000000);
	assert_true(activation.session[0].ambr[SLUICE_DOWNLINK] == 4294967295000);
	sl_activation_clear(&activation);
}

static void the_unit_of_the_ambr_says_nothing_about_the_mbr(void **state)
{
	Magma__Lte__FlowQos qos = MAGMA__LTE__FLOW_QOS__INIT;
	struct sl_activation activation;
	struct activate request;

	(void)state;
	start(&request);
	qos.max_req_bw_ul = 64000;
	qos.max_req_bw_dl = UINT32_MAX;
	request.rules[0].qos = &qos;
	request.wire.n_policies = 1;
	request.wire.apn_ambr = &request.ambr;
	request.ambr.br_unit = MAGMA__LTE__AGGREGATED_MAXIMUM_BITRATE__BITRATE_UNITS_AMBR__KBPS;
	read_request(&request, &activation);
	assert_true(activation.session[0].rules[0].rule->mbr[SLUICE_UPLINK] == 64000);
	assert_true(activation.session[0].rules[0].rule->mbr[SLUICE_DOWNLINK] == UINT32_MAX);
	sl_activation_clear(&activation);
}

static void an_unknown_unit_of_the_ambr_is_refused(void **state)
{
	struct activate request;

	(void)state;
	start(&request);
	request.wire.apn_ambr = &request.ambr;
	request.ambr.br_unit = 2;
	refuse(&request, "apn_ambr.br_unit", "2");
}

static void an_absent_origin_is_gx_and_so_is_n4(void **state)
{
	static const struct {
		int wire;
		enum sluice_origin expected;
	} origins[] = {{-1, SLUICE_ORIGIN_GX},
		       {GX, SLUICE_ORIGIN_GX},
		       {N4, SLUICE_ORIGIN_GX},
		       {GY, SLUICE_ORIGIN_GY}};

	(void)state;
	for (int i = 0; i < 4; i++) {
		struct sl_activation activation;
		struct activate request;

		start(&request);
		request.wire.n_policies = 1;
		if (origins[i].wire >= 0) {
			request.origin.type = (Magma__Lte__RequestOriginType__OriginType)origins[i].wire;
			request.wire.request_origin = &request.origin;
		}
		read_request(&request, &activation);
		assert_int_equal(activation.session[0].rules[0].origin, origins[i].expected);
		sl_activation_clear(&activation);
	}
}

static void nothing_is_activated_for_the_wildcard_or_an_unknown_origin(void **state)
{
	struct activate request;

	(void)state;
	start(&request);
	request.wire.request_origin = &request.origin;
	request.origin.type = WILDCARD;
	refuse(&request, "request_origin.type", "WILDCARD");
	request.origin.type = (Magma__Lte__RequestOriginType__OriginType)4;
	refuse(&request, "request_origin.type", "4");
	request.origin.type = (Magma__Lte__RequestOriginType__OriginType)-1;
	refuse(&request, "request_origin.type", "-1");
}

static void what_only_describes_a_session_is_kept(void **state)
{
	struct sl_activation activation;
	struct activate request;

	(void)state;
	start(&request);
	request.wire.msisdn = bytes_of("491720000000");
	request.wire.apn = (char *)"internet";
	request.wire.uplink_tunnel = 0xffffffff;
	request.wire.downlink_tunnel = 7;
	request.wire.shard_id = 3;
	read_request(&request, &activation);
	assert_string_equal(activation.session[0].msisdn, "491720000000");
	assert_string_equal(activation.session[0].apn, "internet");
	assert_int_equal(activation.session[0].uplink_tunnel, 0xffffffff);
	assert_int_equal(activation.session[0].downlink_tunnel, 7);
	assert_int_equal(activation.session[0].shard, 3);
	sl_activation_clear(&activation);
}

static void texts_longer_than_their_field_are_refused(void **state)
{
	struct activate request;
	struct sl_activation activation;
	char apn[SLUICE_APN_SIZE + 1];

	(void)state;
	memset(apn, 'a', sizeof(apn));
	start(&request);
	apn[SLUICE_APN_SIZE - 1] = '\0';
	request.wire.apn = apn;
	request.wire.msisdn = bytes_of("12345678901234567890123");
	read_request(&request, &activation);
	assert_int_equal(strlen(activation.session[0].apn), SLUICE_APN_SIZE - 1);
	sl_activation_clear(&activation);
	apn[SLUICE_APN_SIZE - 1] = 'a';
	apn[SLUICE_APN_SIZE] = '\0';
	refuse(&request, "apn", "104 bytes, at most 103");
	request.wire.apn = NULL;
	request.wire.msisdn = bytes_of("123456789012345678901234");
	refuse(&request, "msisdn", "24 bytes, at most 23");
	request.wire.msisdn = (ProtobufCBinaryData){3, (uint8_t *)"1\0002"};
	refuse(&request, "msisdn", "NUL");
}

static void rules_keep_their_order_version_and_place_even_when_one_is_bad(void **state)
{
	struct sl_activation activation;
	struct activate request;
	struct sl_rule_request *rules;

	(void)state;
	start(&request);
	request.wire.n_policies = 3;
	request.rules[1].app_name = MAGMA__LTE__POLICY_RULE__APP_NAME__YOUTUBE;
	request.policies[2].rule = NULL;
	read_request(&request, &activation);
	rules = activation.session[0].rules;
	assert_int_equal(activation.session[0].rule_count, 3);
	assert_string_equal(rules[0].id, "first");
	assert_int_equal(rules[0].version, 1);
	assert_string_equal(rules[0].rule->id, "first");
	assert_string_equal(rules[1].id, "second");
	assert_int_equal(rules[1].version, 2);
	assert_null(rules[1].rule);
	check_error(&rules[1].error, "rule.app_name", "4");
	assert_string_equal(rules[2].id, "");
	assert_int_equal(rules[2].version, 3);
	assert_null(rules[2].rule);
	check_error(&rules[2].error, "policies[2].rule", "missing");
	sl_activation_clear(&activation);
}

/* --- deactivation ------------------------------------------------------------ */

struct deactivate {
	Magma__Lte__DeactivateFlowsRequest wire;
	Magma__Lte__SubscriberID sid;
	Magma__Lte__RequestOriginType origin;
	Magma__Lte__VersionedPolicyID ids[2];
	Magma__Lte__VersionedPolicyID *pointers[2];
};

static void start_deactivate(struct deactivate *request)
{
	*request = (struct deactivate){
		.wire = MAGMA__LTE__DEACTIVATE_FLOWS_REQUEST__INIT,
		.sid = MAGMA__LTE__SUBSCRIBER_ID__INIT,
		.origin = MAGMA__LTE__REQUEST_ORIGIN_TYPE__INIT,
		.ids = {MAGMA__LTE__VERSIONED_POLICY_ID__INIT, MAGMA__LTE__VERSIONED_POLICY_ID__INIT},
		.pointers = {&request->ids[0], &request->ids[1]},
	};
	request->sid.id = (char *)"IMSI001010000000001";
	request->wire.sid = &request->sid;
	request->wire.ip_addr = (char *)"192.0.2.1";
	request->wire.policies = request->pointers;
	request->ids[0].rule_id = (char *)"first";
	request->ids[1].rule_id = (char *)"second";
}

static void read_deactivate(const struct deactivate *request, struct sl_deactivations *out)
{
	struct sl_error err = {""};

	if (sl_deactivation_read(&request->wire, out, &err) < 0)
		fail_msg("%s", err.text);
}

static void refuse_deactivate(const struct deactivate *request, const char *field, const char *value)
{
	struct sl_deactivations deactivations = {.count = 77};
	struct sl_error err = {""};

	assert_int_equal(sl_deactivation_read(&request->wire, &deactivations, &err), -EINVAL);
	assert_int_equal(deactivations.count, 77);
	check_error(&err, field, value);
}

static void a_deactivation_names_rules_of_a_session(void **state)
{
	struct sl_deactivations deactivations;
	struct deactivate request;

	(void)state;
	start_deactivate(&request);
	request.wire.n_policies = 2;
	request.wire.ipv6_addr = bytes_of("2001:db8::1");
	read_deactivate(&request, &deactivations);
	assert_int_equal(deactivations.count, 2);
	for (int i = 0; i < 2; i++) {
		assert_string_equal(deactivations.request[i].imsi, "001010000000001");
		assert_int_equal(deactivations.request[i].address.family, i == 0 ? 4 : 6);
		assert_int_equal(deactivations.request[i].rule_count, 2);
		assert_string_equal(deactivations.request[i].rule_ids[0], "first");
		assert_string_equal(deactivations.request[i].rule_ids[1], "second");
		assert_false(deactivations.request[i].end_session);
	}
	sl_deactivation_clear(&deactivations);
}

static void a_deactivation_without_rules_means_all_of_its_origin(void **state)
{
	struct sl_deactivations deactivations;
	struct deactivate request;

	(void)state;
	start_deactivate(&request);
	request.wire.remove_default_drop_flows = true;
	read_deactivate(&request, &deactivations);
	assert_int_equal(deactivations.count, 1);
	assert_null(deactivations.request[0].rule_ids);
	assert_int_equal(deactivations.request[0].rule_count, 0);
	assert_true(deactivations.request[0].end_session);
	sl_deactivation_clear(&deactivations);
}

static void a_deactivation_without_an_address_is_for_every_session_of_the_imsi(void **state)
{
	struct sl_deactivations deactivations;
	struct deactivate request;

	(void)state;
	start_deactivate(&request);
	request.wire.ip_addr = (char *)"";
	read_deactivate(&request, &deactivations);
	assert_int_equal(deactivations.count, 1);
	assert_int_equal(deactivations.request[0].address.family, 0);
	sl_deactivation_clear(&deactivations);
}

static void a_deactivation_is_of_gx_gy_or_both(void **state)
{
	static const struct {
		int wire;
		bool gx, gy;
	} origins[] = {{-1, true, false},
		       {GX, true, false},
		       {N4, true, false},
		       {GY, false, true},
		       {WILDCARD, true, true}};

	(void)state;
	for (int i = 0; i < 5; i++) {
		struct sl_deactivations deactivations;
		struct deactivate request;

		start_deactivate(&request);
		if (origins[i].wire >= 0) {
			request.origin.type = (Magma__Lte__RequestOriginType__OriginType)origins[i].wire;
			request.wire.request_origin = &request.origin;
		}
		read_deactivate(&request, &deactivations);
		assert_int_equal(deactivations.request[0].gx, origins[i].gx);
		assert_int_equal(deactivations.request[0].gy, origins[i].gy);
		sl_deactivation_clear(&deactivations);
	}
}

static void a_bad_deactivation_is_refused_by_field(void **state)
{
	struct deactivate request;

	(void)state;
	start_deactivate(&request);
	request.wire.n_policies = 2;
	request.ids[1].rule_id = (char *)"";
	refuse_deactivate(&request, "policies[1].rule_id", "empty");
	start_deactivate(&request);
	request.sid.id = (char *)"1";
	refuse_deactivate(&request, "sid.id", "'1'");
	start_deactivate(&request);
	request.wire.ip_addr = (char *)"192.0.2.0/24";
	refuse_deactivate(&request, "ip_addr", "192.0.2.0/24");
	start_deactivate(&request);
	request.wire.ipv6_addr = bytes_of("2001:db8::g");
	refuse_deactivate(&request, "ipv6_addr", "2001:db8::g");
	start_deactivate(&request);
	request.wire.request_origin = &request.origin;
	request.origin.type = (Magma__Lte__RequestOriginType__OriginType)9;
	refuse_deactivate(&request, "request_origin.type", "9");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_imsi_may_have_its_prefix_and_keeps_its_zeros),
		cmocka_unit_test(an_imsi_that_is_none_is_refused),
		cmocka_unit_test(an_ipv4_address_makes_one_session),
		cmocka_unit_test(an_ipv6_address_is_text_in_a_bytes_field),
		cmocka_unit_test(both_addresses_make_two_sessions_ipv4_first),
		cmocka_unit_test(without_an_address_there_is_no_session_but_the_rules_are_read),
		cmocka_unit_test(an_address_that_is_none_is_refused),
		cmocka_unit_test(ambr_is_in_bits_or_in_kilobits),
		cmocka_unit_test(the_unit_of_the_ambr_says_nothing_about_the_mbr),
		cmocka_unit_test(an_unknown_unit_of_the_ambr_is_refused),
		cmocka_unit_test(an_absent_origin_is_gx_and_so_is_n4),
		cmocka_unit_test(nothing_is_activated_for_the_wildcard_or_an_unknown_origin),
		cmocka_unit_test(what_only_describes_a_session_is_kept),
		cmocka_unit_test(texts_longer_than_their_field_are_refused),
		cmocka_unit_test(rules_keep_their_order_version_and_place_even_when_one_is_bad),
		cmocka_unit_test(a_deactivation_names_rules_of_a_session),
		cmocka_unit_test(a_deactivation_without_rules_means_all_of_its_origin),
		cmocka_unit_test(a_deactivation_without_an_address_is_for_every_session_of_the_imsi),
		cmocka_unit_test(a_deactivation_is_of_gx_gy_or_both),
		cmocka_unit_test(a_bad_deactivation_is_refused_by_field),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
