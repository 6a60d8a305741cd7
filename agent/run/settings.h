/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration of each part, from the file's; the parts do not know config/. */
#ifndef SL_RUN_SETTINGS_H
#define SL_RUN_SETTINGS_H

#include "config/config.h"
#include "control/control.h"
#include "datapath/datapath.h"
#include "qos/qos.h"

void sl_settings_of_datapath(const struct sl_config *from, struct sl_datapath_config *out);

enum sl_rate_backend sl_settings_of_backend(const struct sl_config *from);

/* Without the interfaces that do not exist: --detach does not ask for them. */
void sl_settings_of_qos(const struct sl_config *from, struct sl_qos_config *out);

#endif
