// SPDX-License-Identifier: Apache-2.0
/* The section `apns` of the configuration. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include <errno.h>
#include <stdio.h>

#include "config/apns.h"

static int read_section(const char *text, struct sl_config *config, struct sl_error *err)
{
	struct sl_yaml *yaml = NULL;
	int rc;

	*config = (struct sl_config){.access = {.list = {{.name = "access0"}}, .count = 1},
				     .core = {.list = {{.name = "core0"}}, .count = 1}};
	rc = sl_yaml_parse("FILE", text, strlen(text), &yaml, err);
	assert_int_equal(rc, 0);
	rc = sl_config_read_apns(sl_yaml_get(sl_yaml_root(yaml), "apns"), config, err);
	sl_yaml_free(yaml);
	return rc;
}

static struct sl_config config;

static void what_is_not_given_is_nothing(void **state)
{
	static const char *const texts[] = {"x: 1", "apns: []"};
	struct sl_error err = {{0}};

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		assert_int_equal(read_section(texts[i], &config, &err), 0);
		assert_int_equal(config.apn_count, 0);
	}
	assert_int_equal(read_section("apns: [{name: internet}]", &config, &err), 0);
	assert_int_equal(config.apn_count, 1);
	assert_int_equal(config.apn[0].vlan, 0);
	assert_string_equal(config.apn[0].interface, "");
	assert_string_equal(config.apn[0].next_hop[0], "");
	assert_string_equal(config.apn[0].next_hop[1], "");
	for (int direction = 0; direction < 2; direction++) {
		assert_int_equal(config.apn[0].cap[direction], 0);
		assert_true(config.apn[0].reserve[direction] == UINT64_MAX);
	}
}

static void every_key_is_read(void **state)
{
	struct sl_error err = {{0}};

	(void)state;
	if (read_section("apns:\n"
			 "  - name: internet.mnc001.mcc001.gprs\n"
			 "    vlan: 4094\n"
			 "    interface: core0\n"
			 "    next_hop: ['2001:db8::1', 192.0.2.1]\n"
			 "    cap: {uplink: 8kbit, downlink: 400Gbit}\n"
			 "    reserve: {uplink: 0, downlink: 1Gbit}\n"
			 "  - {name: ims, vlan: 4094, cap: {downlink: 1Mbit}, reserve: {uplink: 5Mbit}}\n"
			 "  - {name: iot, interface: wwan0, next_hop: '2001:db8::2'}\n",
			 &config, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(config.apn_count, 3);
	assert_string_equal(config.apn[0].name, "internet.mnc001.mcc001.gprs");
	assert_int_equal(config.apn[0].line, 2);
	assert_int_equal(config.apn[0].vlan, 4094);
	assert_string_equal(config.apn[0].interface, "core0");
	assert_string_equal(config.apn[0].next_hop[0], "192.0.2.1");
	assert_string_equal(config.apn[0].next_hop[1], "2001:db8::1");
	assert_int_equal(config.apn[0].cap[SLUICE_UPLINK], 8000);
	assert_int_equal(config.apn[0].cap[SLUICE_DOWNLINK], 400000000000);
	assert_int_equal(config.apn[0].reserve[SLUICE_UPLINK], 0);
	assert_int_equal(config.apn[0].reserve[SLUICE_DOWNLINK], 1000000000);
	assert_int_equal(config.apn[1].line, 8);
	assert_int_equal(config.apn[1].vlan, 4094);
	assert_int_equal(config.apn[1].cap[SLUICE_UPLINK], 0);
	assert_int_equal(config.apn[1].cap[SLUICE_DOWNLINK], 1000000);
	assert_int_equal(config.apn[1].reserve[SLUICE_UPLINK], 5000000);
	assert_true(config.apn[1].reserve[SLUICE_DOWNLINK] == UINT64_MAX);
	assert_string_equal(config.apn[2].interface, "wwan0");
	assert_string_equal(config.apn[2].next_hop[0], "");
	assert_string_equal(config.apn[2].next_hop[1], "2001:db8::2");
}

static void what_is_wrong_is_named_with_line_and_value(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{"apns: internet", "apns"},
		{"apns:\n - {vlan: 1}", "FILE:2: apns[0]"},
		{"apns: [{name: ''}]", "apns[0].name"},
		{"apns: [{name: 'a b'}]", "apns[0].name: bad value \"a b\""},
		{"apns: [{name: \"a\\tb\"}]", "apns[0].name: bad value"},
		{"apns:\n - {name: a}\n - {name: A}", "FILE:3: apns[1].name: \"A\" is in line 2 already"},
		{"apns: [{name: a, speed: 1}]", "speed"},
		{"apns: [{name: a, vlan: 0}]",
		 "apns[0].vlan: bad value \"0\"; allowed: a whole number from 1 to 4094"},
		{"apns: [{name: a, vlan: 4095}]", "apns[0].vlan: bad value \"4095\""},
		{"apns: [{name: a, interface: access0}]",
		 "apns[0].interface: access0 is an access interface"},
		{"apns: [{name: a, interface: abcdefghijklmnop}]", "apns[0].interface"},
		{"apns: [{name: a, vlan: 1, interface: other0}]",
		 "apns[0].interface: no VLAN is pushed on other0; allowed: a core interface"},
		{"apns: [{name: a, next_hop: 192.0.2.1}]", "apns[0].next_hop: there is no interface"},
		{"apns: [{name: a, interface: x, next_hop: gw.example}]",
		 "apns[0].next_hop: bad value \"gw.example\""},
		{"apns: [{name: a, interface: x, next_hop: 192.0.2.1/24}]", "bad value \"192.0.2.1/24\""},
		{"apns: [{name: a, interface: x, next_hop: [192.0.2.1, 192.0.2.2]}]",
		 "apns[0].next_hop[1]: 192.0.2.2 is a second one"},
		{"apns: [{name: a, interface: x, next_hop: [192.0.2.1, '2001:db8::1', '2001:db8::2']}]",
		 "apns[0].next_hop"},
		{"apns: [{name: a, neighbours: [192.0.2.1]}]", "apns[0].neighbours: there is no vlan"},
		{"apns: [{name: a, vlan: 1, neighbours: 192.0.2.1}]", "apns[0].neighbours"},
		{"apns: [{name: a, vlan: 1, neighbours: [gw.example]}]",
		 "apns[0].neighbours[0]: bad value \"gw.example\""},
		{"apns: [{name: a, vlan: 1, neighbours: [0.0.0.0]}]", "bad value \"0.0.0.0\""},
		{"apns: [{name: a, vlan: 1, neighbours: [224.0.0.5]}]", "bad value \"224.0.0.5\""},
		{"apns: [{name: a, vlan: 1, neighbours: [255.255.255.255]}]", "bad value"},
		{"apns: [{name: a, vlan: 1, neighbours: ['ff02::1']}]", "bad value \"ff02::1\""},
		{"apns: [{name: a, vlan: 1, neighbours: ['::']}]", "bad value \"::\""},
		{"apns:\n - {name: a, vlan: 1, neighbours: ['fe80::1']}\n"
		 " - name: b\n   vlan: 2\n   neighbours: ['FE80:0::1']\n",
		 "FILE:5: apns[1].neighbours[0]: FE80:0::1 is a neighbour of a (line 2) already, with vlan "
		 "1"},
		{"apns:\n - {name: a, interface: core0, next_hop: 192.0.2.1}\n"
		 " - {name: b, vlan: 2, neighbours: [192.0.2.1]}\n",
		 "192.0.2.1 is a neighbour of a (line 2) already, with vlan 0 (0: none)"},
		{"apns:\n - {name: a, vlan: 2, neighbours: [192.0.2.1]}\n"
		 " - {name: b, vlan: 3, interface: core0, next_hop: 192.0.2.1}\n",
		 "FILE:3: apns[1].next_hop: 192.0.2.1 is a neighbour of a (line 2) already"},
		{"apns: [{name: a, cap: 1Mbit}]", "apns[0].cap"},
		{"apns: [{name: a, cap: {uplink: 7999}}]", "apns[0].cap.uplink: bad value \"7999\""},
		{"apns: [{name: a, cap: {downlink: 401Gbit}}]", "apns[0].cap.downlink"},
		{"apns: [{name: a, cap: {both: 1Mbit}}]", "both"},
		{"apns:\n - name: a\n   cap: {uplink: 1Mbit}\n   reserve: {uplink: 1001kbit}",
		 "FILE:4: apns[0].reserve: 1001000 bit/s; allowed: at most the cap, 1000000 bit/s"},
	};
	struct sl_error err = {{0}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (read_section(cases[i].text, &config, &err) != -EINVAL)
			fail_msg("%s was accepted", cases[i].text);
		if (!strstr(err.text, cases[i].says))
			fail_msg("%s: \"%s\" does not say \"%s\"", cases[i].text, err.text, cases[i].says);
	}
}

static void neighbours_behind_a_vlan_are_those_named_and_the_next_hops(void **state)
{
	static const uint8_t hop[16] = {192, 0, 2, 1}, local[16] = {0xfe, 0x80, [15] = 1};
	struct sl_error err = {{0}};

	(void)state;
	if (read_section("apns:\n"
			 "  - {name: a, vlan: 7, interface: core0, next_hop: 192.0.2.1,\n"
			 "     neighbours: ['fe80::1', 192.0.2.1]}\n"
			 "  - {name: b, vlan: 7, neighbours: ['fe80::1']}\n"
			 "  - {name: c, interface: core0, next_hop: 192.0.2.9}\n"
			 "  - {name: d, interface: wwan0, next_hop: 192.0.2.1}\n",
			 &config, &err) < 0)
		fail_msg("%s", err.text);
	assert_int_equal(config.apn[0].neighbour_count, 2);
	assert_int_equal(config.apn[0].neighbour[0].family, 4);
	assert_memory_equal(config.apn[0].neighbour[0].address, hop, 16);
	assert_int_equal(config.apn[0].neighbour[1].family, 6);
	assert_memory_equal(config.apn[0].neighbour[1].address, local, 16);
	assert_int_equal(config.apn[1].neighbour_count, 1);
	/* on a device that is not core's nothing is tagged, so another router may have the address */
	assert_int_equal(config.apn[3].neighbour_count, 0);
}

