// SPDX-License-Identifier: Apache-2.0
/*
 * Activations per second through gRPC on one connection, each of a subscriber
 * of its own with four rules, against calls of a method that the server does
 * not have: what HTTP/2 and gRPC cost by themselves.
 */
#include <event2/event.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "agent.h"
#include "api/grpc.h"
#include "base/cleanup.h"
#include "request.h"
#include "table.h"

#define IN_FLIGHT  128
#define MAX_ROUNDS 15

/* Digits that every request has of its own, at the same places in the message. */
#define IMSI_TEXT    "001010000000000"
#define ADDRESS_TEXT "10.100.100.100"

struct load {
	struct agent *agent;
	const char *path;
	uint8_t request[2048];
	size_t length;
	size_t imsi_at;
	size_t address_at;
	enum sl_grpc_status expected;
	uint32_t next; /* subscriber */
	uint32_t left; /* calls to make */
	uint32_t open;
};

struct figure {
	double per_second[MAX_ROUNDS];
	double cpu_us[MAX_ROUNDS]; /* of the agent, per call */
};

static size_t find(const struct load *load, const char *text)
{
	const uint8_t *found = memmem(load->request, load->length, text, strlen(text));

	if (!found)
		bench_die("no %s in the request", text);
	return (size_t)(found - load->request);
}

/* Every three-digit part of the address from 100 on, so that it keeps its length. */
static void write_subscriber(struct load *load, uint32_t subscriber)
{
	char text[16];

	snprintf(text, sizeof(text), "00101%010u", subscriber);
	memcpy(load->request + load->imsi_at, text, strlen(IMSI_TEXT));
	snprintf(text, sizeof(text), "10.%u.%u.%u", 100 + subscriber / 22500 % 150,
		 100 + subscriber / 150 % 150, 100 + subscriber % 150);
	memcpy(load->request + load->address_at, text, strlen(ADDRESS_TEXT));
}

static void send_one(struct load *load);

static void on_done(enum sl_grpc_status status, const char *text, const uint8_t *message, size_t length,
		    void *user)
{
	struct load *load = user;

	if (status != load->expected)
		bench_die("%s: status %d %s", load->path, status, text ? text : "");
	if (status == SL_GRPC_OK)
		request_check(message, length);
	load->open--;
	if (load->left)
		send_one(load);
	else if (!load->open)
		event_base_loopbreak(load->agent->base);
}

static void send_one(struct load *load)
{
	write_subscriber(load, load->next++);
	if (sl_grpc_client_call(load->agent->client, load->path, load->request, load->length, 0, NULL,
				on_done, load))
		bench_die("%s cannot be called", load->path);
	load->left--;
	load->open++;
}

static double seconds(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

static void run(struct load *load, uint32_t calls, struct figure *figure, unsigned int round)
{
	double cpu = agent_cpu_ns(load->agent), time = seconds();

	load->left = calls;
	while (load->left && load->open < IN_FLIGHT)
		send_one(load);
	event_base_dispatch(load->agent->base);
	figure->per_second[round] = calls / (seconds() - time);
	figure->cpu_us[round] = (agent_cpu_ns(load->agent) - cpu) / calls / 1e3;
}

static void prepare(struct load *load, struct agent *agent, const char *path, enum sl_grpc_status expected,
		    bool mbr, uint32_t first)
{
	*load = (struct load){.agent = agent, .path = path, .expected = expected, .next = first};
	load->length = request_pack(IMSI_TEXT, ADDRESS_TEXT, mbr ? REQUEST_MBR : REQUEST_NO_RATE,
				    load->request, sizeof(load->request));
	load->imsi_at = find(load, IMSI_TEXT);
	load->address_at = find(load, ADDRESS_TEXT);
}

static void report(FILE *rows, const char *mode, struct figure *figure, struct figure *baseline,
		   unsigned int rounds)
{
	double rate = bench_median(figure->per_second, rounds), cpu = bench_median(figure->cpu_us, rounds);
	double base_rate = bench_median(baseline->per_second, rounds);
	double base_cpu = bench_median(baseline->cpu_us, rounds);

	printf("%-12s %-16s %9.0f /s  %-14s %9.0f /s %7.2f   agent's CPU: %5.1f us, baseline %5.1f us\n",
	       "activations", mode, rate, "UNIMPLEMENTED", base_rate, rate / base_rate, cpu, base_cpu);
	bench_row(rows, "activations", mode, rate, "calls/s", "UNIMPLEMENTED", base_rate, rate / base_rate);
	bench_row(rows, "activations_cpu", mode, cpu, "us/call", "UNIMPLEMENTED", base_cpu, cpu / base_cpu);
}

static void measure(FILE *rows, struct agent *agent, const char *mode, bool mbr, uint32_t first,
		    uint32_t calls, unsigned int rounds)
{
	struct load activate, missing;
	struct figure figure, baseline;

	prepare(&activate, agent, "/magma.lte.Pipelined/ActivateFlows", SL_GRPC_OK, mbr, first);
	prepare(&missing, agent, "/magma.lte.Pipelined/NoSuchMethod", SL_GRPC_UNIMPLEMENTED, mbr, first);
	for (unsigned int round = 0; round < rounds; round++) {
		run(&missing, calls, &baseline, round);
		run(&activate, calls, &figure, round);
	}
	report(rows, mode, &figure, &baseline, rounds);
}

int main(int argc, char **argv)
{
	static const struct option names[] = {
		{"agent", required_argument, NULL, 'a'},
		{"calls", required_argument, NULL, 'n'},
		{"rounds", required_argument, NULL, 'r'},
		{"rows", required_argument, NULL, 'w'},
		{0},
	};
	const char *program = "build/sluiced", *rows_path = "/dev/null";
	uint32_t calls = 20000, shaped_calls, sessions;
	unsigned int rounds = 5;
	struct agent_status status;
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
		case 'r':
			rounds = (unsigned int)strtoul(optarg, NULL, 10);
			break;
		case 'w':
			rows_path = optarg;
			break;
		default:
			calls = 0;
		}
	}
	if (calls < 100 || calls > 100000 || rounds < 1 || rounds > MAX_ROUNDS) {
		fprintf(stderr,
			"usage: activations [--agent PROGRAM] [--calls 100..100000] [--rounds 1..%d] [--rows "
			"FILE]\n",
			MAX_ROUNDS);
		return 2;
	}
	shaped_calls = AGENT_CLASS_POOL / rounds < calls ? AGENT_CLASS_POOL / rounds : calls;
	sessions = (calls + shaped_calls) * rounds;

	_cleanup_file_ FILE *rows = bench_rows_open(rows_path);

	bench = bench_new(-1);
	rig_new(bench, &rig);
	agent_start(program, bench, &rig, sessions, &agent);
	measure(rows, &agent, "4 rules", false, 0, calls, rounds);
	measure(rows, &agent, "4 rules, 1 MBR", true, calls * rounds, shaped_calls, rounds);
	status = agent_status(&agent);
	if (status.known != sessions || status.enforced != sessions)
		bench_die("of %u sessions the agent knows %u and enforces %u", sessions, status.known,
			  status.enforced);
	agent_stop(&rig, &agent);
	rig_free(&rig);
	bench_free(bench);
	return 0;
}
