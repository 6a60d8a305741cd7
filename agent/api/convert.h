/* SPDX-License-Identifier: Apache-2.0 */
/* The wire's messages -> requests of control/, and usage -> the wire's records. */
#ifndef SL_API_CONVERT_H
#define SL_API_CONVERT_H

#include "control/control.h"
#include "magma/lte/pipelined.pb-c.h"
#include "magma/lte/session_manager.pb-c.h"

/* Rules that a list of one request may have. More: the request is refused whole. */
#define SL_REQUEST_RULES (4 * SLUICE_RULES_PER_SESSION)

/*
 * One ActivateFlowsRequest becomes one request per address family it names
 * (none, one or two; IPv4 first). A rule that cannot be read stays in place
 * with the reason, so that the answer keeps the order of the request.
 */
struct sl_activation {
	struct sl_session_request session[2];
	size_t session_count;
	struct sl_rule_request *rules[2]; /* of the sessions; the second one NULL without two of them */
	struct sl_quota_request *quotas;  /* of both sessions; texts are the wire's */
	struct sl_rule *storage;	  /* what they point to */
	size_t storage_count;
	size_t named_count; /* the last ones: of rule_ids, whose results are apart */
};

/*
 * -EINVAL when subscriber, address, origin or AMBR are wrong, -E2BIG over
 * SL_REQUEST_RULES policies: nothing of the request can be done.
 */
int sl_activation_read(const Magma__Lte__ActivateFlowsRequest *wire, struct sl_activation *out,
		       struct sl_error *err);
void sl_activation_clear(struct sl_activation *activation);

/* A request for each address (at most two); rule ids point into the wire's message. */
struct sl_deactivations {
	struct sl_deactivation request[2];
	size_t count;
	const char **rule_ids;
};
/* As sl_activation_read. */
int sl_deactivation_read(const Magma__Lte__DeactivateFlowsRequest *wire, struct sl_deactivations *out,
			 struct sl_error *err);
void sl_deactivation_clear(struct sl_deactivations *deactivations);

/* A RuleRecordTable of usage, ready to pack; texts live as long as it does. */
struct sl_record_table {
	Magma__Lte__RuleRecordTable table;
	Magma__Lte__RuleRecord *records;
	Magma__Lte__RuleRecord **pointers;
	char (*texts)[SLUICE_IMSI_SIZE + 4 + SL_ADDRESS_TEXT]; /* "IMSI...", address */
};
/* Bytes that the record takes in a RuleRecordTable, at most. */
size_t sl_record_size(const struct sl_usage_record *record);
int sl_record_table_fill(struct sl_record_table *out, const struct sl_usage_record *records, size_t count,
			 uint64_t epoch);
void sl_record_table_clear(struct sl_record_table *table);

#endif
