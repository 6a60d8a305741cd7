// SPDX-License-Identifier: Apache-2.0
#include "config/apns.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

#include "sluice/meter.h"

#define VLAN_LAST 4094

static bool has_interface(const struct sl_config_interfaces *interfaces, const char *name)
{
	for (unsigned int i = 0; i < interfaces->count; i++)
		if (strcmp(interfaces->list[i].name, name) == 0)
			return true;
	return false;
}

/* What an APN is made of is the session manager's to say; blanks and control characters are mistakes. */
static bool is_name(const char *text)
{
	for (; *text; text++)
		if (*text <= ' ' || *text > '~')
			return false;
	return true;
}

static int read_name(struct sl_yaml_node node, const struct sl_config *config, struct sl_config_apn *apn,
		     struct sl_error *err)
{
	int ret;

	ret = sl_yaml_text(node, apn->name, sizeof(apn->name), err);
	if (ret < 0)
		return ret;
	if (!is_name(apn->name))
		return sl_yaml_error(node, err, "bad value \"%s\"; allowed: letters, digits, signs",
				     apn->name);
	for (unsigned int i = 0; i < config->apn_count; i++)
		if (strcasecmp(config->apn[i].name, apn->name) == 0)
			return sl_yaml_error(node, err,
					     "\"%s\" is in line %u already; case makes no other APN of it",
					     apn->name, config->apn[i].line);
	apn->line = sl_yaml_line(node);
	return 0;
}

static int read_hop(struct sl_yaml_node node, struct sl_config_apn *apn, struct sl_error *err)
{
	unsigned char address[16];
	char text[INET6_ADDRSTRLEN];
	int family, ret;

	ret = sl_yaml_text(node, text, sizeof(text), err);
	if (ret < 0)
		return ret;
	if (inet_pton(AF_INET, text, address) == 1)
		family = 0;
	else if (inet_pton(AF_INET6, text, address) == 1)
		family = 1;
	else
		return sl_yaml_error(node, err, "bad value \"%s\"; allowed: an IPv4 or IPv6 address", text);
	if (apn->next_hop[family][0])
		return sl_yaml_error(node, err, "%s is a second one; allowed: one IPv4 and one IPv6 address",
				     text);
	memcpy(apn->next_hop[family], text, sizeof(text));
	return 0;
}

static int read_next_hop(struct sl_yaml_node node, struct sl_config_apn *apn, struct sl_error *err)
{
	size_t count = 0;
	int ret;

	if (!sl_yaml_present(node))
		return 0;
	if (!apn->interface[0])
		return sl_yaml_error(node, err, "there is no interface it could be on; allowed: with one");
	if (!sl_yaml_is_sequence(node))
		return read_hop(node, apn, err);
	ret = sl_yaml_sequence(node, 2, &count, err);
	for (size_t i = 0; ret == 0 && i < count; i++)
		ret = read_hop(sl_yaml_item(node, i), apn, err);
	return ret;
}

static bool is_neighbour(const struct sl_config_neighbour *neighbour)
{
	static const unsigned char zeros[16], limited[4] = {255, 255, 255, 255};
	const unsigned char *address = neighbour->address;

	if (memcmp(address, zeros, sizeof(zeros)) == 0)
		return false;
	if (neighbour->family == 6)
		return address[0] != 0xff;
	return (address[0] & 0xf0) != 0xe0 && memcmp(address, limited, sizeof(limited)) != 0;
}

/* An ARP or ND packet says nothing of the APN: the router's address alone leads to the VLAN. */
static int check_vlan(struct sl_yaml_node node, const struct sl_config *config,
		      const struct sl_config_apn *apn, const struct sl_config_neighbour *neighbour,
		      const char *text, struct sl_error *err)
{
	for (unsigned int i = 0; i < config->apn_count; i++) {
		const struct sl_config_apn *other = &config->apn[i];

		if (other->vlan == apn->vlan)
			continue;
		for (unsigned int j = 0; j < other->neighbour_count; j++)
			if (memcmp(&other->neighbour[j], neighbour, sizeof(*neighbour)) == 0)
				return sl_yaml_error(
					node, err,
					"%s is a neighbour of %s (line %u) already, with vlan %u (0: none); "
					"allowed: a router in one VLAN",
					text, other->name, other->line, other->vlan);
	}
	return 0;
}

static int read_neighbour(struct sl_yaml_node node, const char *text, const struct sl_config *config,
			  struct sl_config_apn *apn, struct sl_error *err)
{
	struct sl_config_neighbour neighbour = {0};
	int ret;

	if (inet_pton(AF_INET, text, neighbour.address) == 1)
		neighbour.family = 4;
	else if (inet_pton(AF_INET6, text, neighbour.address) == 1)
		neighbour.family = 6;
	if (!neighbour.family || !is_neighbour(&neighbour))
		return sl_yaml_error(node, err,
				     "bad value \"%s\"; allowed: an IPv4 or IPv6 address of one neighbour",
				     text);
	for (unsigned int i = 0; i < apn->neighbour_count; i++)
		if (memcmp(&apn->neighbour[i], &neighbour, sizeof(neighbour)) == 0)
			return 0;
	ret = check_vlan(node, config, apn, &neighbour, text, err);
	if (ret < 0)
		return ret;
	if (apn->neighbour_count == SLUICE_APN_NEIGHBOURS)
		return sl_yaml_error(node, err, "%s is one too many; allowed: %d, those of next_hop included",
				     text, SLUICE_APN_NEIGHBOURS);
	apn->neighbour[apn->neighbour_count++] = neighbour;
	return 0;
}

