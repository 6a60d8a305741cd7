/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model of what sluice's rate thresholds are measured against: an OpenFlow
 * controller that guards an XMPP server by polled counters. It is as it was, with its
 * defects, in virtual time:
 *
 *   - the first packet of a source address and port goes to the controller, which installs a flow that lets
 * it pass, with an idle timeout of 30 s; without a controller such packets are dropped;
 *   - every 60 s it reads the counters of all flows; where packets / duration_sec * 60 is above 40, it
 *     installs a flow that drops: idle 30 s, hard 120 s. That one's counters begin at 0;
 *   - dropped packets count, and flows that drop are read, too: they are installed again in the same way;
 *   - duration_sec is a whole number, and nothing guards the division: the controller dies of a 0. The switch
 *     goes on with the flows that it has;
 *   - every segment counts, whether it has payload or not.
 */
#ifndef ORIGINAL_CONTROLLER_H
#define ORIGINAL_CONTROLLER_H

#include <stdbool.h>
#include <stdint.h>

#define ORIGINAL_FLOWS	   1024 /* at once; more fail the test */
#define ORIGINAL_POLL_S	   60
#define ORIGINAL_THRESHOLD 40 /* packets in 60 s */
#define ORIGINAL_IDLE_S	   30
#define ORIGINAL_HARD_S	   120

struct original_flow {
	uint32_t address;
	uint16_t port;
	bool in_use;
	bool drops;
	uint64_t packets;
	uint64_t since_ns;
	uint64_t last_ns;
};

/* All zeros: begins at time 0, with its first poll at 60 s. */
struct original_controller {
	struct original_flow flow[ORIGINAL_FLOWS];
	uint64_t polls;
	bool died;
	uint64_t passed;
	uint64_t dropped;
	uint64_t asked;	 /* packets that had to wait for the controller */
	uint64_t blocks; /* flows that drop, those that were installed again included */
};

/* One packet at a time that never goes back; whether it passes. */
bool original_packet(struct original_controller *original, uint64_t now_ns, uint32_t address, uint16_t port);

/* What happens without packets: polls and timeouts. */
void original_advance(struct original_controller *original, uint64_t now_ns);

#endif
