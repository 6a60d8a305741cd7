// SPDX-License-Identifier: Apache-2.0
#include "api/setup.h"

#include <errno.h>
#include <stdlib.h>

#include "api/reports.h"
#include "base/log.h"
#include "desired/desired.h"

void sl_setup_clear(struct sl_setup *setup)
{
	for (size_t i = 0; i < setup->activation_count; i++)
		sl_activation_clear(&setup->activations[i]);
	free(setup->activations);
	free(setup->request_of);
	free(setup->sessions);
	*setup = (struct sl_setup){0};
}

static int check_rules(size_t rules, struct sl_error *err)
{
	if (rules > SL_SETUP_RULES)
		return sl_error(err, E2BIG, "requests: more than %u rules in one setup", SL_SETUP_RULES);
	return 0;
}

static int check_count(const struct sl_setup *setup, size_t count, struct sl_error *err)
{
	size_t rules = 0;

	for (size_t i = 0; i < count; i++)
		rules += setup->requests[i]->n_policies + setup->requests[i]->n_dynamic_rules +
			 setup->requests[i]->n_rule_ids;
	return check_rules(rules, err);
}

static int read_request(const Magma__Lte__ActivateFlowsRequest *wire, const struct sl_catalog *catalog,
			struct sl_activation *out, struct sl_error *err)
{
	int rc = sl_activation_read(wire, out, err);

	if (rc < 0)
		return rc;
	rc = sl_activation_complete(wire, catalog, out, err);
	if (rc < 0)
		sl_activation_clear(out);
	return rc;
}

int sl_setup_read(Magma__Lte__ActivateFlowsRequest *const *requests, size_t count,
		  const struct sl_catalog *catalog, bool whole, struct sl_setup *out, struct sl_error *err)
{
	struct sl_error first = {{0}};
	size_t rules = 0;
	int rc;

	*out = (struct sl_setup){.requests = requests};
	rc = check_count(out, count, err);
	if (rc < 0)
		return rc;
	out->activations = calloc(count + 1, sizeof(*out->activations));
	out->request_of = calloc(count + 1, sizeof(*out->request_of));
	out->sessions = calloc(2 * count + 1, sizeof(*out->sessions));
	if (!out->activations || !out->request_of || !out->sessions)
		return sl_error(err, ENOMEM, "out of memory");
	for (size_t i = 0; i < count; i++) {
		struct sl_activation *activation = &out->activations[out->activation_count];

		rc = read_request(requests[i], catalog, activation, err);
		if (rc == -ENOMEM)
			return rc;
		if (rc < 0 && whole)
			return sl_error_prefix(err, rc, "requests[%zu]", i);
		if (rc < 0) {
			if (out->unreadable++ == 0)
				sl_error(&first, EINVAL, "requests[%zu]: %s", i, err->text);
			continue;
		}
		out->request_of[out->activation_count++] = i;
		rules += activation->storage_count;
		rc = check_rules(rules, err);
		if (rc < 0)
			return rc;
		for (size_t k = 0; k < activation->session_count; k++)
			out->sessions[out->session_count++] = activation->session[k];
	}
	/* one line, however many there are */
	if (out->unreadable)
		sl_log(SL_LOG_ERROR, "setup-request-refused", "requests", "%zu", out->unreadable, "first",
		       "%s", first.text, NULL);
	return 0;
}

int sl_setup_apply(struct sl_service *service, struct sl_setup *setup, uint32_t *refused,
		   struct sl_error *err)
{
	int rc = sl_control_setup(service->control, setup->sessions, setup->session_count, refused, err);

	if (rc < 0)
		return rc;
	service->setup_done = true;
	sl_desired_setup_done(service->desired, setup->sessions, setup->session_count);
	for (size_t i = 0; i < setup->activation_count; i++)
		for (size_t k = 0; k < setup->activations[i].session_count; k++)
			sl_desired_named(service->desired, &setup->activations[i].session[k],
					 sl_activation_origin(setup->requests[setup->request_of[i]]),
					 setup->requests[setup->request_of[i]]->rule_ids,
					 setup->requests[setup->request_of[i]]->n_rule_ids);
	if (service->reports)
		sl_reports_now(service->reports);
	return 0;
}
