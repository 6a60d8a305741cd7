// SPDX-License-Identifier: Apache-2.0
/* The queues on a real kernel: what is made, changed, adopted, refused and removed. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "qos/qos.h"
#include "qos_links.h"
#include "sluice/limits.h"

static double now(void)
{
	return qos_clock(CLOCK_MONOTONIC);
}

static struct sl_qos_pool_status status_of(const struct sl_qos *qos, enum sluice_direction direction)
{
	struct sl_qos_pool_status status;

	sl_qos_pool_status(qos, direction, &status);
	return status;
}

/* --- the tree --- */

static void open_makes_the_link_and_the_default_class_and_build_makes_the_pool(void **state)
{
	struct sl_qos_config config = qos_config_of(POOL, "up0", NULL, "down0");
	struct sl_qos *qos = qos_open(&config);
	struct sl_error err = {""};

	(void)state;
	assert_int_equal(qos_look("up0")->classes, 1);
	assert_int_equal(status_of(qos, SLUICE_UPLINK).ready, 0);
	assert_int_equal(sl_qos_build(qos, 16, &err), 1);
	assert_int_equal(status_of(qos, SLUICE_UPLINK).ready, 8);
	assert_int_equal(status_of(qos, SLUICE_DOWNLINK).ready, 8);
	qos_build_all(qos);
	assert_int_equal(sl_qos_build(qos, 16, &err), 0);
	assert_int_equal(status_of(qos, SLUICE_UPLINK).ready, POOL);
	assert_int_equal(status_of(qos, SLUICE_DOWNLINK).ready, POOL);
	assert_int_equal(qos_look("up0")->with_leaf, POOL + 1);
	assert_int_equal(qos_look("down0")->with_leaf, POOL + 1);
	assert_true(qos_tool_says("tc qdisc show dev up0", "qdisc htb 7ffe: root"));
	assert_true(qos_tool_says("tc qdisc show dev up0", "default 0x2"));
	assert_true(qos_tool_says("tc class show dev up0", "class htb 7ffe:1 root rate 10Gbit ceil 10Gbit"));
	assert_true(qos_tool_says("tc class show dev up0",
				  "class htb 7ffe:2 parent 7ffe:1 leaf 2: prio 1 rate 8Kbit ceil 10Gbit"));
	assert_true(qos_tool_says("tc class show dev up0",
				  "class htb 7ffe:2f parent 7ffe:1 leaf 2f: prio 1 rate 8Kbit ceil 10Gbit"));
	assert_true(qos_tool_says("tc qdisc show dev up0", "qdisc tbf 2f: parent 7ffe:2f rate 8Tbit"));
	sl_qos_close(qos);
}

static void the_default_class_takes_its_rate_from_the_configuration(void **state)
{
	struct sl_qos_config config = qos_config_of(POOL, "up0", NULL, NULL);

	(void)state;
	config.default_rate = 300 * MBIT;
	sl_qos_close(qos_open(&config));
	assert_int_equal(qos_rate_on("up0", SLUICE_HTB_DEFAULT_MINOR), 300 * MBIT);
}

static void a_rate_above_four_gigabytes_a_second_is_kept(void **state)
{
	struct sl_qos_config config = qos_config_of(POOL, "up0", NULL, NULL);
	struct sl_qos *qos;
	uint16_t minor;

	(void)state;
	config.link_rate = 400 * GBIT;
	qos = qos_open(&config);
	qos_build_all(qos);
	assert_int_equal(sl_qos_assign(qos, SLUICE_UPLINK, MBR(100 * GBIT), &minor, NULL), 0);
	assert_int_equal(qos_rate_on("up0", minor), 100 * GBIT);
	assert_int_equal(qos_rate_on("up0", SLUICE_HTB_DEFAULT_MINOR), 400 * GBIT);
	sl_qos_close(qos);
}

