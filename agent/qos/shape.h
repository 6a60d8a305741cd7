/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a rate means in HTB's own numbers. Pure: no kernel, no sockets.
 *
 * Rates are bit/s of IP bytes, as an MBR is meant. HTB counts what the size table
 * of the root qdisc says, and the table made here says IP bytes. Sizes are bytes.
 */
#ifndef SL_SHAPE_H
#define SL_SHAPE_H

#include <stdint.h>

/* What HTB gives a class as its own `rate`: a token, because a class sends
 * within its own rate whatever its parent says. Its MBR is its `ceil`. */
#define SL_SHAPE_TOKEN_RATE 8000u

/* One full Ethernet frame per turn, said aloud: the value that HTB derives
 * from a token rate would be 1. */
#define SL_SHAPE_QUANTUM 1514u

/* The lowest rate that can be asked for. One packet of 1,500 bytes takes 1.5 s. */
#define SL_SHAPE_RATE_MIN 8000u

/*
 * Below, a queue does more harm than good: ten packets wait for more than half a
 * second, and HTB wakes up late after a change, as at the old rate (one packet:
 * 47 ms at the floor, 1.5 s at 8 kbit/s). Only who asks for queues gets one.
 */
#define SL_SHAPE_FLOOR	    256000u
#define SL_SHAPE_FLOOR_TEXT "256 kbit/s"

/*
 * The own rate of each of `classes` classes below a link: the token rate, or
 * less where that many tokens would add up to more than a thousandth of the link,
 * which guarantees must be able to fill; at least 8 bit/s, the kernel's lowest
 * (1 byte/s).
 */
uint64_t sl_shape_token_rate(uint64_t link_rate, uint32_t classes);

/*
 * The own rate of a tree's leaf: so little that the leaves of the tree with the
 * lowest AMBR, which send it whatever the tree's rate is, stay below that.
 */
uint64_t sl_shape_leaf_token_rate(uint64_t token_rate);

/* Bucket of a class: 2 ms of its rate, at least two packets. */
uint64_t sl_shape_burst(uint64_t rate, uint32_t mtu);

/*
 * Queue of a class: 20 ms of its rate, at least ten packets, a TCP connection's
 * first window (RFC 6928); at most 2^32 - 1. With four, one connection reached
 * 83 % of 3 Mbit/s.
 */
uint32_t sl_shape_limit(uint64_t rate, uint32_t mtu);

/*
 * The longest packet that a queue of this limit takes whole. A super-packet (GSO)
 * may be 64 KiB; a queue that cannot hold one would drop it whole, always (one
 * connection at 1 Mbit/s: 24 % of the rate), so there it is cut into the segments
 * that it consists of. A queue that can leaves it whole, because that is much
 * cheaper per byte.
 */
uint32_t sl_shape_largest(uint32_t limit, uint32_t mtu);

/*
 * CoDel's delay that is no queue, microseconds: 5 ms (RFC 8289 clause 4.3), at low
 * rates the time of a packet and a half; and its interval, twenty of them.
 */
uint32_t sl_shape_target_us(uint64_t rate, uint32_t mtu);
uint32_t sl_shape_interval_us(uint32_t target_us);

/*
 * Flows that an fq_codel tells apart; one takes 68 bytes of kernel memory, packets
 * or not. The kernel's own 1,024 are meant for a link, not for one subscriber's rule.
 */
#define SL_SHAPE_CODEL_FLOWS 64u

/*
 * What its packets may take of the kernel's memory: two of CoDel's intervals at
 * this rate, doubled because the kernel counts what a packet occupies (some 2,300
 * bytes for one of 1,500); at least 256 KiB, three super-packets, and at most the
 * kernel's own 32 MiB. Above it the longest flow loses packets.
 */
uint32_t sl_shape_codel_memory(uint64_t rate, uint32_t mtu);

/* The time `bytes` take at `rate`, in the kernel's 64 ns ticks; at most 60 s,
 * which is as long as HTB remembers a debt. */
uint32_t sl_shape_ticks(uint64_t bytes, uint64_t rate);

/* Bytes per second as HTB takes them: rounded up, never 0. */
uint64_t sl_shape_bytes_per_second(uint64_t rate);

/* 16-bit entries of a size table: what fits a netlink attribute with room for its neighbours. */
#define SL_SHAPE_SIZES 32000u

/*
 * The size table of a root qdisc (TCA_STAB). HTB's own `overhead` cannot take
 * bytes away (the kernel keeps it in 16 unsigned bits, so -14 adds 65,522), and
 * without a table the link header is counted: 0.9 % of a full packet, 12 % of a
 * packet of 100 bytes. What a queue cuts (sl_shape_largest) is counted by the
 * kernel with its link header after all: 0.9 % low, the safe side.
 *
 * The kernel looks up length = skb->len + overhead. Up to the MTU an entry is
 * the IP length itself. Above it the packet is a TCP super-packet (GSO), of
 * which skb->len holds one header only: the entry adds the headers that its
 * other segments will carry on the wire, taken as 52 bytes each (IPv4, TCP with
 * timestamps; with IPv6's 72 the sum is up to 1.3 % low, with UDP's 28 up to 2.1 %
 * high). Beyond the last entry the kernel continues periodically,
 * entry[cells - 1] per whole table, so the table ends on a whole number of
 * segments.
 */
struct sl_shape_sizes {
	int overhead;	/* minus the link header */
	uint32_t cells; /* entries in use */
	uint16_t entry[SL_SHAPE_SIZES];
};

/* link_header: 14 on Ethernet, 0 on devices without one. mtu: of the device. */
void sl_shape_sizes(uint32_t mtu, uint32_t link_header, struct sl_shape_sizes *out);

/* What the kernel will count for a packet of this IP length (before segmentation). */
uint32_t sl_shape_counted(const struct sl_shape_sizes *sizes, uint32_t length);

#endif
