// SPDX-License-Identifier: Apache-2.0
/*
 * Q9: the CPU of a real agent that has 100,000 sessions with an AMBR each way and nothing
 * to do but look after them (audit, expiry), against the same agent without sessions.
 */
#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent.h"
#include "api/grpc.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "request.h"
#include "table.h"

#define SESSIONS  100000u
#define IN_FLIGHT 128
#define SETTLE_S  12 /* a pass of the audit, and what the activations have left to do */
#define IDLE_S	  20
#define GOAL	  1.0 /* % of a CPU */
#define ACTIVATE  "/magma.lte.Pipelined/ActivateFlows"

struct load {
	struct agent *agent;
	uint32_t next, open;
};

static void on_done(enum sl_grpc_status status, const char *text, const uint8_t *message, size_t length,
		    void *user);

static void send_one(struct load *load)
{
	uint32_t number = BENCH_FIRST_ADDRESS + load->next;
	char imsi[16], address[16];
	uint8_t request[2048];
	size_t length;

	snprintf(imsi, sizeof(imsi), "00101%010u", load->next);
	snprintf(address, sizeof(address), "%u.%u.%u.%u", number >> 24, number >> 16 & 255, number >> 8 & 255,
		 number & 255);
	length = request_pack(imsi, address, REQUEST_AMBR, request, sizeof(request));
	if (sl_grpc_client_call(load->agent->client, ACTIVATE, request, length, 0, NULL, on_done, load))
		bench_die("an activation cannot be sent");
	load->next++;
	load->open++;
}

static void on_done(enum sl_grpc_status status, const char *text, const uint8_t *message, size_t length,
		    void *user)
{
	struct load *load = user;

	if (status != SL_GRPC_OK)
		bench_die("activation: status %d %s", status, text ? text : "");
	request_check(message, length);
	load->open--;
	if (load->next < SESSIONS)
		send_one(load);
	else if (!load->open)
		event_base_loopbreak(load->agent->base);
}

static void pause_s(time_t seconds)
{
	const struct timespec time = {.tv_sec = seconds};

	nanosleep(&time, NULL);
}

/* % of a CPU */
static double idle(const struct agent *agent)
{
	double cpu;
	uint64_t begin;

	pause_s(SETTLE_S);
	begin = sl_now_ns();
	cpu = agent_cpu_ns(agent);
	pause_s(IDLE_S);
	return (agent_cpu_ns(agent) - cpu) / (double)(sl_now_ns() - begin) * 100;
}

int main(int argc, char **argv)
{
	_cleanup_file_ FILE *rows = bench_rows_open(argc > 1 ? argv[1] : "/dev/null");
	const char *program = argc > 2 ? argv[2] : "build/sluiced";
	struct bench *bench = bench_new(-1);
	struct agent agent = {0};
	struct load load = {.agent = &agent};
	struct agent_status status;
	double none, all;
	uint64_t passes;
	struct rig rig;

	rig_new(bench, &rig);
	agent_start(program, bench, &rig, SESSIONS, &agent);
	none = idle(&agent);
	while (load.next < IN_FLIGHT)
		send_one(&load);
	event_base_dispatch(agent.base);
	status = agent_status(&agent);
	if (status.known != SESSIONS || status.enforced != SESSIONS)
		bench_die("of %u sessions the agent knows %u and enforces %u", SESSIONS, status.known,
			  status.enforced);
	all = idle(&agent);
	passes = agent_status(&agent).audit_passes - status.audit_passes;
	if (!passes)
		bench_die("the audit has looked at nothing meanwhile");
	status = agent_status(&agent);
	printf("%-10s Q9 the agent's CPU with %u idle sessions %.2f %%, goal %.0f; without %.2f %%; %llu "
	       "pass(es) of the audit meanwhile, the last took %.1f s\n",
	       "idle", SESSIONS, all, GOAL, none, (unsigned long long)passes,
	       (double)status.audit_pass_ms / 1000);
	bench_row(rows, "idle", "Q9 agent's CPU, 100,000 sessions, goal 1 %", all, "%", "no session", none,
		  none > 0 ? all / none : 0);
	agent_stop(&rig, &agent);
	rig_free(&rig);
	bench_free(bench);
	return 0;
}
