/* SPDX-License-Identifier: Apache-2.0 */
/* The section `redirect` of the configuration. */
#ifndef SL_CONFIG_REDIRECT_H
#define SL_CONFIG_REDIRECT_H

#include "config/config.h"
#include "config/yaml.h"

int sl_config_read_redirect(struct sl_yaml_node node, struct sl_config *config, struct sl_error *err);

#endif
