// SPDX-License-Identifier: Apache-2.0
/* The text of a rule, in random spelling. */
#include "ipfilter_model.h"

#include <arpa/inet.h>
#include <stdio.h>

static const char *const ip_option[] = {"ssrr", "lsrr", "rr", "ts"};
static const char *const tcp_option[] = {"mss", "window", "sack", "ts", "cc"};
static const char *const tcp_flag[] = {"fin", "syn", "rst", "psh", "ack", "urg"};

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
	for (unsigned int n = least + (model_one_in(state, 4) ? model_random(state, 3) : 0); n > 0; n--)
		add(text, model_one_in(state, 4) ? "\t" : " ");
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

	model_bytes(prefix->value, prefix->family == 4 ? 4 : 16, bytes);
	inet_ntop(prefix->family == 4 ? AF_INET : AF_INET6, bytes, word, sizeof(word));
	if (prefix->family == 6 && model_one_in(state, 2)) {
		for (int i = 0; i < 8; i++)
			snprintf(word + 5 * i, 6, "%02X%02x%s", bytes[2 * i], bytes[2 * i + 1],
				 i < 7 ? ":" : "");
	}
	add(text, word);
	if (prefix->length == (prefix->family == 4 ? 32 : 128) && model_one_in(state, 2))
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
		if (end->high[i] == end->low[i] && !model_one_in(state, 4))
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

	if (!model_asks(wish, count))
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
	if (model_one_in(state, 2)) {
		add_number(text, type);
		return;
	}
	for (const char *c = model_icmp_type[type]; *c; c++) {
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
		if (type == 18 || !types[type + 1] || model_one_in(state, 2))
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
