// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "base/cleanup.h"
#include "ipfilter_model.h"
#include "policy/ipfilter.h"

#define ROUND_TRIPS 100000

static int parse(const char *text, enum sl_ipfilter_dialect dialect, struct sl_ipfilter *out,
		 struct sl_error *err)
{
	return sl_ipfilter_parse("filter", text, strlen(text), dialect, out, err);
}

static void assert_canonical(const char *text, enum sl_ipfilter_dialect dialect, const char *canonical)
{
	char formatted[SL_IPFILTER_TEXT];
	struct sl_ipfilter rule;
	struct sl_error err = {""};

	if (parse(text, dialect, &rule, &err) < 0)
		fail_msg("'%s' is refused: %s", text, err.text);
	sl_ipfilter_format(&rule, formatted);
	assert_string_equal(formatted, canonical);
}

static void assert_refused(const char *text, enum sl_ipfilter_dialect dialect, const char *message)
{
	struct sl_ipfilter rule = {.protocol = 77}, before = rule;
	struct sl_error err = {""};

	memcpy(&before, &rule, sizeof(before));
	if (parse(text, dialect, &rule, &err) != -EINVAL)
		fail_msg("'%s' is not refused", text);
	assert_memory_equal(&rule, &before, sizeof(rule));
	assert_string_equal(err.text, message);
}

static void every_production_is_read_and_written_canonically(void **state)
{
	static const struct {
		const char *text, *canonical; /* NULL: the text itself */
	} good[] = {
		{"permit in ip from any to any", NULL},
		{"deny out ip from any to any", NULL},
		{" \tpermit\tin  ip from any\t to any ", "permit in ip from any to any"},
		{"permit in 0 from any to any", NULL},
		{"permit in 255 from any to any", NULL},
		/* addresses */
		{"permit in ip from 192.0.2.1 to 2001:db8::1", NULL},
		{"permit in ip from 192.0.2.1/32 to 2001:DB8:0::1/128",
		 "permit in ip from 192.0.2.1 to 2001:db8::1"},
		{"permit in ip from 0.0.0.0/0 to ::/0", NULL},
		{"permit in ip from 192.0.2.0/31 to 2001:db8::/33", NULL},
		{"permit in ip from ::ffff:192.0.2.1 to assigned", NULL},
		{"deny in ip from !assigned to any", NULL},
		{"deny in ip from ! assigned to !any", "deny in ip from !assigned to !any"},
		{"deny in ip from!192.0.2.0/24 to!2001:db8::/32",
		 "deny in ip from !192.0.2.0/24 to !2001:db8::/32"},
		/* ports */
		{"permit in 6 from any 80 to any", NULL},
		{"permit in 17 from any to any 53", NULL},
		{"permit in 132 from any 0 to any 65535", NULL},
		{"permit in 6 from !assigned 1-2,4,6-65535 to ::/0 80,443,8000-8080", NULL},
		{"permit in 6 from any 80-80,80,90-95,91 to any",
		 "permit in 6 from any 80,80,90-95,91 to any"},
		/* options */
		{"deny in ip from any to any frag", NULL},
		{"permit in ip from any to any ipoptions ssrr,lsrr,rr,ts", NULL},
		{"permit in ip from any to any ipoptions !ts,! rr,lsrr,!ssrr",
		 "permit in ip from any to any ipoptions !ssrr,lsrr,!rr,!ts"},
		{"permit in 6 from any to any tcpoptions mss,window,sack,ts,cc", NULL},
		{"permit in 6 from any to any tcpoptions !cc,!ts,!sack,!window,!mss",
		 "permit in 6 from any to any tcpoptions !mss,!window,!sack,!ts,!cc"},
		{"permit in 6 from any to any established", NULL},
		{"permit in 6 from any to any setup", NULL},
		{"permit in 6 from any to any tcpflags fin,syn,rst,psh,ack,urg", NULL},
		{"permit in ip from any to any tcpflags !urg,ack",
		 "permit in ip from any to any tcpflags ack,!urg"},
		{"permit in 6 from any to any 80 setup tcpoptions !ts tcpflags !urg ipoptions !rr "
		 "established",
		 "permit in 6 from any to any 80 ipoptions !rr tcpoptions !ts established setup tcpflags "
		 "!urg"},
		{"deny in 6 from any to any established frag setup",
		 "deny in 6 from any to any frag established setup"},
		{"deny in 1 from any to any icmptypes 8 frag", "deny in 1 from any to any frag icmptypes 8"},
		{"permit in 1 from any to any icmptypes 0,3-5,8-18", NULL},
		{"permit in 1 from any to any icmptypes 18,0,8-9,10,9",
		 "permit in 1 from any to any icmptypes 0,8-10,18"},
		{"permit in 1 from any to any icmptypes 5-8", NULL},
		/* can never match, and is well formed */
		{"permit in 17 from any to any established", NULL},
	};

	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(good); i++)
		assert_canonical(good[i].text, SL_IPFILTER_FULL,
				 good[i].canonical ? good[i].canonical : good[i].text);
}

