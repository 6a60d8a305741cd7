/* SPDX-License-Identifier: Apache-2.0 */
/* The engine of the IDS on real maps and sessions, at a time that the test says; what it told. */
#ifndef SL_TEST_IDS_ENGINE_WORLD_H
#define SL_TEST_IDS_ENGINE_WORLD_H

#include "ids/engine.h"
#include "ids/maps.h"
#include "policy_files.h"
#include "session_world.h"

#define SECOND 1000000000ull
#define TICK   (SECOND / 20) /* as the agent's timer */
#define TOLD   512

struct told {
	enum sl_ids_alert_type type;
	char reason[32], imsi[SLUICE_IMSI_SIZE], session[SL_ADDRESS_TEXT], apn[SLUICE_APN_SIZE];
	char track[32], action[16];
	uint64_t observed, suppressed, packets;
	uint32_t captured;
	uint8_t family;
};

struct ids_engine_world {
	struct world world;
	struct policy_files *files;
	struct sl_catalog *catalog;
	struct sl_ids_kernel kernel;
	struct sl_ids_table *table;
	struct sl_ids_engine *engine;
	struct sl_ids_rule rule[2]; /* the first one is called "flood" and drops for 2 s */
	uint32_t rules;
	uint64_t now;
	uint64_t longest; /* of all ticks, CPU time */
	struct told told[TOLD];
	size_t told_count;
	uint64_t lost; /* as the alerts said */
};

int ids_engine_setup(void **state);
int ids_engine_teardown(void **state);

/* The rules as they are here, in force. */
void ids_engine_apply(struct ids_engine_world *world);
/* Names that a quarantine may have; `text` is a file of the policy directory. */
void ids_engine_catalog(struct ids_engine_world *world, const char *text);
/* An end of the agent as by kill -9, and a start that reads the rules after a while. */
void ids_engine_restart(struct ids_engine_world *world);
/* Time passes, in ticks. */
void ids_engine_pass(struct ids_engine_world *world, uint64_t time);

struct sluice_ids_key ids_engine_key(const struct sl_ids_rule *rule, const char *imsi);
/* What bpf/ids_block.h does with a packet in excess; the event is lost. */
void ids_engine_offend(struct ids_engine_world *world, const struct sl_ids_rule *rule,
		       const struct sluice_ids_key *key);
/* The same for the connection from ADDRESS_A of this port to 192.0.2.1:80, TCP. */
struct sluice_ids_key ids_engine_connection(uint32_t identity, uint16_t port);

size_t ids_engine_count(const struct ids_engine_world *world, enum sl_ids_alert_type type);
/* The n-th of this type. */
const struct told *ids_engine_told(const struct ids_engine_world *world, enum sl_ids_alert_type type,
				   size_t n);

#endif
