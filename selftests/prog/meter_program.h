/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What meter.bpf.c and the programs that load it agree on. */
#ifndef SL_TEST_METER_PROGRAM_H
#define SL_TEST_METER_PROGRAM_H

#define METER_NODES    1024
#define METER_ARRIVALS (1 << 16)
#define METER_CPUS     64

/* replay: what arrives, and what was said of it */
struct meter_arrival {
	__u64 now_ns;
	__u32 leaf;
	__u32 bytes;
	__u32 packets;
	__u32 result; /* enum sluice_meter_level */
};

/* flood: what one CPU saw */
struct meter_flow {
	__u64 passed_bytes;
	__u64 offered_bytes;
	__u64 first_ns; /* the clock of its first and its last packet that passed */
	__u64 last_ns;
	__u64 reserved[4];
};

#endif
