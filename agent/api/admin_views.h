/* SPDX-License-Identifier: Apache-2.0 */
/* The model as messages of sluice.v1: one arena per page, freed with it. */
#ifndef SL_API_ADMIN_VIEWS_H
#define SL_API_ADMIN_VIEWS_H

#include "api/service.h"
#include "sluice/v1/admin.pb-c.h"

/* Memory that lives as long as one message. */
struct sl_arena {
	struct sl_arena_chunk *chunks;
};
void sl_arena_clear(struct sl_arena *arena);

/* Milliseconds since 1970 of a CLOCK_MONOTONIC time; 0 for 0. */
uint64_t sl_view_wall_ms(uint64_t monotonic_ns);
Sluice__V1__Session__State sl_view_state(enum sl_session_state state);

/* What HTB has counted of the classes in use, in order of minors. */
struct sl_view_queues {
	struct sl_qos_class_stats *stats[SLUICE_DIRECTIONS]; /* the caller frees them */
	size_t count[SLUICE_DIRECTIONS];
};
int sl_view_queues_read(struct sl_service *service, struct sl_view_queues *out, struct sl_error *err);
void sl_view_queues_clear(struct sl_view_queues *queues);

/* NULL: out of memory. queues may be NULL. */
Sluice__V1__Session *sl_view_session(struct sl_arena *arena, struct sl_service *service,
				     const struct sl_session_view *view, bool with_rules,
				     const struct sl_view_queues *queues);
Sluice__V1__Rule *sl_view_rule(struct sl_arena *arena, const struct sl_rule *rule);
Sluice__V1__UsageRecord *sl_view_usage(struct sl_arena *arena, const struct sl_usage_record *record);

#endif
