// SPDX-License-Identifier: Apache-2.0
/*
 * The queues on a real kernel, in a network namespace of this process:
 *
 *	up0 ---- up0p		core devices (uplink classes)
 *	up1 ---- up1p
 *	down0 -- down0p		access device (downlink classes)
 *
 * Packets choose their class by SO_PRIORITY, so no BPF program is needed; what
 * arrived is read from the far end's own counters, not from HTB's.
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "qos/htb.h"
#include "qos/netlink.h"
#include "qos/qos.h"
#include "qos/shape.h"
#include "sluice/limits.h"

#define MBIT	  1000000ull
#define GBIT	  1000000000ull
#define POOL	  40u
#define TRIES	  4
#define TOLERANCE 0.02

static void shell(const char *command)
{
	if (system(command) != 0)
		fail_msg("command failed: %s", command);
}

static double read_clock(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static double now(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

static int make_namespace(void **state)
{
	(void)state;
	if (unshare(CLONE_NEWNET) < 0) {
		fprintf(stderr, "a network namespace is needed: %s\n", strerror(errno));
		return -1;
	}
	return 0;
}

static int make_links(void **state)
{
	(void)state;
	shell("for d in up0 up1 down0; do"
	      " ip link add $d type veth peer name ${d}p && ip link set $d up && ip link set ${d}p up || "
	      "exit 1;"
	      " done;"
	      " ip addr add 10.9.0.1/24 dev up0 && "
	      " ip neigh add 10.9.0.2 lladdr 02:00:00:00:00:02 dev up0 nud permanent");
	return 0;
}

static int remove_links(void **state)
{
	(void)state;
	shell("for d in up0 up1 down0; do ip link del $d 2>/dev/null; done; true");
	return 0;
}

static struct sl_qos_config config_of(uint32_t pool_size, const char *up0, const char *up1, const char *down)
{
	struct sl_qos_config config = {.link_rate = 10 * GBIT, .pool_size = pool_size};
	const char *name[] = {up0, up1, down};

	for (unsigned int i = 0; i < SL_ARRAY_SIZE(name); i++) {
		unsigned int direction = i < 2 ? SLUICE_UPLINK : SLUICE_DOWNLINK;
		unsigned int at = config.devices[direction].count;

		if (!name[i])
			continue;
		config.devices[direction].ifindex[at] = if_nametoindex(name[i]);
		snprintf(config.devices[direction].name[at], sizeof(config.devices[direction].name[at]), "%s",
			 name[i]);
		config.devices[direction].count++;
	}
	return config;
}

static struct sl_qos *open_qos(const struct sl_qos_config *config)
{
	struct sl_qos *qos = NULL;
	struct sl_error err = {""};

	if (sl_qos_open(config, &qos, &err) < 0)
		fail_msg("%s", err.text);
	return qos;
}

static void build_all(struct sl_qos *qos)
{
	struct sl_error err = {""};
	int more;

	do {
		more = sl_qos_build(qos, 16, &err);
		if (more < 0)
			fail_msg("%s", err.text);
	} while (more);
}

/* What the kernel has on a device, by minor. */
struct view {
	struct sl_htb_root root;
	unsigned int classes, with_leaf;
	struct sl_htb_class class[0x8000];
};

static void view_class(const struct sl_htb_class *seen, void *data)
{
	struct view *view = data;

	assert_true(seen->minor < SL_ARRAY_SIZE(view->class));
	view->class[seen->minor] = *seen;
	view->classes++;
	view->with_leaf += seen->has_leaf;
}

static const struct view *look(const char *name)
{
	static struct view view;
	_cleanup_netlink_ struct sl_netlink *netlink = NULL;
	struct sl_htb_device device;
	struct sl_error err = {""};

	memset(&view, 0, sizeof(view));
	if (sl_netlink_open(&netlink, &err) < 0 ||
	    sl_htb_read_device(netlink, if_nametoindex(name), name, &device, &err) < 0 ||
	    sl_htb_read_root(netlink, &device, &view.root, &err) < 0)
		fail_msg("%s", err.text);
	if (view.root.owner == SL_HTB_OURS &&
	    sl_htb_read_classes(netlink, &device, view_class, &view, &err) < 0)
		fail_msg("%s", err.text);
	return &view;
}

static uint64_t rate_on(const char *name, uint16_t minor)
{
	return look(name)->class[minor].rate;
}

