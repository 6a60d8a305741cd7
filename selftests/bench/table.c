// SPDX-License-Identifier: Apache-2.0
#include "table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "rig.h"

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double bench_median(double *values, size_t count)
{
	qsort(values, count, sizeof(*values), compare);
	return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

FILE *bench_rows_open(const char *path)
{
	FILE *rows = fopen(path, "we");

	if (!rows)
		bench_die("cannot write %s: %s", path, strerror(errno));
	return rows;
}

void bench_row(FILE *rows, const char *bench, const char *mode, double value, const char *unit,
	       const char *baseline, double baseline_value, double ratio)
{
	double load = 0;

	getloadavg(&load, 1);
	fprintf(rows,
		"{\"bench\":\"%s\",\"mode\":\"%s\",\"value\":%.4g,\"unit\":\"%s\",\"baseline\":\"%s\","
		"\"baseline_value\":%.4g,\"ratio\":%.3g,\"load\":%.2f}\n",
		bench, mode, value, unit, baseline, baseline_value, ratio, load);
}
