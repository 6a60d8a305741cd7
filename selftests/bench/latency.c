// SPDX-License-Identifier: Apache-2.0
/*
 * How long one activation takes on the Unix socket, one after the other, first
 * with nothing else going on and then while packets of ten thousand sessions
 * pass; each also with a real-time priority; and a storm of activations over several connections, after which
 * every session must be in the kernel with all of its rules.
 */
#include <bpf/bpf.h>
#include <errno.h>
#include <event2/event.h>
#include <getopt.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "agent.h"
#include "api/grpc.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "request.h"
#include "sluice/maps.h"
#include "table.h"

#define STORM	    10000
#define CONNECTIONS 16
#define WARM_UP	    500
#define ACTIVATE    "/magma.lte.Pipelined/ActivateFlows"
#define MISSING	    "/magma.lte.Pipelined/NoSuchMethod"

struct call {
	struct event_base *base;
	uint32_t open;
	uint32_t failed;
};

struct percentiles {
	double p50, p99; /* us */
};

static void pack(uint32_t subscriber, uint8_t *out, size_t size, size_t *length)
{
	uint32_t number = BENCH_FIRST_ADDRESS + subscriber;
	char imsi[16], address[16];

	snprintf(imsi, sizeof(imsi), "00101%010u", subscriber);
	snprintf(address, sizeof(address), "%u.%u.%u.%u", number >> 24, number >> 16 & 255, number >> 8 & 255,
		 number & 255);
	*length = request_pack(imsi, address, REQUEST_NO_RATE, out, size);
}

static void on_done(enum sl_grpc_status status, const char *text, const uint8_t *message, size_t length,
		    void *user)
{
	struct call *call = user;

	(void)text;
	if (status == SL_GRPC_OK)
		request_check(message, length);
	else
		call->failed++;
	if (--call->open == 0)
		event_base_loopbreak(call->base);
}

/* --- one after the other -------------------------------------------------------------- */

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static struct percentiles measure(struct agent *agent, struct sl_grpc_client *client, const char *path,
				  uint32_t first, uint32_t calls)
{
	_cleanup_free_ double *times = calloc(calls, sizeof(*times));
	bool missing = strcmp(path, MISSING) == 0;
	struct call call = {.base = agent->base};
	uint8_t request[2048];
	size_t length;

	if (!times)
		bench_die("out of memory");
	for (uint32_t i = 0; i < WARM_UP + calls; i++) {
		uint64_t start;

		pack(first + i, request, sizeof(request), &length);
		start = sl_now_ns();
		call.open = 1;
		if (sl_grpc_client_call(client, path, request, length, 0, NULL, on_done, &call))
			bench_die("%s cannot be called", path);
		event_base_dispatch(agent->base);
		if (i >= WARM_UP)
			times[i - WARM_UP] = (double)(sl_now_ns() - start) / 1e3;
	}
	if (call.failed != (missing ? WARM_UP + calls : 0))
		bench_die("%s: %u calls failed", path, call.failed);
	qsort(times, calls, sizeof(*times), compare);
	return (struct percentiles){.p50 = times[calls / 2], .p99 = times[calls * 99ull / 100]};
}

/* Packets on the bench's CPU until it is killed. */
static pid_t start_traffic(struct bench *bench, const struct rig *rig, uint32_t subscribers)
{
	pid_t pid = fork();

	if (pid < 0)
		bench_die("fork: %s", strerror(errno));
	if (pid > 0)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	for (;;)
		rig_send(bench, rig, subscribers, BENCH_FIRST_PORT, BENCH_RULES, 1000000);
}

/* The bench's CPU is the packets'; everything else is elsewhere. */
static void leave_cpu(const struct bench *bench)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	for (int cpu = 0; cpu < sysconf(_SC_NPROCESSORS_ONLN); cpu++)
		if (cpu != bench_cpu(bench))
			CPU_SET((size_t)cpu, &set);
	if (CPU_COUNT(&set))
		sched_setaffinity(0, sizeof(set), &set);
}

/*
 * With a real-time priority nobody else's work on this machine is measured, which
 * beyond the median is most of what the ordinary priority shows.
 */