static void every_icmp_type_can_be_named_with_its_blanks(void **state)
{
	static const struct {
		const char *name, *number;
	} types[] = {
		{"echo reply", "0"},
		{"destination unreachable", "3"},
		{"source quench", "4"},
		{"redirect", "5"},
		{"echo request", "8"},
		{"router advertisement", "9"},
		{"router solicitation", "10"},
		{"time-to-live exceeded", "11"},
		{"IP header bad", "12"},
		{"timestamp request", "13"},
		{"timestamp reply", "14"},
		{"information request", "15"},
		{"information reply", "16"},
		{"address mask request", "17"},
		{"address mask reply", "18"},
		{"echo  \treply", "0"},
		{"redirect,echo reply-redirect,11", "0-5,11"},
		{"time-to-live exceeded-timestamp request", "11-13"},
		{"8-time-to-live exceeded", "8-11"},
		{"echo reply frag", NULL},
	};

	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(types); i++) {
		char text[160], canonical[160];

		snprintf(text, sizeof(text), "deny in 1 from any to any icmptypes %s", types[i].name);
		snprintf(canonical, sizeof(canonical), "deny in 1 from any to any icmptypes %s",
			 types[i].number);
		assert_canonical(text, SL_IPFILTER_FULL,
				 types[i].number ? canonical : "deny in 1 from any to any frag icmptypes 0");
	}
}

