// SPDX-License-Identifier: Apache-2.0
#include "config/policy.h"

#include <string.h>

static int read_directory(struct sl_yaml_node node, char *out, size_t size, struct sl_error *err)
{
	int rc;

	rc = sl_yaml_text(node, out, size, err);
	if (rc < 0 || !sl_yaml_present(node))
		return rc;
	if (out[0] != '/' || out[1] == '\0' || out[strlen(out) - 1] == '/')
		return sl_yaml_error(node, err, "bad value \"%s\"; allowed: an absolute path of a directory",
				     out);
	return 0;
}

int sl_config_read_policy(struct sl_yaml_node root, struct sl_config *config, struct sl_error *err)
{
	static const char *const policy_keys[] = {"directory", NULL};
	static const char *const desired_keys[] = {"check_interval", NULL};
	struct sl_yaml_node policy = sl_yaml_get(root, "policy"), desired = sl_yaml_get(root, "desired");
	uint64_t interval = config->desired_check_interval_ms;
	int rc;

	rc = sl_yaml_mapping(policy, policy_keys, err);
	if (rc == 0)
		rc = read_directory(sl_yaml_get(policy, "directory"), config->policy_directory,
				    sizeof(config->policy_directory), err);
	if (rc == 0)
		rc = sl_yaml_mapping(desired, desired_keys, err);
	if (rc == 0)
		rc = sl_yaml_duration(sl_yaml_get(desired, "check_interval"), 1000, 3600 * 1000, &interval,
				      err);
	config->desired_check_interval_ms = (uint32_t)interval;
	return rc;
}