static void set_priority(const struct agent *agent, int policy)
{
	struct sched_param param = {.sched_priority = policy == SCHED_FIFO};

	if (sched_setscheduler(agent->pid, policy, &param) || sched_setscheduler(0, policy, &param))
		bench_die("cannot set the scheduling policy: %s", strerror(errno));
}

/* --- all at once -------------------------------------------------------------------------- */

static double storm(struct agent *agent, const char *address, const char *path, uint32_t first)
{
	struct sl_grpc_client *clients[CONNECTIONS];
	struct call call = {.base = agent->base, .open = STORM};
	struct sl_error err = {{0}};
	uint8_t request[2048];
	size_t length;
	uint64_t start, end;

	for (int i = 0; i < CONNECTIONS; i++)
		if (sl_grpc_client_new(agent->base, address, &clients[i], &err))
			bench_die("client: %s", err.text);
	start = sl_now_ns();
	for (uint32_t i = 0; i < STORM; i++) {
		pack(first + i, request, sizeof(request), &length);
		if (sl_grpc_client_call(clients[i % CONNECTIONS], path, request, length, 0, NULL, on_done,
					&call))
			bench_die("%s cannot be called", path);
	}
	event_base_dispatch(agent->base);
	end = sl_now_ns();
	for (int i = 0; i < CONNECTIONS; i++)
		sl_grpc_client_free(clients[i]);
	if (call.failed != (strcmp(path, MISSING) == 0 ? STORM : 0))
		bench_die("%s: %u calls of the storm failed", path, call.failed);
	return (double)(end - start) / 1e9;
}

static int open_map(const char *name)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "/sys/fs/bpf/sluice-bench-%d/maps/%s", getpid(), name);
	fd = bpf_obj_get(path);
	if (fd < 0)
		bench_die("cannot open %s: %s", path, strerror(-fd));
	return fd;
}

/* Endpoints in the kernel, each of which must lead to BENCH_RULES rules of its own IMSI. */
static uint32_t count_whole_sessions(void)
{
	_cleanup_fd_ int endpoints = open_map("endpoints4"), policies = open_map("policies"),
			 owners = open_map("usage_owners");
	struct sluice_endpoint endpoint;
	struct sluice_policy policy;
	struct sluice_usage_owner owner;
	struct sluice_ip4 key, *previous = NULL;
	uint32_t count = 0;

	while (bpf_map_get_next_key(endpoints, previous, &key) == 0) {
		previous = &key;
		if (bpf_map_lookup_elem(endpoints, &key, &endpoint) ||
		    bpf_map_lookup_elem(policies, &endpoint.policy, &policy))
			bench_die("an endpoint without a policy");
		for (int rule = 0; rule < BENCH_RULES; rule++) {
			if (bpf_map_lookup_elem(owners, &policy.binding[rule].usage, &owner) ||
			    owner.state != SLUICE_USAGE_ACTIVE || strcmp(owner.imsi, endpoint.imsi) != 0 ||
			    owner.rule_id[5] != '0' + rule)
				bench_die("%s is half applied: rule %d", endpoint.imsi, rule);
		}
		count++;
	}
	return count;
}

/* --- the bench ----------------------------------------------------------------------------- */

static double resident_mib(const struct agent *agent)
{
	char path[32];
	_cleanup_file_ FILE *file = NULL;
	unsigned long pages = 0;

	snprintf(path, sizeof(path), "/proc/%d/statm", agent->pid);
	file = fopen(path, "re");
	if (!file || fscanf(file, "%*u %lu", &pages) != 1)
		bench_die("cannot read %s", path);
	return (double)pages * (double)sysconf(_SC_PAGESIZE) / (1 << 20);
}

static void row(FILE *rows, const char *bench, const char *mode, double value, const char *unit,
		const char *baseline, double baseline_value)
{
	printf("%-18s %-24s %9.1f %-4s %-24s %9.1f %7.2f\n", bench, mode, value, unit, baseline,
	       baseline_value, value / baseline_value);
	bench_row(rows, bench, mode, value, unit, baseline, baseline_value, value / baseline_value);
}

