// SPDX-License-Identifier: Apache-2.0
#include "ipfilter_model.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"

static const char *const ip_option[] = {"ssrr", "lsrr", "rr", "ts"};
static const char *const tcp_option[] = {"mss", "window", "sack", "ts", "cc"};
static const char *const tcp_flag[] = {"fin", "syn", "rst", "psh", "ack", "urg"};
static const char *const icmp_type[19] = {
	[0] = "echo reply",	      [3] = "destination unreachable",
	[4] = "source quench",	      [5] = "redirect",
	[8] = "echo request",	      [9] = "router advertisement",
	[10] = "router solicitation", [11] = "time-to-live exceeded",
	[12] = "IP header bad",	      [13] = "timestamp request",
	[14] = "timestamp reply",     [15] = "information request",
	[16] = "information reply",   [17] = "address mask request",
	[18] = "address mask reply",
};

uint64_t model_seed(void)
{
	const char *given = getenv("SLUICE_SEED");
	struct timespec now;
	uint64_t seed;

	clock_gettime(CLOCK_REALTIME, &now);
	seed = given ? strtoull(given, NULL, 10) : (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
	printf("SLUICE_SEED=%llu\n", (unsigned long long)seed);
	return seed;
}

/* splitmix64 */
unsigned int model_random(uint64_t *state, unsigned int bound)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return (unsigned int)((z ^ z >> 31) >> 32) % bound;
}

static bool one_in(uint64_t *state, unsigned int bound)
{
	return model_random(state, bound) == 0;
}

static unsigned __int128 number_of(const uint8_t *bytes, int size)
{
	unsigned __int128 value = 0;

	for (int i = 0; i < size; i++)
		value = value << 8 | bytes[i];
	return value;
}

static void bytes_of(unsigned __int128 value, int size, uint8_t *bytes)
{
	for (int i = size; i-- > 0; value >>= 8)
		bytes[i] = (uint8_t)value;
}

/* Few addresses, so that they meet. */
static unsigned __int128 random_address(uint64_t *state, int family)
{
	static const uint32_t v4[] = {0x0a000000, 0x0a000080, 0x0a010000, 0xc0000200};
	static const uint64_t v6[] = {0x20010db800000000, 0x20010db800000001, 0x20010db880000000, 0};
	unsigned int low = model_random(state, 3);

	if (family == 4)
		return v4[model_random(state, 4)] + low;
	return (unsigned __int128)v6[model_random(state, 4)] << 64 | low |
	       (one_in(state, 4) ? (unsigned __int128)0xffff << 32 : 0);
}

static int random_family(uint64_t *state)
{
	return one_in(state, 3) ? 6 : 4;
}

static void random_prefix(uint64_t *state, struct model_prefix *out)
{
	static const int v4[] = {0, 1, 8, 15, 24, 25, 31, 32, 32};
	static const int v6[] = {0, 3, 32, 33, 63, 64, 64, 127, 128};
	int size;

	out->family = random_family(state);
	size = out->family == 4 ? 32 : 128;
	out->length = (out->family == 4 ? v4 : v6)[model_random(state, 9)];
	out->value = out->length == 0 ? 0
				      : random_address(state, out->family) >> (size - out->length)
										      << (size - out->length);
}

static int random_port(uint64_t *state)
{
	static const int ports[] = {0, 1, 79, 80, 81, 443, 1024, 65534, 65535};

	return ports[model_random(state, SL_ARRAY_SIZE(ports))];
}

static void random_end(uint64_t *state, bool is_narrow, bool may_have_ports, struct model_end *out)
{
	out->place = (enum model_place)model_random(state, 3);
	out->is_inverted = !is_narrow && one_in(state, 4);
	if (out->place == MODEL_PREFIX)
		random_prefix(state, &out->prefix);
	if (!may_have_ports || one_in(state, 2))
		return;
	out->port_count = 1 + (int)model_random(state, MODEL_PORTS);
	for (int i = 0; i < out->port_count; i++) {
		int a = random_port(state), b = one_in(state, 2) ? a : random_port(state);

		out->low[i] = a < b ? a : b;
		out->high[i] = a < b ? b : a;
	}
}

