// SPDX-License-Identifier: Apache-2.0
#include "case_packet.h"

#include <errno.h>
#include <string.h>

#define SWEEP_MAX 65536

static void next_address(struct sl_address *address)
{
	for (int i = address->family == 4 ? 3 : 15; i >= 0; i--)
		if (++address->bytes[i] != 0)
			return;
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
