// SPDX-License-Identifier: Apache-2.0
/* Devices with several transmit queues: an HTB in each, and every class in one of them. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>

#include "qos/qos.h"
#include "qos_links.h"
#include "sluice/limits.h"

#define UP     SLUICE_UPLINK
#define QUEUES 4u
#define TREES  2u

/* /sys is of the namespace that mounted it: without one of our own it shows the host's devices. */
static int own_namespaces(void **state)
{
	(void)state;
	if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0 ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("sysfs", "/sys", "sysfs", 0, NULL) < 0) {
		fprintf(stderr, "namespaces are needed: %s\n", strerror(errno));
		return -1;
	}
	return 0;
}

static int make_links(void **state)
{
	(void)state;
	qos_shell("ip link add up0 numtxqueues 4 numrxqueues 4 type veth peer name up0p "
		  "numtxqueues 4 numrxqueues 4 && ip link set up0 up && ip link set up0p up");
	return 0;
}

static int remove_links(void **state)
{
	(void)state;
	qos_shell("ip link del up0 2>/dev/null; true");
	return 0;
}
#define TEST(function) cmocka_unit_test_setup_teardown(function, make_links, remove_links)

static struct sl_qos_config config_of(void)
{
	struct sl_qos_config config = qos_config_of(32, "up0", NULL, NULL);

	config.trees = TREES;
	return config;
}

static struct sl_qos *built(void)
{
	struct sl_qos_config config = config_of();
	struct sl_qos *qos = qos_open(&config);

	qos_build_all(qos);
	return qos;
}

static void assert_place(uint16_t minor)
{
	char command[128], wanted[32];
	uint32_t major = SLUICE_HTB_MAJOR - (minor >> SLUICE_HTB_UNIT_BITS) % QUEUES;

	snprintf(command, sizeof(command), "tc class show dev up0 classid %x:%x", major, minor);
	snprintf(wanted, sizeof(wanted), "class htb %x:%x ", major, minor);
	if (!qos_tool_says(command, wanted))
		fail_msg("no %s", wanted);
}

static void every_transmit_queue_has_an_htb_and_every_class_is_in_one(void **state)
{
	struct sl_qos *qos = built();
	const struct qos_view *view = qos_look("up0");

	(void)state;
	assert_int_equal(sl_qos_queues(qos, if_nametoindex("up0")), QUEUES);
	assert_int_equal(sl_qos_queues(qos, 1), 0);
	assert_int_equal(view->root.owner, SL_HTB_OURS);
	assert_int_equal(view->root.handle, SLUICE_MQ_MAJOR << 16);
	assert_int_equal(view->root.queues, QUEUES);
	/* the default class is in each of them */
	assert_int_equal(view->classes, QUEUES + TREES * 8 + 32);
	assert_int_equal(view->with_leaf, QUEUES + TREES * 7 + 32);
	for (uint16_t minor = 8; minor < 8 + TREES * 8 + 32; minor++)
		assert_place(minor);
	assert_true(qos_tool_says("tc qdisc show dev up0", "qdisc mq 7fff: root"));
	assert_true(qos_tool_says("tc qdisc show dev up0", "qdisc htb 7ffe: parent 7fff:1 "));
	assert_true(qos_tool_says("tc qdisc show dev up0", "qdisc htb 7ffb: parent 7fff:4 "));
	assert_true(qos_tool_says("tc class show dev up0", "class htb 7ffc:1 root rate 10Gbit ceil 10Gbit"));
	assert_true(qos_tool_says("tc class show dev up0", "class htb 7ffc:2 parent 7ffc:1 leaf 7f02:"));
	sl_qos_close(qos);
}

static void rates_are_given_changed_and_adopted_in_the_right_htb(void **state)
{
	struct sl_qos_config config = config_of();
	struct sl_qos *qos = built();
	uint16_t minor[20], tree, leaf;

	(void)state;
	for (unsigned int i = 0; i < 20; i++) {
		assert_int_equal(sl_qos_assign(qos, UP, MBR((i + 1) * MBIT), &minor[i], NULL), 0);
		assert_int_equal(qos_rate_on("up0", minor[i]), (i + 1) * MBIT);
	}
	assert_int_equal(sl_qos_tree_assign(qos, UP, 5 * MBIT, &tree, NULL), 0);
	assert_int_equal(sl_qos_tree_leaf(qos, UP, tree, MBIT, &leaf, NULL), 0);
	sl_qos_close(qos);
	qos = qos_open(&config);
	assert_int_equal(sl_qos_build(qos, 64, NULL), 0);
	for (unsigned int i = 0; i < 20; i++)
		assert_int_equal(sl_qos_adopt(qos, UP, minor[i], MBR((i + 1) * MBIT), NULL), 0);
	assert_int_equal(sl_qos_tree_adopt(qos, UP, tree, 5 * MBIT, NULL), 0);
	assert_int_equal(sl_qos_adopt(qos, UP, leaf, MBR(2 * MBIT), NULL), 0);
	assert_int_equal(qos_rate_on("up0", leaf), 2 * MBIT);
	sl_qos_close(qos);
}

