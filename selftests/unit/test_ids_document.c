// SPDX-License-Identifier: Apache-2.0
/* An IDS rule in YAML: every key in its place, every mistake with its line. */
#include <errno.h>
#include <netinet/in.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "ids/document.h"
#include "ids/names.h"
#include "qos/meter.h"

#define _cleanup_rule_ _cleanup_(sl_ids_rule_clear)

#define SECOND 1000000000ull

static int read_text(const char *text, struct sl_ids_rule *rule, struct sl_error *err)
{
	struct sl_yaml *document = NULL;
	int rc = sl_yaml_parse("F", text, strlen(text), &document, err);

	if (rc == 0)
		rc = sl_ids_document_read(sl_yaml_root(document), rule, err);
	sl_yaml_free(document);
	return rc;
}

static void read_rule(const char *text, struct sl_ids_rule *rule)
{
	struct sl_error err = {""};

	if (read_text(text, rule, &err) < 0)
		fail_msg("%s\n%s", err.text, text);
}

#define LEAST "name: r\nmatch: {direction: uplink}\ntrack: subscriber\nlimit: {count: 5, window: 1s}\n"

static void a_rule_has_every_field_that_it_names(void **state)
{
	_cleanup_rule_ struct sl_ids_rule rule = {.line = 0};
	const struct sluice_ids_rule *image = &rule.image;

	(void)state;
	read_rule(
		"name: xmpp-flood\n"
		"match: {direction: uplink, protocol: tcp, remote_port: 5222}\n"
		"track: connection\n"
		"count: payload-packets\n"
		"limit: {count: 100, window: 60s, kind: exact}\n"
		"verdict: drop\n"
		"block: {hard: 120s, idle: 30s, extend: true}\n"
		"repeat: {factor: 1.5, max: 1h, forget: 2h, jitter: 10%}\n"
		"escalate: {track: subscriber, after: 3, within: 10m}\n"
		"log: {backoff: 64}\n"
		"exempt: {subscribers: [\"001010000000002\", \"001010000000001\"], remote: [192.0.2.0/24]}\n"
		"evidence: {packets: 8, headers: 96}\n"
		"engine: inline\n"
		"mode: observe\n"
		"when_full: fail-closed\n"
		"severity: 1\n"
		"class: attempted-dos\n",
		&rule);
	assert_string_equal(rule.name, "xmpp-flood");
	assert_int_equal(image->track, SLUICE_IDS_CONNECTION);
	assert_int_equal(image->count, SLUICE_IDS_PAYLOAD_PACKETS);
	assert_int_equal(image->limit_count, 1);
	assert_int_equal(image->limit[0].kind, SLUICE_IDS_EXACT);
	assert_int_equal(image->limit[0].count, 100);
	assert_int_equal(image->limit[0].window_ns, 60 * SECOND);
	assert_int_equal(image->verdict, SLUICE_IDS_DROP);
	assert_int_equal(image->hard_ns, 120 * SECOND);
	assert_int_equal(image->idle_ns, 30 * SECOND);
	assert_int_equal(image->flags, SLUICE_IDS_OBSERVE | SLUICE_IDS_EXTEND | SLUICE_IDS_BLOCKS |
					       SLUICE_IDS_FULL_CLOSED | SLUICE_IDS_FULL_ALERT);
	assert_true(rule.repeat_factor == 1.5);
	assert_int_equal(rule.repeat_max_ns, 3600 * SECOND);
	assert_int_equal(rule.forget_ns, 7200 * SECOND);
	assert_int_equal(rule.jitter_percent, 10);
	assert_int_equal(rule.escalate_track, SLUICE_IDS_SUBSCRIBER);
	assert_int_equal(rule.escalate_after, 3);
	assert_int_equal(rule.escalate_within_ns, 600 * SECOND);
	assert_int_equal(rule.log, SL_IDS_LOG_BACKOFF);
	assert_int_equal(rule.log_number, 64);
	assert_int_equal(rule.exempt_count, 2);
	assert_string_equal(rule.exempt[0], "001010000000001");
	assert_string_equal(rule.exempt[1], "001010000000002");
	assert_int_equal(rule.evidence_packets, 8);
	assert_int_equal(rule.evidence_headers, 96);
	assert_int_equal(rule.severity, 1);
	assert_string_equal(rule.category, "attempted-dos");
	assert_int_equal(rule.match_count, 2);
	assert_int_equal(rule.exempt_matches, 1);
	assert_int_equal(rule.match[0].verdict, SLUICE_DENY);
	assert_int_equal(rule.match[0].family, 4);
	assert_memory_equal(rule.match[0].remote, "\xc0\x00\x02\x00", 4);
	assert_memory_equal(rule.match[0].mask, "\xff\xff\xff\x00\x00", 5);
	assert_int_equal(rule.match[1].verdict, SLUICE_PERMIT);
	assert_int_equal(rule.match[1].direction, SLUICE_UPLINK);
	assert_int_equal(rule.match[1].protocol, IPPROTO_TCP);
	assert_int_equal(rule.match[1].remote_port_low, 5222);
	assert_int_equal(rule.match[1].remote_port_high, 5222);
	assert_int_equal(rule.match[1].local_port_high, 65535);
	assert_int_equal(rule.match[1].flags,
			 SLUICE_MATCH_VALID | SLUICE_MATCH_PROTOCOL | SLUICE_MATCH_PORTS);
}

