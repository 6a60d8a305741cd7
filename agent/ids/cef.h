/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An alert as a line of ArcSight's Common Event Format, version 0, for receivers that read no structured
 * data. Keys are those of its dictionary; what it has none for is in custom ones with their labels. Pure.
 */
#ifndef SL_IDS_CEF_H
#define SL_IDS_CEF_H

#include <stddef.h>

#include "ids/alert.h"

/*
 * "CEF:0|sluice|sluiced|..", without a newline, at most size - 1 bytes of printable ASCII; others become "?".
 * A value that does not fit is left out whole. Its length without NUL; size must be at least 256.
 */
size_t sl_ids_cef_format(const struct sl_ids_alert *alert, char *out, size_t size);

#endif
