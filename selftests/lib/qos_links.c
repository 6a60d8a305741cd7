// SPDX-License-Identifier: Apache-2.0
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "qos/netlink.h"
#include "qos_links.h"

void qos_shell(const char *command)
{
	if (system(command) != 0)
		fail_msg("command failed: %s", command);
}

double qos_clock(clockid_t clock)
{
	struct timespec time;

	clock_gettime(clock, &time);
	return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

int qos_make_namespace(void **state)
{
	(void)state;
	if (unshare(CLONE_NEWNET) < 0) {
		fprintf(stderr, "a network namespace is needed: %s\n", strerror(errno));
		return -1;
	}
	return 0;
}

int qos_make_links(void **state)
{
	(void)state;
	qos_shell("for d in up0 up1 down0; do"
		  " ip link add $d type veth peer name ${d}p && ip link set $d up && ip link set ${d}p up || "
		  "exit 1;"
		  " done;"
		  " ip addr add 10.9.0.1/24 dev up0 && "
		  " ip neigh add 10.9.0.2 lladdr 02:00:00:00:00:02 dev up0 nud permanent");
	return 0;
}

int qos_remove_links(void **state)
{
	(void)state;
	qos_shell("for d in up0 up1 down0; do ip link del $d 2>/dev/null; done; true");
	return 0;
}

struct sl_qos_config qos_config_of(uint32_t pool_size, const char *up0, const char *up1, const char *down)
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

struct sl_qos *qos_open(const struct sl_qos_config *config)
{
	struct sl_qos *qos = NULL;
	struct sl_error err = {""};

	if (sl_qos_open(config, &qos, &err) < 0)
		fail_msg("%s", err.text);
	return qos;
}

void qos_build_all(struct sl_qos *qos)
{
	struct sl_error err = {""};
	int more;

	do {
		more = sl_qos_build(qos, 16, &err);
		if (more < 0)
			fail_msg("%s", err.text);
	} while (more);
}

static void view_class(const struct sl_htb_class *seen, void *data)
{
	struct qos_view *view = data;

	assert_true(seen->minor < SL_ARRAY_SIZE(view->class));
	view->class[seen->minor] = *seen;
	view->classes++;
	view->with_leaf += seen->has_leaf;
}

const struct qos_view *qos_look(const char *name)
{
	static struct qos_view view;
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

uint64_t qos_rate_on(const char *name, uint16_t minor)
{
	return qos_look(name)->class[minor].rate;
}

bool qos_tool_says(const char *command, const char *wanted)
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
