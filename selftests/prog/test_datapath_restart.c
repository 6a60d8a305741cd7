// SPDX-License-Identifier: Apache-2.0
/*
 * Restarts under traffic, death without warning, and the three capabilities.
 *
 *   namespace of the subscriber          namespace of the test
 *   10.9.0.2  ue0 -------------- access0  10.9.0.1, UDP sink
 *
 * The subscriber is unknown and unknown subscribers are dropped: whatever
 * reaches the sink passed unenforced.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "datapath_fixture.h"

#define RESTARTS 20
#define PORT	 9909
#define NOBODY	 65534

/* Shared by the test and the subscriber's process. */
struct traffic {
	atomic_bool cabled;
	atomic_bool flow;    /* send, or rest */
	atomic_bool resting; /* nothing is on its way any more */
	atomic_ulong sent;
};

static struct traffic *traffic;
static pid_t subscriber;
static int sink = -1;

static struct sockaddr_in address(const char *text)
{
	struct sockaddr_in out = {.sin_family = AF_INET, .sin_port = htons(PORT)};

	inet_pton(AF_INET, text, &out.sin_addr);
	return out;
}

static void send_until_killed(void)
{
	struct sockaddr_in gateway = address("10.9.0.1");
	static const char payload[64];
	int fd;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (unshare(CLONE_NEWNET) < 0)
		_exit(1);
	traffic->resting = true;
	while (!traffic->cabled)
		usleep(1000);
	if (system("ip addr add 10.9.0.2/24 dev ue0 && ip link set ue0 up && "
		   "ip neigh replace 10.9.0.1 lladdr 02:00:00:00:09:01 dev ue0"))
		_exit(1);
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	for (;;) {
		if (!traffic->flow) {
			traffic->resting = true;
			usleep(1000);
			continue;
		}
		traffic->resting = false;
		for (int i = 0; i < 16; i++)
			if (sendto(fd, payload, sizeof(payload), MSG_DONTWAIT, (struct sockaddr *)&gateway,
				   sizeof(gateway)) > 0)
				traffic->sent++;
		usleep(200);
	}
}

static void let_flow(bool flow)
{
	traffic->flow = flow;
	while (traffic->resting == flow)
		usleep(1000);
}

static unsigned long drain_sink(void)
{
	unsigned long received = 0;
	char buffer[256];

	while (recv(sink, buffer, sizeof(buffer), MSG_DONTWAIT) > 0)
		received++;
	return received;
}

/* Returns when the subscriber sent that many more. */
static void wait_for_packets(unsigned long count)
{
	unsigned long until = traffic->sent + count;

	while (traffic->sent < until)
		usleep(1000);
}

