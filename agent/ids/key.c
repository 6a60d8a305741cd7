// SPDX-License-Identifier: Apache-2.0
#include "ids/key.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/units.h"
#include "ids/names.h"
#include "policy/hash.h"

static const struct {
	const char *name;
	uint8_t number;
} protocols[] = {{"tcp", IPPROTO_TCP}, {"udp", IPPROTO_UDP}, {"sctp", IPPROTO_SCTP}, {"icmp", IPPROTO_ICMP}};

/* --- to text ----------------------------------------------------------------------- */

static void put_address(const uint8_t bytes[16], uint8_t family, char out[SL_ADDRESS_TEXT])
{
	if (!inet_ntop(family == 4 ? AF_INET : AF_INET6, bytes, out, SL_ADDRESS_TEXT))
		out[0] = '\0';
}

static void put_side(const uint8_t bytes[16], uint8_t family, uint16_t port, char *out, size_t size)
{
	char address[SL_ADDRESS_TEXT];

	put_address(bytes, family, address);
	snprintf(out, size, family == 4 ? "%s:%u" : "[%s]:%u", address, port);
}

static void put_connection(const struct sluice_ids_key *key, char out[SL_IDS_KEY_TEXT])
{
	char local[SL_ADDRESS_TEXT + 10], remote[SL_ADDRESS_TEXT + 10];

	put_side(key->local, key->family, key->local_port, local, sizeof(local));
	put_side(key->remote, key->family, key->remote_port, remote, sizeof(remote));
	for (size_t i = 0; i < SL_ARRAY_SIZE(protocols); i++) {
		if (protocols[i].number == key->protocol) {
			snprintf(out, SL_IDS_KEY_TEXT, "connection %s %s %s", local, remote,
				 protocols[i].name);
			return;
		}
	}
	snprintf(out, SL_IDS_KEY_TEXT, "connection %s %s %u", local, remote, key->protocol);
}

const char *sl_ids_key_format(const struct sluice_ids_key *key, char out[SL_IDS_KEY_TEXT])
{
	const char *track = sl_ids_track_name(key->track);
	char local[SL_ADDRESS_TEXT], remote[SL_ADDRESS_TEXT];

	switch (key->track) {
	case SLUICE_IDS_CONNECTION:
		put_connection(key, out);
		break;
	case SLUICE_IDS_SUBSCRIBER:
		snprintf(out, SL_IDS_KEY_TEXT, "%s %.15s", track, (const char *)key->local);
		break;
	case SLUICE_IDS_SUBSCRIBER_RULE:
		snprintf(out, SL_IDS_KEY_TEXT, "%s %.15s %u", track, (const char *)key->local, key->number);
		break;
	case SLUICE_IDS_SOURCE:
	case SLUICE_IDS_DESTINATION:
		put_address(key->remote, key->family, remote);
		snprintf(out, SL_IDS_KEY_TEXT, "%s %s", track, remote);
		break;
	case SLUICE_IDS_PAIR:
		put_address(key->local, key->family, local);
		put_address(key->remote, key->family, remote);
		snprintf(out, SL_IDS_KEY_TEXT, "%s %s %s", track, local, remote);
		break;
	case SLUICE_IDS_APN:
		snprintf(out, SL_IDS_KEY_TEXT, "%s %u", track, key->number);
		break;
	default:
		snprintf(out, SL_IDS_KEY_TEXT, "%s", track);
	}
	return out;
}

/* --- from text --------------------------------------------------------------------- */

static int get_address(const char *text, struct sluice_ids_key *key, uint8_t out[16], struct sl_error *err)
{
	struct sl_address address;
	int rc = sl_address_parse("subject", text, &address, err);

	if (rc < 0)
		return rc;
	if (key->family && key->family != address.family)
		return sl_error(err, EINVAL, "subject: \"%s\" is of another family than the first address",
				text);
	key->family = (uint8_t)address.family;
	memcpy(out, address.bytes, 16);
	return 0;
}

static int get_side(const char *text, struct sluice_ids_key *key, uint8_t out[16], uint16_t *port,
		    struct sl_error *err)
{
	char address[SL_ADDRESS_TEXT];
	const char *colon = strrchr(text, ':');
	uint64_t number;
	size_t length;

	if (text[0] == '[') {
		const char *end = strchr(text, ']');

		if (!end || end[1] != ':')
			return sl_error(err, EINVAL, "subject: \"%s\"; allowed: [ADDRESS]:PORT", text);
		colon = end + 1;
		text++;
		length = (size_t)(end - text);
	} else {
		if (!colon || strchr(text, ':') != colon)
			return sl_error(err, EINVAL, "subject: \"%s\"; allowed: ADDRESS:PORT, [ADDRESS]:PORT",
					text);
		length = (size_t)(colon - text);
	}
	if (length >= sizeof(address) || sl_parse_uint(colon + 1, &number) < 0 || number > UINT16_MAX)
		return sl_error(err, EINVAL, "subject: \"%s\"; allowed: ADDRESS:PORT, [ADDRESS]:PORT", text);
	memcpy(address, text, length);
	address[length] = '\0';
	*port = (uint16_t)number;
	return get_address(address, key, out, err);
}