static bool tool_says(const char *command, const char *wanted)
{
	char line[512];
	bool found = false;
	FILE *pipe = popen(command, "r");

	assert_non_null(pipe);
	while (fgets(line, sizeof(line), pipe))
		found |= strstr(line, wanted) != NULL;
	pclose(pipe);
	return found;
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
	struct sl_qos_config config = config_of(POOL, "up0", NULL, "down0");
	struct sl_qos *qos = open_qos(&config);
	struct sl_error err = {""};

	(void)state;
	assert_int_equal(look("up0")->classes, 1);
	assert_int_equal(status_of(qos, SLUICE_UPLINK).ready, 0);
	assert_int_equal(sl_qos_build(qos, 16, &err), 1);
	assert_int_equal(status_of(qos, SLUICE_UPLINK).ready, 16);
	assert_int_equal(status_of(qos, SLUICE_DOWNLINK).ready, 0);
	build_all(qos);
	assert_int_equal(sl_qos_build(qos, 16, &err), 0);
	assert_int_equal(status_of(qos, SLUICE_UPLINK).ready, POOL);
	assert_int_equal(status_of(qos, SLUICE_DOWNLINK).ready, POOL);
	assert_int_equal(look("up0")->with_leaf, POOL + 1);
	assert_int_equal(look("down0")->with_leaf, POOL + 1);
	assert_true(tool_says("tc qdisc show dev up0", "qdisc htb 7ffe: root"));
	assert_true(tool_says("tc qdisc show dev up0", "default 0x2"));
	assert_true(tool_says("tc class show dev up0", "class htb 7ffe:1 root rate 10Gbit ceil 10Gbit"));
	assert_true(tool_says("tc class show dev up0",
			      "class htb 7ffe:2 parent 7ffe:1 leaf 2: prio 0 rate 8Kbit ceil 10Gbit"));
	assert_true(tool_says("tc class show dev up0",
			      "class htb 7ffe:2a parent 7ffe:1 leaf 2a: prio 0 rate 8Kbit ceil 10Gbit"));
	assert_true(tool_says("tc qdisc show dev up0", "qdisc tbf 2a: parent 7ffe:2a rate 8Tbit"));
	sl_qos_close(qos);
}

static void the_default_class_takes_its_rate_from_the_configuration(void **state)
{
	struct sl_qos_config config = config_of(POOL, "up0", NULL, NULL);

	(void)state;
	config.default_rate = 300 * MBIT;
	sl_qos_close(open_qos(&config));
	assert_int_equal(rate_on("up0", SLUICE_HTB_DEFAULT_MINOR), 300 * MBIT);
}

static void a_rate_above_four_gigabytes_a_second_is_kept(void **state)
{
	struct sl_qos_config config = config_of(POOL, "up0", NULL, NULL);
	struct sl_qos *qos;
	uint16_t minor;

	(void)state;
	config.link_rate = 400 * GBIT;
	qos = open_qos(&config);
	build_all(qos);
	assert_int_equal(sl_qos_assign(qos, SLUICE_UPLINK, 100 * GBIT, &minor, NULL), 0);
	assert_int_equal(rate_on("up0", minor), 100 * GBIT);
	assert_int_equal(rate_on("up0", SLUICE_HTB_DEFAULT_MINOR), 400 * GBIT);
	sl_qos_close(qos);
}

static void a_device_with_jumbo_frames_gets_a_size_table_too(void **state)
{
	struct sl_qos_config config = config_of(POOL, "up0", "up1", NULL);

	(void)state;
	shell("ip link set up0 mtu 9000 && ip link set up1 mtu 65535");
	sl_qos_close(open_qos(&config));
	assert_true(tool_says("tc -d qdisc show dev up0", "overhead -14 mtu 9000 tsize 26844"));
	assert_true(tool_says("tc -d qdisc show dev up1", "overhead -14 mtu 65535 tsize 31896"));
	assert_true(tool_says("tc qdisc show dev up0 invisible", "bfifo"));
	/* and again when the table is replaced under a qdisc that exists */
	shell("ip link set up0 mtu 1500");
	sl_qos_close(open_qos(&config));
	assert_true(tool_says("tc -d qdisc show dev up0", "overhead -14 mtu 1500 tsize 5792"));
}

static void a_device_without_a_link_header_loses_nothing_to_the_size_table(void **state)
{
	struct sl_qos_config config;

	(void)state;
	if (access("/dev/net/tun", R_OK) < 0)
		skip();
	shell("ip tuntap add dev tun0 mode tun && ip link set tun0 up");
	config = config_of(POOL, "tun0", NULL, NULL);
	sl_qos_close(open_qos(&config));
	assert_true(tool_says("tc -d qdisc show dev tun0", "mtu 1500 tsize 5792"));
	assert_false(tool_says("tc -d qdisc show dev tun0", "overhead"));
	shell("ip link del tun0");
}

static void assign_change_and_release_move_the_rate_of_one_class(void **state)
{
	struct sl_qos_config config = config_of(POOL, "up0", NULL, "down0");
	struct sl_qos *qos = open_qos(&config);
	uint16_t first, second;

	(void)state;
	build_all(qos);
	assert_int_equal(sl_qos_assign(qos, SLUICE_UPLINK, 5 * MBIT, &first, NULL), 0);
	assert_int_equal(sl_qos_assign(qos, SLUICE_UPLINK, 7 * MBIT, &second, NULL), 0);
	assert_int_not_equal(first, second);
	assert_int_equal(rate_on("up0", first), 5 * MBIT);
	assert_int_equal(rate_on("up0", second), 7 * MBIT);
	assert_int_equal(rate_on("down0", first), 10 * GBIT);
	assert_int_equal(status_of(qos, SLUICE_UPLINK).used, 2);
	assert_int_equal(status_of(qos, SLUICE_DOWNLINK).used, 0);
	assert_int_equal(sl_qos_change(qos, SLUICE_UPLINK, first, 8000, NULL), 0);
	assert_int_equal(rate_on("up0", first), 8000);
	assert_true(tool_says("tc -r qdisc show dev up0 invisible", "limit 15000b"));
	sl_qos_release(qos, SLUICE_UPLINK, first);
	assert_int_equal(rate_on("up0", first), 10 * GBIT);
	assert_int_equal(rate_on("up0", second), 7 * MBIT);
	assert_int_equal(status_of(qos, SLUICE_UPLINK).used, 1);
	sl_qos_close(qos);
}

