/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of build/bench.json: a bench adds its own to a file of one object per line. */
#ifndef SLUICE_BENCH_TABLE_H
#define SLUICE_BENCH_TABLE_H

#include <stddef.h>
#include <stdio.h>

double bench_median(double *values, size_t count); /* sorts them */

/* Opens the file that rows are appended to, emptied; dies on failure. */
FILE *bench_rows_open(const char *path);

/*
 * {"bench": ..., "mode": ..., "value": ..., "unit": ..., "baseline": ..., "baseline_value": ..., "ratio":
 * ..., "load": the load average}
 */
void bench_row(FILE *rows, const char *bench, const char *mode, double value, const char *unit,
	       const char *baseline, double baseline_value, double ratio);

#endif
