// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Both ends of the packet path bench: `generate` is run by BPF_PROG_TEST_RUN
 * with live frames and sends each of them as a new subscriber's packet, `sink`
 * counts and drops what came through the gateway.
 */
#include <linux/bpf.h>
#include <linux/if_ether.h>
#include <linux/in.h>
#include <linux/ip.h>
#include <linux/udp.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>

#include "generator.h"

struct bench_traffic traffic;

/* The bench runs on one CPU: no atomics, which would be charged to every mode. */
__u64 arrived;

static __always_inline __u16 fold(__u32 sum)
{
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/*
 * Frames are recycled with whatever the gateway wrote into them (addresses,
 * TTL), so every header is written anew.
 */
SEC("xdp")
int generate(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data;
	void *end = (void *)(long)ctx->data_end;
	struct ethhdr *eth = data;
	struct iphdr *ip = (void *)(eth + 1);
	struct udphdr *udp = (void *)(ip + 1);
	__u64 draw = (__u64)bpf_get_prandom_u32() * traffic.subscribers;
	/* the high half is a subscriber, the low half is left over to choose its rule */
	__u32 source = traffic.first_address + (__u32)(draw >> 32);
	__u32 rule = (__u32)(((draw & 0xffffffff) * traffic.ports) >> 32);
	__u32 destination = traffic.destination;
	__u16 length = BENCH_FRAME - sizeof(*eth);

	if ((void *)(udp + 1) > end)
		return XDP_ABORTED;
	__builtin_memcpy(eth->h_dest, traffic.to, ETH_ALEN);
	__builtin_memcpy(eth->h_source, traffic.from, ETH_ALEN);
	eth->h_proto = bpf_htons(ETH_P_IP);
	ip->version = 4;
	ip->ihl = 5;
	ip->tos = 0;
	ip->tot_len = bpf_htons(length);
	ip->id = 0;
	ip->frag_off = 0;
	ip->ttl = 64;
	ip->protocol = IPPROTO_UDP;
	ip->saddr = bpf_htonl(source);
	ip->daddr = bpf_htonl(destination);
	ip->check = bpf_htons(fold(0x4500 + length + (64 << 8) + IPPROTO_UDP + (source >> 16) +
				   (source & 0xffff) + (destination >> 16) + (destination & 0xffff)));
	udp->source = bpf_htons(40000);
	udp->dest = bpf_htons(traffic.first_port + rule);
	udp->len = bpf_htons(length - sizeof(*ip));
	udp->check = 0;
	return bpf_redirect(traffic.device, 0);
}

SEC("xdp")
int sink(struct xdp_md *ctx)
{
	arrived++;
	return XDP_DROP;
}

char _license[] SEC("license") = "Dual BSD/GPL";
