/* SPDX-License-Identifier: Apache-2.0 */
/* A packet by its properties, so that it can be made at random, simplified, printed and turned into a frame.
 */
#ifndef REFERENCE_SAMPLE_H
#define REFERENCE_SAMPLE_H

#include "model.h"

#define SAMPLE_TAGS	  3
#define SAMPLE_EXTENSIONS 8
#define SAMPLE_SIZE	  2048 /* of the largest frame */

/* One thing wrong with a frame; `amount` says how much. */
enum sample_spoil {
	SAMPLE_SOUND,
	SAMPLE_CUT,		/* the frame ends that many bytes early */
	SAMPLE_LONGER,		/* the IP header names that many bytes more than there are */
	SAMPLE_SHORTER,		/* ... fewer */
	SAMPLE_VERSION,		/* of the IP header */
	SAMPLE_HEADER_LENGTH,	/* of the IPv4 header, in words */
	SAMPLE_DATA_OFFSET,	/* of TCP, in words */
	SAMPLE_DATAGRAM_LENGTH, /* of UDP */
	SAMPLE_SPOILS,
};

struct sample_extension {
	uint8_t type;
	uint8_t length; /* as in the header */
};

struct sample {
	bool xdp;
	bool downlink;
	int family;
	uint8_t ue[16], remote[16];
	unsigned int protocol;
	unsigned int ue_port, remote_port;

	unsigned int tag_count;
	uint16_t tags[SAMPLE_TAGS];
	uint16_t ethertype; /* 0: the one that fits */
	unsigned int hop_limit;
	unsigned int class_of_traffic;
	unsigned int ip_options; /* IPv4, in words */
	unsigned int extension_count;
	struct sample_extension extensions[SAMPLE_EXTENSIONS];
	unsigned int fragment_offset; /* in units of eight bytes */
	bool more_fragments;
	bool dont_fragment, reserved_flag;
	unsigned int icmp_type;
	unsigned int tcp_options; /* in words */
	unsigned int tcp_flags;
	uint8_t ip_option[40], tcp_option[40]; /* their bytes */
	unsigned int payload, padding;
	enum sample_spoil spoil;
	unsigned int amount;

	unsigned int segments, segment_size; /* GSO */
	uint32_t mark;			     /* when it comes to the hook */
};

/* The bytes; at most SAMPLE_SIZE. */
size_t sample_frame(const struct sample *sample, uint8_t *out);

#endif