static void a_device_with_jumbo_frames_gets_a_size_table_too(void **state)
{
	struct sl_qos_config config = qos_config_of(POOL, "up0", "up1", NULL);

	(void)state;
	qos_shell("ip link set up0 mtu 9000 && ip link set up1 mtu 65535");
	sl_qos_close(qos_open(&config));
	assert_true(qos_tool_says("tc -d qdisc show dev up0", "overhead -14 mtu 9000 tsize 26844"));
	assert_true(qos_tool_says("tc -d qdisc show dev up1", "overhead -14 mtu 65535 tsize 31896"));
	assert_true(qos_tool_says("tc qdisc show dev up0 invisible", "bfifo"));
	/* and again when the table is replaced under a qdisc that exists */
	qos_shell("ip link set up0 mtu 1500");
	sl_qos_close(qos_open(&config));
	assert_true(qos_tool_says("tc -d qdisc show dev up0", "overhead -14 mtu 1500 tsize 5792"));
}

static void a_device_without_a_link_header_loses_nothing_to_the_size_table(void **state)
{
	struct sl_qos_config config;

	(void)state;
	if (access("/dev/net/tun", R_OK) < 0)
		skip();
	qos_shell("ip tuntap add dev tun0 mode tun && ip link set tun0 up");
	config = qos_config_of(POOL, "tun0", NULL, NULL);
	sl_qos_close(qos_open(&config));
	assert_true(qos_tool_says("tc -d qdisc show dev tun0", "mtu 1500 tsize 5792"));
	assert_false(qos_tool_says("tc -d qdisc show dev tun0", "overhead"));
	qos_shell("ip link del tun0");
}

static void assign_change_and_release_move_the_rate_of_one_class(void **state)
{
	struct sl_qos_config config = qos_config_of(POOL, "up0", NULL, "down0");
	struct sl_qos *qos = qos_open(&config);
	uint16_t first, second;

	(void)state;
	qos_build_all(qos);
	assert_int_equal(sl_qos_assign(qos, SLUICE_UPLINK, MBR(5 * MBIT), &first, NULL), 0);
	assert_int_equal(sl_qos_assign(qos, SLUICE_UPLINK, MBR(7 * MBIT), &second, NULL), 0);
	assert_int_not_equal(first, second);
	assert_int_equal(qos_rate_on("up0", first), 5 * MBIT);
	assert_int_equal(qos_rate_on("up0", second), 7 * MBIT);
	assert_int_equal(qos_rate_on("down0", first), 10 * GBIT);
	assert_int_equal(status_of(qos, SLUICE_UPLINK).used, 2);
	assert_int_equal(status_of(qos, SLUICE_DOWNLINK).used, 0);
	assert_int_equal(sl_qos_change(qos, SLUICE_UPLINK, first, MBR(8000), NULL), 0);
	assert_int_equal(qos_rate_on("up0", first), 8000);
	assert_true(qos_tool_says("tc -r qdisc show dev up0 invisible", "limit 15000b"));
	sl_qos_release(qos, SLUICE_UPLINK, first);
	assert_int_equal(qos_rate_on("up0", first), 10 * GBIT);
	assert_int_equal(qos_rate_on("up0", second), 7 * MBIT);
	assert_int_equal(status_of(qos, SLUICE_UPLINK).used, 1);
	sl_qos_close(qos);
}

static void a_full_pool_is_enospc_and_says_how_many_are_in_use(void **state)
{
	struct sl_qos_config config = qos_config_of(4, "up0", NULL, NULL);
	struct sl_qos *qos = qos_open(&config);
	struct sl_error err = {""};
	uint16_t minor = 0;

	(void)state;
	assert_int_equal(sl_qos_assign(qos, SLUICE_UPLINK, MBR(MBIT), &minor, &err), -ENOSPC);
	assert_string_equal(err.text,
			    "no uplink class is free: 0 of 0 that are built are in use, qos.pool is 4");
	qos_build_all(qos);
	for (int i = 0; i < 4; i++)
		assert_int_equal(sl_qos_assign(qos, SLUICE_UPLINK, MBR(MBIT), &minor, &err), 0);
	sl_qos_release(qos, SLUICE_UPLINK, minor);
	assert_int_equal(sl_qos_assign(qos, SLUICE_UPLINK, MBR(MBIT), &minor, &err), 0);
	minor = 0;
	assert_int_equal(sl_qos_assign(qos, SLUICE_UPLINK, MBR(MBIT), &minor, &err), -ENOSPC);
	assert_int_equal(minor, 0);
	assert_string_equal(err.text,
			    "no uplink class is free: 4 of 4 that are built are in use, qos.pool is 4");
	assert_int_equal(sl_qos_assign(qos, SLUICE_DOWNLINK, MBR(MBIT), &minor, &err), 0);
	sl_qos_close(qos);
}

