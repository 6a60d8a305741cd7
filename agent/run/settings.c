// SPDX-License-Identifier: Apache-2.0
#include "run/settings.h"

#include <net/if.h>
#include <stdio.h>
#include <string.h>

struct sl_access_names sl_settings_of_access(const struct sl_config *from)
{
	struct sl_access_names names = {{NULL}};

	for (unsigned int i = 0; i < from->access.count; i++)
		names.name[i] = from->access.list[i].name;
	return names;
}

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
				.quotas = from->limits.quotas,
				.ids_blocks = from->limits.ids_blocks,
				.ids_buckets = from->limits.ids_buckets,
				.ids_windows = from->limits.ids_windows,
				.ids_logs = from->limits.ids_logs,
				.ids_sets = from->limits.ids_sets,
				.ids_connections = from->limits.ids_connections,
			},
	};
	for (unsigned int i = 0; i < from->apn_count; i++)
		out->vlans |= from->apn[i].vlan != 0;
	snprintf(out->pin_path, sizeof(out->pin_path), "%s", from->pin_path);
	for (int role = SL_ROLE_ACCESS; role <= SL_ROLE_CORE; role++) {
		for (unsigned int i = 0; i < roles[role]->count; i++) {
			memcpy(out->device[out->device_count].name, roles[role]->list[i].name,
			       sizeof(out->device[0].name));
			out->device[out->device_count++].role = (enum sl_device_role)role;
		}
	}
}

void sl_settings_of_apns(const struct sl_config *from, struct sl_control_apn out[SLUICE_APNS])
{
	for (unsigned int i = 0; i < from->apn_count; i++) {
		const struct sl_config_apn *apn = &from->apn[i];

		out[i] = (struct sl_control_apn){.vlan = apn->vlan};
		memcpy(out[i].name, apn->name, sizeof(out[i].name));
		memcpy(out[i].interface, apn->interface, sizeof(out[i].interface));
		memcpy(out[i].cap, apn->cap, sizeof(out[i].cap));
		memcpy(out[i].reserve, apn->reserve, sizeof(out[i].reserve));
		for (int hop = 0; hop < 2; hop++)
			if (apn->next_hop[hop][0])
				/* the configuration was checked */
				(void)sl_address_parse("next_hop", apn->next_hop[hop], &out[i].next_hop[hop],
						       NULL);
		for (unsigned int j = 0; apn->vlan && j < apn->neighbour_count; j++) {
			struct sl_address *neighbour = &out[i].neighbours[out[i].neighbour_count++];

			neighbour->family = apn->neighbour[j].family;
			memcpy(neighbour->bytes, apn->neighbour[j].address, sizeof(neighbour->bytes));
		}
	}
}

static bool has_several_queues(const struct sl_config_interfaces *interfaces, const struct sl_qos *qos)
{
	for (unsigned int i = 0; i < interfaces->count; i++)
		if (sl_qos_queues(qos, if_nametoindex(interfaces->list[i].name)) > 1)
			return true;
	return false;
}

void sl_settings_of_link(const struct sl_config *from, const struct sl_qos *qos,
			 struct sl_control_config *out)
{
	const struct sl_config_interfaces *sides[] = {
		[SLUICE_UPLINK] = &from->core, [SLUICE_DOWNLINK] = &from->access};
	bool policed = from->qos.backend == SL_CONFIG_BACKEND_POLICE ||
		       (from->qos.pool == 0 && from->qos.trees == 0);

	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
		out->link_rate[direction] = from->qos.link_rate * sides[direction]->count;
		out->link_cap[direction] = 0;
		if (from->qos.has_link_rate && (policed || has_several_queues(sides[direction], qos)))
			out->link_cap[direction] = out->link_rate[direction];
		out->reserve[direction] = from->qos.reserve[direction];
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

	static const enum sl_qos_leaf leaves[] = {
		[SL_CONFIG_LEAF_AUTO] = SL_QOS_LEAF_AUTO,
		[SL_CONFIG_LEAF_FIFO] = SL_QOS_LEAF_FIFO,
		[SL_CONFIG_LEAF_FQ_CODEL] = SL_QOS_LEAF_FQ_CODEL,
	};

	*out = (struct sl_qos_config){
		.link_rate = from->qos.link_rate,
		.default_rate = from->qos.default_rate,
		.pool_size = from->qos.pool,
		.trees = from->qos.trees,
		.leaf = leaves[from->qos.leaf],
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
