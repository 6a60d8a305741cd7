// SPDX-License-Identifier: Apache-2.0
#include "run/settings.h"

#include <net/if.h>
#include <stdio.h>
#include <string.h>

void sl_settings_of_datapath(const struct sl_config *from, struct sl_datapath_config *out)
{
	static const enum sl_datapath_mode modes[] = {
		[SL_CONFIG_MODE_AUTO] = SL_MODE_AUTO,
		[SL_CONFIG_MODE_TC] = SL_MODE_TC,
		[SL_CONFIG_MODE_XDP] = SL_MODE_XDP,
	};
	const struct sl_config_interfaces *roles[] = {
		[SL_ROLE_ACCESS] = &from->access, [SL_ROLE_CORE] = &from->core};

	*out = (struct sl_datapath_config){
		.mode = modes[from->mode],
		.unknown_drop = from->unknown_subscriber == SL_UNKNOWN_DROP,
		.limits =
			{
				.sessions = from->limits.sessions,
				.usage = from->limits.usage,
				.rules = from->limits.rules,
				.flows = from->limits.flows,
				.matches = from->limits.matches,
				.bindings = from->limits.bindings,
				.meters = from->limits.meters,
			},
	};
	snprintf(out->pin_path, sizeof(out->pin_path), "%s", from->pin_path);
	for (int role = SL_ROLE_ACCESS; role <= SL_ROLE_CORE; role++) {
		for (unsigned int i = 0; i < roles[role]->count; i++) {
			memcpy(out->device[out->device_count].name, roles[role]->list[i].name,
			       sizeof(out->device[0].name));
			out->device[out->device_count++].role = (enum sl_device_role)role;
		}
	}
}

enum sl_rate_backend sl_settings_of_backend(const struct sl_config *from)
{
	static const enum sl_rate_backend backends[] = {
		[SL_CONFIG_BACKEND_AUTO] = SL_RATE_AUTO,
		[SL_CONFIG_BACKEND_SHAPE] = SL_RATE_SHAPE,
		[SL_CONFIG_BACKEND_POLICE] = SL_RATE_POLICE,
	};

	return backends[from->qos.backend];
}

void sl_settings_of_qos(const struct sl_config *from, struct sl_qos_config *out)
{
	const struct sl_config_interfaces *sides[] = {
		[SLUICE_UPLINK] = &from->core, [SLUICE_DOWNLINK] = &from->access};

	*out = (struct sl_qos_config){
		.link_rate = from->qos.link_rate,
		.default_rate = from->qos.default_rate,
		.pool_size = from->qos.pool,
	};
	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
		for (unsigned int i = 0; i < sides[direction]->count; i++) {
			const char *name = sides[direction]->list[i].name;
			unsigned int at = out->devices[direction].count;

			out->devices[direction].ifindex[at] = if_nametoindex(name);
			/* gone since the configuration was checked, or not checked because all is to go */
			if (out->devices[direction].ifindex[at] == 0)
				continue;
			memcpy(out->devices[direction].name[at], name,
			       sizeof(out->devices[direction].name[at]));
			out->devices[direction].count++;
		}
	}
}