static void a_rate_below_8_kbit_is_refused_with_its_value_and_one_above_the_link_is_the_link(void **state)
{
	struct sl_qos_config config = qos_config_of(4, "up0", NULL, NULL);
	struct sl_qos *qos = qos_open(&config);
	struct sl_error err = {""};
	uint16_t minor;

	(void)state;
	qos_build_all(qos);
	assert_int_equal(sl_qos_assign(qos, SLUICE_UPLINK, MBR(7999), &minor, &err), -ERANGE);
	assert_string_equal(err.text, "uplink MBR: rate 7999 bit/s is below 8000 bit/s");
	assert_int_equal(status_of(qos, SLUICE_UPLINK).used, 0);
	assert_int_equal(sl_qos_change(qos, SLUICE_UPLINK, 8, MBR(MBIT), &err), -ENOENT);
	assert_int_equal(sl_qos_assign(qos, SLUICE_UPLINK, MBR(11 * GBIT), &minor, &err), 0);
	assert_int_equal(qos_rate_on("up0", minor), 10 * GBIT);
	assert_int_equal(sl_qos_change(qos, SLUICE_UPLINK, minor, MBR(MBIT), &err), 0);
	assert_int_equal(sl_qos_change(qos, SLUICE_UPLINK, minor, MBR(12 * GBIT), &err), 0);
	assert_int_equal(qos_rate_on("up0", minor), 10 * GBIT);
	assert_int_equal(sl_qos_assign(qos, SLUICE_UPLINK,
				       &(struct sl_qos_rates){.gbr = 11 * GBIT, .mbr = 12 * GBIT}, &minor,
				       &err),
			 -ERANGE);
	assert_string_equal(err.text, "GBR 11000000000 bit/s is above qos.link_rate 10000000000 bit/s");
	assert_int_equal(sl_qos_change(qos, SLUICE_UPLINK, 12, MBR(MBIT), &err), -ERANGE);
	assert_int_equal(sl_qos_change(qos, SLUICE_UPLINK, 2, MBR(MBIT), &err), -ERANGE);
	sl_qos_close(qos);
}

/* --- restart --- */

static void classes_survive_a_restart_and_are_adopted_with_their_rates(void **state)
{
	struct sl_qos_config config = qos_config_of(POOL, "up0", "up1", "down0");
	struct sl_qos *qos = qos_open(&config);
	struct sl_error err = {""};
	uint16_t used[3], fresh;

	(void)state;
	qos_build_all(qos);
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(sl_qos_assign(qos, SLUICE_UPLINK, MBR((i + 1) * MBIT + 1), &used[i], NULL),
				 0);
	sl_qos_close(qos);
	assert_int_equal(qos_rate_on("up0", used[1]), 2 * MBIT + 8);

	qos = qos_open(&config);
	assert_int_equal(status_of(qos, SLUICE_UPLINK).ready, POOL);
	assert_int_equal(status_of(qos, SLUICE_UPLINK).used, 0);
	assert_int_equal(sl_qos_build(qos, 16, &err), 0);
	for (unsigned int i = 0; i < 2; i++)
		assert_int_equal(sl_qos_adopt(qos, SLUICE_UPLINK, used[i], MBR((i + 1) * MBIT + 1), &err), 0);
	assert_int_equal(sl_qos_adopt(qos, SLUICE_UPLINK, used[2], MBR(9 * MBIT), &err), 0);
	assert_int_equal(qos_rate_on("up0", used[1]), 2 * MBIT + 8);
	assert_int_equal(qos_rate_on("up1", used[2]), 9 * MBIT);
	assert_int_equal(status_of(qos, SLUICE_UPLINK).used, 3);
	assert_int_equal(sl_qos_adopt(qos, SLUICE_UPLINK, used[0], MBR(MBIT), &err), -EEXIST);
	assert_int_equal(sl_qos_adopt(qos, SLUICE_UPLINK, POOL + 8, MBR(MBIT), &err), -ERANGE);
	for (unsigned int i = 3; i < POOL; i++) {
		assert_int_equal(sl_qos_assign(qos, SLUICE_UPLINK, MBR(MBIT), &fresh, &err), 0);
		for (unsigned int j = 0; j < 3; j++)
			assert_int_not_equal(fresh, used[j]);
	}
	assert_int_equal(sl_qos_assign(qos, SLUICE_UPLINK, MBR(MBIT), &fresh, &err), -ENOSPC);
	sl_qos_close(qos);
}

