/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * Stages between a session's rules and everything that follows from them: actions,
 * rates, quotas, counting. Each is asked about the packets that are still to pass, of
 * known sessions only. What one drops is nobody's usage; it is in `drops`, by reason.
 *
 * A stage NAME is a header NAME_stage.h with
 *
 *   static __always_inline enum sluice_drop_reason NAME_stage(
 *           struct __sk_buff *skb, const struct sluice_packet *packet,
 *           enum sluice_direction direction, const struct sluice_decision *decision);
 *
 * and a line in this table. While there is nothing for it to do it costs no more than
 * a look into an array; what it does otherwise is in a global function, for the
 * verifier's sake.
 */
#ifndef SLUICE_BPF_STAGES_H
#define SLUICE_BPF_STAGES_H

#include "ids_stage.h"

/* X(name), in the order in which they are asked */
#define SLUICE_STAGES(X) X(ids)

#endif