static void a_full_pool_is_enospc_and_says_how_many_are_in_use(void **state)
{
	struct sl_qos_config config = config_of(4, "up0", NULL, NULL);
	struct sl_qos *qos = open_qos(&config);
	struct sl_error err = {""};
	uint16_t minor = 0;

	(void)state;
	assert_int_equal(sl_qos_assign(qos, SLUICE_UPLINK, MBIT, &minor, &err), -ENOSPC);
	assert_string_equal(err.text,
			    "no uplink class is free: 0 of 0 that are built are in use, qos.pool is 4");
	build_all(qos);
	for (int i = 0; i < 4; i++)
		assert_int_equal(sl_qos_assign(qos, SLUICE_UPLINK, MBIT, &minor, &err), 0);
	sl_qos_release(qos, SLUICE_UPLINK, minor);
	assert_int_equal(sl_qos_assign(qos, SLUICE_UPLINK, MBIT, &minor, &err), 0);
	minor = 0;
	assert_int_equal(sl_qos_assign(qos, SLUICE_UPLINK, MBIT, &minor, &err), -ENOSPC);
	assert_int_equal(minor, 0);
	assert_string_equal(err.text,
			    "no uplink class is free: 4 of 4 that are built are in use, qos.pool is 4");
	assert_int_equal(sl_qos_assign(qos, SLUICE_DOWNLINK, MBIT, &minor, &err), 0);
	sl_qos_close(qos);
}

static void a_rate_below_8_kbit_or_above_the_link_is_refused_with_its_value(void **state)
{
	struct sl_qos_config config = config_of(4, "up0", NULL, NULL);
	struct sl_qos *qos = open_qos(&config);
	struct sl_error err = {""};
	uint16_t minor;

	(void)state;
	build_all(qos);
	assert_int_equal(sl_qos_assign(qos, SLUICE_UPLINK, 7999, &minor, &err), -ERANGE);
	assert_non_null(strstr(err.text, "7999"));
	assert_int_equal(sl_qos_assign(qos, SLUICE_UPLINK, 11 * GBIT, &minor, &err), -ERANGE);
	assert_non_null(strstr(err.text, "11000000000"));
	assert_int_equal(status_of(qos, SLUICE_UPLINK).used, 0);
	assert_int_equal(sl_qos_change(qos, SLUICE_UPLINK, 3, MBIT, &err), -ENOENT);
	assert_int_equal(sl_qos_change(qos, SLUICE_UPLINK, 7, MBIT, &err), -ERANGE);
	assert_int_equal(sl_qos_change(qos, SLUICE_UPLINK, 2, MBIT, &err), -ERANGE);
	sl_qos_close(qos);
}

/* --- restart --- */

static void classes_survive_a_restart_and_are_adopted_with_their_rates(void **state)
{
	struct sl_qos_config config = config_of(POOL, "up0", "up1", "down0");
	struct sl_qos *qos = open_qos(&config);
	struct sl_error err = {""};
	uint16_t used[3], fresh;

	(void)state;
	build_all(qos);
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(sl_qos_assign(qos, SLUICE_UPLINK, (i + 1) * MBIT + 1, &used[i], NULL), 0);
	sl_qos_close(qos);
	assert_int_equal(rate_on("up0", used[1]), 2 * MBIT + 8);

	qos = open_qos(&config);
	assert_int_equal(status_of(qos, SLUICE_UPLINK).ready, POOL);
	assert_int_equal(status_of(qos, SLUICE_UPLINK).used, 0);
	assert_int_equal(sl_qos_build(qos, 16, &err), 0);
	for (unsigned int i = 0; i < 2; i++)
		assert_int_equal(sl_qos_adopt(qos, SLUICE_UPLINK, used[i], (i + 1) * MBIT + 1, &err), 0);
	assert_int_equal(sl_qos_adopt(qos, SLUICE_UPLINK, used[2], 9 * MBIT, &err), 0);
	assert_int_equal(rate_on("up0", used[1]), 2 * MBIT + 8);
	assert_int_equal(rate_on("up1", used[2]), 9 * MBIT);
	assert_int_equal(status_of(qos, SLUICE_UPLINK).used, 3);
	assert_int_equal(sl_qos_adopt(qos, SLUICE_UPLINK, used[0], MBIT, &err), -EEXIST);
	assert_int_equal(sl_qos_adopt(qos, SLUICE_UPLINK, POOL + 3, MBIT, &err), -ERANGE);
	for (unsigned int i = 3; i < POOL; i++) {
		assert_int_equal(sl_qos_assign(qos, SLUICE_UPLINK, MBIT, &fresh, &err), 0);
		for (unsigned int j = 0; j < 3; j++)
			assert_int_not_equal(fresh, used[j]);
	}
	assert_int_equal(sl_qos_assign(qos, SLUICE_UPLINK, MBIT, &fresh, &err), -ENOSPC);
	sl_qos_close(qos);
}