static void adoption_does_not_disturb_a_class_whose_rate_is_right(void **state)
{
	struct sl_qos_config config = qos_config_of(4, "up0", NULL, NULL);
	struct sl_qos *qos = qos_open(&config);
	uint16_t minor;

	(void)state;
	qos_build_all(qos);
	assert_int_equal(sl_qos_assign(qos, SLUICE_UPLINK, MBR(3 * MBIT), &minor, NULL), 0);
	sl_qos_close(qos);
	/* a mark that any change of the class would overwrite */
	qos_shell("tc class change dev up0 parent 7ffe:1 classid 7ffe:8 htb rate 8kbit ceil 3mbit quantum "
		  "7777");
	assert_int_equal(minor, 8);
	qos = qos_open(&config);
	assert_int_equal(sl_qos_adopt(qos, SLUICE_UPLINK, minor, MBR(3 * MBIT), NULL), 0);
	assert_true(qos_tool_says("tc -d class show dev up0", "quantum 7777"));
	assert_int_equal(sl_qos_change(qos, SLUICE_UPLINK, minor, MBR(4 * MBIT), NULL), 0);
	assert_false(qos_tool_says("tc -d class show dev up0", "quantum 7777"));
	sl_qos_close(qos);
}

static void a_device_that_came_since_gets_the_classes_in_use_at_adoption(void **state)
{
	struct sl_qos_config before = qos_config_of(POOL, "up0", NULL, NULL);
	struct sl_qos_config after = qos_config_of(POOL, "up0", "up1", NULL);
	struct sl_qos *qos = qos_open(&before);
	uint16_t minor;

	(void)state;
	qos_build_all(qos);
	assert_int_equal(sl_qos_assign(qos, SLUICE_UPLINK, MBR(5 * MBIT), &minor, NULL), 0);
	sl_qos_close(qos);
	qos = qos_open(&after);
	assert_int_equal(status_of(qos, SLUICE_UPLINK).ready, 0);
	assert_int_equal(sl_qos_adopt(qos, SLUICE_UPLINK, minor, MBR(5 * MBIT), NULL), 0);
	assert_int_equal(qos_rate_on("up1", minor), 5 * MBIT);
	qos_build_all(qos);
	assert_int_equal(qos_rate_on("up0", minor), 5 * MBIT);
	assert_int_equal(qos_look("up1")->with_leaf, POOL + 1);
	assert_int_equal(status_of(qos, SLUICE_UPLINK).used, 1);
	sl_qos_close(qos);
}

static void a_class_without_its_leaf_is_built_again(void **state)
{
	struct sl_qos_config config = qos_config_of(POOL, "up0", NULL, NULL);
	struct sl_qos *qos = qos_open(&config);

	(void)state;
	qos_build_all(qos);
	sl_qos_close(qos);
	qos_shell("tc qdisc del dev up0 parent 7ffe:9 && tc class del dev up0 classid 7ffe:b");
	qos = qos_open(&config);
	assert_int_equal(status_of(qos, SLUICE_UPLINK).ready, POOL - 2);
	qos_build_all(qos);
	assert_int_equal(qos_look("up0")->with_leaf, POOL + 1);
	sl_qos_close(qos);
}

/* --- others' queues --- */

