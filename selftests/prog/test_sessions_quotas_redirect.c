// SPDX-License-Identifier: Apache-2.0
/* Which server the portal names to a subscriber with a quota. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "control/control.h"
#include "quotas_world.h"

static int no_servers(const char *host, struct sl_address *out, size_t max, size_t *count,
		      struct sl_error *err, void *user)
{
	(void)host;
	(void)out;
	(void)max;
	(void)err;
	(void)user;
	*count = 0;
	return 0;
}

static const char *redirect_of(struct world *world)
{
	const struct sl_rule *rule = NULL;
	struct sl_address address;

	assert_int_equal(sl_address_parse("address", ADDRESS_A, &address, NULL), 0);
	assert_int_equal(sl_control_redirect_of(world->control, &address, &rule), 0);
	return rule ? rule->id : NULL;
}

static void redirect(struct activation *activation, size_t index, const char *server)
{
	struct sl_rule *rule = &activation->rules[index];

	rule->redirect = SLUICE_REDIRECT_IPV4;
	rule->flow_count = 0;
	strcpy(rule->redirect_address, server);
}

static void while_a_quota_is_used_up_the_final_redirect_is_the_portals_answer(void **state)
{
	static const struct rule_spec specs[] = {
		{.id = "web", .version = 1, .precedence = 10, .remote = WEB "/32"},
		{.id = "welcome", .version = 1, .precedence = 20},
		{.id = "recharge", .version = 1, .precedence = 1},
	};
	const struct sl_control_config config = {
		.backend = SL_RATE_POLICE, .keep_retired = true, .redirect_servers = no_servers};
	struct sl_quota_request quota = quota_of_rule("web", 1, 2 * BYTES);
	struct activation activation;
	struct sl_error err = {{0}};
	struct world world;

	(void)state;
	rates_start(&world, false, &config, 0);
	for (int i = 0; i < 2; i++) {
		world_fill(&activation, IMSI_A, ADDRESS_A, specs, 3);
		redirect(&activation, 1, "192.0.2.80");
		redirect(&activation, 2, "192.0.2.81");
		activation.rules[2].is_final = true;
		quota.grant = 1 + (uint64_t)i;
		activation.session.quotas = &quota;
		activation.session.quota_count = 1;
		if (sl_control_activate(world.control, &activation.session, &err) < 0)
			fail_msg("%s", err.text);
		for (size_t n = 0; n < 3; n++)
			if (activation.requests[n].result < 0)
				fail_msg("%s: %s", specs[n].id, activation.requests[n].error.text);
		assert_string_equal(redirect_of(&world), "welcome");
		rates_receive(&world, WEB, ADDRESS_A, 5);
		assert_string_equal(redirect_of(&world), "recharge");
	}
	/* of the rule's quota nothing is left with the rule */
	world_deactivate(&world, IMSI_A, ADDRESS_A, "web", false);
	assert_string_equal(redirect_of(&world), "welcome");
	world_deactivate(&world, IMSI_A, ADDRESS_A, "welcome", false);
	assert_string_equal(redirect_of(&world), "recharge");
	rates_end(&world);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_devices, fixture_no_devices)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(while_a_quota_is_used_up_the_final_redirect_is_the_portals_answer),
	};

	return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
