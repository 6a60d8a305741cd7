/* SPDX-License-Identifier: Apache-2.0 */
/* From a large world and packet that show a difference to a small one that people can read. */
#ifndef REFERENCE_COUNTEREXAMPLE_H
#define REFERENCE_COUNTEREXAMPLE_H

#include <stdio.h>

#include "sample.h"

struct counterexample {
	struct model_world world;
	struct sample sample;
};

/* True: the two sides still differ on it. */
typedef bool (*counterexample_differs)(const struct counterexample *example);

/* Leaves out and simplifies what can be, as long as it differs. */
void counterexample_shrink(struct counterexample *example, counterexample_differs differs);

/* As a file of selftests/cases that says what the model expects; what that format has no word for is a
 * comment. */
void counterexample_print(const struct counterexample *example, FILE *out);

#endif
