// SPDX-License-Identifier: Apache-2.0
#include "config/ids.h"

#include <arpa/inet.h>
#include <string.h>

#include "base/units.h"

#define MIB (1ull << 20)

static int read_size(struct sl_yaml_node node, uint64_t min, uint64_t max, uint64_t *out,
		     struct sl_error *err)
{
	uint64_t value;
	char text[32];
	int ret;

	ret = sl_yaml_text(node, text, sizeof(text), err);
	if (ret < 0 || !sl_yaml_present(node))
		return ret;
	if (sl_parse_size(text, &value) < 0)
		return sl_yaml_error(node, err, "bad value \"%s\"; allowed: %s", text, SL_SIZE_SYNTAX);
	if (value < min || value > max)
		return sl_yaml_error(node, err, "bad value \"%s\"; allowed: %lluKiB to %lluMiB", text,
				     (unsigned long long)(min / 1024), (unsigned long long)(max / MIB));
	*out = value;
	return 0;
}

static int read_path(struct sl_yaml_node parent, const char *key, const char *what, char *out, size_t size,
		     struct sl_error *err)
{
	struct sl_yaml_node node = sl_yaml_get(parent, key);
	int ret;

	if (!sl_yaml_present(parent))
		return 0;
	if ((ret = sl_yaml_require(parent, key, err)) < 0 || (ret = sl_yaml_text(node, out, size, err)) < 0)
		return ret;
	if (out[0] != '/' || out[strlen(out) - 1] == '/')
		return sl_yaml_error(node, err, "bad value \"%s\"; allowed: an absolute path of a %s", out,
				     what);
	return 0;
}

static int read_eve(struct sl_yaml_node node, struct sl_config *config, struct sl_error *err)
{
	static const char *const keys[] = {"file", "max_size", "keep", NULL};
	int ret;

	if ((ret = sl_yaml_mapping(node, keys, err)) < 0 ||
	    (ret = read_path(node, "file", "file", config->ids.eve_file, sizeof(config->ids.eve_file), err)) <
		    0 ||
	    (ret = read_size(sl_yaml_get(node, "max_size"), 64 << 10, 4096 * MIB, &config->ids.eve_max_size,
			     err)) < 0)
		return ret;
	return sl_yaml_uint32(sl_yaml_get(node, "keep"), 0, 99, &config->ids.eve_keep, err);
}

static int read_evidence(struct sl_yaml_node node, struct sl_config *config, struct sl_error *err)
{
	static const char *const keys[] = {"directory", "max_size", NULL};
	int ret;

	if ((ret = sl_yaml_mapping(node, keys, err)) < 0 ||
	    (ret = read_path(node, "directory", "directory", config->ids.evidence_directory,
			     sizeof(config->ids.evidence_directory), err)) < 0)
		return ret;
	return read_size(sl_yaml_get(node, "max_size"), MIB, 1048576 * MIB, &config->ids.evidence_max_size,
			 err);
}

/* "192.0.2.1:514", "[2001:db8::1]:514" */
static bool is_udp(const char *text)
{
	const char *colon = strrchr(text, ':');
	size_t length = colon ? (size_t)(colon - text) : 0;
	unsigned char address[16];
	char host[64];
	uint64_t port;

	if (length == 0 || length >= sizeof(host) || sl_parse_uint(colon + 1, &port) < 0 || port < 1 ||
	    port > 65535)
		return false;
	memcpy(host, text, length);
	host[length] = '\0';
	if (host[0] != '[')
		return inet_pton(AF_INET, host, address) == 1;
	if (host[length - 1] != ']')
		return false;
	host[length - 1] = '\0';
	return inet_pton(AF_INET6, host + 1, address) == 1;
}

static int read_syslog(struct sl_yaml_node node, struct sl_config *config, struct sl_error *err)
{
	char *text = config->ids.syslog;
	bool good;
	int ret;

	ret = sl_yaml_text(node, text, sizeof(config->ids.syslog), err);
	if (ret < 0 || !sl_yaml_present(node))
		return ret;
	if (strncmp(text, "unix:", 5) == 0)
		good = text[5] == '/';
	else
		good = strncmp(text, "udp:", 4) == 0 && is_udp(text + 4);
	if (!good)
		return sl_yaml_error(node, err,
				     "bad value \"%s\"; allowed: unix:/PATH, udp:ADDRESS:PORT or "
				     "udp:[ADDRESS]:PORT, numeric",
				     text);
	return 0;
}

static int read_syslog_format(struct sl_yaml_node node, struct sl_config *config, struct sl_error *err)
{
	static const char *const formats[] = {"rfc5424", "cef", NULL};
	unsigned int choice = 0;
	int ret = sl_yaml_choice(node, formats, &choice, err);

	if (ret == 0 && sl_yaml_present(node) && !config->ids.syslog[0])
		return sl_yaml_error(node, err, "there is no syslog; allowed: with syslog");
	config->ids.syslog_cef = choice == 1;
	return ret;
}

int sl_config_read_ids(struct sl_yaml_node node, struct sl_config *config, struct sl_error *err)
{
	static const char *const keys[] = {"alerts_per_second", "eve",	    "syslog",
					   "syslog_format",	"evidence", NULL};
	int ret;

	if ((ret = sl_yaml_mapping(node, keys, err)) < 0 ||
	    (ret = sl_yaml_uint32(sl_yaml_get(node, "alerts_per_second"), 2, 100000,
				  &config->ids.alerts_per_second, err)) < 0 ||
	    (ret = read_eve(sl_yaml_get(node, "eve"), config, err)) < 0 ||
	    (ret = read_syslog(sl_yaml_get(node, "syslog"), config, err)) < 0 ||
	    (ret = read_syslog_format(sl_yaml_get(node, "syslog_format"), config, err)) < 0)
		return ret;
	return read_evidence(sl_yaml_get(node, "evidence"), config, err);
}
