// SPDX-License-Identifier: Apache-2.0
#include "run/modules.h"

#include "base/cleanup.h"
#include "run/ids.h"

/* One line a module; they start in this order. */
static const struct sl_module *const modules[] = {
	&sl_module_ids,
};

int sl_modules_start(struct sl_agent *agent, struct sl_error *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < SL_ARRAY_SIZE(modules); i++)
		if (modules[i]->start)
			rc = modules[i]->start(agent, err);
	return rc;
}

int sl_modules_serve(struct sl_agent *agent, struct sl_error *err)
{
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < SL_ARRAY_SIZE(modules); i++)
		if (modules[i]->serve)
			rc = modules[i]->serve(agent, err);
	return rc;
}

void sl_modules_stop(struct sl_agent *agent)
{
	for (size_t i = SL_ARRAY_SIZE(modules); i-- > 0;)
		if (modules[i]->stop)
			modules[i]->stop(agent);
}

void sl_modules_read(struct sl_agent *agent, const struct sl_catalog *catalog)
{
	for (size_t i = 0; i < SL_ARRAY_SIZE(modules); i++)
		if (modules[i]->read)
			modules[i]->read(agent, catalog);
}

bool sl_modules_own(const struct sl_agent *agent, const char *imsi, const struct sl_install *install)
{
	for (size_t i = 0; i < SL_ARRAY_SIZE(modules); i++)
		if (modules[i]->owns && modules[i]->owns(agent, imsi, install))
			return true;
	return false;
}

void sl_modules_metrics(struct sl_metrics *out, const struct sl_agent *agent)
{
	for (size_t i = 0; i < SL_ARRAY_SIZE(modules); i++)
		if (modules[i]->metrics)
			modules[i]->metrics(out, agent);
}

void sl_modules_reopen(struct sl_agent *agent)
{
	for (size_t i = 0; i < SL_ARRAY_SIZE(modules); i++)
		if (modules[i]->reopen)
			modules[i]->reopen(agent);
}

const struct sl_catalog_part *const *sl_modules_sections(void)
{
	static const struct sl_catalog_part *sections[SL_CATALOG_PARTS + 1];
	size_t count = 0;

	_Static_assert(SL_ARRAY_SIZE(modules) <= SL_CATALOG_PARTS, "sections of the policy directory");
	for (size_t i = 0; i < SL_ARRAY_SIZE(modules); i++)
		if (modules[i]->section)
			sections[count++] = modules[i]->section;
	return sections;
}
