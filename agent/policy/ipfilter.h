/* SPDX-License-Identifier: Apache-2.0 */
/*
 * IPFilterRule (RFC 6733 clause 4.3.1): text to rule, rule to text, and a list
 * of rules on a packet. Pure: no names are looked up, nothing is allocated.
 *
 * Grammar, in RFC 5234 form except that literals are case-sensitive: the RFC
 * knows one spelling of each keyword, and so does this parser. Hex digits of
 * IPv6 may have either case. A blank is SP or HT; blanks before and after the
 * whole rule do not count. Within a list, a range or a prefix there are none.
 *
 *   rule      = action dir proto "from" end "to" end *option
 *               ; a blank between any two words; around a "!" as one likes
 *   action    = "permit" / "deny"
 *   dir       = "in" / "out"                ; from / to the terminal
 *   proto     = "ip" / number               ; any protocol / 0..255
 *   end       = ["!"] address [1*blank ports]
 *   address   = "any" / "assigned" / ip ["/" number]
 *   ports     = ports-item *("," ports-item)
 *   ports-item = number ["-" number]        ; 0..65535, low to high
 *   option    = "frag" / "established" / "setup"
 *             / "ipoptions"  1*blank spec   ; ssrr lsrr rr ts
 *             / "tcpoptions" 1*blank spec   ; mss window sack ts cc
 *             / "tcpflags"   1*blank spec   ; fin syn rst psh ack urg
 *             / "icmptypes"  1*blank types
 *   spec      = ["!"] name *("," ["!"] name)
 *   types     = types-item *("," types-item)
 *   types-item = type ["-" type]            ; low to high
 *   type      = number / name               ; 0, 3, 4, 5, 8..18
 *
 * Names of ICMP types are the RFC's, blanks included: "echo reply",
 * "destination unreachable", "source quench", "redirect", "echo request",
 * "router advertisement", "router solicitation", "time-to-live exceeded",
 * "IP header bad", "timestamp request", "timestamp reply", "information
 * request", "information reply", "address mask request", "address mask reply".
 *
 * Numbers are decimal without leading zeros. Options stand in any order, each
 * at most once, and in one spec each name at most once. Refused besides: bits
 * set beyond a prefix; frag together with ports or tcpflags; ports with a
 * protocol other than TCP, UDP and SCTP. The RFC's example "deny in ip!
 * assigned" lacks the from and to that its grammar demands, and is refused;
 * "deny in ip from !assigned to any" says it.
 *
 * SL_IPFILTER_FLOW_DESCRIPTION is the narrow dialect of Flow-Description
 * (3GPP TS 29.214 clause 5.3.8): permit only, no option, no "!"; but ports may
 * stand with "ip" and are then those of any protocol that has ports (NOTE 1
 * there). That clause forbids lists, ranges and "assigned" on the Rx interface
 * only, and TS 29.212 clause 5.4.2 asks for them: they are taken.
 */
#ifndef SL_POLICY_IPFILTER_H
#define SL_POLICY_IPFILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "policy/address.h"

/* A rule as text with its NUL. Longer: refused with -E2BIG. The canonical text of every rule fits. */
#define SL_IPFILTER_TEXT 2048

/* Ports and ranges of one end. More: refused with -E2BIG. */
#define SL_IPFILTER_PORTS 64

enum sl_ipfilter_dialect {
	SL_IPFILTER_FULL,
	SL_IPFILTER_FLOW_DESCRIPTION,
};

enum sl_ipfilter_action {
	SL_IPFILTER_PERMIT,
	SL_IPFILTER_DENY,
};

enum sl_ipfilter_direction {
	SL_IPFILTER_IN,	 /* from the terminal: uplink */
	SL_IPFILTER_OUT, /* to the terminal: downlink */
};

enum sl_ipfilter_place {
	SL_IPFILTER_PREFIX,
	SL_IPFILTER_ANY,      /* every address of either version */
	SL_IPFILTER_ASSIGNED, /* the addresses of the terminal */
};

/* Bits of an IPv4 header's options. */
#define SL_IPFILTER_SSRR 0x01u
#define SL_IPFILTER_LSRR 0x02u
#define SL_IPFILTER_RR	 0x04u
#define SL_IPFILTER_TS	 0x08u

/* Bits of a TCP header's options. */
#define SL_IPFILTER_TCP_MSS    0x01u
#define SL_IPFILTER_TCP_WINDOW 0x02u
#define SL_IPFILTER_TCP_SACK   0x04u /* SACK permitted or SACK (RFC 2018) */
#define SL_IPFILTER_TCP_TS     0x08u
#define SL_IPFILTER_TCP_CC     0x10u

/* TCP flags, the header's own bits (RFC 9293 clause 3.1). */
#define SL_IPFILTER_FIN 0x01u
#define SL_IPFILTER_SYN 0x02u
#define SL_IPFILTER_RST 0x04u
#define SL_IPFILTER_PSH 0x08u
#define SL_IPFILTER_ACK 0x10u
#define SL_IPFILTER_URG 0x20u

/* A set of ICMP types has bit n for type n; these can be named in a rule. */
#define SL_IPFILTER_ICMP_LAST  18u
#define SL_IPFILTER_ICMP_TYPES 0x0007ff39u /* 0, 3, 4, 5, 8..18 */

struct sl_ipfilter_range {
	uint16_t low; /* both included; host order */
	uint16_t high;
};

struct sl_ipfilter_prefix {
	struct sl_address address;
	uint8_t length;
};

struct sl_ipfilter_end {
	enum sl_ipfilter_place place;
	bool is_inverted;		  /* the address, never the ports */
	struct sl_ipfilter_prefix prefix; /* PREFIX only, else zero */
	uint32_t port_count;		  /* 0: whatever the port, and whether there is one */
	struct sl_ipfilter_range ports[SL_IPFILTER_PORTS];
};

