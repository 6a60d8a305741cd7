/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration of each part, from the file's; the parts do not know config/. */
#ifndef SL_RUN_SETTINGS_H
#define SL_RUN_SETTINGS_H

#include "config/config.h"
#include "control/control.h"
#include "datapath/datapath.h"
#include "qos/qos.h"

/* The names of the access interfaces, NULL at the end; they are those of the configuration. */
struct sl_access_names {
	const char *name[SL_CONFIG_INTERFACES + 1];
};
struct sl_access_names sl_settings_of_access(const struct sl_config *from);

void sl_settings_of_datapath(const struct sl_config *from, struct sl_datapath_config *out);

/* As many as from->apn_count. */
void sl_settings_of_apns(const struct sl_config *from, struct sl_control_apn out[SLUICE_APNS]);

/*
 * What of the link the control knows: its rate, whether a meter keeps it, what may be
 * guaranteed. A meter keeps a rate that the file names where queues do not: they
 * are not used, or there are several on a device, each with the whole rate. Where a
 * role has several interfaces each has the rate.
 */
void sl_settings_of_link(const struct sl_config *from, const struct sl_qos *qos,
			 struct sl_control_config *out);

enum sl_rate_backend sl_settings_of_backend(const struct sl_config *from);

/* Without the interfaces that do not exist: --detach does not ask for them. */
void sl_settings_of_qos(const struct sl_config *from, struct sl_qos_config *out);

#endif
