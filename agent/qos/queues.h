/* SPDX-License-Identifier: Apache-2.0 */
/* The transmit queues of a device, as /sys shows them. */
#ifndef SL_QUEUES_H
#define SL_QUEUES_H

#include <stdint.h>

/*
 * Queues in use among which BPF may choose, at most SLUICE_EGRESS_QUEUES. 1: there
 * is one, or the choice would not hold because a queue has XPS, or /sys does not
 * know the device (it shows one network namespace, perhaps another one).
 */
uint32_t sl_queues_of(const char *name, unsigned int ifindex);

#endif
