/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The frame as the tc hooks get it: an skb, of which only the first part may
 * be in linear memory, and which may stand for many segments (GSO).
 * frame_xdp.h offers the same functions; a hook includes one of the two.
 */
#ifndef SLUICE_BPF_FRAME_SKB_H
#define SLUICE_BPF_FRAME_SKB_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#define sluice_frame __sk_buff

/* Beyond this offset headers are copied by the helper: the verifier wants a bound. */
#define FRAME_DIRECT_MAX 0x3ff

static __always_inline long frame_load_slow(struct sluice_frame *frame, __u32 offset, void *to, __u32 length)
{
	return bpf_skb_load_bytes(frame, offset, to, length);
}

static __always_inline long frame_load(struct sluice_frame *frame, __u32 offset, void *to, const __u32 length)
{
	if (offset <= FRAME_DIRECT_MAX) {
		const void *from = (void *)(long)frame->data + offset;

		if (from + length <= (void *)(long)frame->data_end) {
			__builtin_memcpy(to, __builtin_assume_aligned(from, 4), length);
			return 0;
		}
	}
	return frame_load_slow(frame, offset, to, length);
}

static __always_inline __u32 frame_length(struct sluice_frame *frame)
{
	return frame->len;
}

static __always_inline bool frame_is_gso(struct sluice_frame *frame)
{
	return frame->gso_size || frame->gso_segs > 1;
}

/* Wire packets in this frame whose payload above the transport header is given. */
static __always_inline __u32 frame_segments(struct sluice_frame *frame, __u32 payload)
{
	__u32 segments = frame->gso_segs;
	__u32 size = frame->gso_size;

	/* tun and virtio give the size alone */
	if (!segments && size)
		segments = (payload + size - 1) / size;
	return segments ? segments : 1;
}

/* Made by this host, not received and forwarded by it. */
static __always_inline bool frame_is_local(struct sluice_frame *frame)
{
	return !frame->ingress_ifindex;
}

static __always_inline __u32 frame_ifindex(struct sluice_frame *frame)
{
	return frame->ifindex;
}

#endif
