/* SPDX-License-Identifier: Apache-2.0 */
/* UE addresses and prefixes as text: strict forms only, no name look-ups. */
#ifndef SL_POLICY_ADDRESS_H
#define SL_POLICY_ADDRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct sl_address {
	uint32_t family;   /* 4 or 6; 0 = none */
	uint8_t bytes[16]; /* network order; IPv4 in the first four */
};

#define SL_ADDRESS_TEXT 46 /* INET6_ADDRSTRLEN */

/* "192.0.2.1" or "2001:db8::1"; anything else, an empty text included: -EINVAL naming field and value. */
int sl_address_parse(const char *field, const char *text, struct sl_address *out, struct sl_error *err);

/* "192.0.2.0/24", "2001:db8::/32" or a bare address (= /32, /128); host bits must be zero: -EINVAL. */
int sl_prefix_parse(const char *field, const char *text, struct sl_address *out, uint8_t *length,
		    struct sl_error *err);

/* No family: an empty text. */
void sl_address_format(const struct sl_address *address, char out[SL_ADDRESS_TEXT]);

/* Same endpoint: same IPv4 address, or same IPv6 /64. */
bool sl_address_same_endpoint(const struct sl_address *a, const struct sl_address *b);

/* What a policy carries of the address that leads to it (sluice/maps.h). */
uint32_t sl_address_tag(const struct sl_address *address);

/* "IMSI001010000000001" or the digits alone; 6..15 digits, kept as text. -EINVAL. out: digits, NUL. */
int sl_imsi_parse(const char *field, const char *text, char out[16], struct sl_error *err);

#endif