static void what_a_rule_does_not_name_has_its_default(void **state)
{
	_cleanup_rule_ struct sl_ids_rule rule = {.line = 0};

	(void)state;
	read_rule(LEAST, &rule);
	assert_int_equal(rule.image.count, SLUICE_IDS_PACKETS);
	assert_int_equal(rule.image.verdict, SLUICE_IDS_ALERT);
	assert_int_equal(rule.image.flags, 0);
	assert_int_equal(rule.image.hard_ns + rule.image.idle_ns, 0);
	assert_true(rule.repeat_factor == 1.0);
	assert_int_equal(rule.forget_ns, SL_IDS_DAY_NS);
	assert_int_equal(rule.escalate_track, 0);
	assert_int_equal(rule.clear_percent, 0);
	assert_int_equal(rule.log, SL_IDS_LOG_FIRST);
	assert_int_equal(rule.evidence_packets, 0);
	assert_int_equal(rule.evidence_headers, SLUICE_IDS_HEADERS);
	assert_int_equal(rule.poll_ns, 0);
	assert_int_equal(rule.severity, 2);
	assert_string_equal(rule.category, "misc-activity");
	assert_int_equal(rule.exempt_count + rule.subscriber_count, 0);
	assert_int_equal(rule.match_count, 1);
	assert_int_equal(rule.line, 1);
}

/* The rule but for these lines, which are added. */
static void read_with(const char *head, const char *more, struct sl_ids_rule *rule)
{
	char text[1024];

	snprintf(text, sizeof(text), "name: r\n%s%s", head, more);
	read_rule(text, rule);
}

static void every_kind_of_limit_follows_from_what_is_counted(void **state)
{
	static const struct {
		const char *text;
		unsigned int kind;
	} cases[] = {
		{"limit: {count: 256, window: 1s}", SLUICE_IDS_EXACT},
		{"limit: {count: 257, window: 1s}", SLUICE_IDS_SLIDING},
		{"limit: {count: 1000000, window: 1s}\ncount: bytes", SLUICE_IDS_SLIDING},
		{"limit: {count: 25, window: 1s}\ncount: distinct-remote-ports", SLUICE_IDS_SLIDING},
		{"limit: {count: 9, window: 1s, kind: fixed}", SLUICE_IDS_FIXED},
		{"limit: {count: 9, window: 1s, kind: ewma}", SLUICE_IDS_EWMA},
		{"limit: {count: 9, window: 1s, kind: bucket}", SLUICE_IDS_BUCKET},
		{"limit: {count: 9, window: 1s}\nengine: poll", SLUICE_IDS_BUCKET},
	};

	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(cases); i++) {
		_cleanup_rule_ struct sl_ids_rule rule = {.line = 0};

		read_with("match: {}\ntrack: subscriber\n", cases[i].text, &rule);
		if (rule.image.limit[0].kind != cases[i].kind)
			fail_msg("%s: %s", cases[i].text, sl_ids_kind_name(rule.image.limit[0].kind));
	}
}

