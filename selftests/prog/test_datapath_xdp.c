// SPDX-License-Identifier: Apache-2.0
/* The XDP hook: when it is used, what replaces it, what of others is left alone. */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/if_link.h>
#include <net/if.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <xdp/libxdp.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "datapath_fixture.h"

#define XDP_PASS_VERDICT 2

static uint32_t xdp_program(const char *interface)
{
	uint32_t id = 0;

	assert_int_equal(bpf_xdp_query_id((int)if_nametoindex(interface), 0, &id), 0);
	return id;
}

static struct sl_datapath_config xdp_config(void)
{
	struct sl_datapath_config config = fixture_config();

	config.mode = SL_MODE_XDP;
	return config;
}

static void mode_tc_attaches_no_xdp(void **state)
{
	struct sl_datapath_config config = fixture_config();
	struct sl_datapath *datapath = fixture_start(&config, false);

	(void)state;
	assert_int_equal(xdp_program("access0"), 0);
	assert_false(fixture_has_hook(datapath, "access0", "xdp"));
	fixture_close(datapath);
}

static void mode_auto_spares_veth_its_segmentation_offload_and_says_so(void **state)
{
	struct sl_datapath_config config = fixture_config();
	struct sl_datapath *datapath;

	(void)state;
	config.mode = SL_MODE_AUTO;
	datapath = fixture_start(&config, false);
	assert_int_equal(xdp_program("access0"), 0);
	assert_non_null(strstr(fixture_hook(datapath, "access0", "tc-ingress").reason, "veth"));
	assert_non_null(strstr(fixture_hook(datapath, "access0", "tc-ingress").reason, "TSO"));
	fixture_close(datapath);
}

static void mode_xdp_attaches_to_access_devices_only_and_keeps_the_tc_hooks(void **state)
{
	struct sl_datapath_config config = xdp_config();
	struct sl_datapath *datapath = fixture_start(&config, false);
	struct sl_hook_status hook = fixture_hook(datapath, "access0", "xdp");

	(void)state;
	assert_true(hook.attached);
	/* by libxdp's dispatcher, or alone where the kernel refuses it */
	assert_true(strcmp(hook.mechanism, "xdp-native") == 0 ||
		    strcmp(hook.mechanism, "xdp-dispatcher") == 0);
	assert_true(hook.reason[0]);
	assert_int_not_equal(xdp_program("access0"), 0);
	assert_int_equal(xdp_program("core0"), 0);
	assert_true(fixture_hook(datapath, "access0", "tc-ingress").attached);
	assert_true(fixture_hook(datapath, "access0", "tc-egress").attached);
	fixture_close(datapath);
	assert_int_not_equal(xdp_program("access0"), 0);
}

static void where_native_xdp_is_refused_mode_xdp_is_generic_and_says_so(void **state)
{
	struct sl_datapath_config config = xdp_config();
	struct sl_datapath *datapath;
	struct sl_hook_status hook;

	(void)state;
	/* lo has no native XDP */
	snprintf(config.device[0].name, sizeof(config.device[0].name), "lo");
	datapath = fixture_start(&config, false);
	hook = fixture_hook(datapath, "lo", "xdp");
	assert_true(hook.attached);
	assert_string_equal(hook.mechanism, "xdp-generic");
	assert_non_null(strstr(hook.reason, "native XDP fails"));
	fixture_close(datapath);
	datapath = fixture_start(&config, true);
	assert_string_equal(fixture_hook(datapath, "lo", "xdp").mechanism, "xdp-generic");
	fixture_close(datapath);
}

struct watch {
	int ifindex;
	atomic_bool stop;
	atomic_uint looks;
	atomic_uint missing;
};

static void *look_for_gaps(void *argument)
{
	struct watch *watch = argument;

	while (!watch->stop) {
		uint32_t id = 0;

		if (bpf_xdp_query_id(watch->ifindex, 0, &id) < 0 || id == 0)
			watch->missing++;
		watch->looks++;
		usleep(100);
	}
	return NULL;
}