static void random_spec(uint64_t *state, int *wish, int count)
{
	if (!one_in(state, 8))
		return;
	for (int i = 0; i < count; i++)
		wish[i] = one_in(state, 2) ? 0 : one_in(state, 3) ? 1 : -1;
}

static void random_icmp_types(uint64_t *state, bool *types)
{
	int low;

	if (!one_in(state, 6))
		return;
	for (int n = 1 + (int)model_random(state, 3); n > 0; n--) {
		do
			low = (int)model_random(state, 19);
		while (!icmp_type[low]);
		types[low] = true;
		for (int high = low + 1; one_in(state, 3) && high < 19 && icmp_type[high]; high++)
			types[high] = true;
	}
}

static bool asks(const int *wish, int count)
{
	for (int i = 0; i < count; i++) {
		if (wish[i] != 0)
			return true;
	}
	return false;
}

void model_rule(uint64_t *state, enum sl_ipfilter_dialect dialect, struct model_rule *out)
{
	static const int protocols[] = {-1, -1, 6, 6, 6, 17, 132, 1, 58, 0};
	const bool is_narrow = dialect == SL_IPFILTER_FLOW_DESCRIPTION;
	bool has_ports;

	memset(out, 0, sizeof(*out));
	out->is_deny = !is_narrow && one_in(state, 2);
	out->is_out = one_in(state, 2);
	out->protocol = protocols[model_random(state, SL_ARRAY_SIZE(protocols))];
	has_ports = out->protocol == 6 || out->protocol == 17 || out->protocol == 132 ||
		    (is_narrow && out->protocol == -1);
	for (int i = 0; i < 2; i++)
		random_end(state, is_narrow, has_ports, &out->end[i]);
	if (is_narrow)
		return;
	random_spec(state, out->ip_option, 4);
	random_spec(state, out->tcp_option, 5);
	random_spec(state, out->tcp_flag, 6);
	out->is_established = one_in(state, 10);
	out->is_setup = one_in(state, 10);
	random_icmp_types(state, out->icmp_type);
	if (out->end[0].port_count == 0 && out->end[1].port_count == 0 && !asks(out->tcp_flag, 6))
		out->is_frag = one_in(state, 6);
}

void model_terminal(uint64_t *state, struct model_terminal *out)
{
	memset(out, 0, sizeof(*out));
	out->count = model_random(state, MODEL_PREFIXES + 1);
	for (size_t i = 0; i < out->count; i++)
		random_prefix(state, &out->prefix[i]);
}

void model_packet(uint64_t *state, struct sl_ipfilter_packet *out)
{
	static const uint8_t protocols[] = {6, 6, 6, 17, 132, 1, 1, 58, 0, 136};
	static const uint8_t flags[] = {0x00, 0x02, 0x12, 0x10, 0x04, 0x14, 0x18, 0x11, 0x20, 0x3f, 0xc2};
	int family = random_family(state), size = family == 4 ? 4 : 16;

	memset(out, 0, sizeof(*out));
	out->direction = one_in(state, 2) ? SL_IPFILTER_OUT : SL_IPFILTER_IN;
	out->source.family = (uint32_t)family;
	out->destination.family = (uint32_t)family;
	bytes_of(random_address(state, family), size, out->source.bytes);
	bytes_of(random_address(state, family), size, out->destination.bytes);
	out->protocol = protocols[model_random(state, SL_ARRAY_SIZE(protocols))];
	if (one_in(state, 4)) {
		out->fragment_offset = (uint16_t)(one_in(state, 6) ? 1 : model_random(state, 3) * 4095);
		out->has_more_fragments = one_in(state, 2);
	}
	if (one_in(state, 3))
		out->ip_options = (uint8_t)model_random(state, 16);
	/* also behind an offset or in another protocol: what a careless caller leaves there must not count */
	out->has_ports =
		(out->protocol == 6 || out->protocol == 17 || out->protocol > 128) && !one_in(state, 10);
	out->source_port = (uint16_t)random_port(state);
	out->destination_port = (uint16_t)random_port(state);
	out->has_tcp = (out->protocol == 6) != one_in(state, 10);
	out->tcp_flags = flags[model_random(state, SL_ARRAY_SIZE(flags))];
	out->tcp_options = (uint8_t)model_random(state, 32);
	out->has_icmp = (out->protocol == 1) != one_in(state, 10);
	out->icmp_type =
		(uint8_t)(one_in(state, 10) ? 32 + model_random(state, 19) : model_random(state, 20));
}