static void a_list_of_limits_is_asked_from_the_shortest_window_on(void **state)
{
	_cleanup_rule_ struct sl_ids_rule rule = {.line = 0};

	(void)state;
	read_with("match: {}\ntrack: subscriber\n",
		  "limit:\n"
		  "  - {count: 1000, window: 1h}\n"
		  "  - {count: 10, window: 100ms}\n"
		  "  - {count: 300, window: 60s, kind: bucket, burst: 50}\n",
		  &rule);
	assert_int_equal(rule.image.limit_count, 3);
	assert_int_equal(rule.image.limit[0].window_ns, SECOND / 10);
	assert_int_equal(rule.image.limit[0].kind, SLUICE_IDS_EXACT);
	assert_int_equal(rule.image.limit[1].burst, 50);
	assert_int_equal(rule.image.limit[1].interval, 200000000ull * 1024);
	assert_int_equal(rule.image.limit[2].window_ns, 3600 * SECOND);
	assert_int_equal(rule.image.limit[3].count, 0);
}

static void tracks_have_prefixes_where_they_have_addresses(void **state)
{
	static const struct {
		const char *text;
		unsigned int track, prefix4, prefix6;
	} cases[] = {
		{"source", SLUICE_IDS_SOURCE, 0, 64},
		{"source/24", SLUICE_IDS_SOURCE, 24, 64},
		{"destination/24/56", SLUICE_IDS_DESTINATION, 24, 56},
		{"pair/32/128", SLUICE_IDS_PAIR, 0, 0},
		{"connection", SLUICE_IDS_CONNECTION, 0, 0},
		{"subscriber-rule", SLUICE_IDS_SUBSCRIBER_RULE, 0, 0},
		{"rule", SLUICE_IDS_RULE, 0, 0},
		{"apn", SLUICE_IDS_APN, 0, 0},
	};
	char text[256];

	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(cases); i++) {
		_cleanup_rule_ struct sl_ids_rule rule = {.line = 0};

		snprintf(text, sizeof(text), "match: {}\nlimit: {count: 1, window: 1s}\ntrack: %s\n",
			 cases[i].text);
		read_with("", text, &rule);
		assert_int_equal(rule.image.track, cases[i].track);
		assert_int_equal(rule.image.prefix4, cases[i].prefix4);
		assert_int_equal(rule.image.prefix6, cases[i].prefix6);
	}
}

static void a_filter_stands_before_tables_that_others_could_fill(void **state)
{
	static const struct {
		const char *text;
		bool filtered;
	} cases[] = {
		{"match: {direction: uplink}\ntrack: source\n", false},
		{"match: {direction: downlink}\ntrack: source\n", true},
		{"match: {}\ntrack: source\n", true},
		{"match: {direction: uplink}\ntrack: destination\n", true},
		{"match: {direction: downlink}\ntrack: destination\n", false},
		{"match: {direction: downlink}\ntrack: pair\n", true},
		{"match: {direction: downlink}\ntrack: subscriber\n", false},
		{"match: [{direction: downlink, action: deny}, {direction: uplink}]\ntrack: source\n", false},
	};

	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(cases); i++) {
		_cleanup_rule_ struct sl_ids_rule rule = {.line = 0};

		read_with(cases[i].text, "limit: {count: 1, window: 1s}\n", &rule);
		assert_int_equal(rule.image.sketch, cases[i].filtered);
	}
}

