// SPDX-License-Identifier: Apache-2.0
/* Rules by name and the fields of old session managers, as control/ gets them. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "api/convert_old.h"
#include "policy_files.h"

struct world {
	struct policy_files *files;
	struct sl_catalog *catalog;
};

static int setup(void **state)
{
	struct world *world = calloc(1, sizeof(*world));
	struct sl_error err = {""};

	policy_files_setup((void **)&world->files);
	policy_files_write(world->files, "a.yaml",
			   "rules:\n"
			   "  - {id: voice, precedence: 1, flows: [{}]}\n"
			   "  - {id: video, precedence: 2, flows: [{}]}\n"
			   "base_names: {media: [voice, video]}\n");
	if (sl_catalog_load(world->files->path, NULL, &world->catalog, &err) < 0)
		fail_msg("%s", err.text);
	*state = world;
	return 0;
}

static int teardown(void **state)
{
	struct world *world = *state;

	sl_catalog_free(world->catalog);
	policy_files_teardown((void **)&world->files);
	free(world);
	return 0;
}

#define IMSI "IMSI001010000000001"

/* An activation of one session, with room for what is filled in. */
struct message {
	Magma__Lte__ActivateFlowsRequest wire;
	Magma__Lte__SubscriberID sid;
	Magma__Lte__VersionedPolicy policies[2], *policy_pointers[2];
	Magma__Lte__PolicyRule rules[2], dynamic[2], *dynamic_pointers[2];
	Magma__Lte__FlowDescription flow, *flow_pointer;
	Magma__Lte__FlowMatch match;
	char *names[4];
};

static void message_init(struct message *message)
{
	magma__lte__activate_flows_request__init(&message->wire);
	magma__lte__subscriber_id__init(&message->sid);
	message->sid.id = IMSI;
	message->wire.sid = &message->sid;
	message->wire.ip_addr = "10.0.0.1";
	message->wire.policies = message->policy_pointers;
	message->wire.dynamic_rules = message->dynamic_pointers;
	message->wire.rule_ids = message->names;
	magma__lte__flow_description__init(&message->flow);
	magma__lte__flow_match__init(&message->match);
	message->flow.match = &message->match;
	message->flow_pointer = &message->flow;
}

static void add_policy(struct message *message, char *id, uint32_t version)
{
	size_t at = message->wire.n_policies++;

	magma__lte__versioned_policy__init(&message->policies[at]);
	magma__lte__policy_rule__init(&message->rules[at]);
	message->rules[at].id = id;
	message->policies[at].rule = &message->rules[at];
	message->policies[at].version = version;
	message->policy_pointers[at] = &message->policies[at];
}

static void add_dynamic(struct message *message, char *id)
{
	size_t at = message->wire.n_dynamic_rules++;

	magma__lte__policy_rule__init(&message->dynamic[at]);
	message->dynamic[at].id = id;
	message->dynamic[at].flow_list = &message->flow_pointer;
	message->dynamic[at].n_flow_list = 1;
	message->dynamic_pointers[at] = &message->dynamic[at];
}

static void add_name(struct message *message, char *name)
{
	message->names[message->wire.n_rule_ids++] = name;
}

static struct sl_activation read_message(const struct world *world, const struct message *message)
{
	struct sl_activation activation;
	struct sl_error err = {""};

	assert_int_equal(sl_activation_read(&message->wire, &activation, &err), 0);
	if (sl_activation_complete(&message->wire, world->catalog, &activation, &err) < 0)
		fail_msg("%s", err.text);
	return activation;
}

static void a_rule_with_nothing_but_an_id_is_the_directorys(void **state)
{
	const struct world *world = *state;
	struct sl_activation activation;
	struct message message = {0};

	message_init(&message);
	add_policy(&message, "voice", 5);
	add_policy(&message, "unknown", 6);
	activation = read_message(world, &message);
	assert_int_equal(activation.storage_count, 2);
	assert_int_equal(activation.named_count, 0);
	assert_ptr_equal(activation.session[0].rules[0].rule, sl_catalog_rule(world->catalog, "voice"));
	assert_int_equal(activation.session[0].rules[0].version, 5);
	assert_null(activation.rules[0][1].rule);
	assert_string_equal(activation.rules[0][1].error.text,
			    "flow_list: empty, and the gateway has no rule \"unknown\"");
	sl_activation_clear(&activation);
}

