/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* What the programs and the bench have in common. */
#ifndef SLUICE_BENCH_CLASSIFY_H
#define SLUICE_BENCH_CLASSIFY_H

#define CLASSIFY_PACKETS 1024

#endif