static void a_refusal_names_the_column_what_was_expected_and_what_was_found(void **state)
{
	static const struct {
		const char *text, *message;
	} bad[] = {
		{"", "filter: column 1: expected 'permit' or 'deny', found the end"},
		{"  ", "filter: column 3: expected 'permit' or 'deny', found the end"},
		{"allow in ip from any to any",
		 "filter: column 1: expected 'permit' or 'deny', found 'allow'"},
		{"permit up ip from any to any", "filter: column 8: expected 'in' or 'out', found 'up'"},
		{"permit inip from any to any", "filter: column 8: expected 'in' or 'out', found 'inip'"},
		{"permit in tcp from any to any",
		 "filter: column 11: expected 'ip' or a protocol number 0..255, found 'tcp'"},
		{"permit in 256 from any to any",
		 "filter: column 11: expected 'ip' or a protocol number 0..255, found '256'"},
		{"permit in 06 from any to any",
		 "filter: column 11: expected 'ip' or a protocol number 0..255, found '06'"},
		{"permit in -1 from any to any",
		 "filter: column 11: expected 'ip' or a protocol number 0..255, found '-'"},
		{"permit in 99999999999999999999 from any to any",
		 "filter: column 11: expected 'ip' or a protocol number 0..255, found "
		 "'99999999999999999999'"},
		{"deny in ip! assigned", "filter: column 11: expected 'from', found '!'"},
		{"permit in ip to any from any", "filter: column 14: expected 'from', found 'to'"},
		{"permit in ip from",
		 "filter: column 18: expected 'any', 'assigned', an IPv4 or an IPv6 address, found the end"},
		{"permit in ip from host to any",
		 "filter: column 19: expected 'any', 'assigned', an IPv4 or an IPv6 address, found 'host'"},
		{"permit in ip from 192.0.2 to any", "filter: column 19: expected 'any', 'assigned', an IPv4 "
						     "or an IPv6 address, found '192.0.2'"},
		{"permit in ip from !!any to any",
		 "filter: column 20: expected 'any', 'assigned', an IPv4 or an IPv6 address, found '!'"},
		{"permit in ip from 2001:db8:2001:db8:2001:db8:2001:db8:2001:db8 to any",
		 "filter: column 19: expected 'any', 'assigned', an IPv4 or an IPv6 address, found "
		 "'2001:db8:2001:db8:2001:db8:2001:db8:2001'..."},
		{"permit in ip from 192.0.2.0/33 to any",
		 "filter: column 29: expected a prefix length 0..32, found '33'"},
		{"permit in ip from 2001:db8::/129 to any",
		 "filter: column 30: expected a prefix length 0..128, found '129'"},
		{"permit in ip from 192.0.2.0/ 24 to any",
		 "filter: column 29: expected a prefix length 0..32, found ' '"},
		{"permit in ip from 192.0.2.0/024 to any",
		 "filter: column 29: expected a prefix length 0..32, found '024'"},
		{"permit in ip from 192.0.2.0 /24 to any",
		 "filter: column 29: expected ports or 'to', found '/'"},
		{"permit in ip from any/0 to any", "filter: column 22: expected ports or 'to', found '/'"},
		{"permit in ip from 192.0.2.10/24 to any",
		 "filter: column 19: expected an address without bits beyond its prefix length, found "
		 "'192.0.2.10/24'"},
		{"permit in ip from any to 2001:db8::1/127",
		 "filter: column 26: expected an address without bits beyond its prefix length, found "
		 "'2001:db8::1/127'"},
		{"permit in ip from any to 128.0.0.0/0",
		 "filter: column 26: expected an address without bits beyond its prefix length, found "
		 "'128.0.0.0/0'"},
		{"permit in ip from any 80 to any", "filter: column 23: expected no ports, as the protocol "
						    "is none of 6, 17 and 132, found '80'"},
		{"permit in 1 from any to any 80", "filter: column 29: expected no ports, as the protocol is "
						   "none of 6, 17 and 132, found '80'"},
		{"permit in 6 from any 65536 to any",
		 "filter: column 22: expected a port 0..65535, found '65536'"},
		{"permit in 6 from any 80, 443 to any",
		 "filter: column 25: expected a port 0..65535, found ' '"},
		{"permit in 6 from any 80 ,443 to any", "filter: column 25: expected 'to', found ','"},
		{"permit in 6 from any 80,,443 to any",
		 "filter: column 25: expected a port 0..65535, found ','"},
		{"permit in 6 from any 80- to any", "filter: column 25: expected a port 0..65535, found ' '"},
		{"permit in 6 from any 80-90-95 to any", "filter: column 27: expected 'to', found '-'"},
		{"permit in 6 from any 90-80 to any",
		 "filter: column 25: expected a port not below the first of the range, found '80'"},
		{"permit in 6 from any !80 to any", "filter: column 22: expected ports or 'to', found '!'"},
		{"permit in 6 from any 80 any", "filter: column 25: expected 'to', found 'any'"},
		{"permit in 6 from any to any http",
		 "filter: column 29: expected an option or the end, found 'http'"},
		{"permit in 6 from any to any 80,",
		 "filter: column 32: expected a port 0..65535, found the end"},
		{"permit in 6 from any to any frag, setup",
		 "filter: column 33: expected an option or the end, found ','"},
		{"permit in ip from any to any frag frag",
		 "filter: column 35: expected each option once, found 'frag'"},
		{"permit in 6 from any to any tcpflags syn tcpflags ack",
		 "filter: column 42: expected each option once, found 'tcpflags'"},
		{"permit in 6 from any to any tcpflags syn,!syn",
		 "filter: column 43: expected each name once, found 'syn'"},
		{"permit in 6 from any to any tcpflags", "filter: column 37: expected fin, syn, rst, psh, "
							 "ack or urg, or one after '!', found the end"},
		{"permit in 6 from any to any tcpflags SYN",
		 "filter: column 38: expected fin, syn, rst, psh, ack or urg, or one after '!', found 'SYN'"},
		{"permit in 6 from any to any tcpoptions mss,wscale",
		 "filter: column 44: expected mss, window, sack, ts or cc, or one after '!', found 'wscale'"},
		{"permit in 6 from any to any ipoptions !!rr",
		 "filter: column 40: expected ssrr, lsrr, rr or ts, or one after '!', found '!'"},
		{"permit in 1 from any to any icmptypes 6",
		 "filter: column 39: expected an ICMP type 0, 3, 4, 5, 8..18 or its name, found '6'"},
		{"permit in 1 from any to any icmptypes 3-7",
		 "filter: column 41: expected an ICMP type 0, 3, 4, 5, 8..18 or its name, found '7'"},
		{"permit in 1 from any to any icmptypes 8-19",
		 "filter: column 41: expected an ICMP type 0, 3, 4, 5, 8..18 or its name, found '19'"},
		{"permit in 1 from any to any icmptypes 8,echo",
		 "filter: column 41: expected an ICMP type 0, 3, 4, 5, 8..18 or its name, found 'echo'"},
		{"permit in 1 from any to any icmptypes echo replys",
		 "filter: column 39: expected an ICMP type 0, 3, 4, 5, 8..18 or its name, found 'echo'"},
		{"permit in 1 from any to any icmptypes echo request-3",
		 "filter: column 52: expected an ICMP type not below the first of the range, found '3'"},
		{"deny in 6 from any to any 80 frag",
		 "filter: column 30: expected no frag, as there are ports, found 'frag'"},
		{"deny in 6 from any 80 to any setup frag",
		 "filter: column 36: expected no frag, as there are ports, found 'frag'"},
		{"deny in 6 from any to any frag tcpflags syn",
		 "filter: column 27: expected no frag, as there are tcpflags, found 'frag'"},
		{"permit in ip from any to any\n",
		 "filter: column 29: expected an option or the end, found '?'"},
	};

	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(bad); i++)
		assert_refused(bad[i].text, SL_IPFILTER_FULL, bad[i].message);
}