static void matches_are_flows_or_filters_and_nothing_else_is_meant(void **state)
{
	_cleanup_rule_ struct sl_ids_rule flows = {.line = 0}, one = {.line = 0}, list = {.line = 0};
	struct in6_addr wanted;

	(void)state;
	read_with("track: subscriber\nlimit: {count: 1, window: 1s}\n",
		  "match:\n"
		  "  - {direction: uplink, action: deny, remote: 192.0.2.1}\n"
		  "  - {direction: uplink, protocol: udp, remote_port: [53, 5000-5100]}\n"
		  "  - {direction: downlink, remote: \"!2001:db8::/32\", local: 2001:db8:1::/48}\n",
		  &flows);
	assert_int_equal(flows.match_count, 4);
	assert_int_equal(flows.match[0].verdict, SLUICE_DENY);
	assert_int_equal(flows.match[2].remote_port_low, 5000);
	assert_int_equal(flows.match[2].remote_port_high, 5100);
	assert_true(flows.match[3].terms.which & SLUICE_TERM_REMOTE_NOT);
	assert_int_equal(flows.match[3].family, 6);
	inet_pton(AF_INET6, "2001:db8:1::", &wanted);
	assert_memory_equal(flows.match[3].local, &wanted, 16);
	inet_pton(AF_INET6, "ffff:ffff:ffff::", &wanted);
	assert_memory_equal(flows.match[3].local_mask, &wanted, 16);
	read_with("track: subscriber\nlimit: {count: 1, window: 1s}\n",
		  "match: permit in 6 from assigned to any 5222\n", &one);
	assert_int_equal(one.match_count, 1);
	assert_int_equal(one.match[0].direction, SLUICE_UPLINK);
	assert_int_equal(one.match[0].verdict, SLUICE_PERMIT);
	assert_int_equal(one.match[0].remote_port_low, 5222);
	read_with("track: subscriber\nlimit: {count: 1, window: 1s}\n",
		  "match: [deny in ip from any to 192.0.2.1, permit in ip from any to 192.0.2.0/24]\n",
		  &list);
	assert_int_equal(list.match_count, 2);
	assert_int_equal(list.match[0].verdict, SLUICE_DENY);
	assert_int_equal(list.match[1].verdict, SLUICE_PERMIT);
}

static void each_verdict_has_what_it_needs(void **state)
{
	_cleanup_rule_ struct sl_ids_rule quarantine = {.line = 0}, redirect = {.line = 0},
					  police = {.line = 0}, mirror = {.line = 0}, notify = {.line = 0};

	(void)state;
	read_with(LEAST + strlen("name: r\n"),
		  "verdict: quarantine\nquarantine: [blocked, slow]\nblock: {hard: 1h}\n", &quarantine);
	assert_int_equal(quarantine.image.verdict, SLUICE_IDS_QUARANTINE);
	assert_int_equal(quarantine.quarantine_count, 2);
	assert_string_equal(quarantine.quarantine[1], "slow");
	read_with(LEAST + strlen("name: r\n"),
		  "verdict: redirect\nredirect: {url: \"http://a.example/\"}\nblock: {hard: 1h}\n",
		  &redirect);
	assert_int_equal(redirect.redirect_type, SLUICE_REDIRECT_URL);
	assert_string_equal(redirect.redirect, "http://a.example/");
	read_with(LEAST + strlen("name: r\n"),
		  "verdict: police\npolice: 64kbit\nblock: {hard: 1h}\nclear: {below: 50%, for: 30s}\n",
		  &police);
	assert_int_equal(police.police, 64000);
	assert_int_equal(sl_meter_bits_per_second(police.image.police), 64000);
	assert_int_equal(police.clear_percent, 50);
	assert_int_equal(police.clear_ns, 30 * SECOND);
	read_with(LEAST + strlen("name: r\n"), "verdict: mirror\nmirror: eth9\n", &mirror);
	assert_string_equal(mirror.mirror, "eth9");
	read_with(LEAST + strlen("name: r\n"), "verdict: notify\nlog: {every: 10}\n", &notify);
	assert_int_equal(notify.image.verdict, SLUICE_IDS_NOTIFY);
	assert_int_equal(notify.log, SL_IDS_LOG_EVERY);
}

