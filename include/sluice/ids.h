/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Rate thresholds (IDS): keys and values of their maps. A stage of the packet's
 * way of its own: it sees every packet of a known session after its rule is
 * known and before anything is charged or counted; what it drops is nobody's
 * usage and has its own counters.
 *
 *   ids_settings.order[current].candidates[direction][protocol] -> its slot[place]
 *       -> ids_rules[slot] -> ids_matches[slot * SLUICE_IDS_MATCHES_PER_RULE ..]
 *       -> key of what the rule tracks -> ids_blocks[key]          blocked?
 *                                      -> state of each limit      in excess?
 *
 * Times are CLOCK_MONOTONIC ns, addresses as in the packet, ports host order.
 * Blocks carry their own deadlines: they end in the kernel, with or without the
 * agent, and are pinned.
 */
#ifndef SLUICE_IDS_H
#define SLUICE_IDS_H

#include "maps.h"
#include "meter.h"

/* A word that the kernel's verifier knows by its type; outside the kernel it is only kept free. */
#ifdef __VMLINUX_H__
#define SLUICE_IDS_LOCK struct bpf_spin_lock
#else
#define SLUICE_IDS_LOCK __u32
#endif

/* Rules at once, overrides included: bits of a word. More are refused when the files are read. */
#define SLUICE_IDS_RULES 64

/* Matches of one rule. More: that file is refused. Each slot in ids_rules has so many in ids_matches. */
#define SLUICE_IDS_MATCHES_PER_RULE 16
#define SLUICE_IDS_MATCHES	    (SLUICE_IDS_RULES * SLUICE_IDS_MATCHES_PER_RULE)

/* Pairs of an IMSI and a rule that he is exempt from, or has another one for. More: that file is refused. */
#define SLUICE_IDS_OVERRIDES 65536

/* Limits of one rule: any of them may fire. */
#define SLUICE_IDS_LIMITS 4

/* Packets that an exact limit can count: its log has so many times. More: refused, with `sliding` as the way
 * out. */
#define SLUICE_IDS_LOG 256

/* Parts of a sliding window. */
#define SLUICE_IDS_PARTS 8

/* Bits of the set by which distinct ports and addresses are counted (linear counting). */
#define SLUICE_IDS_SET_BITS 1024

/* Filters before the table that keys from outside could fill. Rules that share one have the same longest
 * window. */
#define SLUICE_IDS_SKETCHES 8

/* Rows and columns of one of them. */
#define SLUICE_IDS_SKETCH_ROWS	  4
#define SLUICE_IDS_SKETCH_COLUMNS 65536

#define SLUICE_IDS_NAME_SIZE 64

enum sluice_ids_track {
	SLUICE_IDS_CONNECTION = 1,  /* session, protocol, both addresses and ports */
	SLUICE_IDS_SUBSCRIBER,	    /* IMSI, whatever the session or family */
	SLUICE_IDS_SUBSCRIBER_RULE, /* IMSI and usage slot of the rule that decided */
	SLUICE_IDS_SOURCE,	    /* source address of the packet, cut to a prefix */
	SLUICE_IDS_DESTINATION,	    /* likewise */
	SLUICE_IDS_PAIR,	    /* both */
	SLUICE_IDS_RULE,	    /* all that the IDS rule matches */
	SLUICE_IDS_APN,		    /* the session's APN by number; 0: all others */
};

enum sluice_ids_count {
	SLUICE_IDS_PACKETS = 1,
	SLUICE_IDS_BYTES,
	SLUICE_IDS_PAYLOAD_PACKETS,    /* with TCP or UDP payload */
	SLUICE_IDS_SYNS,	       /* SYN and not ACK */
	SLUICE_IDS_NEW_CONNECTIONS,    /* first packet of a 5-tuple not seen of late; TCP: a SYN that is not a
					  repeat */
	SLUICE_IDS_OPEN_CONNECTIONS,   /* now: begun, and neither ended nor silent */
	SLUICE_IDS_FAILED_CONNECTIONS, /* reset before an answer, or ICMP unreachable, or no answer in time */
	SLUICE_IDS_DISTINCT_REMOTE_PORTS,
	SLUICE_IDS_DISTINCT_REMOTE_ADDRESSES,
	SLUICE_IDS_DISTINCT_LOCAL_PORTS,
};

