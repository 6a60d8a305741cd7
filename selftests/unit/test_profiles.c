// SPDX-License-Identifier: Apache-2.0
/* QoS profiles: the section of the policy directory, rules that name one, the field of the wire. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "api/convert_flow.h"
#include "base/cleanup.h"
#include "catalog/catalog.h"
#include "policy_files.h"

#define KBIT 1000ull
#define MBIT 1000000ull

static void catalog_freep(struct sl_catalog **catalog)
{
	sl_catalog_free(*catalog);
}
#define _cleanup_catalog_ _cleanup_(catalog_freep)

static struct sl_catalog *load(const struct policy_files *files)
{
	struct sl_catalog *catalog = NULL;
	struct sl_error err = {""};

	if (sl_catalog_load(files->path, NULL, &catalog, &err) < 0)
		fail_msg("%s", err.text);
	return catalog;
}

static void assert_refused(const struct policy_files *files, const char *text, const char *reason)
{
	struct sl_catalog *catalog = NULL;
	struct sl_error err = {""};

	policy_files_write(files, "a.yaml", text);
	assert_int_equal(sl_catalog_load(files->path, NULL, &catalog, &err), -EINVAL);
	assert_null(catalog);
	assert_memory_equal(err.text, files->path, strlen(files->path));
	if (strcmp(err.text + strlen(files->path) + 1, reason) != 0)
		fail_msg("\"%s\" is not \"%s\"", err.text + strlen(files->path) + 1, reason);
}

/* --- the document ------------------------------------------------------------------- */

static void a_profile_has_all_that_the_file_says_and_defaults_for_the_rest(void **state)
{
	_cleanup_catalog_ struct sl_catalog *catalog = NULL;
	const struct sl_profile *profile;

	policy_files_write(*state, "a.yaml",
			   "qos_profiles:\n"
			   "  - name: gold\n"
			   "    class_id: 1\n"
			   "    mbr: {uplink: 10Mbit, downlink: 50Mbit}\n"
			   "    gbr: {uplink: 64kbit, downlink: 50Mbit}\n"
			   "    arp: {level: 2, may_preempt: true, may_be_preempted: false}\n"
			   "    backend: police\n"
			   "  - {name: plain}\n"
			   "  - {name: levelled, arp: {level: 15}, backend: auto, gbr: {uplink: 1Mbit}}\n");
	catalog = load(*state);
	assert_int_equal(sl_catalog_profile_count(catalog), 3);
	profile = sl_catalog_profile(catalog, "gold");
	assert_non_null(profile);
	assert_string_equal(profile->name, "gold");
	assert_int_equal(profile->class_id, 1);
	assert_int_equal(profile->mbr[SLUICE_UPLINK], 10 * MBIT);
	assert_int_equal(profile->mbr[SLUICE_DOWNLINK], 50 * MBIT);
	assert_int_equal(profile->gbr[SLUICE_UPLINK], 64 * KBIT);
	assert_int_equal(profile->gbr[SLUICE_DOWNLINK], 50 * MBIT);
	assert_int_equal(profile->arp.level, 2);
	assert_true(profile->arp.may_preempt);
	assert_false(profile->arp.may_be_preempted);
	assert_int_equal(profile->backend, SLUICE_RATE_POLICE);

	profile = sl_catalog_profile(catalog, "plain");
	assert_int_equal(profile->class_id, 0);
	assert_int_equal(profile->mbr[SLUICE_DOWNLINK], 0);
	assert_int_equal(profile->arp.level, 0);
	assert_int_equal(profile->backend, SLUICE_RATE_DEFAULT);

	/* without an MBR no GBR is above it */
	profile = sl_catalog_profile(catalog, "levelled");
	assert_false(profile->arp.may_preempt);
	assert_true(profile->arp.may_be_preempted);
	assert_int_equal(profile->gbr[SLUICE_UPLINK], MBIT);
	assert_int_equal(profile->backend, SLUICE_RATE_AUTO);

	assert_null(sl_catalog_profile(catalog, "silver"));
	assert_null(sl_catalog_profile(NULL, "gold"));
	assert_int_equal(sl_catalog_profile_count(NULL), 0);
}

static int add_place(const struct sl_profile *profile, const char *file, unsigned int line, void *user)
{
	sprintf((char *)user + strlen(user), "%s %s:%u, ", profile->name, file, line);
	return strcmp(profile->name, "last") == 0;
}

static void profiles_are_listed_in_order_with_their_places(void **state)
{
	_cleanup_catalog_ struct sl_catalog *catalog = NULL;
	char places[256] = "";

	policy_files_write(*state, "b.yaml", "qos_profiles:\n  - {name: last}\n  - {name: never}\n");
	policy_files_write(*state, "a.yaml", "qos_profiles:\n  - {name: z}\n  - {name: a}\n");
	catalog = load(*state);
	assert_int_equal(sl_catalog_each_profile(catalog, add_place, places), 1);
	assert_string_equal(places, "z a.yaml:2, a a.yaml:3, last b.yaml:2, ");
}

