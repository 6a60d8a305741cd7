/* SPDX-License-Identifier: Apache-2.0 */
/* The rig as a cmocka group has it: one for all tests of a program. */
#ifndef BPFRUN_FIXTURE_H
#define BPFRUN_FIXTURE_H

#include "bpfrun.h"

extern struct bpfrun *run;

/* Group setup and teardown. */
int open_rig(void **state);
int close_rig(void **state);

#endif