static void there_are_bounds_and_what_is_above_is_refused(void **state)
{
	static char text[64 * (SLUICE_APNS + 2)];
	struct sl_error err = {{0}};
	size_t used;

	(void)state;
	used = (size_t)snprintf(text, sizeof(text), "apns:\n");
	for (int i = 0; i < SLUICE_APNS; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used, " - {name: apn%d}\n", i);
	assert_int_equal(read_section(text, &config, &err), 0);
	assert_int_equal(config.apn_count, SLUICE_APNS);
	snprintf(text + used, sizeof(text) - used, " - {name: more}\n");
	assert_int_equal(read_section(text, &config, &err), -EINVAL);

	used = (size_t)snprintf(text, sizeof(text), "apns:\n");
	for (int i = 0; i < SL_CONFIG_APN_INTERFACES; i++)
		used += (size_t)snprintf(text + used, sizeof(text) - used,
					 " - {name: apn%d, interface: if%d}\n", i, i);
	assert_int_equal(read_section(text, &config, &err), 0);
	snprintf(text + used, sizeof(text) - used, " - {name: more, interface: x}\n");
	assert_int_equal(read_section(text, &config, &err), -EINVAL);
	if (!strstr(err.text, "apns[16]: one interface too many"))
		fail_msg("\"%s\"", err.text);

	/* one more than the bound: the next hop counts */
	for (int more = 0; more < 2; more++) {
		used = (size_t)snprintf(text, sizeof(text), "apns: [{name: a, vlan: 1%s, neighbours: [",
					more ? ", interface: core0, next_hop: 192.0.2.99" : "");
		for (int i = 0; i < SLUICE_APN_NEIGHBOURS; i++)
			used += (size_t)snprintf(text + used, sizeof(text) - used, "192.0.2.%d,", i + 1);
		snprintf(text + used, sizeof(text) - used, "]}]");
		assert_int_equal(read_section(text, &config, &err), more ? -EINVAL : 0);
	}
	if (!strstr(err.text, "neighbours[15]: 192.0.2.16 is one too many"))
		fail_msg("\"%s\"", err.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_not_given_is_nothing),
		cmocka_unit_test(every_key_is_read),
		cmocka_unit_test(what_is_wrong_is_named_with_line_and_value),
		cmocka_unit_test(neighbours_behind_a_vlan_are_those_named_and_the_next_hops),
		cmocka_unit_test(there_are_bounds_and_what_is_above_is_refused),
	};

	return cmocka_run_group_tests_name("config_apns", tests, NULL, NULL);
}
