/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Quotas of a session in the file of `sluicectl activate`:
 *
 *   quotas:
 *     - rule: web               # or rating_group: 7, or session: true
 *       volume: 10MB            # or total: 10MB; uplink: or downlink: that direction only
 *       time: 3600s
 *       threshold: 80%          # of both
 *       grant: 1                # default 0
 *     - {rule: video, remove: true}
 */
#ifndef CTL_YAML_QUOTA_H
#define CTL_YAML_QUOTA_H

#include "arena.h"
#include "config/yaml.h"
#include "magma/lte/pipelined.pb-c.h"

/* The quotas at `node`, which may be absent. -EINVAL. */
int yaml_quotas_read(struct arena *arena, struct sl_yaml_node node, Sluice__V1__QuotaGrant ***out,
		     size_t *count, struct sl_error *err);

#endif