static int cable_the_subscriber(void **state)
{
	struct sockaddr_in any = address("10.9.0.1");

	if (fixture_devices(state) != 0)
		return -1;
	traffic = mmap(NULL, sizeof(*traffic), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	memset(traffic, 0, sizeof(*traffic));
	subscriber = fork();
	if (subscriber == 0)
		send_until_killed();
	while (!traffic->resting)
		usleep(1000);
	fixture_run("ip link set access0 address 02:00:00:00:09:01 && ip addr add 10.9.0.1/24 dev access0 && "
		    "ip link set ue0 netns %d",
		    subscriber);
	traffic->cabled = true;
	sink = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	return bind(sink, (struct sockaddr *)&any, sizeof(any));
}

static int uncable_the_subscriber(void **state)
{
	close(sink);
	kill(subscriber, SIGKILL);
	waitpid(subscriber, NULL, 0);
	munmap(traffic, sizeof(*traffic));
	return fixture_no_devices(state);
}

static uint64_t unknown_drops(struct sl_datapath *datapath)
{
	struct sluice_counter drops[SLUICE_DROP_REASON_COUNT][SLUICE_DIRECTIONS];

	assert_int_equal(sl_drops_read(datapath, drops), 0);
	return drops[SLUICE_DROP_UNKNOWN_SUBSCRIBER][SLUICE_UPLINK].packets;
}

static void restart_under_traffic(enum sl_datapath_mode mode)
{
	struct sl_datapath_config config = fixture_config();
	struct sl_datapath *datapath;
	uint64_t dropped;

	config.mode = mode;
	/* without enforcement packets do arrive */
	let_flow(true);
	while (drain_sink() == 0)
		usleep(1000);

	datapath = fixture_start(&config, false);
	let_flow(false);
	usleep(100000);
	drain_sink();
	let_flow(true);
	wait_for_packets(100);
	dropped = unknown_drops(datapath);
	assert_true(dropped > 0);
	fixture_close(datapath);

	for (int i = 0; i < RESTARTS; i++) {
		wait_for_packets(20);
		datapath = fixture_start(&config, true);
		wait_for_packets(20);
		assert_true(unknown_drops(datapath) > dropped);
		dropped = unknown_drops(datapath);
		fixture_close(datapath);
	}
	let_flow(false);
	usleep(100000);
	assert_int_equal(drain_sink(), 0);
}

static void no_packet_passes_unenforced_while_tcx_links_are_replaced(void **state)
{
	(void)state;
	restart_under_traffic(SL_MODE_TC);
}

static void no_packet_passes_unenforced_while_clsact_filters_are_replaced(void **state)
{
	(void)state;
	setenv("SLUICE_NO_TCX", "1", 1);
	restart_under_traffic(SL_MODE_TC);
}

static void no_packet_passes_unenforced_while_xdp_is_replaced(void **state)
{
	(void)state;
	restart_under_traffic(SL_MODE_XDP);
}

static void an_agent_that_is_killed_leaves_enforcement_and_its_successor_adopts_all(void **state)
{
	struct sl_datapath_config config = fixture_config();
	struct sl_address ue = {.family = 4, .bytes = {192, 0, 2, 1}};
	struct sluice_endpoint endpoint = {.policy = 3, .session = 4, .imsi = "001010000000003"};
	struct sluice_endpoint found = {0};
	struct sl_datapath *datapath;
	struct sl_error err;
	uint64_t dropped;
	bool adopted;
	int status;
	pid_t agent;

	(void)state;
	agent = fork();
	if (agent == 0) {
		if (sl_datapath_open(&config, &datapath, &adopted, &err) == 0 &&
		    sl_datapath_attach(datapath, &err) == 0 &&
		    sl_endpoint_set(datapath, &ue, &endpoint, &err) == 0)
			raise(SIGKILL);
		_exit(1);
	}
	waitpid(agent, &status, 0);
	assert_true(WIFSIGNALED(status));

	let_flow(true);
	wait_for_packets(100);
	let_flow(false);
	usleep(100000);
	assert_int_equal(drain_sink(), 0);

	datapath = fixture_open(&config, true);
	dropped = unknown_drops(datapath);
	assert_true(dropped > 0);
	fixture_attach(datapath);
	assert_int_equal(unknown_drops(datapath), dropped);
	assert_int_equal(sl_endpoint_get(datapath, &ue, &found), 0);
	assert_memory_equal(&found, &endpoint, sizeof(found));
	fixture_close(datapath);
}

struct records {
	unsigned int count;
	struct sluice_drop_event last;
};

static void keep_record(const struct sluice_drop_event *event, void *user)
{
	struct records *records = user;

	records->count++;
	records->last = *event;
}

static void drops_are_recorded_while_somebody_watches(void **state)
{
	struct sl_datapath_config config = fixture_config();
	struct sl_datapath *datapath = fixture_start(&config, false);
	struct records records = {0};
	const uint8_t source[4] = {10, 9, 0, 2};

	(void)state;
	let_flow(true);
	wait_for_packets(100);
	assert_true(sl_events_fd(datapath) >= 0);
	assert_int_equal(sl_events_consume(datapath, keep_record, NULL, &records), 0);
	assert_int_equal(records.count, 0);

	sl_watch_drops(datapath, true);
	while (records.count == 0) {
		usleep(1000);
		assert_int_equal(sl_events_consume(datapath, keep_record, NULL, &records), 0);
	}
	assert_int_equal(records.last.reason, SLUICE_DROP_UNKNOWN_SUBSCRIBER);
	assert_int_equal(records.last.direction, SLUICE_UPLINK);
	assert_int_equal(records.last.session, SLUICE_NONE);
	assert_int_equal(records.last.destination_port, PORT);
	assert_memory_equal(records.last.source, source, sizeof(source));

	sl_watch_drops(datapath, false);
	let_flow(false);
	usleep(100000);
	sl_events_consume(datapath, keep_record, NULL, &records);
	records.count = 0;
	let_flow(true);
	wait_for_packets(100);
	assert_int_equal(sl_events_consume(datapath, keep_record, NULL, &records), 0);
	assert_int_equal(records.count, 0);
	fixture_close(datapath);
}

/* --- capabilities ------------------------------------------------------------------ */

static int complain(const char *what, int r, const struct sl_error *err)
{
	fprintf(stderr, "%s: %s: %s\n", what, strerror(-r), err->text);
	return 1;
}

static bool all_attached(struct sl_datapath *datapath, size_t expected)
{
	struct sl_hook_status hooks[16];
	size_t count = sl_datapath_hooks(datapath, hooks, 16);

	for (size_t i = 0; i < count; i++)
		if (!hooks[i].attached)
			return false;
	return count == expected;
}

/* A start, a restart and a detach, in a process that cmocka's jumps do not reach; the exit status. */
static int live(const struct sl_datapath_config *config, size_t hooks)
{
	struct sl_address ue = {.family = 6, .bytes = {0x20, 0x01, 0x0d, 0xb8}};
	struct sluice_endpoint endpoint = {.policy = 1};
	struct sl_datapath *datapath = NULL;
	struct sl_error err = {""};
	bool adopted = false;
	int r;

	for (int start = 0; start < 2; start++) {
		r = sl_datapath_open(config, &datapath, &adopted, &err);
		if (r < 0 || adopted != (start == 1))
			return complain("open", r, &err);
		r = sl_datapath_attach(datapath, &err);
		if (r < 0)
			return complain("attach", r, &err);
		if (!all_attached(datapath, hooks))
			return complain("hooks", 0, &err);
		r = sl_endpoint_set(datapath, &ue, &endpoint, &err);
		if (r < 0 || sl_endpoint_count(datapath, 6) != 1)
			return complain("endpoint", r, &err);
		if (start == 0)
			sl_datapath_close(datapath);
	}
	r = sl_datapath_detach(datapath, &err);
	if (r < 0)
		return complain("detach", r, &err);
	sl_datapath_close(datapath);
	return 0;
}

/* The host's bpffs may be closed to others (iproute2 mounts it so): a mount of its own, for this process
 * only. */
static int mount_open_bpffs(void)
{
	if (unshare(CLONE_NEWNS) < 0 || mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0)
		return -errno;
	return mount("bpf", "/sys/fs/bpf", "bpf", 0, "mode=1777") < 0 ? -errno : 0;
}

static void live_on_three_capabilities(enum sl_datapath_mode mode, unsigned int uid, size_t hooks)
{
	struct sl_datapath_config config = fixture_config();
	int status;
	pid_t child;

	config.mode = mode;
	child = fork();
	if (child == 0) {
		if (mount_open_bpffs() < 0 || fixture_drop_capabilities(uid) < 0)
			_exit(2);
		_exit(live(&config, hooks));
	}
	waitpid(child, &status, 0);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_int_equal(fixture_tcx_count("access0", true), 0);
	assert_int_equal(fixture_tcx_count("core0", false), 0);
}

static void three_capabilities_are_enough_for_tcx(void **state)
{
	(void)state;
	live_on_three_capabilities(SL_MODE_TC, 0, 3);
}

static void three_capabilities_are_enough_for_clsact(void **state)
{
	(void)state;
	setenv("SLUICE_NO_TCX", "1", 1);
	live_on_three_capabilities(SL_MODE_TC, 0, 3);
	assert_false(fixture_succeeds("tc qdisc show dev access0 | grep -q clsact"));
}

static void three_capabilities_are_enough_for_xdp(void **state)
{
	(void)state;
	live_on_three_capabilities(SL_MODE_XDP, 0, 4);
	assert_false(fixture_succeeds("ip link show dev access0 | grep -q 'prog/xdp'"));
}

static void three_capabilities_are_enough_for_a_user_that_is_not_root(void **state)
{
	(void)state;
	live_on_three_capabilities(SL_MODE_XDP, NOBODY, 4);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, fixture_devices, fixture_no_devices)
#define TRAFFIC(function) \
	cmocka_unit_test_setup_teardown(function, cable_the_subscriber, uncable_the_subscriber)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TRAFFIC(no_packet_passes_unenforced_while_tcx_links_are_replaced),
		TRAFFIC(no_packet_passes_unenforced_while_clsact_filters_are_replaced),
		TRAFFIC(no_packet_passes_unenforced_while_xdp_is_replaced),
		TRAFFIC(an_agent_that_is_killed_leaves_enforcement_and_its_successor_adopts_all),
		TRAFFIC(drops_are_recorded_while_somebody_watches),
		TEST(three_capabilities_are_enough_for_tcx),
		TEST(three_capabilities_are_enough_for_clsact),
		TEST(three_capabilities_are_enough_for_xdp),
		TEST(three_capabilities_are_enough_for_a_user_that_is_not_root),
	};

	return cmocka_run_group_tests_name("datapath: restarts", tests, fixture_setup, fixture_teardown);
}
