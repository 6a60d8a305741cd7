// SPDX-License-Identifier: Apache-2.0
#include "config/config.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "config/apns.h"
#include "config/ids.h"
#include "config/policy.h"
#include "config/redirect.h"
#include "config/yaml.h"

#define BPFFS "/sys/fs/bpf/"

static void yaml_freep(struct sl_yaml **yaml)
{
	sl_yaml_free(*yaml);
}

static const struct sl_config defaults = {
	.api = {.tcp = "127.0.0.1:50063", .socket = "/run/sluice/api.sock"},
	.session_manager = {.report_interval_ms = 2000, .max_report = 4 << 20},
	.audit_interval_ms = 10000,
	.desired_check_interval_ms = 10000,
	.ids = {.alerts_per_second = 1000,
		.eve_max_size = 64 << 20,
		.eve_keep = 8,
		.evidence_max_size = 256 << 20},
	.pin_path = BPFFS "sluice",
	.startup = SL_STARTUP_WAIT_FOR_SETUP,
	.unknown_subscriber = SL_UNKNOWN_DROP,
	.mode = SL_CONFIG_MODE_AUTO,
	.log_level = SL_LOG_INFO,
	.redirect = {.portal_port = 8088, .reject = true, .table = 20814, .rule_priority = 814},
	.qos = {.pool = 2048, .trees = 256, .link_rate = 10000000000},
	.limits = {.sessions = 32768,
		   .usage = 262144,
		   .rules = 65536,
		   .flows = 131072,
		   .matches = 16384,
		   .bindings = 65536,
		   .meters = 131072,
		   .quotas = 65536,
		   .ids_blocks = 65536,
		   .ids_buckets = 131072,
		   .ids_windows = 16384,
		   .ids_logs = 8192,
		   .ids_sets = 16384,
		   .ids_connections = 131072},
};

/* --- interfaces ------------------------------------------------------------ */

/* What the kernel takes as a device's name (dev_valid_name). */
static bool name_is_valid(const char *name)
{
	const char *at;

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
		return false;
	for (at = name; *at; at++) {
		if (*at == '/' || *at == ':' || isspace((unsigned char)*at))
			return false;
	}
	return true;
}

static bool name_is_taken(const struct sl_config_interfaces *interfaces, const char *name)
{
	unsigned int i;

	for (i = 0; i < interfaces->count; i++) {
		if (strcmp(interfaces->list[i].name, name) == 0)
			return true;
	}
	return false;
}

static int read_interfaces(struct sl_yaml_node root, const char *role, struct sl_config *config,
			   struct sl_config_interfaces *out, struct sl_error *err)
{
	static const char *const keys[] = {"interface", NULL};
	struct sl_yaml_node list = sl_yaml_get(root, role);
	size_t count, i;
	int ret;

	ret = sl_yaml_require(root, role, err);
	if (ret < 0)
		return ret;
	ret = sl_yaml_sequence(list, SL_CONFIG_INTERFACES, &count, err);
	if (ret < 0)
		return ret;
	if (count == 0)
		return sl_yaml_error(list, err, "no interface; allowed: 1 to %d", SL_CONFIG_INTERFACES);
	for (i = 0; i < count; i++) {
		struct sl_config_interface *interface = &out->list[out->count];
		struct sl_yaml_node item = sl_yaml_item(list, i);
		struct sl_yaml_node node;

		if ((ret = sl_yaml_mapping(item, keys, err)) < 0 ||
		    (ret = sl_yaml_require(item, "interface", err)) < 0)
			return ret;
		node = sl_yaml_get(item, "interface");
		ret = sl_yaml_text(node, interface->name, sizeof(interface->name), err);
		if (ret < 0)
			return ret;
		if (!name_is_valid(interface->name))
			return sl_yaml_error(node, err,
					     "bad value \"%s\"; allowed: the name of a network interface",
					     interface->name);
		if (name_is_taken(&config->access, interface->name) ||
		    name_is_taken(&config->core, interface->name))
			return sl_yaml_error(node, err, "interface %s is there twice; allowed: one role",
					     interface->name);
		interface->line = sl_yaml_line(node);
		out->count++;
	}
	return 0;
}

/* --- addresses and paths ------------------------------------------------------ */