enum sluice_ids_kind {
	SLUICE_IDS_EXACT = 1, /* in excess: the packet `count` before it passed less than `window` ago */
	SLUICE_IDS_SLIDING,   /* eight parts of the window */
	SLUICE_IDS_BUCKET,    /* GCRA: window / count a packet, `burst` at once */
	SLUICE_IDS_FIXED,     /* windows one after the other, the first begins with the key */
	SLUICE_IDS_EWMA,      /* alerts only */
};

enum sluice_ids_verdict {
	SLUICE_IDS_ALERT = 1,
	SLUICE_IDS_DROP,	    /* what the rule matches of the key */
	SLUICE_IDS_DROP_CONNECTION, /* the connection only, whatever is tracked */
	SLUICE_IDS_POLICE,	    /* what is above a rate */
	SLUICE_IDS_MIRROR,	    /* a copy to an interface; passes */
	SLUICE_IDS_QUARANTINE,	    /* the agent gives the session a rule set */
	SLUICE_IDS_REDIRECT,	    /* the agent redirects the session */
	SLUICE_IDS_NOTIFY,	    /* as ALERT, and a listener outside is told */
};

enum sluice_ids_flags {
	SLUICE_IDS_OBSERVE = 1 << 0,	 /* judged and told, never acted on */
	SLUICE_IDS_POLL = 1 << 1,	 /* counted here, judged by the agent */
	SLUICE_IDS_EXTEND = 1 << 2,	 /* every packet that a block drops begins its idle time anew */
	SLUICE_IDS_FULL_CLOSED = 1 << 3, /* no room for a key's state: dropped (else it passes) */
	SLUICE_IDS_FULL_ALERT = 1 << 4,	 /* no room: told */
	SLUICE_IDS_OVERRIDE = 1 << 5,	 /* only for the IMSIs that ids_overrides leads here */
	SLUICE_IDS_BLOCKS = 1 << 6,	 /* an excess makes a block; without it only the excess is dropped */
};

struct sluice_ids_match {
	__u8 direction; /* enum sluice_direction */
	__u8 family;	/* 0 any, 4, 6 */
	__u8 protocol;
	__u8 flags;   /* enum sluice_match_flags */
	__u8 verdict; /* enum sluice_action: PERMIT: the rule is about it; DENY: it is not (IPFilterRule) */
	__u8 reserved[3];
	__u8 remote[16]; /* masked */
	__u8 mask[16];
	__u8 local[16]; /* masked */
	__u8 local_mask[16];
	__u16 remote_port_low;
	__u16 remote_port_high;
	__u16 local_port_low;
	__u16 local_port_high;
	struct sluice_terms terms;
	__u8 unused[5];
};

struct sluice_ids_limit {
	__u64 window_ns;
	__u64 count;	/* packets, bytes, connections, distinct values */
	__u64 burst;	/* BUCKET: at once, the same unit; at least 1 */
	__u64 interval; /* BUCKET: time of a unit in 2^-10 ns, rounded up; burst * interval is at most 2^62 */
	__u8 kind;	/* enum sluice_ids_kind */
	__u8 reserved[7];
};