static void run(FILE *rows, struct bench *bench, const struct rig *rig, struct agent *agent, uint32_t calls)
{
	struct percentiles idle, busy, missing, quiet_idle, quiet_busy;
	char address[64];
	struct sl_grpc_client *client;
	double empty, full, seconds, baseline;
	uint32_t next = 0, wanted;
	pid_t traffic;

	snprintf(address, sizeof(address), "unix:%s/api.sock", agent->directory);
	if (sl_grpc_client_new(agent->base, address, &client, NULL))
		bench_die("no client");
	leave_cpu(bench);

	empty = resident_mib(agent);
	baseline = storm(agent, address, MISSING, 0);
	seconds = storm(agent, address, ACTIVATE, next);
	full = resident_mib(agent);
	next += STORM;
	if (count_whole_sessions() != STORM)
		bench_die("%u of %u sessions are in the kernel", count_whole_sessions(), STORM);
	row(rows, "activation_storm", "10,000 on 16 connections", seconds, "s", "UNIMPLEMENTED", baseline);
	row(rows, "agent_memory", "10,000 sessions", full, "MiB", "none", empty);

	missing = measure(agent, client, MISSING, next, calls);
	idle = measure(agent, client, ACTIVATE, next, calls);
	next += WARM_UP + calls;
	set_priority(agent, SCHED_FIFO);
	quiet_idle = measure(agent, client, ACTIVATE, next, calls);
	set_priority(agent, SCHED_OTHER);
	next += WARM_UP + calls;
	traffic = start_traffic(bench, rig, STORM);
	busy = measure(agent, client, ACTIVATE, next, calls);
	next += WARM_UP + calls;
	set_priority(agent, SCHED_FIFO);
	quiet_busy = measure(agent, client, ACTIVATE, next, calls);
	set_priority(agent, SCHED_OTHER);
	next += WARM_UP + calls;
	kill(traffic, SIGKILL);
	waitpid(traffic, NULL, 0);
	row(rows, "activation_latency", "p50, no traffic", idle.p50, "us", "UNIMPLEMENTED", missing.p50);
	row(rows, "activation_latency", "p99, no traffic", idle.p99, "us", "UNIMPLEMENTED", missing.p99);
	row(rows, "activation_latency", "p50, traffic", busy.p50, "us", "p50, no traffic", idle.p50);
	row(rows, "activation_latency", "p99, traffic", busy.p99, "us", "p99, no traffic", idle.p99);
	row(rows, "activation_latency", "p99, traffic, real-time", quiet_busy.p99, "us",
	    "p99, no traffic, real-time", quiet_idle.p99);
	wanted = next;
	if (count_whole_sessions() != wanted)
		bench_die("%u of %u sessions are in the kernel", count_whole_sessions(), wanted);
	sl_grpc_client_free(client);
}

int main(int argc, char **argv)
{
	static const struct option names[] = {
		{"agent", required_argument, NULL, 'a'},
		{"calls", required_argument, NULL, 'n'},
		{"rows", required_argument, NULL, 'w'},
		{0},
	};
	const char *program = "build/sluiced", *rows_path = "/dev/null";
	uint32_t calls = 10000;
	struct agent agent = {0};
	struct bench *bench;
	struct rig rig;
	int letter;

	while ((letter = getopt_long(argc, argv, "", names, NULL)) >= 0) {
		switch (letter) {
		case 'a':
			program = optarg;
			break;
		case 'n':
			calls = (uint32_t)strtoul(optarg, NULL, 10);
			break;
		case 'w':
			rows_path = optarg;
			break;
		default:
			calls = 0;
		}
	}
	if (calls < 100 || calls > 50000) {
		fputs("usage: latency [--agent PROGRAM] [--calls 100..50000] [--rows FILE]\n", stderr);
		return 2;
	}

	_cleanup_file_ FILE *rows = bench_rows_open(rows_path);

	bench = bench_new(-1);
	rig_new(bench, &rig);
	agent_start(program, bench, &rig, STORM + 4 * (WARM_UP + calls), &agent);
	run(rows, bench, &rig, &agent, calls);
	agent_stop(&rig, &agent);
	rig_free(&rig);
	bench_free(bench);
	return 0;
}