static void what_is_judged_by_sweeps_has_an_interval(void **state)
{
	_cleanup_rule_ struct sl_ids_rule poll = {.line = 0}, open = {.line = 0};

	(void)state;
	read_with(LEAST + strlen("name: r\n"),
		  "engine: poll\ninterval: 100ms\nverdict: drop\nblock: {hard: 2m}\nlog: {interval: 5s}\n",
		  &poll);
	assert_int_equal(poll.poll_ns, SECOND / 10);
	assert_true(poll.image.flags & SLUICE_IDS_POLL);
	assert_int_equal(poll.log_number, 5 * SECOND);
	read_with("match: {}\ntrack: subscriber\n", "count: open-connections\nlimit: {count: 200}\n", &open);
	assert_int_equal(open.poll_ns, SECOND);
	assert_false(open.image.flags & SLUICE_IDS_POLL);
	assert_true(sl_ids_rule_is_swept(&open));
}

/* --- mistakes ------------------------------------------------------------------------ */

struct mistake {
	const char *text; /* instead of a line of LEAST with the same key, or beside them */
	const char *reason;
};

static void assert_refused(const char *text, const char *reason)
{
	struct sl_ids_rule rule = {.line = 77};
	struct sl_error err = {""};

	if (read_text(text, &rule, &err) != -EINVAL)
		fail_msg("not refused:\n%s", text);
	if (strncmp(err.text, reason, strlen(reason)) != 0)
		fail_msg("\"%s\" is not \"%s\"", err.text, reason);
	assert_int_equal(rule.line, 77);
}

