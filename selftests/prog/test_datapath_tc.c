// SPDX-License-Identifier: Apache-2.0
/*
 * The tc hooks: who is put where, what a restart replaces, what of others is left alone.
 *
 *   ue0 ---- access0 (access)      core0 (core) ---- inet0
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <net/if.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "datapath_fixture.h"

#define TCX_NEXT -1

static bool has_filter(const char *interface, const char *direction)
{
	return fixture_succeeds("tc filter show dev %s %s | grep -q 'handle 0x7ffe'", interface, direction);
}

static bool has_clsact(const char *interface)
{
	return fixture_succeeds("tc qdisc show dev %s | grep -q clsact", interface);
}

static bool pins_are_gone(void)
{
	struct stat status;

	return stat(fixture_pin_path(), &status) < 0 && errno == ENOENT;
}

static void access_devices_get_both_directions_and_core_devices_egress_only(void **state)
{
	struct sl_datapath_config config = fixture_config();
	struct sl_datapath *datapath;
	struct sl_hook_status hook;

	(void)state;
	fixture_need_tcx();
	datapath = fixture_start(&config, false);
	hook = fixture_hook(datapath, "access0", "tc-ingress");
	assert_true(hook.attached);
	assert_string_equal(hook.mechanism, "tcx-link");
	assert_int_equal(hook.role, SL_ROLE_ACCESS);
	assert_int_equal(hook.ifindex, if_nametoindex("access0"));
	assert_non_null(strstr(hook.reason, "datapath.mode is tc"));
	assert_true(fixture_hook(datapath, "access0", "tc-egress").attached);
	hook = fixture_hook(datapath, "core0", "tc-egress");
	assert_true(hook.attached);
	assert_int_equal(hook.role, SL_ROLE_CORE);
	assert_false(fixture_has_hook(datapath, "core0", "tc-ingress"));
	assert_int_equal(fixture_tcx_count("access0", true), 1);
	assert_int_equal(fixture_tcx_count("access0", false), 1);
	assert_int_equal(fixture_tcx_count("core0", true), 0);
	assert_int_equal(fixture_tcx_count("core0", false), 1);
	assert_false(has_clsact("access0"));
	fixture_close(datapath);
}

static void the_hooks_stay_when_the_agent_goes(void **state)
{
	struct sl_datapath_config config = fixture_config();

	(void)state;
	fixture_need_tcx();
	fixture_close(fixture_start(&config, false));
	assert_int_equal(fixture_tcx_count("access0", true), 1);
	assert_int_equal(fixture_tcx_count("access0", false), 1);
	assert_int_equal(fixture_tcx_count("core0", false), 1);
}

static void a_restart_takes_over_the_links_and_adds_none(void **state)
{
	struct sl_datapath_config config = fixture_config();
	struct sl_datapath *datapath;

	(void)state;
	fixture_need_tcx();
	fixture_close(fixture_start(&config, false));
	for (int i = 0; i < 3; i++) {
		datapath = fixture_start(&config, true);
		assert_true(fixture_hook(datapath, "access0", "tc-ingress").attached);
		fixture_close(datapath);
	}
	assert_int_equal(fixture_tcx_count("access0", true), 1);
	assert_int_equal(fixture_tcx_count("core0", false), 1);
}

static void attaching_twice_changes_nothing(void **state)
{
	struct sl_datapath_config config = fixture_config();
	struct sl_datapath *datapath;

	(void)state;
	fixture_need_tcx();
	datapath = fixture_start(&config, false);
	fixture_attach(datapath);
	assert_true(fixture_hook(datapath, "access0", "tc-ingress").attached);
	assert_int_equal(fixture_tcx_count("access0", true), 1);
	fixture_close(datapath);
}

static void detaching_leaves_nothing(void **state)
{
	struct sl_datapath_config config = fixture_config();
	struct sl_datapath *datapath = fixture_start(&config, false);
	struct sl_error err = {""};

	(void)state;
	assert_int_equal(sl_datapath_detach(datapath, &err), 0);
	fixture_close(datapath);
	assert_int_equal(fixture_tcx_count("access0", true), 0);
	assert_int_equal(fixture_tcx_count("access0", false), 0);
	assert_int_equal(fixture_tcx_count("core0", false), 0);
	assert_true(pins_are_gone());
}

static void pins_alone_are_enough_to_detach(void **state)
{
	struct sl_datapath_config config = fixture_config();
	struct sl_error err = {""};

	(void)state;
	fixture_close(fixture_start(&config, false));
	assert_int_equal(sl_datapath_remove(fixture_pin_path(), &err), 0);
	assert_int_equal(fixture_tcx_count("access0", true), 0);
	assert_true(pins_are_gone());
	assert_int_equal(sl_datapath_remove(fixture_pin_path(), &err), 0);
}

static void a_missing_interface_is_an_error_and_leaves_no_hook(void **state)
{
	struct sl_datapath_config config = fixture_config();
	struct sl_datapath *datapath = fixture_open(&config, false);
	struct sl_error err = {""};

	(void)state;
	fixture_close(datapath);
	snprintf(config.device[1].name, sizeof(config.device[1].name), "nosuch0");
	datapath = fixture_open(&config, true);
	assert_int_equal(sl_datapath_attach(datapath, &err), -ENODEV);
	assert_non_null(strstr(err.text, "nosuch0"));
	assert_int_equal(fixture_tcx_count("access0", true), 0);
	fixture_close(datapath);
}

static void an_interface_named_twice_is_refused(void **state)
{
	struct sl_datapath_config config = fixture_config();
	struct sl_datapath *datapath;
	struct sl_error err = {""};

	(void)state;
	snprintf(config.device[1].name, sizeof(config.device[1].name), "access0");
	datapath = fixture_open(&config, false);
	assert_int_equal(sl_datapath_attach(datapath, &err), -EINVAL);
	assert_non_null(strstr(err.text, "access0"));
	fixture_close(datapath);
}

static void a_start_that_fails_takes_its_new_hooks_off_again(void **state)
{
	struct sl_datapath_config config = fixture_config();
	struct sl_datapath *datapath = fixture_open(&config, false);
	struct sl_error err = {""};

	(void)state;
	/* access0 succeeds first, then core0 meets a foreign qdisc */
	setenv("SLUICE_NO_TCX", "1", 1);
	fixture_run("tc qdisc add dev core0 ingress");
	assert_int_equal(sl_datapath_attach(datapath, &err), -EEXIST);
	assert_non_null(strstr(err.text, "core0"));
	assert_non_null(strstr(err.text, "ingress"));
	assert_false(has_filter("access0", "ingress"));
	assert_true(fixture_succeeds("tc qdisc show dev core0 | grep -q ingress"));
	assert_false(has_clsact("access0"));
	fixture_close(datapath);
}

