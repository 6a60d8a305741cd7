/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sessions with rates that are policed: on the real maps, with packets through
 * the real programs as fast as they take them. What passes then is the burst
 * and what the time of the test allows. IMSI_A only, downlink MBRs.
 */
#ifndef RATES_WORLD_H
#define RATES_WORLD_H

#include "qos/meter.h"
#include "session_world.h"

#define ADDRESS_A6 "2001:db8:a::1"
#define WEB	   "198.51.100.1"
#define VIDEO	   "198.51.100.2"
#define PAYLOAD	   972 /* a UDP packet of 1,000 bytes over IPv4 */
#define BYTES	   1000
#define MBIT	   1000000ull

/* 50 ms of the rate */
#define BURST(rate) ((rate) / 8 / 20)

/* MBRs and GBRs of the first two rules of a request */
struct rates {
	uint64_t ambr; /* both directions; 0: the request says nothing of it */
	uint64_t mbr[2];
	uint64_t gbr[2];
	const char *twin;
};

extern const struct rule_spec rates_rules[2]; /* "web", "video": to WEB and VIDEO */
extern const struct sl_control_config rates_police, rates_auto;

void rates_start(struct world *world, bool adopted, const struct sl_control_config *config, uint32_t classes);
/* Acknowledges all; fails the test if anything is left over. */
void rates_end(struct world *world);
int rates_try(struct world *world, struct activation *activation, const char *address,
	      const struct rule_spec *specs, size_t count, const struct rates *rates, struct sl_error *err);
void rates_activate(struct world *world, const char *address, const struct rule_spec *specs, size_t count,
		    const struct rates *rates);
const struct sluice_binding *rates_binding(struct world *world, const char *address, const char *rule_id);
const struct sluice_usage *rates_usage(struct world *world, const char *address, const char *rule_id);
struct sluice_meter *rates_meter(struct world *world, uint32_t number); /* slot + 1, as in bindings */
/* Of the session, through the rule "video", which must have no meter of its own. */
uint32_t rates_ambr_meter(struct world *world, const char *address);
void rates_assert_rate(struct world *world, uint32_t number, uint64_t bits_per_second);
/* Packets of BYTES bytes (IPv4) to the subscriber, one after the other. */
void rates_receive(struct world *world, const char *from, const char *to, uint32_t count);
/* What has passed since `since`: not less than the burst, not more than that, the time's share and a packet.
 */
void rates_assert_policed(uint64_t bytes, uint64_t rate, uint64_t since);

#endif
