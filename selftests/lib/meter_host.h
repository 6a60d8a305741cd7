/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bpf/meter.h itself, compiled for user space: the map is an array, and each
 * compare-and-swap can be preceded by what another CPU does in that moment.
 * For one source file of a test program. Compiled with -I., for vmlinux.h.
 */
#ifndef SL_TEST_METER_HOST_H
#define SL_TEST_METER_HOST_H

#include <linux/types.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* what these headers declare is the kernel's; their guards keep them out */
#define __VMLINUX_H__
#define __BPF_HELPERS__
#ifndef __always_inline
#define __always_inline inline __attribute__((always_inline))
#endif

#define __weak
#define __noinline

#include "sluice/meter.h"

#define HOST_METERS 64

static struct sluice_meter host_meters[HOST_METERS];
static void (*host_before_swap)(__u64 *word); /* NULL: nobody else is there */

static inline struct sluice_meter *host_lookup(const __u32 *index)
{
	return *index < HOST_METERS ? &host_meters[*index] : NULL;
}

static inline __u64 host_swap(__u64 *word, __u64 before, __u64 after)
{
	if (host_before_swap)
		host_before_swap(word);
	__atomic_compare_exchange_n(word, &before, after, false, __ATOMIC_SEQ_CST, __ATOMIC_SEQ_CST);
	return before;
}

static inline void host_loop(__u32 count, long (*body)(__u32, void *), void *context)
{
	for (__u32 i = 0; i < count && !body(i, context); i++)
		;
}

#define bpf_loop(count, body, context, flags)	    host_loop(count, body, context)
#define bpf_map_lookup_elem(map, key)		    host_lookup(key)
#define __sync_val_compare_and_swap(word, old, new) host_swap(word, old, new)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wunused-parameter"
#include "../../bpf/meter.h"
#pragma GCC diagnostic pop
#undef bpf_loop
#undef bpf_map_lookup_elem
#undef __sync_val_compare_and_swap

#endif