static int get_protocol(const char *text, uint8_t *out, struct sl_error *err)
{
	uint64_t number;

	for (size_t i = 0; i < SL_ARRAY_SIZE(protocols); i++) {
		if (strcmp(protocols[i].name, text) == 0) {
			*out = protocols[i].number;
			return 0;
		}
	}
	if (sl_parse_uint(text, &number) < 0 || number > 255)
		return sl_error(err, EINVAL,
				"subject: protocol \"%s\"; allowed: tcp, udp, sctp, icmp, 0 to 255", text);
	*out = (uint8_t)number;
	return 0;
}

#define WORDS 5

/* Cuts at blanks; the number of words, WORDS if there are so many or more. */
static size_t split(char *text, char *words[WORDS])
{
	size_t count = 0;
	char *save = NULL;

	for (char *word = strtok_r(text, " \t", &save); word && count < WORDS;
	     word = strtok_r(NULL, " \t", &save))
		words[count++] = word;
	return count;
}

static int get_connection(char *words[WORDS], struct sluice_ids_key *key, struct sl_error *err)
{
	int rc = get_side(words[1], key, key->local, &key->local_port, err);

	if (rc == 0)
		rc = get_side(words[2], key, key->remote, &key->remote_port, err);
	return rc < 0 ? rc : get_protocol(words[3], &key->protocol, err);
}

int sl_ids_key_parse(const char *text, struct sluice_ids_key *out, struct sl_error *err)
{
	static const size_t wanted[] = {
		[SLUICE_IDS_CONNECTION] = 4, [SLUICE_IDS_SUBSCRIBER] = 2,  [SLUICE_IDS_SUBSCRIBER_RULE] = 0,
		[SLUICE_IDS_SOURCE] = 2,     [SLUICE_IDS_DESTINATION] = 2, [SLUICE_IDS_PAIR] = 3,
	};
	struct sluice_ids_key key = {.rule = 0};
	char copy[SL_IDS_KEY_TEXT], *words[WORDS];
	unsigned int track;
	size_t count;
	int rc;

	if ((size_t)snprintf(copy, sizeof(copy), "%s", text) >= sizeof(copy))
		return sl_error(err, EINVAL, "subject: longer than %zu bytes", sizeof(copy) - 1);
	count = split(copy, words);
	track = count ? sl_ids_track_value(words[0]) : 0;
	if (!track || track >= SL_ARRAY_SIZE(wanted) || !wanted[track] || count != wanted[track])
		return sl_error(
			err, EINVAL,
			"subject: \"%s\"; allowed: subscriber IMSI, source ADDRESS, destination ADDRESS, "
			"pair LOCAL REMOTE, connection LOCAL:PORT REMOTE:PORT PROTOCOL",
			text);
	key.track = (uint8_t)track;
	switch (track) {
	case SLUICE_IDS_SUBSCRIBER:
		rc = sl_imsi_parse("subject", words[1], (char *)key.local, err);
		break;
	case SLUICE_IDS_PAIR:
		rc = get_address(words[1], &key, key.local, err);
		if (rc == 0)
			rc = get_address(words[2], &key, key.remote, err);
		break;
	case SLUICE_IDS_CONNECTION:
		rc = get_connection(words, &key, err);
		break;
	default:
		rc = get_address(words[1], &key, key.remote, err);
	}
	if (rc == 0)
		*out = key;
	return rc;
}

/* --- what follows from keys ---------------------------------------------------------- */

uint64_t sl_ids_flow_id(const struct sluice_ids_event *event)
{
	uint64_t source = sl_hash(event->source_port, event->source, sizeof(event->source));
	uint64_t destination =
		sl_hash(event->destination_port, event->destination, sizeof(event->destination));
	/* a sum, so that both directions have one */
	uint64_t hash = sl_hash_word(source + destination, (uint64_t)event->protocol << 8 | event->family);

	/* programs that read JSON numbers as doubles keep 53 bits */
	hash &= (1ull << 53) - 1;
	return hash ? hash : 1;
}

struct sl_address sl_ids_key_local(const struct sluice_ids_key *key)
{
	struct sl_address address = {.family = 0};

	if (key->track == SLUICE_IDS_CONNECTION || key->track == SLUICE_IDS_PAIR) {
		address.family = key->family;
		memcpy(address.bytes, key->local, sizeof(address.bytes));
	}
	return address;
}