/* ids_rules: value */
struct sluice_ids_rule {
	__u32 in_use;
	__u32 revision; /* of what is counted, never 0: a state of another one begins anew. A hash, so that a
			   restart and a move to another slot change nothing; never 0 */
	__u32 first_match;
	__u32 match_count;
	__u32 flags; /* enum sluice_ids_flags */
	__u8 track;
	__u8 count;
	__u8 verdict;
	__u8 limit_count;
	__u8 prefix4; /* SOURCE, DESTINATION, PAIR */
	__u8 prefix6;
	__u8 sketch;   /* keys come from outside: number of the filter before the table, from 1; 0: none */
	__u8 escalate; /* enum sluice_ids_track of the agent's wider blocks of this rule; 0: it makes none */
	__u32 steer;   /* MIRROR: slot in steers */
	__u64 hard_ns; /* of a first block; 0: none */
	__u64 idle_ns; /* 0: none */
	__u64 police;  /* a rate's word, as in struct sluice_meter */
	__u32 blocks;  /* in ids_blocks now, by the agent's count and BPF's atomic addition: 0 spares the look
			*/
	__u32 identity; /* of the rule over reloads and restarts: hash of its name */
	/*
	 * Asked in this order. What a later one refuses, those before it have counted: so that of
	 * the shortest window comes first.
	 */
	struct sluice_ids_limit limit[SLUICE_IDS_LIMITS];
	char name[SLUICE_IDS_NAME_SIZE];
	/* What the rule counted in the slots that it had before: to be added to ids_rule_counts. No packet
	 * reads it. */
	struct sluice_counter before_matched;
	struct sluice_counter before_excess;
	struct sluice_counter before_dropped;
	__u64 before_refused;
	__u64 before_suppressed;
	__u32 content; /* hash of all that the operator wrote */
	__u32 reserved;
};

/* ids_rule_counts: value, per CPU; same index */
struct sluice_ids_rule_count {
	struct sluice_counter matched;
	struct sluice_counter excess;
	struct sluice_counter dropped;
	__u64 keys_refused; /* no room */
	__u64 events_suppressed;
	__u64 sequence; /* of events of this rule on this CPU, lost ones too */
	__u64 told_ns;
};

/* Tables with keys of packets. */
enum sluice_ids_table {
	SLUICE_IDS_TABLE_BLOCKS,
	SLUICE_IDS_TABLE_BUCKETS,
	SLUICE_IDS_TABLE_BUCKETS_LRU,
	SLUICE_IDS_TABLE_WINDOWS,
	SLUICE_IDS_TABLE_LOGS,
	SLUICE_IDS_TABLE_SETS,
	SLUICE_IDS_TABLE_CONNECTIONS,
	SLUICE_IDS_TABLES,
};

/* ids_table_counts: value, per CPU; index = enum sluice_ids_table. Evicted: made, less what is there or was
 * deleted. */
struct sluice_ids_table_count {
	__u64 made;    /* entries, by packets; two CPUs that make the same one count it twice */
	__u64 refused; /* no room */
};

/* Key of blocks, and of every state with `limit`. What is not part of what is tracked is 0. */
struct sluice_ids_key {
	__u32 rule;	  /* identity; 0: an operator's block, whatever the rule */
	__u8 track;	  /* enum sluice_ids_track */
	__u8 limit;	  /* which of the rule's; blocks: 0 */
	__u8 family;	  /* 0 where no address is part of it */
	__u8 protocol;	  /* CONNECTION */
	__u16 local_port; /* CONNECTION */
	__u16 remote_port;
	__u32 number;	/* SUBSCRIBER_RULE: usage slot; APN: its number */
	__u8 local[16]; /* the subscriber's address, or his IMSI as text */
	__u8 remote[16];
};

enum sluice_ids_block_flags {
	SLUICE_IDS_BLOCK_EXTEND = 1 << 0,
	SLUICE_IDS_BLOCK_OPERATOR = 1 << 1,
	SLUICE_IDS_BLOCK_OBSERVE = 1 << 2, /* drops nothing */
};

/* ids_blocks: value. In force until hard_ns, or until idle_ns after last_ns, whichever comes first. */
struct sluice_ids_block {
	__u64 since_ns;
	__u64 hard_ns; /* a time; 0: none */
	__u64 idle_ns; /* a duration; 0: none */
	__u64 last_ns; /* with EXTEND the last packet that was dropped, else since_ns */
	struct sluice_counter hits;
	__u64 tat;    /* POLICE */
	__u64 police; /* POLICE: a rate's word */
	__u32 level;  /* how often before, of late: as ids_offenders had it */
	__u8 verdict;
	__u8 flags; /* enum sluice_ids_block_flags */
	__u16 rule; /* slot in ids_rules when it was made */
};

