/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The frame as XDP gets it: before an skb exists, possibly in several buffers.
 * The counterpart of frame_skb.h.
 */
#ifndef SLUICE_BPF_FRAME_XDP_H
#define SLUICE_BPF_FRAME_XDP_H

#include "vmlinux.h"
#include <bpf/bpf_helpers.h>

#define sluice_frame xdp_md

/* Beyond this offset headers are copied by the helper: the verifier wants a bound. */
#define FRAME_DIRECT_MAX 0x3ff

static __always_inline long frame_load_slow(struct sluice_frame *frame, __u32 offset, void *to, __u32 length)
{
	return bpf_xdp_load_bytes(frame, offset, to, length);
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
	return bpf_xdp_get_buff_len(frame);
}

/* XDP cannot tell; see frame_exceeds_mtu. */
static __always_inline bool frame_is_gso(struct sluice_frame *frame)
{
	return false;
}

static __always_inline __u32 frame_segments(struct sluice_frame *frame, __u32 payload)
{
	return 1;
}

/*
 * More IP bytes than the device's MTU: on a veth, or in generic XDP, a GSO
 * packet. How many packets it stands for is known only to its skb.
 */
static __always_inline bool frame_exceeds_mtu(struct sluice_frame *frame, __u32 bytes)
{
	__u32 mtu = 0;

	if (bpf_check_mtu(frame, 0, &mtu, 0, 0) < 0)
		return false;
	return bytes > mtu;
}

static __always_inline bool frame_is_local(struct sluice_frame *frame)
{
	return false;
}

static __always_inline __u32 frame_ifindex(struct sluice_frame *frame)
{
	return frame->ingress_ifindex;
}

#endif
