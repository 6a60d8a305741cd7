// SPDX-License-Identifier: Apache-2.0
#include "policy/ipfilter.h"

#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "base/cleanup.h"
#include "policy/ipfilter_names.h"

#define PORT_LAST     65535u
#define PROTOCOL_LAST 255u
#define STRING_(x)    #x
#define STRING(x)     STRING_(x)
#define SHOWN	      40 /* bytes of a token that a message repeats */

enum token_kind {
	TOKEN_END,
	TOKEN_WORD,  /* letters, digits, '.' and ':', so that every address is one */
	TOKEN_OTHER, /* any other byte alone */
};

struct token {
	enum token_kind kind;
	size_t start;
	size_t length;
	bool is_glued; /* no blank before it */
};

struct parser {
	const char *field;
	const char *text;
	size_t length;
	enum sl_ipfilter_dialect dialect;
	struct sl_error *err;
	struct token token; /* the next one */
};

struct icmp_name {
	const char *name;
	unsigned int type;
};

static const struct icmp_name icmp_names[] = {
	{"echo reply", 0},	     {"destination unreachable", 3},
	{"source quench", 4},	     {"redirect", 5},
	{"echo request", 8},	     {"router advertisement", 9},
	{"router solicitation", 10}, {"time-to-live exceeded", 11},
	{"IP header bad", 12},	     {"timestamp request", 13},
	{"timestamp reply", 14},     {"information request", 15},
	{"information reply", 16},   {"address mask request", 17},
	{"address mask reply", 18},
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Without ctype.h: the locale has no say in what a rule means. */
static bool is_word(char c)
{
	return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '.' || c == ':';
}

static void read_token(struct parser *parser, size_t from)
{
	struct token *token = &parser->token;
	size_t at = from;

	while (at < parser->length && is_blank(parser->text[at]))
		at++;
	*token = (struct token){.start = at, .is_glued = at == from};
	if (at == parser->length)
		return;
	token->kind = TOKEN_OTHER;
	token->length = 1;
	if (!is_word(parser->text[at]))
		return;
	token->kind = TOKEN_WORD;
	while (at < parser->length && is_word(parser->text[at]))
		at++;
	token->length = at - token->start;
}

static void next(struct parser *parser)
{
	read_token(parser, parser->token.start + parser->token.length);
}

static bool at_word(const struct parser *parser, const char *word)
{
	return parser->token.kind == TOKEN_WORD && parser->token.length == strlen(word) &&
	       memcmp(parser->text + parser->token.start, word, parser->token.length) == 0;
}

static bool at_sign(const struct parser *parser, char sign)
{
	return parser->token.kind == TOKEN_OTHER && parser->text[parser->token.start] == sign;
}

static bool at_number(const struct parser *parser)
{
	return parser->token.kind == TOKEN_WORD && is_digit(parser->text[parser->token.start]);
}

static bool take_word(struct parser *parser, const char *word)
{
	if (!at_word(parser, word))
		return false;
	next(parser);
	return true;
}

static bool take_sign(struct parser *parser, char sign)
{
	if (!at_sign(parser, sign))
		return false;
	next(parser);
	return true;
}

static int refuse(const struct parser *parser, const struct token *token, int code, const char *expected)
{
	const char *field = parser->field;
	size_t column = token->start + 1;

	if (token->kind == TOKEN_END)
		return sl_error(parser->err, code, "%s: column %zu: expected %s, found the end", field,
				column, expected);
	return sl_error(parser->err, code, "%s: column %zu: expected %s, found '%.*s'%s", field, column,
			expected, (int)(token->length < SHOWN ? token->length : SHOWN),
			parser->text + token->start, token->length <= SHOWN ? "" : "...");
}

static int expected(const struct parser *parser, const char *what)
{
	return refuse(parser, &parser->token, EINVAL, what);
}

/* A sign within a list, a range or a prefix, which its neighbours touch: 1, 0 where it is not, or what
 * failed. */
static int take_glue(struct parser *parser, char sign, const char *what)
{
	struct token blank = {.kind = TOKEN_OTHER, .start = parser->token.start + 1, .length = 1};

	if (!parser->token.is_glued || !take_sign(parser, sign))
		return 0;
	if (!parser->token.is_glued)
		return refuse(parser, &blank, EINVAL, what);
	return 1;
}

/* Decimal without sign or leading zero, 0..last. */
static int parse_number(struct parser *parser, unsigned int last, const char *what, unsigned int *out)
{
	const char *digits = parser->text + parser->token.start;
	unsigned int value = 0;

	if (parser->token.kind != TOKEN_WORD || (parser->token.length > 1 && digits[0] == '0'))
		return expected(parser, what);
	for (size_t i = 0; i < parser->token.length; i++) {
		if (!is_digit(digits[i]))
			return expected(parser, what);
		value = value * 10 + (unsigned int)(digits[i] - '0');
		if (value > last)
			return expected(parser, what);
	}
	next(parser);
	*out = value;
	return 0;
}

static int parse_action(struct parser *parser, struct sl_ipfilter *rule)
{
	if (take_word(parser, "permit"))
		rule->action = SL_IPFILTER_PERMIT;
	else if (parser->dialect == SL_IPFILTER_FLOW_DESCRIPTION)
		return expected(parser, "'permit', the only action of a Flow-Description");
	else if (take_word(parser, "deny"))
		rule->action = SL_IPFILTER_DENY;
	else
		return expected(parser, "'permit' or 'deny'");
	return 0;
}

static int parse_direction(struct parser *parser, struct sl_ipfilter *rule)
{
	if (take_word(parser, "in"))
		rule->direction = SL_IPFILTER_IN;
	else if (take_word(parser, "out"))
		rule->direction = SL_IPFILTER_OUT;
	else
		return expected(parser, "'in' or 'out'");
	return 0;
}

static int parse_protocol(struct parser *parser, struct sl_ipfilter *rule)
{
	unsigned int number = 0;
	int result;

	rule->is_any_protocol = take_word(parser, "ip");
	if (rule->is_any_protocol)
		return 0;
	result = parse_number(parser, PROTOCOL_LAST, "'ip' or a protocol number 0..255", &number);
	rule->protocol = (uint8_t)number;
	return result;
}

static bool has_bits_beyond(const struct sl_ipfilter_prefix *prefix)
{
	for (unsigned int bit = prefix->length; bit < (prefix->address.family == 4 ? 32u : 128u); bit++) {
		if (prefix->address.bytes[bit / 8] & 0x80u >> bit % 8)
			return true;
	}
	return false;
}

static int parse_prefix(struct parser *parser, struct sl_ipfilter_prefix *prefix)
{
	static const char what[] = "'any', 'assigned', an IPv4 or an IPv6 address";
	static const char *const lengths[] = {"a prefix length 0..32", "a prefix length 0..128"};
	struct token address = parser->token, length;
	char text[SL_ADDRESS_TEXT] = "";
	unsigned int most, bits;
	int result;

	if (address.kind != TOKEN_WORD || address.length >= sizeof(text))
		return expected(parser, what);
	memcpy(text, parser->text + address.start, address.length);
	if (sl_address_parse("", text, &prefix->address, NULL) < 0)
		return expected(parser, what);
	next(parser);
	most = prefix->address.family == 4 ? 32 : 128;
	bits = most;
	result = take_glue(parser, '/', lengths[most == 128]);
	length = parser->token;
	if (result > 0)
		result = parse_number(parser, most, lengths[most == 128], &bits);
	if (result < 0)
		return result;
	prefix->length = (uint8_t)bits;
	address.length = length.start + length.length - address.start;
	if (has_bits_beyond(prefix))
		return refuse(parser, &address, EINVAL, "an address without bits beyond its prefix length");
	return 0;
}

static int parse_port(struct parser *parser, unsigned int first, const char *what, unsigned int *out)
{
	const struct token token = parser->token;
	unsigned int port = 0;
	int result = parse_number(parser, PORT_LAST, what, &port);

	if (result < 0)
		return result;
	if (port < first)
		return refuse(parser, &token, EINVAL, "a port not below the first of the range");
	*out = port;
	return 0;
}

static int parse_ports(struct parser *parser, struct sl_ipfilter_end *end)
{
	static const char what[] = "a port 0..65535";
	unsigned int low = 0, high = 0;
	int result;

	do {
		if (end->port_count == SL_IPFILTER_PORTS)
			return refuse(parser, &parser->token, E2BIG,
				      "at most " STRING(SL_IPFILTER_PORTS) " ports and ranges");
		result = parse_port(parser, 0, what, &low);
		if (result < 0)
			return result;
		high = low;
		result = take_glue(parser, '-', what);
		if (result > 0)
			result = parse_port(parser, low, what, &high);
		if (result < 0)
			return result;
		end->ports[end->port_count++] =
			(struct sl_ipfilter_range){.low = (uint16_t)low, .high = (uint16_t)high};
		result = take_glue(parser, ',', what);
	} while (result > 0);
	return result;
}

static int check_ports_fit(const struct parser *parser, const struct sl_ipfilter *rule)
{
	if (rule->is_any_protocol && parser->dialect == SL_IPFILTER_FLOW_DESCRIPTION)
		return 0;
	if (!rule->is_any_protocol && (rule->protocol == IPPROTO_TCP || rule->protocol == IPPROTO_UDP ||
				       rule->protocol == IPPROTO_SCTP))
		return 0;
	return expected(parser, "no ports, as the protocol is none of 6, 17 and 132");
}

static int parse_place(struct parser *parser, struct sl_ipfilter_end *end)
{
	if (take_word(parser, "any"))
		end->place = SL_IPFILTER_ANY;
	else if (take_word(parser, "assigned"))
		end->place = SL_IPFILTER_ASSIGNED;
	else
		return parse_prefix(parser, &end->prefix);
	return 0;
}

static int parse_end(struct parser *parser, const char *word, const struct sl_ipfilter *rule,
		     struct sl_ipfilter_end *end)
{
	int result;

	if (!take_word(parser, word))
		return expected(parser, end == &rule->source	      ? "'from'"
					: rule->source.port_count > 0 ? "'to'"
								      : "ports or 'to'");
	if (at_sign(parser, '!') && parser->dialect == SL_IPFILTER_FLOW_DESCRIPTION)
		return expected(parser, "an address without '!', which a Flow-Description has not");
	end->is_inverted = take_sign(parser, '!');
	result = parse_place(parser, end);
	if (result < 0 || !at_number(parser))
		return result;
	result = check_ports_fit(parser, rule);
	return result < 0 ? result : parse_ports(parser, end);
}

/* "a,!b,c"; `what` lists the names. */
static int parse_spec(struct parser *parser, const char *const names[], const char *what,
		      struct sl_ipfilter_spec *spec)
{
	bool is_absent;
	unsigned int bit;
	int result;

	do {
		is_absent = take_sign(parser, '!');
		for (bit = 0; names[bit] && !at_word(parser, names[bit]); bit++)
			;
		if (!names[bit])
			return expected(parser, what);
		if ((spec->present | spec->absent) & 1u << bit)
			return expected(parser, "each name once");
		if (is_absent)
			spec->absent |= (uint8_t)(1u << bit);
		else
			spec->present |= (uint8_t)(1u << bit);
		next(parser);
		result = take_glue(parser, ',', what);
	} while (result > 0);
	return result;
}

/* Length in the text from `at`, where one blank of the name may be many; 0: something else stands there. */
static size_t icmp_name_length(const struct parser *parser, size_t at, const char *name)
{
	const size_t start = at;

	for (; *name; name++) {
		if (at == parser->length)
			return 0;
		if (*name == ' ' ? !is_blank(parser->text[at]) : parser->text[at] != *name)
			return 0;
		for (at++; *name == ' ' && at < parser->length && is_blank(parser->text[at]);)
			at++;
	}
	if (at < parser->length && is_word(parser->text[at]))
		return 0;
	return at - start;
}

static int parse_icmp_type(struct parser *parser, const char *what, unsigned int *out)
{
	const struct token token = parser->token;
	unsigned int type = 0;
	int result;

	for (size_t i = 0; i < SL_ARRAY_SIZE(icmp_names); i++) {
		size_t length = icmp_name_length(parser, token.start, icmp_names[i].name);

		if (length == 0)
			continue;
		read_token(parser, token.start + length);
		*out = icmp_names[i].type;
		return 0;
	}
	result = parse_number(parser, SL_IPFILTER_ICMP_LAST, what, &type);
	if (result < 0)
		return result;
	if (!(SL_IPFILTER_ICMP_TYPES & 1u << type))
		return refuse(parser, &token, EINVAL, what);
	*out = type;
	return 0;
}

static int parse_icmp_types(struct parser *parser, uint32_t *types)
{
	static const char what[] = "an ICMP type 0, 3, 4, 5, 8..18 or its name";
	unsigned int low = 0, high = 0;
	struct token last;
	int result;

	do {
		result = parse_icmp_type(parser, what, &low);
		if (result < 0)
			return result;
		high = low;
		result = take_glue(parser, '-', what);
		last = parser->token;
		if (result > 0)
			result = parse_icmp_type(parser, what, &high);
		if (result < 0)
			return result;
		if (high < low)
			return refuse(parser, &last, EINVAL, "an ICMP type not below the first of the range");
		for (; low <= high; low++)
			*types |= 1u << low;
		result = take_glue(parser, ',', what);
	} while (result > 0);
	return result;
}

enum option {
	OPTION_FRAG,
	OPTION_IPOPTIONS,
	OPTION_TCPOPTIONS,
	OPTION_ESTABLISHED,
	OPTION_SETUP,
	OPTION_TCPFLAGS,
	OPTION_ICMPTYPES,
	OPTIONS,
};

static const char *const option_names[OPTIONS] = {
	[OPTION_FRAG] = "frag",
	[OPTION_IPOPTIONS] = "ipoptions",
	[OPTION_TCPOPTIONS] = "tcpoptions",
	[OPTION_ESTABLISHED] = "established",
	[OPTION_SETUP] = "setup",
	[OPTION_TCPFLAGS] = "tcpflags",
	[OPTION_ICMPTYPES] = "icmptypes",
};

static int parse_option_value(struct parser *parser, enum option option, struct sl_ipfilter *rule)
{
	switch (option) {
	case OPTION_IPOPTIONS:
		return parse_spec(parser, sl_ipfilter_ip_option_names,
				  "ssrr, lsrr, rr or ts, or one after '!'", &rule->ip_options);
	case OPTION_TCPOPTIONS:
		return parse_spec(parser, sl_ipfilter_tcp_option_names,
				  "mss, window, sack, ts or cc, or one after '!'", &rule->tcp_options);
	case OPTION_TCPFLAGS:
		return parse_spec(parser, sl_ipfilter_tcp_flag_names,
				  "fin, syn, rst, psh, ack or urg, or one after '!'", &rule->tcp_flags);
	case OPTION_ICMPTYPES:
		return parse_icmp_types(parser, &rule->icmp_types);
	case OPTION_FRAG:
		rule->is_frag = true;
		return 0;
	case OPTION_ESTABLISHED:
		rule->is_established = true;
		return 0;
	case OPTION_SETUP:
		rule->is_setup = true;
		return 0;
	default:
		return expected(parser, "an option or the end");
	}
}

static int parse_options(struct parser *parser, struct sl_ipfilter *rule)
{
	struct token seen[OPTIONS] = {0};
	unsigned int option;
	int result;

	while (parser->token.kind != TOKEN_END) {
		if (parser->dialect == SL_IPFILTER_FLOW_DESCRIPTION)
			return expected(parser, "the end, as a Flow-Description has no options");
		for (option = 0; option < OPTIONS && !at_word(parser, option_names[option]); option++)
			;
		if (option < OPTIONS) {
			if (seen[option].kind != TOKEN_END)
				return expected(parser, "each option once");
			seen[option] = parser->token;
			next(parser);
		}
		result = parse_option_value(parser, option, rule);
		if (result < 0)
			return result;
	}
	if (rule->is_frag && (rule->source.port_count > 0 || rule->destination.port_count > 0))
		return refuse(parser, &seen[OPTION_FRAG], EINVAL, "no frag, as there are ports");
	if (rule->is_frag && seen[OPTION_TCPFLAGS].kind != TOKEN_END)
		return refuse(parser, &seen[OPTION_FRAG], EINVAL, "no frag, as there are tcpflags");
	return 0;
}

static int parse_rule(struct parser *parser, struct sl_ipfilter *rule)
{
	int result = parse_action(parser, rule);

	if (result == 0)
		result = parse_direction(parser, rule);
	if (result == 0)
		result = parse_protocol(parser, rule);
	if (result == 0)
		result = parse_end(parser, "from", rule, &rule->source);
	if (result == 0)
		result = parse_end(parser, "to", rule, &rule->destination);
	return result < 0 ? result : parse_options(parser, rule);
}

int sl_ipfilter_parse(const char *field, const char *text, size_t length, enum sl_ipfilter_dialect dialect,
		      struct sl_ipfilter *out, struct sl_error *err)
{
	struct parser parser = {
		.field = field, .text = text, .length = length, .dialect = dialect, .err = err};
	struct sl_ipfilter rule;
	int result;

	if (length >= SL_IPFILTER_TEXT)
		return sl_error(err, E2BIG, "%s: column %d: expected the end by here, found %zu bytes", field,
				SL_IPFILTER_TEXT, length);
	memset(&rule, 0, sizeof(rule));
	read_token(&parser, 0);
	result = parse_rule(&parser, &rule);
	if (result < 0)
		return result;
	*out = rule;
	return 0;
}