static void adoption_does_not_disturb_a_class_whose_rate_is_right(void **state)
{
	struct sl_qos_config config = config_of(4, "up0", NULL, NULL);
	struct sl_qos *qos = open_qos(&config);
	uint16_t minor;

	(void)state;
	build_all(qos);
	assert_int_equal(sl_qos_assign(qos, SLUICE_UPLINK, 3 * MBIT, &minor, NULL), 0);
	sl_qos_close(qos);
	/* a mark that any change of the class would overwrite */
	shell("tc class change dev up0 parent 7ffe:1 classid 7ffe:3 htb rate 8kbit ceil 3mbit quantum 7777");
	assert_int_equal(minor, 3);
	qos = open_qos(&config);
	assert_int_equal(sl_qos_adopt(qos, SLUICE_UPLINK, minor, 3 * MBIT, NULL), 0);
	assert_true(tool_says("tc -d class show dev up0", "quantum 7777"));
	assert_int_equal(sl_qos_change(qos, SLUICE_UPLINK, minor, 4 * MBIT, NULL), 0);
	assert_false(tool_says("tc -d class show dev up0", "quantum 7777"));
	sl_qos_close(qos);
}

static void a_device_that_came_since_gets_the_classes_in_use_at_adoption(void **state)
{
	struct sl_qos_config before = config_of(POOL, "up0", NULL, NULL);
	struct sl_qos_config after = config_of(POOL, "up0", "up1", NULL);
	struct sl_qos *qos = open_qos(&before);
	uint16_t minor;

	(void)state;
	build_all(qos);
	assert_int_equal(sl_qos_assign(qos, SLUICE_UPLINK, 5 * MBIT, &minor, NULL), 0);
	sl_qos_close(qos);
	qos = open_qos(&after);
	assert_int_equal(status_of(qos, SLUICE_UPLINK).ready, 0);
	assert_int_equal(sl_qos_adopt(qos, SLUICE_UPLINK, minor, 5 * MBIT, NULL), 0);
	assert_int_equal(rate_on("up1", minor), 5 * MBIT);
	build_all(qos);
	assert_int_equal(rate_on("up0", minor), 5 * MBIT);
	assert_int_equal(look("up1")->with_leaf, POOL + 1);
	assert_int_equal(status_of(qos, SLUICE_UPLINK).used, 1);
	sl_qos_close(qos);
}

static void a_class_without_its_leaf_is_built_again(void **state)
{
	struct sl_qos_config config = config_of(POOL, "up0", NULL, NULL);
	struct sl_qos *qos = open_qos(&config);

	(void)state;
	build_all(qos);
	sl_qos_close(qos);
	shell("tc qdisc del dev up0 parent 7ffe:9 && tc class del dev up0 classid 7ffe:b");
	qos = open_qos(&config);
	assert_int_equal(status_of(qos, SLUICE_UPLINK).ready, POOL - 2);
	build_all(qos);
	assert_int_equal(look("up0")->with_leaf, POOL + 1);
	sl_qos_close(qos);
}

/* --- others' queues --- */

static void a_foreign_root_qdisc_is_refused_by_name_and_nothing_is_touched(void **state)
{
	struct sl_qos_config config = config_of(POOL, "up0", "up1", NULL);
	struct sl_qos *qos = NULL;
	struct sl_error err = {""};

	(void)state;
	shell("tc qdisc add dev up1 root handle 12: pfifo limit 77");
	assert_int_equal(sl_qos_open(&config, &qos, &err), -EEXIST);
	assert_null(qos);
	assert_non_null(strstr(err.text, "interface up1 has a root qdisc that is not ours: pfifo 12:"));
	assert_true(tool_says("tc qdisc show dev up1", "qdisc pfifo 12: root"));
	assert_true(tool_says("tc qdisc show dev up1", "limit 77p"));
	assert_int_equal(look("up0")->root.owner, SL_HTB_KERNEL);
	shell("tc qdisc del dev up1 root && tc qdisc add dev up1 root handle 7ffe: bfifo");
	assert_int_equal(sl_qos_open(&config, &qos, &err), -EEXIST);
	assert_non_null(strstr(err.text, "bfifo 7ffe:"));
	shell("tc qdisc del dev up1 root && tc qdisc add dev up1 root handle 7ffe: htb default 9");
	assert_int_equal(sl_qos_open(&config, &qos, &err), -EEXIST);
	assert_non_null(strstr(err.text, "htb 7ffe:"));
}