static void keywords_have_one_spelling_and_hex_digits_two(void **state)
{
	static const char *const bad[] = {
		"Permit in ip from any to any",
		"permit IN ip from any to any",
		"permit in IP from any to any",
		"permit in ip From any to any",
		"permit in ip from Any to any",
		"permit in ip from ASSIGNED to any",
		"permit in ip from any To any",
		"permit in ip from any to any Frag",
		"permit in 1 from any to any icmptypes Redirect",
		"permit in 1 from any to any icmptypes ip header bad",
	};

	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(bad); i++) {
		struct sl_ipfilter rule;

		if (parse(bad[i], SL_IPFILTER_FULL, &rule, NULL) != -EINVAL)
			fail_msg("'%s' is not refused", bad[i]);
	}
	assert_canonical("permit in ip from 2001:DB8::A to 2001:db8::a", SL_IPFILTER_FULL,
			 "permit in ip from 2001:db8::a to 2001:db8::a");
}

static void a_flow_description_is_a_permit_without_options_and_inversion(void **state)
{
	static const char *const good[] = {
		"permit out ip from any to assigned",
		"permit in 6 from assigned to 192.0.2.0/24 80,443,8000-8080",
		"permit out ip from 2001:db8::/32 53 to assigned 1024-65535",
	};
	static const struct {
		const char *text, *message;
	} bad[] = {
		{"deny out ip from any to any",
		 "filter: column 1: expected 'permit', the only action of a Flow-Description, found 'deny'"},
		{"permit out ip from !any to any", "filter: column 20: expected an address without '!', "
						   "which a Flow-Description has not, found '!'"},
		{"permit out ip from any to !any", "filter: column 27: expected an address without '!', "
						   "which a Flow-Description has not, found '!'"},
		{"permit out ip from any to any frag",
		 "filter: column 31: expected the end, as a Flow-Description has no options, found 'frag'"},
		{"permit out 1 from any to any 80", "filter: column 30: expected no ports, as the protocol "
						    "is none of 6, 17 and 132, found '80'"},
	};

	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(good); i++)
		assert_canonical(good[i], SL_IPFILTER_FLOW_DESCRIPTION, good[i]);
	for (size_t i = 0; i < SL_ARRAY_SIZE(bad); i++)
		assert_refused(bad[i].text, SL_IPFILTER_FLOW_DESCRIPTION, bad[i].message);
}

