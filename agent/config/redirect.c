// SPDX-License-Identifier: Apache-2.0
#include "config/redirect.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TABLE_LAST    0xfffffffe
#define PRIORITY_LAST 32763 /* three rules before the main table's */

static bool is_address(const char *text, size_t length, int family)
{
	unsigned char address[16];
	char copy[INET6_ADDRSTRLEN];

	if (length >= sizeof(copy))
		return false;
	memcpy(copy, text, length);
	copy[length] = '\0';
	return inet_pton(family, copy, address) == 1;
}

static bool is_port(const char *text)
{
	size_t length = strlen(text);
	unsigned long port = strtoul(text, NULL, 10);

	return length > 0 && length <= 5 && strspn(text, "0123456789") == length && port >= 1 &&
	       port <= 65535;
}

/* "192.0.2.53", "192.0.2.53:5353", "2001:db8::53", "[2001:db8::53]:5353" */
static bool is_nameserver(const char *text)
{
	const char *end;

	if (text[0] == '[') {
		end = strchr(text, ']');
		return end && is_address(text + 1, (size_t)(end - text - 1), AF_INET6) &&
		       (!end[1] || (end[1] == ':' && is_port(end + 2)));
	}
	end = strchr(text, ':');
	if (end && is_address(text, (size_t)(end - text), AF_INET))
		return is_port(end + 1);
	return is_address(text, strlen(text), AF_INET) || is_address(text, strlen(text), AF_INET6);
}

static int read_nameservers(struct sl_yaml_node list, struct sl_config *config, struct sl_error *err)
{
	size_t count = 0;
	int ret;

	ret = sl_yaml_sequence(list, SL_CONFIG_NAMESERVERS, &count, err);
	for (size_t i = 0; ret == 0 && i < count; i++) {
		struct sl_yaml_node item = sl_yaml_item(list, i);
		char *text = config->redirect.nameserver[i];

		ret = sl_yaml_text(item, text, sizeof(config->redirect.nameserver[i]), err);
		if (ret == 0 && !is_nameserver(text))
			ret = sl_yaml_error(item, err,
					    "bad value \"%s\"; allowed: an IPv4 or IPv6 address, or "
					    "192.0.2.53:5353, or [2001:db8::53]:5353",
					    text);
	}
	if (ret == 0)
		config->redirect.nameserver_count = (unsigned int)count;
	return ret;
}

int sl_config_read_redirect(struct sl_yaml_node node, struct sl_config *config, struct sl_error *err)
{
	static const char *const keys[] = {"portal_port",   "others",	   "table",
					   "rule_priority", "nameservers", NULL};
	static const char *const others[] = {"reject", "drop", NULL};
	struct sl_yaml_node port = sl_yaml_get(node, "portal_port");
	unsigned int drop = !config->redirect.reject;
	int ret;

	if ((ret = sl_yaml_mapping(node, keys, err)) < 0 ||
	    (ret = sl_yaml_uint32(port, 0, 65535, &config->redirect.portal_port, err)) < 0 ||
	    (ret = sl_yaml_choice(sl_yaml_get(node, "others"), others, &drop, err)) < 0 ||
	    (ret = sl_yaml_uint32(sl_yaml_get(node, "table"), 1, TABLE_LAST, &config->redirect.table, err)) <
		    0 ||
	    (ret = sl_yaml_uint32(sl_yaml_get(node, "rule_priority"), 1, PRIORITY_LAST,
				  &config->redirect.rule_priority, err)) < 0 ||
	    (ret = read_nameservers(sl_yaml_get(node, "nameservers"), config, err)) < 0)
		return ret;
	/* the agent has not the capability for lower ones, and 80 is what is redirected */
	if (config->redirect.portal_port != 0 && config->redirect.portal_port < 1024)
		return sl_yaml_error(port, err, "bad value %u; allowed: 0 or 1024 to 65535",
				     config->redirect.portal_port);
	/* 253 to 255 are the kernel's: default, main, local */
	if (config->redirect.table >= 253 && config->redirect.table <= 255)
		return sl_yaml_error(sl_yaml_get(node, "table"), err,
				     "bad value %u, a table of the kernel's; allowed: one of your own",
				     config->redirect.table);
	config->redirect.reject = !drop;
	return 0;
}
