/* SPDX-License-Identifier: Apache-2.0 */
/* UTF-8 as RFC 3629: no overlong forms, no surrogates, nothing above U+10FFFF. */
#ifndef SL_UTF8_H
#define SL_UTF8_H

#include <stddef.h>

/* Bytes of the character at the start of text, 1 to 4; 0 where there is none within length. */
size_t sl_utf8_size(const char *text, size_t length);

#endif
