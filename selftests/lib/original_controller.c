// SPDX-License-Identifier: Apache-2.0
#include "original_controller.h"

#include <stdio.h>
#include <stdlib.h>

#define S 1000000000ull

static bool is_over(const struct original_flow *flow, uint64_t now_ns)
{
	return now_ns >= flow->last_ns + ORIGINAL_IDLE_S * S ||
	       (flow->drops && now_ns >= flow->since_ns + ORIGINAL_HARD_S * S);
}

static void expire(struct original_controller *original, uint64_t now_ns)
{
	for (int i = 0; i < ORIGINAL_FLOWS; i++) {
		struct original_flow *flow = &original->flow[i];

		if (flow->in_use && is_over(flow, now_ns))
			flow->in_use = false;
	}
}

static void poll(struct original_controller *original, uint64_t now_ns)
{
	for (int i = 0; i < ORIGINAL_FLOWS && !original->died; i++) {
		struct original_flow *flow = &original->flow[i];
		uint64_t duration_sec = (now_ns - flow->since_ns) / S;

		if (!flow->in_use)
			continue;
		if (!duration_sec) {
			original->died = true;
			return;
		}
		if (flow->packets * 60 <= ORIGINAL_THRESHOLD * duration_sec)
			continue;
		flow->drops = true;
		flow->packets = 0;
		flow->since_ns = flow->last_ns = now_ns;
		original->blocks++;
	}
}

void original_advance(struct original_controller *original, uint64_t now_ns)
{
	while ((original->polls + 1) * ORIGINAL_POLL_S * S <= now_ns) {
		const uint64_t at = ++original->polls * ORIGINAL_POLL_S * S;

		expire(original, at);
		if (!original->died)
			poll(original, at);
	}
}

static struct original_flow *find(struct original_controller *original, uint64_t now_ns, uint32_t address,
				  uint16_t port)
{
	struct original_flow *room = NULL;

	for (int i = 0; i < ORIGINAL_FLOWS; i++) {
		struct original_flow *flow = &original->flow[i];

		if (flow->in_use && is_over(flow, now_ns))
			flow->in_use = false;
		if (flow->in_use && flow->address == address && flow->port == port)
			return flow;
		if (!flow->in_use && !room)
			room = flow;
		/* flows are taken from the front: nothing is behind one that never was */
		if (!flow->in_use && !flow->last_ns)
			break;
	}
	if (original->died)
		return NULL;
	if (!room) {
		fprintf(stderr, "original_controller: more than %d flows\n", ORIGINAL_FLOWS);
		abort();
	}
	original->asked++;
	*room = (struct original_flow){
		.address = address, .port = port, .in_use = true, .since_ns = now_ns, .last_ns = now_ns};
	return room;
}

bool original_packet(struct original_controller *original, uint64_t now_ns, uint32_t address, uint16_t port)
{
	struct original_flow *flow;
	bool passes;

	original_advance(original, now_ns);
	flow = find(original, now_ns, address, port);
	passes = flow && !flow->drops;
	if (flow) {
		flow->packets++;
		flow->last_ns = now_ns;
	}
	if (passes)
		original->passed++;
	else
		original->dropped++;
	return passes;
}
