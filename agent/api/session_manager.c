// SPDX-License-Identifier: Apache-2.0
#include "api/session_manager.h"

#include <errno.h>
#include <stdlib.h>

#include "api/convert.h"
#include "base/cleanup.h"

/* As pipelined waits; a slower answer counts as a failure and the next report says it all again. */
#define REPORT_TIMEOUT_MS 10000

struct sl_session_manager {
	struct sl_grpc_client *client;
	uint64_t epoch;
	void (*done)(const char *reason, void *user);
	void *user;
};

int sl_session_manager_new(struct event_base *base, const char *address, uint64_t epoch,
			   void (*done)(const char *reason, void *user), void *user,
			   struct sl_session_manager **out, struct sl_error *err)
{
	struct sl_session_manager *manager = calloc(1, sizeof(*manager));
	int rc;

	if (!manager)
		return sl_error(err, ENOMEM, "out of memory");
	manager->epoch = epoch;
	manager->done = done;
	manager->user = user;
	rc = sl_grpc_client_new(base, address, &manager->client, err);
	if (rc < 0) {
		free(manager);
		return rc;
	}
	*out = manager;
	return 0;
}

void sl_session_manager_free(struct sl_session_manager *manager)
{
	if (!manager)
		return;
	sl_grpc_client_free(manager->client);
	free(manager);
}

static void on_done(enum sl_grpc_status status, const char *text, const uint8_t *message, size_t length,
		    void *user)
{
	struct sl_session_manager *manager = user;
	struct sl_error reason;

	(void)message;
	(void)length;
	if (status == SL_GRPC_OK) {
		manager->done(NULL, manager->user);
		return;
	}
	sl_error(&reason, EIO, "gRPC status %d: %s", (int)status, text ? text : "");
	manager->done(reason.text, manager->user);
}

int sl_session_manager_report(struct sl_session_manager *manager, const struct sl_usage_record *records,
			      size_t count)
{
	_cleanup_free_ uint8_t *bytes = NULL;
	struct sl_record_table table;
	size_t length;
	int rc;

	rc = sl_record_table_fill(&table, records, count, manager->epoch);
	if (rc < 0)
		return rc;
	length = magma__lte__rule_record_table__get_packed_size(&table.table);
	bytes = malloc(length + 1);
	if (bytes)
		magma__lte__rule_record_table__pack(&table.table, bytes);
	sl_record_table_clear(&table);
	if (!bytes)
		return -ENOMEM;
	return sl_grpc_client_call(manager->client, "/magma.lte.LocalSessionManager/ReportRuleStats", bytes,
				   length, REPORT_TIMEOUT_MS, NULL, on_done, manager);
}
