// SPDX-License-Identifier: Apache-2.0
#include "policy/address.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

#include "sluice/maps.h"

#define IMSI_DIGITS_MIN 6
#define IMSI_DIGITS_MAX 15

static int parse_bytes(const char *text, struct sl_address *out)
{
	struct sl_address address = {.family = 4};

	if (inet_pton(AF_INET, text, address.bytes) != 1) {
		address.family = 6;
		if (inet_pton(AF_INET6, text, address.bytes) != 1)
			return -EINVAL;
	}
	*out = address;
	return 0;
}

int sl_address_parse(const char *field, const char *text, struct sl_address *out, struct sl_error *err)
{
	if (parse_bytes(text, out) < 0)
		return sl_error(err, EINVAL, "%s: '%s' is not an IPv4 or IPv6 address", field, text);
	return 0;
}

/* Decimal without sign, space or leading zero; -1 for anything else. */
static int parse_length(const char *text)
{
	int length = 0;
	size_t digits = strlen(text);

	if (digits == 0 || digits > 3 || (digits > 1 && text[0] == '0'))
		return -1;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -1;
		length = length * 10 + (*text - '0');
	}
	return length;
}

static void clear_host_bits(struct sl_address *address, int length)
{
	for (int i = 0; i < 16; i++) {
		int kept = length - i * 8;

		if (kept <= 0)
			address->bytes[i] = 0;
		else if (kept < 8)
			address->bytes[i] &= (uint8_t)(0xff << (8 - kept));
	}
}

int sl_prefix_parse(const char *field, const char *text, struct sl_address *out, uint8_t *length,
		    struct sl_error *err)
{
	const char *slash = strchr(text, '/');
	size_t used = slash ? (size_t)(slash - text) : strlen(text);
	char bare[SL_ADDRESS_TEXT], network_text[SL_ADDRESS_TEXT];
	struct sl_address address, network;
	int bits, most;

	if (used >= sizeof(bare))
		return sl_error(err, EINVAL, "%s: '%s' is not an IPv4 or IPv6 prefix", field, text);
	memcpy(bare, text, used);
	bare[used] = '\0';
	if (parse_bytes(bare, &address) < 0)
		return sl_error(err, EINVAL, "%s: '%s' is not an IPv4 or IPv6 prefix", field, text);
	most = address.family == 4 ? 32 : 128;
	bits = slash ? parse_length(slash + 1) : most;
	if (bits < 0 || bits > most)
		return sl_error(err, EINVAL, "%s: '%s' has a prefix length outside 0..%d", field, text, most);
	network = address;
	clear_host_bits(&network, bits);
	if (memcmp(&network, &address, sizeof(network)) != 0) {
		sl_address_format(&network, network_text);
		return sl_error(err, EINVAL, "%s: '%s' has host bits set; the network is %s/%d", field, text,
				network_text, bits);
	}
	*out = address;
	*length = (uint8_t)bits;
	return 0;
}

void sl_address_format(const struct sl_address *address, char out[SL_ADDRESS_TEXT])
{
	out[0] = '\0';
	if (address->family == 4)
		inet_ntop(AF_INET, address->bytes, out, SL_ADDRESS_TEXT);
	else if (address->family == 6)
		inet_ntop(AF_INET6, address->bytes, out, SL_ADDRESS_TEXT);
}

bool sl_address_same_endpoint(const struct sl_address *a, const struct sl_address *b)
{
	if (a->family != b->family)
		return false;
	switch (a->family) {
	case 4:
		return memcmp(a->bytes, b->bytes, 4) == 0;
	case 6:
		return memcmp(a->bytes, b->bytes, 8) == 0;
	default:
		return false;
	}
}

int sl_imsi_parse(const char *field, const char *text, char out[16], struct sl_error *err)
{
	const char *digits = strncmp(text, "IMSI", 4) == 0 ? text + 4 : text;
	size_t count = strspn(digits, "0123456789");

	if (digits[count] != '\0' || count < IMSI_DIGITS_MIN || count > IMSI_DIGITS_MAX)
		return sl_error(err, EINVAL, "%s: '%s' is not an IMSI (%d to %d digits)", field, text,
				IMSI_DIGITS_MIN, IMSI_DIGITS_MAX);
	memcpy(out, digits, count + 1);
	return 0;
}

uint32_t sl_address_tag(const struct sl_address *address)
{
	uint32_t word[2];

	memcpy(word, address->bytes, sizeof(word));
	return sluice_endpoint_tag(address->family, word[0], word[1]);
}
