// SPDX-License-Identifier: Apache-2.0
#include "sample.h"

#include <string.h>

enum { ICMP = 1, TCP = 6, UDP = 17, FRAGMENT = 44, AUTHENTICATION = 51, ICMP6 = 58, SCTP = 132 };

/* Never zeros where the content does not matter: a reader that looks there should notice. */
#define FILLING 0xa5

static uint8_t *put8(uint8_t *at, unsigned int value)
{
	*at = (uint8_t)value;
	return at + 1;
}

static uint8_t *put16(uint8_t *at, unsigned int value)
{
	return put8(put8(at, value >> 8), value);
}

static uint8_t *fill(uint8_t *at, size_t bytes)
{
	memset(at, FILLING, bytes);
	return at + bytes;
}

static uint8_t *put(uint8_t *at, const uint8_t *from, size_t bytes)
{
	memcpy(at, from, bytes);
	return at + bytes;
}

static uint8_t *put_ports(const struct sample *sample, uint8_t *at)
{
	at = put16(at, sample->downlink ? sample->remote_port : sample->ue_port);
	return put16(at, sample->downlink ? sample->ue_port : sample->remote_port);
}

static uint8_t *put_transport(const struct sample *sample, uint8_t *at)
{
	unsigned int words = 5 + sample->tcp_options;

	if (sample->fragment_offset)
		return fill(at, sample->payload);
	switch (sample->protocol) {
	case TCP:
		if (sample->spoil == SAMPLE_DATA_OFFSET)
			words = sample->amount % 16;
		at = fill(put_ports(sample, at), 8);
		at = fill(put8(put8(at, words << 4), sample->tcp_flags), 6);
		at = put(at, sample->tcp_option, sample->tcp_options * 4);
		break;
	case UDP:
		at = put_ports(sample, at);
		at = put16(at,
			   sample->spoil == SAMPLE_DATAGRAM_LENGTH ? sample->amount : 8 + sample->payload);
		at = fill(at, 2);
		break;
	case SCTP:
		at = fill(put_ports(sample, at), 8);
		break;
	case ICMP:
	case ICMP6:
		at = fill(put8(at, sample->icmp_type), 7);
		break;
	}
	return fill(at, sample->payload);
}

static unsigned int named_length(const struct sample *sample, size_t real)
{
	if (sample->spoil == SAMPLE_LONGER)
		return (unsigned int)real + sample->amount;
	if (sample->spoil == SAMPLE_SHORTER)
		return sample->amount < real ? (unsigned int)real - sample->amount : 0;
	return (unsigned int)real;
}

static uint8_t *put_ip4(const struct sample *sample, uint8_t *ip)
{
	unsigned int version = sample->spoil == SAMPLE_VERSION ? sample->amount % 16 : 4;
	unsigned int words =
		sample->spoil == SAMPLE_HEADER_LENGTH ? sample->amount % 16 : 5 + sample->ip_options;
	uint8_t *at = ip + 20 + sample->ip_options * 4, *end;

	fill(ip, 20);
	put(ip + 20, sample->ip_option, sample->ip_options * 4);
	end = put_transport(sample, at);
	put8(ip, version << 4 | words);
	put8(ip + 1, sample->class_of_traffic);
	put16(ip + 2, named_length(sample, (size_t)(end - ip)));
	put16(ip + 6, sample->fragment_offset % 8192 | sample->more_fragments * 0x2000u |
			      sample->dont_fragment * 0x4000u | sample->reserved_flag * 0x8000u);
	put8(ip + 8, sample->hop_limit);
	put8(ip + 9, sample->protocol);
	put(ip + 12, sample->downlink ? sample->remote : sample->ue, 4);
	put(ip + 16, sample->downlink ? sample->ue : sample->remote, 4);
	return end;
}

static uint8_t *put_extensions(const struct sample *sample, uint8_t *at)
{
	for (unsigned int i = 0; i < sample->extension_count; i++) {
		const struct sample_extension *extension = &sample->extensions[i];
		unsigned int next =
			i + 1 < sample->extension_count ? sample->extensions[i + 1].type : sample->protocol;
		size_t bytes = (extension->length + 1u) * 8;

		if (extension->type == AUTHENTICATION)
			bytes = (extension->length + 2u) * 4;
		if (extension->type == FRAGMENT) {
			/* the byte of the others' length is reserved here */
			at = put8(put8(at, next), extension->length);
			at = put16(at, sample->fragment_offset * 8 | sample->reserved_flag * 2u |
					       sample->more_fragments);
			at = fill(at, 4);
		} else {
			at = fill(put8(put8(at, next), extension->length), bytes - 2);
		}
	}
	return at;
}

static uint8_t *put_ip6(const struct sample *sample, uint8_t *ip)
{
	unsigned int version = sample->spoil == SAMPLE_VERSION ? sample->amount % 16 : 6;
	uint8_t *end;

	fill(ip, 40);
	end = put_transport(sample, put_extensions(sample, ip + 40));
	put8(ip, version << 4 | sample->class_of_traffic >> 4);
	put16(ip + 4, named_length(sample, (size_t)(end - ip) - 40));
	put8(ip + 6, sample->extension_count ? sample->extensions[0].type : sample->protocol);
	put8(ip + 7, sample->hop_limit);
	put(ip + 8, sample->downlink ? sample->remote : sample->ue, 16);
	put(ip + 24, sample->downlink ? sample->ue : sample->remote, 16);
	return end;
}

size_t sample_frame(const struct sample *sample, uint8_t *out)
{
	static const uint8_t macs[12] = {2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1};
	unsigned int type = sample->ethertype ? sample->ethertype : sample->family == 4 ? 0x0800 : 0x86dd;
	uint8_t *at = put(out, macs, sizeof(macs));
	size_t length, least = 16;

	for (unsigned int i = 0; i < sample->tag_count; i++)
		at = put16(put16(at, sample->tags[i]), 100 + i);
	at = put16(at, type);
	at = sample->family == 4 ? put_ip4(sample, at) : put_ip6(sample, at);
	at = fill(at, sample->padding);
	length = (size_t)(at - out);
	/* the kernel runs no tc program on less than the IP header that the EtherType promises */
	if (!sample->tag_count && !sample->xdp)
		least = 14 + (type == 0x86dd ? 40 : 20);
	if (length < least)
		fill(at, least - length);
	else if (sample->spoil == SAMPLE_CUT && sample->amount < length - least)
		return length - sample->amount;
	return sample->spoil == SAMPLE_CUT || length < least ? least : length;
}