/* Bits that must be there and bits that must not; both zero: no such option. */
struct sl_ipfilter_spec {
	uint8_t present;
	uint8_t absent;
};

/* As the parser makes it; unused fields are zero. */
struct sl_ipfilter {
	enum sl_ipfilter_action action;
	enum sl_ipfilter_direction direction;
	bool is_any_protocol;
	uint8_t protocol; /* 0 is a protocol as well (IPv6 hop-by-hop) */
	struct sl_ipfilter_end source;
	struct sl_ipfilter_end destination;
	bool is_frag;
	bool is_established;
	bool is_setup;
	struct sl_ipfilter_spec ip_options;
	struct sl_ipfilter_spec tcp_options;
	struct sl_ipfilter_spec tcp_flags;
	uint32_t icmp_types; /* set of types; 0 = no icmptypes */
};

/*
 * Reads `length` bytes, which need no NUL. -EINVAL or -E2BIG with a line that
 * names `field`, the column (bytes, from 1), what was expected there and what
 * was found.
 *
 * An access device that cannot interpret a deny rule must end the session, and
 * may treat a permit rule as not there (RFC 6733 clause 4.3.1): the caller's
 * affair, and for a refused text, where neither is certain, the former.
 */
int sl_ipfilter_parse(const char *field, const char *text, size_t length, enum sl_ipfilter_dialect dialect,
		      struct sl_ipfilter *out, struct sl_error *err);

/*
 * The canonical text: single blanks; the options in the order frag, ipoptions,
 * tcpoptions, established, setup, tcpflags, icmptypes; ICMP types as numbers in
 * the longest ranges; ports as they were given. Parsed again in the same
 * dialect it is the same rule, field by field.
 */
void sl_ipfilter_format(const struct sl_ipfilter *rule, char out[SL_IPFILTER_TEXT]);

/* What "assigned" stands for: the addresses and prefixes of one terminal. With a count of 0 the empty set. */
struct sl_ipfilter_terminal {
	size_t count;
	const struct sl_ipfilter_prefix *prefixes; /* the caller's */
};

/*
 * What a packet says of itself. Of a fragment that is not the first, and where
 * a header is cut short, the has_ fields are false; the evaluator looks at
 * none of these in a fragment with an offset anyway, nor at those of TCP and
 * ICMP in a packet of another protocol.
 */
struct sl_ipfilter_packet {
	enum sl_ipfilter_direction direction;
	struct sl_address source; /* both of the same family */
	struct sl_address destination;
	uint8_t protocol;	  /* of the payload; IPv6: behind the extension headers */
	uint16_t fragment_offset; /* in units of 8 octets */
	bool has_more_fragments;  /* a first fragment is judged like a whole packet */
	uint8_t ip_options;	  /* SL_IPFILTER_SSRR ...; IPv6: none */
	bool has_ports;		  /* any protocol with ports */
	uint16_t source_port;	  /* host order */
	uint16_t destination_port;
	bool has_tcp; /* the TCP header with its options */
	uint8_t tcp_flags;
	uint8_t tcp_options; /* SL_IPFILTER_TCP_MSS ... */
	bool has_icmp;
	uint8_t icmp_type;
};

enum sl_ipfilter_reason {
	SL_IPFILTER_BY_RULE,		/* the first that matched */
	SL_IPFILTER_BY_DEFAULT,		/* none matched: the opposite of the last */
	SL_IPFILTER_BY_NO_RULE,		/* no rule for this direction: passed */
	SL_IPFILTER_BY_FRAGMENT_OFFSET, /* offset 1 */
};

struct sl_ipfilter_verdict {
	bool is_passed;
	enum sl_ipfilter_reason reason;
	size_t rule; /* index of the rule that matched or, BY_DEFAULT, was last; else 0 */
};

/*
 * Whether the rule matches, direction included, whatever its action.
 *
 * - An address matches a packet of its own IP version only, inverted or not:
 *   "!192.0.2.0/24" is every other IPv4 address, "!0.0.0.0/0" and "!any" are
 *   nothing. "assigned" has no version: "!assigned" is every address, IPv4 or
 *   IPv6, that is none of the terminal's.
 * - A rule with ports matches only packets whose ports are known, and never a
 *   fragment with an offset. Nor does one with tcpflags, tcpoptions,
 *   established, setup or icmptypes, also where these ask for absence.
 * - frag: a fragment with an offset. A first fragment is none.
 * - ipoptions ask the IPv4 header, that of a fragment too; an IPv6 packet has
 *   none of them, so that of specs only those of "!" alone match it.
 * - tcpflags, tcpoptions, established, setup: TCP (6) only. established: RST
 *   or ACK; setup: SYN and not ACK. icmptypes: ICMP (1) only, not ICMPv6.
 * - All that a rule says must hold. Options that can never hold together, or
 *   with the protocol, are no error: such a rule does not match.
 */
bool sl_ipfilter_matches(const struct sl_ipfilter *rule, const struct sl_ipfilter_terminal *terminal,
			 const struct sl_ipfilter_packet *packet);

/*
 * A fragment with offset 1 is dropped before any rule is asked (also IPv6, and
 * without rules). Then the rules of the packet's direction in order: the first
 * match decides; without one the packet is dropped if the last of them was a
 * permit and passed if it was a deny. Rules of the other direction count for
 * nothing, not even as the last; the RFC is silent on a list without any rule
 * of the direction, which passes the packet and says so in `reason`.
 */
struct sl_ipfilter_verdict sl_ipfilter_evaluate(const struct sl_ipfilter *rules, size_t count,
						const struct sl_ipfilter_terminal *terminal,
						const struct sl_ipfilter_packet *packet);

#endif
