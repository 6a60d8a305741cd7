/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Bounds shared by the kernel side, the agent, the tools and the tests.
 * Every one of them says what happens when it is reached.
 */
#ifndef SLUICE_LIMITS_H
#define SLUICE_LIMITS_H

/*
 * Version of every map layout below. The agent refuses to adopt pinned maps
 * written with another one and says how to detach; bump it with each change
 * of a key, a value or the meaning of a field.
 */
#define SLUICE_LAYOUT 5

/* IMSI: 6 to 15 digits (3GPP TS 23.003 clause 2.2), kept as text so that
 * leading zeros survive; with the terminating NUL. Longer: refused. */
#define SLUICE_IMSI_SIZE 16

/* Rule id with its terminating NUL. Longer: that rule fails, others go on. */
#define SLUICE_RULE_ID_SIZE 256

/* How much of a rule id is repeated beside a usage slot for bpftool. */
#define SLUICE_RULE_LABEL_SIZE 40

/* APN (3GPP TS 23.003 clause 9.1: at most 100 octets) with its NUL. */
#define SLUICE_APN_SIZE 104

/* Redirect server (address, URL) with its NUL. Longer: that rule fails. */
#define SLUICE_REDIRECT_SIZE 256

/* Name of a QoS profile with its NUL. Longer: refused. */
#define SLUICE_PROFILE_SIZE 64

/* APNs in the configuration. More: refused. */
#define SLUICE_APNS 255

/* VLAN ids, 0 and 4095 included (IEEE 802.1Q clause 9.6). */
#define SLUICE_VLANS 4096

/* Neighbours of one APN that are behind its VLAN. More: refused. */
#define SLUICE_APN_NEIGHBOURS 16

/* Interfaces that rules may send packets to. More: the rule fails. */
#define SLUICE_STEERS 64

/* Rules of one session (GX and GY together). More: the surplus rules fail. */
#define SLUICE_RULES_PER_SESSION 1024

/* Flow descriptions of one rule. More: that rule fails. */
#define SLUICE_FLOWS_PER_RULE 256

/* Match entries of one session in one direction. More: the request fails. */
#define SLUICE_MATCHES_PER_DIRECTION 4096

/* Entries in one block of a match list: what one map value holds. */
#define SLUICE_MATCH_BLOCK 8

/* Bindings that live in the policy itself; rule ordinals from here on are
 * looked up in the overflow array. */
#define SLUICE_INLINE_BINDINGS 4

/* No index: "none" in every field that names an array slot. */
#define SLUICE_NONE 0xffffffffu

/* Bits of skb->mark that carry the HTB class (minor number) from ingress to
 * egress; the other bits belong to the operator and are left as they are. */
#define SLUICE_MARK_MASK 0x0000ffffu

/*
 * In their place: the default class, for APN number n (from 1 on). HTB minors
 * are all below: a leaf's handle is its minor, and must stay below ours.
 */
#define SLUICE_MARK_APN 0x8000

/* Or: to the portal on this host, and what sluice itself answers. Never classes. */
#define SLUICE_MARK_PORTAL 0xfffe
#define SLUICE_MARK_ANSWER 0xffff

/* Major numbers of the qdiscs that sluice makes; below 0x8000, where the
 * kernel's automatic handles begin, so that ours are recognised as ours. The HTB
 * of transmit queue q has SLUICE_HTB_MAJOR - q. */
#define SLUICE_MQ_MAJOR		 0x7fff
#define SLUICE_HTB_MAJOR	 0x7ffe
#define SLUICE_HTB_ROOT_MINOR	 1 /* the link: inner class */
#define SLUICE_HTB_DEFAULT_MINOR 2 /* traffic without an MBR */
#define SLUICE_HTB_POOL_MINOR	 8 /* first class of the pool */

/* Minors of the pool come in units of 2^3, so that a tree (an inner class and
 * its leaves) is in one HTB: that of queue (minor >> SLUICE_HTB_UNIT_BITS) % queues. */
#define SLUICE_HTB_UNIT_BITS 3

/* Transmit queues of a device that classes are spread over. More: the first ones only. */
#define SLUICE_EGRESS_QUEUES 64

/* Devices with several transmit queues. As many as interfaces can be configured. */
#define SLUICE_EGRESS_DEVICES 32

#endif
