// SPDX-License-Identifier: Apache-2.0
#include "agent.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>

#include "api/grpc.h"
#include "base/cleanup.h"
#include "sluice/v1/admin.pb-c.h"

#define READY_SECONDS 60

static void write_configuration(const struct agent *agent, uint32_t sessions)
{
	char path[64];
	_cleanup_file_ FILE *file = NULL;

	snprintf(path, sizeof(path), "%s/sluice.yaml", agent->directory);
	file = fopen(path, "we");
	if (!file)
		bench_die("cannot write %s: %s", path, strerror(errno));
	fprintf(file,
		"access: [{interface: " BENCH_ACCESS "}]\n"
		"core: [{interface: " BENCH_CORE "}]\n"
		"api: {tcp: 127.0.0.1:50063, socket: %s/api.sock}\n"
		"pin_path: /sys/fs/bpf/sluice-bench-%d\n"
		"startup: serve\n"
		"datapath: {mode: tc}\n"
		"qos: {pool: %u}\n"
		"limits: {sessions: %u, usage: %u, meters: %u}\n"
		"log: {level: warning}\n",
		agent->directory, getpid(), AGENT_CLASS_POOL, sessions, sessions * AGENT_COUNTERS,
		sessions * 2 + 64);
}

static void remove_directory(const struct agent *agent)
{
	static const char *const names[] = {"sluice.yaml", "log", "api.sock"};
	char path[64];

	for (unsigned int i = 0; i < SL_ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", agent->directory, names[i]);
		unlink(path);
	}
	rmdir(agent->directory);
}

/* In the child: on the CPUs that the bench leaves free, dying with it. */
static void become_agent(const char *program, const struct bench *bench, const struct agent *agent)
{
	char configuration[64], log[64];
	cpu_set_t set;
	int fd;

	snprintf(configuration, sizeof(configuration), "%s/sluice.yaml", agent->directory);
	snprintf(log, sizeof(log), "%s/log", agent->directory);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	CPU_ZERO(&set);
	for (int cpu = 0; cpu < sysconf(_SC_NPROCESSORS_ONLN); cpu++)
		if (cpu != bench_cpu(bench))
			CPU_SET((size_t)cpu, &set);
	if (CPU_COUNT(&set))
		sched_setaffinity(0, sizeof(set), &set);
	fd = open(log, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd >= 0)
		dup2(fd, STDERR_FILENO);
	execl(program, program, "--config", configuration, NULL);
	_exit(127);
}

static void die_with_log(const struct agent *agent, const char *what)
{
	char line[512], path[64];
	_cleanup_file_ FILE *file = NULL;

	snprintf(path, sizeof(path), "%s/log", agent->directory);
	file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		fputs(line, stderr);
	bench_die("%s", what);
}

struct answer {
	bool done;
	enum sl_grpc_status status;
	struct agent_status agent;
};

static void on_status(enum sl_grpc_status status, const char *text, const uint8_t *message, size_t length,
		      void *user)
{
	struct answer *answer = user;
	Sluice__V1__Status *decoded;

	(void)text;
	answer->done = true;
	answer->status = status;
	if (status != SL_GRPC_OK)
		return;
	decoded = sluice__v1__status__unpack(NULL, length, message);
	if (!decoded)
		bench_die("the agent's status cannot be decoded");
	answer->agent.known = decoded->known_sessions;
	answer->agent.enforced = decoded->enforced_sessions;
	answer->agent.audit_passes = decoded->audit ? decoded->audit->passes : 0;
	answer->agent.audit_pass_ms = decoded->audit ? decoded->audit->last_pass_ms : 0;
	answer->agent.classes_ready = AGENT_CLASS_POOL;
	for (size_t i = 0; i < decoded->n_class_pools; i++)
		if (decoded->class_pools[i]->ready < answer->agent.classes_ready)
			answer->agent.classes_ready = decoded->class_pools[i]->ready;
	sluice__v1__status__free_unpacked(decoded, NULL);
}

static struct answer call(struct agent *agent, const char *path)
{
	struct answer answer = {0};

	if (sl_grpc_client_call(agent->client, path, NULL, 0, 0, NULL, on_status, &answer))
		bench_die("%s cannot be called", path);
	while (!answer.done)
		event_base_loop(agent->base, EVLOOP_ONCE);
	return answer;
}

static void pause_ms(long milliseconds)
{
	struct timespec time = {.tv_nsec = milliseconds * 1000000};

	nanosleep(&time, NULL);
}

static void wait_until_ready(struct agent *agent)
{
	for (int i = 0; i < READY_SECONDS * 10; i++) {
		struct answer answer = call(agent, "/sluice.v1.Admin/GetStatus");

		if (answer.status == SL_GRPC_OK && answer.agent.classes_ready == AGENT_CLASS_POOL)
			return;
		if (waitpid(agent->pid, NULL, WNOHANG) == agent->pid)
			die_with_log(agent, "the agent ended");
		pause_ms(100);
	}
	die_with_log(agent, "the agent is not ready");
}

void agent_start(const char *program, const struct bench *bench, const struct rig *rig, uint32_t sessions,
		 struct agent *agent)
{
	struct sl_error err = {0};

	snprintf(agent->directory, sizeof(agent->directory), "/tmp/sluice-bench-XXXXXX");
	if (!mkdtemp(agent->directory))
		bench_die("cannot make %s: %s", agent->directory, strerror(errno));
	write_configuration(agent, sessions);
	rig_enter(bench, rig, RIG_GATEWAY);
	agent->program = program;
	agent->pid = fork();
	if (agent->pid < 0)
		bench_die("fork: %s", strerror(errno));
	if (agent->pid == 0)
		become_agent(program, bench, agent);
	agent->base = event_base_new();
	if (!agent->base || sl_grpc_client_new(agent->base, "127.0.0.1:50063", &agent->client, &err))
		bench_die("client: %s", err.text);
	wait_until_ready(agent);
	rig_leave(bench);
}

struct agent_status agent_status(struct agent *agent)
{
	struct answer answer = call(agent, "/sluice.v1.Admin/GetStatus");

	if (answer.status != SL_GRPC_OK)
		die_with_log(agent, "the agent does not tell its status");
	return answer.agent;
}

double agent_cpu_ns(const struct agent *agent)
{
	struct timespec time;
	clockid_t clock;

	if (clock_getcpuclockid(agent->pid, &clock) || clock_gettime(clock, &time))
		die_with_log(agent, "the agent is gone");
	return (double)time.tv_sec * 1e9 + (double)time.tv_nsec;
}

void agent_stop(const struct rig *rig, struct agent *agent)
{
	sl_grpc_client_free(agent->client);
	event_base_free(agent->base);
	kill(agent->pid, SIGTERM);
	waitpid(agent->pid, NULL, 0);
	rig_run(rig, RIG_GATEWAY, "%s --config %s/sluice.yaml --detach 2>>%s/log", agent->program,
		agent->directory, agent->directory);
	remove_directory(agent);
}