static void what_is_wrong_with_a_profile_is_said_with_file_and_line(void **state)
{
	static const struct {
		const char *profile, *reason;
	} wrong[] = {
		{"{class_id: 5}", "a.yaml:2: qos_profiles[0]: the key name is missing"},
		{"{name: p, class_id: 0}", "a.yaml:2: qos_profiles[0].class_id: bad value \"0\"; allowed: a "
					   "whole number from 1 to 65535"},
		{"{name: p, class_id: 65536}", "a.yaml:2: qos_profiles[0].class_id: bad value \"65536\"; "
					       "allowed: a whole number from 1 to 65535"},
		{"{name: p, mbr: {downlink: 1kbit}}",
		 "a.yaml:2: qos_profiles[0].mbr.downlink: bad value \"1kbit\"; allowed: 8kbit to 1Tbit"},
		{"{name: p, gbr: {uplink: 7999bit}}",
		 "a.yaml:2: qos_profiles[0].gbr.uplink: bad value \"7999bit\"; allowed: 8kbit to 1Tbit"},
		{"{name: p, mbr: {uplink: 1Mbit}, gbr: {uplink: 2Mbit}}",
		 "a.yaml:2: qos_profiles[0].gbr.uplink: 2Mbit is above the MBR; allowed: at most 1Mbit"},
		{"{name: p, arp: {level: 16}}", "a.yaml:2: qos_profiles[0].arp.level: bad value \"16\"; "
						"allowed: a whole number from 1 to 15"},
		{"{name: p, arp: {may_preempt: true}}",
		 "a.yaml:2: qos_profiles[0].arp: the key level is missing"},
		{"{name: p, backend: queue}",
		 "a.yaml:2: qos_profiles[0].backend: bad value \"queue\"; allowed: auto, shape, police"},
		{"{name: p}, {name: q}, {name: p}", "a.yaml:2: qos_profiles[2].name: \"p\" is a QoS profile "
						    "in a.yaml:2 already; allowed: a name once"},
	};
	char text[512];

	for (size_t i = 0; i < SL_ARRAY_SIZE(wrong); i++) {
		snprintf(text, sizeof(text), "qos_profiles:\n  [%s]\n", wrong[i].profile);
		assert_refused(*state, text, wrong[i].reason);
	}
	snprintf(text, sizeof(text), "qos_profiles:\n  - {name: %064d}\n", 7);
	policy_files_write(*state, "a.yaml", text);
	assert_int_equal(sl_catalog_load(((struct policy_files *)*state)->path, NULL, NULL, NULL), -EINVAL);
}

static void no_more_than_1024_profiles_are_read(void **state)
{
	struct policy_files *files = *state;
	_cleanup_free_ char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	fputs("qos_profiles:\n", out);
	for (int i = 0; i < SL_CATALOG_PROFILES; i++)
		fprintf(out, "- {name: p%d}\n", i);
	fclose(out);
	policy_files_write(files, "0.yaml", text);
	sl_catalog_free(load(files));
	assert_refused(files, "qos_profiles:\n  - {name: one more}\n",
		       "a.yaml:2: qos_profiles: 1 entries; allowed: at most 0");
}

/* --- rules -------------------------------------------------------------------------------- */

static void a_rule_of_the_directory_has_the_values_of_its_profile(void **state)
{
	_cleanup_catalog_ struct sl_catalog *catalog = NULL;
	const struct sl_rule *rule;

	/* the profile stands behind it, in another file */
	policy_files_write(*state, "a.yaml", "rules:\n  - {id: web, qos_profile: gold, flows: [{}]}\n");
	policy_files_write(
		*state, "b.yaml",
		"qos_profiles:\n  - {name: gold, class_id: 9, mbr: {downlink: 3Mbit}, arp: {level: 4}, "
		"backend: shape}\n");
	catalog = load(*state);
	rule = sl_catalog_rule(catalog, "web");
	assert_string_equal(rule->profile, "gold");
	assert_int_equal(rule->mbr[SLUICE_DOWNLINK], 3 * MBIT);
	assert_int_equal(rule->class_id, 9);
	assert_int_equal(rule->arp.level, 4);
	assert_int_equal(rule->backend, SLUICE_RATE_SHAPE);
	assert_true(sl_profile_holds(sl_catalog_profile(catalog, "gold"), rule));
}

static void a_rule_with_an_unknown_profile_or_rates_beside_it_is_refused(void **state)
{
	assert_refused(*state, "rules:\n  - {id: web, qos_profile: gold, flows: [{}]}\n",
		       "a.yaml:2: rules[0].qos_profile: \"gold\" is no QoS profile of the directory");
	assert_refused(
		*state,
		"qos_profiles: [{name: gold}]\n"
		"rules:\n  - id: web\n    qos_profile: gold\n    flows: [{}]\n    gbr: {uplink: 1Mbit}\n",
		"a.yaml:6: rules[0].gbr: beside qos_profile \"gold\"; allowed: one of the two");
	assert_refused(*state,
		       "qos_profiles: [{name: gold}]\nrules: [{id: w, qos_profile: gold, flows: [{}], "
		       "class_id: 0}]\n",
		       "a.yaml:2: rules[0].class_id: beside qos_profile \"gold\"; allowed: one of the two");
}