struct sl_ipfilter_terminal model_terminal_given(const struct model_terminal *terminal,
						 struct sl_ipfilter_prefix room[MODEL_PREFIXES])
{
	for (size_t i = 0; i < terminal->count; i++) {
		const struct model_prefix *prefix = &terminal->prefix[i];

		room[i] = (struct sl_ipfilter_prefix){.address.family = (uint32_t)prefix->family,
						      .length = (uint8_t)prefix->length};
		bytes_of(prefix->value, prefix->family == 4 ? 4 : 16, room[i].address.bytes);
	}
	return (struct sl_ipfilter_terminal){.count = terminal->count, .prefixes = room};
}

/* --- text ------------------------------------------------------------------- */

struct text {
	char *out;
	size_t used;
};

static void add(struct text *text, const char *word)
{
	text->used += (size_t)snprintf(text->out + text->used, SL_IPFILTER_TEXT - text->used, "%s", word);
}

static void add_number(struct text *text, int number)
{
	char digits[16];

	snprintf(digits, sizeof(digits), "%d", number);
	add(text, digits);
}

static void add_blanks(struct text *text, uint64_t *state, unsigned int least)
{
	for (unsigned int n = least + (one_in(state, 4) ? model_random(state, 3) : 0); n > 0; n--)
		add(text, one_in(state, 4) ? "\t" : " ");
}

static void add_word(struct text *text, uint64_t *state, const char *word)
{
	add_blanks(text, state, 1);
	add(text, word);
}

static void add_address(struct text *text, uint64_t *state, const struct model_prefix *prefix)
{
	uint8_t bytes[16];
	char word[64];

	bytes_of(prefix->value, prefix->family == 4 ? 4 : 16, bytes);
	inet_ntop(prefix->family == 4 ? AF_INET : AF_INET6, bytes, word, sizeof(word));
	if (prefix->family == 6 && one_in(state, 2)) {
		for (int i = 0; i < 8; i++)
			snprintf(word + 5 * i, 6, "%02X%02x%s", bytes[2 * i], bytes[2 * i + 1],
				 i < 7 ? ":" : "");
	}
	add(text, word);
	if (prefix->length == (prefix->family == 4 ? 32 : 128) && one_in(state, 2))
		return;
	add(text, "/");
	add_number(text, prefix->length);
}

static void add_end(struct text *text, uint64_t *state, const struct model_end *end)
{
	if (end->is_inverted) {
		add_blanks(text, state, 0);
		add(text, "!");
		add_blanks(text, state, 0);
	} else {
		add_blanks(text, state, 1);
	}
	if (end->place == MODEL_PREFIX)
		add_address(text, state, &end->prefix);
	else
		add(text, end->place == MODEL_ANY ? "any" : "assigned");
	for (int i = 0; i < end->port_count; i++) {
		if (i == 0)
			add_blanks(text, state, 1);
		else
			add(text, ",");
		add_number(text, end->low[i]);
		if (end->high[i] == end->low[i] && !one_in(state, 4))
			continue;
		add(text, "-");
		add_number(text, end->high[i]);
	}
}

