/* SPDX-License-Identifier: Apache-2.0 */
/* The policy directory and the desired state: wired to control, to the log and to who watches. */
#ifndef SL_RUN_POLICY_H
#define SL_RUN_POLICY_H

#include "run/agent.h"

/* After control; before the services. Static rules that were adopted follow the directory from here on. */
int sl_policy_start(struct sl_agent *agent, struct sl_error *err);
void sl_policy_stop(struct sl_agent *agent);

/* For sl_control_config. */
bool sl_policy_is_desired(const char *imsi, const struct sl_address *address,
			  const struct sl_install *install, void *user);

const struct sl_profile *sl_policy_profile(const char *name, void *user);

/* For --check: a running agent goes on with the rules before, but who asks wants to know. -EINVAL and
 * FILE:LINE. */
int sl_policy_check(const struct sl_config *config, struct sl_error *err);

struct sl_metrics;
void sl_policy_metrics(struct sl_metrics *out, const struct sl_agent *agent);

/* SIGHUP */
void sl_policy_reload(struct sl_agent *agent);

#endif
