/* SPDX-License-Identifier: Apache-2.0 */
/* IDS rules and blocks: sluice.v1.Admin's lists and verbs. */
#ifndef SL_API_ADMIN_IDS_H
#define SL_API_ADMIN_IDS_H

#include "api/service.h"
#include "sluice/v1/admin.pb-c.h"

/* Texts are good until rules are read again. */
void sl_view_ids(struct sl_service *service, Sluice__V1__IdsStatus *out);

void sl_admin_list_ids_rules(struct sl_call *call, const uint8_t *bytes, size_t length, void *user);
void sl_admin_list_ids_blocks(struct sl_call *call, const uint8_t *bytes, size_t length, void *user);
void sl_admin_explain_ids(struct sl_call *call, const uint8_t *bytes, size_t length, void *user);

/* admin_ids_verbs.c */
void sl_admin_ids_block(struct sl_call *call, const uint8_t *bytes, size_t length, void *user);
void sl_admin_ids_unblock(struct sl_call *call, const uint8_t *bytes, size_t length, void *user);

/* watch_alerts.c */
void sl_admin_watch_ids_alerts(struct sl_call *call, const uint8_t *bytes, size_t length, void *user);

#endif