static void the_default_qdisc_of_the_kernel_is_not_foreign(void **state)
{
	struct sl_qos_config config = config_of(POOL, "up0", NULL, NULL);

	(void)state;
	/* two queues: mq with handle 0, one with one: pfifo_fast or fq_codel */
	shell("ip link add up2 numtxqueues 2 numrxqueues 2 type veth peer name up2p && ip link set up2 up;"
	      " tc qdisc replace dev up0 root pfifo && tc qdisc del dev up0 root");
	sl_qos_close(open_qos(&config));
	config = config_of(POOL, "up2", NULL, NULL);
	sl_qos_close(open_qos(&config));
	assert_int_equal(look("up2")->root.owner, SL_HTB_OURS);
	shell("ip link del up2");
}

static void remove_leaves_the_kernels_default_and_others_queues(void **state)
{
	struct sl_qos_config config = config_of(POOL, "up0", "up1", "down0");
	struct sl_qos *qos;
	struct sl_error err = {""};

	(void)state;
	shell("tc qdisc add dev up0 clsact");
	qos = open_qos(&config);
	build_all(qos);
	shell("tc qdisc del dev up1 root && tc qdisc add dev up1 root handle 12: pfifo");
	shell("ip link del down0");
	assert_int_equal(sl_qos_remove(qos, &err), 0);
	assert_int_equal(look("up0")->root.owner, SL_HTB_KERNEL);
	assert_true(tool_says("tc qdisc show dev up0", "clsact"));
	assert_true(tool_says("tc qdisc show dev up1", "qdisc pfifo 12: root"));
	assert_int_equal(sl_qos_remove(qos, &err), 0);
	sl_qos_close(qos);
}

static void a_pool_of_size_0_means_no_queues_at_all(void **state)
{
	struct sl_qos_config config = config_of(POOL, "up0", NULL, NULL);
	struct sl_qos *qos;
	struct sl_error err = {""};
	uint16_t minor;

	(void)state;
	sl_qos_close(open_qos(&config));
	config.pool_size = 0;
	shell("tc qdisc add dev up1 root handle 12: pfifo");
	qos = open_qos(&config);
	assert_int_equal(look("up0")->root.owner, SL_HTB_KERNEL);
	assert_int_equal(sl_qos_build(qos, 16, &err), 0);
	assert_int_equal(sl_qos_assign(qos, SLUICE_UPLINK, MBIT, &minor, &err), -ENOSPC);
	assert_string_equal(err.text, "no uplink class is free: qos.pool is 0");
	sl_qos_close(qos);
}

static void a_bad_configuration_is_refused_before_anything_is_made(void **state)
{
	struct sl_qos_config config = config_of(POOL, "up0", "up0", NULL);
	struct sl_qos *qos = NULL;
	struct sl_error err = {""};

	(void)state;
	assert_int_equal(sl_qos_open(&config, &qos, &err), -EINVAL);
	assert_non_null(strstr(err.text, "up0"));
	config = config_of(0x7ff1, "up0", NULL, NULL);
	assert_int_equal(sl_qos_open(&config, &qos, &err), -ERANGE);
	assert_non_null(strstr(err.text, "32753"));
	config = config_of(POOL, "up0", NULL, NULL);
	config.default_rate = 11 * GBIT;
	assert_int_equal(sl_qos_open(&config, &qos, &err), -ERANGE);
	assert_non_null(strstr(err.text, "qos.default_rate 11000000000"));
	config = config_of(POOL, "up0", NULL, NULL);
	config.devices[SLUICE_DOWNLINK].count = 1;
	config.devices[SLUICE_DOWNLINK].ifindex[0] = 4242;
	snprintf(config.devices[SLUICE_DOWNLINK].name[0], 16, "gone0");
	assert_int_equal(sl_qos_open(&config, &qos, &err), -ENODEV);
	assert_non_null(strstr(err.text, "gone0"));
	assert_int_equal(look("up0")->root.owner, SL_HTB_KERNEL);
	assert_null(qos);
}

/* --- several devices --- */

static void one_minor_is_one_class_on_every_device_of_its_direction(void **state)
{
	struct sl_qos_config config = config_of(POOL, "up0", "up1", "down0");
	struct sl_qos *qos = open_qos(&config);
	uint16_t minor;

	(void)state;
	build_all(qos);
	assert_int_equal(sl_qos_assign(qos, SLUICE_UPLINK, 5 * MBIT, &minor, NULL), 0);
	assert_int_equal(rate_on("up0", minor), 5 * MBIT);
	assert_int_equal(rate_on("up1", minor), 5 * MBIT);
	assert_int_equal(rate_on("down0", minor), 10 * GBIT);
	assert_int_equal(sl_qos_change(qos, SLUICE_UPLINK, minor, 6 * MBIT, NULL), 0);
	assert_int_equal(rate_on("up1", minor), 6 * MBIT);
	sl_qos_close(qos);
}