/*
 * ids_offenders: value, key as of its blocks: what outlives a block, and how long the next one is. The
 * agent writes it and packets read it, so that a block has its time from its first packet on and nobody
 * writes a value in which packets count.
 */
struct sluice_ids_offender {
	__u64 ended_ns; /* since when the level goes back: the last block's end; 0: it lasts */
	__u64 hard_ns;	/* how long the next block lasts; 0: as the rule says */
	__u32 level;	/* of the next block */
	__u32 blocks;	/* since first_ns */
	__u64 first_ns;
};

/*
 * ids_notes: what the agent would not know after a restart; no packet reads it. Key of a block, with
 * `limit` 0: why it was made, in words. Key of a wider block, `limit` from 1: when narrower ones began, so
 * many a part.
 */
#define SLUICE_IDS_NOTE_TIMES 8
struct sluice_ids_note {
	union {
		char reason[64];
		__u64 at[SLUICE_IDS_NOTE_TIMES]; /* 0: none */
	};
};

/* ids_buckets (by place: ids_places.h), ids_buckets_lru (a hash): value; BUCKET and poll's counts */
struct sluice_ids_bucket {
	__u64 tat;     /* as of a meter: ticks of 2^-10 ns; by compare-and-swap */
	__u64 counted; /* poll: units since the key's first packet */
	__u64 last_ns;
	__u32 revision;
	__u32 reported; /* excess since the last event */
};

/* ids_windows (by place): value; SLIDING, FIXED, EWMA */
struct sluice_ids_window {
	SLUICE_IDS_LOCK lock;
	__u32 revision;
	__u64 part; /* SLIDING: number of the newest part; FIXED: begin of the window */
	__u64 count[SLUICE_IDS_PARTS];
	__u64 last_ns;
};

/* ids_logs (by place): value; EXACT */
struct sluice_ids_log {
	SLUICE_IDS_LOCK lock;
	__u32 revision;
	__u32 next; /* the oldest entry */
	__u32 reserved;
	__u64 last_ns; /* the newest entry: none is older than those before it */
	__u64 at[SLUICE_IDS_LOG];
};

/* ids_sets: value; DISTINCT. Two halves of the window, so that it slides. */
struct sluice_ids_set {
	SLUICE_IDS_LOCK lock;
	__u32 revision;
	__u64 half; /* number of the newer half window */
	__u64 last_ns;
	__u64 bit[2][SLUICE_IDS_SET_BITS / 64];
};

enum sluice_ids_connection_state {
	SLUICE_IDS_ASKED = 1, /* one side has sent */
	SLUICE_IDS_ANSWERED,
	SLUICE_IDS_ENDED,
	SLUICE_IDS_REFUSED, /* unreachable, says ICMP: the agent counts the failure and takes it out */

	SLUICE_IDS_BY_DOWNLINK = 0x100, /* added: a downlink packet has opened it */
};

/* ids_connections: key is a CONNECTION's with rule 0, value: */
struct sluice_ids_connection {
	__u64 first_ns;
	__u64 last_ns;
	__u32 state; /* enum sluice_ids_connection_state */
	__u32 reserved;
};

/* Which rules a packet meets, and in which order. */
struct sluice_ids_order {
	__u64 candidates[SLUICE_DIRECTIONS][256]; /* by protocol: bits are places */
	__u8 slot[SLUICE_IDS_RULES];		  /* in ids_rules, by place: the order of deciding */
};

/* Why the stage is entered. Bits of sluice_ids_settings.active */
enum sluice_ids_active {
	SLUICE_IDS_ACTIVE_RULES = 1 << 0,
	SLUICE_IDS_ACTIVE_OPERATOR = 1 << 1, /* a block of an operator exists */
};