/* "permit in 6 from any to any 0,1,2,..." */
static void make_port_list(char *text, size_t size, int count)
{
	size_t used = (size_t)snprintf(text, size, "permit in 6 from any to any ");

	for (int i = 0; i < count; i++)
		used += (size_t)snprintf(text + used, size - used, i ? ",%d" : "%d", i);
}

static void one_port_more_than_the_bound_is_refused_at_its_column(void **state)
{
	char text[1024], message[128];
	struct sl_ipfilter rule;
	struct sl_error err;

	(void)state;
	make_port_list(text, sizeof(text), SL_IPFILTER_PORTS);
	assert_int_equal(parse(text, SL_IPFILTER_FULL, &rule, NULL), 0);
	assert_int_equal(rule.destination.port_count, SL_IPFILTER_PORTS);
	make_port_list(text, sizeof(text), SL_IPFILTER_PORTS + 1);
	assert_int_equal(parse(text, SL_IPFILTER_FULL, &rule, &err), -E2BIG);
	snprintf(message, sizeof(message),
		 "filter: column %zu: expected at most %d ports and ranges, found '%d'", strlen(text) - 1,
		 SL_IPFILTER_PORTS, SL_IPFILTER_PORTS);
	assert_string_equal(err.text, message);
}

static void a_text_over_its_bound_is_refused(void **state)
{
	static const char rule_text[] = "permit in ip from any to any";
	char text[SL_IPFILTER_TEXT];
	struct sl_ipfilter rule;
	struct sl_error err;

	(void)state;
	memset(text, ' ', sizeof(text));
	memcpy(text, rule_text, strlen(rule_text));
	assert_int_equal(sl_ipfilter_parse("filter", text, sizeof(text) - 1, SL_IPFILTER_FULL, &rule, NULL),
			 0);
	assert_int_equal(sl_ipfilter_parse("filter", text, sizeof(text), SL_IPFILTER_FULL, &rule, &err),
			 -E2BIG);
	assert_string_equal(err.text, "filter: column 2048: expected the end by here, found 2048 bytes");
}

static void the_longest_rule_fits_its_text(void **state)
{
	const struct sl_ipfilter_prefix longest = {.address.family = 6, .length = 127};
	struct sl_ipfilter rule = {.action = SL_IPFILTER_PERMIT,
				   .direction = SL_IPFILTER_OUT,
				   .protocol = 132,
				   .is_established = true,
				   .is_setup = true,
				   .ip_options.absent = 0x0f,
				   .tcp_options.absent = 0x1f,
				   .tcp_flags.absent = 0x3f,
				   .icmp_types = SL_IPFILTER_ICMP_TYPES & ~0x15600u};
	char text[SL_IPFILTER_TEXT], again[SL_IPFILTER_TEXT];
	struct sl_ipfilter parsed;

	(void)state;
	rule.source = (struct sl_ipfilter_end){.is_inverted = true, .prefix = longest};
	memset(rule.source.prefix.address.bytes, 0xfe, 16);
	rule.source.port_count = SL_IPFILTER_PORTS;
	for (size_t i = 0; i < SL_IPFILTER_PORTS; i++)
		rule.source.ports[i] = (struct sl_ipfilter_range){10000, 65535};
	rule.destination = rule.source;
	sl_ipfilter_format(&rule, text);
	assert_true(strlen(text) > SL_IPFILTER_TEXT * 3 / 4);
	assert_int_equal(parse(text, SL_IPFILTER_FULL, &parsed, NULL), 0);
	sl_ipfilter_format(&parsed, again);
	assert_string_equal(again, text);
}

