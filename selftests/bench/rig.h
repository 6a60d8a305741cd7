/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One gateway between two ends, and what a packet through it costs:
 *
 *   ue namespace      gateway namespace        inet namespace
 *   [ue0] --veth-- [access0]  [core0] --veth-- [inet0: XDP sink]
 *   10.0.1.2        10.0.1.1   10.0.2.1         10.0.2.2
 *
 * Namespaces have no name: they live as long as the rig's descriptors, so a
 * bench that dies leaves nothing behind. Everything runs on one CPU, whose
 * time is what is measured.
 */
#ifndef SLUICE_BENCH_RIG_H
#define SLUICE_BENCH_RIG_H

#include <stdbool.h>
#include <stdint.h>

#define BENCH_ACCESS	    "access0"
#define BENCH_CORE	    "core0"
#define BENCH_RULES	    4
#define BENCH_FIRST_ADDRESS 0x0a400000u /* 10.64.0.0, the first subscriber */
#define BENCH_DESTINATION   0xc6120001u /* 198.18.0.1 (RFC 2544) */
#define BENCH_FIRST_PORT    5000	/* rule i decides UDP to port 5000 + i */
#define BENCH_OTHER_PORT    6000	/* no rule decides */

enum rig_namespace { RIG_UE, RIG_GATEWAY, RIG_INET, RIG_NAMESPACES };

/* The generator, the sink and the CPU; one for the whole bench. */
struct bench;

struct rig {
	int ns[RIG_NAMESPACES];
	uint32_t ue_device;
};

struct rig_sample {
	uint64_t sent;
	uint64_t arrived;
	double cpu_ns; /* CPU time in all */
};

/* Exits with a message: a bench has nothing to do after a failure. */
void bench_die(const char *format, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* Runs a shell command inside a namespace of the rig and dies unless it succeeds. */
void rig_run(const struct rig *rig, enum rig_namespace where, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Runs a shell command there and returns the number it prints. */
uint64_t rig_ask(const struct rig *rig, enum rig_namespace where, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

/* Takes this thread into a namespace of the rig (for rig_leave to bring back). */
void rig_enter(const struct bench *bench, const struct rig *rig, enum rig_namespace where);
void rig_leave(const struct bench *bench);

/* Pins the process to the CPU (-1: the last one) and loads generator and sink. */
struct bench *bench_new(int cpu);
void bench_free(struct bench *bench);
int bench_cpu(const struct bench *bench);

/* A forwarding gateway with nothing on it. */
void rig_new(struct bench *bench, struct rig *rig);

/* Only the generator's half: frames are counted where they leave, which prices the generator. */
void rig_new_generator(struct bench *bench, struct rig *rig);
void rig_free(struct rig *rig);

/* Sends `packets` frames of random subscribers to random ports of [port, port + ports). */
struct rig_sample rig_send(struct bench *bench, const struct rig *rig, uint32_t subscribers, uint16_t port,
			   uint16_t ports, uint32_t packets);

#endif
