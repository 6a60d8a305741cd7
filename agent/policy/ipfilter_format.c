// SPDX-License-Identifier: Apache-2.0
#include "policy/ipfilter.h"

#include <stdarg.h>
#include <stdio.h>

#include "policy/ipfilter_names.h"

const char *const sl_ipfilter_ip_option_names[] = {"ssrr", "lsrr", "rr", "ts", NULL};
const char *const sl_ipfilter_tcp_option_names[] = {"mss", "window", "sack", "ts", "cc", NULL};
const char *const sl_ipfilter_tcp_flag_names[] = {"fin", "syn", "rst", "psh", "ack", "urg", NULL};

struct writer {
	char *text; /* of SL_IPFILTER_TEXT bytes */
	size_t used;
};

static void put(struct writer *writer, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void put(struct writer *writer, const char *format, ...)
{
	size_t room = SL_IPFILTER_TEXT - writer->used;
	va_list args;
	int length;

	va_start(args, format);
	length = vsnprintf(writer->text + writer->used, room, format, args);
	va_end(args);
	if (length > 0)
		writer->used += (size_t)length < room ? (size_t)length : room - 1;
}

static void put_prefix(struct writer *writer, const struct sl_ipfilter_prefix *prefix)
{
	char text[SL_ADDRESS_TEXT];

	sl_address_format(&prefix->address, text);
	put(writer, "%s", text);
	if (prefix->length != (prefix->address.family == 4 ? 32 : 128))
		put(writer, "/%u", prefix->length);
}

static void put_range(struct writer *writer, unsigned int low, unsigned int high, bool is_first)
{
	put(writer, "%s%u", is_first ? " " : ",", low);
	if (high != low)
		put(writer, "-%u", high);
}

static void put_end(struct writer *writer, const char *word, const struct sl_ipfilter_end *end)
{
	put(writer, " %s %s", word, end->is_inverted ? "!" : "");
	switch (end->place) {
	case SL_IPFILTER_PREFIX:
		put_prefix(writer, &end->prefix);
		break;
	case SL_IPFILTER_ANY:
		put(writer, "any");
		break;
	case SL_IPFILTER_ASSIGNED:
		put(writer, "assigned");
		break;
	}
	for (uint32_t i = 0; i < end->port_count; i++)
		put_range(writer, end->ports[i].low, end->ports[i].high, i == 0);
}

static void put_spec(struct writer *writer, const char *word, const char *const names[],
		     const struct sl_ipfilter_spec *spec)
{
	const char *before = " ";

	if (!spec->present && !spec->absent)
		return;
	put(writer, " %s", word);
	for (unsigned int bit = 0; names[bit]; bit++) {
		if (!((spec->present | spec->absent) & 1u << bit))
			continue;
		put(writer, "%s%s%s", before, spec->absent & 1u << bit ? "!" : "", names[bit]);
		before = ",";
	}
}

static void put_icmp_types(struct writer *writer, uint32_t types)
{
	unsigned int high;
	bool is_first = true;

	if (!types)
		return;
	put(writer, " icmptypes");
	for (unsigned int low = 0; low <= SL_IPFILTER_ICMP_LAST; low = high + 1) {
		high = low;
		if (!(types & 1u << low))
			continue;
		while (types & 1u << (high + 1))
			high++;
		put_range(writer, low, high, is_first);
		is_first = false;
	}
}

void sl_ipfilter_format(const struct sl_ipfilter *rule, char out[SL_IPFILTER_TEXT])
{
	struct writer writer = {.text = out};

	put(&writer, "%s %s ", rule->action == SL_IPFILTER_PERMIT ? "permit" : "deny",
	    rule->direction == SL_IPFILTER_IN ? "in" : "out");
	if (rule->is_any_protocol)
		put(&writer, "ip");
	else
		put(&writer, "%u", rule->protocol);
	put_end(&writer, "from", &rule->source);
	put_end(&writer, "to", &rule->destination);
	if (rule->is_frag)
		put(&writer, " frag");
	put_spec(&writer, "ipoptions", sl_ipfilter_ip_option_names, &rule->ip_options);
	put_spec(&writer, "tcpoptions", sl_ipfilter_tcp_option_names, &rule->tcp_options);
	if (rule->is_established)
		put(&writer, " established");
	if (rule->is_setup)
		put(&writer, " setup");
	put_spec(&writer, "tcpflags", sl_ipfilter_tcp_flag_names, &rule->tcp_flags);
	put_icmp_types(&writer, rule->icmp_types);
}