static void a_change_that_fails_on_one_device_is_taken_back_on_the_others(void **state)
{
	struct sl_qos_config config = config_of(POOL, "up0", "up1", NULL);
	struct sl_qos *qos = open_qos(&config);
	struct sl_error err = {""};
	uint16_t minor, other = 0;

	(void)state;
	build_all(qos);
	assert_int_equal(sl_qos_assign(qos, SLUICE_UPLINK, 5 * MBIT, &minor, NULL), 0);
	shell("tc qdisc del dev up1 root");
	assert_int_equal(sl_qos_change(qos, SLUICE_UPLINK, minor, 6 * MBIT, &err), -ENOENT);
	assert_non_null(strstr(err.text, "uplink class 7ffe:3: interface up1: set class 7ffe:3: "));
	assert_int_equal(rate_on("up0", minor), 5 * MBIT);
	assert_int_equal(sl_qos_assign(qos, SLUICE_UPLINK, 5 * MBIT, &other, &err), -ENOENT);
	assert_int_equal(other, 0);
	assert_int_equal(status_of(qos, SLUICE_UPLINK).used, 1);
	sl_qos_close(qos);
}

/* --- real traffic --- */

struct arrived {
	uint64_t bytes, packets;
};

static struct arrived read_arrived(const char *name)
{
	_cleanup_file_ FILE *file = fopen("/proc/thread-self/net/dev", "re");
	struct arrived arrived = {0};
	char line[512];

	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		char *colon = strchr(line, ':');
		const char *start = line + strspn(line, " ");
		char *end;

		if (!colon || strncmp(start, name, strlen(name)) != 0 || start + strlen(name) != colon)
			continue;
		arrived.bytes = strtoull(colon + 1, &end, 10);
		arrived.packets = strtoull(end, NULL, 10);
	}
	return arrived;
}

static int sender(uint16_t minor)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(9)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int priority = SLUICE_HTB_MAJOR << 16 | minor, space = 4 << 20;

	assert_true(fd >= 0);
	inet_pton(AF_INET, "10.9.0.2", &to.sin_addr);
	if (minor)
		assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_PRIORITY, &priority, sizeof(priority)), 0);
	assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &space, sizeof(space)), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof(to)), 0);
	return fd;
}

/* Offers packets of `size` IP bytes at `rate` until the time is up. */
static void offer(int fd, size_t size, uint64_t rate, double seconds)
{
	static const char payload[1500];
	double start = now();
	uint64_t sent = 0;

	for (double passed = 0; passed < seconds; passed = now() - start) {
		uint64_t due = (uint64_t)(passed * (double)rate / 8 / (double)size);

		/* what a stall missed is not made up for */
		if (due > sent + 200)
			sent = due - 200;
		for (; sent < due; sent++)
			(void)send(fd, payload, size - 28, 0);
		usleep(500);
	}
}

/* The rate at IP level that reaches the far end, by the far end's own counters. */
static double reached(uint16_t minor, size_t size, uint64_t offered, double seconds)
{
	_cleanup_fd_ int fd = sender(minor);
	struct arrived before, after;
	double start, end;

	offer(fd, size, offered, 0.5);
	start = now();
	before = read_arrived("up0p");
	offer(fd, size, offered, seconds);
	after = read_arrived("up0p");
	end = now();
	return 8 * (double)(after.bytes - before.bytes - 14 * (after.packets - before.packets)) /
	       (end - start);
}

static void the_rate_asked_is_the_rate_of_ip_bytes_reached(void **state)
{
	static const struct {
		uint64_t rate;
		size_t size;
	} cases[] = {{MBIT, 1500}, {10 * MBIT, 1500}, {100 * MBIT, 1500}, {10 * MBIT, 200}, {2 * MBIT, 64}};
	struct sl_qos_config config = config_of(POOL, "up0", NULL, NULL);
	struct sl_qos *qos = open_qos(&config);

	(void)state;
	build_all(qos);
	for (unsigned int i = 0; i < SL_ARRAY_SIZE(cases); i++) {
		double asked = (double)cases[i].rate, got = 0;
		uint16_t minor;

		assert_int_equal(sl_qos_assign(qos, SLUICE_UPLINK, cases[i].rate, &minor, NULL), 0);
		/* a neighbour on the machine can starve the sender, but nothing makes a class too fast */
		for (int tries = 0; tries < TRIES && got < asked * (1 - TOLERANCE); tries++) {
			got = reached(minor, cases[i].size, cases[i].rate * 14 / 10, 3);
			print_message("packets of %zu: asked %.3f Mbit/s, reached %.3f Mbit/s (%+.2f %%)\n",
				      cases[i].size, asked / 1e6, got / 1e6, (got / asked - 1) * 100);
			assert_true(got < asked * (1 + TOLERANCE));
		}
		assert_true(got > asked * (1 - TOLERANCE));
		sl_qos_release(qos, SLUICE_UPLINK, minor);
	}
	assert_int_equal(look("up0")->root.direct_packets, 0);
	sl_qos_close(qos);
}

/*
 * A connection that is forwarded, in super-packets as veth and GRO make them:
 *
 *	[sender] down0p -- down0 [this process forwards] up0 -- up0p [receiver]
 */