static void a_device_made_anew_is_attached_anew(void **state)
{
	struct sl_datapath_config config = fixture_config();
	struct sl_datapath *datapath;

	(void)state;
	fixture_need_tcx();
	datapath = fixture_start(&config, false);
	fixture_run("ip link del access0 && ip link add access0 type veth peer name ue0 && ip link set "
		    "access0 up");
	assert_false(fixture_hook(datapath, "access0", "tc-ingress").attached);
	fixture_attach(datapath);
	assert_true(fixture_hook(datapath, "access0", "tc-ingress").attached);
	assert_int_equal(fixture_tcx_count("access0", true), 1);
	fixture_close(datapath);
	/* the pins of the old ifindex are gone: 3 links */
	fixture_run("test $(ls %s/links | wc -l) -eq 3", fixture_pin_path());
}

static void a_device_made_anew_under_the_same_ifindex_is_attached_anew(void **state)
{
	struct sl_datapath_config config = fixture_config();
	struct sl_datapath *datapath;
	unsigned int ifindex = if_nametoindex("access0");

	(void)state;
	fixture_need_tcx();
	datapath = fixture_start(&config, false);
	fixture_close(datapath);
	fixture_run("ip link del access0 && ip link add access0 index %u type veth peer name ue0", ifindex);
	assert_int_equal(if_nametoindex("access0"), ifindex);
	assert_int_equal(fixture_tcx_count("access0", true), 0);
	datapath = fixture_start(&config, true);
	assert_true(fixture_hook(datapath, "access0", "tc-ingress").attached);
	assert_int_equal(fixture_tcx_count("access0", true), 1);
	fixture_close(datapath);
}