static void every_mistake_names_line_key_and_what_would_be_right(void **state)
{
	/* behind four lines that are good */
	static const struct mistake mistakes[] = {
		{"colour: red", "F:5: colour: "},
		{"count: sheep", "F:5: count: bad value \"sheep\"; allowed: packets, bytes, "},
		{"verdict: kill", "F:5: verdict: bad value \"kill\"; allowed: alert, drop, "},
		{"verdict: police", "F:1: the key police is missing"},
		{"verdict: quarantine", "F:1: the key quarantine is missing"},
		{"verdict: redirect", "F:1: the key redirect is missing"},
		{"verdict: mirror", "F:1: the key mirror is missing"},
		{"police: 64kbit", "F:5: police: the verdict is alert; allowed: with verdict: police"},
		{"verdict: police\npolice: 1kbit", "F:6: police: bad value \"1kbit\"; allowed: "},
		{"verdict: police\npolice: 64kbit",
		 "F:5: verdict: police without a block, which says how long; allowed: with block"},
		{"verdict: quarantine\nquarantine: []", "F:6: quarantine: an empty list; allowed: 1 to 16 "},
		{"verdict: redirect\nredirect: {url: nowhere}", "F:6: redirect.url: "},
		{"verdict: mirror\nmirror: a-name-that-is-too-long", "F:6: mirror: "},
		{"block: {}", "F:5: block: no time at which it ends; allowed: hard, idle, or both"},
		{"block: {hard: 5}", "F:5: block.hard: bad value \"5\"; allowed: "},
		{"block: {hard: 5s, extend: true}",
		 "F:5: block.extend: there is no idle time that it would extend"},
		{"block: {hard: 5s, extend: maybe}",
		 "F:5: block.extend: bad value \"maybe\"; allowed: false, true"},
		{"block: {soft: 5s}", "F:5: block.soft: "},
		{"repeat: {factor: 2}", "F:5: repeat: the rule has no block; allowed: with block"},
		{"block: {idle: 5s}\nrepeat: {factor: 2}",
		 "F:6: repeat: there is no hard time that could grow"},
		{"block: {hard: 5s}\nrepeat: {max: 1h}", "F:6: repeat: the key factor is missing"},
		{"block: {hard: 5s}\nrepeat: {factor: 0.5}",
		 "F:6: repeat.factor: bad value \"0.5\"; allowed: 1 to 16"},
		{"block: {hard: 5s}\nrepeat: {factor: 16.01}", "F:6: repeat.factor: bad value \"16.01\""},
		{"block: {hard: 5s}\nrepeat: {factor: 2.}", "F:6: repeat.factor: bad value \"2.\""},
		{"block: {hard: 5s}\nrepeat: {factor: 2.x}", "F:6: repeat.factor: bad value \"2.x\""},
		{"block: {hard: 5s}\nrepeat: {factor: 2, max: 1s}",
		 "F:6: repeat.max: shorter than the first block; allowed: at least block.hard"},
		{"block: {hard: 5s}\nrepeat: {factor: 2, jitter: 60%}",
		 "F:6: repeat.jitter: bad value \"60%\"; allowed: 0% to 50%"},
		{"block: {hard: 5s}\nrepeat: {factor: 2, jitter: 6}", "F:6: repeat.jitter: bad value \"6\""},
		{"block: {hard: 5s}\nrepeat: {factor: 2, jitter: \"%\"}",
		 "F:6: repeat.jitter: bad value \"%\""},
		{"escalate: {track: source, after: 3, within: 1m}", "F:5: escalate: the rule has no block"},
		{"block: {hard: 5s}\nescalate: {track: subscriber, after: 3, within: 1m}",
		 "F:6: escalate.track: the rule tracks that already; allowed: something wider"},
		{"block: {hard: 5s}\nescalate: {track: apn, after: 3, within: 1m}",
		 "F:6: escalate.track: bad value \"apn\"; allowed: subscriber, source, destination"},
		{"block: {hard: 5s}\nescalate: {track: source, after: 1, within: 1m}",
		 "F:6: escalate.after: bad value \"1\"; allowed: a whole number from 2 to 1000"},
		{"block: {hard: 5s}\nescalate: {track: source, after: 3}",
		 "F:6: escalate: the key within is missing"},
		{"verdict: drop\nblock: {hard: 5s}\nclear: {below: 50%, for: 3s}",
		 "F:7: clear: what is dropped "},
		{"block: {hard: 5s}\nclear: {below: 0%, for: 3s}", "F:6: clear.below: bad value \"0%\""},
		{"block: {hard: 5s}\nclear: {below: 50%}", "F:6: clear: the key for is missing"},
		{"log: last", "F:5: log: bad value \"last\"; allowed: first, {every: N}, "},
		{"log: {every: 0}", "F:5: log.every: bad value \"0\"; allowed: a whole number from 1 to "},
		{"log: {every: 2, backoff: 2}", "F:5: log: not one mode; allowed: first, "},
		{"log: {interval: 5}", "F:5: log.interval: bad value \"5\"; allowed: "},
		{"exempt: {subscribers: []}", "F:5: exempt.subscribers: an empty list"},
		{"exempt: {subscribers: [12]}",
		 "F:5: exempt.subscribers[0]: bad value \"12\"; allowed: an IMSI"},
		{"exempt: {subscribers: [\"001010000000001\", \"001010000000001\"]}",
		 "F:5: exempt.subscribers: \"001010000000001\" is in the list twice"},
		{"exempt: {remote: [192.0.2.1/24]}", "F:5: exempt.remote[0]: bad value \"192.0.2.1/24\"; "
						     "allowed: an IPv4 or IPv6 address or prefix"},
		{"exempt: {local: [192.0.2.1]}", "F:5: exempt.local: "},
		{"evidence: {headers: 64}", "F:5: evidence: the key packets is missing"},
		{"evidence: {packets: 65}",
		 "F:5: evidence.packets: bad value \"65\"; allowed: a whole number from 1 to 64"},
		{"evidence: {packets: 6, headers: 129}",
		 "F:5: evidence.headers: bad value \"129\"; allowed: a whole number from 14 to 128"},
		{"engine: guess", "F:5: engine: bad value \"guess\"; allowed: inline, poll"},
		{"interval: 1s", "F:5: interval: nothing is polled here; allowed: with engine: poll"},
		{"engine: poll\ninterval: 10ms", "F:6: interval: bad value \"10ms\"; allowed: 100ms to "},
		{"engine: poll\ninterval: 2s",
		 "F:4: limit.window: shorter than the interval of the poll engine"},
		{"engine: poll\nverdict: drop", "F:6: verdict: drop without a block, which says how long"},
		{"mode: dry", "F:5: mode: bad value \"dry\"; allowed: enforce, observe"},
		{"when_full: panic", "F:5: when_full: bad value \"panic\"; allowed: fail-open, alert-only, "},
		{"severity: 5", "F:5: severity: bad value \"5\"; allowed: a whole number from 1 to 4"},
		{"class: a/b", "F:5: class: bad value \"a/b\"; allowed: letters, digits, spaces, "},
		{"subscribers: []", "F:5: subscribers: an empty list; allowed: at least one IMSI"},
		{"subscribers: [\"001010000000001\"]\nexempt: {subscribers: [\"001010000000002\"]}",
		 "F:6: exempt.subscribers: the rule is for its own subscribers only"},
	};

	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(mistakes); i++) {
		char text[1024];

		snprintf(text, sizeof(text), LEAST "%s\n", mistakes[i].text);
		assert_refused(text, mistakes[i].reason);
	}
}