/* "127.0.0.1:50063" or "[::1]:50063". */
static bool endpoint_is_valid(const char *text)
{
	char host[64];
	struct in6_addr address;
	const char *colon = strrchr(text, ':');
	size_t length;
	uint64_t port;

	if (!colon || sl_parse_uint(colon + 1, &port) < 0 || port < 1 || port > 65535)
		return false;
	length = (size_t)(colon - text);
	if (length >= sizeof(host))
		return false;
	memcpy(host, text, length);
	host[length] = '\0';
	if (host[0] != '[')
		return inet_pton(AF_INET, host, &address) == 1;
	if (host[length - 1] != ']')
		return false;
	host[length - 1] = '\0';
	return inet_pton(AF_INET6, host + 1, &address) == 1;
}

static int read_endpoint(struct sl_yaml_node node, char *out, size_t size, struct sl_error *err)
{
	int ret;

	ret = sl_yaml_text(node, out, size, err);
	if (ret < 0 || !sl_yaml_present(node))
		return ret;
	if (!endpoint_is_valid(out))
		return sl_yaml_error(
			node, err, "bad value \"%s\"; allowed: ADDRESS:PORT or [ADDRESS]:PORT, numeric", out);
	return 0;
}

static int read_socket(struct sl_yaml_node node, char *out, size_t size, struct sl_error *err)
{
	int ret;

	ret = sl_yaml_text(node, out, size, err);
	if (ret < 0 || !sl_yaml_present(node))
		return ret;
	if (out[0] != '/' || out[strlen(out) - 1] == '/')
		return sl_yaml_error(node, err, "bad value \"%s\"; allowed: an absolute path of a file", out);
	return 0;
}

static int read_pin_path(struct sl_yaml_node node, char *out, size_t size, struct sl_error *err)
{
	const char *below = out + strlen(BPFFS);
	int ret;

	ret = sl_yaml_text(node, out, size, err);
	if (ret < 0 || !sl_yaml_present(node))
		return ret;
	/* bpffs refuses names with a dot itself, and a path through ".." leaves it */
	if (strncmp(out, BPFFS, strlen(BPFFS)) != 0 || !*below || *below == '/' || strchr(below, '.') ||
	    strstr(below, "//") || below[strlen(below) - 1] == '/')
		return sl_yaml_error(
			node, err, "bad value \"%s\"; allowed: a directory below " BPFFS ", no dots in names",
			out);
	return 0;
}

/* --- sections ------------------------------------------------------------------ */

static int read_api(struct sl_yaml_node node, struct sl_config *config, struct sl_error *err)
{
	static const char *const keys[] = {"tcp", "socket", NULL};
	int ret;

	if ((ret = sl_yaml_mapping(node, keys, err)) < 0 ||
	    (ret = read_endpoint(sl_yaml_get(node, "tcp"), config->api.tcp, sizeof(config->api.tcp), err)) <
		    0)
		return ret;
	return read_socket(sl_yaml_get(node, "socket"), config->api.socket, sizeof(config->api.socket), err);
}

static int read_max_report(struct sl_yaml_node node, uint32_t *out, struct sl_error *err)
{
	uint64_t value;
	char text[32];
	int ret;

	ret = sl_yaml_text(node, text, sizeof(text), err);
	if (ret < 0 || !sl_yaml_present(node))
		return ret;
	if (sl_parse_size(text, &value) < 0)
		return sl_yaml_error(node, err, "bad value \"%s\"; allowed: %s", text, SL_SIZE_SYNTAX);
	if (value < 1 << 20 || value > 1 << 30)
		return sl_yaml_error(node, err, "bad value \"%s\"; allowed: 1MiB to 1024MiB", text);
	*out = (uint32_t)value;
	return 0;
}

static int read_session_manager(struct sl_yaml_node node, struct sl_config *config, struct sl_error *err)
{
	static const char *const keys[] = {"address", "report_interval", "max_report", NULL};
	uint64_t interval = config->session_manager.report_interval_ms;
	int ret;

	if (!sl_yaml_present(node))
		return 0;
	if ((ret = sl_yaml_mapping(node, keys, err)) < 0 ||
	    (ret = sl_yaml_require(node, "address", err)) < 0 ||
	    (ret = read_endpoint(sl_yaml_get(node, "address"), config->session_manager.address,
				 sizeof(config->session_manager.address), err)) < 0 ||
	    (ret = read_max_report(sl_yaml_get(node, "max_report"), &config->session_manager.max_report,
				   err)) < 0 ||
	    (ret = sl_yaml_duration(sl_yaml_get(node, "report_interval"), 100, 3600 * 1000, &interval, err)) <
		    0)
		return ret;
	config->session_manager.configured = true;
	config->session_manager.report_interval_ms = (uint32_t)interval;
	return 0;
}