static void a_foreign_root_qdisc_is_refused_by_name_and_nothing_is_touched(void **state)
{
	struct sl_qos_config config = qos_config_of(POOL, "up0", "up1", NULL);
	struct sl_qos *qos = NULL;
	struct sl_error err = {""};

	(void)state;
	qos_shell("tc qdisc add dev up1 root handle 12: pfifo limit 77");
	assert_int_equal(sl_qos_open(&config, &qos, &err), -EEXIST);
	assert_null(qos);
	assert_non_null(strstr(err.text, "interface up1 has a root qdisc that is not ours: pfifo 12:"));
	assert_true(qos_tool_says("tc qdisc show dev up1", "qdisc pfifo 12: root"));
	assert_true(qos_tool_says("tc qdisc show dev up1", "limit 77p"));
	assert_int_equal(qos_look("up0")->root.owner, SL_HTB_KERNEL);
	qos_shell("tc qdisc del dev up1 root && tc qdisc add dev up1 root handle 7ffe: bfifo");
	assert_int_equal(sl_qos_open(&config, &qos, &err), -EEXIST);
	assert_non_null(strstr(err.text, "bfifo 7ffe:"));
	qos_shell("tc qdisc del dev up1 root && tc qdisc add dev up1 root handle 7ffe: htb default 9");
	assert_int_equal(sl_qos_open(&config, &qos, &err), -EEXIST);
	assert_non_null(strstr(err.text, "htb 7ffe:"));
}

static void the_default_qdisc_of_the_kernel_is_not_foreign(void **state)
{
	struct sl_qos_config config = qos_config_of(POOL, "up0", NULL, NULL);

	(void)state;
	/* two queues: mq with handle 0, one with one: pfifo_fast or fq_codel */
	qos_shell(
		"ip link add up2 numtxqueues 2 numrxqueues 2 type veth peer name up2p && ip link set up2 up;"
		" tc qdisc replace dev up0 root pfifo && tc qdisc del dev up0 root");
	sl_qos_close(qos_open(&config));
	config = qos_config_of(POOL, "up2", NULL, NULL);
	sl_qos_close(qos_open(&config));
	assert_int_equal(qos_look("up2")->root.owner, SL_HTB_OURS);
	qos_shell("ip link del up2");
}

static void remove_leaves_the_kernels_default_and_others_queues(void **state)
{
	struct sl_qos_config config = qos_config_of(POOL, "up0", "up1", "down0");
	struct sl_qos *qos;
	struct sl_error err = {""};

	(void)state;
	qos_shell("tc qdisc add dev up0 clsact");
	qos = qos_open(&config);
	qos_build_all(qos);
	qos_shell("tc qdisc del dev up1 root && tc qdisc add dev up1 root handle 12: pfifo");
	qos_shell("ip link del down0");
	assert_int_equal(sl_qos_remove(qos, &err), 0);
	assert_int_equal(qos_look("up0")->root.owner, SL_HTB_KERNEL);
	assert_true(qos_tool_says("tc qdisc show dev up0", "clsact"));
	assert_true(qos_tool_says("tc qdisc show dev up1", "qdisc pfifo 12: root"));
	assert_int_equal(sl_qos_remove(qos, &err), 0);
	sl_qos_close(qos);
}

static void a_pool_of_size_0_means_no_queues_at_all(void **state)
{
	struct sl_qos_config config = qos_config_of(POOL, "up0", NULL, NULL);
	struct sl_qos *qos;
	struct sl_error err = {""};
	uint16_t minor;

	(void)state;
	sl_qos_close(qos_open(&config));
	config.pool_size = 0;
	qos_shell("tc qdisc add dev up1 root handle 12: pfifo");
	qos = qos_open(&config);
	assert_int_equal(qos_look("up0")->root.owner, SL_HTB_KERNEL);
	assert_int_equal(sl_qos_build(qos, 16, &err), 0);
	assert_int_equal(sl_qos_assign(qos, SLUICE_UPLINK, MBR(MBIT), &minor, &err), -ENOSPC);
	assert_string_equal(err.text, "no uplink class is free: qos.pool is 0");
	sl_qos_close(qos);
}

