/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What enforces on the gateway of a rig. All do the same: subscriber i has the
 * address BENCH_FIRST_ADDRESS + i and BENCH_RULES rules, rule r permits UDP to
 * port BENCH_FIRST_PORT + r and counts it for that subscriber and rule;
 * everything else of the subscriber is dropped.
 */
#ifndef SLUICE_BENCH_GATEWAY_H
#define SLUICE_BENCH_GATEWAY_H

#include <stdbool.h>
#include <stdint.h>

#include "rig.h"

/* nftables: a verdict map and a map of named counters, both by (source, port). */
void gateway_nft(const struct rig *rig, uint32_t subscribers);

/* Sum of packets over all counters. */
uint64_t gateway_nft_packets(const struct rig *rig);

struct gateway_sluice;

/*
 * The datapath as the agent runs it, filled in the same way. With `own` every
 * session has match lists of its own, otherwise all share one.
 */
struct gateway_sluice *gateway_sluice_new(const struct bench *bench, const struct rig *rig, bool xdp,
					  bool own, uint32_t subscribers);
uint64_t gateway_sluice_packets(const struct gateway_sluice *gateway);
void gateway_sluice_free(const struct bench *bench, const struct rig *rig, struct gateway_sluice *gateway);

#endif