static void a_device_that_left_the_configuration_loses_its_hooks(void **state)
{
	struct sl_datapath_config config = fixture_config();
	struct sl_datapath *datapath;

	(void)state;
	fixture_need_tcx();
	fixture_close(fixture_start(&config, false));
	config.device_count = 1;
	datapath = fixture_start(&config, true);
	assert_int_equal(fixture_tcx_count("core0", false), 0);
	assert_int_equal(fixture_tcx_count("access0", true), 1);
	assert_false(fixture_has_hook(datapath, "core0", "tc-egress"));
	fixture_close(datapath);
}

/* With tcx if the kernel has it, else as filters; and as filters in any case. */
static void core_devices_get_ingress_too_as_long_as_an_apn_has_a_vlan(void **state)
{
	struct sl_datapath_config config = fixture_config();
	struct sl_error err = {""};

	(void)state;
	for (int filters = 0; filters < 2; filters++) {
		struct sl_datapath *datapath;

		if (filters)
			setenv("SLUICE_NO_TCX", "1", 1);
		config.vlans = true;
		datapath = fixture_start(&config, false);
		assert_true(fixture_hook(datapath, "core0", "tc-ingress").attached);
		assert_int_equal(fixture_hook(datapath, "core0", "tc-ingress").role, SL_ROLE_CORE);
		assert_true(fixture_hook(datapath, "core0", "tc-egress").attached);
		fixture_close(datapath);
		datapath = fixture_start(&config, true);
		assert_true(fixture_hook(datapath, "core0", "tc-ingress").attached);
		fixture_close(datapath);
		config.vlans = false;
		datapath = fixture_start(&config, true);
		assert_false(fixture_has_hook(datapath, "core0", "tc-ingress"));
		assert_int_equal(fixture_tcx_count("core0", true), 0);
		assert_false(has_filter("core0", "ingress"));
		assert_true(fixture_hook(datapath, "core0", "tc-egress").attached);
		fixture_close(datapath);
		config.vlans = true;
		datapath = fixture_start(&config, true);
		assert_int_equal(sl_datapath_detach(datapath, &err), 0);
		fixture_close(datapath);
		assert_int_equal(fixture_tcx_count("core0", true), 0);
		assert_false(has_clsact("core0"));
		assert_true(pins_are_gone());
	}
}

static void a_core_device_without_ethernet_header_is_refused_where_an_apn_has_a_vlan(void **state)
{
	struct sl_datapath_config config = fixture_config();
	struct sl_datapath *datapath;
	struct sl_error err = {""};

	(void)state;
	fixture_run("ip tuntap add dev tun7 mode tun && ip link set tun7 up");
	snprintf(config.device[1].name, sizeof(config.device[1].name), "tun7");
	config.vlans = true;
	datapath = fixture_open(&config, false);
	assert_int_equal(sl_datapath_attach(datapath, &err), -EOPNOTSUPP);
	assert_non_null(strstr(err.text, "tun7 has no Ethernet header"));
	assert_int_equal(fixture_tcx_count("access0", true), 0);
	fixture_close(datapath);
	config.vlans = false;
	fixture_close(fixture_start(&config, true));
	fixture_run("ip link del tun7");
}

