/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Meters: rates that are policed. A meter is a node of a tree, rule -> session
 * (AMBR) -> APN -> link, one for each direction; a packet passes if every node
 * on its way to the root lets it pass. Each is a GCRA (ITU-T I.371 annex A):
 * `tat` is the time at which all that passed would have been sent at the rate;
 * a packet passes if that stays less than the tolerance ahead of the clock.
 *
 * What passes of a meter in any time t is at most B + R * t, B being the bytes
 * that take the tolerance. A packet that alone is longer than B (a super-packet
 * of GSO at a low rate) passes where nothing is outstanding; B is its length
 * then: it would never pass otherwise.
 *
 * The clock here is CLOCK_MONOTONIC in ticks of 2^-10 ns, which comes round
 * after 208 days; a `tat` that no packet can have left is taken for an old one.
 */
#ifndef SLUICE_METER_H
#define SLUICE_METER_H

#include "maps.h"

/* Nodes from a leaf to its root. A longer way is a broken tree, and nothing passes. */
#define SLUICE_METER_DEPTH 4

/*
 * Attempts to write one meter before a packet gives up because others were
 * always faster. It is dropped then and counted as contended: never beyond the
 * limit, and never silently. An attempt fails only where another succeeds, so
 * that 16 need 16 packets through one meter in the time of one comparison each.
 */
#define SLUICE_METER_TRIES 16

/* Longer is not a packet: 65,535 segments with 127 bytes of headers each are less. */
#define SLUICE_METER_BYTES_MAX ((1u << 23) - 1)

/*
 * After the meters of rules and sessions, of which there are `meters`, come
 * those that are always there: of the link (apn 0) and of each APN by its number.
 */
#define SLUICE_METERS_FIXED (SLUICE_DIRECTIONS * (SLUICE_APNS + 1))

static inline __u32 sluice_meter_fixed(__u32 meters, __u32 apn, __u32 direction)
{
	return meters + apn * SLUICE_DIRECTIONS + direction;
}

#define SLUICE_METER_RATE_MIN 8000ull	      /* bit/s */
#define SLUICE_METER_RATE_MAX 400000000000ull /* bit/s */

#define SLUICE_METER_TICK_BITS 10 /* ticks of a ns */

/*
 * A rate and its tolerance are one word, so that one write changes both:
 * the low 40 bits are ns per byte in 2^-20 ns, rounded up; the high 24 bits the
 * tolerance in 2^11 ns. 0: no limit.
 */
#define SLUICE_METER_COST_BITS	    40
#define SLUICE_METER_COST_MASK	    ((1ull << SLUICE_METER_COST_BITS) - 1)
#define SLUICE_METER_TOLERANCE_BITS 24
#define SLUICE_METER_TOLERANCE_UNIT 11 /* bits: 2,048 ns */

/*
 * How long a packet may be held up between reading the clock and using it, in
 * ticks: 68 s. An idle meter whose `tat` lies that near, 208 days later, would
 * be taken for a busy one until it is over.
 */
#define SLUICE_METER_HELD (1ull << 46)

/* Which node refused. */
enum sluice_meter_level {
	SLUICE_METER_PASSED = 0,
	SLUICE_METER_RULE = 1,
	SLUICE_METER_SESSION = 2,
	SLUICE_METER_APN = 3,
	SLUICE_METER_LINK = 4,
	SLUICE_METER_BROKEN = 5, /* a node outside the map, a way that is too long: a defect */
};

/*
 * meters: value. `tat` and `green_tat` are changed by compare-and-swap only.
 *
 * With a second rate (GBR; two-rate as in RFC 2698) the node is a leaf: a packet
 * within both rates is green and goes on at green_parent, where it is charged
 * but never refused, because admission has reserved the GBR there; a packet
 * within `rate` only is yellow and goes on at parent, judged as any other.
 */
struct sluice_meter {
	__u64 tat;
	__u64 rate;
	__u64 green_tat;
	__u64 green_rate;   /* 0: one rate */
	__u32 parent;	    /* towards the link; SLUICE_NONE: none */
	__u32 green_parent; /* SLUICE_NONE: none */
	__u32 contended;    /* packets that gave up after SLUICE_METER_TRIES; stays at its highest value */
	__u8 level;	    /* enum sluice_meter_level */
	__u8 reserved[3];
	struct sluice_counter refused; /* by this node, for whatever reason */
};

_Static_assert(sizeof(struct sluice_meter) == 64, "a meter is one cache line");

static inline __u64 sluice_meter_ticks(__u64 ns)
{
	return ns << SLUICE_METER_TICK_BITS;
}

static inline __u64 sluice_meter_cost(__u64 rate)
{
	return rate & SLUICE_METER_COST_MASK;
}

/* Ticks. */
static inline __u64 sluice_meter_tolerance(__u64 rate)
{
	return rate >> SLUICE_METER_COST_BITS << (SLUICE_METER_TOLERANCE_UNIT + SLUICE_METER_TICK_BITS);
}

/* Ticks that so many bytes take, rounded up; at most SLUICE_METER_BYTES_MAX. */
static inline __u64 sluice_meter_amount(__u64 rate, __u32 bytes)
{
	return (sluice_meter_cost(rate) * bytes + 1023) >> 10;
}

/*
 * The most that can be outstanding: packets leave the tolerance or one longest
 * packet; green ones come on top, each branch with a tolerance of its own.
 */
static inline __u64 sluice_meter_outstanding_max(__u64 rate)
{
	return 4 * sluice_meter_tolerance(rate) + (sluice_meter_cost(rate) << 13);
}

/* Ticks that are outstanding now; 0: none, since whenever. */
static inline __u64 sluice_meter_outstanding(__u64 rate, __u64 tat, __u64 now)
{
	__u64 ahead = tat - now;

	return ahead > sluice_meter_outstanding_max(rate) + SLUICE_METER_HELD ? 0 : ahead;
}

/* 1: the packet conforms, and `tat` becomes *next. */
static inline int sluice_meter_conforms(__u64 rate, __u64 tat, __u64 now, __u32 bytes, __u64 *next)
{
	__u64 amount = sluice_meter_amount(rate, bytes);
	__u64 ahead = sluice_meter_outstanding(rate, tat, now) + amount;

	*next = now + ahead;
	return ahead <= sluice_meter_tolerance(rate) || ahead == amount;
}

#endif