static void add_spec(struct text *text, uint64_t *state, const char *word, const char *const *names,
		     const int *wish, int count)
{
	const int first = (int)model_random(state, (unsigned int)count);
	bool is_first = true;

	if (!asks(wish, count))
		return;
	add_word(text, state, word);
	for (int n = 0; n < count; n++) {
		int i = (first + n) % count;

		if (wish[i] == 0)
			continue;
		if (is_first)
			add_blanks(text, state, 1);
		else
			add(text, ",");
		is_first = false;
		if (wish[i] < 0) {
			add(text, "!");
			add_blanks(text, state, 0);
		}
		add(text, names[i]);
	}
}

static void add_icmp_type(struct text *text, uint64_t *state, int type)
{
	if (one_in(state, 2)) {
		add_number(text, type);
		return;
	}
	for (const char *c = icmp_type[type]; *c; c++) {
		const char one[] = {*c, '\0'};

		if (*c == ' ')
			add_blanks(text, state, 1);
		else
			add(text, one);
	}
}

static void add_icmp_types(struct text *text, uint64_t *state, const bool *types)
{
	bool is_first = true;

	for (int type = 0; type < 19; type++) {
		if (!types[type])
			continue;
		if (is_first)
			add_word(text, state, "icmptypes");
		if (is_first)
			add_blanks(text, state, 1);
		else
			add(text, ",");
		is_first = false;
		add_icmp_type(text, state, type);
		if (type == 18 || !types[type + 1] || one_in(state, 2))
			continue;
		do
			type++;
		while (type < 18 && types[type + 1]);
		add(text, "-");
		add_icmp_type(text, state, type);
	}
}

void model_text(uint64_t *state, const struct model_rule *rule, char out[SL_IPFILTER_TEXT])
{
	const unsigned int first = model_random(state, 7);
	struct text text = {.out = out};

	add_blanks(&text, state, 0);
	add(&text, rule->is_deny ? "deny" : "permit");
	add_word(&text, state, rule->is_out ? "out" : "in");
	add_blanks(&text, state, 1);
	if (rule->protocol < 0)
		add(&text, "ip");
	else
		add_number(&text, rule->protocol);
	add_word(&text, state, "from");
	add_end(&text, state, &rule->end[0]);
	add_word(&text, state, "to");
	add_end(&text, state, &rule->end[1]);
	for (unsigned int n = 0; n < 7; n++) {
		switch ((first + n) % 7) {
		case 0:
			add_spec(&text, state, "ipoptions", ip_option, rule->ip_option, 4);
			break;
		case 1:
			add_spec(&text, state, "tcpoptions", tcp_option, rule->tcp_option, 5);
			break;
		case 2:
			add_spec(&text, state, "tcpflags", tcp_flag, rule->tcp_flag, 6);
			break;
		case 3:
			add_icmp_types(&text, state, rule->icmp_type);
			break;
		case 4:
			if (rule->is_frag)
				add_word(&text, state, "frag");
			break;
		case 5:
			if (rule->is_established)
				add_word(&text, state, "established");
			break;
		case 6:
			if (rule->is_setup)
				add_word(&text, state, "setup");
			break;
		}
	}
	add_blanks(&text, state, 0);
}

/* --- judgement --------------------------------------------------------------- */

static bool inside(const struct model_prefix *prefix, int family, unsigned __int128 value)
{
	int free_bits = (prefix->family == 4 ? 32 : 128) - prefix->length;

	return prefix->family == family && (prefix->length == 0 || (prefix->value ^ value) >> free_bits == 0);
}

static bool address_objects(const struct model_end *end, const struct model_terminal *terminal,
			    const struct sl_address *address)
{
	int family = (int)address->family, hits = 0;
	unsigned __int128 value = number_of(address->bytes, family == 4 ? 4 : 16);

	if (end->place == MODEL_ANY)
		hits = 1;
	if (end->place == MODEL_PREFIX) {
		if (end->prefix.family != family)
			return true;
		hits = inside(&end->prefix, family, value);
	}
	for (size_t i = 0; end->place == MODEL_ASSIGNED && i < terminal->count; i++)
		hits += inside(&terminal->prefix[i], family, value);
	return end->is_inverted ? hits > 0 : hits == 0;
}