static void a_rule_that_says_anything_more_is_taken_as_it_is(void **state)
{
	const struct world *world = *state;
	struct sl_activation activation;
	struct message message = {0};

	message_init(&message);
	add_policy(&message, "voice", 5);
	message.rules[0].priority = 9;
	activation = read_message(world, &message);
	assert_true(activation.rules[0][0].rule != sl_catalog_rule(world->catalog, "voice"));
	sl_activation_clear(&activation);
	/* a base name is no rule */
	message_init(&message);
	add_policy(&message, "media", 5);
	activation = read_message(world, &message);
	assert_int_equal(activation.storage_count, 1);
	assert_true(!activation.rules[0][0].rule || activation.rules[0][0].rule->flow_count == 0);
	sl_activation_clear(&activation);
}

static void both_shapes_add_up_in_their_order(void **state)
{
	static const char *const ids[] = {"voice", "dyn", "voice", "video", "nobody"};
	const struct world *world = *state;
	struct sl_activation activation;
	struct message message = {0};

	message_init(&message);
	message.wire.ipv6_addr = (ProtobufCBinaryData){11, (uint8_t *)"2001:db8::1"};
	add_policy(&message, "voice", 5);
	add_dynamic(&message, "dyn");
	add_name(&message, "media");
	add_name(&message, "nobody");
	activation = read_message(world, &message);
	assert_int_equal(activation.session_count, 2);
	assert_int_equal(activation.named_count, 3);
	for (int family = 0; family < 2; family++) {
		const struct sl_session_request *session = &activation.session[family];

		assert_int_equal(session->rule_count, 5);
		for (int i = 0; i < 5; i++) {
			assert_string_equal(session->rules[i].id, ids[i]);
			assert_int_equal(session->rules[i].version, i == 0 ? 5 : 0);
		}
		assert_ptr_equal(session->rules[3].rule, sl_catalog_rule(world->catalog, "video"));
		assert_null(session->rules[4].rule);
		assert_string_equal(session->rules[4].error.text,
				    "rule_ids[1]: \"nobody\" is no rule and no base name of the gateway");
	}
	/* what was read before is where it is now */
	assert_ptr_equal(activation.rules[0][1].rule, &activation.storage[1]);
	sl_activation_clear(&activation);
}

static void what_several_names_stand_for_comes_once(void **state)
{
	static const char *const ids[] = {"video", "voice", "nobody", "nobody"};
	const struct world *world = *state;
	struct sl_activation activation;
	struct message message = {0};

	message_init(&message);
	add_name(&message, "video");
	add_name(&message, "media");
	add_name(&message, "nobody");
	add_name(&message, "nobody");
	activation = read_message(world, &message);
	assert_int_equal(activation.named_count, 4);
	assert_int_equal(activation.session[0].rule_count, 4);
	for (int i = 0; i < 4; i++)
		assert_string_equal(activation.session[0].rules[i].id, ids[i]);
	sl_activation_clear(&activation);
}

static void an_old_address_is_read_where_there_is_no_new_one_and_the_message_stays_as_it_came(void **state)
{
	Magma__Lte__IPAddress source = MAGMA__LTE__IPADDRESS__INIT;
	const struct world *world = *state;
	struct sl_activation activation;
	struct message message = {0};

	message_init(&message);
	add_dynamic(&message, "dyn");
	message.match.ipv4_dst = "45.10.0.0/24";
	activation = read_message(world, &message);
	assert_int_equal(activation.storage[0].flow_count, 1);
	assert_int_equal(activation.storage[0].flows[0].prefix_length, 24);
	assert_memory_equal(activation.storage[0].flows[0].remote, "\x2d\x0a\x00\x00", 4);
	assert_null(message.match.ip_dst);
	sl_activation_clear(&activation);

	source.address = (ProtobufCBinaryData){12, (uint8_t *)"45.11.0.0/16"};
	message.match.ip_dst = &source;
	activation = read_message(world, &message);
	assert_int_equal(activation.storage[0].flows[0].prefix_length, 16);
	assert_ptr_equal(message.match.ip_dst, &source);
	sl_activation_clear(&activation);

	message.match.ip_dst = NULL;
	message.match.ipv4_dst = "9999.0.0.0/24";
	activation = read_message(world, &message);
	assert_null(activation.rules[0][0].rule);
	assert_non_null(strstr(activation.rules[0][0].error.text, "9999.0.0.0/24"));
	sl_activation_clear(&activation);
}

