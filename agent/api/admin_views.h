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

/* NULL: out of memory. */
Sluice__V1__Session *sl_view_session(struct sl_arena *arena, struct sl_service *service,
				     const struct sl_session_view *view, bool with_rules);
Sluice__V1__Rule *sl_view_rule(struct sl_arena *arena, const struct sl_rule *rule);
Sluice__V1__UsageRecord *sl_view_usage(struct sl_arena *arena, const struct sl_usage_record *record);

#endif