static void a_restart_replaces_the_program_without_a_gap(void **state)
{
	struct sl_datapath_config config = xdp_config();
	struct sl_datapath *datapath = fixture_start(&config, false);
	struct watch watch = {.ifindex = (int)if_nametoindex("access0")};
	uint32_t before = xdp_program("access0");
	pthread_t thread;

	(void)state;
	fixture_close(datapath);
	assert_int_equal(pthread_create(&thread, NULL, look_for_gaps, &watch), 0);
	for (int i = 0; i < 10; i++) {
		unsigned int looks = watch.looks;

		datapath = fixture_start(&config, true);
		assert_true(fixture_hook(datapath, "access0", "xdp").attached);
		fixture_close(datapath);
		assert_int_not_equal(xdp_program("access0"), before);
		before = xdp_program("access0");
		assert_true(watch.looks > looks);
	}
	watch.stop = true;
	pthread_join(thread, NULL);
	assert_int_equal(watch.missing, 0);
}

static void a_foreign_xdp_program_is_named_and_left_alone(void **state)
{
	struct sl_datapath_config config = xdp_config();
	_cleanup_fd_ int foreign = fixture_program(BPF_PROG_TYPE_XDP, "foreign_xdp", XDP_PASS_VERDICT);
	struct sl_datapath *datapath = fixture_open(&config, false);
	struct sl_error err = {""};
	char number[16];
	uint32_t id;

	(void)state;
	assert_int_equal(bpf_xdp_attach((int)if_nametoindex("access0"), foreign, XDP_FLAGS_DRV_MODE, NULL),
			 0);
	id = xdp_program("access0");
	snprintf(number, sizeof(number), "%u", id);
	assert_int_equal(sl_datapath_attach(datapath, &err), -EEXIST);
	assert_non_null(strstr(err.text, "access0"));
	assert_non_null(strstr(err.text, "foreign_xdp"));
	assert_non_null(strstr(err.text, number));
	assert_int_equal(xdp_program("access0"), id);
	/* and no tc hook was left behind */
	assert_int_equal(fixture_tcx_count("access0", true), 0);
	assert_int_equal(sl_datapath_detach(datapath, &err), 0);
	assert_int_equal(xdp_program("access0"), id);
	fixture_close(datapath);
}

static void a_foreign_program_that_took_our_place_survives_detaching(void **state)
{
	struct sl_datapath_config config = xdp_config();
	_cleanup_fd_ int foreign = fixture_program(BPF_PROG_TYPE_XDP, "foreign_xdp", XDP_PASS_VERDICT);
	struct sl_datapath *datapath = fixture_start(&config, false);
	struct sl_error err = {""};
	uint32_t id;

	(void)state;
	assert_int_equal(bpf_xdp_attach((int)if_nametoindex("access0"), foreign, XDP_FLAGS_DRV_MODE, NULL),
			 0);
	id = xdp_program("access0");
	assert_false(fixture_hook(datapath, "access0", "xdp").attached);
	assert_int_equal(sl_datapath_detach(datapath, &err), 0);
	assert_int_equal(xdp_program("access0"), id);
	fixture_close(datapath);
}

static void our_program_whose_pin_is_lost_is_known_by_its_maps(void **state)
{
	struct sl_datapath_config config = xdp_config();
	struct sl_datapath *datapath = fixture_start(&config, false);
	uint32_t before = xdp_program("access0");

	(void)state;
	fixture_close(datapath);
	fixture_run("rm %s/hooks/xdp-*", fixture_pin_path());
	datapath = fixture_start(&config, true);
	assert_true(fixture_hook(datapath, "access0", "xdp").attached);
	assert_int_not_equal(xdp_program("access0"), before);
	fixture_close(datapath);
}

static void a_start_that_died_before_it_settled_is_recovered(void **state)
{
	struct sl_datapath_config config = xdp_config();
	struct sl_datapath *datapath = fixture_start(&config, false);
	struct sl_error err = {""};

	(void)state;
	fixture_close(datapath);
	fixture_run("cd %s/hooks && mv xdp-* $(ls -d xdp-*)+new", fixture_pin_path());
	datapath = fixture_start(&config, true);
	assert_true(fixture_hook(datapath, "access0", "xdp").attached);
	assert_int_equal(sl_datapath_detach(datapath, &err), 0);
	assert_int_equal(xdp_program("access0"), 0);
	fixture_close(datapath);
}