static void receive_stream(int ready, int result)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(5001)};
	int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), stream;
	static char data[1 << 16];
	double start, end;
	uint64_t bytes = 0;
	ssize_t size;

	if (bind(server, (struct sockaddr *)&at, sizeof(at)) < 0 || listen(server, 1) < 0 ||
	    write(ready, "", 1) != 1)
		_exit(1);
	stream = accept(server, NULL, NULL);
	for (start = now(); now() - start < 1;)
		if (read(stream, data, sizeof(data)) <= 0)
			_exit(1);
	for (start = end = now(); end - start < 3; end = now()) {
		size = read(stream, data, sizeof(data));
		if (size <= 0)
			_exit(1);
		bytes += (uint64_t)size;
	}
	/* 1,448 bytes of each 1,500 are payload */
	double rate = 8 * (double)bytes * 1500 / 1448 / (end - start);

	_exit(write(result, &rate, sizeof(rate)) != sizeof(rate));
}

static void send_stream(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(5001)};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	static const char data[1 << 16];

	inet_pton(AF_INET, "10.9.0.2", &to.sin_addr);
	if (connect(fd, (struct sockaddr *)&to, sizeof(to)) < 0)
		_exit(1);
	signal(SIGPIPE, SIG_IGN);
	while (send(fd, data, sizeof(data), 0) > 0)
		;
	_exit(0);
}