static int read_http(struct sl_yaml_node node, struct sl_config *config, struct sl_error *err)
{
	static const char *const keys[] = {"listen", NULL};
	int ret;

	if (!sl_yaml_present(node))
		return 0;
	if ((ret = sl_yaml_mapping(node, keys, err)) < 0 || (ret = sl_yaml_require(node, "listen", err)) < 0)
		return ret;
	return read_endpoint(sl_yaml_get(node, "listen"), config->http.listen, sizeof(config->http.listen),
			     err);
}

static int read_report(struct sl_yaml_node node, struct sl_config *config, struct sl_error *err)
{
	static const char *const keys[] = {"deny_as_default_drop", NULL};
	static const char *const choices[] = {"false", "true", NULL};
	unsigned int deny = config->deny_as_default_drop;
	int ret;

	if ((ret = sl_yaml_mapping(node, keys, err)) < 0 ||
	    (ret = sl_yaml_choice(sl_yaml_get(node, "deny_as_default_drop"), choices, &deny, err)) < 0)
		return ret;
	config->deny_as_default_drop = deny != 0;
	return 0;
}

static int read_audit(struct sl_yaml_node node, struct sl_config *config, struct sl_error *err)
{
	static const char *const keys[] = {"interval", NULL};
	uint64_t interval = config->audit_interval_ms;
	int ret;

	if ((ret = sl_yaml_mapping(node, keys, err)) < 0 ||
	    (ret = sl_yaml_duration(sl_yaml_get(node, "interval"), 1000, 3600 * 1000, &interval, err)) < 0)
		return ret;
	config->audit_interval_ms = (uint32_t)interval;
	return 0;
}

/* Numbers of classes: what HTB's handles leave. A tree is an inner class and seven leaves. */
#define CLASSES_MAX  32504u
#define TREE_CLASSES 8u

static int read_qos(struct sl_yaml_node node, struct sl_config *config, struct sl_error *err)
{
	static const char *const keys[] = {"backend",	"pool",		"trees",   "leaf",
					   "link_rate", "default_rate", "reserve", NULL};
	static const char *const leaves[] = {"auto", "fifo", "fq_codel", NULL};
	static const char *const backends[] = {"auto", "shape", "police", NULL};
	unsigned int backend = config->qos.backend, leaf = config->qos.leaf;
	int ret;

	if ((ret = sl_yaml_mapping(node, keys, err)) < 0 ||
	    (ret = sl_yaml_choice(sl_yaml_get(node, "backend"), backends, &backend, err)) < 0)
		return ret;
	/* a queue at the link's rate would drop without asking what is guaranteed */
	if (backend == SL_CONFIG_BACKEND_POLICE)
		config->qos.pool = config->qos.trees = 0;
	if ((ret = sl_yaml_uint32(sl_yaml_get(node, "trees"), 0, CLASSES_MAX / TREE_CLASSES,
				  &config->qos.trees, err)) < 0 ||
	    (ret = sl_yaml_uint32(sl_yaml_get(node, "pool"), 0,
				  CLASSES_MAX - config->qos.trees * TREE_CLASSES, &config->qos.pool, err)) <
		    0 ||
	    (ret = sl_yaml_choice(sl_yaml_get(node, "leaf"), leaves, &leaf, err)) < 0 ||
	    (ret = sl_yaml_rate(sl_yaml_get(node, "link_rate"), 1000000, 1000000000000,
				&config->qos.link_rate, err)) < 0)
		return ret;
	config->qos.backend = (enum sl_config_backend)backend;
	config->qos.leaf = (enum sl_config_leaf)leaf;
	config->qos.default_rate = config->qos.link_rate;
	config->qos.has_link_rate = sl_yaml_present(sl_yaml_get(node, "link_rate"));
	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++)
		config->qos.reserve[direction] = config->qos.link_rate;
	ret = sl_config_read_rates(sl_yaml_get(node, "reserve"), 8000, config->qos.link_rate,
				   config->qos.reserve, err);
	if (ret < 0)
		return ret;
	ret = sl_yaml_rate(sl_yaml_get(node, "default_rate"), 8000, config->qos.link_rate,
			   &config->qos.default_rate, err);
	if (ret == 0 && !config->qos.pool && !config->qos.trees &&
	    config->qos.default_rate < config->qos.link_rate)
		return sl_yaml_error(
			sl_yaml_get(node, "default_rate"), err,
			"a rate below link_rate is kept by queues alone; allowed: with a pool or trees");
	return ret;
}