static void the_name_of_the_profile_is_part_of_the_content(void **state)
{
	struct sl_rule one = {.id = "r"}, other = one, *kept, *found;
	struct sl_rule_table *table;

	(void)state;
	strcpy(other.profile, "gold");
	assert_false(sl_rule_equal(&one, &other));
	assert_int_not_equal(sl_rule_hash(&one), sl_rule_hash(&other));
	assert_int_equal(sl_rule_table_new(&table), 0);
	other.in_force = 7;
	assert_int_equal(sl_rule_table_intern(table, &other, &kept), 0);
	assert_string_equal(kept->profile, "gold");
	assert_int_equal(kept->in_force, 0);
	assert_int_equal(sl_rule_table_intern(table, &one, &found), 0);
	assert_ptr_not_equal(kept, found);
	sl_rule_table_free(table);
}

static void values_go_into_a_rule_and_come_back_out_of_it(void **state)
{
	struct sl_profile profile = {.name = "gold",
				     .class_id = 7,
				     .mbr = {1, 2},
				     .gbr = {3, 4},
				     .arp = {.level = 5, .may_preempt = true},
				     .backend = SLUICE_RATE_AUTO};
	struct sl_rule rule = {.id = "r", .profile = "gold", .precedence = 9}, other;
	struct sl_profile back;

	(void)state;
	assert_false(sl_profile_holds(&profile, &rule));
	sl_profile_apply(&profile, &rule);
	assert_true(sl_profile_holds(&profile, &rule));
	assert_int_equal(rule.precedence, 9);
	sl_profile_of(&rule, &back);
	assert_string_equal(back.name, "gold");
	other = rule;
	assert_true(sl_profile_holds(&back, &other));
	other.gbr[1]++;
	assert_false(sl_profile_holds(&back, &other));
	other = rule;
	other.arp.may_be_preempted = true;
	assert_false(sl_profile_holds(&back, &other));
	other = rule;
	other.backend = SLUICE_RATE_DEFAULT;
	assert_false(sl_profile_holds(&back, &other));
}

/* --- the wire ------------------------------------------------------------------------------- */

static void the_wire_names_a_profile_in_the_place_of_qos(void **state)
{
	Magma__Lte__PolicyRule wire = MAGMA__LTE__POLICY_RULE__INIT;
	Magma__Lte__FlowQos qos = MAGMA__LTE__FLOW_QOS__INIT;
	Sluice__V1__Flow flow = SLUICE__V1__FLOW__INIT, *flows[] = {&flow};
	struct sl_error err = {""};
	struct sl_rule rule;
	char name[80];

	(void)state;
	wire.id = (char *)"r";
	wire.flows = flows;
	wire.n_flows = 1;
	wire.qos_profile = (char *)"gold";
	if (sl_rule_read(&wire, &rule, &err) < 0)
		fail_msg("%s", err.text);
	assert_string_equal(rule.profile, "gold");
	assert_int_equal(rule.mbr[SLUICE_UPLINK], 0);
	free(rule.flows);

	wire.qos = &qos;
	qos.max_req_bw_dl = 1000;
	assert_int_equal(sl_rule_read(&wire, &rule, &err), -EINVAL);
	assert_string_equal(err.text,
			    "rule.qos_profile: 'gold' beside rule.qos, which has an MBR of its own");
	qos.max_req_bw_dl = 0;
	qos.qci = 5;
	assert_int_equal(sl_rule_read(&wire, &rule, &err), -EINVAL);
	assert_string_equal(err.text,
			    "rule.qos_profile: 'gold' beside rule.qos, which has a class of its own");

	wire.qos = NULL;
	snprintf(name, sizeof(name), "%064d", 1);
	wire.qos_profile = name;
	assert_int_equal(sl_rule_read(&wire, &rule, &err), -EINVAL);
	assert_non_null(strstr(err.text, "is longer than 63 bytes"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, policy_files_setup, policy_files_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_profile_has_all_that_the_file_says_and_defaults_for_the_rest),
		TEST(profiles_are_listed_in_order_with_their_places),
		TEST(what_is_wrong_with_a_profile_is_said_with_file_and_line),
		TEST(no_more_than_1024_profiles_are_read),
		TEST(a_rule_of_the_directory_has_the_values_of_its_profile),
		TEST(a_rule_with_an_unknown_profile_or_rates_beside_it_is_refused),
		cmocka_unit_test(the_name_of_the_profile_is_part_of_the_content),
		cmocka_unit_test(values_go_into_a_rule_and_come_back_out_of_it),
		cmocka_unit_test(the_wire_names_a_profile_in_the_place_of_qos),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
