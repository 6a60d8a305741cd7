// SPDX-License-Identifier: Apache-2.0
#include "base/utf8.h"

#include <stdint.h>

size_t sl_utf8_size(const char *text, size_t length)
{
	static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
	const unsigned char *byte = (const unsigned char *)text;
	uint32_t point;
	size_t size;

	if (length == 0)
		return 0;
	if (byte[0] < 0x80)
		return 1;
	if (byte[0] >> 5 == 6)
		size = 2;
	else if (byte[0] >> 4 == 14)
		size = 3;
	else if (byte[0] >> 3 == 30)
		size = 4;
	else
		return 0;
	if (size > length)
		return 0;
	point = byte[0] & (0x7fu >> size);
	for (size_t i = 1; i < size; i++) {
		if ((byte[i] & 0xc0) != 0x80)
			return 0;
		point = point << 6 | (byte[i] & 0x3fu);
	}
	if (point < least[size] || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff))
		return 0;
	return size;
}
