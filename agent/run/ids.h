/* SPDX-License-Identifier: Apache-2.0 */
/* The IDS: wired to the maps, to the policy directory, to control and to the log. */
#ifndef SL_RUN_IDS_H
#define SL_RUN_IDS_H

#include "run/modules.h"

extern const struct sl_module sl_module_ids;

#endif
