/* SPDX-License-Identifier: Apache-2.0 */
/* The sessions of a run: their rules in force and their usage slots. */
#ifndef SL_TEST_CASE_SESSION_H
#define SL_TEST_CASE_SESSION_H

#include "case_run.h"

/* The active one with this address; NULL: none. */
struct case_session *case_session_find(struct case_run *run, const struct sl_address *ue);

/* The same, or a new one; -EINVAL if the address is another subscriber's, -ENOSPC. */
int case_session_get(struct case_run *run, const char *imsi, const struct sl_address *ue,
		     struct case_session **out, struct sl_error *err);

/* A usage slot that counts from zero; -ENOSPC. */
int case_session_record(struct case_run *run, uint32_t session, const char *rule, uint32_t version,
			uint32_t *slot, struct sl_error *err);

/* The rule in force under this name; NULL: none. */
struct sl_install *case_session_install(struct case_session *session, const char *id,
					enum sluice_origin origin);

/* Its usage stays until it is acknowledged. Packets see it after case_session_publish. */
void case_session_remove(struct case_run *run, struct case_session *session, size_t index);

/* What the rules come to is what the engine's packets see from now on. */
int case_session_publish(struct case_run *run, struct case_session *session, struct sl_error *err);
int case_session_end(struct case_run *run, struct case_session *session, struct sl_error *err);

#endif