static bool ports_object(const struct model_end *end, bool is_known, int port)
{
	int hits = 0;

	for (int i = 0; i < end->port_count; i++)
		hits += is_known && end->low[i] <= port && port <= end->high[i];
	return end->port_count > 0 && hits == 0;
}

static int wishes_unmet(const int *wish, int count, unsigned int bits)
{
	int unmet = 0;

	for (int i = 0; i < count; i++)
		unmet += wish[i] != 0 && wish[i] != (bits >> i & 1 ? 1 : -1);
	return unmet;
}

static int objections(const struct model_rule *rule, const struct model_terminal *terminal,
		      const struct sl_ipfilter_packet *packet)
{
	const bool is_whole_or_first = packet->fragment_offset == 0;
	const bool knows_ports = is_whole_or_first && packet->has_ports;
	const bool knows_tcp = is_whole_or_first && packet->has_tcp && packet->protocol == 6;
	const bool knows_icmp = is_whole_or_first && packet->has_icmp && packet->protocol == 1;
	const bool syn = packet->tcp_flags >> 1 & 1, rst = packet->tcp_flags >> 2 & 1,
		   ack = packet->tcp_flags >> 4 & 1;
	int sum = 0;

	sum += rule->is_out != (packet->direction == SL_IPFILTER_OUT);
	sum += rule->protocol >= 0 && rule->protocol != packet->protocol;
	sum += address_objects(&rule->end[0], terminal, &packet->source);
	sum += address_objects(&rule->end[1], terminal, &packet->destination);
	sum += ports_object(&rule->end[0], knows_ports, packet->source_port);
	sum += ports_object(&rule->end[1], knows_ports, packet->destination_port);
	sum += rule->is_frag && is_whole_or_first;
	sum += wishes_unmet(rule->ip_option, 4, packet->source.family == 6 ? 0 : packet->ip_options);
	sum += asks(rule->tcp_option, 5) && !knows_tcp;
	sum += wishes_unmet(rule->tcp_option, 5, packet->tcp_options);
	sum += asks(rule->tcp_flag, 6) && !knows_tcp;
	sum += wishes_unmet(rule->tcp_flag, 6, packet->tcp_flags);
	sum += rule->is_established && !(knows_tcp && (rst || ack));
	sum += rule->is_setup && !(knows_tcp && syn && !ack);
	for (int type = 0; type < 19; type++) {
		if (rule->icmp_type[type])
			return sum +
			       !(knows_icmp && packet->icmp_type < 19 && rule->icmp_type[packet->icmp_type]);
	}
	return sum;
}

struct sl_ipfilter_verdict model_judge(const struct model_rule *rules, size_t count,
				       const struct model_terminal *terminal,
				       const struct sl_ipfilter_packet *packet)
{
	struct sl_ipfilter_verdict verdict = {.is_passed = true, .reason = SL_IPFILTER_BY_NO_RULE};

	for (size_t i = 0; i < count; i++) {
		if (rules[i].is_out == (packet->direction == SL_IPFILTER_OUT))
			verdict = (struct sl_ipfilter_verdict){
				.is_passed = rules[i].is_deny, .reason = SL_IPFILTER_BY_DEFAULT, .rule = i};
	}
	for (size_t i = count; i-- > 0;) {
		if (objections(&rules[i], terminal, packet) == 0)
			verdict = (struct sl_ipfilter_verdict){
				.is_passed = !rules[i].is_deny, .reason = SL_IPFILTER_BY_RULE, .rule = i};
	}
	if (packet->fragment_offset == 1)
		verdict = (struct sl_ipfilter_verdict){.is_passed = false,
						       .reason = SL_IPFILTER_BY_FRAGMENT_OFFSET};
	return verdict;
}