static int read_limits(struct sl_yaml_node node, struct sl_config *config, struct sl_error *err)
{
	const struct {
		const char *key;
		uint32_t *value;
		uint32_t min, max;
	} limits[] = {
		{"sessions", &config->limits.sessions, 16, 1 << 20},
		{"usage", &config->limits.usage, 64, 1 << 24},
		{"rules", &config->limits.rules, 16, 1 << 20},
		{"flows", &config->limits.flows, 16, 1 << 22},
		{"matches", &config->limits.matches, 64, 1 << 20},
		{"bindings", &config->limits.bindings, 64, 1 << 24},
		{"meters", &config->limits.meters, 64, 1 << 22},
		{"quotas", &config->limits.quotas, 16, 1 << 22},
		{"ids_blocks", &config->limits.ids_blocks, 64, 1 << 20},
		{"ids_buckets", &config->limits.ids_buckets, 1024, 1 << 22},
		{"ids_windows", &config->limits.ids_windows, 64, 1 << 20},
		{"ids_logs", &config->limits.ids_logs, 64, 1 << 18},
		{"ids_sets", &config->limits.ids_sets, 64, 1 << 20},
		{"ids_connections", &config->limits.ids_connections, 64, 1 << 22},
	};
	const char *keys[SL_ARRAY_SIZE(limits) + 1] = {NULL};
	size_t i;
	int ret;

	for (i = 0; i < SL_ARRAY_SIZE(limits); i++)
		keys[i] = limits[i].key;
	ret = sl_yaml_mapping(node, keys, err);
	for (i = 0; ret == 0 && i < SL_ARRAY_SIZE(limits); i++)
		ret = sl_yaml_uint32(sl_yaml_get(node, limits[i].key), limits[i].min, limits[i].max,
				     limits[i].value, err);
	if (ret < 0)
		return ret;
	/* the default drop of a session has a slot of its own, beside its rules' */
	if (config->limits.usage / 2 < config->limits.sessions) {
		const char *key = sl_yaml_present(sl_yaml_get(node, "usage")) ? "usage" : "sessions";

		return sl_yaml_error(sl_yaml_get(node, key), err,
				     "%u usage slots for %u sessions; allowed: at least 2 for each",
				     config->limits.usage, config->limits.sessions);
	}
	return 0;
}

static int read_choices(struct sl_yaml_node root, struct sl_config *config, struct sl_error *err)
{
	/* in the order of their enumerations */
	static const char *const startups[] = {"wait-for-setup", "serve", NULL};
	static const char *const unknowns[] = {"drop", "pass", NULL};
	static const char *const modes[] = {"auto", "tc", "xdp", NULL};
	static const char *const levels[] = {"error", "warning", "info", "debug", NULL};
	static const char *const datapath_keys[] = {"mode", NULL};
	static const char *const log_keys[] = {"level", NULL};
	struct sl_yaml_node datapath = sl_yaml_get(root, "datapath");
	struct sl_yaml_node log = sl_yaml_get(root, "log");
	unsigned int startup = config->startup, unknown = config->unknown_subscriber;
	unsigned int mode = config->mode, level = config->log_level;
	int ret;

	if ((ret = sl_yaml_mapping(datapath, datapath_keys, err)) < 0 ||
	    (ret = sl_yaml_mapping(log, log_keys, err)) < 0 ||
	    (ret = sl_yaml_choice(sl_yaml_get(root, "startup"), startups, &startup, err)) < 0 ||
	    (ret = sl_yaml_choice(sl_yaml_get(root, "unknown_subscriber"), unknowns, &unknown, err)) < 0 ||
	    (ret = sl_yaml_choice(sl_yaml_get(datapath, "mode"), modes, &mode, err)) < 0 ||
	    (ret = sl_yaml_choice(sl_yaml_get(log, "level"), levels, &level, err)) < 0)
		return ret;
	config->startup = (enum sl_config_startup)startup;
	config->unknown_subscriber = (enum sl_config_unknown)unknown;
	config->mode = (enum sl_config_mode)mode;
	config->log_level = (enum sl_log_level)level;
	return 0;
}