/* ids_settings: one value. One write, of `current`, puts all rules of a reading into force. */
struct sluice_ids_settings {
	struct sluice_ids_order order[2];
	__u32 current;	       /* which of them packets read */
	__u32 active;	       /* enum sluice_ids_active; 0: the stage ends here */
	__u32 operator_tracks; /* bit 1 << enum sluice_ids_track: such blocks of operators exist */
	__u32 connections;     /* a rule counts connections: they are tracked */
	__u32 overrides;       /* some IMSIs have rules of their own: ids_overrides is asked */
	__u32 reserved;
};

/* ids_overrides: key {imsi, rule's slot}; value: the slot in its place, SLUICE_NONE: exempt */
struct sluice_ids_override {
	char imsi[SLUICE_IMSI_SIZE];
	__u32 rule;
};

enum sluice_ids_event_type {
	SLUICE_IDS_EVENT_EXCESS = 1, /* the packet that crossed the limit, or one of its followers */
	SLUICE_IDS_EVENT_BLOCK,	     /* the same, and a block was made */
	SLUICE_IDS_EVENT_EXTEND,
	SLUICE_IDS_EVENT_FULL, /* no room for the key */
};

#define SLUICE_IDS_HEADERS 128

/* ids_events: ring buffer */
struct sluice_ids_event {
	__u64 sequence; /* of this rule on this CPU: a gap is a lost record */
	__u64 time_ns;
	__u32 cpu;
	__u32 type; /* enum sluice_ids_event_type */
	__u32 rule; /* slot */
	__u32 revision;
	__u32 session;
	__u32 usage;
	__u32 ifindex;
	__u32 bytes;
	__u64 observed;	  /* in the limit's unit */
	__u64 suppressed; /* events that this rule on this CPU did not send, from its beginning */
	__u8 limit;
	__u8 direction;
	__u8 verdict;
	__u8 dropped;
	__u8 family;
	__u8 protocol;
	__u8 tcp_flags;
	__u8 l3; /* headers begin with the IP header, not Ethernet */
	struct sluice_ids_key key;
	__u16 source_port;
	__u16 destination_port;
	__u32 reserved;
	__u8 source[16];
	__u8 destination[16];
	__u32 captured; /* bytes of headers */
	__u8 headers[SLUICE_IDS_HEADERS];
};

/* How long a limit of kind BUCKET takes for that many units, in ticks. */
static inline __u64 sluice_ids_most(const struct sluice_ids_limit *limit)
{
	return limit->burst * limit->interval;
}

/* Ticks that are outstanding: a `tat` of 0 is nobody's, one that no packet can have left an old one
 * (meter.h). */
static inline __u64 sluice_ids_outstanding(const struct sluice_ids_limit *limit, __u64 tat, __u64 now)
{
	__u64 ahead = tat - now;

	return !tat || ahead > sluice_ids_most(limit) + SLUICE_METER_HELD ? 0 : ahead;
}

/* 1: the packet is within the limit, and `tat` becomes *next. `now` in ticks. */
static inline int sluice_ids_conforms(const struct sluice_ids_limit *limit, __u64 tat, __u64 now, __u64 units,
				      __u64 *next)
{
	__u64 ahead;

	if (units > limit->burst)
		return 0;
	ahead = sluice_ids_outstanding(limit, tat, now) + units * limit->interval;
	*next = now + ahead;
	return ahead <= sluice_ids_most(limit);
}

_Static_assert(sizeof(struct sluice_ids_match) == 96, "the kernel spaces elements by eight bytes");
_Static_assert(sizeof(struct sluice_ids_rule) % 8 == 0, "ids rule");
_Static_assert(sizeof(struct sluice_ids_settings) % 8 == 0, "ids settings");
_Static_assert(sizeof(struct sluice_ids_key) == 48, "ids key");
_Static_assert(sizeof(struct sluice_ids_block) % 8 == 0, "ids block");

#endif
