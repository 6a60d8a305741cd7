/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole state of what is activated, as it comes on the wire: from a session
 * manager (SetupPolicyFlows) and from an operator (ReplaceSessions).
 */
#ifndef SL_API_SETUP_H
#define SL_API_SETUP_H

#include "api/convert_old.h"
#include "api/service.h"

/* Rules of all sessions of a setup, base names as what they stand for. More: it is refused whole. */
#define SL_SETUP_RULES (1u << 17)

struct sl_setup {
	Magma__Lte__ActivateFlowsRequest *const *requests; /* the wire's; read by sl_setup_apply, too */
	struct sl_activation *activations;		   /* owned, and what they point to */
	size_t *request_of;				   /* owned: of each activation */
	size_t activation_count;
	struct sl_session_request *sessions; /* owned; one or two of each activation */
	size_t session_count;
	size_t unreadable; /* requests that were left out */
};

/*
 * Reads the requests. One that cannot be read is an error of all (`whole`), or is
 * left out with a line in the log: one subscriber's nonsense must not keep a
 * session manager's gateway from serving all others. -EINVAL, -E2BIG over
 * SL_SETUP_RULES, -ENOMEM. To be cleared whatever comes back.
 */
int sl_setup_read(Magma__Lte__ActivateFlowsRequest *const *requests, size_t count,
		  const struct sl_catalog *catalog, bool whole, struct sl_setup *out, struct sl_error *err);
void sl_setup_clear(struct sl_setup *setup);

/*
 * Brings it about; desired rules stay in force over it. As sl_control_setup, whose
 * results are in the rules of the activations. From then on sessions may be
 * activated.
 */
int sl_setup_apply(struct sl_service *service, struct sl_setup *setup, uint32_t *refused,
		   struct sl_error *err);

#endif