/* A child in a namespace of its own that goes on when a byte comes through `go`. */
static pid_t child(const char *device, const char *commands, const int *go, void (*work)(int, int), int ready,
		   int result)
{
	int made[2];
	char command[256], byte;
	pid_t pid;

	assert_int_equal(pipe2(made, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		if (unshare(CLONE_NEWNET) < 0 || write(made[1], "", 1) != 1 || read(go[0], &byte, 1) != 1 ||
		    system(commands) != 0)
			_exit(1);
		work(ready, result);
	}
	close(made[1]);
	assert_int_equal(read(made[0], &byte, 1), 1);
	close(made[0]);
	snprintf(command, sizeof(command), "ip link set %s netns %d", device, (int)pid);
	shell(command);
	return pid;
}

static void send_when_told(int ready, int result)
{
	(void)ready;
	(void)result;
	send_stream();
}

static double stream_rate(void)
{
	int go_receiver[2], go_sender[2], ready[2], result[2];
	double rate = 0;
	pid_t receiver, sending;
	char byte;

	assert_int_equal(pipe2(go_receiver, O_CLOEXEC) | pipe2(go_sender, O_CLOEXEC) |
				 pipe2(ready, O_CLOEXEC) | pipe2(result, O_CLOEXEC),
			 0);
	receiver = child("up0p",
			 "ip addr add 10.9.0.2/24 dev up0p && ip link set up0p up && "
			 "ip route add default via 10.9.0.1",
			 go_receiver, receive_stream, ready[1], result[1]);
	sending = child("down0p",
			"ip addr add 10.8.0.2/24 dev down0p && ip link set down0p up && "
			"ip route add default via 10.8.0.1",
			go_sender, send_when_told, -1, -1);
	close(ready[1]);
	close(result[1]);
	assert_int_equal(write(go_receiver[1], "", 1), 1);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	assert_int_equal(write(go_sender[1], "", 1), 1);
	assert_int_equal(read(result[0], &rate, sizeof(rate)), sizeof(rate));
	kill(sending, SIGKILL);
	waitpid(sending, NULL, 0);
	waitpid(receiver, NULL, 0);
	for (int i = 0; i < 2; i++) {
		close(go_receiver[i]);
		close(go_sender[i]);
	}
	close(ready[0]);
	close(result[0]);
	return rate;
}

static void a_forwarded_connection_in_super_packets_reaches_a_low_rate(void **state)
{
	const double asked = 3 * MBIT;
	double got = 0;

	(void)state;
	for (int tries = 0; tries < TRIES && got < asked * 0.95; tries++) {
		struct sl_qos_config config;

		remove_links(NULL);
		make_links(NULL);
		shell("ip neigh del 10.9.0.2 dev up0 && ip addr add 10.8.0.1/24 dev down0 && "
		      "echo 1 > /proc/sys/net/ipv4/ip_forward");
		config = config_of(POOL, "up0", NULL, NULL);
		config.default_rate = 3 * MBIT;
		sl_qos_close(open_qos(&config));
		got = stream_rate();
		print_message("one connection: asked %.3f Mbit/s, reached %.3f Mbit/s (%+.2f %%)\n",
			      asked / 1e6, got / 1e6, (got / asked - 1) * 100);
		assert_true(got < asked * (1 + TOLERANCE));
	}
	assert_true(got > asked * 0.95);
	assert_int_equal(look("up0")->root.direct_packets, 0);
}

static void what_has_no_class_goes_through_the_default_class_and_never_the_direct_queue(void **state)
{
	struct sl_qos_config config = config_of(POOL, "up0", NULL, NULL);
	struct sl_qos *qos;
	uint32_t before;

	(void)state;
	config.default_rate = 10 * MBIT;
	qos = open_qos(&config);
	build_all(qos);
	before = look("up0")->class[SLUICE_HTB_DEFAULT_MINOR].sent_packets;
	assert_true(reached(0, 1500, 14 * MBIT, 1) < 10 * MBIT * (1 + TOLERANCE));
	/* a class that was never made is treated like no class */
	assert_true(reached(0x7000, 1500, 14 * MBIT, 1) < 10 * MBIT * (1 + TOLERANCE));
	assert_true(look("up0")->class[SLUICE_HTB_DEFAULT_MINOR].sent_packets - before > 1000);
	assert_int_equal(look("up0")->root.direct_packets, 0);
	sl_qos_close(qos);
}

static void a_class_that_was_idle_or_released_sends_at_its_new_rate_at_once(void **state)
{
	struct sl_qos_config config = config_of(1, "up0", NULL, NULL);
	struct sl_qos *qos = open_qos(&config);
	struct arrived before, after;
	uint16_t minor;

	(void)state;
	build_all(qos);
	{
		_cleanup_fd_ int fd = sender(SLUICE_HTB_POOL_MINOR);

		/* a stray packet in an idle class leaves no debt */
		offer(fd, 1500, MBIT, 0.1);
		assert_int_equal(sl_qos_assign(qos, SLUICE_UPLINK, 100 * MBIT, &minor, NULL), 0);
		before = read_arrived("up0p");
		offer(fd, 1500, 50 * MBIT, 0.5);
		after = read_arrived("up0p");
	}
	assert_true(after.packets - before.packets > 200);
	assert_int_equal(look("up0")->class[minor].drops, 0);
	sl_qos_close(qos);
}

/* --- cost: printed, not judged --- */

static void the_pool_of_4096_is_built_in_chunks(void **state)
{
	struct sl_qos_config config = config_of(4096, "up0", NULL, NULL);
	struct sl_qos *qos = open_qos(&config);
	double begin, longest = 0, total = 0, wall, assign, change, release, adopt;
	struct sl_error err = {""};
	static uint16_t minor[4096];
	int more = 1;

	(void)state;
	/* the downlink has no device: its pool costs nothing and is built along */
	wall = now();
	while (more) {
		double took;

		/* the kernel works in the caller's time; neighbours on the machine do not count */
		begin = read_clock(CLOCK_THREAD_CPUTIME_ID);
		more = sl_qos_build(qos, 64, &err);
		took = read_clock(CLOCK_THREAD_CPUTIME_ID) - begin;
		if (more < 0)
			fail_msg("%s", err.text);
		total += took;
		longest = took > longest ? took : longest;
	}
	wall = now() - wall;
	assert_int_equal(look("up0")->with_leaf, 4097);
	begin = now();
	for (unsigned int i = 0; i < 4096; i++)
		assert_int_equal(sl_qos_assign(qos, SLUICE_UPLINK, MBIT, &minor[i], &err), 0);
	assign = 4096 / (now() - begin);
	begin = now();
	for (unsigned int i = 0; i < 4096; i++)
		assert_int_equal(sl_qos_change(qos, SLUICE_UPLINK, minor[i], 2 * MBIT, &err), 0);
	change = 4096 / (now() - begin);
	sl_qos_close(qos);
	begin = now();
	qos = open_qos(&config);
	for (unsigned int i = 0; i < 4096; i++)
		assert_int_equal(sl_qos_adopt(qos, SLUICE_UPLINK, minor[i], 2 * MBIT, &err), 0);
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
	print_message("remove with 4096 classes: %.1f ms\n", (now() - begin) * 1e3);
	sl_qos_close(qos);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, make_links, remove_links)

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		TEST(open_makes_the_link_and_the_default_class_and_build_makes_the_pool),
		TEST(the_default_class_takes_its_rate_from_the_configuration),
		TEST(a_rate_above_four_gigabytes_a_second_is_kept),
		TEST(a_device_with_jumbo_frames_gets_a_size_table_too),
		TEST(a_device_without_a_link_header_loses_nothing_to_the_size_table),
		TEST(assign_change_and_release_move_the_rate_of_one_class),
		TEST(a_full_pool_is_enospc_and_says_how_many_are_in_use),
		TEST(a_rate_below_8_kbit_or_above_the_link_is_refused_with_its_value),
		TEST(classes_survive_a_restart_and_are_adopted_with_their_rates),
		TEST(adoption_does_not_disturb_a_class_whose_rate_is_right),
		TEST(a_device_that_came_since_gets_the_classes_in_use_at_adoption),
		TEST(a_class_without_its_leaf_is_built_again),
		TEST(a_foreign_root_qdisc_is_refused_by_name_and_nothing_is_touched),
		TEST(the_default_qdisc_of_the_kernel_is_not_foreign),
		TEST(remove_leaves_the_kernels_default_and_others_queues),
		TEST(a_pool_of_size_0_means_no_queues_at_all),
		TEST(a_bad_configuration_is_refused_before_anything_is_made),
		TEST(one_minor_is_one_class_on_every_device_of_its_direction),
		TEST(a_change_that_fails_on_one_device_is_taken_back_on_the_others),
		TEST(the_rate_asked_is_the_rate_of_ip_bytes_reached),
		TEST(a_forwarded_connection_in_super_packets_reaches_a_low_rate),
		TEST(what_has_no_class_goes_through_the_default_class_and_never_the_direct_queue),
		TEST(a_class_that_was_idle_or_released_sends_at_its_new_rate_at_once),
		TEST(the_pool_of_4096_is_built_in_chunks),
	};

	/* one test by its name, for a closer look */
	if (argc > 1)
		cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, make_namespace, NULL);
}