static void a_foreign_mq_is_refused_and_the_kernels_own_is_not(void **state)
{
	struct sl_qos_config config = config_of();
	struct sl_qos *qos = NULL;
	struct sl_error err = {""};

	(void)state;
	qos_shell("tc qdisc replace dev up0 root handle 12: mq");
	assert_int_equal(sl_qos_open(&config, &qos, &err), -EEXIST);
	assert_non_null(strstr(err.text, "interface up0 has a root qdisc that is not ours: mq 12:"));
	qos_shell("tc qdisc del dev up0 root");
	assert_int_equal(qos_look("up0")->root.owner, SL_HTB_KERNEL);
	sl_qos_close(qos_open(&config));
}

static void xps_makes_one_htb_of_it(void **state)
{
	struct sl_qos_config config = config_of();
	struct sl_qos *qos;

	(void)state;
	qos_shell("echo 1 > /sys/class/net/up0/queues/tx-1/xps_cpus");
	qos = qos_open(&config);
	assert_int_equal(sl_qos_queues(qos, if_nametoindex("up0")), 1);
	assert_int_equal(qos_look("up0")->root.handle, SLUICE_HTB_MAJOR << 16);
	sl_qos_close(qos);
	/* at the next start all is made anew for four */
	qos_shell("echo 0 > /sys/class/net/up0/queues/tx-1/xps_cpus");
	qos = built();
	assert_int_equal(qos_look("up0")->root.queues, QUEUES);
	sl_qos_close(qos);
}

static void the_audit_repairs_one_htb_of_four_and_follows_the_queues(void **state)
{
	struct sl_qos *qos = built();
	struct sl_qos_audit found;
	uint16_t minor;

	(void)state;
	assert_int_equal(sl_qos_assign(qos, UP, MBR(3 * MBIT), &minor, NULL), 0);
	assert_int_equal(sl_qos_audit(qos, 0, &found, NULL), 0);
	assert_int_equal(found.repairs, 0);
	qos_shell("tc qdisc del dev up0 parent 7fff:2");
	assert_int_equal(sl_qos_audit(qos, 0, &found, NULL), 0);
	assert_true(found.repairs > 0);
	assert_int_equal(qos_look("up0")->root.queues, QUEUES);
	assert_int_equal(qos_rate_on("up0", minor), 3 * MBIT);
	qos_shell("echo 1 > /sys/class/net/up0/queues/tx-0/xps_cpus");
	assert_int_equal(sl_qos_audit(qos, 0, &found, NULL), 0);
	assert_string_equal(found.what, "its transmit queues changed");
	assert_int_equal(sl_qos_queues(qos, if_nametoindex("up0")), 1);
	assert_int_equal(qos_rate_on("up0", minor), 3 * MBIT);
	assert_int_equal(sl_qos_audit(qos, 0, &found, NULL), 0);
	assert_int_equal(found.repairs, 0);
	sl_qos_close(qos);
}

static void remove_gives_the_kernels_default_back(void **state)
{
	struct sl_qos *qos = built();
	struct sl_error err = {""};

	(void)state;
	assert_int_equal(sl_qos_remove(qos, &err), 0);
	assert_int_equal(qos_look("up0")->root.owner, SL_HTB_KERNEL);
	assert_false(qos_tool_says("tc qdisc show dev up0", "htb"));
	sl_qos_close(qos);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(every_transmit_queue_has_an_htb_and_every_class_is_in_one),
		TEST(rates_are_given_changed_and_adopted_in_the_right_htb),
		TEST(a_foreign_mq_is_refused_and_the_kernels_own_is_not),
		TEST(xps_makes_one_htb_of_it),
		TEST(the_audit_repairs_one_htb_of_four_and_follows_the_queues),
		TEST(remove_gives_the_kernels_default_back),
	};

	/* one test by its name, for a closer look */
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, own_namespaces, NULL);
}
