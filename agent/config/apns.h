/* SPDX-License-Identifier: Apache-2.0 */
/* The section `apns` of the configuration. */
#ifndef SL_CONFIG_APNS_H
#define SL_CONFIG_APNS_H

#include "config/config.h"
#include "config/yaml.h"
#include "sluice/verdict.h"

/* After `access` and `core`, which it refers to. */
int sl_config_read_apns(struct sl_yaml_node node, struct sl_config *config, struct sl_error *err);

/* `uplink` and `downlink`, each of which may be missing; min to max bit/s. */
int sl_config_read_rates(struct sl_yaml_node node, uint64_t min, uint64_t max,
			 uint64_t rate[SLUICE_DIRECTIONS], struct sl_error *err);

#endif