int sl_config_load(const char *path, struct sl_config *out, struct sl_error *err)
{
	static const char *const keys[] = {"access",
					   "core",
					   "api",
					   "session_manager",
					   "http",
					   "pin_path",
					   "startup",
					   "datapath",
					   "unknown_subscriber",
					   "redirect",
					   "policy",
					   "desired",
					   "ids",
					   "qos",
					   "apns",
					   "limits",
					   "report",
					   "audit",
					   "log",
					   NULL};
	_cleanup_(yaml_freep) struct sl_yaml *yaml = NULL;
	struct sl_config config = defaults;
	struct sl_yaml_node root;
	int ret;

	ret = sl_yaml_load(path, &yaml, err);
	if (ret < 0)
		return ret;
	snprintf(config.path, sizeof(config.path), "%s", path);
	root = sl_yaml_root(yaml);
	if ((ret = sl_yaml_mapping(root, keys, err)) < 0 ||
	    (ret = read_interfaces(root, "access", &config, &config.access, err)) < 0 ||
	    (ret = read_interfaces(root, "core", &config, &config.core, err)) < 0 ||
	    (ret = read_api(sl_yaml_get(root, "api"), &config, err)) < 0 ||
	    (ret = read_session_manager(sl_yaml_get(root, "session_manager"), &config, err)) < 0 ||
	    (ret = read_report(sl_yaml_get(root, "report"), &config, err)) < 0 ||
	    (ret = read_audit(sl_yaml_get(root, "audit"), &config, err)) < 0 ||
	    (ret = read_http(sl_yaml_get(root, "http"), &config, err)) < 0 ||
	    (ret = read_pin_path(sl_yaml_get(root, "pin_path"), config.pin_path, sizeof(config.pin_path),
				 err)) < 0 ||
	    (ret = read_choices(root, &config, err)) < 0 ||
	    (ret = sl_config_read_redirect(sl_yaml_get(root, "redirect"), &config, err)) < 0 ||
	    (ret = sl_config_read_policy(root, &config, err)) < 0 ||
	    (ret = sl_config_read_ids(sl_yaml_get(root, "ids"), &config, err)) < 0 ||
	    (ret = read_qos(sl_yaml_get(root, "qos"), &config, err)) < 0 ||
	    (ret = sl_config_read_apns(sl_yaml_get(root, "apns"), &config, err)) < 0 ||
	    (ret = read_limits(sl_yaml_get(root, "limits"), &config, err)) < 0)
		return ret;
	*out = config;
	return 0;
}

/* --- the kernel's interfaces ----------------------------------------------------- */

static int missing_interface(const struct sl_config *config, const char *role, unsigned int i,
			     const struct sl_config_interface *interface, struct sl_error *err)
{
	struct if_nameindex *all = if_nameindex(), *at;
	char names[256] = "";
	size_t used = 0;

	for (at = all; at && at->if_index; at++) {
		if (used + strlen(at->if_name) + 3 > sizeof(names) - 4) {
			snprintf(names + used, sizeof(names) - used, " ...");
			break;
		}
		used += (size_t)snprintf(names + used, sizeof(names) - used, "%s%s", used ? ", " : "",
					 at->if_name);
	}
	if (all)
		if_freenameindex(all);
	return sl_error(err, ENODEV,
			"%s:%u: %s[%u].interface: there is no interface \"%s\" here; allowed: %s",
			config->path, interface->line, role, i, interface->name, names);
}

int sl_config_check_interfaces(const struct sl_config *config, struct sl_error *err)
{
	unsigned int i;

	for (i = 0; i < config->access.count; i++) {
		if (!if_nametoindex(config->access.list[i].name))
			return missing_interface(config, "access", i, &config->access.list[i], err);
	}
	for (i = 0; i < config->core.count; i++) {
		if (!if_nametoindex(config->core.list[i].name))
			return missing_interface(config, "core", i, &config->core.list[i], err);
	}
	return 0;
}
