/* SPDX-License-Identifier: Apache-2.0 */
/* A real sluiced on the gateway of a rig, and one gRPC connection to it. */
#ifndef SLUICE_BENCH_AGENT_H
#define SLUICE_BENCH_AGENT_H

#include <stdint.h>
#include <sys/types.h>

#include "rig.h"

struct event_base;
struct sl_grpc_client;

#define AGENT_COUNTERS	 5 /* of a session: four rules and the default drop */
#define AGENT_CLASS_POOL 4096

struct agent {
	pid_t pid;
	const char *program;
	char directory[32];
	struct event_base *base;
	struct sl_grpc_client *client;
};

/* What the agent says of itself. */
struct agent_status {
	uint32_t known;
	uint32_t enforced;
	uint32_t classes_ready; /* of the smaller pool */
	uint64_t audit_passes;
	uint64_t audit_pass_ms; /* the last one */
};

/*
 * Starts the program with room for so many sessions, on the CPUs that this
 * process does not use, connects, and waits until its HTB classes are built.
 */
void agent_start(const char *program, const struct bench *bench, const struct rig *rig, uint32_t sessions,
		 struct agent *agent);
struct agent_status agent_status(struct agent *agent);
double agent_cpu_ns(const struct agent *agent); /* CPU time so far */

/* Ends the agent, then what it leaves in force. */
void agent_stop(const struct rig *rig, struct agent *agent);

#endif