static void changing_to_mode_tc_takes_xdp_off(void **state)
{
	struct sl_datapath_config config = xdp_config();
	struct sl_datapath *datapath = fixture_start(&config, false);

	(void)state;
	fixture_close(datapath);
	config.mode = SL_MODE_TC;
	datapath = fixture_start(&config, true);
	assert_int_equal(xdp_program("access0"), 0);
	assert_true(fixture_hook(datapath, "access0", "tc-ingress").attached);
	fixture_close(datapath);
}

static void detaching_takes_xdp_off(void **state)
{
	struct sl_datapath_config config = xdp_config();
	struct sl_datapath *datapath = fixture_start(&config, false);
	struct sl_error err = {""};

	(void)state;
	assert_int_equal(sl_datapath_detach(datapath, &err), 0);
	assert_int_equal(xdp_program("access0"), 0);
	assert_int_equal(fixture_tcx_count("access0", true), 0);
	fixture_close(datapath);
}

static int programs_in_dispatcher(const char *interface)
{
	struct xdp_multiprog *multi = xdp_multiprog__get_from_ifindex((int)if_nametoindex(interface));
	int count;

	if (libxdp_get_error(multi))
		return 0;
	count = xdp_multiprog__is_legacy(multi) ? -1 : xdp_multiprog__program_count(multi);
	xdp_multiprog__close(multi);
	return count;
}

static void in_a_dispatcher_ours_comes_and_goes_beside_those_of_others(void **state)
{
	DECLARE_LIBXDP_OPTS(xdp_program_opts, opts, .find_filename = "xdp-dispatcher.o",
			    .prog_name = "xdp_pass");
	struct xdp_program *foreign = xdp_program__create(&opts);
	struct sl_datapath_config config = xdp_config();
	int ifindex = (int)if_nametoindex("access0");
	struct sl_datapath *datapath;
	struct sl_error err = {""};

	(void)state;
	assert_int_equal(libxdp_get_error(foreign), 0);
	assert_int_equal(xdp_program__attach(foreign, ifindex, XDP_MODE_NATIVE, 0), 0);
	if (programs_in_dispatcher("access0") != 1) {
		xdp_program__close(foreign);
		print_message("SKIP: this kernel refuses libxdp's dispatcher\n");
		skip();
	}
	for (int start = 0; start < 3; start++) {
		datapath = fixture_start(&config, start > 0);
		assert_string_equal(fixture_hook(datapath, "access0", "xdp").mechanism, "xdp-dispatcher");
		assert_true(fixture_hook(datapath, "access0", "xdp").attached);
		assert_int_equal(programs_in_dispatcher("access0"), 2);
		fixture_close(datapath);
	}
	/* a lost pin must not double it */
	fixture_run("rm %s/hooks/xdp-*", fixture_pin_path());
	datapath = fixture_start(&config, true);
	assert_int_equal(programs_in_dispatcher("access0"), 2);
	assert_int_equal(sl_datapath_detach(datapath, &err), 0);
	fixture_close(datapath);
	assert_int_equal(programs_in_dispatcher("access0"), 1);
	assert_true(xdp_program__is_attached(foreign, ifindex) == XDP_MODE_NATIVE);
	assert_int_equal(xdp_program__detach(foreign, ifindex, XDP_MODE_NATIVE, 0), 0);
	xdp_program__close(foreign);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_devices, fixture_no_devices)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(mode_tc_attaches_no_xdp),
		TEST(mode_auto_spares_veth_its_segmentation_offload_and_says_so),
		TEST(mode_xdp_attaches_to_access_devices_only_and_keeps_the_tc_hooks),
		TEST(where_native_xdp_is_refused_mode_xdp_is_generic_and_says_so),
		TEST(a_restart_replaces_the_program_without_a_gap),
		TEST(a_foreign_xdp_program_is_named_and_left_alone),
		TEST(a_foreign_program_that_took_our_place_survives_detaching),
		TEST(our_program_whose_pin_is_lost_is_known_by_its_maps),
		TEST(a_start_that_died_before_it_settled_is_recovered),
		TEST(changing_to_mode_tc_takes_xdp_off),
		TEST(detaching_takes_xdp_off),
		TEST(in_a_dispatcher_ours_comes_and_goes_beside_those_of_others),
	};

	return cmocka_run_group_tests_name("datapath: XDP hook", tests, fixture_setup, fixture_teardown);
}