static int read_neighbours(struct sl_yaml_node node, struct sl_yaml_node next_hop,
			   const struct sl_config *config, struct sl_config_apn *apn, struct sl_error *err)
{
	char text[INET6_ADDRSTRLEN];
	size_t count = 0;
	int ret = 0;

	if (sl_yaml_present(node) && !apn->vlan)
		return sl_yaml_error(node, err, "there is no vlan they could be behind; allowed: with one");
	if (apn->vlan || has_interface(&config->core, apn->interface))
		for (int hop = 0; ret == 0 && hop < 2; hop++)
			if (apn->next_hop[hop][0])
				ret = read_neighbour(next_hop, apn->next_hop[hop], config, apn, err);
	if (ret == 0)
		ret = sl_yaml_sequence(node, SLUICE_APN_NEIGHBOURS, &count, err);
	for (size_t i = 0; ret == 0 && i < count; i++) {
		struct sl_yaml_node item = sl_yaml_item(node, i);

		ret = sl_yaml_text(item, text, sizeof(text), err);
		if (ret == 0)
			ret = read_neighbour(item, text, config, apn, err);
	}
	return ret;
}

static int read_interface(struct sl_yaml_node node, const struct sl_config *config, struct sl_config_apn *apn,
			  struct sl_error *err)
{
	int ret;

	ret = sl_yaml_text(node, apn->interface, sizeof(apn->interface), err);
	if (ret < 0 || !sl_yaml_present(node))
		return ret;
	if (has_interface(&config->access, apn->interface))
		return sl_yaml_error(node, err, "%s is an access interface; allowed: one of the networks'",
				     apn->interface);
	if (apn->vlan && !has_interface(&config->core, apn->interface))
		return sl_yaml_error(node, err, "no VLAN is pushed on %s; allowed: a core interface",
				     apn->interface);
	return 0;
}

int sl_config_read_rates(struct sl_yaml_node node, uint64_t min, uint64_t max,
			 uint64_t rate[SLUICE_DIRECTIONS], struct sl_error *err)
{
	static const char *const keys[] = {[SLUICE_UPLINK] = "uplink", [SLUICE_DOWNLINK] = "downlink", NULL};
	int ret;

	ret = sl_yaml_mapping(node, keys, err);
	for (int direction = 0; ret == 0 && direction < SLUICE_DIRECTIONS; direction++)
		ret = sl_yaml_rate(sl_yaml_get(node, keys[direction]), min, max, &rate[direction], err);
	return ret;
}

static int read_apn(struct sl_yaml_node node, const struct sl_config *config, struct sl_config_apn *apn,
		    struct sl_error *err)
{
	static const char *const keys[] = {"name",	 "vlan", "interface", "next_hop",
					   "neighbours", "cap",	 "reserve",   NULL};
	struct sl_yaml_node reserve = sl_yaml_get(node, "reserve");
	int ret;

	if ((ret = sl_yaml_mapping(node, keys, err)) < 0 || (ret = sl_yaml_require(node, "name", err)) < 0 ||
	    (ret = read_name(sl_yaml_get(node, "name"), config, apn, err)) < 0 ||
	    (ret = sl_yaml_uint32(sl_yaml_get(node, "vlan"), 1, VLAN_LAST, &apn->vlan, err)) < 0 ||
	    (ret = read_interface(sl_yaml_get(node, "interface"), config, apn, err)) < 0 ||
	    (ret = read_next_hop(sl_yaml_get(node, "next_hop"), apn, err)) < 0 ||
	    (ret = read_neighbours(sl_yaml_get(node, "neighbours"), sl_yaml_get(node, "next_hop"), config,
				   apn, err)) < 0 ||
	    (ret = sl_config_read_rates(sl_yaml_get(node, "cap"), SLUICE_METER_RATE_MIN,
					SLUICE_METER_RATE_MAX, apn->cap, err)) < 0 ||
	    (ret = sl_config_read_rates(reserve, 0, SLUICE_METER_RATE_MAX, apn->reserve, err)) < 0)
		return ret;
	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++)
		if (apn->cap[direction] && apn->reserve[direction] != UINT64_MAX &&
		    apn->reserve[direction] > apn->cap[direction])
			return sl_yaml_error(reserve, err, "%llu bit/s; allowed: at most the cap, %llu bit/s",
					     (unsigned long long)apn->reserve[direction],
					     (unsigned long long)apn->cap[direction]);
	return 0;
}

int sl_config_read_apns(struct sl_yaml_node node, struct sl_config *config, struct sl_error *err)
{
	unsigned int interfaces = 0;
	size_t count = 0;
	int ret;

	ret = sl_yaml_sequence(node, SLUICE_APNS, &count, err);
	for (size_t i = 0; ret == 0 && i < count; i++) {
		struct sl_config_apn *apn = &config->apn[config->apn_count];
		struct sl_yaml_node item = sl_yaml_item(node, i);

		*apn = (struct sl_config_apn){.reserve = {UINT64_MAX, UINT64_MAX}};
		ret = read_apn(item, config, apn, err);
		if (ret == 0 && apn->interface[0] && ++interfaces > SL_CONFIG_APN_INTERFACES)
			return sl_yaml_error(item, err, "one interface too many; allowed: %d APNs with one",
					     SL_CONFIG_APN_INTERFACES);
		config->apn_count++;
	}
	return ret;
}
