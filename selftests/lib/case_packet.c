// SPDX-License-Identifier: Apache-2.0
#include "case_packet.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define SWEEP_MAX 65536

static void next_address(struct sl_address *address)
{
	for (int i = address->family == 4 ? 3 : 15; i >= 0; i--)
		if (++address->bytes[i] != 0)
			return;
}

/* Bit n is names[n]; words with commas between. */
static int read_bits(const char *field, const char *text, const char *const *names, uint8_t *bits,
		     struct sl_error *err)
{
	for (const char *word = text; word && *word;) {
		const size_t length = strcspn(word, ",");
		unsigned int bit = 0;

		while (names[bit] && (strlen(names[bit]) != length || strncmp(names[bit], word, length) != 0))
			bit++;
		if (!names[bit])
			return sl_error(err, EINVAL, "%s: '%s'", field, text);
		*bits |= (uint8_t)(1u << bit);
		word += length + (word[length] == ',');
	}
	return 0;
}

static int read_terms(const struct case_send *send, uint32_t family, struct walk_terms *out,
		      struct sl_error *err)
{
	static const char *const flags[] = {"fin", "syn", "rst", "psh", "ack", "urg", "ece", "cwr", NULL};
	static const char *const tcp[] = {"mss", "window", "sack", "ts", "cc", NULL};
	static const char *const ip[] = {"ssrr", "lsrr", "rr", "ts", NULL};
	const bool is_later = send->fragment == CASE_LATER_FRAGMENT;
	struct walk_terms terms = {
		.dscp = (uint8_t)send->dscp,
		.is_later_fragment = is_later,
		.has_tcp = send->protocol == IPPROTO_TCP && !is_later,
		.has_icmp = (send->protocol == IPPROTO_ICMP || send->protocol == IPPROTO_ICMPV6) && !is_later,
		.icmp_type = family == 4 ? 8 : 128, /* echo request */
	};

	if (send->icmp_type)
		terms.icmp_type = (uint8_t)strtoul(send->icmp_type, NULL, 10);
	if (read_bits("tcp_flags", send->tcp_flags ? send->tcp_flags : "syn", flags, &terms.tcp_flags, err) <
		    0 ||
	    read_bits("tcp_options", send->tcp_options, tcp, &terms.tcp_options, err) < 0 ||
	    read_bits("ip_options", send->ip_options, ip, &terms.ip_options, err) < 0)
		return -EINVAL;
	*out = terms;
	return 0;
}

int case_send_packets(struct case_run *run, const struct case_send *send, struct sl_error *err)
{
	struct case_packet packet = {
		.size = send->size,
		.fragment = send->fragment,
		.walk =
			{
				.direction = send->direction,
				.protocol = (uint8_t)send->protocol,
				.remote_port = (uint16_t)send->remote_port,
				.local_port = (uint16_t)send->ue_port,
				.has_ports = (send->protocol == 6 || send->protocol == 17 ||
					      send->protocol == 132) &&
					     send->fragment != CASE_LATER_FRAGMENT,
			},
	};
	struct sl_address remote;
	uint32_t passed_count = 0, bits;
	uint8_t length;

	if (sl_address_parse("ue", send->ue, &packet.ue, err) < 0 ||
	    sl_prefix_parse("remote", send->remote, &remote, &length, err) < 0)
		return -EINVAL;
	if (remote.family != packet.ue.family)
		return sl_error(err, EINVAL, "remote '%s' is not of the family of ue '%s'", send->remote,
				send->ue);
	bits = (remote.family == 4 ? 32u : 128u) - length;
	if (bits > 16)
		return sl_error(err, E2BIG, "remote '%s' is more than %d addresses", send->remote, SWEEP_MAX);
	packet.walk.family = remote.family;
	packet.walk.terms = &packet.terms;
	if (read_terms(send, remote.family, &packet.terms, err) < 0)
		return -EINVAL;
	for (uint32_t n = 0; n < 1u << bits; n++, next_address(&remote)) {
		memcpy(packet.walk.remote, remote.bytes, sizeof(packet.walk.remote));
		for (uint32_t i = 0; i < send->count; i++) {
			bool passed = false;
			int result = run->engine->send(run, &packet, &passed, err);

			if (result < 0)
				return result;
			passed_count += passed;
		}
	}
	if (passed_count != send->passed)
		return sl_error(err, EINVAL, "%u packets passed, expected %u", passed_count, send->passed);
	return 0;
}
