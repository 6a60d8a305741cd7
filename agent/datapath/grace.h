/* SPDX-License-Identifier: Apache-2.0 */
/*
 * "When no packet can still be reading it": work put off until every BPF
 * program that was running has left its RCU section. One thread waits in
 * membarrier(MEMBARRIER_CMD_GLOBAL), which is synchronize_rcu() and takes some
 * ten milliseconds; everything deferred meanwhile shares the next wait.
 */
#ifndef SL_GRACE_H
#define SL_GRACE_H

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct sl_grace;

/* What is freed: `run` is called on the thread that calls sl_grace_collect. */
struct sl_grace_item {
	void (*run)(void *owner, uint32_t kind, uint32_t first, uint32_t count);
	void *owner;
	uint32_t kind;
	uint32_t first;
	uint32_t count;
};

int sl_grace_new(struct sl_grace **out, struct sl_error *err);
void sl_grace_free(struct sl_grace *grace); /* waits once more and runs what is left */

/* Readable when items are ready to collect. */
int sl_grace_fd(const struct sl_grace *grace);
int sl_grace_defer(struct sl_grace *grace, const struct sl_grace_item *item); /* -ENOMEM */
void sl_grace_collect(struct sl_grace *grace);
size_t sl_grace_pending(const struct sl_grace *grace);

/* Blocks until everything deferred so far has run (Setup, tests). */
void sl_grace_drain(struct sl_grace *grace);

#endif