static void a_text_need_not_end_in_nul_and_none_is_hidden_behind_one(void **state)
{
	static const char text[] = "permit in ip from any to any\0 frag";
	struct sl_ipfilter rule;
	struct sl_error err;

	(void)state;
	assert_int_equal(sl_ipfilter_parse("filter", text, 28, SL_IPFILTER_FULL, &rule, NULL), 0);
	assert_int_equal(sl_ipfilter_parse("filter", text, 27, SL_IPFILTER_FULL, &rule, &err), -EINVAL);
	assert_string_equal(err.text,
			    "filter: column 26: expected 'any', 'assigned', an IPv4 or an IPv6 address, "
			    "found 'an'");
	assert_int_equal(sl_ipfilter_parse("filter", text, sizeof(text) - 1, SL_IPFILTER_FULL, &rule, &err),
			 -EINVAL);
	assert_string_equal(err.text, "filter: column 29: expected an option or the end, found ''");
}

static bool same_end(const struct sl_ipfilter_end *a, const struct sl_ipfilter_end *b)
{
	if (a->place != b->place || a->is_inverted != b->is_inverted || a->port_count != b->port_count)
		return false;
	if (a->prefix.address.family != b->prefix.address.family || a->prefix.length != b->prefix.length)
		return false;
	return memcmp(a->prefix.address.bytes, b->prefix.address.bytes, 16) == 0 &&
	       memcmp(a->ports, b->ports, sizeof(a->ports)) == 0;
}

static bool same_spec(struct sl_ipfilter_spec a, struct sl_ipfilter_spec b)
{
	return a.present == b.present && a.absent == b.absent;
}

static bool same_rule(const struct sl_ipfilter *a, const struct sl_ipfilter *b)
{
	return a->action == b->action && a->direction == b->direction &&
	       a->is_any_protocol == b->is_any_protocol && a->protocol == b->protocol &&
	       same_end(&a->source, &b->source) && same_end(&a->destination, &b->destination) &&
	       a->is_frag == b->is_frag && a->is_established == b->is_established &&
	       a->is_setup == b->is_setup && same_spec(a->ip_options, b->ip_options) &&
	       same_spec(a->tcp_options, b->tcp_options) && same_spec(a->tcp_flags, b->tcp_flags) &&
	       a->icmp_types == b->icmp_types;
}

static void random_rules_come_back_from_their_text_the_same(void **state)
{
	uint64_t random = model_seed();

	(void)state;
	for (int i = 0; i < ROUND_TRIPS; i++) {
		const enum sl_ipfilter_dialect dialect =
			i % 4 == 0 ? SL_IPFILTER_FLOW_DESCRIPTION : SL_IPFILTER_FULL;
		char text[SL_IPFILTER_TEXT], formatted[SL_IPFILTER_TEXT], again[SL_IPFILTER_TEXT];
		struct sl_ipfilter rule, parsed;
		struct sl_error err = {""};
		struct model_rule model;

		model_rule(&random, dialect, &model);
		model_text(&random, &model, text);
		if (parse(text, dialect, &rule, &err) < 0)
			fail_msg("rule %d '%s' is refused: %s", i, text, err.text);
		sl_ipfilter_format(&rule, formatted);
		if (parse(formatted, dialect, &parsed, &err) < 0)
			fail_msg("rule %d '%s' became '%s': %s", i, text, formatted, err.text);
		if (!same_rule(&rule, &parsed))
			fail_msg("rule %d '%s' is another than '%s'", i, text, formatted);
		sl_ipfilter_format(&parsed, again);
		assert_string_equal(again, formatted);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_production_is_read_and_written_canonically),
		cmocka_unit_test(every_icmp_type_can_be_named_with_its_blanks),
		cmocka_unit_test(a_refusal_names_the_column_what_was_expected_and_what_was_found),
		cmocka_unit_test(keywords_have_one_spelling_and_hex_digits_two),
		cmocka_unit_test(a_flow_description_is_a_permit_without_options_and_inversion),
		cmocka_unit_test(one_port_more_than_the_bound_is_refused_at_its_column),
		cmocka_unit_test(a_text_over_its_bound_is_refused),
		cmocka_unit_test(the_longest_rule_fits_its_text),
		cmocka_unit_test(a_text_need_not_end_in_nul_and_none_is_hidden_behind_one),
		cmocka_unit_test(random_rules_come_back_from_their_text_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
