// SPDX-License-Identifier: Apache-2.0
#include "policy/redirect.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define PORT_LAST   65535
#define PORT_DNS    53
#define PORT_HTTP   80
#define PORT_HTTPS  443
#define FIXED_FLOWS 8 /* all that are not for a server's address */
#define SERVERS_MAX ((SLUICE_FLOWS_PER_RULE - FIXED_FLOWS) / 2)
#define LABEL_MAX   63

/* --- where to ----------------------------------------------------------------- */

/* A URL's host and what it is; pointers into the URL. */
struct host {
	const char *text;
	size_t length;
	struct sl_address literal; /* family 0: a name */
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_name_character(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '-';
}

/* RFC 1123 clause 2.1; the last label of a name is never a number, or it would look like an address. */
static bool is_host_name(const char *text, size_t length)
{
	size_t label = 0, digits = 0;

	if (length > 0 && text[length - 1] == '.')
		length--;
	if (length == 0 || length >= SL_REDIRECT_HOST_SIZE)
		return false;
	for (size_t i = 0; i <= length; i++) {
		if (i < length && text[i] != '.') {
			if (!is_name_character(text[i]) || ++label > LABEL_MAX)
				return false;
			if (text[i] == '-' && (label == 1 || i + 1 == length || text[i + 1] == '.'))
				return false;
			digits += is_digit(text[i]);
			continue;
		}
		if (label == 0 || (i == length && digits == label))
			return false;
		label = 0;
		digits = 0;
	}
	return true;
}

static bool parse_literal(const char *text, size_t length, struct sl_address *out)
{
	char copy[SL_ADDRESS_TEXT];

	if (length >= sizeof(copy))
		return false;
	memcpy(copy, text, length);
	copy[length] = '\0';
	return sl_address_parse("", copy, out, NULL) == 0;
}

static bool is_port(const char *text, size_t length)
{
	unsigned int port = 0;

	if (length == 0 || length > 5)
		return false;
	for (size_t i = 0; i < length; i++) {
		if (!is_digit(text[i]))
			return false;
		port = port * 10 + (unsigned int)(text[i] - '0');
	}
	return port >= 1 && port <= PORT_LAST;
}

/* NULL if the text is a URL as redirect.h has it, with its host; else what is wrong with it. */
static const char *parse_url(const char *url, struct host *out)
{
	struct host host = {.length = 0};
	const char *end, *rest;

	for (const char *c = url; *c; c++) {
		if (*c <= ' ' || *c >= 0x7f)
			return "has a blank, a control character or one that is not ASCII";
	}
	if (strncasecmp(url, "http://", 7) == 0)
		host.text = url + 7;
	else if (strncasecmp(url, "https://", 8) == 0)
		host.text = url + 8;
	else
		return "does not begin with http:// or https://";
	end = host.text + strcspn(host.text, "/?#");
	if (memchr(host.text, '@', (size_t)(end - host.text)))
		return "has a user before its host";
	if (host.text[0] == '[') {
		host.text++;
		rest = memchr(host.text, ']', (size_t)(end - host.text));
		host.length = rest ? (size_t)(rest - host.text) : 0;
		if (!rest || !parse_literal(host.text, host.length, &host.literal) ||
		    host.literal.family != 6)
			return "has no IPv6 address in its brackets";
		rest++;
	} else {
		rest = memchr(host.text, ':', (size_t)(end - host.text));
		if (!rest)
			rest = end;
		host.length = (size_t)(rest - host.text);
		if (!parse_literal(host.text, host.length, &host.literal) &&
		    !is_host_name(host.text, host.length))
			return "has no host name or address where one must be";
	}
	if (rest != end && (rest[0] != ':' || !is_port(rest + 1, (size_t)(end - rest - 1))))
		return "has something other than a port from 1 to 65535 behind its host";
	*out = host;
	return NULL;
}

static int set_address(struct sl_rule *rule, const char *field, uint32_t family, const char *text,
		       struct sl_error *err)
{
	struct sl_address address;

	if (sl_address_parse(field, text, &address, NULL) < 0 || address.family != family)
		return sl_error(err, EINVAL, "%s: '%.64s' is not an IPv%u address", field, text, family);
	memset(rule->redirect_address, 0, sizeof(rule->redirect_address));
	sl_address_format(&address, rule->redirect_address);
	return 0;
}

int sl_redirect_set(struct sl_rule *rule, const char *field, enum sluice_redirect type, const char *text,
		    struct sl_error *err)
{
	const char *wrong;
	struct host host;
	int rc = 0;