static void mistakes_of_the_required_keys_are_named_likewise(void **state)
{
	static const struct mistake mistakes[] = {
		{"{}", "F:1: the key name is missing"},
		{"name: a b\n", "F:1: name: bad value \"a b\"; allowed: letters, digits, "},
		{"name: operator\n", "F:1: name: \"operator\" is the name of blocks without a rule"},
		{"name: r\n", "F:1: the key track is missing"},
		{"name: r\ntrack: subscriber\n", "F:1: the key limit is missing"},
		{"name: r\ntrack: subscriber\nlimit: {count: 1, window: 1s}\n",
		 "F:1: the key match is missing"},
		{"name: r\ntrack: cell\nlimit: {}\n",
		 "F:2: track: bad value \"cell\"; allowed: connection, "},
		{"name: r\ntrack: subscriber/24\nlimit: {}\n", "F:2: track: bad value \"subscriber/24\""},
		{"name: r\ntrack: source/33\nlimit: {}\n", "F:2: track: bad value \"source/33\""},
		{"name: r\ntrack: source/24/129\nlimit: {}\n", "F:2: track: bad value \"source/24/129\""},
		{"name: r\ntrack: source/24/\nlimit: {}\n", "F:2: track: bad value \"source/24/\""},
		{"name: r\ntrack: source/0\nlimit: {}\n", "F:2: track: bad value \"source/0\""},
#define LIMIT "name: r\nmatch: {}\ntrack: subscriber\n"
		{LIMIT "limit: []\n", "F:4: limit: an empty list; allowed: 1 to 4 limits"},
		{LIMIT "limit: {window: 1s}\n", "F:4: limit: the key count is missing"},
		{LIMIT "limit: {count: 1}\n", "F:4: limit: the key window is missing"},
		{LIMIT "limit: {count: 0, window: 1s}\n",
		 "F:4: limit.count: bad value \"0\"; allowed: a whole number from 1 to "},
		{LIMIT "limit: {count: 1, window: 9ms}\n",
		 "F:4: limit.window: bad value \"9ms\"; allowed: 10ms to "},
		{LIMIT "limit: {count: 1, window: 25h}\n", "F:4: limit.window: bad value \"25h\"; allowed: "},
		{LIMIT "limit: {count: 1, window: 1s, kind: soft}\n",
		 "F:4: limit.kind: bad value \"soft\"; allowed: exact, sliding, bucket, fixed, ewma"},
		{LIMIT "limit: {count: 257, window: 1s, kind: exact}\n",
		 "F:4: limit.count: 257 is more than an exact limit can count; allowed: at most 256, or "
		 "kind: "
		 "sliding"},
		{LIMIT "limit: [{count: 9, window: 1s}, {count: 300, window: 1s, kind: exact}]\n",
		 "F:4: limit[1].count: 300 is more"},
		{LIMIT "limit: {count: 9, window: 1s, burst: 2}\n",
		 "F:4: limit.burst: only a bucket has a burst; allowed: kind: bucket"},
		{LIMIT "limit: {count: 9, window: 1s, kind: bucket, burst: 0}\n",
		 "F:4: limit.burst: bad value \"0\"; allowed: a whole number from 1 to "},
		{LIMIT "limit: {count: 1, window: 24h, kind: bucket, burst: 1000}\n",
		 "F:4: limit.burst: a bucket of this rate and burst is beyond the clock"},
		{LIMIT "count: bytes\nlimit: {count: 1000, window: 1s}\n",
		 "F:5: limit.count: bad value \"1000\"; allowed: a whole number from 1514 to "},
		{LIMIT "count: bytes\nlimit: {count: 5000, window: 1s, kind: exact}\n",
		 "F:5: limit.kind: an exact limit counts packets; allowed: sliding, bucket, fixed"},
		{LIMIT "count: distinct-remote-ports\nlimit: {count: 2049, window: 1s}\n",
		 "F:5: limit.count: bad value \"2049\"; allowed: a whole number from 1 to 2048"},
		{LIMIT "count: distinct-remote-ports\nlimit: {count: 20, window: 1s, kind: bucket}\n",
		 "F:5: limit.kind: distinct values are counted in one way only; allowed: sliding"},
		{LIMIT "count: distinct-local-ports\nengine: poll\nlimit: {count: 20, window: 1s}\n",
		 "F:5: engine: distinct values are known where the packet is only; allowed: inline"},
		{LIMIT "count: open-connections\nlimit: {count: 20, window: 1s}\n",
		 "F:5: limit.window: open connections are those of now; allowed: no window"},
		{LIMIT "engine: poll\nlimit: {count: 20, window: 1s, kind: exact}\n",
		 "F:5: limit.kind: the agent's sweeps have true windows, and no kinds"},
		{LIMIT "verdict: drop\nlimit: {count: 20, window: 1s, kind: ewma}\n",
		 "F:4: verdict: drop with a limit of kind ewma, which bounds nothing; allowed: alert, "
		 "notify"},
#define MATCH "name: r\ntrack: subscriber\nlimit: {count: 1, window: 1s}\n"
		{MATCH "match: []\n", "F:4: match: an empty list"},
		{MATCH "match: {protocol: tpc}\n", "F:4: match.protocol: bad value \"tpc\""},
		{MATCH "match:\n  - {}\n  - {remote_port: 5}\n", "F:6: match[1]"},
		{MATCH "match: {remote: assigned}\n",
		 "F:4: match: the subscriber's own address on the remote side"},
		{MATCH "match: {local: \"!10.0.0.0/8\"}\n",
		 "F:4: match: a prefix that the subscriber's address is "},
		{MATCH "match: {action: deny}\n", "F:4: match: matches no packet; allowed: at least one "},
		{MATCH "match: {protocol: tcp, remote_port: [1, 3, 5, 7, 9, 11, 13, 15, 17]}\n",
		 "F:4: match: 18 combinations of directions, ports and types, and 0 of exemptions; allowed: "
		 "16"},
		{MATCH "match: permit in 6 from nowhere to any\n", "F:4: match: "},
		{MATCH "match:\n  - permit in 6 from any to any\n  - permit sideways\n", "F:6: match[1]: "},
		{MATCH "match: deny in ip from any to any\n", "F:4: match: matches no packet"},
	};

	(void)state;
	for (size_t i = 0; i < SL_ARRAY_SIZE(mistakes); i++)
		assert_refused(mistakes[i].text, mistakes[i].reason);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_rule_has_every_field_that_it_names),
		cmocka_unit_test(what_a_rule_does_not_name_has_its_default),
		cmocka_unit_test(every_kind_of_limit_follows_from_what_is_counted),
		cmocka_unit_test(a_list_of_limits_is_asked_from_the_shortest_window_on),
		cmocka_unit_test(tracks_have_prefixes_where_they_have_addresses),
		cmocka_unit_test(a_filter_stands_before_tables_that_others_could_fill),
		cmocka_unit_test(matches_are_flows_or_filters_and_nothing_else_is_meant),
		cmocka_unit_test(each_verdict_has_what_it_needs),
		cmocka_unit_test(what_is_judged_by_sweeps_has_an_interval),
		cmocka_unit_test(every_mistake_names_line_key_and_what_would_be_right),
		cmocka_unit_test(mistakes_of_the_required_keys_are_named_likewise),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