static void an_interface_with_a_dot_in_its_name_survives_a_restart(void **state)
{
	struct sl_datapath_config config = fixture_config();
	struct sl_datapath *datapath;

	(void)state;
	fixture_need_tcx();
	fixture_run("ip link add access0.7 type veth peer name ue7 && ip link set access0.7 up");
	snprintf(config.device[0].name, sizeof(config.device[0].name), "access0.7");
	fixture_close(fixture_start(&config, false));
	datapath = fixture_start(&config, true);
	assert_true(fixture_hook(datapath, "access0.7", "tc-ingress").attached);
	assert_int_equal(fixture_tcx_count("access0.7", true), 1);
	fixture_close(datapath);
	fixture_run("ip link del access0.7");
}

static void a_device_without_ethernet_header_gets_the_programs_made_for_it(void **state)
{
	struct sl_datapath_config config = fixture_config();
	struct sl_datapath *datapath;
	struct sl_hook_status hook;

	(void)state;
	fixture_need_tcx();
	fixture_run("ip tuntap add dev tun7 mode tun && ip link set tun7 up");
	snprintf(config.device[0].name, sizeof(config.device[0].name), "tun7");
	config.mode = SL_MODE_XDP;
	datapath = fixture_start(&config, false);
	hook = fixture_hook(datapath, "tun7", "tc-ingress");
	assert_true(hook.attached);
	assert_non_null(strstr(hook.reason, "no Ethernet header"));
	assert_false(fixture_has_hook(datapath, "tun7", "xdp"));
	/* the kernel keeps 15 characters of a name */
	assert_string_equal(fixture_tcx_program("tun7", true).name, "access_ingress_");
	assert_string_equal(fixture_tcx_program("tun7", false).name, "access_egress_l");
	fixture_close(datapath);
	fixture_run("ip link del tun7");
}

static void a_foreign_tcx_program_stays_and_ours_runs_first(void **state)
{
	struct sl_datapath_config config = fixture_config();
	_cleanup_fd_ int foreign = fixture_program(BPF_PROG_TYPE_SCHED_CLS, "foreign_tc", TCX_NEXT);
	struct sl_datapath *datapath;
	struct sl_error err = {""};

	(void)state;
	fixture_need_tcx();
	assert_int_equal(fixture_tcx_attach(foreign, "access0", true, false), 0);
	datapath = fixture_start(&config, false);
	assert_int_equal(fixture_tcx_count("access0", true), 2);
	assert_null(strstr(fixture_hook(datapath, "access0", "tc-ingress").reason, "NOT the first"));
	assert_int_equal(sl_datapath_detach(datapath, &err), 0);
	fixture_close(datapath);
	assert_int_equal(fixture_tcx_count("access0", true), 1);
	assert_int_equal(fixture_tcx_detach(foreign, "access0", true), 0);
}

static void a_foreign_program_that_put_itself_before_ours_is_told(void **state)
{
	struct sl_datapath_config config = fixture_config();
	_cleanup_fd_ int foreign = fixture_program(BPF_PROG_TYPE_SCHED_CLS, "foreign_tc", TCX_NEXT);
	struct sl_datapath *datapath;
	struct sl_hook_status hook;

	(void)state;
	fixture_need_tcx();
	datapath = fixture_start(&config, false);
	assert_int_equal(fixture_tcx_attach(foreign, "access0", true, true), 0);
	hook = fixture_hook(datapath, "access0", "tc-ingress");
	assert_true(hook.attached);
	assert_non_null(strstr(hook.reason, "NOT the first"));
	assert_int_equal(fixture_tcx_detach(foreign, "access0", true), 0);
	fixture_close(datapath);
}

