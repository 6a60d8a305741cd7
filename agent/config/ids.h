/* SPDX-License-Identifier: Apache-2.0 */
/* The section `ids`: where alerts go. */
#ifndef SL_CONFIG_IDS_H
#define SL_CONFIG_IDS_H

#include "config/config.h"
#include "config/yaml.h"

int sl_config_read_ids(struct sl_yaml_node node, struct sl_config *config, struct sl_error *err);

#endif
