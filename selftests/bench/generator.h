/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the generator sends: shared by the BPF program and the bench. */
#ifndef SLUICE_BENCH_GENERATOR_H
#define SLUICE_BENCH_GENERATOR_H

#include <linux/types.h>

#define BENCH_FRAME 64 /* bytes of a frame without its FCS */

/* Addresses and ports in host order. */
struct bench_traffic {
	__u32 device;	   /* index of the device that the frames leave by */
	__u32 subscribers; /* sources first_address .. first_address + subscribers - 1, at random */
	__u32 first_address;
	__u32 destination;
	__u16 first_port; /* UDP destination ports first_port .. first_port + ports - 1, at random */
	__u16 ports;
	__u8 from[6];
	__u8 to[6];
};

#endif