static void a_bad_configuration_is_refused_before_anything_is_made(void **state)
{
	struct sl_qos_config config = qos_config_of(POOL, "up0", "up0", NULL);
	struct sl_qos *qos = NULL;
	struct sl_error err = {""};

	(void)state;
	assert_int_equal(sl_qos_open(&config, &qos, &err), -EINVAL);
	assert_non_null(strstr(err.text, "up0"));
	config = qos_config_of(0x7ef9, "up0", NULL, NULL);
	assert_int_equal(sl_qos_open(&config, &qos, &err), -ERANGE);
	assert_non_null(strstr(err.text, "32505"));
	config = qos_config_of(POOL, "up0", NULL, NULL);
	config.default_rate = 11 * GBIT;
	assert_int_equal(sl_qos_open(&config, &qos, &err), -ERANGE);
	assert_non_null(strstr(err.text, "qos.default_rate 11000000000"));
	config = qos_config_of(POOL, "up0", NULL, NULL);
	config.devices[SLUICE_DOWNLINK].count = 1;
	config.devices[SLUICE_DOWNLINK].ifindex[0] = 4242;
	snprintf(config.devices[SLUICE_DOWNLINK].name[0], 16, "gone0");
	assert_int_equal(sl_qos_open(&config, &qos, &err), -ENODEV);
	assert_non_null(strstr(err.text, "gone0"));
	assert_int_equal(qos_look("up0")->root.owner, SL_HTB_KERNEL);
	assert_null(qos);
}

/* --- several devices --- */

static void one_minor_is_one_class_on_every_device_of_its_direction(void **state)
{
	struct sl_qos_config config = qos_config_of(POOL, "up0", "up1", "down0");
	struct sl_qos *qos = qos_open(&config);
	uint16_t minor;

	(void)state;
	qos_build_all(qos);
	assert_int_equal(sl_qos_assign(qos, SLUICE_UPLINK, MBR(5 * MBIT), &minor, NULL), 0);
	assert_int_equal(qos_rate_on("up0", minor), 5 * MBIT);
	assert_int_equal(qos_rate_on("up1", minor), 5 * MBIT);
	assert_int_equal(qos_rate_on("down0", minor), 10 * GBIT);
	assert_int_equal(sl_qos_change(qos, SLUICE_UPLINK, minor, MBR(6 * MBIT), NULL), 0);
	assert_int_equal(qos_rate_on("up1", minor), 6 * MBIT);
	sl_qos_close(qos);
}

static void a_change_that_fails_on_one_device_is_taken_back_on_the_others(void **state)
{
	struct sl_qos_config config = qos_config_of(POOL, "up0", "up1", NULL);
	struct sl_qos *qos = qos_open(&config);
	struct sl_error err = {""};
	uint16_t minor, other = 0;

	(void)state;
	qos_build_all(qos);
	assert_int_equal(sl_qos_assign(qos, SLUICE_UPLINK, MBR(5 * MBIT), &minor, NULL), 0);
	qos_shell("tc qdisc del dev up1 root");
	assert_int_equal(sl_qos_change(qos, SLUICE_UPLINK, minor, MBR(6 * MBIT), &err), -ENOENT);
	assert_non_null(strstr(err.text, "uplink class 7ffe:8: interface up1: set class 7ffe:8: "));
	assert_int_equal(qos_rate_on("up0", minor), 5 * MBIT);
	assert_int_equal(sl_qos_assign(qos, SLUICE_UPLINK, MBR(5 * MBIT), &other, &err), -ENOENT);
	assert_int_equal(other, 0);
	assert_int_equal(status_of(qos, SLUICE_UPLINK).used, 1);
	sl_qos_close(qos);
}

/* --- cost: printed, not judged --- */

