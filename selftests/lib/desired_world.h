/* SPDX-License-Identifier: Apache-2.0 */
/* Desired state on a world of sessions, with a clock of the test's own. */
#ifndef DESIRED_WORLD_H
#define DESIRED_WORLD_H

#include "desired/desired.h"
#include "session_world.h"

#define S	      1000000000ull
#define DESIRED_BEGIN (1000 * S) /* what the clock says at a start */

/* One for the process: control's hook has to find it. */
extern struct desired_world {
	struct sl_desired *desired;
	uint64_t wall;
	uint32_t epoch; /* of the next start */
	uint32_t repairs;
	char last_repair[64];
} desired_world;

uint64_t desired_now(void); /* that clock */
void desired_start(struct world *world, bool adopted, uint32_t classes);
void desired_stop(struct world *world);

struct wish {
	const char *id;
	uint32_t port; /* of its content; 0: a name of the catalogue */
	uint64_t from, until;
	uint64_t mbr_downlink;
	uint32_t hard_timeout_s;
};

/* apn NULL: the scope of the whole subscriber. */
int desired_set(const char *imsi, const char *apn, const struct wish *wishes, size_t count,
		struct sl_error *err);
void desired_set_ok(const char *imsi, const struct wish *wishes, size_t count);

/* The GX and GY rules of a session as text; "-": there is no such session. */
void desired_assert_rules(struct world *world, const char *imsi, const char *address, const char *wanted);

void desired_activate(struct world *world, const char *imsi, const char *address,
		      const struct rule_spec *specs, size_t count);
void desired_check(void);

#endif
