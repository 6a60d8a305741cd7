/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What ids.bpf.c and the programs that load it agree on. */
#ifndef SL_TEST_IDS_PROGRAM_H
#define SL_TEST_IDS_PROGRAM_H

#define IDS_ARRIVALS (1 << 16)
#define IDS_CPUS     64

/* replay: what arrives, and what was said of it */
struct ids_arrival {
	__u64 now_ns;
	__u32 units;
	__u32 result; /* enum ids_result */
};

/* flood: what one CPU saw */
struct ids_flow {
	__u64 asked;
	__u64 passed;
	__u64 excess;
	__u64 before_excess; /* that passed before its first excess */
	__u64 reserved[4];
};

/*
 * spoofed: cycles of 250 us, in each a packet from 125 addresses that are never there again, one from an
 * offender and two from benign addresses. What passed of offenders is in arrivals[offender *
 * IDS_SPOOFED_SECONDS + second].result, what was dropped of the others in the two after those.
 */
#define IDS_SPOOFED_CYCLE     128
#define IDS_SPOOFED_CYCLE_NS  250000
#define IDS_SPOOFED_NEW	      125
#define IDS_SPOOFED_OFFENDERS 20   /* each 200 packets a second */
#define IDS_SPOOFED_BENIGN    1000 /* each 8 */
#define IDS_SPOOFED_SECONDS   64
#define IDS_SPOOFED_DROPPED   (IDS_SPOOFED_OFFENDERS * IDS_SPOOFED_SECONDS)

#endif
