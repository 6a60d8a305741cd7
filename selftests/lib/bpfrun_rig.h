/* SPDX-License-Identifier: Apache-2.0 */
/* The rig from inside, for the files that are it: bpfrun.c, bpfrun_session.c, bpfrun_counters.c. */
#ifndef BPFRUN_RIG_H
#define BPFRUN_RIG_H

#include <bpf/bpf.h>
#include <bpf/libbpf.h>

#include "bpfrun.h"
#include "sluice_tc.skel.h"
#include "sluice_xdp.skel.h"

#define BPFRUN_SESSIONS 2048
#define BPFRUN_KEYS	16 /* of each table of the IDS */
#define BPFRUN_USAGE	16384
#define BPFRUN_INDEX	16 /* so few that buckets fill up */
#define BPFRUN_MATCHES	8192
#define BPFRUN_BINDINGS 8192

struct bpfrun {
	struct sluice_tc *tc;
	struct sluice_xdp *xdp;
	struct ring_buffer *ring;
	struct sluice_drop_event *taken; /* where the ring's callback puts a record */
	bool has_taken;

	struct sl_index index;
	struct sluice_policy *policies;
	struct sluice_binding *bindings;
	struct sluice_match4_block *matches4;
	struct sluice_match6_block *matches6;
	struct sluice_branch *branches;
	struct sluice_usage *usage;
	struct sluice_settings *settings;

	/* next free slots */
	uint32_t sessions;
	uint32_t used;
	uint32_t blocks4;
	uint32_t blocks6;
	uint32_t overflow;
};

#endif