static void a_rule_of_the_old_field_says_what_of_it_is_not_done(void **state)
{
	Magma__Lte__HeaderEnrichment enrichment = MAGMA__LTE__HEADER_ENRICHMENT__INIT;
	char *urls[] = {"http://a.example/"};
	const struct world *world = *state;
	struct sl_activation activation;
	struct message message = {0};

	message_init(&message);
	add_dynamic(&message, "dyn");
	enrichment.urls = urls;
	enrichment.n_urls = 1;
	message.dynamic[0].he = &enrichment;
	activation = read_message(world, &message);
	assert_non_null(activation.rules[0][0].rule);
	assert_non_null(strstr(activation.rules[0][0].note, "rule.he"));
	sl_activation_clear(&activation);
}

static void the_origin_of_the_request_is_that_of_all_its_rules(void **state)
{
	Magma__Lte__RequestOriginType origin = MAGMA__LTE__REQUEST_ORIGIN_TYPE__INIT;
	const struct world *world = *state;
	struct sl_activation activation;
	struct message message = {0};

	message_init(&message);
	origin.type = MAGMA__LTE__REQUEST_ORIGIN_TYPE__ORIGIN_TYPE__GY;
	message.wire.request_origin = &origin;
	add_dynamic(&message, "dyn");
	add_name(&message, "voice");
	activation = read_message(world, &message);
	assert_int_equal(activation.rules[0][0].origin, SLUICE_ORIGIN_GY);
	assert_int_equal(activation.rules[0][1].origin, SLUICE_ORIGIN_GY);
	sl_activation_clear(&activation);
}

static void more_names_than_allowed_refuse_the_request_and_leave_it_as_it_was(void **state)
{
	char *names[SL_REQUEST_RULES / 2 + 1];
	const struct world *world = *state;
	struct sl_activation activation;
	struct message message = {0};
	struct sl_error err = {""};

	message_init(&message);
	for (size_t i = 0; i < SL_REQUEST_RULES / 2 + 1; i++)
		names[i] = "media";
	message.wire.rule_ids = names;
	message.wire.n_rule_ids = SL_REQUEST_RULES / 2 + 1;
	assert_int_equal(sl_activation_read(&message.wire, &activation, &err), 0);
	assert_int_equal(sl_activation_complete(&message.wire, world->catalog, &activation, &err), -E2BIG);
	assert_int_equal(activation.storage_count, 0);
	message.wire.n_rule_ids--;
	assert_int_equal(sl_activation_complete(&message.wire, world->catalog, &activation, &err), 0);
	assert_int_equal(activation.named_count, 2);
	sl_activation_clear(&activation);
}

static void more_policies_than_allowed_refuse_a_request_whole(void **state)
{
	static Magma__Lte__VersionedPolicy *policies[SL_REQUEST_RULES + 1];
	static Magma__Lte__VersionedPolicyID *ids[SL_REQUEST_RULES + 1];
	Magma__Lte__DeactivateFlowsRequest wire = MAGMA__LTE__DEACTIVATE_FLOWS_REQUEST__INIT;
	Magma__Lte__VersionedPolicyID id = MAGMA__LTE__VERSIONED_POLICY_ID__INIT;
	struct sl_deactivations deactivations = {.count = 77};
	struct sl_activation activation = {.storage_count = 77};
	struct message message = {0};
	struct sl_error err = {""};

	(void)state;
	message_init(&message);
	add_policy(&message, "voice", 1);
	id.rule_id = "voice";
	for (size_t i = 0; i < SL_REQUEST_RULES + 1; i++) {
		policies[i] = &message.policies[0];
		ids[i] = &id;
	}
	message.wire.policies = policies;
	message.wire.n_policies = SL_REQUEST_RULES + 1;
	assert_int_equal(sl_activation_read(&message.wire, &activation, &err), -E2BIG);
	assert_int_equal(activation.storage_count, 77);
	assert_string_equal(err.text, "policies: 4097 rules in one request; allowed: at most 4096");
	message.wire.n_policies--;
	assert_int_equal(sl_activation_read(&message.wire, &activation, &err), 0);
	sl_activation_clear(&activation);

	wire.sid = &message.sid;
	wire.policies = ids;
	wire.n_policies = SL_REQUEST_RULES + 1;
	assert_int_equal(sl_deactivation_read(&wire, &deactivations, &err), -E2BIG);
	assert_int_equal(deactivations.count, 77);
	assert_string_equal(err.text, "policies: 4097 rules in one request; allowed: at most 4096");
	wire.n_policies--;
	assert_int_equal(sl_deactivation_read(&wire, &deactivations, &err), 0);
	sl_deactivation_clear(&deactivations);
}