	switch (type) {
	case SLUICE_REDIRECT_IPV4:
	case SLUICE_REDIRECT_IPV6:
		rc = set_address(rule, field, type == SLUICE_REDIRECT_IPV4 ? 4 : 6, text, err);
		break;
	case SLUICE_REDIRECT_URL:
		if (strlen(text) >= sizeof(rule->redirect_address))
			return sl_error(err, EINVAL, "%s: a URL of %zu bytes, at most %zu are allowed", field,
					strlen(text), sizeof(rule->redirect_address) - 1);
		wrong = parse_url(text, &host);
		if (wrong)
			return sl_error(err, EINVAL, "%s: URL '%s' %s", field, text, wrong);
		memset(rule->redirect_address, 0, sizeof(rule->redirect_address));
		strcpy(rule->redirect_address, text);
		break;
	case SLUICE_REDIRECT_NONE:
	default:
		return sl_error(err, EINVAL, "%s: unknown type %u", field, type);
	}
	if (rc == 0)
		rule->redirect = type;
	return rc;
}

/* The address that the rule itself gives; family 0: none. */
static struct sl_address literal_of(const struct sl_rule *rule)
{
	struct sl_address address = {.family = 0};
	struct host host = {.length = 0};

	if (rule->redirect == SLUICE_REDIRECT_URL) {
		if (!parse_url(rule->redirect_address, &host))
			address = host.literal;
	} else if (rule->redirect != SLUICE_REDIRECT_NONE) {
		if (sl_address_parse("", rule->redirect_address, &address, NULL) < 0)
			address.family = 0;
	}
	return address;
}

bool sl_redirect_host(const struct sl_rule *rule, char out[SL_REDIRECT_HOST_SIZE])
{
	struct host host = {.length = 0};

	out[0] = '\0';
	if (rule->redirect != SLUICE_REDIRECT_URL || parse_url(rule->redirect_address, &host) ||
	    host.literal.family != 0)
		return false;
	if (host.text[host.length - 1] == '.')
		host.length--;
	for (size_t i = 0; i < host.length; i++) {
		out[i] = host.text[i];
		if (out[i] >= 'A' && out[i] <= 'Z')
			out[i] |= 'a' ^ 'A';
	}
	out[host.length] = '\0';
	return true;
}

/* --- flows -------------------------------------------------------------------------- */

static struct sluice_flow *add(struct sluice_flow *flows, uint32_t *count, enum sluice_direction direction,
			       enum sluice_action action, uint8_t protocol, uint16_t port)
{
	struct sluice_flow *flow = &flows[(*count)++];

	*flow = (struct sluice_flow){
		.direction = direction,
		.action = action,
		.protocol = protocol,
		.remote_port_low = port,
		.remote_port_high = port ? port : PORT_LAST,
		.local_port_high = PORT_LAST,
	};
	return flow;
}

static void open_server(struct sluice_flow *flows, uint32_t *count, const struct sl_address *server)
{
	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
		struct sluice_flow *flow = add(flows, count, direction, SLUICE_PERMIT, 0, 0);

		flow->family = (uint8_t)server->family;
		flow->has_remote = 1;
		flow->prefix_length = server->family == 4 ? 32 : 128;
		memcpy(flow->remote, server->bytes, server->family == 4 ? 4 : 16);
	}
}

int sl_redirect_flows(const struct sl_rule *rule, const struct sl_address *servers, size_t count,
		      bool reject_others, struct sluice_flow **flows, uint32_t *flow_count,
		      struct sl_error *err)
{
	const struct sl_address literal = literal_of(rule);
	const size_t most = SERVERS_MAX - (literal.family != 0);
	struct sluice_flow *made;
	uint32_t used = 0;

	if (rule->redirect == SLUICE_REDIRECT_NONE)
		return sl_error(err, EINVAL, "redirect: rule '%s' redirects nothing", rule->id);
	made = calloc(SLUICE_FLOWS_PER_RULE, sizeof(*made));
	if (!made)
		return sl_error(err, ENOMEM, "redirect: no memory for the flows of rule '%s'", rule->id);
	if (literal.family != 0)
		open_server(made, &used, &literal);
	for (size_t i = 0; i < count && i < most; i++)
		open_server(made, &used, &servers[i]);
	for (int direction = 0; direction < SLUICE_DIRECTIONS; direction++) {
		add(made, &used, direction, SLUICE_PERMIT, IPPROTO_UDP, PORT_DNS);
		add(made, &used, direction, SLUICE_PERMIT, IPPROTO_TCP, PORT_DNS);
	}
	add(made, &used, SLUICE_UPLINK, SLUICE_PORTAL, IPPROTO_TCP, PORT_HTTP);
	add(made, &used, SLUICE_UPLINK, SLUICE_RESET, IPPROTO_TCP, PORT_HTTPS);
	add(made, &used, SLUICE_UPLINK, reject_others ? SLUICE_REJECT : SLUICE_DENY, 0, 0);
	add(made, &used, SLUICE_DOWNLINK, SLUICE_PERMIT, IPPROTO_TCP, PORT_HTTP)->terms.which =
		SLUICE_TERM_THIS_HOST;
	*flows = made;
	*flow_count = used;
	return 0;
}
