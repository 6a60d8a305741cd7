/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The real BPF programs on made-up packets: loads the skeletons with small
 * maps and no pins, fills the maps, runs one program on one packet. Whatever
 * goes wrong in here fails the running cmocka test with a message.
 */
#ifndef BPFRUN_H
#define BPFRUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "datapath/index.h"
#include "sluice/events.h"
#include "sluice/maps.h"

enum bpfrun_program {
	BPFRUN_ACCESS_INGRESS,
	BPFRUN_ACCESS_INGRESS_L3,
	BPFRUN_ACCESS_EGRESS,
	BPFRUN_ACCESS_EGRESS_L3,
	BPFRUN_CORE_EGRESS,
	BPFRUN_XDP_ACCESS,
};

/* As the kernel numbers them. */
enum { BPFRUN_TC_NEXT = -1, BPFRUN_TC_DROP = 2, BPFRUN_XDP_DROP = 1, BPFRUN_XDP_PASS = 2 };

/* --- packets ------------------------------------------------------------ */

#define PACKET_SIZE 8192

struct packet {
	uint8_t data[PACKET_SIZE];
	size_t length;
	size_t network;	  /* where the IP header begins */
	size_t transport; /* where what follows the IP headers begins */
	uint32_t ip_bytes;
};

/* What a zero leaves out is the ordinary: Ethernet, no tags, hop limit 64, no options, no payload. */
struct packet_spec {
	const char *source; /* IPv4 or IPv6 as text; NULL: no IP header */
	const char *destination;
	uint8_t protocol;
	uint16_t source_port;
	uint16_t destination_port;
	uint8_t icmp_type;
	uint8_t hop_limit;
	size_t payload; /* bytes after the transport header */
	size_t padding; /* bytes after the end of the IP packet */

	bool no_ethernet;   /* begins with the IP header */
	const char *mac;    /* destination "01:80:c2:00:00:00"; NULL: a unicast one */
	uint16_t ethertype; /* instead of the one that fits */
	uint16_t tag[3];    /* TPIDs of VLAN tags, outermost first; 0 ends */

	size_t ip_options;     /* IPv4, bytes, a multiple of four */
	uint8_t extension[12]; /* IPv6 header types, in order; hop-by-hop is 0xff here, 0 ends */
	size_t tcp_options;    /* bytes, a multiple of four */
	const uint8_t *ip_option, *tcp_option; /* the options themselves; NULL: zeros */
	uint8_t dscp;
	uint8_t tcp_flags;
	uint16_t fragment_offset; /* bytes, a multiple of eight; non-zero: no transport header */
	bool more_fragments;
};

void packet_build(struct packet *packet, const struct packet_spec *spec);

/* --- the rig ------------------------------------------------------------ */

struct bpfrun;

/* In a network namespace of the process's own: lo with MTU 1500, 192.0.2.1/24 and 2001:db8:ff::1/64,
 * a default route for both families, forwarding on. */
struct bpfrun *bpfrun_open(void);
void bpfrun_close(struct bpfrun *run);

/* No sessions, all counters zero, unknown subscribers dropped, nobody watching. */
void bpfrun_reset(struct bpfrun *run);
struct sluice_settings *bpfrun_settings(struct bpfrun *run);
/* The device that packets leave by has so many transmit queues with an HTB; until the reset. */
void bpfrun_egress_queues(struct bpfrun *run, uint32_t queues);

/* One rule with one match entry. */
struct bpfrun_rule {
	enum sluice_direction direction;
	enum sluice_action action;
	const char *remote;	 /* prefix as text; NULL: any */
	uint8_t protocol;	 /* 0: any */
	uint16_t remote_port[2]; /* low, high; 0, 0: any */
	uint16_t local_port[2];
	uint16_t uplink_class;
	uint16_t downlink_class;
	uint64_t deadline_ns;
	struct sluice_terms terms;
	bool any_ports; /* a condition on ports that every port fulfils */
};

/* Usage slots are base for what no rule matched, base + 1 + i for rule i. */
struct bpfrun_session {
	uint32_t session;
	uint32_t policy;
	uint32_t base;
};

/* Publishes a session at the address, "192.0.2.1" or "2001:db8::1" (its /64), in place of an earlier one. */
struct bpfrun_session bpfrun_session(struct bpfrun *run, const char *address, const struct bpfrun_rule *rules,
				     size_t count);

/* The policy in the map, to spoil. */
struct sluice_policy *bpfrun_policy(struct bpfrun *run, uint32_t slot);

/* The maps themselves, for tests that publish what the agent's compiler made; sizes are the rig's. */
struct bpfrun_maps {
	struct sluice_policy *policies;
	struct sluice_binding *bindings;
	struct sluice_match4_block *matches4;
	struct sluice_match6_block *matches6;
	struct sluice_branch *branches; /* as many as blocks */
	struct sluice_usage *usage;
	struct sl_index index;		    /* in use once it is cleared */
	int endpoints4, endpoints6, steers; /* the rig's fds */
};
struct bpfrun_maps bpfrun_maps(struct bpfrun *run);

/* The endpoint names a policy slot that does not exist. */
void bpfrun_break_endpoint(struct bpfrun *run, const char *address);

/* The MTU of the device that packets come from. */
void bpfrun_mtu(unsigned int mtu);

struct bpfrun_context {
	uint32_t mark;
	uint32_t priority;
	uint32_t gso_segs;
	uint32_t gso_size;
	uint32_t received_on; /* ifindex; 0: made by this host */
	uint32_t repeat;      /* 0: once */
	struct packet *left;  /* data and length become what the program left; NULL: not asked for */
};

struct bpfrun_result {
	int verdict;
	uint32_t mark;
	uint32_t priority;
	uint32_t nanoseconds; /* a run, when repeated */
};

struct bpfrun_result bpfrun_packet(struct bpfrun *run, enum bpfrun_program program,
				   const struct packet *packet, const struct bpfrun_context *context);

/* Builds the packet and runs it with the ordinary context; the verdict. */
int bpfrun_send(struct bpfrun *run, enum bpfrun_program program, const struct packet_spec *spec);

const struct sluice_usage *bpfrun_usage(struct bpfrun *run, uint32_t slot);
struct sluice_counter bpfrun_drops(struct bpfrun *run, enum sluice_drop_reason reason,
				   enum sluice_direction direction);
struct sluice_counter bpfrun_passes(struct bpfrun *run, enum sluice_pass_kind kind,
				    enum sluice_direction direction);
uint64_t bpfrun_lost_events(struct bpfrun *run);
uint64_t bpfrun_answers_withheld(struct bpfrun *run);

/* Everything that counts, to compare: usage of all slots, drops and passes. */
struct bpfrun_counters {
	struct sluice_counter usage;
	struct sluice_counter usage_dropped;
	struct sluice_counter drops;
	struct sluice_counter passes;
};
struct bpfrun_counters bpfrun_counters(struct bpfrun *run);

/* Takes one drop record off the ring; false when it is empty. */
bool bpfrun_event(struct bpfrun *run, struct sluice_drop_event *out);

#endif