static void without_tcx_the_hooks_are_clsact_filters(void **state)
{
	struct sl_datapath_config config = fixture_config();
	struct sl_datapath *datapath;
	struct sl_hook_status hook;
	struct sl_error err = {""};

	(void)state;
	setenv("SLUICE_NO_TCX", "1", 1);
	datapath = fixture_start(&config, false);
	hook = fixture_hook(datapath, "access0", "tc-ingress");
	assert_string_equal(hook.mechanism, "clsact");
	assert_true(hook.attached);
	assert_true(fixture_hook(datapath, "core0", "tc-egress").attached);
	assert_true(has_filter("access0", "ingress"));
	assert_true(has_filter("access0", "egress"));
	assert_true(has_filter("core0", "egress"));
	assert_false(has_filter("core0", "ingress"));
	assert_int_equal(fixture_tcx_count("access0", true), 0);

	fixture_run("tc filter del dev access0 ingress");
	assert_false(fixture_hook(datapath, "access0", "tc-ingress").attached);
	fixture_attach(datapath);
	assert_true(fixture_hook(datapath, "access0", "tc-ingress").attached);

	assert_int_equal(sl_datapath_detach(datapath, &err), 0);
	fixture_close(datapath);
	assert_false(has_clsact("access0"));
	assert_false(has_clsact("core0"));
	assert_true(pins_are_gone());
}

static void a_restart_replaces_the_clsact_filter(void **state)
{
	struct sl_datapath_config config = fixture_config();
	struct sl_datapath *datapath;

	(void)state;
	setenv("SLUICE_NO_TCX", "1", 1);
	fixture_close(fixture_start(&config, false));
	datapath = fixture_start(&config, true);
	assert_true(fixture_hook(datapath, "access0", "tc-ingress").attached);
	fixture_close(datapath);
	fixture_run("test $(tc filter show dev access0 ingress | grep -c 'handle 0x') -eq 1");
	fixture_run("test $(ls %s/hooks | grep -c +new) -eq 0", fixture_pin_path());
}

static void a_start_that_died_while_replacing_a_clsact_filter_is_recovered(void **state)
{
	struct sl_datapath_config config = fixture_config();
	struct sl_datapath *datapath;
	struct sl_error err = {""};

	(void)state;
	setenv("SLUICE_NO_TCX", "1", 1);
	fixture_close(fixture_start(&config, false));
	/* as it is between the replacement and the rename: the filter runs what is pinned as +new */
	fixture_run("cd %s/hooks && mv tc-ingress-* $(ls -d tc-ingress-*)+new", fixture_pin_path());
	datapath = fixture_start(&config, true);
	assert_true(fixture_hook(datapath, "access0", "tc-ingress").attached);
	fixture_run("test $(tc filter show dev access0 ingress | grep -c 'handle 0x') -eq 1");
	assert_int_equal(sl_datapath_detach(datapath, &err), 0);
	fixture_close(datapath);
	assert_true(pins_are_gone());
}

static void a_foreign_clsact_and_its_filters_stay(void **state)
{
	struct sl_datapath_config config = fixture_config();
	struct sl_datapath *datapath;
	struct sl_error err = {""};

	(void)state;
	setenv("SLUICE_NO_TCX", "1", 1);
	fixture_run("tc qdisc add dev access0 clsact");
	fixture_run("tc filter add dev access0 ingress pref 9 protocol ip u32 match u32 0 0 flowid 1:1");
	datapath = fixture_start(&config, false);
	assert_int_equal(sl_datapath_detach(datapath, &err), 0);
	fixture_close(datapath);
	assert_true(has_clsact("access0"));
	assert_true(fixture_succeeds("tc filter show dev access0 ingress | grep -q 'pref 9 u32'"));
	assert_false(has_filter("access0", "ingress"));
	assert_false(has_clsact("core0"));
}

static void a_clsact_of_ours_that_others_use_meanwhile_stays(void **state)
{
	struct sl_datapath_config config = fixture_config();
	struct sl_datapath *datapath;
	struct sl_error err = {""};

	(void)state;
	setenv("SLUICE_NO_TCX", "1", 1);
	datapath = fixture_start(&config, false);
	fixture_run("tc filter add dev access0 egress pref 9 protocol ip u32 match u32 0 0 flowid 1:1");
	assert_int_equal(sl_datapath_detach(datapath, &err), 0);
	fixture_close(datapath);
	assert_true(fixture_succeeds("tc filter show dev access0 egress | grep -q 'pref 9 u32'"));
	assert_false(has_filter("access0", "egress"));
	assert_true(pins_are_gone());
}

