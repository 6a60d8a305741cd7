/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Modules: parts of the agent beside sessions and their rules, each with a stage
 * of the packet's way (bpf/stages.h), a folder in agent/ and a section of the policy
 * directory, if it wants them. Nothing else of run/ knows one by name: a module is its file
 * here, and one line in the table.
 */
#ifndef SL_RUN_MODULES_H
#define SL_RUN_MODULES_H

#include "catalog/part.h"
#include "run/agent.h"

struct sl_catalog;
struct sl_metrics;

/* What a module has no part in is NULL. */
struct sl_module {
	const char *name;
	/* After control; before the policy directory is read and hooks are attached. Takes over what is in
	 * the maps. */
	int (*start)(struct sl_agent *agent, struct sl_error *err);
	/* When all parts have started: its events of the loop. */
	int (*serve)(struct sl_agent *agent, struct sl_error *err);
	/* Before control ends; what did not start is NULL. What is in force stays. */
	void (*stop)(struct sl_agent *agent);

	/* Its section of the policy directory, and what is done when one was read. NULL: there is no
	 * directory. */
	const struct sl_catalog_part *section;
	void (*read)(struct sl_agent *agent, const struct sl_catalog *catalog);

	/* A rule of a session is the module's: as is_desired of struct sl_control_config. */
	bool (*owns)(const struct sl_agent *agent, const char *imsi, const struct sl_install *install);
	void (*metrics)(struct sl_metrics *out, const struct sl_agent *agent);
	void (*reopen)(struct sl_agent *agent); /* SIGHUP: files that it writes */
};

int sl_modules_start(struct sl_agent *agent, struct sl_error *err);
int sl_modules_serve(struct sl_agent *agent, struct sl_error *err);
void sl_modules_stop(struct sl_agent *agent); /* in the opposite order */
void sl_modules_read(struct sl_agent *agent, const struct sl_catalog *catalog);
bool sl_modules_own(const struct sl_agent *agent, const char *imsi, const struct sl_install *install);
void sl_modules_metrics(struct sl_metrics *out, const struct sl_agent *agent);
void sl_modules_reopen(struct sl_agent *agent);

/* The sections of all, NULL after the last. */
const struct sl_catalog_part *const *sl_modules_sections(void);

#endif