static void the_pool_of_4096_is_built_in_chunks(void **state)
{
	struct sl_qos_config config = qos_config_of(4096, "up0", NULL, NULL);
	struct sl_qos *qos = qos_open(&config);
	double begin, longest = 0, total = 0, wall, assign, change, release, adopt;
	struct sl_qos_removal removal;
	struct sl_error err = {""};
	static uint16_t minor[4096];
	int more = 1;

	(void)state;
	/* the downlink has no device: its pool costs nothing and is built along */
	wall = now();
	while (more) {
		double took;

		/* the kernel works in the caller's time; neighbours on the machine do not count */
		begin = qos_clock(CLOCK_THREAD_CPUTIME_ID);
		more = sl_qos_build(qos, 64, &err);
		took = qos_clock(CLOCK_THREAD_CPUTIME_ID) - begin;
		if (more < 0)
			fail_msg("%s", err.text);
		total += took;
		longest = took > longest ? took : longest;
	}
	wall = now() - wall;
	assert_int_equal(qos_look("up0")->with_leaf, 4097);
	begin = now();
	for (unsigned int i = 0; i < 4096; i++)
		assert_int_equal(sl_qos_assign(qos, SLUICE_UPLINK, MBR(MBIT), &minor[i], &err), 0);
	assign = 4096 / (now() - begin);
	begin = now();
	for (unsigned int i = 0; i < 4096; i++)
		assert_int_equal(sl_qos_change(qos, SLUICE_UPLINK, minor[i], MBR(2 * MBIT), &err), 0);
	change = 4096 / (now() - begin);
	sl_qos_close(qos);
	begin = now();
	qos = qos_open(&config);
	for (unsigned int i = 0; i < 4096; i++)
		assert_int_equal(sl_qos_adopt(qos, SLUICE_UPLINK, minor[i], MBR(2 * MBIT), &err), 0);
	adopt = now() - begin;
	begin = now();
	for (unsigned int i = 0; i < 4096; i++)
		sl_qos_release(qos, SLUICE_UPLINK, minor[i]);
	release = 4096 / (now() - begin);
	print_message("4096 classes in chunks of 64: %.3f s (%.3f s of CPU), longest chunk %.2f ms of CPU; "
		      "assign %.0f/s, change %.0f/s, "
		      "release %.0f/s; open and adopt all %.1f ms\n",
		      wall, total, longest * 1e3, assign, change, release, adopt * 1e3);
	begin = now();
	assert_int_equal(sl_qos_remove(qos, &err), 0);
	begin = now() - begin;
	sl_qos_removal(qos, &removal);
	assert_int_equal(removal.classes, 4096);
	/* not one hold of RTNL for all of them */
	assert_true(removal.chunks >= 4096 / 64);
	assert_int_equal(qos_look("up0")->root.owner, SL_HTB_KERNEL);
	assert_int_equal(qos_look("up0")->classes, 0);
	print_message("remove with 4096 classes: %.1f ms, longest of %u chunks %.2f ms, qdisc %.2f ms\n",
		      begin * 1e3, removal.chunks, (double)removal.longest_ns / 1e6,
		      (double)removal.qdisc_ns / 1e6);
	sl_qos_close(qos);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		QOS_TEST(open_makes_the_link_and_the_default_class_and_build_makes_the_pool),
		QOS_TEST(the_default_class_takes_its_rate_from_the_configuration),
		QOS_TEST(a_rate_above_four_gigabytes_a_second_is_kept),
		QOS_TEST(a_device_with_jumbo_frames_gets_a_size_table_too),
		QOS_TEST(a_device_without_a_link_header_loses_nothing_to_the_size_table),
		QOS_TEST(assign_change_and_release_move_the_rate_of_one_class),
		QOS_TEST(a_full_pool_is_enospc_and_says_how_many_are_in_use),
		QOS_TEST(a_rate_below_8_kbit_is_refused_with_its_value_and_one_above_the_link_is_the_link),
		QOS_TEST(classes_survive_a_restart_and_are_adopted_with_their_rates),
		QOS_TEST(adoption_does_not_disturb_a_class_whose_rate_is_right),
		QOS_TEST(a_device_that_came_since_gets_the_classes_in_use_at_adoption),
		QOS_TEST(a_class_without_its_leaf_is_built_again),
		QOS_TEST(a_foreign_root_qdisc_is_refused_by_name_and_nothing_is_touched),
		QOS_TEST(the_default_qdisc_of_the_kernel_is_not_foreign),
		QOS_TEST(remove_leaves_the_kernels_default_and_others_queues),
		QOS_TEST(a_pool_of_size_0_means_no_queues_at_all),
		QOS_TEST(a_bad_configuration_is_refused_before_anything_is_made),
		QOS_TEST(one_minor_is_one_class_on_every_device_of_its_direction),
		QOS_TEST(a_change_that_fails_on_one_device_is_taken_back_on_the_others),
		QOS_TEST(the_pool_of_4096_is_built_in_chunks),
	};

	/* one test by its name, for a closer look */
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, qos_make_namespace, NULL);
}