static void a_foreign_filter_in_our_place_is_named_and_left_alone(void **state)
{
	struct sl_datapath_config config = fixture_config();
	struct sl_datapath *datapath;
	struct sl_error err = {""};

	(void)state;
	setenv("SLUICE_NO_TCX", "1", 1);
	fixture_run("tc qdisc add dev access0 clsact");
	fixture_run("tc filter add dev access0 ingress pref 1 protocol ip u32 match u32 0 0 flowid 1:1");
	datapath = fixture_open(&config, false);
	assert_int_equal(sl_datapath_attach(datapath, &err), -EEXIST);
	assert_non_null(strstr(err.text, "access0"));
	assert_non_null(strstr(err.text, "u32"));
	assert_true(fixture_succeeds("tc filter show dev access0 ingress | grep -q 'pref 1 u32'"));
	fixture_close(datapath);
}

static void from_clsact_to_tcx_and_back_one_program_remains(void **state)
{
	struct sl_datapath_config config = fixture_config();

	(void)state;
	fixture_need_tcx();
	setenv("SLUICE_NO_TCX", "1", 1);
	fixture_close(fixture_start(&config, false));
	unsetenv("SLUICE_NO_TCX");
	fixture_close(fixture_start(&config, true));
	assert_int_equal(fixture_tcx_count("access0", true), 1);
	assert_false(has_clsact("access0"));
	setenv("SLUICE_NO_TCX", "1", 1);
	fixture_close(fixture_start(&config, true));
	assert_int_equal(fixture_tcx_count("access0", true), 0);
	assert_true(has_filter("access0", "ingress"));
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_devices, fixture_no_devices)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(access_devices_get_both_directions_and_core_devices_egress_only),
		TEST(the_hooks_stay_when_the_agent_goes),
		TEST(a_restart_takes_over_the_links_and_adds_none),
		TEST(attaching_twice_changes_nothing),
		TEST(detaching_leaves_nothing),
		TEST(pins_alone_are_enough_to_detach),
		TEST(a_missing_interface_is_an_error_and_leaves_no_hook),
		TEST(an_interface_named_twice_is_refused),
		TEST(a_start_that_fails_takes_its_new_hooks_off_again),
		TEST(a_device_made_anew_is_attached_anew),
		TEST(a_device_made_anew_under_the_same_ifindex_is_attached_anew),
		TEST(a_device_that_left_the_configuration_loses_its_hooks),
		TEST(core_devices_get_ingress_too_as_long_as_an_apn_has_a_vlan),
		TEST(a_core_device_without_ethernet_header_is_refused_where_an_apn_has_a_vlan),
		TEST(an_interface_with_a_dot_in_its_name_survives_a_restart),
		TEST(a_device_without_ethernet_header_gets_the_programs_made_for_it),
		TEST(a_foreign_tcx_program_stays_and_ours_runs_first),
		TEST(a_foreign_program_that_put_itself_before_ours_is_told),
		TEST(without_tcx_the_hooks_are_clsact_filters),
		TEST(a_restart_replaces_the_clsact_filter),
		TEST(a_start_that_died_while_replacing_a_clsact_filter_is_recovered),
		TEST(a_foreign_clsact_and_its_filters_stay),
		TEST(a_clsact_of_ours_that_others_use_meanwhile_stays),
		TEST(a_foreign_filter_in_our_place_is_named_and_left_alone),
		TEST(from_clsact_to_tcx_and_back_one_program_remains),
	};

	return cmocka_run_group_tests_name("datapath: tc hooks", tests, fixture_setup, fixture_teardown);
}
