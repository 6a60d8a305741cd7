// SPDX-License-Identifier: Apache-2.0
#include "bpfrun_fixture.h"

struct bpfrun *run;

int open_rig(void **state)
{
	(void)state;
	run = bpfrun_open();
	return 0;
}

int close_rig(void **state)
{
	(void)state;
	bpfrun_close(run);
	return 0;
}
