/* SPDX-License-Identifier: Apache-2.0 */
/* What a reporter needs around it, played by the test. */
#ifndef SL_TEST_REPORTER_FAKE_H
#define SL_TEST_REPORTER_FAKE_H

#include "usage/reporter.h"

#define ENDED_SLOT   1000000 /* records of ended sessions have usage slots from here on, others from 0 */
#define RECORD_BYTES 100
#define MESSAGE	     (1000 * RECORD_BYTES + 32) /* room for 1,000 records */
#define ENDED_ROOM   874			/* seven eighths of it */

/*
 * A control and a session manager that do what the test says and remember what
 * they were asked. Sessions have one record each unless said otherwise.
 */
struct reporter_fake {
	struct sl_reporter *reporter;
	bool ready;
	int send_result;
	size_t active;
	size_t ended;
	size_t not_final;   /* of the ended, the last so many are not final yet */
	size_t per_session; /* records of an ended session; 0: one */
	size_t per_active;  /* of one in force */
	bool unused;	    /* ended sessions' records count nothing */
	bool frees;	    /* what is acknowledged is gone */

	unsigned int sent; /* messages */
	size_t count;	   /* records in the last one */
	size_t ended_in;   /* of ended sessions among them */
	size_t seen;	   /* active ones in all messages of the cycle */
	uint32_t first_active;
	char *reported; /* by ENDED_SLOT + index: in how many messages */
	size_t reported_size;

	unsigned int acknowledged; /* calls */
	size_t slots;		   /* in the last one */
	uint32_t slot[8];
	size_t freed;

	unsigned int ups, downs;
	char reason[64];
	unsigned int cycles;
	size_t cycle_records;
};

extern const struct sl_reporter_ops reporter_fake_ops;

/* cmocka: *state becomes a fake that is ready, with a reporter of MESSAGE bytes. */
int reporter_fake_setup(void **state);
int reporter_fake_teardown(void **state);

struct sl_reporter_stats reporter_fake_stats(const struct reporter_fake *fake);

#endif