static void a_deactivation_has_base_names_in_the_old_field_alone(void **state)
{
	static const char *const wanted[] = {"media", "media", "voice", "video", "voice"};
	Magma__Lte__DeactivateFlowsRequest wire = MAGMA__LTE__DEACTIVATE_FLOWS_REQUEST__INIT;
	Magma__Lte__VersionedPolicyID policy = MAGMA__LTE__VERSIONED_POLICY_ID__INIT, *policies = &policy;
	Magma__Lte__SubscriberID sid = MAGMA__LTE__SUBSCRIBER_ID__INIT;
	char *names[] = {"media", "voice"};
	const struct world *world = *state;
	struct sl_deactivations out;
	struct sl_error err = {""};

	sid.id = IMSI;
	wire.sid = &sid;
	policy.rule_id = "media"; /* a rule that somebody gave this id */
	wire.policies = &policies;
	wire.n_policies = 1;
	wire.rule_ids = names;
	wire.n_rule_ids = 2;
	assert_int_equal(sl_deactivation_read(&wire, &out, &err), 0);
	assert_int_equal(sl_deactivation_complete(&wire, world->catalog, &out, &err), 0);
	assert_int_equal(out.request[0].rule_count, 5);
	sl_deactivation_clear(&out);
	wire.n_rule_ids = 0;
	assert_int_equal(sl_deactivation_read(&wire, &out, &err), 0);
	assert_int_equal(sl_deactivation_complete(&wire, world->catalog, &out, &err), 0);
	assert_int_equal(out.request[0].rule_count, 1);
	assert_string_equal(out.request[0].rule_ids[0], "media");
	sl_deactivation_clear(&out);
	wire.n_rule_ids = 2;
	assert_int_equal(sl_deactivation_read(&wire, &out, &err), 0);
	assert_int_equal(sl_deactivation_complete(&wire, world->catalog, &out, &err), 0);
	assert_int_equal(out.count, 1);
	assert_int_equal(out.request[0].rule_count, 5);
	for (int i = 0; i < 5; i++)
		assert_string_equal(out.request[0].rule_ids[i], wanted[i]);
	sl_deactivation_clear(&out);

	names[1] = "";
	assert_int_equal(sl_deactivation_read(&wire, &out, &err), 0);
	assert_int_equal(sl_deactivation_complete(&wire, world->catalog, &out, &err), -EINVAL);
	assert_string_equal(err.text, "rule_ids[1]: empty");
	sl_deactivation_clear(&out);
}

static void a_deactivation_without_names_stays_one_of_all_rules(void **state)
{
	Magma__Lte__DeactivateFlowsRequest wire = MAGMA__LTE__DEACTIVATE_FLOWS_REQUEST__INIT;
	Magma__Lte__SubscriberID sid = MAGMA__LTE__SUBSCRIBER_ID__INIT;
	const struct world *world = *state;
	struct sl_deactivations out;
	struct sl_error err = {""};

	sid.id = IMSI;
	wire.sid = &sid;
	assert_int_equal(sl_deactivation_read(&wire, &out, &err), 0);
	assert_int_equal(sl_deactivation_complete(&wire, world->catalog, &out, &err), 0);
	assert_null(out.request[0].rule_ids);
	sl_deactivation_clear(&out);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_rule_with_nothing_but_an_id_is_the_directorys),
		TEST(a_rule_that_says_anything_more_is_taken_as_it_is),
		TEST(both_shapes_add_up_in_their_order),
		TEST(what_several_names_stand_for_comes_once),
		TEST(an_old_address_is_read_where_there_is_no_new_one_and_the_message_stays_as_it_came),
		TEST(a_rule_of_the_old_field_says_what_of_it_is_not_done),
		TEST(the_origin_of_the_request_is_that_of_all_its_rules),
		TEST(more_names_than_allowed_refuse_the_request_and_leave_it_as_it_was),
		TEST(more_policies_than_allowed_refuse_a_request_whole),
		TEST(a_deactivation_has_base_names_in_the_old_field_alone),
		TEST(a_deactivation_without_names_stays_one_of_all_rules),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
