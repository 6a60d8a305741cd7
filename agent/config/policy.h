/* SPDX-License-Identifier: Apache-2.0 */
/* The sections policy and desired of the configuration. */
#ifndef SL_CONFIG_POLICY_H
#define SL_CONFIG_POLICY_H

#include "config/config.h"
#include "config/yaml.h"

/* `root`: the file's. -EINVAL with the line. */
int sl_config_read_policy(struct sl_yaml_node root, struct sl_config *config, struct sl_error *err);

#endif
